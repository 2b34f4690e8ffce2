//! The threshold of two people counts together: what one person moved alone on a fund, within 30 days (`domain.md`
//! section 8).
//!
//! Allocations, withdrawals and both sides of virements count, by the time they were recorded. What a second person approved
//! does not, and undoing subtracts nothing.

use crate::event::{Event, EventBody};
use crate::events_about;
use crate::ledger::fund_change::FundChange;
use crate::money::Pence;
use crate::person::Person;
use crate::programme::ProgrammeState;
use crate::programme::state::MovedAlone;
use crate::rules::RulesVersion;
use crate::time::Micros;
use crate::values::statement::COUNTS_DAYS;

impl ProgrammeState {
    /// What a person moved alone, within the days that count: on the fund of a change where that is most.
    pub(in crate::programme) fn moved_alone(&self, change: &FundChange, by: &Person, now: Micros) -> Pence {
        let counts = |it: &&MovedAlone| it.at.plus_days(COUNTS_DAYS) > now && it.by.is(by);
        let on_fund = |fund| {
            let moved = self.moved.get(&fund).into_iter().flatten().filter(counts);
            moved.map(|it| it.amount.get()).fold(0, i64::saturating_add)
        };
        Pence(change.funds().map(on_fund).max().unwrap_or(0))
    }

    /// Keeps what was moved alone. A movement that was approved comes in the same call as the approval given.
    pub(in crate::programme) fn note_moved(&mut self, event: &Event) {
        let subject = match &event.body {
            EventBody::ApprovalGiven { .. } => {
                self.given = Some((event.actor.clone(), event.request));
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
        let is_approved = self.given.as_ref().is_some_and(|(by, call)| (by, *call) == (&event.actor, event.request));
        if is_approved || self.rules < RulesVersion::V2 {
            return;
        }
        let by = Person { actor: event.actor.clone(), subject };
        for entry in &event.entries {
            let moved = MovedAlone { by: by.clone(), at: event.recorded, amount: Pence(entry.amount) };
            let on_fund = self.moved.entry(entry.account).or_default();
            // What does not count any more is not kept, however long the record.
            let old = on_fund.iter().take_while(|it| it.at.plus_days(COUNTS_DAYS) <= event.recorded).count();
            on_fund.drain(..old);
            on_fund.push(moved);
        }
    }
}
