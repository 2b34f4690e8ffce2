//! Tests of funds: for each refusal a row that is refused and a row that just passes (`domain.md` sections 5 and 8).
//!
//! The result of a fund is `allocated committed spent available`, in pence.
//!
//! [`super::script`] explains the letters of the offers, [`super::money_script`] the words and the results of the rows.

use uuid::Uuid;

use super::money_script::judge_money;
use super::script::{NOW, Script, day};
use crate::approval::ApprovalState;
use crate::event::EventBody;
use crate::ids::RequestId;
use crate::ledger::fund_change::FundChange;
use crate::money::Pence;
use crate::person::Person;
use crate::programme::decision::{Approved, Warning};
use crate::programme::*;
use crate::refusal::Reason;
use crate::role::Action;
use crate::rules::RulesVersion;
use crate::time::Micros;

/// £6,000 awarded from the credit fund, which is then cut from £20,000 to £5,000.
const CUT: &str = "credit:600000 start@7 cut:credit:1500000 yes:ben";

#[test]
fn there_is_one_fund_for_each_strand_and_region() {
    #[rustfmt::skip]
    judge_money(&[
        ("S", "",                       "fund:credit=south-west",   "0 0 0 0", ""),
        ("S", "",                       "fund:nle=south-west",      "0 0 0 0", ""),
        ("S", "",                       "fund:credit",              "FUND_EXISTS - | fund", "(credit, national): use that fund"),
        ("S", "fund:nlg=south-west",    "fund:nlg=south-west",      "FUND_EXISTS - | fund", "(nlg, South-West England)"),
        ("S", "",                       "fund:nle",                 "FUND_EXISTS - | fund", "(nle, national)"),
        ("S", "",                       "fund:gardening",           "NOT_FOUND", "strand gardening"),
    ]);
    let script = Script::funded().after("S", "fund:nle=south-west fund:nlg=south-west");
    let binds = ["nle", "nle=south-west", "credit", "nlg=south-west"].map(|it| script.fund(it).binds);
    assert_eq!(binds, [false, false, true, true], "a fund binds if the terms say so of its strand");
    assert_eq!(["nle", "credit", "nlg"].map(|it| script.fund(it).etag()), ["v0", "v15", "v17"]);
}

#[test]
fn money_is_allocated_and_withdrawn() {
    #[rustfmt::skip]
    judge_money(&[
        ("S", "",                       "put:credit:500000",        "2500000 0 0 2500000", ""),
        ("S", "",                       "put:nlg:1",                "1000001 0 0 1000001", ""),
        ("S", "",                       "put:credit:9223372036854775807", "AMOUNT_TOO_LARGE 9223372036852775807 | fund 2000000 0 0 2000000 9223372036854775807 9223372036852775807", "put in at most"),
        ("S", "",                       "take:credit:2000000",      "0 0 0 0", ""),
        ("S", "",                       "take:credit:2000001",      "FUNDS_INSUFFICIENT 2000000 | fund 2000000 0 0 2000000 2000001 2000000", "at most £20,000; withdrawing more is over-commitment"),
        // committed money cannot be withdrawn
        ("S", "credit:600000",          "take:credit:1400000",      "600000 600000 0 0", ""),
        ("S", "credit:600000",          "take:credit:1400001",      "FUNDS_INSUFFICIENT 1400000 | fund 2000000 600000 0 1400000 1400001 1400000", ""),
        ("S", "credit:600000 start@7 draw:100000", "take:credit:1400001", "FUNDS_INSUFFICIENT 1400000 | fund 2000000 500000 100000 1400000 1400001 1400000", ""),
        // the NLE fund does not bind
        ("S", "nle:4",                  "put:nle:100000",           "100000 120000 0 -20000", ""),
        // so one person can withdraw money that was allocated by mistake
        ("S", "nle:4 put:nle:100000",   "take:nle:100000",          "0 120000 0 -120000", ""),
        ("S", "nle:4 put:nle:100000",   "cut:nle:1",                "99999 120000 0 -20001", ""),
        ("S", "nle:4 put:nle:100000",   "move:nle:credit:100000",   "0 120000 0 -120000 + 2100000 0 0 2100000", ""),
        ("S", "nle:4 put:nle:100000",   "take:nle:100001",          "FUNDS_INSUFFICIENT 100000 | fund 100000 120000 0 -20000 100001 100000", "take out at most £1,000"),
        ("S", "nle:4 put:nle:130000",   "take:nle:10000",           "120000 120000 0 0", ""),
        // order of checks: the fund exists, then the etag; a balance does not change the etag
        ("S", "",                       "put:gardening:1",          "NOT_FOUND", "fund"),
        ("S", "nle:1",                  "put:cap:1",                "NOT_FOUND", "fund"),
        ("S", "nle:1",                  "move:credit:cap:1",        "NOT_FOUND", "fund"),
        ("S", "",                       "take:credit:2000001~v16",  "STALE", "v16 was given, v15 is current"),
        ("S", "put:credit:1 credit:1",  "put:credit:1~v15",         "2000002 1 0 2000001", ""),
        ("S", "",                       "put:credit:1@2021-09-01",  "2000001 0 0 2000001", ""),
        ("S", "",                       "put:credit:1@2021-08-31",  "OUTSIDE_PROGRAMME 0 | period", "on or after 2021-09-01"),
    ]);
}

