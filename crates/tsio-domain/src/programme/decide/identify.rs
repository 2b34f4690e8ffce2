//! Identify: one offer for each standalone school and one for each trust with eligible schools.
//!
//! It never makes a second offer for a recipient, never moves a school from one offer to another, and never guesses a
//! placement: what it cannot do it lists.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::event::{EventBody, Hash, NewEvent};
use crate::ids::{OfferId, ReferralId, Urn};
use crate::offer::{ListedSchool, Offer, Recipient};
use crate::programme::candidates::{
    Blocked, Candidate, CandidateSchool, Candidates, ClosedSchool, Identified, NotEligible,
};
use crate::programme::context::Context;
use crate::programme::decision::{CommandAnswer, Decision};
use crate::programme::{ProgrammeState, ResponsibleAnswer};
use crate::referral::State;
use crate::region::Region;
use crate::role::Reach;

impl Candidate {
    /// Who answers for it.
    fn answer(&self) -> ResponsibleAnswer {
        let (body, trust, diocese_known) = (self.responsible.clone(), self.trust, self.diocese_known);
        ResponsibleAnswer { body, trust, diocese_known }
    }

    /// The event that has its offer follow the register, where it does still and that says something else.
    fn responsible_now(&self, offer: &Offer) -> Option<EventBody> {
        offer.follows_register().and_then(|_| self.answer().change_of(offer))
    }

    /// Whether the local authority stands in for a diocese that nobody knows of, on an offer where that can change still.
    fn is_assumed_for(&self, offer: &Offer) -> bool {
        offer.follows_register().is_some() && self.answer().is_assumed()
    }
}

impl ProgrammeState {
    /// Makes and updates offers within the caller's reach; the others are neither touched nor counted.
    pub(in crate::programme) fn identify(&self, candidates: &Candidates, context: &mut Context<'_>) -> Decision {
        let reach = context.reach;
        let closed = candidates.closed.iter().map(|school| self.closed(school, reach));
        let closed = closed.filter(|it| it.eligible || it.offer.is_some()).collect();
        let not_eligible = self.not_eligible(&candidates.not_eligible, reach);
        let mut did =
            Identified { unplaced: candidates.unplaced.clone(), closed, not_eligible, ..Identified::default() };
        let (mut drafts, mut assumed) = (Vec::new(), 0_usize);
        let mut taken: HashMap<Urn, OfferId> = HashMap::new();
        for candidate in &candidates.recipients {
            match self.recipients.get(&candidate.recipient).and_then(|id| self.offers.get(id)) {
                Some(offer) if !reach.covers(offer.region, offer.assignee.as_ref()) => {}
                Some(offer) if !offer.is_open() => did.already_closed = did.already_closed.saturating_add(1),
                Some(offer) => {
                    let change = candidate.responsible_now(offer);
                    drafts.extend(change.map(|body| NewEvent::of(offer.id, context.now.today, body)));
                    assumed = assumed.saturating_add(usize::from(candidate.is_assumed_for(offer)));
                    let new = |it: &&CandidateSchool| !offer.schools.contains_key(&it.urn);
                    let (schools, blocked) =
                        self.free(candidate.schools.iter().filter(new), Some(offer.id), &taken, reach);
                    did.blocked.extend(blocked);
                    if schools.is_empty() {
                        did.already_open = did.already_open.saturating_add(1);
                        continue;
                    }
                    did.updated = did.updated.saturating_add(1);
                    taken.extend(schools.iter().map(|school| (school.urn, offer.id)));
                    let schools = schools.into_iter().map(listed).collect();
                    let body = EventBody::SchoolsAdded { schools, register_seq: None };
                    drafts.push(NewEvent::of(offer.id, context.now.today, body));
                }
                None => {
                    let (schools, blocked) = self.free(candidate.schools.iter(), None, &taken, reach);
                    let region = region_of(&schools);
                    let whose = region.or_else(|| region_of(&candidate.schools.iter().collect::<Vec<_>>()));
                    if !whose.is_some_and(|it| reach.covers_region(it)) {
                        continue;
                    }
                    did.blocked.extend(blocked);
                    let Some(region) = region else { continue };
                    let id = OfferId((context.ids)());
                    did.created = did.created.saturating_add(1);
                    assumed = assumed.saturating_add(usize::from(candidate.answer().is_assumed()));
                    taken.extend(schools.iter().map(|school| (school.urn, id)));
                    drafts.push(NewEvent::of(id, context.now.today, self.making(candidate, region, &schools)));
                }
            }
        }
        let made = drafts.iter().filter_map(made_for).collect();
        for (referral, offer) in self.confirmed(candidates, (&made, &taken), reach) {
            did.confirmed.push(referral);
            let body = EventBody::ReferralConfirmed { referral, offer, register_seq: None };
            drafts.push(NewEvent { offer: Some(offer), ..NewEvent::of_book(context.now.today, body) });
        }
        Decision::new(drafts, CommandAnswer::Identified(did)).warn_of_dioceses(assumed)
    }

