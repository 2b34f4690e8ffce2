//! What waits for a second person: listed, given once whoever is quickest, and still there after a restart.

use serde_json::{Value, json};
use tonic::{Code, Request};
use tsio::proto::GiveApprovalRequest;
use tsio::proto::approval_service_client::ApprovalServiceClient;
use uuid::Uuid;

use super::harness::{Db, both};
use super::samples::{august, done, offer_id, offer_of, refused_for, said_by, summary, text};

both!(one_of_two_second_people_carries_it_out);

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

async fn give(url: String, actor: &'static str, approval: &str) -> Result<(), Code> {
    let mut client = ApprovalServiceClient::connect(url).await.unwrap();
    let request_id = Uuid::new_v4().to_string();
    let mut request = Request::new(GiveApprovalRequest { request_id, approval: approval.to_owned() });
    request.metadata_mut().insert("x-tsio-actor", actor.parse().unwrap());
    request.metadata_mut().insert("x-tsio-roles", "administrator".parse().unwrap());
    client.give_approval(request).await.map(drop).map_err(|status| status.code())
}