#[test]
fn a_virement_is_between_two_funds() {
    #[rustfmt::skip]
    judge_money(&[
        ("S", "",                       "move:credit:nlg:500000",   "1500000 0 0 1500000 + 1500000 0 0 1500000", ""),
        ("S", "",                       "move:credit:nle:2000000",  "0 0 0 0 + 2000000 0 0 2000000", ""),
        ("S", "",                       "move:credit:nlg:2000001",  "FUNDS_INSUFFICIENT 2000000 | fund 2000000 0 0 2000000 2000001 2000000", ""),
        ("S", "credit:600000",          "move:credit:nlg:1400001",  "FUNDS_INSUFFICIENT 1400000 | fund 2000000 600000 0 1400000 1400001 1400000", ""),
        ("S", "",                       "move:credit:credit:1",     "SAME_FUND 0 | fund", "name two funds"),
        ("S", "",                       "move:credit:nlg:1~v17",    "STALE", "v15 is current"),
        ("S", "",                       "move:credit:nlg:1@2021-08-31", "OUTSIDE_PROGRAMME 0 | period | as_of 2000000 0 0 0 1 0", ""),
    ]);
    let script = Script::funded().after("S", "move:credit:nlg:500000");
    let event = script.events.last().unwrap();
    let entries: Vec<_> = event.entries.iter().map(|it| (it.account, it.verb.name(), it.amount)).collect();
    assert_eq!(
        entries,
        [(script.fund_id("credit"), "withdraw", 500_000), (script.fund_id("nlg"), "allocate", 500_000)]
    );
    assert!(event.offer.is_none() && event.text_hash.is_some(), "one event records both sides, and has the text");
}

#[test]
fn an_over_committed_fund_makes_no_awards_until_it_has_enough_again() {
    #[rustfmt::skip]
    judge_money(&[
        ("S", CUT,                      "move:credit:nlg:1",        "FUND_OVER_COMMITTED 0 | fund 500000 600000 0 -100000 1 0", "allocate at least £1,000.01 to the fund first"),
        ("S", CUT,                      "take:credit:1",            "FUNDS_INSUFFICIENT 0 | fund 500000 600000 0 -100000 1 0", ""),
        ("S", CUT,                      "cut:credit:500000",        "asked", ""),
        ("S", CUT,                      "cut:credit:500001",        "FUNDS_INSUFFICIENT 500000 | fund 500000 600000 0 -100000 500001 500000", "what was put in: £5,000"),
        ("S", CUT,                      "put:credit:1",             "500001 600000 0 -99999", ""),
        ("S", CUT,                      "move:nlg:credit:100000",   "900000 0 0 900000 + 600000 600000 0 0", ""),
    ]);
    assert!(Script::funded().after("S", CUT).fund("credit").over_committed);
    for (word, is_over_committed) in [
        ("put:credit:99999", true),
        ("put:credit:100000", false),
        ("move:nlg:credit:100000", false),
        ("release:99999", true),
        ("release:100000", false),
        ("draw:600000", true),
    ] {
        let script = Script::funded().after("S", CUT).after("S", word);
        assert_eq!(script.fund("credit").over_committed, is_over_committed, "{word}");
        assert_eq!(script.fund("credit").fault(), None, "{word}");
    }
}

