//! Makes accepted offers, a fund with money, and awards and draws. All of it goes through the service, as its users do it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt as _};
use tsio::proto::approval_service_client::ApprovalServiceClient;
use tsio::proto::award_service_client::AwardServiceClient;
use tsio::proto::fund_service_client::FundServiceClient;
use tsio::proto::{Acceptor, GiveApprovalRequest, ListApprovalsRequest, ListOffersRequest, Party, draw_award_request};
use tsio_test_support::caller::Named;
use tsio_test_support::messages::{self, fresh};

use super::{Client, PROGRAMME, approver, finance, fixture_data, officer};

/// The number of concurrent requests while a database is prepared.
const CONCURRENT_REQUESTS: usize = 256;
/// The number of offers in one request that records contacts: the most that the contract allows.
const OFFERS_PER_CONTACT: usize = 500;
/// The money of the fund, in pence: £200 million, which is the sum of the credit caps of 20,000 offers.
const ALLOCATED_PENCE: i64 = 20_000_000_000;
/// The date on which the responsible body is contacted. The dates below follow in the order of the steps of an offer.
const BODY_CONTACTED: &str = "2021-10-01";
const SCHOOL_CONTACTED: &str = "2021-10-04";
const ACCEPTED: &str = "2021-10-11";
const AWARDED: &str = "2021-11-01";
const STARTED: &str = "2021-11-08";
const CLAIMED: &str = "2021-12-01";

/// Accepted offers, which callers take in turn, again and again. There must be enough of them that two callers never use the
/// same offer at the same time.
pub(crate) struct Offers {
    ids: Vec<String>,
    next_index: AtomicUsize,
}

impl Offers {
    pub(crate) fn new(ids: Vec<String>) -> Arc<Self> {
        Arc::new(Self { ids, next_index: AtomicUsize::new(0) })
    }

    /// Returns the id of the next offer.
    fn take_next(&self) -> String {
        self.ids[self.next_index.fetch_add(1, Ordering::Relaxed) % self.ids.len()].clone()
    }
}

/// Makes this number of maintained schools eligible, and prepares [`PROGRAMME`] as [`prepare_programme`] does. Returns the ids of
/// the offers.
pub(crate) async fn prepare(clients: &[Client], schools: u32) -> Vec<String> {
    import_schools(&clients[0], schools).await;
    prepare_programme(clients, PROGRAMME, schools).await
}

/// Makes this number of maintained schools eligible in every programme.
pub(crate) async fn import_schools(client: &Client, schools: u32) {
    client.import_register(fixture_data::partner(), "2021-08-31").await;
    client.import_ofsted(fixture_data::eligible(schools), "2021-08-31").await;
}

/// Identifies this number of offers in a programme, records the contacts and the acceptance of each offer, and fills the
/// programme's credit fund. Returns the ids of the offers.
pub(crate) async fn prepare_programme(clients: &[Client], programme: &str, schools: u32) -> Vec<String> {
    let created = clients[0].identify(programme).await;
    assert_eq!(u32::try_from(created), Ok(schools), "every school has an offer");
    let offers = clients[0].all_offers(programme).await;
    for batch in offers.chunks(OFFERS_PER_CONTACT) {
        clients[0].contact(batch, Party::ResponsibleBody, BODY_CONTACTED).await;
        clients[0].contact(batch, Party::School, SCHOOL_CONTACTED).await;
    }
    run_concurrently(clients, offers.iter().cloned(), |client, offer| async move { client.accept(offer).await }).await;
    clients[0].fill_fund(programme).await;
    offers
}

/// The amount of the awards that are measured.
const ONE_POUND_PENCE: i64 = 100;

/// Calls `operation` for each item, many at the same time, with the clients in turn. Returns the results in any order.
pub(crate) async fn run_concurrently<T, A, R: Future<Output = A>>(
    clients: &[Client],
    items: impl Iterator<Item = T>,
    operation: impl Fn(Client, T) -> R,
) -> Vec<A> {
    let operations = items.zip(clients.iter().cycle()).map(|(item, client)| operation(client.clone(), item));
    stream::iter(operations).buffer_unordered(CONCURRENT_REQUESTS).collect().await
}

