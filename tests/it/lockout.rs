//! Nobody can keep the others out: with any connections of strangers and callers, a caller with a good token is served
//! within two seconds, memory stays bounded, and the log and the metrics say what goes on.

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

/// Within this everybody who may call is served, on a machine that is not kept busy by something else.
const SERVED: Duration = Duration::from_secs(2);
/// On one that is, within so many times what the start of the server took.
const STARTS: u32 = 4;
/// Longer than anything that is waited for takes.
const BOUND: Duration = Duration::from_secs(60);

/// A server that lets in by token, on loopback without TLS, with metrics.
struct Guard {
    server: Server,
    key: SigningKey,
    /// Within this everybody who may call is served.
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

    /// A caller with a good token, on a connection of their own, is served in time.
    async fn serves(&self, token: &str) {
        let served = timeout(self.served, async { listed(&self.connect().await.unwrap(), token).await.unwrap() });
        assert!(served.await.is_ok(), "not served within {:?}", self.served);
    }

    /// The same for one who tries again when the connection breaks, as clients do: with few places it may be closed for
    /// newer ones before its first call is there.
    async fn serves_who_tries_again(&self, token: &str) {
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

    /// The same again and again until something else is done.
    async fn serves_during<R>(&self, token: &str, attack: impl Future<Output = R>) -> R {
        during(async || self.serves(token).await, attack).await
    }

    /// The most memory it had, in MiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
    }

    /// Waits until the log of connections has told of this.
    fn logs(&self, what: &str) {
        let told = |line: &str| line.contains("tsio::connections") && line.contains(what);
        self.server.says(|log| log.lines().any(told));
    }

    async fn scrape(&self) -> Scrape {
        Scrape::of(&self.server).await
    }
}

/// Does something again and again until something else is done, and once more while what that left is still there.
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

/// A listing with this token.
async fn listed(channel: &Channel, token: &str) -> Result<(), Status> {
    let mut request = Request::new(Bytes::from(ListFundsRequest::default().encode_to_vec()));
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    call(channel, "FundService/ListFunds", request).await.map(drop)
}

/// A size, from the environment where it is given.
fn size(name: &str, usual: usize) -> usize {
    setting(name).map_or(usual, |it| usize::try_from(it).unwrap())
}
