//! Defines an award: the amounts that were awarded, drawn, released and refunded, with the bookings and invoices.
//!
//! Only [`Award::apply`] changes an award: it applies an event. The writer and `verify` use the same fold.
//! `programme/decide/awards.rs` decides whether an award is made. `programme/decide/spending.rs` decides the later
//! changes. They check the offer and the accounts of the award.

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
    /// Money for a partnership with a trust.
    Credit,
    /// National leader of governance.
    Nlg,
    /// The executive leadership qualification.
    Npqel,
}

impl SupportKind {
    /// The unit of the amounts: half-days for NLE support, pence for every other kind.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Nle => Unit::HalfDays,
            Self::Credit | Self::Nlg | Self::Npqel => Unit::Pence,
        }
    }

    /// Checks that an amount is in the unit of this kind of support.
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

/// The error for an amount that is not in the unit of its kind of support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongUnit {
    /// The amount is in pence, but must be in half-days.
    #[error("NLE support is counted in days")]
    NotInDays,
    /// The amount is in half-days, but must be in pence.
    #[error("only NLE support is counted in days")]
    InDays,
}

named_enum! {
    /// The state of a booking.
    BookingState {
        /// Booked, and not delivered yet.
        Booked = "booked",
        /// Delivered.
        Delivered = "delivered",
        /// Cancelled.
        Cancelled = "cancelled",
    }
}

/// Days of an award that are booked for a date. A booking makes no ledger entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// The number of the event that made the booking. It identifies the booking.
    pub seq: Seq,
    /// The number of half-days.
    pub half_days: HalfDays,
    /// The date for which the days are booked.
    pub on: Date,
    /// The leader who delivers it.
    pub leader: Actor,
    /// Its state.
    pub state: BookingState,
    /// Whether the leader is a national leader or an equivalent; `None` if that is not recorded.
    pub leader_kind: Option<LeaderKind>,
}

/// A payment of an invoice from an award. Until the payment is refunded entirely, no award of any programme may pay an
/// invoice with the same issuer and reference. The only exception is a payment of another part of the stated total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// The number of the event that recorded the payment. It identifies the payment.
    pub seq: Seq,
    /// The name of the issuer; empty if only the text of the award names the issuer.
    pub issuer: String,
    /// Its reference, normalised.
    pub reference: Reference,
    /// The amount paid.
    pub amount: Pence,
    /// The amount refunded. Undoing the payment sets it to the whole amount.
    pub refunded: Pence,
    /// The issuer, printed reference and total of the invoice, and the number of the payment. `None` if it was recorded
    /// before version 2 of the rules.
    pub claim: Option<ClaimPart>,
}

impl Invoice {
    /// Whether some of the payment is not refunded.
    #[must_use]
    pub fn is_outstanding(&self) -> bool {
        self.refunded < self.amount
    }

    /// The amount that is not refunded, in pence.
    #[must_use]
    pub const fn left(&self) -> i64 {
        self.amount.get().saturating_sub(self.refunded.get())
    }

    /// Gives the payment the number `part` among the payments of its invoice. A payment that was recorded before
    /// version 2 of the rules has no claim, so it gets one, without a total.
    fn set_part(&mut self, part: i64) {
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

    /// The key of the invoice that is paid.
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
    /// The offer under which it is made.
    pub offer: OfferId,
    /// The unit of its amounts.
    pub unit: Unit,
    /// The support that it gives, with the details that the strand requires.
    pub support: Support,
    /// The fund to which it is charged.
    pub fund: AccountId,
    /// The offer's cap account for the strand; `None` if only the fund limits it.
    pub cap: Option<AccountId>,
    /// For an award in half-days, the rate in pence per day at the time of the award; `None` for an award in pence.
    pub rate: Option<Pence>,
    /// The amount awarded.
    pub awarded: i64,
    /// The amount drawn, without deducting refunds.
    pub drawn: i64,
    /// The amount released.
    pub released: i64,
    /// The amount refunded.
    pub refunded: i64,
    /// The day it was made.
    pub on: Date,
    /// The person who made it.
    pub by: Actor,
    /// The event that made it. The text of that event is the text of the award.
    pub made: Seq,
    /// The last event that changed it. The etag is made from it.
    pub version: Seq,
    /// Its bookings, in the order they were made.
    pub bookings: Vec<Booking>,
    /// Its invoices, in the order they were paid.
    pub invoices: Vec<Invoice>,
}

impl Award {
    /// Returns the award that an `awarded` event makes; `None` for any other event.
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

