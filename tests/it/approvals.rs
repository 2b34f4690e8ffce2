//! What waits for a second person: listed, given once whoever is quickest, and still there after a restart.

use serde_json::{Value, json};
use tonic::{Code, Request};
use tsio::proto::approval_service_client::ApprovalServiceClient;
use tsio::proto::{GiveApprovalRequest, ListApprovalsRequest, Outcome, ReopenOfferRequest};
use uuid::Uuid;

use super::client::{Client, YEAR, fresh, of_school, reason};
use super::harness::{Db, Server, both};
use super::money::{balances, refusal};
use super::samples::{august, done, offer_id, offer_of, refused_for, said_by, summary, text, verified};

both!(one_of_two_second_people_carries_it_out, a_call_made_again_opens_no_second_one);

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
