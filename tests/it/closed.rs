//! Closed schools get no offer and no new referral. They are listed separately with their successors, and keep the
//! offers that they have.
//!
//! Of the samples after August, 910001, 910002 and 910003 are maintained, 910044 is the only school of its trust,
//! 910045 to 910047 are eligible in trust 90001, 910053 and 910054 are in trust 90004, and no placement rule fits
//! 910060. 900001 is proposed to close, without a date in the register.

use serde_json::{Value, json};

use super::files::Folder;
use super::harness::{Db, Server, both};
use super::samples::{
    AUGUST, REGISTER_AUGUST, as_person, identify_counts, import_all, numbers, offer_id, run_ok, run_refused,
    run_refused_for, start_with_august, summary, summary_counts, text, verify_ok,
};

both!(
    a_closed_school_is_eligible_and_gets_no_offer,
    the_order_of_the_imports_changes_nothing,
    an_offer_to_a_school_that_closed_later_is_reported,
    a_closed_school_is_not_referred,
    registers_with_different_close_dates_disagree,
);

const YEAR: &str = "2021-22";
const HEADER: &str =
    "URN,LA (code),EstablishmentName,TypeOfEstablishment (name),EstablishmentStatus (name),CloseDate\n";
const LINKS: &str = "URN,LinkURN,LinkName,LinkType,LinkEstablishedDate\n\
    910001,990010,Ashmoor Academy,Successor,31-12-2021\n\
    990011,910045,Garnetside Academy,Predecessor - merged,31-12-2021\n\
    990012,910045,Garnetside Academy,Predecessor - merged,31-12-2021\n";

/// Rows of a file of establishments: the school, its local authority, its status and its close date.
fn establishments(rows: &[(i64, u16, &str, &str)]) -> String {
    let row = |(urn, la, status, closed): &(i64, u16, &str, &str)| {
        format!("{urn},{la},School {urn},Community school,\"{status}\",{closed}\n")
    };
    rows.iter().map(row).fold(HEADER.to_owned(), |file, row| file + &row)
}

/// A register of June 2022 with schools that are closed, created in error, or proposed to close.
fn june() -> String {
    establishments(&[
        (910_001, 330, "Closed", "31-12-2021"),
        (910_002, 391, "Open, but proposed to close", "31-08-2099"),
        (910_003, 886, "Open, but proposed to close", "01-09-2021"),
        (910_044, 391, "Closed", ""),
        (910_045, 330, "Closed", "31-12-2021"),
        (910_054, 380, "Closed", "31-12-2021"),
        (910_060, 886, "Created in error", ""),
    ])
}

/// The eligible schools that count as closed after the register of June 2022.
const CLOSED: [i64; 5] = [910_001, 910_003, 910_044, 910_045, 910_060];

/// Imports a register with this text, whose rows must all be accepted. Returns the answer.
fn import(server: &Server, folder: &Folder, name: &str, text: &str, as_at: &str) -> Value {
    let file = folder.write(name, text.as_bytes());
    let answer = run_ok(server, &["import", "register", &file, "--as-at", as_at]);
    assert_eq!((&answer[0]["accepted"], &answer[0]["problems"]), (&answer[0]["rows"], &json!([])), "{answer}");
    answer
}

/// The closed schools in an answer of `offers identify`.
fn closed_schools(answer: &Value) -> Vec<Value> {
    answer["closed_schools"].as_array().unwrap().clone()
}

