//! The rules of the scheme: checks each command against the state of the model, and carries it out if no rule forbids it.

use super::claims::RefundTarget;
use super::command::{AwardLine, Command};
use super::dates::DailyChanges;
use super::scheme::{
    Account, ApprovalState, Award, BookingState, CLAIMS_UNTIL, CONTACT_UNTIL, EntryKind, Fund, Invoice, MAX_ALONE,
    PartyKind, Reasons, RequestedChange, Scheme, State, Strand, WINDOW,
};

/// The model's outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    /// The offer is closed, and these amounts of its awards are released.
    Closed(Vec<(usize, i64)>),
    /// The change with this date needs a second person. An approval is opened, unless one of the same change is open already.
    NeedsApproval(RequestedChange, String),
    /// The command is refused. The service names one of these reasons.
    Refused(Reasons),
}

/// Refuses a command for a single reason.
pub(super) fn refuse(reason: &'static str) -> Answer {
    Answer::Refused(Reasons::from([reason]))
}

/// Refuses the command if there are reasons against it, else carries it out.
pub(super) fn refuse_or(reasons: Reasons, carry_out: impl FnOnce() -> Answer) -> Answer {
    if reasons.is_empty() { carry_out() } else { Answer::Refused(reasons) }
}

/// The states in which an offer may have awards, and its awards may change.
pub(super) const LIVE: [State; 2] = [State::Accepted, State::Delivering];

