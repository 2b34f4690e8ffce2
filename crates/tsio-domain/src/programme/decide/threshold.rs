//! Computes the sum that is compared with the threshold above which a movement needs a second person. The sum is the money that one
//! person moved alone on a fund within 30 days (`domain.md` section 8).
//!
//! Allocations, withdrawals and both sides of virements count, by the time at which they were recorded. Movements that a second
//! person approved do not count. A movement in the opposite direction subtracts nothing.

use crate::event::{Event, EventBody};
use crate::events_about;
use crate::ledger::fund_change::FundChange;
use crate::money::Pence;
use crate::person::Person;
use crate::programme::ProgrammeState;
use crate::programme::state::UnapprovedMovement;
use crate::rules::RulesVersion;
use crate::time::Micros;
use crate::values::statement::MOVED_ALONE_DAYS;

impl ProgrammeState {
    /// The sum that a person moved alone on the fund of a change, within the days that count. For a virement: the larger sum of
    /// its two funds.
    pub(in crate::programme) fn moved_alone(&self, change: &FundChange, by: &Person, now: Micros) -> Pence {
        let counts = |it: &&UnapprovedMovement| it.at.plus_days(MOVED_ALONE_DAYS) > now && it.by.is(by);
        let sum_on_fund = |fund| {
            let moved = self.unapproved_movements.get(&fund).into_iter().flatten().filter(counts);
            moved.map(|it| it.amount.get()).fold(0, i64::saturating_add)
        };
        Pence(change.funds().map(sum_on_fund).max().unwrap_or(0))
    }

    /// Adds the movement of an event to the movements that one person made alone. An approved movement is left out. It is in
    /// the same request as the event that gave its approval. Under rules 1 movements are left out too.
    pub(in crate::programme) fn add_unapproved_movement(&mut self, event: &Event) {
        let subject = match &event.body {
            EventBody::ApprovalGiven { .. } => {
                self.last_approval_given = Some((event.actor.clone(), event.request));
                return;
            }
            EventBody::FundAllocated { token_subject, .. }
            | EventBody::FundWithdrawn { token_subject, .. }
            | EventBody::FundsMoved { token_subject, .. } => *token_subject,
            EventBody::FundCreated { .. }
            | EventBody::ApprovalOpened { .. }
            | EventBody::ApprovalDenied { .. }
            | EventBody::ApprovalWithdrawn { .. }
            | events_about!(offer, school, award, referral, record) => return,
        };
        let is_approved = self
            .last_approval_given
            .as_ref()
            .is_some_and(|(by, request)| (by, *request) == (&event.actor, event.request));
        if is_approved || self.rules < RulesVersion::V2 {
            return;
        }
        let by = Person { actor: event.actor.clone(), subject };
        for entry in &event.entries {
            let moved = UnapprovedMovement { by: by.clone(), at: event.recorded, amount: Pence(entry.amount) };
            let on_fund = self.unapproved_movements.entry(entry.account).or_default();
            // Remove movements that no longer count, so that the list stays short.
            let expired = on_fund.iter().take_while(|it| it.at.plus_days(MOVED_ALONE_DAYS) <= event.recorded).count();
            on_fund.drain(..expired);
            on_fund.push(moved);
        }
    }
}
