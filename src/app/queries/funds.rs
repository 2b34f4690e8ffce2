//! Reads funds, their positions and their entries, and finds the programme of a fund.
//!
//! A fund that the terms define exists before it has a row in the database. It is then empty.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::app::retry::with_retry;
use crate::app::{App, AppError, Result, Violation, authorise};
use crate::domain::Date;
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, Programme};
use crate::domain::ledger::{Account, EntrySeq, Ledger, Owner};
use crate::domain::refusal::EntityKind;
use crate::domain::role::{Action, Caller, Reach};
use crate::domain::time::Micros;
use crate::store::db::condition::{Condition, Operand};
use crate::store::entries::{EntryPageQuery, FundEntry, Sums};
use crate::store::{ReadTx, Readable, accounts, entries, programmes};

/// A fund of a programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fund {
    /// The programme.
    pub programme: Programme,
    /// Its account.
    pub account: Account,
}

/// The key by which funds are listed: programme, strand and region, with the national fund first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FundKey(String, String, String);

/// A field of a fund that a filter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FundField {
    /// Its strand.
    Strand,
    /// Its region, by name; no value for the national fund.
    Region,
    /// `true` if it limits what can be awarded, otherwise `false`.
    Binds,
    /// `true` if it was deliberately cut below what is committed and spent, otherwise `false`.
    OverCommitted,
    /// Its allocation. This and the following amounts are in pence.
    Allocated,
    /// Committed by awards.
    Committed,
    /// Spent, less what was refunded.
    Spent,
    /// Neither committed nor spent.
    Available,
}

/// Which entries count for a position of a fund: those that meet all conditions that are set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PositionConditions {
    /// Only entries that are effective on this day or before.
    pub as_of: Option<Date>,
    /// Only entries that were recorded at this time or before.
    pub recorded_by: Option<Micros>,
    /// Only entries of this event of the programme's record and of earlier events.
    pub at: Option<Seq>,
}

/// The balances of a fund from the entries that count, in pence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundPosition {
    /// The number of the last event whose entries may count.
    pub at: Seq,
    /// The sums of all entries that count.
    pub total: Sums,
    /// The sums by financial year.
    pub years: Vec<(String, Sums)>,
}

impl Fund {
    /// The key by which it is listed.
    #[must_use]
    pub fn key(&self) -> FundKey {
        let region = match &self.account.owner {
            Owner::Fund { region: Some(region) } => region.to_string(),
            Owner::Fund { region: None } | Owner::Cap { .. } => String::new(),
        };
        FundKey(self.programme.to_string(), self.account.strand.to_string(), region)
    }

    fn value(&self, field: FundField) -> Operand {
        let account = &self.account;
        match (field, &account.owner) {
            (FundField::Strand, _) => Operand::Text(account.strand.to_string()),
            (FundField::Region, Owner::Fund { region: Some(region) }) => Operand::Text(region.to_string()),
            (FundField::Region, _) => Operand::Nothing,
            (FundField::Binds, _) => Operand::Text(account.binds.to_string()),
            (FundField::OverCommitted, _) => Operand::Text(account.over_committed.to_string()),
            (FundField::Allocated, _) => Operand::Number(account.allocated()),
            (FundField::Committed, _) => Operand::Number(account.committed),
            (FundField::Spent, _) => Operand::Number(account.spent),
            (FundField::Available, _) => Operand::Number(account.available),
        }
    }
}

impl Fund {
    /// Whether the fund is within a caller's reach. A cap is never within a reach here, because it belongs to its offer.
    fn is_within(&self, reach: &Reach) -> bool {
        match self.account.owner {
            Owner::Fund { region } => reach.covers_fund(region),
            Owner::Cap { .. } => false,
        }
    }
}

impl fmt::Display for FundKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}", self.0, self.1, self.2)
    }
}

impl FromStr for FundKey {
    type Err = &'static str;
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '\n').map(ToOwned::to_owned);
        let mut key = || Some(Self(parts.next()?, parts.next()?, parts.next()?));
        key().ok_or("is no place in the list of funds")
    }
}

