//! Commands, and long random sequences of them: mostly sensible next steps, and often enough wrong ones.
//!
//! Draws and releases that would cut into booked days are left out, because the scheme does not settle them.

use chrono::{Days, NaiveDate};
use fastrand::Rng;

use super::scheme::{Award, BookingState, Open, REGION, Reasons, Scheme, State, Strand, Who, Wish};
use crate::money::PROVIDER;

/// One award to create.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) strand: Strand,
    pub(super) amount: i64,
    pub(super) partner: i32,
    pub(super) provider: &'static str,
    pub(super) leader: String,
}

impl Line {
    /// Returns the issuer of the award's invoices. Governance support has none, because its leader is not named.
    pub(super) fn issuer(&self) -> String {
        match self.strand {
            Strand::Npqel => self.provider.to_owned(),
            Strand::Nle => "the leader's organisation".to_owned(),
            Strand::Credit => format!("trust {}", self.partner),
            Strand::Nlg => String::new(),
        }
    }
}

/// A mistake put into a command that would be valid without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Odd {
    /// It names an id that does not exist.
    Unknown,
    /// It is dated in the year 2999.
    Future,
    /// Its amount is zero or negative.
    Nothing,
    /// Its etag is of an older version.
    Stale,
}

impl Odd {
    pub(super) fn reasons(self) -> Reasons {
        Reasons::from([match self {
            Self::Unknown => "NOT_FOUND",
            Self::Future | Self::Nothing => "FIELD_VIOLATIONS",
            Self::Stale => "ETAG_STALE",
        }])
    }
}

/// A command that names things by the model's numbers.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Contact {
        offer: usize,
        who: Who,
        date: String,
    },
    Accept {
        offer: usize,
        by: Who,
        date: String,
    },
    Decline {
        offer: usize,
        date: String,
    },
    Start {
        offer: usize,
        date: String,
    },
    CorrectDate {
        offer: usize,
        accepted: bool,
        date: String,
    },
    Close {
        offer: usize,
        outcome: &'static str,
        date: String,
    },
    Reopen {
        offer: usize,
    },
    Give {
        approval: usize,
        asker: bool,
    },
    Deny {
        approval: usize,
        asker: bool,
    },
    WithdrawApproval {
        approval: usize,
        asker: bool,
    },
    CreateFund {
        strand: Strand,
        region: &'static str,
    },
    Change {
        wish: Wish,
        date: String,
    },
    Award {
        offer: usize,
        lines: Vec<Line>,
        date: String,
    },
    Book {
        award: usize,
        half_days: i64,
        date: String,
    },
    Cancel {
        award: usize,
        booking: usize,
    },
    Draw {
        award: usize,
        amount: i64,
        booking: Option<usize>,
        invoice: Option<String>,
        total: Option<i64>,
        date: String,
    },
    Release {
        award: usize,
        amount: Option<i64>,
        date: String,
    },
    Refund {
        award: usize,
        amount: i64,
        invoice: Option<String>,
        date: String,
    },
    /// The number of the movement among those of the award.
    Undo {
        award: usize,
        moved: usize,
    },
    Odd(Odd, Box<Command>),
}

impl Command {
    /// Tells whether this mistake can be put into the command.
    fn can_be(&self, odd: Odd) -> bool {
        match odd {
            Odd::Unknown => !matches!(self, Self::CreateFund { .. } | Self::Odd(..)),
            Odd::Future => matches!(
                self,
                Self::Contact { .. }
                    | Self::Accept { .. }
                    | Self::Change { .. }
                    | Self::Award { .. }
                    | Self::Draw { .. }
            ),
            Odd::Nothing => matches!(
                self,
                Self::Change { .. } | Self::Award { .. } | Self::Book { .. } | Self::Draw { .. } | Self::Refund { .. }
            ),
            Odd::Stale => !matches!(
                self,
                Self::Contact { .. }
                    | Self::Give { .. }
                    | Self::Deny { .. }
                    | Self::WithdrawApproval { .. }
                    | Self::CreateFund { .. }
                    | Self::Reopen { .. }
                    | Self::Odd(..)
            ),
        }
    }
}

