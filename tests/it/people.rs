//! Identity of people: other letters or another claim of the same token do not make a second person.

use std::fs;

use prost::Message as _;
use tonic::Code;
use tonic::transport::Channel;
use tsio::proto::{
    AllocateFundRequest, GiveApprovalRequest, ListApprovalsRequest, ListApprovalsResponse, ListFundsRequest,
    ListFundsResponse,
};

use crate::authentication::issuer::{Guarded, claims};
use crate::authentication::tokens::with_token;
use crate::authentication::{call, refusal_of};
use crate::client::{Client, YEAR, fresh, reason};
use crate::harness::{Db, Server, both, run, tsio};
use crate::money::refusal;
use crate::raw_sql::{RawSql, proved, verify};
use crate::samples::{august, done, refused_for, said_by, text};

both!(a_name_in_other_letters_is_the_same_person, the_database_compares_people_itself,);

async fn a_name_in_other_letters_is_the_same_person(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let fund = client.made(YEAR, "credit", "").await;
    let (fin, loud) = (client.named("fin"), client.named("FIN"));
    let approval = refusal(&fin.allocate(&fund, 6_000_000, &fresh()).await.unwrap_err()).approval;
    let again = loud.allocate(&fund, 6_000_000, &fresh()).await.unwrap_err();
    assert_eq!(refusal(&again).approval, approval, "one person asks once");
    let give = || GiveApprovalRequest { request_id: fresh(), approval: approval.clone(), ..Default::default() };
    for own in [&fin, &loud] {
        let own = own.approvals().give_approval(own.ask(give())).await.unwrap_err();
        assert_eq!((own.code(), reason(&own).as_str()), (Code::PermissionDenied, "SELF_APPROVAL"));
    }
    let waiting = async |who: &Client| {
        let mine = ListApprovalsRequest { waiting_for_me: true, ..Default::default() };
        who.approvals().list_approvals(who.ask(mine)).await.unwrap().into_inner().approvals.len()
    };
    let ben = client.named("ben");
    assert_eq!((waiting(&fin).await, waiting(&loud).await, waiting(&ben).await), (0, 0, 1));
    ben.approvals().give_approval(ben.ask(give())).await.unwrap();
    drop(server);
    proved(&db);
}

async fn the_database_compares_people_itself(db: Db) {
    let mut server = august(&db);
    let import = text(&done(&server, &["import", "list"])[0], "import_id");
    let withdraw = said_by("ann", "administrator", &["import", "withdraw", &import, "--reason", "wrong month"]);
    let approval = text(&refused_for(&server, "APPROVAL_REQUIRED", &withdraw), "approval");
    let own = said_by("Ann", "administrator", &["approvals", "give", &approval]);
    refused_for(&server, "SELF_APPROVAL", &own);
    let fund = text(&done(&server, &["funds", "list"])[0], "fund");
    let cut = said_by("ann", "finance", &["funds", "allocate", &fund, "60000"]);
    let of_fund = text(&refused_for(&server, "APPROVAL_REQUIRED", &cut), "approval");
    server.stop();
    let mut raw_sql = RawSql::of(&db).await;
    for approval in [&approval, &of_fund] {
        let id = raw_sql.id(approval);
        let by = |given: &str, key: &str| {
            format!(
                "UPDATE approvals SET state = 'carried_out', given_by = '{given}', given_key = '{key}' WHERE id = {id}"
            )
        };
        assert!(raw_sql.run(&by("Ann", "ann")).await.is_err(), "the same person in other letters");
        raw_sql.run(&format!("BEGIN; {}; ROLLBACK", by("Ben", "ben"))).await.unwrap();
    }
    // Verify names a stored key that does not belong to its id.
    let id = raw_sql.id(&of_fund);
    raw_sql.run(&format!("UPDATE approvals SET requested_key = 'ben' WHERE id = {id}")).await.unwrap();
    let (code, reports) = verify(&db, &["--programme", YEAR]);
    let named = reports[0]["differences"].to_string();
    assert!(code == 1 && named.contains("the key") && named.contains(&of_fund), "{named}");
}

/// The actor claim is an e-mail address, which may change with the name; `sub` stays.
#[test]
fn a_token_of_the_same_subject_is_the_same_person() {
    run(async {
        let mut guarded = Guarded::start(&Db::sqlite(), "");
        guarded.server.stop();
        let config = fs::read_to_string(guarded.path("tsio.toml")).unwrap();
        let config = config.replace("leeway_seconds = 0\n", "leeway_seconds = 0\nactor_claim = \"email\"\n");
        fs::write(guarded.path("tsio.toml"), config).unwrap();
        let checked = tsio(&["config", "check", "--config", &guarded.path("tsio.toml").display().to_string()]);
        assert_eq!(checked.code, 0, "{}", checked.stderr);
        assert!(
            checked.stderr.contains("warning: tokens.actor_claim: \"email\" is no opaque id"),
            "{}",
            checked.stderr
        );
        guarded.server.restart();
        let channel = guarded.connect(None).await.unwrap();
        let token = |sub: &str, email: &str| {
            let mut claims = claims(sub, &["finance", "finance-approver"], &["*"]);
            claims["email"] = email.into();
            guarded.key.sign(&claims)
        };
        let ann = token("1", "ann@example.org");
        let list = ListFundsRequest { programme: YEAR.to_owned(), ..Default::default() };
        let listed = call(&channel, "FundService/ListFunds", with_token(&ann, &list)).await.unwrap();
        let fund = ListFundsResponse::decode(listed[0].clone()).unwrap().funds.remove(0).fund;
        let date = "2021-09-01".to_owned();
        let large =
            AllocateFundRequest { request_id: fresh(), fund, amount_pence: 6_000_000, date, ..Default::default() };
        let refused = call(&channel, "FundService/AllocateFund", with_token(&ann, &large)).await.unwrap_err();
        let approval = refusal(&refused).approval;
        let renamed = token("1", "ann.smith@example.org");
        assert_eq!(waiting_for(&channel, &renamed).await, 0);
        for own in [&renamed, &token("2", "ANN@example.org")] {
            let own = give(&channel, own, &approval).await.unwrap_err();
            assert_eq!(refusal_of(&own), (Code::PermissionDenied, "SELF_APPROVAL".to_owned()));
        }
        let ben = token("2", "ben@example.org");
        assert_eq!(waiting_for(&channel, &ben).await, 1);
        give(&channel, &ben, &approval).await.unwrap();
    });
}

async fn give(channel: &Channel, token: &str, approval: &str) -> Result<(), tonic::Status> {
    let give = GiveApprovalRequest { request_id: fresh(), approval: approval.to_owned(), ..Default::default() };
    call(channel, "ApprovalService/GiveApproval", with_token(token, &give)).await.map(drop)
}

async fn waiting_for(channel: &Channel, token: &str) -> usize {
    let mine = ListApprovalsRequest { waiting_for_me: true, ..Default::default() };
    let listed = call(channel, "ApprovalService/ListApprovals", with_token(token, &mine)).await.unwrap();
    ListApprovalsResponse::decode(listed[0].clone()).unwrap().approvals.len()
}
