//! Offers that awards can be made under, a fund that can pay for them, and the calls that move its money: all of it
//! through the product, as its users would.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt as _};
use tsio::proto::approval_service_client::ApprovalServiceClient;
use tsio::proto::award_service_client::AwardServiceClient;
use tsio::proto::fund_service_client::FundServiceClient;
use tsio::proto::{Acceptor, GiveApprovalRequest, ListApprovalsRequest, ListOffersRequest, Party, draw_award_request};
use tsio_test_support::caller::Named;
use tsio_test_support::messages::{self, fresh};

use super::{Client, approver, finance, fixture_data, officer};

/// The programme of everything here.
const PROGRAMME: &str = "2021-22";
/// Calls in flight while a database is prepared.
const AT_ONCE: usize = 256;
/// Offers of one contact: what the contract allows.
const CONTACTED: usize = 500;
/// In pence: £200 million, as much as all caps of 20,000 offers together.
const ALLOCATED: i64 = 20_000_000_000;
/// Days of the programme, in the order of an offer's life.
const BODY_TOLD: &str = "2021-10-01";
const SCHOOL_TOLD: &str = "2021-10-04";
const ACCEPTED: &str = "2021-10-11";
const AWARDED: &str = "2021-11-01";
const STARTED: &str = "2021-11-08";
const CLAIMED: &str = "2021-12-01";

/// Accepted offers, walked through again and again: so many of them that a caller has done with one long before the
/// next comes to it.
pub(crate) struct Offers {
    ids: Vec<String>,
    next: AtomicUsize,
}

impl Offers {
    pub(crate) fn new(ids: Vec<String>) -> Arc<Self> {
        Arc::new(Self { ids, next: AtomicUsize::new(0) })
    }

    fn next(&self) -> String {
        self.ids[self.next.fetch_add(1, Ordering::Relaxed) % self.ids.len()].clone()
    }
}

/// Makes so many maintained schools eligible, has them told and accept, and fills the credit fund. Answers the offers.
pub(crate) async fn prepare(clients: &[Client], schools: u32) -> Vec<String> {
    clients[0].import_register(fixture_data::partner(), "2021-08-31").await;
    clients[0].import_ofsted(fixture_data::eligible(schools), "2021-08-31").await;
    let created = clients[0].identify().await;
    assert_eq!(u32::try_from(created), Ok(schools), "every school has an offer");
    let offers = clients[0].all_offers().await;
    for told in offers.chunks(CONTACTED) {
        clients[0].contact(told, Party::ResponsibleBody, BODY_TOLD).await;
        clients[0].contact(told, Party::School, SCHOOL_TOLD).await;
    }
    at_once(clients, offers.iter().cloned(), |client, offer| async move { client.accept(offer).await }).await;
    clients[0].fill_fund().await;
    offers
}

/// Does something with each of these, many at the same time, spread over the connections; answers in no order.
pub(crate) async fn at_once<T, A, R: Future<Output = A>>(
    clients: &[Client],
    things: impl Iterator<Item = T>,
    act: impl Fn(Client, T) -> R,
) -> Vec<A> {
    let acts = things.zip(clients.iter().cycle()).map(|(thing, client)| act(client.clone(), thing));
    stream::iter(acts).buffer_unordered(AT_ONCE).collect().await
}

impl Client {
    fn awards(&self) -> AwardServiceClient<Named> {
        AwardServiceClient::with_interceptor(self.0.clone(), officer())
    }

    async fn all_offers(&self) -> Vec<String> {
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let programme = PROGRAMME.to_owned();
            let request = ListOffersRequest { programme, page_size: 500, page_token, ..Default::default() };
            let page = self.offers().list_offers(request).await.expect("listed").into_inner();
            ids.extend(page.offers.into_iter().map(|it| it.offer));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return ids;
            }
        }
    }

    async fn contact(&self, offers: &[String], party: Party, date: &str) {
        let request = messages::contact(offers.iter().map(String::as_str), party, date);
        self.offers().contact_offers(request).await.expect("contacted");
    }

    async fn accept(&self, offer: String) {
        self.offers().accept_offer(messages::accept(&offer, Acceptor::School, ACCEPTED)).await.expect("accepted");
    }

    /// Makes the national credit fund and has two people fill it.
    async fn fill_fund(&self) {
        let mut funds = FundServiceClient::with_interceptor(self.0.clone(), finance());
        let made = funds.create_fund(messages::fund(PROGRAMME, "credit", "")).await.expect("made").into_inner();
        let fund = made.fund.expect("the fund").fund;
        let refused = funds
            .allocate_fund(messages::allocate(&fund, ALLOCATED, BODY_TOLD))
            .await
            .expect_err("so much needs a second person");
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused:?}");
        let mut approvals = ApprovalServiceClient::with_interceptor(self.0.clone(), approver());
        let open = approvals.list_approvals(ListApprovalsRequest::default()).await.expect("listed").into_inner();
        let asked = open.approvals.into_iter().find(|it| it.subject == fund).expect("an approval was opened");
        let request = GiveApprovalRequest { request_id: fresh(), approval: asked.approval, ..Default::default() };
        let given = approvals.give_approval(request).await.expect("given").into_inner();
        assert_eq!(given.funds.first().map(|it| it.available), Some(ALLOCATED), "the money is there");
    }

    /// Awards credit in pence; answers the award's id.
    pub(crate) async fn award(&self, offer: String, amount: i64) -> String {
        let credit = messages::credit(fixture_data::PARTNER, amount, "An invented reason of an ordinary length.");
        let made = self
            .awards()
            .create_awards(messages::award(&offer, vec![credit], AWARDED))
            .await
            .expect("awarded")
            .into_inner();
        made.awards.into_iter().next().expect("the award").award
    }

    /// Begins delivery.
    pub(crate) async fn start(&self, offer: String) {
        self.offers().start_offer(messages::start(&offer, STARTED)).await.expect("started");
    }

    /// Pays a claim of so many pence.
    pub(crate) async fn draw(&self, award: String, pence: i64) {
        let request = messages::draw(&award, draw_award_request::Amount::AmountPence(pence), CLAIMED);
        let mut awards = AwardServiceClient::with_interceptor(self.0.clone(), finance());
        awards.draw_award(request).await.expect("drawn");
    }
}

/// A caller that awards one pound of credit, under one offer after the other.
pub(crate) fn one_pound(
    clients: &[Client],
    caller: usize,
    offers: &Arc<Offers>,
) -> impl FnMut() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + 'static {
    let (client, offers) = (clients[caller % clients.len()].clone(), Arc::clone(offers));
    move || {
        let (client, offer) = (client.clone(), offers.next());
        Box::pin(async move {
            client.award(offer, 100).await;
        })
    }
}
