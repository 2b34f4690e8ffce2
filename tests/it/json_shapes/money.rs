//! Funds, and offers with their awards.

use std::fs;

use serde_json::{Value, json};

use super::Shapes;
use crate::harness::cli;
use crate::money::{WITH_LEADER, WITH_PARTNER};
use crate::samples::text;

const ANN: [&str; 2] = ["ann", "finance"];
const BOB: [&str; 2] = ["bob", "finance-approver"];

/// Funds for three strands, one of them regional; money moved by one and by two people.
pub(super) fn funds(shapes: &mut Shapes) {
    let create = |strand: &'static str| ["funds", "create", "--programme", "2021-22", "--strand", strand];
    let credit = text(&shapes.run(&create("credit")), "fund");
    let governance = text(&shapes.run(&create("nlg")), "fund");
    let fees = text(&shapes.run(&create("npqel")), "fund");
    let regional = [&create("credit")[..], &["--region", "West Midlands"]].concat();
    let regional = text(&shapes.run(&regional), "fund");
    for fund in [&credit, &regional, &governance, &fees] {
        shapes.run(&["funds", "allocate", fund, "40000", "--on", "2021-09-01"]);
    }
    shapes.run(&["funds", "withdraw", &credit, "1000", "--on", "2021-09-02"]);
    shapes.run(&["funds", "move", &credit, &governance, "1000", "--on", "2021-09-03"]);
    shapes.refused("FUNDS_INSUFFICIENT", &[], &["funds", "withdraw", &fees, "40000.01", "--on", "2021-09-02"]);
    shapes.refused("FIELD_VIOLATIONS", &[], &["funds", "withdraw", &fees, "1", "--on", "2099-01-01"]);
    shapes.by_two(ANN, BOB, &["funds", "allocate", &credit, "60000", "--on", "2021-09-04"]);
    shapes.by_two(ANN, BOB, &["funds", "move", &credit, &governance, "55000", "--on", "2021-09-05"]);
    shapes.by_two(ANN, BOB, &["funds", "withdraw", &governance, "52000", "--on", "2021-09-06"]);
}

/// Contacts the responsible body, and the school if it accepts the offer. Then the offer is accepted.
fn accept(shapes: &mut Shapes, offer: &str, by: &str) {
    let contact = |party: &'static str, on| ["offers", "contact", offer, "--party", party, "--on", on];
    shapes.run(&contact("responsible-body", "2021-09-13"));
    if by == "school" {
        shapes.run(&contact("school", "2021-09-14"));
    }
    shapes.run(&["offers", "accept", offer, "--by", by, "--on", "2021-09-20", "--note", "by letter"]);
}

/// The number of an offer's newest event of a kind.
fn newest(shapes: &mut Shapes, offer: &str, kind: &str) -> String {
    let events = shapes.run(&["offers", "events", offer]);
    let of_kind = events.as_array().unwrap().iter().rfind(|it| it["kind"] == kind);
    of_kind.unwrap_or_else(|| panic!("no {kind}: {events}"))["sequence"].to_string()
}

pub(super) fn offers_and_awards(shapes: &mut Shapes) {
    let (school, other, third) = (shapes.offer(910_001), shapes.offer(910_002), shapes.offer(910_044));
    let trust = shapes.offer(90_001);
    shapes.run(&["offers", "show", &school]);
    shapes.run(&["offers", "contact", &other, &third, "--party", "responsible-body", "--on", "2021-09-13"]);
    accept(shapes, &school, "school");
    accept(shapes, &third, "school");
    accept(shapes, &trust, "trust");
    shapes.run(&["offers", "contact", &other, "--party", "school", "--urn", "910002", "--on", "2021-09-14"]);
    let contacts = shapes.run(&["offers", "show", &other])["contacts"].clone();
    let contact = contacts.as_array().unwrap().last().unwrap()["contact"].to_string();
    shapes.run(&["offers", "correct", &other, "--contact", &contact, "--note", "another school rung"]);
    let correct_date =
        ["offers", "correct-date", &school, "accepted", "--on", "2021-09-21", "--reason", "the letter's"];
    shapes.run(&correct_date);
    shapes.run(&["offers", "assign", &school, "--to", "a.officer"]);
    shapes.run(&["offers", "region", &other, "--to", "South-West England"]);
    shapes.run(&["offers", "note", &school, "rang the head teacher"]);
    let note = newest(shapes, &school, "noted");

    awards(shapes, &school, &trust);
    let credit = ["awards", "credit", &third, "--on", "2021-10-01", "--amount", "4000"];
    shapes.run(&[&credit[..], &WITH_PARTNER].concat());
    shapes.run(&["offers", "decline", &third, "--reason", "no-capacity", "--on", "2021-10-20"]);
    shapes.run(&["offers", "close", &school, "--outcome", "completed", "--on", "2022-06-30"]);
    let reopen = ["offers", "reopen", &school, "--reason", "meant another"];
    shapes.by_two(["ann", "administrator"], ["bob", "administrator"], &reopen);
    shapes.run(&["due", "--on", "2100-01-01"]);
    shapes.run(&["offers", "summary"]);
    shapes.run(&["offers", "summary", "--by", "region,state,assignee,local-authority,recipient-kind,month"]);
    shapes.run(&["record", "erase-text", &note, "--reason", "personal-data"]);
    for offer in [&school, &trust] {
        shapes.run(&["offers", "show", offer]);
        shapes.run(&["offers", "events", offer]);
    }
    let several = cli(&shapes.server, &["offers", "show", &school, &trust]);
    shapes.add("offers_show_several", &several.json);
    shapes.run(&["offers", "list"]);
    let watched = cli(&shapes.server, &["offers", "watch", "--once"]);
    let after = cli(&shapes.server, &["offers", "watch", "--once", "--after", "20", "--state", "identified"]);
    for line in watched.stdout.lines().chain(after.stdout.lines()) {
        shapes.add("offers_watch", &serde_json::from_str(line).unwrap());
    }
}