/// The threshold of the terms is £50,000. Over-commitment needs two people for any amount.
#[test]
fn large_movements_need_two_people() {
    const LARGE: &str = "put:credit:5000000!ada put:credit:5000000!eve";
    #[rustfmt::skip]
    judge_money(&[
        ("S", "",                               "put:credit:5000000",       "7000000 0 0 7000000", ""),
        ("S", "",                               "put:credit:5000001",       "asked", ""),
        ("S", LARGE,                            "take:credit:5000000",      "7000000 0 0 7000000", ""),
        ("S", LARGE,                            "take:credit:5000001",      "asked", ""),
        ("S", LARGE,                            "move:credit:nlg:5000000",  "7000000 0 0 7000000 + 6000000 0 0 6000000", ""),
        ("S", LARGE,                            "move:credit:nlg:5000001",  "asked", ""),
        ("S", "credit:600000",                  "cut:credit:1400000",       "600000 600000 0 0", ""),
        ("S", "credit:600000",                  "cut:credit:1400001",       "asked", ""),
        ("S", "credit:600000",                  "cut:credit:2000000",       "asked", ""),
        // other limits are checked before the second person
        ("S", "",                               "take:credit:5000001",      "FUNDS_INSUFFICIENT 2000000 | fund 2000000 0 0 2000000 5000001 2000000", ""),
        ("S", "credit:600000",                  "cut:credit:2000001",       "FUNDS_INSUFFICIENT 2000000 | fund 2000000 600000 0 1400000 2000001 2000000", ""),
        ("S", "",                               "move:credit:credit:5000001", "SAME_FUND 0 | fund | fund 2000000 0 0 2000000 5000001 2000000", ""),
        // a second request of the same caller for the same amount names the open approval; any other request opens a new approval
        ("S", "put:credit:5000001",             "put:credit:5000001",       "APPROVAL_REQUIRED - | approval", "an allocation of £50,000.01 needs a second person"),
        ("S", "put:credit:5000001",             "put:credit:5000002",       "asked", ""),
        ("S", "put:credit:5000001",             "put:credit:5000001!ada",   "asked", ""),
        ("S", "put:credit:5000001 yes:ben",     "put:credit:5000001",       "asked", ""),
        // also if the movement now needs only one person, because the open approval could still be given
        ("S", "credit:600000 cut:credit:1500000 put:credit:4000000", "cut:credit:1500000", "APPROVAL_REQUIRED - | approval", "is open"),
        ("S", "credit:600000 cut:credit:1500000 put:credit:4000000!ada yes:ben", "take:credit:1500000", "3000000 600000 0 2400000", ""),
        // the second person must be another person; giving the approval carries the movement out
        ("S", "put:credit:5000001",             "yes:ben",                  "7000001 0 0 7000001", ""),
        ("S", "put:credit:5000001",             "yes:fin",                  "SELF_APPROVAL - | approval", "another person"),
        ("S", "put:credit:5000001",             "yes:Fin",                  "SELF_APPROVAL - | approval", "another person"),
        ("S", "put:credit:5000001 yes:ben",     "yes:cy",                   "APPROVAL_NOT_OPEN - | approval", "given already"),
        ("S", "",                               "yes:ben",                  "NOT_FOUND", "approval"),
        ("S", "credit:600000 cut:credit:1500000", "yes:ben",                "500000 600000 0 -100000", ""),
        ("S", "put:credit:5000000 move:credit:nlg:5000001", "yes:ben",      "1999999 0 0 1999999 + 6000001 0 0 6000001", ""),
        // the movement must not do more than its approval states: £4,000 were awarded after the request
        ("S", "credit:600000 cut:credit:1400001 credit:400000", "yes:ben",  "APPROVAL_EXCEEDED - | fund 2000000 1000000 0 1000000 1400001 1000001", "would be £0.01 short; it would be £4,000.01 short now, £4,000 more"),
        ("S", "credit:600000 cut:credit:1400001 credit:400000 release", "yes:ben", "599999 600000 0 -1", ""),
        // the same as stated, or less, passes
        ("S", "credit:600000 cut:credit:1500000 release", "yes:ben",        "500000 0 0 500000", ""),
        // a movement stated to leave enough must not leave a shortfall
        ("S", "put:credit:5000000!ada credit:600000 cut:credit:5000001 take:credit:1400000", "yes:ben", "APPROVAL_EXCEEDED - | fund 5600000 600000 0 5000000 5000001 5000000", "would be £0 short; it would be £0.01 short now"),
        // nor a shortfall as of a past day
        ("S", "put:credit:500@20!ada cut:credit:2000500@19 credit:600000@10 put:credit:600000!ada", "yes:ben", "APPROVAL_EXCEEDED - | fund 2600500 600000 0 2000500 2000500 1400500", "would be £5 short on its worst day; it would be £6,005 short as of a day in the past, £6,000 more"),
        // a stated shortfall as of a past day does not allow one today
        ("S", "put:credit:500@20!ada cut:credit:2000500@19 credit:100", "yes:ben", "APPROVAL_EXCEEDED - | fund 2000500 100 0 2000400 2000500 2000400", "would be £0 short; it would be £1 short now, £1 more"),
        // an allocation never exceeds its statement
        ("S", "put:credit:5000001 credit:600000", "yes:ben",                "7000001 600000 0 6400001", ""),
        // the limits are checked again when the approval is given
        ("S", "put:credit:5000000!ada take:credit:5000001 take:credit:3000000", "yes:ben", "FUNDS_INSUFFICIENT 4000000 | fund 4000000 0 0 4000000 5000001 4000000", ""),
        ("S", "credit:600000 cut:credit:2000000 take:credit:1", "yes:ben",  "FUNDS_INSUFFICIENT 1999999 | fund 1999999 600000 0 1399999 2000000 1999999", ""),
    ]);
}

