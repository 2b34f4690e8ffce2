//! Tests each command on an offer by tables (`domain.md` sections 3 and 4). A row has the offer, the earlier commands,
//! the command under test, and the expected state or refusal.
//!
//! The offers are named by the letters S, T, M and D, and each command is one word, such as `body@4` for a contact with
//! the responsible body on 4 October 2021: see [`Script`]. `#5` names event 5, the first event that a row adds.

use crate::programme::tests::script::{Row, Script, judge};

#[test]
fn the_responsible_body_is_contacted_first() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("S", "",                          "body@4",            "contacted",            ""),
        ("S", "",                          "school@4",          "CONTACT_MISSING",      "local authority 330 (Birmingham) first, dated 2021-10-04 or earlier"),
        ("T", "",                          "school@4",          "CONTACT_MISSING",      "trust 2000 first"),
        ("D", "",                          "school@4",          "CONTACT_MISSING",      "Diocese of Ely first"),
        ("M", "",                          "school@4/100003",   "CONTACT_MISSING",      "trust 3000 first"),
        // dated no later: the same day passes, the day after does not
        ("S", "body@4",                    "school@4",          "contacted",            ""),
        ("S", "body@5",                    "school@4",          "CONTACT_MISSING",      "dated 2021-10-04 or earlier"),
        ("S", "body@5 body@4",             "school@4",          "contacted",            ""),
        ("S", "body@4 correct#5",          "school@5",          "CONTACT_MISSING",      "local authority 330"),
        // the school must be on the offer, and named if there are several
        ("S", "body@4",                    "school@5/100001",   "contacted",            ""),
        ("S", "body@4",                    "school@5/100003",   "SCHOOL_NOT_ON_OFFER",  "name one of its schools: 100001"),
        ("M", "body@4",                    "school@5/100004",   "contacted",            ""),
        ("M", "body@4",                    "school@5",          "SCHOOL_NOT_ON_OFFER",  "name one of its schools: 100003, 100004"),
        ("M", "body@4",                    "school@5/100001",   "SCHOOL_NOT_ON_OFFER",  "school 100001 is not on this offer"),
        // the refusal lists both limits
        ("M", "",                          "school@5/100001",   "SCHOOL_NOT_ON_OFFER",  "trust 3000 first, dated 2021-10-05 or earlier"),
        // allowed in every open state, refused when the offer is closed
        ("T", "body@4 accept:trust@5",     "school@6",          "accepted",             ""),
        ("T", "body@4 accept:trust@5 award start@6", "school@6", "delivering",          ""),
        ("S", "close:withdrawn@5",         "body@6",            "STATE_NOT_ALLOWED",    "allowed in: identified, contacted, accepted, delivering"),
        // refused after the last day of contacts
        ("S", "",                          "body@2022-10-31",   "contacted",            ""),
        ("S", "",                          "body@2022-11-01",   "OUTSIDE_WINDOW",       "on or before 2022-10-31"),
        // no contact before the programme's first day
        ("S", "",                          "body@2021-09-01",   "contacted",            ""),
        ("S", "",                          "body@2021-08-31",   "OUTSIDE_PROGRAMME",    "on or after 2021-09-01"),
    ];
    judge(rows);
}

