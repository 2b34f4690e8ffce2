//! Following a programme's offers over as many streams as it takes.

use std::collections::VecDeque;
use std::time::Duration;

use tonic::{Code, Request, Status, Streaming};

use crate::connect::Client;
use crate::error::Error;
use crate::proto::watch_offers_request::Start;
use crate::proto::{WatchOffersRequest, WatchOffersResponse};
use crate::retry::{self, Again};

/// A watch that goes on from the last message where a stream broke: every change once, in order, none missed.
///
/// A snapshot is kept back until it is whole, because a broken one starts again, and an offer that left meanwhile would be in
/// neither the second one nor a `gone`. Dropping the future of [`Watch::next`] loses nothing; after an error, the next call begins
/// again from the same place.
pub struct Watch {
    client: Client,
    request: WatchOffersRequest,
    stream: Option<Streaming<WatchOffersResponse>>,
    /// Of a snapshot that is not whole yet.
    kept: Vec<WatchOffersResponse>,
    /// What may be told.
    ready: VecDeque<WatchOffersResponse>,
    /// Whether a message has ever come.
    heard: bool,
    /// Failures since the last message.
    tried: u32,
    /// Whether another token was asked for since the last message.
    renewed: bool,
    broke: Box<dyn Fn(&Status) + Send + Sync>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("request", &self.request).field("tried", &self.tried).finish_non_exhaustive()
    }
}

impl Client {
    /// Follows a programme's offers, resuming by itself.
    #[must_use]
    pub fn watch(&self, request: WatchOffersRequest) -> Watch {
        Watch::new(self.clone(), request)
    }
}

impl Watch {
    pub(crate) fn new(client: Client, request: WatchOffersRequest) -> Self {
        let (kept, ready) = (Vec::new(), VecDeque::new());
        let broke = Box::new(|_: &Status| {});
        Self { client, request, stream: None, kept, ready, heard: false, tried: 0, renewed: false, broke }
    }

    /// The same, telling of each stream that broke and is resumed.
    #[must_use]
    pub fn telling(mut self, broke: impl Fn(&Status) + Send + Sync + 'static) -> Self {
        self.broke = Box::new(broke);
        self
    }

    /// The token of the last message that had one: what to resume from after a restart.
    #[must_use]
    pub fn resume_token(&self) -> Option<&str> {
        match &self.request.start {
            Some(Start::ResumeToken(token)) => Some(token),
            Some(Start::AfterSequence(_)) | None => None,
        }
    }

    /// The next message. While the server is away it waits, with growing pauses, for as long as it is polled.
    ///
    /// # Errors
    /// What no resuming mends: another history (`HISTORY_DIVERGED`), a caller that holds all watches one may when it begins
    /// another (`WATCHES_EXCEEDED`), a token that cannot be renewed, a wrong request.
    pub async fn next(&mut self) -> Result<WatchOffersResponse, Error> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                if !message.resume_token.is_empty() {
                    self.request.start = Some(Start::ResumeToken(message.resume_token.clone()));
                }
                return Ok(message);
            }
            let broken = match &mut self.stream {
                None => match self.begin().await? {
                    None => continue,
                    Some(status) => status,
                },
                Some(stream) => match stream.message().await {
                    Ok(Some(message)) => {
                        self.take(message);
                        continue;
                    }
                    Ok(None) => Status::unavailable("the server ended the stream"),
                    Err(status) => status,
                },
            };
            self.stream = None;
            self.kept.clear();
            self.mend(broken).await?;
        }
    }

    /// Keeps back what has no place, which is of a snapshot; with what has one, all that was kept may be told.
    fn take(&mut self, message: WatchOffersResponse) {
        (self.heard, self.tried, self.renewed) = (true, 0, false);
        if message.resume_token.is_empty() {
            return self.kept.push(message);
        }
        self.ready.extend(self.kept.drain(..));
        self.ready.push_back(message);
    }

    /// Opens a stream; the status where that failed.
    async fn begin(&mut self) -> Result<Option<Status>, Error> {
        let begun = async {
            let services = self.client.services().await?;
            let mut request = Request::new(self.request.clone());
            if let Some(within) = self.client.stream_deadline() {
                request.set_timeout(within);
            }
            Ok(services.offers().watch_offers(request).await)
        };
        match tokio::time::timeout(self.client.deadline(), begun).await {
            Ok(begun) => match begun? {
                Ok(answer) => {
                    self.stream = Some(answer.into_inner());
                    Ok(None)
                }
                Err(status) => Ok(Some(status)),
            },
            Err(_) => Ok(Some(Status::unavailable("the stream did not begin in time"))),
        }
    }

    /// Waits, or renews the token, where going on can help.
    async fn mend(&mut self, status: Status) -> Result<(), Error> {
        let again = match retry::again(&status) {
            // Its place of before the break is soon free; who never had one would wait for another watch to end.
            _ if !self.heard && retry::is_too_many_watches(&status) => Again::No,
            // A deadline that the caller set is the end it asked for.
            _ if status.code() == Code::DeadlineExceeded && self.client.stream_deadline().is_some() => Again::No,
            Again::WithAnotherToken if !self.renewed && self.client.renew().await? => {
                self.renewed = true;
                (self.broke)(&status);
                return Ok(());
            }
            again => again,
        };
        self.tried = self.tried.saturating_add(1);
        if again != Again::Yes {
            // Polled again, it begins again, with another token where there is one by then.
            let tried = std::mem::take(&mut self.tried);
            self.renewed = false;
            return Err(Error::of(status, None, tried));
        }
        (self.broke)(&status);
        if let Some(wait) = retry::pause(self.tried, Duration::MAX) {
            retry::wait(wait).await;
        }
        Ok(())
    }
}
