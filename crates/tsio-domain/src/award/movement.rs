//! What moved an amount of an award, in the order of the record: asked where dates have to keep their order, and where a
//! movement is undone.
//!
//! Nothing of it is stored beside the events: it is folded from those of the offers concerned. What dates ask is summed by the
//! day, so that a long record costs as little as a short one.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::Date;
use crate::event::{Event, EventBody, Seq};
use crate::events_about;
use crate::ids::AwardId;
pub use crate::values::award::MovementKind;

/// One draw, release or refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwardMovement {
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

/// What changed by the day: the sums of what begins and ends to count on each.
#[derive(Debug, Clone, Default)]
struct ByDay {
    changes: BTreeMap<Date, i64>,
    sum: i64,
}

impl ByDay {
    fn add(&mut self, on: Date, change: i64) {
        let day = self.changes.entry(on).or_default();
        *day = day.saturating_add(change);
        self.sum = self.sum.saturating_add(change);
    }

    /// The least that it comes to as of each day from one on, and the first day from which it is always at least `requested`.
    fn least_from(&self, on: Date, requested: i64) -> (i64, Option<Date>) {
        let (mut as_of, mut least, mut from) = (self.sum, self.sum, None);
        // From the last day back: what a day leaves holds until the next one.
        let mut is_enough = as_of >= requested;
        for (day, change) in self.changes.range(on..).rev().take_while(|(day, _)| **day > on) {
            if is_enough {
                from = Some(*day);
            }
            as_of = as_of.saturating_sub(*change);
            least = least.min(as_of);
            is_enough &= as_of >= requested;
        }
        (least, if is_enough { Some(on) } else { from })
    }
}

/// What moved amounts of one award.
#[derive(Debug, Clone, Default)]
struct OfAward {
    /// One by one, as far as they are kept.
    each: Vec<AwardMovement>,
    /// What was drawn and released, less than nothing.
    committed: ByDay,
    /// What was drawn and not refunded, of each payment of an invoice and of what was drawn without one.
    spent: BTreeMap<Option<Seq>, ByDay>,
    /// How often something was drawn or delivered on a day.
    drawn: BTreeMap<Date, usize>,
}

impl OfAward {
    /// Counts a movement from a day on, or no more from then on.
    fn count(&mut self, it: &AwardMovement, on: Date, sign: i64) {
        let amount = it.amount.saturating_mul(sign);
        if matches!(it.kind, MovementKind::Draw | MovementKind::Release) {
            self.committed.add(on, amount.saturating_neg());
        }
        match it.kind {
            MovementKind::Draw => self.spent.entry(it.invoice).or_default().add(on, amount),
            MovementKind::Refund => self.spent.entry(it.invoice).or_default().add(on, amount.saturating_neg()),
            MovementKind::Release => {}
        }
    }

    fn begin(&mut self, it: &AwardMovement) {
        self.count(it, it.on, 1);
        if it.kind == MovementKind::Draw {
            self.draw(it.on);
        }
    }

    fn draw(&mut self, on: Date) {
        let times = self.drawn.entry(on).or_default();
        *times = times.saturating_add(1);
    }

    fn end(&mut self, it: &AwardMovement, on: Date) {
        self.count(it, on, -1);
        if it.kind == MovementKind::Draw
            && let Some(times) = self.drawn.get_mut(&it.on)
        {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.drawn.remove(&it.on);
            }
        }
    }
}

/// The movements of some awards: what they come to by the day, and each by itself where it may be undone.
#[derive(Debug, Clone, Default)]
pub struct Movements {
    awards: HashMap<AwardId, OfAward>,
    /// Those that were undone, where not each is kept; nothing where each is.
    undone: Option<HashSet<(AwardId, Seq)>>,
}

impl Movements {
    /// Keeps only what they come to: for a whole record, of which a movement is [recalled](Self::recall) by its event.
    #[must_use]
    pub fn summed() -> Self {
        Self { awards: HashMap::new(), undone: Some(HashSet::new()) }
    }

