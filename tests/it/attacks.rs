//! Malicious input is refused without effect, and other callers are still served.

mod bytes;
mod messages;
mod streams;

use std::time::Duration;

use tsio::proto::ListFundsRequest;

use crate::authentication::{as_role, call};
use crate::client::Client;
use crate::harness::{Server, setting};

/// How long the random part of a test runs. CI uses the short default.
fn random_phase() -> Duration {
    Duration::from_secs(setting("TSIO_ATTACK_SECONDS").unwrap_or(3))
}

/// Makes the random number generator of a test, and prints its seed. `TSIO_SEED` sets the seed, to repeat a run.
fn random() -> fastrand::Rng {
    let seed = setting("TSIO_SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("TSIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// Random bytes, fewer than `max_size`.
fn noise(random: &mut fastrand::Rng, max_size: usize) -> Vec<u8> {
    let size = random.usize(..max_size);
    std::iter::repeat_with(|| random.u8(..)).take(size).collect()
}

/// Checks that the server answers a caller, and that its log reports no panic and no bug.
async fn assert_unharmed(server: &Server) {
    let channel = Client::of(server).await.channel();
    call(&channel, "FundService/ListFunds", as_role("reader", None, ListFundsRequest::default())).await.unwrap();
    let log = server.stderr();
    for symptom in ["panicked", "a bug"] {
        assert!(!log.contains(symptom), "{symptom}: {log}");
    }
}
