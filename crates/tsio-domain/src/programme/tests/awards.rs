//! Tests of making awards: for each refusal a row that is refused and a row that just passes (`domain.md` sections 2, 4 and 5).
//!
//! The expected numbers are written by hand: 3 days are 6 half-days. A half-day costs £300, because a day costs £600.
//!
//! [`super::script`] explains the letters of the offers, [`super::money_script`] the words and the results of the rows.

use decision::Warning;

use super::money_script::{FUNDED_EVENTS, MoneyRow, judge_money};
use super::script::{Script, day};
use crate::award::{BookingState, Support};
use crate::ids::AccountId;
use crate::programme::*;
use crate::terms::StrandId;

/// An award of £4,000 of credit with trust 4000 as the partner.
const CREDIT: &str = "credit:400000/4000";

#[test]
fn an_award_never_exceeds_its_cap_or_its_fund() {
    #[rustfmt::skip]
    let rows: &[MoneyRow<'_>] = &[
        // a standalone offer has 3 days, a trust's 5, summed over all awards of the offer
        ("S", "",                    "nle:6",            "6 0 0 0", ""),
        ("S", "",                    "nle:7",            "CAP_EXCEEDED 6 | cap 6 0 0 6 7 6", "(nle): award at most 3 days"),
        ("M", "",                    "nle:10",           "10 0 0 0", ""),
        ("M", "",                    "nle:11",           "CAP_EXCEEDED 10 | cap 10 0 0 10 11 10", "award at most 5 days"),
        ("S", "nle:4",               "nle:2",            "2 0 0 0", ""),
        ("S", "nle:4",               "nle:3",            "CAP_EXCEEDED 2 | cap 6 4 0 2 3 2", "award at most 1 day, or release first"),
        ("S", "nle:6",               "nle:1",            "CAP_EXCEEDED 0 | cap 6 6 0 0 1 0", "release first"),
        ("S", "nle:6 release:2",     "nle:2",            "2 0 0 0", ""),
        ("S", "nle:6 release:2",     "nle:3",            "CAP_EXCEEDED 2 | cap 6 4 0 2 3 2", ""),
        ("S", "nle:6 start@7 draw:6", "nle:1",           "CAP_EXCEEDED 0 | cap 6 0 6 0 1 0", "(nle): refund first what was drawn in error"),
        ("S", "nle:6 start@7 draw:6 refund:1", "nle:1",  "1 0 0 0", ""),
        ("S", "",                    "nle:2147483647",   "CAP_EXCEEDED 6 | cap 6 0 0 6 2147483647 6", ""),
        // credit has £10,000, summed over all awards
        ("S", "",                    "credit:1000000",   "1000000 0 0 0", ""),
        ("S", "",                    "credit:1000001",   "CAP_EXCEEDED 1000000 | cap 1000000 0 0 1000000 1000001 1000000", "at most £10,000"),
        ("S", CREDIT,                "credit:600000",    "600000 0 0 0", ""),
        ("S", CREDIT,                "credit:600001",    "CAP_EXCEEDED 600000 | cap 1000000 400000 0 600000 600001 600000", ""),
        // the fund is a limit too; if cap and fund are both exceeded, both are named, and the smaller headroom would have passed
        ("S", "take:credit:1600000", "credit:400000",    "400000 0 0 0", ""),
        ("S", "take:credit:1600000", "credit:400001",    "FUNDS_INSUFFICIENT 400000 | fund 400000 0 0 400000 400001 400000", "allocate at least £0.01 to the fund, or award at most £4,000"),
        ("S", "take:credit:1600000", "credit:1200000",   "CAP_EXCEEDED 400000 | cap 1000000 0 0 1000000 1200000 1000000 | fund 400000 0 0 400000 1200000 400000", "(and 1 more)"),
        ("S", "",                    "credit:9223372036854775807", "CAP_EXCEEDED 1000000 | cap 1000000 0 0 1000000 9223372036854775807 1000000 | fund 2000000 0 0 2000000 9223372036854775807 2000000", ""),
        // no cap, only the fund
        ("M", "",                    "nlg:1000000",      "1000000 0 0 0", ""),
        ("M", "",                    "nlg:1000001",      "FUNDS_INSUFFICIENT 1000000 | fund 1000000 0 0 1000000 1000001 1000000", "award at most £10,000"),
        ("M", "nlg:300000",          "nlg:700001",       "FUNDS_INSUFFICIENT 700000 | fund 1000000 300000 0 700000 700001 700000", ""),
        ("M", "",                    "npqel:1000001",    "FUNDS_INSUFFICIENT 1000000 | fund 1000000 0 0 1000000 1000001 1000000", ""),
        // only the regional fund if there is one, else only the national fund; S is in the West Midlands
        ("S", "fund:credit=west-midlands", "credit:1",   "FUNDS_INSUFFICIENT 0 | fund 0 0 0 0 1 0", "(credit, West Midlands): allocate at least £0.01 to the fund"),
        ("S", "fund:credit=south-west",    "credit:1",   "1 0 0 0", ""),
        // an over-committed fund makes no more awards
        ("S", "credit:600000 cut:credit:1500000 yes:ben", "credit:1", "FUND_OVER_COMMITTED 0 | fund 500000 600000 0 -100000 1 0", "allocate at least £1,000.01 to the fund"),
        ("S", "credit:600000 cut:credit:1500000 yes:ben", "nle:1",    "1 0 0 0", ""),
        ("S", "credit:600000 cut:credit:1500000 yes:ben put:credit:100001", "credit:1", "1 0 0 0", ""),
    ];
    judge_money(rows);
}

