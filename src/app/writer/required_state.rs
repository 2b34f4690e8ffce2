//! Lists the state that the commands of a batch need. The list is derived from the commands alone.

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

/// The state that the commands of a batch need: what to load, by id.
#[derive(Debug, Default)]
pub(super) struct RequiredState {
    /// Whether a command is an identify, which needs all offers of the programme.
    pub(super) identifies: bool,
    /// Whether a command may change an account.
    pub(super) moves_money: bool,
    /// Offers to load in full.
    pub(super) offers: BTreeSet<OfferId>,
    /// Offers that get a contact.
    pub(super) contacted_offers: BTreeSet<OfferId>,
    /// Offers to load without their schools, because the commands only make awards under them.
    pub(super) offers_without_schools: BTreeSet<OfferId>,
    /// Offers to load with all their awards and the movements of these.
    pub(super) offers_with_awards: BTreeSet<OfferId>,
    /// Awards to load with their movements.
    pub(super) awards_with_movements: BTreeSet<AwardId>,
    /// Awards with a draw, release or refund that a command undoes.
    pub(super) undone_awards: BTreeSet<AwardId>,
    /// Awards that commands name.
    pub(super) awards: BTreeSet<AwardId>,
    /// Accounts of caps that awards are made under.
    pub(super) caps: BTreeSet<AccountId>,
    /// Partner trusts of new awards, and trusts in which schools are placed by hand.
    pub(super) trusts: BTreeSet<Uid>,
    /// Invoices to pay, with the award that each is paid under.
    pub(super) claims: Vec<(AwardId, NewClaim)>,
    /// Awards on which a command draws without an invoice.
    pub(super) draws_without_invoice: BTreeSet<AwardId>,
    /// Keys of the leaders whose fees are awarded.
    pub(super) leaders: BTreeSet<String>,
    /// Schools that are placed by hand.
    pub(super) schools_to_place: BTreeSet<Urn>,
    /// Schools whose entry position a command decides.
    pub(super) entry_schools: BTreeSet<Urn>,
    /// Schools whose region is needed: those in `entry_schools`, and those of repeated requests to decide an entry position.
    pub(super) entry_regions: BTreeSet<Urn>,
    /// Approvals in `approvals` that may be about an entry position.
    pub(super) entry_approvals: BTreeSet<ApprovalId>,
    /// Approvals that are given, denied or withdrawn.
    pub(super) approvals: Vec<ApprovalId>,
    /// Offers, schools and funds that may have an open approval, by the id that approvals use for them.
    pub(super) approval_subjects: Vec<uuid::Uuid>,
    /// Ids of requests that may have opened an approval before.
    pub(super) approval_requests: Vec<RequestId>,
    /// Whether the open offers of the schools of all loaded offers are needed.
    pub(super) open_offers_of_schools: bool,
    /// Events whose texts are erased.
    pub(super) erased: BTreeSet<Seq>,
    /// Referrals that commands name.
    pub(super) referrals: BTreeSet<ReferralId>,
    /// Schools and trusts that a command refers, which may have an open referral already.
    pub(super) referred_subjects: BTreeSet<ReferralSubject>,
    /// Schools that a command refers, whose offer placements are needed.
    pub(super) referred_schools: BTreeSet<Urn>,
    /// Referrals that a command approves. The offer placements of their schools are needed.
    pub(super) approved_referrals: BTreeSet<ReferralId>,
}

impl RequiredState {
    /// The state that these commands need to be decided.
    pub(super) fn for_commands(commands: &[(RequestId, &Command)], today: Date) -> Self {
        let mut required = Self::default();
        for (request, command) in commands {
            required.add(command);
            required.add_past_movement(command, today);
            if matches!(command, Command::Reopen { .. } | Command::ChangeFund { .. } | Command::DecideEntry { .. }) {
                required.approval_requests.push(*request);
            }
        }
        required
    }

    /// Adds the state that is needed to replay the stored answer of a request: to check the caller's reach, and to see
    /// whether its approval was carried out.
    pub(super) fn add_answered(&mut self, request: RequestId, command: &Command) {
        match command {
            Command::DecideEntry { urn, .. } => {
                self.approval_requests.push(request);
                self.entry_regions.insert(*urn);
            }
            Command::GiveApproval { approval, .. } => self.approvals.push(*approval),
            _ => {}
        }
    }

    /// Whether the commands alone show that the register or the files are needed. Other needs are found only after loading
    /// and are not considered here: an offer may take its responsible body from the register.
    pub(super) fn reads_register(&self) -> bool {
        let schools = [&self.schools_to_place, &self.entry_schools, &self.referred_schools];
        self.identifies
            || schools.iter().any(|it| !it.is_empty())
            || !self.entry_approvals.is_empty()
            || !self.approved_referrals.is_empty()
    }

