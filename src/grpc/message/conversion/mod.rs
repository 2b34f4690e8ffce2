//! Converts values of the domain to messages of the contract, and enums in both directions.

mod due;
mod money;
mod referral;
mod register;
mod summary;

use prost_types::Timestamp;

use crate::app::Recorded;
use crate::app::answers::CommandOutcome;
use crate::domain::Date;
use crate::domain::approval::{Approval, ApprovalState};
use crate::domain::ids::Uid;
use crate::domain::ledger::fund_change::FundChange;
use crate::domain::offer::{self, Offer, State};
use crate::domain::placement::RecipientKind;
use crate::domain::programme::candidates::{ClosedSchool, IdentifyReport, IneligibleSchool};
use crate::domain::programme::decision::Warning;
use crate::domain::school::HandPlacement;
use crate::domain::time::Micros;
use crate::domain::values::record::ErasureReason;
use crate::domain::values::statement::{FundStatement, Statement};
use crate::grpc::message::reason::ServiceReason;
use crate::proto;
pub(in crate::grpc) use due::{due_item, due_kind_from};
pub(in crate::grpc) use money::{
    award, award_is_open_from, awards, cap, fund, fund_account, fund_entry, leader_kind_from, position, released_awards,
};
pub(in crate::grpc) use referral::{
    discussion_partner_from, referral, referral_in_full, referral_origin_from, referral_state_from,
};
pub(in crate::grpc) use register::{
    affected_offer, area, entry_position_from, import, import_kind_from, import_outcome, link, membership, month,
    new_entry_decision, problem, programme_placement, row_count, rule_answer, school, school_eligibility,
    stored_entry_decision, trust,
};
pub(in crate::grpc) use summary::{offer_summary, summary_dimension_from};

/// Defines the two conversions between an enum of the domain and an enum of the contract, one to one. The contract's
/// `UNSPECIFIED` and unknown numbers become `None`. A conversion that no code needs has a name that begins with `_`.
macro_rules! both_ways {
    ($to:ident, $from:ident: $domain:ty = $wire:ty { $($domain_value:ident = $wire_value:ident),+ $(,)? }) => {
        pub(in crate::grpc) const fn $to(value: $domain) -> $wire {
            match value { $(<$domain>::$domain_value => <$wire>::$wire_value),+ }
        }

        pub(in crate::grpc) fn $from(number: i32) -> Option<$domain> {
            match <$wire>::try_from(number) {
                $(Ok(<$wire>::$wire_value) => Some(<$domain>::$domain_value),)+
                Ok(<$wire>::Unspecified) | Err(_) => None,
            }
        }
    };
}

use both_ways;

both_ways!(state, state_from: State = proto::OfferState {
    Identified = Identified, Contacted = Contacted, Accepted = Accepted, Delivering = Delivering, Closed = Closed,
});
both_ways!(outcome, outcome_from: offer::Outcome = proto::Outcome {
    Completed = Completed, Declined = Declined, Withdrawn = Withdrawn, Lapsed = Lapsed,
    Ineligible = Ineligible, Superseded = Superseded,
});
both_ways!(party, party_from: offer::Party = proto::Party { ResponsibleBody = ResponsibleBody, School = School });
both_ways!(_acceptor, acceptor_from: offer::Acceptor = proto::Acceptor { School = School, Trust = Trust });
both_ways!(_milestone, milestone_from: offer::Milestone = proto::Milestone { Accepted = Accepted, Started = Started });
both_ways!(_decline_reason, decline_reason_from: offer::DeclineReason = proto::DeclineReason {
    SupportInPlace = SupportInPlace, NoCapacity = NoCapacity, NotWanted = NotWanted,
    ChangingTrust = ChangingTrust, Other = Other,
});

both_ways!(_erasure_reason, erasure_reason_from: ErasureReason = proto::ErasureReason {
    PersonalData = PersonalData, Mistake = Mistake, RetentionEnded = RetentionEnded,
});

