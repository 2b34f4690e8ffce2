//! The issuer's key server hangs, fails or comes back with other keys: callers with a known key notice nothing of it.

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
use super::{call, why};
use crate::client::fresh;
use crate::harness::{Db, run};
use crate::metrics::Scrape;

/// Longer than anything that is waited for takes.
const BOUND: Duration = Duration::from_secs(60);
/// How long a caller with a good token may wait, for any behaviour of the key server.
const PROMPT: Duration = Duration::from_secs(2);
/// Calls with a key id that was made up, in flight at once.
const MADE_UP: usize = 1_200;
/// Connections that carry them.
const CONNECTIONS: usize = 4;

/// Where the issuer publishes its keys: it answers with a set, or accepts and never answers.
struct KeyServer {
    url: String,
    set: Arc<Mutex<Option<String>>>,
    /// How many have asked.
    asked: watch::Receiver<usize>,
    _accepting: JoinSet<()>,
}

impl KeyServer {
    async fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let set = Arc::new(Mutex::new(Some(json!({ "keys": keys }).to_string())));
        let (count, asked) = watch::channel(0);
        let mut accepting = JoinSet::new();
        let answers = Arc::clone(&set);
        accepting.spawn(async move {
            let mut held = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.send_modify(|it| *it += 1);
                let answer = answers.lock().unwrap().clone();
                match answer {
                    Some(set) => answer_with(&mut stream, &set).await,
                    None => held.push(stream),
                }
            }
        });
        Self { url, set, asked, _accepting: accepting }
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

/// A token of a key that nobody has.
fn made_up() -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": fresh() });
    format!(
        "{}.{}.{}",
        part(&header),
        part(&claims("eve", &["reader"], &["*"])),
        BASE64_URL_SAFE_NO_PAD.encode([7; 64])
    )
}

/// How a call with a key id that was made up ends.
async fn refused(channel: &Channel) -> (Code, String) {
    let request = with_token(&made_up(), &listing());
    why(&call(channel, "OfferService/ListOffers", request).await.map(|_: Vec<Bytes>| ()).unwrap_err())
}

fn unavailable() -> (Code, String) {
    (Code::Unavailable, "KEYS_UNAVAILABLE".to_owned())
}

/// Calls until it ends so.
async fn until(channel: &Channel, token: impl Fn() -> String, expected: Result<(), (Code, String)>) {
    let begun = Instant::now();
    loop {
        let ended = listed(channel, &token()).await.map(drop);
        if ended == expected {
            return;
        }
        assert!(begun.elapsed() < BOUND, "it ends with {ended:?}, and never with {expected:?}");
    }
}

#[test]
fn a_key_server_that_hangs_holds_nobody_up() {
    run(async {
        let (first, next) = (SigningKey::new("first"), SigningKey::new("next"));
        let keys = KeyServer::start(&[first.published()]).await;
        let more = "[metrics]\nlisten = \"127.0.0.1:0\"\n[limits]\ncalls_per_second = 100000\n";
        let begun = Instant::now();
        let guarded = Guarded::with_keys(&Db::sqlite(), first, &keys.url, more);
        // On a machine that is kept busy by something else the start is slow as well.
        let prompt = PROMPT.max(begun.elapsed() * 4);
        let channel = guarded.connect(None).await.unwrap();
        let good = |actor: String| guarded.key.sign(&claims(&actor, &["reader"], &["*"]));

        keys.hang();
        // The set is fresh at first, and what is not in it is not published; then it is fetched again, in vain.
        let mut asked = keys.asked.clone();
        let mut hammering = JoinSet::new();
        let hammered = channel.clone();
        hammering.spawn(async move {
            loop {
                refused(&hammered).await;
            }
        });
        timeout(BOUND, asked.wait_for(|it| *it >= 2)).await.unwrap().unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let channel = guarded.connect(None).await.unwrap();
            for _ in 0..MADE_UP / CONNECTIONS {
                let channel = channel.clone();
                calls.spawn(async move { refused(&channel).await });
            }
        }
        let mut served = 0;
        while !calls.is_empty() {
            let token = good(format!("ann-{served}"));
            let ended = timeout(prompt, listed(&channel, &token)).await;
            assert!(ended.is_ok_and(|it| it.is_ok()), "a caller with a known key waits, after {served}");
            served += 1;
            while let Some(ended) = calls.try_join_next() {
                assert_eq!(ended.unwrap(), unavailable());
            }
        }
        assert!(served > 0);

        // Once the key server is back, keys rotate as ever: what it publishes is taken, what it withdraws is not.
        keys.publish(&[guarded.key.published(), next.published()]);
        let mut number = 0..;
        let mut named =
            |key: &SigningKey| key.sign(&claims(&format!("ben-{}", number.next().unwrap()), &["reader"], &["*"]));
        let new = named(&next);
        until(&channel, || new.clone(), Ok(())).await;
        assert_eq!(listed(&channel, &named(&guarded.key)).await.map(drop), Ok(()));
        let failures = Scrape::of(&guarded.server).await.value("tsio_key_set_fetch_failures_total");
        assert!(failures >= 1.0, "{failures}");

        keys.publish(&[next.published()]);
        let begun = Instant::now();
        loop {
            assert_eq!(listed(&channel, &named(&next)).await.map(drop), Ok(()));
            // What is not known has the set fetched again.
            refused(&channel).await;
            match listed(&channel, &named(&guarded.key)).await {
                Ok(_) => assert!(begun.elapsed() < BOUND, "a withdrawn key counts for ever"),
                Err(ended) => break assert_eq!(ended, (Code::Unauthenticated, "TOKEN_REJECTED".to_owned())),
            }
        }
    });
}