/// Makes commands. The same seed makes the same commands as long as the model does not change.
pub(super) struct Generator {
    rng: Rng,
    today: NaiveDate,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), today: NaiveDate::from_ymd_opt(2021, 9, 10).unwrap() }
    }

    /// The default date of a command.
    fn today(&self) -> String {
        self.today.to_string()
    }

    /// Returns true once in `of` times on average.
    pub(super) fn one_in(&mut self, of: u32) -> bool {
        self.rng.u32(0..of) == 0
    }

    /// Makes the next command, on this day or sometimes the day after, but never after the programme's end.
    pub(super) fn next(&mut self, scheme: &Scheme) -> Command {
        let last = NaiveDate::from_ymd_opt(2022, 8, 30).unwrap();
        if self.today < last && self.one_in(2) {
            self.today = self.today + Days::new(1);
        }
        let command = match self.rng.u32(0..100) {
            0..20 => self.life(scheme),
            20..38 => self.money(scheme),
            38..56 => self.award(scheme),
            56..92 if !scheme.awards.is_empty() => self.on_award(scheme),
            92.. if !scheme.approvals.is_empty() => self.give(scheme),
            _ => self.life(scheme),
        };
        if !self.one_in(12) {
            return command;
        }
        let odd = [Odd::Unknown, Odd::Future, Odd::Nothing, Odd::Stale][self.rng.usize(0..4)];
        if command.can_be(odd) { Command::Odd(odd, Box::new(command)) } else { command }
    }

    fn date(&mut self, wrong: &str) -> String {
        if self.one_in(15) { wrong.to_owned() } else { self.today() }
    }

    /// Picks a date for a command about an award: sometimes the day before the award was made, or a few days ago.
    fn since(&mut self, award: &Award, wrong: &str) -> String {
        if self.one_in(5) {
            return self.some_days_ago();
        }
        let award_date: NaiveDate = award.on.parse().unwrap();
        if self.one_in(15) { (award_date - Days::new(1)).to_string() } else { self.date(wrong) }
    }

    /// Picks today or sometimes a few days earlier, when an award may not have existed yet.
    fn some_days_ago(&mut self) -> String {
        let days = if self.one_in(3) { self.rng.u64(1..6) } else { 0 };
        (self.today - Days::new(days)).to_string()
    }

    fn life(&mut self, scheme: &Scheme) -> Command {
        let offer = self.rng.usize(0..scheme.offers.len());
        let it = &scheme.offers[offer];
        let was_contacted = |who: Who| it.contacts.iter().any(|(party, _)| *party == who);
        let state = if self.one_in(4) { self.any_state() } else { it.state };
        match state {
            State::Identified => self.contact(offer, Who::Body),
            State::Contacted if !it.trust && !was_contacted(Who::School) => self.contact(offer, Who::School),
            State::Contacted => {
                let by = if it.trust != self.one_in(4) { Who::Body } else { Who::School };
                Command::Accept { offer, by, date: self.date("2021-08-15") }
            }
            State::Accepted if self.one_in(12) => Command::Decline { offer, date: self.some_days_ago() },
            State::Accepted if self.one_in(6) => self.correct_date(offer),
            State::Accepted => Command::Start { offer, date: self.some_days_ago() },
            State::Delivering if self.one_in(6) => {
                let outcomes = ["completed", "withdrawn", "lapsed", "ineligible", "superseded"];
                let outcome = outcomes[self.rng.usize(0..outcomes.len())];
                Command::Close { offer, outcome, date: self.some_days_ago() }
            }
            State::Delivering if self.one_in(3) => self.correct_date(offer),
            State::Delivering => self.contact(offer, Who::Body),
            State::Closed => Command::Reopen { offer },
        }
    }

    fn correct_date(&mut self, offer: usize) -> Command {
        Command::CorrectDate { offer, accepted: self.one_in(2), date: self.some_days_ago() }
    }

    fn any_state(&mut self) -> State {
        use State::{Accepted, Closed, Contacted, Delivering, Identified};
        [Identified, Contacted, Accepted, Delivering, Closed][self.rng.usize(0..5)]
    }

    fn contact(&mut self, offer: usize, who: Who) -> Command {
        let date = match self.rng.u32(0..12) {
            0 if self.one_in(4) => "2022-11-01".to_owned(),
            0 => "2021-08-15".to_owned(),
            1 => (self.today - Days::new(5)).to_string(),
            _ => self.today(),
        };
        Command::Contact { offer, who, date }
    }

    fn give(&mut self, scheme: &Scheme) -> Command {
        let open = Self::open(scheme);
        // A withdrawal of more than is free is rare, and soon becomes impossible: mostly give its approval first.
        let deliberate = |it: &&usize| matches!(scheme.approvals[**it].wish, Wish::Withdraw(_, _, true));
        let deliberate = open.iter().find(deliberate).copied().filter(|_| !self.one_in(4));
        let approval = match deliberate {
            Some(approval) => approval,
            None if open.is_empty() || self.one_in(6) => self.rng.usize(0..scheme.approvals.len()),
            None => open[self.rng.usize(0..open.len())],
        };
        match self.rng.u32(0..10) {
            0 => Command::Deny { approval, asker: self.one_in(5) },
            1 => Command::WithdrawApproval { approval, asker: !self.one_in(5) },
            _ => Command::Give { approval, asker: self.one_in(5) },
        }
    }

    fn open(scheme: &Scheme) -> Vec<usize> {
        (0..scheme.approvals.len()).filter(|it| scheme.approvals[*it].state == Open::Waits).collect()
    }

    /// Picks an approval that expires now, once in a while.
    pub(super) fn expires(&mut self, scheme: &Scheme) -> Option<usize> {
        let open = Self::open(scheme);
        (!open.is_empty() && self.one_in(40)).then(|| open[self.rng.usize(0..open.len())])
    }

    fn money(&mut self, scheme: &Scheme) -> Command {
        let fund_count = scheme.funds.len();
        if fund_count < 4 || (fund_count < 7 && self.one_in(4)) || self.one_in(20) {
            let region = if self.one_in(3) { REGION } else { "" };
            return Command::CreateFund { strand: Strand::ALL[self.rng.usize(0..4)], region };
        }
        // An over-committed fund is rare, and soon recovers if left alone: mostly ask more of it.
        let over_committed = (0..fund_count).find(|it| scheme.funds[*it].over_committed());
        let over_committed = over_committed.filter(|_| self.one_in(2));
        let fund = over_committed.unwrap_or_else(|| self.rng.usize(0..fund_count));
        let kinds = if over_committed.is_some() { 4..10 } else { 0..10 };
        let left = scheme.funds[fund].most_out();
        let near = |rng: &mut Rng| rng.i64(1..=left.max(10) * 3 / 2);
        let wish = match self.rng.u32(kinds) {
            0..5 => {
                let most = if self.one_in(5) { 12_000_000 } else { 2_500_000 };
                Wish::Allocate(fund, self.rng.i64(1..=most))
            }
            5..8 => {
                let over = scheme.funds[fund].binds() && self.one_in(2);
                // A deliberate withdrawal goes below what is promised, and rarely above what was put in.
                let promised = scheme.funds[fund].account.allocated - left;
                let amount = if over { left + self.rng.i64(1..=promised.max(8) * 9 / 8) } else { near(&mut self.rng) };
                Wish::Withdraw(fund, amount, over)
            }
            _ => {
                let to = (fund + 1 + self.rng.usize(0..fund_count - 1)) % fund_count;
                Wish::Move(fund, to, near(&mut self.rng))
            }
        };
        Command::Change { wish, date: self.some_days_ago() }
    }

    fn award(&mut self, scheme: &Scheme) -> Command {
        let live = |it: &usize| [State::Accepted, State::Delivering].contains(&scheme.offers[*it].state);
        let live: Vec<usize> = (0..scheme.offers.len()).filter(live).collect();
        let offer = if live.is_empty() || self.one_in(12) {
            self.rng.usize(0..scheme.offers.len())
        } else {
            live[self.rng.usize(0..live.len())]
        };
        let count = if self.one_in(4) { self.rng.usize(2..=3) } else { 1 };
        let lines = (0..count).map(|_| self.line(&scheme.offers[offer])).collect();
        let wrong = if self.one_in(2) { "2021-08-15" } else { "2022-09-15" };
        let date = if self.one_in(3) { self.some_days_ago() } else { self.date(wrong) };
        Command::Award { offer, lines, date }
    }

    fn line(&mut self, offer: &super::scheme::Offer) -> Line {
        let mut strand = Strand::ALL[self.rng.usize(0..4)];
        while !offer.offered(strand) && !self.one_in(10) {
            strand = Strand::ALL[self.rng.usize(0..4)];
        }
        let most = if strand == Strand::Nle { 4 } else { 600_000 };
        let wrong = [90_007, 90_021, 99_999, offer.uid.max(90_003)];
        let partner = if self.one_in(10) { wrong[self.rng.usize(0..4)] } else { crate::money::PARTNER };
        let provider = if self.one_in(10) { "Acme Leadership" } else { PROVIDER };
        // Mostly a new leader, because each is funded only once.
        let leader = if self.one_in(6) { self.rng.u32(0..3) } else { self.rng.u32(3..) };
        Line { strand, amount: self.rng.i64(1..=most), partner, provider, leader: format!("ceo-{leader}") }
    }

    fn on_award(&mut self, scheme: &Scheme) -> Command {
        let mut award = self.rng.usize(0..scheme.awards.len());
        let idle = |award: usize| {
            let it = &scheme.awards[award];
            scheme.offers[it.offer].state != State::Delivering || it.drawn + it.released == it.awarded
        };
        // Mostly an award of which an amount is left.
        for _ in 0..6 {
            if idle(award) {
                award = self.rng.usize(0..scheme.awards.len());
            }
        }
        let it = &scheme.awards[award];
        match self.rng.u32(0..10) {
            0..5 => self.draw(award, it),
            5 => self.release(award, it),
            6 if self.one_in(2) && !it.moves.is_empty() => {
                let last = it.moves.len() - 1;
                let moved = if self.one_in(3) { self.rng.usize(0..last + 2) } else { last };
                Command::Undo { award, moved }
            }
            6 if it.drawn > it.refunded || self.one_in(4) => self.refund(award, it),
            7 | 8 if !it.bookings.is_empty() => {
                Command::Cancel { award, booking: self.rng.usize(0..it.bookings.len() + 1) }
            }
            _ if it.strand == Strand::Nle || self.one_in(12) => {
                let free = if it.strand == Strand::Nle { it.committed() - it.booked() } else { 1 };
                let half_days = self.rng.i64(1..=free.max(0) + 1);
                Command::Book { award, half_days, date: self.since(it, "2023-02-01") }
            }
            _ => self.draw(award, it),
        }
    }

    /// Picks an amount up to all that is neither drawn, released nor booked, or more than that.
    fn some_of(&mut self, it: &Award) -> i64 {
        let free = it.committed() - it.booked();
        if free < 1 || self.one_in(8) { it.committed() + self.rng.i64(1..=3) } else { self.rng.i64(1..=free) }
    }

    fn draw(&mut self, award: usize, it: &Award) -> Command {
        let date = self.since(it, "2023-02-01");
        let open = it.bookings.iter().position(|it| it.state == BookingState::Booked);
        let booking = match open {
            Some(open) if !self.one_in(3) => Some(open),
            _ if it.strand == Strand::Nle && self.one_in(10) => Some(it.bookings.len()),
            _ => None,
        };
        let amount = match booking.and_then(|booking| it.bookings.get(booking)) {
            Some(booking) => booking.half_days,
            None => self.some_of(it),
        };
        let with = if it.strand == Strand::Npqel { !self.one_in(8) } else { self.one_in(6) };
        let number = with.then(|| self.rng.u32(0..9));
        // Every other invoice is paid in parts, mostly with the same total.
        let total = number.filter(|it| it % 2 == 0).map(|_| if self.one_in(6) { 90_000 } else { 150_000 });
        let total = total.filter(|_| !self.one_in(4));
        Command::Draw { award, amount, booking, invoice: number.map(|it| format!("INV{it}")), total, date }
    }

    fn release(&mut self, award: usize, it: &Award) -> Command {
        let all = it.booked() == 0 && self.one_in(3);
        let (today, amount) = (self.today(), (!all).then(|| self.some_of(it)));
        Command::Release { award, amount, date: self.since(it, &today) }
    }

    fn refund(&mut self, award: usize, it: &Award) -> Command {
        let standing: Vec<_> = it.standing().collect();
        let named = it.invoices.len() > 1 && !standing.is_empty() && !(standing.len() > 1 && self.one_in(6));
        let paid = named.then(|| standing[self.rng.usize(0..standing.len())]);
        let most = paid.map_or(it.drawn - it.refunded, |paid| paid.amount - paid.refunded);
        let amount = match self.rng.u32(0..8) {
            0 => most + 1,
            1..4 if most > 0 => most,
            _ => self.rng.i64(1..=most.max(1)),
        };
        let (today, invoice) = (self.today(), paid.map(|paid| paid.reference.clone()));
        Command::Refund { award, amount, invoice, date: self.since(it, &today) }
    }
}
