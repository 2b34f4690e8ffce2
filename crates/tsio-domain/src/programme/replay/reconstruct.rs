//! Reconstructs the command of a recorded request from its events, so that it can be decided again.
//!
//! The record contains only hashes of texts, and a text may be erased. So the same constant replaces each text of the command.

use uuid::Uuid;

use crate::award::Reference;
use crate::award::claim::{ClaimPart, NewClaim};
use crate::event::{Event, EventBody, MadeEntity, Seq};
use crate::events_about;
use crate::ids::{ApprovalId, AwardId, OfferId};
use crate::ledger::fund_change::FundChange;
use crate::ledger::{Amount, Unit};
use crate::money::{HalfDays, Pence};
use crate::offer::{DeclineReason, Outcome, Party};
use crate::programme::ProgrammeState;
use crate::programme::command::referral::{NewReferral, ReferralCommand, ReferralTarget};
use crate::programme::command::{AwardTarget, Command, NewAward, OfferTarget, RefundIssuer};
use crate::referral::DiscussionPartner;
use crate::values::approval::ApprovalAction;
use crate::values::record::ErasureReason;
use crate::values::statement::Statement;

/// The text that replaces every text of a command.
const REPLACEMENT_TEXT: &str = "a text";

/// The replacement text if the event has a text, otherwise none.
fn replacement_text(event: &Event) -> Option<String> {
    event.text_hash.map(|_| REPLACEMENT_TEXT.to_owned())
}

/// The ids of the entities that a request made, in order.
pub(in crate::programme) fn ids_of(request: &[Event]) -> impl Iterator<Item = Uuid> + '_ {
    request.iter().filter_map(Event::made).map(MadeEntity::id)
}

/// The event that determines the command of a request: a contact, an approved referral, or else the first event. None if the
/// request has no events.
#[must_use]
pub fn main_event(request: &[Event]) -> Option<&Event> {
    let is_main = |it: &&Event| matches!(it.body, EventBody::Contacted { .. } | EventBody::ReferralApproved { .. });
    request.iter().find(is_main).or_else(|| request.first())
}

impl ProgrammeState {
    /// The command of a request. None if the program recorded the event by itself. The error says why no command makes such events.
    pub(in crate::programme) fn reconstruct_command(&self, request: &[Event]) -> Result<Option<Command>, String> {
        let event = main_event(request).ok_or("a call of no event")?;
        let command = match &event.body {
            EventBody::RulesAdopted { .. } => return Ok(None),
            EventBody::Identified { .. }
            | EventBody::SchoolsAdded { .. }
            | EventBody::ResponsibleBodyChanged { .. }
            | EventBody::ReferralConfirmed { .. } => Command::Identify,
            EventBody::Contacted { party, .. } => contact_command(request, *party, event)?,
            EventBody::ContactCorrected { .. }
            | EventBody::Accepted { .. }
            | EventBody::Started {}
            | EventBody::DateCorrected { .. }
            | EventBody::Closed { .. }
            | EventBody::Assigned { .. }
            | EventBody::Noted {}
            | EventBody::RegionChanged { .. } => offer_command(event)?,
            EventBody::Placed { urn, placement, .. } => {
                Command::Place { urn: *urn, placement: *placement, reason: REPLACEMENT_TEXT.to_owned() }
            }
            EventBody::TextErased { event: erased } => erase_command(*erased, event)?,
            EventBody::Reopened { .. } | EventBody::EntryDecided { .. } => {
                return Err("no call does this but one that gives an approval first".to_owned());
            }
            EventBody::ApprovalOpened { action, change, statement, .. } => {
                approval_command(event, *action, change.as_ref(), statement.as_ref())?
            }
            EventBody::ApprovalGiven { approval, .. } => {
                let permission = self.action_of(*approval)?.permission_to_answer();
                Command::GiveApproval { approval: *approval, permission }
            }
            EventBody::ApprovalDenied { approval, .. } => {
                let permission = self.action_of(*approval)?.permission_to_answer();
                Command::DenyApproval { approval: *approval, permission, reason: REPLACEMENT_TEXT.to_owned() }
            }
            EventBody::ApprovalWithdrawn { approval, .. } => Command::WithdrawApproval {
                approval: *approval,
                permission: self.action_of(*approval)?.permission_to_request(),
            },
            EventBody::FundCreated { .. }
            | EventBody::FundAllocated { .. }
            | EventBody::FundWithdrawn { .. }
            | EventBody::FundsMoved { .. } => fund_command(event)?,
            EventBody::Awarded { .. } => {
                let awards = request.iter().map(new_award).collect::<Result<Vec<_>, _>>()?;
                Command::Award { offer: target(offer_of(event)?), awards, on: Some(event.effective) }
            }
            EventBody::DaysBooked { award, .. }
            | EventBody::BookingCancelled { award, .. }
            | EventBody::BookingDelivered { award, .. }
            | EventBody::Drawn { award, .. }
            | EventBody::Released { award, .. }
            | EventBody::Refunded { award, .. }
            | EventBody::Undone { award, .. } => self.award_command(event, *award)?,
            EventBody::ReferralRaised { .. }
            | EventBody::ReferralDiscussed { .. }
            | EventBody::ReferralApproved { .. }
            | EventBody::ReferralDeclined { .. }
            | EventBody::ReferralWithdrawn { .. } => Command::Refer(referral_command(event)?),
        };
        Ok(Some(command))
    }

