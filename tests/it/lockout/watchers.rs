//! Watchers that read nothing lose their slots and memory, so that other callers can use them.

use h2::client::SendRequest;
use prost::Message as _;
use prost::bytes::{BufMut as _, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tonic::Request;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::watch_offers_request::Start;
use tsio::proto::{WatchOffersRequest, WatchOffersResponse};

use super::{MAX_WAIT, TestServer};
use crate::client::{Client, YEAR, fresh};
use crate::harness::{Db, Server, run};
use crate::metrics::Scrape;

/// The number of changes in the record, which make about 800 KiB of messages for each watcher.
const CHANGES: usize = 1_000;
/// Streams of one connection.
const STREAMS: usize = 100;

fn from_the_beginning() -> WatchOffersRequest {
    let (programme, start) = (YEAR.to_owned(), Some(Start::AfterSequence(0)));
    WatchOffersRequest { programme, start, ..Default::default() }
}

/// A database with [`CHANGES`] changes.
async fn database_with_changes() -> Db {
    let db = Db::sqlite();
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let mut notes = JoinSet::new();
    for n in 0..CHANGES {
        let (client, offer) = (client.clone(), offers[n % offers.len()].offer.clone());
        notes.spawn(async move { client.note(&offer, "one of many", &fresh()).await.unwrap() });
    }
    notes.join_all().await;
    server.stop();
    db
}

/// Starts a watch, and reads none of its messages.
fn start_unread_watch(
    sender: &mut SendRequest<Bytes>,
    token: &str,
) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let request = http::Request::post("http://localhost/tsio.v1.OfferService/WatchOffers");
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    let request = request.header("authorization", format!("Bearer {token}")).body(()).unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    let message = from_the_beginning().encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap());
    framed.put_slice(&message);
    body.send_data(framed.freeze(), true).unwrap();
    (response, body)
}

/// How a watcher reads nothing.
#[derive(Clone, Copy)]
enum Stuck {
    /// It reads its connection, but its streams have flow-control windows of this many bytes.
    Window(u32),
    /// Its windows are large, but it stops reading the socket once its watches have started.
    Socket,
}

/// Opens watches as one caller and reads nothing. Dropping the tasks ends the watches.
async fn open_stuck_watches(test_server: &TestServer, token: &str, how: Stuck) -> JoinSet<()> {
    let (window, keeps_reading) = match how {
        Stuck::Window(window) => (window, true),
        Stuck::Socket => (1 << 24, false),
    };
    let tcp = TcpStream::connect(test_server.server.address()).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window).initial_connection_window_size(1 << 30);
    let (sender, connection) = builder.handshake::<_, Bytes>(tcp).await.unwrap();
    let mut tasks = JoinSet::new();
    let (stop, stopped) = oneshot::channel::<()>();
    tasks.spawn(async move {
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = &mut connection => {}
            _ = stopped => std::future::pending().await,
        }
    });
    let mut sender = sender.ready().await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(start_unread_watch(&mut sender, token));
        sender = sender.ready().await.unwrap();
    }
    if !keeps_reading {
        for (response, _) in &mut streams {
            response.await.unwrap();
        }
        stop.send(()).unwrap();
    } else {
        tasks.spawn(async move {
            let _held = stop;
            std::future::pending::<()>().await;
        });
    }
    tasks.spawn(async move {
        let _held = (sender, streams);
        std::future::pending::<()>().await;
    });
    tasks
}

/// Checks that a watch of this caller gets a slot and a first message. It may have to wait for the reads of other
/// watches.
async fn check_watch(test_server: &TestServer, token: &str) -> tonic::Streaming<WatchOffersResponse> {
    let first_message = tokio::time::timeout(MAX_WAIT, async {
        let mut request = Request::new(from_the_beginning());
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let mut client = OfferServiceClient::new(test_server.connect().await.unwrap());
        let mut stream = client.watch_offers(request).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
        stream
    });
    first_message.await.expect("a message in time")
}

#[test]
fn stuck_watchers_use_only_their_share_for_a_limited_time() {
    run(async {
        let test_server = TestServer::start(&database_with_changes().await, "[limits]\nuntaken_seconds = 3\n");
        let [ann, ben] = ["ann", "ben"].map(|it| test_server.token(it));
        let before = test_server.peak_memory();
        let attack = async {
            let mut held = Vec::new();
            for how in [0, 1, 16_384, 65_535].map(Stuck::Window) {
                held.push(open_stuck_watches(&test_server, &ann, how).await);
            }
            let full = Scrape::wait_until(&test_server.server, |it| it.value("tsio_watchers") >= 100.0).await;
            assert_eq!(full.value("tsio_watchers"), 100.0, "as many as one caller may have");
            held
        };
        let held = test_server.check_served_during(&ben, attack).await;
        drop(check_watch(&test_server, &ben).await);
        // A connection with data that is unread for three seconds is closed, which frees its slots.
        let closed = "tsio_connections_closed_total{reason=\"untaken\"}";
        let freed = async {
            Scrape::wait_until(&test_server.server, |it| it.value(closed) >= 1.0 && it.value("tsio_watchers") == 0.0)
                .await
        };
        test_server.check_served_during(&ben, freed).await;
        test_server.wait_for_log("untaken");
        drop(check_watch(&test_server, &ann).await);
        assert!(test_server.peak_memory() < before + 150, "{} MiB, {before} before", test_server.peak_memory());
        drop(held);
    });
}

/// One caller has all its watches on one connection, and reads nothing from the socket.
#[test]
fn a_socket_that_is_not_read_is_closed() {
    run(async {
        let test_server = TestServer::start(&database_with_changes().await, "[limits]\nuntaken_seconds = 3\n");
        let [ann, ben] = ["ann", "ben"].map(|it| test_server.token(it));
        let before = test_server.peak_memory();
        let held = open_stuck_watches(&test_server, &ann, Stuck::Socket).await;
        let closed = "tsio_connections_closed_total{reason=\"untaken\"}";
        let freed = async {
            Scrape::wait_until(&test_server.server, |it| it.value(closed) == 1.0 && it.value("tsio_watchers") == 0.0)
                .await
        };
        test_server.check_served_during(&ben, freed).await;
        assert!(test_server.peak_memory() < before + 150, "{} MiB, {before} before", test_server.peak_memory());
        drop(held);
    });
}
