//! Rights: every command with each role alone, and calls without the caller's name.

use serde_json::Value;
use tonic::{Code, Request};
use tsio::proto::finance_service_client::FinanceServiceClient;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{IdentifyOffersRequest, ListOffersRequest, VerifyLedgerRequest};
use uuid::Uuid;

use super::harness::{Db, Server, both, cli};
use super::money::{WITH_LEADER, WITH_PARTNER, funded, given, started, taken};
use super::samples::{SEPTEMBER, august, done, offer_id, path, refused_for, said_by, text};

both!(
    each_role_may_do_what_the_scheme_allows,
    each_role_may_move_money_as_the_scheme_allows,
    a_caller_who_gives_no_name,
);

const ROLES: [&str; 7] =
    ["reader", "case-officer", "delivery-partner", "regional-director", "finance", "finance-approver", "administrator"];
/// From the scheme's table: the roles that work on offers, and the administrator.
const OFFICERS: &[&str] = &["case-officer", "regional-director"];
const ADMINISTRATOR: &[&str] = &["administrator"];
/// The roles that record delivered days, keep the money, approve its movements, and read the ledger.
const DELIVERY: &[&str] = &["case-officer", "regional-director", "delivery-partner"];
const FINANCE: &[&str] = &["finance"];
const APPROVER: &[&str] = &["finance-approver"];
const LEDGER: &[&str] = &["finance", "finance-approver"];

async fn each_role_may_do_what_the_scheme_allows(db: Db) {
    let server = august(&db);
    let offer = offer_id(&server, 910_001);
    let ofsted = done(&server, &["import", "list"])[0]["import_id"].clone();
    let (ofsted, offer) = (ofsted.as_str().unwrap(), offer.as_str());
    let terms = concat!(env!("CARGO_MANIFEST_DIR"), "/terms/2021-22.toml");
    let (september, groups) = (path(SEPTEMBER.0), path("gias_groups_2021-08.csv"));
    // One open approval of each kind, requested by a person who makes no other call here.
    let asker = |args: &[&str]| {
        text(&refused_for(&server, "APPROVAL_REQUIRED", &said_by("asker", "administrator", args)), "approval")
    };
    let withdrawal = asker(&["import", "withdraw", ofsted, "--reason", "x"]);
    let other = offer_id(&server, 910_002);
    done(&server, &["offers", "close", &other, "--outcome", "withdrawn"]);
    let reopening = asker(&["offers", "reopen", &other, "--reason", "x"]);
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
    let everything = || {
        (
            done(&server, &["offers", "list"]),
            done(&server, &["import", "list"]),
            done(&server, &["approvals", "list", "--all"]),
            done(&server, &["terms", "list"]),
        )
    };
    let before = everything();
    // First the roles without the right: their calls write nothing.
    for (allowed, command) in commands {
        for role in ROLES.into_iter().filter(|role| !allowed.contains(role)) {
            let error = refused_for(&server, "ROLE_MISSING", &said_by("someone", role, command));
            assert_eq!(error["code"], "PERMISSION_DENIED", "{role}: {command:?}");
        }
    }
    refused_for(&server, "ROLE_MISSING", &said_by("someone", "finance-approver", &["approvals", "give", &withdrawal]));
    assert_eq!(everything(), before);
    // Then the roles with the right: a rule of the scheme may refuse the call, but not the role.
    for (allowed, command) in commands {
        for role in allowed {
            let answer = cli(&server, &said_by("someone.else", role, command));
            let reason = answer.json["error"]["reason"].as_str().unwrap_or_default();
            assert!(answer.code <= 1 && reason != "ROLE_MISSING", "{role}: {command:?}: {}", answer.stderr);
        }
    }
    assert_ne!(everything(), before);
    everyone_reads(&server, offer);
}

fn everyone_reads(server: &Server, offer: &str) {
    // A delivery partner sees only the offers assigned to it.
    done(server, &["offers", "assign", offer, "--to", "someone"]);
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
            done(server, &said_by("someone", role, command));
        }
    }
}