    /// The action of the approval that a request answers. The error says that the approval does not exist.
    fn action_of(&self, approval: ApprovalId) -> Result<ApprovalAction, String> {
        let action = self.approvals.get(&approval).map(|it| it.action);
        action.ok_or_else(|| format!("approval {approval} does not exist"))
    }

    /// The command of an event about an existing award.
    fn award_command(&self, event: &Event, id: AwardId) -> Result<Command, String> {
        let (on, text, reason) = (event.effective, replacement_text(event), REPLACEMENT_TEXT.to_owned());
        let award = AwardTarget { award: id, etag: None };
        Ok(match &event.body {
            EventBody::DaysBooked { half_days, on, leader, leader_kind, .. } => {
                let leader = Some(leader.clone());
                Command::BookDays { award, half_days: *half_days, on: *on, leader, leader_kind: *leader_kind }
            }
            EventBody::BookingCancelled { booking, .. } => Command::CancelBooking { award, booking: *booking },
            EventBody::BookingDelivered { booking, .. } => {
                Command::Draw { award, amount: None, on, booking: Some(*booking), invoice: None, text }
            }
            EventBody::Drawn { amount, booking, invoice, claim, .. } => {
                check_printed(invoice.as_ref(), claim.as_ref())?;
                let claim = |reference: &Reference| NewClaim {
                    reference: reference.clone(),
                    printed: claim.as_ref().map_or_else(|| reference.as_str().to_owned(), |it| it.printed.clone()),
                    issuer: claim.as_ref().and_then(|it| it.issuer.clone()),
                    total: claim.as_ref().and_then(|it| it.total),
                };
                let (amount, invoice) = (Some(self.amount(id, *amount)?), invoice.as_ref().map(claim));
                Command::Draw { award, amount, on, booking: *booking, invoice, text }
            }
            EventBody::Released { amount, .. } => {
                Command::Release { award, amount: Some(self.amount(id, *amount)?), on, text }
            }
            EventBody::Refunded { amount, invoice, .. } => {
                let amount = self.amount(id, *amount)?;
                let (invoice, issuer) = self.refunded_invoice(id, *invoice)?;
                Command::Refund { award, amount, on, invoice, issuer, reason }
            }
            EventBody::Undone { undoes, .. } => Command::Undo { award, movement: *undoes, reason },
            EventBody::Awarded { .. } | events_about!(offer, school, approval, fund, referral, record) => {
                return Err(no_command(&event.body));
            }
        })
    }

    /// An amount in the unit of its award. The error says that the award does not exist or the amount does not fit.
    fn amount(&self, award: AwardId, amount: i64) -> Result<Amount, String> {
        let loaded = self.awards.get(&award).ok_or_else(|| format!("award {award} does not exist"))?;
        amount_in(loaded.unit, amount)
    }

    /// The invoice that a refund takes back, and its issuer. Both are none if the refund is not of an invoice.
    fn refunded_invoice(
        &self,
        award: AwardId,
        paid: Option<Seq>,
    ) -> Result<(Option<Reference>, Option<RefundIssuer>), String> {
        let Some(paid) = paid else { return Ok((None, None)) };
        let invoices = self.awards.get(&award).map(|it| it.invoices.as_slice()).unwrap_or_default();
        let invoice = invoices.iter().find(|it| it.seq == paid);
        let invoice = invoice.ok_or_else(|| format!("event {paid} pays no invoice of award {award}"))?;
        Ok((Some(invoice.reference.clone()), Some(RefundIssuer::Key(invoice.key().0))))
    }
}

