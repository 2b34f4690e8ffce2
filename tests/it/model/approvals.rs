//! The model's rules for approvals: a second person gives or denies an approval, the requester withdraws it, or it expires.

use super::rules::{Answer, refuse_or};
use super::scheme::{Approval, ApprovalState, Reasons, RequestedChange, Scheme};

impl Scheme {
    /// Opens an approval, which waits for a second person.
    pub(super) fn open_approval(&mut self, requested_change: RequestedChange, on: String) {
        if let RequestedChange::Reopen(offer, _) = requested_change {
            self.offers[offer].events.push("approval_opened");
        }
        let stated_shortfalls = self.shortfalls(requested_change, &on);
        self.approvals.push(Approval { requested_change, on, state: ApprovalState::Open, stated_shortfalls });
    }

    /// Computes the shortfalls that [`Approval::stated_shortfalls`] describes, for the current balances.
    fn shortfalls(&self, requested_change: RequestedChange, on: &str) -> [i64; 3] {
        let shortfall = |fund: usize, change: i64| (-(self.funds[fund].account.available() + change)).max(0);
        match requested_change {
            // These changes take no money out of a fund.
            RequestedChange::Reopen(..) | RequestedChange::Allocate(..) => [0; 3],
            RequestedChange::Withdraw(fund, amount, deliberate) => {
                let it = &self.funds[fund];
                let least = if it.binds() { it.days.lowest_from(0, on) } else { i64::MAX };
                let on_a_day = if deliberate { amount.saturating_sub(least) } else { 0 };
                [shortfall(fund, -amount), 0, on_a_day.max(shortfall(fund, -amount))]
            }
            RequestedChange::Move(from, to, amount) => {
                [shortfall(from, -amount), shortfall(to, amount), shortfall(from, -amount)]
            }
        }
    }

    /// Lists the reasons why a person may not answer an approval.
    fn reasons_against_answer(&self, approval: usize, by_requester: bool) -> Reasons {
        let mut reasons = Reasons::new();
        if self.approvals[approval].state != ApprovalState::Open {
            reasons.insert("APPROVAL_NOT_OPEN");
        }
        if by_requester {
            reasons.insert("SELF_APPROVAL");
        }
        reasons
    }

    pub(super) fn give(&mut self, approval: usize, by_requester: bool) -> Answer {
        let Approval { requested_change, on, stated_shortfalls, .. } = self.approvals[approval].clone();
        let reasons = self.reasons_against_answer(approval, by_requester);
        if !reasons.is_empty() {
            return Answer::Refused(reasons);
        }
        if let RequestedChange::Reopen(offer, version) = requested_change {
            let it = &self.offers[offer];
            if it.state != super::scheme::State::Closed || it.version != version {
                return Answer::Refused(Reasons::from(["STATE_NOT_ALLOWED", "APPROVAL_NOT_OPEN"]));
            }
        }
        let mut reasons = self.reasons(requested_change, &on);
        let now = self.shortfalls(requested_change, &on);
        if reasons.is_empty() && now.iter().zip(stated_shortfalls).any(|(now, stated)| *now > stated) {
            reasons.insert("APPROVAL_EXCEEDED");
        }
        refuse_or(reasons, || {
            self.approvals[approval].state = ApprovalState::Answered;
            if let RequestedChange::Reopen(offer, _) = requested_change {
                let it = &mut self.offers[offer];
                it.state = it.state_before_close;
                it.events.push("approval_given");
                it.record_event("reopened");
            }
            self.moved(requested_change, &on);
            Answer::Done
        })
    }

    pub(super) fn deny(&mut self, approval: usize, by_requester: bool) -> Answer {
        let reasons = self.reasons_against_answer(approval, by_requester);
        refuse_or(reasons, || self.end_approval(approval, "approval_denied"))
    }

    pub(super) fn withdraw_approval(&mut self, approval: usize, by_requester: bool) -> Answer {
        let mut reasons = Reasons::new();
        if self.approvals[approval].state != ApprovalState::Open {
            reasons.insert("APPROVAL_NOT_OPEN");
        }
        if !by_requester {
            reasons.insert("APPROVAL_OF_ANOTHER");
        }
        refuse_or(reasons, || self.end_approval(approval, "approval_withdrawn"))
    }

    /// Ends an approval without carrying out its change.
    fn end_approval(&mut self, approval: usize, kind: &'static str) -> Answer {
        self.approvals[approval].state = ApprovalState::Answered;
        if let RequestedChange::Reopen(offer, _) = self.approvals[approval].requested_change {
            self.offers[offer].events.push(kind);
        }
        Answer::Done
    }

    /// Marks an approval as expired, which records no event.
    pub(super) fn expire(&mut self, approval: usize) {
        self.approvals[approval].state = ApprovalState::Expired;
    }
}
