//! Maps the response of each method that executes a command to that command, and makes the response from the outcome of the
//! command. A response that is made from the outcome of another command does not compile.

use prost::Message;

use crate::app::answers::{CarriedOut, CommandOutcome};
use crate::app::commands::{
    AcceptOffer, AllocateFund, AssignOffer, BookDays, CancelBooking, ChangeOfferRegion, CloseOffer, ContactOffers,
    CorrectContact, CorrectOfferDate, CreateAwards, CreateFund, DecideEntry, DecideReferral, DeclineOffer,
    DenyApproval, DrawAward, EraseText, GiveApproval, IdentifyOffers, MoveFunds, NoteOffer, PlaceSchool, RaiseReferral,
    RecordDiscussion, RefundAward, ReleaseAward, ReopenOffer, StartOffer, TypedCommand, UndoMovement, WithdrawApproval,
    WithdrawFund, WithdrawReferral,
};
use crate::app::writer::AnswerEncoders;
use crate::grpc::message::conversion::{
    self, approval, award, awards, fund_account, identify_response, new_entry_decision, number, offer, referral,
    released_awards, warnings,
};
use crate::proto::{
    AcceptOfferResponse, AllocateFundResponse, AssignOfferResponse, BookDaysResponse, CancelBookingResponse,
    ChangeOfferRegionResponse, CheckAwardResponse, CloseOfferResponse, ContactOffersResponse, CorrectContactResponse,
    CorrectOfferDateResponse, CreateAwardsResponse, CreateFundResponse, DecideEntryResponse, DecideReferralResponse,
    DeclineOfferResponse, DenyApprovalResponse, DrawAwardResponse, EraseTextResponse, GiveApprovalResponse,
    IdentifyOffersResponse, MoveFundsResponse, NoteOfferResponse, PlaceSchoolResponse, RaiseReferralResponse,
    RecordDiscussionResponse, RefundAwardResponse, ReleaseAwardResponse, ReopenOfferResponse, StartOfferResponse,
    UndoMovementResponse, WithdrawApprovalResponse, WithdrawFundResponse, WithdrawReferralResponse,
};

/// The outcome of a command of this type.
type OutcomeOf<C> = CommandOutcome<<C as TypedCommand>::Answer>;

/// The response of a method that executes a command.
pub(in crate::grpc) trait CommandResponse: Message + Default {
    /// The command that the method executes.
    type Command: TypedCommand;

    /// Makes the response. It must contain no free text, because it is stored for ever and free texts can be erased.
    fn from_outcome(outcome: &OutcomeOf<Self::Command>) -> Self;
}

/// Returns the functions that encode the stored answers of a method.
pub(in crate::grpc) fn encoders<R: CommandResponse>() -> AnswerEncoders {
    AnswerEncoders { answer: |outcome| Ok(R::from_outcome(&outcome.typed()?).encode_to_vec()), carried_out }
}

/// Encodes the response to the request that opened an approval, after the approval has executed it.
fn carried_out(outcome: CommandOutcome<CarriedOut>) -> Vec<u8> {
    match outcome.answer.clone() {
        CarriedOut::Reopened(it) => ReopenOfferResponse::from_outcome(&outcome.with(*it)).encode_to_vec(),
        CarriedOut::Allocated(it) => AllocateFundResponse::from_outcome(&outcome.with(*it)).encode_to_vec(),
        CarriedOut::Withdrawn(it) => WithdrawFundResponse::from_outcome(&outcome.with(*it)).encode_to_vec(),
        CarriedOut::Moved(it) => MoveFundsResponse::from_outcome(&outcome.with(*it)).encode_to_vec(),
        CarriedOut::EntryDecided(it) => DecideEntryResponse::from_outcome(&outcome.with(it)).encode_to_vec(),
    }
}

/// Declares responses: the response message, its command, and the fields of the message. `it` is the outcome of the
/// command.
macro_rules! responses {
    ($($response:ident of $command:ident |$it:ident| $fields:tt)+) => {$(
        impl CommandResponse for $response {
            type Command = $command;

            fn from_outcome($it: &OutcomeOf<$command>) -> Self {
                Self $fields
            }
        }
    )+};
}

