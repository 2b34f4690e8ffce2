//! Errors to the wire: one total match, no `_`. No SQL, path or secret ever leaves.

use prost::Message as _;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::app::{AppError, Violation};
use crate::domain::refusal::{self, Reason};
use crate::proto;

const DOMAIN: &str = "tsio";

/// The status of an error.
pub(super) fn status(error: AppError) -> Status {
    let message = error.to_string();
    let plain = |code, reason: &str| with_details(code, message.clone(), vec![error_info(reason)]);
    match error {
        AppError::Invalid(violations) => invalid(&violations),
        AppError::FileRefused(_) => plain(Code::InvalidArgument, "FILE_REFUSED"),
        AppError::NotFound(_) => plain(Code::NotFound, "NOT_FOUND"),
        AppError::Refused(refusal) => refused(&refusal),
        AppError::Stale(_) => plain(Code::Aborted, "ETAG_STALE"),
        AppError::RequestIdReused => plain(Code::AlreadyExists, "REQUEST_ID_REUSED"),
        AppError::Denied(_) => plain(Code::PermissionDenied, "ROLE_MISSING"),
        AppError::Overloaded => plain(Code::ResourceExhausted, "OVERLOADED"),
        AppError::DeadlinePassed => plain(Code::DeadlineExceeded, "DEADLINE_PASSED"),
        AppError::Unavailable => plain(Code::Unavailable, "DATABASE_AWAY"),
        AppError::Bug(what) => {
            tracing::error!(what, "a bug");
            with_details(Code::Internal, "internal error; the log has it".to_owned(), vec![error_info("INTERNAL")])
        }
    }
}

/// INVALID_ARGUMENT with every field that is wrong.
pub(super) fn invalid(violations: &[Violation]) -> Status {
    let shown: Vec<String> = violations.iter().map(|it| format!("{}: {}", it.field, it.description)).collect();
    let bad = pb::BadRequest {
        field_violations: violations
            .iter()
            .map(|it| pb::bad_request::FieldViolation {
                field: it.field.clone(),
                description: it.description.clone(),
                ..Default::default()
            })
            .collect(),
    };
    let details = vec![error_info("FIELD_VIOLATIONS"), any("google.rpc.BadRequest", &bad)];
    with_details(Code::InvalidArgument, shown.join("; "), details)
}

fn refused(refusal: &refusal::Refusal) -> Status {
    let code = match refusal.reason {
        Reason::SelfApproval => Code::PermissionDenied,
        Reason::StateNotAllowed
        | Reason::ContactMissing
        | Reason::ContactNotCorrectable
        | Reason::AcceptorNotAllowed
        | Reason::SchoolNotOnOffer
        | Reason::AwardMissing
        | Reason::AlreadyDrawn
        | Reason::ProgrammeNotEnded
        | Reason::ProgrammeClosed
        | Reason::OutsideProgramme
        | Reason::SchoolOnAnotherOffer
        | Reason::ApprovalRequired
        | Reason::ApprovalNotOpen
        | Reason::AlreadyPlaced
        | Reason::TrustNotSuitable
        | Reason::ImportDisagrees
        | Reason::ImportNotLanded
        | Reason::TermsInUse => Code::FailedPrecondition,
    };
    let wire = proto::Refusal {
        reason: refusal.reason.code().to_owned(),
        message: refusal.message.clone(),
        limits: refusal.limits.iter().map(limit).collect(),
        largest: refusal.largest,
        approval: refusal.approval.map(|id| id.to_string()).unwrap_or_default(),
    };
    let details = vec![error_info(refusal.reason.code()), any("tsio.v1.Refusal", &wire)];
    with_details(code, refusal.message.clone(), details)
}

fn limit(it: &refusal::Limit) -> proto::Limit {
    proto::Limit {
        kind: it.kind.to_owned(),
        account: it.account.clone(),
        unit: it.unit.to_owned(),
        limit: it.limit,
        committed: it.committed,
        spent: it.spent,
        available: it.available,
        requested: it.requested,
        largest: it.largest,
        remedy: it.remedy.clone(),
    }
}

/// The `google.rpc.ErrorInfo` that every error carries (AIP-193).
pub(super) fn error_info(reason: &str) -> Any {
    let info = pb::ErrorInfo { reason: reason.to_owned(), domain: DOMAIN.to_owned(), ..Default::default() };
    any("google.rpc.ErrorInfo", &info)
}

/// A status with its details encoded as `google.rpc.Status`.
pub(super) fn with_details(code: Code, message: String, details: Vec<Any>) -> Status {
    let encoded = pb::Status { code: code as i32, message: message.clone(), details }.encode_to_vec();
    Status::with_details(code, message, encoded.into())
}

fn any(name: &str, message: &impl prost::Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}
