//! Applies events to the state. `verify` checks the stored state with the same functions.

use super::ProgrammeState;
use crate::approval::{Approval, ApprovalAnswer};
use crate::award::Award;
use crate::award::claim::IssuerKey;
use crate::event::{Event, EventBody, Seq};
use crate::events_about;
use crate::ids::{ApprovalId, AwardId};
use crate::ledger::{Account, Owner, PostingError, Unit};
use crate::offer::Offer;
use crate::person::{Person, TokenSubject};
use crate::referral::Referral;
use crate::rules::RulesVersion;

impl ProgrammeState {
    /// Applies one event. `verify` checks the stored state with this function too.
    pub fn apply(&mut self, event: &Event) {
        self.post(event);
        self.movements.apply(event);
        self.add_unapproved_movement(event);
        match &event.body {
            events_about!(offer) => self.apply_offer_event(event),
            EventBody::Placed { urn, placement, .. } => {
                self.placements.insert(*urn, *placement);
            }
            EventBody::EntryDecided { approval, urn, met, .. } => {
                self.store_entry_decision((*approval, *urn, *met), event)
            }
            EventBody::ApprovalOpened { approval, .. } => {
                let opened = Approval::from_event(&self.programme.programme, event);
                self.approvals.extend(opened.map(|it| (*approval, it)));
            }
            EventBody::ApprovalGiven { approval, token_subject } => {
                self.apply_approval_answer(*approval, ApprovalAnswer::Given, *token_subject, event);
            }
            EventBody::ApprovalDenied { approval, token_subject } => {
                self.apply_approval_answer(*approval, ApprovalAnswer::Denied, *token_subject, event);
            }
            EventBody::ApprovalWithdrawn { approval, token_subject } => {
                self.apply_approval_answer(*approval, ApprovalAnswer::Withdrawn, *token_subject, event);
            }
            // The entries move the money: see `post`.
            events_about!(fund) => {}
            events_about!(award) => self.apply_award_event(event),
            EventBody::ReferralRaised { referral, .. } => {
                let raised = Referral::from_event(&self.programme.programme, event);
                self.referrals.extend(raised.map(|it| (*referral, it)));
            }
            EventBody::ReferralDiscussed { referral, .. }
            | EventBody::ReferralApproved { referral, .. }
            | EventBody::ReferralDeclined { referral, .. }
            | EventBody::ReferralWithdrawn { referral }
            | EventBody::ReferralConfirmed { referral, .. } => {
                if let Some(it) = self.referrals.get_mut(referral) {
                    it.apply(event);
                }
            }
            EventBody::TextErased { event } => self.mark_text_erased(*event),
            EventBody::RulesAdopted { version, absent_texts, .. } => {
                self.adopt(*version, event);
                // Texts that were erased under older rules have no event of their own, so this event lists them.
                absent_texts.iter().for_each(|it| self.mark_text_erased(*it));
            }
        }
    }

    fn apply_offer_event(&mut self, event: &Event) {
        match &event.body {
            EventBody::Identified { recipient, .. } => {
                if let Some(offer) = Offer::from_event(&self.programme.programme, event) {
                    self.open_offer_by_school.extend(offer.schools.keys().map(|urn| (*urn, offer.id)));
                    self.offer_by_recipient.insert(*recipient, offer.id);
                    self.offers.insert(offer.id, offer);
                }
            }
            EventBody::Closed { released, .. } => {
                released.iter().for_each(|it| self.apply_to_award(it.award, event));
                self.apply_to_offer(event);
                self.remove_from_open_offers(event);
            }
            EventBody::SchoolsAdded { .. } | EventBody::Reopened { .. } => {
                self.apply_to_offer(event);
                self.add_to_open_offers(event);
            }
            EventBody::Contacted { .. }
            | EventBody::ContactCorrected { .. }
            | EventBody::Accepted { .. }
            | EventBody::Started {}
            | EventBody::DateCorrected { .. }
            | EventBody::Assigned { .. }
            | EventBody::Noted {}
            | EventBody::RegionChanged { .. }
            | EventBody::ResponsibleBodyChanged { .. } => self.apply_to_offer(event),
            events_about!(school, approval, fund, award, referral, record) => {}
        }
    }