#[test]
fn a_mistaken_contact_is_corrected_unless_something_depends_on_it() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        // the state goes back only when no contact remains
        ("S", "body@4",                                     "correct#5", "identified",              ""),
        ("S", "body@4 body@5",                              "correct#5", "contacted",               ""),
        ("S", "body@4 school@5",                            "correct#6", "contacted",               ""),
        ("S", "body@4 school@5 correct#6",                  "correct#5", "identified",              ""),
        // only a contact that was not corrected before
        ("S", "body@4",                                     "correct#6", "CONTACT_NOT_CORRECTABLE", "contact 6 is not a standing contact"),
        ("S", "body@4",                                     "correct#1", "CONTACT_NOT_CORRECTABLE", "contact 1 is not a standing contact"),
        ("S", "body@4 body@5 correct#5",                    "correct#5", "CONTACT_NOT_CORRECTABLE", "contact 5 is not a standing contact"),
        ("S", "body@4 body@5 correct#5",                    "correct#7", "CONTACT_NOT_CORRECTABLE", "contact 7 is not a standing contact"),
        // the contact with the school depends on the contact with the body
        ("S", "body@4 school@5",                            "correct#5", "CONTACT_NOT_CORRECTABLE", "contact 6 with the school depends on contact 5"),
        ("S", "body@4 school@5 body@5",                     "correct#5", "contacted",               ""),
        ("S", "body@4 school@5 body@6",                     "correct#5", "CONTACT_NOT_CORRECTABLE", "contact 6 with the school depends on contact 5"),
        ("M", "body@4 school@5/100003 school@6/100004",     "correct#5", "CONTACT_NOT_CORRECTABLE", "depends on contact 5"),
        // the acceptance depends on the contact
        ("T", "body@4 accept:trust@5",                      "correct#5", "CONTACT_NOT_CORRECTABLE", "the acceptance of 2021-10-05 depends on contact 5"),
        ("T", "body@4 accept:trust@5 body@6",               "correct#5", "CONTACT_NOT_CORRECTABLE", "the acceptance of 2021-10-05 depends on contact 5"),
        ("T", "body@4 accept:trust@5 body@5",               "correct#5", "accepted",                ""),
        ("S", "body@4 school@5 accept:school@5",            "correct#6", "CONTACT_NOT_CORRECTABLE", "the acceptance of 2021-10-05 depends on contact 6"),
        ("S", "body@4 school@4 school@5 accept:school@5",   "correct#7", "accepted",                ""),
        ("T", "body@4 accept:trust@5 award start@6",        "correct#5", "CONTACT_NOT_CORRECTABLE", "the acceptance of 2021-10-05 depends on contact 5"),
        // states
        ("S", "",                                           "correct#1", "STATE_NOT_ALLOWED",       "contacted, accepted, delivering"),
        ("S", "body@4 close:withdrawn@5",                   "correct#5", "STATE_NOT_ALLOWED",       "while the offer is closed"),
    ];
    judge(rows);
}

#[test]
fn the_acceptor_must_have_been_contacted() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("S", "body@4 school@5",                    "accept:school@5", "accepted",             ""),
        ("S", "body@4 school@5",                    "accept:school@4", "CONTACT_MISSING",      "contact with the school first, dated 2021-10-04 or earlier"),
        ("S", "body@4",                             "accept:school@5", "CONTACT_MISSING",      "contact with the school first"),
        ("S", "body@4 school@5 correct#6",          "accept:school@5", "CONTACT_MISSING",      "contact with the school first"),
        ("S", "body@4 school@5",                    "accept:trust@5",  "ACCEPTOR_NOT_ALLOWED", "in no trust: the school accepts"),
        ("D", "body@4 school@5",                    "accept:trust@5",  "ACCEPTOR_NOT_ALLOWED", "in no trust"),
        ("T", "body@4",                             "accept:trust@4",  "accepted",             ""),
        ("T", "body@4",                             "accept:trust@3",  "CONTACT_MISSING",      "contact with the trust first, dated 2021-10-03 or earlier"),
        ("T", "body@4",                             "accept:school@4", "CONTACT_MISSING",      "contact with the school first"),
        ("T", "body@4 school@4",                    "accept:school@4", "accepted",             ""),
        ("M", "body@4",                             "accept:trust@4",  "accepted",             ""),
        ("M", "body@4 school@5/100003",             "accept:school@5", "ACCEPTOR_NOT_ALLOWED", "an offer to a trust is accepted by the trust"),
        ("M", "body@4",                             "accept:trust@3",  "CONTACT_MISSING",      "contact with the trust first"),
        ("T", "body@2021-09-01",                    "accept:trust@2021-08-31", "CONTACT_MISSING", "on or after 2021-09-01"),
        // only while contacted
        ("S", "",                                   "accept:school@5", "STATE_NOT_ALLOWED",    "while the offer is identified; it is allowed in: contacted"),
        // the refusal also lists the other limits
        ("S", "",                                   "accept:school@5", "STATE_NOT_ALLOWED",    "record the contact with the school first"),
        ("M", "",                                   "accept:school@5", "STATE_NOT_ALLOWED",    "an offer to a trust is accepted by the trust"),
        ("T", "body@4 accept:trust@5",              "accept:trust@5",  "STATE_NOT_ALLOWED",    "while the offer is accepted"),
        ("T", "body@4 accept:trust@5 award start@6", "accept:trust@6", "STATE_NOT_ALLOWED",    "while the offer is delivering"),
        ("T", "body@4 decline@5",                   "accept:trust@6",  "STATE_NOT_ALLOWED",    "while the offer is closed"),
    ];
    judge(rows);
}

