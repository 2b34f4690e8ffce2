//! Tests accounts and the ledger: entry kinds, buckets, binding, over-commitment and overflow. The expected values are
//! written by hand.

use uuid::Uuid;

use super::*;
use crate::ids::OfferId;
use crate::money::{HalfDays, Pence};
use crate::terms::shipped;

const HUGE: i64 = i64::MAX;

/// An account with these balances. It is over-committed if it binds and `available` is negative.
fn account(binds: bool, available: i64, committed: i64, spent: i64) -> Account {
    let owner = Owner::Fund { region: None };
    let new = Account::new(AccountId(Uuid::from_u128(1)), owner, StrandId::new("credit"), Unit::Pence, binds);
    let over_committed = binds && available < 0;
    let outside = -(available + committed + spent);
    Account { over_committed, outside, available, committed, spent, ..new }
}

/// The buckets of an account: `outside available committed spent`.
fn buckets(it: &Account) -> [i64; 4] {
    [it.outside, it.available, it.committed, it.spent]
}

#[test]
fn every_entry_kind_moves_an_amount_between_its_two_buckets() {
    #[rustfmt::skip]
    let rows = [
        // kind                 outside available committed spent, and the headroom before.
        // Each entry moves 10 in an account with 30 available, 20 committed and 10 spent.
        (EntryKind::Allocate,   [-70, 40, 20, 10], HUGE - 60),
        (EntryKind::Withdraw,   [-50, 20, 20, 10], 30),
        (EntryKind::Commit,     [-60, 20, 30, 10], 30),
        (EntryKind::Release,    [-60, 40, 10, 10], 20),
        (EntryKind::Spend,      [-60, 30, 10, 20], 20),
        (EntryKind::Refund,     [-60, 40, 20,  0], 10),
    ];
    assert_eq!(rows.len(), EntryKind::ALL.len());
    for (verb, expected, headroom) in rows {
        let start = account(true, 30, 20, 10);
        let mut it = start.clone();
        assert_eq!(it.post(verb, 10, false), Ok(()), "{verb}");
        assert_eq!((buckets(&it), it.fault()), (expected, None), "{verb}");
        assert_eq!(start.headroom(verb), headroom, "{verb}");
        // The headroom passes. The headroom plus 1 is refused and leaves the account unchanged.
        for (amount, passes) in [(headroom, true), (headroom.saturating_add(1), false), (0, false), (-1, false)] {
            let mut it = start.clone();
            assert_eq!(it.post(verb, amount, false).is_ok(), passes, "{verb} {amount}");
            assert_eq!(it.fault(), None, "{verb} {amount}");
            assert_eq!(it == start, !passes, "{verb} {amount}");
        }
    }
}

#[test]
fn an_error_names_the_bucket_and_its_balance() {
    let refused = account(true, 30, 20, 10).post(EntryKind::Commit, 31, false).unwrap_err();
    assert_eq!(refused, PostingError { verb: EntryKind::Commit, amount: 31, bucket: Bucket::Available, would_be: -1 });
    assert_eq!(refused.to_string(), "commit of 31 breaks the account: available would be -1");
    let refused = account(true, 30, 20, 10).post(EntryKind::Refund, 12, false).unwrap_err();
    assert_eq!((refused.bucket, refused.would_be), (Bucket::Spent, -2));
}

#[test]
fn only_a_binding_account_limits_commitments_and_withdrawals() {
    #[rustfmt::skip]
    let rows = [
        // binds  available  verb           amount  deliberate  passes
        (true,    0,         EntryKind::Commit,  1,      false,      false),
        (false,   0,         EntryKind::Commit,  1,      false,      true),
        (false,   -50,       EntryKind::Commit,  1,      false,      true),
        (true,    -50,       EntryKind::Commit,  1,      false,      false),
        // at most the amount allocated: 100 or 50
        (false,   0,         EntryKind::Withdraw, 100,   false,      true),
        (false,   0,         EntryKind::Withdraw, 101,   false,      false),
        (false,   -50,       EntryKind::Withdraw, 50,    false,      true),
        (false,   -50,       EntryKind::Withdraw, 51,    false,      false),
        (true,    -50,       EntryKind::Withdraw, 1,     false,      false),
        (true,    0,         EntryKind::Withdraw, 1,     true,       true),
        (true,    -50,       EntryKind::Withdraw, 1,     true,       true),
        // deliberately, but at most the amount allocated: 100 are committed, so 100 or 50
        (true,    0,         EntryKind::Withdraw, 100,   true,       true),
        (true,    0,         EntryKind::Withdraw, 101,   true,       false),
        (true,    -50,       EntryKind::Withdraw, 50,    true,       true),
        (true,    -50,       EntryKind::Withdraw, 51,    true,       false),
        // deliberate has no effect on the other entry kinds
        (true,    0,         EntryKind::Commit,  1,      true,       false),
        (true,    -50,       EntryKind::Release, 100,    false,      true),
        (true,    -50,       EntryKind::Spend,   100,    false,      true),
        (true,    -50,       EntryKind::Spend,   101,    false,      false),
    ];
    for row @ (binds, available, verb, amount, deliberate, passes) in rows {
        let mut it = account(binds, available, 100, 0);
        assert_eq!(it.post(verb, amount, deliberate).is_ok(), passes, "{row:?}");
        assert_eq!(it.fault(), None, "{row:?}");
    }
}

