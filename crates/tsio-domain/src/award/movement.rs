//! Collects the movements of awards (draws, releases, refunds) in the order of the record. The checks of dates and the
//! commands that undo a movement use them.
//!
//! Movements are not stored. They are computed from the events of the offers. The amounts are summed by day, so that
//! the checks are fast on a long record.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::Date;
use crate::event::{Event, EventBody, Seq};
use crate::events_about;
use crate::ids::AwardId;
pub use crate::values::award::MovementKind;

/// One draw, release or refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwardMovement {
    /// The number of its event.
    pub seq: Seq,
    /// Its kind.
    pub kind: MovementKind,
    /// Its amount, in the award's unit.
    pub amount: i64,
    /// Its effective date.
    pub on: Date,
    /// The booking of leader days that a draw delivered; `None` if the movement delivered no booking. The delivery of a booking
    /// of governance support is no movement, see [`EventBody::BookingDelivered`].
    pub booking: Option<Seq>,
    /// The invoice payment, as the number of the event of its draw. For a draw that pays an invoice, this is its own event. For
    /// a refund, it is the payment that is refunded. `None` if the amount has no invoice.
    pub invoice: Option<Seq>,
    /// Whether the amount was released because the offer was closed.
    pub by_close: bool,
    /// The effective date of the undo; `None` if the movement is not undone.
    pub undone: Option<Date>,
}

/// An amount over time, stored as its change on each day and the sum of all changes.
#[derive(Debug, Clone, Default)]
struct DailyChanges {
    changes: BTreeMap<Date, i64>,
    sum: i64,
}

impl DailyChanges {
    fn add(&mut self, on: Date, change: i64) {
        let day = self.changes.entry(on).or_default();
        *day = day.saturating_add(change);
        self.sum = self.sum.saturating_add(change);
    }

    /// Returns the lowest value on `on` or any later day. Also returns the first day, `on` or later, such that on this day
    /// and on every day after it the value is at least `requested`. There is no such day (`None`) if the value is less than
    /// `requested` after the last change.
    fn lowest_from(&self, on: Date, requested: i64) -> (i64, Option<Date>) {
        let (mut value, mut lowest, mut enough_from) = (self.sum, self.sum, None);
        // Goes from the last day back to `on`. The value of a day holds until the next change.
        let mut is_enough = value >= requested;
        for (day, change) in self.changes.range(on..).rev().take_while(|(day, _)| **day > on) {
            if is_enough {
                enough_from = Some(*day);
            }
            value = value.saturating_sub(*change);
            lowest = lowest.min(value);
            is_enough &= value >= requested;
        }
        (lowest, if is_enough { Some(on) } else { enough_from })
    }
}

/// The movements of one award.
#[derive(Debug, Clone, Default)]
struct MovementsOfAward {
    /// The single movements, in the order they were recorded. If only sums are kept ([`Movements::summed`]), this has only
    /// the movements that were loaded again from their events ([`Movements::recall`]).
    single_movements: Vec<AwardMovement>,
    /// Minus the amount drawn and released. The amount awarded plus this value is the amount that is committed.
    committed: DailyChanges,
    /// The amount drawn and not refunded, for each payment of an invoice. The key `None` has the amount drawn without
    /// an invoice.
    spent: BTreeMap<Option<Seq>, DailyChanges>,
    /// For each day, the number of draws plus the number of deliveries that move no money
    /// ([`EventBody::BookingDelivered`]). Undone draws do not count.
    draws: BTreeMap<Date, usize>,
}

impl MovementsOfAward {
    /// Adds the amount of a movement to the sums from the day `on`; with `sign` -1, subtracts it.
    fn add_to_sums(&mut self, movement: &AwardMovement, on: Date, sign: i64) {
        let amount = movement.amount.saturating_mul(sign);
        if matches!(movement.kind, MovementKind::Draw | MovementKind::Release) {
            self.committed.add(on, amount.saturating_neg());
        }
        match movement.kind {
            MovementKind::Draw => self.spent.entry(movement.invoice).or_default().add(on, amount),
            MovementKind::Refund => self.spent.entry(movement.invoice).or_default().add(on, amount.saturating_neg()),
            MovementKind::Release => {}
        }
    }

    /// Adds a movement.
    fn add(&mut self, movement: &AwardMovement) {
        self.add_to_sums(movement, movement.on, 1);
        if movement.kind == MovementKind::Draw {
            self.add_draw(movement.on);
        }
    }

    /// Counts a draw, or a delivery that moves no money, on the day `on`.
    fn add_draw(&mut self, on: Date) {
        let count = self.draws.entry(on).or_default();
        *count = count.saturating_add(1);
    }

    /// Undoes a movement. `on` is the day of the undo: from that day the sums no longer contain the movement's amount. A draw is
    /// no longer counted on its own day.
    fn undo(&mut self, movement: &AwardMovement, on: Date) {
        self.add_to_sums(movement, on, -1);
        if movement.kind == MovementKind::Draw
            && let Some(count) = self.draws.get_mut(&movement.on)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.draws.remove(&movement.on);
            }
        }
    }
}

/// The movements of several awards: their sums by day, and the single movements if they are kept.
#[derive(Debug, Clone, Default)]
pub struct Movements {
    awards: HashMap<AwardId, MovementsOfAward>,
    /// The undone movements, if only sums are kept; `None` if the single movements are kept.
    undone: Option<HashSet<(AwardId, Seq)>>,
}

