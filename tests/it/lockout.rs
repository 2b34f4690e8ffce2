//! No client can lock out the others. With any number of other connections, a caller with a valid token is served within
//! two seconds, memory stays bounded, and the log and the metrics report the attack.

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
use crate::authentication::{call, why};
use crate::harness::{Db, Server, TSIO, setting};
use crate::metrics::Scrape;

/// The time in which a caller with a valid token has to be served on an idle machine.
const SERVED: Duration = Duration::from_secs(2);
/// On a busy machine the time is the start time of the server times this factor.
const STARTS: u32 = 4;
/// Longer than any wait of these tests takes.
const BOUND: Duration = Duration::from_secs(60);

/// A server with token authentication and metrics, on loopback without TLS.
struct Guard {
    server: Server,
    key: SigningKey,
    /// The time in which a caller with a valid token has to be served.
    served: Duration,
    _folder: tempfile::TempDir,
}

impl Guard {
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
        let begun = Instant::now();
        let server = Server::started_by(program, db, &["--config", &file.display().to_string()]);
        let served = SERVED.max(begun.elapsed() * STARTS);
        Self { server, key, served, _folder: folder }
    }

    fn token(&self, actor: &str) -> String {
        self.key.sign(&claims(actor, &["reader"], &["*"]))
    }

    async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        Endpoint::from_shared(self.server.url()).unwrap().connect().await
    }

    /// Checks that a caller with a valid token is served in time on a new connection.
    async fn serves(&self, token: &str) {
        let served = timeout(self.served, async { listed(&self.connect().await.unwrap(), token).await.unwrap() });
        assert!(served.await.is_ok(), "not served within {:?}", self.served);
    }

    /// As [`Self::serves`], but the caller retries broken connections. With few slots a connection may be closed for newer
    /// ones before its first call arrives.
    async fn serves_with_retries(&self, token: &str) {
        let served = timeout(self.served, async {
            loop {
                let Ok(channel) = self.connect().await else { continue };
                match listed(&channel, token).await {
                    Ok(()) => return,
                    Err(status) => assert_eq!(why(&status).1, "", "{status}"),
                }
            }
        });
        assert!(served.await.is_ok(), "not served within {:?}", self.served);
    }

    /// Repeats [`Self::serves`] while an attack runs, and returns the result of the attack.
    async fn serves_during<R>(&self, token: &str, attack: impl Future<Output = R>) -> R {
        during(async || self.serves(token).await, attack).await
    }

    /// The peak memory of the server, in MiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
    }

    /// Waits until the connection log contains this text.
    fn logs(&self, what: &str) {
        let is_logged = |line: &str| line.contains("tsio::connections") && line.contains(what);
        self.server.wait_for_stderr(|log| log.lines().any(is_logged));
    }

    async fn scrape(&self) -> Scrape {
        Scrape::of(&self.server).await
    }
}

/// Repeats `work` while an attack runs, and once more after it, while its connections are still open.
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
async fn listed(channel: &Channel, token: &str) -> Result<(), Status> {
    let mut request = Request::new(Bytes::from(ListFundsRequest::default().encode_to_vec()));
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    call(channel, "FundService/ListFunds", request).await.map(drop)
}

/// A size from the environment, or its default.
fn size(name: &str, usual: usize) -> usize {
    setting(name).map_or(usual, |it| usize::try_from(it).unwrap())
}
