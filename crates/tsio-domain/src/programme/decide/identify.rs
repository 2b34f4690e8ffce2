//! Decides identify, which makes one offer for each eligible standalone school and for each trust with eligible schools.
//!
//! Identify never makes a second offer for a recipient, never moves a school from one offer to another, and never guesses a
//! placement. The answer lists the schools that are left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::event::{EventBody, Hash, NewEvent};
use crate::ids::{OfferId, ReferralId, Urn};
use crate::offer::{ListedSchool, Offer, Recipient};
use crate::programme::candidates::{
    Blocked, Candidate, CandidateSchool, Candidates, ClosedSchool, IdentifyReport, IneligibleSchool,
};
use crate::programme::context::Context;
use crate::programme::decision::{CommandAnswer, Decision};
use crate::programme::{ProgrammeState, ResponsibleAnswer};
use crate::referral::State;
use crate::region::Region;
use crate::role::Reach;

impl Candidate {
    /// The responsible body of this candidate.
    fn responsible_answer(&self) -> ResponsibleAnswer {
        let (body, trust, diocese_known) = (self.responsible.clone(), self.trust, self.diocese_known);
        ResponsibleAnswer { body, trust, diocese_known }
    }

    /// The event that updates the responsible body of this candidate's offer. None if the body is the same, or if the offer no
    /// longer follows the register.
    fn responsible_change(&self, offer: &Offer) -> Option<EventBody> {
        offer.school_of_responsible_body().and_then(|_| self.responsible_answer().change_of(offer))
    }

    /// Whether the offer still follows the register and the local authority is only assumed to be the responsible body.
    fn is_assumed_for(&self, offer: &Offer) -> bool {
        offer.school_of_responsible_body().is_some() && self.responsible_answer().is_assumed()
    }
}

impl ProgrammeState {
    /// Decides which offers within the caller's reach are made and updated. Other offers are neither changed nor counted.
    pub(in crate::programme) fn identify(&self, candidates: &Candidates, context: &mut Context<'_>) -> Decision {
        let reach = context.reach;
        let closed = candidates.closed.iter().map(|school| self.with_visible_offer(school, reach));
        let closed = closed.filter(|it| it.eligible || it.offer.is_some()).collect();
        let not_eligible = self.on_visible_offers(&candidates.not_eligible, reach);
        let mut result =
            IdentifyReport { unplaced: candidates.unplaced.clone(), closed, not_eligible, ..IdentifyReport::default() };
        let (mut drafts, mut assumed_bodies) = (Vec::new(), 0_usize);
        let mut listed_now: HashMap<Urn, OfferId> = HashMap::new();
        for candidate in &candidates.recipients {
            match self.offer_by_recipient.get(&candidate.recipient).and_then(|id| self.offers.get(id)) {
                Some(offer) if !reach.covers(offer.region, offer.assignee.as_ref()) => {}
                Some(offer) if !offer.is_open() => result.already_closed = result.already_closed.saturating_add(1),
                Some(offer) => {
                    let body_change = candidate.responsible_change(offer);
                    drafts.extend(body_change.map(|body| NewEvent::of(offer.id, context.now.today, body)));
                    assumed_bodies = assumed_bodies.saturating_add(usize::from(candidate.is_assumed_for(offer)));
                    let is_new = |it: &&CandidateSchool| !offer.schools.contains_key(&it.urn);
                    let (schools, blocked) = self.split_by_other_offers(
                        candidate.schools.iter().filter(is_new),
                        Some(offer.id),
                        &listed_now,
                        reach,
                    );
                    result.blocked.extend(blocked);
                    if schools.is_empty() {
                        result.already_open = result.already_open.saturating_add(1);
                        continue;
                    }
                    result.updated = result.updated.saturating_add(1);
                    listed_now.extend(schools.iter().map(|school| (school.urn, offer.id)));
                    let schools = schools.into_iter().map(listed_school).collect();
                    let body = EventBody::SchoolsAdded { schools, register_seq: None };
                    drafts.push(NewEvent::of(offer.id, context.now.today, body));
                }
                None => {
                    let (schools, blocked) =
                        self.split_by_other_offers(candidate.schools.iter(), None, &listed_now, reach);
                    // If every school is blocked, no offer is made. Then the region of all schools decides whether the caller sees
                    // them as blocked.
                    let region = region_of_most(&schools);
                    let offer_region = region.or_else(|| region_of_most(&candidate.schools.iter().collect::<Vec<_>>()));
                    if !offer_region.is_some_and(|it| reach.covers_region(it)) {
                        continue;
                    }
                    result.blocked.extend(blocked);
                    let Some(region) = region else { continue };
                    let id = OfferId((context.ids)());
                    result.created = result.created.saturating_add(1);
                    let is_assumed = candidate.responsible_answer().is_assumed();
                    assumed_bodies = assumed_bodies.saturating_add(usize::from(is_assumed));
                    listed_now.extend(schools.iter().map(|school| (school.urn, id)));
                    drafts.push(NewEvent::of(id, context.now.today, self.new_offer(candidate, region, &schools)));
                }
            }
        }
        let new_offers = drafts.iter().filter_map(new_offer_of).collect();
        for (referral, offer) in self.confirmed_referrals(candidates, (&new_offers, &listed_now), reach) {
            result.confirmed.push(referral);
            let body = EventBody::ReferralConfirmed { referral, offer, register_seq: None };
            drafts.push(NewEvent { offer: Some(offer), ..NewEvent::without_offer(context.now.today, body) });
        }
        Decision::new(drafts, CommandAnswer::Identified(result)).warn_of_dioceses(assumed_bodies)
    }