#[test]
fn an_award_must_meet_the_unit_and_the_conditions_of_its_strand() {
    #[rustfmt::skip]
    let rows: &[MoneyRow<'_>] = &[
        ("S", "",           "nlg:1",                "STRAND_NOT_OFFERED 0 | recipient", "nlg is not offered to a standalone recipient"),
        ("T", "",           "npqel:1",              "STRAND_NOT_OFFERED 0 | recipient", "npqel is not offered"),
        ("M", "",           "credit:1",             "STRAND_NOT_OFFERED 0 | recipient", "credit is not offered to a mat recipient"),
        ("M", "",           "credit:2000001",       "STRAND_NOT_OFFERED 0 | recipient | fund 2000000 0 0 2000000 2000001 2000000", ""),
        ("S", "",           "nle:500p",             "UNIT_MISMATCH 0 | award", "give the amount in half-days"),
        ("S", "",           "credit:3d",            "UNIT_MISMATCH 0 | award", "give the amount in pence"),
        ("M", "",           "credit:3d",            "STRAND_NOT_OFFERED 0 | recipient | award", ""),
        // the partner must be an open multi-academy trust other than the school's own
        ("S", "",           "credit:1/4000",        "1 0 0 0", ""),
        ("S", "",           "credit:1/4001",        "PARTNER_NOT_SUITABLE 0 | recipient", "trust 4001 is not open"),
        ("S", "",           "credit:1/4002",        "PARTNER_NOT_SUITABLE 0 | recipient", "trust 4002 is not a multi-academy trust"),
        ("S", "",           "credit:1/4009",        "PARTNER_NOT_SUITABLE 0 | recipient", "trust 4009 is not in the register"),
        ("S", "",           "credit:1/2000",        "1 0 0 0", ""),
        ("T", "",           "credit:1/2000",        "PARTNER_NOT_SUITABLE 0 | recipient", "trust 2000 is the recipient's own trust"),
        ("M", "",           "credit:1/3000",        "STRAND_NOT_OFFERED 0 | recipient | recipient", "trust 3000: name another trust"),
        ("T", "",           "credit:1000001/4001",  "PARTNER_NOT_SUITABLE 0 | recipient | cap 1000000 0 0 1000000 1000001 1000000", ""),
        // the provider must be accredited
        ("M", "",           "npqel:1/teach--first", "1 0 0 0", ""),
        ("M", "",           "npqel:1/LLSE",         "PROVIDER_NOT_ACCREDITED 0 | terms", "Leadership Learning South East (LLSE)"),
    ];
    judge_money(rows);
}

