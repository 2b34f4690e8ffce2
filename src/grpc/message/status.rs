//! Maps every error to a status. The match has no `_`, so that a new error does not compile without a status. No status
//! contains SQL, a path or a secret.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::pb;

use super::metadata;
use super::reason::{ServiceReason, StatusReason, status_code_of};
use crate::app::{AppError, Violation};
use crate::domain::refusal::{self, EntityKind};
use crate::proto;

/// The domain of `google.rpc.ErrorInfo`.
const DOMAIN: &str = "tsio";
/// The most bytes of the details of a status. The details are sent in a header, in base64. Clients accept 16 KiB
/// of headers.
const MAX_DETAILS: usize = 6 * 1024;
/// The most bytes of the message, and of each text in the details. Some texts repeat what the caller sent.
const MAX_TEXT: usize = 512;
/// The most bytes of an id in the details. Our own ids are at most half as long.
const MAX_ID: usize = 256;
/// The most bytes of the violations in the message.
const MAX_MESSAGE_VIOLATIONS_BYTES: usize = 440;
/// The most violations in the details. Fewer are sent if the details would exceed [`MAX_DETAILS`].
const MAX_LISTED: usize = 200;
/// The most violations in the message.
const MAX_IN_MESSAGE: usize = 5;

/// Returns the status of an error. The calling function must log the error by [`AppError::log`].
pub(in crate::grpc) fn status(error: AppError) -> Status {
    let message = error.to_string();
    let with_reason_only = |reason| refuse(reason, message.clone());
    match error {
        AppError::Invalid(violations) => invalid(&violations),
        AppError::FileRefused { details, .. } if details.is_empty() => with_reason_only(ServiceReason::FileRefused),
        AppError::FileRefused { details, .. } => {
            let (bad, _) = bad_request(&details);
            let reason = ServiceReason::FileRefused;
            with_details(reason.status(), message, vec![error_info(reason), pack("google.rpc.BadRequest", &bad)])
        }
        AppError::NotFound(kind, ids) => {
            let reason = ServiceReason::NotFound;
            with_details(
                reason.status(),
                message,
                vec![error_info_with(reason, metadata::for_missing_entities(kind, &ids))],
            )
        }
        AppError::UnknownName(kind, name, _) => {
            let reason = ServiceReason::NotFound;
            let missing = metadata::for_missing_entities(kind, &[name]);
            with_details(reason.status(), message, vec![error_info_with(reason, missing)])
        }
        AppError::Refused(refusal) => refusal_status(&refusal),
        AppError::Stale(_) => with_reason_only(ServiceReason::EtagStale),
        AppError::RequestIdReused => with_reason_only(ServiceReason::RequestIdReused),
        AppError::Denied(_) => with_reason_only(ServiceReason::RoleMissing),
        AppError::Overloaded => with_reason_only(ServiceReason::Overloaded),
        AppError::WatchesTooMany(_) => with_reason_only(ServiceReason::WatchesExceeded),
        AppError::DeadlinePassed => with_reason_only(ServiceReason::DeadlinePassed),
        AppError::Unavailable(_) => with_reason_only(ServiceReason::DatabaseAway),
        AppError::StorageFull(_) => with_reason_only(ServiceReason::StorageFull),
        AppError::Outdated => with_reason_only(ServiceReason::ServerOutdated),
        AppError::ClockWrong(_) => with_reason_only(ServiceReason::ClockWrong),
        AppError::Diverged(_) => with_reason_only(ServiceReason::HistoryDiverged),
        AppError::TooSlow(_) => with_reason_only(ServiceReason::WatcherTooSlow),
        AppError::Stopping => with_reason_only(ServiceReason::ServerStopping),
        AppError::Bug(_) => internal(),
    }
}

/// Returns the status of a reason, with the code of the reason and without further details.
pub(in crate::grpc) fn refuse(reason: ServiceReason, message: impl Into<String>) -> Status {
    with_details(reason.status(), message.into(), vec![error_info(reason)])
}