impl App {
    /// Every stored fund, for the metrics: amounts, without personal data.
    pub(crate) async fn stored_funds(&self) -> Result<Vec<Fund>> {
        let funds = accounts::funds(self.store(), None).await?;
        Ok(funds.into_iter().map(|(programme, account)| Fund { programme, account }).collect())
    }

    /// Finds the programme of these funds. All of them must belong to one programme, because money moves only within a
    /// programme.
    ///
    /// # Errors
    /// [`AppError::NotFound`] naming the fund that does not exist; [`AppError::Invalid`] for funds of two programmes;
    /// [`AppError::Bug`] if there are no funds.
    pub(in crate::app) async fn programme_of_funds(&self, ids: &[AccountId]) -> Result<Programme> {
        let mut found = self.programme_lookup().funds.find(ids);
        if found.len() < ids.len() {
            let read = with_retry(|| self.find_funds(self.store(), ids)).await?;
            found = read.into_iter().map(|(id, fund)| (id, fund.programme)).collect();
            self.programme_lookup().funds.remember(&found);
        }
        let mut programme: Option<&Programme> = None;
        for id in ids {
            let of_fund = found.iter().find(|(it, _)| it == id).map(|(_, programme)| programme);
            let of_fund = of_fund.ok_or_else(|| AppError::not_found(EntityKind::Fund, id))?;
            if programme.is_some_and(|it| it != of_fund) {
                let why = format!("belongs to another programme, {of_fund}");
                return Err(AppError::Invalid(vec![Violation::new("to_fund", why)]));
            }
            programme = Some(of_fund);
        }
        let programme = programme.cloned();
        programme.ok_or_else(|| AppError::Bug("a change of no fund".to_owned()))
    }

    /// One fund as it is now.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Denied`].
    pub async fn get_fund(&self, caller: &Caller, id: AccountId) -> Result<Fund> {
        authorise(caller, Action::Read)?;
        self.find_fund(self.store(), &caller.reach(Action::Read), id).await
    }

    /// A page of the funds within reach that match a condition, of one programme or of all, beginning after `after`.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for an unknown programme; [`AppError::Denied`].
    pub async fn list_funds(
        &self,
        caller: &Caller,
        (programme, condition): (Option<&Programme>, Option<&Condition<FundField>>),
        after: Option<&FundKey>,
        limit: u64,
    ) -> Result<Vec<Fund>> {
        authorise(caller, Action::Read)?;
        if let Some(programme) = programme {
            self.terms(programme).await?;
        }
        let snapshot = self.snapshot().await?;
        let mut funds = self.funds_of_terms(&snapshot, programme).await?;
        for (programme, account) in accounts::funds(&snapshot, programme).await? {
            funds.insert(account.id, Fund { programme, account });
        }
        // A strand of a programme has at most nine funds, so they can be sorted in memory.
        let reach = caller.reach(Action::Read);
        let matches = |it: &Fund| {
            condition.is_none_or(|all| all.holds(&|field, how, operand| it.value(field).compares(how, operand)))
        };
        let is_listed = |it: &Fund| it.is_within(&reach) && after.is_none_or(|after| it.key() > *after) && matches(it);
        let mut page: Vec<Fund> = funds.into_values().filter(is_listed).collect();
        page.sort_by_key(Fund::key);
        page.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(page)
    }

    /// Computes the balances of a fund from the entries that meet the conditions.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Invalid`] for an event that the record does not have yet; [`AppError::Denied`];
    /// [`AppError::Bug`] if the sums do not fit into 64 bits.
    pub async fn fund_position(
        &self,
        caller: &Caller,
        id: AccountId,
        conditions: PositionConditions,
    ) -> Result<FundPosition> {
        authorise(caller, Action::Read)?;
        let snapshot = self.snapshot().await?;
        let programme = self.find_fund(&snapshot, &caller.reach(Action::Read), id).await?.programme;
        let last = head(&snapshot, &programme).await?.last();
        let at = conditions.at.unwrap_or(last);
        if at > last {
            let why = format!("{at} has not been reached: the last event of {programme} is {last}");
            return Err(AppError::Invalid(vec![Violation::new("at_sequence", why)]));
        }
        let query = entries::PositionQuery { as_of: conditions.as_of, recorded_by: conditions.recorded_by, at };
        let years = entries::position(&snapshot, &programme, id, query).await?;
        let mut total = Sums { allocated: 0, committed: 0, spent: 0 };
        for (year, moved) in &years {
            let sum = |a: i64, b: i64| {
                a.checked_add(b).ok_or_else(|| AppError::Bug(format!("fund {id}: the sums of {year} do not fit")))
            };
            total = Sums {
                allocated: sum(total.allocated, moved.allocated)?,
                committed: sum(total.committed, moved.committed)?,
                spent: sum(total.spent, moved.spent)?,
            };
        }
        Ok(FundPosition { at, total, years })
    }

