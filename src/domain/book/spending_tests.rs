//! Every "no" of an award that is made, one row each, and the "yes" beside it (`domain.md` section 5).

use super::recorder::{Book, day};
use super::till::{MoneyRow, judge_money};
use super::*;
use command::Warning;

/// Two days for `S`, delivery started: events 21 and 22.
const DAYS: &str = "nle:4@6 start@7";

/// The rows, each with [`DAYS`] before its history.
fn of_days(rows: &[MoneyRow<'_>]) {
    for (letter, history, word, wanted, part) in rows {
        judge_money(&[(letter, &format!("{DAYS} {history}"), word, wanted, part)]);
    }
}

#[test]
fn what_is_drawn_was_committed() {
    #[rustfmt::skip]
    of_days(&[
        ("S", "",                "draw:3@8",                "4 3 0 0", ""),
        ("S", "draw:3@8",        "draw:1@9",                "4 4 0 0", ""),
        ("S", "",                "draw:5@8",                "AWARD_EXCEEDED 4 | award 4 4 0 4 5 4", "2.5 days is more than this award has left for that: 2 days"),
        ("S", "draw:3@8",        "draw:2@9",                "AWARD_EXCEEDED 1 | award 4 1 3 1 2 1", ""),
        ("S", "release:3",       "draw:2@9",                "AWARD_EXCEEDED 1 | award 4 1 0 1 2 1", ""),
        // what is refunded goes back to cap and fund, never to the award
        ("S", "draw:4@8 refund:4", "draw:1@9",              "AWARD_EXCEEDED 0 | award 4 0 0 0 1 0", "make another award"),
        ("S", "",                "draw:100p@8",             "UNIT_MISMATCH 0 | award", "give the amount in half-days"),
        ("S", "",                "draw@8",                  "BOOKING_NOT_OPEN 0 | award", "give an amount, or the booking"),
        // a date in the past is fine, back to the award's own
        ("S", "",                "draw:1@6",                "4 1 0 0", ""),
        ("S", "",                "draw:1@5",                "OUTSIDE_WINDOW 0 | period", "(nle): give a date on or after 2021-10-06"),
        ("S", "",                "draw:5@5",                "OUTSIDE_WINDOW 0 | period | award 4 4 0 4 5 4", ""),
        ("S", "",                "draw:1@2021-08-31",       "OUTSIDE_WINDOW 0 | period | period", "from 2021-09-01 to 2022-12-31"),
        ("S", "",                "draw:1@2022-12-31",       "4 1 0 0", ""),
        ("S", "",                "draw:1@2023-01-01",       "OUTSIDE_WINDOW 0 | period", "time in which claims are paid"),
        ("S", "close:completed@9", "draw:1@8",              "STATE_NOT_ALLOWED 0 | state | award 4 0 0 0 1 0", "allowed in: delivering"),
        ("S", "",                "draw:9~v22",              "STALE", "v22 was given, v21 is current"),
        ("S", "",                "draw:1~v21",              "4 1 0 0", ""),
    ]);
    #[rustfmt::skip]
    judge_money(&[
        ("S", "nle:4@6",         "draw:5/INV-1@2023-01-01", "STATE_NOT_ALLOWED 0 | state | period | award 4 4 0 4 5 4", "(and 2 more)"),
        ("S", "",                "draw:1",                  "NOT_FOUND", "award"),
        // claims of credit, against the award and never against the cap
        ("S", "credit:9000@6 start@7", "draw:9000@8",       "9000 9000 0 0", ""),
        ("S", "credit:9000@6 start@7", "draw:9001@8",       "AWARD_EXCEEDED 9000 | award 9000 9000 0 9000 9001 9000", "£90"),
        ("S", "credit:9000@6 start@7", "draw:1d@8",         "UNIT_MISMATCH 0 | award", "give the amount in pence"),
        // also while the fund is over-committed
        ("S", "credit:600000 start@7 cut:credit:1500000 yes:ben", "draw:200000",    "600000 200000 0 0", ""),
        ("S", "credit:600000 start@7 cut:credit:1500000 yes:ben", "release:100000", "600000 0 100000 0", ""),
        ("S", "credit:600000 start@7 cut:credit:1500000 yes:ben draw:200000", "refund:1", "600000 200000 0 1", ""),
    ]);
}

#[test]
fn bookings_lie_inside_their_award() {
    #[rustfmt::skip]
    of_days(&[
        ("S", "",                                   "book:4@2022-03-01",    "4 0 0 0", ""),
        ("S", "",                                   "book:5@2022-03-01",    "AWARD_EXCEEDED 4 | award 4 4 0 4 5 4", ""),
        ("S", "book:3@2022-03-01",                  "book:2@2022-03-02",    "AWARD_EXCEEDED 1 | award 4 4 0 1 2 1", "book at most 0.5 days, or cancel first a booking"),
        ("S", "book:3@2022-03-01 cancel#23",        "book:4@2022-03-02",    "4 0 0 0", ""),
        ("S", "draw:3@8",                           "book:2@2022-03-02",    "AWARD_EXCEEDED 1 | award 4 1 3 1 2 1", ""),
        ("S", "",                                   "book:1@6",             "4 0 0 0", ""),
        ("S", "",                                   "book:1@5",             "OUTSIDE_WINDOW 0 | period", "on or after 2021-10-06"),
        ("S", "",                                   "book:1@2021-08-31",    "OUTSIDE_WINDOW 0 | period | period", "time in which days are delivered"),
        ("S", "",                                   "book:1@2022-12-31",    "4 0 0 0", ""),
        ("S", "",                                   "book:1@2023-01-01",    "OUTSIDE_WINDOW 0 | period", ""),
        ("S", "close:completed@9",                  "book:1@2022-03-01",    "STATE_NOT_ALLOWED 0 | state | award 4 0 0 0 1 0", "allowed in: accepted, delivering"),
        // delivering one draws its days, or fewer: the rest is free again
        ("S", "book:3@2022-03-01",                  "draw#23@8",            "4 3 0 0", ""),
        ("S", "book:3@2022-03-01",                  "draw:2#23@8",          "4 2 0 0", ""),
        ("S", "book:3@2022-03-01 draw:2#23@8",      "draw:2@8",             "4 4 0 0", ""),
        ("S", "book:3@2022-03-01",                  "draw:4#23@8",          "AWARD_EXCEEDED 3 | award 3 3 0 3 4 3", "booking 23 of award"),
        ("S", "book:3@2022-03-01",                  "draw:5#23@8",          "AWARD_EXCEEDED 3 | award 4 4 0 4 5 4 | award 3 3 0 3 5 3", ""),
        ("S", "book:2@2022-03-01 book:2@2022-03-02", "draw:3#23@8",         "AWARD_EXCEEDED 2 | award 4 4 0 2 3 2 | award 2 2 0 2 3 2", ""),
        // what is booked is held for it
        ("S", "book:3@2022-03-01",                  "draw:2@8",             "AWARD_EXCEEDED 1 | award 4 4 0 1 2 1", "draw at most 0.5 days, or cancel first a booking that holds the rest"),
        ("S", "book:3@2022-03-01",                  "draw:1@8",             "4 1 0 0", ""),
        // only an open one
        ("S", "book:3@2022-03-01 draw#23@8",        "draw#23@9",            "BOOKING_NOT_OPEN 0 | award", "23 is not an open booking"),
        ("S", "book:3@2022-03-01 cancel#23",        "draw:1#23@9",          "BOOKING_NOT_OPEN 0 | award", ""),
        ("S", "book:3@2022-03-01",                  "cancel#23",            "4 0 0 0", ""),
        ("S", "book:3@2022-03-01 cancel#23",        "cancel#23",            "BOOKING_NOT_OPEN - | award", "neither delivered nor cancelled"),
        ("S", "book:3@2022-03-01 draw#23@8",        "cancel#23",            "BOOKING_NOT_OPEN - | award", ""),
        ("S", "",                                   "cancel#22",            "BOOKING_NOT_OPEN - | award", ""),
        ("S", "book:3@2022-03-01 close:completed@9", "cancel#23",           "STATE_NOT_ALLOWED - | state | award", ""),
        ("S", "book:3@2022-03-01",                  "cancel#23~v21",        "STALE", "v23 is current"),
    ]);
    #[rustfmt::skip]
    judge_money(&[
        ("S", "nle:4@6",                            "book:4@2022-03-01",    "4 0 0 0", ""),
        ("S", "nle:4@6 book:2@2022-03-01",          "cancel#22",            "4 0 0 0", ""),
        ("S", "credit:1000@6 start@7",              "book:1@2022-03-01",    "UNIT_MISMATCH 0 | award", "is of credit, which has no days to book"),
    ]);
    let book = Book::funded().after("S", "nle:4@6 book:1@2022-03-01 book:1/leader-2@2022-03-02");
    let bookings = &book.awards_of_offer(Book::named("S"))[0].bookings;
    let leaders: Vec<&str> = bookings.iter().map(|it| it.leader.as_str()).collect();
    assert_eq!(leaders, ["leader-1", "leader-2"], "the award's leader, unless it says who");
    assert_eq!(bookings[0].on, day("2022-03-01"));
    assert_eq!(book.events[21].effective, day("2021-12-01"), "the day it was booked, not the day it is for");
    assert!(book.events[21].entries.is_empty(), "a booking moves nothing");
}

#[test]
fn what_is_released_was_not_needed() {
    #[rustfmt::skip]
    of_days(&[
        ("S", "",                       "release",              "4 0 4 0", ""),
        ("S", "",                       "release:3",            "4 0 3 0", ""),
        ("S", "draw:1@8",               "release",              "4 1 3 0", ""),
        ("S", "",                       "release:5",            "AWARD_EXCEEDED 4 | award 4 4 0 4 5 4", "(nle): release at most 2 days"),
        ("S", "book:3@2022-03-01",      "release",              "4 0 1 0", ""),
        ("S", "book:3@2022-03-01",      "release:2",            "AWARD_EXCEEDED 1 | award 4 4 0 1 2 1", "cancel first a booking"),
        ("S", "book:4@2022-03-01",      "release",              "AWARD_EXCEEDED 0 | award 4 4 0 0 - 0", "nothing of this award is left"),
        ("S", "release",                "release",              "AWARD_EXCEEDED 0 | award 4 0 0 0 - 0", "nothing of this award is left"),
        ("S", "release",                "release:1",            "AWARD_EXCEEDED 0 | award 4 0 0 0 1 0", ""),
        ("S", "",                       "release:1p",           "UNIT_MISMATCH 0 | award", ""),
        ("S", "",                       "release:1@6",          "4 0 1 0", ""),
        ("S", "",                       "release:1@5",          "OUTSIDE_WINDOW 0 | period", "2021-10-05 lies before the award was made, on 2021-10-06"),
        ("S", "",                       "release:1@2021-08-31", "OUTSIDE_PROGRAMME 0 | period | period", ""),
        ("S", "close:completed@9",      "release:1",            "STATE_NOT_ALLOWED 0 | state | award 4 0 0 0 1 0", "accepted, delivering"),
        ("S", "",                       "release~v9",           "STALE", "v21 is current"),
    ]);
    judge_money(&[("S", "nle:4@6", "release:4", "4 0 4 0", "")]);
}

#[test]
fn what_is_refunded_was_drawn() {
    #[rustfmt::skip]
    of_days(&[
        ("S", "draw:3@8",                       "refund:2@9",           "4 3 0 2", ""),
        ("S", "draw:3@8",                       "refund:4@9",           "AWARD_EXCEEDED 3 | award 4 1 3 3 4 3", "1.5 days"),
        ("S", "draw:3@8 refund:2@9",            "refund:2@9",           "AWARD_EXCEEDED 1 | award 4 1 1 1 2 1", ""),
        ("S", "",                               "refund:1@9",           "AWARD_EXCEEDED 0 | award 4 4 0 0 1 0", ""),
        ("S", "draw:3@8 close:completed@9",     "refund:3@10",          "4 3 1 3", ""),
        ("S", "draw:3@6",                       "refund:1@6",           "4 3 0 1", ""),
        ("S", "draw:3@6",                       "refund:1@5",           "OUTSIDE_WINDOW 0 | period", "on or after 2021-10-06"),
        ("S", "draw:3@8",                       "refund:1@2021-08-31",  "OUTSIDE_PROGRAMME 0 | period | period", ""),
        ("S", "draw:3@8",                       "refund:1@2024-01-01",  "4 3 0 1", ""),
        ("S", "draw:3@8",                       "refund:1p@9",          "UNIT_MISMATCH 0 | award", ""),
        ("S", "draw:3@8",                       "refund:4/INV-1@9",     "INVOICE_MISSING 0 | award | award 4 1 3 3 4 3", ""),
        ("S", "draw:3@8",                       "refund:1~v21",         "STALE", "v23 is current"),
    ]);
}

#[test]
fn a_past_day_of_an_award_is_a_warning() {
    for (word, warned) in [
        ("draw:1@9", true),
        ("draw:1", false),
        ("release:1@9", true),
        ("release:1", false),
        ("refund:1@9", true),
        ("refund:1", false),
        ("book:1@9", true),
        ("book:1@2022-03-01", false),
    ] {
        let decided = Book::funded().after("S", "nle:4@6 start@7 draw:2").word("S", word).unwrap();
        let wanted = if warned { vec![Warning::DateInThePast(day("9"))] } else { Vec::new() };
        assert_eq!(decided.warnings, wanted, "{word}");
    }
}
