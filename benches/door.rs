//! What it costs to have callers prove who they are: `GetOffer` on a server that checks tokens, beside one in
//! development mode, on a copy of its database. They take turns in one run; the median of their ratios counts.
//!
//! `cargo bench --bench door`. Prints one JSON line. Both servers speak without TLS, so that only the door differs.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench measures time, prints, and stops at the first surprise"
)]

#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::json;
use support::window::window;
use support::{Server, client, made, median, sqlite_url};
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{GetOfferRequest, ListOffersRequest};

/// Turns of each server.
const TURNS: usize = 9;
/// Callers at the same time.
const CALLERS: usize = 64;
/// Connections they share, as a few client processes would.
const CONNECTIONS: usize = 4;
/// How long one turn lasts.
const WINDOW: Duration = Duration::from_secs(2);
const PROGRAMME: &str = "2021-22";

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("open.db");
    let seeded = Server::start(&file).await;
    let mut clients = client(&seeded.url, 1).await;
    clients[0].import_register(made::membership(), "2022-03-31").await;
    clients[0].import_ofsted(made::month(), "2021-08-31").await;
    assert!(clients[0].identify().await > 0, "nobody was eligible");
    let request = ListOffersRequest { programme: PROGRAMME.to_owned(), page_size: 500, ..Default::default() };
    let page = clients[0].offers().list_offers(request).await.unwrap().into_inner();
    let ids: Arc<Vec<String>> = Arc::new(page.offers.into_iter().map(|it| it.offer).collect());

    seeded.stop();
    // An SQLite file is one server's, so each has its own, with the same in it.
    let copy = dir.path().join("shut.db");
    std::fs::copy(&file, &copy).unwrap();
    let (config, token) = guarded(dir.path());
    let (open, shut) =
        (Server::start(&file).await, Server::start_with(&sqlite_url(&copy), &["--config", &config]).await);
    let word = [("x-tsio-actor", "bench"), ("x-tsio-roles", "case-officer")];
    let proof = format!("Bearer {token}");
    let proof = [("authorization", proof.as_str())];
    let (mut by_word, mut by_token) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        // Whoever goes first has the machine as the other left it.
        if turn % 2 == 0 {
            by_word.push(reads(&open.url, &word, &ids).await);
            by_token.push(reads(&shut.url, &proof, &ids).await);
        } else {
            by_token.push(reads(&shut.url, &proof, &ids).await);
            by_word.push(reads(&open.url, &word, &ids).await);
        }
    }
    support::print(json!({
        "figure": "get_offer_by_token",
        "callers": CALLERS,
        "by_token_per_s": median(by_token.iter().copied()),
        "by_word_per_s": median(by_word.iter().copied()),
        "ratio": median(by_token.iter().zip(&by_word).map(|(token, word)| token / word)),
    }));
}

/// A server's settings that take tokens of one issuer, and such a token.
fn guarded(dir: &Path) -> (String, String) {
    let pair = KeyPair::generate().unwrap();
    let point = pair.public_key_raw();
    let (x, y) = (BASE64_URL_SAFE_NO_PAD.encode(&point[1..33]), BASE64_URL_SAFE_NO_PAD.encode(&point[33..65]));
    let keys = dir.join("keys.json");
    let key = json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k", "x": x, "y": y });
    std::fs::write(&keys, json!({ "keys": [key] }).to_string()).unwrap();
    let config = dir.join("tsio.toml");
    let text = format!(
        "[tokens]\nissuer = \"https://issuer.example\"\naudience = \"tsio\"\nkeys = \"{}\"\n\
         [limits]\ncalls_per_second = 1000000\n",
        keys.display()
    );
    std::fs::write(&config, text).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a token is made for the moment it is used in")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": "https://issuer.example", "aud": "tsio", "sub": "bench", "exp": now + 3_600,
        "roles": ["case-officer"], "regions": ["*"],
    });
    let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::ES256) };
    let signer = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    (config.display().to_string(), encode(&header, &claims, &signer).unwrap())
}

/// Reads a second, by callers who show this.
async fn reads(url: &str, shown: &[(&'static str, &str)], ids: &Arc<Vec<String>>) -> f64 {
    let mut connections: Vec<Channel> = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Endpoint::from_shared(url.to_owned()).unwrap().connect().await.unwrap());
    }
    let shown: Vec<(&'static str, MetadataValue<Ascii>)> =
        shown.iter().map(|(name, value)| (*name, value.parse().unwrap())).collect();
    let next = Arc::new(AtomicUsize::new(0));
    let seen = window(CALLERS, WINDOW, |caller| {
        let client = OfferServiceClient::new(connections[caller % CONNECTIONS].clone());
        let (shown, ids, next) = (shown.clone(), Arc::clone(ids), Arc::clone(&next));
        move || {
            let mut client = client.clone();
            let offer = ids[next.fetch_add(1, Ordering::Relaxed) % ids.len()].clone();
            let mut request = Request::new(GetOfferRequest { offer, ..Default::default() });
            for (name, value) in &shown {
                request.metadata_mut().insert(*name, value.clone());
            }
            async move { assert!(client.get_offer(request).await.unwrap().into_inner().offer.is_some()) }
        }
    });
    seen.await.rate
}
