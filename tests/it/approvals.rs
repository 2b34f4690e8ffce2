//! What waits for a second person: listed, given or denied once whoever is quickest, and still there after a restart.

use serde_json::{Value, json};
use tonic::{Code, Request};
use tsio::proto::approval_service_client::ApprovalServiceClient;
use tsio::proto::{
    ApprovalState, DenyApprovalRequest, GiveApprovalRequest, ListApprovalsRequest, Outcome, ReopenOfferRequest,
};
use uuid::Uuid;

use super::client::{Client, YEAR, fresh, of_school, reason};
use super::harness::{Db, Server, both};
use super::money::{balances, refusal};
use super::samples::{august, done, offer_id, offer_of, refused_for, said_by, summary, text, verified};

both!(
    one_of_two_second_people_carries_it_out,
    a_call_made_again_opens_no_second_one,
    what_is_denied_is_not_carried_out,
    giving_and_denying_at_once_end_in_one_of_them,
);

async fn one_of_two_second_people_carries_it_out(db: Db) {
    let mut server = august(&db);
    let offer = offer_id(&server, 910_001);
    let import = text(&done(&server, &["import", "list"])[0], "import_id");
    done(&server, &["offers", "close", &offer, "--outcome", "withdrawn"]);
    let asked = |words: &[&str]| {
        text(&refused_for(&server, "APPROVAL_REQUIRED", &said_by("ann", "administrator", words)), "approval")
    };
    let reopening = asked(&["offers", "reopen", &offer, "--reason", "a mistake"]);
    let withdrawal = asked(&["import", "withdraw", &import, "--reason", "wrong month"]);
    server.restart();
    let open = done(&server, &["approvals", "list"]);
    let wanted = json!([
        [withdrawal, "withdraw_import", import, "wrong month"],
        [reopening, "reopen_offer", offer, "a mistake"]
    ]);
    let fields = |it: &Value| json!([it["approval"], it["action"], it["subject"], it["reason"]]);
    let listed: Vec<_> = open.as_array().unwrap().iter().map(fields).collect();
    assert_eq!(json!(listed), wanted, "newest first, after a restart");

    for approval in [&reopening, &withdrawal] {
        let (one, other) = tokio::join!(give(server.url(), "bob", approval), give(server.url(), "cleo", approval));
        let codes = [one, other].map(|given| given.err());
        assert!(
            codes == [None, Some(Code::FailedPrecondition)] || codes == [Some(Code::FailedPrecondition), None],
            "{codes:?}"
        );
    }
    assert_eq!(offer_of(&server, 910_001)["state"], "identified");
    let reopened = done(&server, &["offers", "events", &offer]);
    assert_eq!(reopened.as_array().unwrap().iter().filter(|it| it["kind"] == "reopened").count(), 1);
    assert_eq!(summary(&server, "2021-22")[..2], [0, 0], "no month counts any more");
    let all = done(&server, &["approvals", "list", "--all"]);
    for approval in all.as_array().unwrap() {
        assert_eq!((&approval["state"], &approval["requested_by"]), (&json!("carried_out"), &json!("ann")));
        assert!(approval["given_by"] == "bob" || approval["given_by"] == "cleo", "{approval}");
    }
}

