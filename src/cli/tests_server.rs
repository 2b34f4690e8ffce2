//! A fake server for the tests of the client. It records the requests, and returns fixed answers.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, Stream};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use tower::util::MapRequestLayer;

use crate::proto::eligibility_service_server::{EligibilityService, EligibilityServiceServer};
use crate::proto::explain_eligibility_request::Subject;
use crate::proto::{
    DecideEntryRequest, DecideEntryResponse, ExplainEligibilityRequest, ExplainEligibilityResponse, ImportHeader,
    ImportOfstedRequest, ImportOfstedResponse, ImportOutcome, ImportProgress, ListEligibilityChangesRequest,
    ListEligibilityChangesResponse, ListEligibilityRequest, ListEligibilityResponse, SummariseEligibilityRequest,
    SummariseEligibilityResponse, import_ofsted_request, import_ofsted_response,
};

/// The data of the requests that the server has received. Each field has the value of the last request, unless it says otherwise.
#[derive(Debug, Clone, Default)]
pub(super) struct ReceivedRequests {
    pub(super) actor: String,
    pub(super) roles: String,
    pub(super) timeout: String,
    /// The header of an upload.
    pub(super) header: Option<ImportHeader>,
    /// The chunks of all uploads.
    pub(super) chunks: Vec<Vec<u8>>,
    /// True after the end of an upload.
    pub(super) complete: bool,
    /// The subjects of all requests to explain eligibility.
    pub(super) subjects: Vec<Subject>,
}

/// The fake server. Clones share what they have received.
#[derive(Debug, Clone, Default)]
pub(super) struct FakeServer {
    received: Arc<Mutex<ReceivedRequests>>,
    /// True to refuse an upload at its first chunk.
    refuse: bool,
}

/// The UID of the only trust that the server has. It has no school.
pub(super) const TRUST: i32 = 2044;

impl FakeServer {
    /// Makes a server that refuses an upload at its first chunk.
    pub(super) fn refusing() -> Self {
        Self { refuse: true, ..Self::default() }
    }

    /// Returns what the server has received so far.
    pub(super) fn received(&self) -> ReceivedRequests {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, change: impl FnOnce(&mut ReceivedRequests)) {
        change(&mut self.received.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn record_caller(&self, headers: &http::HeaderMap) {
        let text = |key: &str| headers.get(key).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let (actor, roles, timeout) = (text("x-tsio-actor"), text("x-tsio-roles"), text("grpc-timeout"));
        self.record(|it| (it.actor, it.roles, it.timeout) = (actor, roles, timeout));
    }
}

/// Serves on a free port until the test ends, and returns its address. The caller of every request is recorded, even of one to an
/// unknown service.
pub(super) async fn serve(fake: FakeServer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let recorder = fake.clone();
    let record_caller = move |request: http::Request<Body>| {
        recorder.record_caller(request.headers());
        request
    };
    let mut server = Server::builder().layer(MapRequestLayer::new(record_caller));
    let server = server.add_service(EligibilityServiceServer::new(fake));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    format!("http://{address}")
}

type Answers = Pin<Box<dyn Stream<Item = Result<ImportOfstedResponse, Status>> + Send>>;

#[tonic::async_trait]
impl EligibilityService for FakeServer {
    type ImportOfstedStream = Answers;

    async fn import_ofsted(
        &self,
        request: Request<Streaming<ImportOfstedRequest>>,
    ) -> Result<Response<Answers>, Status> {
        use import_ofsted_response::Part;
        let mut parts = request.into_inner();
        while let Some(message) = parts.message().await? {
            match message.part {
                Some(import_ofsted_request::Part::Header(header)) => self.record(|it| it.header = Some(header)),
                Some(import_ofsted_request::Part::Chunk(_)) if self.refuse => {
                    return Err(Status::invalid_argument("no header row"));
                }
                Some(import_ofsted_request::Part::Chunk(chunk)) => self.record(|it| it.chunks.push(chunk)),
                None => return Err(Status::invalid_argument("an empty message")),
            }
        }
        self.record(|it| it.complete = true);
        let progress = Part::Progress(ImportProgress { received_bytes: 1, rows_read: 7, rows_written: 0 });
        let outcome = Part::Outcome(ImportOutcome { rows: 7, ..ImportOutcome::default() });
        let answers = [progress, outcome].map(|part| Ok(ImportOfstedResponse { part: Some(part) }));
        Ok(Response::new(Box::pin(stream::iter(answers))))
    }

    async fn explain_eligibility(
        &self,
        request: Request<ExplainEligibilityRequest>,
    ) -> Result<Response<ExplainEligibilityResponse>, Status> {
        let subject = request.into_inner().subject;
        self.record(|it| it.subjects.extend(subject));
        match subject {
            Some(Subject::Uid(TRUST)) => Ok(Response::new(ExplainEligibilityResponse::default())),
            Some(Subject::Uid(_)) => Err(Status::not_found("no such trust")),
            _ => Err(Status::not_found("no such school")),
        }
    }

    async fn decide_entry(&self, _: Request<DecideEntryRequest>) -> Result<Response<DecideEntryResponse>, Status> {
        Err(Status::unimplemented("the fake server does not have this method"))
    }

    async fn list_eligibility(
        &self,
        _: Request<ListEligibilityRequest>,
    ) -> Result<Response<ListEligibilityResponse>, Status> {
        Err(Status::unimplemented("the fake server does not have this method"))
    }

    async fn summarise_eligibility(
        &self,
        _: Request<SummariseEligibilityRequest>,
    ) -> Result<Response<SummariseEligibilityResponse>, Status> {
        Err(Status::unimplemented("the fake server does not have this method"))
    }

    async fn list_eligibility_changes(
        &self,
        _: Request<ListEligibilityChangesRequest>,
    ) -> Result<Response<ListEligibilityChangesResponse>, Status> {
        Err(Status::unimplemented("the fake server does not have this method"))
    }
}
