//! Loads what commands and withdrawals need to know about eligibility: the candidates for offers, how the register places a
//! school, and the open offers whose schools are no longer eligible.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::entry;
use super::standing::Standings;
use crate::app::imports::AffectedOffer;
use crate::app::register::{School, facts};
use crate::app::{App, Result};
use crate::domain::Date;
use crate::domain::ids::{LaCode, Programme, ReferralId, Uid, Urn};
use crate::domain::offer::{Offer, Recipient, ResponsibleBody};
use crate::domain::placement::Placement;
use crate::domain::programme::candidates::{
    Candidate, CandidateSchool, Candidates, ClosedSchool, IneligibleSchool, OfferPlacement, Unplaced,
};
use crate::domain::programme::{RegisterAnswer, ResponsibleAnswer, TrustAnswer};
use crate::domain::referral::Referral;
use crate::domain::register_record::RegisterSeq;
use crate::domain::school::{SchoolEnding, TrustKind};
use crate::domain::terms::Terms;
use crate::store::{Readable, StoreError, offers, programmes, register};

/// Locks the register inside a write transaction, so that a decision never sees half of an import. Returns the number of the
/// last event of the register's record, which identifies the state of the register and the files.
pub(crate) async fn lock_register(from: &dyn Readable) -> std::result::Result<RegisterSeq, StoreError> {
    Ok(register::lock(from).await?.last())
}

/// Finds the candidates for offers, by recipient: each eligible standalone school, and each MAT with its eligible schools.
/// Eligible schools that are unplaced, or closed on the day, are returned in lists of their own. `on_offers` are the
/// schools of open offers: those that have closed, or are not eligible, are returned too.
pub(crate) async fn candidates(
    from: &dyn Readable,
    terms: &Terms,
    on_offers: impl Iterator<Item = Urn>,
    day: Date,
) -> Result<Candidates> {
    let standings = Standings::load(from, terms, day).await?;
    let placement_finder = PlacementFinder::load(from, &standings, &standings.schools).await?;
    let others: Vec<Urn> = on_offers.filter(|urn| !standings.entitled.contains_key(urn)).collect();
    let others = facts::schools(from, None, &others, day).await?;
    let is_entitled = |urn: Urn| standings.entitled.contains_key(&standings.assessment.newest_urn(urn));
    let mut not_eligible: Vec<IneligibleSchool> = others
        .values()
        .filter(|it| !is_entitled(it.urn))
        .filter_map(|it| Some((it, entry::why_not_eligible(terms, &standings, it.urn)?)))
        .map(|(it, reason)| IneligibleSchool {
            urn: it.urn,
            name: it.name.clone(),
            reason,
            offer: None,
            whole_offer: false,
        })
        .collect();
    not_eligible.sort_by_key(|it| it.urn);
    let not_entitled = |it: ClosedSchool| ClosedSchool { eligible: false, ..it };
    let mut closed: Vec<ClosedSchool> = others.values().filter_map(closed_school).map(not_entitled).collect();
    let mut unplaced = Vec::new();
    let mut by_recipient: BTreeMap<Recipient, Candidate> = BTreeMap::new();
    for (urn, entitled) in &standings.entitled {
        let name = || standings.schools.get(urn).map(|it| it.name.clone()).unwrap_or_default();
        let Some(school) = standings.schools.get(urn) else {
            if let Placement::Unplaced(reason) = entitled.placement {
                unplaced.push(Unplaced { urn: *urn, name: name(), reason: reason.to_string() });
            }
            continue;
        };
        if let Some(school) = closed_school(school) {
            closed.push(school);
            continue;
        }
        match placement_finder.candidate(school) {
            Ok(candidate) => match by_recipient.entry(candidate.recipient) {
                Entry::Vacant(entry) => drop(entry.insert(candidate)),
                Entry::Occupied(mut entry) => entry.get_mut().schools.extend(candidate.schools),
            },
            Err(reason) => unplaced.push(Unplaced { urn: *urn, name: name(), reason }),
        }
    }
    closed.sort_by_key(|it| it.urn);
    Ok(Candidates { recipients: by_recipient.into_values().collect(), unplaced, closed, not_eligible })
}

/// Reports a school as an eligible school that has closed; `None` if the school is open.
fn closed_school(school: &School) -> Option<ClosedSchool> {
    let (urn, name, successors) = (school.urn, school.name.clone(), school.ending.successors.clone());
    Some(ClosedSchool { urn, name, reason: school.closed.clone()?, successors, eligible: true, offer: None })
}

