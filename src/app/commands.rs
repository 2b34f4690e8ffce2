//! The commands that a caller can request, each a type with its fields and its type of answer.
//!
//! [`Command`] has the same commands as an enum, because a batch contains commands of every kind. Here each command is a type
//! with its own type of answer. The compiler therefore rejects a response that is made from the answer of another command.

use super::answers::{
    Answer, ApprovalEnded, ApprovalGiven, AwardChanged, AwardsMade, DaysBooked, EntryDecided, FundChanged, FundsMoved,
    OfferChanged, OfferEnded, OffersChanged, ReferralChanged, ReferralDecided, SchoolPlaced, TextErased,
};
use crate::domain::Date;
use crate::domain::award::claim::NewClaim;
use crate::domain::award::{LeaderKind, Reference};
use crate::domain::ids::{AccountId, Actor, ApprovalId, Programme, Urn};
use crate::domain::ledger::Amount;
use crate::domain::ledger::fund_change::FundChange;
use crate::domain::money::{HalfDays, Pence};
use crate::domain::offer::{Acceptor, DeclineReason, Milestone, Outcome, Party};
use crate::domain::programme::Command;
use crate::domain::programme::candidates::IdentifyReport;
use crate::domain::programme::command::referral::{NewReferral, ReferralCommand, ReferralTarget};
use crate::domain::programme::command::{AwardTarget, NewAward, OfferTarget, RefundIssuer};
use crate::domain::referral::DiscussionPartner;
use crate::domain::region::Region;
use crate::domain::role::Action;
use crate::domain::school::HandPlacement;
use crate::domain::terms::StrandId;
use crate::domain::values::record::{ErasureReason, Seq};

/// A command and the type of its answer.
pub(crate) trait TypedCommand: Send {
    /// The type of the command's answer.
    type Answer: Answer;

    /// Returns the programme that the command names, if any, and the command. If the command names no programme, the caller
    /// looks up the programme of the entity that the command changes.
    fn into_parts(self) -> (Option<Programme>, Command);
}

/// Declares commands. Each has a name, `in programme` if the command names its programme, its other fields, the type of its
/// answer, and the [`Command`] that is decided.
macro_rules! commands {
    ($(
        $(#[$doc:meta])*
        $name:ident $(in $programme:ident)? { $($field:ident: $type:ty),* $(,)? } -> $answer:ty: $command:expr;
    )+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name {
            $(pub(crate) $programme: Programme,)?
            $(pub(crate) $field: $type,)*
        }

        impl TypedCommand for $name {
            type Answer = $answer;

            fn into_parts(self) -> (Option<Programme>, Command) {
                let Self { $($programme,)? $($field,)* } = self;
                (None::<Programme>$(.or(Some($programme)))?, $command)
            }
        }
    )+};
}

