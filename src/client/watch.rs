//! Following a programme's offers over as many streams as it takes.

use std::time::{Duration, Instant};

use tonic::{Code, Request, Status, Streaming};

use super::connect::Client;
use super::error::Error;
use super::retry::{self, Again};
use crate::proto::watch_offers_request::Start;
use crate::proto::{WatchOffersRequest, WatchOffersResponse};

/// A watch that goes on from the last message where a stream broke: every change once, in order, none missed.
///
/// A snapshot that is torn before its end is told anew: what it is complete with comes before `snapshot_end`. Dropping the future
/// of [`Watch::next`] loses nothing.
pub struct Watch {
    client: Client,
    request: WatchOffersRequest,
    stream: Option<Streaming<WatchOffersResponse>>,
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

impl Watch {
    pub(super) fn new(client: Client, request: WatchOffersRequest) -> Self {
        Self { client, request, stream: None, tried: 0, renewed: false, broke: Box::new(|_| {}) }
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
    /// What no resuming mends: another history (`HISTORY_DIVERGED`), a token that cannot be renewed, a wrong request.
    pub async fn next(&mut self) -> Result<WatchOffersResponse, Error> {
        loop {
            let broken = match &mut self.stream {
                None => match self.begin().await? {
                    None => continue,
                    Some(status) => status,
                },
                Some(stream) => match stream.message().await {
                    Ok(Some(message)) => {
                        if !message.resume_token.is_empty() {
                            self.request.start = Some(Start::ResumeToken(message.resume_token.clone()));
                        }
                        (self.tried, self.renewed) = (0, false);
                        return Ok(message);
                    }
                    Ok(None) => Status::unavailable("the server ended the stream"),
                    Err(status) => status,
                },
            };
            self.stream = None;
            self.mend(broken).await?;
        }
    }

    /// Opens a stream; the status where that failed.
    async fn begin(&mut self) -> Result<Option<Status>, Error> {
        let services = self.client.services().await?;
        let mut request = Request::new(self.request.clone());
        if let Some(within) = self.client.stream_deadline() {
            request.set_timeout(within);
        }
        match services.offers().watch_offers(request).await {
            Ok(answer) => {
                self.stream = Some(answer.into_inner());
                Ok(None)
            }
            Err(status) => Ok(Some(status)),
        }
    }

    /// Waits, or renews the token, where going on can help.
    async fn mend(&mut self, status: Status) -> Result<(), Error> {
        let again = match retry::again(&status) {
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
            // Polled again, it begins anew, with another token where there is one by then.
            let tried = std::mem::take(&mut self.tried);
            self.renewed = false;
            return Err(Error::of(status, None, tried));
        }
        (self.broke)(&status);
        retry::wait(self.tried, Duration::MAX, Instant::now()).await;
        Ok(())
    }
}
