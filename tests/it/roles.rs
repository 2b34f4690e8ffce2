//! Checks the rights of roles: runs every command with each role alone, and makes calls without the caller's name.

use serde_json::Value;
use tonic::{Code, Request};
use tsio::proto::finance_service_client::FinanceServiceClient;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{IdentifyOffersRequest, ListOffersRequest, VerifyLedgerRequest};
use uuid::Uuid;

use super::harness::{Db, Output, Server, both, cli};
use super::money::{WITH_LEADER, WITH_PARTNER, accept_offer, create_award, create_fund_with, start_delivery};
use super::samples::{
    SEPTEMBER, as_person, offer_id, path, run_filed, run_ok, run_refused_for, start_with_august, text,
};

both!(
    each_role_may_do_what_the_scheme_allows,
    each_role_may_move_money_as_the_scheme_allows,
    a_caller_who_gives_no_name,
);

/// All roles.
const ROLES: [&str; 7] =
    ["reader", "case-officer", "delivery-partner", "regional-director", "finance", "finance-approver", "administrator"];
/// The roles that work on offers, by the scheme's table of rights.
const OFFICERS: &[&str] = &["case-officer", "regional-director"];
/// The role that changes reference data.
const ADMINISTRATOR: &[&str] = &["administrator"];
/// The roles that record delivered days.
const DELIVERY: &[&str] = &["case-officer", "regional-director", "delivery-partner"];
/// The role that moves money.
const FINANCE: &[&str] = &["finance"];
/// The role that approves movements of money.
const APPROVER: &[&str] = &["finance-approver"];
/// The roles that read the ledger.
const LEDGER: &[&str] = &["finance", "finance-approver"];

/// Whether the caller's role allows a call. A rule may still refuse it, or it may be filed (3) and wait for a second person.
fn is_allowed(answer: &Output) -> bool {
    matches!(answer.code, 0 | 1 | 3) && answer.json["error"]["reason"] != "ROLE_MISSING"
}

async fn each_role_may_do_what_the_scheme_allows(db: Db) {
    let server = start_with_august(&db);
    let offer = offer_id(&server, 910_001);
    let ofsted = run_ok(&server, &["import", "list"])[0]["import_id"].clone();
    let (ofsted, offer) = (ofsted.as_str().unwrap(), offer.as_str());
    let terms = concat!(env!("CARGO_MANIFEST_DIR"), "/terms/2021-22.toml");
    let (september, groups) = (path(SEPTEMBER.0), path("gias_groups_2021-08.csv"));
    // One open approval of each kind. The person who requests them makes no other call in this test.
    let request_approval =
        |args: &[&str]| text(&run_filed(&server, &as_person("asker", "administrator", args)), "approval");
    let withdrawal = request_approval(&["import", "withdraw", ofsted, "--reason", "x"]);
    let other = offer_id(&server, 910_002);
    run_ok(&server, &["offers", "close", &other, "--outcome", "withdrawn"]);
    let reopening = request_approval(&["offers", "reopen", &other, "--reason", "x"]);
    #[rustfmt::skip]
    let commands: [(&[&str], &[&str]); 18] = [
        (OFFICERS,      &["offers", "identify"]),
        (OFFICERS,      &["offers", "identify", "--dry-run"]),
        (OFFICERS,      &["offers", "contact", offer, "--party", "responsible-body", "--on", "2021-10-04"]),
        (OFFICERS,      &["offers", "correct", offer, "--contact", "1"]),
        (OFFICERS,      &["offers", "accept", offer, "--by", "school"]),
        (OFFICERS,      &["offers", "decline", offer, "--reason", "other"]),
        (OFFICERS,      &["offers", "start", offer]),
        (OFFICERS,      &["offers", "close", offer, "--outcome", "withdrawn"]),
        (OFFICERS,      &["offers", "assign", offer, "--to", "x"]),
        (OFFICERS,      &["offers", "note", offer, "x"]),
        (ADMINISTRATOR, &["offers", "region", offer, "--to", "North of England"]),
        (ADMINISTRATOR, &["offers", "reopen", offer, "--reason", "x"]),
        (ADMINISTRATOR, &["import", "register", &groups, "--as-at", "2021-08-31"]),
        (ADMINISTRATOR, &["import", "ofsted", &september, "--as-at", SEPTEMBER.1]),
        (ADMINISTRATOR, &["import", "withdraw", ofsted, "--reason", "x"]),
        (ADMINISTRATOR, &["schools", "place", "910063", "--kind", "maintained", "--reason", "x"]),
        (ADMINISTRATOR, &["terms", "load", terms]),
        (ADMINISTRATOR, &["approvals", "give", &reopening]),
    ];
    let read_all = || {
        (
            run_ok(&server, &["offers", "list"]),
            run_ok(&server, &["import", "list"]),
            run_ok(&server, &["approvals", "list", "--all"]),
            run_ok(&server, &["terms", "list"]),
        )
    };
    let before = read_all();
    // First the roles without the right: their calls are refused and change nothing.
    for (allowed, command) in commands {
        for role in ROLES.into_iter().filter(|role| !allowed.contains(role)) {
            let error = run_refused_for(&server, "ROLE_MISSING", &as_person("someone", role, command));
            assert_eq!(error["code"], "PERMISSION_DENIED", "{role}: {command:?}");
        }
    }
    run_refused_for(
        &server,
        "ROLE_MISSING",
        &as_person("someone", "finance-approver", &["approvals", "give", &withdrawal]),
    );
    assert_eq!(read_all(), before);
    // Then the roles with the right: a rule of the scheme may refuse the call, but not the role.
    for (allowed, command) in commands {
        for role in allowed {
            let answer = cli(&server, &as_person("someone.else", role, command));
            assert!(is_allowed(&answer), "{role}: {command:?}: {}", answer.stderr);
        }
    }
    assert_ne!(read_all(), before);
    check_everyone_reads(&server, offer);
}