/// "The threshold counts together: what one person has moved on a fund", within 30 days.
#[test]
fn movements_by_one_person_are_added_up() {
    #[rustfmt::skip]
    judge_money(&[
        ("S", "put:credit:3000000",             "put:credit:2000000",       "7000000 0 0 7000000", ""),
        ("S", "put:credit:3000000",             "put:credit:2000001",       "asked", ""),
        ("S", "put:credit:3000000 put:credit:2000001", "put:credit:2000001", "APPROVAL_REQUIRED - | approval", "an allocation of £20,000.01, with £30,000 that one person moved on the fund alone in 30 days, needs a second person"),
        ("S", "put:credit:3000000 put:credit:2000001", "yes:ben",           "7000001 0 0 7000001", ""),
        // allocations, withdrawals and virements
        ("S", "put:credit:3000000",             "take:credit:2000001",      "asked", ""),
        ("S", "put:credit:3000000",             "move:credit:nlg:2000001",  "asked", ""),
        ("S", "put:nlg:4000000",                "move:credit:nlg:1000001",  "asked", ""),
        ("S", "move:credit:nlg:1000000",        "put:credit:4000001",       "asked", ""),
        ("S", "move:credit:nlg:1000000",        "put:nlg:4000001",          "asked", ""),
        ("S", "put:credit:3000000",             "put:nlg:5000000",          "6000000 0 0 6000000", ""),
        // undoing a movement subtracts nothing
        ("S", "put:credit:3000000 take:credit:2000000", "take:credit:1",    "asked", ""),
        // the same person, ignoring case
        ("S", "put:credit:3000000",             "put:credit:5000000!ada",   "10000000 0 0 10000000", ""),
        ("S", "put:credit:3000000",             "put:credit:2000001!Fin",   "asked", ""),
        // an approved movement counts for neither person
        ("S", "put:credit:5000001 yes:ben",     "put:credit:5000000",       "12000001 0 0 12000001", ""),
        ("S", "put:credit:5000001 yes:ben",     "put:credit:5000000!ben",   "12000001 0 0 12000001", ""),
        // other limits are checked before the second person
        ("S", "put:credit:3000000",             "take:credit:5000001",      "FUNDS_INSUFFICIENT 5000000 | fund 5000000 0 0 5000000 5000001 5000000", ""),
    ]);
}

