//! The connection of one command to a server, with its credentials, timeout and request id.
//!
//! Every mutation takes its request id from the session, so that after a failure the command can print the id for a retry. Calls
//! are not retried here; a script may retry them with the same id.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;
use tonic::Request;
use uuid::Uuid;

use super::args::{Global, PROGRAMME};
use super::errors::Failure;
use super::json::HasIds;
use super::output::{self, Output};
use crate::client::{Builder, Client, Error, Services};
use crate::config::environment;

/// The page size of lists: the largest that the server allows.
pub(super) const PAGE: i32 = 500;

/// The rows that a search prints if no limit is given.
pub(super) const FOUND_ROWS: usize = 20;

/// The page size with which one request reads the rows to print, and one more to know whether there are more.
pub(super) fn page_size_for(limit: Option<usize>) -> i32 {
    limit.and_then(|limit| i32::try_from(limit.saturating_add(1)).ok()).map_or(PAGE, |rows| rows.min(PAGE))
}

/// The connection of one command.
pub(super) struct Session<'a> {
    client: Client,
    /// The services that the command calls.
    pub(super) services: Services,
    global: &'a Global,
    /// Receives the request id of the command's mutation.
    request_id_used: &'a OnceLock<Uuid>,
}

impl<'a> Session<'a> {
    /// Connects to the server. `request_id_used` receives the request id when a mutation uses it.
    ///
    /// # Errors
    /// [`Failure::Local`] if the credentials are wrong or cannot be read, or the server cannot be reached.
    pub(super) async fn open(global: &'a Global, request_id_used: &'a OnceLock<Uuid>) -> Result<Self, Failure> {
        let client = with_credentials(Client::to(global.server.uri().to_string()), global)?.connect().await?;
        Ok(Self { services: client.services().await?, client, global, request_id_used })
    }

    /// Returns the client, for a watch, which may need several calls.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the programme that `--programme` names; `None` if it is not given.
    pub(super) fn named_programme(&self) -> Option<&str> {
        self.global.programme.as_deref()
    }

    /// Returns the programme of this command: that of `--programme`, otherwise that of the environment, otherwise the first year of
    /// the scheme.
    pub(super) fn programme(&self) -> String {
        let named = self.named_programme().map(ToOwned::to_owned);
        named.or_else(environment::client_programme).unwrap_or_else(|| PROGRAMME.to_owned())
    }

    /// Returns the format of answers.
    pub(super) const fn output(&self) -> Output {
        self.global.output
    }

    /// Returns the request id of this command's mutation, as text. Makes a new id unless `--request-id` is given.
    pub(super) fn request_id(&self) -> String {
        self.request_id_of(0)
    }

    /// Returns the request id of one of several mutations of a command: the first id, with its low half combined with `index` by
    /// XOR. So the same command with the same `--request-id` sends the same ids. The first mutation uses the id unchanged.
    pub(super) fn request_id_of(&self, index: usize) -> String {
        let first = self.request_id_used.get_or_init(|| self.global.request_id.unwrap_or_else(Uuid::new_v4));
        let low = u64::try_from(index).unwrap_or_default();
        Uuid::from_u128(first.as_u128() ^ u128::from(low)).to_string()
    }

    /// Makes a request with the timeout of `--timeout`.
    pub(super) fn call<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(timeout) = self.global.timeout() {
            request.set_timeout(timeout);
        }
        request
    }

    /// Makes a request without a timeout, for an upload.
    pub(super) fn long_call<T>(&self, message: T) -> Request<T> {
        Request::new(message)
    }

    /// Prints an answer as JSON, as text or as its ids.
    pub(super) fn print<J: Serialize + HasIds>(
        &self,
        json: impl FnOnce() -> J,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        Ok(output::answer(self.global.output, json, text)?)
    }

    /// Returns the id of the caller in development mode.
    pub(super) fn actor(&self) -> String {
        self.global.actor.to_str().unwrap_or_default().to_owned()
    }
}

