//! The state of the model, which a correct service has to show. The model implements the published rules without using the
//! program's code.
//!
//! Offers, funds, awards and approvals are numbered in the order of their creation. A command is checked completely, and then
//! carried out. A refusal contains all reasons against the command; the service names one of them.

use std::collections::BTreeSet;

use super::dates::{DailyChanges, change};

/// The cost of a half-day in pence. A day costs £600.
pub(super) const HALF_DAY: i64 = 30_000;
/// The largest amount in pence that one person may move without a second person.
pub(super) const MAX_ALONE: i64 = 5_000_000;
/// The first and the last day on which awards may be made.
pub(super) const WINDOW: (&str, &str) = ("2021-09-01", "2022-08-31");
/// The last day on which claims are paid.
pub(super) const CLAIMS_UNTIL: &str = "2022-12-31";
/// The last day on which an offer may be contacted.
pub(super) const CONTACT_UNTIL: &str = "2022-10-31";
/// The region for which the commands create funds. Some of the offers are in it.
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

/// The state of an offer. The order of the variants is the order of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Identified,
    Contacted,
    Accepted,
    Delivering,
    Closed,
}

/// The party that was contacted or accepted: the responsible body or the school.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartyKind {
    ResponsibleBody,
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
    /// Tells whether the recipient is a trust. Otherwise it is a school.
    pub(super) is_trust: bool,
    /// The UID of the recipient's trust, or 0 for a school without a trust.
    pub(super) trust_uid: i32,
    pub(super) region: String,
    pub(super) state: State,
    /// The state to which an approved reopening returns.
    pub(super) state_before_close: State,
    /// Each contact with its date.
    pub(super) contacts: Vec<(PartyKind, String)>,
    /// The party that accepted.
    pub(super) acceptor: PartyKind,
    /// The date of the acceptance.
    pub(super) accepted: Option<String>,
    /// The date on which delivery started.
    pub(super) started: Option<String>,
    /// The cap of NLE in half-days.
    pub(super) nle: Account,
    /// The cap of credit in pence, 0 for a trust.
    pub(super) credit: Account,
    /// The changes of the amounts available under the caps: of NLE, and of credit.
    pub(super) days: [DailyChanges; 2],
    /// The number of events that change the offer, its contacts or its awards. The etag changes with it.
    pub(super) version: usize,
    /// The kinds of all events of the offer, in order.
    pub(super) events: Vec<&'static str>,
}

impl Offer {
    pub(super) fn new(is_trust: bool, trust_uid: i32, region: String) -> Self {
        Self {
            is_trust,
            trust_uid,
            region,
            state: State::Identified,
            state_before_close: State::Identified,
            contacts: Vec::new(),
            acceptor: PartyKind::ResponsibleBody,
            accepted: None,
            started: None,
            days: Default::default(),
            nle: Account::of(if is_trust { 10 } else { 6 }),
            credit: Account::of(if is_trust { 0 } else { 1_000_000 }),
            version: 0,
            events: vec!["identified"],
        }
    }

    /// Records an event of this kind, which changes the etag.
    pub(super) fn record_event(&mut self, kind: &'static str) {
        self.events.push(kind);
        self.version += 1;
    }

    /// Tells whether the offer includes this strand.
    pub(super) const fn offered(&self, strand: Strand) -> bool {
        match strand {
            Strand::Nle => true,
            Strand::Credit => !self.is_trust,
            Strand::Nlg | Strand::Npqel => self.is_trust,
        }
    }

    /// Returns the cap for this strand, or `None` if the strand has no cap.
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
    /// The changes of the available amount.
    pub(super) days: DailyChanges,
    /// The pence that the first person has moved without a second person.
    pub(super) moved_alone: i64,
    /// The entries: the kind of the event, the kind of the entry, and the pence.
    pub(super) entries: Vec<(&'static str, &'static str, i64)>,
}

