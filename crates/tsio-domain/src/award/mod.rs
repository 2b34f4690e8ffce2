//! One award: what was given, drawn, released and refunded of a strand under an offer, with its bookings and invoices.
//!
//! An award is only ever changed by [`Award::apply`], from an event; the writer and `verify` use the same fold. Whether
//! it is made is decided in `programme/decide/awards.rs`, what happens to it then in `programme/decide/spending.rs`, against its offer and its
//! accounts.

pub mod claim;
pub mod movement;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::Date;
use super::event::{Event, EventBody, Seq};
use super::ids::{AccountId, Actor, AwardId, OfferId};
use super::ledger::{Amount, Unit};
use super::money::{HalfDays, Pence};
use super::values::award::MovementKind;
pub use super::values::award::{LeaderKind, Support};
pub use super::values::reference::{BadReference, OtherLetter, Reference, other_letter};
use crate::events_about;
use crate::values::named_enum;
use claim::{ClaimKey, ClaimPart, IssuerKey};

/// The kinds of support that an award can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SupportKind {
    /// Days of a national leader of education or equivalent.
    Nle,
    /// Credit towards a trust partnership.
    Credit,
    /// National leader of governance.
    Nlg,
    /// The executive leadership qualification.
    Npqel,
}

impl SupportKind {
    /// What it is counted in: NLE support in half-days, everything else in pence.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Nle => Unit::HalfDays,
            Self::Credit | Self::Nlg | Self::Npqel => Unit::Pence,
        }
    }

    /// Checks the unit of an amount.
    ///
    /// # Errors
    /// [`WrongUnit`].
    pub fn check(self, amount: Amount) -> Result<(), WrongUnit> {
        match (self.unit(), amount.unit()) {
            (Unit::HalfDays, Unit::Pence) => Err(WrongUnit::NotInDays),
            (Unit::Pence, Unit::HalfDays) => Err(WrongUnit::InDays),
            (Unit::Pence, Unit::Pence) | (Unit::HalfDays, Unit::HalfDays) => Ok(()),
        }
    }
}

/// An amount is not in the unit that its support is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongUnit {
    /// It is in pence.
    #[error("NLE support is counted in days")]
    NotInDays,
    /// It is in half-days.
    #[error("only NLE support is counted in days")]
    InDays,
}

named_enum! {
    /// Where a booking is.
    BookingState {
        /// To come.
        Booked = "booked",
        /// Delivered.
        Delivered = "delivered",
        /// Cancelled.
        Cancelled = "cancelled",
    }
}

/// Days of an award booked for a date: a line inside the award, without entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// The event that made it, which is also its number.
    pub seq: Seq,
    /// How much.
    pub half_days: HalfDays,
    /// The day.
    pub on: Date,
    /// Who comes.
    pub leader: Actor,
    /// Where it is.
    pub state: BookingState,
    /// Whether the leader is a national leader or an equivalent; nothing where that is not recorded.
    pub leader_kind: Option<LeaderKind>,
}

/// A payment of an invoice from an award. It stands until all of it is refunded; while it stands, no award of any programme
/// pays the same reference of the same issuer, but for another part of the total that was stated first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// The event that paid it.
    pub seq: Seq,
    /// Who made it out; empty where only the text of the award says it.
    pub issuer: String,
    /// Its reference, normalised.
    pub reference: Reference,
    /// What was paid.
    pub amount: Pence,
    /// What of it was refunded; all of it once the payment is undone.
    pub refunded: Pence,
    /// What else the record says of it; nothing before rules 2.
    pub claim: Option<ClaimPart>,
}

impl Invoice {
    /// Whether something of it was not refunded.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.refunded < self.amount
    }

    /// What of it was not refunded, in pence.
    #[must_use]
    pub const fn left(&self) -> i64 {
        self.amount.get().saturating_sub(self.refunded.get())
    }

    /// Takes another number among the payments of its invoice. One made before rules 2 had none.
    fn number(&mut self, part: i64) {
        let (issuer, printed) = (self.issuer.clone(), self.reference.as_str().to_owned());
        let claim = self.claim.get_or_insert_with(|| ClaimPart {
            issuer_key: IssuerKey::of(&issuer),
            issuer: Some(issuer),
            printed,
            total: None,
            part,
        });
        claim.part = part;
    }

    /// The claim it pays.
    #[must_use]
    pub fn key(&self) -> ClaimKey {
        let issuer = self.claim.as_ref().map_or_else(|| IssuerKey::of(&self.issuer), |it| it.issuer_key);
        (issuer, self.reference.clone())
    }
}

