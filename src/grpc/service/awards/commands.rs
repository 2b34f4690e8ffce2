//! Converts messages about awards to commands. All wrong fields of a message are reported together.

use crate::app::Result;
use crate::app::commands::{BookDays, CancelBooking, CreateAwards, DrawAward, RefundAward, ReleaseAward, UndoMovement};
use crate::domain::Date;
use crate::domain::award::claim::{NewClaim, names_an_issuer, other_letter_of_issuer};
use crate::domain::award::{BadReference, LeaderKind, Reference, Support, SupportKind, WrongUnit};
use crate::domain::event::Seq;
use crate::domain::ids::RequestId;
use crate::domain::ledger::Amount;
use crate::domain::programme::command::{AwardTarget, NewAward, OfferTarget, RefundIssuer};
use crate::grpc::message::conversion;
use crate::grpc::message::fields::Fields;
use crate::proto::new_award::Support as ProtoSupport;
use crate::proto::{self, CheckAwardRequest, CreateAwardsRequest};

/// The most awards in one request.
const MAX_AWARDS: usize = 20;

/// A request id and its command, or the violations of all wrong fields.
type Checked<C> = Result<(RequestId, C)>;

pub(super) fn create(message: &CreateAwardsRequest, today: Date) -> Checked<CreateAwards> {
    let (offer, etag) = (message.offer.as_str(), message.etag.as_str());
    Fields::command(&message.request_id, |fields| {
        read_bundle(fields, (offer, etag), &message.awards, &message.date, today)
    })
}

pub(super) fn check(message: &CheckAwardRequest, today: Date) -> Result<CreateAwards> {
    let (offer, etag) = (message.offer.as_str(), message.etag.as_str());
    Fields::check(|fields| read_bundle(fields, (offer, etag), &message.awards, &message.date, today))
}

/// Reads the awards of a request, which are a bundle.
fn read_bundle(
    fields: &mut Fields,
    (offer, etag): (&str, &str),
    messages: &[proto::NewAward],
    date: &str,
    today: Date,
) -> Option<CreateAwards> {
    let (offer, etag) = (fields.parse("offer", offer), fields.etag("etag", etag));
    if messages.is_empty() || messages.len() > MAX_AWARDS {
        fields.add_violation("awards", format!("must have 1 to {MAX_AWARDS} awards, got {}", messages.len()));
    }
    let on = if date.is_empty() { None } else { fields.effective_date("date", date, today) };
    let messages = messages.iter().enumerate().take(MAX_AWARDS);
    let awards: Vec<NewAward> = messages.filter_map(|(index, message)| read_award(fields, index, message)).collect();
    let offer = OfferTarget { offer: offer?, etag };
    Some(CreateAwards { offer, awards, on })
}

/// Reads the award at this index of the request.
fn read_award(fields: &mut Fields, index: usize, message: &proto::NewAward) -> Option<NewAward> {
    let path = format!("awards[{index}].");
    let amount = fields.amount(&path, message.amount);
    let Some(proto_support) = &message.support else {
        fields.add_violation(&format!("{path}support"), "is required: nle, credit, nlg or npqel");
        return None;
    };
    let kind = support_kind(proto_support);
    let support = read_support(fields, &path, proto_support);
    if let Some(amount) = amount {
        check_unit(fields, &path, kind, amount);
    }
    let (support, text) = support?;
    Some(NewAward { support, amount: amount?, text })
}

/// Checks that the amount has the unit of the support.
fn check_unit(fields: &mut Fields, path: &str, kind: SupportKind, amount: Amount) {
    match kind.check(amount) {
        Ok(()) => {}
        Err(error @ WrongUnit::NotInDays) => {
            fields.add_violation(&format!("{path}amount_pence"), format!("{error}: give half_days"));
        }
        Err(error @ WrongUnit::InDays) => {
            fields.add_violation(&format!("{path}half_days"), format!("{error}: give amount_pence"))
        }
    }
}

const fn support_kind(support: &ProtoSupport) -> SupportKind {
    match support {
        ProtoSupport::Nle(_) => SupportKind::Nle,
        ProtoSupport::Credit(_) => SupportKind::Credit,
        ProtoSupport::Nlg(_) => SupportKind::Nlg,
        ProtoSupport::Npqel(_) => SupportKind::Npqel,
    }
}

