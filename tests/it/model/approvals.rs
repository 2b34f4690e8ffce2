//! Approvals: given by a second person, denied by one, withdrawn by the requester, or left until they expire.

use super::rules::{Answer, refuse_or};
use super::scheme::{Approval, Open, Reasons, Scheme, Wish};

impl Scheme {
    /// Opens an approval, which waits for a second person.
    pub(super) fn waits(&mut self, wish: Wish, on: String) {
        if let Wish::Reopen(offer, _) = wish {
            self.offers[offer].events.push("approval_opened");
        }
        let short = self.shortfalls(wish, &on);
        self.approvals.push(Approval { wish, on, state: Open::Waits, short });
    }

    /// Computes by how much the funds of a wish would fall short if it were carried out.
    fn shortfalls(&self, wish: Wish, on: &str) -> [i64; 3] {
        let short = |fund: usize, more: i64| (-(self.funds[fund].account.available() + more)).max(0);
        match wish {
            // These take nothing out of a fund.
            Wish::Reopen(..) | Wish::Allocate(..) => [0; 3],
            Wish::Withdraw(fund, amount, deliberate) => {
                let it = &self.funds[fund];
                let least = if it.binds() { it.days.least(0, on) } else { i64::MAX };
                let on_a_day = if deliberate { amount.saturating_sub(least) } else { 0 };
                [short(fund, -amount), 0, on_a_day.max(short(fund, -amount))]
            }
            Wish::Move(from, to, amount) => [short(from, -amount), short(to, amount), short(from, -amount)],
        }
    }

    /// Lists the reasons why a person may not answer an approval.
    fn reasons_against_answer(&self, approval: usize, asker: bool) -> Reasons {
        let mut reasons = Reasons::new();
        if self.approvals[approval].state != Open::Waits {
            reasons.insert("APPROVAL_NOT_OPEN");
        }
        if asker {
            reasons.insert("SELF_APPROVAL");
        }
        reasons
    }

    pub(super) fn give(&mut self, approval: usize, asker: bool) -> Answer {
        let Approval { wish, on, short, .. } = self.approvals[approval].clone();
        let reasons = self.reasons_against_answer(approval, asker);
        if !reasons.is_empty() {
            return Answer::Refused(reasons);
        }
        if let Wish::Reopen(offer, version) = wish {
            let it = &self.offers[offer];
            if it.state != super::scheme::State::Closed || it.version != version {
                return Answer::Refused(Reasons::from(["STATE_NOT_ALLOWED", "APPROVAL_NOT_OPEN"]));
            }
        }
        let mut reasons = self.reasons(wish, &on);
        let now = self.shortfalls(wish, &on);
        if reasons.is_empty() && now.iter().zip(short).any(|(now, stated)| *now > stated) {
            reasons.insert("APPROVAL_EXCEEDED");
        }
        refuse_or(reasons, || {
            self.approvals[approval].state = Open::Answered;
            if let Wish::Reopen(offer, _) = wish {
                let it = &mut self.offers[offer];
                it.state = it.before_close;
                it.events.push("approval_given");
                it.record_event("reopened");
            }
            self.moved(wish, &on);
            Answer::Done
        })
    }

    pub(super) fn deny(&mut self, approval: usize, asker: bool) -> Answer {
        let reasons = self.reasons_against_answer(approval, asker);
        refuse_or(reasons, || self.ends(approval, "approval_denied"))
    }

    pub(super) fn withdraw_approval(&mut self, approval: usize, asker: bool) -> Answer {
        let mut reasons = Reasons::new();
        if self.approvals[approval].state != Open::Waits {
            reasons.insert("APPROVAL_NOT_OPEN");
        }
        if !asker {
            reasons.insert("APPROVAL_OF_ANOTHER");
        }
        refuse_or(reasons, || self.ends(approval, "approval_withdrawn"))
    }

    /// Ends an approval without carrying out its change.
    fn ends(&mut self, approval: usize, kind: &'static str) -> Answer {
        self.approvals[approval].state = Open::Answered;
        if let Wish::Reopen(offer, _) = self.approvals[approval].wish {
            self.offers[offer].events.push(kind);
        }
        Answer::Done
    }

    /// Marks an approval as expired, which records no event.
    pub(super) fn expires(&mut self, approval: usize) {
        self.approvals[approval].state = Open::Expired;
    }
}