#[test]
fn a_movement_counts_for_30_days_and_by_the_token_subject() {
    const THIRTY_DAYS_IN_MICROS: i64 = 30 * 86_400_000_000;
    let result_after = |micros: i64| {
        let mut script = Script::funded().after("S", "put:credit:3000000");
        for moved in script.state.unapproved_movements.values_mut().flatten() {
            moved.at = Micros(moved.at.0 - micros);
        }
        script.money_result("S", "put:credit:2000001").0
    };
    assert_eq!(result_after(THIRTY_DAYS_IN_MICROS - 1), "asked");
    assert_eq!(result_after(THIRTY_DAYS_IN_MICROS), "7000001 0 0 7000001");

    let script = Script::funded().after("S", "put:credit:3000000");
    let fund = script.fund("credit").id;
    let mut state = script.state;
    let subject = Some(crate::person::subject("https://id", "1"));
    state.unapproved_movements.get_mut(&fund).unwrap().iter_mut().for_each(|it| it.by.subject = subject);
    let change = FundChange::Allocate { fund, amount: Pence(1), on: day("2021-12-01") };
    let other_actor = |subject| Person { actor: "another".parse().unwrap(), subject };
    let by_same_subject = state.moved_alone(&change, &other_actor(subject), NOW);
    assert_eq!(by_same_subject, Pence(5_000_000), "all movements of the token subject count, under any actor");
    assert_eq!(state.moved_alone(&change, &other_actor(None), NOW), Pence(0));
}

/// Before rules 2 each movement was compared with the threshold alone. Movements of that time do not count later.
#[test]
fn before_rules_2_movements_are_not_added_up() {
    let mut script = Script::funded();
    script.state.rules = RulesVersion::V1;
    let mut script = script.after("S", "put:credit:5000000 put:credit:5000000");
    assert_eq!(script.money_result("S", "put:credit:5000001").0, "asked");
    script.state.rules = RulesVersion::V2;
    assert_eq!(script.money_result("S", "put:credit:5000000").0, "17000000 0 0 17000000");
}

/// A retry never opens a second approval: if both were given, the money would move twice.
#[test]
fn a_repeated_request_opens_no_second_approval() {
    let same_id = || Some(RequestId(Uuid::from_u128(7)));
    let other_id = || Some(RequestId(Uuid::from_u128(8)));
    let large = "put:credit:5000001";
    let given = "which this request opened, was given and carried out: an allocation of £50,000.01";
    #[rustfmt::skip]
    let rows = [
        // words before,    first request,    words afterwards,    request id,    repeated request,    result,    part of the text
        ("",                                large, "",                      same_id(),  large,                  "APPROVAL_REQUIRED - | approval", "is open"),
        ("",                                large, "yes:ben",               same_id(),  large,                  "APPROVAL_NOT_OPEN - | approval", given),
        ("",                                large, "yes:ben",               other_id(), large,                  "asked", ""),
        ("",                                large, "yes:ben",               same_id(),  "put:credit:5000001!ada", "asked", ""),
        ("",                                large, "yes:ben",               same_id(),  "put:credit:5000002",   "asked", ""),
        ("",                                large, "yes:ben",               same_id(),  "put:credit:5000001~v1", "APPROVAL_NOT_OPEN - | approval", given),
        // a request without a date, repeated on another day
        ("", large, "", same_id(), "put:credit:5000001@2021-12-02", "APPROVAL_REQUIRED - | approval", "is open"),
        ("", large, "yes:ben", same_id(), "put:credit:5000001@2021-12-02", "APPROVAL_NOT_OPEN - | approval", given),
        // also if one person could meanwhile make the movement alone, or the movement would meanwhile be refused
        ("credit:600000",                   "cut:credit:1500000", "yes:ben put:credit:4000000", same_id(), "cut:credit:1500000", "APPROVAL_NOT_OPEN - | approval", ""),
        ("credit:600000",                   "cut:credit:1500000", "put:credit:4000000", same_id(), "cut:credit:1500000", "APPROVAL_REQUIRED - | approval", ""),
        ("credit:600000",                   "cut:credit:2000000", "yes:ben", same_id(), "cut:credit:2000000",   "APPROVAL_NOT_OPEN - | approval", ""),
    ];
    for row @ (before, first, afterwards, request_id, word, expected, part) in rows {
        let mut script = Script::funded().after("S", before);
        script.request = same_id();
        let mut script = script.after("S", first);
        script.request = None;
        let mut script = script.after("S", afterwards);
        script.request = request_id;
        let (events, opened) = (script.events.len(), script.state.approvals.len());
        let (result, text) = script.money_result("S", word);
        assert_eq!(result, expected, "{row:?}: {text}");
        assert!(text.contains(part), "{row:?}: {text}");
        let added = usize::from(expected == "asked");
        assert_eq!((script.events.len(), script.state.approvals.len()), (events + added, opened + added), "{row:?}");
    }
}