/// Checks that every role may read.
fn check_everyone_reads(server: &Server, offer: &str) {
    // A delivery partner sees only the offers assigned to it.
    run_ok(server, &["offers", "assign", offer, "--to", "someone"]);
    for role in ROLES {
        let reads: [&[&str]; 9] = [
            &["offers", "list"],
            &["offers", "show", offer],
            &["offers", "events", offer],
            &["eligibility", "summary"],
            &["import", "list"],
            &["schools", "show", "910001"],
            &["trusts", "show", "90001"],
            &["approvals", "list"],
            &["terms", "list"],
        ];
        for command in reads {
            run_ok(server, &as_person("someone", role, command));
        }
    }
}

async fn each_role_may_move_money_as_the_scheme_allows(db: Db) {
    let server = start_with_august(&db);
    let (fund, to) = (create_fund_with(&server, "credit", "9000"), create_fund_with(&server, "nlg", "9"));
    let offer = accept_offer(&server, 910_001);
    let credit = create_award(&server, "credit", &offer, &[&["--amount", "100"], &WITH_PARTNER[..]].concat());
    let days = create_award(&server, "nle", &offer, &[&["--days", "2"], &WITH_LEADER[..]].concat());
    let booked =
        run_ok(&server, &["awards", "book", &days, "--days", "0.5", "--on", "2021-11-01"])["booking"].to_string();
    start_delivery(&server, &offer);
    // A delivery partner works only on the offers assigned to it.
    run_ok(&server, &["offers", "assign", &offer, "--to", "someone.else"]);
    let large_allocation = ["funds", "allocate", &fund, "50000.01", "--on", "2021-10-01"];
    let error = run_filed(&server, &as_person("asker", "finance", &large_allocation));
    let approval = text(&error, "approval");
    let (offer, fund, to, credit, days) = (offer.as_str(), fund.as_str(), to.as_str(), credit.as_str(), days.as_str());
    #[rustfmt::skip]
    let commands: [(&[&str], &[&str]); 16] = [
        (OFFICERS, &["awards", "nle", offer, "--days", "0.5", "--leader", "x", "--organisation", "y"]),
        (OFFICERS, &["awards", "nle", offer, "--days", "0.5", "--leader", "x", "--organisation", "y", "--check"]),
        (OFFICERS, &["awards", "credit", offer, "--amount", "1", "--partner", "90001", "--suitable-because", "x"]),
        (OFFICERS, &["awards", "nlg", offer, "--amount", "1", "--because", "x"]),
        (OFFICERS, &["awards", "npqel", offer, "--amount", "1", "--leader", "x", "--provider", "Teach First", "--because", "x"]),
        (OFFICERS, &["awards", "release", credit, "--amount", "0.01", "--on", "2021-11-01"]),
        (DELIVERY, &["awards", "book", days, "--days", "0.5", "--on", "2021-11-08"]),
        (DELIVERY, &["awards", "draw", days, "--days", "0.5", "--on", "2021-11-08"]),
        (DELIVERY, &["awards", "cancel", days, "--booking", &booked]),
        (FINANCE,  &["awards", "draw", credit, "--amount", "0.01", "--on", "2021-11-01"]),
        (FINANCE,  &["awards", "refund", credit, "--amount", "0.01", "--reason", "x", "--on", "2021-11-02"]),
        (FINANCE,  &["funds", "create", "--programme", "2021-22", "--strand", "npqel"]),
        (FINANCE,  &["funds", "allocate", fund, "0.01", "--on", "2021-10-01"]),
        (FINANCE,  &["funds", "withdraw", fund, "0.01", "--on", "2021-10-01"]),
        (FINANCE,  &["funds", "move", fund, to, "0.01", "--on", "2021-10-01"]),
        (APPROVER, &["approvals", "give", &approval]),
    ];
    let read_all = || (run_ok(&server, &["offers", "events", offer]), run_ok(&server, &["funds", "list"]));
    let before = read_all();
    for (allowed, command) in commands.into_iter().chain([(LEDGER, &["funds", "entries", fund][..])]) {
        for role in ROLES.into_iter().filter(|role| !allowed.contains(role)) {
            let error = run_refused_for(&server, "ROLE_MISSING", &as_person("someone", role, command));
            assert_eq!(error["code"], "PERMISSION_DENIED", "{role}: {command:?}");
        }
    }
    assert_eq!(read_all(), before);
    for (allowed, command) in commands {
        for role in allowed {
            let answer = cli(&server, &as_person("someone.else", role, command));
            assert!(is_allowed(&answer), "{role}: {command:?}: {}", answer.stderr);
        }
    }
    assert_ne!(read_all(), before);
    run_ok(&server, &["offers", "assign", offer, "--to", "someone"]);
    for role in ROLES {
        let reads: [&[&str]; 3] =
            [&["funds", "list"], &["awards", "show", credit], &["awards", "list", "--offer", offer]];
        for command in reads {
            run_ok(&server, &as_person("someone", role, command));
        }
        let position = cli(&server, &as_person("someone", role, &["funds", "position", fund]));
        assert_eq!(position.code == 0, role != "delivery-partner", "{role}: only partners see no funds");
        let answer = cli(&server, &as_person("someone", role, &["funds", "entries", fund]));
        assert_eq!(answer.code == 0, LEDGER.contains(&role), "{role}: {}", answer.stderr);
    }
    for role in ROLES {
        let sound = verify_ledger(&server, role).await;
        assert_eq!(sound.is_ok(), LEDGER.contains(&role), "{role}: {sound:?}");
        assert!(sound.unwrap_or_else(|code| code == Code::PermissionDenied), "{role}");
    }
}

