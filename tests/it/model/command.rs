//! Defines commands and generates random ones: mostly a sensible next step, sometimes a wrong one.
//!
//! Draws and releases of booked days are not generated, because the published rules do not say whether they are allowed.

use chrono::{Days, NaiveDate};
use fastrand::Rng;

use super::scheme::{
    ApprovalState, Award, BookingState, PartyKind, REGION, Reasons, RequestedChange, Scheme, State, Strand,
};
use crate::money::PROVIDER;

/// An award that a request creates.
#[derive(Debug, Clone)]
pub(super) struct AwardLine {
    pub(super) strand: Strand,
    pub(super) amount: i64,
    pub(super) partner: i32,
    pub(super) provider: &'static str,
    pub(super) leader: String,
}

impl AwardLine {
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

/// A mistake that the generator makes in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// The command names an id that does not exist.
    UnknownId,
    /// The date of the command is in the year 2999.
    FutureDate,
    /// The amount of the command is zero.
    ZeroAmount,
    /// The etag of the command is not the current one.
    StaleEtag,
}

impl Mistake {
    pub(super) fn reasons(self) -> Reasons {
        Reasons::from([match self {
            Self::UnknownId => "NOT_FOUND",
            Self::FutureDate | Self::ZeroAmount => "FIELD_VIOLATIONS",
            Self::StaleEtag => "ETAG_STALE",
        }])
    }
}

/// A command. Offers, funds, awards and approvals have the numbers of the model.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Contact {
        offer: usize,
        party: PartyKind,
        date: String,
    },
    Accept {
        offer: usize,
        by: PartyKind,
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
        by_requester: bool,
    },
    Deny {
        approval: usize,
        by_requester: bool,
    },
    WithdrawApproval {
        approval: usize,
        by_requester: bool,
    },
    CreateFund {
        strand: Strand,
        region: &'static str,
    },
    Change {
        requested_change: RequestedChange,
        date: String,
    },
    Award {
        offer: usize,
        lines: Vec<AwardLine>,
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
    Undo {
        award: usize,
        /// The index in the award's draws, releases and refunds.
        moved: usize,
    },
    WithMistake(Mistake, Box<Command>),
}

impl Command {
    /// Tells whether this mistake can be made in the command.
    fn can_have(&self, mistake: Mistake) -> bool {
        match mistake {
            Mistake::UnknownId => !matches!(self, Self::CreateFund { .. } | Self::WithMistake(..)),
            Mistake::FutureDate => matches!(
                self,
                Self::Contact { .. }
                    | Self::Accept { .. }
                    | Self::Change { .. }
                    | Self::Award { .. }
                    | Self::Draw { .. }
            ),
            Mistake::ZeroAmount => matches!(
                self,
                Self::Change { .. } | Self::Award { .. } | Self::Book { .. } | Self::Draw { .. } | Self::Refund { .. }
            ),
            Mistake::StaleEtag => !matches!(
                self,
                Self::Contact { .. }
                    | Self::Give { .. }
                    | Self::Deny { .. }
                    | Self::WithdrawApproval { .. }
                    | Self::CreateFund { .. }
                    | Self::Reopen { .. }
                    | Self::WithMistake(..)
            ),
        }
    }
}

