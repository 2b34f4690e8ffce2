//! Every "no" of a fund, one row each, and the "yes" beside it (`domain.md` sections 5 and 8).
//!
//! A fund comes to `allocated committed spent available`, in pence.

use uuid::Uuid;

use super::money_script::judge_money;
use super::script::{Script, day};
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
fn there_is_one_fund_a_strand_and_region() {
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
    assert_eq!(binds, [false, false, true, true], "as the terms say of its strand");
    assert_eq!(["nle", "credit", "nlg"].map(|it| script.fund(it).etag()), ["v0", "v15", "v17"]);
}

#[test]
fn money_arrives_and_leaves() {
    #[rustfmt::skip]
    judge_money(&[
        ("S", "",                       "put:credit:500000",        "2500000 0 0 2500000", ""),
        ("S", "",                       "put:nlg:1",                "1000001 0 0 1000001", ""),
        ("S", "",                       "put:credit:9223372036854775807", "AMOUNT_TOO_LARGE 9223372036852775807 | fund 2000000 0 0 2000000 9223372036854775807 9223372036852775807", "put in at most"),
        ("S", "",                       "take:credit:2000000",      "0 0 0 0", ""),
        ("S", "",                       "take:credit:2000001",      "FUNDS_INSUFFICIENT 2000000 | fund 2000000 0 0 2000000 2000001 2000000", "at most £20,000; withdrawing more is over-commitment"),
        // what is promised cannot leave
        ("S", "credit:600000",          "take:credit:1400000",      "600000 600000 0 0", ""),
        ("S", "credit:600000",          "take:credit:1400001",      "FUNDS_INSUFFICIENT 1400000 | fund 2000000 600000 0 1400000 1400001 1400000", ""),
        ("S", "credit:600000 start@7 draw:100000", "take:credit:1400001", "FUNDS_INSUFFICIENT 1400000 | fund 2000000 500000 100000 1400000 1400001 1400000", ""),
        // the NLE fund counts
        ("S", "nle:4",                  "put:nle:100000",           "100000 120000 0 -20000", ""),
        // so what was put in by mistake can leave again, by one person
        ("S", "nle:4 put:nle:100000",   "take:nle:100000",          "0 120000 0 -120000", ""),
        ("S", "nle:4 put:nle:100000",   "cut:nle:1",                "99999 120000 0 -20001", ""),
        ("S", "nle:4 put:nle:100000",   "move:nle:credit:100000",   "0 120000 0 -120000 + 2100000 0 0 2100000", ""),
        ("S", "nle:4 put:nle:100000",   "take:nle:100001",          "FUNDS_INSUFFICIENT 100000 | fund 100000 120000 0 -20000 100001 100000", "take out at most £1,000"),
        ("S", "nle:4 put:nle:130000",   "take:nle:10000",           "120000 120000 0 0", ""),
        // what is named is a fund of the programme, then the etag: of settings, never of balances
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
    assert!(event.offer.is_none() && event.text_hash.is_some(), "both sides in one event, with its note");
}

#[test]
fn an_over_committed_fund_promises_nothing_and_clears_itself() {
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
    for (word, still) in [
        ("put:credit:99999", true),
        ("put:credit:100000", false),
        ("move:nlg:credit:100000", false),
        ("release:99999", true),
        ("release:100000", false),
        ("draw:600000", true),
    ] {
        let script = Script::funded().after("S", CUT).after("S", word);
        assert_eq!(script.fund("credit").over_committed, still, "{word}");
        assert_eq!(script.fund("credit").fault(), None, "{word}");
    }
}

/// £50,000 is the threshold of the terms; over-commitment takes two people for any amount.
#[test]
fn large_movements_take_two_people() {
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
        // what would be refused anyway is refused first
        ("S", "",                               "take:credit:5000001",      "FUNDS_INSUFFICIENT 2000000 | fund 2000000 0 0 2000000 5000001 2000000", ""),
        ("S", "credit:600000",                  "cut:credit:2000001",       "FUNDS_INSUFFICIENT 2000000 | fund 2000000 600000 0 1400000 2000001 2000000", ""),
        ("S", "",                               "move:credit:credit:5000001", "SAME_FUND 0 | fund | fund 2000000 0 0 2000000 5000001 2000000", ""),
        // asking the same again names the approval; another amount, or another caller, is another asking
        ("S", "put:credit:5000001",             "put:credit:5000001",       "APPROVAL_REQUIRED - | approval", "an allocation of £50,000.01 needs a second person"),
        ("S", "put:credit:5000001",             "put:credit:5000002",       "asked", ""),
        ("S", "put:credit:5000001",             "put:credit:5000001!ada",   "asked", ""),
        ("S", "put:credit:5000001 yes:ben",     "put:credit:5000001",       "asked", ""),
        // also where it has come to need only one: given later, it would be done twice
        ("S", "credit:600000 cut:credit:1500000 put:credit:4000000", "cut:credit:1500000", "APPROVAL_REQUIRED - | approval", "is open"),
        ("S", "credit:600000 cut:credit:1500000 put:credit:4000000!ada yes:ben", "take:credit:1500000", "3000000 600000 0 2400000", ""),
        // the second person differs from the first, and carries it out
        ("S", "put:credit:5000001",             "yes:ben",                  "7000001 0 0 7000001", ""),
        ("S", "put:credit:5000001",             "yes:fin",                  "SELF_APPROVAL - | approval", "another person"),
        ("S", "put:credit:5000001",             "yes:Fin",                  "SELF_APPROVAL - | approval", "another person"),
        ("S", "put:credit:5000001 yes:ben",     "yes:cy",                   "APPROVAL_NOT_OPEN - | approval", "given already"),
        ("S", "",                               "yes:ben",                  "NOT_FOUND", "approval"),
        ("S", "credit:600000 cut:credit:1500000", "yes:ben",                "500000 600000 0 -100000", ""),
        ("S", "put:credit:5000000 move:credit:nlg:5000001", "yes:ben",      "1999999 0 0 1999999 + 6000001 0 0 6000001", ""),
        // it does no more than it states: asked for a penny below, £4,000 were awarded since
        ("S", "credit:600000 cut:credit:1400001 credit:400000", "yes:ben",  "APPROVAL_EXCEEDED - | fund 2000000 1000000 0 1000000 1400001 1000001", "would be £0.01 short; it would be £4,000.01 short now, £4,000 more"),
        ("S", "credit:600000 cut:credit:1400001 credit:400000 release", "yes:ben", "599999 600000 0 -1", ""),
        // as much as it states, or less
        ("S", "credit:600000 cut:credit:1500000 release", "yes:ben",        "500000 0 0 500000", ""),
        // what leaves a fund with enough may not come to leave it short
        ("S", "put:credit:5000000!ada credit:600000 cut:credit:5000001 take:credit:1400000", "yes:ben", "APPROVAL_EXCEEDED - | fund 5600000 600000 0 5000000 5000001 5000000", "would be £0 short; it would be £0.01 short now"),
        // nor as of a day in the past
        ("S", "put:credit:500@20!ada cut:credit:2000500@19 credit:600000@10 put:credit:600000!ada", "yes:ben", "APPROVAL_EXCEEDED - | fund 2600500 600000 0 2000500 2000500 1400500", "would be £5 short on its worst day; it would be £6,005 short as of a day in the past, £6,000 more"),
        // what is stated of a day in the past leaves no headroom today
        ("S", "put:credit:500@20!ada cut:credit:2000500@19 credit:100", "yes:ben", "APPROVAL_EXCEEDED - | fund 2000500 100 0 2000400 2000500 2000400", "would be £0 short; it would be £1 short now, £1 more"),
        // an allocation is never more than it states
        ("S", "put:credit:5000001 credit:600000", "yes:ben",                "7000001 600000 0 6400001", ""),
        // it is judged again, against the fund as it is by then
        ("S", "put:credit:5000000!ada take:credit:5000001 take:credit:3000000", "yes:ben", "FUNDS_INSUFFICIENT 4000000 | fund 4000000 0 0 4000000 5000001 4000000", ""),
        ("S", "credit:600000 cut:credit:2000000 take:credit:1", "yes:ben",  "FUNDS_INSUFFICIENT 1999999 | fund 1999999 600000 0 1399999 2000000 1999999", ""),
    ]);
}

