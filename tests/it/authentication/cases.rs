//! Every method of the contract with every role: a method without a row here fails the test.

use std::collections::BTreeSet;

use prost::Message as _;
use prost::bytes::Bytes;
use tonic::{Code, Request};
use tsio::proto::FILE_DESCRIPTOR_SET;

use super::{as_role, call, refusal_of};
use crate::client::Client;
use crate::harness::{Db, Server, run};

/// Letters of roles: reader, case officer, delivery partner, regional director, finance, finance approver,
/// administrator.
const ROLES: [(char, &str); 7] = [
    ('r', "reader"),
    ('c', "case-officer"),
    ('p', "delivery-partner"),
    ('d', "regional-director"),
    ('f', "finance"),
    ('v', "finance-approver"),
    ('a', "administrator"),
];

const ALL: &str = "rcpdfva";

/// Each method, and the letters of the roles that may call it, by section 8 of the scheme.
#[rustfmt::skip]
const CASES: &[(&str, &str)] = &[
    ("ApprovalService/ListApprovals",             ALL),
    ("ApprovalService/GiveApproval",              "dva"),
    ("ApprovalService/DenyApproval",              "dva"),
    ("ApprovalService/WithdrawApproval",          "cdfa"),
    ("AwardService/CreateAwards",                 "cd"),
    ("AwardService/CheckAward",                   "cd"),
    ("AwardService/GetAward",                     ALL),
    ("AwardService/ListAwards",                   ALL),
    ("AwardService/BookDays",                     "cpd"),
    ("AwardService/CancelBooking",                "cpd"),
    ("AwardService/DrawAward",                    "cpdf"),
    ("AwardService/ReleaseAward",                 "cd"),
    ("AwardService/RefundAward",                  "f"),
    ("AwardService/UndoMovement",                 "f"),
    ("EligibilityService/ImportOfsted",           "a"),
    ("EligibilityService/ExplainEligibility",     ALL),
    ("EligibilityService/ListEligibility",        ALL),
    ("EligibilityService/SummariseEligibility",   ALL),
    ("EligibilityService/ListEligibilityChanges", ALL),
    ("EligibilityService/DecideEntry",            "cd"),
    ("FinanceService/VerifyLedger",               "fv"),
    ("FundService/CreateFund",                    "f"),
    ("FundService/GetFund",                       ALL),
    ("FundService/ListFunds",                     ALL),
    ("FundService/AllocateFund",                  "f"),
    ("FundService/WithdrawFund",                  "f"),
    ("FundService/MoveFunds",                     "f"),
    ("FundService/GetFundPosition",               ALL),
    ("FundService/ListFundEntries",               "fv"),
    ("FundService/StreamFundEntries",             "fv"),
    ("NameService/ResolveNames",                  ALL),
    ("OfferService/IdentifyOffers",               "cd"),
    ("OfferService/GetOffer",                     ALL),
    ("OfferService/BatchGetOffers",               ALL),
    ("OfferService/ListOffers",                   ALL),
    ("OfferService/ContactOffers",                "cd"),
    ("OfferService/CorrectContact",               "cd"),
    ("OfferService/CorrectOfferDate",             "cd"),
    ("OfferService/AcceptOffer",                  "cd"),
    ("OfferService/DeclineOffer",                 "cd"),
    ("OfferService/StartOffer",                   "cd"),
    ("OfferService/CloseOffer",                   "cd"),
    ("OfferService/ReopenOffer",                  "a"),
    ("OfferService/AssignOffer",                  "cd"),
    ("OfferService/NoteOffer",                    "cd"),
    ("OfferService/ChangeOfferRegion",            "a"),
    ("OfferService/ListOfferEvents",              ALL),
    ("OfferService/WatchOffers",                  ALL),
    ("RecordService/EraseText",                   "a"),
    ("ReferralService/RaiseReferral",             "cd"),
    ("ReferralService/RecordDiscussion",          "cd"),
    ("ReferralService/DecideReferral",            "d"),
    ("ReferralService/WithdrawReferral",          "cd"),
    ("ReferralService/GetReferral",               ALL),
    ("ReferralService/ListReferrals",             ALL),
    ("RegisterService/ImportRegister",            "a"),
    ("RegisterService/ListImports",               ALL),
    ("RegisterService/GetImport",                 ALL),
    ("RegisterService/WithdrawImport",            "a"),
    ("RegisterService/CheckWithdrawal",           "a"),
    ("RegisterService/ListSchools",               ALL),
    ("RegisterService/GetSchool",                 ALL),
    ("RegisterService/PlaceSchool",               "a"),
    ("RegisterService/ListTrusts",                ALL),
    ("RegisterService/GetTrust",                  ALL),
    ("RegisterService/ListAreas",                 ALL),
    ("TermsService/ListTerms",                    ALL),
    ("TermsService/LoadTerms",                    "a"),
    ("TermsService/GetTerms",                     ALL),
    ("TermsService/DiffTerms",                    ALL),
    ("WorkService/ListDue",                       ALL),
    ("WorkService/SummariseOffers",               ALL),
];

/// The methods of the contract in the order of the descriptor, each with the field number of `request_id` in its
/// request; `None` if the request has no such field.
pub(crate) fn methods() -> Vec<(String, Option<i32>)> {
    let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let ours: Vec<_> = set.file.iter().filter(|file| file.package() == "tsio.v1").collect();
    let request_id = |name: &str| {
        let message =
            ours.iter().flat_map(|file| &file.message_type).find(|it| name == format!(".tsio.v1.{}", it.name()));
        message.unwrap().field.iter().find(|field| field.name() == "request_id").map(|field| field.number())
    };
    let services = ours.iter().flat_map(|file| &file.service);
    services
        .flat_map(|service| service.method.iter().map(move |it| (format!("{}/{}", service.name(), it.name()), it)))
        .map(|(name, method)| (name, request_id(method.input_type())))
        .collect()
}

#[test]
fn every_method_has_its_case() {
    let methods = methods();
    let named: BTreeSet<&str> = CASES.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, methods.iter().map(|(name, _)| name.as_str()).collect());
    for (name, number) in methods {
        assert!(number.is_none_or(|it| it == 1), "{name}: the security log finds a request id in the first field");
    }
}

/// Each method is called with an empty message. A role that may not call it is refused with ROLE_MISSING before any
/// other check, and a role that may call it is not. A caller without a role or a name is refused too.
#[test]
fn each_role_may_call_what_the_scheme_says() {
    run(async {
        let server = Server::start(&Db::sqlite());
        let channel = Client::of(&server).await.channel();
        for (method, allowed) in CASES {
            for (letter, role) in ROLES {
                let denied = call(&channel, method, as_role(role, None, ())).await.err().map(|it| refusal_of(&it));
                let denied = denied.filter(|(code, _)| *code == Code::PermissionDenied);
                let expected = (!allowed.contains(letter)).then(|| (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
                assert_eq!(denied, expected, "{method} as {role}");
            }
            let none = call(&channel, method, as_role("", None, ())).await.unwrap_err();
            assert_eq!(none.code(), Code::PermissionDenied, "{method} without a role");
            let nobody = call(&channel, method, Request::new(Bytes::new())).await.unwrap_err();
            assert_eq!(refusal_of(&nobody), (Code::Unauthenticated, "CALLER_MISSING".to_owned()), "{method}");
        }
    });
}