#[test]
fn a_repeated_request_to_reopen_opens_no_second_approval() {
    let mut script = Script::new().after("S", "body@4 close:withdrawn@9");
    script.request = Some(RequestId(Uuid::from_u128(7)));
    let mut script = script.after("S", "ask:ada");
    assert_eq!(script.result("S", "ask:ada").0, "APPROVAL_REQUIRED");
    script.request = None;
    let mut script = script.after("S", "give:ben close:withdrawn@9");
    script.request = Some(RequestId(Uuid::from_u128(7)));
    let (reason, text) = script.result("S", "ask:ada");
    assert_eq!(reason, "APPROVAL_NOT_OPEN");
    assert!(text.contains("was given and carried out"), "{text}");
    assert_eq!(script.state.approvals.len(), 1);
    script.request = None;
    assert_eq!(
        script.after("S", "ask:ada").state.approvals.len(),
        2,
        "a request with another id opens another approval"
    );
}

/// `verify` decides the requests of that time again, and must allow them.
#[test]
fn under_rules_1_a_repeated_request_opens_another_approval_after_its_offer_changed() {
    let mut script = Script::new().after("S", "body@4 close:withdrawn@9");
    script.state.rules = RulesVersion::V1;
    script.request = Some(RequestId(Uuid::from_u128(7)));
    let mut script = script.after("S", "ask:ada");
    script.request = None;
    let mut script = script.after("S", "ask:ben give:cy close:withdrawn@9");
    script.request = Some(RequestId(Uuid::from_u128(7)));
    assert_eq!(script.result("S", "ask:ada").0, "closed");
    assert_eq!(script.state.approvals.len(), 3);
}

#[test]
fn asking_moves_nothing_and_giving_records_the_approval_and_the_movement() {
    let mut script = Script::funded().after("S", "credit:600000");
    let before = script.state.ledger.clone();
    let decided = script.word("S", "cut:credit:1500000@9").unwrap();
    let CommandAnswer::ApprovalOpened(refusal) = decided.answer else { unreachable!() };
    assert_eq!((refusal.reason, &script.state.ledger), (Reason::ApprovalRequired, &before));
    let approval = &script.state.approvals[&refusal.approval.unwrap()];
    let (fund, amount, on) = (script.fund_id("credit"), crate::money::Pence(1_500_000), day("9"));
    assert_eq!(approval.change, Some(FundChange::Withdraw { fund, amount, over_commit: true, on }));
    assert_eq!(
        (approval.action.name(), approval.subject, approval.requested_by.as_str()),
        ("withdraw_fund", fund.0, "fin")
    );
    assert_eq!(approval.action.permission_to_answer(), Action::ApproveMoney);

    script.today = day("2021-12-09");
    let decided = script.word("S", "yes:ben").unwrap();
    let kinds: Vec<&str> = decided.events.iter().map(|it| it.body.kind()).collect();
    assert_eq!(kinds, ["approval_given", "fund_withdrawn"]);
    assert_eq!(decided.answer, CommandAnswer::Approved(refusal.approval.unwrap(), Approved::Funds(vec![fund])));
    assert_eq!(decided.warnings, [Warning::DateInThePast(on)], "the movement keeps the date that was requested");
    assert_eq!(script.events.last().unwrap().effective, on);
}

/// The event says whether the withdrawal over-committed the fund, not whether it was allowed to.
#[test]
fn a_withdrawal_records_whether_it_over_committed_the_fund() {
    for (word, over_committed) in [("cut:credit:1400000", false), ("cut:credit:1400001 yes:ben", true)] {
        let script = Script::funded().after("S", "credit:600000").after("S", word);
        let EventBody::FundWithdrawn { over_commit, .. } = script.events.last().unwrap().body else { unreachable!() };
        assert_eq!(over_commit, over_committed, "{word}");
    }
}

#[test]
fn a_closed_programme_moves_no_money() {
    let mut script = Script::funded().after("S", "put:credit:5000001");
    script.state.programme.open = false;
    for (word, expected) in [
        ("fund:credit=south-west", "PROGRAMME_CLOSED - | period"),
        ("fund:credit", "PROGRAMME_CLOSED - | period | fund"),
        ("put:credit:1", "PROGRAMME_CLOSED 0 | period"),
        ("take:credit:1", "PROGRAMME_CLOSED 0 | period"),
        ("move:credit:nlg:1", "PROGRAMME_CLOSED 0 | period"),
        ("yes:ben", "PROGRAMME_CLOSED 0 | period"),
    ] {
        assert_eq!(script.money_result("S", word).0, expected, "{word}");
    }
}

