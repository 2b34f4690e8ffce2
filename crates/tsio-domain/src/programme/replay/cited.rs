//! Restores the data from outside the record with which a recorded request was decided. The events of the request cite this
//! data: the responsible body of a school, its offer placement, or an entry position that was unknown. Other code checks that
//! the files agree with the cited data.

use std::collections::HashMap;

use crate::award::Support;
use crate::event::{Event, EventBody};
use crate::events_about;
use crate::ids::{AwardId, OfferId, Uid, Urn};
use crate::offer::{ListedSchool, Offer, Recipient, ResponsibleBody};
use crate::programme::candidates::{Candidate, CandidateSchool, Candidates, OfferPlacement};
use crate::programme::command::Command;
use crate::programme::command::referral::{NewReferral, ReferralCommand, ReferralTarget};
use crate::programme::decide::claims;
use crate::programme::entry_school::{EntryPosition, EntrySchool};
use crate::programme::{ProgrammeState, RegisterAnswer, ResponsibleAnswer};
use crate::referral::ReferralSubject;
use crate::region::Region;
use crate::terms::RuleId;
use crate::values::statement::Statement;

impl ProgrammeState {
    /// Replaces the data from outside the record by the data that the events of a request cite. Data that the command does not
    /// use is removed.
    pub(in crate::programme) fn restore_cited_data(&mut self, command: &Command, request: &[Event]) {
        self.register_seq = request.iter().find_map(|it| it.body.register_seq());
        self.candidates = None;
        self.offer_placements.clear();
        self.responsible_bodies.clear();
        self.register.clear();
        self.entry_schools.clear();
        match command {
            Command::Identify => self.candidates = Some(self.restore_candidates(request)),
            Command::Contact { .. } => {
                let changed = request
                    .iter()
                    .filter_map(|it| Some((self.school_following_register(it.offer?)?, recorded_body(it)?)));
                self.responsible_bodies = changed.collect();
            }
            Command::Place { urn, .. } => {
                self.register.insert(*urn, RegisterAnswer::Unplaced { name: String::new() });
            }
            Command::DecideEntry { .. } => {
                let statement = request.iter().find_map(|it| {
                    if let EventBody::ApprovalOpened { statement, .. } = &it.body { statement.as_ref() } else { None }
                });
                self.restore_entry_school(statement);
            }
            Command::GiveApproval { approval, .. } => {
                let statement = self.approvals.get(approval).and_then(|it| it.statement.clone());
                self.restore_entry_school(statement.as_ref());
            }
            Command::Draw { award, .. } => self.restore_organisation(award.award, request),
            Command::Refer(ReferralCommand::Raise(new)) => {
                self.offer_placements = self.placements_when_raised(new, request);
            }
            Command::Refer(ReferralCommand::Decide { referral, approve: true, .. }) => {
                self.offer_placements = self.placements_when_approved(referral, request);
            }
            _ => {}
        }
    }

    /// Restores, from the statement of an approval, the school whose entry position is decided: its region, the decision about an
    /// older URN, and the older URNs that it follows. The record does not contain these URNs, so all other schools on the stated
    /// offers count as older URNs.
    fn restore_entry_school(&mut self, statement: Option<&Statement>) {
        let Some(Statement::Entry { urn, region, before, offers, .. }) = statement else { return };
        let other_decisions = self.entry_decisions.values().filter(|it| it.urn != *urn);
        let inherited_decision = other_decisions.filter(|it| Some(it.met) == *before).max_by_key(|it| it.seq).cloned();
        let stated_offers = offers.iter().flatten().filter_map(|it| self.offers.get(it));
        let predecessors = stated_offers.flat_map(|it| it.schools.keys()).filter(|it| *it != urn).copied().collect();
        let school =
            EntrySchool { region: *region, position: EntryPosition::Unknown, inherited_decision, predecessors };
        self.entry_schools.insert(*urn, school);
    }

    /// Restores the issuer of an award's invoices, if the draw recorded only the key of the issuer. If the award records the name of
    /// the organisation, the key is computed from that name. An issuer in the state is kept.
    fn restore_organisation(&mut self, award: AwardId, request: &[Event]) {
        let cited_key = request.iter().find_map(|it| {
            let EventBody::Drawn { claim: Some(claim), .. } = &it.body else { return None };
            claim.issuer.is_none().then_some(claim.issuer_key)
        });
        let key = match self.awards.get(&award).map(|it| &it.support) {
            Some(Support::Nlg { organisation: Some(name), .. }) => {
                claims::issuer_key_of_organisation(name, &self.programme.scheme)
            }
            _ => cited_key,
        };
        if let (Some(key), Some(_)) = (key, cited_key) {
            self.organisations.entry(award).or_insert(key);
        }
    }

    /// The school of an offer, if the responsible body of the offer still follows the register.
    fn school_following_register(&self, offer: OfferId) -> Option<Urn> {
        self.offers.get(&offer)?.school_of_responsible_body()
    }