    fn apply_award_event(&mut self, event: &Event) {
        match &event.body {
            EventBody::Awarded { award, .. } => {
                self.awards.extend(Award::from_event(event).map(|made| (*award, made)));
                self.add_leader_award(*award);
            }
            EventBody::DaysBooked { award, .. }
            | EventBody::BookingCancelled { award, .. }
            | EventBody::BookingDelivered { award, .. }
            | EventBody::Released { award, .. } => self.apply_to_award(*award, event),
            EventBody::Drawn { award, amount, invoice, .. } => {
                self.apply_to_award(*award, event);
                self.update_payments_after_draw(*award, *amount, invoice.is_none(), event);
            }
            EventBody::Refunded { award, invoice, .. } => {
                self.apply_to_award(*award, event);
                self.update_payments_after_refund(*award, *invoice);
            }
            EventBody::Undone { award, undoes, invoice, part, .. } => {
                self.apply_to_award(*award, event);
                self.update_payments_after_undo(*award, *undoes, *invoice, *part);
            }
            events_about!(offer, school, approval, fund, referral, record) => return,
        }
        self.apply_to_offer(event);
    }

    fn apply_to_offer(&mut self, event: &Event) {
        if let Some(offer) = event.offer.and_then(|id| self.offers.get_mut(&id)) {
            offer.apply(event);
        }
    }

    fn apply_to_award(&mut self, award: AwardId, event: &Event) {
        if let Some(award) = self.awards.get_mut(award) {
            award.apply(event);
        }
    }

    /// Adds the schools of the event's offer to the index of schools on open offers.
    fn add_to_open_offers(&mut self, event: &Event) {
        let Some(offer) = event.offer.and_then(|id| self.offers.get(&id)) else { return };
        self.open_offer_by_school.extend(offer.schools.keys().map(|urn| (*urn, offer.id)));
    }

    /// Removes the schools of the event's offer, which has closed, from the index of schools on open offers.
    fn remove_from_open_offers(&mut self, event: &Event) {
        let Some(offer) = event.offer.and_then(|id| self.offers.get(&id)) else { return };
        for urn in offer.schools.keys() {
            if self.open_offer_by_school.get(urn) == Some(&offer.id) {
                self.open_offer_by_school.remove(urn);
            }
        }
    }

    /// Posts an event's entries, after adding the accounts that the event creates.
    ///
    /// An entry that its account cannot bear does not change the account, and is reported in [`ProgrammeState::violations`].
    fn post(&mut self, event: &Event) {
        if let EventBody::FundCreated { fund, strand, region, binds } = &event.body {
            let owner = Owner::Fund { region: *region };
            let made = Account::new(*fund, owner, strand.clone(), Unit::Pence, *binds);
            self.ledger.put(Account { version: event.seq, ..made });
        }
        if let EventBody::Awarded { cap: Some(cap), unit, support, .. } = &event.body
            && self.ledger.get(*cap).is_none()
        {
            let owner = event.offer.map(|offer| Owner::Cap { offer });
            let made = owner.map(|owner| Account::new(*cap, owner, support.strand(), *unit, true));
            made.into_iter().for_each(|account| self.ledger.put(account));
        }
        let is_over_commitment = matches!(event.body, EventBody::FundWithdrawn { over_commit: true, .. });
        for entry in &event.entries {
            let account = self.ledger.get_mut(entry.account);
            let posted = account.map(|it| {
                it.post(entry.verb, entry.amount, is_over_commitment)?;
                self.account_days.post(it, event.effective, entry.verb, entry.amount);
                Ok::<_, PostingError>(())
            });
            let fault = match posted {
                Some(Ok(())) => continue,
                Some(Err(fault)) => fault.to_string(),
                None => "there is no such account".to_owned(),
            };
            self.violations.push(format!("entry {} on account {}: {fault}", entry.seq.0, entry.account));
        }
    }