#[test]
fn an_award_is_made_in_its_window_under_an_accepted_offer() {
    #[rustfmt::skip]
    let rows: &[MoneyRow<'_>] = &[
        ("S", "nle:2 start@7",          "nle:4",                "4 0 0 0", ""),
        ("S", "decline@6",              "nle:1",                "STATE_NOT_ALLOWED 0 | state", "allowed in: accepted, delivering"),
        // not before the offer was accepted, on 5 October
        ("S", "",                       "nle:1@5",              "1 0 0 0", ""),
        ("S", "",                       "nle:1@4",              "DATE_ORDER 0 | period", "2021-10-04 lies before the offer was accepted, on 2021-10-05"),
        ("S", "body@2021-09-01 school@2021-09-01 day:accepted@2021-09-01", "nle:1@2021-09-01", "1 0 0 0", ""),
        ("S", "",                       "nle:1@2021-08-31",     "OUTSIDE_WINDOW 0 | period | period", "from 2021-09-01 to 2022-08-31"),
        ("S", "",                       "nle:1@2022-08-31",     "1 0 0 0", ""),
        ("S", "",                       "nle:1@2022-09-01",     "OUTSIDE_WINDOW 0 | period", "award window"),
        // several limits at once are named in this order
        ("S", "decline@6",              "nle:7@2022-09-01",     "STATE_NOT_ALLOWED 0 | state | period | cap 6 0 0 6 7 6", "(and 2 more)"),
        // order of checks: the entity exists, the etag, then all limits
        ("S", "nle:1",                  "nle:7~v7",             "STALE", "v7 was given, v21 is current"),
        ("S", "",                       "nle:6~v7",             "6 0 0 0", ""),
    ];
    judge_money(rows);
}

#[test]
fn all_awards_of_a_bundle_are_made_or_none() {
    #[rustfmt::skip]
    let rows: &[MoneyRow<'_>] = &[
        ("M", "", "nle:4+nlg:500000+npqel:300000", "4 0 0 0 + 500000 0 0 0 + 300000 0 0 0", ""),
        ("S", "", "nle:3+nle:3",                   "3 0 0 0 + 3 0 0 0", ""),
        // each award is checked against the accounts as the earlier awards leave them
        ("S", "", "nle:3+nle:4",                   "CAP_EXCEEDED 3 | cap 6 3 0 3 4 3", ""),
        ("M", "", "nlg:600000+nlg:500000",         "FUNDS_INSUFFICIENT 400000 | fund 1000000 600000 0 400000 500000 400000", ""),
        ("M", "", "nle:4+nlg:1000001",             "FUNDS_INSUFFICIENT 1000000 | fund 1000000 0 0 1000000 1000001 1000000", ""),
        // a limit has its own headroom; `largest` is what would pass if the other awards stayed as they are
        ("M", "", "nlg:1100000+nlg:300000",        "FUNDS_INSUFFICIENT 700000 | fund 1000000 0 0 1000000 1100000 1000000", ""),
        ("S", "", "nle:7+nle:2",                   "CAP_EXCEEDED 4 | cap 6 0 0 6 7 6", ""),
        // if several awards are refused, changing the amount of one does not help, so `largest` is 0
        ("M", "", "nle:11+nlg:1000001",            "CAP_EXCEEDED 0 | cap 10 0 0 10 11 10 | fund 1000000 0 0 1000000 1000001 1000000", ""),
        ("S", "", "nle:7+nlg:1",                   "CAP_EXCEEDED 0 | cap 6 0 0 6 7 6 | recipient", ""),
        ("S", "decline@6", "nle:7+nle:1",          "STATE_NOT_ALLOWED 0 | state | cap 6 0 0 6 7 6", ""),
    ];
    judge_money(rows);
}