    /// The candidates that led to the events of an identify.
    fn restore_candidates(&self, request: &[Event]) -> Candidates {
        let mut recipients: Vec<Candidate> = Vec::new();
        let mut index_by_recipient: HashMap<Recipient, usize> = HashMap::new();
        for event in request {
            let Some(offer) = event.offer else { continue };
            let made_in_request = || request.iter().find(|it| it.offer == Some(offer)).and_then(candidate_of_new_offer);
            let new = candidate_of_new_offer(event);
            let candidate = new.or_else(|| self.offers.get(&offer).map(candidate_of_offer)).or_else(made_in_request);
            let Some(candidate) = candidate else { continue };
            let index = *index_by_recipient.entry(candidate.recipient).or_insert(recipients.len());
            if index == recipients.len() {
                recipients.push(candidate);
            }
            let Some(candidate) = recipients.get_mut(index) else { continue };
            match &event.body {
                EventBody::SchoolsAdded { schools, .. } => {
                    let region = self.offers.get(&offer).map(|it| it.region);
                    let added = schools.iter().filter_map(|it| Some(school_of(it, region?)));
                    candidate.schools.extend(added);
                }
                EventBody::ResponsibleBodyChanged { to, trust, .. } => {
                    (candidate.responsible, candidate.trust) = (to.clone(), *trust);
                }
                EventBody::ReferralConfirmed { referral, .. } => {
                    let urns = self.referrals.get(referral).map(|it| it.urns.as_slice()).unwrap_or_default();
                    self.add_confirmed_schools(urns, offer, candidate);
                }
                EventBody::Identified { .. }
                | EventBody::Contacted { .. }
                | EventBody::ContactCorrected { .. }
                | EventBody::Accepted { .. }
                | EventBody::Started {}
                | EventBody::DateCorrected { .. }
                | EventBody::Closed { .. }
                | EventBody::Reopened { .. }
                | EventBody::Assigned { .. }
                | EventBody::Noted {}
                | EventBody::RegionChanged { .. }
                | EventBody::ReferralRaised { .. }
                | EventBody::ReferralDiscussed { .. }
                | EventBody::ReferralApproved { .. }
                | EventBody::ReferralDeclined { .. }
                | EventBody::ReferralWithdrawn { .. }
                | events_about!(school, approval, fund, award, record) => {}
            }
        }
        // The record does not say whether a school met a rule by a file or by a decision of people. So a school counts as
        // eligible by files if one of its rules can be met by files.
        for school in recipients.iter_mut().flat_map(|it| &mut it.schools) {
            school.by_files = self.programme.scheme.has_file_rule(school.rules.iter().map(String::as_str));
        }
        Candidates { recipients, ..Candidates::default() }
    }

    /// Adds the schools of a confirmed referral to the candidate. The offer lists each school, or a newer URN of the school.
    fn add_confirmed_schools(&self, urns: &[Urn], offer: OfferId, candidate: &mut Candidate) {
        // Takes any rule that files can meet. People decide the rules that have grounds.
        let all_rules = self.programme.scheme.rules().iter().map(|it| &it.id);
        let exceptional: Vec<&RuleId> = self.programme.scheme.grounds().map(|(rule, _)| rule).collect();
        let rules: Vec<String> =
            all_rules.filter(|it| !exceptional.contains(it)).take(1).map(ToString::to_string).collect();
        let loaded_offer = self.offers.get(&offer);
        for urn in urns {
            if candidate.schools.iter().any(|it| it.urn == *urn) {
                continue;
            }
            let Some(region) =
                loaded_offer.map(|it| it.region).or_else(|| candidate.schools.first().map(|it| it.region))
            else {
                continue;
            };
            let is_listed = loaded_offer.is_some_and(|it| it.schools.contains_key(urn));
            // The record does not say which URN replaced this one, so the highest URN on the offer counts as the newer URN.
            let newest = loaded_offer.and_then(|it| it.schools.keys().next_back().copied()).filter(|_| !is_listed);
            let (urn, predecessors) = newest.map_or((*urn, Vec::new()), |newest| (newest, vec![*urn]));
            let (name, rules) = (String::new(), rules.clone());
            candidate.schools.push(CandidateSchool { urn, name, region, rules, by_files: true, predecessors });
        }
    }