    /// The open referrals within reach whose schools are all eligible by the files, each with the offer of its schools. That
    /// offer must be open and within reach. It must list the schools already, or be changed or made by this identify to list
    /// them.
    fn confirmed_referrals(
        &self,
        candidates: &Candidates,
        (new_offers, listed_now): (&HashMap<Recipient, OfferId>, &HashMap<Urn, OfferId>),
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
        let reachable_offer = |id: &OfferId| {
            let offer = self.offers.get(id).filter(|it| it.is_open());
            offer.filter(|it| reach.covers(it.region, it.assignee.as_ref()))
        };
        let offer_listing = |urn: &Urn| {
            let (recipient, newest) = eligible.get(urn)?;
            let existing = self.offer_by_recipient.get(recipient).and_then(reachable_offer);
            let offer = new_offers.get(recipient).copied().or_else(|| existing.map(|it| it.id))?;
            let lists = |it: &Offer| it.schools.contains_key(urn) || it.schools.contains_key(newest);
            (listed_now.get(newest) == Some(&offer) || existing.is_some_and(lists)).then_some(offer)
        };
        let confirmed = open.filter_map(|it| {
            let offers: Option<Vec<OfferId>> = it.urns.iter().map(offer_listing).collect();
            Some((it.id, *offers?.first()?))
        });
        confirmed.collect()
    }

    /// The closed school, with the open offer that it is on if the caller may see that offer.
    fn with_visible_offer(&self, school: &ClosedSchool, reach: &Reach) -> ClosedSchool {
        let open_offer = self.open_offer_by_school.get(&school.urn).and_then(|id| self.offers.get(id));
        let visible = open_offer.filter(|it| reach.covers(it.region, it.assignee.as_ref()));
        ClosedSchool { offer: visible.map(|it| it.id), ..school.clone() }
    }

    /// The schools that are on an open offer that the caller may see, each with that offer. Other schools are left out.
    fn on_visible_offers(&self, schools: &[IneligibleSchool], reach: &Reach) -> Vec<IneligibleSchool> {
        let urns: BTreeSet<Urn> = schools.iter().map(|it| it.urn).collect();
        let with_offer = |school: &IneligibleSchool| {
            let offer = self.open_offer_by_school.get(&school.urn).and_then(|id| self.offers.get(id))?;
            let whole_offer = offer.schools.keys().all(|urn| urns.contains(urn));
            let is_visible = reach.covers(offer.region, offer.assignee.as_ref());
            is_visible.then(|| IneligibleSchool { offer: Some(offer.id), whole_offer, ..school.clone() })
        };
        schools.iter().filter_map(with_offer).collect()
    }

    /// The event that makes a candidate's offer.
    pub(in crate::programme) fn new_offer(
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
            schools: schools.iter().map(|it| listed_school(it)).collect(),
            register_seq: None,
        }
    }

    /// Splits schools into those that are on no open offer except `own_offer`, and those that another open offer blocks. A
    /// school is also blocked if a predecessor is on another open offer. `listed_now` contains the schools that earlier events
    /// of the same decision put on offers. Returns the free schools and the blocked schools.
    pub(in crate::programme) fn split_by_other_offers<'a>(
        &self,
        schools: impl Iterator<Item = &'a CandidateSchool>,
        own_offer: Option<OfferId>,
        listed_now: &HashMap<Urn, OfferId>,
        reach: &Reach,
    ) -> (Vec<&'a CandidateSchool>, Vec<Blocked>) {
        let other_offer = |urn: &Urn| {
            let offer = listed_now.get(urn).or_else(|| self.open_offer_by_school.get(urn)).copied();
            offer.filter(|it| Some(*it) != own_offer)
        };
        let is_hidden = |id: &OfferId| {
            self.offers.get(id).is_some_and(|offer| !reach.covers(offer.region, offer.assignee.as_ref()))
        };
        let (mut free, mut blocked) = (Vec::new(), Vec::new());
        for school in schools {
            let lineage = std::iter::once(&school.urn).chain(&school.predecessors);
            match lineage.into_iter().find_map(|urn| other_offer(urn).map(|offer| (urn, offer))) {
                None => free.push(school),
                Some((urn, offer)) => {
                    let offer = Some(offer).filter(|it| !is_hidden(it));
                    let offer_phrase =
                        offer.map_or_else(|| "an open offer".to_owned(), |it| format!("open offer {it}"));
                    let reason = if *urn == school.urn {
                        format!("is on {offer_phrase} to another recipient, which keeps it")
                    } else {
                        format!("its predecessor {urn} is on {offer_phrase}, which keeps it")
                    };
                    blocked.push(Blocked { urn: school.urn, name: school.name.clone(), offer, reason });
                }
            }
        }
        (free, blocked)
    }
}

/// The recipient and the id of the offer that an event makes. None if the event makes no offer.
fn new_offer_of(draft: &NewEvent) -> Option<(Recipient, OfferId)> {
    let EventBody::Identified { recipient, .. } = &draft.body else { return None };
    Some((*recipient, draft.offer?))
}

/// The school as an offer lists it.
pub(in crate::programme) fn listed_school(school: &CandidateSchool) -> ListedSchool {
    ListedSchool { urn: school.urn, name: school.name.clone(), rules: school.rules.clone() }
}

/// The region with the largest number of these schools. If several regions have that number, the first by name (`domain.md`
/// section 4). None if there are no schools.
pub(in crate::programme) fn region_of_most(schools: &[&CandidateSchool]) -> Option<Region> {
    let mut counts: BTreeMap<Region, usize> = BTreeMap::new();
    for school in schools {
        let count = counts.entry(school.region).or_default();
        *count = count.saturating_add(1);
    }
    let most = counts.values().copied().max()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(region, _)| region)
}
