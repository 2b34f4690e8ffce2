//! Follows the offers of a programme, over several streams if they break.

use std::collections::VecDeque;
use std::time::Duration;

use tonic::{Code, Request, Status, Streaming};

use crate::connect::Client;
use crate::credentials::MetadataHeader;
use crate::error::Error;
use crate::proto::watch_offers_request::Start;
use crate::proto::{WatchOffersRequest, WatchOffersResponse};
use crate::retry::{self, Retry};

/// A watch that resumes after the last message if its stream breaks. It returns every change once and in order.
///
/// A snapshot is held back until it is complete, because it starts again if its stream breaks. Otherwise the caller would keep an
/// offer of the first snapshot that left before the second one: no `gone` message names it. Dropping the future of
/// [`Watch::next`] loses nothing. After an error the next call begins again from the same position.
pub struct Watch {
    client: Client,
    request: WatchOffersRequest,
    stream: Option<Streaming<WatchOffersResponse>>,
    /// The messages of an incomplete snapshot.
    snapshot: Vec<WatchOffersResponse>,
    /// The messages to return next.
    ready: VecDeque<WatchOffersResponse>,
    /// True after the first message.
    has_received: bool,
    /// The number of failures since the last message.
    failures: u32,
    /// True if the token was renewed since the last message.
    has_renewed: bool,
    /// The credentials that opened the last stream.
    sent_headers: Vec<MetadataHeader>,
    /// Called for each stream that broke and is resumed.
    on_break: Box<dyn Fn(&Status) + Send + Sync>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("request", &self.request)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Follows the offers of a programme, and resumes broken streams.
    #[must_use]
    pub fn watch(&self, request: WatchOffersRequest) -> Watch {
        Watch::new(self.clone(), request)
    }
}

impl Watch {
    pub(crate) fn new(client: Client, request: WatchOffersRequest) -> Self {
        let (snapshot, ready) = (Vec::new(), VecDeque::new());
        let on_break = Box::new(|_: &Status| {});
        Self {
            client,
            request,
            stream: None,
            snapshot,
            ready,
            has_received: false,
            failures: 0,
            has_renewed: false,
            sent_headers: Vec::new(),
            on_break,
        }
    }

    /// Sets a function that is called for each stream that broke and is resumed.
    #[must_use]
    pub fn on_break(mut self, on_break: impl Fn(&Status) + Send + Sync + 'static) -> Self {
        self.on_break = Box::new(on_break);
        self
    }

    /// The last resume token, with which a later watch can continue; `None` before the first message with a token.
    #[must_use]
    pub fn resume_token(&self) -> Option<&str> {
        match &self.request.start {
            Some(Start::ResumeToken(token)) => Some(token),
            Some(Start::AfterSequence(_)) | None => None,
        }
    }

    /// Returns the next message. While the server is unreachable it retries with growing pauses.
    ///
    /// # Errors
    /// Failures that a new stream cannot fix: another history (`HISTORY_DIVERGED`), too many watches at the first stream
    /// (`WATCHES_EXCEEDED`), a token that cannot be renewed, or a wrong request.
    pub async fn next(&mut self) -> Result<WatchOffersResponse, Error> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                if !message.resume_token.is_empty() {
                    self.request.start = Some(Start::ResumeToken(message.resume_token.clone()));
                }
                return Ok(message);
            }
            let broken = match &mut self.stream {
                None => match self.open_stream().await? {
                    None => continue,
                    Some(status) => status,
                },
                Some(stream) => match stream.message().await {
                    Ok(Some(message)) => {
                        self.store(message);
                        continue;
                    }
                    Ok(None) => Status::unavailable("the server ended the stream"),
                    Err(status) => status,
                },
            };
            self.stream = None;
            self.snapshot.clear();
            self.recover(broken).await?;
        }
    }

    /// Stores a received message. A message without a resume token belongs to a snapshot, and is held back. A message with a token
    /// completes the snapshot.
    fn store(&mut self, message: WatchOffersResponse) {
        (self.has_received, self.failures, self.has_renewed) = (true, 0, false);
        if message.resume_token.is_empty() {
            return self.snapshot.push(message);
        }
        self.ready.extend(self.snapshot.drain(..));
        self.ready.push_back(message);
    }

    /// Opens a stream. Returns the status if the call failed, and `None` if the stream is open.
    ///
    /// # Errors
    /// [`Error::Token`].
    async fn open_stream(&mut self) -> Result<Option<Status>, Error> {
        let opening = async {
            let services = self.client.services().await?;
            self.sent_headers = services.headers().to_vec();
            let mut request = Request::new(self.request.clone());
            if let Some(deadline) = self.client.stream_deadline() {
                request.set_timeout(deadline);
            }
            Ok(services.offers().watch_offers(request).await)
        };
        match tokio::time::timeout(self.client.deadline(), opening).await {
            Ok(opened) => match opened? {
                Ok(answer) => {
                    self.stream = Some(answer.into_inner());
                    Ok(None)
                }
                Err(status) => Ok(Some(status)),
            },
            Err(_) => Ok(Some(Status::unavailable("the stream did not begin in time"))),
        }
    }

    /// Prepares for another stream: renews the token, or waits.
    ///
    /// # Errors
    /// [`Error::Failed`] if another stream cannot help; [`Error::Token`].
    async fn recover(&mut self, status: Status) -> Result<(), Error> {
        let retry = match retry::classify(&status) {
            // After a break the server counts the old stream for a short time only, so another try helps. A first stream would
            // have to wait until another watch ends.
            _ if !self.has_received && retry::is_too_many_watches(&status) => Retry::No,
            // The caller has set this deadline, so it ends the watch.
            _ if status.code() == Code::DeadlineExceeded && self.client.stream_deadline().is_some() => Retry::No,
            Retry::WithAnotherToken if !self.has_renewed && self.client.forget_token(&self.sent_headers) => {
                self.has_renewed = true;
                (self.on_break)(&status);
                return Ok(());
            }
            other => other,
        };
        self.failures = self.failures.saturating_add(1);
        if retry != Retry::Yes {
            // The next call of `next` opens a new stream. It may then use another token.
            let failures = std::mem::take(&mut self.failures);
            self.has_renewed = false;
            return Err(Error::from_status(status, None, failures));
        }
        (self.on_break)(&status);
        if let Some(wait) = retry::pause(self.failures, Duration::MAX) {
            retry::wait(wait).await;
        }
        Ok(())
    }
}
