//! Searches for schools and trusts, and reads a school with its history.

use crate::app::eligibility::{self, DecidedEntry};
use crate::app::register::{Link, Membership, School, Trust, facts, one_school, one_trust, to_shown_trust};
use crate::app::{App, AppError, Result, Violation, authorise};
use crate::domain::Date;
use crate::domain::ids::{Programme, Uid, Urn};
use crate::domain::judgement::MonthRow;
use crate::domain::role::{Action, Caller};
use crate::domain::school::HandPlacement;
use crate::store;
use crate::store::imports::FileKind;
use crate::store::register::search;

/// The fewest characters of a search text.
const MIN_SEARCH: usize = 2;

/// A school and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchoolHistory {
    /// The school now.
    pub school: School,
    /// Its memberships in groups, in every register that was imported, newest first.
    pub memberships: Vec<Membership>,
    /// Its placements by hand, by programme.
    pub placed: Vec<(Programme, HandPlacement)>,
    /// The decisions about its entry position, by programme.
    pub entries: Vec<DecidedEntry>,
    /// Its rows in the monthly files, newest first.
    pub months: Vec<MonthRow>,
    /// Predecessors and successors.
    pub links: Vec<Link>,
}

/// A page of search results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage<T, K> {
    /// The results.
    pub shown: Vec<T>,
    /// The keys that the search matched; the last is the `after` of the next page. The search may match schools or trusts that
    /// no landed file names any more: those are not in `shown`.
    pub keys: Vec<(String, K)>,
}

impl App {
    /// A page of the schools whose name contains the text, in upper or lower case, or whose URN is the text. Names that begin with
    /// the text come first, then those in which a word begins with it. Each group is ordered by name, then by URN.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::Invalid`] for a text of fewer than two characters.
    pub async fn find_schools(
        &self,
        caller: &Caller,
        today: Date,
        text: &str,
        after: Option<(String, Urn)>,
        limit: u64,
    ) -> Result<SearchPage<School, Urn>> {
        authorise(caller, Action::Read)?;
        check_length(text)?;
        let snapshot = self.snapshot().await?;
        let keys = search::find_schools(&snapshot, text, after.as_ref(), limit).await?;
        let urns: Vec<Urn> = keys.iter().map(|(_, urn)| *urn).collect();
        let mut schools = facts::schools(&snapshot, None, &urns, today).await?;
        Ok(SearchPage { shown: urns.iter().filter_map(|urn| schools.remove(urn)).collect(), keys })
    }

    /// One school with its history.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::NotFound`] if no file names it.
    pub async fn get_school(&self, caller: &Caller, today: Date, urn: Urn) -> Result<SchoolHistory> {
        authorise(caller, Action::Read)?;
        let snapshot = self.snapshot().await?;
        let school = one_school(&snapshot, None, urn, today).await?;
        let mut months = Vec::new();
        for import in store::imports::landed(&snapshot, FileKind::Ofsted).await? {
            months.extend(store::ofsted::of_schools(&snapshot, &import, &[urn]).await?);
        }
        Ok(SchoolHistory {
            placed: store::placements::of_school(&snapshot, urn).await?,
            entries: eligibility::decisions_of_school(self, &snapshot, (&caller.reach(Action::Read), today), urn)
                .await?,
            school,
            memberships: store::register::history(&snapshot, urn).await?,
            months,
            links: store::register::links(&snapshot, urn).await?,
        })
    }

    /// A page of the trusts whose name contains the text, in upper or lower case, or whose UID is the text. Ordered by
    /// name, then by UID.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::Invalid`] for a text of fewer than two characters.
    pub async fn find_trusts(
        &self,
        caller: &Caller,
        text: &str,
        after: Option<(String, Uid)>,
        limit: u64,
    ) -> Result<SearchPage<Trust, Uid>> {
        authorise(caller, Action::Read)?;
        check_length(text)?;
        let snapshot = self.snapshot().await?;
        let keys = search::find_trusts(&snapshot, text, after.as_ref(), limit).await?;
        let uids: Vec<Uid> = keys.iter().map(|(_, uid)| *uid).collect();
        let mut named = store::register::trusts(&snapshot, &uids).await?;
        let sizes = store::register::sizes(&snapshot, &uids).await?;
        let mut trust = |uid: &Uid| Some(to_shown_trust(named.remove(uid)?, sizes.get(uid).copied().unwrap_or(0)));
        Ok(SearchPage { shown: uids.iter().filter_map(&mut trust).collect(), keys })
    }

    /// One trust with its schools in the newest register, by name.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::NotFound`] if no file names it as a trust.
    pub async fn get_trust(&self, caller: &Caller, today: Date, uid: Uid) -> Result<(Trust, Vec<School>)> {
        authorise(caller, Action::Read)?;
        let snapshot = self.snapshot().await?;
        let (trust, urns) = one_trust(&snapshot, uid).await?;
        let by_urn = facts::schools(&snapshot, None, &urns, today).await?;
        let mut schools: Vec<School> = by_urn.into_values().collect();
        schools.sort_by(|a, b| (&a.name, a.urn).cmp(&(&b.name, b.urn)));
        Ok((trust, schools))
    }
}

/// Fails if a search text is too short.
fn check_length(text: &str) -> Result<()> {
    if text.trim().chars().count() >= MIN_SEARCH {
        return Ok(());
    }
    Err(AppError::Invalid(vec![Violation::new("search", format!("has fewer than {MIN_SEARCH} characters"))]))
}
