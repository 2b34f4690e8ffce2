//! The rules of the scheme: each command judged against the model and, where nothing bars it, carried out on it.

use super::claims::TakenBack;
use super::command::{Command, Line};
use super::scheme::{
    ALONE, Account, Approval, Award, Booking, BookingState, CLAIMS_UNTIL, Fund, Invoice, No, Scheme, State, Strand,
    Verb, WINDOW, Who, Wish,
};

/// How a command comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    /// Closed, and this was given back.
    Closed(Vec<(usize, i64)>),
    /// A second person has to say so; the approval is the model's next unless one waits already.
    Waits(Wish),
    /// For one of these reasons, no.
    No(No),
}

fn no(reason: &'static str) -> Answer {
    Answer::No(No::from([reason]))
}

/// No for all of these, if there are any; else carry out.
fn unless(bars: No, carry_out: impl FnOnce() -> Answer) -> Answer {
    if bars.is_empty() { carry_out() } else { Answer::No(bars) }
}

const LIVE: [State; 2] = [State::Accepted, State::Delivering];

impl Scheme {
    /// Judges a command and carries it out.
    pub(super) fn answer(&mut self, command: &Command) -> Answer {
        match command {
            Command::Odd(odd, _) => Answer::No(odd.bars()),
            Command::Contact { offer, who, date } => self.contact(*offer, *who, date),
            Command::Accept { offer, by, date } => self.accept(*offer, *by, date),
            Command::Decline { offer, date } => self.decline(*offer, date),
            Command::Start { offer } => self.start(*offer),
            Command::Close { offer, outcome, date } => self.close(*offer, outcome, date),
            Command::Reopen { offer } => self.reopen(*offer),
            Command::Give { approval, asker } => self.give(*approval, *asker),
            Command::CreateFund { strand, region } => self.create_fund(*strand, region),
            Command::Change { wish } => self.change(*wish),
            Command::Award { offer, lines, date } => self.award(*offer, lines, date),
            Command::Book { award, half_days, date } => self.book(*award, *half_days, date),
            Command::Cancel { award, booking } => self.cancel(*award, *booking),
            Command::Draw { award, amount, booking, invoice, total, date } => {
                let invoice = invoice.as_deref().map(|it| (it, *total));
                self.draw(*award, (*amount, *booking), invoice, date)
            }
            Command::Release { award, amount, date } => self.release(*award, *amount, date),
            Command::Refund { award, amount, invoice, date } => self.refund(*award, *amount, invoice.as_deref(), date),
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
            it.happened("accepted");
            Answer::Done
        })
    }

    fn decline(&mut self, offer: usize, date: &str) -> Answer {
        let mut bars = self.too_early_to_end(offer, date);
        if self.offers[offer].state > State::Accepted {
            bars.insert("STATE_NOT_ALLOWED");
        }
        unless(bars, || Answer::Closed(self.end(offer)))
    }

    /// Nothing is given back before the day it was awarded.
    fn too_early_to_end(&self, offer: usize, date: &str) -> No {
        let mut given_back = self.awards.iter().filter(|it| it.offer == offer && it.committed() > 0);
        if given_back.any(|it| date < it.on.as_str()) { No::from(["OUTSIDE_WINDOW"]) } else { No::new() }
    }

    fn start(&mut self, offer: usize) -> Answer {
        let mut bars = No::new();
        if self.offers[offer].state != State::Accepted {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if !self.awards.iter().any(|it| it.offer == offer && it.committed() > 0) {
            bars.insert("AWARD_MISSING");
        }
        unless(bars, || {
            self.offers[offer].state = State::Delivering;
            self.offers[offer].happened("started");
            Answer::Done
        })
    }

    /// On a day inside the programme.
    fn close(&mut self, offer: usize, outcome: &str, date: &str) -> Answer {
        let state = self.offers[offer].state;
        let mut bars = self.too_early_to_end(offer, date);
        if state == State::Closed || (outcome == "completed" && state != State::Delivering) {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if outcome == "lapsed" {
            bars.insert("PROGRAMME_NOT_ENDED");
        }
        unless(bars, || Answer::Closed(self.end(offer)))
    }

    fn reopen(&mut self, offer: usize) -> Answer {
        let it = &self.offers[offer];
        if it.state != State::Closed {
            return no("STATE_NOT_ALLOWED");
        }
        Answer::Waits(Wish::Reopen(offer, it.version))
    }

    /// A new approval waits for a second person.
    pub(super) fn waits(&mut self, wish: Wish) {
        if let Wish::Reopen(offer, _) = wish {
            self.offers[offer].events.push("approval_opened");
        }
        let short = self.short_after(wish);
        self.approvals.push(Approval { wish, given: false, short });
    }

    /// By how much the funds of a wish would be short with it.
    fn short_after(&self, wish: Wish) -> [i64; 2] {
        let short = |fund: usize, more: i64| (-(self.funds[fund].account.available() + more)).max(0);
        match wish {
            // It leaves nothing shorter, and is not asked.
            Wish::Reopen(..) | Wish::Allocate(..) => [0, 0],
            Wish::Withdraw(fund, amount, _) => [short(fund, -amount), 0],
            Wish::Move(from, to, amount) => [short(from, -amount), short(to, amount)],
        }
    }

    fn give(&mut self, approval: usize, asker: bool) -> Answer {
        let Approval { wish, given, short } = self.approvals[approval];
        let mut bars = No::new();
        if given {
            bars.insert("APPROVAL_NOT_OPEN");
        }
        if asker {
            bars.insert("SELF_APPROVAL");
        }
        if !bars.is_empty() {
            return Answer::No(bars);
        }
        if let Wish::Reopen(offer, version) = wish {
            let it = &self.offers[offer];
            if it.state != State::Closed || it.version != version {
                return Answer::No(No::from(["STATE_NOT_ALLOWED", "APPROVAL_NOT_OPEN"]));
            }
        }
        let mut bars = self.bars(wish);
        let now = self.short_after(wish);
        if bars.is_empty() && (now[0] > short[0] || now[1] > short[1]) {
            bars.insert("APPROVAL_EXCEEDED");
        }
        unless(bars, || {
            self.approvals[approval].given = true;
            if let Wish::Reopen(offer, _) = wish {
                let it = &mut self.offers[offer];
                it.state = it.before_close;
                it.events.push("approval_given");
                it.happened("reopened");
            }
            self.moved(wish);
            Answer::Done
        })
    }

    fn create_fund(&mut self, strand: Strand, region: &'static str) -> Answer {
        if self.funds.iter().any(|it| it.strand == strand && it.region == region) {
            return no("FUND_EXISTS");
        }
        self.funds.push(Fund { strand, region, account: Account::of(0), entries: Vec::new() });
        Answer::Done
    }

    fn change(&mut self, wish: Wish) -> Answer {
        let bars = self.bars(wish);
        unless(bars, || {
            let two = match wish {
                Wish::Allocate(_, amount) | Wish::Withdraw(_, amount, false) | Wish::Move(_, _, amount) => {
                    amount > ALONE
                }
                // Where it does cut below what is promised, whatever the amount.
                Wish::Withdraw(fund, amount, true) => {
                    amount > ALONE || amount > self.funds[fund].account.available().max(0)
                }
                Wish::Reopen(..) => true,
            };
            // Also where one person could do it by now, as long as the same waits to be given.
            if two || self.approvals.iter().any(|it| it.wish == wish && !it.given) {
                return Answer::Waits(wish);
            }
            self.moved(wish);
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
            bars.extend(self.bars_line(&mut after, offer, line));
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
                    version: 0,
                });
                self.post(self.awards.len() - 1, Verb::Commit, line.amount, "awarded");
                self.offers[offer].happened("awarded");
            }
            Answer::Done
        })
    }

    fn bars_line(&self, after: &mut Self, offer: usize, line: &Line) -> No {
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
        if let Some(cap) = after.offers[offer].cap(strand) {
            cap.committed += line.amount;
            if self.offers[offer].offered(strand) && cap.available() < 0 {
                bars.insert("CAP_EXCEEDED");
            }
        }
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
                if fund.over_committed() {
                    bars.insert("FUNDS_INSUFFICIENT");
                }
            }
        }
        bars
    }

    /// Records that something happened to an award, and with it to its offer.
    fn touched(&mut self, award: usize, kind: &'static str) {
        let it = &mut self.awards[award];
        it.version += 1;
        self.offers[it.offer].happened(kind);
    }

    fn book(&mut self, award: usize, half_days: i64, date: &str) -> Answer {
        let it = &self.awards[award];
        let mut bars = No::new();
        if !LIVE.contains(&self.offers[it.offer].state) {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if it.strand == Strand::Nlg {
            bars.insert("BOOKING_LEADER_MISSING");
        } else if it.strand != Strand::Nle {
            bars.insert("UNIT_MISMATCH");
        } else if half_days > it.committed() - it.booked() {
            bars.insert("AWARD_EXCEEDED");
        }
        if date > CLAIMS_UNTIL || date < it.on.as_str() {
            bars.insert("OUTSIDE_WINDOW");
        }
        unless(bars, || {
            self.awards[award].bookings.push(Booking { half_days, state: BookingState::Booked });
            self.touched(award, "days_booked");
            Answer::Done
        })
    }

    fn cancel(&mut self, award: usize, booking: usize) -> Answer {
        let it = &self.awards[award];
        let mut bars = No::new();
        if !LIVE.contains(&self.offers[it.offer].state) {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if it.bookings.get(booking).is_none_or(|it| it.state != BookingState::Booked) {
            bars.insert("BOOKING_NOT_OPEN");
        }
        unless(bars, || {
            self.awards[award].bookings[booking].state = BookingState::Cancelled;
            self.touched(award, "booking_cancelled");
            Answer::Done
        })
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
        if date > CLAIMS_UNTIL || date < it.on.as_str() {
            bars.insert("OUTSIDE_WINDOW");
        }
        if let Some(booking) = booking
            && it.bookings.get(booking).is_none_or(|it| it.state != BookingState::Booked)
        {
            bars.insert("BOOKING_NOT_OPEN");
            if amount > it.committed() - it.booked() {
                bars.insert("AWARD_EXCEEDED");
            }
        }
        bars.extend(self.bars_claim(it, amount, invoice));
        let paid = invoice.map(|(reference, given)| (reference.to_owned(), self.total_of(it, reference, given)));
        unless(bars, || {
            self.post(award, Verb::Spend, amount, "drawn");
            let it = &mut self.awards[award];
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
        if date < it.on.as_str() {
            bars.insert("OUTSIDE_WINDOW");
        }
        unless(bars, || {
            self.post(award, Verb::Release, amount, "released");
            self.awards[award].released += amount;
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
            bars.insert("OUTSIDE_WINDOW");
        }
        let refunded = match it.taken_back(amount, invoice) {
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
        unless(bars, || {
            self.post(award, Verb::Refund, amount, "refunded");
            let it = &mut self.awards[award];
            it.refunded += amount;
            if let Some(paid) = refunded {
                it.invoices[paid].refunded += amount;
            }
            self.touched(award, "refunded");
            Answer::Done
        })
    }
}