/// Calls VerifyLedger with one role. Returns whether the ledger is sound, or the code of the refusal.
async fn verify_ledger(server: &Server, role: &'static str) -> Result<bool, Code> {
    let mut client = FinanceServiceClient::connect(server.url()).await.unwrap();
    let mut request = Request::new(VerifyLedgerRequest::default());
    request.metadata_mut().insert("x-tsio-actor", "someone".parse().unwrap());
    request.metadata_mut().insert("x-tsio-roles", role.parse().unwrap());
    client.verify_ledger(request).await.map(|it| it.into_inner().sound).map_err(|status| status.code())
}

async fn a_caller_who_gives_no_name(db: Db) {
    let server = Server::start(&db);
    let mut client = OfferServiceClient::connect(server.url()).await.unwrap();
    let call = |actor: Option<&'static str>, roles: Option<&'static str>| {
        let request_id = Uuid::new_v4().to_string();
        let mut request =
            Request::new(IdentifyOffersRequest { request_id, programme: "2021-22".to_owned(), validate_only: false });
        for (name, value) in [("x-tsio-actor", actor), ("x-tsio-roles", roles)] {
            if let Some(value) = value {
                request.metadata_mut().insert(name, value.parse().unwrap());
            }
        }
        request
    };
    let unauthenticated = [
        (None, None),
        (Some("ann"), None),
        (None, Some("case-officer")),
        (Some(""), Some("case-officer")),
        (Some("ann"), Some("king")),
    ];
    for (actor, roles) in unauthenticated {
        let status = client.identify_offers(call(actor, roles)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{actor:?} {roles:?}: {status}");
    }
    let without_role = client.identify_offers(call(Some("ann"), Some(""))).await.unwrap_err();
    assert_eq!(without_role.code(), Code::PermissionDenied, "a caller without a role may change data");
    let read = client
        .list_offers(Request::new(ListOffersRequest { programme: "2021-22".to_owned(), ..Default::default() }))
        .await;
    assert_eq!(read.unwrap_err().code(), Code::Unauthenticated, "a caller without a name may read");
    client.identify_offers(call(Some("ann"), Some("reader, case-officer"))).await.unwrap();
    let anonymous = cli(&server, &["--roles", "king", "offers", "list"]);
    assert_eq!((anonymous.code, &anonymous.json["error"]["code"]), (1, &Value::from("UNAUTHENTICATED")));
}