impl Movements {
    /// Makes an empty value that keeps only sums, for a whole record. A single movement is [recalled](Self::recall)
    /// from its event when it is needed.
    #[must_use]
    pub fn summed() -> Self {
        Self { awards: HashMap::new(), undone: Some(HashSet::new()) }
    }

    /// Applies one more event. Only three kinds of events matter: those that make movements, those that undo one, and
    /// deliveries of bookings. Every other event is ignored. If only sums are kept, a movement must be
    /// [recalled](Self::recall) before the event that undoes it is applied.
    pub fn apply(&mut self, event: &Event) {
        let keeps_single_movements = self.undone.is_none();
        for (award, movement) in movements_of(event) {
            let award_movements = self.awards.entry(award).or_default();
            award_movements.add(&movement);
            if keeps_single_movements {
                award_movements.single_movements.push(movement);
            }
        }
        match &event.body {
            EventBody::Undone { award, undoes, .. } => {
                let award_movements = self.awards.entry(*award).or_default();
                if let Some(movement) =
                    award_movements.single_movements.iter_mut().find(|it| it.seq == *undoes && it.undone.is_none())
                {
                    movement.undone = Some(event.effective);
                    let undone = *movement;
                    award_movements.undo(&undone, event.effective);
                }
                if let Some(all_undone) = &mut self.undone {
                    all_undone.insert((*award, *undoes));
                }
            }
            EventBody::BookingDelivered { award, .. } => {
                self.awards.entry(*award).or_default().add_draw(event.effective);
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

    /// Keeps the single movements of an earlier event, so that a command can undo one of them. This is needed only if
    /// this value keeps only sums.
    pub fn recall(&mut self, event: &Event) {
        let Some(undone) = &self.undone else { return };
        for (award, movement) in movements_of(event) {
            let award_movements = self.awards.entry(award).or_default();
            if !undone.contains(&(award, movement.seq))
                && !award_movements.single_movements.iter().any(|it| it.seq == movement.seq)
            {
                award_movements.single_movements.push(movement);
            }
        }
    }

    /// Drops the single movements of an award that were recalled, and keeps its sums.
    pub fn forget(&mut self, award: AwardId) {
        if let (Some(_), Some(award_movements)) = (&self.undone, self.awards.get_mut(&award)) {
            award_movements.single_movements.clear();
        }
    }

    /// The single movements of an award that are kept, in the order they were recorded.
    pub fn of(&self, award: AwardId) -> impl Iterator<Item = &AwardMovement> {
        self.awards.get(&award).into_iter().flat_map(|it| &it.single_movements)
    }

    /// The first and the last day on which an award was drawn on, or one of its bookings was delivered. Undone draws do not
    /// count.
    #[must_use]
    pub fn drawn_between(&self, award: AwardId) -> Option<(Date, Date)> {
        let draws = &self.awards.get(&award)?.draws;
        draws.first_key_value().zip(draws.last_key_value()).map(|((first, _), (last, _))| (*first, *last))
    }

    /// Looks at the amount drawn and not refunded, as of `on` and each later day. Returns its lowest value. Also returns the
    /// first day, `on` or later, such that on this day and on every day after it the amount is at least `requested`; `None`
    /// if there is no such day. If `invoice` is the event number of an invoice payment, only that payment counts. If it is
    /// `None`, only draws without an invoice count.
    #[must_use]
    pub fn spent_from(&self, award: AwardId, invoice: Option<Seq>, on: Date, requested: i64) -> (i64, Option<Date>) {
        let spent = self.awards.get(&award).and_then(|it| it.spent.get(&invoice));
        spent.map_or_else(|| DailyChanges::default().lowest_from(on, requested), |it| it.lowest_from(on, requested))
    }

    /// Like [`Self::spent_from`], for the amount that was neither drawn nor released. `awarded` is the amount of the
    /// award.
    #[must_use]
    pub fn committed_from(&self, award: AwardId, awarded: i64, on: Date, requested: i64) -> (i64, Option<Date>) {
        let threshold = requested.saturating_sub(awarded);
        let committed = self.awards.get(&award).map(|it| it.committed.lowest_from(on, threshold));
        let (lowest, from) = committed.unwrap_or_else(|| DailyChanges::default().lowest_from(on, threshold));
        (awarded.saturating_add(lowest), from)
    }
}

/// The movements that an event makes, each with its award.
fn movements_of(event: &Event) -> Vec<(AwardId, AwardMovement)> {
    let movement = |kind, amount, booking, invoice| AwardMovement {
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
            let payment = invoice.as_ref().map(|_| event.seq);
            vec![(*award, movement(MovementKind::Draw, *amount, *booking, payment))]
        }
        EventBody::Released { award, amount } => vec![(*award, movement(MovementKind::Release, *amount, None, None))],
        EventBody::Refunded { award, amount, invoice } => {
            vec![(*award, movement(MovementKind::Refund, *amount, None, *invoice))]
        }
        EventBody::Closed { released, .. } => {
            let by_close =
                |amount| AwardMovement { by_close: true, ..movement(MovementKind::Release, amount, None, None) };
            released.iter().map(|it| (it.award, by_close(it.amount))).collect()
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
