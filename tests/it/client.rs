//! A gRPC client for scenarios of the commit path: who calls, under which request id, and what came back.
//!
//! It repeats nothing by itself and hides no status: a scenario sees every answer.

use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;
use tsio::proto::eligibility_service_client::EligibilityServiceClient;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::register_service_client::RegisterServiceClient;
use tsio::proto::{
    AssignOfferRequest, AssignOfferResponse, ContactOffersRequest, ContactedOffer, IdentifyOffersRequest,
    IdentifyOffersResponse, ImportHeader, ImportOfstedRequest, ImportRegisterRequest, ListOfferEventsRequest,
    ListOffersRequest, NoteOfferRequest, NoteOfferResponse, Offer, OfferEvent, Party, import_ofsted_request,
    import_register_request,
};
use uuid::Uuid;

use crate::harness::Server;

/// The year whose offers most scenarios work on: 19 of them after [`Client::seed`] (samples/README.md).
pub(crate) const YEAR: &str = "2021-22";
/// The other programme: 6 offers after [`Client::seed_both`], 4 standalone and 2 MATs.
pub(crate) const NEXT_YEAR: &str = "2022-23";

const AUGUST: [(&str, &str); 4] = [
    ("gias_groups_2021-08.csv", "2021-08-31"),
    ("gias_membership_2021-08.csv", "2021-08-31"),
    ("gias_links.csv", "2021-11-30"),
    ("gias_establishments_full.csv", "2021-08-31"),
];
const MARCH: [(&str, &str); 3] = [
    ("gias_groups_2022-03.csv", "2022-03-31"),
    ("gias_membership_2022-03.csv", "2022-03-31"),
    ("gias_establishments_search.csv", "2022-03-31"),
];

/// A connection and the name its calls are made under; with every role a scenario needs.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
    actor: String,
}

impl Client {
    /// A connection of its own to this server.
    pub(crate) async fn of(server: &Server) -> Self {
        Self::at(&server.url()).await
    }

    /// The same to any server at this address.
    pub(crate) async fn at(url: &str) -> Self {
        let channel = Endpoint::from_shared(url.to_owned()).unwrap().connect().await.unwrap();
        Self { channel, actor: "officer".to_owned() }
    }

    /// The same connection under another name.
    pub(crate) fn named(&self, actor: &str) -> Self {
        Self { channel: self.channel.clone(), actor: actor.to_owned() }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn offers(&self) -> OfferServiceClient<Channel> {
        OfferServiceClient::new(self.channel.clone())
    }

    /// A message with the caller's metadata.
    pub(crate) fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-tsio-actor", self.actor.parse().unwrap());
        let roles = MetadataValue::from_static("case-officer,administrator,finance,finance-approver");
        request.metadata_mut().insert("x-tsio-roles", roles);
        request
    }

    /// The register and Ofsted's month of August 2021.
    pub(crate) async fn import_august(&self) {
        for (name, as_at) in AUGUST {
            self.register(name, as_at).await;
        }
        self.ofsted("ofsted_2021-08-31.csv", "2021-08-31").await;
    }

    /// The same, and the 19 offers they make.
    pub(crate) async fn seed(&self) -> Vec<Offer> {
        self.import_august().await;
        assert_eq!(self.identify(YEAR, &fresh()).await.unwrap().created, 19);
        self.list(YEAR).await
    }

    /// The same, and the offers of the year after: 6.
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

    /// Imports a file of the register, or says why not.
    pub(crate) async fn try_register(&self, name: &str, as_at: &str) -> Result<(), Status> {
        use import_register_request::Part;
        let (header, bytes) = upload(name, as_at);
        let parts = [Part::Header(header), Part::Chunk(bytes)].map(|part| ImportRegisterRequest { part: Some(part) });
        let mut client = RegisterServiceClient::new(self.channel.clone());
        let mut answers = client.import_register(self.ask(tokio_stream::iter(parts))).await?.into_inner();
        while answers.message().await?.is_some() {}
        Ok(())
    }

    async fn ofsted(&self, name: &str, as_at: &str) {
        use import_ofsted_request::Part;
        let (header, bytes) = upload(name, as_at);
        let parts = [Part::Header(header), Part::Chunk(bytes)].map(|part| ImportOfstedRequest { part: Some(part) });
        let mut client = EligibilityServiceClient::new(self.channel.clone());
        let mut answers = client.import_ofsted(self.ask(tokio_stream::iter(parts))).await.unwrap().into_inner();
        while answers.message().await.unwrap().is_some() {}
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

    /// How often this request id is in the history of an offer.
    pub(crate) async fn times(&self, offer: &str, id: &str) -> usize {
        self.events(offer).await.iter().filter(|event| event.request_id == id).count()
    }
}

/// A contact of 13 September 2021 with one party of these offers.
pub(crate) fn contact(party: Party, offers: &[&Offer], id: &str) -> ContactOffersRequest {
    let named = |it: &&Offer| ContactedOffer { offer: it.offer.clone(), ..Default::default() };
    ContactOffersRequest {
        request_id: id.to_owned(),
        offers: offers.iter().map(named).collect(),
        party: party.into(),
        date: "2021-09-13".to_owned(),
        ..Default::default()
    }
}

/// The offer to a school of the samples: 910003 is maintained, its responsible body is a diocese.
pub(crate) fn of_school(offers: &[Offer], urn: i32) -> &Offer {
    offers.iter().find(|it| it.recipient == urn).unwrap()
}

/// A request id of its own.
pub(crate) fn fresh() -> String {
    Uuid::new_v4().to_string()
}

/// The reason in the details of a status.
pub(crate) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// What one answer looks like, success or not: its bytes, or its code, reason and details.
pub(crate) fn seen<R: Message>(answer: Result<R, Status>) -> Result<Vec<u8>, (tonic::Code, String, Vec<u8>)> {
    answer
        .map(|answer| answer.encode_to_vec())
        .map_err(|status| (status.code(), reason(&status), status.details().to_vec()))
}

fn upload(name: &str, as_at: &str) -> (ImportHeader, Vec<u8>) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name);
    let bytes = std::fs::read(path).unwrap();
    let header = ImportHeader {
        request_id: fresh(),
        file_name: name.to_owned(),
        as_at: as_at.to_owned(),
        size_bytes: i64::try_from(bytes.len()).unwrap(),
        ..Default::default()
    };
    (header, bytes)
}