/// "The threshold counts together: what one person has moved on a fund", within 30 days.
#[test]
fn what_one_person_moves_alone_counts_together() {
    #[rustfmt::skip]
    judge_money(&[
        ("S", "put:credit:3000000",             "put:credit:2000000",       "7000000 0 0 7000000", ""),
        ("S", "put:credit:3000000",             "put:credit:2000001",       "asked", ""),
        ("S", "put:credit:3000000 put:credit:2000001", "put:credit:2000001", "APPROVAL_REQUIRED - | approval", "an allocation of £20,000.01, with £30,000 that one person moved on the fund alone in 30 days, needs a second person"),
        ("S", "put:credit:3000000 put:credit:2000001", "yes:ben",           "7000001 0 0 7000001", ""),
        // in, out and between
        ("S", "put:credit:3000000",             "take:credit:2000001",      "asked", ""),
        ("S", "put:credit:3000000",             "move:credit:nlg:2000001",  "asked", ""),
        ("S", "put:nlg:4000000",                "move:credit:nlg:1000001",  "asked", ""),
        ("S", "move:credit:nlg:1000000",        "put:credit:4000001",       "asked", ""),
        ("S", "move:credit:nlg:1000000",        "put:nlg:4000001",          "asked", ""),
        ("S", "put:credit:3000000",             "put:nlg:5000000",          "6000000 0 0 6000000", ""),
        // what is taken back subtracts nothing
        ("S", "put:credit:3000000 take:credit:2000000", "take:credit:1",    "asked", ""),
        // of one person, in any letters
        ("S", "put:credit:3000000",             "put:credit:5000000!ada",   "10000000 0 0 10000000", ""),
        ("S", "put:credit:3000000",             "put:credit:2000001!Fin",   "asked", ""),
        // what a second person approved is neither's
        ("S", "put:credit:5000001 yes:ben",     "put:credit:5000000",       "12000001 0 0 12000001", ""),
        ("S", "put:credit:5000001 yes:ben",     "put:credit:5000000!ben",   "12000001 0 0 12000001", ""),
        // what would be refused anyway is refused first
        ("S", "put:credit:3000000",             "take:credit:5000001",      "FUNDS_INSUFFICIENT 5000000 | fund 5000000 0 0 5000000 5000001 5000000", ""),
    ]);
}

