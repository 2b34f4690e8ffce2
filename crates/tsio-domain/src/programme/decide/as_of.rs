//! Checks accounts as of a day in the past. A posting must not make the available amount negative on its date or on any later day,
//! even if enough is available today (`domain.md` section 5, "As of a day").
//!
//! Only the available amount needs this check. The order of the dates of each award (see [`super::dates`]) ensures that the
//! committed and the spent amount are not negative.

use std::collections::BTreeSet;

use crate::Date;
use crate::ids::AccountId;
use crate::ledger::{Account, Owner, shown};
use crate::programme::command::Command;
use crate::programme::state::ProgrammeState;
use crate::refusal::{Limit, LimitKind, Reason, Refusal, join_remedies};
use crate::rules::RulesVersion;
use crate::terms::StrandId;

/// The verb that the remedy of a refused award uses: `award at most ...`.
pub(super) const AWARD_VERB: &str = "award";

impl ProgrammeState {
    /// The day as of which a command takes an amount from funds, and the strands of these funds. May have strands that the command
    /// turns out not to need: a change of a fund names the fund, whose strand is not known before it is loaded. `None` for a
    /// command that takes no amount as of a date.
    #[must_use]
    pub fn strands_taken_from(&self, command: &Command, today: Date) -> Option<(Date, BTreeSet<StrandId>)> {
        let all_strands = || self.programme.scheme.strands().iter().map(|it| it.id.clone()).collect();
        match command {
            // All funds of the strand, from the earliest possible day: an earlier command of the batch may still change the
            // offer's region or the day of its acceptance.
            Command::Award { awards, on, .. } => {
                let window = self.programme.scheme.award_window();
                let on = on.unwrap_or(if today > window.to { window.from } else { today });
                Some((on, awards.iter().map(|it| it.support.strand()).collect()))
            }
            Command::ChangeFund { change, .. } => Some((change.on(), all_strands())),
            Command::GiveApproval { approval, .. } => {
                let change = self.approvals.get(approval).and_then(|it| it.change.as_ref());
                change.map(|it| (it.on(), all_strands()))
            }
            _ => None,
        }
    }

    /// The stored accounts from which a command takes an amount, each with the date of the posting. May contain accounts that the
    /// command turns out not to need. Empty for a command that takes no amount as of a date.
    #[must_use]
    pub fn accounts_taken_from(&self, command: &Command, today: Date) -> Vec<(AccountId, Date)> {
        let Some((on, strands)) = self.strands_taken_from(command, today) else { return Vec::new() };
        let funds = self.ledger.accounts().filter(|it| matches!(it.owner, Owner::Fund { .. }));
        let funds = funds.filter(|it| strands.contains(&it.strand)).map(|it| it.id);
        let offer = if let Command::Award { offer, .. } = command { Some(offer.offer) } else { None };
        let caps = offer.into_iter().flat_map(|offer| strands.iter().map(move |it| AccountId::of_cap(offer, it)));
        funds.chain(caps).map(|account| (account, on)).collect()
    }

    /// The least available amount of an account as of `on` and each later day. [`i64::MAX`] if the account does not bind, and under
    /// rules 1, which had no such limit.
    pub(in crate::programme) fn least_available_from(&self, account: &Account, on: Date) -> i64 {
        if !account.binds || self.rules < RulesVersion::V2 {
            return i64::MAX;
        }
        let days = self.account_days.available_from(account, on);
        days.iter().map(|(_, available)| *available).min().unwrap_or(account.available)
    }

    /// Refuses to take an amount as of `on` if less was available on that or any later day. None if enough was available, or if the
    /// amount is none. The refusal names the first day with too little, and the first date with which the command would pass.
    pub(in crate::programme) fn unavailable_as_of(
        &self,
        account: &Account,
        on: Date,
        amount: Option<i64>,
        verb: &str,
    ) -> Option<Refusal> {
        let least = self.least_available_from(account, on);
        let amount = amount.filter(|it| *it > least)?;
        let days = self.account_days.available_from(account, on);
        let (first_short, available) = days.iter().find(|(_, available)| *available < amount).copied()?;
        let last_short = days.iter().rposition(|(_, available)| *available < amount)?;
        let first_passing = days.get(last_short.saturating_add(1)).map(|(day, _)| *day);
        // An award cannot be dated after the award window.
        let last_award_day = self.programme.scheme.award_window().to;
        let first_passing = first_passing.filter(|day| verb != AWARD_VERB || *day <= last_award_day);
        let is_fund = matches!(account.owner, Owner::Fund { .. });
        let (unit, headroom) = (account.unit, least.max(0));
        let remedy = join_remedies(&[
            first_passing.map(|day| format!("give a date on or after {day}")),
            (headroom > 0).then(|| format!("{verb} at most {}", shown(unit, headroom))),
            (is_fund && first_passing.is_none())
                .then(|| format!("allocate money that the fund had by {first_short}, dated then")),
        ]);
        let (requested, available_then) = (shown(unit, amount), shown(unit, available));
        let message = format!("{requested} is more than was available as of {first_short}: {available_then}");
        let limit = account.limit(Some(amount), headroom, remedy);
        let limit = Limit { kind: LimitKind::AsOf, available: Some(available), ..limit };
        Some(Refusal::of(Reason::FundsInsufficient, message, limit))
    }
}