/// The command that erased the text of the event `erased`.
fn erase_command(erased: Seq, event: &Event) -> Result<Command, String> {
    let code = event.reason_code.as_deref().unwrap_or_default();
    let reason = ErasureReason::named(code).ok_or_else(|| format!("{code:?} is no reason to erase a text"))?;
    Ok(Command::EraseText { event: erased, reason })
}

/// Checks that the reference of an invoice is the normalised form of the printed reference. Events of rules 1 have no printed
/// reference.
fn check_printed(invoice: Option<&Reference>, claim: Option<&ClaimPart>) -> Result<(), String> {
    match (invoice, claim) {
        (Some(reference), Some(claim)) if Reference::read(&claim.printed).as_ref() != Ok(reference) => {
            Err(format!("the invoice printed {:?} is not {:?}", claim.printed, reference.as_str()))
        }
        _ => Ok(()),
    }
}

/// The offer that an event is about. The error says that there is none.
fn offer_of(event: &Event) -> Result<OfferId, String> {
    event.offer.ok_or_else(|| "it is about no offer".to_owned())
}

/// The target of a command without an etag.
const fn target(offer: OfferId) -> OfferTarget {
    OfferTarget { offer, etag: None }
}

/// The command of a movement of a fund.
const fn fund_change(change: FundChange, text: Option<String>) -> Command {
    Command::ChangeFund { change, etag: None, text }
}

fn amount_in(unit: Unit, amount: i64) -> Result<Amount, String> {
    match unit {
        Unit::Pence => Ok(Amount::Pence(Pence(amount))),
        Unit::HalfDays => {
            let half_days = i32::try_from(amount).map_err(|_| format!("{amount} half-days are too many"))?;
            Ok(Amount::HalfDays(HalfDays(half_days)))
        }
    }
}

/// The command that recorded a contact on one or more offers.
fn contact_command(request: &[Event], party: Party, main: &Event) -> Result<Command, String> {
    let contacts = request.iter().filter_map(|it| {
        let EventBody::Contacted { urn, .. } = &it.body else { return None };
        Some(offer_of(it).map(|offer| (target(offer), *urn)))
    });
    let offers = contacts.collect::<Result<Vec<_>, _>>()?;
    Ok(Command::Contact { offers, party, on: main.effective, text: replacement_text(main) })
}

/// The command that closed an offer: a [`Command::Decline`] if the outcome is declined for a reason other than `other`, otherwise a
/// [`Command::Close`]. Both commands may record the outcome declined with the reason `other`. A close is assumed then, because
/// more states allow it.
fn close_command(offer: OfferTarget, outcome: Outcome, event: &Event) -> Result<Command, String> {
    let (on, text) = (event.effective, replacement_text(event));
    let reason = match event.reason_code.as_deref() {
        Some(code) if outcome == Outcome::Declined => {
            Some(DeclineReason::named(code).ok_or_else(|| format!("{code:?} is no reason of a decline"))?)
        }
        _ => None,
    };
    Ok(match reason.filter(|it| *it != DeclineReason::Other) {
        Some(reason) => Command::Decline { offer, reason, on, text },
        None => Command::Close { offer, outcome, on, text },
    })
}

/// The command that opened an approval.
fn approval_command(
    event: &Event,
    action: ApprovalAction,
    change: Option<&FundChange>,
    statement: Option<&Statement>,
) -> Result<Command, String> {
    match (change, statement.and_then(Statement::school)) {
        (Some(change), _) => Ok(fund_change(change.clone(), replacement_text(event))),
        (None, Some((urn, met))) if action == ApprovalAction::DecideEntry => {
            Ok(Command::DecideEntry { urn, met, reason: REPLACEMENT_TEXT.to_owned() })
        }
        (None, _) if action == ApprovalAction::ReopenOffer => {
            Ok(Command::Reopen { offer: target(offer_of(event)?), reason: REPLACEMENT_TEXT.to_owned() })
        }
        _ => Err(format!("it asks for {action}, and does not say of what")),
    }
}