    /// Authorises reading the entries of a fund. Returns its programme and the number of the last entry.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Denied`].
    pub async fn fund_ledger(&self, caller: &Caller, id: AccountId) -> Result<(Programme, EntrySeq)> {
        authorise(caller, Action::ReadLedger)?;
        let snapshot = self.snapshot().await?;
        let programme = self.find_fund(&snapshot, &caller.reach(Action::ReadLedger), id).await?.programme;
        let next = head(&snapshot, &programme).await?.next_entry;
        Ok((programme, EntrySeq(next.0.saturating_sub(1))))
    }

    /// A page of a fund's entries; [`App::fund_ledger`] authorises it. Entries are only appended, so pages that end at the
    /// same last entry are consistent with each other, even if they are read at different times.
    ///
    /// # Errors
    /// [`AppError::Unavailable`].
    pub async fn fund_entries(&self, requested: &EntryPageQuery<'_>) -> Result<Vec<FundEntry>> {
        Ok(with_retry(|| entries::page(self.store(), requested)).await?)
    }

    /// Finds a fund within this reach.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    async fn find_fund(&self, from: &dyn Readable, reach: &Reach, id: AccountId) -> Result<Fund> {
        let mut found = self.find_funds(from, &[id]).await?;
        found.remove(&id).filter(|it| it.is_within(reach)).ok_or_else(|| AppError::not_found(EntityKind::Fund, id))
    }

    /// Finds the funds among these accounts. A fund may be stored, or only defined by terms. Caps are left out.
    async fn find_funds(&self, from: &dyn Readable, ids: &[AccountId]) -> Result<BTreeMap<AccountId, Fund>> {
        let stored = accounts::find(from, ids).await?;
        let funds = stored.into_iter().filter(|(_, account)| matches!(account.owner, Owner::Fund { .. }));
        let mut found: BTreeMap<AccountId, Fund> =
            funds.map(|(programme, account)| (account.id, Fund { programme, account })).collect();
        if ids.iter().any(|id| !found.contains_key(id)) {
            let of_terms = self.funds_of_terms(from, None).await?;
            for (id, fund) in of_terms.into_iter().filter(|(id, _)| ids.contains(id)) {
                found.entry(id).or_insert(fund);
            }
        }
        Ok(found)
    }

    /// The funds that the terms of all programmes define, or those of the programme `only`. All of them are empty.
    async fn funds_of_terms(&self, from: &dyn Readable, only: Option<&Programme>) -> Result<BTreeMap<AccountId, Fund>> {
        let mut funds = BTreeMap::new();
        for row in programmes::all_terms(from).await? {
            if only.is_some_and(|only| *only != row.programme) {
                continue;
            }
            let loaded = self.inner.terms.get_or_load(from, &row.programme).await?;
            for account in Ledger::of_programme(&loaded.terms).accounts() {
                funds.insert(account.id, Fund { programme: row.programme.clone(), account: account.clone() });
            }
        }
        Ok(funds)
    }
}

async fn head(snapshot: &ReadTx, programme: &Programme) -> Result<programmes::Head> {
    let head = programmes::head_of(snapshot, programme).await?;
    head.ok_or_else(|| AppError::Bug(format!("programme {programme} has no record")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_key_is_parsed_as_it_is_written() {
        let national = FundKey("2021-22".to_owned(), "credit".to_owned(), String::new());
        let regional = FundKey("2021-22".to_owned(), "credit".to_owned(), "West Midlands".to_owned());
        assert!(national < regional);
        for key in [national, regional] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        assert!("2021-22\ncredit".parse::<FundKey>().is_err());
    }
}
