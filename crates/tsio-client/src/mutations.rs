//! The messages that change something: each carries the caller's id for it.

use crate::proto;

/// A message that changes something. Its request id makes it safe to repeat: the same id is carried out once, and answered with
/// the same bytes for ever.
pub trait Mutation: prost::Message + Clone {
    /// The caller's id for this mutation, a UUID; one is made where it is empty.
    fn request_id(&mut self) -> &mut String;
}

macro_rules! mutations {
    ($($message:ident),+ $(,)?) => {
        $(
            impl Mutation for proto::$message {
                fn request_id(&mut self) -> &mut String {
                    &mut self.request_id
                }
            }
        )+
        #[cfg(test)]
        const ALL: &[&str] = &[$(stringify!($message)),+];
    };
}

mutations!(
    AcceptOfferRequest,
    AllocateFundRequest,
    AssignOfferRequest,
    BookDaysRequest,
    CancelBookingRequest,
    ChangeOfferRegionRequest,
    CloseOfferRequest,
    ContactOffersRequest,
    CorrectContactRequest,
    CorrectOfferDateRequest,
    CreateAwardsRequest,
    CreateFundRequest,
    DecideEntryRequest,
    DecideReferralRequest,
    DeclineOfferRequest,
    DenyApprovalRequest,
    DrawAwardRequest,
    EraseTextRequest,
    GiveApprovalRequest,
    IdentifyOffersRequest,
    LoadTermsRequest,
    MoveFundsRequest,
    NoteOfferRequest,
    PlaceSchoolRequest,
    RaiseReferralRequest,
    RecordDiscussionRequest,
    RefundAwardRequest,
    ReleaseAwardRequest,
    ReopenOfferRequest,
    StartOfferRequest,
    UndoMovementRequest,
    WithdrawApprovalRequest,
    WithdrawFundRequest,
    WithdrawImportRequest,
    WithdrawReferralRequest,
);

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn every_mutation_of_the_contract_is_one_here() {
        let set = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let ours = set.file.iter().filter(|file| file.package() == "tsio.v1").flat_map(|file| &file.message_type);
        let carries = |it: &&prost_types::DescriptorProto| {
            it.name().ends_with("Request") && it.field.iter().any(|field| field.name() == "request_id")
        };
        let mut named: Vec<&str> = ours.filter(carries).map(|it| it.name()).collect();
        named.sort_unstable();
        assert_eq!(named, ALL);
    }
}