/// Returns the open referrals whose schools are all eligible by the files, placed, and not closed. The next identify records
/// them as confirmed.
pub(crate) async fn confirmed(
    from: &dyn Readable,
    terms: &Terms,
    open: &[Referral],
    day: Date,
) -> Result<Vec<ReferralId>> {
    if open.is_empty() {
        return Ok(Vec::new());
    }
    Ok(confirmed_by(&Standings::load(from, terms, day).await?, open))
}

/// The open referrals among these that [`confirmed`] returns.
pub(super) fn confirmed_by(standings: &Standings, open: &[Referral]) -> Vec<ReferralId> {
    let by_files = |urn: &Urn| {
        let entitled = standings.entitled.get(&standings.assessment.newest_urn(*urn));
        entitled.is_some_and(|it| !it.closed && it.placement.kind().is_some() && it.by_files)
    };
    open.iter().filter(|it| it.urns.iter().all(by_files)).map(|it| it.id).collect()
}

/// Finds the offer placement of each referred school, and what the files say about its closing. Schools that no file names
/// are left out.
pub(crate) async fn offer_placements(
    from: &dyn Readable,
    terms: &Terms,
    urns: &BTreeSet<Urn>,
    day: Date,
) -> Result<(HashMap<Urn, OfferPlacement>, HashMap<Urn, SchoolEnding>)> {
    let standings = Standings::load(from, terms, day).await?;
    let urns: Vec<Urn> = urns.iter().copied().collect();
    let schools = facts::schools(from, Some(terms.programme()), &urns, day).await?;
    let placement_finder = PlacementFinder::load(from, &standings, &schools).await?;
    let placement = |school: &School| {
        let region = school.region();
        match standings.assessment.school(school.urn).and_then(|it| it.superseded_by) {
            Some(by) => OfferPlacement::Superseded { by, region },
            None => match placement_finder.candidate(school) {
                Ok(candidate) => OfferPlacement::With(Box::new(candidate)),
                Err(reason) => OfferPlacement::Nowhere { region, reason },
            },
        }
    };
    let offer_placements = schools.values().map(|school| (school.urn, placement(school))).collect();
    Ok((offer_placements, schools.values().map(|school| (school.urn, school.ending.clone())).collect()))
}

/// Finds the recipient whose offer would list a school.
pub(super) struct PlacementFinder<'a> {
    standings: &'a Standings,
    trusts: HashMap<Uid, register::Trust>,
    predecessors: HashMap<Urn, Vec<Urn>>,
}

impl<'a> PlacementFinder<'a> {
    /// Loads what is needed to place these schools.
    pub(super) async fn load(
        from: &dyn Readable,
        standings: &'a Standings,
        schools: &HashMap<Urn, School>,
    ) -> Result<Self> {
        let trusts: HashSet<Uid> = schools.values().filter_map(|it| it.placement.trust()).collect();
        let trusts = register::trusts(from, &trusts.into_iter().collect::<Vec<_>>()).await?;
        let mut predecessors: HashMap<Urn, Vec<Urn>> = HashMap::new();
        for school in standings.assessment.schools() {
            if let Some(newest_urn) = school.superseded_by {
                predecessors.entry(newest_urn).or_default().push(school.urn);
            }
        }
        Ok(Self { standings, trusts, predecessors })
    }

    /// Makes a candidate that has only this school, with the rules that entitle it.
    ///
    /// # Errors
    /// The reason why the school is unplaced, or that its local authority is in no region.
    pub(super) fn candidate(&self, school: &School) -> std::result::Result<Candidate, String> {
        let urn = school.urn;
        let recipient = match school.placement {
            Placement::Unplaced(reason) => return Err(reason.to_string()),
            Placement::Mat(uid) => Recipient::Mat(uid),
            Placement::Maintained | Placement::SingleAcademyTrust(_) | Placement::SingleSchoolMat(_) => {
                Recipient::Standalone(urn)
            }
        };
        let in_no_region = || "its local authority lies in no region".to_owned();
        let (la, region) = school.la.zip(school.region()).ok_or_else(in_no_region)?;
        let of_trust = |uid: Uid| self.trusts.get(&uid).map_or_else(|| format!("trust {uid}"), |it| it.name.clone());
        let name = if let Recipient::Mat(uid) = recipient { of_trust(uid) } else { school.name.clone() };
        let entitled = self.standings.entitled.get(&urn);
        let candidate_school = CandidateSchool {
            urn,
            name: school.name.clone(),
            region,
            rules: entitled.iter().flat_map(|it| &it.rules).map(ToString::to_string).collect(),
            by_files: entitled.is_some_and(|it| it.by_files),
            predecessors: self.predecessors.get(&urn).cloned().unwrap_or_default(),
        };
        let (trust, responsible) = (school.placement.trust(), responsible_body(school, la));
        let diocese_known = school.diocese_known;
        Ok(Candidate { recipient, name, trust, responsible, diocese_known, schools: vec![candidate_school] })
    }
}

