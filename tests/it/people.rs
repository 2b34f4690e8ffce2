//! Checks who counts as a second person. A name in other upper and lower case is the same person, and so is a token with the
//! same subject and another name.

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
use crate::raw_sql::{RawSql, verified_heads, verify};
use crate::samples::{as_person, run_filed, run_ok, run_refused_for, start_with_august, text};

both!(a_name_in_other_letters_is_the_same_person, the_database_compares_people_itself,);

async fn a_name_in_other_letters_is_the_same_person(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let fund = client.create_fund(YEAR, "credit", "").await;
    let (lower, upper) = (client.named("fin"), client.named("FIN"));
    let approval = refusal(&lower.allocate(&fund, 6_000_000, &fresh()).await.unwrap_err()).approval;
    let again = upper.allocate(&fund, 6_000_000, &fresh()).await.unwrap_err();
    assert_eq!(refusal(&again).approval, approval, "the second request of the same person opens another approval");
    let give = || GiveApprovalRequest { request_id: fresh(), approval: approval.clone(), ..Default::default() };
    for requester in [&lower, &upper] {
        let status = requester.approval_service().give_approval(requester.ask(give())).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "SELF_APPROVAL"));
    }
    let count_waiting = async |person: &Client| {
        let request = ListApprovalsRequest { waiting_for_me: true, ..Default::default() };
        person.approval_service().list_approvals(person.ask(request)).await.unwrap().into_inner().approvals.len()
    };
    let ben = client.named("ben");
    assert_eq!((count_waiting(&lower).await, count_waiting(&upper).await, count_waiting(&ben).await), (0, 0, 1));
    ben.approval_service().give_approval(ben.ask(give())).await.unwrap();
    drop(server);
    verified_heads(&db);
}

async fn the_database_compares_people_itself(db: Db) {
    let mut server = start_with_august(&db);
    let import = text(&run_ok(&server, &["import", "list"])[0], "import_id");
    let withdraw = as_person("ann", "administrator", &["import", "withdraw", &import, "--reason", "wrong month"]);
    let approval = text(&run_filed(&server, &withdraw), "approval");
    let own = as_person("Ann", "administrator", &["approvals", "give", &approval]);
    run_refused_for(&server, "SELF_APPROVAL", &own);
    let fund = text(&run_ok(&server, &["funds", "list"])[0], "fund");
    let allocate = as_person("ann", "finance", &["funds", "allocate", &fund, "60000"]);
    let fund_approval = text(&run_filed(&server, &allocate), "approval");
    server.stop();
    let mut raw_sql = RawSql::of(&db).await;
    for approval in [&approval, &fund_approval] {
        let id = raw_sql.id(approval);
        let given_by = |name: &str, key: &str| {
            format!(
                "UPDATE approvals SET state = 'carried_out', given_by = '{name}', given_key = '{key}' WHERE id = {id}"
            )
        };
        assert!(
            raw_sql.run(&given_by("Ann", "ann")).await.is_err(),
            "the requester in other letters may give the approval"
        );
        raw_sql.run(&format!("BEGIN; {}; ROLLBACK", given_by("Ben", "ben"))).await.unwrap();
    }
    // Verify names a stored key that does not belong to its id.
    let id = raw_sql.id(&fund_approval);
    raw_sql.run(&format!("UPDATE approvals SET requested_key = 'ben' WHERE id = {id}")).await.unwrap();
    let (code, reports) = verify(&db, &["--programme", YEAR]);
    let named = reports[0]["differences"].to_string();
    assert!(code == 1 && named.contains("the key") && named.contains(&fund_approval), "{named}");
}

/// The actor claim is an e-mail address, which changes when the person's name changes. The claim `sub` does not change.
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
        assert_eq!(count_waiting(&channel, &renamed).await, 0);
        for own_token in [&renamed, &token("2", "ANN@example.org")] {
            let status = give(&channel, own_token, &approval).await.unwrap_err();
            assert_eq!(refusal_of(&status), (Code::PermissionDenied, "SELF_APPROVAL".to_owned()));
        }
        let ben = token("2", "ben@example.org");
        assert_eq!(count_waiting(&channel, &ben).await, 1);
        give(&channel, &ben, &approval).await.unwrap();
    });
}

/// Gives an approval with this token.
async fn give(channel: &Channel, token: &str, approval: &str) -> Result<(), tonic::Status> {
    let give = GiveApprovalRequest { request_id: fresh(), approval: approval.to_owned(), ..Default::default() };
    call(channel, "ApprovalService/GiveApproval", with_token(token, &give)).await.map(drop)
}

/// Returns the number of approvals that wait for the person with this token.
async fn count_waiting(channel: &Channel, token: &str) -> usize {
    let mine = ListApprovalsRequest { waiting_for_me: true, ..Default::default() };
    let listed = call(channel, "ApprovalService/ListApprovals", with_token(token, &mine)).await.unwrap();
    ListApprovalsResponse::decode(listed[0].clone()).unwrap().approvals.len()
}