impl Fund {
    /// Returns the largest amount that can be withdrawn: the available amount, or the whole allocation if the fund does not bind.
    pub(super) fn most_out(&self) -> i64 {
        if self.binds() { self.account.available().max(0) } else { self.account.allocated }
    }

    /// Tells whether the fund limits awards. The fund of NLE does not: it only counts.
    pub(super) const fn binds(&self) -> bool {
        !matches!(self.strand, Strand::Nle)
    }

    /// Tells whether the awards of a fund that binds exceed its allocation.
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

/// A payment of an invoice, by one draw.
#[derive(Debug, Clone)]
pub(super) struct Invoice {
    pub(super) reference: String,
    pub(super) amount: i64,
    pub(super) refunded: i64,
    /// The total in pence. `None` if a single draw pays the invoice.
    pub(super) total: Option<i64>,
}

/// A draw, release or refund of an award.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) entry_kind: EntryKind,
    pub(super) amount: i64,
    /// The effective date.
    pub(super) on: String,
    /// The index of the booking that the draw delivers.
    pub(super) booking: Option<usize>,
    /// The index of the payment that the draw makes or the refund takes back. `None` without an invoice.
    pub(super) invoice: Option<usize>,
    /// The date on which it was undone.
    pub(super) undone: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Award {
    pub(super) offer: usize,
    pub(super) fund: usize,
    pub(super) strand: Strand,
    /// The issuer of the award's invoices. Empty if the award does not name it.
    pub(super) issuer: String,
    /// The leader whose fees an award of NPQEL pays.
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
    /// The amounts that were released when the offer was closed, each with its date.
    pub(super) released_on_closing: Vec<(String, i64)>,
    pub(super) version: usize,
}

impl Award {
    /// Returns the amount that is neither drawn nor released.
    pub(super) const fn committed(&self) -> i64 {
        self.awarded - self.drawn - self.released
    }

    /// Returns the half-days of all open bookings.
    pub(super) fn booked(&self) -> i64 {
        self.bookings.iter().filter(|it| it.state == BookingState::Booked).map(|it| it.half_days).sum()
    }

    pub(super) fn moved(
        &mut self,
        entry_kind: EntryKind,
        amount: i64,
        on: &str,
        booking: Option<usize>,
        invoice: Option<usize>,
    ) {
        self.moves.push(Move { entry_kind, amount, on: on.to_owned(), booking, invoice, undone: None });
    }

    /// Returns the payments that are not completely refunded.
    pub(super) fn not_refunded_payments(&self) -> impl Iterator<Item = &Invoice> {
        self.invoices.iter().filter(|it| it.refunded < it.amount)
    }
}

/// A change that may need a second person: a movement of money, or the reopening of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestedChange {
    /// The offer, and its version at the time of the request.
    Reopen(usize, usize),
    Allocate(usize, i64),
    /// The fund, the amount, and whether the fund may become over-committed.
    Withdraw(usize, i64, bool),
    Move(usize, usize, i64),
}

impl RequestedChange {
    /// Returns the funds that change, and the amount.
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
pub(super) enum ApprovalState {
    Open,
    /// Given, denied or withdrawn.
    Answered,
    Expired,
}

#[derive(Debug, Clone)]
pub(super) struct Approval {
    pub(super) requested_change: RequestedChange,
    /// The date of the requested change.
    pub(super) on: String,
    pub(super) state: ApprovalState,
    /// By how much the funds would be over-committed after the change, as stated when the approval was opened: the fund that the
    /// money leaves, the other fund of a virement, and the first fund on its worst day.
    pub(super) stated_shortfalls: [i64; 3],
}

/// The whole state of the model.
#[derive(Debug, Clone, Default)]
pub(super) struct Scheme {
    pub(super) offers: Vec<Offer>,
    pub(super) funds: Vec<Fund>,
    pub(super) awards: Vec<Award>,
    pub(super) approvals: Vec<Approval>,
    /// The leaders whose fees are paid by earlier awards of the same bundle. Empty between commands.
    pub(super) leaders_in_bundle: BTreeSet<String>,
}

/// The kinds of entries of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    Commit,
    Release,
    Spend,
    Refund,
}

