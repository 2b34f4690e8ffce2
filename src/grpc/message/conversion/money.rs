//! Converts awards, funds and their ledger to messages.

use super::{date, number, timestamp};
use crate::app::{Fund, FundEntry, Sums};
use crate::domain::award::{self, Award, BookingState, LeaderKind, Support};
use crate::domain::ids::Programme;
use crate::domain::ledger::{Account, Owner, Unit};
use crate::domain::money::Pence;
use crate::proto;
use crate::proto::award::Support as WireSupport;

const fn unit(it: Unit) -> proto::Unit {
    match it {
        Unit::Pence => proto::Unit::Pence,
        Unit::HalfDays => proto::Unit::HalfDays,
    }
}

/// Converts a state of awards to whether the award is open: true for open, false for settled, `None` for unspecified or an
/// unknown number.
pub(in crate::grpc) fn award_is_open_from(number: i32) -> Option<bool> {
    match proto::AwardState::try_from(number) {
        Ok(proto::AwardState::Open) => Some(true),
        Ok(proto::AwardState::Settled) => Some(false),
        Ok(proto::AwardState::Unspecified) | Err(_) => None,
    }
}

/// Converts an award and its free text. A stored answer is made without the text, because the text can be erased.
pub(in crate::grpc) fn award(it: &Award, text: Option<&str>) -> proto::Award {
    let state = if it.is_settled() { proto::AwardState::Settled } else { proto::AwardState::Open };
    proto::Award {
        award: it.id.to_string(),
        offer: it.offer.to_string(),
        strand: it.support.strand_name().to_owned(),
        unit: unit(it.unit).into(),
        state: state.into(),
        awarded: it.awarded,
        drawn: it.drawn,
        released: it.released,
        refunded: it.refunded,
        committed: it.committed(),
        fund: it.fund.to_string(),
        day_rate_pence: it.rate.map_or(0, Pence::get),
        date: date(Some(it.on)),
        awarded_by: it.by.to_string(),
        support: Some(support(&it.support, text.unwrap_or_default().to_owned())),
        bookings: it.bookings.iter().map(booking).collect(),
        invoices: it.invoices.iter().map(|paid| invoice(it, paid, text)).collect(),
        etag: it.etag(),
    }
}

fn support(it: &Support, text: String) -> WireSupport {
    match it {
        Support::Nle { leader, leader_kind } => WireSupport::Nle(proto::NleSupport {
            leader: leader.to_string(),
            organisation: text,
            leader_kind: self::leader_kind(*leader_kind).into(),
        }),
        Support::Credit { partner } => {
            WireSupport::Credit(proto::CreditSupport { partner_uid: number(partner.get()), suitable_because: text })
        }
        Support::Nlg { leader, organisation } => WireSupport::Nlg(proto::NlgSupport {
            because: text,
            leader: leader.as_ref().map(ToString::to_string).unwrap_or_default(),
            organisation: organisation.clone().unwrap_or_default(),
        }),
        Support::Npqel { leader, provider } => WireSupport::Npqel(proto::NpqelSupport {
            leader: leader.to_string(),
            provider: provider.clone(),
            because: text,
        }),
    }
}

fn booking(it: &award::Booking) -> proto::Booking {
    let state = match it.state {
        BookingState::Booked => proto::BookingState::Booked,
        BookingState::Delivered => proto::BookingState::Delivered,
        BookingState::Cancelled => proto::BookingState::Cancelled,
    };
    proto::Booking {
        booking: it.seq.0,
        half_days: it.half_days.get(),
        date: date(Some(it.on)),
        leader: it.leader.to_string(),
        state: state.into(),
        leader_kind: leader_kind(it.leader_kind).into(),
    }
}

const fn leader_kind(it: Option<LeaderKind>) -> proto::LeaderKind {
    match it {
        None => proto::LeaderKind::Unspecified,
        Some(LeaderKind::NationalLeader) => proto::LeaderKind::NationalLeader,
        Some(LeaderKind::Equivalent) => proto::LeaderKind::Equivalent,
    }
}

