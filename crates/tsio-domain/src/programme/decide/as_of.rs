//! Checks accounts as of a day in the past. A posting must not make the available amount negative on any day from its date on, even
//! if enough is available today (`domain.md` section 5, "As of a day").
//!
//! Only the available amount needs this check. The order of the dates of each award (see [`super::dates`]) ensures it for the
//! committed and the spent amount.

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
    /// The accounts from which a command takes an amount, each with the date of the posting. May contain more than are needed.
    #[must_use]
    pub fn accounts_taken_from(&self, command: &Command, today: Date) -> Vec<(AccountId, Date)> {
        match command {
            Command::Award { offer, awards, on } => {
                let Some(offer) = self.offers.get(&offer.offer) else { return Vec::new() };
                // All funds of the strand, from the earliest possible day: an earlier command of the batch may still change the
                // offer's region or the day of its acceptance.
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

    /// The least available amount of an account as of `on` and each later day. Unlimited if the account does not bind.
    pub(in crate::programme) fn least_from(&self, account: &Account, on: Date) -> i64 {
        if !account.binds || self.rules < RulesVersion::V2 {
            return i64::MAX;
        }
        let days = self.account_days.available_from(account, on);
        days.iter().map(|(_, available)| *available).min().unwrap_or(account.available)
    }

    /// Refuses to take an amount as of `on` if less was available on that or any later day. The refusal names the first such day, and
    /// the first date with which the command would pass.
    pub(in crate::programme) fn as_of(
        &self,
        account: &Account,
        on: Date,
        amount: Option<i64>,
        verb: &str,
    ) -> Option<Refusal> {
        let least = self.least_from(account, on);
        let amount = amount.filter(|it| *it > least)?;
        let days = self.account_days.available_from(account, on);
        let (day, available) = days.iter().find(|(_, available)| *available < amount).copied()?;
        let last_short = days.iter().rposition(|(_, available)| *available < amount)?;
        let first_passing = days.get(last_short.saturating_add(1)).map(|(day, _)| *day);
        // An award cannot be dated after the award window.
        let last = self.programme.scheme.award_window().to;
        let first_passing = first_passing.filter(|day| verb != AWARD || *day <= last);
        let is_fund = matches!(account.owner, Owner::Fund { .. });
        let (unit, headroom) = (account.unit, least.max(0));
        let remedy = one_of(&[
            first_passing.map(|day| format!("give a date on or after {day}")),
            (headroom > 0).then(|| format!("{verb} at most {}", shown(unit, headroom))),
            (is_fund && first_passing.is_none())
                .then(|| format!("allocate money that the fund had by {day}, dated then")),
        ]);
        let (requested, available_then) = (shown(unit, amount), shown(unit, available));
        let message = format!("{requested} is more than was available as of {day}: {available_then}");
        let limit = account.limit(Some(amount), headroom, remedy);
        let limit = Limit { kind: LimitKind::AsOf, available: Some(available), ..limit };
        Some(Refusal::of(Reason::FundsInsufficient, message, limit))
    }
}