/// The first award allocates the cap. Each verb posts the same amount to cap and fund.
#[test]
fn every_verb_posts_to_the_cap_and_to_the_fund() {
    let mut script = Script::funded().after("S", "nle:4@6 nle:2@6 start@7 draw.1:3@8 release.1@9 refund.1:2@9");
    let (cap, fund) = (AccountId::of_cap(Script::offer_id_of("S"), &StrandId::new("nle")), script.fund_id("nle"));
    let entries: Vec<String> = script.events[FUNDED_EVENTS..]
        .iter()
        .map(|event| {
            let entry = |it: &crate::ledger::LedgerEntry| {
                let account = if it.account == cap { "cap" } else { "fund" };
                assert!(it.account == cap || it.account == fund);
                format!("{}:{} {account} {}", it.seq.0, it.verb, it.amount)
            };
            event.entries.iter().map(entry).collect::<Vec<_>>().join(", ")
        })
        .collect();
    // entries 1 to 3 are the allocations to the three funds
    let expected = [
        "4:allocate cap 6, 5:commit cap 4, 6:commit fund 120000",
        "7:commit cap 2, 8:commit fund 60000",
        "",
        "9:spend cap 3, 10:spend fund 90000",
        "11:release cap 1, 12:release fund 30000",
        "13:refund cap 2, 14:refund fund 60000",
    ];
    assert_eq!(entries, expected);
    let account = script.state.ledger.get(cap).unwrap();
    assert_eq!((account.allocated(), account.available, account.committed, account.spent), (6, 3, 2, 1));
    assert_eq!(account.to_string(), format!("offer {} (nle)", Script::offer_id_of("S")));
    let account = script.fund("nle");
    assert_eq!(
        (account.allocated(), account.available, account.committed, account.spent),
        (0, -90_000, 60_000, 30_000)
    );
    assert_eq!(script.money_result("S", "nle:4").0, "CAP_EXCEEDED 3 | cap 6 2 1 3 4 3");
}

#[test]
fn an_award_records_the_request_with_the_rate_and_fund_of_the_terms() {
    let script = Script::funded().after("M", "npqel:900000/TEACH-first nle:1");
    let awards = script.awards_of_offer(Script::offer_id_of("M"));
    let leader = "leader-1".parse().unwrap();
    assert_eq!(
        awards[0].support,
        Support::Npqel { leader, provider: "Teach First".to_owned() },
        "the provider is recorded as the terms spell it"
    );
    assert_eq!((awards[0].rate, awards[0].cap, awards[0].fund), (None, None, script.fund_id("npqel")));
    assert_eq!((awards[1].rate.map(|it| it.get()), awards[1].fund), (Some(60_000), script.fund_id("nle")));
    assert_eq!((awards[1].by.as_str(), awards[1].on), ("officer", day("2021-12-01")));
    assert!(script.events[FUNDED_EVENTS..].iter().all(|it| it.text_hash.is_some()), "each award event has a text");
    assert_eq!(script.offer("M").etag(), "v22", "an offer's etag covers its awards");
}

#[test]
fn a_strand_that_binds_needs_a_fund() {
    let mut script = Script::new().after("M", "body@4 accept:trust@5");
    let (numbers, text) = script.money_result("M", "nlg:1");
    assert_eq!(numbers, "FUND_MISSING 0 | fund");
    assert!(text.contains("create a nlg fund, national or for South-West England"), "{text}");
    assert_eq!(script.money_result("M", "nle:1").0, "1 0 0 0", "the programme starts with an NLE fund");
}

#[test]
fn a_fund_that_does_not_bind_refuses_an_amount_too_large_to_count() {
    let mut script = Script::funded();
    let fund = script.fund_id("nle");
    let account = script.state.ledger.get_mut(fund).unwrap();
    (account.committed, account.available) = (i64::MAX - 59_999, -(i64::MAX - 59_999));
    let (numbers, _) = script.money_result("S", "nle:2");
    let committed = "9223372036854715808";
    assert_eq!(numbers, format!("AMOUNT_TOO_LARGE 1 | fund 0 {committed} 0 -{committed} 60000 59999"));
    assert_eq!(script.money_result("S", "nle:1").0, "1 0 0 0");
}