#[test]
fn over_commitment_is_deliberate_and_is_cleared_by_later_entries() {
    let mut it = account(true, 10, 90, 0);
    for (verb, amount, deliberate, available, over) in [
        (EntryKind::Withdraw, 10, true, 0, false),
        (EntryKind::Withdraw, 20, true, -20, true),
        (EntryKind::Spend, 30, false, -20, true),
        (EntryKind::Allocate, 5, false, -15, true),
        (EntryKind::Refund, 14, false, -1, true),
        (EntryKind::Release, 1, false, 0, false),
        (EntryKind::Release, 9, false, 9, false),
        (EntryKind::Withdraw, 10, true, -1, true),
        (EntryKind::Allocate, 1, false, 0, false),
    ] {
        assert_eq!(it.post(verb, amount, deliberate), Ok(()), "{verb} {amount}");
        assert_eq!((it.available, it.over_committed, it.fault()), (available, over, None), "{verb} {amount}");
    }
    let mut counting_account = account(false, 0, 100, 0);
    assert_eq!(counting_account.post(EntryKind::Commit, 1, false), Ok(()));
    assert!(!counting_account.over_committed, "an account that does not bind is never over-committed");
}

/// No sum of buckets overflows an `i64`: neither the amount allocated, nor committed and spent together.
#[test]
fn entries_are_refused_before_a_balance_overflows() {
    #[rustfmt::skip]
    let rows = [
        (account(true, HUGE - 1, 0, 0),          EntryKind::Allocate, 1, true),
        (account(true, HUGE - 1, 0, 0),          EntryKind::Allocate, 2, false),
        (account(true, 0, HUGE - 1, 0),          EntryKind::Allocate, 2, false),
        (account(true, HUGE, 0, 0),              EntryKind::Commit,   HUGE, true),
    ];
    for (mut it, verb, amount, passes) in rows {
        assert_eq!(it.post(verb, amount, false).is_ok(), passes, "{verb} {amount}");
        assert_eq!(it.fault(), None);
    }
    let mut counting_account = account(false, 0, 0, 0);
    for (verb, amount, passes) in [
        (EntryKind::Commit, HUGE - 5, true),
        (EntryKind::Spend, HUGE - 7, true),
        (EntryKind::Commit, 6, false),
        (EntryKind::Commit, 5, true),
        (EntryKind::Commit, 1, false),
        (EntryKind::Release, 1, true),
        (EntryKind::Commit, 1, true),
        (EntryKind::Allocate, HUGE, true),
        (EntryKind::Allocate, 1, false),
    ] {
        assert_eq!(counting_account.post(verb, amount, false).is_ok(), passes, "{verb} {amount}");
        assert_eq!(counting_account.fault(), None, "{verb} {amount}");
    }
    assert_eq!(buckets(&counting_account), [-HUGE, 0, 7, HUGE - 7]);
}

#[test]
fn wrong_balances_are_reported() {
    let correct = account(true, 30, 20, 10);
    let rows = [
        (correct.clone(), None),
        (Account { available: 31, ..correct.clone() }, Some("do not add up")),
        (Account { available: -1, committed: 51, ..correct.clone() }, Some("below zero")),
        (Account { available: 51, committed: -1, ..correct.clone() }, Some("below zero")),
        (Account { available: 41, spent: -1, ..correct.clone() }, Some("below zero")),
        (Account { available: -1, committed: 51, over_committed: true, ..correct.clone() }, None),
        (Account { available: -1, committed: 51, binds: false, ..correct.clone() }, None),
        (Account { outside: -HUGE, available: -HUGE, ..correct }, Some("do not add up")),
    ];
    for (it, expected) in rows {
        let fault = it.fault();
        assert_eq!(fault.is_some(), expected.is_some(), "{it:?}: {fault:?}");
        assert!(fault.unwrap_or_default().contains(expected.unwrap_or_default()), "{it:?}");
    }
}