/// Loads the responsible bodies of these schools by the newest register. Schools that no file names, and those without a
/// known local authority, are left out.
pub(crate) async fn responsible_bodies(
    from: &dyn Readable,
    programme: &Programme,
    urns: &[Urn],
    day: Date,
) -> Result<HashMap<Urn, ResponsibleAnswer>> {
    let schools = facts::schools(from, Some(programme), urns, day).await?;
    let answer = |school: &School| {
        let (body, trust) = (responsible_body(school, school.la?), school.placement.trust());
        Some((school.urn, ResponsibleAnswer { body, trust, diocese_known: school.diocese_known }))
    };
    Ok(schools.values().filter_map(answer).collect())
}

/// The responsible body of a school: its trust, or else its diocese, or else its local authority.
fn responsible_body(school: &School, la: LaCode) -> ResponsibleBody {
    match (school.placement.trust(), &school.diocese) {
        (Some(uid), _) => ResponsibleBody::Trust(uid),
        (None, Some(diocese)) => ResponsibleBody::Diocese(diocese.clone()),
        (None, None) => ResponsibleBody::LocalAuthority(la),
    }
}

/// Loads how the register places a school. Placements by hand are ignored. `None` if no file names the school.
pub(crate) async fn register_answer(from: &dyn Readable, urn: Urn, day: Date) -> Result<Option<RegisterAnswer>> {
    let school = facts::schools(from, None, &[urn], day).await?.remove(&urn);
    Ok(school.map(|school| match school.placement {
        Placement::Unplaced(_) => RegisterAnswer::Unplaced { name: school.name },
        Placement::Maintained => RegisterAnswer::Placed("maintained by a local authority".to_owned()),
        Placement::SingleAcademyTrust(uid) => RegisterAnswer::Placed(format!("in single-academy trust {uid}")),
        Placement::SingleSchoolMat(uid) => RegisterAnswer::Placed(format!("the only school of trust {uid}")),
        Placement::Mat(uid) => RegisterAnswer::Placed(format!("in multi-academy trust {uid}")),
    }))
}

/// What the register says of each group that is a trust. Other groups are left out.
pub(crate) fn trust_answers(groups: HashMap<Uid, register::Trust>) -> HashMap<Uid, TrustAnswer> {
    let answer = |(uid, it): (Uid, register::Trust)| {
        TrustKind::from_gias(it.kind).map(|kind| (uid, TrustAnswer { kind, open: facts::is_open(&it.status) }))
    };
    groups.into_iter().filter_map(answer).collect()
}

/// Finds the open offers of all programmes that have schools which are not eligible by the landed files.
pub(crate) async fn affected(app: &App, from: &dyn Readable) -> Result<Vec<AffectedOffer>> {
    let (mut affected, today) = (Vec::new(), app.clock().now().today);
    for row in programmes::all_terms(from).await? {
        let offers = offers::of_programme(from, &row.programme).await?;
        let open: Vec<&Offer> = offers.values().filter(|offer| offer.is_open()).collect();
        if open.is_empty() {
            continue;
        }
        let loaded = app.terms(&row.programme).await?;
        let standings = Standings::load(from, &loaded.terms, today).await?;
        let entitled = |urn: &Urn| standings.entitled.contains_key(&standings.assessment.newest_urn(*urn));
        for offer in open {
            let urns = offer.schools.keys().copied().filter(|urn| !entitled(urn));
            let urns: Vec<Urn> = urns.collect();
            if !urns.is_empty() {
                affected.push(AffectedOffer { programme: row.programme.clone(), offer: offer.id, urns });
            }
        }
    }
    Ok(affected)
}