    /// The offer placements of schools at the time when they were referred.
    ///
    /// The record does not contain the trust of a referred school. So the school counts as standalone, unless the rule makes no
    /// standalone offers or the school's standalone offer is closed. In these cases the school counts as a school of an
    /// arbitrary trust.
    fn placements_when_raised(&self, new: &NewReferral, request: &[Event]) -> HashMap<Urn, OfferPlacement> {
        let raised = request.iter().find_map(|it| {
            let EventBody::ReferralRaised { name, region, rule, .. } = &it.body else { return None };
            Some((name, *region, RuleId::new(rule)))
        });
        let Some((name, region, rule)) = raised else { return HashMap::new() };
        let (recipient, trust) = match new.subject {
            ReferralSubject::Trust(uid) => (Recipient::Mat(uid), Some(uid)),
            ReferralSubject::School(urn) => {
                let standalone = Recipient::Standalone(urn);
                let may_be_standalone = self.programme.scheme.applies(&rule, standalone.row());
                let offer = self.offer_by_recipient.get(&standalone).and_then(|id| self.offers.get(id));
                let arbitrary_trust =
                    Uid::new(1).filter(|_| !may_be_standalone || offer.is_some_and(|it| !it.is_open()));
                arbitrary_trust.map_or((standalone, None), |uid| (Recipient::Mat(uid), None))
            }
        };
        let placement = |urn: &Urn| {
            let schools = vec![school_of(&ListedSchool { urn: *urn, name: name.clone(), rules: Vec::new() }, region)];
            (*urn, OfferPlacement::With(Box::new(Candidate { schools, ..bare_candidate(recipient, name, trust) })))
        };
        new.urns.iter().map(placement).collect()
    }

    /// The offer placements of schools at the time when their referral was approved. They follow from the offer that the
    /// approval made or changed.
    fn placements_when_approved(&self, target: &ReferralTarget, request: &[Event]) -> HashMap<Urn, OfferPlacement> {
        let Some(referral) = self.referrals.get(&target.referral) else { return HashMap::new() };
        let approved = request.iter().find_map(|it| {
            let EventBody::ReferralApproved { offer, exceptional, .. } = &it.body else { return None };
            Some((*offer, exceptional))
        });
        let Some((offer, exceptional)) = approved else { return HashMap::new() };
        let candidate =
            request.iter().find_map(candidate_of_new_offer).or_else(|| self.offers.get(&offer).map(candidate_of_offer));
        let Some(candidate) = candidate else { return HashMap::new() };
        let added: Vec<&ListedSchool> = request.iter().flat_map(|it| it.body.listed()).collect();
        let region =
            request.iter().find_map(region_of_new_offer).or_else(|| self.offers.get(&offer).map(|it| it.region));
        let placement = |urn: &Urn| {
            let new = added.iter().copied().find(|it| it.urn == *urn);
            let listed = new.or_else(|| self.offers.get(&offer)?.schools.get(urn));
            let rules = vec![referral.rule.to_string()];
            let unlisted = || ListedSchool { urn: *urn, name: String::new(), rules };
            let listed = listed.cloned().unwrap_or_else(unlisted);
            let mut school = school_of(&listed, region.unwrap_or(referral.region));
            school.by_files = !exceptional.contains(urn);
            if !school.by_files {
                school.rules.retain(|it| *it != referral.rule.as_str());
            }
            (*urn, OfferPlacement::With(Box::new(Candidate { schools: vec![school], ..candidate.clone() })))
        };
        referral.urns.iter().map(placement).collect()
    }
}

/// The responsible body that an event records. None if the event does not change the responsible body.
fn recorded_body(event: &Event) -> Option<ResponsibleAnswer> {
    let EventBody::ResponsibleBodyChanged { to, trust, .. } = &event.body else { return None };
    Some(ResponsibleAnswer { body: to.clone(), trust: *trust, diocese_known: true })
}

/// The recipient that an event makes an offer to, with its schools. None if the event makes no offer.
fn candidate_of_new_offer(event: &Event) -> Option<Candidate> {
    let EventBody::Identified { recipient, name, region, trust, responsible, schools, .. } = &event.body else {
        return None;
    };
    let schools = schools.iter().map(|it| school_of(it, *region)).collect();
    Some(Candidate { responsible: responsible.clone(), schools, ..bare_candidate(*recipient, name, *trust) })
}

/// The recipient of an existing offer as a candidate without new schools.
fn candidate_of_offer(offer: &Offer) -> Candidate {
    Candidate { responsible: offer.responsible.clone(), ..bare_candidate(offer.recipient, &offer.name, offer.trust) }
}

/// A candidate without schools and with an empty responsible body.
fn bare_candidate(recipient: Recipient, name: &str, trust: Option<Uid>) -> Candidate {
    let responsible = ResponsibleBody::Diocese(String::new());
    Candidate { recipient, name: name.to_owned(), trust, responsible, diocese_known: true, schools: Vec::new() }
}

/// A school of an offer as a candidate's school, without predecessors. It counts as not eligible by files.
fn school_of(listed: &ListedSchool, region: Region) -> CandidateSchool {
    let ListedSchool { urn, name, rules } = listed.clone();
    CandidateSchool { urn, name, region, rules, by_files: false, predecessors: Vec::new() }
}

/// The region of the offer that an event makes. None if the event makes no offer.
const fn region_of_new_offer(event: &Event) -> Option<Region> {
    if let EventBody::Identified { region, .. } = &event.body { Some(*region) } else { None }
}
