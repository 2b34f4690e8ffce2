//! Tests of existing awards: for each refusal a row that is refused and a row that just passes (`domain.md` section 5).
//!
//! [`super::script`] explains the letters of the offers, [`super::money_script`] the words and the results of the rows.

use decision::Warning;

use super::money_script::{FUNDED_EVENTS, MoneyRow, judge_money};
use super::script::{Script, day};
use crate::award::BookingState;
use crate::programme::*;

/// An award of two days for `S`, and the start of delivery: events 21 and 22.
const DAYS: &str = "nle:4@6 start@7";

/// Checks the rows, each with [`DAYS`] before its own words.
fn judge_after_days(rows: &[MoneyRow<'_>]) {
    for (letter, history, word, expected, part) in rows {
        judge_money(&[(letter, &format!("{DAYS} {history}"), word, expected, part)]);
    }
}

#[test]
fn only_committed_amounts_are_drawn() {
    #[rustfmt::skip]
    judge_after_days(&[
        ("S", "",                "draw:3@8",                "4 3 0 0", ""),
        ("S", "draw:3@8",        "draw:1@9",                "4 4 0 0", ""),
        ("S", "",                "draw:5@8",                "AWARD_EXCEEDED 4 | award 4 4 0 4 5 4", "2.5 days is more than this award has left for that: 2 days"),
        ("S", "draw:3@8",        "draw:2@9",                "AWARD_EXCEEDED 1 | award 4 1 3 1 2 1", ""),
        ("S", "release:3",       "draw:2@9",                "AWARD_EXCEEDED 1 | award 4 1 0 1 2 1", ""),
        // a refund returns the amount to the cap and the fund, not to the award
        ("S", "draw:4@8 refund:4", "draw:1@9",              "AWARD_EXCEEDED 0 | award 4 0 0 0 1 0", "make another award"),
        ("S", "",                "draw:100p@8",             "UNIT_MISMATCH 0 | award", "give the amount in half-days"),
        ("S", "",                "draw@8",                  "BOOKING_NOT_OPEN 0 | award", "give an amount, or the booking"),
        // a past date is allowed, from the start of delivery on
        ("S", "",                "draw:1@7",                "4 1 0 0", ""),
        ("S", "",                "draw:1@6",                "DATE_ORDER 0 | period", "2021-10-06 lies before delivery started, on 2021-10-07"),
        ("S", "day:started@6",   "draw:1@6",                "4 1 0 0", ""),
        ("S", "",                "draw:1@5",                "DATE_ORDER 0 | period | period", "(nle): give a date on or after 2021-10-06"),
        ("S", "",                "draw:5@5",                "DATE_ORDER 0 | period | period | award 4 4 0 4 5 4", ""),
        ("S", "",                "draw:1@2021-08-31",       "OUTSIDE_WINDOW 0 | period | period | period", "from 2021-09-01 to 2022-12-31"),
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
        // claims of credit are limited by the award, not by the cap
        ("S", "credit:9000@6 start@7", "draw:9000@8",       "9000 9000 0 0", ""),
        ("S", "credit:9000@6 start@7", "draw:9001@8",       "AWARD_EXCEEDED 9000 | award 9000 9000 0 9000 9001 9000", "£90"),
        ("S", "credit:9000@6 start@7", "draw:1d@8",         "UNIT_MISMATCH 0 | award", "give the amount in pence"),
        // also if the fund is over-committed
        ("S", "credit:600000 start@7 cut:credit:1500000 yes:ben", "draw:200000",    "600000 200000 0 0", ""),
        ("S", "credit:600000 start@7 cut:credit:1500000 yes:ben", "release:100000", "600000 0 100000 0", ""),
        ("S", "credit:600000 start@7 cut:credit:1500000 yes:ben draw:200000", "refund:1", "600000 200000 0 1", ""),
    ]);
}

#[test]
fn bookings_stay_within_their_award() {
    #[rustfmt::skip]
    judge_after_days(&[
        ("S", "",                                   "book:4@2022-03-01",    "4 0 0 0", ""),
        ("S", "",                                   "book:5@2022-03-01",    "AWARD_EXCEEDED 4 | award 4 4 0 4 5 4", ""),
        ("S", "book:3@2022-03-01",                  "book:2@2022-03-02",    "AWARD_EXCEEDED 1 | award 4 4 0 1 2 1", "book at most 0.5 days, or cancel first a booking"),
        ("S", "book:3@2022-03-01 cancel#23",        "book:4@2022-03-02",    "4 0 0 0", ""),
        ("S", "draw:3@8",                           "book:2@2022-03-02",    "AWARD_EXCEEDED 1 | award 4 1 3 1 2 1", ""),
        ("S", "",                                   "book:1@6",             "4 0 0 0", ""),
        ("S", "",                                   "book:1@5",             "DATE_ORDER 0 | period", "on or after 2021-10-06"),
        ("S", "",                                   "book:1@2021-08-31",    "OUTSIDE_WINDOW 0 | period | period", "time in which days are delivered"),
        ("S", "",                                   "book:1@2022-12-31",    "4 0 0 0", ""),
        ("S", "",                                   "book:1@2023-01-01",    "OUTSIDE_WINDOW 0 | period", ""),
        ("S", "close:completed@9",                  "book:1@2022-03-01",    "STATE_NOT_ALLOWED 0 | state | award 4 0 0 0 1 0", "allowed in: accepted, delivering"),
        // delivering a booking draws its days or fewer; the rest is free again
        ("S", "book:3@2022-03-01",                  "draw#23@8",            "4 3 0 0", ""),
        ("S", "book:3@2022-03-01",                  "draw:2#23@8",          "4 2 0 0", ""),
        ("S", "book:3@2022-03-01 draw:2#23@8",      "draw:2@8",             "4 4 0 0", ""),
        ("S", "book:3@2022-03-01",                  "draw:4#23@8",          "AWARD_EXCEEDED 3 | award 3 3 0 3 4 3", "booking 23 of award"),
        ("S", "book:3@2022-03-01",                  "draw:5#23@8",          "AWARD_EXCEEDED 3 | award 4 4 0 4 5 4 | award 3 3 0 3 5 3", ""),
        ("S", "book:2@2022-03-01 book:2@2022-03-02", "draw:3#23@8",         "AWARD_EXCEEDED 2 | award 4 4 0 2 3 2 | award 2 2 0 2 3 2", ""),
        // booked days cannot be drawn without the booking
        ("S", "book:3@2022-03-01",                  "draw:2@8",             "AWARD_EXCEEDED 1 | award 4 4 0 1 2 1", "draw at most 0.5 days, or cancel first a booking that holds the rest"),
        ("S", "book:3@2022-03-01",                  "draw:1@8",             "4 1 0 0", ""),
        // only an open booking can be delivered
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
    let script = Script::funded().after("S", "nle:4@6 book:1@2022-03-01 book:1/leader-2@2022-03-02");
    let bookings = &script.awards_of_offer(Script::offer_id_of("S"))[0].bookings;
    let leaders: Vec<&str> = bookings.iter().map(|it| it.leader.as_str()).collect();
    assert_eq!(leaders, ["leader-1", "leader-2"], "the leader is the award's leader, unless the booking names another");
    assert_eq!(bookings[0].on, day("2022-03-01"));
    let first_booking = &script.events[FUNDED_EVENTS + 1];
    assert_eq!(first_booking.effective, day("2021-12-01"), "the day of the request, not the booked day");
    assert!(first_booking.entries.is_empty(), "a booking moves no amount");
}

#[test]
fn only_committed_amounts_are_released() {
    #[rustfmt::skip]
    judge_after_days(&[
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
        ("S", "",                       "release:1@5",          "DATE_ORDER 0 | period", "2021-10-05 lies before the award was made, on 2021-10-06"),
        ("S", "",                       "release:1@2021-08-31", "OUTSIDE_PROGRAMME 0 | period | period", ""),
        ("S", "close:completed@9",      "release:1",            "STATE_NOT_ALLOWED 0 | state | award 4 0 0 0 1 0", "accepted, delivering"),
        ("S", "",                       "release~v9",           "STALE", "v21 is current"),
    ]);
    judge_money(&[("S", "nle:4@6", "release:4", "4 0 4 0", "")]);
}

#[test]
fn only_drawn_amounts_are_refunded() {
    #[rustfmt::skip]
    judge_after_days(&[
        ("S", "draw:3@8",                       "refund:2@9",           "4 3 0 2", ""),
        ("S", "draw:3@8",                       "refund:4@9",           "AWARD_EXCEEDED 3 | award 4 1 3 3 4 3", "1.5 days"),
        ("S", "draw:3@8 refund:2@9",            "refund:2@9",           "AWARD_EXCEEDED 1 | award 4 1 1 1 2 1", ""),
        ("S", "",                               "refund:1@9",           "AWARD_EXCEEDED 0 | award 4 4 0 0 1 0", ""),
        ("S", "draw:3@8 close:completed@9",     "refund:3@10",          "4 3 1 3", ""),
        // a refund is not dated before the draw that it takes back
        ("S", "draw:3@8",                       "refund:1@8",           "4 3 0 1", ""),
        ("S", "draw:3@8",                       "refund:1@7",           "DATE_ORDER 0 | period", "2021-10-07 lies before what it takes back was drawn, on 2021-10-08"),
        ("S", "draw:1@8 draw:2@10",             "refund:1@9",           "4 3 0 1", ""),
        ("S", "draw:1@8 draw:2@10",             "refund:2@9",           "DATE_ORDER 1 | period", "give a date on or after 2021-10-10"),
        ("S", "draw:1@8 draw:2@10 refund:1@10", "refund:1@8",           "4 3 0 2", ""),
        ("S", "draw:1@8 refund:1@9 draw:2@11",  "refund:1@8",           "DATE_ORDER 0 | period", "on or after 2021-10-11"),
        ("S", "draw:3@8",                       "refund:1@5",           "DATE_ORDER 0 | period | period", "on or after 2021-10-06"),
        ("S", "draw:3@8",                       "refund:1@2021-08-31",  "OUTSIDE_PROGRAMME 0 | period | period | period", ""),
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
        ("draw:1@10", false),
        ("release:1@9", true),
        ("release:1", false),
        ("refund:1@9", true),
        ("refund:1", false),
        ("book:1@9", true),
        ("book:1@2022-03-01", false),
    ] {
        let mut script = Script::funded().after("S", "nle:4@6 start@7 draw:1@8");
        // 9 October is 61 days before today.
        script.today = day("2021-12-09");
        let decided = script.word("S", word).unwrap();
        let expected = if warned { vec![Warning::DateInThePast(day("9"))] } else { Vec::new() };
        assert_eq!(decided.warnings, expected, "{word}");
    }
}

/// "A mistaken refund, release or draw is undone by a counter-event that posts existing verbs" (`domain.md` section 4).
#[test]
fn undoing_a_mistake_restores_the_numbers() {
    #[rustfmt::skip]
    judge_after_days(&[
        ("S", "draw:3@8",                            "undo#23",  "4 0 0 0", ""),
        ("S", "release:3",                           "undo#23",  "4 0 0 0", ""),
        ("S", "draw:3@8 refund:2@9",                 "undo#24",  "4 3 0 0", ""),
        // an event is undone only once, and only if it moved an amount of this award
        ("S", "draw:3@8 undo#23",                    "undo#23",  "MOVEMENT_NOT_UNDOABLE - | award", "event 23 is no draw, release or refund of this award that can be undone"),
        ("S", "draw:3@8",                            "undo#21",  "MOVEMENT_NOT_UNDOABLE - | award", ""),
        ("S", "draw:3@8 undo#23",                    "undo#24",  "MOVEMENT_NOT_UNDOABLE - | award", ""),
        ("S", "draw:3@8",                            "undo#23~v21", "STALE", "v23 is current"),
        // a refund of the draw must be undone first
        ("S", "draw:3@8 refund:2@9",                 "undo#23",  "MOVEMENT_NOT_UNDOABLE - | award", "undo the refund first"),
        ("S", "draw:3@8 refund:2@9 undo#24",         "undo#23",  "4 0 0 0", ""),
        ("S", "draw:1@8 draw:2@8 refund:1@9",        "undo#24",  "4 1 0 1", ""),
        // in a closed offer only a refund can be undone
        ("S", "draw:3@8 close:completed@9",          "undo#23",  "STATE_NOT_ALLOWED - | state", "accepted, delivering"),
        ("S", "release:3 close:completed",           "undo#23",  "STATE_NOT_ALLOWED - | state", ""),
        ("S", "draw:3@8 refund:2@9 close:completed@9", "undo#24", "4 3 1 0", ""),
        ("S", "draw:3@8 close:completed@9",          "undo#24",  "MOVEMENT_NOT_UNDOABLE - | award", "event 24 is no draw"),
        // the amount is committed again only from the day of the undo on
        ("S", "draw:4@8 undo#23",                    "draw:4@9",  "DATE_ORDER 0 | period", "2021-10-09 lies before what it takes was given back by an undo, on 2021-12-01"),
        ("S", "draw:3@8 undo#23",                    "draw:2@9",  "DATE_ORDER 1 | period", "give a date on or after 2021-12-01"),
        ("S", "draw:3@8 undo#23",                    "draw:1@9",  "4 1 0 0", ""),
        ("S", "draw:3@8 undo#23",                    "draw:4",    "4 4 0 0", ""),
        ("S", "release:3@8 undo#23",                 "release:2@9", "DATE_ORDER 1 | period", ""),
        ("S", "release:3@8 undo#23",                 "release:1@9", "4 0 1 0", ""),
        // the cap and the fund must bear the undo
        ("S", "release:3 nle:5",                     "undo.1#23", "CAP_EXCEEDED - | cap 6 6 0 0 3 0", "release first"),
        ("S", "draw:3@8 refund:3@9 nle:5",           "undo.1#24", "CAP_EXCEEDED - | cap 6 6 0 0 3 0", ""),
    ]);
    #[rustfmt::skip]
    judge_money(&[
        ("S", "credit:600000@6 release:500000 take:credit:1500000", "undo#22", "FUNDS_INSUFFICIENT - | fund 500000 100000 0 400000 500000 400000", "allocate at least £1,000"),
        ("S", "credit:600000 start@7 draw:200000 cut:credit:1500000 yes:ben", "undo#23", "FUNDS_INSUFFICIENT - | fund 500000 400000 0 100000 200000 100000", "allocate at least £1,000"),
    ]);
    let script = Script::funded().after("S", "nle:4@6 start@7 book:3@2022-03-01 draw#23@8 undo#24");
    assert_eq!(
        script.awards_of_offer(Script::offer_id_of("S"))[0].bookings[0].state,
        BookingState::Cancelled,
        "the undo does not restore the booking"
    );
    let undone = script.events.last().unwrap();
    assert_eq!((undone.effective, undone.text_hash.is_some()), (day("2021-12-01"), true));
    let verbs: Vec<&str> = undone.entries.iter().map(|it| it.verb.name()).collect();
    assert_eq!(verbs, ["refund", "commit", "refund", "commit"], "first to the cap, then to the fund");
}

#[test]
fn undoing_a_draw_frees_its_invoice_and_undoing_a_refund_pays_the_invoice_again() {
    const PAID: &str = "npqel:900000@6 start@7 draw:300000/INV-1@8";
    #[rustfmt::skip]
    judge_money(&[
        ("M", &format!("{PAID} undo#23"),                    "draw:300000/INV-1@9", "900000 300000 0 0", ""),
        ("M", &format!("{PAID} refund:300000@9 undo#24"),    "draw:1/INV-1@9",      "INVOICE_PAID 0 | award", ""),
        ("M", &format!("{PAID} refund:300000@9 draw:300000/INV-1@9"), "undo#24",    "INVOICE_PAID - | award", "has been paid by award 00000000"),
        ("M", &format!("{PAID} refund:300000@9 draw:300000/INV-1@9 undo#25"), "undo#24", "900000 300000 0 0", ""),
        ("M", &format!("{PAID} refund:1@9"),                 "undo#23",             "MOVEMENT_NOT_UNDOABLE - | award", "undo the refund first"),
        ("M", &format!("{PAID} draw:1/INV-2@8 refund:1/INV-2@9"), "undo#23",        "900000 1 0 1", ""),
    ]);
}

/// "A mistaken date of accept or start is corrected by a counter-event while nothing later depends on it."
#[test]
fn a_date_is_corrected_only_between_the_milestones_around_it() {
    use super::script::{Row, judge};
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("T", "body@4 accept:trust@6",                       "day:accepted@5", "accepted",          ""),
        ("T", "body@4 accept:trust@6",                       "day:accepted@9", "accepted",          ""),
        ("T", "body@4 accept:trust@6",                       "day:accepted@3", "CONTACT_MISSING",   "dated 2021-10-03 or earlier"),
        ("T", "body@4 accept:trust@6 nle:2@7",               "day:accepted@7", "accepted",          ""),
        ("T", "body@4 accept:trust@6 nle:2@7",               "day:accepted@8", "DATE_ORDER",        "2021-10-08 lies after an award was made, on 2021-10-07"),
        ("T", "body@4 accept:trust@6 nle:2@6 start@8",       "day:accepted@9", "DATE_ORDER",        "give a date on or before 2021-10-06"),
        ("T", "body@4 accept:trust@6 nle:2@6 start@8",       "day:started@6",  "delivering",        ""),
        ("T", "body@4 accept:trust@6 nle:2@6 start@8",       "day:started@5",  "DATE_ORDER",        "2021-10-05 lies before the offer was accepted, on 2021-10-06"),
        ("T", "body@4 accept:trust@6 nle:2@6 start@8 draw:1@9", "day:started@9", "delivering",      ""),
        ("T", "body@4 accept:trust@6 nle:2@6 start@8 draw:1@9", "day:started@10", "DATE_ORDER",     "after something was delivered or drawn, on 2021-10-09"),
        ("T", "body@4 accept:trust@6 nle:2@6 start@8 draw:1@9 undo#9", "day:started@10", "delivering", ""),
        ("T", "body@4 accept:trust@6",                       "day:started@7",  "STATE_NOT_ALLOWED", "record it as started first"),
        ("T", "body@4",                                      "day:accepted@5", "STATE_NOT_ALLOWED", "allowed in: accepted, delivering"),
        ("T", "body@4 accept:trust@6 close:withdrawn@7",     "day:accepted@5", "STATE_NOT_ALLOWED", "while the offer is closed"),
        ("T", "body@4 accept:trust@6",                       "day:accepted@5~v1", "STALE",          ""),
        // later commands are checked against the corrected day
        ("T", "body@4 accept:trust@6 day:accepted@5",        "nle:2@5",        "accepted",          ""),
        ("T", "body@4 accept:trust@5 nle:2@6 day:accepted@6", "start@5",       "DATE_ORDER",        "before the offer was accepted, on 2021-10-06"),
    ];
    judge(rows);
    let script = Script::new().after("T", "body@4 accept:trust@6 day:accepted@5");
    let corrected = script.events.last().unwrap();
    assert_eq!(
        (corrected.effective, corrected.text_hash.is_some()),
        (day("2021-12-01"), true),
        "the correction is dated today"
    );
    assert_eq!(script.offer("T").etag(), "v7");
}