responses! {
    ContactOffersResponse of ContactOffers |it| {
        offers: it.answer.offers.iter().map(offer).collect(),
        warnings: warnings(it),
    }
    CorrectContactResponse of CorrectContact |it| { offer: Some(offer(&it.answer.offer)) }
    CorrectOfferDateResponse of CorrectOfferDate |it| {
        offer: Some(offer(&it.answer.offer)),
        warnings: warnings(it),
    }
    AcceptOfferResponse of AcceptOffer |it| { offer: Some(offer(&it.answer.offer)), warnings: warnings(it) }
    DeclineOfferResponse of DeclineOffer |it| {
        offer: Some(offer(&it.answer.offer)),
        warnings: warnings(it),
        released: released_awards(&it.answer.released),
    }
    StartOfferResponse of StartOffer |it| { offer: Some(offer(&it.answer.offer)), warnings: warnings(it) }
    CloseOfferResponse of CloseOffer |it| {
        offer: Some(offer(&it.answer.offer)),
        warnings: warnings(it),
        released: released_awards(&it.answer.released),
    }
    ReopenOfferResponse of ReopenOffer |it| { offer: Some(offer(&it.answer.offer)) }
    AssignOfferResponse of AssignOffer |it| { offer: Some(offer(&it.answer.offer)) }
    NoteOfferResponse of NoteOffer |it| { offer: Some(offer(&it.answer.offer)) }
    ChangeOfferRegionResponse of ChangeOfferRegion |it| { offer: Some(offer(&it.answer.offer)) }
    DecideEntryResponse of DecideEntry |it| {
        decision: Some(new_entry_decision(&it.programme, &it.answer.decision)),
    }
    EraseTextResponse of EraseText |it| {
        programme: it.programme.to_string(),
        sequence: it.answer.event.0,
    }
    CreateFundResponse of CreateFund |it| { fund: Some(fund_account(&it.programme, &it.answer.fund)) }
    AllocateFundResponse of AllocateFund |it| {
        fund: Some(fund_account(&it.programme, &it.answer.fund)),
        warnings: warnings(it),
    }
    WithdrawFundResponse of WithdrawFund |it| {
        fund: Some(fund_account(&it.programme, &it.answer.fund)),
        warnings: warnings(it),
    }
    MoveFundsResponse of MoveFunds |it| {
        from_fund: Some(fund_account(&it.programme, &it.answer.from)),
        to_fund: Some(fund_account(&it.programme, &it.answer.to)),
        warnings: warnings(it),
    }
    CreateAwardsResponse of CreateAwards |it| { awards: awards(&it.answer.awards), warnings: warnings(it) }
    CheckAwardResponse of CreateAwards |it| {
        awards: awards(&it.answer.awards),
        warnings: warnings(it),
        judged_at_sequence: it.decided_after.0,
    }
    BookDaysResponse of BookDays |it| {
        award: Some(award(&it.answer.award, None)),
        warnings: warnings(it),
        booking: it.answer.booking.0,
    }
    CancelBookingResponse of CancelBooking |it| { award: Some(award(&it.answer.award, None)) }
    DrawAwardResponse of DrawAward |it| { award: Some(award(&it.answer.award, None)), warnings: warnings(it) }
    ReleaseAwardResponse of ReleaseAward |it| {
        award: Some(award(&it.answer.award, None)),
        warnings: warnings(it),
    }
    RefundAwardResponse of RefundAward |it| { award: Some(award(&it.answer.award, None)), warnings: warnings(it) }
    UndoMovementResponse of UndoMovement |it| { award: Some(award(&it.answer.award, None)) }
    DenyApprovalResponse of DenyApproval |it| { approval: Some(approval(&it.answer.approval)) }
    WithdrawApprovalResponse of WithdrawApproval |it| { approval: Some(approval(&it.answer.approval)) }
    RaiseReferralResponse of RaiseReferral |it| {
        referral: Some(referral(&it.answer.referral)),
        warnings: warnings(it),
    }
    RecordDiscussionResponse of RecordDiscussion |it| {
        referral: Some(referral(&it.answer.referral)),
        warnings: warnings(it),
    }
    DecideReferralResponse of DecideReferral |it| {
        referral: Some(referral(&it.answer.referral)),
        offer: it.answer.offer.as_ref().map(offer),
        warnings: warnings(it),
    }
    WithdrawReferralResponse of WithdrawReferral |it| { referral: Some(referral(&it.answer.referral)) }
}