impl Client {
    fn awards(&self) -> AwardServiceClient<Named> {
        AwardServiceClient::with_interceptor(self.0.clone(), officer())
    }

    /// Reads the ids of all offers of a programme, page by page.
    async fn all_offers(&self, programme: &str) -> Vec<String> {
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let programme = programme.to_owned();
            let request = ListOffersRequest { programme, page_size: 500, page_token, ..Default::default() };
            let page = self.offers().list_offers(request).await.expect("the list is read").into_inner();
            ids.extend(page.offers.into_iter().map(|it| it.offer));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return ids;
            }
        }
    }

    async fn contact(&self, offers: &[String], party: Party, date: &str) {
        let request = messages::contact(offers.iter().map(String::as_str), party, date);
        self.offers().contact_offers(request).await.expect("the contact is recorded");
    }

    async fn accept(&self, offer: String) {
        self.offers()
            .accept_offer(messages::accept(&offer, Acceptor::School, ACCEPTED))
            .await
            .expect("the offer is accepted");
    }

    /// Makes the national credit fund, and allocates money to it, which a second person approves.
    async fn fill_fund(&self, programme: &str) {
        let mut funds = FundServiceClient::with_interceptor(self.0.clone(), finance());
        let created =
            funds.create_fund(messages::fund(programme, "credit", "")).await.expect("the fund is created").into_inner();
        let fund = created.fund.expect("the answer has the fund").fund;
        let refused = funds
            .allocate_fund(messages::allocate(&fund, ALLOCATED_PENCE, BODY_CONTACTED))
            .await
            .expect_err("this amount needs a second person");
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused:?}");
        let mut approvals = ApprovalServiceClient::with_interceptor(self.0.clone(), approver());
        let open =
            approvals.list_approvals(ListApprovalsRequest::default()).await.expect("the list is read").into_inner();
        let approval = open.approvals.into_iter().find(|it| it.subject == fund).expect("an approval is open");
        let request = GiveApprovalRequest { request_id: fresh(), approval: approval.approval, ..Default::default() };
        let given = approvals.give_approval(request).await.expect("the approval is given").into_inner();
        assert_eq!(given.funds.first().map(|it| it.available), Some(ALLOCATED_PENCE), "the fund has the money");
    }

    /// Makes an award of credit. Returns the id of the award.
    pub(crate) async fn award(&self, offer: String, pence: i64) -> String {
        let credit = messages::credit(fixture_data::PARTNER, pence, "An invented reason of an ordinary length.");
        let created = self
            .awards()
            .create_awards(messages::award(&offer, vec![credit], AWARDED))
            .await
            .expect("the award is made")
            .into_inner();
        created.awards.into_iter().next().expect("the answer has the award").award
    }

    /// Starts the delivery of an offer.
    pub(crate) async fn start(&self, offer: String) {
        self.offers().start_offer(messages::start(&offer, STARTED)).await.expect("the offer is started");
    }

    /// Pays a claim of this amount.
    pub(crate) async fn draw(&self, award: String, pence: i64) {
        let request = messages::draw(&award, draw_award_request::Amount::AmountPence(pence), CLAIMED);
        let mut awards = AwardServiceClient::with_interceptor(self.0.clone(), finance());
        awards.draw_award(request).await.expect("the claim is paid");
    }
}

/// Returns the operation of a caller: an award of one pound of credit, under the next offer.
pub(crate) fn award_one_pound(
    clients: &[Client],
    caller: usize,
    offers: &Arc<Offers>,
) -> impl FnMut() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + 'static {
    let (client, offers) = (clients[caller % clients.len()].clone(), Arc::clone(offers));
    move || {
        let (client, offer) = (client.clone(), offers.take_next());
        Box::pin(async move {
            client.award(offer, ONE_POUND_PENCE).await;
        })
    }
}