/// Converts a kind of leader; `None` for unspecified or an unknown number.
pub(in crate::grpc) fn leader_kind_from(number: i32) -> Option<LeaderKind> {
    match proto::LeaderKind::try_from(number) {
        Ok(proto::LeaderKind::NationalLeader) => Some(LeaderKind::NationalLeader),
        Ok(proto::LeaderKind::Equivalent) => Some(LeaderKind::Equivalent),
        Ok(proto::LeaderKind::Unspecified) | Err(_) => None,
    }
}

/// Converts an invoice. An `nle` invoice without an issuer of its own was issued by the organisation of the leader, which
/// is the text of the award.
fn invoice(award: &Award, it: &award::Invoice, text: Option<&str>) -> proto::Invoice {
    let organisation = text.filter(|_| it.issuer.is_empty() && matches!(award.support, Support::Nle { .. }));
    let claim = it.claim.as_ref();
    proto::Invoice {
        reference: it.reference.as_str().to_owned(),
        amount_pence: it.amount.get(),
        refunded_pence: it.refunded.get(),
        issuer: organisation.unwrap_or(&it.issuer).to_owned(),
        printed: claim.map(|it| it.printed.clone()).unwrap_or_default(),
        total_pence: claim.and_then(|it| it.total).map_or(0, Pence::get),
    }
}

/// Converts awards without their texts.
pub(in crate::grpc) fn awards(awards: &[Award]) -> Vec<proto::Award> {
    awards.iter().map(|it| award(it, None)).collect()
}

/// Converts the commitments that were released when an offer closed: each award with its released amount.
pub(in crate::grpc) fn released_awards(released: &[(Award, i64)]) -> Vec<proto::ReleasedAward> {
    let released_award = |(award, amount): &(Award, i64)| proto::ReleasedAward {
        award: award.id.to_string(),
        strand: award.support.strand_name().to_owned(),
        unit: unit(award.unit).into(),
        amount: *amount,
    };
    released.iter().map(released_award).collect()
}

/// Converts a cap of an offer.
pub(in crate::grpc) fn cap(it: &Account) -> proto::Cap {
    proto::Cap {
        strand: it.strand.to_string(),
        unit: unit(it.unit).into(),
        allocated: it.allocated(),
        committed: it.committed,
        spent: it.spent,
        available: it.available,
    }
}

/// Converts a fund.
pub(in crate::grpc) fn fund(it: &Fund) -> proto::Fund {
    fund_account(&it.programme, &it.account)
}

/// Converts the account of a fund of this programme.
pub(in crate::grpc) fn fund_account(programme: &Programme, it: &Account) -> proto::Fund {
    let region = match &it.owner {
        Owner::Fund { region } => region.map(|it| it.to_string()).unwrap_or_default(),
        Owner::Cap { .. } => String::new(),
    };
    proto::Fund {
        fund: it.id.to_string(),
        programme: programme.to_string(),
        strand: it.strand.to_string(),
        region,
        unit: unit(it.unit).into(),
        binds: it.binds,
        over_committed: it.over_committed,
        allocated: it.allocated(),
        committed: it.committed,
        spent: it.spent,
        available: it.available,
        etag: it.etag(),
    }
}

/// Converts the balances of a fund, or the changes of its balances in one year.
pub(in crate::grpc) fn position(it: &Sums) -> proto::Position {
    proto::Position {
        allocated: it.allocated,
        committed: it.committed,
        spent: it.spent,
        available: it.allocated.saturating_sub(it.committed).saturating_sub(it.spent),
    }
}

/// Converts an entry of a fund.
pub(in crate::grpc) fn fund_entry(it: &FundEntry) -> proto::FundEntry {
    let (from, to) = it.entry.verb.buckets();
    proto::FundEntry {
        entry: it.entry.seq.0,
        event_sequence: it.event.0,
        event_kind: it.kind.clone(),
        verb: it.entry.verb.name().to_owned(),
        from_bucket: from.name().to_owned(),
        to_bucket: to.name().to_owned(),
        amount_pence: it.entry.amount,
        period: it.entry.period.to_string(),
        effective_date: date(Some(it.effective)),
        recorded_time: Some(timestamp(it.recorded)),
        actor: it.actor.to_string(),
        offer: it.offer.map(|id| id.to_string()).unwrap_or_default(),
    }
}
