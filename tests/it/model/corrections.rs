//! Corrections of mistakes: the date of the acceptance or of the start, a draw, a release or a refund.

use super::dates::NOW;
use super::rules::{Answer, LIVE, refuse, refuse_or};
use super::scheme::{Award, BookingState, Move, Reasons, Scheme, Strand, Verb, WINDOW};

impl Scheme {
    /// Corrects a date: it must stay after what the step depends on, and before what depends on the step.
    pub(super) fn correct_date(&mut self, offer: usize, accepted: bool, date: &str) -> Answer {
        let it = &self.offers[offer];
        let mut reasons = Reasons::new();
        if !LIVE.contains(&it.state) || (!accepted && it.started.is_none()) {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        if date < WINDOW.0 {
            reasons.insert("OUTSIDE_PROGRAMME");
        }
        let after = if accepted {
            if it.accepted.is_some() && !it.contacted_by(it.acceptor, date) {
                reasons.insert("CONTACT_MISSING");
            }
            self.awards_under(offer).map(|it| &it.on).chain(&it.started).min()
        } else {
            if it.accepted.as_deref().is_some_and(|day| date < day) {
                reasons.insert("DATE_ORDER");
            }
            self.awards_under(offer).flat_map(Award::drawn_on).min()
        };
        if after.is_some_and(|day| date > day.as_str()) {
            reasons.insert("DATE_ORDER");
        }
        refuse_or(reasons, || {
            let it = &mut self.offers[offer];
            *if accepted { &mut it.accepted } else { &mut it.started } = Some(date.to_owned());
            it.record_event("date_corrected");
            Answer::Done
        })
    }

    /// Undoes a draw, a release or a refund by posting the reverse today, which the current balances have to allow.
    pub(super) fn undo(&mut self, award: usize, moved: usize) -> Answer {
        let it = &self.awards[award];
        let Some(mistake) = it.moves.get(moved).filter(|it| it.undone.is_none()).cloned() else {
            return refuse("MOVEMENT_NOT_UNDOABLE");
        };
        let Move { verb, amount, invoice, booking, .. } = mistake;
        let mut reasons = Reasons::new();
        if verb != Verb::Refund && !LIVE.contains(&self.offers[it.offer].state) {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        let paid = invoice.map(|paid| it.invoices[paid].clone());
        let refunded = match &paid {
            Some(paid) => paid.refunded > 0,
            None => it.without_invoice() < amount,
        };
        if verb == Verb::Spend && refunded {
            reasons.insert("MOVEMENT_NOT_UNDOABLE");
        }
        if let (Verb::Refund, Some(paid)) = (verb, invoice) {
            reasons.extend(self.reasons_against_undo((award, paid), amount));
        }
        if it.awarded == it.released + it.refunded && it.strand == Strand::Npqel && self.is_funded(&it.leader) {
            reasons.insert("LEADER_FUNDED");
        }
        let (offer, fund, cost) = (it.offer, it.fund, it.strand.cost(amount));
        let strand = it.strand;
        let restored = |amount| if verb == Verb::Spend { amount } else { 0 };
        if self.offers[offer].clone().cap(strand).is_some_and(|cap| cap.available() + restored(amount) < amount) {
            reasons.insert("CAP_EXCEEDED");
        }
        let fund = &self.funds[fund];
        if fund.binds() && fund.account.available() + restored(cost) < cost {
            reasons.extend(["FUNDS_INSUFFICIENT", "FUND_OVER_COMMITTED"]);
        }
        refuse_or(reasons, || {
            let (verbs, counter): (&[Verb], fn(&mut Award) -> &mut i64) = match verb {
                Verb::Spend => (&[Verb::Refund, Verb::Commit], |it| &mut it.drawn),
                Verb::Refund => (&[Verb::Commit, Verb::Spend], |it| &mut it.refunded),
                Verb::Release | Verb::Commit => (&[Verb::Commit], |it| &mut it.released),
            };
            for verb in verbs {
                self.post(award, *verb, amount, "undone", NOW);
            }
            let it = &mut self.awards[award];
            *counter(it) -= amount;
            it.moves[moved].undone = Some(NOW.to_owned());
            if let Some(booking) = booking {
                it.bookings[booking].state = BookingState::Cancelled;
            }
            if let Some(paid) = invoice.map(|paid| &mut it.invoices[paid]) {
                paid.refunded = if verb == Verb::Spend { paid.amount } else { paid.refunded - amount };
            }
            self.record_event(award, "undone");
            Answer::Done
        })
    }
}