    /// Adopts a version of the rules, which applies to all later events. A version that is not newer than the current one, or not
    /// known, is reported in [`ProgrammeState::violations`]. An approval without an expiry expires now.
    fn adopt(&mut self, version: RulesVersion, event: &Event) {
        let is_valid = self.rules < version && version <= RulesVersion::CURRENT;
        if !is_valid {
            let (seq, newest) = (event.seq, RulesVersion::CURRENT);
            let expected = format!("expected one after {}, up to {newest}, the newest that is known", self.rules);
            self.violations.push(format!("event {seq} adopts rules {version}: {expected}"));
        }
        self.rules = version;
        self.approvals.values_mut().for_each(|it| it.expire_if_no_expiry(event.recorded));
    }

    /// Applies the answer to an approval, with the person who gave the answer.
    fn apply_approval_answer(
        &mut self,
        approval: ApprovalId,
        answer: ApprovalAnswer,
        subject: Option<TokenSubject>,
        event: &Event,
    ) {
        if let Some(it) = self.approvals.get_mut(approval) {
            it.answer(answer, &Person { actor: event.actor.clone(), subject }, Some(event.seq));
        }
    }

    /// Adds an award of fees to its leader's awards. From rules 2 on, at most one award may fund a leader: a second one is reported
    /// in [`ProgrammeState::violations`].
    fn add_leader_award(&mut self, new: AwardId) {
        let Some(key) = self.awards.get(&new).and_then(Award::fees_key) else { return };
        let awards_of_leader = self.leaders.entry(key).or_default();
        let funding = awards_of_leader.iter().find(|id| self.awards.get(id).is_some_and(Award::funds));
        if let Some(earlier) = funding.filter(|_| self.rules >= RulesVersion::V2) {
            self.violations.push(format!("award {new} funds a leader whom award {earlier} funds"));
        }
        awards_of_leader.push(new);
    }

    /// If the draw pays an invoice, adds the draw to the payments of that invoice. Otherwise adds the draw to the draws without an
    /// invoice, if those of its award are loaded. The draw was applied to its award before.
    fn update_payments_after_draw(&mut self, award: AwardId, amount: i64, without_invoice: bool, event: &Event) {
        let Some(award) = self.awards.get(&award) else { return };
        let Some(paid) = award.invoices.last().filter(|it| it.seq == event.seq) else {
            if let Some(draws) = self.draws_without_invoice.get_mut(&award.id).filter(|_| without_invoice) {
                draws.push((event.seq, event.effective, amount));
            }
            return;
        };
        let payments = self.claims.entry(paid.key()).or_default();
        if let Some(claim) = &paid.claim {
            let is_wrong_key = claim.issuer.as_ref().is_some_and(|it| IssuerKey::of(it) != claim.issuer_key);
            let key_fault = is_wrong_key.then(|| "the stored key is not that of the issuer of the invoice".to_owned());
            let fault = key_fault.or_else(|| payments.fault(paid.amount.get(), claim));
            self.violations.extend(fault.map(|it| format!("a draw on award {}: {it}", award.id)));
        }
        payments.put(award.id, paid);
    }

    /// Updates the payments of an invoice after the refund of one of these payments was applied to its award.
    fn update_payments_after_refund(&mut self, award: AwardId, invoice: Option<Seq>) {
        let Some(award) = self.awards.get(&award) else { return };
        if let Some(paid) = award.invoices.iter().find(|it| Some(it.seq) == invoice) {
            self.claims.entry(paid.key()).or_default().put(award.id, paid);
        }
    }

