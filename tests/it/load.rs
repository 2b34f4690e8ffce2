//! Callers that change offers without pause, and what became of everything they sent.

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

/// Callers at the same time.
const CALLERS: usize = 8;

/// What a caller does when it is not answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Sends the same again, under the same id, until it is; only UNAVAILABLE may come in between.
    Again,
    /// Goes home, and remembers that it does not know.
    Home,
}

/// One change that was sent, and the first answer it got.
#[derive(Clone)]
pub(crate) struct Sent {
    offer: String,
    assignee: String,
    id: String,
    answer: Option<Vec<u8>>,
}

/// Callers at work.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<watch::Sender<usize>>,
    callers: Vec<JoinHandle<Vec<Sent>>>,
}

impl Load {
    /// Starts them over one connection, each on its own share of the offers.
    pub(crate) fn on(client: &Client, offers: &[Offer], unanswered: Unanswered) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(watch::Sender::new(0));
        let caller = |n: usize| {
            let share: Vec<String> = offers.iter().skip(n).step_by(CALLERS).map(|it| it.offer.clone()).collect();
            tokio::spawn(call(client.clone(), share, unanswered, Arc::clone(&stop), Arc::clone(&answered)))
        };
        let callers = (0..CALLERS).map(caller).collect();
        Self { stop, answered, callers }
    }

    /// Waits until so many more than now have been answered.
    pub(crate) async fn until_more(&self, more: usize) {
        let mut answered = self.answered.subscribe();
        let expected = *answered.borrow() + more;
        answered.wait_for(|count| *count >= expected).await.unwrap();
    }

    /// Sends them home once they have their last answer, and tells all that they sent.
    pub(crate) async fn end(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        join_all(self.callers).await.into_iter().flat_map(|sent| sent.unwrap()).collect()
    }
}

async fn call(
    client: Client,
    share: Vec<String>,
    unanswered: Unanswered,
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
                Err(_) if unanswered == Unanswered::Home => {
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

/// Everything sent is there exactly once, and nothing else; what had an answer has the same one for ever.
pub(crate) async fn held(client: &Client, offers: &[Offer], sent: &[Sent]) {
    for some in sent.chunks(100) {
        let again = join_all(some.iter().map(|it| client.assign(&it.offer, &it.assignee, &it.id))).await;
        for (sent, answer) in some.iter().zip(again) {
            let answer = answer.unwrap().encode_to_vec();
            assert!(sent.answer.is_none() || sent.answer == Some(answer), "{} is answered again", sent.id);
        }
    }
    let mut times: HashMap<String, usize> = HashMap::new();
    for offer in offers {
        for event in client.events(&offer.offer).await.into_iter().filter(|it| it.kind == "assigned") {
            *times.entry(event.request_id).or_default() += 1;
        }
    }
    assert!(sent.iter().all(|it| times.get(&it.id) == Some(&1)));
    assert_eq!(times.len(), sent.len());
}