    /// Folds one more event in. Total: an event that moves no amount of an award changes nothing.
    pub fn apply(&mut self, event: &Event) {
        let keeps_each = self.undone.is_none();
        for (award, movement) in made_by(event) {
            let of_award = self.awards.entry(award).or_default();
            of_award.begin(&movement);
            if keeps_each {
                of_award.each.push(movement);
            }
        }
        match &event.body {
            EventBody::Undone { award, undoes, .. } => {
                let of_award = self.awards.entry(*award).or_default();
                if let Some(found) = of_award.each.iter_mut().find(|it| it.seq == *undoes && it.undone.is_none()) {
                    found.undone = Some(event.effective);
                    let undone = *found;
                    of_award.end(&undone, event.effective);
                }
                if let Some(all) = &mut self.undone {
                    all.insert((*award, *undoes));
                }
            }
            EventBody::BookingDelivered { award, .. } => {
                self.awards.entry(*award).or_default().draw(event.effective);
            }
            EventBody::Awarded { .. }
            | EventBody::DaysBooked { .. }
            | EventBody::BookingCancelled { .. }
            | EventBody::Drawn { .. }
            | EventBody::Released { .. }
            | EventBody::Refunded { .. }
            | events_about!(offer, school, approval, fund, referral, record) => {}
        }
    }

    /// Keeps each movement that an event of the record made, where only sums are kept, so that one can be undone.
    pub fn recall(&mut self, event: &Event) {
        let Some(undone) = &self.undone else { return };
        for (award, movement) in made_by(event) {
            let of_award = self.awards.entry(award).or_default();
            if !undone.contains(&(award, movement.seq)) && !of_award.each.iter().any(|it| it.seq == movement.seq) {
                of_award.each.push(movement);
            }
        }
    }

    /// Keeps only sums of an award again.
    pub fn forget(&mut self, award: AwardId) {
        if let (Some(_), Some(it)) = (&self.undone, self.awards.get_mut(&award)) {
            it.each.clear();
        }
    }

    /// Those of an award that are kept one by one, in the order they were recorded.
    pub fn of(&self, award: AwardId) -> impl Iterator<Item = &AwardMovement> {
        self.awards.get(&award).into_iter().flat_map(|it| &it.each)
    }

    /// The first and the last day on which something of an award was drawn or delivered, what was undone left out.
    #[must_use]
    pub fn drawn_between(&self, award: AwardId) -> Option<(Date, Date)> {
        let drawn = &self.awards.get(&award)?.drawn;
        drawn.first_key_value().zip(drawn.last_key_value()).map(|((first, _), (last, _))| (*first, *last))
    }

    /// What was drawn and not refunded as of each day from `on`, of one payment of an invoice or of what was drawn without
    /// one: the least of these, and the first day from which it is always at least `requested`.
    #[must_use]
    pub fn spent_from(&self, award: AwardId, invoice: Option<Seq>, on: Date, requested: i64) -> (i64, Option<Date>) {
        let spent = self.awards.get(&award).and_then(|it| it.spent.get(&invoice));
        spent.map_or_else(|| ByDay::default().least_from(on, requested), |it| it.least_from(on, requested))
    }

    /// What of an award of so much was neither drawn nor released as of each day from `on`: the same of it.
    #[must_use]
    pub fn committed_from(&self, award: AwardId, awarded: i64, on: Date, requested: i64) -> (i64, Option<Date>) {
        let gone = requested.saturating_sub(awarded);
        let committed = self.awards.get(&award).map(|it| it.committed.least_from(on, gone));
        let (least, from) = committed.unwrap_or_else(|| ByDay::default().least_from(on, gone));
        (awarded.saturating_add(least), from)
    }
}

/// The movements that an event makes, each with its award.
fn made_by(event: &Event) -> Vec<(AwardId, AwardMovement)> {
    let it = |kind, amount, booking, invoice| AwardMovement {
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
            vec![(*award, it(MovementKind::Draw, *amount, *booking, paid))]
        }
        EventBody::Released { award, amount } => vec![(*award, it(MovementKind::Release, *amount, None, None))],
        EventBody::Refunded { award, amount, invoice } => {
            vec![(*award, it(MovementKind::Refund, *amount, None, *invoice))]
        }
        EventBody::Closed { released, .. } => {
            let given_back = |amount| AwardMovement { by_close: true, ..it(MovementKind::Release, amount, None, None) };
            released.iter().map(|back| (back.award, given_back(back.amount))).collect()
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
        | EventBody::DaysBooked { .. }
        | EventBody::BookingCancelled { .. }
        | EventBody::BookingDelivered { .. }
        | EventBody::Undone { .. }
        | events_about!(school, approval, fund, referral, record) => Vec::new(),
    }
}
