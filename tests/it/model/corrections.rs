//! The model's rules for corrections: of the date of an acceptance or a start, and undoing a draw, release or refund.

use super::dates::NOW;
use super::rules::{Answer, LIVE, refuse, refuse_or};
use super::scheme::{Award, BookingState, EntryKind, Move, Reasons, Scheme, Strand, WINDOW};

impl Scheme {
    /// Corrects the date of the acceptance or the start. The order of dates stays: contact, acceptance, awards and start, draws.
    pub(super) fn correct_date(&mut self, offer: usize, accepted: bool, date: &str) -> Answer {
        let it = &self.offers[offer];
        let mut reasons = Reasons::new();
        if !LIVE.contains(&it.state) || (!accepted && it.started.is_none()) {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        if date < WINDOW.0 {
            reasons.insert("OUTSIDE_PROGRAMME");
        }
        let latest = if accepted {
            if it.accepted.is_some() && !it.contacted_by(it.acceptor, date) {
                reasons.insert("CONTACT_MISSING");
            }
            self.awards_of_offer(offer).map(|it| &it.on).chain(&it.started).min()
        } else {
            if it.accepted.as_deref().is_some_and(|day| date < day) {
                reasons.insert("DATE_ORDER");
            }
            self.awards_of_offer(offer).flat_map(Award::draw_dates).min()
        };
        if latest.is_some_and(|day| date > day.as_str()) {
            reasons.insert("DATE_ORDER");
        }
        refuse_or(reasons, || {
            let it = &mut self.offers[offer];
            *if accepted { &mut it.accepted } else { &mut it.started } = Some(date.to_owned());
            it.record_event("date_corrected");
            Answer::Done
        })
    }

    /// Undoes a draw, a release or a refund: posts reversing entries with the date of today. The current balances have to allow
    /// them.
    pub(super) fn undo(&mut self, award: usize, moved: usize) -> Answer {
        let it = &self.awards[award];
        let Some(mistake) = it.moves.get(moved).filter(|it| it.undone.is_none()).cloned() else {
            return refuse("MOVEMENT_NOT_UNDOABLE");
        };
        let Move { entry_kind, amount, invoice, booking, .. } = mistake;
        let mut reasons = Reasons::new();
        if entry_kind != EntryKind::Refund && !LIVE.contains(&self.offers[it.offer].state) {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        let paid = invoice.map(|paid| it.invoices[paid].clone());
        let refunded = match &paid {
            Some(paid) => paid.refunded > 0,
            None => it.without_invoice() < amount,
        };
        if entry_kind == EntryKind::Spend && refunded {
            reasons.insert("MOVEMENT_NOT_UNDOABLE");
        }
        if let (EntryKind::Refund, Some(paid)) = (entry_kind, invoice) {
            reasons.extend(self.reasons_against_undo((award, paid), amount));
        }
        if it.awarded == it.released + it.refunded && it.strand == Strand::Npqel && self.is_funded(&it.leader) {
            reasons.insert("LEADER_FUNDED");
        }
        let (offer, fund, cost) = (it.offer, it.fund, it.strand.cost(amount));
        let strand = it.strand;
        let restored_first = |amount| if entry_kind == EntryKind::Spend { amount } else { 0 };
        if self.offers[offer].clone().cap(strand).is_some_and(|cap| cap.available() + restored_first(amount) < amount) {
            reasons.insert("CAP_EXCEEDED");
        }
        let fund = &self.funds[fund];
        if fund.binds() && fund.account.available() + restored_first(cost) < cost {
            reasons.extend(["FUNDS_INSUFFICIENT", "FUND_OVER_COMMITTED"]);
        }
        refuse_or(reasons, || {
            let (entry_kinds, counter): (&[EntryKind], fn(&mut Award) -> &mut i64) = match entry_kind {
                EntryKind::Spend => (&[EntryKind::Refund, EntryKind::Commit], |it| &mut it.drawn),
                EntryKind::Refund => (&[EntryKind::Commit, EntryKind::Spend], |it| &mut it.refunded),
                EntryKind::Release | EntryKind::Commit => (&[EntryKind::Commit], |it| &mut it.released),
            };
            for entry_kind in entry_kinds {
                self.post(award, *entry_kind, amount, "undone", NOW);
            }
            let it = &mut self.awards[award];
            *counter(it) -= amount;
            it.moves[moved].undone = Some(NOW.to_owned());
            if let Some(booking) = booking {
                it.bookings[booking].state = BookingState::Cancelled;
            }
            if let Some(paid) = invoice.map(|paid| &mut it.invoices[paid]) {
                paid.refunded = if entry_kind == EntryKind::Spend { paid.amount } else { paid.refunded - amount };
            }
            self.record_event(award, "undone");
            Answer::Done
        })
    }
}