#[test]
fn what_was_moved_counts_for_30_days_and_by_the_token() {
    const DAYS: i64 = 30 * 86_400_000_000;
    let after = |days: i64| {
        let mut script = Script::funded().after("S", "put:credit:3000000");
        for moved in script.state.moved.values_mut().flatten() {
            moved.at = Micros(moved.at.0 - days);
        }
        script.comes_to("S", "put:credit:2000001").0
    };
    assert_eq!((after(DAYS - 1).as_str(), after(DAYS).as_str()), ("asked", "7000001 0 0 7000001"));

    let script = Script::funded().after("S", "put:credit:3000000");
    let fund = script.fund("credit").id;
    let mut state = script.state;
    let subject = Some(crate::person::subject("https://id", "1"));
    state.moved.get_mut(&fund).unwrap().iter_mut().for_each(|it| it.by.subject = subject);
    let change = FundChange::Allocate { fund, amount: Pence(1), on: day("2021-12-01") };
    let of = |subject| Person { actor: "another".parse().unwrap(), subject };
    let now = Micros(1_638_360_000_000_000);
    assert_eq!(state.moved_alone(&change, &of(subject), now), Pence(5_000_000), "the other's of September among it");
    assert_eq!(state.moved_alone(&change, &of(None), now), Pence(0));
}

/// Before rules 2 each movement counted apart, and what was moved then counts for nothing.
#[test]
fn before_rules_2_movements_count_apart() {
    let mut script = Script::funded();
    script.state.rules = RulesVersion::V1;
    let mut script = script.after("S", "put:credit:5000000 put:credit:5000000");
    assert_eq!(script.comes_to("S", "put:credit:5000001").0, "asked");
    script.state.rules = RulesVersion::V2;
    assert_eq!(script.comes_to("S", "put:credit:5000000").0, "17000000 0 0 17000000");
}

