//! Runs callers that change offers without pause, and checks that all their changes are recorded.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use prost::Message as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::Code;
use tsio::proto::Offer;

use crate::client::{Client, fresh};

/// The number of concurrent callers.
const CALLERS: usize = 8;

/// What a caller does when a call fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Sends the same call again under the same id until it succeeds. Panics at any error but UNAVAILABLE.
    Retry,
    /// Makes no further calls, and keeps the failed one without an answer.
    Stop,
}

/// One change that was sent.
#[derive(Clone)]
pub(crate) struct Sent {
    offer: String,
    assignee: String,
    id: String,
    /// Its first answer; `None` if the call failed and was not repeated.
    answer: Option<Vec<u8>>,
}

/// Running callers.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    /// How many calls have been answered.
    answered: Arc<watch::Sender<usize>>,
    callers: Vec<JoinHandle<Vec<Sent>>>,
}

impl Load {
    /// Starts the callers over one connection, each on its own share of the offers.
    pub(crate) fn on(client: &Client, offers: &[Offer], on_failure: OnFailure) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(watch::Sender::new(0));
        let caller = |index: usize| {
            let share: Vec<String> = offers.iter().skip(index).step_by(CALLERS).map(|it| it.offer.clone()).collect();
            tokio::spawn(make_calls(client.clone(), share, on_failure, Arc::clone(&stop), Arc::clone(&answered)))
        };
        let callers = (0..CALLERS).map(caller).collect();
        Self { stop, answered, callers }
    }

    /// Waits until `more` further calls have been answered.
    pub(crate) async fn until_more(&self, more: usize) {
        let mut answered = self.answered.subscribe();
        let expected = *answered.borrow() + more;
        answered.wait_for(|count| *count >= expected).await.unwrap();
    }

    /// Stops the callers once their last calls are answered, and returns all calls that they sent.
    pub(crate) async fn end(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        join_all(self.callers).await.into_iter().flat_map(|sent| sent.unwrap()).collect()
    }
}

/// Assigns the offers of a share in turn until `stop` is set, or until a failed call stops it. Returns the calls.
async fn make_calls(
    client: Client,
    share: Vec<String>,
    on_failure: OnFailure,
    stop: Arc<AtomicBool>,
    answered: Arc<watch::Sender<usize>>,
) -> Vec<Sent> {
    let mut all: Vec<Sent> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let count_sent = all.len();
        let mut sent = Sent {
            offer: share[count_sent % share.len()].clone(),
            assignee: format!("case-{count_sent}"),
            id: fresh(),
            answer: None,
        };
        while sent.answer.is_none() {
            match client.assign(&sent.offer, &sent.assignee, &sent.id).await {
                Ok(answer) => sent.answer = Some(answer.encode_to_vec()),
                Err(_) if on_failure == OnFailure::Stop => {
                    all.push(sent);
                    return all;
                }
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
            }
        }
        all.push(sent);
        answered.send_modify(|count| *count += 1);
    }
    all
}

/// Checks that each sent change is recorded exactly once, that no other assignment is recorded, and that a repeated
/// call gets its first answer.
pub(crate) async fn check_all_recorded(client: &Client, offers: &[Offer], sent: &[Sent]) {
    for chunk in sent.chunks(100) {
        let again = join_all(chunk.iter().map(|it| client.assign(&it.offer, &it.assignee, &it.id))).await;
        for (sent, answer) in chunk.iter().zip(again) {
            let answer = answer.unwrap().encode_to_vec();
            assert!(sent.answer.is_none() || sent.answer == Some(answer), "{} is answered again", sent.id);
        }
    }
    let mut recorded: HashMap<String, usize> = HashMap::new();
    for offer in offers {
        for event in client.events(&offer.offer).await.into_iter().filter(|it| it.kind == "assigned") {
            *recorded.entry(event.request_id).or_default() += 1;
        }
    }
    assert!(sent.iter().all(|it| recorded.get(&it.id) == Some(&1)));
    assert_eq!(recorded.len(), sent.len());
}
