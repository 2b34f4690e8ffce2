//! What moved an amount of an award, in the order of the record: asked where dates have to keep their order, and where a
//! movement is undone.
//!
//! Nothing of it is stored beside the events: it is folded from those of the offers concerned.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::Date;
use crate::domain::event::{Event, EventBody, Seq};
use crate::domain::ids::AwardId;
use crate::domain::offer::named;

named! {
    /// What can be undone.
    MovementKind {
        /// Drawn: days delivered, a claim paid.
        Draw = "draw",
        /// Given back unused.
        Release = "release",
        /// Taken back after it was drawn.
        Refund = "refund",
    }
}

/// One draw, release or refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// Its event.
    pub seq: Seq,
    /// What it is.
    pub kind: MovementKind,
    /// How much, in the award's unit.
    pub amount: i64,
    /// Its effective date.
    pub on: Date,
    /// The booking it delivered.
    pub booking: Option<Seq>,
    /// The payment of an invoice that it made or takes back.
    pub invoice: Option<Seq>,
    /// Whether it is the closing of an offer that gave it back.
    pub by_close: bool,
    /// The day it was undone.
    pub undone: Option<Date>,
}

impl Movement {
    /// Whether it counts as of a day.
    fn counts(&self, day: Date) -> bool {
        self.on <= day && self.undone.is_none_or(|undone| day < undone)
    }

    /// The days on which it begins and ends to count.
    fn days(&self) -> impl Iterator<Item = Date> {
        [Some(self.on), self.undone].into_iter().flatten()
    }
}

/// The movements of some awards.
#[derive(Debug, Clone, Default)]
pub struct Movements {
    moved: BTreeMap<AwardId, Vec<Movement>>,
    /// The days on which bookings were delivered that move no amount.
    delivered: BTreeMap<AwardId, BTreeSet<Date>>,
}

impl Movements {
    /// Folds one more event in. Total: an event that moves no amount of an award changes nothing.
    pub fn apply(&mut self, event: &Event) {
        let it = |kind, amount, booking, invoice| Movement {
            seq: event.seq,
            kind,
            amount,
            on: event.effective,
            booking,
            invoice,
            by_close: false,
            undone: None,
        };
        match &event.body {
            EventBody::Drawn { award, amount, booking, invoice, .. } => {
                let paid = invoice.as_ref().map(|_| event.seq);
                self.add(*award, it(MovementKind::Draw, *amount, *booking, paid));
            }
            EventBody::Released { award, amount } => self.add(*award, it(MovementKind::Release, *amount, None, None)),
            EventBody::Refunded { award, amount, invoice } => {
                self.add(*award, it(MovementKind::Refund, *amount, None, *invoice));
            }
            EventBody::Closed { released, .. } => {
                for back in released {
                    let given_back = it(MovementKind::Release, back.amount, None, None);
                    self.add(back.award, Movement { by_close: true, ..given_back });
                }
            }
            EventBody::Undone { award, undoes, .. } => {
                let all = self.moved.entry(*award).or_default();
                let found = all.iter_mut().find(|it| it.seq == *undoes);
                found.into_iter().for_each(|it| it.undone = Some(event.effective));
            }
            EventBody::BookingDelivered { award, .. } => {
                self.delivered.entry(*award).or_default().insert(event.effective);
            }
            _ => {}
        }
    }

    fn add(&mut self, award: AwardId, movement: Movement) {
        self.moved.entry(award).or_default().push(movement);
    }

    /// Those of an award, in the order they were recorded.
    pub fn of(&self, award: AwardId) -> impl Iterator<Item = &Movement> {
        self.moved.get(&award).into_iter().flatten()
    }

    /// The first and the last day on which something of an award was drawn or delivered, what was undone left out.
    #[must_use]
    pub fn drawn_between(&self, award: AwardId) -> Option<(Date, Date)> {
        let drawn = self.of(award).filter(|it| it.kind == MovementKind::Draw && it.undone.is_none());
        let delivered = self.delivered.get(&award).into_iter().flatten().copied();
        let days: BTreeSet<Date> = drawn.map(|it| it.on).chain(delivered).collect();
        days.first().copied().zip(days.last().copied())
    }

    /// What was drawn and not refunded as of each day from `on`, of one payment of an invoice or of what was drawn without
    /// one: the least of these, and the first day from which it is always at least `wanted`.
    #[must_use]
    pub fn spent_from(&self, award: AwardId, invoice: Option<Seq>, on: Date, wanted: i64) -> (i64, Option<Date>) {
        let of_it: Vec<&Movement> = self.of(award).filter(|it| it.invoice == invoice).collect();
        least_from(&of_it, (on, wanted), |it| match it.kind {
            MovementKind::Draw => it.amount,
            MovementKind::Refund => it.amount.saturating_neg(),
            MovementKind::Release => 0,
        })
    }

    /// What of an award of so much was neither drawn nor released as of each day from `on`: the same of it.
    #[must_use]
    pub fn committed_from(&self, award: AwardId, awarded: i64, on: Date, wanted: i64) -> (i64, Option<Date>) {
        let all: Vec<&Movement> = self.of(award).collect();
        let gone = wanted.saturating_sub(awarded);
        let (least, from) = least_from(&all, (on, gone), |it| match it.kind {
            MovementKind::Draw | MovementKind::Release => it.amount.saturating_neg(),
            MovementKind::Refund => 0,
        });
        (awarded.saturating_add(least), from)
    }
}

/// The least that movements come to as of each day from one on, and the first day from which it is always at least `wanted`.
fn least_from(
    movements: &[&Movement],
    (on, wanted): (Date, i64),
    amount: impl Fn(&Movement) -> i64,
) -> (i64, Option<Date>) {
    let as_of = |day: Date| {
        let counted = movements.iter().filter(|it| it.counts(day));
        counted.map(|it| amount(it)).fold(0, i64::saturating_add)
    };
    let later = movements.iter().flat_map(|it| it.days()).filter(|it| *it >= on);
    let days: BTreeSet<Date> = later.chain([on]).collect();
    let least = days.iter().map(|it| as_of(*it)).min().unwrap_or(0);
    let short = days.iter().rposition(|it| as_of(*it) < wanted);
    let from = short.map_or(Some(on), |at| days.iter().nth(at.saturating_add(1)).copied());
    (least, from)
}
