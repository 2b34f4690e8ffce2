//! Follows referrals: a school comes forward, the referral is discussed, and a director of the region approves it, which makes
//! an offer.
//!
//! After the sample files of August: 910030 (maintained, West Midlands) and 910048 (trust 90001) are not eligible, 910017
//! becomes eligible by the file of September, 910060 is unplaced, 910001 has an offer, 900001 is superseded in September.

mod caller;

use serde_json::{Value, json};
use tonic::{Code, Status};
use tsio::proto::{
    GetReferralRequest, RaiseReferralRequest, RecordDiscussionRequest, Referral, ReferralState, WithdrawReferralRequest,
};

use caller::{Caller, approve_request, discussion_request, raise_request};

use super::client::{Client, YEAR, comparable, fresh, reason};
use super::harness::{Db, Server, both};
use super::money::nle;
use super::raw_sql::{RawSql, verified_heads};
use super::record::check_each_is_named;
use super::samples::{
    ALREADY_OPEN, SEPTEMBER, as_person, identify, import, numbers, offer_of, run_ok, run_refused_for,
    start_with_august, summary, text, verify_ok,
};

both!(
    a_school_that_came_forward_is_offered_support,
    a_trusts_school_joins_its_offer,
    a_file_may_confirm_a_referral,
    an_award_in_the_same_commit_hides_no_school,
    only_a_director_of_the_region_decides,
    one_of_many_concurrent_decisions_succeeds,
    the_same_request_is_answered_once,
    each_change_of_a_referral_has_a_preview,
    a_subject_that_cannot_be_referred_is_refused_in_words,
    tampering_with_a_referral_is_named,
);

const WEST_MIDLANDS: &str = "West Midlands";

/// Stops the server and verifies the database.
fn stop_and_verify(server: Server, db: &Db) {
    drop(server);
    verify_ok(db);
}

/// Raises a referral of 910030 as Ann, records a discussion, and returns the id of the referral.
fn raise_and_discuss(server: &Server) -> String {
    let raise = [
        "referrals",
        "raise",
        "--urn",
        "910030",
        "--origin",
        "self-identified",
        "--ground",
        "would_benefit",
        "--on",
        "2021-11-02",
        "--because",
        "the head teacher wrote",
    ];
    let referral = text(&run_ok(server, &as_person("ann", "case-officer", &raise)), "referral");
    let discuss = ["referrals", "discuss", &referral, "--on", "2021-11-09", "--note", "with the chair of governors"];
    run_ok(server, &as_person("ann", "case-officer", &discuss));
    referral
}