/// One award.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Award {
    /// Its id.
    pub id: AwardId,
    /// The offer it is made under.
    pub offer: OfferId,
    /// What its amounts count.
    pub unit: Unit,
    /// What the strand asks for.
    pub support: Support,
    /// The fund it is charged to.
    pub fund: AccountId,
    /// The offer's cap account of the strand; none where only the fund limits it.
    pub cap: Option<AccountId>,
    /// Pence a day as it was when the award was made, for half-days.
    pub rate: Option<Pence>,
    /// What was given.
    pub awarded: i64,
    /// What was drawn of it, gross.
    pub drawn: i64,
    /// What was released of it.
    pub released: i64,
    /// What was refunded of what was drawn.
    pub refunded: i64,
    /// The day it was made.
    pub on: Date,
    /// Who made it.
    pub by: Actor,
    /// The event that made it; its text lies there.
    pub made: Seq,
    /// The last event that changed it: what its etag says.
    pub version: Seq,
    /// Its bookings, in the order they were made.
    pub bookings: Vec<Booking>,
    /// Its invoices, in the order they were paid.
    pub invoices: Vec<Invoice>,
}

impl Award {
    /// The award that an `awarded` event makes; nothing for any other event.
    #[must_use]
    pub fn from_event(event: &Event) -> Option<Self> {
        let EventBody::Awarded { award, unit, amount, fund, cap, rate, support, .. } = &event.body else {
            return None;
        };
        Some(Self {
            id: *award,
            offer: event.offer?,
            unit: *unit,
            support: support.clone(),
            fund: *fund,
            cap: *cap,
            rate: *rate,
            awarded: *amount,
            drawn: 0,
            released: 0,
            refunded: 0,
            on: event.effective,
            by: event.actor.clone(),
            made: event.seq,
            version: event.seq,
            bookings: Vec::new(),
            invoices: Vec::new(),
        })
    }

    /// Folds one more event of this award into it. Total: an event that does not concern it changes nothing.
    pub fn apply(&mut self, event: &Event) {
        if event.body.award().is_some_and(|award| award != self.id) {
            return;
        }
        match &event.body {
            EventBody::DaysBooked { half_days, on, leader, leader_kind, .. } => {
                let (half_days, on, leader, leader_kind) = (*half_days, *on, leader.clone(), *leader_kind);
                let state = BookingState::Booked;
                self.bookings.push(Booking { seq: event.seq, half_days, on, leader, state, leader_kind });
            }
            EventBody::BookingCancelled { booking, .. } => {
                self.settle(*booking, BookingState::Cancelled);
            }
            EventBody::BookingDelivered { booking, .. } => {
                self.settle(*booking, BookingState::Delivered);
            }
            EventBody::Drawn { amount, booking, invoice, claim, .. } => {
                self.drawn = self.drawn.saturating_add(*amount);
                if let Some(booking) = booking {
                    self.settle(*booking, BookingState::Delivered);
                }
                if let Some(reference) = invoice {
                    self.pay(event.seq, *amount, reference, claim.as_ref());
                }
            }
            EventBody::Released { amount, .. } => {
                self.released = self.released.saturating_add(*amount);
            }
            EventBody::Refunded { amount, invoice, .. } => {
                self.refunded = self.refunded.saturating_add(*amount);
                let pence = self.cost(*amount).unwrap_or(i64::MAX);
                let paid = self.invoices.iter_mut().find(|it| Some(it.seq) == *invoice);
                if let Some(paid) = paid {
                    paid.refunded = Pence(paid.refunded.get().saturating_add(pence));
                }
            }
            EventBody::Undone { undoes, movement, amount, invoice, booking, part, .. } => {
                self.undo(*movement, *undoes, *amount, (*invoice, *part));
                if let Some(booking) = booking {
                    self.settle(*booking, BookingState::Cancelled);
                }
            }
            EventBody::Closed { released, .. } => {
                let Some(mine) = released.iter().find(|it| it.award == self.id) else { return };
                self.released = self.released.saturating_add(mine.amount);
                for booking in self.bookings.iter_mut().filter(|it| it.state == BookingState::Booked) {
                    booking.state = BookingState::Cancelled;
                }
            }
            EventBody::Identified { .. }
            | EventBody::SchoolsAdded { .. }
            | EventBody::Contacted { .. }
            | EventBody::ContactCorrected { .. }
            | EventBody::Accepted { .. }
            | EventBody::Started {}
            | EventBody::DateCorrected { .. }
            | EventBody::Reopened { .. }
            | EventBody::Assigned { .. }
            | EventBody::Noted {}
            | EventBody::RegionChanged { .. }
            | EventBody::ResponsibleBodyChanged { .. }
            | EventBody::Awarded { .. }
            | events_about!(school, approval, fund, referral, record) => return,
        }
        self.version = event.seq;
    }