/// Generates commands. With the same seed and the same model, it generates the same commands.
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

    /// Generates the next command. In half of the calls the date advances by a day, until the programme ends.
    pub(super) fn next(&mut self, scheme: &Scheme) -> Command {
        let last = NaiveDate::from_ymd_opt(2022, 8, 30).unwrap();
        if self.today < last && self.one_in(2) {
            self.today = self.today + Days::new(1);
        }
        let command = match self.rng.u32(0..100) {
            0..20 => self.offer_command(scheme),
            20..38 => self.fund_command(scheme),
            38..56 => self.create_awards(scheme),
            56..92 if !scheme.awards.is_empty() => self.award_command(scheme),
            92.. if !scheme.approvals.is_empty() => self.approval_command(scheme),
            _ => self.offer_command(scheme),
        };
        if !self.one_in(12) {
            return command;
        }
        let mistake =
            [Mistake::UnknownId, Mistake::FutureDate, Mistake::ZeroAmount, Mistake::StaleEtag][self.rng.usize(0..4)];
        if command.can_have(mistake) { Command::WithMistake(mistake, Box::new(command)) } else { command }
    }

    /// Returns today, or in one of 15 calls the wrong date.
    fn date(&mut self, wrong: &str) -> String {
        if self.one_in(15) { wrong.to_owned() } else { self.today() }
    }

    /// Picks a date for a command about an award: mostly today, sometimes a few days ago, the day before the award, or the wrong
    /// date.
    fn award_command_date(&mut self, award: &Award, wrong: &str) -> String {
        if self.one_in(5) {
            return self.some_days_ago();
        }
        let award_date: NaiveDate = award.on.parse().unwrap();
        if self.one_in(15) { (award_date - Days::new(1)).to_string() } else { self.date(wrong) }
    }

    /// Returns today, or sometimes a date a few days ago. An award may be newer than this date.
    fn some_days_ago(&mut self) -> String {
        let days = if self.one_in(3) { self.rng.u64(1..6) } else { 0 };
        (self.today - Days::new(days)).to_string()
    }

    fn offer_command(&mut self, scheme: &Scheme) -> Command {
        let offer = self.rng.usize(0..scheme.offers.len());
        let it = &scheme.offers[offer];
        let was_contacted = |party: PartyKind| it.contacts.iter().any(|(contacted, _)| *contacted == party);
        let state = if self.one_in(4) { self.any_state() } else { it.state };
        match state {
            State::Identified => self.contact(offer, PartyKind::ResponsibleBody),
            State::Contacted if !it.is_trust && !was_contacted(PartyKind::School) => {
                self.contact(offer, PartyKind::School)
            }
            State::Contacted => {
                let by = if it.is_trust != self.one_in(4) { PartyKind::ResponsibleBody } else { PartyKind::School };
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
            State::Delivering => self.contact(offer, PartyKind::ResponsibleBody),
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

    fn contact(&mut self, offer: usize, party: PartyKind) -> Command {
        let date = match self.rng.u32(0..12) {
            0 if self.one_in(4) => "2022-11-01".to_owned(),
            0 => "2021-08-15".to_owned(),
            1 => (self.today - Days::new(5)).to_string(),
            _ => self.today(),
        };
        Command::Contact { offer, party, date }
    }

    fn approval_command(&mut self, scheme: &Scheme) -> Command {
        let open = Self::open_approvals(scheme);
        // A deliberate withdrawal is rare, and soon becomes impossible. So its approval is mostly chosen first.
        let deliberate =
            |it: &&usize| matches!(scheme.approvals[**it].requested_change, RequestedChange::Withdraw(_, _, true));
        let deliberate = open.iter().find(deliberate).copied().filter(|_| !self.one_in(4));
        let approval = match deliberate {
            Some(approval) => approval,
            None if open.is_empty() || self.one_in(6) => self.rng.usize(0..scheme.approvals.len()),
            None => open[self.rng.usize(0..open.len())],
        };
        match self.rng.u32(0..10) {
            0 => Command::Deny { approval, by_requester: self.one_in(5) },
            1 => Command::WithdrawApproval { approval, by_requester: !self.one_in(5) },
            _ => Command::Give { approval, by_requester: self.one_in(5) },
        }
    }

    fn open_approvals(scheme: &Scheme) -> Vec<usize> {
        (0..scheme.approvals.len()).filter(|it| scheme.approvals[*it].state == ApprovalState::Open).collect()
    }

    /// Picks an open approval that expires now, or mostly returns `None`.
    pub(super) fn pick_expiring_approval(&mut self, scheme: &Scheme) -> Option<usize> {
        let open = Self::open_approvals(scheme);
        (!open.is_empty() && self.one_in(40)).then(|| open[self.rng.usize(0..open.len())])
    }

    fn fund_command(&mut self, scheme: &Scheme) -> Command {
        let fund_count = scheme.funds.len();
        if fund_count < 4 || (fund_count < 7 && self.one_in(4)) || self.one_in(20) {
            let region = if self.one_in(3) { REGION } else { "" };
            return Command::CreateFund { strand: Strand::ALL[self.rng.usize(0..4)], region };
        }
        // An over-committed fund is rare, and soon recovers. So it is often chosen, to withdraw or move more money out of it.
        let over_committed = (0..fund_count).find(|it| scheme.funds[*it].over_committed());
        let over_committed = over_committed.filter(|_| self.one_in(2));
        let fund = over_committed.unwrap_or_else(|| self.rng.usize(0..fund_count));
        let kinds = if over_committed.is_some() { 4..10 } else { 0..10 };
        let left = scheme.funds[fund].most_out();
        let near = |rng: &mut Rng| rng.i64(1..=left.max(10) * 3 / 2);
        let requested_change = match self.rng.u32(kinds) {
            0..5 => {
                let most = if self.one_in(5) { 12_000_000 } else { 2_500_000 };
                RequestedChange::Allocate(fund, self.rng.i64(1..=most))
            }
            5..8 => {
                let over = scheme.funds[fund].binds() && self.one_in(2);
                // A deliberate withdrawal takes some of the committed amount, and rarely more than the allocation.
                let promised = scheme.funds[fund].account.allocated - left;
                let amount = if over { left + self.rng.i64(1..=promised.max(8) * 9 / 8) } else { near(&mut self.rng) };
                RequestedChange::Withdraw(fund, amount, over)
            }
            _ => {
                let to = (fund + 1 + self.rng.usize(0..fund_count - 1)) % fund_count;
                RequestedChange::Move(fund, to, near(&mut self.rng))
            }
        };
        Command::Change { requested_change, date: self.some_days_ago() }
    }

    fn create_awards(&mut self, scheme: &Scheme) -> Command {
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

    fn line(&mut self, offer: &super::scheme::Offer) -> AwardLine {
        let mut strand = Strand::ALL[self.rng.usize(0..4)];
        while !offer.offered(strand) && !self.one_in(10) {
            strand = Strand::ALL[self.rng.usize(0..4)];
        }
        let most = if strand == Strand::Nle { 4 } else { 600_000 };
        let wrong = [90_007, 90_021, 99_999, offer.trust_uid.max(90_003)];
        let partner = if self.one_in(10) { wrong[self.rng.usize(0..4)] } else { crate::money::PARTNER };
        let provider = if self.one_in(10) { "Acme Leadership" } else { PROVIDER };
        // Mostly a new leader, because the scheme pays the fees of a leader only once.
        let leader = if self.one_in(6) { self.rng.u32(0..3) } else { self.rng.u32(3..) };
        AwardLine { strand, amount: self.rng.i64(1..=most), partner, provider, leader: format!("ceo-{leader}") }
    }

    fn award_command(&mut self, scheme: &Scheme) -> Command {
        let mut award = self.rng.usize(0..scheme.awards.len());
        let cannot_draw = |award: usize| {
            let it = &scheme.awards[award];
            scheme.offers[it.offer].state != State::Delivering || it.drawn + it.released == it.awarded
        };
        // Mostly an award of which some amount is still committed.
        for _ in 0..6 {
            if cannot_draw(award) {
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
                Command::Book { award, half_days, date: self.award_command_date(it, "2023-02-01") }
            }
            _ => self.draw(award, it),
        }
    }

    /// Picks an amount that is free in the award: not drawn, released or booked. Sometimes picks more than is committed.
    fn pick_amount(&mut self, it: &Award) -> i64 {
        let free = it.committed() - it.booked();
        if free < 1 || self.one_in(8) { it.committed() + self.rng.i64(1..=3) } else { self.rng.i64(1..=free) }
    }

    fn draw(&mut self, award: usize, it: &Award) -> Command {
        let date = self.award_command_date(it, "2023-02-01");
        let open = it.bookings.iter().position(|it| it.state == BookingState::Booked);
        let booking = match open {
            Some(booking) if !self.one_in(3) => Some(booking),
            _ if it.strand == Strand::Nle && self.one_in(10) => Some(it.bookings.len()),
            _ => None,
        };
        let amount = match booking.and_then(|booking| it.bookings.get(booking)) {
            Some(booking) => booking.half_days,
            None => self.pick_amount(it),
        };
        let has_invoice = if it.strand == Strand::Npqel { !self.one_in(8) } else { self.one_in(6) };
        let number = has_invoice.then(|| self.rng.u32(0..9));
        // Every other invoice is paid in parts, mostly with the same total.
        let total = number.filter(|it| it % 2 == 0).map(|_| if self.one_in(6) { 90_000 } else { 150_000 });
        let total = total.filter(|_| !self.one_in(4));
        Command::Draw { award, amount, booking, invoice: number.map(|it| format!("INV{it}")), total, date }
    }

    fn release(&mut self, award: usize, it: &Award) -> Command {
        let all = it.booked() == 0 && self.one_in(3);
        let (today, amount) = (self.today(), (!all).then(|| self.pick_amount(it)));
        Command::Release { award, amount, date: self.award_command_date(it, &today) }
    }

    fn refund(&mut self, award: usize, it: &Award) -> Command {
        let standing: Vec<_> = it.not_refunded_payments().collect();
        let names_invoice = it.invoices.len() > 1 && !standing.is_empty() && !(standing.len() > 1 && self.one_in(6));
        let paid = names_invoice.then(|| standing[self.rng.usize(0..standing.len())]);
        let most = paid.map_or(it.drawn - it.refunded, |paid| paid.amount - paid.refunded);
        let amount = match self.rng.u32(0..8) {
            0 => most + 1,
            1..4 if most > 0 => most,
            _ => self.rng.i64(1..=most.max(1)),
        };
        let (today, invoice) = (self.today(), paid.map(|paid| paid.reference.clone()));
        Command::Refund { award, amount, invoice, date: self.award_command_date(it, &today) }
    }
}