async fn a_school_that_came_forward_is_offered_support(db: Db) {
    let mut server = start_with_august(&db);
    let referral = raise_and_discuss(&server);
    let approve = ["referrals", "approve", &referral, "--on", "2021-11-12", "--because", "leadership is new"];
    let approved = run_ok(&server, &as_person("dora", "regional-director", &approve));
    let offer = text(&approved, "offer");
    assert_eq!(approved["made_offer"]["offer"], json!(offer));
    assert_eq!((&approved["state"], &approved["decided_by"]), (&json!("approved"), &json!("dora")));
    assert_eq!(approved["exceptional_urns"], json!([910_030]));

    server.restart();
    // The README's row of August plus one school: maintained, standalone, eligible by neither E1 nor E2.
    let shown = run_ok(&server, &["eligibility", "summary", "--programme", YEAR]);
    assert_eq!(shown["by_rule"], json!({"E1_RI_IN_YEAR": 0, "E2_RI_TWICE_ON_ENTRY": 28, "E3_EXCEPTIONAL": 1}));
    assert_eq!((&shown["eligible_schools"], &shown["schools"]), (&json!(29), &json!(73)));
    assert_eq!((&shown["standalone"]["schools"], &shown["standalone"]["maintained"]), (&json!(15), &json!(12)));
    let by_rule = run_ok(&server, &["eligibility", "list", "--filter", "E3_EXCEPTIONAL"]);
    assert_eq!(numbers(&by_rule, "urn"), [910_030]);
    let explained = run_ok(&server, &["eligibility", "explain", "910030"]).to_string();
    let says = format!("approved on 2021-11-12 on the ground would_benefit: referral {referral}");
    assert!(explained.contains(&says), "{explained}");
    assert_eq!(identify(&server), [0, 0, 20, 0, 0, 4], "the offer of the referral is already open");

    let made = offer_of(&server, 910_030);
    assert_eq!(
        (&made["offer"], &made["state"], &made["region"]),
        (&json!(offer), &json!("identified"), &json!(WEST_MIDLANDS))
    );
    let shown_offer = run_ok(&server, &["offers", "show", &offer]);
    assert_eq!(shown_offer["schools"][0]["rules"], json!(["E3_EXCEPTIONAL"]));
    let events = run_ok(&server, &["offers", "events", &offer]);
    let kinds: Vec<_> = events.as_array().unwrap().iter().map(|it| (it["kind"].clone(), it["text"].clone())).collect();
    assert_eq!(kinds, [(json!("identified"), Value::Null), (json!("referral_approved"), json!("leadership is new"))]);
    let referral = run_ok(&server, &["referrals", "show", &referral]);
    assert_eq!(
        (&referral["reason"], &referral["outcome_reason"]),
        (&json!("the head teacher wrote"), &json!("leadership is new"))
    );
    let discussion = &referral["discussions"][0];
    assert_eq!(
        (&discussion["note"], &discussion["date"]),
        (&json!("with the chair of governors"), &json!("2021-11-09"))
    );
    assert_eq!(run_ok(&server, &["referrals", "list", "--state", "open"]), json!([]));
    assert_eq!(run_ok(&server, &["referrals", "list", "--region", WEST_MIDLANDS])[0]["referral"], referral["referral"]);
    stop_and_verify(server, &db);
}

async fn a_trusts_school_joins_its_offer(db: Db) {
    let server = start_with_august(&db);
    let before = run_ok(&server, &["offers", "show", &text(&offer_of(&server, 90_001), "offer")]);
    let client = Caller::of(&server).await;
    let raise = RaiseReferralRequest { uid: 90_001, urns: vec![910_048], ..raise_request(910_048) };
    let referral = client.raise(raise).await.unwrap().referral.unwrap();
    assert_eq!(
        (referral.uid, referral.urns.as_slice(), referral.region.as_str()),
        (90_001, &[910_048][..], WEST_MIDLANDS)
    );
    client.discuss(&referral.referral).await.unwrap();
    let decided = client.named("dora", "regional-director", None).decide(&referral.referral, &fresh()).await.unwrap();
    let offer = decided.offer.unwrap();
    assert_eq!(before["offer"], json!(offer.offer), "the school joins the offer that the trust had");
    let mut urns: Vec<i32> = offer.schools.iter().map(|it| it.urn).collect();
    urns.sort_unstable();
    assert_eq!(urns, [910_045, 910_046, 910_047, 910_048]);
    assert_ne!(before["etag"], json!(offer.etag));
    assert_eq!(summary(&server, YEAR)[5..7], [11, 5], "one more school of a trust, and no more trusts");
    stop_and_verify(server, &db);
}

