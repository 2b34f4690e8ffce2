//! What an approval states: what it was judged against and what it will do, before and after, in numbers.
//!
//! It is part of the event that opens the approval. When the approval is given, the same is worked out anew: what would do
//! more than is stated is refused with the difference, and the approval stays open (`domain.md` section 8).

use serde::{Deserialize, Serialize};

use super::command::Fault;
use super::{Approval, Facts};
use crate::domain::ids::{AccountId, ApprovalId};
use crate::domain::ledger::{Account, Posting};
use crate::domain::money::Pence;
use crate::domain::offer::Offer;
use crate::domain::refusal::{Limit, Reason, Refusal};
use crate::domain::region::Region;

/// What an approval states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Statement {
    /// Of a movement of money: each fund it changes; of a virement the one it leaves first.
    Funds {
        /// Those.
        funds: Vec<FundStatement>,
    },
    /// Of an offer that is to be reopened: how it was.
    Offer {
        /// Its etag.
        etag: String,
        /// Its region.
        region: Region,
    },
}

/// One fund, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundStatement {
    /// The fund.
    pub fund: AccountId,
    /// As it was when the approval was asked for.
    pub before: Numbers,
    /// As it would be with what was asked.
    pub after: Numbers,
}

/// The balances of a fund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// What was put in.
    pub allocated: Pence,
    /// Promised by awards.
    pub committed: Pence,
    /// Spent, less what was refunded.
    pub spent: Pence,
    /// What is left; below nothing where the fund is over-committed.
    pub available: Pence,
}

impl Numbers {
    fn of(account: &Account) -> Self {
        Self {
            allocated: Pence(account.allocated()),
            committed: Pence(account.committed),
            spent: Pence(account.spent),
            available: Pence(account.available),
        }
    }

    /// By how much the fund has promised and spent more than was put in.
    #[must_use]
    pub fn shortfall(&self) -> Pence {
        Pence(self.available.get().min(0).saturating_neg())
    }
}

impl Statement {
    /// What a movement does to its funds, as they are now.
    ///
    /// # Errors
    /// [`Fault::Bug`] for a movement that its funds cannot bear: it was judged before.
    pub(super) fn of_movement(facts: &Facts, postings: &[Posting], deliberate: bool) -> Result<Self, Fault> {
        let mut funds = Vec::with_capacity(postings.len());
        for posting in postings {
            let account = facts.ledger.get(posting.account).ok_or(Fault::Bug("a movement of no fund"))?;
            let mut moved = account.clone();
            let posted = moved.post(posting.verb, posting.amount, deliberate);
            posted.map_err(|_| Fault::Bug("a movement that its fund cannot bear"))?;
            let (before, after) = (Numbers::of(account), Numbers::of(&moved));
            funds.push(FundStatement { fund: account.id, before, after });
        }
        Ok(Self::Funds { funds })
    }

    /// How an offer is now.
    pub(super) fn of_offer(offer: &Offer) -> Self {
        Self::Offer { etag: offer.etag(), region: offer.region }
    }
}

/// Refuses what would do more than an approval states. `now` is what it would do at this moment.
pub(super) fn beyond(approval: &Approval, now: &Statement, facts: &Facts) -> Option<Refusal> {
    let Some(stated) = &approval.statement else {
        let difference = ("nobody knows what has changed", "it states nothing".to_owned());
        return Some(changed(approval.id, &difference));
    };
    match (stated, now) {
        (Statement::Funds { funds: stated }, Statement::Funds { funds }) => {
            let larger = |now: &&FundStatement| {
                let stated = stated.iter().find(|it| it.fund == now.fund).map(|it| it.after.shortfall());
                now.after.shortfall() > stated.unwrap_or(Pence(0))
            };
            let now = funds.iter().find(larger)?;
            let stated = stated.iter().find(|it| it.fund == now.fund).map_or(Pence(0), |it| it.after.shortfall());
            let fund = facts.ledger.get(now.fund)?;
            Some(larger_shortfall(approval.id, fund, now, stated))
        }
        (Statement::Offer { etag, region }, Statement::Offer { etag: now, region: now_in }) => {
            let difference = match (etag == now, region == now_in) {
                (true, true) => return None,
                (false, _) => ("the offer has changed", format!("etag {etag} is stated, {now} is current")),
                (true, false) => ("the offer has moved", format!("{region} is stated, it is in {now_in}")),
            };
            Some(changed(approval.id, &difference))
        }
        _ => Some(changed(approval.id, &("what was asked has changed", "it states something else".to_owned()))),
    }
}

fn larger_shortfall(approval: ApprovalId, fund: &Account, now: &FundStatement, stated: Pence) -> Refusal {
    let short = now.after.shortfall();
    let more = Pence(short.get().saturating_sub(stated.get()));
    let message = format!(
        "approval {approval} states that the fund would be {stated} short; it would be {short} short now, {more} more"
    );
    let asked = now.before.available.get().saturating_sub(now.after.available.get());
    let most = asked.saturating_sub(more.get()).max(0);
    let remedy = format!("ask for what is meant now, or allocate at least {more} to the fund first");
    Refusal::of(Reason::ApprovalExceeded, message, fund.limit(Some(asked), most, remedy))
}

fn changed(approval: ApprovalId, (what, difference): &(&str, String)) -> Refusal {
    let remedy = "ask again, so that what is approved is what was asked";
    let limit = Limit::plain("approval", format!("approval {approval}"), remedy);
    let message = format!("{what} since this approval was asked for: {difference}");
    Refusal::of(Reason::ApprovalNotOpen, message, limit)
}
