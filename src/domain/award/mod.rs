//! One award: what was given, drawn, released and refunded of a strand under an offer, with its bookings and invoices.
//!
//! An award is only ever changed by [`Award::apply`], from an event; the writer and `verify` use the same fold. Whether
//! it is made is decided in `book/awards.rs`, what happens to it then in `book/spending.rs`, against its offer and its
//! accounts.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::Date;
use super::event::{Event, EventBody, Seq};
use super::ids::{AccountId, Actor, AwardId, OfferId, Uid};
use super::ledger::Unit;
use super::money::{HalfDays, Pence};
use super::offer::named;
use super::terms::StrandId;

/// What a strand asks for, beside an amount. Names and reasons lie in the texts, never here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Support {
    /// Days of a national leader of education or equivalent; the text is the leader's organisation.
    Nle {
        /// The leader, an opaque id.
        leader: Actor,
    },
    /// Credit towards a trust partnership; the text says why the partner is suitable.
    Credit {
        /// The partner, a multi-academy trust.
        partner: Uid,
    },
    /// National leader of governance; the text says why it is beneficial.
    Nlg {},
    /// The executive leadership qualification; the text says why it is beneficial.
    Npqel {
        /// The trust leader who takes it, an opaque id.
        leader: Actor,
        /// The accredited provider, as the terms spell it.
        provider: String,
    },
}

impl Support {
    /// The strand it belongs to, as every terms file names it.
    #[must_use]
    pub fn strand(&self) -> StrandId {
        StrandId::new(self.strand_name())
    }

    /// The same as text.
    #[must_use]
    pub const fn strand_name(&self) -> &'static str {
        match self {
            Self::Nle { .. } => "nle",
            Self::Credit { .. } => "credit",
            Self::Nlg {} => "nlg",
            Self::Npqel { .. } => "npqel",
        }
    }
}

named! {
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
}

/// An invoice paid from an award. It stands until all of it is refunded; while it stands, no award of any programme
/// pays the same reference of the same provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// The event that paid it.
    pub seq: Seq,
    /// Who sent it, as the terms spell it.
    pub provider: String,
    /// Its reference, normalised.
    pub reference: Reference,
    /// What was paid.
    pub amount: Pence,
    /// What of it was refunded.
    pub refunded: Pence,
}

impl Invoice {
    /// Whether something of it was not refunded.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.refunded < self.amount
    }
}

/// A provider's invoice number in upper case, of which only ASCII letters and digits are kept: `inv-001/22 ` is
/// `INV00122`. Nothing else has one upper case everywhere, and normalising twice has to be normalising once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reference(String);

impl Reference {
    /// Normalises a reference; nothing when more than 64 letters and digits are left, or no digit: that is a word, more
    /// likely somebody's name, and a reference goes into the record for ever.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let upper = text.chars().flat_map(char::to_uppercase);
        let plain: String = upper.filter(char::is_ascii_alphanumeric).collect();
        (plain.len() <= 64 && plain.contains(|c: char| c.is_ascii_digit())).then_some(Self(plain))
    }

    /// It as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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
        let EventBody::Awarded { award, unit, amount, fund, cap, rate, support } = &event.body else { return None };
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
        match &event.body {
            EventBody::DaysBooked { award, half_days, on, leader } if *award == self.id => {
                let (half_days, on, leader) = (*half_days, *on, leader.clone());
                self.bookings.push(Booking { seq: event.seq, half_days, on, leader, state: BookingState::Booked });
            }
            EventBody::BookingCancelled { award, booking } if *award == self.id => {
                self.settle(*booking, BookingState::Cancelled);
            }
            EventBody::Drawn { award, amount, booking, invoice } if *award == self.id => {
                self.drawn = self.drawn.saturating_add(*amount);
                if let Some(booking) = booking {
                    self.settle(*booking, BookingState::Delivered);
                }
                if let (Some(reference), Support::Npqel { provider, .. }) = (invoice, &self.support) {
                    let (provider, reference) = (provider.clone(), reference.clone());
                    let (amount, refunded) = (Pence(*amount), Pence::ZERO);
                    self.invoices.push(Invoice { seq: event.seq, provider, reference, amount, refunded });
                }
            }
            EventBody::Released { award, amount } if *award == self.id => {
                self.released = self.released.saturating_add(*amount);
            }
            EventBody::Refunded { award, amount, invoice } if *award == self.id => {
                self.refunded = self.refunded.saturating_add(*amount);
                let paid = self.invoices.iter_mut().find(|it| Some(it.seq) == *invoice);
                if let Some(paid) = paid {
                    paid.refunded = Pence(paid.refunded.get().saturating_add(*amount));
                }
            }
            EventBody::Closed { released, .. } => {
                let Some(mine) = released.iter().find(|it| it.award == self.id) else { return };
                self.released = self.released.saturating_add(mine.amount);
                for booking in self.bookings.iter_mut().filter(|it| it.state == BookingState::Booked) {
                    booking.state = BookingState::Cancelled;
                }
            }
            _ => return,
        }
        self.version = event.seq;
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

    /// Half-days booked and neither delivered nor cancelled.
    #[must_use]
    pub fn booked(&self) -> i64 {
        let open = self.bookings.iter().filter(|it| it.state == BookingState::Booked);
        open.map(|it| i64::from(it.half_days.get())).fold(0, i64::saturating_add)
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
