//! Streams by the thousand.

use std::pin::pin;

use tokio::task::JoinSet;
use tonic::Code;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{WatchOffersRequest, WatchOffersResponse};

use super::unharmed;
use crate::authentication::why;
use crate::client::{Client, YEAR};
use crate::harness::{Db, Server, both};

const CONNECTIONS: usize = 10;
const STREAMS: usize = 1_000;
/// Watchers of one process.
const PLACES: usize = 1_000;

type Watch = tonic::Streaming<WatchOffersResponse>;

/// A watch that has said something, or what it was refused with.
async fn watch(client: Client) -> Result<Watch, tonic::Status> {
    let request = client.ask(WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() });
    let mut stream = OfferServiceClient::new(client.channel()).watch_offers(request).await?.into_inner();
    match stream.message().await? {
        Some(_) => Ok(stream),
        None => panic!("a watch does not end by itself"),
    }
}

/// The same until it is let in, or told that there is no place. With thousands at once a read may take so long on a busy
/// machine that the database counts as away; then the caller is told to try again, and does.
async fn placed(client: Client) -> Result<Watch, tonic::Status> {
    loop {
        match watch(client.clone()).await {
            Err(status) if why(&status) == (Code::Unavailable, "DATABASE_AWAY".to_owned()) => {}
            told => return told,
        }
    }
}

async fn ten_thousand_streams_get_the_places_there_are(db: Db) {
    let server = Server::start(&db);
    // A connection without a first call is closed after 15 s, which a busy machine may need to send 10,000 of them.
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = Client::of(&server).await;
        client.list(YEAR).await;
        clients.push(client);
    }
    let mut opening = JoinSet::new();
    for client in clients {
        for _ in 0..STREAMS {
            opening.spawn(placed(client.clone()));
        }
    }
    let mut open = Vec::new();
    while let Some(opened) = opening.join_next().await {
        match opened.unwrap() {
            Ok(stream) => open.push(stream),
            Err(status) => {
                assert_eq!(why(&status), (Code::ResourceExhausted, "OVERLOADED".to_owned()), "{status}");
            }
        }
    }
    assert_eq!(open.len(), PLACES, "as many as there are places, and no more");
    unharmed(&server).await;
    // A caller that goes leaves a slot behind; the server sees it in its own time.
    open.truncate(PLACES / 2);
    let newcomer = Client::of(&server).await;
    let mut again = pin!(async {
        loop {
            match watch(newcomer.clone()).await {
                Ok(stream) => return stream,
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status}"),
            }
        }
    });
    let _stream = again.as_mut().await;
    unharmed(&server).await;
}

both!(ten_thousand_streams_get_the_places_there_are);
