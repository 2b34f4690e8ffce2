//! What an account has as of a day in the past: a posting must not make any day from its own on impossible, however
//! much there is by now (`domain.md` section 5, "As of a day").
//!
//! Only what is available can fall below zero as of a day: what is committed and spent follows the order of dates of each
//! award (see [`super::dates`]).

use crate::Date;
use crate::ids::AccountId;
use crate::ledger::{Account, Owner, shown};
use crate::programme::command::Command;
use crate::programme::state::ProgrammeState;
use crate::refusal::{Limit, LimitKind, Reason, Refusal, one_of};
use crate::rules::RulesVersion;

/// The verb of an award, in the remedy of a refusal.
pub(super) const AWARD: &str = "award";

impl ProgrammeState {
    /// The accounts out of which a command takes something as of a day.
    #[must_use]
    pub fn taken_from(&self, command: &Command, today: Date) -> Vec<(AccountId, Date)> {
        match command {
            Command::Award { offer, awards, on } => {
                let Some(offer) = self.offers.get(&offer.offer) else { return Vec::new() };
                // What comes before it in the same group may still move the offer's region, or the day it was accepted.
                let window = self.programme.scheme.award_window();
                let on = on.unwrap_or(if today > window.to { window.from } else { today });
                let accounts = awards.iter().map(|it| it.support.strand()).flat_map(|strand| {
                    let funds = self.ledger.accounts().filter(|it| matches!(it.owner, Owner::Fund { .. }));
                    let funds: Vec<AccountId> = funds.filter(|it| it.strand == strand).map(|it| it.id).collect();
                    funds.into_iter().chain([AccountId::of_cap(offer.id, &strand)])
                });
                accounts.map(|it| (it, on)).collect()
            }
            Command::ChangeFund { change, .. } => vec![(change.fund(), change.on())],
            Command::GiveApproval { approval, .. } => {
                let change = self.approvals.get(approval).and_then(|it| it.change.as_ref());
                change.map(|it| (it.fund(), it.on())).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// The least that an account leaves as of a day and each later one.
    pub(in crate::programme) fn least_from(&self, account: &Account, on: Date) -> i64 {
        if !account.binds || self.rules < RulesVersion::V2 {
            return i64::MAX;
        }
        let days = self.days.available_from(account, on);
        days.iter().map(|(_, available)| *available).min().unwrap_or(account.available)
    }

    /// Refuses to take an amount out of what is available as of a day, where some day from then on has less: names the
    /// first such day, and the first from which it would pass.
    pub(in crate::programme) fn as_of(
        &self,
        account: &Account,
        on: Date,
        amount: Option<i64>,
        verb: &str,
    ) -> Option<Refusal> {
        let least = self.least_from(account, on);
        let amount = amount.filter(|it| *it > least)?;
        let days = self.days.available_from(account, on);
        let (day, available) = days.iter().find(|(_, available)| *available < amount).copied()?;
        let last_short = days.iter().rposition(|(_, available)| *available < amount)?;
        let passes = days.get(last_short.saturating_add(1)).map(|(day, _)| *day);
        // An award is made within its window.
        let last = self.programme.scheme.award_window().to;
        let passes = passes.filter(|day| verb != AWARD || *day <= last);
        let is_fund = matches!(account.owner, Owner::Fund { .. });
        let (unit, headroom) = (account.unit, least.max(0));
        let remedy = one_of(&[
            passes.map(|day| format!("give a date on or after {day}")),
            (headroom > 0).then(|| format!("{verb} at most {}", shown(unit, headroom))),
            (is_fund && passes.is_none()).then(|| format!("allocate money that the fund had by {day}, dated then")),
        ]);
        let (asked, there) = (shown(unit, amount), shown(unit, available));
        let message = format!("{asked} is more than was available as of {day}: {there}");
        let limit = account.limit(Some(amount), headroom, remedy);
        let limit = Limit { kind: LimitKind::AsOf, available: Some(available), ..limit };
        Some(Refusal::of(Reason::FundsInsufficient, message, limit))
    }
}