/// Awards of each strand, their changes, and the funds afterwards.
fn awards(shapes: &mut Shapes, school: &str, trust: &str) {
    let days = [&["awards", "nle", school, "--on", "2021-10-01", "--days", "2.5"], &WITH_LEADER[..]].concat();
    shapes.run(&[&days[..], &["--check"]].concat());
    let days = text(&shapes.run(&[&days[..], &["--leader-kind", "equivalent"]].concat()), "award");
    let credit = [&["awards", "credit", school, "--on", "2021-10-01", "--amount", "4000"], &WITH_PARTNER[..]].concat();
    shapes.refused("CAP_EXCEEDED", &[], &[&credit[..6], &["10000.01"], &WITH_PARTNER[..]].concat());
    let credit = text(&shapes.run(&credit), "award");
    let board = ["awards", "nlg", trust, "--on", "2021-10-01", "--amount", "900", "--because", "a new board"];
    shapes.run(&board);
    let fees = ["awards", "npqel", trust, "--on", "2021-10-01", "--amount", "900", "--provider", "Teach First"];
    let fees = text(&shapes.run(&[&fees[..], &["--leader", "ceo-3", "--because", "first post"]].concat()), "award");
    bundle(shapes, trust);
    for offer in [school, trust] {
        shapes.run(&["offers", "start", offer, "--on", "2021-10-04"]);
    }
    let booked = shapes.run(&["awards", "book", &days, "--days", "1", "--on", "2021-11-01"])["booking"].to_string();
    shapes.run(&["awards", "cancel", &days, "--booking", &booked]);
    let booked = shapes.run(&["awards", "book", &days, "--days", "1", "--on", "2021-11-02"])["booking"].to_string();
    shapes.run(&["awards", "draw", &days, "--booking", &booked, "--on", "2021-11-02"]);
    shapes.run(&["awards", "draw", &credit, "--amount", "1500", "--on", "2021-11-01", "--note", "by post"]);
    let invoice = ["--invoice", "INV-9", "--total", "600"];
    shapes.run(&[&["awards", "draw", &fees, "--amount", "300", "--on", "2021-11-01"], &invoice[..]].concat());
    shapes.run(&["awards", "refund", &credit, "--amount", "500", "--reason", "paid twice", "--on", "2021-11-02"]);
    let refund = newest(shapes, school, "refunded");
    shapes.run(&["awards", "undo", &credit, "--event", &refund, "--reason", "another award"]);
    shapes.run(&["awards", "release", &credit, "--amount", "1000", "--on", "2021-11-03"]);
    for award in [&days, &credit, &fees] {
        shapes.run(&["awards", "show", award]);
    }
    shapes.run(&["awards", "list"]);
    let funds = shapes.run(&["funds", "list", "--programme", "2021-22"]);
    for fund in funds.as_array().unwrap() {
        let fund = text(fund, "fund");
        shapes.run(&["funds", "show", &fund]);
        shapes.run(&["funds", "position", &fund]);
        shapes.run(&["funds", "entries", &fund]);
    }
}

/// A file of awards, first checked and then made.
fn bundle(shapes: &mut Shapes, trust: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("awards.json");
    let leader = json!({"strand": "nle", "days": "1", "leader": "nle-7", "organisation": "Oak"});
    let board = json!({"strand": "nlg", "amount": "100", "because": "a new board", "leader": "nlg-3"});
    fs::write(&file, json!({ "awards": [leader, board] }).to_string()).unwrap();
    let words = ["awards", "bundle", trust, file.to_str().unwrap(), "--on", "2021-10-01"];
    let checked = shapes.run(&[&words[..], &["--check"]].concat());
    let made = shapes.run(&words);
    assert_eq!([&checked, &made].map(|it| it.as_array().map(Vec::len)), [Some(2); 2]);
    assert_ne!(checked[0]["judged_at_sequence"], Value::Null);
}
