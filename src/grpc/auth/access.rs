//! Lists the actions of each method. A caller needs a role that allows one of them. [`crate::domain::role::Role::row`] says
//! which role allows which action; the use case checks the region of the thing that is read or changed.
//!
//! A method that is missing here can be called by no one; a test compares the table with the contract.

use Action as A;

use crate::domain::role::Action;

/// Every method of the contract, with the actions of which the caller needs one.
#[rustfmt::skip]
pub const TABLE: &[(&str, &[Action])] = &[
    ("ApprovalService/ListApprovals",             &[A::Read]),
    ("ApprovalService/GiveApproval",              &[A::Reopen, A::Import, A::ApproveMoney, A::DecideEntry]),
    ("ApprovalService/DenyApproval",              &[A::Reopen, A::Import, A::ApproveMoney, A::DecideEntry]),
    ("ApprovalService/WithdrawApproval",          &[A::Reopen, A::Import, A::KeepFunds, A::AskEntry]),
    ("AwardService/CreateAwards",                 &[A::Award]),
    ("AwardService/CheckAward",                   &[A::Award]),
    ("AwardService/GetAward",                     &[A::Read]),
    ("AwardService/ListAwards",                   &[A::Read]),
    ("AwardService/BookDays",                     &[A::Deliver]),
    ("AwardService/CancelBooking",                &[A::Deliver]),
    ("AwardService/DrawAward",                    &[A::Deliver, A::PayClaims]),
    ("AwardService/ReleaseAward",                 &[A::Award]),
    ("AwardService/RefundAward",                  &[A::PayClaims]),
    ("AwardService/UndoMovement",                 &[A::PayClaims]),
    ("EligibilityService/ImportOfsted",           &[A::Import]),
    ("EligibilityService/ExplainEligibility",     &[A::Read]),
    ("EligibilityService/ListEligibility",        &[A::Read]),
    ("EligibilityService/SummariseEligibility",   &[A::Read]),
    ("EligibilityService/ListEligibilityChanges", &[A::Read]),
    ("EligibilityService/DecideEntry",            &[A::AskEntry]),
    ("FinanceService/VerifyLedger",               &[A::ReadLedger]),
    ("FundService/CreateFund",                    &[A::KeepFunds]),
    ("FundService/GetFund",                       &[A::Read]),
    ("FundService/ListFunds",                     &[A::Read]),
    ("FundService/AllocateFund",                  &[A::KeepFunds]),
    ("FundService/WithdrawFund",                  &[A::KeepFunds]),
    ("FundService/MoveFunds",                     &[A::KeepFunds]),
    ("FundService/GetFundPosition",               &[A::Read]),
    ("FundService/ListFundEntries",               &[A::ReadLedger]),
    ("FundService/StreamFundEntries",             &[A::ReadLedger]),
    ("NameService/ResolveNames",                  &[A::Read]),
    ("OfferService/IdentifyOffers",               &[A::WorkOffers]),
    ("OfferService/GetOffer",                     &[A::Read]),
    ("OfferService/BatchGetOffers",               &[A::Read]),
    ("OfferService/ListOffers",                   &[A::Read]),
    ("OfferService/ContactOffers",                &[A::WorkOffers]),
    ("OfferService/CorrectContact",               &[A::WorkOffers]),
    ("OfferService/CorrectOfferDate",             &[A::WorkOffers]),
    ("OfferService/AcceptOffer",                  &[A::WorkOffers]),
    ("OfferService/DeclineOffer",                 &[A::WorkOffers]),
    ("OfferService/StartOffer",                   &[A::WorkOffers]),
    ("OfferService/CloseOffer",                   &[A::WorkOffers]),
    ("OfferService/ReopenOffer",                  &[A::Reopen]),
    ("OfferService/AssignOffer",                  &[A::WorkOffers]),
    ("OfferService/NoteOffer",                    &[A::WorkOffers]),
    ("OfferService/ChangeOfferRegion",            &[A::ChangeRegion]),
    ("OfferService/ListOfferEvents",              &[A::Read]),
    ("OfferService/WatchOffers",                  &[A::Read]),
    ("RecordService/EraseText",                   &[A::EraseText]),
    ("ReferralService/RaiseReferral",             &[A::RaiseReferral]),
    ("ReferralService/RecordDiscussion",          &[A::RaiseReferral]),
    ("ReferralService/DecideReferral",            &[A::DecideReferral]),
    ("ReferralService/WithdrawReferral",          &[A::RaiseReferral]),
    ("ReferralService/GetReferral",               &[A::Read]),
    ("ReferralService/ListReferrals",             &[A::Read]),
    ("RegisterService/ImportRegister",            &[A::Import]),
    ("RegisterService/ListImports",               &[A::Read]),
    ("RegisterService/GetImport",                 &[A::Read]),
    ("RegisterService/WithdrawImport",            &[A::Import]),
    ("RegisterService/CheckWithdrawal",           &[A::Import]),
    ("RegisterService/ListSchools",               &[A::Read]),
    ("RegisterService/GetSchool",                 &[A::Read]),
    ("RegisterService/PlaceSchool",               &[A::Place]),
    ("RegisterService/ListTrusts",                &[A::Read]),
    ("RegisterService/GetTrust",                  &[A::Read]),
    ("RegisterService/ListAreas",                 &[A::Read]),
    ("TermsService/ListTerms",                    &[A::Read]),
    ("TermsService/LoadTerms",                    &[A::LoadTerms]),
    ("TermsService/GetTerms",                     &[A::Read]),
    ("TermsService/DiffTerms",                    &[A::Read]),
    ("WorkService/ListDue",                       &[A::Read]),
    ("WorkService/SummariseOffers",               &[A::Read]),
];

/// Returns the name of every method, such as `OfferService/NoteOffer`.
pub(in crate::grpc) fn method_names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;

    use super::*;
    use crate::proto::FILE_DESCRIPTOR_SET;

    #[test]
    fn every_method_of_the_contract_is_in_the_table_and_no_other() {
        let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let our_files = set.file.iter().filter(|file| file.package() == "tsio.v1");
        let methods: BTreeSet<String> = our_files
            .flat_map(|file| &file.service)
            .flat_map(|service| service.method.iter().map(|it| format!("{}/{}", service.name(), it.name())))
            .collect();
        let names_in_table: BTreeSet<String> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names_in_table, methods);
        assert_eq!(names_in_table.len(), TABLE.len(), "a method is in the table twice");
        assert!(TABLE.iter().all(|(_, actions)| !actions.is_empty()));
    }
}
