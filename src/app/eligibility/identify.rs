//! What the writer and a withdrawal need of eligibility: who an offer can be made to, how the register places a school,
//! and which open offers have lost their ground.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::standing::Standings;
use crate::app::imports::AffectedOffer;
use crate::app::register::{School, facts};
use crate::app::{App, Result};
use crate::domain::book::identify::{Candidate, CandidateSchool, Candidates, Unplaced};
use crate::domain::book::{RegisterAnswer, TrustAnswer};
use crate::domain::ids::{LaCode, Uid, Urn};
use crate::domain::offer::{Offer, Recipient, ResponsibleBody};
use crate::domain::placement::Placement;
use crate::domain::school::TrustKind;
use crate::domain::terms::Terms;
use crate::store::{Readable, StoreError, books, offers, register};

/// Locks the register inside a write transaction, so that identify never sees half of an import.
pub(crate) async fn lock_register(from: &impl Readable) -> std::result::Result<(), StoreError> {
    register::lock(from).await
}

/// Everybody eligible, by recipient: each standalone school, each MAT with its eligible schools.
pub(crate) async fn candidates(from: &impl Readable, terms: &Terms) -> Result<Candidates> {
    let standings = Standings::load(from, terms).await?;
    let trusts: HashSet<Uid> = standings.entitled.values().filter_map(|it| it.placement.trust()).collect();
    let trusts = register::trusts(from, &trusts.into_iter().collect::<Vec<_>>()).await?;
    let mut predecessors: HashMap<Urn, Vec<Urn>> = HashMap::new();
    for school in standings.assessment.schools() {
        if let Some(heir) = school.superseded_by {
            predecessors.entry(heir).or_default().push(school.urn);
        }
    }
    let mut unplaced = Vec::new();
    let mut found: BTreeMap<Recipient, Candidate> = BTreeMap::new();
    for (urn, entitled) in &standings.entitled {
        let school = standings.schools.get(urn);
        let name = school.map(|it| it.name.clone()).unwrap_or_default();
        let mut nowhere = |reason: String| unplaced.push(Unplaced { urn: *urn, name: name.clone(), reason });
        let (recipient, school) = match (entitled.placement, school) {
            (Placement::Unplaced(reason), _) => {
                nowhere(reason.to_string());
                continue;
            }
            (Placement::Mat(uid), Some(school)) => (Recipient::Mat(uid), school),
            (_, Some(school)) => (Recipient::Standalone(*urn), school),
            (_, None) => continue,
        };
        let Some((la, region)) = school.la.zip(school.region()) else {
            nowhere("its local authority lies in no region".to_owned());
            continue;
        };
        let listed = CandidateSchool {
            urn: *urn,
            name: name.clone(),
            region,
            rules: entitled.rules.iter().map(ToString::to_string).collect(),
            predecessors: predecessors.remove(urn).unwrap_or_default(),
        };
        let made = || {
            let of_trust = |uid: Uid| trusts.get(&uid).map_or_else(|| format!("trust {uid}"), |it| it.name.clone());
            let name = if let Recipient::Mat(uid) = recipient { of_trust(uid) } else { name };
            let responsible = responsible(school, la);
            Candidate { recipient, name, trust: school.placement.trust(), responsible, schools: Vec::new() }
        };
        found.entry(recipient).or_insert_with(made).schools.push(listed);
    }
    Ok(Candidates { recipients: found.into_values().collect(), unplaced })
}

/// "your trust, diocese or local authority": the trust; the diocese where the school has one; otherwise the authority.
fn responsible(school: &School, la: LaCode) -> ResponsibleBody {
    match (school.placement.trust(), &school.diocese) {
        (Some(uid), _) => ResponsibleBody::Trust(uid),
        (None, Some(diocese)) => ResponsibleBody::Diocese(diocese.clone()),
        (None, None) => ResponsibleBody::LocalAuthority(la),
    }
}

/// Whether the register alone places a school, and how; nothing when no file names it.
pub(crate) async fn register_answer(from: &impl Readable, _: &Terms, urn: Urn) -> Result<Option<RegisterAnswer>> {
    let school = facts::schools(from, None, &[urn]).await?.remove(&urn);
    Ok(school.map(|school| match school.placement {
        Placement::Unplaced(_) => RegisterAnswer::Unplaced { name: school.name },
        Placement::Maintained => RegisterAnswer::Placed("maintained by a local authority".to_owned()),
        Placement::SingleAcademyTrust(uid) => RegisterAnswer::Placed(format!("in single-academy trust {uid}")),
        Placement::SingleSchoolMat(uid) => RegisterAnswer::Placed(format!("the only school of trust {uid}")),
        Placement::Mat(uid) => RegisterAnswer::Placed(format!("in multi-academy trust {uid}")),
    }))
}

/// What the register says of these groups, as far as they are trusts.
pub(crate) fn trust_answers(groups: HashMap<Uid, register::Trust>) -> HashMap<Uid, TrustAnswer> {
    let answer = |(uid, it): (Uid, register::Trust)| {
        TrustKind::from_gias(it.kind).map(|kind| (uid, TrustAnswer { kind, open: it.status == facts::OPEN }))
    };
    groups.into_iter().filter_map(answer).collect()
}

/// Open offers, of every programme, with schools that are not eligible by the files that count; by offer.
pub(crate) async fn affected(app: &App, from: &impl Readable) -> Result<Vec<AffectedOffer>> {
    let mut found = Vec::new();
    for row in books::all_terms(from).await? {
        let offers = offers::of_programme(from, &row.programme).await?;
        let open: Vec<&Offer> = offers.values().filter(|offer| offer.is_open()).collect();
        if open.is_empty() {
            continue;
        }
        let loaded = app.terms(&row.programme).await?;
        let standings = Standings::load(from, &loaded.terms).await?;
        let heir = |urn: Urn| standings.assessment.school(urn).and_then(|it| it.superseded_by).unwrap_or(urn);
        for offer in open {
            let urns = offer.schools.keys().copied().filter(|urn| !standings.entitled.contains_key(&heir(*urn)));
            let urns: Vec<Urn> = urns.collect();
            if !urns.is_empty() {
                found.push(AffectedOffer { programme: row.programme.clone(), offer: offer.id, urns });
            }
        }
    }
    Ok(found)
}