#[test]
fn an_approval_expires_and_only_its_requester_withdraws_it() {
    let now = NOW;
    let mut script = Script::funded().after("S", "put:credit:5000001");
    let (id, opened) = script.state.approvals.iter().next().map(|(id, it)| (*id, it.clone())).unwrap();
    assert_eq!(
        opened.expires,
        Some(now.plus_days(30)),
        "an approval expires after 30 days if the terms do not say otherwise"
    );
    let withdraw = Command::WithdrawApproval { approval: id, permission: Action::KeepFunds };
    let refused = script.call("ben", &withdraw).unwrap_err();
    assert!(matches!(&refused, CommandError::Refused(it) if it.reason == Reason::ApprovalOfAnother), "{refused:?}");

    for expires in [now, Micros(now.0 - 1)] {
        let mut script = Script::funded().after("S", "put:credit:5000001");
        script.state.approvals.values_mut().for_each(|it| it.expires = Some(expires));
        let (reason, text) = script.money_result("S", "yes:ben");
        assert!(reason.starts_with("APPROVAL_NOT_OPEN") && text.contains("has expired"), "{reason}: {text}");
        let late = script.call("fin", &Command::WithdrawApproval { approval: id, permission: Action::KeepFunds });
        assert!(matches!(&late, Err(CommandError::Refused(it)) if it.reason == Reason::ApprovalNotOpen), "{late:?}");
        assert_eq!(script.money_result("S", "put:credit:5000001").0, "asked", "another approval may be requested");
    }

    let ledger = script.state.ledger.clone();
    script.request = Some(RequestId(Uuid::from_u128(7)));
    script.word("S", "put:credit:6000000").unwrap();
    script.request = None;
    let newest = *script.state.approvals.keys().max().unwrap();
    // The same id in upper case is the same person.
    script.call("FIN", &Command::WithdrawApproval { approval: newest, permission: Action::KeepFunds }).unwrap();
    assert_eq!((&script.state.approvals[&newest].state, &script.state.ledger), (&ApprovalState::Withdrawn, &ledger));
    let (reason, text) = script.money_result("S", "yes:ben");
    assert!(reason.starts_with("APPROVAL_NOT_OPEN") && text.contains("withdrawn"), "{reason}: {text}");
    script.request = Some(RequestId(Uuid::from_u128(7)));
    let (reason, text) = script.money_result("S", "put:credit:6000000");
    assert!(reason.starts_with("APPROVAL_CLOSED") && text.contains("was withdrawn"), "{reason}: {text}");
}

/// As of a past day a fund has only the money it had then. Credit has £20,000 from 1 September.
#[test]
fn money_is_not_withdrawn_before_it_was_allocated() {
    #[rustfmt::skip]
    judge_money(&[
        ("S", "put:credit:500@20",                    "take:credit:2000500@20",      "0 0 0 0", ""),
        ("S", "put:credit:500@20",                    "take:credit:2000500@19",      "FUNDS_INSUFFICIENT 2000000 | as_of 2000500 0 0 2000000 2000500 2000000", "give a date on or after 2021-10-20, or take out at most £20,000"),
        ("S", "put:credit:500@20",                    "move:credit:nlg:2000500@19",  "FUNDS_INSUFFICIENT 2000000 | as_of 2000500 0 0 2000000 2000500 2000000", ""),
        ("S", "put:credit:500@20 take:credit:1999999@10", "take:credit:2@9",         "FUNDS_INSUFFICIENT 1 | as_of 501 0 0 1 2 1", "as of 2021-10-10"),
        // a deliberate over-commitment by two people is not checked by day
        ("S", "credit:600000 put:credit:500@20",      "cut:credit:1400501@19",       "asked", ""),
        ("S", "put:credit:500@20",                    "cut:credit:2000500@19",       "asked", ""),
        // a fund that does not bind is not checked
        ("S", "put:nle:500@20",                       "take:nle:500@19",             "0 0 0 0", ""),
        // an amount that exceeds the fund today gets the usual refusal
        ("S", "put:credit:500@20",                    "take:credit:2000501@19",      "FUNDS_INSUFFICIENT 2000000 | fund 2000500 0 0 2000500 2000501 2000500", ""),
    ]);
}