    /// The open referrals within reach whose schools the files have all made eligible, each with its recipient's offer: an
    /// open one within reach that lists them, by now or from this identify on.
    fn confirmed(
        &self,
        candidates: &Candidates,
        (made, taken): (&HashMap<Recipient, OfferId>, &HashMap<Urn, OfferId>),
        reach: &Reach,
    ) -> Vec<(ReferralId, OfferId)> {
        let mut eligible: HashMap<Urn, (Recipient, Urn)> = HashMap::new();
        for candidate in &candidates.recipients {
            for school in candidate.schools.iter().filter(|it| it.by_files) {
                let lineage = std::iter::once(school.urn).chain(school.predecessors.iter().copied());
                eligible.extend(lineage.map(|urn| (urn, (candidate.recipient, school.urn))));
            }
        }
        let open = self.referrals.values().filter(|it| it.state == State::Open && reach.covers_region(it.region));
        let there = |id: &OfferId| {
            let offer = self.offers.get(id).filter(|it| it.is_open());
            offer.filter(|it| reach.covers(it.region, it.assignee.as_ref()))
        };
        let on_offer = |urn: &Urn| {
            let (recipient, newest) = eligible.get(urn)?;
            let by_now = self.recipients.get(recipient).and_then(there);
            let offer = made.get(recipient).copied().or_else(|| by_now.map(|it| it.id))?;
            let lists = |it: &Offer| it.schools.contains_key(urn) || it.schools.contains_key(newest);
            (taken.get(newest) == Some(&offer) || by_now.is_some_and(lists)).then_some(offer)
        };
        let confirmed = open.filter_map(|it| {
            let offers: Option<Vec<OfferId>> = it.urns.iter().map(on_offer).collect();
            Some((it.id, *offers?.first()?))
        });
        confirmed.collect()
    }

    /// A school that has closed, with the open offer it is on where that may be seen.
    fn closed(&self, school: &ClosedSchool, reach: &Reach) -> ClosedSchool {
        let on = self.listed.get(&school.urn).and_then(|id| self.offers.get(id));
        let seen = on.filter(|it| reach.covers(it.region, it.assignee.as_ref()));
        ClosedSchool { offer: seen.map(|it| it.id), ..school.clone() }
    }

    /// Those of these schools whose open offer may be seen, with it.
    fn not_eligible(&self, schools: &[NotEligible], reach: &Reach) -> Vec<NotEligible> {
        let urns: BTreeSet<Urn> = schools.iter().map(|it| it.urn).collect();
        let on_offer = |school: &NotEligible| {
            let offer = self.listed.get(&school.urn).and_then(|id| self.offers.get(id))?;
            let whole_offer = offer.schools.keys().all(|urn| urns.contains(urn));
            let seen = reach.covers(offer.region, offer.assignee.as_ref());
            seen.then(|| NotEligible { offer: Some(offer.id), whole_offer, ..school.clone() })
        };
        schools.iter().filter_map(on_offer).collect()
    }

    /// The event that makes a candidate's offer.
    pub(in crate::programme) fn making(
        &self,
        candidate: &Candidate,
        region: Region,
        schools: &[&CandidateSchool],
    ) -> EventBody {
        EventBody::Identified {
            recipient: candidate.recipient,
            name: candidate.name.clone(),
            region,
            trust: candidate.trust,
            responsible: candidate.responsible.clone(),
            terms: Hash(self.programme.terms),
            schools: schools.iter().map(|it| listed(it)).collect(),
            register_seq: None,
        }
    }

    /// The schools that are on no other open offer, and those that are.
    pub(in crate::programme) fn free<'a>(
        &self,
        schools: impl Iterator<Item = &'a CandidateSchool>,
        own: Option<OfferId>,
        taken: &HashMap<Urn, OfferId>,
        reach: &Reach,
    ) -> (Vec<&'a CandidateSchool>, Vec<Blocked>) {
        let elsewhere = |urn: &Urn| {
            let offer = taken.get(urn).or_else(|| self.listed.get(urn)).copied();
            offer.filter(|it| Some(*it) != own)
        };
        let hidden = |id: &OfferId| {
            self.offers.get(id).is_some_and(|offer| !reach.covers(offer.region, offer.assignee.as_ref()))
        };
        let (mut free, mut blocked) = (Vec::new(), Vec::new());
        for school in schools {
            let lineage = std::iter::once(&school.urn).chain(&school.predecessors);
            match lineage.into_iter().find_map(|urn| elsewhere(urn).map(|offer| (urn, offer))) {
                None => free.push(school),
                Some((urn, offer)) => {
                    let offer = Some(offer).filter(|it| !hidden(it));
                    let named = offer.map_or_else(|| "an open offer".to_owned(), |it| format!("open offer {it}"));
                    let reason = if *urn == school.urn {
                        format!("is on {named} to another recipient, which keeps it")
                    } else {
                        format!("its predecessor {urn} is on {named}, which keeps it")
                    };
                    blocked.push(Blocked { urn: school.urn, name: school.name.clone(), offer, reason });
                }
            }
        }
        (free, blocked)
    }
}

/// The offer that an event makes, by its recipient.
fn made_for(draft: &NewEvent) -> Option<(Recipient, OfferId)> {
    let EventBody::Identified { recipient, .. } = &draft.body else { return None };
    Some((*recipient, draft.offer?))
}

pub(in crate::programme) fn listed(school: &CandidateSchool) -> ListedSchool {
    ListedSchool { urn: school.urn, name: school.name.clone(), rules: school.rules.clone() }
}

/// Where most of the schools are; ties go to the first by name (`domain.md` section 4). Nothing for no schools.
pub(in crate::programme) fn region_of(schools: &[&CandidateSchool]) -> Option<Region> {
    let mut counts: BTreeMap<Region, usize> = BTreeMap::new();
    for school in schools {
        let count = counts.entry(school.region).or_default();
        *count = count.saturating_add(1);
    }
    let most = counts.values().copied().max()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(region, _)| region)
}