/// Reads the support of an award, and its free text.
fn read_support(fields: &mut Fields, path: &str, support: &ProtoSupport) -> Option<(Support, String)> {
    match support {
        ProtoSupport::Nle(it) => {
            let leader = fields.parse(&format!("{path}nle.leader"), &it.leader);
            let text = fields.text(&format!("{path}nle.organisation"), &it.organisation);
            let leader_kind = read_leader_kind(fields, &format!("{path}nle.leader_kind"), it.leader_kind);
            Some((Support::Nle { leader: leader?, leader_kind }, text?))
        }
        ProtoSupport::Credit(it) => {
            let partner = fields.uid(&format!("{path}credit.partner_uid"), it.partner_uid);
            let text = fields.text(&format!("{path}credit.suitable_because"), &it.suitable_because);
            Some((Support::Credit { partner: partner? }, text?))
        }
        ProtoSupport::Nlg(it) => {
            let text = fields.text(&format!("{path}nlg.because"), &it.because);
            let leader = fields.optional(&format!("{path}nlg.leader"), &it.leader);
            let organisation = read_issuer(fields, &format!("{path}nlg.organisation"), &it.organisation);
            Some((Support::Nlg { leader, organisation }, text?))
        }
        ProtoSupport::Npqel(it) => {
            let leader = fields.parse(&format!("{path}npqel.leader"), &it.leader);
            let provider = fields.title(&format!("{path}npqel.provider"), &it.provider);
            if it.provider.trim().is_empty() {
                fields.add_violation(&format!("{path}npqel.provider"), "is required");
            }
            let text = fields.text(&format!("{path}npqel.because"), &it.because);
            Some((Support::Npqel { leader: leader?, provider: provider? }, text?))
        }
    }
}

pub(super) fn book(message: &proto::BookDaysRequest) -> Checked<BookDays> {
    Fields::command(&message.request_id, |fields| {
        let award = read_target(fields, &message.award, &message.etag);
        let half_days = fields.half_days("half_days", message.half_days);
        let on = fields.date("date", &message.date);
        let leader = fields.optional("leader", &message.leader);
        let leader_kind = read_leader_kind(fields, "leader_kind", message.leader_kind);
        Some(BookDays { award: award?, half_days: half_days?, on: on?, leader, leader_kind })
    })
}

pub(super) fn cancel(message: &proto::CancelBookingRequest) -> Checked<CancelBooking> {
    Fields::command(&message.request_id, |fields| {
        let award = read_target(fields, &message.award, &message.etag);
        if message.booking < 1 {
            fields.add_violation("booking", "is the number of a booking, 1 or more");
        }
        Some(CancelBooking { award: award?, booking: Seq(message.booking) })
    })
}

pub(super) fn draw(message: &proto::DrawAwardRequest, today: Date) -> Checked<DrawAward> {
    Fields::command(&message.request_id, |fields| {
        let award = read_target(fields, &message.award, &message.etag);
        let booking = (message.booking != 0).then_some(Seq(message.booking));
        if message.booking < 0 {
            fields.add_violation("booking", "is the number of a booking, 1 or more, or 0 for none");
        }
        if message.amount.is_none() && booking.is_none() {
            fields.add_violation("amount", "is required, amount_pence or half_days, unless a booking is named");
        }
        let amount = fields.optional_amount("", message.amount);
        let on = fields.effective_date("date", &message.date, today);
        let invoice = read_claim(fields, message);
        let text = fields.note("note", &message.note);
        Some(DrawAward { award: award?, amount, on: on?, booking, invoice, text })
    })
}

pub(super) fn release(message: &proto::ReleaseAwardRequest, today: Date) -> Checked<ReleaseAward> {
    Fields::command(&message.request_id, |fields| {
        let award = read_target(fields, &message.award, &message.etag);
        let amount = fields.optional_amount("", message.amount);
        let on = fields.effective_date("date", &message.date, today);
        let text = fields.note("note", &message.note);
        Some(ReleaseAward { award: award?, amount, on: on?, text })
    })
}