/// The award of a command, from the event that made it. The error says that the event makes no award.
fn new_award(event: &Event) -> Result<NewAward, String> {
    let EventBody::Awarded { unit, amount, support, .. } = &event.body else {
        return Err(format!("no call awards and does this: {}", event.body.kind()));
    };
    Ok(NewAward { support: support.clone(), amount: amount_in(*unit, *amount)?, text: REPLACEMENT_TEXT.to_owned() })
}

fn referral_command(event: &Event) -> Result<ReferralCommand, String> {
    let target = |referral| ReferralTarget { referral, etag: None };
    let (on, reason) = (event.effective, REPLACEMENT_TEXT.to_owned());
    Ok(match &event.body {
        EventBody::ReferralRaised { subject, urns, origin, ground, .. } => {
            let (subject, urns, origin, ground) = (*subject, urns.clone(), *origin, ground.clone());
            ReferralCommand::Raise(NewReferral { subject, urns, origin, ground, on, reason })
        }
        EventBody::ReferralDiscussed { referral, held_with } => {
            let with = held_with.unwrap_or(DiscussionPartner::RegionalSchoolsCommissioner);
            ReferralCommand::Discuss { referral: target(*referral), on, with, text: reason }
        }
        EventBody::ReferralApproved { referral, .. } => {
            ReferralCommand::Decide { referral: target(*referral), approve: true, on, reason }
        }
        EventBody::ReferralDeclined { referral, .. } => {
            ReferralCommand::Decide { referral: target(*referral), approve: false, on, reason }
        }
        EventBody::ReferralWithdrawn { referral } => ReferralCommand::Withdraw { referral: target(*referral), reason },
        EventBody::ReferralConfirmed { .. } | events_about!(offer, school, approval, fund, award, record) => {
            return Err(no_command(&event.body));
        }
    })
}

/// The error for an event that no command makes, or that this function does not handle.
fn no_command(body: &EventBody) -> String {
    format!("no command makes an event of the kind {}", body.kind())
}

fn offer_command(event: &Event) -> Result<Command, String> {
    let (offer, on, text) = (target(offer_of(event)?), event.effective, replacement_text(event));
    Ok(match &event.body {
        EventBody::ContactCorrected { contact } => Command::Correct { offer, contact: *contact, text },
        EventBody::Accepted { by } => Command::Accept { offer, by: *by, on, text },
        EventBody::Started {} => Command::Start { offer, on },
        EventBody::DateCorrected { milestone, on } => {
            Command::CorrectDate { offer, milestone: *milestone, on: *on, reason: REPLACEMENT_TEXT.to_owned() }
        }
        EventBody::Closed { outcome, .. } => close_command(offer, *outcome, event)?,
        EventBody::Assigned { to } => Command::Assign { offer, to: to.clone() },
        EventBody::Noted {} => Command::Note { offer, text: REPLACEMENT_TEXT.to_owned() },
        EventBody::RegionChanged { to, .. } => Command::ChangeRegion { offer, to: *to },
        EventBody::Identified { .. }
        | EventBody::SchoolsAdded { .. }
        | EventBody::Contacted { .. }
        | EventBody::Reopened { .. }
        | EventBody::ResponsibleBodyChanged { .. }
        | events_about!(school, approval, fund, award, referral, record) => return Err(no_command(&event.body)),
    })
}

fn fund_command(event: &Event) -> Result<Command, String> {
    let on = event.effective;
    Ok(match &event.body {
        EventBody::FundCreated { strand, region, .. } => {
            Command::CreateFund { strand: strand.clone(), region: *region }
        }
        EventBody::FundAllocated { fund, amount, .. } => {
            fund_change(FundChange::Allocate { fund: *fund, amount: *amount, on }, replacement_text(event))
        }
        EventBody::FundWithdrawn { fund, amount, over_commit, .. } => {
            let (fund, amount, over_commit) = (*fund, *amount, *over_commit);
            fund_change(FundChange::Withdraw { fund, amount, over_commit, on }, replacement_text(event))
        }
        EventBody::FundsMoved { from, to, amount, .. } => {
            fund_change(FundChange::Move { from: *from, to: *to, amount: *amount, on }, replacement_text(event))
        }
        events_about!(offer, school, approval, award, referral, record) => return Err(no_command(&event.body)),
    })
}
