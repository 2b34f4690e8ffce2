//! The issuer's public keys (a JWK set): where they are, how they are fetched, and which of them tokens can be checked with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// How long a fetch may take.
const FETCH: Duration = Duration::from_secs(10);
/// Bytes of a set: a dozen keys take some 10 KiB.
const MOST: u64 = 256 * 1024;

/// Where the set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file, which may be replaced while the server runs.
    File(PathBuf),
    /// `https://...`, or `http://` on loopback.
    Url(String),
}

/// A key, and what it may have signed with.
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Fetches the set, on a thread of its own.
///
/// # Errors
/// Why it cannot be had, or holds no key of use.
pub(super) async fn fetch(source: KeySource) -> Result<Vec<Arc<Key>>, String> {
    let text = tokio::task::spawn_blocking(move || read(&source)).await.map_err(|error| error.to_string())??;
    let keys = parse(&text)?;
    if keys.is_empty() {
        return Err("the key set holds no public key that tokens are signed with".to_owned());
    }
    Ok(keys)
}

fn read(source: &KeySource) -> Result<String, String> {
    match source {
        KeySource::File(path) => std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display())),
        KeySource::Url(url) => {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .timeout_global(Some(FETCH))
                .max_redirects(0)
                .https_only(url.starts_with("https:"))
                .build()
                .into();
            let mut answer = agent.get(url).call().map_err(|error| format!("{url}: {error}"))?;
            answer.body_mut().with_config().limit(MOST).read_to_string().map_err(|error| format!("{url}: {error}"))
        }
    }
}

/// The keys of a set that tokens can be checked with. Shared secrets, keys for encryption and kinds not known are passed
/// over: other programs' keys may stand beside ours.
fn parse(text: &str) -> Result<Vec<Arc<Key>>, String> {
    let set: Value = serde_json::from_str(text).map_err(|error| format!("the key set is not JSON: {error}"))?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("the key set has no list `keys`")?;
    Ok(keys.iter().filter_map(key).map(Arc::new).collect())
}

fn key(value: &Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let fitting = fitting(&jwk.algorithm);
    let algorithms = match jwk.common.key_algorithm.and_then(|it| it.to_string().parse::<Algorithm>().ok()) {
        Some(only) => fitting.iter().copied().filter(|it| *it == only).collect(),
        None if jwk.common.key_algorithm.is_some() => Vec::new(),
        None => fitting.to_vec(),
    };
    let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| !algorithms.is_empty())?;
    Some(Key { id: jwk.common.key_id, key, algorithms })
}

/// What a key of this kind can have signed with: never a shared secret, so that a public key cannot pass for one.
const fn fitting(kind: &AlgorithmParameters) -> &'static [Algorithm] {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match kind {
        AlgorithmParameters::RSA(_) => &[RS256, RS384, RS512, PS256, PS384, PS512],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => &[ES256],
            EllipticCurve::P384 => &[ES384],
            _ => &[],
        },
        AlgorithmParameters::OctetKeyPair(_) => &[EdDSA],
        _ => &[],
    }
}