/// "Empty: today, or the day the offer was accepted once the award window has passed." S was accepted on 5 October.
#[test]
fn an_award_without_a_date_is_made_today_while_the_window_is_open() {
    #[rustfmt::skip]
    let rows = [
        ("2021-12-01", "nle:1",            Some("2021-12-01"), vec![]),
        ("2022-08-31", "nle:1",            Some("2022-08-31"), vec![]),
        ("2022-09-01", "nle:1",            Some("2021-10-05"), vec![Warning::DateAssumed(day("2021-10-05"))]),
        // recording up to 60 days late brings no warning
        ("2022-09-01", "nle:1@2022-07-03", Some("2022-07-03"), vec![]),
        ("2022-09-01", "nle:1@2022-07-02", Some("2022-07-02"), vec![Warning::DateInThePast(day("2022-07-02"))]),
        ("2022-09-01", "nle:1@2022-09-01", None,               vec![]),
        ("2021-08-31", "nle:1",            None,               vec![]),
    ];
    for (today, word, on, warnings) in rows {
        let mut script = Script::funded();
        script.today = day(today);
        let decided = script.word("S", word);
        assert_eq!(decided.as_ref().ok().map(|it| it.events[0].effective), on.map(day), "{today} {word}");
        assert_eq!(decided.map(|it| it.warnings).unwrap_or_default(), warnings, "{today} {word}");
    }
}

#[test]
fn a_closed_programme_makes_no_awards_but_settles_existing_awards() {
    let mut script = Script::funded().after("S", "nle:4 start@7 draw:1");
    script.state.programme.open = false;
    assert_eq!(script.money_result("S", "nle:1").0, "PROGRAMME_CLOSED 0 | period");
    for (word, expected) in [("draw:1", "4 2 0 0"), ("release:1", "4 2 1 0"), ("refund:1", "4 2 1 1")] {
        assert_eq!(script.money_result("S", word).0, expected);
    }
}

#[test]
fn closing_gives_back_every_open_commitment() {
    #[rustfmt::skip]
    let rows: &[MoneyRow<'_>] = &[
        ("S", "nle:4@6 credit:1000@6 start@7",             "close:completed@9", "closed 4 1000", ""),
        ("S", "nle:4@6 start@7 draw:1@8",                  "close:withdrawn@9", "closed 3", ""),
        ("S", "nle:4@6 start@7 draw:4@8",                  "close:completed@9", "closed", ""),
        // not before the first contact, the acceptance, the start or a delivery
        ("S", "nle:4@6 start@7 draw:1@9",                  "close:withdrawn@9", "closed 3", ""),
        ("S", "nle:4@6 start@7 draw:1@8 draw:1@9",         "close:withdrawn@8", "DATE_ORDER - | period", "2021-10-08 lies before something was delivered or drawn, on 2021-10-09"),
        ("S", "nle:4@6 start@7 draw:1@9 undo#23",          "close:withdrawn",   "closed 4", ""),
        // a mistaken draw counts until it is undone
        ("S", "nle:4@6 start@7 draw:1@9 undo#23",          "close:withdrawn@8", "DATE_ORDER - | period", "2021-10-08 lies before what it takes was given back by an undo, on 2021-12-01"),
        ("S", "nle:4@6 start@7 release:4@7",               "close:withdrawn@7", "closed", ""),
        ("S", "nle:4@5 start@7",                           "close:completed@6", "DATE_ORDER - | period", "before delivery started, on 2021-10-07"),
        ("S", "",                                          "close:withdrawn@4", "DATE_ORDER - | period", "before the offer was accepted, on 2021-10-05"),
        ("S", "",                                          "decline@4",         "DATE_ORDER - | period", "give a date on or after 2021-10-05"),
        ("S", "body@8",                                    "decline@7",         "DATE_ORDER - | period", "before the last contact, on 2021-10-08"),
        ("S", "body@8",                                    "close:declined@7",  "DATE_ORDER - | period", "before the last contact, on 2021-10-08"),
        ("S", "body@8",                                    "close:withdrawn@7", "closed", ""),
        ("S", "nle:4@6",                                   "decline@9",         "closed 4", ""),
        ("S", "",                                          "decline@9",         "closed", ""),
        ("S", "nle:4@6 start@7 book:3@2022-03-01",         "close:completed@9", "closed 4", ""),
        ("S", "nle:4@6 start@7",                           "decline@9",         "STATE_NOT_ALLOWED - | state", ""),
        // nothing is released before the award was made
        ("S", "nle:4@9",                                   "decline@9",         "closed 4", ""),
        ("S", "nle:4@9",                                   "decline@8",         "DATE_ORDER - | period", "(nle): give a date on or after 2021-10-09"),
        ("S", "nle:4@9 start@7",                           "close:withdrawn@8", "DATE_ORDER - | period", "2021-10-08 lies before the award was made"),
        ("S", "nle:4@9 credit:1000@10 start@9",            "close:completed@8", "DATE_ORDER - | period | period | period", "(and 2 more)"),
        ("S", "nle:4@9 start@9",                           "decline@8",         "STATE_NOT_ALLOWED - | state | period | period", ""),
        ("S", "nle:4@9 start@9 draw:4@9",                  "close:completed@8", "DATE_ORDER - | period", "delivered or drawn"),
        ("S", "nle:4@9 start@9",                           "close:completed@8~v9", "STALE", ""),
    ];
    judge_money(rows);

    let script =
        Script::funded().after("M", "nlg:1").after("S", "nle:4@6 credit:1000@6 start@7 draw.1:1@8 book.1:2@2022-03-01");
    let script = script.after("S", "close:completed@9 ask:ada give:ben");
    assert_eq!(script.state_name("S"), "delivering");
    let awards = script.awards_of_offer(Script::offer_id_of("S"));
    assert!(awards.iter().all(|it| it.is_settled()), "the awards of a reopened offer stay settled");
    assert_eq!(awards[0].bookings[0].state, BookingState::Cancelled);
    assert_eq!(
        (script.fund("nle").committed, script.fund("nle").spent, script.fund("credit").committed),
        (0, 30_000, 0)
    );
    assert_eq!(script.fund("nlg").committed, 1, "the award of another offer does not change");
    let cap =
        |strand| script.state.ledger.get(AccountId::of_cap(Script::offer_id_of("S"), &StrandId::new(strand))).unwrap();
    assert_eq!((cap("nle").available, cap("nle").spent, cap("credit").available), (5, 1, 1_000_000));
}