    /// Whether kept state can be enough for the commands: offers, awards without their movements, accounts and partner trusts. All
    /// fields are listed, so that a new one must be considered. An offer that follows the register needs the lock for its contacts.
    pub(super) fn fits_kept_state(&self) -> bool {
        let Self {
            identifies,
            moves_money: _,
            offers: _,
            contacted_offers: _,
            offers_without_schools: _,
            offers_with_awards,
            awards_with_movements,
            undone_awards: _,
            awards: _,
            caps: _,
            trusts: _,
            claims,
            draws_without_invoice,
            leaders,
            schools_to_place,
            entry_schools,
            entry_regions: _,
            entry_approvals: _,
            approvals,
            approval_subjects,
            approval_requests,
            open_offers_of_schools,
            erased,
            referrals,
            referred_subjects,
            referred_schools: _,
            approved_referrals: _,
        } = self;
        let others_are_empty = [
            offers_with_awards.is_empty(),
            awards_with_movements.is_empty(),
            claims.is_empty(),
            draws_without_invoice.is_empty(),
            leaders.is_empty(),
            schools_to_place.is_empty(),
            entry_schools.is_empty(),
            approvals.is_empty(),
            approval_subjects.is_empty(),
            approval_requests.is_empty(),
            erased.is_empty(),
            referrals.is_empty(),
            referred_subjects.is_empty(),
        ];
        !identifies && !open_offers_of_schools && others_are_empty.iter().all(|it| *it)
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
                self.offers_with_awards.insert(offer.offer);
            }
            Command::Close { offer, .. } | Command::Decline { offer, .. } => {
                self.offers_with_awards.insert(offer.offer);
                self.moves_money = true;
            }
            Command::Reopen { offer, .. } => {
                self.approval_subjects.push(offer.offer.0);
                self.open_offers_of_schools = true;
            }
            Command::GiveApproval { approval, .. }
            | Command::DenyApproval { approval, .. }
            | Command::WithdrawApproval { approval, .. } => {
                self.approvals.push(*approval);
                self.entry_approvals.extend(command.reads_files().then_some(*approval));
                self.open_offers_of_schools = true;
            }
            Command::Place { urn, placement, .. } => {
                self.schools_to_place.insert(*urn);
                self.trusts.extend(placement.trust().map(|(uid, _)| uid));
            }
            Command::DecideEntry { urn, .. } => {
                self.entry_schools.insert(*urn);
                self.entry_regions.insert(*urn);
                self.approval_subjects.push(subject_of(*urn));
            }
            Command::EraseText { event, .. } => {
                self.erased.insert(*event);
            }
            Command::CreateFund { .. } | Command::Release { .. } => self.moves_money = true,
            Command::ChangeFund { change, .. } => {
                self.approval_subjects.push(change.fund().0);
                self.moves_money = true;
            }
            Command::Award { offer, awards, .. } => self.add_awards(offer.offer, awards),
            Command::Draw { .. } | Command::Refund { .. } | Command::Undo { .. } => self.add_movement(command),
            Command::CorrectDate { offer, .. } => {
                self.offers_with_awards.insert(offer.offer);
            }
            Command::Refer(command) => self.add_referral(command),
            Command::BookDays { .. } | Command::CancelBooking { .. } => {}
            Command::Contact { .. } => self.contacted_offers.extend(command.offers()),
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
            Command::Draw { award, .. } => drop(self.draws_without_invoice.insert(award.award)),
            Command::Refund { award, .. } => drop(self.awards_with_movements.insert(award.award)),
            Command::Undo { award, .. } => {
                self.awards_with_movements.insert(award.award);
                self.undone_awards.insert(award.award);
            }
            _ => return,
        }
        self.moves_money = true;
    }

    /// Adds the movements of an award on which a command draws or which it releases as of a past day: the amount must have
    /// been committed on that day and on each day since.
    fn add_past_movement(&mut self, command: &Command, today: Date) {
        if let Command::Draw { award, on, .. } | Command::Release { award, on, .. } = command
            && *on < today
        {
            self.awards_with_movements.insert(award.award);
        }
    }

    fn add_awards(&mut self, offer: OfferId, awards: &[NewAward]) {
        self.offers_without_schools.insert(offer);
        self.caps.extend(awards.iter().map(|it| AccountId::of_cap(offer, &it.support.strand())));
        self.trusts.extend(awards.iter().filter_map(|it| match it.support {
            Support::Credit { partner } => Some(partner),
            Support::Nle { .. } | Support::Nlg { .. } | Support::Npqel { .. } => None,
        }));
        self.leaders.extend(awards.iter().filter_map(|it| it.support.fees_key()));
        self.moves_money = true;
    }

    fn add_referral(&mut self, command: &ReferralCommand) {
        self.referrals.extend(command.referral());
        match command {
            ReferralCommand::Raise(new) => {
                self.referred_subjects.insert(new.subject);
                // The referral of a trust with one open school records that school as its subject.
                self.referred_subjects.extend(new.urns.iter().copied().map(ReferralSubject::School));
                self.referred_schools.extend(&new.urns);
            }
            ReferralCommand::Decide { referral, approve: true, .. } => {
                self.approved_referrals.insert(referral.referral);
            }
            ReferralCommand::Decide { .. } | ReferralCommand::Discuss { .. } | ReferralCommand::Withdraw { .. } => {}
        }
    }
}