/// An award loads only the parts of an offer that it needs. An approval in the same batch still has to load all schools.
async fn an_award_in_the_same_commit_hides_no_school(db: Db) {
    let server = start_with_august(&db);
    let officer = Client::of(&server).await;
    let offer = officer.list(YEAR).await.into_iter().find(|it| it.recipient == 90_001).unwrap();
    officer.accept_offer(&offer).await;
    let client = Caller::of(&server).await;
    let raise = RaiseReferralRequest { uid: 90_001, urns: vec![910_045, 910_048], ..raise_request(910_048) };
    let referral = client.raise(raise).await.unwrap().referral.unwrap().referral;
    client.discuss(&referral).await.unwrap();
    let mut raw_sql = RawSql::of(&db).await;
    raw_sql.lock_programme(YEAR).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (officer, offer) = (officer.clone(), offer.offer.clone());
        calls.spawn(async move { officer.award(&offer, vec![nle(1)], &fresh()).await.map(drop) });
    }
    let director = client.named("dora", "regional-director", None);
    let deciding = tokio::spawn(async move { director.decide(&referral, &fresh()).await });
    // All calls are in the queue once a later read is answered.
    officer.offer_details(&offer.offer).await;
    raw_sql.release_lock().await;
    let decided = deciding.await.unwrap().unwrap().offer.unwrap();
    calls.join_all().await.into_iter().for_each(|it| it.unwrap());
    let mut urns: Vec<i32> = decided.schools.iter().map(|it| it.urn).collect();
    urns.sort_unstable();
    assert_eq!(urns, [910_045, 910_046, 910_047, 910_048]);
    let events = officer.events(&offer.offer).await;
    let added = events.iter().find(|it| it.kind == "schools_added").unwrap();
    assert!(!added.body_json.contains("910045"), "a school that was on the offer before is added: {}", added.body_json);
    // A search by the names of its other schools still finds the offer.
    let name = &decided.schools.iter().find(|it| it.urn == 910_046).unwrap().name;
    let listed = run_ok(&server, &["offers", "list", "--search", name]);
    assert!(listed.as_array().unwrap().iter().any(|it| it["offer"] == json!(offer.offer)), "{name}");
    stop_and_verify(server, &db);
}

/// "that opens a referral, which E1/E2 may then confirm": after the file of September, the offer is made under E1, not E3.
async fn a_file_may_confirm_a_referral(db: Db) {
    let server = start_with_august(&db);
    let client = Caller::of(&server).await;
    let referral = client.raise(raise_request(910_017)).await.unwrap().referral.unwrap().referral;
    client.discuss(&referral).await.unwrap();
    import(&server, SEPTEMBER);
    let decided = client.named("dora", "regional-director", None).decide(&referral, &fresh()).await.unwrap();
    assert_eq!(decided.referral.unwrap().exceptional_urns, [0; 0]);
    assert_eq!(decided.offer.unwrap().schools[0].rules, ["E1_RI_IN_YEAR"]);
    let shown = run_ok(&server, &["eligibility", "summary", "--programme", YEAR]);
    assert_eq!(shown["by_rule"], json!({"E1_RI_IN_YEAR": 3, "E2_RI_TWICE_ON_ENTRY": 28, "E3_EXCEPTIONAL": 0}));
    // The README's row of September has 3 new offers; this school's exists already.
    assert_eq!(identify(&server), [2, 0, 19, 0, 0, 5]);
    // A school superseded in September can be referred only under its newest URN.
    let old = client.raise(raise_request(900_001)).await.unwrap_err();
    assert_eq!(reason(&old), "CANNOT_BE_REFERRED");
    assert!(old.message().contains("990001"), "{old:?}");
    stop_and_verify(server, &db);
}