    /// Updates the payments of an invoice after the undo of a draw or a refund was applied to its award. `payment_number` is the new
    /// number of the payment whose refund is undone. If the undone draw paid no invoice, removes it from the draws without an
    /// invoice.
    fn update_payments_after_undo(
        &mut self,
        award: AwardId,
        undoes: Seq,
        invoice: Option<Seq>,
        payment_number: Option<i64>,
    ) {
        let Some(award) = self.awards.get(&award) else { return };
        let Some(paid) = award.invoices.iter().find(|it| it.seq == undoes || Some(it.seq) == invoice) else {
            self.draws_without_invoice.entry(award.id).and_modify(|it| it.retain(|(seq, ..)| *seq != undoes));
            return;
        };
        let payments = self.claims.entry(paid.key()).or_default();
        if let (Some(payment_number), Some(claim)) = (payment_number, &paid.claim) {
            let fault = payments.fault_of_undone_refund((award.id, paid), claim, payment_number);
            self.violations.extend(fault.map(|it| format!("a refund undone on award {}: {it}", award.id)));
        }
        payments.put(award.id, paid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AccountId, RequestId};
    use crate::ledger::{EntryKind, EntrySeq, LedgerEntry};
    use crate::period::Period;
    use crate::programme::tests::script::{Script, day};
    use crate::terms::StrandId;
    use crate::time::Micros;

    fn adoption(seq: i64, version: i64) -> Event {
        Event {
            seq: Seq(seq),
            offer: None,
            actor: "tsio".parse().unwrap(),
            request: RequestId(uuid::Uuid::nil()),
            effective: day("2026-01-05"),
            recorded: Micros(0),
            reason_code: None,
            text_hash: None,
            body: EventBody::RulesAdopted { version: RulesVersion(version), absent_texts: Vec::new(), terms: None },
            entries: Vec::new(),
        }
    }

    /// The second event has an entry that commits more than the account has. The entry changes neither the account nor the
    /// account's changes by day.
    ///
    /// Each event also adopts rules that the programme has already, which is one violation. So there is 1 violation after the first
    /// event, and there are 3 after the second.
    #[test]
    fn an_entry_that_its_account_cannot_bear_changes_no_amount() {
        let mut state = Script::empty().state;
        let account = AccountId(uuid::Uuid::from_u128(7));
        let owner = Owner::Fund { region: None };
        state.ledger.put(Account::new(account, owner, StrandId::new("credit"), Unit::Pence, true));
        let entry = |verb, amount| LedgerEntry {
            seq: EntrySeq(1),
            account,
            verb,
            amount,
            period: Period::of(day("2026-01-05")),
        };
        let amounts_and_violations = |state: &ProgrammeState| {
            let days: Vec<_> = state.account_days.changes().map(|(_, day, change)| (day, change)).collect();
            (state.ledger.get(account).unwrap().available, days, state.violations.len())
        };
        state.apply(&Event { entries: vec![entry(EntryKind::Allocate, 100)], ..adoption(1, 2) });
        assert_eq!(amounts_and_violations(&state), (100, vec![(day("2026-01-05"), 100)], 1));
        state.apply(&Event { entries: vec![entry(EntryKind::Commit, 101)], ..adoption(2, 2) });
        assert_eq!(amounts_and_violations(&state), (100, vec![(day("2026-01-05"), 100)], 3));
    }

    #[test]
    fn the_newest_adoption_decides_which_rules_apply() {
        let mut state = Script::empty().state;
        state.rules = RulesVersion::V1;
        state.apply(&adoption(1, 2));
        assert_eq!((state.rules, state.violations.len()), (RulesVersion::V2, 0));
        // A programme under rules 2 adopts rules 2 again, an older version, and an unknown version.
        for (version, expected) in [(2, "adopts rules 2"), (1, "adopts rules 1"), (99, "adopts rules 99")] {
            let mut state = Script::empty().state;
            state.apply(&adoption(2, version));
            assert!(state.violations.iter().any(|it| it.contains(expected)), "{version}: {:?}", state.violations);
        }
    }
}
