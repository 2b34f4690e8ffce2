//! The mutations of the contract: messages with a request id.

use crate::proto;

/// A message that changes data. Its request id makes a retry safe: the server carries out a request only once, and
/// returns the same answer each time that its id is sent.
pub trait Mutation: prost::Message + Clone {
    /// The request id, a UUID. If it is empty, the client makes one.
    fn request_id(&mut self) -> &mut String;
}

/// Implements [`Mutation`] for each of these messages.
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
    fn every_mutation_of_the_contract_is_declared() {
        let set = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let messages = set.file.iter().filter(|file| file.package() == "tsio.v1").flat_map(|file| &file.message_type);
        let is_mutation = |it: &&prost_types::DescriptorProto| {
            it.name().ends_with("Request") && it.field.iter().any(|field| field.name() == "request_id")
        };
        let mut declared_by_contract: Vec<&str> = messages.filter(is_mutation).map(|it| it.name()).collect();
        declared_by_contract.sort_unstable();
        assert_eq!(declared_by_contract, ALL);
    }
}