async fn only_a_director_of_the_region_decides(db: Db) {
    let server = start_with_august(&db);
    let ann = Caller::of(&server).await;
    let referral = ann.raise(raise_request(910_030)).await.unwrap().referral.unwrap().referral;
    let director = ann.named("dora", "regional-director", Some(WEST_MIDLANDS));
    let undiscussed = director.decide(&referral, &fresh()).await.unwrap_err();
    assert_eq!((undiscussed.code(), reason(&undiscussed).as_str()), (Code::FailedPrecondition, "DISCUSSION_MISSING"));
    ann.discuss(&referral).await.unwrap();
    let away = Some("South-West England");
    #[rustfmt::skip]
    let callers = [
        (ann.named("olga", "case-officer", None),       Code::PermissionDenied, "ROLE_MISSING"),
        (ann.named("adam", "administrator", None),      Code::PermissionDenied, "ROLE_MISSING"),
        (ann.named("ann", "regional-director", None),   Code::PermissionDenied, "SELF_APPROVAL"),
        (ann.named("Ann", "regional-director", None),   Code::PermissionDenied, "SELF_APPROVAL"),
        (ann.named("dan", "regional-director", away),   Code::NotFound,         "NOT_FOUND"),
    ];
    let heads = verified_heads(&db);
    for (caller, code, expected_reason) in callers {
        let refused = caller.decide(&referral, &fresh()).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (code, expected_reason), "{caller:?}");
    }
    assert_eq!(verified_heads(&db), heads, "a refused call changed the record");
    // A caller of another region does not see the referral in lists either.
    let elsewhere = ann.named("dan", "regional-director", away);
    assert_eq!(elsewhere.list(ReferralState::Unspecified).await, []);
    let (service, id) = (|| elsewhere.service(), || referral.clone());
    let withdraw =
        WithdrawReferralRequest { request_id: fresh(), referral: id(), reason: "x".to_owned(), ..Default::default() };
    let hidden = [
        elsewhere.discuss(&referral).await.unwrap_err(),
        service().get_referral(elsewhere.ask(GetReferralRequest { referral: id() })).await.unwrap_err(),
        service().withdraw_referral(elsewhere.ask(withdraw)).await.unwrap_err(),
    ];
    for refused in hidden {
        let not_found = format!("referral {referral} does not exist");
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::NotFound, not_found.as_str()),
            "the answer shows that the referral exists"
        );
    }
    let school = elsewhere.raise(raise_request(910_030)).await.unwrap_err();
    assert_eq!((school.code(), reason(&school).as_str()), (Code::NotFound, "NOT_FOUND"));
    director.decide(&referral, &fresh()).await.unwrap();
    let listed = director.list(ReferralState::Approved).await;
    assert_eq!(listed.iter().map(|it| it.referral.as_str()).collect::<Vec<_>>(), [referral.as_str()]);
}

/// Eight directors approve a referral at the same time, and then eight officers refer another school at the same time.
async fn one_of_many_concurrent_decisions_succeeds(db: Db) {
    let server = start_with_august(&db);
    let ann = Caller::of(&server).await;
    let referral = ann.raise(raise_request(910_030)).await.unwrap().referral.unwrap().referral;
    ann.discuss(&referral).await.unwrap();
    let mut deciding = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (director, referral) = (ann.named(&format!("director-{n}"), "regional-director", None), referral.clone());
        deciding.spawn(async move { director.decide(&referral, &fresh()).await.map(drop) });
    }
    assert_eq!(all_but_one(deciding.join_all().await), vec!["REFERRAL_NOT_OPEN"; 7]);
    let mut raised = tokio::task::JoinSet::new();
    for n in 0..8 {
        let officer = ann.named(&format!("officer-{n}"), "case-officer", None);
        raised.spawn(async move { officer.raise(raise_request(910_017)).await.map(drop) });
    }
    assert_eq!(all_but_one(raised.join_all().await), vec!["REFERRAL_OPEN"; 7]);
    assert_eq!(identify(&server), [0, 0, 20, 0, 0, 4], "one offer was made");
    stop_and_verify(server, &db);
}

/// Checks that exactly one call succeeded and returns the reasons of the others.
fn all_but_one(answers: Vec<Result<(), Status>>) -> Vec<String> {
    let refused: Vec<String> = answers.iter().filter_map(|it| it.as_ref().err().map(reason)).collect();
    assert_eq!(refused.len() + 1, answers.len(), "{answers:?}");
    refused
}

