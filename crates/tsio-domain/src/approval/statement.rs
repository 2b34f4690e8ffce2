//! Compares the statement of an approval with the current state.
//!
//! When an approval is given, its statement is computed again. If the action would now do more than the approval
//! states, the action is refused. The refusal names the difference, and the approval stays open (`domain.md` section
//! 8).

use super::Approval;
use crate::ids::{AccountId, ApprovalId, OfferId};
use crate::ledger::Account;
use crate::money::Pence;
use crate::refusal::{Limit, LimitKind, Reason, Refusal};
use crate::region::Region;
use crate::values::statement::{FundStatement, LargerShortfall, Statement};

impl Approval {
    /// Returns a refusal if the action would now do more than the approval states; otherwise `None`. `now` is the
    /// statement that was computed from the current state. `fund` looks up a fund that `now` names.
    #[must_use]
    pub fn exceeded_by<'a>(&self, now: &Statement, fund: impl Fn(AccountId) -> Option<&'a Account>) -> Option<Refusal> {
        let Some(stated) = &self.statement else {
            let difference = ("nobody knows what has changed", "it states nothing".to_owned());
            return Some(changed(self.id, &difference));
        };
        match (stated, now) {
            (Statement::Funds { funds: stated, .. }, Statement::Funds { funds, .. }) => {
                let stated_of = |now: &FundStatement| stated.iter().find(|it| it.fund == now.fund);
                let (now, larger) =
                    funds.iter().find_map(|now| Some((now, now.larger_shortfall_than(stated_of(now))?)))?;
                Some(larger_shortfall_refusal(self.id, fund(now.fund)?, now, &larger))
            }
            (Statement::Offer { etag, region }, Statement::Offer { etag: etag_now, region: region_now }) => {
                let difference = match (etag == etag_now, region == region_now) {
                    (true, true) => return None,
                    (false, _) => ("the offer has changed", format!("etag {etag} is stated, {etag_now} is current")),
                    (true, false) => ("the offer has moved", format!("{region} is stated, it is in {region_now}")),
                };
                Some(changed(self.id, &difference))
            }
            (Statement::Entry { .. }, Statement::Entry { .. }) => {
                entry_difference(stated, now).map(|it| changed(self.id, &it))
            }
            (Statement::Import { offers: stated }, Statement::Import { offers }) => {
                more_offers_refusal(self.id, stated, offers)
            }
            (
                Statement::Funds { .. } | Statement::Offer { .. } | Statement::Entry { .. } | Statement::Import { .. },
                _,
            ) => Some(changed(self.id, &("what was asked has changed", "it states something else".to_owned()))),
        }
    }
}

/// Returns what has changed about a school since the approval to decide its entry position was requested. The first
/// text is the change, the second the difference. `None` if nothing has changed.
fn entry_difference(stated: &Statement, now: &Statement) -> Option<(&'static str, String)> {
    let Statement::Entry { region, before, offers, .. } = stated else { return None };
    let Statement::Entry { region: region_now, before: position_now, offers: offers_now, .. } = now else {
        return None;
    };
    if region != region_now {
        let name = |it: &Option<Region>| it.map_or_else(|| "no region".to_owned(), |it| it.to_string());
        return Some(("the school has moved", format!("{} is stated, it is in {}", name(region), name(region_now))));
    }
    if before != position_now {
        let name = |it: &Option<bool>| it.map_or("not decided", phrase);
        return Some((
            "its entry position was decided",
            format!("{} is stated, it is {} now", name(before), name(position_now)),
        ));
    }
    let (stated, now) = (offers.as_ref()?, offers_now.as_ref()?);
    let names = |offers: &[OfferId]| match offers {
        [] => "no open offer".to_owned(),
        offers => format!("open offer {}", offers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    (stated != now).then(|| {
        ("the offer it is on has changed", format!("{} is stated, it is on {} now", names(stated), names(now)))
    })
}

/// The maximum number of offers that a refusal names.
const MAX_NAMED_OFFERS: usize = 10;

/// Returns a refusal if the withdrawal of an import would take the eligibility of schools on an offer that the approval
/// does not state. Otherwise `None`.
fn more_offers_refusal(approval: ApprovalId, stated: &[OfferId], offers: &[OfferId]) -> Option<Refusal> {
    let others: Vec<&OfferId> = offers.iter().filter(|it| !stated.contains(it)).collect();
    if others.is_empty() {
        return None;
    }
    let named: Vec<String> = others.iter().take(MAX_NAMED_OFFERS).map(ToString::to_string).collect();
    let more = if others.len() > MAX_NAMED_OFFERS { ", ..." } else { "" };
    let message = format!(
        "approval {approval} states {} offers that would be left without their ground; now {} others would be: {}{more}",
        stated.len(),
        others.len(),
        named.join(", ")
    );
    let remedy = "have the requester withdraw this approval and ask again, so that what is approved is what was asked";
    Some(Refusal::of(Reason::ApprovalExceeded, message, Limit::plain(LimitKind::Approval, approval, remedy)))
}

/// Returns the refusal of a movement after which the shortfall of a fund would be larger than the approval states.
fn larger_shortfall_refusal(
    approval: ApprovalId,
    fund: &Account,
    now: &FundStatement,
    larger: &LargerShortfall,
) -> Refusal {
    let LargerShortfall { short, stated, in_the_past } = *larger;
    let (worst, when, dated) = if in_the_past {
        (" on its worst day", " as of a day in the past", ", dated as early,")
    } else {
        ("", " now", "")
    };
    let more = Pence(short.get().saturating_sub(stated.get()));
    let message = format!(
        "approval {approval} states that the fund would be {stated} short{worst}; it would be {short} short{when}, {more} more"
    );
    let requested = now.before.available.get().saturating_sub(now.after.available.get());
    let largest = requested.saturating_sub(more.get()).max(0);
    let remedy =
        format!("have the requester ask for what is meant now, or allocate at least {more}{dated} to the fund first");
    Refusal::of(Reason::ApprovalExceeded, message, fund.limit(Some(requested), largest, remedy))
}

/// The name of an entry position in a sentence.
pub(crate) const fn phrase(met: bool) -> &'static str {
    if met { "met" } else { "not met" }
}

/// Returns the refusal to give an approval because something has changed since it was requested. `what` names the
/// change, and `difference` the stated and the current value.
pub(crate) fn changed(approval: ApprovalId, (what, difference): &(&str, String)) -> Refusal {
    let remedy = "have the requester ask again, under a new request id, so that what is approved is what was asked";
    let limit = Limit::plain(LimitKind::Approval, approval, remedy);
    let message = format!("{what} since this approval was asked for: {difference}");
    Refusal::of(Reason::ApprovalNotOpen, message, limit)
}
