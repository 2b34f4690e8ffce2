//! Measures callers that read offers, with the metadata of development mode or with a token.

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

/// The number of callers at the same time.
pub(crate) const CALLERS: usize = 64;
/// The number of connections that the callers share, as in a few client processes.
const CONNECTIONS: usize = 4;
/// The arguments of a server in development mode.
pub(crate) const DEVELOPMENT: &[&str] = &["--development"];
/// The metadata of a caller of a server in development mode.
pub(crate) const NAMED: &[(&str, &str)] = &[("x-tsio-actor", "bench"), ("x-tsio-roles", "case-officer")];

/// Returns how many offers per second callers with this metadata read, in a window of this length.
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
        metadata.iter().map(|(name, value)| (*name, value.parse().expect("the value is ASCII"))).collect();
    let next_index = Arc::new(AtomicUsize::new(0));
    let result = window(CALLERS, length, |caller| {
        let client = OfferServiceClient::new(connections[caller % CONNECTIONS].clone());
        let (metadata, ids, next_index) = (metadata.clone(), Arc::clone(ids), Arc::clone(&next_index));
        move || {
            let mut client = client.clone();
            let offer = ids[next_index.fetch_add(1, Ordering::Relaxed) % ids.len()].clone();
            let mut request = Request::new(GetOfferRequest { offer, ..Default::default() });
            for (name, value) in &metadata {
                request.metadata_mut().insert(*name, value.clone());
            }
            async move { assert!(client.get_offer(request).await.expect("the offer is read").into_inner().offer.is_some()) }
        }
    });
    result.await.rate
}

/// Writes the settings of a server that accepts the tokens of one issuer into this folder. Returns the path of the file, and
/// a token of that issuer.
pub(crate) fn write_token_settings(dir: &Path) -> (String, String) {
    let pair = KeyPair::generate().expect("a key is generated");
    let point = pair.public_key_raw();
    let (x, y) = (BASE64_URL_SAFE_NO_PAD.encode(&point[1..33]), BASE64_URL_SAFE_NO_PAD.encode(&point[33..65]));
    let keys = dir.join("keys.json");
    let key = json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k", "x": x, "y": y });
    std::fs::write(&keys, json!({ "keys": [key] }).to_string()).expect("the file is written");
    let config = dir.join("tsio.toml");
    let text = format!(
        "[tokens]\nissuer = \"https://issuer.example\"\naudience = \"tsio\"\nkeys = \"{}\"\n\
         [limits]\ncalls_per_second = 1000000\n",
        keys.display()
    );
    std::fs::write(&config, text).expect("the file is written");
    #[expect(clippy::disallowed_methods, reason = "the token is checked against the current time")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_secs();
    let claims = json!({
        "iss": "https://issuer.example", "aud": "tsio", "sub": "bench", "exp": now + 3_600,
        "roles": ["case-officer"], "regions": ["*"],
    });
    let header = json!({ "typ": "JWT", "alg": "ES256", "kid": "k" });
    (config.display().to_string(), signer::es256(&header, &claims, &pair.serialize_der()))
}
