//! Fetches the issuer's public keys (a JWK set) from their source, and selects those that can verify tokens.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// The time limit of a fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest key set that is accepted; a dozen keys take about 10 KiB.
const MAX_KEY_SET_BYTES: u64 = 256 * 1024;

/// Where the key set is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file, which may be replaced while the server runs.
    File(PathBuf),
    /// `https://...`, or `http://` on loopback.
    Url(String),
}

/// A public key, and the algorithms whose signatures it may verify.
pub(super) struct PublicKey {
    pub(super) id: Option<String>,
    pub(super) key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Fetches the set from its source, one fetch at a time.
#[derive(Debug)]
pub(super) struct KeyFetcher {
    source: KeySource,
    /// The thread that reads the set holds the only permit, so at most one thread can hang.
    read_permit: Arc<Semaphore>,
}

impl KeyFetcher {
    pub(super) fn new(source: KeySource) -> Self {
        Self { source, read_permit: Arc::new(Semaphore::new(1)) }
    }

    /// Fetches the set on its own thread, within [`FETCH_TIMEOUT`]. A read that hangs, for example on a network mount,
    /// times out. Its thread stays until the read returns. Neither other work nor the end of the process waits for that
    /// thread.
    ///
    /// # Errors
    /// The set cannot be read, or not in time; it is no JWK set; or it has no usable key.
    pub(super) async fn fetch(&self) -> Result<Vec<Arc<PublicKey>>, String> {
        self.fetch_within(FETCH_TIMEOUT).await
    }

    async fn fetch_within(&self, limit: Duration) -> Result<Vec<Arc<PublicKey>>, String> {
        let key_set = timeout(limit, self.read_on_thread()).await;
        let timed_out = |_| format!("the key set could not be read within {} s", limit.as_secs_f64());
        let keys = parse_key_set(&key_set.map_err(timed_out)??)?;
        if keys.is_empty() {
            return Err("the key set holds no public key that tokens are signed with".to_owned());
        }
        Ok(keys)
    }

    async fn read_on_thread(&self) -> Result<String, String> {
        let permit = Arc::clone(&self.read_permit).acquire_owned().await.map_err(|error| error.to_string())?;
        let (sender, receiver) = oneshot::channel();
        let source = self.source.clone();
        let thread = std::thread::Builder::new().name("key set".to_owned()).spawn(move || {
            let _permit = permit;
            // The send fails if the caller has timed out.
            let _ = sender.send(read_source(&source));
        });
        thread.map_err(|error| format!("no thread to read the key set on: {error}"))?;
        receiver.await.map_err(|_| "the thread that read the key set panicked".to_owned())?
    }
}

fn read_source(source: &KeySource) -> Result<String, String> {
    match source {
        KeySource::File(path) => read_file(path).map_err(|error| format!("{}: {error}", path.display())),
        KeySource::Url(url) => {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .timeout_global(Some(FETCH_TIMEOUT))
                .max_redirects(0)
                .https_only(url.starts_with("https:"))
                .build()
                .into();
            let mut response = agent.get(url).call().map_err(|error| format!("{url}: {error}"))?;
            response
                .body_mut()
                .with_config()
                .limit(MAX_KEY_SET_BYTES)
                .read_to_string()
                .map_err(|error| format!("{url}: {error}"))
        }
    }
}

/// Reads a key set from a file.
///
/// # Errors
/// Those of reading the file, and an error if the file is larger than [`MAX_KEY_SET_BYTES`].
fn read_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(MAX_KEY_SET_BYTES.saturating_add(1)).read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|it| it <= MAX_KEY_SET_BYTES) {
        Ok(text)
    } else {
        Err(std::io::Error::other(format!("is larger than {MAX_KEY_SET_BYTES} bytes")))
    }
}

/// Reads the keys of a set that can verify tokens. Shared secrets, keys for encryption and unknown kinds are skipped,
/// because the set may also have keys for other programs.
fn parse_key_set(text: &str) -> Result<Vec<Arc<PublicKey>>, String> {
    let set: Value = serde_json::from_str(text).map_err(|error| format!("the key set is not JSON: {error}"))?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("the key set has no list `keys`")?;
    Ok(keys.iter().filter_map(parse_key).map(Arc::new).collect())
}

/// Parses one key of a set; `None` if the key cannot verify tokens.
fn parse_key(value: &Value) -> Option<PublicKey> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let possible = possible_algorithms(&jwk.algorithm);
    let algorithms = match jwk.common.key_algorithm.and_then(|it| it.to_string().parse::<Algorithm>().ok()) {
        Some(only) => possible.iter().copied().filter(|it| *it == only).collect(),
        None if jwk.common.key_algorithm.is_some() => Vec::new(),
        None => possible.to_vec(),
    };
    let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| !algorithms.is_empty())?;
    Some(PublicKey { id: jwk.common.key_id, key, algorithms })
}

/// Returns the algorithms of this kind of key. No algorithm here uses a shared secret, so a public key cannot be misused
/// as a shared secret.
const fn possible_algorithms(kind: &AlgorithmParameters) -> &'static [Algorithm] {
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

    /// Reading a pipe without a writer hangs, like a file on a dead mount.
    #[tokio::test]
    async fn a_file_that_hangs_is_given_up_and_holds_one_thread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let fetcher = KeyFetcher::new(KeySource::File(path.clone()));
        for _ in 0..3 {
            let error = fetcher.fetch_within(Duration::from_millis(20)).await.err().unwrap();
            assert_eq!(error, "the key set could not be read within 0.02 s");
            assert_eq!(fetcher.read_permit.available_permits(), 0);
        }
        // A write ends the hanging read and its thread, and the next fetch reads the new file.
        std::fs::write(&path, "").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, r#"{"keys": []}"#).unwrap();
        let error = fetcher.fetch().await.err().unwrap();
        assert_eq!(error, "the key set holds no public key that tokens are signed with");
    }

    #[tokio::test]
    async fn a_file_that_is_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let keys = r#"{"keys": []}"#;
        let largest = keys.to_owned() + &" ".repeat(256 * 1024 - keys.len());
        std::fs::write(&path, &largest).unwrap();
        let fetcher = KeyFetcher::new(KeySource::File(path.clone()));
        let error = fetcher.fetch().await.err().unwrap();
        assert_eq!(error, "the key set holds no public key that tokens are signed with");
        std::fs::write(&path, largest + " ").unwrap();
        let error = fetcher.fetch().await.err().unwrap();
        assert_eq!(error, format!("{}: is larger than 262144 bytes", path.display()));
    }
}
