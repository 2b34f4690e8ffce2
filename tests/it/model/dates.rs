//! The order of dates, and the balances of accounts as of a past day, from the published rules alone.

use std::collections::BTreeSet;

use super::scheme::{Award, Move, Offer, Scheme, Strand, Verb, Who, Wish};

/// The date of a reversal: later than all dates in the model's commands.
pub(super) const NOW: &str = "9999-12-31";

/// The changes of an available amount, each with its day.
#[derive(Debug, Clone, Default)]
pub(super) struct Days(pub(super) Vec<(String, i64)>);

impl Days {
    pub(super) fn add(&mut self, on: &str, change: i64) {
        self.0.push((on.to_owned(), change));
    }

    /// Returns the lowest amount as of the day or any later one, starting from `at_first`.
    pub(super) fn least(&self, at_first: i64, on: &str) -> i64 {
        let mut days: BTreeSet<&str> = self.0.iter().map(|(day, _)| day.as_str()).filter(|day| *day > on).collect();
        days.insert(on);
        let as_of =
            |day: &str| self.0.iter().filter(|(it, _)| it.as_str() <= day).map(|(_, change)| change).sum::<i64>();
        days.into_iter().map(|day| at_first + as_of(day)).min().unwrap()
    }
}

/// Returns the change of the available amount that a movement makes.
pub(super) const fn change(verb: Verb, amount: i64) -> i64 {
    match verb {
        Verb::Commit => -amount,
        Verb::Release | Verb::Refund => amount,
        Verb::Spend => 0,
    }
}

impl Offer {
    pub(super) fn first_contact(&self) -> Option<&String> {
        self.contacts.iter().map(|(_, on)| on).min()
    }

    pub(super) fn last_contact(&self) -> Option<&String> {
        self.contacts.iter().map(|(_, on)| on).max()
    }

    /// Whether the accepting body was contacted by that day.
    pub(super) fn contacted_by(&self, who: Who, on: &str) -> bool {
        self.contacts.iter().any(|(told, day)| *told == who && day.as_str() <= on)
    }
}

impl Award {
    /// Returns the amount drawn and not refunded as of a day, of one payment of an invoice or of all draws without one.
    fn spent_on(&self, paid: Option<usize>, day: &str) -> i64 {
        let counted = |it: &&Move| {
            it.on.as_str() <= day && it.undone.as_ref().is_none_or(|undone| day < undone.as_str()) && it.invoice == paid
        };
        let moved = |it: &Move| match it.verb {
            Verb::Spend => it.amount,
            Verb::Refund => -it.amount,
            Verb::Commit | Verb::Release => 0,
        };
        self.moves.iter().filter(counted).map(moved).sum()
    }

    /// Returns the lowest of these amounts from a day on.
    pub(super) fn least_spent(&self, paid: Option<usize>, on: &str) -> i64 {
        let days = self.moves.iter().flat_map(|it| [Some(&it.on), it.undone.as_ref()]).flatten();
        let later = days.map(String::as_str).filter(|day| *day > on);
        later.chain([on]).map(|day| self.spent_on(paid, day)).min().unwrap()
    }

    /// Tells whether this amount is drawn today, but was not on that day or on one since.
    pub(super) fn refunded_too_early(&self, paid: Option<usize>, amount: i64, on: &str) -> bool {
        amount > self.least_spent(paid, on) && amount <= self.spent_on(paid, NOW)
    }

    /// Returns the amount of the award that was neither drawn nor released as of a day.
    fn committed_on(&self, day: &str) -> i64 {
        let counted =
            |it: &&Move| it.on.as_str() <= day && it.undone.as_ref().is_none_or(|undone| day < undone.as_str());
        let gone = self.moves.iter().filter(counted).filter(|it| it.verb != Verb::Refund).map(|it| it.amount);
        let closed = self.released_on_closing.iter().filter(|(on, _)| on.as_str() <= day).map(|(_, amount)| amount);
        self.awarded - gone.sum::<i64>() - closed.sum::<i64>()
    }

    /// Returns the lowest of these amounts from a day on. A movement that was undone counts until its undoing.
    pub(super) fn least_committed(&self, on: &str) -> i64 {
        let days = self.moves.iter().flat_map(|it| [Some(&it.on), it.undone.as_ref()]).flatten();
        let days = days.chain(self.released_on_closing.iter().map(|(day, _)| day));
        let later = days.map(String::as_str).filter(|day| *day > on);
        later.chain([on]).map(|day| self.committed_on(day)).min().unwrap()
    }

    /// Tells whether this amount is committed today, but was not on that day or on one since.
    pub(super) fn taken_too_early(&self, amount: i64, on: &str) -> bool {
        amount <= self.committed() && amount > self.least_committed(on)
    }

    /// Returns the days of the draws that still count.
    pub(super) fn drawn_on(&self) -> impl Iterator<Item = &String> {
        self.moves.iter().filter(|it| it.verb == Verb::Spend && it.undone.is_none()).map(|it| &it.on)
    }
}

impl Scheme {
    pub(super) fn awards_under(&self, offer: usize) -> impl Iterator<Item = &Award> {
        self.awards.iter().filter(move |it| it.offer == offer)
    }

    /// Tells whether later events prevent the closing of an offer on a day.
    pub(super) fn closes_too_early(&self, offer: usize, date: &str, declines: bool) -> bool {
        let it = &self.offers[offer];
        let drawn = self.awards_under(offer).flat_map(Award::drawn_on).max();
        // An award cannot be released before its own day.
        let awarded = self.awards_under(offer).map(|it| &it.on);
        let undone = self.awards_under(offer).any(|it| it.taken_too_early(it.committed(), date));
        let contact = if declines { it.last_contact() } else { it.first_contact() };
        let moments = [contact, it.accepted.as_ref(), it.started.as_ref(), drawn];
        moments.into_iter().flatten().chain(awarded).any(|day| date < day.as_str()) || undone
    }

    /// Returns the amounts that the cap and the fund of an award leave from a day on.
    pub(super) fn as_of(&self, offer: usize, strand: Strand, on: &str) -> (i64, i64) {
        let it = &self.offers[offer];
        let cap = match strand {
            Strand::Nle => it.days[0].least(it.nle.allocated, on),
            Strand::Credit => it.days[1].least(it.credit.allocated, on),
            Strand::Nlg | Strand::Npqel => i64::MAX,
        };
        let fund = self.fund_of(strand, offer).map(|fund| &self.funds[fund]).filter(|it| it.binds());
        (cap, fund.map_or(i64::MAX, |it| it.days.least(0, on)))
    }

    /// Tells whether a movement takes more out of its fund than the fund had on its day, but not more than it has today.
    pub(super) fn leaves_too_early(&self, wish: Wish, on: &str) -> bool {
        match wish {
            Wish::Withdraw(from, amount, false) | Wish::Move(from, _, amount) => {
                let it = &self.funds[from];
                it.binds() && amount <= it.most_out() && amount > it.days.least(0, on)
            }
            Wish::Withdraw(_, _, true) | Wish::Allocate(..) | Wish::Reopen(..) => false,
        }
    }
}
