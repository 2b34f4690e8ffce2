//! Callers that read offers, and the tokens that some of them show.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use serde_json::json;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tsio::proto::GetOfferRequest;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio_test_support::caller::connect;
use tsio_test_support::signer;

use super::window::window;

/// Callers at the same time.
pub(crate) const CALLERS: usize = 64;
/// Connections they share, as a few client processes would.
const CONNECTIONS: usize = 4;
/// What a server in development mode is started with.
pub(crate) const DEVELOPMENT: &[&str] = &["--development"];
/// The metadata of a caller who names itself to such a server.
pub(crate) const NAMED: &[(&str, &str)] = &[("x-tsio-actor", "bench"), ("x-tsio-roles", "case-officer")];

/// Offers read a second in a window of this length, by callers that send this metadata.
pub(crate) async fn get_offers(
    url: &str,
    length: Duration,
    metadata: &[(&'static str, &str)],
    ids: &Arc<Vec<String>>,
) -> f64 {
    let mut connections: Vec<Channel> = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(connect(url).await);
    }
    let metadata: Vec<(&'static str, MetadataValue<Ascii>)> =
        metadata.iter().map(|(name, value)| (*name, value.parse().expect("ASCII"))).collect();
    let next = Arc::new(AtomicUsize::new(0));
    let read = window(CALLERS, length, |caller| {
        let client = OfferServiceClient::new(connections[caller % CONNECTIONS].clone());
        let (metadata, ids, next) = (metadata.clone(), Arc::clone(ids), Arc::clone(&next));
        move || {
            let mut client = client.clone();
            let offer = ids[next.fetch_add(1, Ordering::Relaxed) % ids.len()].clone();
            let mut request = Request::new(GetOfferRequest { offer, ..Default::default() });
            for (name, value) in &metadata {
                request.metadata_mut().insert(*name, value.clone());
            }
            async move { assert!(client.get_offer(request).await.expect("read").into_inner().offer.is_some()) }
        }
    });
    read.await.rate
}

/// Writes the settings of a server that takes the tokens of one issuer into this folder. Returns their path, and such a token.
pub(crate) fn guarded(dir: &Path) -> (String, String) {
    let pair = KeyPair::generate().expect("a key");
    let point = pair.public_key_raw();
    let (x, y) = (BASE64_URL_SAFE_NO_PAD.encode(&point[1..33]), BASE64_URL_SAFE_NO_PAD.encode(&point[33..65]));
    let keys = dir.join("keys.json");
    let key = json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k", "x": x, "y": y });
    std::fs::write(&keys, json!({ "keys": [key] }).to_string()).expect("written");
    let config = dir.join("tsio.toml");
    let text = format!(
        "[tokens]\nissuer = \"https://issuer.example\"\naudience = \"tsio\"\nkeys = \"{}\"\n\
         [limits]\ncalls_per_second = 1000000\n",
        keys.display()
    );
    std::fs::write(&config, text).expect("written");
    #[expect(clippy::disallowed_methods, reason = "a token is made for the moment it is used in")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = json!({
        "iss": "https://issuer.example", "aud": "tsio", "sub": "bench", "exp": now + 3_600,
        "roles": ["case-officer"], "regions": ["*"],
    });
    let header = json!({ "typ": "JWT", "alg": "ES256", "kid": "k" });
    (config.display().to_string(), signer::es256(&header, &claims, &pair.serialize_der()))
}
