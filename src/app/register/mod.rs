//! Schools and trusts as the newest files have them, and their history.

pub(crate) mod facts;

use super::eligibility::{self, DecidedEntry};
use super::{App, AppError, Result, Violation, authorise};
use crate::domain::Date;
use crate::domain::ids::{LaCode, Laestab, Programme, Uid, Urn};
use crate::domain::judgement::MonthRow;
use crate::domain::placement::Placement;
use crate::domain::region::{Region, local_authority};
use crate::domain::role::{Action, Caller};
use crate::domain::school::{HandPlacement, SchoolEnding, TrustKind};
use crate::store::imports::FileKind;
pub use crate::store::register::{Link, Membership};
use crate::store::register::{MembershipQuery, search};
use crate::store::{self, Readable};

/// Fewest characters of a search.
const SEARCH: usize = 2;

/// A school as the newest file that names it has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct School {
    /// Its URN.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// Its LAESTAB, when a file gives it.
    pub laestab: Option<Laestab>,
    /// Its local authority.
    pub la: Option<LaCode>,
    /// Its phase.
    pub phase: String,
    /// Its type, as printed.
    pub school_type: String,
    /// Its diocese, when it has one.
    pub diocese: Option<String>,
    /// Whether a file of establishments names it; without one, nobody knows whether it has a diocese.
    pub diocese_known: bool,
    /// Its status, close date and successors, as far as the files give them.
    pub ending: SchoolEnding,
    /// Why it counts as closed on the day it is asked about, in a sentence; nothing while it is open.
    pub closed: Option<String>,
    /// Where it is placed; by hand only where a programme is asked for.
    pub placement: Placement,
}

impl School {
    /// Its RSC region, when its local authority is known.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.la.and_then(Region::of)
    }

    /// Its local authority's name, when it is known.
    #[must_use]
    pub fn la_name(&self) -> Option<&'static str> {
        self.la.and_then(local_authority).map(|la| la.name)
    }
}

/// A school and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchoolHistory {
    /// The school now.
    pub school: School,
    /// Its groups in every register imported, newest first.
    pub memberships: Vec<Membership>,
    /// How people have placed it, by programme.
    pub placed: Vec<(Programme, HandPlacement)>,
    /// What two people decided of the judgements it entered the year with, by programme.
    pub entries: Vec<DecidedEntry>,
    /// What each monthly file printed of it, newest first.
    pub months: Vec<MonthRow>,
    /// Predecessors and successors.
    pub links: Vec<Link>,
}

/// A multi-academy or single-academy trust as the newest file that names it has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Its group UID.
    pub uid: Uid,
    /// Its name.
    pub name: String,
    /// Its group type, as printed.
    pub group_type: String,
    /// Open, Closed, Proposed to open, Proposed to close or Created in error.
    pub status: String,
    /// Schools in it in the newest register.
    pub schools: usize,
}

/// A page of what a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage<T, K> {
    /// What there is to show.
    pub shown: Vec<T>,
    /// The key of each found, the last of which is the `after` of the next page. More than is shown where the search
    /// still knows what no file names any more.
    pub keys: Vec<(String, K)>,
}

impl App {
    /// A page of schools whose name holds the text (any case) or whose URN it is; by name, then URN.
    ///
    /// # Errors
    /// [`AppError::Invalid`] for a text of one character.
    pub async fn find_schools(
        &self,
        caller: &Caller,
        text: &str,
        after: Option<(String, Urn)>,
        limit: u64,
    ) -> Result<SearchPage<School, Urn>> {
        authorise(caller, Action::Read)?;
        long_enough(text)?;
        let snapshot = self.snapshot().await?;
        let keys = search::find_schools(&snapshot, text, after.as_ref(), limit).await?;
        let urns: Vec<Urn> = keys.iter().map(|(_, urn)| *urn).collect();
        let mut schools = facts::schools(&snapshot, None, &urns, self.today()).await?;
        Ok(SearchPage { shown: urns.iter().filter_map(|urn| schools.remove(urn)).collect(), keys })
    }