/// Returns the status of a fault of the server. Only the log has the cause of the fault.
pub(in crate::grpc) fn internal() -> Status {
    refuse(ServiceReason::Internal, "internal error; the log has it")
}

/// Returns the status INVALID_ARGUMENT, with the violations of the request.
pub(in crate::grpc) fn invalid(violations: &[Violation]) -> Status {
    let in_message: Vec<String> =
        violations.iter().take(MAX_IN_MESSAGE).map(|it| format!("{}: {}", it.field, it.description)).collect();
    let (bad, unlisted) = bad_request(violations);
    let mut message = shorten(&in_message.join("; "), MAX_MESSAGE_VIOLATIONS_BYTES);
    let others = violations.len().saturating_sub(in_message.len());
    if others > 0 {
        message.push_str(&format!("; and {others} more"));
    }
    if unlisted > 0 {
        message.push_str(&format!(", {unlisted} of them not listed"));
    }
    let reason = ServiceReason::FieldViolations;
    with_details(reason.status(), message, vec![error_info(reason), pack("google.rpc.BadRequest", &bad)])
}

/// Returns the violations for the details of a status, and the number of violations that are left out.
fn bad_request(violations: &[Violation]) -> (pb::BadRequest, usize) {
    let violation = |it: &Violation| pb::bad_request::FieldViolation {
        field: shorten(&it.field, MAX_TEXT),
        description: shorten(&it.description, MAX_TEXT),
        ..Default::default()
    };
    let mut bad_request =
        pb::BadRequest { field_violations: violations.iter().take(MAX_LISTED).map(violation).collect() };
    let dropped = drop_rows_to_fit(&mut bad_request, MAX_DETAILS, |it| &mut it.field_violations);
    (bad_request, violations.len().saturating_sub(MAX_LISTED).saturating_add(dropped))
}

/// Returns the status of a refusal, with its limits.
fn refusal_status(refusal: &refusal::Refusal) -> Status {
    let code = status_code_of(refusal.reason);
    let mut wire = proto::Refusal {
        reason: refusal.reason.code().to_owned(),
        message: shorten(&refusal.message, MAX_TEXT),
        limits: refusal.limits.iter().map(limit_message).collect(),
        largest: refusal.largest,
        approval: refusal.approval.map(|id| id.to_string()).unwrap_or_default(),
        more_limits: 0,
    };
    let info = error_info_with(refusal.reason, metadata::for_refusal(refusal));
    let max_refusal_bytes = MAX_DETAILS.saturating_sub(info.encoded_len());
    wire.more_limits =
        i32::try_from(drop_rows_to_fit(&mut wire, max_refusal_bytes, |it| &mut it.limits)).unwrap_or(i32::MAX);
    let details = vec![info, pack("tsio.v1.Refusal", &wire)];
    with_details(code, refusal.message.clone(), details)
}

/// Drops rows from the end of a message until it has at most `limit` bytes. Returns the number of dropped rows.
fn drop_rows_to_fit<M: prost::Message, R>(
    message: &mut M,
    limit: usize,
    rows: impl Fn(&mut M) -> &mut Vec<R>,
) -> usize {
    let mut dropped: usize = 0;
    while message.encoded_len() > limit && rows(message).pop().is_some() {
        dropped = dropped.saturating_add(1);
    }
    dropped
}

fn limit_message(it: &refusal::Limit) -> proto::Limit {
    proto::Limit {
        kind: it.kind.name().to_owned(),
        account: shorten(&it.subject.to_string(), MAX_TEXT),
        unit: it.unit.map(|unit| unit.name().to_owned()).unwrap_or_default(),
        limit: it.limit,
        committed: it.committed,
        spent: it.spent,
        available: it.available,
        requested: it.requested,
        largest: it.largest,
        remedy: shorten(&it.remedy, MAX_TEXT),
        subject_kind: subject_kind(it.subject.kind()).into(),
        subject_id: shorten(&it.subject.id().unwrap_or_default(), MAX_ID),
        subject_part_of: it.subject.part_of().map(|(_, id)| shorten(&id, MAX_ID)).unwrap_or_default(),
        strand: it.subject.strand().map(ToString::to_string).unwrap_or_default(),
    }
}