/// A retry, or a client that asks again until it is done, never opens a second approval: given, that would pay twice.
#[test]
fn a_call_made_again_opens_no_second_approval() {
    let same = || Some(RequestId(Uuid::from_u128(7)));
    let other = || Some(RequestId(Uuid::from_u128(8)));
    let large = "put:credit:5000001";
    let given = "an allocation of £50,000.01 was asked for by this request";
    #[rustfmt::skip]
    let rows = [
        // first call,                      afterwards,                     again under, the word,           comes to, and says
        ("",                                large, "",                      same(),  large,                  "APPROVAL_REQUIRED - | approval", "is open"),
        ("",                                large, "yes:ben",               same(),  large,                  "APPROVAL_NOT_OPEN - | approval", given),
        ("",                                large, "yes:ben",               other(), large,                  "asked", ""),
        ("",                                large, "yes:ben",               same(),  "put:credit:5000001!ada", "asked", ""),
        ("",                                large, "yes:ben",               same(),  "put:credit:5000002",   "asked", ""),
        ("",                                large, "yes:ben",               same(),  "put:credit:5000001~v1", "APPROVAL_NOT_OPEN - | approval", given),
        // a call without a date, made again on another day
        ("", large, "", same(), "put:credit:5000001@2021-12-02", "APPROVAL_REQUIRED - | approval", "is open"),
        ("", large, "yes:ben", same(), "put:credit:5000001@2021-12-02", "APPROVAL_NOT_OPEN - | approval", given),
        // also where by then one person could do it, or nobody
        ("credit:600000",                   "cut:credit:1500000", "yes:ben put:credit:4000000", same(), "cut:credit:1500000", "APPROVAL_NOT_OPEN - | approval", ""),
        ("credit:600000",                   "cut:credit:1500000", "put:credit:4000000", same(), "cut:credit:1500000", "APPROVAL_REQUIRED - | approval", ""),
        ("credit:600000",                   "cut:credit:2000000", "yes:ben", same(), "cut:credit:2000000",   "APPROVAL_NOT_OPEN - | approval", ""),
    ];
    for row @ (before, first, then, again, word, expected, part) in rows {
        let mut script = Script::funded().after("S", before);
        script.request = same();
        let mut script = script.after("S", first);
        script.request = None;
        let mut script = script.after("S", then);
        script.request = again;
        let (events, opened) = (script.events.len(), script.state.approvals.len());
        let (comes_to, said) = script.comes_to("S", word);
        assert_eq!(comes_to, expected, "{row:?}: {said}");
        assert!(said.contains(part), "{row:?}: {said}");
        let more = usize::from(expected == "asked");
        assert_eq!((script.events.len(), script.state.approvals.len()), (events + more, opened + more), "{row:?}");
    }
}

#[test]
fn a_reopening_asked_again_opens_no_second_approval() {
    let mut script = Script::new().after("S", "body@4 close:withdrawn@9");
    script.request = Some(RequestId(Uuid::from_u128(7)));
    let mut script = script.after("S", "ask:ada");
    assert_eq!(script.says("S", "ask:ada").0, "APPROVAL_REQUIRED");
    script.request = None;
    let mut script = script.after("S", "give:ben close:withdrawn@9");
    script.request = Some(RequestId(Uuid::from_u128(7)));
    let (reason, said) = script.says("S", "ask:ada");
    assert_eq!(reason, "APPROVAL_NOT_OPEN");
    assert!(said.contains("was given and carried out"), "{said}");
    assert_eq!(script.state.approvals.len(), 1);
    script.request = None;
    assert_eq!(script.after("S", "ask:ada").state.approvals.len(), 2, "another call is another asking");
}

#[test]
fn asking_moves_nothing_and_giving_records_both() {
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
    assert_eq!(approval.action.permission(), Action::ApproveMoney);

    script.today = day("2021-12-09");
    let decided = script.word("S", "yes:ben").unwrap();
    let kinds: Vec<&str> = decided.drafts.iter().map(|it| it.body.kind()).collect();
    assert_eq!(kinds, ["approval_given", "fund_withdrawn"]);
    assert_eq!(decided.answer, CommandAnswer::Approved(refusal.approval.unwrap(), Approved::Funds(vec![fund])));
    assert_eq!(decided.warnings, [Warning::DateInThePast(on)], "it happened when it was asked to");
    assert_eq!(script.events.last().unwrap().effective, on);
}

/// "Deliberately" is what was done, not what was allowed.
#[test]
fn a_withdrawal_says_whether_it_cut_below_what_is_promised() {
    for (word, cut) in [("cut:credit:1400000", false), ("cut:credit:1400001 yes:ben", true)] {
        let script = Script::funded().after("S", "credit:600000").after("S", word);
        let EventBody::FundWithdrawn { over_commit, .. } = script.events.last().unwrap().body else { unreachable!() };
        assert_eq!(over_commit, cut, "{word}");
    }
}

