//! The issuer's public keys (a JWK set): where they are, how they are fetched, and which of them tokens can be checked with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

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
pub(super) struct PublicKey {
    pub(super) id: Option<String>,
    pub(super) key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Fetches the set from its source, one fetch at a time.
#[derive(Debug)]
pub(super) struct KeyFetcher {
    source: KeySource,
    /// Held by the thread that reads, for as long as it does: of threads that hang there is one at most.
    reading: Arc<Semaphore>,
}

impl KeyFetcher {
    pub(super) fn new(source: KeySource) -> Self {
        Self { source, reading: Arc::new(Semaphore::new(1)) }
    }

    /// Fetches the set, on a thread of its own. A file that hangs, as on a network mount, is given up as a URL is; its thread
    /// stays until the file answers, and neither other work nor the end of the process waits for it.
    ///
    /// # Errors
    /// Why it cannot be had in time, or holds no key of use.
    pub(super) async fn fetch(&self) -> Result<Vec<Arc<PublicKey>>, String> {
        self.fetch_within(FETCH).await
    }

    async fn fetch_within(&self, limit: Duration) -> Result<Vec<Arc<PublicKey>>, String> {
        let text = timeout(limit, self.read_on_thread()).await;
        let late = |_| format!("the key set could not be read within {} s", limit.as_secs_f64());
        let keys = parse(&text.map_err(late)??)?;
        if keys.is_empty() {
            return Err("the key set holds no public key that tokens are signed with".to_owned());
        }
        Ok(keys)
    }

    async fn read_on_thread(&self) -> Result<String, String> {
        let reading = Arc::clone(&self.reading).acquire_owned().await.map_err(|error| error.to_string())?;
        let (sender, text) = oneshot::channel();
        let source = self.source.clone();
        let thread = std::thread::Builder::new().name("key set".to_owned()).spawn(move || {
            let _reading = reading;
            // The caller that waited for it may have given up.
            let _ = sender.send(read(&source));
        });
        thread.map_err(|error| format!("no thread to read the key set on: {error}"))?;
        text.await.map_err(|_| "the thread that read the key set panicked".to_owned())?
    }
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
fn parse(text: &str) -> Result<Vec<Arc<PublicKey>>, String> {
    let set: Value = serde_json::from_str(text).map_err(|error| format!("the key set is not JSON: {error}"))?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("the key set has no list `keys`")?;
    Ok(keys.iter().filter_map(key).map(Arc::new).collect())
}

fn key(value: &Value) -> Option<PublicKey> {
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
    Some(PublicKey { id: jwk.common.key_id, key, algorithms })
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A pipe that nobody writes to hangs as a file on a dead mount does.
    #[tokio::test]
    async fn a_file_that_hangs_is_given_up_and_holds_one_thread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let fetcher = KeyFetcher::new(KeySource::File(path.clone()));
        for _ in 0..3 {
            let error = fetcher.fetch_within(Duration::from_millis(20)).await.err().unwrap();
            assert_eq!(error, "the key set could not be read within 0.02 s");
            assert_eq!(fetcher.reading.available_permits(), 0);
        }
        // It answers again: the thread that hung ends, and the next fetch reads.
        std::fs::write(&path, "").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, r#"{"keys": []}"#).unwrap();
        let error = fetcher.fetch().await.err().unwrap();
        assert_eq!(error, "the key set holds no public key that tokens are signed with");
    }
}