    /// One school with its history.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when no file names it.
    pub async fn get_school(&self, caller: &Caller, urn: Urn) -> Result<SchoolHistory> {
        authorise(caller, Action::Read)?;
        let snapshot = self.snapshot().await?;
        let school = one_school(&snapshot, None, urn, self.today()).await?;
        let mut months = Vec::new();
        for import in store::imports::landed(&snapshot, FileKind::Ofsted).await? {
            months.extend(store::ofsted::of_schools(&snapshot, &import, &[urn]).await?);
        }
        Ok(SchoolHistory {
            placed: store::placements::of_school(&snapshot, urn).await?,
            entries: eligibility::counting(self, &snapshot, (&caller.reach(Action::Read), self.today()), urn).await?,
            school,
            memberships: store::register::history(&snapshot, urn).await?,
            months,
            links: store::register::links(&snapshot, urn).await?,
        })
    }

    /// One school as it is placed in a programme, hand placements included.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when no file names it.
    pub async fn school_in(&self, caller: &Caller, programme: &Programme, urn: Urn) -> Result<School> {
        authorise(caller, Action::Read)?;
        one_school(self.store(), Some(programme), urn, self.today()).await
    }

    /// A page of trusts whose name holds the text (any case) or whose UID it is; by name, then UID.
    ///
    /// # Errors
    /// [`AppError::Invalid`] for a text of one character.
    pub async fn find_trusts(
        &self,
        caller: &Caller,
        text: &str,
        after: Option<(String, Uid)>,
        limit: u64,
    ) -> Result<SearchPage<Trust, Uid>> {
        authorise(caller, Action::Read)?;
        long_enough(text)?;
        let snapshot = self.snapshot().await?;
        let keys = search::find_trusts(&snapshot, text, after.as_ref(), limit).await?;
        let uids: Vec<Uid> = keys.iter().map(|(_, uid)| *uid).collect();
        let mut named = store::register::trusts(&snapshot, &uids).await?;
        let sizes = store::register::sizes(&snapshot, &uids).await?;
        let mut trust = |uid: &Uid| Some(shown(named.remove(uid)?, sizes.get(uid).copied().unwrap_or(0)));
        Ok(SearchPage { shown: uids.iter().filter_map(&mut trust).collect(), keys })
    }

    /// One trust with its schools in the newest register, by name.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when no file names it, or as no trust.
    pub async fn get_trust(&self, caller: &Caller, uid: Uid) -> Result<(Trust, Vec<School>)> {
        authorise(caller, Action::Read)?;
        let snapshot = self.snapshot().await?;
        let (trust, urns) = one_trust(&snapshot, uid).await?;
        let found = facts::schools(&snapshot, None, &urns, self.today()).await?;
        let mut schools: Vec<School> = found.into_values().collect();
        schools.sort_by(|a, b| (&a.name, a.urn).cmp(&(&b.name, b.urn)));
        Ok((trust, schools))
    }
}

pub(crate) async fn one_school(
    from: &impl Readable,
    programme: Option<&Programme>,
    urn: Urn,
    day: Date,
) -> Result<School> {
    let found = facts::schools(from, programme, &[urn], day).await?.remove(&urn);
    found.ok_or_else(|| AppError::NotFound(format!("school {urn}")))
}

/// A trust and the URNs of its schools in the newest register, in order.
pub(crate) async fn one_trust(from: &impl Readable, uid: Uid) -> Result<(Trust, Vec<Urn>)> {
    let found = store::register::trusts(from, &[uid]).await?.remove(&uid);
    let found = found.filter(|it| TrustKind::from_gias(it.kind).is_some());
    let found = found.ok_or_else(|| AppError::NotFound(format!("trust {uid}")))?;
    let members = store::register::members(from, MembershipQuery::Groups(&[uid])).await?;
    let mut urns: Vec<Urn> = members.iter().map(|it| it.urn).collect();
    urns.dedup();
    Ok((shown(found, urns.len()), urns))
}

fn shown(it: store::register::Trust, schools: usize) -> Trust {
    Trust { uid: it.uid, name: it.name, group_type: it.kind_name, status: it.status, schools }
}

fn long_enough(text: &str) -> Result<()> {
    if text.trim().chars().count() >= SEARCH {
        return Ok(());
    }
    Err(AppError::Invalid(vec![Violation::new("search", format!("has fewer than {SEARCH} characters"))]))
}
