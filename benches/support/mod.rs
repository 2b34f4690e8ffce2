//! The server to measure, clients to measure it with, and a nation of invented schools.

pub(crate) mod fixture_data;
pub(crate) mod money;
pub(crate) mod reading;
pub(crate) mod window;

use std::path::Path;

use tonic::transport::Channel;
use tsio::proto::IdentifyOffersRequest;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio_test_support::caller::{Caller, Named, connect};
use tsio_test_support::import::{self, File};
use tsio_test_support::messages::fresh;
use tsio_test_support::server::Server;

/// The binary under test.
pub(crate) const TSIO: &str = env!("CARGO_BIN_EXE_tsio");

/// Serves an SQLite file in development mode.
pub(crate) fn serve_file(database: &Path) -> Server {
    serve(&sqlite_url(database))
}

/// Serves the database at this URL, which gets its schema if it has none, in development mode.
pub(crate) fn serve(database: &str) -> Server {
    serve_with(database, &["--development"])
}

/// The same, with these arguments saying who is let in.
pub(crate) fn serve_with(database: &str, access: &[&str]) -> Server {
    Server::start(Path::new(TSIO), database, access)
}

pub(crate) fn sqlite_url(database: &Path) -> String {
    format!("sqlite:{}", database.display())
}

/// Imports, and works the offers.
fn officer() -> Caller {
    Caller::new("bench", "administrator,case-officer")
}

/// Keeps the funds and pays the claims.
fn finance() -> Caller {
    Caller::new("bench-finance", "finance")
}

/// The second person.
fn approver() -> Caller {
    Caller::new("bench-approver", "finance,finance-approver")
}

/// One connection.
#[derive(Clone)]
pub(crate) struct Client(Channel);

/// Connections to a server.
pub(crate) async fn client(url: &str, connections: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Client(connect(url).await));
    }
    clients
}

impl Client {
    pub(crate) fn offers(&self) -> OfferServiceClient<Named> {
        OfferServiceClient::with_interceptor(self.0.clone(), officer())
    }

    pub(crate) async fn identify(&self) -> i32 {
        let request =
            IdentifyOffersRequest { request_id: fresh(), programme: "2021-22".to_owned(), validate_only: false };
        self.offers().identify_offers(request).await.expect("identified").into_inner().created
    }

    pub(crate) async fn import_register(&self, file: Vec<u8>, as_at: &str) {
        let file = File { name: "bench.csv", as_at, bytes: &file };
        let outcome = import::register(&self.0, &officer(), file).await.expect("imported");
        assert!(outcome.accepted > 0, "nothing landed");
    }

    pub(crate) async fn import_ofsted(&self, file: Vec<u8>, as_at: &str) {
        let file = File { name: "bench.csv", as_at, bytes: &file };
        let outcome = import::ofsted(&self.0, &officer(), file).await.expect("imported");
        assert!(outcome.accepted > 0, "nothing landed");
    }
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
