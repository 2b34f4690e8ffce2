//! Every mistake in a filter, an order or a page token of a list by id is named.

use tsio::proto::referral_service_client::ReferralServiceClient;
use tsio::proto::{
    ListApprovalsRequest, ListAwardsRequest, ListFundsRequest, ListImportsRequest, ListReferralsRequest,
};

use super::wrong_fields;
use crate::client::Client;
use crate::harness::{Db, Server, both};

both!(every_mistake_is_named);

async fn every_mistake_is_named(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let (wrong, name) = ("colour = red AND state = LOST".to_owned(), "name".to_owned());
    let awards = ListAwardsRequest { filter: wrong.clone(), order_by: name.clone(), ..Default::default() };
    let refused = client.award_service().list_awards(client.ask(awards)).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["programme", "filter", "filter", "order_by"]);
    let request = ListReferralsRequest { filter: wrong.clone(), order_by: name.clone(), ..Default::default() };
    let mut service = ReferralServiceClient::new(client.channel());
    let refused = service.list_referrals(client.ask(request)).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["programme", "filter", "filter", "order_by"]);
    let request = ListApprovalsRequest { filter: wrong.clone(), order_by: name.clone(), ..Default::default() };
    let refused = client.approval_service().list_approvals(client.ask(request)).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["filter", "filter", "order_by"]);
    let request = ListImportsRequest { filter: wrong, order_by: name, kind: 77, ..Default::default() };
    let refused = client.register_service().list_imports(client.ask(request)).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["kind", "filter", "filter", "order_by"]);
    let wrong = "binds = perhaps AND available = much AND region = Wales AND strand : cred".to_owned();
    let request = ListFundsRequest { filter: wrong, ..Default::default() };
    let refused = client.fund_service().list_funds(client.ask(request)).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["filter"; 4], "{refused:?}");

    // A token is bound to its list.
    let plain = ListImportsRequest { page_size: 1, ..Default::default() };
    let plain = client.register_service().list_imports(client.ask(plain)).await.unwrap().into_inner();
    let other = ListApprovalsRequest { page_token: plain.next_page_token, ..Default::default() };
    let refused = client.approval_service().list_approvals(client.ask(other)).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["page_token"]);
    // A token is bound to its filter and its order.
    let mut request = ListImportsRequest { page_size: 1, filter: "rows > 0".to_owned(), ..Default::default() };
    let first = client.register_service().list_imports(client.ask(request.clone())).await.unwrap().into_inner();
    request.page_token = first.next_page_token;
    for (filter, order) in [("rows > 1", ""), ("rows > 0", "import_id"), ("", "")] {
        let request = ListImportsRequest { filter: filter.to_owned(), order_by: order.to_owned(), ..request.clone() };
        let refused = client.register_service().list_imports(client.ask(request)).await.unwrap_err();
        assert_eq!(wrong_fields(&refused), ["page_token"], "{filter} {order}");
    }
}
