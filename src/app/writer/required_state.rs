//! What the commands of a group need to know, by what they name.

use std::collections::BTreeSet;

use crate::domain::Date;
use crate::domain::approval::subject_of;
use crate::domain::award::Support;
use crate::domain::award::claim::NewClaim;
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, ApprovalId, AwardId, OfferId, ReferralId, RequestId, Uid, Urn};
use crate::domain::programme::Command;
use crate::domain::programme::command::NewAward;
use crate::domain::programme::command::referral::ReferralCommand;
use crate::domain::referral::ReferralSubject;

/// What a group's commands need to know.
#[derive(Debug, Default)]
pub(super) struct RequiredState {
    pub(super) identifies: bool,
    /// Whether an account may be moved.
    pub(super) money: bool,
    /// Offers in full.
    pub(super) offers: BTreeSet<OfferId>,
    /// Offers that are contacted.
    pub(super) contacted: BTreeSet<OfferId>,
    /// Offers of which money is asked only.
    pub(super) bare: BTreeSet<OfferId>,
    /// Offers with all their awards, and what moved amounts of these.
    pub(super) ending: BTreeSet<OfferId>,
    /// Awards of which it is asked what moved amounts of them.
    pub(super) moved: BTreeSet<AwardId>,
    /// Awards of which something is undone.
    pub(super) undone: BTreeSet<AwardId>,
    pub(super) awards: BTreeSet<AwardId>,
    pub(super) caps: BTreeSet<AccountId>,
    pub(super) trusts: BTreeSet<Uid>,
    /// Invoices to be paid.
    pub(super) claims: Vec<(AwardId, NewClaim)>,
    /// Awards that are drawn on without an invoice.
    pub(super) drawn: BTreeSet<AwardId>,
    /// Leaders whose fees are awarded, as leaders are compared.
    pub(super) leaders: BTreeSet<String>,
    pub(super) placed: BTreeSet<Urn>,
    /// Schools whose entry position is asked to be decided.
    pub(super) entries: BTreeSet<Urn>,
    /// Those, and the ones of which that was asked in calls answered before: of these only where they lie.
    pub(super) entry_regions: BTreeSet<Urn>,
    /// Approvals that decide one.
    pub(super) entries_given: BTreeSet<ApprovalId>,
    pub(super) given: Vec<ApprovalId>,
    /// What approvals may be open about.
    pub(super) subjects: Vec<uuid::Uuid>,
    /// Calls that may have opened one before.
    pub(super) asking: Vec<RequestId>,
    pub(super) relisted: bool,
    /// Events whose texts are to be erased.
    pub(super) erased: BTreeSet<Seq>,
    pub(super) referrals: BTreeSet<ReferralId>,
    /// Who is referred again.
    pub(super) referred: BTreeSet<ReferralSubject>,
    /// Schools to be seated.
    pub(super) seated: BTreeSet<Urn>,
    /// Referrals whose schools are to be seated.
    pub(super) approved: BTreeSet<ReferralId>,
}

impl RequiredState {
    pub(super) fn of(commands: &[(RequestId, &Command)], today: Date) -> Self {
        let mut asked = Self::default();
        for (request, command) in commands {
            asked.add(command);
            asked.add_past(command, today);
            if matches!(command, Command::Reopen { .. } | Command::ChangeFund { .. } | Command::DecideEntry { .. }) {
                asked.asking.push(*request);
            }
        }
        asked
    }

    /// What is needed to tell that what a call was answered before lies within its caller's reach, and what became of its approval.
    pub(super) fn add_answered(&mut self, request: RequestId, command: &Command) {
        match command {
            Command::DecideEntry { urn, .. } => {
                self.asking.push(request);
                self.entry_regions.insert(*urn);
            }
            Command::GiveApproval { approval, .. } => self.given.push(*approval),
            _ => {}
        }
    }

    /// Whether a command depends on what the register or the files say, as far as that can be told before anything is read.
    pub(super) fn reads_register(&self) -> bool {
        let schools = [&self.placed, &self.entries, &self.seated];
        self.identifies
            || schools.iter().any(|it| !it.is_empty())
            || !self.entries_given.is_empty()
            || !self.approved.is_empty()
    }