#[test]
fn declining_and_starting() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("S", "",                                           "decline@5", "closed",            ""),
        ("S", "body@4",                                     "decline@5", "closed",            ""),
        ("T", "body@4 accept:trust@5",                      "decline@6", "closed",            ""),
        ("T", "body@4 accept:trust@5 award",                "decline@6", "closed",            ""),
        ("T", "body@4 accept:trust@5 award drawn",          "decline@6", "ALREADY_DRAWN",     "refund what was drawn"),
        ("T", "body@4 accept:trust@5 award start@6",        "decline@7", "STATE_NOT_ALLOWED", "identified, contacted, accepted"),
        ("T", "body@4 accept:trust@5 award start@6 drawn",  "decline@7", "STATE_NOT_ALLOWED", "while the offer is delivering"),
        ("S", "decline@5",                                  "decline@5", "STATE_NOT_ALLOWED", "while the offer is closed"),

        ("T", "body@4 accept:trust@5 award",                "start@6",   "delivering",        ""),
        ("T", "body@4 accept:trust@5 award",                "start@5",   "delivering",        ""),
        ("T", "body@4 accept:trust@5 award",                "start@4",   "DATE_ORDER",        "2021-10-04 lies before the offer was accepted, on 2021-10-05"),
        ("T", "body@4 accept:trust@5",                      "start@6",   "AWARD_MISSING",     "award support first"),
        ("T", "body@4 accept:trust@5 award settled",        "start@6",   "AWARD_MISSING",     "not yet settled"),
        ("T", "body@4 accept:trust@5 award drawn settled",  "start@6",   "AWARD_MISSING",     "not yet settled"),
        ("T", "award",                                      "start@6",   "STATE_NOT_ALLOWED", "allowed in: accepted"),
        ("T", "body@4 award",                               "start@6",   "STATE_NOT_ALLOWED", "while the offer is contacted"),
        ("T", "body@4 accept:trust@5 award start@6",        "start@6",   "STATE_NOT_ALLOWED", "while the offer is delivering"),
        ("T", "award decline@5",                            "start@6",   "STATE_NOT_ALLOWED", "while the offer is closed"),
        // the refusal lists the state and the other limit
        ("T", "",                                           "start@6",   "STATE_NOT_ALLOWED", "award support first"),
        ("T", "body@4 accept:trust@5 award start@6 drawn",  "decline@7", "STATE_NOT_ALLOWED", "refund what was drawn"),
    ];
    judge(rows);
}

