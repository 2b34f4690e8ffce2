//! Starts the server to measure, and the clients to measure it with. The submodules make the data and measure the time.

pub(crate) mod fixture_data;
pub(crate) mod money;
pub(crate) mod reading;
pub(crate) mod window;

use std::path::Path;

use tonic::transport::Channel;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::terms_service_client::TermsServiceClient;
use tsio::proto::{IdentifyOffersRequest, LoadTermsRequest};
use tsio_test_support::caller::{Caller, Named, connect};
use tsio_test_support::import::{self, File};
use tsio_test_support::messages::fresh;
use tsio_test_support::server::Server;

/// The binary under test.
pub(crate) const TSIO: &str = env!("CARGO_BIN_EXE_tsio");

/// The programme that is measured.
pub(crate) const PROGRAMME: &str = "2021-22";

/// Serves an SQLite file in development mode.
pub(crate) fn serve_file(database: &Path) -> Server {
    serve(&sqlite_url(database))
}

/// Migrates the schema of the database at this URL, and serves the database in development mode.
pub(crate) fn serve(database: &str) -> Server {
    serve_with(database, &["--development"])
}

/// Serves the database at this URL with these arguments of authentication, such as `--development`.
pub(crate) fn serve_with(database: &str, access: &[&str]) -> Server {
    Server::start(Path::new(TSIO), database, access)
}

/// Returns the URL of an SQLite file.
pub(crate) fn sqlite_url(database: &Path) -> String {
    format!("sqlite:{}", database.display())
}

/// The caller that imports files and changes offers.
fn officer() -> Caller {
    Caller::new("bench", "administrator,case-officer")
}

/// The caller that manages funds and pays claims.
fn finance() -> Caller {
    Caller::new("bench-finance", "finance")
}

/// The caller that gives approvals, as the second person.
fn approver() -> Caller {
    Caller::new("bench-approver", "finance,finance-approver")
}

/// A client with one connection.
#[derive(Clone)]
pub(crate) struct Client(Channel);

/// Makes this number of clients of a server, each with its own connection.
pub(crate) async fn connect_clients(url: &str, connections: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Client(connect(url).await));
    }
    clients
}

impl Client {
    /// A connection that sends the officer's name, for tonic's `Grpc` instead of a generated client.
    pub(crate) fn named(&self) -> Named {
        tonic::service::interceptor::InterceptedService::new(self.0.clone(), officer())
    }

    pub(crate) fn offers(&self) -> OfferServiceClient<Named> {
        OfferServiceClient::with_interceptor(self.0.clone(), officer())
    }

    /// Makes the offers of a programme, and returns their number.
    pub(crate) async fn identify(&self, programme: &str) -> i32 {
        let request =
            IdentifyOffersRequest { request_id: fresh(), programme: programme.to_owned(), validate_only: false };
        self.offers().identify_offers(request).await.expect("the offers are identified").into_inner().created
    }

    /// Loads the terms of a programme.
    pub(crate) async fn load_terms(&self, programme: &str, text: String) {
        let file_name = format!("{programme}.toml");
        let request = LoadTermsRequest { request_id: fresh(), file_name, text, validate_only: false };
        let mut terms = TermsServiceClient::with_interceptor(self.0.clone(), officer());
        terms.load_terms(request).await.expect("the terms are loaded");
    }

    pub(crate) async fn import_register(&self, file: Vec<u8>, as_at: &str) {
        let file = File { name: "bench.csv", as_at, bytes: &file };
        let outcome = import::register(&self.0, &officer(), file).await.expect("the file is imported");
        assert!(outcome.accepted > 0, "no row was accepted");
    }

    pub(crate) async fn import_ofsted(&self, file: Vec<u8>, as_at: &str) {
        let file = File { name: "bench.csv", as_at, bytes: &file };
        let outcome = import::ofsted(&self.0, &officer(), file).await.expect("the file is imported");
        assert!(outcome.accepted > 0, "no row was accepted");
    }
}

/// Returns the median. For an even number of values, this is the mean of the two in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (lower, upper) = ((values.len() - 1) / 2, values.len() / 2);
    f64::midpoint(values[lower], values[upper])
}

/// Prints one figure as a line of JSON, with fractions rounded to three decimals.
pub(crate) fn print(mut line: serde_json::Value) {
    for value in line.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(number) = value.as_f64().filter(|_| value.is_f64()) {
            *value = ((number * 1000.0).round() / 1000.0).into();
        }
    }
    println!("{line}");
}
