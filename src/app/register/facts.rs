//! Combines what the newest files say of schools, and places the schools.

use std::collections::{HashMap, HashSet};

use super::School;
use crate::app::Result;
use crate::domain::Date;
use crate::domain::ids::{Programme, Uid, Urn};
use crate::domain::placement::place;
use crate::domain::school::{HandPlacement, SchoolEnding, SchoolFacts, TrustKind, TrustLink};
use crate::store::register::{Establishment, LinkDirection, Membership, MembershipQuery};
use crate::store::{Readable, placements, register};

/// Whether a group with this status is open, so that its schools are placed by it. A group that is proposed to close is
/// still open.
pub(crate) fn is_open(status: &str) -> bool {
    matches!(status, "Open" | "Proposed to close")
}

/// Loads these schools, by URN. Schools that no landed file names are left out. A school is placed by the newest register.
/// If the register does not place it, the placement by hand in the programme counts. Whether a school has closed is judged on
/// the given day.
pub(crate) async fn schools(
    from: &dyn Readable,
    programme: Option<&Programme>,
    urns: &[Urn],
    day: Date,
) -> Result<HashMap<Urn, School>> {
    let named = register::schools(from, urns).await?;
    let mut details = register::establishments(from, urns).await?;
    let mut links = links(from, urns).await?;
    let trusts: Vec<Uid> = links.values().flatten().map(|link| link.uid).collect::<HashSet<_>>().into_iter().collect();
    let open_counts = open_schools(from, &trusts, day).await?;
    let mut successors = register::linked_schools(from, urns, LinkDirection::Successors).await?;
    let by_hand = hand_placements(from, programme).await?;
    let schools = named.into_values().map(|it| {
        let detail = details.remove(&it.urn).unwrap_or_default();
        let ending = SchoolEnding { successors: successors.remove(&it.urn).unwrap_or_default(), ..ending(&detail) };
        let facts = SchoolFacts {
            urn: it.urn,
            name: it.name,
            type_name: it.school_type,
            la: it.la,
            diocese: detail.diocese,
            trusts: links.remove(&it.urn).unwrap_or_default(),
            placed: by_hand.get(&it.urn).copied(),
        };
        let placement = place(&facts, |uid| open_counts.get(&uid).copied().unwrap_or(0));
        let school = School {
            urn: facts.urn,
            name: facts.name,
            laestab: detail.laestab,
            la: facts.la,
            phase: it.phase,
            school_type: facts.type_name,
            diocese: facts.diocese,
            closed: ending.closed_because(day),
            ending,
            diocese_known: detail.in_establishments,
            placement,
        };
        (school.urn, school)
    });
    Ok(schools.collect())
}

/// The number of schools of each trust in the newest register that are open on a day.
async fn open_schools(from: &dyn Readable, trusts: &[Uid], day: Date) -> Result<HashMap<Uid, usize>> {
    let members = register::members(from, MembershipQuery::Groups(trusts)).await?;
    let urns: Vec<Urn> = members.iter().map(|it| it.urn).collect::<HashSet<_>>().into_iter().collect();
    let details = register::establishments(from, &urns).await?;
    let has_closed = |urn: &Urn| details.get(urn).is_some_and(|it| ending(it).closed_by(day).is_some());
    let mut open: HashMap<Uid, HashSet<Urn>> = HashMap::new();
    for it in members.into_iter().filter(|it| !has_closed(&it.urn)) {
        open.entry(it.uid).or_default().insert(it.urn);
    }
    Ok(open.into_iter().map(|(uid, urns)| (uid, urns.len())).collect())
}

/// What a file of establishments says about the closing of a school. The successors are in another file, so they are empty
/// here.
fn ending(detail: &Establishment) -> SchoolEnding {
    SchoolEnding { status: detail.status.clone(), close_date: detail.close_date, successors: Vec::new() }
}

/// Loads the links of these schools to trusts in the newest register. Whether a trust is open is taken from the newest file
/// that names the trust.
async fn links(from: &dyn Readable, urns: &[Urn]) -> Result<HashMap<Urn, Vec<TrustLink>>> {
    let members = register::members(from, MembershipQuery::Schools(urns)).await?;
    let members: Vec<(Membership, TrustKind)> =
        members.into_iter().filter_map(|it| TrustKind::from_gias(it.kind).map(|kind| (it, kind))).collect();
    let open = open(from, members.iter().map(|(it, _)| it.uid)).await?;
    let mut links: HashMap<Urn, Vec<TrustLink>> = HashMap::new();
    for (it, kind) in members {
        links.entry(it.urn).or_default().push(TrustLink { uid: it.uid, kind, open: open.contains(&it.uid) });
    }
    Ok(links)
}

/// Finds which of these groups are open, by the newest file that names each group.
pub(crate) async fn open(from: &dyn Readable, uids: impl Iterator<Item = Uid>) -> Result<HashSet<Uid>> {
    let uids: Vec<Uid> = uids.collect::<HashSet<_>>().into_iter().collect();
    let trusts = register::trusts(from, &uids).await?;
    Ok(trusts.into_values().filter(|it| is_open(&it.status)).map(|it| it.uid).collect())
}

/// Loads the placements by hand in a programme; none if no programme is given.
async fn hand_placements(from: &dyn Readable, programme: Option<&Programme>) -> Result<HashMap<Urn, HandPlacement>> {
    let Some(programme) = programme else { return Ok(HashMap::new()) };
    let placed = placements::of_programme(from, programme).await?;
    Ok(placed.into_iter().map(|(urn, how, _)| (urn, how)).collect())
}