pub(super) fn refund(message: &proto::RefundAwardRequest, today: Date) -> Checked<RefundAward> {
    Fields::command(&message.request_id, |fields| {
        let award = read_target(fields, &message.award, &message.etag);
        let amount = fields.amount("", message.amount);
        let reason = fields.text("reason", &message.reason);
        let on = fields.effective_date("date", &message.date, today);
        let invoice = read_reference(fields, &message.invoice);
        let issuer = read_issuer(fields, "issuer", &message.issuer).map(RefundIssuer::Named);
        if issuer.is_some() && message.invoice.trim().is_empty() {
            fields.add_violation("issuer", "is for an invoice, and none is named");
        }
        Some(RefundAward { award: award?, amount: amount?, on: on?, invoice, issuer, reason: reason? })
    })
}

pub(super) fn undo(message: &proto::UndoMovementRequest) -> Checked<UndoMovement> {
    Fields::command(&message.request_id, |fields| {
        let award = read_target(fields, &message.award, &message.etag);
        if message.sequence < 1 {
            fields.add_violation("sequence", "is the sequence of an event, 1 or more");
        }
        let reason = fields.text("reason", &message.reason);
        Some(UndoMovement { award: award?, movement: Seq(message.sequence), reason: reason? })
    })
}

fn read_target(fields: &mut Fields, award: &str, etag: &str) -> Option<AwardTarget> {
    let (award, etag) = (fields.parse("award", award), fields.etag("etag", etag));
    Some(AwardTarget { award: award?, etag })
}

/// Reads the invoice that a draw pays; `None` if the draw names no invoice.
fn read_claim(fields: &mut Fields, message: &proto::DrawAwardRequest) -> Option<NewClaim> {
    let reference = read_reference(fields, &message.invoice);
    let issuer = read_issuer(fields, "issuer", &message.issuer);
    let total = (message.total_pence != 0).then(|| fields.pence("total_pence", message.total_pence)).flatten();
    if message.invoice.trim().is_empty() {
        for (field, is_given) in [("issuer", issuer.is_some()), ("total_pence", total.is_some())] {
            if is_given {
                fields.add_violation(field, "is said of an invoice: name its reference as the invoice too");
            }
        }
    }
    let printed = message.invoice.trim().to_owned();
    Some(NewClaim { reference: reference?, printed, issuer, total })
}

/// Reads the issuer of an invoice; `None` if no issuer is named.
fn read_issuer(fields: &mut Fields, field: &str, text: &str) -> Option<String> {
    let name = fields.title(field, text)?;
    if let Some(other) = other_letter_of_issuer(text) {
        fields.add_violation(
            field,
            format!("must have only the letters A to Z, with or without accents, and digits; got {other}"),
        );
    } else if !names_an_issuer(&name) {
        fields.add_violation(field, format!("must have a letter or a digit, got {name:?}"));
    }
    Some(name)
}

/// Reads the kind of a leader; `None` if the message does not state it.
fn read_leader_kind(fields: &mut Fields, field: &str, number: i32) -> Option<LeaderKind> {
    if proto::LeaderKind::try_from(number).is_err() {
        fields.add_violation(field, format!("must be a kind of leader that this version knows, got {number}"));
    }
    conversion::leader_kind_from(number)
}