    /// Applies one more event. An event that does not concern this award changes nothing.
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
                self.set_booking_state(*booking, BookingState::Cancelled);
            }
            EventBody::BookingDelivered { booking, .. } => {
                self.set_booking_state(*booking, BookingState::Delivered);
            }
            EventBody::Drawn { amount, booking, invoice, claim, .. } => {
                self.drawn = self.drawn.saturating_add(*amount);
                if let Some(booking) = booking {
                    self.set_booking_state(*booking, BookingState::Delivered);
                }
                if let Some(reference) = invoice {
                    self.add_payment(event.seq, *amount, reference, claim.as_ref());
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
                    self.set_booking_state(*booking, BookingState::Cancelled);
                }
            }
            EventBody::Closed { released, .. } => {
                let Some(of_this_award) = released.iter().find(|it| it.award == self.id) else { return };
                self.released = self.released.saturating_add(of_this_award.amount);
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

    /// Adds the payment of an invoice. Without a `claim`, the draw was recorded before version 2 of the rules. Then
    /// only fees were paid with an invoice, and its issuer was the provider.
    fn add_payment(&mut self, seq: Seq, amount: i64, reference: &Reference, claim: Option<&ClaimPart>) {
        let issuer = match (claim, &self.support) {
            (Some(claim), _) => claim.issuer.clone().unwrap_or_default(),
            (None, Support::Npqel { provider, .. }) => provider.clone(),
            (None, _) => return,
        };
        let (reference, amount) = (reference.clone(), Pence(self.cost(amount).unwrap_or(i64::MAX)));
        let (refunded, claim) = (Pence::ZERO, claim.cloned());
        self.invoices.push(Invoice { seq, issuer, reference, amount, refunded, claim });
    }

    /// Subtracts an undone movement from the totals. If a draw is undone, its payment counts as refunded entirely. If a
    /// refund is undone, the refunded payment counts again, under the number `part`.
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
                    part.into_iter().for_each(|part| paid.set_part(part));
                }
            }
        }
    }

    fn set_booking_state(&mut self, booking: Seq, state: BookingState) {
        if let Some(it) = self.bookings.iter_mut().find(|it| it.seq == booking) {
            it.state = state;
        }
    }

    /// The amount that is neither drawn nor released.
    #[must_use]
    pub const fn committed(&self) -> i64 {
        self.awarded.saturating_sub(self.drawn).saturating_sub(self.released)
    }

    /// The amount that was drawn and not refunded.
    #[must_use]
    pub const fn spent(&self) -> i64 {
        self.drawn.saturating_sub(self.refunded)
    }

    /// The number of half-days that are booked and neither delivered nor cancelled; 0 for an award in pence.
    #[must_use]
    pub fn booked(&self) -> i64 {
        if self.unit != Unit::HalfDays {
            return 0;
        }
        let open = self.bookings.iter().filter(|it| it.state == BookingState::Booked);
        open.map(|it| i64::from(it.half_days.get())).fold(0, i64::saturating_add)
    }

    /// Whether the award has a booking that is neither delivered nor cancelled.
    #[must_use]
    pub fn has_open_bookings(&self) -> bool {
        self.bookings.iter().any(|it| it.state == BookingState::Booked)
    }

    /// Whether the award still funds something: some of its amount is committed, or is drawn and not refunded.
    #[must_use]
    pub const fn funds(&self) -> bool {
        self.committed() > 0 || self.spent() > 0
    }

    /// The leader whose fees the award pays, in the form in which ids are compared ([`crate::person::key`]). `None` if
    /// it pays no fees.
    #[must_use]
    pub fn fees_key(&self) -> Option<String> {
        self.support.fees_key()
    }

    /// Whether no part of the award is committed.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.committed() == 0
    }

    /// Converts an amount from the award's unit to pence. Half-days are converted at the rate of the award. Returns
    /// `None` on overflow.
    #[must_use]
    pub fn cost(&self, amount: i64) -> Option<i64> {
        match self.rate {
            None => Some(amount),
            Some(rate) => HalfDays(i32::try_from(amount).ok()?).cost(rate).map(Pence::get),
        }
    }

    /// The etag of the award, made from the version. Callers must not interpret the text.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("v{}", self.version.0)
    }
}