/// "A posting on a binding account is judged on each day from its effective date on" (`domain.md` section 5). The funds
/// have their money from 1 September. S was accepted on 5 October. Today is 1 December.
#[test]
fn no_award_makes_an_account_negative_on_a_past_day() {
    #[rustfmt::skip]
    let rows: &[MoneyRow<'_>] = &[
        // before the fund had the money
        ("S", "take:credit:2000000 put:credit:400000@20",   "credit:400000@20",   "400000 0 0 0", ""),
        ("S", "take:credit:1600000@10 put:credit:9@20",     "credit:400000@19",   "400000 0 0 0", ""),
        ("S", "take:credit:1600000@10 put:credit:9@20",     "credit:400001@19",   "FUNDS_INSUFFICIENT 400000 | as_of 400009 0 0 400000 400001 400000", "give a date on or after 2021-10-20, or award at most £4,000"),
        ("S", "take:credit:2000000@10 put:credit:9@20",     "credit:5@12",        "FUNDS_INSUFFICIENT 0 | as_of 9 0 0 0 5 0", "more than was available as of 2021-10-12: £0"),
        // dated two months ago: less was available in between
        ("S", "take:credit:1999995@10 put:credit:9@20",     "credit:6@8",         "FUNDS_INSUFFICIENT 5 | as_of 14 0 0 5 6 5", "as of 2021-10-10"),
        // a fund that does not bind is not checked
        ("S", "",                                           "nle:6@5",            "6 0 0 0", ""),
        // a cap with enough today refuses a day on which it had less
        ("S", "nle:6@6 release:4@20",                       "nle:4@20",           "4 0 0 0", ""),
        ("S", "nle:6@6 release:4@20",                       "nle:4@19",           "FUNDS_INSUFFICIENT 0 | as_of 6 2 0 0 4 0", "(nle): give a date on or after 2021-10-20"),
        ("S", "nle:6@6 start@7 draw:6@8 refund:2@20",       "nle:1@19",           "FUNDS_INSUFFICIENT 0 | as_of 6 0 4 0 1 0", ""),
        // an amount that exceeds the cap today gets the usual refusal
        ("S", "nle:6@6 release:4@20",                       "nle:5@19",           "CAP_EXCEEDED 0 | cap 6 2 0 4 5 4", ""),
    ];
    judge_money(rows);
}