    /// Adds the payment of an invoice. Before rules 2 only fees were paid against invoices, and their provider issued them.
    fn pay(&mut self, seq: Seq, amount: i64, reference: &Reference, claim: Option<&ClaimPart>) {
        let issuer = match (claim, &self.support) {
            (Some(claim), _) => claim.issuer.clone().unwrap_or_default(),
            (None, Support::Npqel { provider, .. }) => provider.clone(),
            (None, _) => return,
        };
        let (reference, amount) = (reference.clone(), Pence(self.cost(amount).unwrap_or(i64::MAX)));
        let (refunded, claim) = (Pence::ZERO, claim.cloned());
        self.invoices.push(Invoice { seq, issuer, reference, amount, refunded, claim });
    }

    /// Lets its counters fall back by what is undone. A payment that a refund took back is another payment from then on.
    fn undo(&mut self, movement: MovementKind, undoes: Seq, amount: i64, (invoice, part): (Option<Seq>, Option<i64>)) {
        let pence = self.cost(amount).unwrap_or(i64::MAX);
        let paid = self.invoices.iter_mut().find(|it| it.seq == undoes || Some(it.seq) == invoice);
        match movement {
            MovementKind::Draw => {
                self.drawn = self.drawn.saturating_sub(amount);
                paid.into_iter().for_each(|it| it.refunded = it.amount);
            }
            MovementKind::Release => self.released = self.released.saturating_sub(amount),
            MovementKind::Refund => {
                self.refunded = self.refunded.saturating_sub(amount);
                if let Some(paid) = paid {
                    paid.refunded = Pence(paid.refunded.get().saturating_sub(pence));
                    part.into_iter().for_each(|part| paid.number(part));
                }
            }
        }
    }

    fn settle(&mut self, booking: Seq, state: BookingState) {
        if let Some(it) = self.bookings.iter_mut().find(|it| it.seq == booking) {
            it.state = state;
        }
    }

    /// What is still promised: neither drawn nor released.
    #[must_use]
    pub const fn committed(&self) -> i64 {
        self.awarded.saturating_sub(self.drawn).saturating_sub(self.released)
    }

    /// What was drawn and not refunded.
    #[must_use]
    pub const fn spent(&self) -> i64 {
        self.drawn.saturating_sub(self.refunded)
    }

    /// Half-days booked and neither delivered nor cancelled: no amount of an award that counts pence.
    #[must_use]
    pub fn booked(&self) -> i64 {
        if self.unit != Unit::HalfDays {
            return 0;
        }
        let open = self.bookings.iter().filter(|it| it.state == BookingState::Booked);
        open.map(|it| i64::from(it.half_days.get())).fold(0, i64::saturating_add)
    }

    /// Whether a booking of it is still to come.
    #[must_use]
    pub fn has_open_bookings(&self) -> bool {
        self.bookings.iter().any(|it| it.state == BookingState::Booked)
    }

    /// Whether it pays, or is to pay, for something: not all of it was released or refunded.
    #[must_use]
    pub const fn funds(&self) -> bool {
        self.committed() > 0 || self.spent() > 0
    }

    /// The leader whose fees it pays, as leaders are compared: folded, as the ids of persons are.
    #[must_use]
    pub fn fees_key(&self) -> Option<String> {
        self.support.fees_key()
    }

    /// Whether nothing of it is committed any more.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.committed() == 0
    }

    /// What an amount of it costs the fund, in pence: half-days at the award's own rate. Nothing when it does not fit.
    #[must_use]
    pub fn cost(&self, amount: i64) -> Option<i64> {
        match self.rate {
            None => Some(amount),
            Some(rate) => HalfDays(i32::try_from(amount).ok()?).cost(rate).map(Pence::get),
        }
    }

    /// Its etag: opaque to callers, the version inside.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("v{}", self.version.0)
    }
}