#[test]
fn closing_with_each_outcome() {
    const TO_DELIVERING: &str = "body@4 accept:trust@5 award start@6";
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("T", TO_DELIVERING,                "close:completed@7",           "closed",              ""),
        ("T", "body@4 accept:trust@5",      "close:completed@7",           "STATE_NOT_ALLOWED",   "allowed in: delivering"),
        ("T", "body@4",                     "close:completed@7",           "STATE_NOT_ALLOWED",   "allowed in: delivering"),
        ("T", "",                           "close:completed@7",           "STATE_NOT_ALLOWED",   "allowed in: delivering"),
        // lapsed: from the day after the last day of the programme
        ("T", "",                           "close:lapsed@2022-09-01",     "closed",              ""),
        ("T", TO_DELIVERING,                "close:lapsed@2022-09-01",     "closed",              ""),
        ("T", "",                           "close:lapsed@2022-08-31",     "PROGRAMME_NOT_ENDED", "end on 2022-08-31"),
        ("T", "",                           "close:lapsed@2021-10-05",     "PROGRAMME_NOT_ENDED", "end on 2022-08-31"),
        // declined: if nothing was drawn, also while delivering
        ("T", "body@4",                     "close:declined@7",            "closed",              ""),
        ("T", TO_DELIVERING,                "close:declined@7",            "closed",              ""),
        ("T", "body@4 accept:trust@5 award drawn", "close:declined@7",     "ALREADY_DRAWN",       "refund what was drawn"),
        // the other outcomes: in any open state
        ("T", "",                           "close:withdrawn@7",           "closed",              ""),
        ("T", "body@4",                     "close:ineligible@7",          "closed",              ""),
        ("T", "body@4 accept:trust@5",      "close:superseded@7",          "closed",              ""),
        ("T", TO_DELIVERING,                "close:withdrawn@7",           "closed",              ""),
        // an offer does not close twice; the reason is the state, even if the date is refused too
        ("T", "decline@5",                  "close:completed@7",           "STATE_NOT_ALLOWED",   "while the offer is closed"),
        ("T", "decline@5",                  "close:declined@7",            "STATE_NOT_ALLOWED",   "while the offer is closed"),
        ("T", "decline@5",                  "close:withdrawn@7",           "STATE_NOT_ALLOWED",   "while the offer is closed"),
        ("T", "decline@5",                  "close:lapsed@2022-08-31",     "STATE_NOT_ALLOWED",   "while the offer is closed"),
        ("T", "decline@5",                  "close:lapsed@2022-08-31",     "STATE_NOT_ALLOWED",   "end on 2022-08-31"),
        ("T", "decline@5",                  "close:ineligible@7",          "STATE_NOT_ALLOWED",   "while the offer is closed"),
        ("T", "decline@5",                  "close:superseded@7",          "STATE_NOT_ALLOWED",   "while the offer is closed"),
    ];
    judge(rows);
}

#[test]
fn a_decline_records_its_outcome_and_reason() {
    for (command, reason) in [("decline@5", "no_capacity"), ("close:declined@5", "other")] {
        let script = Script::new().after("S", command);
        assert_eq!(script.offer("S").outcome, Some(super::Outcome::Declined), "{command}");
        assert_eq!(script.events.last().unwrap().reason_code.as_deref(), Some(reason), "{command}");
    }
}

#[test]
fn an_offer_is_assigned_noted_or_moved_in_every_state() {
    let histories = [
        ("identified", ""),
        ("contacted", "body@4"),
        ("accepted", "body@4 accept:trust@5"),
        ("delivering", "body@4 accept:trust@5 award start@6"),
        ("closed", "decline@5"),
    ];
    for (state, history) in histories {
        for command in ["assign:cy", "assign", "note", "region"] {
            let mut script = Script::new().after("T", history);
            let before = script.offer("T").clone();
            assert_eq!(script.result("T", command), (state.to_owned(), String::new()), "{command}");
            assert_eq!(script.offer("T").etag(), before.etag(), "{command} must not change the etag");
        }
    }
    let script = Script::new().after("T", "assign:cy region");
    assert_eq!(script.offer("T").assignee, "cy".parse().ok());
    assert_eq!(script.offer("T").region.name(), "North of England");
    assert_eq!(script.after("T", "assign").offer("T").assignee, None);
}

#[test]
fn reopening_returns_to_the_state_before() {
    #[rustfmt::skip]
    let rows = [
        ("identified", "decline@5"),
        ("contacted",  "body@4 close:withdrawn@5"),
        ("accepted",   "body@4 accept:trust@5 close:superseded@6"),
        ("delivering", "body@4 accept:trust@5 award start@6 close:completed@7"),
    ];
    for (state, history) in rows {
        let mut script = Script::new().after("T", history);
        assert_eq!(script.result("T", "ask:ada").0, "closed", "the request for approval must not change the state");
        assert_eq!(script.result("T", "give:ben").0, state);
        assert_eq!((script.offer("T").outcome, script.offer("T").before_close), (None, None));
    }
}
