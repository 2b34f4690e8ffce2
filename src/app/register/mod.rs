//! Loads schools and trusts from the newest files.

pub(crate) mod facts;

use super::{AppError, Result};
use crate::domain::Date;
use crate::domain::ids::{LaCode, Laestab, Programme, Uid, Urn};
use crate::domain::placement::Placement;
use crate::domain::refusal::EntityKind;
use crate::domain::region::{Region, local_authority};
use crate::domain::school::{SchoolEnding, TrustKind};
use crate::store::register::MembershipQuery;
pub use crate::store::register::{Link, Membership};
use crate::store::{self, Readable};

/// A school, as in the newest file that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct School {
    /// Its URN.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// Its LAESTAB, if a file gives it.
    pub laestab: Option<Laestab>,
    /// Its local authority, if a file gives it.
    pub la: Option<LaCode>,
    /// Its phase.
    pub phase: String,
    /// Its type, as printed.
    pub school_type: String,
    /// Its diocese; `None` if it has none, or if that is unknown.
    pub diocese: Option<String>,
    /// Whether a file of establishments names the school. If none does, it is unknown whether the school has a diocese.
    pub diocese_known: bool,
    /// Its status, close date and successors, if the files give them.
    pub ending: SchoolEnding,
    /// Why it counts as closed on the requested day, in a sentence; `None` while it is open.
    pub closed: Option<String>,
    /// How it is placed. Placements by hand count only if a programme is given.
    pub placement: Placement,
}

impl School {
    /// Its RSC region; `None` if its local authority is not known or is in no region.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.la.and_then(Region::of)
    }

    /// The name of its local authority; `None` if the local authority is not known.
    #[must_use]
    pub fn la_name(&self) -> Option<&'static str> {
        self.la.and_then(local_authority).map(|la| la.name)
    }
}

/// A multi-academy or single-academy trust, as in the newest file that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Its group UID.
    pub uid: Uid,
    /// Its name.
    pub name: String,
    /// Its group type, as printed.
    pub group_type: String,
    /// Its status: Open, Closed, Proposed to open, Proposed to close or Created in error.
    pub status: String,
    /// The number of its schools in the newest register.
    pub schools: usize,
}

/// Loads a school.
///
/// # Errors
/// [`AppError::NotFound`] if no file names it; [`AppError::Unavailable`].
pub(crate) async fn one_school(
    from: &dyn Readable,
    programme: Option<&Programme>,
    urn: Urn,
    day: Date,
) -> Result<School> {
    let school = facts::schools(from, programme, &[urn], day).await?.remove(&urn);
    school.ok_or_else(|| AppError::not_found(EntityKind::School, urn))
}

/// Those of these schools that are in a local authority by the newest register.
pub(crate) async fn in_local_authority(from: &dyn Readable, urns: &[Urn], la: LaCode) -> Result<Vec<Urn>> {
    let schools = store::register::schools(from, urns).await?;
    Ok(schools.into_values().filter(|it| it.la == Some(la)).map(|it| it.urn).collect())
}

/// Loads a trust and the URNs of its schools in the newest register, the lowest URN first.
///
/// # Errors
/// [`AppError::NotFound`] if no file names it as a trust; [`AppError::Unavailable`].
pub(crate) async fn one_trust(from: &dyn Readable, uid: Uid) -> Result<(Trust, Vec<Urn>)> {
    let group = store::register::trusts(from, &[uid]).await?.remove(&uid);
    let trust = group.filter(|it| TrustKind::from_gias(it.kind).is_some());
    let trust = trust.ok_or_else(|| AppError::not_found(EntityKind::Trust, uid))?;
    let members = store::register::members(from, MembershipQuery::Groups(&[uid])).await?;
    let mut urns: Vec<Urn> = members.iter().map(|it| it.urn).collect();
    // The memberships are in the order of their URNs, so equal URNs are next to each other.
    urns.dedup();
    Ok((to_shown_trust(trust, urns.len()), urns))
}

/// Converts a stored trust to the form that is shown, with its number of schools.
pub(in crate::app) fn to_shown_trust(it: store::register::Trust, schools: usize) -> Trust {
    Trust { uid: it.uid, name: it.name, group_type: it.kind_name, status: it.status, schools }
}
