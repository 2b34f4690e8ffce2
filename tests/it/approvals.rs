//! Approvals are listed, and are given or denied exactly once. They are still open after a restart.

use serde_json::{Value, json};
use tonic::{Code, Request};
use tsio::proto::approval_service_client::ApprovalServiceClient;
use tsio::proto::{
    ApprovalState, DenyApprovalRequest, GiveApprovalRequest, ListApprovalsRequest, OfferState, Outcome,
    ReleaseAwardRequest, ReopenOfferRequest, WithdrawFundRequest,
};
use uuid::Uuid;

use super::client::{Client, YEAR, fresh, offer_of_school, reason};
use super::harness::{Db, Server, both};
use super::money::{balances, credit, refusal};
use super::raw_sql::{RawSql, verify};
use super::samples::{
    as_person, offer_id, offer_of, run_filed, run_ok, run_refused_for, start_with_august, summary, text, verify_ok,
};

both!(
    exactly_one_of_two_approvers_carries_out_the_action,
    a_repeated_call_opens_no_second_approval,
    a_denied_call_is_not_carried_out,
    only_one_of_giving_and_denying_succeeds,
    an_approval_does_no_more_than_it_states,
    only_the_requester_withdraws_an_approval,
    an_expired_approval_is_shown_as_expired,
);

async fn exactly_one_of_two_approvers_carries_out_the_action(db: Db) {
    let mut server = start_with_august(&db);
    let offer = offer_id(&server, 910_001);
    let import = text(&run_ok(&server, &["import", "list"])[0], "import_id");
    run_ok(&server, &["offers", "close", &offer, "--outcome", "withdrawn"]);
    let request_approval =
        |words: &[&str]| text(&run_filed(&server, &as_person("ann", "administrator", words)), "approval");
    let reopening = request_approval(&["offers", "reopen", &offer, "--reason", "a mistake"]);
    let withdrawal = request_approval(&["import", "withdraw", &import, "--reason", "wrong month"]);
    server.restart();
    let open = run_ok(&server, &["approvals", "list"]);
    let expected = json!([
        [withdrawal, "withdraw_import", import, "wrong month"],
        [reopening, "reopen_offer", offer, "a mistake"]
    ]);
    let fields = |it: &Value| json!([it["approval"], it["action"], it["subject"], it["reason"]]);
    let listed: Vec<_> = open.as_array().unwrap().iter().map(fields).collect();
    assert_eq!(json!(listed), expected, "newest first, after a restart");

    // The withdrawal is approved first. After the reopening it would affect an offer that its approval does not state.
    for approval in [&withdrawal, &reopening] {
        let (first, second) = tokio::join!(give(server.url(), "bob", approval), give(server.url(), "cleo", approval));
        let codes = [first, second].map(|outcome| outcome.err());
        assert!(
            codes == [None, Some(Code::FailedPrecondition)] || codes == [Some(Code::FailedPrecondition), None],
            "{codes:?}"
        );
    }
    assert_eq!(offer_of(&server, 910_001)["state"], "identified");
    let reopened = run_ok(&server, &["offers", "events", &offer]);
    assert_eq!(reopened.as_array().unwrap().iter().filter(|it| it["kind"] == "reopened").count(), 1);
    assert_eq!(summary(&server, "2021-22")[..2], [0, 0], "no month counts any more");
    let all = run_ok(&server, &["approvals", "list", "--all"]);
    for approval in all.as_array().unwrap() {
        assert_eq!((&approval["state"], &approval["requested_by"]), (&json!("carried_out"), &json!("ann")));
        assert!(approval["given_by"] == "bob" || approval["given_by"] == "cleo", "{approval}");
    }
}

