//! A gRPC client for scenarios. A scenario sets the caller and the request id of each call, and gets its answer.
//!
//! The client repeats no call, and returns every status.

use prost::Message;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{
    AssignOfferRequest, AssignOfferResponse, ContactOffersRequest, IdentifyOffersRequest, IdentifyOffersResponse,
    ListOfferEventsRequest, ListOffersRequest, NoteOfferRequest, NoteOfferResponse, Offer, OfferEvent, Party,
};
use tsio_test_support::caller::{Caller, connect};
use tsio_test_support::import::{self, File};
use tsio_test_support::messages;
pub(crate) use tsio_test_support::messages::fresh;

use crate::harness::Server;

/// The programme that most scenarios use. It has 19 offers after [`Client::seed`] (samples/README.md).
pub(crate) const YEAR: &str = "2021-22";
/// The other programme. It has 6 offers after [`Client::seed_both`]: 4 standalone schools and 2 MATs.
pub(crate) const NEXT_YEAR: &str = "2022-23";

/// The files of the register of August 2021, with their as-at dates.
const AUGUST: [(&str, &str); 4] = [
    ("gias_groups_2021-08.csv", "2021-08-31"),
    ("gias_membership_2021-08.csv", "2021-08-31"),
    ("gias_links.csv", "2021-11-30"),
    ("gias_establishments_full.csv", "2021-08-31"),
];
/// The files of the register of March 2022, with their as-at dates.
const MARCH: [(&str, &str); 3] = [
    ("gias_groups_2022-03.csv", "2022-03-31"),
    ("gias_membership_2022-03.csv", "2022-03-31"),
    ("gias_establishments_search.csv", "2022-03-31"),
];

/// A connection, and the caller of its calls, who has every role that a scenario needs.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
    caller: Caller,
}

impl Client {
    /// A client with a new connection to this server. Its caller is `officer`.
    pub(crate) async fn of(server: &Server) -> Self {
        Self::at(&server.url()).await
    }

    /// A client with a new connection to the server at this URL. Its caller is `officer`.
    pub(crate) async fn at(url: &str) -> Self {
        Self { channel: connect(url).await, caller: with_every_role("officer") }
    }

