//! Checks that calls of one batch are answered as if they were made one after the other. The decision of a call depends on the
//! register, the files and decisions of people. It must take into account what the call before it in the batch changed.

use serde_json::{Value, json};

use super::client::{Client, YEAR, fresh};
use super::harness::{Db, Output, Server, both, tsio};
use super::metrics::Scrape;
use super::money::{WITH_LEADER, accept_offer, create_award, start_delivery};
use super::raw_sql::RawSql;
use super::samples::{
    AUGUST, File, REGISTER_AUGUST, REGISTER_MARCH, SEPTEMBER, as_person, identify, import_all, numbers, offer_id,
    run_filed, run_ok, text, verify_ok,
};

both!(
    an_approved_referral_sees_a_position_decided_before_it,
    an_approved_referral_sees_where_a_school_was_placed_before_it,
    an_approved_referral_sees_one_approved_before_it,
    a_contact_sees_one_corrected_before_it,
    a_contact_sees_an_offer_reopened_before_it,
    a_contact_sees_where_a_school_was_placed_before_it,
    an_invoice_sees_a_text_erased_before_it,
);

/// The arguments of a server that exports the number of waiting commands.
const WITH_METRICS: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

/// Locks the programme, starts these commands so that they wait in this order, and releases the lock. Returns the outputs.
async fn run_in_one_batch(server: &Server, db: &Db, commands: &[&[&str]]) -> Vec<Output> {
    let client = Client::of(server).await;
    let offer = client.list(YEAR).await.remove(0).offer;
    let mut raw_sql = RawSql::of(db).await;
    raw_sql.lock_programme(YEAR).await;
    // The writer takes the note from the queue and waits for the lock. The commands wait in the queue.
    let first = tokio::spawn(async move { client.note(&offer, "before them", &fresh()).await });
    let mut calls = Vec::new();
    for command in commands {
        let url = server.url();
        let args = [&["--server", url.as_str(), "--output", "json"], *command].concat();
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        calls.push(tokio::task::spawn_blocking(move || tsio(&args.iter().map(String::as_str).collect::<Vec<_>>())));
        let waiting = f64::from(u32::try_from(calls.len()).unwrap());
        Scrape::wait_until(server, |it| it.value("tsio_writer_waiting") == waiting).await;
    }
    raw_sql.release_lock().await;
    first.await.unwrap().unwrap();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

/// As [`run_in_one_batch`], and checks that all commands succeed. Returns their JSON.
async fn run_ok_in_one_batch(server: &Server, db: &Db, commands: &[&[&str]]) -> Vec<Value> {
    let json = |it: Output| {
        assert_eq!(it.code, 0, "{}{}", it.stdout, it.stderr);
        it.json
    };
    run_in_one_batch(server, db, commands).await.into_iter().map(json).collect()
}

/// Starts a server, imports these files, and identifies offers.
fn start_with_files(db: &Db, files: &[&[File]]) -> Server {
    let server = Server::start_with_lock(db, &WITH_METRICS);
    files.iter().for_each(|it| import_all(&server, it));
    identify(&server);
    server
}

/// Raises a referral of these schools, records a discussion, and returns the id of the referral.
fn raise_referral(server: &Server, schools: &[&str]) -> String {
    let grounds = ["--origin", "self-identified", "--ground", "would_benefit", "--because", "they wrote"];
    let raise = [&["referrals", "raise"], schools, &grounds[..], &["--on", "2021-11-02"]].concat();
    let referral = text(&run_ok(server, &as_person("ann", "case-officer", &raise)), "referral");
    let discuss = ["referrals", "discuss", &referral, "--on", "2021-11-09", "--note", "to visit"];
    run_ok(server, &as_person("ann", "case-officer", &discuss));
    referral
}

/// Returns the command that approves a referral.
fn approve_args(referral: &str) -> Vec<&str> {
    let words = ["referrals", "approve", referral, "--on", "2021-11-12", "--because", "as discussed"];
    as_person("dora", "regional-director", &words)
}

/// Returns the command that places a school.
fn place_args<'a>(urn: &'a str, kind: &[&'a str]) -> Vec<&'a str> {
    [&["schools", "place", urn, "--kind"], kind, &["--reason", "seen"]].concat()
}

/// Returns the command that records a contact with the responsible body.
fn contact_args(offer: &str) -> [&str; 7] {
    ["offers", "contact", offer, "--party", "responsible-body", "--on", "2021-09-08"]
}

/// Returns the kinds of an offer's events.
fn kinds(server: &Server, offer: &str) -> Vec<String> {
    let events = run_ok(server, &["offers", "events", offer]);
    events.as_array().unwrap().iter().map(|it| text(it, "kind")).collect()
}

/// Returns the responsible body of an offer.
fn responsible_body(server: &Server, offer: &str) -> Value {
    run_ok(server, &["offers", "show", offer])["responsible_body"].clone()
}

/// Requests an approval for the entry position of 990002, and returns the id of the approval.
fn request_position(server: &Server, position: &str) -> String {
    let ask = ["eligibility", "decide", "990002", "--position", position, "--reason", "seen"];
    text(&run_filed(server, &as_person("olga", "case-officer", &ask)), "approval")
}

/// Returns the command that gives an approval.
fn give_args(approval: &str) -> Vec<&str> {
    as_person("dora", "regional-director", &["approvals", "give", approval])
}

/// Two people decided the entry position of 990002, so that it is eligible by E2 only. After the contrary decision it is
/// eligible by the referral only.
async fn an_approved_referral_sees_a_position_decided_before_it(db: Db) {
    let server = start_with_files(&db, &[&REGISTER_AUGUST, &[AUGUST, SEPTEMBER], &REGISTER_MARCH]);
    run_ok(&server, &give_args(&request_position(&server, "met")));
    let contrary = request_position(&server, "not-met");
    let referral = raise_referral(&server, &["--urn", "990002"]);
    let answers = run_ok_in_one_batch(&server, &db, &[&give_args(&contrary), &approve_args(&referral)]).await;
    assert_eq!(answers[1]["exceptional_urns"], json!([990_002]));
    let offer = run_ok(&server, &["offers", "show", &text(&answers[1], "offer")]);
    assert_eq!(offer["schools"][0]["rules"], json!(["E3_EXCEPTIONAL"]));
    assert_eq!(run_ok(&server, &["offers", "identify"])["not_eligible"], 0);
    drop(server);
    verify_ok(&db);
}

/// 910063 is unplaced: it fits no row of the scheme by the register.
async fn an_approved_referral_sees_where_a_school_was_placed_before_it(db: Db) {
    let server = start_with_files(&db, &[&REGISTER_AUGUST, &[AUGUST]]);
    run_ok(&server, &place_args("910063", &["maintained"]));
    let referral = raise_referral(&server, &["--urn", "910063"]);
    let placing = place_args("910063", &["mat", "--trust", "90001"]);
    let answers = run_ok_in_one_batch(&server, &db, &[&placing, &approve_args(&referral)]).await;
    let made = &answers[1]["made_offer"];
    assert_eq!((&made["recipient_kind"], &made["recipient"]), (&json!("mat"), &json!(90_001)), "{made}");
    assert!(
        numbers(&run_ok(&server, &["offers", "show", &offer_id(&server, 90_001)])["schools"], "urn").contains(&910_063)
    );
    drop(server);
    verify_ok(&db);
}

/// 910048 of trust 90001 is referred alone and with its trust. The first referral makes it an exception, so the second must not
/// do this again.
async fn an_approved_referral_sees_one_approved_before_it(db: Db) {
    let server = start_with_files(&db, &[&REGISTER_AUGUST, &[AUGUST]]);
    let school = raise_referral(&server, &["--urn", "910048"]);
    let trust = raise_referral(&server, &["--uid", "90001", "--urn", "910048", "--urn", "910049"]);
    let answers = run_ok_in_one_batch(&server, &db, &[&approve_args(&school), &approve_args(&trust)]).await;
    assert_eq!(answers[0]["exceptional_urns"], json!([910_048]));
    assert_eq!(answers[1]["exceptional_urns"], json!([910_049]));
    drop(server);
    verify_ok(&db);
}

/// 910003 has a diocese. No file named it when the local authority was contacted. Once that contact is corrected, the next
/// contact is with the diocese.
async fn a_contact_sees_one_corrected_before_it(db: Db) {
    let [groups, membership, links, establishments] = REGISTER_AUGUST;
    let server = start_with_files(&db, &[&[groups, membership, links, AUGUST]]);
    let offer = offer_id(&server, 910_003);
    let mistaken = run_ok(&server, &contact_args(&offer));
    let number = mistaken[0]["contacts"][0]["contact"].to_string();
    import_all(&server, &[establishments]);
    assert_eq!(responsible_body(&server, &offer), "local authority 886 (Kent)");
    run_ok_in_one_batch(&server, &db, &[&["offers", "correct", &offer, "--contact", &number], &contact_args(&offer)])
        .await;
    assert_eq!(responsible_body(&server, &offer), "Diocese of Quenby");
    let made = ["identified", "contacted", "contact_corrected", "responsible_body_changed", "contacted"];
    assert_eq!(kinds(&server, &offer), made);
    drop(server);
    verify_ok(&db);
}

/// While the offer is closed, a file names the school's diocese. After the reopening the contact is with the diocese.
async fn a_contact_sees_an_offer_reopened_before_it(db: Db) {
    let [groups, membership, links, establishments] = REGISTER_AUGUST;
    let server = start_with_files(&db, &[&[groups, membership, links, AUGUST]]);
    let offer = offer_id(&server, 910_003);
    run_ok(&server, &["offers", "close", &offer, "--outcome", "withdrawn"]);
    import_all(&server, &[establishments]);
    let ask = ["offers", "reopen", &offer, "--reason", "they wrote again"];
    let ask = as_person("ann", "administrator", &ask);
    let approval = text(&run_filed(&server, &ask), "approval");
    let give = ["approvals", "give", &approval];
    run_ok_in_one_batch(&server, &db, &[&as_person("bob", "administrator", &give), &contact_args(&offer)]).await;
    assert_eq!(responsible_body(&server, &offer), "Diocese of Quenby");
    let made = [
        "identified",
        "closed",
        "approval_opened",
        "approval_given",
        "reopened",
        "responsible_body_changed",
        "contacted",
    ];
    assert_eq!(kinds(&server, &offer), made);
    drop(server);
    verify_ok(&db);
}

/// 910060 is unplaced by the register. It is placed in a single-academy trust, then in another one.
async fn a_contact_sees_where_a_school_was_placed_before_it(db: Db) {
    let server = start_with_files(&db, &[&REGISTER_AUGUST, &[AUGUST]]);
    run_ok(&server, &place_args("910060", &["single-academy-trust", "--trust", "90024"]));
    identify(&server);
    let offer = offer_id(&server, 910_060);
    assert!(responsible_body(&server, &offer).as_str().unwrap().contains("90024"));
    let placing = place_args("910060", &["single-academy-trust", "--trust", "90022"]);
    run_ok_in_one_batch(&server, &db, &[&placing, &contact_args(&offer)]).await;
    assert!(responsible_body(&server, &offer).as_str().unwrap().contains("90022"));
    drop(server);
    verify_ok(&db);
}

/// The leader's organisation issues the invoices for days. After the text of the award is erased, the issuer is unknown.
async fn an_invoice_sees_a_text_erased_before_it(db: Db) {
    let server = start_with_files(&db, &[&REGISTER_AUGUST, &[AUGUST]]);
    let offer = accept_offer(&server, 910_003);
    let award = create_award(&server, "nle", &offer, &[&["--days", "2"], &WITH_LEADER[..]].concat());
    start_delivery(&server, &offer);
    let events = run_ok(&server, &["offers", "events", &offer]);
    let made = events.as_array().unwrap().iter().find(|it| it["kind"] == "awarded").unwrap()["sequence"].to_string();
    let erase = ["record", "erase-text", &made, "--reason", "personal-data"];
    let draw = ["awards", "draw", &award, "--days", "1", "--on", "2021-11-01", "--invoice", "H-1"];
    let answers = run_in_one_batch(&server, &db, &[&erase, &draw]).await;
    assert_eq!(answers[0].code, 0, "{}", answers[0].stderr);
    assert_eq!(answers[1].json["error"]["reason"], "CLAIM_ISSUER_MISSING", "{}", answers[1].stdout);
    drop(server);
    verify_ok(&db);
}