/// Sets the authority of the server, and the credentials of the caller: a certificate, a token from a file or from `TSIO_TOKEN`,
/// or the identity of development mode.
fn with_credentials(mut builder: Builder, global: &Global) -> Result<Builder, Failure> {
    if let Some(authority) = &global.ca {
        builder = builder.authority(read_file(authority)?);
    }
    if let (Some(certificate), Some(key)) = (&global.certificate, &global.key) {
        builder = builder.certificate(read_file(certificate)?, read_file(key)?);
    }
    let token = match &global.token_file {
        Some(path) => Some(String::from_utf8_lossy(&read_file(path)?).into_owned()),
        None => environment::client_token(),
    };
    let text = |it: &tonic::metadata::MetadataValue<_>| it.to_str().unwrap_or_default().to_owned();
    Ok(match token {
        Some(token) => builder.token(token),
        None => builder.named(&text(&global.actor), &text(&global.roles), global.regions.as_ref().map(text).as_deref()),
    }
    .stream_deadline(global.timeout()))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Setup { reason, text } => Self::Local(reason, text),
            Error::Unreachable(text) => Self::Local("SERVER_UNREACHABLE", text),
            Error::Token { .. } => {
                Self::Local("TOKEN_MALFORMED", "the token has characters that a header cannot have".to_owned())
            }
            Error::Failed(failed) => failed.status().clone().into(),
        }
    }
}

impl Global {
    /// The time limit of a call; `None` for no limit.
    fn timeout(&self) -> Option<Duration> {
        self.timeout.map(Duration::from_secs)
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::Local("FILE_UNREADABLE", format!("{}: {error}", path.display())))
}

/// Reads all items of a list, page by page. `read_page` gets the token of a page, which is empty for the first page. It returns
/// the items, and the token of the next page, which is empty after the last page.
///
/// # Errors
/// The first error of `read_page`.
pub(super) async fn every_page<T>(
    mut read_page: impl AsyncFnMut(String) -> Result<(Vec<T>, String), Failure>,
) -> Result<Vec<T>, Failure> {
    let (mut items, mut token) = read_page(String::new()).await?;
    while !token.is_empty() {
        let (more_items, next_token) = read_page(token).await?;
        items.extend(more_items);
        token = next_token;
    }
    Ok(items)
}

/// Reads the items of a list as [`every_page`] does, but not more pages than are needed for `limit` items; `None` for all. Returns at
/// most `limit` items, and whether there are more.
///
/// # Errors
/// The first error of `read_page`.
pub(super) async fn pages_up_to<T>(
    limit: Option<usize>,
    mut read_page: impl AsyncFnMut(String) -> Result<(Vec<T>, String), Failure>,
) -> Result<(Vec<T>, bool), Failure> {
    let (mut items, mut token) = read_page(String::new()).await?;
    let is_enough = |count: usize| limit.is_some_and(|limit| count > limit);
    while !token.is_empty() && !is_enough(items.len()) {
        let (more_items, next_token) = read_page(token).await?;
        items.extend(more_items);
        token = next_token;
    }
    let has_more = is_enough(items.len());
    items.truncate(limit.unwrap_or(usize::MAX));
    Ok((items, has_more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_page_is_read_with_the_token_of_the_page_before() {
        let mut requested_tokens = Vec::new();
        let items = every_page(async |token: String| {
            requested_tokens.push(token.clone());
            Ok(match token.as_str() {
                "" => (vec![1, 2], "b".to_owned()),
                "b" => (vec![], "c".to_owned()),
                _ => (vec![3], String::new()),
            })
        });
        assert_eq!(items.await.ok(), Some(vec![1, 2, 3]));
        assert_eq!(requested_tokens, ["", "b", "c"]);
    }

    #[tokio::test]
    async fn no_more_pages_are_read_than_the_limit_needs() {
        let pages = [vec![1, 2], vec![3, 4], vec![5]];
        // the limit, the items, whether there are more, the pages that are read
        let rows = [
            (None, vec![1, 2, 3, 4, 5], false, 3),
            (Some(1), vec![1], true, 1),
            (Some(2), vec![1, 2], true, 2),
            (Some(4), vec![1, 2, 3, 4], true, 3),
            (Some(5), vec![1, 2, 3, 4, 5], false, 3),
            (Some(9), vec![1, 2, 3, 4, 5], false, 3),
        ];
        for (limit, expected, has_more, read) in rows {
            let mut count = 0;
            let items = pages_up_to(limit, async |_| {
                let page = pages[count].clone();
                count += 1;
                Ok((page, if count < pages.len() { count.to_string() } else { String::new() }))
            });
            assert_eq!(items.await.ok(), Some((expected, has_more)), "{limit:?}");
            assert_eq!(count, read, "{limit:?}");
        }
    }

    #[tokio::test]
    async fn an_error_of_a_page_is_the_error_of_the_list() {
        let items = every_page(async |token: String| match token.as_str() {
            "" => Ok((vec![1], "b".to_owned())),
            _ => Err(Failure::Reported),
        });
        assert!(matches!(items.await, Err(Failure::Reported)));
    }
}
