//! Decides each request of a programme's record again, with the data that the events cite and with the rules that decide
//! commands.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::VerifyReport;
use super::cited::{Cited, Imports};
use super::evidence::ImportsAtDecision;
use crate::app::clock;
use crate::domain::award::Support;
use crate::domain::award::claim::{ClaimKey, ClaimPayments};
use crate::domain::event::{Event, EventBody, Seq};
use crate::domain::events_about;
use crate::domain::ids::{Uid, Urn};
use crate::domain::offer::Recipient;
use crate::domain::programme::replay::redecide::ReplayVerdict;
use crate::domain::programme::{EventText, ProgrammeState};

/// Decides requests again. Holds the data that is needed in addition to the state.
pub(super) struct Deciding {
    imports: Arc<Imports>,
    /// The data that the current events cite.
    cited: Cited,
    /// Schools that an approved referral made eligible.
    granted: BTreeSet<Urn>,
}

impl Deciding {
    pub(super) fn new(imports: Arc<Imports>) -> Self {
        Self { imports, cited: Cited::default(), granted: BTreeSet::new() }
    }

    /// Takes the data that the next page cites. Keeps the data of the previous page only if a request continues on the next
    /// page.
    pub(super) fn take_cited(&mut self, cited: Cited, request_continues: bool) {
        if request_continues {
            self.cited.add(cited);
        } else {
            self.cited = cited;
        }
    }

    /// Decides one request again, before its events are applied. Reports a decision that the rules forbid.
    pub(super) fn decide(&mut self, request_events: &[Event], state: &mut ProgrammeState, report: &mut VerifyReport) {
        let Some(first) = request_events.first() else { return };
        let Some(now) = clock::moment(first.recorded) else {
            report.differs(format!("event {}: it is recorded at a time that no calendar has", first.seq));
            return;
        };
        let at_decision = ImportsAtDecision::of(&self.imports, request_events, first.recorded);
        state.trusts.clear();
        for uid in request_events.iter().filter_map(named_trust) {
            state.trusts.extend(self.cited.trust(uid, &at_decision).map(|answer| (uid, answer)));
        }
        for undone in
            request_events.iter().filter_map(|it| it.body.undoes()).filter_map(|seq| self.cited.events.get(&seq))
        {
            state.movements.recall(undone);
        }
        for event in request_events
            .iter()
            .filter_map(|it| event_of_erased_text(&it.body))
            .filter_map(|seq| self.cited.events.get(&seq))
        {
            let text = EventText { offer: event.offer, was_recorded: event.text_hash.is_some(), is_erased: false };
            state.texts.entry(event.seq).or_insert(text);
        }
        let own_payments = self.add_payments_elsewhere(request_events, state);
        match state.redecide(request_events, now) {
            ReplayVerdict::Allowed => {}
            ReplayVerdict::ForbiddenByLaterRules(seq, why) => report.allowed_when_made(format!("event {seq}: {why}")),
            ReplayVerdict::Forbidden(seq, why) => report.differs(format!("event {seq}: {why}")),
        }
        state.claims.extend(own_payments);
        // The approval of a referral also makes the offer, in the same request. So its schools are granted before the
        // offers are checked.
        self.granted.extend(request_events.iter().flat_map(exceptional_schools));
        for event in request_events.iter().filter(|it| !it.body.listed().is_empty()) {
            let Some(recipient) = recipient_of(event, state) else { continue };
            if let Some(wrong) = self.cited.wrong_schools((event, recipient), state, &self.granted, &at_decision) {
                report.differs(format!("event {}: {wrong}", event.seq));
            }
        }
    }

    /// Forgets the movements that [`Self::decide`] recalled for a request. Called after the events of the request were
    /// applied.
    pub(super) fn forget_recalled(request_events: &[Event], state: &mut ProgrammeState) {
        for award in request_events.iter().filter(|it| it.body.undoes().is_some()).filter_map(|it| it.body.award()) {
            state.movements.forget(award);
        }
    }

    /// Adds to the invoices of a request the earlier payments of other programmes. Returns the payments of this programme
    /// alone, so that the caller can restore them.
    fn add_payments_elsewhere(
        &self,
        request_events: &[Event],
        state: &mut ProgrammeState,
    ) -> Vec<(ClaimKey, ClaimPayments)> {
        let claims = request_events.iter().filter_map(|it| numbered_claim(it, state));
        let claims: Vec<(ClaimKey, i64)> = claims.collect();
        let mut own_payments = Vec::new();
        for (key, payment_number) in claims {
            let Some(all) = self.cited.payments.get(&key) else { continue };
            let others = all.of_awards(|award| !state.awards.contains_key(&award));
            let own = state.claims.get(&key).cloned().unwrap_or_default();
            state.claims.insert(key.clone(), own.with_earlier(&others, payment_number));
            own_payments.push((key, own));
        }
        own_payments
    }
}

/// The invoice that an event pays, or whose payment it restores, and the number of that payment.
fn numbered_claim(event: &Event, state: &ProgrammeState) -> Option<(ClaimKey, i64)> {
    match &event.body {
        EventBody::Drawn { invoice: Some(reference), claim: Some(claim), .. } => {
            Some(((claim.issuer_key, reference.clone()), claim.part))
        }
        EventBody::Undone { award, invoice: Some(paid), part: Some(part), .. } => {
            let invoices = &state.awards.get(award)?.invoices;
            Some((invoices.iter().find(|it| it.seq == *paid)?.key(), *part))
        }
        events_about!(offer, school, approval, fund, award, referral, record) => None,
    }
}

/// The trust that an award or a placement names.
fn named_trust(event: &Event) -> Option<Uid> {
    match &event.body {
        EventBody::Awarded { support: Support::Credit { partner }, .. } => Some(*partner),
        EventBody::Placed { placement, .. } => placement.trust().map(|(uid, _)| uid),
        EventBody::EntryDecided { .. } | events_about!(offer, approval, fund, award, referral, record) => None,
    }
}

/// The event whose text this event erases.
const fn event_of_erased_text(body: &EventBody) -> Option<Seq> {
    if let EventBody::TextErased { event } = body { Some(*event) } else { None }
}

/// The schools that the approval of a referral makes eligible.
fn exceptional_schools(event: &Event) -> &[Urn] {
    if let EventBody::ReferralApproved { exceptional, .. } = &event.body { exceptional } else { &[] }
}

/// The recipient of the offer that an event makes or changes.
fn recipient_of(event: &Event, state: &ProgrammeState) -> Option<Recipient> {
    if let EventBody::Identified { recipient, .. } = &event.body {
        return Some(*recipient);
    }
    state.offers.get(&event.offer?).map(|it| it.recipient)
}
