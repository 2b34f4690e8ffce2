//! What nobody sends in good faith: each is refused without effect, and honest callers are served on.

mod bytes;
mod messages;
mod streams;

use std::time::Duration;

use tsio::proto::ListFundsRequest;

use crate::authentication::{as_role, call};
use crate::client::Client;
use crate::harness::{Server, setting};

/// How long the random part of a test goes on; CI takes the short form.
fn seconds() -> Duration {
    Duration::from_secs(setting("TSIO_ATTACK_SECONDS").unwrap_or(3))
}

/// What the random part draws from; a failure shows the seed, and `TSIO_SEED` runs it again.
fn random() -> fastrand::Rng {
    let seed = setting("TSIO_SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("TSIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

fn noise(random: &mut fastrand::Rng, most: usize) -> Vec<u8> {
    let size = random.usize(..most);
    std::iter::repeat_with(|| random.u8(..)).take(size).collect()
}

/// The server answers an honest caller, has not panicked, and has had no bug to tell of.
async fn unharmed(server: &Server) {
    let channel = Client::of(server).await.channel();
    call(&channel, "FundService/ListFunds", as_role("reader", None, ListFundsRequest::default())).await.unwrap();
    let log = server.stderr();
    for sign in ["panicked", "a bug"] {
        assert!(!log.contains(sign), "{sign}: {log}");
    }
}