const fn subject_kind(kind: EntityKind) -> proto::SubjectKind {
    match kind {
        EntityKind::Approval => proto::SubjectKind::Approval,
        EntityKind::Award => proto::SubjectKind::Award,
        EntityKind::Booking => proto::SubjectKind::Booking,
        EntityKind::Contact => proto::SubjectKind::Contact,
        EntityKind::Event => proto::SubjectKind::Event,
        EntityKind::Fund => proto::SubjectKind::Fund,
        EntityKind::Ground => proto::SubjectKind::Ground,
        EntityKind::Import => proto::SubjectKind::Import,
        EntityKind::ImportRow => proto::SubjectKind::ImportRow,
        EntityKind::Invoice => proto::SubjectKind::Invoice,
        EntityKind::Leader => proto::SubjectKind::Leader,
        EntityKind::Offer => proto::SubjectKind::Offer,
        EntityKind::Programme => proto::SubjectKind::Programme,
        EntityKind::Referral => proto::SubjectKind::Referral,
        EntityKind::School => proto::SubjectKind::School,
        EntityKind::Strand => proto::SubjectKind::Strand,
        EntityKind::Trust => proto::SubjectKind::Trust,
        EntityKind::Window => proto::SubjectKind::Window,
    }
}

/// `google.rpc.ErrorInfo` with its metadata sorted by key, so that the same error is encoded to the same bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

/// Returns the `google.rpc.ErrorInfo` that every error has (AIP-193), without metadata.
pub(in crate::grpc) fn error_info(reason: impl Into<StatusReason>) -> Any {
    error_info_with(reason, [])
}

/// Returns an `ErrorInfo` with metadata; each value is shortened to [`metadata::MAX_VALUE`].
fn error_info_with(reason: impl Into<StatusReason>, metadata: impl IntoIterator<Item = metadata::Item>) -> Any {
    let metadata = metadata
        .into_iter()
        .map(|(key, value)| (key.name().to_owned(), shorten(&value, metadata::MAX_VALUE)))
        .collect();
    let info = ErrorInfo { reason: reason.into().code().to_owned(), domain: DOMAIN.to_owned(), metadata };
    pack("google.rpc.ErrorInfo", &info)
}

/// Makes a status. Its details are encoded as `google.rpc.Status`, and the message is shortened to [`MAX_TEXT`].
pub(in crate::grpc) fn with_details(code: Code, message: String, details: Vec<Any>) -> Status {
    let message = shorten(&message, MAX_TEXT);
    let encoded = pb::Status { code: code as i32, message: message.clone(), details }.encode_to_vec();
    Status::with_details(code, message, encoded.into())
}

