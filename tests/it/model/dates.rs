//! The model's rules for the order of dates, and its balances of accounts as of a past day.

use std::collections::BTreeSet;

use super::scheme::{Award, EntryKind, Move, Offer, PartyKind, RequestedChange, Scheme, Strand};

/// The date of a reversal: later than all dates in the model's commands.
pub(super) const NOW: &str = "9999-12-31";

/// The changes of an available amount, each with its day.
#[derive(Debug, Clone, Default)]
pub(super) struct DailyChanges(pub(super) Vec<(String, i64)>);

impl DailyChanges {
    /// Adds a change with its effective date.
    pub(super) fn add(&mut self, on: &str, change: i64) {
        self.0.push((on.to_owned(), change));
    }

    /// Returns the lowest amount as of this day or any later one. `initial` is the amount before all changes.
    pub(super) fn lowest_from(&self, initial: i64, on: &str) -> i64 {
        let mut days: BTreeSet<&str> = self.0.iter().map(|(day, _)| day.as_str()).filter(|day| *day > on).collect();
        days.insert(on);
        let as_of =
            |day: &str| self.0.iter().filter(|(it, _)| it.as_str() <= day).map(|(_, change)| change).sum::<i64>();
        days.into_iter().map(|day| initial + as_of(day)).min().unwrap()
    }
}

/// Returns by how much an entry of this kind changes the available amount.
pub(super) const fn change(entry_kind: EntryKind, amount: i64) -> i64 {
    match entry_kind {
        EntryKind::Commit => -amount,
        EntryKind::Release | EntryKind::Refund => amount,
        EntryKind::Spend => 0,
    }
}

impl Offer {
    pub(super) fn first_contact(&self) -> Option<&String> {
        self.contacts.iter().map(|(_, on)| on).min()
    }

    pub(super) fn last_contact(&self) -> Option<&String> {
        self.contacts.iter().map(|(_, on)| on).max()
    }

    /// Tells whether this party was contacted on or before a day.
    pub(super) fn contacted_by(&self, party: PartyKind, on: &str) -> bool {
        self.contacts.iter().any(|(contacted, day)| *contacted == party && day.as_str() <= on)
    }
}

impl Award {
    /// Returns the amount drawn and not refunded as of a day: of one payment of an invoice, or of all draws without an invoice.
    fn spent_on(&self, paid: Option<usize>, day: &str) -> i64 {
        let counted = |it: &&Move| {
            it.on.as_str() <= day && it.undone.as_ref().is_none_or(|undone| day < undone.as_str()) && it.invoice == paid
        };
        let moved = |it: &Move| match it.entry_kind {
            EntryKind::Spend => it.amount,
            EntryKind::Refund => -it.amount,
            EntryKind::Commit | EntryKind::Release => 0,
        };
        self.moves.iter().filter(counted).map(moved).sum()
    }

    /// Returns the lowest [`Award::spent_on`] of this day and all later days.
    pub(super) fn least_spent(&self, paid: Option<usize>, on: &str) -> i64 {
        let days = self.moves.iter().flat_map(|it| [Some(&it.on), it.undone.as_ref()]).flatten();
        let later = days.map(String::as_str).filter(|day| *day > on);
        later.chain([on]).map(|day| self.spent_on(paid, day)).min().unwrap()
    }

    /// Tells whether a refund is possible as of today, but not as of this day or a later one, because less was drawn then.
    pub(super) fn refunded_too_early(&self, paid: Option<usize>, amount: i64, on: &str) -> bool {
        amount > self.least_spent(paid, on) && amount <= self.spent_on(paid, NOW)
    }

    /// Returns the amount of the award that was neither drawn nor released as of a day.
    fn committed_on(&self, day: &str) -> i64 {
        let counted =
            |it: &&Move| it.on.as_str() <= day && it.undone.as_ref().is_none_or(|undone| day < undone.as_str());
        let gone =
            self.moves.iter().filter(counted).filter(|it| it.entry_kind != EntryKind::Refund).map(|it| it.amount);
        let closed = self.released_on_closing.iter().filter(|(on, _)| on.as_str() <= day).map(|(_, amount)| amount);
        self.awarded - gone.sum::<i64>() - closed.sum::<i64>()
    }

    /// Returns the lowest [`Award::committed_on`] of this day and all later days. A draw or release that was undone counts until
    /// it was undone.
    pub(super) fn least_committed(&self, on: &str) -> i64 {
        let days = self.moves.iter().flat_map(|it| [Some(&it.on), it.undone.as_ref()]).flatten();
        let days = days.chain(self.released_on_closing.iter().map(|(day, _)| day));
        let later = days.map(String::as_str).filter(|day| *day > on);
        later.chain([on]).map(|day| self.committed_on(day)).min().unwrap()
    }

    /// Tells whether this amount is committed today, but was not on this day or a later one.
    pub(super) fn taken_too_early(&self, amount: i64, on: &str) -> bool {
        amount <= self.committed() && amount > self.least_committed(on)
    }

    /// Returns the dates of the draws that were not undone.
    pub(super) fn draw_dates(&self) -> impl Iterator<Item = &String> {
        self.moves.iter().filter(|it| it.entry_kind == EntryKind::Spend && it.undone.is_none()).map(|it| &it.on)
    }
}

impl Scheme {
    pub(super) fn awards_of_offer(&self, offer: usize) -> impl Iterator<Item = &Award> {
        self.awards.iter().filter(move |it| it.offer == offer)
    }

    /// Tells whether an offer cannot be closed on this date, because a contact, step, award or draw is later.
    pub(super) fn closes_too_early(&self, offer: usize, date: &str, declines: bool) -> bool {
        let it = &self.offers[offer];
        let drawn = self.awards_of_offer(offer).flat_map(Award::draw_dates).max();
        // Closing releases the awards, which is not possible before their dates.
        let awarded = self.awards_of_offer(offer).map(|it| &it.on);
        let releases_too_early = self.awards_of_offer(offer).any(|it| it.taken_too_early(it.committed(), date));
        let contact = if declines { it.last_contact() } else { it.first_contact() };
        let dates = [contact, it.accepted.as_ref(), it.started.as_ref(), drawn];
        dates.into_iter().flatten().chain(awarded).any(|day| date < day.as_str()) || releases_too_early
    }

    /// Returns the amounts that the cap and the fund of a new award have available on every day from this date on.
    pub(super) fn as_of(&self, offer: usize, strand: Strand, on: &str) -> (i64, i64) {
        let it = &self.offers[offer];
        let cap = match strand {
            Strand::Nle => it.days[0].lowest_from(it.nle.allocated, on),
            Strand::Credit => it.days[1].lowest_from(it.credit.allocated, on),
            Strand::Nlg | Strand::Npqel => i64::MAX,
        };
        let fund = self.fund_of(strand, offer).map(|fund| &self.funds[fund]).filter(|it| it.binds());
        (cap, fund.map_or(i64::MAX, |it| it.days.lowest_from(0, on)))
    }

    /// Tells whether a change takes more money out of a fund than was available on its date or later, but not more than is
    /// available today.
    pub(super) fn leaves_too_early(&self, requested_change: RequestedChange, on: &str) -> bool {
        match requested_change {
            RequestedChange::Withdraw(from, amount, false) | RequestedChange::Move(from, _, amount) => {
                let it = &self.funds[from];
                it.binds() && amount <= it.most_out() && amount > it.days.lowest_from(0, on)
            }
            RequestedChange::Withdraw(_, _, true) | RequestedChange::Allocate(..) | RequestedChange::Reopen(..) => {
                false
            }
        }
    }
}
