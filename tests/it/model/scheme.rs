//! The scheme in plain Rust, from the published rules alone: the state that a correct service has to show.
//!
//! Nothing of the program is used here. Offers, funds, awards and approvals are numbered in the order of their creation. A
//! command is checked completely, then carried out. A refusal holds all reasons against it; the service names one of them.

use std::collections::BTreeSet;

use super::dates::{Days, change};

/// Pence of a half-day: £600 a day.
pub(super) const HALF_DAY: i64 = 30_000;
/// Pence that one person may move.
pub(super) const ALONE: i64 = 5_000_000;
/// First and last day of the award window, and the last on which claims are paid.
pub(super) const WINDOW: (&str, &str) = ("2021-09-01", "2022-08-31");
pub(super) const CLAIMS_UNTIL: &str = "2022-12-31";
/// The last day of contacts.
pub(super) const CONTACT_UNTIL: &str = "2022-10-31";
/// A region of one of the offers; the model also creates funds for this region.
pub(super) const REGION: &str = "West Midlands";

/// All reasons against a command.
pub(super) type Reasons = BTreeSet<&'static str>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strand {
    Credit,
    Nle,
    Nlg,
    Npqel,
}

impl Strand {
    pub(super) const ALL: [Self; 4] = [Self::Credit, Self::Nle, Self::Nlg, Self::Npqel];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Credit => "credit",
            Self::Nle => "nle",
            Self::Nlg => "nlg",
            Self::Npqel => "npqel",
        }
    }

    /// Returns the cost to the fund of an amount in this strand.
    pub(super) const fn cost(self, amount: i64) -> i64 {
        match self {
            Self::Nle => amount * HALF_DAY,
            _ => amount,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Identified,
    Contacted,
    Accepted,
    Delivering,
    Closed,
}

/// The party that accepted or was contacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Body,
    School,
}

/// An allocated amount and the parts of it that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) allocated: i64,
    pub(super) committed: i64,
    pub(super) spent: i64,
}

impl Account {
    pub(super) const fn of(allocated: i64) -> Self {
        Self { allocated, committed: 0, spent: 0 }
    }

    pub(super) const fn available(&self) -> i64 {
        self.allocated - self.committed - self.spent
    }
}

#[derive(Debug, Clone)]
pub(super) struct Offer {
    /// True for a trust's offer, false for a school's.
    pub(super) trust: bool,
    /// The trust behind it, 0 for none.
    pub(super) uid: i32,
    pub(super) region: String,
    pub(super) state: State,
    pub(super) before_close: State,
    pub(super) contacts: Vec<(Who, String)>,
    /// The party that accepted.
    pub(super) acceptor: Who,
    pub(super) accepted: Option<String>,
    pub(super) started: Option<String>,
    /// The caps: NLE half-days, and credit if it is offered.
    pub(super) nle: Account,
    pub(super) credit: Account,
    /// The changes of each available amount by day.
    pub(super) days: [Days; 2],
    /// The number of changes of state, contacts or awards, which its etag stands for.
    pub(super) version: usize,
    /// The kinds of its events.
    pub(super) events: Vec<&'static str>,
}

impl Offer {
    pub(super) fn new(trust: bool, uid: i32, region: String) -> Self {
        Self {
            trust,
            uid,
            region,
            state: State::Identified,
            before_close: State::Identified,
            contacts: Vec::new(),
            acceptor: Who::Body,
            accepted: None,
            started: None,
            days: Default::default(),
            nle: Account::of(if trust { 10 } else { 6 }),
            credit: Account::of(if trust { 0 } else { 1_000_000 }),
            version: 0,
            events: vec!["identified"],
        }
    }

    pub(super) fn record_event(&mut self, kind: &'static str) {
        self.events.push(kind);
        self.version += 1;
    }

    pub(super) const fn offered(&self, strand: Strand) -> bool {
        match strand {
            Strand::Nle => true,
            Strand::Credit => !self.trust,
            Strand::Nlg | Strand::Npqel => self.trust,
        }
    }

