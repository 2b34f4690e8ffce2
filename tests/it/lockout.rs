//! No client can lock out the others. With any number of other connections, a caller with a valid token is served
//! within two seconds on an idle machine. Memory stays limited, and the log and the metrics report the attack.

mod callers;
mod certificates;
mod connections;
mod health;
mod scrapes;
mod watchers;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use prost::Message as _;
use prost::bytes::Bytes;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tsio::proto::ListFundsRequest;

use crate::authentication::issuer::{AUDIENCE, ISSUER, SigningKey, claims, publish};
use crate::authentication::{call, refusal_of};
use crate::harness::{Db, Server, TSIO, setting};
use crate::metrics::Scrape;

/// The time in which a caller with a valid token has to be served on an idle machine.
const MAX_SERVICE_TIME: Duration = Duration::from_secs(2);
/// On a busy machine that time is longer: the time that the server took to start, times this number.
const START_TIMES: u32 = 4;
/// Longer than any wait of these tests takes.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A server with token authentication and metrics, on loopback without TLS.
struct TestServer {
    server: Server,
    key: SigningKey,
    /// The time in which a caller with a valid token has to be served.
    max_service_time: Duration,
    _folder: tempfile::TempDir,
}

impl TestServer {
    /// Starts a server. `more` is appended to its configuration.
    fn start(db: &Db, more: &str) -> Self {
        Self::start_by(Path::new(TSIO), db, more)
    }

    fn start_by(program: &Path, db: &Db, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::new("first");
        let keys = folder.path().join("keys.json");
        publish(&keys, &[key.published()]);
        let keys = keys.display();
        let config = format!(
            "[tokens]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nkeys = \"{keys}\"\n\
             [metrics]\nlisten = \"127.0.0.1:0\"\n{more}"
        );
        let file = folder.path().join("tsio.toml");
        fs::write(&file, config).unwrap();
        let started = Instant::now();
        let server = Server::started_by(program, db, &["--config", &file.display().to_string()]);
        let max_service_time = MAX_SERVICE_TIME.max(started.elapsed() * START_TIMES);
        Self { server, key, max_service_time, _folder: folder }
    }

    /// Signs a token for a reader with this name, for all regions.
    fn token(&self, actor: &str) -> String {
        self.key.sign(&claims(actor, &["reader"], &["*"]))
    }

    async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        Endpoint::from_shared(self.server.url()).unwrap().connect().await
    }

    /// Checks that a caller with a valid token is served in time on a new connection.
    async fn check_served(&self, token: &str) {
        let served =
            timeout(self.max_service_time, async { list_funds(&self.connect().await.unwrap(), token).await.unwrap() });
        assert!(served.await.is_ok(), "not served within {:?}", self.max_service_time);
    }

    /// Does the same as [`Self::check_served`], but the caller retries broken connections. With few slots a connection
    /// may be closed for newer ones before its first call arrives.
    async fn check_served_with_retries(&self, token: &str) {
        let served = timeout(self.max_service_time, async {
            loop {
                let Ok(channel) = self.connect().await else { continue };
                match list_funds(&channel, token).await {
                    Ok(()) => return,
                    Err(status) => assert_eq!(refusal_of(&status).1, "", "{status}"),
                }
            }
        });
        assert!(served.await.is_ok(), "not served within {:?}", self.max_service_time);
    }

    /// Repeats [`Self::check_served`] while an attack runs, and returns the result of the attack.
    async fn check_served_during<R>(&self, token: &str, attack: impl Future<Output = R>) -> R {
        during(async || self.check_served(token).await, attack).await
    }

    /// The peak memory of the server, in MiB.
    fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
    }

    /// Waits until a line of the connection log contains this text.
    fn wait_for_log(&self, text: &str) {
        let is_logged = |line: &str| line.contains("tsio::connections") && line.contains(text);
        self.server.wait_for_stderr(|log| log.lines().any(is_logged));
    }

    async fn scrape(&self) -> Scrape {
        Scrape::of(&self.server).await
    }
}

/// Repeats `work` while an attack runs, and once more after the attack, while its connections are still open. Returns
/// the result of the attack.
async fn during<R>(work: impl AsyncFn(), attack: impl Future<Output = R>) -> R {
    let mut attack = std::pin::pin!(attack);
    loop {
        tokio::select! {
            biased;
            done = &mut attack => {
                work().await;
                return done;
            }
            () = work() => {}
        }
    }
}

/// Lists the funds with this token.
async fn list_funds(channel: &Channel, token: &str) -> Result<(), Status> {
    let mut request = Request::new(Bytes::from(ListFundsRequest::default().encode_to_vec()));
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    call(channel, "FundService/ListFunds", request).await.map(drop)
}

/// The size in this environment variable, or the default if it is not set.
fn size(name: &str, default: usize) -> usize {
    setting(name).map_or(default, |it| usize::try_from(it).unwrap())
}