async fn a_closed_school_is_eligible_and_gets_no_offer(db: Db) {
    let (server, folder) = (Server::start(&db), Folder::new());
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST]);
    import(&server, &folder, "june.csv", &june(), "2022-06-30");
    import(&server, &folder, "links.csv", LINKS, "2022-06-30");

    // As in the first row of the README's table, 28 schools are eligible. Of these, 8 are in 4 trusts (90004 has one
    // open school left), 12 are standalone, 3 are unplaced, and 5 are closed.
    let shown = run_ok(&server, &["eligibility", "summary", "--programme", YEAR]);
    assert_eq!(summary_counts(&shown), [73, 28, 0, 28, 0, 8, 4, 12, 9, 2, 1, 3, 0]);
    assert_eq!(shown["closed"], 5, "8 in trusts + 12 standalone + 3 unplaced + 5 closed = 28");
    let list = |filter| numbers(&run_ok(&server, &["eligibility", "list", "--filter", filter]), "urn");
    assert_eq!(list("closed"), CLOSED);
    assert_eq!(list("unplaced"), [910_062, 910_063, 910_064]);
    assert_eq!(list("eligible").len(), 28);
    // Closed schools keep their placement. In the file of June 910060 is a community school, so its placement is
    // maintained.
    assert_eq!(list("closed AND school.placement = maintained"), [910_001, 910_003, 910_060]);

    let dry = run_ok(&server, &["offers", "identify", "--dry-run"]);
    let made = run_ok(&server, &["offers", "identify"]);
    for answer in [&dry, &made] {
        assert_eq!(identify_counts(answer), [16, 0, 0, 0, 0, 3]);
        assert_eq!((&answer["closed"], numbers(&answer["closed_schools"], "urn")), (&json!(5), CLOSED.to_vec()));
    }
    #[rustfmt::skip]
    let reasons = [
        (910_001, "its status in the register is Closed, since 2021-12-31; its successor is 990010", json!([990_010])),
        (910_003, "its close date in the register is 2021-09-01; no link names a successor", json!([])),
        (910_044, "its status in the register is Closed; no link names a successor", json!([])),
        (910_045, "its status in the register is Closed, since 2021-12-31; its successors are 990011, 990012", json!([990_011, 990_012])),
        (910_060, "its status in the register is Created in error; no link names a successor", json!([])),
    ];
    for (closed, (urn, reason, successors)) in closed_schools(&made).iter().zip(reasons) {
        assert_eq!((&closed["urn"], &closed["reason"], &closed["offer"]), (&json!(urn), &json!(reason), &Value::Null));
        assert_eq!(closed["successors"], successors, "{urn}");
        // `schools show` and `eligibility explain` agree.
        let school = run_ok(&server, &["schools", "show", &urn.to_string()]);
        let explained = run_ok(&server, &["eligibility", "explain", &urn.to_string()]);
        let explained = &explained["schools"][0];
        assert_eq!((&school["closed_reason"], &explained["closed_reason"]), (&json!(reason), &json!(reason)));
        assert_eq!((&explained["eligible"], &explained["successors"]), (&json!(true), &successors), "{urn}");
    }
    let open = run_ok(&server, &["schools", "show", "910002"]);
    assert_eq!((&open["closed_reason"], &open["close_date"]), (&Value::Null, &json!("2099-08-31")));

    // The trust has one open school in each of two regions: 910046 in Wolverhampton, 910047 in Leeds. So its region is
    // the first of the two by name. If 910045 were open, its region would be the West Midlands.
    let trust = run_ok(&server, &["offers", "show", &offer_id(&server, 90_001)]);
    assert_eq!(
        (numbers(&trust["schools"], "urn"), text(&trust, "region")),
        (vec![910_046, 910_047], "Lancashire and West Yorkshire".to_owned())
    );
    assert_eq!(super::samples::offer_of(&server, 910_053)["recipient_kind"], "standalone");
    drop(server);
    verify_ok(&db);
}

async fn the_order_of_the_imports_changes_nothing(db: Db) {
    let (server, folder) = (Server::start(&db), Folder::new());
    import(&server, &folder, "links.csv", LINKS, "2022-06-30");
    import(&server, &folder, "june.csv", &june(), "2022-06-30");
    import_all(&server, &[AUGUST]);
    let [groups, membership, links, establishments] = REGISTER_AUGUST;
    import_all(&server, &[establishments, links, membership, groups]);
    assert_eq!(summary(&server, YEAR), [73, 28, 0, 28, 0, 8, 4, 12, 9, 2, 1, 3, 0]);
    assert_eq!(numbers(&run_ok(&server, &["eligibility", "list", "--filter", "closed"]), "urn"), CLOSED);
    // In a newer register one of the closed schools is open again.
    let july = [(910_001, 330, "Open", "")];
    import(&server, &folder, "july.csv", &self::establishments(&july), "2022-07-31");
    let closed = numbers(&run_ok(&server, &["eligibility", "list", "--filter", "closed"]), "urn");
    assert_eq!(closed, [910_003, 910_044, 910_045, 910_060]);
}