impl CommandResponse for IdentifyOffersResponse {
    type Command = IdentifyOffers;

    fn from_outcome(outcome: &OutcomeOf<IdentifyOffers>) -> Self {
        identify_response(outcome)
    }
}

impl CommandResponse for PlaceSchoolResponse {
    type Command = PlaceSchool;

    fn from_outcome(outcome: &OutcomeOf<PlaceSchool>) -> Self {
        let it = &outcome.answer;
        let (placement, uid) = conversion::hand_placement(it.placement);
        let (urn, trust_uid) = (number(it.urn.get()), uid.map_or(0, |uid| number(uid.get())));
        Self { urn, name: it.name.clone(), placement: placement.into(), trust_uid }
    }
}

impl CommandResponse for GiveApprovalResponse {
    type Command = GiveApproval;

    fn from_outcome(outcome: &OutcomeOf<GiveApproval>) -> Self {
        let (answer, programme) = (&outcome.answer, &outcome.programme);
        let response = Self { approval: Some(approval(&answer.approval)), ..Self::default() };
        match &answer.carried_out {
            CarriedOut::Reopened(it) => Self { offer: Some(offer(&it.offer)), ..response },
            CarriedOut::Allocated(it) | CarriedOut::Withdrawn(it) => {
                Self { funds: vec![fund_account(programme, &it.fund)], ..response }
            }
            CarriedOut::Moved(it) => {
                Self { funds: vec![fund_account(programme, &it.from), fund_account(programme, &it.to)], ..response }
            }
            CarriedOut::EntryDecided(it) => {
                Self { entry_decision: Some(new_entry_decision(programme, &it.decision)), ..response }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::answers::{AnyAnswer, EntryDecided, TextErased};
    use crate::domain::event::Seq;
    use crate::domain::programme::entry_school::EntryDecision;

    fn outcome<A>(answer: A) -> CommandOutcome<A> {
        CommandOutcome { programme: "2021-22".parse().unwrap(), answer, warnings: Vec::new(), decided_after: Seq(7) }
    }

    #[test]
    fn a_stored_answer_is_the_response_to_its_own_command_only() {
        let erased = || outcome(AnyAnswer::Erased(TextErased { event: Seq(3) }));
        let stored = (encoders::<EraseTextResponse>().answer)(erased()).unwrap();
        let expected = EraseTextResponse { programme: "2021-22".to_owned(), sequence: 3 };
        assert_eq!(EraseTextResponse::decode(stored.as_slice()), Ok(expected));
        assert!((encoders::<NoteOfferResponse>().answer)(erased()).is_err());
    }

    #[test]
    fn an_executed_approval_answers_the_request_that_opened_it() {
        let decision = EntryDecision {
            urn: crate::domain::ids::Urn::new(910_001).unwrap(),
            met: true,
            approval: crate::domain::ids::ApprovalId(uuid::Uuid::nil()),
            asked_by: "ann".parse().unwrap(),
            given_by: "ben".parse().unwrap(),
            on: "2022-03-01".parse().unwrap(),
            seq: Seq(9),
        };
        let response =
            (encoders::<GiveApprovalResponse>().carried_out)(outcome(CarriedOut::EntryDecided(EntryDecided {
                decision,
            })));
        let decision = DecideEntryResponse::decode(response.as_slice()).unwrap().decision.unwrap();
        assert_eq!((decision.urn, decision.asked_by.as_str(), decision.event), (910_001, "ann", 9));
    }
}
