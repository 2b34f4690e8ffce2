//! Callers that change offers without pause, and a check that all their changes are recorded.

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

/// Concurrent callers.
const CALLERS: usize = 8;

/// What a caller does when a call fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Sends the same call again under the same id until it succeeds. Until then only UNAVAILABLE is allowed.
    Retry,
    /// Stops, and keeps the call without an answer.
    Stop,
}

/// One change that was sent, and its first answer.
#[derive(Clone)]
pub(crate) struct Sent {
    offer: String,
    assignee: String,
    id: String,
    answer: Option<Vec<u8>>,
}

/// Running callers.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<watch::Sender<usize>>,
    callers: Vec<JoinHandle<Vec<Sent>>>,
}

impl Load {
    /// Starts them over one connection, each on its own share of the offers.
    pub(crate) fn on(client: &Client, offers: &[Offer], on_failure: OnFailure) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(watch::Sender::new(0));
        let caller = |n: usize| {
            let share: Vec<String> = offers.iter().skip(n).step_by(CALLERS).map(|it| it.offer.clone()).collect();
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

    /// Stops the callers after their last answers, and returns all that they sent.
    pub(crate) async fn end(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        join_all(self.callers).await.into_iter().flat_map(|sent| sent.unwrap()).collect()
    }
}

async fn make_calls(
    client: Client,
    share: Vec<String>,
    on_failure: OnFailure,
    stop: Arc<AtomicBool>,
    answered: Arc<watch::Sender<usize>>,
) -> Vec<Sent> {
    let mut all: Vec<Sent> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let n = all.len();
        let mut sent =
            Sent { offer: share[n % share.len()].clone(), assignee: format!("case-{n}"), id: fresh(), answer: None };
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

/// Checks that each sent change is recorded exactly once, that nothing else is recorded, and that a repeated call gets its
/// first answer.
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
