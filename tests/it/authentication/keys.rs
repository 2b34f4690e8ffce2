//! The issuer's key server hangs, and later answers with other keys. Callers with a key that the server has already
//! fetched are still served.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use prost::bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Channel;

use super::issuer::{Guarded, SigningKey, claims};
use super::tokens::{listed, listing, with_token};
use super::{call, refusal_of};
use crate::client::fresh;
use crate::harness::{Db, run};
use crate::metrics::Scrape;

/// Longer than any wait of these tests takes.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// How long a caller with a valid token may wait, also if the key server does not answer.
const MAX_SERVICE_TIME: Duration = Duration::from_secs(2);
/// The number of concurrent calls whose key id does not exist.
const CALLS_WITH_UNKNOWN_KEY: usize = 1_200;
/// The number of connections for these calls.
const CONNECTIONS: usize = 4;

/// The server that publishes the issuer's keys. It answers with a key set, or accepts connections and never answers.
struct KeyServer {
    url: String,
    /// The key set; `None` if the server never answers.
    set: Arc<Mutex<Option<String>>>,
    /// The number of requests so far.
    requests: watch::Receiver<usize>,
    _accepting: JoinSet<()>,
}

impl KeyServer {
    async fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let set = Arc::new(Mutex::new(Some(json!({ "keys": keys }).to_string())));
        let (count, requests) = watch::channel(0);
        let mut accepting = JoinSet::new();
        let answers = Arc::clone(&set);
        accepting.spawn(async move {
            let mut unanswered = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.send_modify(|it| *it += 1);
                let answer = answers.lock().unwrap().clone();
                match answer {
                    Some(set) => answer_with(&mut stream, &set).await,
                    None => unanswered.push(stream),
                }
            }
        });
        Self { url, set, requests, _accepting: accepting }
    }

    fn publish(&self, keys: &[Value]) {
        *self.set.lock().unwrap() = Some(json!({ "keys": keys }).to_string());
    }

    fn hang(&self) {
        *self.set.lock().unwrap() = None;
    }
}

async fn answer_with(stream: &mut TcpStream, set: &str) {
    let mut request = Vec::new();
    while !request.windows(4).any(|it| it == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{set}", set.len());
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// A token whose key id is new, so no key server publishes it.
fn token_of_unknown_key() -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": fresh() });
    format!(
        "{}.{}.{}",
        part(&header),
        part(&claims("eve", &["reader"], &["*"])),
        BASE64_URL_SAFE_NO_PAD.encode([7; 64])
    )
}

/// Calls with a token of an unknown key, and returns the code and the reason of the refusal.
async fn call_with_unknown_key(channel: &Channel) -> (Code, String) {
    let request = with_token(&token_of_unknown_key(), &listing());
    refusal_of(&call(channel, "OfferService/ListOffers", request).await.map(|_: Vec<Bytes>| ()).unwrap_err())
}

fn unavailable() -> (Code, String) {
    (Code::Unavailable, "KEYS_UNAVAILABLE".to_owned())
}

/// Lists offers until the result is the expected one.
async fn call_until(channel: &Channel, token: impl Fn() -> String, expected: Result<(), (Code, String)>) {
    let started = Instant::now();
    loop {
        let ended = listed(channel, &token()).await.map(drop);
        if ended == expected {
            return;
        }
        assert!(started.elapsed() < MAX_WAIT, "the call ends with {ended:?}, not with {expected:?}");
    }
}

#[test]
fn a_key_server_that_hangs_delays_no_caller_with_a_known_key() {
    run(async {
        let (first, next) = (SigningKey::new("first"), SigningKey::new("next"));
        let keys = KeyServer::start(&[first.published()]).await;
        let more = "[metrics]\nlisten = \"127.0.0.1:0\"\n[limits]\ncalls_per_second = 100000\n";
        let started = Instant::now();
        let guarded = Guarded::with_keys(&Db::sqlite(), first, &keys.url, more);
        // On a busy machine the start is slow too, so the time limit depends on it.
        let max_service_time = MAX_SERVICE_TIME.max(started.elapsed() * 4);
        let channel = guarded.connect(None).await.unwrap();
        let token_of = |actor: String| guarded.key.sign(&claims(&actor, &["reader"], &["*"]));

        keys.hang();
        // At first the fetched key set is recent, so a key that is not in it counts as not published. Later the server
        // tries to fetch the set again, and gets no answer.
        let mut requests = keys.requests.clone();
        let mut hammering = JoinSet::new();
        let hammered = channel.clone();
        hammering.spawn(async move {
            loop {
                call_with_unknown_key(&hammered).await;
            }
        });
        timeout(MAX_WAIT, requests.wait_for(|it| *it >= 2)).await.unwrap().unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let channel = guarded.connect(None).await.unwrap();
            for _ in 0..CALLS_WITH_UNKNOWN_KEY / CONNECTIONS {
                let channel = channel.clone();
                calls.spawn(async move { call_with_unknown_key(&channel).await });
            }
        }
        let mut served = 0;
        while !calls.is_empty() {
            let token = token_of(format!("ann-{served}"));
            let ended = timeout(max_service_time, listed(&channel, &token)).await;
            assert!(ended.is_ok_and(|it| it.is_ok()), "a caller with a known key is not served, after {served} calls");
            served += 1;
            while let Some(ended) = calls.try_join_next() {
                assert_eq!(ended.unwrap(), unavailable());
            }
        }
        assert!(served > 0);

        // When the key server answers again, a newly published key is accepted, and a withdrawn key is refused.
        keys.publish(&[guarded.key.published(), next.published()]);
        // Each token has a new actor, so that the server cannot have cached it.
        let mut number = 0..;
        let mut new_token =
            |key: &SigningKey| key.sign(&claims(&format!("ben-{}", number.next().unwrap()), &["reader"], &["*"]));
        let new = new_token(&next);
        call_until(&channel, || new.clone(), Ok(())).await;
        assert_eq!(listed(&channel, &new_token(&guarded.key)).await.map(drop), Ok(()));
        let failures = Scrape::of(&guarded.server).await.value("tsio_key_set_fetch_failures_total");
        assert!(failures >= 1.0, "{failures}");

        keys.publish(&[next.published()]);
        let started = Instant::now();
        loop {
            assert_eq!(listed(&channel, &new_token(&next)).await.map(drop), Ok(()));
            // An unknown key makes the server fetch the set again.
            call_with_unknown_key(&channel).await;
            match listed(&channel, &new_token(&guarded.key)).await {
                Ok(_) => assert!(started.elapsed() < MAX_WAIT, "a withdrawn key is still accepted"),
                Err(ended) => break assert_eq!(ended, (Code::Unauthenticated, "TOKEN_REJECTED".to_owned())),
            }
        }
    });
}
