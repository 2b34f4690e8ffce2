//! What an approval states: what it was judged against and what it will do, before and after, in numbers.
//!
//! It is part of the event that opens the approval. When the approval is given, the same is worked out anew: what would do
//! more than is stated is refused with the difference, and the approval stays open (`domain.md` section 8).

use serde::{Deserialize, Serialize};

use super::threshold::COUNTS_DAYS;
use crate::domain::approval::Approval;
use crate::domain::ids::{AccountId, ApprovalId, OfferId, Urn};
use crate::domain::ledger::{Account, Posting};
use crate::domain::money::Pence;
use crate::domain::offer::Offer;
use crate::domain::programme::ProgrammeState;
use crate::domain::programme::command::CommandError;
use crate::domain::refusal::{Limit, Reason, Refusal};
use crate::domain::region::Region;
use crate::domain::rules::RulesVersion;

/// What an approval states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Statement {
    /// Of a movement of money: each fund it changes; of a virement the one it leaves first.
    Funds {
        /// Those.
        funds: Vec<FundStatement>,
        /// What whoever asks had moved on one of them alone, where that is why it takes a second person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved_alone: Option<Pence>,
    },
    /// Of an import that is to be withdrawn.
    Import {
        /// The open offers that would be left without their ground, of every programme.
        offers: Vec<OfferId>,
    },
    /// Of an offer that is to be reopened: how it was.
    Offer {
        /// Its etag.
        etag: String,
        /// Its region.
        region: Region,
    },
    /// Of a school whose entry position the files cannot say.
    Entry {
        /// The school.
        urn: Urn,
        /// Whether it is to be met.
        met: bool,
        /// Its region, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<Region>,
        /// What counted of it before by what two people decided, of the school or of one that it follows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<bool>,
        /// The open offers that the school, or one that it follows, is on, where what was met is to be not met. Nothing where
        /// it is not, and of one that was opened before that was stated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offers: Option<Vec<OfferId>>,
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
    /// By how much it would be short as of the day in the past that is worst, where that is more than by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of_shortfall: Option<Pence>,
}

impl FundStatement {
    /// By how much the fund would be short on the day that is worst, by now or in the past.
    fn worst(&self) -> Pence {
        self.after.shortfall().max(self.as_of_shortfall.unwrap_or(Pence::ZERO))
    }

    /// Where it would be shorter than stated: by now, or on the day that is worst. Each is held by itself, so that what was
    /// stated of a day in the past leaves no room today.
    fn beyond(&self, stated: Option<&Self>) -> Option<Shorter> {
        let stated = |of: fn(&Self) -> Pence| stated.map_or(Pence::ZERO, of);
        let (by_now, worst) = (stated(|it| it.after.shortfall()), stated(Self::worst));
        let (short, stated, in_the_past) = match (self.after.shortfall(), self.worst()) {
            (now, _) if now > by_now => (now, by_now, false),
            (_, day) if day > worst => (day, worst, true),
            _ => return None,
        };
        Some(Shorter { short, stated, in_the_past })
    }
}

/// By how much a fund would be short, and how much of that is stated.
struct Shorter {
    short: Pence,
    stated: Pence,
    /// As of a day in the past, or by now.
    in_the_past: bool,
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
    /// [`CommandError::Bug`] for a movement that its funds cannot bear: it was judged before.
    pub(in crate::domain::programme) fn of_movement(
        facts: &ProgrammeState,
        postings: &[Posting],
        deliberate: bool,
    ) -> Result<Self, CommandError> {
        let mut funds = Vec::with_capacity(postings.len());
        for posting in postings {
            let account = facts.ledger.get(posting.account).ok_or(CommandError::Bug("a movement of no fund"))?;
            let mut moved = account.clone();
            let posted = moved.post(posting.verb, posting.amount, deliberate);
            posted.map_err(|_| CommandError::Bug("a movement that its fund cannot bear"))?;
            let (before, after) = (Numbers::of(account), Numbers::of(&moved));
            funds.push(FundStatement { fund: account.id, before, after, as_of_shortfall: None });
        }
        Ok(Self::Funds { funds, moved_alone: None })
    }