/// £60,000 is asked for and approved; whoever asks again under the same id, before or after, neither opens another
/// approval nor moves anything.
async fn a_call_made_again_opens_no_second_one(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let fund = client.made(YEAR, "credit", "").await;
    let (large, reopening) = (fresh(), fresh());
    let asked = client.allocate(&fund, 6_000_000, &large).await.unwrap_err();
    let approval = refusal(&asked).approval;
    assert_eq!((reason(&asked).as_str(), approval.is_empty()), ("APPROVAL_REQUIRED", false));
    let again = client.allocate(&fund, 6_000_000, &large).await.unwrap_err();
    assert_eq!((reason(&again).as_str(), refusal(&again).approval), ("APPROVAL_REQUIRED", approval.clone()));

    let offer = of_school(&offers, 910_003).offer.clone();
    client.close(&offer, Outcome::Withdrawn).await.unwrap();
    let reopen = || ReopenOfferRequest {
        request_id: reopening.clone(),
        offer: offer.clone(),
        reason: "in error".to_owned(),
        ..ReopenOfferRequest::default()
    };
    let asked = client.offers().reopen_offer(client.ask(reopen())).await.unwrap_err();
    assert_eq!(reason(&asked), "APPROVAL_REQUIRED");
    for approval in [approval, refusal(&asked).approval] {
        let given = GiveApprovalRequest { request_id: fresh(), approval, ..Default::default() };
        client.approvals().give_approval(client.named("bob").ask(given)).await.unwrap();
    }
    client.close(&offer, Outcome::Withdrawn).await.unwrap();

    server.restart();
    let client = Client::of(&server).await;
    let again = client.allocate(&fund, 6_000_000, &large).await.unwrap_err();
    assert_eq!(reason(&again), "APPROVAL_NOT_OPEN", "{again:?}");
    let again = client.offers().reopen_offer(client.ask(reopen())).await.unwrap_err();
    assert_eq!(reason(&again), "APPROVAL_NOT_OPEN", "{again:?}");
    let list = ListApprovalsRequest { include_closed: true, ..ListApprovalsRequest::default() };
    let list = client.approvals().list_approvals(client.ask(list)).await.unwrap().into_inner().approvals;
    assert_eq!(list.len(), 2, "{list:?}");
    assert_eq!(balances(&client.fund(&fund).await), [6_000_000, 0, 0, 6_000_000], "once");
    // Under an id of its own, or by somebody else, it is another asking.
    for other in [
        client.allocate(&fund, 6_000_000, &fresh()).await,
        client.named("ann").allocate(&fund, 6_000_000, &large).await,
    ] {
        assert_eq!(reason(&other.unwrap_err()), "APPROVAL_REQUIRED");
    }
    drop(server);
    verified(&db);
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

/// Whoever denies says why; nothing moves, the books prove it, and the same call made again opens no other approval.
async fn what_is_denied_is_not_carried_out(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let fund = client.made(YEAR, "credit", "").await;
    let large = fresh();
    let approval = refusal(&client.allocate(&fund, 6_000_000, &large).await.unwrap_err()).approval;
    let deny = |reason: &str| DenyApprovalRequest {
        request_id: fresh(),
        approval: approval.clone(),
        reason: reason.to_owned(),
        ..Default::default()
    };
    let own = client.approvals().deny_approval(client.ask(deny("changed my mind"))).await.unwrap_err();
    assert_eq!((own.code(), reason(&own).as_str()), (Code::PermissionDenied, "SELF_APPROVAL"));
    let bob = client.named("bob");
    let wordless = bob.approvals().deny_approval(bob.ask(deny("  "))).await.unwrap_err();
    assert_eq!((wordless.code(), reason(&wordless).as_str()), (Code::InvalidArgument, "FIELD_VIOLATIONS"));
    let no = deny("not this year");
    let denied = bob.approvals().deny_approval(bob.ask(no.clone())).await.unwrap().into_inner();
    let told = denied.approval.clone().unwrap();
    assert_eq!((told.state(), told.given_by.as_str()), (ApprovalState::Denied, "bob"));
    assert_eq!(told.denied_reason, "", "no free text in a stored answer");

    server.restart();
    let (client, bob) = (Client::of(&server).await, Client::of(&server).await.named("bob"));
    assert_eq!(bob.approvals().deny_approval(bob.ask(no)).await.unwrap().into_inner(), denied);
    let give = GiveApprovalRequest { request_id: fresh(), approval: approval.clone(), ..Default::default() };
    let late = bob.approvals().give_approval(bob.ask(give)).await.unwrap_err();
    assert_eq!((late.code(), reason(&late).as_str()), (Code::FailedPrecondition, "APPROVAL_NOT_OPEN"));
    assert_eq!(reason(&client.allocate(&fund, 6_000_000, &large).await.unwrap_err()), "APPROVAL_NOT_OPEN");
    assert_eq!(balances(&client.fund(&fund).await), [0; 4], "nothing moved");
    let waiting = async |include_closed| {
        let all = ListApprovalsRequest { include_closed, ..Default::default() };
        client.approvals().list_approvals(client.ask(all)).await.unwrap().into_inner().approvals
    };
    assert_eq!(waiting(false).await, []);
    let closed = waiting(true).await;
    let shown: Vec<_> = closed.iter().map(|it| (it.state(), it.denied_reason.as_str())).collect();
    assert_eq!(shown, [(ApprovalState::Denied, "not this year")]);
    let anew = client.allocate(&fund, 6_000_000, &fresh()).await.unwrap_err();
    assert_eq!((reason(&anew).as_str(), refusal(&anew).approval == approval), ("APPROVAL_REQUIRED", false));
    drop(server);
    verified(&db);
}

/// Of one who gives and one who denies at the same moment, exactly one does.
async fn giving_and_denying_at_once_end_in_one_of_them(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let fund = client.made(YEAR, "credit", "").await;
    let (bob, cleo) = (client.named("bob"), client.named("cleo"));
    let mut given = 0;
    for _ in 0..8 {
        let approval = refusal(&client.allocate(&fund, 6_000_000, &fresh()).await.unwrap_err()).approval;
        let give = GiveApprovalRequest { request_id: fresh(), approval: approval.clone(), ..Default::default() };
        let deny = DenyApprovalRequest { request_id: fresh(), approval, reason: "no".to_owned(), ..Default::default() };
        let (mut giving, mut denying) = (bob.approvals(), cleo.approvals());
        let (gave, denied) = tokio::join!(giving.give_approval(bob.ask(give)), denying.deny_approval(cleo.ask(deny)));
        assert!(gave.is_ok() != denied.is_ok(), "{gave:?} {denied:?}");
        let refused = gave.as_ref().err().or(denied.as_ref().err()).unwrap();
        assert_eq!(reason(refused), "APPROVAL_NOT_OPEN");
        given += i64::from(gave.is_ok());
    }
    assert_eq!(balances(&client.fund(&fund).await), [6_000_000 * given, 0, 0, 6_000_000 * given]);
    drop(server);
    verified(&db);
}
