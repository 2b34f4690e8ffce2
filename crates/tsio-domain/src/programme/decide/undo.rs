//! Undoes a mistaken draw, release or refund by a counter-event (`domain.md` section 4). The counter-event posts existing verbs:
//! `refund` and `commit` to undo a draw, `commit` to undo a release, and `commit` and `spend` to undo a refund.
//!
//! The counter-event is dated on the day on which it is recorded, so the mistake counts until that day. The limits of a commitment
//! apply.

use super::limits::{self, LimitCollector, subject};
use crate::award::movement::{AwardMovement, MovementKind};
use crate::award::{Award, Invoice};
use crate::event::{EventBody, NewEvent, Seq};
use crate::ids::AccountId;
use crate::ledger::{EntryKind, Posting};
use crate::offer::lifecycle::{self, check};
use crate::programme::ProgrammeState;
use crate::programme::command::AwardTarget;
use crate::programme::decision::{CommandAnswer, Decision};
use crate::programme::error::CommandError;
use crate::refusal::{Limit, LimitKind, Reason, Refusal};
use crate::role::Reach;
use crate::time::Now;

const COST_OVERFLOW: CommandError = CommandError::Bug("the cost of a part of an award does not fit");

impl ProgrammeState {
    /// Undoes a draw, a release or a refund of an award.
    ///
    /// # Errors
    /// [`Reason::MovementNotUndoable`], [`Reason::StateNotAllowed`], [`Reason::CapExceeded`],
    /// [`Reason::FundsInsufficient`], [`Reason::FundOverCommitted`], [`Reason::AmountTooLarge`], [`Reason::LeaderFunded`]; those of
    /// [`ProgrammeState::award_and_offer`]; to undo a refund also those of an invoice that another award paid meanwhile, see
    /// [`ProgrammeState::check_repeated_payment`].
    pub(in crate::programme) fn undo(
        &self,
        (target, reach): (&AwardTarget, &Reach),
        movement: Seq,
        reason: &str,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let (award, offer) = self.award_and_offer(target)?;
        let can_be_undone = |it: &&AwardMovement| it.seq == movement && it.undone.is_none() && !it.by_close;
        let Some(mistake) = self.movements.of(award.id).find(can_be_undone) else {
            let remedy = "name the event of a draw, release or refund of this award that is not undone yet";
            return Err(not_undoable(
                award,
                format!("event {movement} is no draw, release or refund of this award that can be undone"),
                remedy,
            )
            .into());
        };
        let mut limits = LimitCollector::new();
        // A refund may be undone in the states in which a refund is allowed.
        let action = if mistake.kind == MovementKind::Refund {
            lifecycle::OfferAction::Refund
        } else {
            lifecycle::OfferAction::Undo
        };
        limits.add_blocker(check(action, offer.state, offer.id).err());
        limits.add_blocker(self.leader_funded_elsewhere(award, reach));
        let paid = award.invoices.iter().find(|it| it.seq == mistake.seq || Some(it.seq) == mistake.invoice);
        let mut payment_number = None;
        let refunded_refusal = refunded_since(award, mistake, paid);
        let verbs: &[EntryKind] = match mistake.kind {
            // The undo of a draw that was partly refunded is refused below, so it posts nothing.
            MovementKind::Draw if refunded_refusal.is_some() => &[],
            MovementKind::Draw => &[EntryKind::Refund, EntryKind::Commit],
            MovementKind::Release => &[EntryKind::Commit],
            MovementKind::Refund => {
                if let Some(paid) = paid {
                    let pence = award.cost(mistake.amount).ok_or(COST_OVERFLOW)?;
                    payment_number = self.check_repeated_payment((award, reach), paid, pence, &mut limits);
                }
                &[EntryKind::Commit, EntryKind::Spend]
            }
        };
        limits.add_blocker(refunded_refusal.filter(|_| mistake.kind == MovementKind::Draw));
        let postings = self.checked_postings(award, mistake.amount, verbs, now, &mut limits)?;
        Refusal::join(limits.into_refusals())?;
        let AwardMovement { kind: movement, seq: undoes, amount, invoice, booking, .. } = *mistake;
        let body =
            EventBody::Undone { award: award.id, undoes, movement, amount, invoice, booking, part: payment_number };
        let draft = NewEvent::of(offer.id, now.today, body).with_text(Some(reason.to_owned()));
        Ok(Decision::new(vec![draft.posting(postings)], CommandAnswer::Awards(vec![award.id])))
    }

    /// The postings of these verbs to the award's cap and fund. Adds a limit for each account that cannot bear them.
    fn checked_postings(
        &self,
        award: &Award,
        amount: i64,
        verbs: &[EntryKind],
        now: Now,
        limits: &mut LimitCollector,
    ) -> Result<Vec<Posting>, CommandError> {
        let cost = award.cost(amount).ok_or(COST_OVERFLOW)?;
        let cap = award.cap.map(|cap| (cap, amount));
        let mut postings = Vec::new();
        for (id, amount) in cap.into_iter().chain([(award.fund, cost)]) {
            postings.extend(self.checked_postings_to(id, amount, verbs, now, limits)?);
        }
        Ok(postings)
    }

    /// The postings of these verbs to one account. Adds a limit and returns no postings if the account cannot bear them.
    fn checked_postings_to(
        &self,
        id: AccountId,
        amount: i64,
        verbs: &[EntryKind],
        now: Now,
        limits: &mut LimitCollector,
    ) -> Result<Vec<Posting>, CommandError> {
        let loaded = self.ledger.get(id).ok_or(CommandError::Bug("an account of the award is not loaded"))?;
        let mut account = loaded.clone();
        for verb in verbs {
            if *verb == EntryKind::Commit {
                let refusal = limits::commitment(&account, Some(amount));
                // A refund in the same event makes the amount available as of the same day.
                let is_refunded = verbs.contains(&EntryKind::Refund);
                let unavailable =
                    || self.unavailable_as_of(&account, now.today, Some(amount), "undo").filter(|_| !is_refunded);
                let refusal = refusal.or_else(unavailable);
                if refusal.is_some() {
                    limits.add_blocker(refusal);
                    return Ok(Vec::new());
                }
            }
            // If another limit refuses the undo, the postings are not used.
            let posted = account.post(*verb, amount, false);
            if posted.is_err() && limits.is_empty() {
                return Err(CommandError::Bug("an account holds less than its awards"));
            }
        }
        Ok(verbs.iter().map(|verb| Posting { account: id, verb: *verb, amount }).collect())
    }
}

/// Refuses to undo a draw if any part of the drawn amount was refunded. None if nothing was refunded.
fn refunded_since(award: &Award, mistake: &AwardMovement, paid: Option<&Invoice>) -> Option<Refusal> {
    let refunded = paid.map_or_else(|| award.spent_without_invoice() < mistake.amount, |it| it.refunded.get() > 0);
    refunded.then(|| {
        let message = format!("something of draw {} has been refunded", mistake.seq);
        not_undoable(award, message, "undo the refund first")
    })
}

fn not_undoable(award: &Award, message: String, remedy: &str) -> Refusal {
    Refusal::of(Reason::MovementNotUndoable, message, Limit::plain(LimitKind::Award, subject(award), remedy))
}