/// A call for £60,000 is approved. Repeating the call under the same id, before or after the approval is given, opens
/// no second approval and moves no money.
async fn a_repeated_call_opens_no_second_approval(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let fund = client.create_fund(YEAR, "credit", "").await;
    let (allocation_id, reopening_id) = (fresh(), fresh());
    let refused = client.allocate(&fund, 6_000_000, &allocation_id).await.unwrap_err();
    let approval = refusal(&refused).approval;
    assert_eq!((reason(&refused).as_str(), approval.is_empty()), ("APPROVAL_REQUIRED", false));
    let again = client.allocate(&fund, 6_000_000, &allocation_id).await.unwrap_err();
    assert_eq!((reason(&again).as_str(), refusal(&again).approval), ("APPROVAL_REQUIRED", approval.clone()));

    let offer = offer_of_school(&offers, 910_003).offer.clone();
    client.close(&offer, Outcome::Withdrawn).await.unwrap();
    let reopen = || ReopenOfferRequest {
        request_id: reopening_id.clone(),
        offer: offer.clone(),
        reason: "in error".to_owned(),
        ..ReopenOfferRequest::default()
    };
    let refused = client.offers().reopen_offer(client.ask(reopen())).await.unwrap_err();
    assert_eq!(reason(&refused), "APPROVAL_REQUIRED");
    for approval in [approval, refusal(&refused).approval] {
        let given = GiveApprovalRequest { request_id: fresh(), approval, ..Default::default() };
        client.approval_service().give_approval(client.named("bob").ask(given)).await.unwrap();
    }
    client.close(&offer, Outcome::Withdrawn).await.unwrap();

    server.restart();
    let client = Client::of(&server).await;
    // A repeated call gets the answer of a call that needs no approval. Its fund or offer is as of the time at which
    // the action was carried out.
    let again = client.allocate(&fund, 6_000_000, &allocation_id).await.unwrap();
    assert_eq!(balances(&again.fund.clone().unwrap()), [6_000_000, 0, 0, 6_000_000]);
    assert_eq!(
        client.allocate(&fund, 6_000_000, &allocation_id).await.unwrap(),
        again,
        "the third call gets the same answer"
    );
    let again = client.offers().reopen_offer(client.ask(reopen())).await.unwrap().into_inner().offer.unwrap();
    assert_eq!((again.offer.as_str(), again.state()), (offer.as_str(), OfferState::Identified));
    let list = ListApprovalsRequest { include_closed: true, ..ListApprovalsRequest::default() };
    let list = client.approval_service().list_approvals(client.ask(list)).await.unwrap().into_inner().approvals;
    assert_eq!(list.len(), 2, "{list:?}");
    assert_eq!(balances(&client.fund(&fund).await), [6_000_000, 0, 0, 6_000_000], "allocated once");
    // The id of the call cannot be used for another body, or for another method.
    for taken in [
        client.allocate(&fund, 6_000_001, &allocation_id).await.map(drop).unwrap_err(),
        client.note(&offer, "under the id of an approval", &allocation_id).await.map(drop).unwrap_err(),
    ] {
        assert_eq!((taken.code(), reason(&taken).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    }
    // The same call under a new id, or by another caller, opens another approval.
    for other in [
        client.allocate(&fund, 6_000_000, &fresh()).await,
        client.named("ann").allocate(&fund, 6_000_000, &allocation_id).await,
    ] {
        assert_eq!(reason(&other.unwrap_err()), "APPROVAL_REQUIRED");
    }
    drop(server);
    verify_ok(&db);
}

async fn give(url: String, actor: &'static str, approval: &str) -> Result<(), Code> {
    let mut client = ApprovalServiceClient::connect(url).await.unwrap();
    let request_id = Uuid::new_v4().to_string();
    let mut request =
        Request::new(GiveApprovalRequest { request_id, approval: approval.to_owned(), ..Default::default() });
    request.metadata_mut().insert("x-tsio-actor", actor.parse().unwrap());
    request.metadata_mut().insert("x-tsio-roles", "administrator".parse().unwrap());
    client.give_approval(request).await.map(drop).map_err(|status| status.code())
}

/// A denial needs a reason. No money moves, the record verifies, and the repeated call is refused as closed.
async fn a_denied_call_is_not_carried_out(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let fund = client.create_fund(YEAR, "credit", "").await;
    let allocation_id = fresh();
    let approval = refusal(&client.allocate(&fund, 6_000_000, &allocation_id).await.unwrap_err()).approval;
    let deny = |reason: &str| DenyApprovalRequest {
        request_id: fresh(),
        approval: approval.clone(),
        reason: reason.to_owned(),
        ..Default::default()
    };
    let own = client.approval_service().deny_approval(client.ask(deny("changed my mind"))).await.unwrap_err();
    assert_eq!((own.code(), reason(&own).as_str()), (Code::PermissionDenied, "SELF_APPROVAL"));
    let bob = client.named("bob");
    let without_reason = bob.approval_service().deny_approval(bob.ask(deny("  "))).await.unwrap_err();
    assert_eq!((without_reason.code(), reason(&without_reason).as_str()), (Code::InvalidArgument, "FIELD_VIOLATIONS"));
    let denial = deny("not this year");
    let denied = bob.approval_service().deny_approval(bob.ask(denial.clone())).await.unwrap().into_inner();
    let approval_shown = denied.approval.clone().unwrap();
    assert_eq!((approval_shown.state(), approval_shown.given_by.as_str()), (ApprovalState::Denied, "bob"));
    assert_eq!(approval_shown.denied_reason, "", "a stored answer has no free text");

    server.restart();
    let (client, bob) = (Client::of(&server).await, Client::of(&server).await.named("bob"));
    assert_eq!(bob.approval_service().deny_approval(bob.ask(denial)).await.unwrap().into_inner(), denied);
    let give = GiveApprovalRequest { request_id: fresh(), approval: approval.clone(), ..Default::default() };
    let late = bob.approval_service().give_approval(bob.ask(give)).await.unwrap_err();
    assert_eq!((late.code(), reason(&late).as_str()), (Code::FailedPrecondition, "APPROVAL_NOT_OPEN"));
    assert_eq!(reason(&client.allocate(&fund, 6_000_000, &allocation_id).await.unwrap_err()), "APPROVAL_CLOSED");
    assert_eq!(balances(&client.fund(&fund).await), [0; 4], "no money moved");
    let list = async |include_closed| {
        let all = ListApprovalsRequest { include_closed, ..Default::default() };
        client.approval_service().list_approvals(client.ask(all)).await.unwrap().into_inner().approvals
    };
    assert_eq!(list(false).await, []);
    let closed = list(true).await;
    let shown: Vec<_> = closed.iter().map(|it| (it.state(), it.denied_reason.as_str())).collect();
    assert_eq!(shown, [(ApprovalState::Denied, "not this year")]);
    let again = client.allocate(&fund, 6_000_000, &fresh()).await.unwrap_err();
    assert_eq!((reason(&again).as_str(), refusal(&again).approval == approval), ("APPROVAL_REQUIRED", false));
    drop(server);
    verify_ok(&db);
}

/// Two people give and deny the same approval at the same time: exactly one of them succeeds.
async fn only_one_of_giving_and_denying_succeeds(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let fund = client.create_fund(YEAR, "credit", "").await;
    let (bob, cleo) = (client.named("bob"), client.named("cleo"));
    let mut given = 0;
    for _ in 0..8 {
        let approval = refusal(&client.allocate(&fund, 6_000_000, &fresh()).await.unwrap_err()).approval;
        let give = GiveApprovalRequest { request_id: fresh(), approval: approval.clone(), ..Default::default() };
        let deny = DenyApprovalRequest { request_id: fresh(), approval, reason: "no".to_owned(), ..Default::default() };
        let (mut giving, mut denying) = (bob.approval_service(), cleo.approval_service());
        let (giving_result, denying_result) =
            tokio::join!(giving.give_approval(bob.ask(give)), denying.deny_approval(cleo.ask(deny)));
        assert!(giving_result.is_ok() != denying_result.is_ok(), "{giving_result:?} {denying_result:?}");
        let refused = giving_result.as_ref().err().or(denying_result.as_ref().err()).unwrap();
        assert_eq!(reason(refused), "APPROVAL_NOT_OPEN");
        given += i64::from(giving_result.is_ok());
    }
    assert_eq!(balances(&client.fund(&fund).await), [6_000_000 * given, 0, 0, 6_000_000 * given]);
    drop(server);
    verify_ok(&db);
}

/// The approval is for a withdrawal that leaves one penny less than the committed amount. Another £4,000 are awarded
/// before the approval is given. The withdrawal would then leave the fund shorter than the approval states.
async fn an_approval_does_no_more_than_it_states(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let (first, second) = (offer_of_school(&offers, 910_001), offer_of_school(&offers, 910_003));
    for offer in [first, second] {
        client.accept_offer(offer).await;
    }
    let fund = client.create_fund_with(YEAR, "credit", 2_000_000).await;
    client.create_award(&first.offer, credit(600_000)).await;
    let withdraw = WithdrawFundRequest {
        request_id: fresh(),
        fund: fund.clone(),
        amount_pence: 1_400_001,
        over_commit: true,
        ..Default::default()
    };
    let approval = refusal(&client.fund_service().withdraw_fund(client.ask(withdraw)).await.unwrap_err()).approval;
    let bob = client.named("bob");
    let listed =
        bob.approval_service().list_approvals(bob.ask(ListApprovalsRequest::default())).await.unwrap().into_inner();
    let [open] = listed.approvals.as_slice() else { panic!("{listed:?}") };
    let [statement] = open.funds.as_slice() else { panic!("{open:?}") };
    let numbers = [statement.allocated_before, statement.allocated_after, statement.committed, statement.spent];
    assert_eq!((statement.fund.as_str(), numbers), (fund.as_str(), [2_000_000, 599_999, 600_000, 0]));
    assert_eq!((statement.available_before, statement.available_after), (1_400_000, -1));
    assert!(open.expire_time.unwrap().seconds - open.request_time.unwrap().seconds == 30 * 86_400, "{open:?}");

    let award = client.create_award(&second.offer, credit(400_000)).await;
    let give = || GiveApprovalRequest { request_id: fresh(), approval: approval.clone(), ..Default::default() };
    let refused = bob.approval_service().give_approval(bob.ask(give())).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "APPROVAL_EXCEEDED"));
    assert!(refused.message().contains("£0.01 short; it would be £4,000.01 short now"), "{refused:?}");
    let limit = refusal(&refused).limits.remove(0);
    assert_eq!((limit.available, limit.requested, limit.largest), (Some(1_000_000), Some(1_400_001), Some(1_000_001)));
    assert_eq!(balances(&client.fund(&fund).await), [2_000_000, 1_000_000, 0, 1_000_000], "no money moved");

    // The approval is still open. After a release the withdrawal again does only what the approval states.
    let release = ReleaseAwardRequest { request_id: fresh(), award, ..Default::default() };
    client.award_service().release_award(client.ask(release)).await.unwrap();
    bob.approval_service().give_approval(bob.ask(give())).await.unwrap();
    assert_eq!(balances(&client.fund(&fund).await), [599_999, 600_000, 0, -1]);
    drop(server);
    verify_ok(&db);
}