commands! {
    /// Makes an offer for each eligible recipient that has none.
    IdentifyOffers in programme {} -> IdentifyReport: Command::Identify;

    /// Records a contact on each of these offers.
    ContactOffers { offers: Vec<(OfferTarget, Option<Urn>)>, party: Party, on: Date, text: Option<String> } -> OffersChanged:
        Command::Contact { offers, party, on, text };

    /// Takes a mistaken contact back.
    CorrectContact { offer: OfferTarget, contact: Seq, text: Option<String> } -> OfferChanged:
        Command::Correct { offer, contact, text };

    /// Corrects the day of the acceptance or of the start.
    CorrectOfferDate { offer: OfferTarget, milestone: Milestone, on: Date, reason: String } -> OfferChanged:
        Command::CorrectDate { offer, milestone, on, reason };

    /// Accepts an offer.
    AcceptOffer { offer: OfferTarget, by: Acceptor, on: Date, text: Option<String> } -> OfferChanged:
        Command::Accept { offer, by, on, text };

    /// Declines an offer.
    DeclineOffer { offer: OfferTarget, reason: DeclineReason, on: Date, text: Option<String> } -> OfferEnded:
        Command::Decline { offer, reason, on, text };

    /// Starts delivery.
    StartOffer { offer: OfferTarget, on: Date } -> OfferChanged: Command::Start { offer, on };

    /// Closes an offer.
    CloseOffer { offer: OfferTarget, outcome: Outcome, on: Date, text: Option<String> } -> OfferEnded:
        Command::Close { offer, outcome, on, text };

    /// Requests to reopen an offer, which a second person has to approve.
    ReopenOffer { offer: OfferTarget, reason: String } -> OfferChanged: Command::Reopen { offer, reason };

    /// Assigns an offer to a person, or ends its assignment.
    AssignOffer { offer: OfferTarget, to: Option<Actor> } -> OfferChanged: Command::Assign { offer, to };

    /// Adds a note to an offer.
    NoteOffer { offer: OfferTarget, text: String } -> OfferChanged: Command::Note { offer, text };

    /// Moves an offer to another region.
    ChangeOfferRegion { offer: OfferTarget, to: Region } -> OfferChanged: Command::ChangeRegion { offer, to };

    /// Places a school by hand.
    PlaceSchool in programme { urn: Urn, placement: HandPlacement, reason: String } -> SchoolPlaced:
        Command::Place { urn, placement, reason };

    /// Requests a decision of two people about the entry position of a school.
    DecideEntry in programme { urn: Urn, met: bool, reason: String } -> EntryDecided:
        Command::DecideEntry { urn, met, reason };

    /// Erases the free text of an event.
    EraseText in programme { event: Seq, reason: ErasureReason } -> TextErased: Command::EraseText { event, reason };

    /// Makes a fund with nothing in it.
    CreateFund in programme { strand: StrandId, region: Option<Region> } -> FundChanged:
        Command::CreateFund { strand, region };

    /// Puts money into a fund.
    AllocateFund { fund: AccountId, amount: Pence, on: Date, etag: Option<String>, text: Option<String> } -> FundChanged:
        Command::ChangeFund { change: FundChange::Allocate { fund, amount, on }, etag, text };

    /// Takes money out of a fund.
    WithdrawFund {
        fund: AccountId, amount: Pence, over_commit: bool, on: Date, etag: Option<String>, text: Option<String>,
    } -> FundChanged: {
        let change = FundChange::Withdraw { fund, amount, over_commit, on };
        Command::ChangeFund { change, etag, text }
    };

    /// Moves money between funds.
    MoveFunds {
        from: AccountId, to: AccountId, amount: Pence, on: Date, etag: Option<String>, text: Option<String>,
    } -> FundsMoved: Command::ChangeFund { change: FundChange::Move { from, to, amount, on }, etag, text };

    /// Makes awards under an offer.
    CreateAwards { offer: OfferTarget, awards: Vec<NewAward>, on: Option<Date> } -> AwardsMade:
        Command::Award { offer, awards, on };

    /// Books days of an award.
    BookDays {
        award: AwardTarget, half_days: HalfDays, on: Date, leader: Option<Actor>, leader_kind: Option<LeaderKind>,
    } -> DaysBooked: Command::BookDays { award, half_days, on, leader, leader_kind };

    /// Cancels a booking.
    CancelBooking { award: AwardTarget, booking: Seq } -> AwardChanged: Command::CancelBooking { award, booking };

    /// Draws on an award.
    DrawAward {
        award: AwardTarget,
        amount: Option<Amount>,
        on: Date,
        booking: Option<Seq>,
        invoice: Option<NewClaim>,
        text: Option<String>,
    } -> AwardChanged: Command::Draw { award, amount, on, booking, invoice, text };

    /// Releases a committed amount of an award.
    ReleaseAward { award: AwardTarget, amount: Option<Amount>, on: Date, text: Option<String> } -> AwardChanged:
        Command::Release { award, amount, on, text };

    /// Records a refund of a drawn amount.
    RefundAward {
        award: AwardTarget,
        amount: Amount,
        on: Date,
        invoice: Option<Reference>,
        issuer: Option<RefundIssuer>,
        reason: String,
    } -> AwardChanged: Command::Refund { award, amount, on, invoice, issuer, reason };

    /// Undoes a mistaken draw, release or refund.
    UndoMovement { award: AwardTarget, movement: Seq, reason: String } -> AwardChanged:
        Command::Undo { award, movement, reason };

    /// Gives an approval of a programme.
    GiveApproval in programme { approval: ApprovalId, permission: Action } -> ApprovalGiven:
        Command::GiveApproval { approval, permission };

    /// Denies an approval of a programme.
    DenyApproval in programme { approval: ApprovalId, permission: Action, reason: String } -> ApprovalEnded:
        Command::DenyApproval { approval, permission, reason };

    /// Withdraws an approval of a programme, as its requester.
    WithdrawApproval in programme { approval: ApprovalId, permission: Action } -> ApprovalEnded:
        Command::WithdrawApproval { approval, permission };

    /// Raises a referral.
    RaiseReferral in programme { new: NewReferral } -> ReferralChanged: Command::Refer(ReferralCommand::Raise(new));

    /// Records a discussion of a referral.
    RecordDiscussion { referral: ReferralTarget, on: Date, with: DiscussionPartner, text: String } -> ReferralChanged:
        Command::Refer(ReferralCommand::Discuss { referral, on, with, text });

    /// Decides a referral.
    DecideReferral { referral: ReferralTarget, approve: bool, on: Date, reason: String } -> ReferralDecided:
        Command::Refer(ReferralCommand::Decide { referral, approve, on, reason });

    /// Withdraws a referral that has not been decided.
    WithdrawReferral { referral: ReferralTarget, reason: String } -> ReferralChanged:
        Command::Refer(ReferralCommand::Withdraw { referral, reason });
}
