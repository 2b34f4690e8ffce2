//! The rules of the scheme: each command judged against the model and, where nothing bars it, carried out on it.

use super::claims::TakenBack;
use super::command::{Command, Line};
use super::dates::Days;
use super::scheme::{
    ALONE, Account, Award, BookingState, CLAIMS_UNTIL, CONTACT_UNTIL, Fund, Invoice, No, Open, Scheme, State, Strand,
    Verb, WINDOW, Who, Wish,
};

/// How a command comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    /// Closed, and this was given back.
    Closed(Vec<(usize, i64)>),
    /// A second person has to say so, to what happens on that day; the approval is the model's next unless one waits
    /// already.
    Waits(Wish, String),
    /// For one of these reasons, no.
    No(No),
}

pub(super) fn no(reason: &'static str) -> Answer {
    Answer::No(No::from([reason]))
}

/// No for all of these, if there are any; else carry out.
pub(super) fn unless(bars: No, carry_out: impl FnOnce() -> Answer) -> Answer {
    if bars.is_empty() { carry_out() } else { Answer::No(bars) }
}

pub(super) const LIVE: [State; 2] = [State::Accepted, State::Delivering];

impl Scheme {
    /// Judges a command and carries it out.
    pub(super) fn answer(&mut self, command: &Command) -> Answer {
        match command {
            Command::Odd(odd, _) => Answer::No(odd.bars()),
            Command::Contact { offer, who, date } => self.contact(*offer, *who, date),
            Command::Accept { offer, by, date } => self.accept(*offer, *by, date),
            Command::Decline { offer, date } => self.decline(*offer, date),
            Command::Start { offer, date } => self.start(*offer, date),
            Command::CorrectDate { offer, accepted, date } => self.correct_date(*offer, *accepted, date),
            Command::Close { offer, outcome, date } => self.close(*offer, outcome, date),
            Command::Reopen { offer } => self.reopen(*offer),
            Command::Give { approval, asker } => self.give(*approval, *asker),
            Command::Deny { approval, asker } => self.deny(*approval, *asker),
            Command::TakeBack { approval, asker } => self.take_back(*approval, *asker),
            Command::CreateFund { strand, region } => self.create_fund(*strand, region),
            Command::Change { wish, date } => self.change(*wish, date),
            Command::Award { offer, lines, date } => self.award(*offer, lines, date),
            Command::Book { award, half_days, date } => self.book(*award, *half_days, date),
            Command::Cancel { award, booking } => self.cancel(*award, *booking),
            Command::Draw { award, amount, booking, invoice, total, date } => {
                let invoice = invoice.as_deref().map(|it| (it, *total));
                self.draw(*award, (*amount, *booking), invoice, date)
            }
            Command::Release { award, amount, date } => self.release(*award, *amount, date),
            Command::Refund { award, amount, invoice, date } => self.refund(*award, *amount, invoice.as_deref(), date),
            Command::Undo { award, moved } => self.undo(*award, *moved),
        }
    }