impl EntryKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Release => "release",
            Self::Spend => "spend",
            Self::Refund => "refund",
        }
    }

    /// Changes an account by an entry of this kind.
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
    /// Finds the fund that pays awards under this offer: the fund of its region, else the national fund.
    pub(super) fn fund_of(&self, strand: Strand, offer: usize) -> Option<usize> {
        let region = self.offers[offer].region.as_str();
        let find = |region: &str| self.funds.iter().position(|it| it.strand == strand && it.region == region);
        find(region).or_else(|| find(""))
    }

    /// Posts entries for an amount of an award, to the cap of its offer and to its fund. `kind` is the kind of the event, and `on`
    /// the effective date.
    pub(super) fn post(&mut self, award: usize, entry_kind: EntryKind, amount: i64, kind: &'static str, on: &str) {
        let Award { offer, fund, strand, .. } = self.awards[award];
        if let Some(cap) = self.offers[offer].cap(strand) {
            entry_kind.on(cap, amount);
            let days = if strand == Strand::Nle { 0 } else { 1 };
            self.offers[offer].days[days].add(on, change(entry_kind, amount));
        }
        let cost = strand.cost(amount);
        let fund = &mut self.funds[fund];
        entry_kind.on(&mut fund.account, cost);
        fund.days.add(on, change(entry_kind, cost));
        fund.entries.push((kind, entry_kind.name(), cost));
    }

    /// Lists the reasons against a movement of money with this date.
    pub(super) fn reasons(&self, requested_change: RequestedChange, on: &str) -> Reasons {
        let mut reasons = Reasons::new();
        if self.leaves_too_early(requested_change, on) {
            reasons.insert("AS_OF");
        }
        let (from, amount) = match requested_change {
            RequestedChange::Withdraw(from, amount, false) | RequestedChange::Move(from, _, amount) => (from, amount),
            RequestedChange::Withdraw(from, amount, true) => {
                // A deliberate withdrawal may take committed money, but not more than the allocation.
                if amount > self.funds[from].account.allocated {
                    reasons.insert("FUNDS_INSUFFICIENT");
                }
                return reasons;
            }
            RequestedChange::Reopen(..) | RequestedChange::Allocate(..) => return reasons,
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
    pub(super) fn moved(&mut self, requested_change: RequestedChange, on: &str) {
        let mut post = |fund: usize, kind, entry_kind, amount: i64| {
            let change = if entry_kind == "allocate" { amount } else { -amount };
            self.funds[fund].account.allocated += change;
            self.funds[fund].days.add(on, change);
            self.funds[fund].entries.push((kind, entry_kind, amount));
        };
        match requested_change {
            RequestedChange::Reopen(..) => {}
            RequestedChange::Allocate(fund, amount) => post(fund, "fund_allocated", "allocate", amount),
            RequestedChange::Withdraw(fund, amount, _) => post(fund, "fund_withdrawn", "withdraw", amount),
            RequestedChange::Move(from, to, amount) => {
                post(from, "funds_moved", "withdraw", amount);
                post(to, "funds_moved", "allocate", amount);
            }
        }
    }

    /// Closes an offer: releases committed amounts and cancels bookings. Returns the released awards with their amounts.
    pub(super) fn release_and_close(&mut self, offer: usize, on: &str) -> Vec<(usize, i64)> {
        let mut released = Vec::new();
        for award in 0..self.awards.len() {
            let committed = self.awards[award].committed();
            if self.awards[award].offer != offer || committed == 0 {
                continue;
            }
            self.post(award, EntryKind::Release, committed, "closed", on);
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
        offer.state_before_close = offer.state;
        offer.state = State::Closed;
        offer.record_event("closed");
        released
    }
}