async fn each_role_may_move_money_as_the_scheme_allows(db: Db) {
    let server = august(&db);
    let (fund, to) = (funded(&server, "credit", "9000"), funded(&server, "nlg", "9"));
    let offer = taken(&server, 910_001);
    let credit = given(&server, "credit", &offer, &[&["--amount", "100"], &WITH_PARTNER[..]].concat());
    let days = given(&server, "nle", &offer, &[&["--days", "2"], &WITH_LEADER[..]].concat());
    let booked =
        done(&server, &["awards", "book", &days, "--days", "0.5", "--on", "2021-11-01"])["booking"].to_string();
    started(&server, &offer);
    // A delivery partner works only on the offers assigned to it.
    done(&server, &["offers", "assign", &offer, "--to", "someone.else"]);
    let large_allocation = ["funds", "allocate", &fund, "50000.01", "--on", "2021-10-01"];
    let waits =
        text(&refused_for(&server, "APPROVAL_REQUIRED", &said_by("asker", "finance", &large_allocation)), "approval");
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
        (APPROVER, &["approvals", "give", &waits]),
    ];
    let everything = || (done(&server, &["offers", "events", offer]), done(&server, &["funds", "list"]));
    let before = everything();
    for (allowed, command) in commands.into_iter().chain([(LEDGER, &["funds", "entries", fund][..])]) {
        for role in ROLES.into_iter().filter(|role| !allowed.contains(role)) {
            let error = refused_for(&server, "ROLE_MISSING", &said_by("someone", role, command));
            assert_eq!(error["code"], "PERMISSION_DENIED", "{role}: {command:?}");
        }
    }
    assert_eq!(everything(), before);
    for (allowed, command) in commands {
        for role in allowed {
            let answer = cli(&server, &said_by("someone.else", role, command));
            let reason = answer.json["error"]["reason"].as_str().unwrap_or_default();
            assert!(answer.code <= 1 && reason != "ROLE_MISSING", "{role}: {command:?}: {}", answer.stderr);
        }
    }
    assert_ne!(everything(), before);
    done(&server, &["offers", "assign", offer, "--to", "someone"]);
    for role in ROLES {
        let reads: [&[&str]; 3] =
            [&["funds", "list"], &["awards", "show", credit], &["awards", "list", "--offer", offer]];
        for command in reads {
            done(&server, &said_by("someone", role, command));
        }
        let position = cli(&server, &said_by("someone", role, &["funds", "position", fund]));
        assert_eq!(position.code == 0, role != "delivery-partner", "{role}: funds are not a partner's to see");
        let answer = cli(&server, &said_by("someone", role, &["funds", "entries", fund]));
        assert_eq!(answer.code == 0, LEDGER.contains(&role), "{role}: {}", answer.stderr);
    }
    for role in ROLES {
        let sound = verify_ledger(&server, role).await;
        assert_eq!(sound.is_ok(), LEDGER.contains(&role), "{role}: {sound:?}");
        assert!(sound.unwrap_or_else(|code| code == Code::PermissionDenied), "{role}");
    }
}

/// Calls VerifyLedger with one role, and returns whether the ledger is sound.
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
    let nobody = [
        (None, None),
        (Some("ann"), None),
        (None, Some("case-officer")),
        (Some(""), Some("case-officer")),
        (Some("ann"), Some("king")),
    ];
    for (actor, roles) in nobody {
        let status = client.identify_offers(call(actor, roles)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{actor:?} {roles:?}: {status}");
    }
    let none = client.identify_offers(call(Some("ann"), Some(""))).await.unwrap_err();
    assert_eq!(none.code(), Code::PermissionDenied, "a caller without a role may nothing");
    let read = client
        .list_offers(Request::new(ListOffersRequest { programme: "2021-22".to_owned(), ..Default::default() }))
        .await;
    assert_eq!(read.unwrap_err().code(), Code::Unauthenticated, "reading too");
    client.identify_offers(call(Some("ann"), Some("reader, case-officer"))).await.unwrap();
    let anonymous = cli(&server, &["--roles", "king", "offers", "list"]);
    assert_eq!((anonymous.code, &anonymous.json["error"]["code"]), (1, &Value::from("UNAUTHENTICATED")));
}