#[test]
fn a_closed_programme_keeps_its_funds() {
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
        assert_eq!(script.comes_to("S", word).0, expected, "{word}");
    }
}

#[test]
fn an_approval_expires_and_is_withdrawn_by_whoever_asked() {
    let now = Micros(1_638_360_000_000_000);
    let mut script = Script::funded().after("S", "put:credit:5000001");
    let (id, opened) = script.state.approvals.iter().next().map(|(id, it)| (*id, it.clone())).unwrap();
    assert_eq!(opened.expires, Some(now.plus_days(30)), "the terms do not say otherwise");
    let withdraw = Command::WithdrawApproval { approval: id, action: Action::KeepFunds };
    let refused = script.call("ben", &withdraw).unwrap_err();
    assert!(matches!(&refused, CommandError::Refused(it) if it.reason == Reason::ApprovalOfAnother), "{refused:?}");

    for expires in [now, Micros(now.0 - 1)] {
        let mut script = Script::funded().after("S", "put:credit:5000001");
        script.state.approvals.values_mut().for_each(|it| it.expires = Some(expires));
        let (reason, said) = script.comes_to("S", "yes:ben");
        assert!(reason.starts_with("APPROVAL_NOT_OPEN") && said.contains("has expired"), "{reason}: {said}");
        let late = script.call("fin", &Command::WithdrawApproval { approval: id, action: Action::KeepFunds });
        assert!(matches!(&late, Err(CommandError::Refused(it)) if it.reason == Reason::ApprovalNotOpen), "{late:?}");
        assert_eq!(script.comes_to("S", "put:credit:5000001").0, "asked", "another may be asked for");
    }

    let ledger = script.state.ledger.clone();
    script.request = Some(RequestId(Uuid::from_u128(7)));
    script.word("S", "put:credit:6000000").unwrap();
    script.request = None;
    let asked = *script.state.approvals.keys().max().unwrap();
    // In other letters it is the same person.
    script.call("FIN", &Command::WithdrawApproval { approval: asked, action: Action::KeepFunds }).unwrap();
    assert_eq!((&script.state.approvals[&asked].state, &script.state.ledger), (&ApprovalState::Withdrawn, &ledger));
    let (reason, said) = script.comes_to("S", "yes:ben");
    assert!(reason.starts_with("APPROVAL_NOT_OPEN") && said.contains("withdrawn"), "{reason}: {said}");
    script.request = Some(RequestId(Uuid::from_u128(7)));
    let (reason, said) = script.comes_to("S", "put:credit:6000000");
    assert!(reason.starts_with("APPROVAL_CLOSED") && said.contains("was withdrawn"), "{reason}: {said}");
}

/// As of a day in the past a fund had what it had then, without later changes. Credit has £20,000 from 1 September.
#[test]
fn nothing_leaves_a_fund_before_it_came() {
    #[rustfmt::skip]
    judge_money(&[
        ("S", "put:credit:500@20",                    "take:credit:2000500@20",      "0 0 0 0", ""),
        ("S", "put:credit:500@20",                    "take:credit:2000500@19",      "FUNDS_INSUFFICIENT 2000000 | as_of 2000500 0 0 2000000 2000500 2000000", "give a date on or after 2021-10-20, or take out at most £20,000"),
        ("S", "put:credit:500@20",                    "move:credit:nlg:2000500@19",  "FUNDS_INSUFFICIENT 2000000 | as_of 2000500 0 0 2000000 2000500 2000000", ""),
        ("S", "put:credit:500@20 take:credit:1999999@10", "take:credit:2@9",         "FUNDS_INSUFFICIENT 1 | as_of 501 0 0 1 2 1", "as of 2021-10-10"),
        // deliberately below what is promised, by two people: no day is asked
        ("S", "credit:600000 put:credit:500@20",      "cut:credit:1400501@19",       "asked", ""),
        ("S", "put:credit:500@20",                    "cut:credit:2000500@19",       "asked", ""),
        // a fund that does not bind is not judged
        ("S", "put:nle:500@20",                       "take:nle:500@19",             "0 0 0 0", ""),
        // what is out of range today is said as ever
        ("S", "put:credit:500@20",                    "take:credit:2000501@19",      "FUNDS_INSUFFICIENT 2000000 | fund 2000500 0 0 2000500 2000501 2000500", ""),
    ]);
}