    fn contact(&mut self, offer: usize, who: Who, date: &str) -> Answer {
        let it = &mut self.offers[offer];
        let mut bars = No::new();
        if it.state == State::Closed {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if date < WINDOW.0 {
            bars.insert("OUTSIDE_PROGRAMME");
        }
        if date > CONTACT_UNTIL {
            bars.insert("OUTSIDE_WINDOW");
        }
        if who == Who::School && !it.told.iter().any(|(told, on)| *told == Who::Body && on.as_str() <= date) {
            bars.insert("CONTACT_MISSING");
        }
        unless(bars, || {
            it.told.push((who, date.to_owned()));
            it.state = it.state.max(State::Contacted);
            it.happened("contacted");
            Answer::Done
        })
    }

    fn accept(&mut self, offer: usize, by: Who, date: &str) -> Answer {
        let it = &mut self.offers[offer];
        let mut bars = No::new();
        if it.state != State::Contacted {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if date < WINDOW.0 {
            bars.insert("OUTSIDE_PROGRAMME");
        }
        // A trust's offer by the trust; a school's by the school, or by its trust where it has one.
        if (it.trust && by == Who::School) || (!it.trust && by == Who::Body && it.uid == 0) {
            bars.insert("ACCEPTOR_NOT_ALLOWED");
        }
        if !it.told.iter().any(|(told, on)| *told == by && on.as_str() <= date) {
            bars.insert("CONTACT_MISSING");
        }
        unless(bars, || {
            it.state = State::Accepted;
            (it.acceptor, it.accepted) = (by, Some(date.to_owned()));
            it.happened("accepted");
            Answer::Done
        })
    }

    fn decline(&mut self, offer: usize, date: &str) -> Answer {
        let mut bars = No::new();
        if self.closes_too_early(offer, date, true) {
            bars.insert("DATE_ORDER");
        }
        if self.offers[offer].state > State::Accepted {
            bars.insert("STATE_NOT_ALLOWED");
        }
        unless(bars, || Answer::Closed(self.end(offer, date)))
    }

    fn start(&mut self, offer: usize, date: &str) -> Answer {
        let mut bars = No::new();
        if self.offers[offer].state != State::Accepted {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if !self.awards_under(offer).any(|it| it.committed() > 0) {
            bars.insert("AWARD_MISSING");
        }
        if self.offers[offer].accepted.as_deref().is_some_and(|accepted| date < accepted) {
            bars.insert("DATE_ORDER");
        }
        unless(bars, || {
            self.offers[offer].state = State::Delivering;
            self.offers[offer].started = Some(date.to_owned());
            self.offers[offer].happened("started");
            Answer::Done
        })
    }

    /// On a day inside the programme.
    fn close(&mut self, offer: usize, outcome: &str, date: &str) -> Answer {
        let state = self.offers[offer].state;
        let mut bars = No::new();
        if self.closes_too_early(offer, date, false) {
            bars.insert("DATE_ORDER");
        }
        if state == State::Closed || (outcome == "completed" && state != State::Delivering) {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if outcome == "lapsed" {
            bars.insert("PROGRAMME_NOT_ENDED");
        }
        unless(bars, || Answer::Closed(self.end(offer, date)))
    }

    fn reopen(&mut self, offer: usize) -> Answer {
        let it = &self.offers[offer];
        if it.state != State::Closed {
            return no("STATE_NOT_ALLOWED");
        }
        Answer::Waits(Wish::Reopen(offer, it.version), String::new())
    }

    fn create_fund(&mut self, strand: Strand, region: &'static str) -> Answer {
        if self.funds.iter().any(|it| it.strand == strand && it.region == region) {
            return no("FUND_EXISTS");
        }
        self.funds.push(Fund {
            strand,
            region,
            account: Account::of(0),
            days: Days::default(),
            alone: 0,
            entries: Vec::new(),
        });
        Answer::Done
    }

    fn change(&mut self, wish: Wish, on: &str) -> Answer {
        let bars = self.bars(wish, on);
        unless(bars, || {
            let (funds, amount) = wish.moves();
            let alone = funds.iter().map(|it| self.funds[*it].alone).max().unwrap_or(0);
            let two = match wish {
                // With what the same person moved alone before, which is all of this month's.
                Wish::Allocate(..) | Wish::Withdraw(_, _, false) | Wish::Move(..) => alone + amount > ALONE,
                // Where it does cut below what is promised, by any amount.
                Wish::Withdraw(fund, amount, true) => {
                    let it = &self.funds[fund];
                    let most = if it.binds() { it.days.least(0, on).min(it.account.available()) } else { i64::MAX };
                    alone + amount > ALONE || amount > most.max(0)
                }
                Wish::Reopen(..) => true,
            };
            // Also where one person could do it by now, as long as the same waits to be given.
            if two || self.approvals.iter().any(|it| it.wish == wish && it.on == on && it.state == Open::Waits) {
                return Answer::Waits(wish, on.to_owned());
            }
            self.moved(wish, on);
            funds.iter().for_each(|it| self.funds[*it].alone += amount);
            Answer::Done
        })
    }

    fn award(&mut self, offer: usize, lines: &[Line], date: &str) -> Answer {
        let mut bars = No::new();
        if !LIVE.contains(&self.offers[offer].state) {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if date < WINDOW.0 || date > WINDOW.1 {
            bars.insert("OUTSIDE_WINDOW");
        }
        if date < WINDOW.0 {
            bars.insert("OUTSIDE_PROGRAMME");
        }
        // Each line after the others: what they would take is taken.
        let mut after = self.clone();
        for line in lines {
            bars.extend(self.bars_line(&mut after, offer, line, date));
        }
        if self.offers[offer].accepted.as_deref().is_some_and(|day| date < day) {
            bars.insert("DATE_ORDER");
        }
        unless(bars, || {
            for line in lines {
                let Some(fund) = self.fund_of(line.strand, offer) else { continue };
                self.awards.push(Award {
                    offer,
                    fund,
                    strand: line.strand,
                    issuer: line.issuer(),
                    leader: line.leader.clone(),
                    on: date.to_owned(),
                    awarded: line.amount,
                    drawn: 0,
                    released: 0,
                    refunded: 0,
                    bookings: Vec::new(),
                    invoices: Vec::new(),
                    moves: Vec::new(),
                    given_back: Vec::new(),
                    version: 0,
                });
                self.post(self.awards.len() - 1, Verb::Commit, line.amount, "awarded", date);
                self.offers[offer].happened("awarded");
            }
            Answer::Done
        })
    }

    fn bars_line(&self, after: &mut Self, offer: usize, line: &Line, date: &str) -> No {
        let mut bars = No::new();
        let strand = line.strand;
        if !self.offers[offer].offered(strand) {
            bars.insert("STRAND_NOT_OFFERED");
        }
        if strand == Strand::Credit {
            // 90007 is closed, 90021 a single-academy trust; 99999 is in no file.
            if [90_007, 90_021].contains(&line.partner) || line.partner == self.offers[offer].uid {
                bars.insert("PARTNER_NOT_SUITABLE");
            }
            if line.partner == 99_999 {
                bars.extend(["NOT_FOUND", "PARTNER_NOT_SUITABLE"]);
            }
        }
        if strand == Strand::Npqel && line.provider == "Acme Leadership" {
            bars.insert("PROVIDER_NOT_ACCREDITED");
        }
        if strand == Strand::Npqel && (self.is_funded(&line.leader) || !after.leaders.insert(line.leader.clone())) {
            bars.insert("LEADER_FUNDED");
        }
        let days = if strand == Strand::Nle { 0 } else { 1 };
        if let Some(cap) = after.offers[offer].cap(strand) {
            cap.committed += line.amount;
            if self.offers[offer].offered(strand) && cap.available() < 0 {
                bars.insert("CAP_EXCEEDED");
            }
        }
        // What is too much by now is not asked of the days before.
        let (cap, fund) = after.as_of(offer, strand, date);
        if self.offers[offer].offered(strand) && line.amount > cap && !bars.contains("CAP_EXCEEDED") {
            bars.insert("AS_OF");
        }
        after.offers[offer].days[days].add(date, -line.amount);
        let too_early = strand.cost(line.amount) > fund;
        match self.fund_of(strand, offer) {
            None => {
                bars.insert("FUND_MISSING");
            }
            Some(fund) => {
                if self.funds[fund].over_committed() {
                    bars.insert("FUND_OVER_COMMITTED");
                }
                let fund = &mut after.funds[fund];
                fund.account.committed += strand.cost(line.amount);
                fund.days.add(date, -strand.cost(line.amount));
                if fund.over_committed() {
                    bars.insert("FUNDS_INSUFFICIENT");
                } else if too_early {
                    bars.insert("AS_OF");
                }
            }
        }
        bars
    }

    /// Records that something happened to an award, and with it to its offer.
    pub(super) fn touched(&mut self, award: usize, kind: &'static str) {
        let it = &mut self.awards[award];
        it.version += 1;
        self.offers[it.offer].happened(kind);
    }

    fn draw(
        &mut self,
        award: usize,
        (amount, booking): (i64, Option<usize>),
        invoice: Option<(&str, Option<i64>)>,
        date: &str,
    ) -> Answer {
        let it = &self.awards[award];
        let mut bars = No::new();
        if self.offers[it.offer].state != State::Delivering {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if amount > it.committed() {
            bars.insert("AWARD_EXCEEDED");
        }
        if date > CLAIMS_UNTIL {
            bars.insert("OUTSIDE_WINDOW");
        }
        if date < it.on.as_str() {
            bars.insert("DATE_ORDER");
        }
        if self.offers[it.offer].started.as_deref().is_some_and(|day| date < day) {
            bars.insert("DATE_ORDER");
        }
        if let Some(booking) = booking
            && it.bookings.get(booking).is_none_or(|it| it.state != BookingState::Booked)
        {
            bars.insert("BOOKING_NOT_OPEN");
            if amount > it.committed() - it.booked() {
                bars.insert("AWARD_EXCEEDED");
            }
        }
        if it.taken_too_early(amount, date) {
            bars.insert("DATE_ORDER");
        }
        bars.extend(self.bars_claim(it, amount, invoice));
        let paid = invoice.map(|(reference, given)| (reference.to_owned(), self.total_of(it, reference, given)));
        unless(bars, || {
            self.post(award, Verb::Spend, amount, "drawn", date);
            let it = &mut self.awards[award];
            let payment = invoice.map(|_| it.invoices.len());
            it.moved(Verb::Spend, amount, date, booking, payment);
            it.drawn += amount;
            if let Some(booking) = booking {
                it.bookings[booking].state = BookingState::Delivered;
            }
            it.invoices.extend(paid.map(|(reference, total)| Invoice { reference, amount, refunded: 0, total }));
            self.touched(award, "drawn");
            Answer::Done
        })
    }

    fn release(&mut self, award: usize, amount: Option<i64>, date: &str) -> Answer {
        let it = &self.awards[award];
        let amount = amount.unwrap_or_else(|| it.committed());
        let mut bars = No::new();
        if !LIVE.contains(&self.offers[it.offer].state) {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if amount > it.committed() || amount == 0 {
            bars.insert("AWARD_EXCEEDED");
        }
        if date < it.on.as_str() || it.taken_too_early(amount, date) {
            bars.insert("DATE_ORDER");
        }
        unless(bars, || {
            self.post(award, Verb::Release, amount, "released", date);
            self.awards[award].released += amount;
            self.awards[award].moved(Verb::Release, amount, date, None, None);
            self.touched(award, "released");
            Answer::Done
        })
    }

    fn refund(&mut self, award: usize, amount: i64, invoice: Option<&str>, date: &str) -> Answer {
        let it = &self.awards[award];
        let mut bars = No::new();
        if amount > it.drawn - it.refunded {
            bars.insert("AWARD_EXCEEDED");
        }
        if date < it.on.as_str() {
            bars.insert("DATE_ORDER");
        }
        let refunded = match it.taken_back(amount, invoice, date) {
            TakenBack::Of(paid) => Some(paid),
            TakenBack::Without => None,
            TakenBack::Unsaid => {
                bars.insert("INVOICE_MISSING");
                None
            }
        };
        let most =
            refunded.map_or_else(|| it.without_invoice(), |at| it.invoices[at].amount - it.invoices[at].refunded);
        if amount > most {
            bars.insert("AWARD_EXCEEDED");
        }
        // As of each day from its own on, so much must have been drawn.
        if it.refunded_too_early(refunded, amount, date) {
            bars.insert("DATE_ORDER");
        }
        unless(bars, || {
            self.post(award, Verb::Refund, amount, "refunded", date);
            let it = &mut self.awards[award];
            it.moved(Verb::Refund, amount, date, None, refunded);
            it.refunded += amount;
            if let Some(paid) = refunded {
                it.invoices[paid].refunded += amount;
            }
            self.touched(award, "refunded");
            Answer::Done
        })
    }
}
