//! Thousands of streams at the same time.

use std::pin::pin;

use tokio::task::JoinSet;
use tonic::Code;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{WatchOffersRequest, WatchOffersResponse};

use super::assert_unharmed;
use crate::authentication::refusal_of;
use crate::client::{Client, YEAR};
use crate::harness::{Db, Server, both};

const CONNECTIONS: usize = 10;
/// The number of streams of each connection.
const STREAMS: usize = 1_000;
/// How many watchers one process accepts.
const MAX_WATCHERS: usize = 1_000;

type Watch = tonic::Streaming<WatchOffersResponse>;

/// Starts a watch and waits for its first message. Returns the watch, or the status of its refusal.
async fn watch(client: Client) -> Result<Watch, tonic::Status> {
    let request = client.ask(WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() });
    let mut stream = OfferServiceClient::new(client.channel()).watch_offers(request).await?.into_inner();
    match stream.message().await? {
        Some(_) => Ok(stream),
        None => panic!("a watch does not end by itself"),
    }
}

/// Does the same as [`watch`], but tries again after DATABASE_AWAY. With thousands of streams, reads on a busy machine
/// may take so long that the database counts as unavailable.
async fn watch_with_retries(client: Client) -> Result<Watch, tonic::Status> {
    loop {
        match watch(client.clone()).await {
            Err(status) if refusal_of(&status) == (Code::Unavailable, "DATABASE_AWAY".to_owned()) => {}
            outcome => return outcome,
        }
    }
}

async fn ten_thousand_streams_get_the_available_slots(db: Db) {
    let server = Server::start(&db);
    // The server closes a connection that makes no call within 15 s. A busy machine may need longer to start 10,000
    // watches, so each connection makes a call first.
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = Client::of(&server).await;
        client.list(YEAR).await;
        clients.push(client);
    }
    let mut opening = JoinSet::new();
    for client in clients {
        for _ in 0..STREAMS {
            opening.spawn(watch_with_retries(client.clone()));
        }
    }
    let mut open = Vec::new();
    while let Some(opened) = opening.join_next().await {
        match opened.unwrap() {
            Ok(stream) => open.push(stream),
            Err(status) => {
                assert_eq!(refusal_of(&status), (Code::ResourceExhausted, "OVERLOADED".to_owned()), "{status}");
            }
        }
    }
    assert_eq!(open.len(), MAX_WATCHERS, "the open watches must use all slots");
    assert_unharmed(&server).await;
    // A dropped stream frees its slot, once the server has noticed.
    open.truncate(MAX_WATCHERS / 2);
    let newcomer = Client::of(&server).await;
    let mut retried = pin!(async {
        loop {
            match watch(newcomer.clone()).await {
                Ok(stream) => return stream,
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status}"),
            }
        }
    });
    let _stream = retried.as_mut().await;
    assert_unharmed(&server).await;
}

both!(ten_thousand_streams_get_the_available_slots);