/// The expected ids were computed with Python's `hashlib`: a SHA-256, with version 8 and the variant set. The id of a
/// cap begins with the time of its offer's id.
#[test]
fn the_ids_of_accounts_are_the_same_everywhere() {
    let terms: Vec<Terms> = shipped().iter().map(|(file, text)| Terms::parse(file, text).unwrap()).collect();
    let nle = StrandId::new("nle");
    let offer = OfferId(Uuid::try_parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap());
    let rows = [
        (AccountId::of_programme(terms[0].programme(), &nle), "b83399e0-b8fc-85ac-aeb4-1c80f32c51e6"),
        (AccountId::of_programme(terms[1].programme(), &nle), "eda4c0f6-801c-88bc-b842-69762d24effc"),
        (AccountId::of_cap(offer, &nle), "01890a5d-ac96-8947-867c-5335a998bf3a"),
        (AccountId::of_cap(offer, &StrandId::new("credit")), "01890a5d-ac96-8032-9985-5478c8788768"),
    ];
    for (id, expected) in rows {
        assert_eq!(id.to_string(), expected);
        assert_eq!(id.0.get_version_num(), 8);
    }
}

#[test]
fn a_programme_begins_with_the_funds_that_do_not_bind() {
    let (file, text) = shipped()[0];
    let ledger = Ledger::of_programme(&Terms::parse(file, text).unwrap());
    let funds: Vec<_> = ledger.accounts().map(|it| (it.strand.as_str(), it.binds, buckets(it))).collect();
    assert_eq!(funds, [("nle", false, [0; 4])]);
}

#[test]
fn an_award_is_charged_to_the_regional_fund_or_the_national() {
    let fund = |n: u128, strand: &str, region| {
        let owner = Owner::Fund { region };
        Account::new(AccountId(Uuid::from_u128(n)), owner, StrandId::new(strand), Unit::Pence, true)
    };
    let mut ledger = Ledger::default();
    ledger.put(fund(1, "credit", None));
    ledger.put(fund(2, "credit", Some(Region::SouthWest)));
    ledger.put(fund(3, "nlg", Some(Region::SouthWest)));
    ledger.put(Account { owner: Owner::Cap { offer: OfferId(Uuid::nil()) }, ..fund(4, "npqel", None) });
    for (strand, region, expected) in [
        ("credit", Region::SouthWest, Some(2)),
        ("credit", Region::WestMidlands, Some(1)),
        ("nlg", Region::SouthWest, Some(3)),
        ("nlg", Region::WestMidlands, None),
        ("npqel", Region::SouthWest, None),
    ] {
        let found = ledger.fund_for(&StrandId::new(strand), region).map(|it| it.id.0.as_u128());
        assert_eq!(found, expected, "{strand} {region}");
    }
    let names = [1, 2, 4].map(|n| ledger.get(AccountId(Uuid::from_u128(n))).unwrap().to_string());
    assert!(names[0].ends_with("01 (credit, national)") && names[0].starts_with("fund "), "{}", names[0]);
    assert!(names[1].ends_with("02 (credit, South-West England)"), "{}", names[1]);
    assert_eq!(names[2], format!("offer {} (npqel)", Uuid::nil()), "a cap must be named as its offer, not as a fund");
}

#[test]
fn amounts_are_shown_in_their_unit() {
    for (unit, amount, expected) in [
        (Unit::Pence, 400_050, "£4,000.50"),
        (Unit::HalfDays, 5, "2.5 days"),
        (Unit::HalfDays, 4_294_967_296, "4294967296 half-days"),
    ] {
        assert_eq!(shown(unit, amount), expected);
    }
    assert_eq!((Amount::HalfDays(HalfDays(5)).get(), Amount::HalfDays(HalfDays(5)).unit()), (5, Unit::HalfDays));
    assert_eq!((Amount::Pence(Pence(7)).get(), Amount::Pence(Pence(7)).unit()), (7, Unit::Pence));
}
