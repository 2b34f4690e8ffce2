//! The scheme in plain Rust, from the published rules alone: what a service that keeps them has to answer.
//!
//! Nothing of the program is used here. Offers, funds, awards and approvals are numbers in the order they were made; a
//! command is judged whole, then carried out. A "no" is the set of all reasons that hold: the service names one of them.

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
/// The region of one of the offers that funds are made for, too.
pub(super) const REGION: &str = "West Midlands";

/// All reasons to say no.
pub(super) type No = BTreeSet<&'static str>;

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

    /// What an amount of it costs its fund.
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

/// Who said yes, or who was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Body,
    School,
}

/// What there is of something and what of it is used.
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
    /// A trust's offer, or a school's.
    pub(super) trust: bool,
    /// The trust behind it, 0 for none.
    pub(super) uid: i32,
    pub(super) region: String,
    pub(super) state: State,
    pub(super) before_close: State,
    pub(super) told: Vec<(Who, String)>,
    /// Who accepted.
    pub(super) acceptor: Who,
    pub(super) accepted: Option<String>,
    pub(super) started: Option<String>,
    /// Of NLE half-days, and of credit where it is offered.
    pub(super) nle: Account,
    pub(super) credit: Account,
    /// How what is available of either changed by the day.
    pub(super) days: [Days; 2],
    /// How often state, contacts or awards have changed: what its etag says.
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
            told: Vec::new(),
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

    pub(super) fn happened(&mut self, kind: &'static str) {
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
    /// Pence that one person has moved on it without a second.
    pub(super) alone: i64,
    /// What moved: the kind of the event, the verb, pence.
    pub(super) entries: Vec<(&'static str, &'static str, i64)>,
}

impl Fund {
    /// What can leave it: of one that only counts, any amount.
    pub(super) fn most_out(&self) -> i64 {
        if self.binds() { self.account.available().max(0) } else { self.account.allocated }
    }

    /// Days of a leader are given at any cost.
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
    /// In pence; nothing where one draw pays it.
    pub(super) total: Option<i64>,
}

/// What moved an amount of an award: spent, released or refunded.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) verb: Verb,
    pub(super) amount: i64,
    pub(super) on: String,
    pub(super) booking: Option<usize>,
    /// The payment of an invoice that it made or takes back.
    pub(super) invoice: Option<usize>,
    pub(super) undone: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Award {
    pub(super) offer: usize,
    pub(super) fund: usize,
    pub(super) strand: Strand,
    /// Who issues its invoices; nobody where the award does not say.
    pub(super) issuer: String,
    pub(super) leader: String,
    /// The day it was made.
    pub(super) on: String,
    pub(super) awarded: i64,
    pub(super) drawn: i64,
    pub(super) released: i64,
    pub(super) refunded: i64,
    pub(super) bookings: Vec<Booking>,
    pub(super) invoices: Vec<Invoice>,
    pub(super) moves: Vec<Move>,
    /// What closing the offer gave back, and the day of that.
    pub(super) given_back: Vec<(String, i64)>,
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

/// A movement of money that waits for a second person, or the reopening of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// With the offer's version when it was asked.
    Reopen(usize, usize),
    Allocate(usize, i64),
    /// The last says that it may cut below what is promised.
    Withdraw(usize, i64, bool),
    Move(usize, usize, i64),
}

impl Wish {
    /// The funds it changes, and by how much.
    pub(super) fn moves(self) -> (Vec<usize>, i64) {
        match self {
            Self::Reopen(..) => (Vec::new(), 0),
            Self::Allocate(fund, amount) | Self::Withdraw(fund, amount, _) => (vec![fund], amount),
            Self::Move(from, to, amount) => (vec![from, to], amount),
        }
    }
}

/// Whether an approval waits still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    Waits,
    /// Given, denied or taken back.
    Answered,
    Expired,
}

#[derive(Debug, Clone)]
pub(super) struct Approval {
    pub(super) wish: Wish,
    /// The day it was asked for.
    pub(super) on: String,
    pub(super) state: Open,
    /// By how much it states that its funds would be short: the one it leaves, the other of a virement, and the one it
    /// leaves on the day that is worst.
    pub(super) short: [i64; 3],
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Scheme {
    pub(super) offers: Vec<Offer>,
    pub(super) funds: Vec<Fund>,
    pub(super) awards: Vec<Award>,
    pub(super) approvals: Vec<Approval>,
    /// Leaders whose fees the lines of a call before pay; empty between calls.
    pub(super) leaders: BTreeSet<String>,
}

/// What an entry does to an account.
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
    /// The fund that an award under this offer is charged to: its region's before the national one.
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

    /// What a movement of money of a day is refused for, were it carried out now.
    pub(super) fn bars(&self, wish: Wish, on: &str) -> No {
        let mut no = No::new();
        if self.leaves_too_early(wish, on) {
            no.insert("AS_OF");
        }
        let (from, amount) = match wish {
            Wish::Withdraw(from, amount, false) | Wish::Move(from, _, amount) => (from, amount),
            Wish::Withdraw(from, amount, true) => {
                // On purpose below what is promised; never more than was put in.
                if amount > self.funds[from].account.allocated {
                    no.insert("FUNDS_INSUFFICIENT");
                }
                return no;
            }
            Wish::Reopen(..) | Wish::Allocate(..) => return no,
        };
        let fund = &self.funds[from];
        if amount > fund.most_out() {
            no.insert("FUNDS_INSUFFICIENT");
        }
        if fund.over_committed() {
            no.insert("FUND_OVER_COMMITTED");
        }
        no
    }

    /// Carries a movement of money out.
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

    /// Ends an offer: what is promised goes back, what is booked is cancelled. Gives the awards released, and how much.
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
            it.given_back.push((on.to_owned(), committed));
            it.version += 1;
            for booking in it.bookings.iter_mut().filter(|it| it.state == BookingState::Booked) {
                booking.state = BookingState::Cancelled;
            }
            released.push((award, committed));
        }
        let offer = &mut self.offers[offer];
        offer.before_close = offer.state;
        offer.state = State::Closed;
        offer.happened("closed");
        released
    }
}