    /// States by how much a fund would be short as of the worst day, where that is more than by now.
    pub(in crate::domain::programme) fn short_as_of(&mut self, fund: AccountId, short: Pence) {
        if let Self::Funds { funds, .. } = self {
            let stated = funds.iter_mut().find(|it| it.fund == fund && short > it.after.shortfall());
            stated.into_iter().for_each(|it| it.as_of_shortfall = Some(short));
        }
    }

    /// States what was moved alone before.
    pub(in crate::domain::programme) const fn moved_alone(&mut self, moved: Pence) {
        if let Self::Funds { moved_alone, .. } = self {
            *moved_alone = Some(moved);
        }
    }

    /// What makes a movement take a second person though it is not above the threshold, for a refusal.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Funds { moved_alone: Some(moved), .. } => {
                format!(", with {moved} that one person moved on the fund alone in {COUNTS_DAYS} days,")
            }
            Self::Funds { moved_alone: None, .. } | Self::Import { .. } | Self::Offer { .. } | Self::Entry { .. } => {
                String::new()
            }
        }
    }

    /// The school whose entry position is decided, and whether that is to be met.
    #[must_use]
    pub const fn school(&self) -> Option<(Urn, bool)> {
        match self {
            Self::Entry { urn, met, .. } => Some((*urn, *met)),
            Self::Funds { .. } | Self::Import { .. } | Self::Offer { .. } => None,
        }
    }

    /// The region that it states of a school; nothing of what is about no school.
    #[must_use]
    pub const fn school_region(&self) -> Option<Option<Region>> {
        match self {
            Self::Entry { region, .. } => Some(*region),
            Self::Funds { .. } | Self::Import { .. } | Self::Offer { .. } => None,
        }
    }

    /// How an offer is now.
    pub(in crate::domain) fn of_offer(offer: &Offer) -> Self {
        Self::Offer { etag: offer.etag(), region: offer.region }
    }
}

impl ProgrammeState {
    /// Refuses what would do more than an approval states. Before rules 2 approvals stated nothing.
    pub(in crate::domain::programme) fn beyond(&self, approval: &Approval, now: &Statement) -> Option<Refusal> {
        if self.rules < RulesVersion::V2 { None } else { beyond(approval, now, self) }
    }
}

/// Refuses what would do more than an approval states. `now` is what it would do at this moment.
fn beyond(approval: &Approval, now: &Statement, facts: &ProgrammeState) -> Option<Refusal> {
    let Some(stated) = &approval.statement else {
        let difference = ("nobody knows what has changed", "it states nothing".to_owned());
        return Some(changed(approval.id, &difference));
    };
    match (stated, now) {
        (Statement::Funds { funds: stated, .. }, Statement::Funds { funds, .. }) => {
            let stated = |now: &FundStatement| stated.iter().find(|it| it.fund == now.fund);
            let (now, larger) = funds.iter().find_map(|now| Some((now, now.beyond(stated(now))?)))?;
            let fund = facts.ledger.get(now.fund)?;
            Some(larger_shortfall(approval.id, fund, now, &larger))
        }
        (Statement::Offer { etag, region }, Statement::Offer { etag: now, region: now_in }) => {
            let difference = match (etag == now, region == now_in) {
                (true, true) => return None,
                (false, _) => ("the offer has changed", format!("etag {etag} is stated, {now} is current")),
                (true, false) => ("the offer has moved", format!("{region} is stated, it is in {now_in}")),
            };
            Some(changed(approval.id, &difference))
        }
        (Statement::Entry { .. }, Statement::Entry { .. }) => {
            entry_differs(stated, now).map(|it| changed(approval.id, &it))
        }
        _ => Some(changed(approval.id, &("what was asked has changed", "it states something else".to_owned()))),
    }
}

