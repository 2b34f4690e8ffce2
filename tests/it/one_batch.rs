//! Calls that wait for a programme together are answered as they would be one after the other: a call that is decided against what
//! register, files and people say together of a school sees what the call before it changed of that.

use serde_json::{Value, json};

use super::client::{Client, YEAR, fresh};
use super::harness::{Db, Output, Server, both, tsio};
use super::metrics::Scrape;
use super::money::{WITH_LEADER, given, started, taken};
use super::raw_sql::RawSql;
use super::samples::{
    AUGUST, File, REGISTER_AUGUST, REGISTER_MARCH, SEPTEMBER, done, identify, import_all, numbers, offer_id,
    refused_for, said_by, text, verified,
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

/// What a server takes that says how many commands wait.
pub(crate) const COUNTS_WAITING: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

/// Has these commands wait for a programme that is held, in this order; answers what they came to once it is let go.
pub(crate) async fn queued(server: &Server, db: &Db, commands: &[&[&str]]) -> Vec<Output> {
    let client = Client::of(server).await;
    let offer = client.list(YEAR).await.remove(0).offer;
    let mut raw_sql = RawSql::of(db).await;
    raw_sql.lock_programme(YEAR).await;
    // The first is taken at once and waits for the lock; the others wait behind it.
    let first = tokio::spawn(async move { client.note(&offer, "before them", &fresh()).await });
    let mut calls = Vec::new();
    for command in commands {
        let url = server.url();
        let words = [&["--server", url.as_str(), "--output", "json"], *command].concat();
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        calls.push(tokio::task::spawn_blocking(move || tsio(&words.iter().map(String::as_str).collect::<Vec<_>>())));
        let waiting = f64::from(u32::try_from(calls.len()).unwrap());
        Scrape::until(server, |it| it.value("tsio_writer_waiting") == waiting).await;
    }
    raw_sql.release_lock().await;
    first.await.unwrap().unwrap();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

/// The same for commands that are all carried out: their documents.
async fn together(server: &Server, db: &Db, commands: &[&[&str]]) -> Vec<Value> {
    let carried_out = |it: Output| {
        assert_eq!(it.code, 0, "{}{}", it.stdout, it.stderr);
        it.json
    };
    queued(server, db, commands).await.into_iter().map(carried_out).collect()
}

fn with(db: &Db, files: &[&[File]]) -> Server {
    let server = Server::start_with(db, &COUNTS_WAITING);
    files.iter().for_each(|it| import_all(&server, it));
    identify(&server);
    server
}

/// Has a school referred, and that discussed.
fn referred(server: &Server, whom: &[&str]) -> String {
    let words = ["--origin", "self-identified", "--ground", "would_benefit", "--because", "they wrote"];
    let words = [&["referrals", "raise"], whom, &words[..], &["--on", "2021-11-02"]].concat();
    let referral = text(&done(server, &said_by("ann", "case-officer", &words)), "referral");
    let words = ["referrals", "discuss", &referral, "--on", "2021-11-09", "--note", "to visit"];
    done(server, &said_by("ann", "case-officer", &words));
    referral
}

fn approving(referral: &str) -> Vec<&str> {
    let words = ["referrals", "approve", referral, "--on", "2021-11-12", "--because", "as discussed"];
    said_by("dora", "regional-director", &words)
}

fn place<'a>(urn: &'a str, how: &[&'a str]) -> Vec<&'a str> {
    [&["schools", "place", urn, "--kind"], how, &["--reason", "seen"]].concat()
}

fn contact(offer: &str) -> [&str; 7] {
    ["offers", "contact", offer, "--party", "responsible-body", "--on", "2021-09-08"]
}

/// The kinds of an offer's events.
fn kinds(server: &Server, offer: &str) -> Vec<String> {
    let events = done(server, &["offers", "events", offer]);
    events.as_array().unwrap().iter().map(|it| text(it, "kind")).collect()
}

fn body(server: &Server, offer: &str) -> Value {
    done(server, &["offers", "show", offer])["responsible_body"].clone()
}

/// Asks for the entry position of 990002; answers the approval.
fn asked(server: &Server, position: &str) -> String {
    let ask = ["eligibility", "decide", "990002", "--position", position, "--reason", "seen"];
    text(&refused_for(server, "APPROVAL_REQUIRED", &said_by("olga", "case-officer", &ask)), "approval")
}

fn giving(approval: &str) -> Vec<&str> {
    said_by("dora", "regional-director", &["approvals", "give", approval])
}

/// 990002 is eligible by E2 as two people decided, and by nothing else: decided otherwise, it is by the referral alone.
async fn an_approved_referral_sees_a_position_decided_before_it(db: Db) {
    let server = with(&db, &[&REGISTER_AUGUST, &[AUGUST, SEPTEMBER], &REGISTER_MARCH]);
    done(&server, &giving(&asked(&server, "met")));
    let contrary = asked(&server, "not-met");
    let referral = referred(&server, &["--urn", "990002"]);
    let answers = together(&server, &db, &[&giving(&contrary), &approving(&referral)]).await;
    assert_eq!(answers[1]["exceptional_urns"], json!([990_002]));
    let offer = done(&server, &["offers", "show", &text(&answers[1], "offer")]);
    assert_eq!(offer["schools"][0]["rules"], json!(["E3_EXCEPTIONAL"]));
    assert_eq!(done(&server, &["offers", "identify"])["not_eligible"], 0);
    drop(server);
    verified(&db);
}

/// 910063 fits no row by the register.
async fn an_approved_referral_sees_where_a_school_was_placed_before_it(db: Db) {
    let server = with(&db, &[&REGISTER_AUGUST, &[AUGUST]]);
    done(&server, &place("910063", &["maintained"]));
    let referral = referred(&server, &["--urn", "910063"]);
    let placing = place("910063", &["mat", "--trust", "90001"]);
    let answers = together(&server, &db, &[&placing, &approving(&referral)]).await;
    let made = &answers[1]["made_offer"];
    assert_eq!((&made["recipient_kind"], &made["recipient"]), (&json!("mat"), &json!(90_001)), "{made}");
    assert!(
        numbers(&done(&server, &["offers", "show", &offer_id(&server, 90_001)])["schools"], "urn").contains(&910_063)
    );
    drop(server);
    verified(&db);
}

/// 910048 in trust 90001 is referred for itself and with its trust: what the first made an exception of is none again.
async fn an_approved_referral_sees_one_approved_before_it(db: Db) {
    let server = with(&db, &[&REGISTER_AUGUST, &[AUGUST]]);
    let school = referred(&server, &["--urn", "910048"]);
    let trust = referred(&server, &["--uid", "90001", "--urn", "910048", "--urn", "910049"]);
    let answers = together(&server, &db, &[&approving(&school), &approving(&trust)]).await;
    assert_eq!(answers[0]["exceptional_urns"], json!([910_048]));
    assert_eq!(answers[1]["exceptional_urns"], json!([910_049]));
    drop(server);
    verified(&db);
}

/// 910003 has a diocese, which no file said when the local authority was contacted for it.
async fn a_contact_sees_one_corrected_before_it(db: Db) {
    let [groups, membership, links, establishments] = REGISTER_AUGUST;
    let server = with(&db, &[&[groups, membership, links, AUGUST]]);
    let offer = offer_id(&server, 910_003);
    let mistaken = done(&server, &contact(&offer));
    let number = mistaken[0]["contacts"][0]["contact"].to_string();
    import_all(&server, &[establishments]);
    assert_eq!(body(&server, &offer), "local authority 886 (Kent)");
    together(&server, &db, &[&["offers", "correct", &offer, "--contact", &number], &contact(&offer)]).await;
    assert_eq!(body(&server, &offer), "Diocese of Quenby");
    let made = ["identified", "contacted", "contact_corrected", "responsible_body_changed", "contacted"];
    assert_eq!(kinds(&server, &offer), made);
    drop(server);
    verified(&db);
}

async fn a_contact_sees_an_offer_reopened_before_it(db: Db) {
    let [groups, membership, links, establishments] = REGISTER_AUGUST;
    let server = with(&db, &[&[groups, membership, links, AUGUST]]);
    let offer = offer_id(&server, 910_003);
    done(&server, &["offers", "close", &offer, "--outcome", "withdrawn"]);
    import_all(&server, &[establishments]);
    let ask = ["offers", "reopen", &offer, "--reason", "they wrote again"];
    let ask = said_by("ann", "administrator", &ask);
    let approval = text(&refused_for(&server, "APPROVAL_REQUIRED", &ask), "approval");
    let give = ["approvals", "give", &approval];
    together(&server, &db, &[&said_by("bob", "administrator", &give), &contact(&offer)]).await;
    assert_eq!(body(&server, &offer), "Diocese of Quenby");
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
    verified(&db);
}

/// 910060 fits no row by the register: first placed in one single-academy trust, then in another.
async fn a_contact_sees_where_a_school_was_placed_before_it(db: Db) {
    let server = with(&db, &[&REGISTER_AUGUST, &[AUGUST]]);
    done(&server, &place("910060", &["single-academy-trust", "--trust", "90024"]));
    identify(&server);
    let offer = offer_id(&server, 910_060);
    assert!(body(&server, &offer).as_str().unwrap().contains("90024"));
    let placing = place("910060", &["single-academy-trust", "--trust", "90022"]);
    together(&server, &db, &[&placing, &contact(&offer)]).await;
    assert!(body(&server, &offer).as_str().unwrap().contains("90022"));
    drop(server);
    verified(&db);
}

/// Who issues an invoice for days is the leader's organisation, where the text of the award names it.
async fn an_invoice_sees_a_text_erased_before_it(db: Db) {
    let server = with(&db, &[&REGISTER_AUGUST, &[AUGUST]]);
    let offer = taken(&server, 910_003);
    let award = given(&server, "nle", &offer, &[&["--days", "2"], &WITH_LEADER[..]].concat());
    started(&server, &offer);
    let events = done(&server, &["offers", "events", &offer]);
    let made = events.as_array().unwrap().iter().find(|it| it["kind"] == "awarded").unwrap()["sequence"].to_string();
    let erase = ["record", "erase-text", &made, "--reason", "personal-data"];
    let draw = ["awards", "draw", &award, "--days", "1", "--on", "2021-11-01", "--invoice", "H-1"];
    let answers = queued(&server, &db, &[&erase, &draw]).await;
    assert_eq!(answers[0].code, 0, "{}", answers[0].stderr);
    assert_eq!(answers[1].json["error"]["reason"], "CLAIM_ISSUER_MISSING", "{}", answers[1].stdout);
    drop(server);
    verified(&db);
}