async fn an_offer_to_a_school_that_closed_later_is_reported(db: Db) {
    let (server, folder) = (start_with_august(&db), Folder::new());
    let (school, trust) = (offer_id(&server, 910_002), offer_id(&server, 90_001));
    let before = [&school, &trust].map(|id| run_ok(&server, &["offers", "show", id]));
    let closing = [(910_002, 391, "Closed", "31-12-2021"), (910_046, 336, "Closed", "31-12-2021")];
    import(&server, &folder, "june.csv", &establishments(&closing), "2022-06-30");
    let made = run_ok(&server, &["offers", "identify"]);
    // 18 of the 19 offers still have an open school. The offer of 910002 does not.
    assert_eq!(identify_counts(&made), [0, 0, 18, 0, 0, 4]);
    let reported = |made: &Value| {
        closed_schools(made).into_iter().map(|it| (it["urn"].clone(), it["offer"].clone())).collect::<Vec<_>>()
    };
    let on_offers = vec![(json!(910_002), json!(school)), (json!(910_046), json!(trust))];
    assert_eq!(reported(&made), on_offers);
    let command = format!("tsio offers show {school}");
    assert_eq!(closed_schools(&made)[0]["command"], json!(command), "the answer names a command for the offer");
    assert_eq!(
        [&school, &trust].map(|id| run_ok(&server, &["offers", "show", id])),
        before,
        "identify changed an offer"
    );
    // The offer is hidden from callers of other regions.
    let elsewhere = as_person(
        "ann",
        "case-officer",
        &["--regions", "North-West London and South-Central England", "offers", "identify"],
    );
    let hidden = run_ok(&server, &elsewhere);
    assert!(reported(&hidden).iter().all(|(_, offer)| offer.is_null()), "{hidden}");
    drop(server);
    verify_ok(&db);
}

/// The arguments that refer a school on a date.
fn raise<'a>(urn: &'a str, on: &'a str) -> Vec<&'a str> {
    let words = ["--origin", "exceptional", "--ground", "would_benefit", "--because", "they wrote", "--on", on];
    as_person("ann", "case-officer", &[&["referrals", "raise", "--urn", urn], &words[..]].concat())
}

async fn a_closed_school_is_not_referred(db: Db) {
    let (server, folder) = (start_with_august(&db), Folder::new());
    let referral = text(&run_ok(&server, &raise("910030", "2021-11-02")), "referral");
    let discuss = ["referrals", "discuss", &referral, "--on", "2021-11-09", "--note", "with the governors"];
    run_ok(&server, &as_person("ann", "case-officer", &discuss));
    let closing = [(910_030, 330, "Closed", "31-12-2021"), (910_017, 330, "Open, but proposed to close", "31-12-2021")];
    import(&server, &folder, "june.csv", &establishments(&closing), "2022-06-30");
    let links =
        "URN,LinkURN,LinkName,LinkType,LinkEstablishedDate\n910030,990010,Corriander Academy,Successor,31-12-2021\n";
    import(&server, &folder, "links.csv", links, "2022-06-30");

    // An open referral of a closed school cannot be approved. It can be declined.
    let decide = |verb| as_person("dora", "regional-director", &["referrals", verb, &referral, "--because", "closed"]);
    let error = run_refused_for(&server, "CANNOT_BE_REFERRED", &decide("approve"));
    assert!(error["message"].as_str().unwrap().contains("it has closed"), "{error}");
    assert_eq!(error["limits"][0]["remedy"], "refer its successor", "{error}");
    assert_eq!(run_ok(&server, &decide("decline"))["state"], "declined");
    // A school with the status Closed counts as closed on any date. With a close date alone, it counts as closed from
    // that date on.
    let error = run_refused(&server, &raise("910030", "2021-11-02"));
    assert_eq!(error["reason"], "CANNOT_BE_REFERRED", "{error}");
    run_refused_for(&server, "CANNOT_BE_REFERRED", &raise("910017", "2021-12-31"));
    run_ok(&server, &raise("910017", "2021-12-30"));
    drop(server);
    verify_ok(&db);
}

async fn registers_with_different_close_dates_disagree(db: Db) {
    let (server, folder) = (Server::start(&db), Folder::new());
    let closing = |on| establishments(&[(910_002, 391, "Open, but proposed to close", on)]);
    import(&server, &folder, "june.csv", &closing("31-08-2022"), "2022-06-30");
    let other = folder.write("other.csv", closing("31-12-2022").as_bytes());
    let error = run_refused_for(&server, "IMPORT_DISAGREES", &["import", "register", &other, "--as-at", "2022-06-30"]);
    assert!(error.to_string().contains("URN 910002"), "{error}");
}