/// Shortens a text to at most `limit` bytes, with `…` in place of the rest.
fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit.saturating_sub('…'.len_utf8()));
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Packs a message into a `google.protobuf.Any`.
fn pack(name: &str, message: &impl prost::Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::domain::event::Seq;
    use crate::domain::ids::{AwardId, OfferId};
    use crate::domain::ledger::Unit;
    use crate::domain::refusal::{LimitKind, LimitSubject, Reason};
    use crate::domain::terms::StrandId;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(shorten("abcdef", 6), "abcdef");
        assert_eq!(shorten("abcdefg", 6), "abc…");
        // The `…` takes three of the six bytes. The other three have space for one é, which has two bytes.
        assert_eq!(shorten("éééé", 6), "é…");
        assert_eq!(shorten("", 0), "");
    }

    #[test]
    fn long_texts_of_a_caller_are_shortened() {
        let long = "é".repeat(9_000);
        let limit = refusal::Limit::plain(LimitKind::Terms, LimitSubject::Ground(long.clone()), long.clone());
        let refusal = refusal::Refusal::of(Reason::ProviderNotAccredited, long.clone(), limit);
        let statuses = [
            refusal_status(&refusal),
            invalid(&[Violation::new("awards[0].npqel.provider", long.clone())]),
            status(AppError::not_found(EntityKind::Ground, long.clone())),
            status(AppError::Stale(long)),
        ];
        for status in statuses {
            assert!(status.message().len() <= MAX_TEXT && status.message().contains('…'), "{status:?}");
            assert!(status.details().len() < 3 * 1024, "{}", status.details().len());
        }
    }

    #[test]
    fn the_details_always_fit_in_a_header() {
        let offer = |n: usize| OfferId(uuid::Uuid::from_u128(u128::try_from(n).unwrap()));
        let limit = |n: usize| refusal::Limit::plain(LimitKind::Contact, offer(n), "x".repeat(120));
        let mut refusal = refusal::Refusal::of(Reason::ContactMissing, "missing", limit(0));
        refusal.limits = (0..500).map(limit).collect();
        let status = refusal_status(&refusal);
        assert!(status.details().len() < MAX_DETAILS + 1024, "{}", status.details().len());
        let decoded = pb::Status::decode(status.details()).unwrap();
        let wire = proto::Refusal::decode(decoded.details[1].value.as_slice()).unwrap();
        assert!(!wire.limits.is_empty());
        assert_eq!(wire.limits.len() + usize::try_from(wire.more_limits).unwrap(), 500);

        let violations: Vec<Violation> =
            (0..500).map(|n| Violation::new(format!("offers[{n}].urn"), "x".repeat(90))).collect();
        let status = invalid(&violations);
        assert!(status.details().len() < MAX_DETAILS + 1024, "{}", status.details().len());
        assert!(status.message().contains("and 495 more"), "{}", status.message());
    }

    #[test]
    fn the_metadata_names_the_subject_of_an_error() {
        let metadata = |status: &Status| {
            let info = status.get_details_error_info().unwrap();
            let mut all: Vec<String> = info.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
            all.sort();
            all.join(" ")
        };
        let (offer, award) = (OfferId(uuid::Uuid::nil()), AwardId(uuid::Uuid::nil()));
        let id = offer.to_string();
        let strand = StrandId::new("nle");
        let booking = LimitSubject::Booking { booking: Seq(7), award, strand: strand.clone() };
        let award_limit = refusal::Limit {
            unit: Some(Unit::HalfDays),
            limit: Some(4),
            requested: Some(5),
            largest: Some(0),
            ..refusal::Limit::plain(LimitKind::Award, booking, "draw less")
        };
        let subject = LimitSubject::MissingFund { strand, region: "West Midlands".parse().unwrap() };
        let fund_limit = refusal::Limit::plain(LimitKind::Fund, subject, "create one");
        let state_limit = refusal::Limit::plain(LimitKind::State, offer, "start");
        let refusal_with = |limits: &[&refusal::Limit]| {
            let limits = limits.iter().copied().cloned().collect();
            let message = "no".to_owned();
            refusal_status(&refusal::Refusal {
                reason: Reason::AwardExceeded,
                message,
                limits,
                largest: None,
                approval: None,
            })
        };
        let two_missing = AppError::NotFound(EntityKind::Offer, vec!["a".to_owned(), "b".to_owned()]);
        let rows = [
            (
                refusal_with(&[&award_limit, &state_limit]),
                format!(
                    "award_id={id} booking=7 largest=0 limit=4 limit_kind=award requested=5 strand=nle unit=half_days"
                ),
            ),
            (refusal_with(&[&state_limit, &award_limit]), format!("limit_kind=state offer_id={id}")),
            (refusal_with(&[&fund_limit]), "limit_kind=fund strand=nle".to_owned()),
            (status(two_missing), "offer_id=a, b".to_owned()),
            (status(AppError::not_found(EntityKind::School, 100_000)), "urn=100000".to_owned()),
            (status(AppError::Overloaded), String::new()),
        ];
        for (status, expected) in rows {
            assert_eq!(metadata(&status), expected, "{status}");
        }
    }
}