/// Converts a number of the register, which has at most seven digits.
pub(in crate::grpc) fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Converts a count. A larger number becomes the largest `i32`.
pub(in crate::grpc) fn count(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Converts a date; the text is empty if the date is unknown.
pub(in crate::grpc) fn date(date: Option<Date>) -> String {
    date.map(|it| it.to_string()).unwrap_or_default()
}

/// Converts an instant.
pub(in crate::grpc) fn timestamp(at: Micros) -> Timestamp {
    let nanos = at.0.rem_euclid(1_000_000).saturating_mul(1_000);
    Timestamp { seconds: at.0.div_euclid(1_000_000), nanos: i32::try_from(nanos).unwrap_or_default() }
}

/// Converts a kind of recipient.
const fn recipient_kind(it: RecipientKind) -> proto::RecipientKind {
    match it {
        RecipientKind::Standalone => proto::RecipientKind::Standalone,
        RecipientKind::Mat => proto::RecipientKind::Mat,
    }
}

/// Converts an offer.
pub(in crate::grpc) fn offer(it: &Offer) -> proto::Offer {
    proto::Offer {
        offer: it.id.to_string(),
        programme: it.programme.to_string(),
        recipient_kind: recipient_kind(it.recipient.row()).into(),
        recipient: number(it.recipient.number()),
        name: it.name.clone(),
        region: it.region.to_string(),
        state: state(it.state).into(),
        outcome: it.outcome.map_or(proto::Outcome::Unspecified, outcome).into(),
        assignee: it.assignee.as_ref().map(ToString::to_string).unwrap_or_default(),
        schools: it.schools.values().map(listed_school).collect(),
        contacts: it.contacts.iter().map(contact).collect(),
        etag: it.etag(),
        trust_uid: it.trust.map_or(0, |uid| number(uid.get())),
        responsible_body: it.responsible.to_string(),
        terms_sha256: crate::domain::event::Hash(it.terms).to_string(),
        create_time: Some(timestamp(it.made_at)),
        accepted_date: it.accepted.map(|accepted| accepted.on.to_string()).unwrap_or_default(),
        started_date: it.started.map(|on| on.to_string()).unwrap_or_default(),
    }
}

fn listed_school(it: &offer::ListedSchool) -> proto::OfferSchool {
    proto::OfferSchool { urn: number(it.urn.get()), name: it.name.clone(), rules: it.rules.clone() }
}

fn contact(it: &offer::Contact) -> proto::Contact {
    proto::Contact {
        contact: it.seq.0,
        party: party(it.party).into(),
        urn: it.urn.map_or(0, |urn| number(urn.get())),
        date: it.on.to_string(),
        corrected_by: it.corrected_by.map_or(0, |seq| seq.0),
    }
}

/// Converts an event of an offer. `text` is its free text; `None` if the event has no text, the text was erased, or the
/// message must not contain it. `text_erased` is false here; `ListOfferEvents` sets it.
pub(in crate::grpc) fn offer_event(it: &Recorded, text: Option<String>) -> proto::OfferEvent {
    proto::OfferEvent {
        sequence: it.event.seq.0,
        kind: it.kind.clone(),
        actor: it.event.actor.to_string(),
        request_id: it.event.request.to_string(),
        effective_date: it.event.effective.to_string(),
        recorded_time: Some(timestamp(it.event.recorded)),
        reason_code: it.event.reason_code.clone().unwrap_or_default(),
        text: text.unwrap_or_default(),
        body_json: it.body.clone(),
        text_erased: false,
        hash: it.hash.to_string(),
    }
}

/// Converts the result of identifying offers.
pub(in crate::grpc) fn identify_response(outcome: &CommandOutcome<IdentifyReport>) -> proto::IdentifyOffersResponse {
    let report = &outcome.answer;
    proto::IdentifyOffersResponse {
        created: count(report.created),
        updated: count(report.updated),
        already_open: count(report.already_open),
        already_closed: count(report.already_closed),
        blocked: report
            .blocked
            .iter()
            .map(|it| proto::BlockedSchool {
                urn: number(it.urn.get()),
                name: it.name.clone(),
                offer: it.offer.map(|id| id.to_string()).unwrap_or_default(),
                reason: it.reason.clone(),
            })
            .collect(),
        unplaced: report
            .unplaced
            .iter()
            .map(|it| proto::UnplacedSchool {
                urn: number(it.urn.get()),
                name: it.name.clone(),
                reason: it.reason.clone(),
            })
            .collect(),
        judged_at_sequence: outcome.decided_after.0,
        warnings: warnings(outcome),
        closed: report.closed.iter().map(closed_school).collect(),
        confirmed_referrals: report.confirmed.iter().map(ToString::to_string).collect(),
        not_eligible: report.not_eligible.iter().map(not_eligible).collect(),
    }
}

fn not_eligible(it: &IneligibleSchool) -> proto::NotEligibleSchool {
    proto::NotEligibleSchool {
        urn: number(it.urn.get()),
        name: it.name.clone(),
        reason: it.reason.clone(),
        offer: it.offer.map(|id| id.to_string()).unwrap_or_default(),
        whole_offer: it.whole_offer,
    }
}

fn closed_school(it: &ClosedSchool) -> proto::ClosedSchool {
    proto::ClosedSchool {
        urn: number(it.urn.get()),
        name: it.name.clone(),
        reason: it.reason.clone(),
        successor_urns: it.successors.iter().map(|urn| number(urn.get())).collect(),
        offer: it.offer.map(|id| id.to_string()).unwrap_or_default(),
    }
}

/// Converts the warnings of a command.
pub(in crate::grpc) fn warnings<A>(outcome: &CommandOutcome<A>) -> Vec<proto::Warning> {
    let warning = |it: &Warning| match it {
        Warning::DateInThePast(on) => proto::Warning {
            code: ServiceReason::DateInThePast.code().to_owned(),
            message: format!("{on} lies more than 60 days in the past; it is recorded as the date it happened"),
        },
        Warning::DrawRepeated(on) => proto::Warning {
            code: ServiceReason::DrawRepeated.code().to_owned(),
            message: format!(
                "the same amount was drawn on this award on {on} already, and neither draw names an invoice; refund one if \
                 both are the same draw"
            ),
        },
        Warning::DateAssumed(on) => proto::Warning {
            code: ServiceReason::DateAssumed.code().to_owned(),
            message: format!(
                "no date was given, and the award window has passed: {on} was taken, when the offer was accepted"
            ),
        },
        Warning::DioceseUnknown(schools) => proto::Warning {
            code: ServiceReason::DioceseUnknown.code().to_owned(),
            message: format!(
                "no file of establishments names {schools} school(s), so it is not known whether they have a diocese; \
                 their local authority was taken as the responsible body"
            ),
        },
    };
    outcome.warnings.iter().map(warning).collect()
}

/// Converts a placement by hand, and returns the trust of the placement with it. A maintained school has no trust.
pub(in crate::grpc) const fn hand_placement(it: HandPlacement) -> (proto::Placement, Option<Uid>) {
    match it {
        HandPlacement::Maintained => (proto::Placement::Maintained, None),
        HandPlacement::SingleAcademyTrust { uid } => (proto::Placement::SingleAcademyTrust, Some(uid)),
        HandPlacement::SingleSchoolMat { uid } => (proto::Placement::SingleSchoolMat, Some(uid)),
        HandPlacement::Mat { uid } => (proto::Placement::Mat, Some(uid)),
    }
}

fn fund_statement(it: &FundStatement) -> proto::FundStatement {
    proto::FundStatement {
        fund: it.fund.to_string(),
        allocated_before: it.before.allocated.get(),
        allocated_after: it.after.allocated.get(),
        committed: it.before.committed.get(),
        spent: it.before.spent.get(),
        available_before: it.before.available.get(),
        available_after: it.after.available.get(),
        as_of_shortfall: it.as_of_shortfall.map_or(0, crate::domain::money::Pence::get),
    }
}

/// Converts an approval without the reasons that people wrote, because a stored answer must have no free text.
pub(in crate::grpc) fn approval(it: &Approval) -> proto::Approval {
    let state = match it.state {
        ApprovalState::Open => proto::ApprovalState::Open,
        ApprovalState::CarriedOut(_) => proto::ApprovalState::CarriedOut,
        ApprovalState::Denied(_) => proto::ApprovalState::Denied,
        ApprovalState::Withdrawn => proto::ApprovalState::Withdrawn,
        ApprovalState::Expired => proto::ApprovalState::Expired,
    };
    let (to_fund, over_commit) = match it.change {
        Some(FundChange::Move { to, .. }) => (to.to_string(), false),
        Some(FundChange::Withdraw { over_commit, .. }) => (String::new(), over_commit),
        Some(FundChange::Allocate { .. }) | None => (String::new(), false),
    };
    let (mut funds, mut offer_etag, mut offer_region, mut entry) = (Vec::new(), String::new(), String::new(), None);
    let (mut moved_alone_pence, mut affected_offers) = (0, Vec::new());
    match &it.statement {
        Some(Statement::Funds { funds: stated, moved_alone }) => {
            funds = stated.iter().map(fund_statement).collect();
            moved_alone_pence = moved_alone.map_or(0, crate::domain::money::Pence::get);
        }
        Some(Statement::Import { offers }) => affected_offers = offers.iter().map(ToString::to_string).collect(),
        Some(Statement::Offer { etag, region }) => (offer_etag, offer_region) = (etag.clone(), region.to_string()),
        Some(Statement::Entry { urn, met, region, before, offers }) => {
            let stated = register::entry_statement(*urn, *met, *region, *before);
            let offers = offers.iter().flatten().map(ToString::to_string).collect();
            entry = Some(proto::EntryStatement { offers, ..stated });
        }
        None => {}
    }
    proto::Approval {
        approval: it.id.to_string(),
        action: it.action.to_string(),
        subject: if entry.is_some() { String::new() } else { it.subject.to_string() },
        state: state.into(),
        requested_by: it.requested_by.to_string(),
        request_time: Some(timestamp(it.requested_at)),
        given_by: it.state.answered_by().map(ToString::to_string).unwrap_or_default(),
        reason: String::new(),
        amount_pence: it.change.as_ref().map_or(0, |change| change.amount().get()),
        to_fund,
        over_commit,
        denied_reason: String::new(),
        expire_time: it.expires.map(timestamp),
        funds,
        offer_etag,
        offer_region,
        moved_alone_pence,
        affected_offers,
        entry,
    }
}