impl Scheme {
    /// Checks a command and carries it out.
    pub(super) fn answer(&mut self, command: &Command) -> Answer {
        match command {
            Command::WithMistake(mistake, _) => Answer::Refused(mistake.reasons()),
            Command::Contact { offer, party, date } => self.contact(*offer, *party, date),
            Command::Accept { offer, by, date } => self.accept(*offer, *by, date),
            Command::Decline { offer, date } => self.decline(*offer, date),
            Command::Start { offer, date } => self.start(*offer, date),
            Command::CorrectDate { offer, accepted, date } => self.correct_date(*offer, *accepted, date),
            Command::Close { offer, outcome, date } => self.close(*offer, outcome, date),
            Command::Reopen { offer } => self.reopen(*offer),
            Command::Give { approval, by_requester } => self.give(*approval, *by_requester),
            Command::Deny { approval, by_requester } => self.deny(*approval, *by_requester),
            Command::WithdrawApproval { approval, by_requester } => self.withdraw_approval(*approval, *by_requester),
            Command::CreateFund { strand, region } => self.create_fund(*strand, region),
            Command::Change { requested_change, date } => self.change(*requested_change, date),
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

    fn contact(&mut self, offer: usize, party: PartyKind, date: &str) -> Answer {
        let it = &mut self.offers[offer];
        let mut reasons = Reasons::new();
        if it.state == State::Closed {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        if date < WINDOW.0 {
            reasons.insert("OUTSIDE_PROGRAMME");
        }
        if date > CONTACT_UNTIL {
            reasons.insert("OUTSIDE_WINDOW");
        }
        if party == PartyKind::School
            && !it
                .contacts
                .iter()
                .any(|(contacted, on)| *contacted == PartyKind::ResponsibleBody && on.as_str() <= date)
        {
            reasons.insert("CONTACT_MISSING");
        }
        refuse_or(reasons, || {
            it.contacts.push((party, date.to_owned()));
            it.state = it.state.max(State::Contacted);
            it.record_event("contacted");
            Answer::Done
        })
    }

    fn accept(&mut self, offer: usize, by: PartyKind, date: &str) -> Answer {
        let it = &mut self.offers[offer];
        let mut reasons = Reasons::new();
        if it.state != State::Contacted {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        if date < WINDOW.0 {
            reasons.insert("OUTSIDE_PROGRAMME");
        }
        // A trust accepts its own offer. A school's offer is accepted by the school, or by its trust if it has one.
        if (it.is_trust && by == PartyKind::School)
            || (!it.is_trust && by == PartyKind::ResponsibleBody && it.trust_uid == 0)
        {
            reasons.insert("ACCEPTOR_NOT_ALLOWED");
        }
        if !it.contacts.iter().any(|(contacted, on)| *contacted == by && on.as_str() <= date) {
            reasons.insert("CONTACT_MISSING");
        }
        refuse_or(reasons, || {
            it.state = State::Accepted;
            (it.acceptor, it.accepted) = (by, Some(date.to_owned()));
            it.record_event("accepted");
            Answer::Done
        })
    }

    fn decline(&mut self, offer: usize, date: &str) -> Answer {
        let mut reasons = Reasons::new();
        if self.closes_too_early(offer, date, true) {
            reasons.insert("DATE_ORDER");
        }
        if self.offers[offer].state > State::Accepted {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        refuse_or(reasons, || Answer::Closed(self.release_and_close(offer, date)))
    }

    fn start(&mut self, offer: usize, date: &str) -> Answer {
        let mut reasons = Reasons::new();
        if self.offers[offer].state != State::Accepted {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        if !self.awards_of_offer(offer).any(|it| it.committed() > 0) {
            reasons.insert("AWARD_MISSING");
        }
        if self.offers[offer].accepted.as_deref().is_some_and(|accepted| date < accepted) {
            reasons.insert("DATE_ORDER");
        }
        refuse_or(reasons, || {
            self.offers[offer].state = State::Delivering;
            self.offers[offer].started = Some(date.to_owned());
            self.offers[offer].record_event("started");
            Answer::Done
        })
    }

    /// Closes an offer. The date is within the programme, so the outcome *lapsed* is not possible.
    fn close(&mut self, offer: usize, outcome: &str, date: &str) -> Answer {
        let state = self.offers[offer].state;
        let mut reasons = Reasons::new();
        if self.closes_too_early(offer, date, false) {
            reasons.insert("DATE_ORDER");
        }
        if state == State::Closed || (outcome == "completed" && state != State::Delivering) {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        if outcome == "lapsed" {
            reasons.insert("PROGRAMME_NOT_ENDED");
        }
        refuse_or(reasons, || Answer::Closed(self.release_and_close(offer, date)))
    }

    fn reopen(&mut self, offer: usize) -> Answer {
        let it = &self.offers[offer];
        if it.state != State::Closed {
            return refuse("STATE_NOT_ALLOWED");
        }
        Answer::NeedsApproval(RequestedChange::Reopen(offer, it.version), String::new())
    }

    fn create_fund(&mut self, strand: Strand, region: &'static str) -> Answer {
        if self.funds.iter().any(|it| it.strand == strand && it.region == region) {
            return refuse("FUND_EXISTS");
        }
        self.funds.push(Fund {
            strand,
            region,
            account: Account::of(0),
            days: DailyChanges::default(),
            moved_alone: 0,
            entries: Vec::new(),
        });
        Answer::Done
    }

    fn change(&mut self, requested_change: RequestedChange, on: &str) -> Answer {
        let reasons = self.reasons(requested_change, on);
        refuse_or(reasons, || {
            let (funds, amount) = requested_change.moves();
            let alone = funds.iter().map(|it| self.funds[*it].moved_alone).max().unwrap_or(0);
            let needs_two = match requested_change {
                // The limit counts all amounts that the same person moved alone within one month. In the model, time does not
                // pass, so these are all earlier amounts.
                RequestedChange::Allocate(..) | RequestedChange::Withdraw(_, _, false) | RequestedChange::Move(..) => {
                    alone + amount > MAX_ALONE
                }
                // A deliberate withdrawal needs a second person if it takes more than is available.
                RequestedChange::Withdraw(fund, amount, true) => {
                    let it = &self.funds[fund];
                    let most =
                        if it.binds() { it.days.lowest_from(0, on).min(it.account.available()) } else { i64::MAX };
                    alone + amount > MAX_ALONE || amount > most.max(0)
                }
                RequestedChange::Reopen(..) => true,
            };
            // While an approval of the same change is open, the change needs it even if the amount is small enough for one person.
            if needs_two
                || self
                    .approvals
                    .iter()
                    .any(|it| it.requested_change == requested_change && it.on == on && it.state == ApprovalState::Open)
            {
                return Answer::NeedsApproval(requested_change, on.to_owned());
            }
            self.moved(requested_change, on);
            funds.iter().for_each(|it| self.funds[*it].moved_alone += amount);
            Answer::Done
        })
    }

    fn award(&mut self, offer: usize, lines: &[AwardLine], date: &str) -> Answer {
        let mut reasons = Reasons::new();
        if !LIVE.contains(&self.offers[offer].state) {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        if date < WINDOW.0 || date > WINDOW.1 {
            reasons.insert("OUTSIDE_WINDOW");
        }
        if date < WINDOW.0 {
            reasons.insert("OUTSIDE_PROGRAMME");
        }
        // Each award of the bundle is checked as if the awards before it were made.
        let mut after = self.clone();
        for line in lines {
            reasons.extend(self.reasons_against_line(&mut after, offer, line, date));
        }
        if self.offers[offer].accepted.as_deref().is_some_and(|day| date < day) {
            reasons.insert("DATE_ORDER");
        }
        refuse_or(reasons, || {
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
                    released_on_closing: Vec::new(),
                    version: 0,
                });
                self.post(self.awards.len() - 1, EntryKind::Commit, line.amount, "awarded", date);
                self.offers[offer].record_event("awarded");
            }
            Answer::Done
        })
    }

    fn reasons_against_line(&self, after: &mut Self, offer: usize, line: &AwardLine, date: &str) -> Reasons {
        let mut reasons = Reasons::new();
        let strand = line.strand;
        if !self.offers[offer].offered(strand) {
            reasons.insert("STRAND_NOT_OFFERED");
        }
        if strand == Strand::Credit {
            // Trust 90007 is closed, 90021 is a single-academy trust, and 99999 is in no file.
            if [90_007, 90_021].contains(&line.partner) || line.partner == self.offers[offer].trust_uid {
                reasons.insert("PARTNER_NOT_SUITABLE");
            }
            if line.partner == 99_999 {
                reasons.extend(["NOT_FOUND", "PARTNER_NOT_SUITABLE"]);
            }
        }
        if strand == Strand::Npqel && line.provider == "Acme Leadership" {
            reasons.insert("PROVIDER_NOT_ACCREDITED");
        }
        if strand == Strand::Npqel
            && (self.is_funded(&line.leader) || !after.leaders_in_bundle.insert(line.leader.clone()))
        {
            reasons.insert("LEADER_FUNDED");
        }
        let days = if strand == Strand::Nle { 0 } else { 1 };
        if let Some(cap) = after.offers[offer].cap(strand) {
            cap.committed += line.amount;
            if self.offers[offer].offered(strand) && cap.available() < 0 {
                reasons.insert("CAP_EXCEEDED");
            }
        }
        // If the amount exceeds the cap today, the cap on past days is not reported too.
        let (cap, fund) = after.as_of(offer, strand, date);
        if self.offers[offer].offered(strand) && line.amount > cap && !reasons.contains("CAP_EXCEEDED") {
            reasons.insert("AS_OF");
        }
        after.offers[offer].days[days].add(date, -line.amount);
        let too_early = strand.cost(line.amount) > fund;
        match self.fund_of(strand, offer) {
            None => {
                reasons.insert("FUND_MISSING");
            }
            Some(fund) => {
                if self.funds[fund].over_committed() {
                    reasons.insert("FUND_OVER_COMMITTED");
                }
                let fund = &mut after.funds[fund];
                fund.account.committed += strand.cost(line.amount);
                fund.days.add(date, -strand.cost(line.amount));
                if fund.over_committed() {
                    reasons.insert("FUNDS_INSUFFICIENT");
                } else if too_early {
                    reasons.insert("AS_OF");
                }
            }
        }
        reasons
    }

    /// Records an event of an award and of its offer.
    pub(super) fn record_event(&mut self, award: usize, kind: &'static str) {
        let it = &mut self.awards[award];
        it.version += 1;
        self.offers[it.offer].record_event(kind);
    }

    fn draw(
        &mut self,
        award: usize,
        (amount, booking): (i64, Option<usize>),
        invoice: Option<(&str, Option<i64>)>,
        date: &str,
    ) -> Answer {
        let it = &self.awards[award];
        let mut reasons = Reasons::new();
        if self.offers[it.offer].state != State::Delivering {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        if amount > it.committed() {
            reasons.insert("AWARD_EXCEEDED");
        }
        if date > CLAIMS_UNTIL {
            reasons.insert("OUTSIDE_WINDOW");
        }
        if date < it.on.as_str() {
            reasons.insert("DATE_ORDER");
        }
        if self.offers[it.offer].started.as_deref().is_some_and(|day| date < day) {
            reasons.insert("DATE_ORDER");
        }
        if let Some(booking) = booking
            && it.bookings.get(booking).is_none_or(|it| it.state != BookingState::Booked)
        {
            reasons.insert("BOOKING_NOT_OPEN");
            if amount > it.committed() - it.booked() {
                reasons.insert("AWARD_EXCEEDED");
            }
        }
        if it.taken_too_early(amount, date) {
            reasons.insert("DATE_ORDER");
        }
        reasons.extend(self.reasons_against_claim(it, amount, invoice));
        let paid = invoice.map(|(reference, given)| (reference.to_owned(), self.invoice_total(it, reference, given)));
        refuse_or(reasons, || {
            self.post(award, EntryKind::Spend, amount, "drawn", date);
            let it = &mut self.awards[award];
            let payment = invoice.map(|_| it.invoices.len());
            it.moved(EntryKind::Spend, amount, date, booking, payment);
            it.drawn += amount;
            if let Some(booking) = booking {
                it.bookings[booking].state = BookingState::Delivered;
            }
            it.invoices.extend(paid.map(|(reference, total)| Invoice { reference, amount, refunded: 0, total }));
            self.record_event(award, "drawn");
            Answer::Done
        })
    }

    fn release(&mut self, award: usize, amount: Option<i64>, date: &str) -> Answer {
        let it = &self.awards[award];
        let amount = amount.unwrap_or_else(|| it.committed());
        let mut reasons = Reasons::new();
        if !LIVE.contains(&self.offers[it.offer].state) {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        if amount > it.committed() || amount == 0 {
            reasons.insert("AWARD_EXCEEDED");
        }
        if date < it.on.as_str() || it.taken_too_early(amount, date) {
            reasons.insert("DATE_ORDER");
        }
        refuse_or(reasons, || {
            self.post(award, EntryKind::Release, amount, "released", date);
            self.awards[award].released += amount;
            self.awards[award].moved(EntryKind::Release, amount, date, None, None);
            self.record_event(award, "released");
            Answer::Done
        })
    }

    fn refund(&mut self, award: usize, amount: i64, invoice: Option<&str>, date: &str) -> Answer {
        let it = &self.awards[award];
        let mut reasons = Reasons::new();
        if amount > it.drawn - it.refunded {
            reasons.insert("AWARD_EXCEEDED");
        }
        if date < it.on.as_str() {
            reasons.insert("DATE_ORDER");
        }
        let refunded = match it.refund_target(amount, invoice, date) {
            RefundTarget::Payment(paid) => Some(paid),
            RefundTarget::WithoutInvoice => None,
            RefundTarget::Unclear => {
                reasons.insert("INVOICE_MISSING");
                None
            }
        };
        let left = |index: usize| it.invoices[index].amount - it.invoices[index].refunded;
        let most = refunded.map_or_else(|| it.without_invoice(), left);
        if amount > most {
            reasons.insert("AWARD_EXCEEDED");
        }
        // At least this amount must have been drawn as of the refund's date and as of every later day.
        if it.refunded_too_early(refunded, amount, date) {
            reasons.insert("DATE_ORDER");
        }
        refuse_or(reasons, || {
            self.post(award, EntryKind::Refund, amount, "refunded", date);
            let it = &mut self.awards[award];
            it.moved(EntryKind::Refund, amount, date, None, refunded);
            it.refunded += amount;
            if let Some(paid) = refunded {
                it.invoices[paid].refunded += amount;
            }
            self.record_event(award, "refunded");
            Answer::Done
        })
    }
}