async fn the_same_request_is_answered_once(db: Db) {
    let mut server = start_with_august(&db);
    let ann = Caller::of(&server).await;
    let raise = raise_request(910_030);
    let raised = ann.raise(raise.clone()).await.unwrap();
    let referral = raised.referral.clone().unwrap();
    assert_eq!(referral.reason, "", "a stored answer contains free text");
    ann.discuss(&referral.referral).await.unwrap();
    let (id, director) = (fresh(), |caller: &Caller| caller.named("dora", "regional-director", None));
    let decided = director(&ann).decide(&referral.referral, &id).await.unwrap();
    server.restart();
    let ann = Caller::of(&server).await;
    let heads = verified_heads(&db);
    assert_eq!(ann.raise(raise.clone()).await.unwrap(), raised);
    assert_eq!(director(&ann).decide(&referral.referral, &id).await.unwrap(), decided);
    let other = ann.raise(RaiseReferralRequest { reason: "another".to_owned(), ..raise.clone() }).await.unwrap_err();
    assert_eq!((other.code(), reason(&other).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    // A caller who has lost the region no longer gets the stored answer.
    let away = ann.named("ann", "case-officer", Some("South-West England")).raise(raise).await.unwrap_err();
    assert_eq!(away.code(), Code::NotFound);
    assert_eq!(verified_heads(&db), heads, "a repeated call changed the record");
}

async fn each_change_of_a_referral_has_a_preview(db: Db) {
    let server = start_with_august(&db);
    let ann = Caller::of(&server).await;
    let mut raise = raise_request(910_030);
    raise.validate_only = true;
    let heads = verified_heads(&db);
    let preview = ann.raise(raise.clone()).await.unwrap().referral.unwrap();
    assert_eq!((verified_heads(&db), ann.list(ReferralState::Unspecified).await), (heads, vec![]), "nothing is raised");
    raise.validate_only = false;
    let real = ann.raise(raise).await.unwrap().referral.unwrap();
    assert_eq!(Referral { referral: real.referral.clone(), ..preview }, real);

    let heads = verified_heads(&db);
    let referral = || real.referral.clone();
    let mut discuss = RecordDiscussionRequest { validate_only: true, ..discussion_request(&real.referral) };
    let preview = ann.service().record_discussion(ann.ask(discuss.clone())).await;
    let dora = ann.named("dora", "regional-director", None);
    let mut withdraw = WithdrawReferralRequest {
        request_id: fresh(),
        referral: referral(),
        reason: "x".to_owned(),
        validate_only: true,
        ..Default::default()
    };
    let withdraw_preview = ann.service().withdraw_referral(ann.ask(withdraw.clone())).await.unwrap().into_inner();
    assert_eq!(withdraw_preview.referral.unwrap().state(), ReferralState::Withdrawn);
    assert_eq!(verified_heads(&db), heads, "nothing is recorded or withdrawn");
    discuss.validate_only = false;
    let recorded = ann.service().record_discussion(ann.ask(discuss)).await;
    assert_eq!(
        comparable(preview.map(tonic::Response::into_inner)),
        comparable(recorded.map(tonic::Response::into_inner))
    );

    let heads = verified_heads(&db);
    let mut decide = approve_request(&real.referral, &fresh());
    decide.validate_only = true;
    let preview = dora.service().decide_referral(dora.ask(decide)).await.unwrap().into_inner();
    let (approved, offer) = (preview.referral.unwrap(), preview.offer.unwrap());
    assert_eq!((approved.state(), offer.recipient), (ReferralState::Approved, 910_030));
    assert_eq!((verified_heads(&db), identify(&server)[ALREADY_OPEN]), (heads, 19), "no offer is made");
    withdraw.validate_only = false;
    ann.service().withdraw_referral(ann.ask(withdraw)).await.unwrap();
    let late = dora.decide(&real.referral, &fresh()).await.unwrap_err();
    assert_eq!(reason(&late), "REFERRAL_NOT_OPEN");
}

async fn a_subject_that_cannot_be_referred_is_refused_in_words(db: Db) {
    let server = start_with_august(&db);
    let ann = Caller::of(&server).await;
    let heads = verified_heads(&db);
    let on = |ground: &str, date: &str| RaiseReferralRequest {
        ground: ground.to_owned(),
        date: date.to_owned(),
        ..raise_request(910_030)
    };
    #[rustfmt::skip]
    let rows = [
        (raise_request(910_001),                        Code::FailedPrecondition, "CANNOT_BE_REFERRED",   "is on open offer"),
        (raise_request(910_060),                        Code::FailedPrecondition, "CANNOT_BE_REFERRED",   "fits no row of the scheme"),
        (raise_request(999_998),                        Code::NotFound,           "NOT_FOUND",            "school 999998"),
        (on("covid_disruption", "2022-01-19"),    Code::FailedPrecondition, "GROUND_NOT_IN_EFFECT", "2022-01-20"),
        (on("hardship", "2022-01-20"),            Code::NotFound,           "NOT_FOUND",            "ground hardship"),
        (on("would_benefit", "2999-01-01"),       Code::InvalidArgument,    "FIELD_VIOLATIONS",     "date"),
    ];
    for (message, code, expected_reason, part) in rows {
        let refused = ann.raise(message).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (code, expected_reason), "{refused:?}");
        assert!(refused.message().contains(part), "{part}: {}", refused.message());
    }
    let wrong = RaiseReferralRequest { urns: vec![910_030, 910_030, 7], ..Default::default() };
    let wrong = ann.raise(wrong).await.unwrap_err();
    for field in ["request_id", "programme", "urns", "urns[2]", "origin", "ground", "reason"] {
        assert!(
            violated_fields(&wrong).iter().any(|it| it == field),
            "{field} is not in {:?}",
            violated_fields(&wrong)
        );
    }
    assert_eq!(verified_heads(&db), heads, "a refused call changed the record");
    // The command line prints the limit of the refusal too.
    let raise = [
        "referrals",
        "raise",
        "--urn",
        "910060",
        "--origin",
        "exceptional",
        "--ground",
        "would_benefit",
        "--on",
        "2021-11-02",
        "--because",
        "x",
    ];
    let error = run_refused_for(&server, "CANNOT_BE_REFERRED", &as_person("ann", "case-officer", &raise));
    assert_eq!(error["limits"][0]["kind"], "recipient", "{error}");
}

/// Returns the fields that a refusal names.
fn violated_fields(status: &Status) -> Vec<String> {
    use tonic_types::StatusExt as _;
    let bad = status.get_details_bad_request().unwrap();
    bad.field_violations.into_iter().map(|it| it.field).collect()
}

async fn tampering_with_a_referral_is_named(db: Db) {
    let server = start_with_august(&db);
    let referral = raise_and_discuss(&server);
    let approve = ["referrals", "approve", &referral, "--on", "2021-11-12", "--because", "as discussed"];
    run_ok(&server, &as_person("dora", "regional-director", &approve));
    drop(server);
    let mut raw_sql = RawSql::of(&db).await;
    let id = raw_sql.id(&referral);
    let set = |tampered: &str, original: &str, named: &str| {
        let sql = |set: &str| format!("UPDATE referrals SET {set} WHERE id = {id}");
        (sql(tampered), format!("referral {referral}{named}"), sql(original))
    };
    let moved = "UPDATE referrals SET programme = '2098-99' WHERE programme = '2021-22'".to_owned();
    let back = "UPDATE referrals SET programme = '2021-22' WHERE programme = '2098-99'".to_owned();
    let rows = vec![
        set("exceptional = '[]'", "exceptional = '[910030]'", " exceptional schools"),
        set("region = 'south-west'", &format!("region = '{WEST_MIDLANDS}'"), ": it cannot be read"),
        set("region = 'South-West England'", &format!("region = '{WEST_MIDLANDS}'"), " region"),
        set(
            "decided_by = 'mallory'",
            "decided_by = 'dora'",
            ": it cannot be read: the key \"dora\" is not that of the id",
        ),
        set(
            "decided_by = 'mallory', decided_key = 'mallory'",
            "decided_by = 'dora', decided_key = 'dora'",
            " decision",
        ),
        set("ground = 'covid_disruption'", "ground = 'would_benefit'", ": the record says"),
        set(
            "discussions = REPLACE(discussions, '11-09', '11-08')",
            "discussions = REPLACE(discussions, '11-08', '11-09')",
            " discussions",
        ),
        set("urns = '[910031]'", "urns = '[910030]'", ": the record says"),
        set("version = version + 1", "version = version - 1", " version"),
        (moved, "referrals: there are rows of programme \"2098-99\"".to_owned(), back),
    ];
    check_each_is_named(&db, &mut raw_sql, rows).await;
}