async fn only_the_requester_withdraws_an_approval(db: Db) {
    let server = start_with_august(&db);
    let fund = text(&run_ok(&server, &["funds", "list"])[0], "fund");
    let import = text(&run_ok(&server, &["import", "list"])[0], "import_id");
    let id = fresh();
    let allocate = ["funds", "allocate", &fund, "60000", "--on", "2021-10-01", "--request-id", &id];
    let of_allocation = text(&run_filed(&server, &as_person("ann", "finance", &allocate)), "approval");
    let withdraw = ["import", "withdraw", &import, "--reason", "wrong month"];
    let of_import = text(&run_filed(&server, &as_person("ann", "administrator", &withdraw)), "approval");
    for (approval, roles) in [(&of_allocation, "finance"), (&of_import, "administrator")] {
        let withdraw_approval = ["approvals", "withdraw", approval];
        run_refused_for(&server, "APPROVAL_OF_ANOTHER", &as_person("ben", roles, &withdraw_approval));
        let withdrawn = run_ok(&server, &as_person("ann", roles, &withdraw_approval));
        assert_eq!((&withdrawn["state"], &withdrawn["given_by"]), (&json!("withdrawn"), &Value::Null));
        run_refused_for(&server, "APPROVAL_NOT_OPEN", &as_person("ann", roles, &withdraw_approval));
        let give = ["approvals", "give", approval];
        run_refused_for(&server, "APPROVAL_NOT_OPEN", &as_person("ben", "finance-approver,administrator", &give));
    }
    run_refused_for(&server, "APPROVAL_CLOSED", &as_person("ann", "finance", &allocate));
    assert_eq!(run_ok(&server, &["approvals", "list"]), json!([]));
    let withdrawn = run_ok(&server, &["approvals", "list", "--all", "--filter", "state = withdrawn"]);
    assert_eq!(withdrawn.as_array().unwrap().len(), 2);
    drop(server);
    verify_ok(&db);
}