    /// A client with the same connection and another caller.
    pub(crate) fn named(&self, actor: &str) -> Self {
        Self { channel: self.channel.clone(), caller: with_every_role(actor) }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn offers(&self) -> OfferServiceClient<Channel> {
        OfferServiceClient::new(self.channel.clone())
    }

    /// A request with this message and the caller's metadata.
    pub(crate) fn ask<T>(&self, message: T) -> Request<T> {
        self.caller.ask(message)
    }

    /// Imports the register and Ofsted's file of August 2021.
    pub(crate) async fn import_august(&self) {
        for (name, as_at) in AUGUST {
            self.register(name, as_at).await;
        }
        self.ofsted("ofsted_2021-08-31.csv", "2021-08-31").await;
    }

    /// Imports the files of August, makes their 19 offers, and returns these.
    pub(crate) async fn seed(&self) -> Vec<Offer> {
        self.import_august().await;
        assert_eq!(self.identify(YEAR, &fresh()).await.unwrap().created, 19);
        self.list(YEAR).await
    }

    /// Does the same as [`Self::seed`], and also makes the 6 offers of [`NEXT_YEAR`]. Returns the offers of both
    /// programmes.
    pub(crate) async fn seed_both(&self) -> (Vec<Offer>, Vec<Offer>) {
        let first = self.seed().await;
        for (name, as_at) in MARCH {
            self.register(name, as_at).await;
        }
        self.ofsted("ofsted_2023-01-31.csv", "2023-01-31").await;
        assert_eq!(self.identify(NEXT_YEAR, &fresh()).await.unwrap().created, 6);
        (first, self.list(NEXT_YEAR).await)
    }

    async fn register(&self, name: &str, as_at: &str) {
        self.try_register(name, as_at).await.unwrap();
    }

    /// Imports a file of the register, or returns the status of the refusal.
    pub(crate) async fn try_register(&self, name: &str, as_at: &str) -> Result<(), Status> {
        let file = File { name, as_at, bytes: &sample(name) };
        import::register(&self.channel, &self.caller, file).await.map(drop)
    }

    async fn ofsted(&self, name: &str, as_at: &str) {
        let file = File { name, as_at, bytes: &sample(name) };
        import::ofsted(&self.channel, &self.caller, file).await.unwrap();
    }

    pub(crate) async fn identify(&self, programme: &str, id: &str) -> Result<IdentifyOffersResponse, Status> {
        let (request_id, programme) = (id.to_owned(), programme.to_owned());
        let request = IdentifyOffersRequest { request_id, programme, validate_only: false };
        Ok(self.offers().identify_offers(self.ask(request)).await?.into_inner())
    }

    pub(crate) async fn list(&self, programme: &str) -> Vec<Offer> {
        let request = ListOffersRequest { programme: programme.to_owned(), page_size: 500, ..Default::default() };
        self.offers().list_offers(self.ask(request)).await.unwrap().into_inner().offers
    }

    pub(crate) async fn note(&self, offer: &str, text: &str, id: &str) -> Result<NoteOfferResponse, Status> {
        let request = NoteOfferRequest {
            request_id: id.to_owned(),
            offer: offer.to_owned(),
            text: text.to_owned(),
            ..Default::default()
        };
        Ok(self.offers().note_offer(self.ask(request)).await?.into_inner())
    }

    pub(crate) async fn assign(&self, offer: &str, to: &str, id: &str) -> Result<AssignOfferResponse, Status> {
        let (request_id, offer, assignee) = (id.to_owned(), offer.to_owned(), to.to_owned());
        let request = AssignOfferRequest { request_id, offer, assignee, ..Default::default() };
        Ok(self.offers().assign_offer(self.ask(request)).await?.into_inner())
    }

    pub(crate) async fn offer(&self, offer: &str) -> Offer {
        let request = tsio::proto::GetOfferRequest { offer: offer.to_owned(), ..Default::default() };
        self.offers().get_offer(self.ask(request)).await.unwrap().into_inner().offer.unwrap()
    }

    /// The whole history of an offer.
    pub(crate) async fn events(&self, offer: &str) -> Vec<OfferEvent> {
        let mut request = ListOfferEventsRequest { offer: offer.to_owned(), page_size: 1_000, ..Default::default() };
        let mut all = Vec::new();
        loop {
            let page = self.offers().list_offer_events(self.ask(request.clone())).await.unwrap().into_inner();
            all.extend(page.events);
            if page.next_page_token.is_empty() {
                return all;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// How many events of an offer have this request id.
    pub(crate) async fn times_recorded(&self, offer: &str, id: &str) -> usize {
        self.events(offer).await.iter().filter(|event| event.request_id == id).count()
    }
}

/// A request to record a contact with one party of these offers, on 13 September 2021.
pub(crate) fn contact(party: Party, offers: &[&Offer], id: &str) -> ContactOffersRequest {
    let contact = messages::contact(offers.iter().map(|offer| offer.offer.as_str()), party, "2021-09-13");
    ContactOffersRequest { request_id: id.to_owned(), ..contact }
}

/// The offer to this school. Most scenarios use 910003, a maintained school whose responsible body is a diocese.
pub(crate) fn offer_of_school(offers: &[Offer], urn: i32) -> &Offer {
    offers.iter().find(|it| it.recipient == urn).unwrap()
}

/// The reason in the details of a status; empty if it has none.
pub(crate) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// An answer in a form that can be compared: its bytes, or the code, reason and details of its status.
pub(crate) fn comparable<R: Message>(answer: Result<R, Status>) -> Result<Vec<u8>, (tonic::Code, String, Vec<u8>)> {
    answer
        .map(|answer| answer.encode_to_vec())
        .map_err(|status| (status.code(), reason(&status), status.details().to_vec()))
}

fn with_every_role(actor: &str) -> Caller {
    Caller::new(actor, "case-officer,administrator,finance,finance-approver")
}

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)).unwrap()
}