    fn add(&mut self, command: &Command) {
        self.awards.extend(command.award());
        match command {
            Command::Award { .. } => {}
            other => self.offers.extend(other.offers()),
        }
        match command {
            Command::Identify => self.identifies = true,
            Command::Start { offer, .. } => {
                self.ending.insert(offer.offer);
            }
            Command::Close { offer, .. } | Command::Decline { offer, .. } => {
                self.ending.insert(offer.offer);
                self.money = true;
            }
            Command::Reopen { offer, .. } => {
                self.subjects.push(offer.offer.0);
                self.relisted = true;
            }
            Command::GiveApproval { approval, .. }
            | Command::DenyApproval { approval, .. }
            | Command::WithdrawApproval { approval, .. } => {
                self.given.push(*approval);
                self.entries_given.extend(command.reads_files().then_some(*approval));
                self.relisted = true;
            }
            Command::Place { urn, placement, .. } => {
                self.placed.insert(*urn);
                self.trusts.extend(placement.trust().map(|(uid, _)| uid));
            }
            Command::DecideEntry { urn, .. } => {
                self.entries.insert(*urn);
                self.entry_regions.insert(*urn);
                self.subjects.push(subject_of(*urn));
            }
            Command::EraseText { event, .. } => {
                self.erased.insert(*event);
            }
            Command::CreateFund { .. } | Command::Release { .. } => self.money = true,
            Command::ChangeFund { change, .. } => {
                self.subjects.push(change.fund().0);
                self.money = true;
            }
            Command::Award { offer, awards, .. } => self.add_awards(offer.offer, awards),
            Command::Draw { .. } | Command::Refund { .. } | Command::Undo { .. } => self.add_movement(command),
            Command::CorrectDate { offer, .. } => {
                self.ending.insert(offer.offer);
            }
            Command::Refer(command) => self.add_referral(command),
            Command::BookDays { .. } | Command::CancelBooking { .. } => {}
            Command::Contact { .. } => self.contacted.extend(command.offers()),
            Command::Correct { .. }
            | Command::Accept { .. }
            | Command::Assign { .. }
            | Command::Note { .. }
            | Command::ChangeRegion { .. } => {}
        }
    }
}

impl RequiredState {
    fn add_movement(&mut self, command: &Command) {
        match command {
            Command::Draw { award, invoice: Some(claim), .. } => self.claims.push((award.award, claim.clone())),
            Command::Draw { award, .. } => drop(self.drawn.insert(award.award)),
            Command::Refund { award, .. } => drop(self.moved.insert(award.award)),
            Command::Undo { award, .. } => {
                self.moved.insert(award.award);
                self.undone.insert(award.award);
            }
            _ => return,
        }
        self.money = true;
    }

    /// What is drawn or released as of a day in the past had to be there as of each day since.
    fn add_past(&mut self, command: &Command, today: Date) {
        if let Command::Draw { award, on, .. } | Command::Release { award, on, .. } = command
            && *on < today
        {
            self.moved.insert(award.award);
        }
    }

    fn add_awards(&mut self, offer: OfferId, awards: &[NewAward]) {
        self.bare.insert(offer);
        self.caps.extend(awards.iter().map(|it| AccountId::of_cap(offer, &it.support.strand())));
        self.trusts.extend(awards.iter().filter_map(|it| match it.support {
            Support::Credit { partner } => Some(partner),
            Support::Nle { .. } | Support::Nlg { .. } | Support::Npqel { .. } => None,
        }));
        self.leaders.extend(awards.iter().filter_map(|it| it.support.fees_key()));
        self.money = true;
    }

    fn add_referral(&mut self, command: &ReferralCommand) {
        self.referrals.extend(command.referral());
        match command {
            ReferralCommand::Raise(new) => {
                self.referred.insert(new.subject);
                // A trust is taken for a school that is offered support on its own.
                self.referred.extend(new.urns.iter().copied().map(ReferralSubject::School));
                self.seated.extend(&new.urns);
            }
            ReferralCommand::Decide { referral, approve: true, .. } => {
                self.approved.insert(referral.referral);
            }
            ReferralCommand::Decide { .. } | ReferralCommand::Discuss { .. } | ReferralCommand::Withdraw { .. } => {}
        }
    }
}