/// The test moves the expiry of the approval into the past.
async fn an_expired_approval_is_shown_as_expired(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let fund = client.create_fund(YEAR, "credit", "").await;
    let approval = refusal(&client.allocate(&fund, 6_000_000, &fresh()).await.unwrap_err()).approval;
    RawSql::of(&db).await.run("UPDATE approvals SET expires_at = requested_at").await.unwrap();
    assert_eq!(run_ok(&server, &["approvals", "list"]), json!([]));
    for (filter, expected) in
        [("state = expired", 1), ("state = open", 0), ("state != open", 1), ("state != expired", 0)]
    {
        let listed = run_ok(&server, &["approvals", "list", "--all", "--filter", filter]);
        assert_eq!(listed.as_array().unwrap().len(), expected, "{filter}");
    }
    let give = ["approvals", "give", &approval];
    let late = run_refused_for(&server, "APPROVAL_NOT_OPEN", &as_person("bob", "finance-approver", &give));
    assert!(late["message"].as_str().unwrap().contains("has expired"), "{late}");
    // A new call opens another approval.
    let again = refusal(&client.allocate(&fund, 6_000_000, &fresh()).await.unwrap_err()).approval;
    assert_ne!(again, approval);
    // `tsio verify` names the changed expiry, because it differs from the record.
    let (code, reports) = verify(&db, &["--programme", YEAR]);
    assert!(code == 1 && reports.to_string().contains("expiry"), "{reports:#}");
}