/// Reads the reference of an invoice; `None` if there is none. [`crate::grpc::message::texts`] refuses a text that only
/// earlier versions of the program accepted, unless an earlier version has answered this request. In that case the text is
/// normalised as the earlier version normalised it, so that the request is recognised.
fn read_reference(fields: &mut Fields, text: &str) -> Option<Reference> {
    let title = fields.title("invoice", text)?;
    match Reference::read(&title) {
        Ok(reference) => Some(reference),
        Err(error) => {
            let by_earlier_rules = Reference::before_rules_2(&title);
            if by_earlier_rules.is_none() && matches!(error, BadReference::Shape(_)) {
                fields.add_violation("invoice", error.to_string());
            }
            by_earlier_rules
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::AppError;
    use crate::proto::new_award::Amount as ProtoAmount;
    use crate::proto::{CreditSupport, NleSupport, NlgSupport, NpqelSupport};

    const TODAY: &str = "2022-03-01";

    fn award_message(amount: Option<ProtoAmount>, support: Option<ProtoSupport>) -> proto::NewAward {
        proto::NewAward { amount, support }
    }

    fn nle(leader: &str, organisation: &str) -> Option<ProtoSupport> {
        Some(ProtoSupport::Nle(NleSupport {
            leader: leader.to_owned(),
            organisation: organisation.to_owned(),
            ..Default::default()
        }))
    }

    fn wrong_fields<T: std::fmt::Debug>(result: Result<T>) -> Vec<String> {
        match result {
            Err(AppError::Invalid(violations)) => violations.into_iter().map(|it| it.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn check_request(awards: Vec<proto::NewAward>) -> CheckAwardRequest {
        let offer = "0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f".to_owned();
        CheckAwardRequest { offer, awards, ..CheckAwardRequest::default() }
    }

    #[test]
    fn all_wrong_fields_of_a_bundle_are_reported_together() {
        let message = CheckAwardRequest {
            offer: "x".to_owned(),
            date: "2022-03-02".to_owned(),
            ..check_request(vec![
                award_message(None, nle("a leader", "")),
                award_message(Some(ProtoAmount::AmountPence(5)), nle("leader-1", "Oak")),
                award_message(Some(ProtoAmount::HalfDays(2)), Some(ProtoSupport::Nlg(NlgSupport::default()))),
                award_message(Some(ProtoAmount::AmountPence(0)), Some(ProtoSupport::Credit(CreditSupport::default()))),
                award_message(Some(ProtoAmount::AmountPence(-1)), Some(ProtoSupport::Npqel(NpqelSupport::default()))),
                award_message(Some(ProtoAmount::AmountPence(1)), None),
            ])
        };
        let expected = [
            "offer",
            "date",
            "awards[0].amount",
            "awards[0].nle.leader",
            "awards[0].nle.organisation",
            "awards[1].amount_pence",
            "awards[2].nlg.because",
            "awards[2].half_days",
            "awards[3].amount_pence",
            "awards[3].credit.partner_uid",
            "awards[3].credit.suitable_because",
            "awards[4].amount_pence",
            "awards[4].npqel.leader",
            "awards[4].npqel.provider",
            "awards[4].npqel.because",
            "awards[5].support",
        ];
        assert_eq!(wrong_fields(check(&message, TODAY.parse().unwrap())), expected);
    }

    #[test]
    fn a_bundle_has_one_to_twenty_awards() {
        let valid = || award_message(Some(ProtoAmount::HalfDays(1)), nle("leader-1", "Oak"));
        let today = TODAY.parse().unwrap();
        for (count, is_valid) in [(0, false), (1, true), (20, true), (21, false)] {
            let message = check_request((0..count).map(|_| valid()).collect());
            match check(&message, today) {
                Ok(CreateAwards { awards, on, .. }) => {
                    assert!(is_valid && awards.len() == count && on.is_none(), "{count}");
                }
                other => assert!(!is_valid && wrong_fields(other) == ["awards"], "{count}"),
            }
        }
    }

    #[test]
    fn a_draw_needs_an_amount_or_a_booking() {
        let any_uuid = "0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f";
        let today: Date = TODAY.parse().unwrap();
        let message = |booking, invoice: &str| proto::DrawAwardRequest {
            request_id: any_uuid.to_owned(),
            award: any_uuid.to_owned(),
            booking,
            invoice: invoice.to_owned(),
            ..proto::DrawAwardRequest::default()
        };
        assert_eq!(wrong_fields(draw(&message(0, "--"), today)), ["amount", "invoice"]);
        let Ok((_, DrawAward { amount, on, booking, invoice, .. })) = draw(&message(7, " inv-1/2 "), today) else {
            panic!("refused")
        };
        assert_eq!((amount, on, booking), (None, today, Some(Seq(7))));
        let claim = invoice.unwrap();
        assert_eq!((claim.reference.as_str(), claim.printed.as_str()), ("INV12", "inv-1/2"));
        assert_eq!((claim.issuer, claim.total), (None, None));
    }
}
