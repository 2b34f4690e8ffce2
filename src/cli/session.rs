//! One command's connection to a server: who calls and what proves it, how long it may take, and its request id.
//!
//! A mutation takes its id from here and nowhere else, so that after a failure it is known whether there is one to retry
//! with. Calls are never retried here: a script decides that, with the same id.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;
use tonic::Request;
use uuid::Uuid;

use super::args::Global;
use super::errors::Failure;
use super::output::{self, Output};
use crate::client::{Builder, Client, Error, Services};
use crate::config::environment;

/// How many a list asks for at a time: the most that the server gives.
pub(super) const PAGE: i32 = 500;

/// A command's connection.
pub(super) struct Session<'a> {
    client: Client,
    /// The services that the command calls.
    pub(super) services: Services,
    global: &'a Global,
    used: &'a OnceLock<Uuid>,
}

impl<'a> Session<'a> {
    /// Connects; `used` is where the request id is left once a mutation has taken it.
    pub(super) async fn open(global: &'a Global, used: &'a OnceLock<Uuid>) -> Result<Self, Failure> {
        let client = proven(Client::to(global.server.uri().to_string()), global)?.connect().await?;
        Ok(Self { services: client.services().await?, client, global, used })
    }

    /// The connection, for what is followed over several calls.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// How answers are printed.
    pub(super) const fn output(&self) -> Output {
        self.global.output
    }

    /// The request id of this command's mutation, as text.
    pub(super) fn request_id(&self) -> String {
        self.request_id_of(0)
    }

    /// The request id of the `index`th of several mutations of one command: its own by an exclusive or with the low
    /// half, so that the same command with the same `--request-id` makes the same calls. The first keeps the id as given.
    pub(super) fn request_id_of(&self, index: usize) -> String {
        let first = self.used.get_or_init(|| self.global.request_id.unwrap_or_else(Uuid::new_v4));
        let low = u64::try_from(index).unwrap_or_default();
        Uuid::from_u128(first.as_u128() ^ u128::from(low)).to_string()
    }

    /// A call with its timeout.
    pub(super) fn call<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(timeout) = self.global.timeout() {
            request.set_timeout(timeout);
        }
        request
    }

    /// A call that takes as long as it takes: an upload.
    pub(super) fn long_call<T>(&self, message: T) -> Request<T> {
        Request::new(message)
    }

    /// Prints an answer: its JSON, or what a person reads.
    pub(super) fn print<J: Serialize>(
        &self,
        json: impl FnOnce() -> J,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        Ok(output::answer(self.global.output, json, text)?)
    }

    /// Who calls.
    pub(super) fn actor(&self) -> String {
        self.global.actor.to_str().unwrap_or_default().to_owned()
    }
}

/// How the server proves itself, and what this command shows of its own: a token, from a file or from `TSIO_TOKEN`, or its word.
fn proven(mut to: Builder, global: &Global) -> Result<Builder, Failure> {
    if let Some(authority) = &global.ca {
        to = to.authority(read(authority)?);
    }
    if let (Some(certificate), Some(key)) = (&global.certificate, &global.key) {
        to = to.certificate(read(certificate)?, read(key)?);
    }
    let token = match &global.token_file {
        Some(path) => Some(String::from_utf8_lossy(&read(path)?).into_owned()),
        None => environment::client_token(),
    };
    let word = |it: &tonic::metadata::MetadataValue<_>| it.to_str().unwrap_or_default().to_owned();
    Ok(match token {
        Some(token) => to.token(token),
        None => to.named(&word(&global.actor), &word(&global.roles), global.regions.as_ref().map(word).as_deref()),
    }
    .stream_deadline(global.timeout()))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Setup { reason, text } => Self::Local(reason, text),
            Error::Unreachable(text) => Self::Local("SERVER_UNREACHABLE", text),
            Error::Token { .. } => Self::Local("TOKEN_MALFORMED", "the token holds what no token can".to_owned()),
            Error::Failed(failed) => failed.status().clone().into(),
        }
    }
}

impl Global {
    /// How long a call may take.
    fn timeout(&self) -> Option<Duration> {
        self.timeout.map(Duration::from_secs)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::Local("FILE_UNREADABLE", format!("{}: {error}", path.display())))
}

/// Every item of a list, page by page: `page` answers the items under a token and the token of the next, empty at the
/// end.
pub(super) async fn every_page<T>(
    mut page: impl AsyncFnMut(String) -> Result<(Vec<T>, String), Failure>,
) -> Result<Vec<T>, Failure> {
    let (mut items, mut token) = page(String::new()).await?;
    while !token.is_empty() {
        let (more, next) = page(token).await?;
        items.extend(more);
        token = next;
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_page_is_fetched_under_the_token_of_the_page_before() {
        let mut asked = Vec::new();
        let items = every_page(async |token: String| {
            asked.push(token.clone());
            Ok(match token.as_str() {
                "" => (vec![1, 2], "b".to_owned()),
                "b" => (vec![], "c".to_owned()),
                _ => (vec![3], String::new()),
            })
        });
        assert_eq!(items.await.ok(), Some(vec![1, 2, 3]));
        assert_eq!(asked, ["", "b", "c"]);
    }

    #[tokio::test]
    async fn a_page_that_fails_fails_the_list() {
        let items = every_page(async |token: String| match token.as_str() {
            "" => Ok((vec![1], "b".to_owned())),
            _ => Err(Failure::Reported),
        });
        assert!(matches!(items.await, Err(Failure::Reported)));
    }
}