    pub(super) const fn cap(&mut self, strand: Strand) -> Option<&mut Account> {
        match strand {
            Strand::Nle => Some(&mut self.nle),
            Strand::Credit => Some(&mut self.credit),
            Strand::Nlg | Strand::Npqel => None,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Fund {
    pub(super) strand: Strand,
    pub(super) region: &'static str,
    pub(super) account: Account,
    pub(super) days: Days,
    /// Pence that one person has moved without a second person.
    pub(super) alone: i64,
    /// The movements: kind of the event, kind of the entry, pence.
    pub(super) entries: Vec<(&'static str, &'static str, i64)>,
}

impl Fund {
    /// Returns the largest amount that can leave the fund. A fund that only counts has no limit but its allocation.
    pub(super) fn most_out(&self) -> i64 {
        if self.binds() { self.account.available().max(0) } else { self.account.allocated }
    }

    /// Tells whether the fund limits awards. Days of a leader are only counted.
    pub(super) const fn binds(&self) -> bool {
        !matches!(self.strand, Strand::Nle)
    }

    pub(super) const fn over_committed(&self) -> bool {
        self.binds() && self.account.available() < 0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BookingState {
    Booked,
    Delivered,
    Cancelled,
}

#[derive(Debug, Clone)]
pub(super) struct Booking {
    pub(super) half_days: i64,
    pub(super) state: BookingState,
}

#[derive(Debug, Clone)]
pub(super) struct Invoice {
    pub(super) reference: String,
    pub(super) amount: i64,
    pub(super) refunded: i64,
    /// The total in pence, `None` if a single draw pays it.
    pub(super) total: Option<i64>,
}

/// A movement of an award's amount: spent, released or refunded.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) verb: Verb,
    pub(super) amount: i64,
    pub(super) on: String,
    pub(super) booking: Option<usize>,
    /// The payment of an invoice that it makes or refunds.
    pub(super) invoice: Option<usize>,
    pub(super) undone: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Award {
    pub(super) offer: usize,
    pub(super) fund: usize,
    pub(super) strand: Strand,
    /// The issuer of its invoices, if the award names one.
    pub(super) issuer: String,
    pub(super) leader: String,
    /// The date of the award.
    pub(super) on: String,
    pub(super) awarded: i64,
    pub(super) drawn: i64,
    pub(super) released: i64,
    pub(super) refunded: i64,
    pub(super) bookings: Vec<Booking>,
    pub(super) invoices: Vec<Invoice>,
    pub(super) moves: Vec<Move>,
    /// The amounts released by closing the offer, each with its day.
    pub(super) released_on_closing: Vec<(String, i64)>,
    pub(super) version: usize,
}

impl Award {
    pub(super) const fn committed(&self) -> i64 {
        self.awarded - self.drawn - self.released
    }

    pub(super) fn booked(&self) -> i64 {
        self.bookings.iter().filter(|it| it.state == BookingState::Booked).map(|it| it.half_days).sum()
    }

    pub(super) fn moved(&mut self, verb: Verb, amount: i64, on: &str, booking: Option<usize>, invoice: Option<usize>) {
        self.moves.push(Move { verb, amount, on: on.to_owned(), booking, invoice, undone: None });
    }

    pub(super) fn standing(&self) -> impl Iterator<Item = &Invoice> {
        self.invoices.iter().filter(|it| it.refunded < it.amount)
    }
}

/// A change that may need a second person: a movement of money, or the reopening of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// The offer, and its version at the time of the request.
    Reopen(usize, usize),
    Allocate(usize, i64),
    /// The last field allows the withdrawal to go below what is promised.
    Withdraw(usize, i64, bool),
    Move(usize, usize, i64),
}

impl Wish {
    /// Returns the funds that it changes, and the amount.
    pub(super) fn moves(self) -> (Vec<usize>, i64) {
        match self {
            Self::Reopen(..) => (Vec::new(), 0),
            Self::Allocate(fund, amount) | Self::Withdraw(fund, amount, _) => (vec![fund], amount),
            Self::Move(from, to, amount) => (vec![from, to], amount),
        }
    }
}

/// The state of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    Waits,
    /// Given, denied or withdrawn.
    Answered,
    Expired,
}

#[derive(Debug, Clone)]
pub(super) struct Approval {
    pub(super) wish: Wish,
    /// The date of the requested change.
    pub(super) on: String,
    pub(super) state: Open,
    /// The stated shortfalls: of the fund that the money leaves, of the other fund of a virement, and of the first fund on
    /// its worst day.
    pub(super) short: [i64; 3],
}

/// The whole state of the model.
#[derive(Debug, Clone, Default)]
pub(super) struct Scheme {
    pub(super) offers: Vec<Offer>,
    pub(super) funds: Vec<Fund>,
    pub(super) awards: Vec<Award>,
    pub(super) approvals: Vec<Approval>,
    /// Leaders whose fees are paid by earlier lines of the same call. Empty between calls.
    pub(super) leaders: BTreeSet<String>,
}

/// The kinds of entries of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Commit,
    Release,
    Spend,
    Refund,
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Release => "release",
            Self::Spend => "spend",
            Self::Refund => "refund",
        }
    }