/// In what a school has changed since an approval to decide its entry position was asked for.
fn entry_differs(stated: &Statement, now: &Statement) -> Option<(&'static str, String)> {
    let Statement::Entry { region, before, offers, .. } = stated else { return None };
    let Statement::Entry { region: now_in, before: decided, offers: now_on, .. } = now else { return None };
    if region != now_in {
        let place = |it: &Option<Region>| it.map_or_else(|| "no region".to_owned(), |it| it.to_string());
        return Some(("the school has moved", format!("{} is stated, it is in {}", place(region), place(now_in))));
    }
    if before != decided {
        let met = |it: &Option<bool>| it.map_or("not decided", phrase);
        return Some((
            "its entry position was decided",
            format!("{} is stated, it is {} now", met(before), met(decided)),
        ));
    }
    let (stated, now) = (offers.as_ref()?, now_on.as_ref()?);
    let named = |of: &[OfferId]| match of {
        [] => "no open offer".to_owned(),
        of => format!("open offer {}", of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    (stated != now).then(|| {
        ("the offer it is on has changed", format!("{} is stated, it is on {} now", named(stated), named(now)))
    })
}

/// The most offers that a refusal names.
const NAMED: usize = 10;

/// Refuses to withdraw an import that would leave other offers without their ground than an approval states.
#[must_use]
pub fn other_offers(approval: ApprovalId, stated: Option<&Statement>, offers: &[OfferId]) -> Option<Refusal> {
    let Some(Statement::Import { offers: stated }) = stated else {
        return Some(changed(approval, &("nobody knows what has changed", "it states nothing".to_owned())));
    };
    let others: Vec<&OfferId> = offers.iter().filter(|it| !stated.contains(it)).collect();
    if others.is_empty() {
        return None;
    }
    let named: Vec<String> = others.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if others.len() > NAMED { ", ..." } else { "" };
    let message = format!(
        "approval {approval} states {} offers that would be left without their ground; now {} others would be: {}{more}",
        stated.len(),
        others.len(),
        named.join(", ")
    );
    let remedy = "have whoever asked withdraw this approval and ask again, so that what is approved is what was asked";
    Some(Refusal::of(
        Reason::ApprovalExceeded,
        message,
        Limit::plain("approval", format!("approval {approval}"), remedy),
    ))
}

fn larger_shortfall(approval: ApprovalId, fund: &Account, now: &FundStatement, larger: &Shorter) -> Refusal {
    let Shorter { short, stated, in_the_past } = *larger;
    let (worst, when, dated) = if in_the_past {
        (" on its worst day", " as of a day in the past", ", dated as early,")
    } else {
        ("", " now", "")
    };
    let more = Pence(short.get().saturating_sub(stated.get()));
    let message = format!(
        "approval {approval} states that the fund would be {stated} short{worst}; it would be {short} short{when}, {more} more"
    );
    let asked = now.before.available.get().saturating_sub(now.after.available.get());
    let most = asked.saturating_sub(more.get()).max(0);
    let remedy = format!("ask for what is meant now, or allocate at least {more}{dated} to the fund first");
    Refusal::of(Reason::ApprovalExceeded, message, fund.limit(Some(asked), most, remedy))
}

/// How an entry position is called.
pub(in crate::domain::programme) const fn phrase(met: bool) -> &'static str {
    if met { "met" } else { "not met" }
}

pub(in crate::domain::programme) fn changed(approval: ApprovalId, (what, difference): &(&str, String)) -> Refusal {
    let remedy = "ask again, so that what is approved is what was asked";
    let limit = Limit::plain("approval", format!("approval {approval}"), remedy);
    let message = format!("{what} since this approval was asked for: {difference}");
    Refusal::of(Reason::ApprovalNotOpen, message, limit)
}
