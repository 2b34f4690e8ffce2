//! A server to measure, clients to measure it with, and a nation of invented schools.

pub(crate) mod child_process;
pub(crate) mod cluster;
pub(crate) mod fixture_data;
pub(crate) mod money;
pub(crate) mod window;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use child_process::Tied;

use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tsio::proto::eligibility_service_client::EligibilityServiceClient;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::register_service_client::RegisterServiceClient;
use tsio::proto::{
    IdentifyOffersRequest, ImportHeader, ImportOfstedRequest, ImportRegisterRequest, import_ofsted_request,
    import_ofsted_response, import_register_request, import_register_response,
};

/// Bytes of a chunk, as the command line sends them.
const CHUNK: usize = 256 * 1024;
/// The binary under test.
pub(crate) const TSIO: &str = env!("CARGO_BIN_EXE_tsio");

/// The release binary, serving a database.
pub(crate) struct Server {
    process: Tied,
    pub(crate) url: String,
}

impl Server {
    /// Starts it on an SQLite file and waits until it listens.
    pub(crate) async fn start(database: &Path) -> Self {
        Self::start_on(&sqlite_url(database)).await
    }

    /// Starts it on the database at this URL, which gets its schema if it has none, and waits until it listens.
    pub(crate) async fn start_on(database: &str) -> Self {
        Self::start_with(database, &["--development"]).await
    }

    /// The same, with these arguments saying who is let in.
    pub(crate) async fn start_with(database: &str, access: &[&str]) -> Self {
        let mut command = Command::new(TSIO);
        command.args(["serve", "--migrate", "--listen", "127.0.0.1:0", "--database", database]).args(access);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Tied::start(&mut command, "KILL");
        let stdout = process.child().stdout.take().expect("stdout is piped");
        let line = BufReader::new(stdout).lines().next().expect("the server says where").expect("in UTF-8");
        let address = line.strip_prefix("LISTENING ").expect("the line of the contract").to_owned();
        Self { process, url: format!("http://{address}") }
    }

    /// The most memory it ever had resident, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        peak_kib(self.process.id()).expect("it runs")
    }

    /// Has it drain and close its database.
    pub(crate) fn stop(mut self) {
        let status = self.process.end("TERM");
        assert!(status.success(), "the server ended with {status}");
    }
}

/// The most memory that a running process ever had resident, in KiB.
pub(crate) fn peak_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

pub(crate) fn sqlite_url(database: &Path) -> String {
    format!("sqlite:{}", database.display())
}

/// Names the caller on every call.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    actor: &'static str,
    roles: &'static str,
}

/// Imports, and works the offers.
const OFFICER: Caller = Caller { actor: "bench", roles: "administrator,case-officer" };
/// Keeps the funds and pays the claims.
const FINANCE: Caller = Caller { actor: "bench-finance", roles: "finance" };
/// The second person.
const APPROVER: Caller = Caller { actor: "bench-approver", roles: "finance,finance-approver" };

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("x-tsio-actor", MetadataValue::from_static(self.actor));
        metadata.insert("x-tsio-roles", MetadataValue::from_static(self.roles));
        Ok(request)
    }
}

pub(crate) type Authorised = InterceptedService<Channel, Caller>;

/// One connection.
#[derive(Clone)]
pub(crate) struct Client(Channel);

/// Connections to a server.
pub(crate) async fn client(url: &str, connections: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL");
        clients.push(Client(endpoint.connect().await.expect("the server listens")));
    }
    clients
}

impl Client {
    pub(crate) fn offers(&self) -> OfferServiceClient<Authorised> {
        OfferServiceClient::with_interceptor(self.0.clone(), OFFICER)
    }

    pub(crate) async fn identify(&mut self) -> i32 {
        let request_id = uuid::Uuid::new_v4().to_string();
        let request = IdentifyOffersRequest { request_id, programme: "2021-22".to_owned(), validate_only: false };
        self.offers().identify_offers(request).await.expect("identified").into_inner().created
    }

    pub(crate) async fn import_register(&mut self, file: Vec<u8>, as_at: &str) {
        use import_register_request::Part;
        let parts = std::iter::once(Part::Header(header(as_at))).chain(chunks(&file).map(Part::Chunk));
        let messages: Vec<_> = parts.map(|part| ImportRegisterRequest { part: Some(part) }).collect();
        let mut client = RegisterServiceClient::with_interceptor(self.0.clone(), OFFICER);
        let mut answers = client.import_register(tokio_stream::iter(messages)).await.expect("begun").into_inner();
        let mut landed = false;
        while let Some(answer) = answers.message().await.expect("imported") {
            landed |= matches!(answer.part, Some(import_register_response::Part::Outcome(it)) if it.accepted > 0);
        }
        assert!(landed, "nothing landed");
    }

    pub(crate) async fn import_ofsted(&mut self, file: Vec<u8>, as_at: &str) {
        use import_ofsted_request::Part;
        let parts = std::iter::once(Part::Header(header(as_at))).chain(chunks(&file).map(Part::Chunk));
        let messages: Vec<_> = parts.map(|part| ImportOfstedRequest { part: Some(part) }).collect();
        let mut client = EligibilityServiceClient::with_interceptor(self.0.clone(), OFFICER);
        let mut answers = client.import_ofsted(tokio_stream::iter(messages)).await.expect("begun").into_inner();
        let mut landed = false;
        while let Some(answer) = answers.message().await.expect("imported") {
            landed |= matches!(answer.part, Some(import_ofsted_response::Part::Outcome(it)) if it.accepted > 0);
        }
        assert!(landed, "nothing landed");
    }
}

fn header(as_at: &str) -> ImportHeader {
    let request_id = uuid::Uuid::new_v4().to_string();
    ImportHeader { request_id, file_name: "bench.csv".to_owned(), as_at: as_at.to_owned(), ..Default::default() }
}

fn chunks(file: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    file.chunks(CHUNK).map(<[u8]>::to_vec)
}

/// The median; between two in the middle, their mean.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (lower, upper) = ((values.len() - 1) / 2, values.len() / 2);
    f64::midpoint(values[lower], values[upper])
}

/// Prints one figure as a line of JSON, its numbers to the third decimal.
pub(crate) fn print(mut line: serde_json::Value) {
    for value in line.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(number) = value.as_f64().filter(|_| value.is_f64()) {
            *value = ((number * 1000.0).round() / 1000.0).into();
        }
    }
    println!("{line}");
}