    const fn on(self, account: &mut Account, amount: i64) {
        match self {
            Self::Commit => account.committed += amount,
            Self::Release => account.committed -= amount,
            Self::Spend => {
                account.committed -= amount;
                account.spent += amount;
            }
            Self::Refund => account.spent -= amount,
        }
    }
}

impl Scheme {
    /// Finds the fund that pays awards under this offer: the region's fund, else the national one.
    pub(super) fn fund_of(&self, strand: Strand, offer: usize) -> Option<usize> {
        let region = self.offers[offer].region.as_str();
        let find = |region: &str| self.funds.iter().position(|it| it.strand == strand && it.region == region);
        find(region).or_else(|| find(""))
    }

    /// Moves an amount of a strand on an offer's cap and on a fund, as of a day.
    pub(super) fn post(&mut self, award: usize, verb: Verb, amount: i64, kind: &'static str, on: &str) {
        let Award { offer, fund, strand, .. } = self.awards[award];
        if let Some(cap) = self.offers[offer].cap(strand) {
            verb.on(cap, amount);
            let days = if strand == Strand::Nle { 0 } else { 1 };
            self.offers[offer].days[days].add(on, change(verb, amount));
        }
        let cost = strand.cost(amount);
        let fund = &mut self.funds[fund];
        verb.on(&mut fund.account, cost);
        fund.days.add(on, change(verb, cost));
        fund.entries.push((kind, verb.name(), cost));
    }

    /// Lists the reasons against a movement of money with this date.
    pub(super) fn reasons(&self, wish: Wish, on: &str) -> Reasons {
        let mut reasons = Reasons::new();
        if self.leaves_too_early(wish, on) {
            reasons.insert("AS_OF");
        }
        let (from, amount) = match wish {
            Wish::Withdraw(from, amount, false) | Wish::Move(from, _, amount) => (from, amount),
            Wish::Withdraw(from, amount, true) => {
                // A deliberate withdrawal may go below what is promised, but not above what was put in.
                if amount > self.funds[from].account.allocated {
                    reasons.insert("FUNDS_INSUFFICIENT");
                }
                return reasons;
            }
            Wish::Reopen(..) | Wish::Allocate(..) => return reasons,
        };
        let fund = &self.funds[from];
        if amount > fund.most_out() {
            reasons.insert("FUNDS_INSUFFICIENT");
        }
        if fund.over_committed() {
            reasons.insert("FUND_OVER_COMMITTED");
        }
        reasons
    }

    /// Carries out a movement of money.
    pub(super) fn moved(&mut self, wish: Wish, on: &str) {
        let mut post = |fund: usize, kind, verb, amount: i64| {
            let change = if verb == "allocate" { amount } else { -amount };
            self.funds[fund].account.allocated += change;
            self.funds[fund].days.add(on, change);
            self.funds[fund].entries.push((kind, verb, amount));
        };
        match wish {
            Wish::Reopen(..) => {}
            Wish::Allocate(fund, amount) => post(fund, "fund_allocated", "allocate", amount),
            Wish::Withdraw(fund, amount, _) => post(fund, "fund_withdrawn", "withdraw", amount),
            Wish::Move(from, to, amount) => {
                post(from, "funds_moved", "withdraw", amount);
                post(to, "funds_moved", "allocate", amount);
            }
        }
    }

    /// Closes an offer: releases committed amounts and cancels bookings. Returns the released awards with their amounts.
    pub(super) fn end(&mut self, offer: usize, on: &str) -> Vec<(usize, i64)> {
        let mut released = Vec::new();
        for award in 0..self.awards.len() {
            let committed = self.awards[award].committed();
            if self.awards[award].offer != offer || committed == 0 {
                continue;
            }
            self.post(award, Verb::Release, committed, "closed", on);
            let it = &mut self.awards[award];
            it.released += committed;
            it.released_on_closing.push((on.to_owned(), committed));
            it.version += 1;
            for booking in it.bookings.iter_mut().filter(|it| it.state == BookingState::Booked) {
                booking.state = BookingState::Cancelled;
            }
            released.push((award, committed));
        }
        let offer = &mut self.offers[offer];
        offer.before_close = offer.state;
        offer.state = State::Closed;
        offer.record_event("closed");
        released
    }
}
