//! One command's connection to a server: who calls and what proves it, how long it may take, and its request id.
//!
//! A mutation takes its id from here and nowhere else, so that after a failure it is known whether there is one to retry
//! with. Calls are never retried here: a script decides that, with the same id.

use std::error::Error;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use uuid::Uuid;

use super::args::Global;
use super::errors::Failure;
use super::out::{self, Output, View};
use crate::proto::approval_service_client::ApprovalServiceClient;
use crate::proto::award_service_client::AwardServiceClient;
use crate::proto::eligibility_service_client::EligibilityServiceClient;
use crate::proto::fund_service_client::FundServiceClient;
use crate::proto::offer_service_client::OfferServiceClient;
use crate::proto::referral_service_client::ReferralServiceClient;
use crate::proto::register_service_client::RegisterServiceClient;
use crate::proto::terms_service_client::TermsServiceClient;

/// The largest answer taken. Changes between two months are not paged: 25,000 schools of 200 bytes make 5 MB.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// How many a list asks for at a time: the most that the server gives.
pub(super) const PAGE: i32 = 500;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A command's connection.
pub(super) struct Session<'a> {
    channel: Channel,
    global: &'a Global,
    /// `Bearer` and the token, where there is one.
    token: Option<MetadataValue<Ascii>>,
    used: &'a OnceLock<Uuid>,
}

impl<'a> Session<'a> {
    /// Connects; `used` is where the request id is left once a mutation has taken it.
    pub(super) async fn open(global: &'a Global, used: &'a OnceLock<Uuid>) -> Result<Self, Failure> {
        let unreachable = |error: tonic::transport::Error| {
            let mut text = format!("cannot reach {}", global.server.uri());
            let mut cause = error.source();
            while let Some(error) = cause {
                let more = error.to_string();
                if !text.ends_with(&more) {
                    text = format!("{text}: {more}");
                }
                cause = error.source();
            }
            Failure::Local("SERVER_UNREACHABLE", text)
        };
        let mut endpoint: Endpoint = global.server.clone().connect_timeout(CONNECT_TIMEOUT);
        if endpoint.uri().scheme_str() == Some("https") {
            endpoint = endpoint.tls_config(tls(global)?).map_err(unreachable)?;
        }
        let token = token(global)?;
        Ok(Self { channel: endpoint.connect().await.map_err(unreachable)?, global, token, used })
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

    /// A call with its caller and its timeout.
    pub(super) fn call<T>(&self, message: T) -> Request<T> {
        let mut request = self.long_call(message);
        if let Some(seconds) = self.global.timeout {
            request.set_timeout(Duration::from_secs(seconds));
        }
        request
    }

    /// A call that takes as long as it takes: an upload.
    pub(super) fn long_call<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        if let Some(token) = &self.token {
            metadata.insert("authorization", token.clone());
            return request;
        }
        metadata.insert("x-tsio-actor", self.global.actor.clone());
        metadata.insert("x-tsio-roles", self.global.roles.clone());
        if let Some(regions) = &self.global.regions {
            metadata.insert("x-tsio-regions", regions.clone());
        }
        request
    }

    /// Prints an answer.
    pub(super) fn print(&self, view: &impl View) -> Result<(), Failure> {
        Ok(out::answer(self.global.output, view)?)
    }

    /// Who calls.
    pub(super) fn actor(&self) -> String {
        self.global.actor.to_str().unwrap_or_default().to_owned()
    }

    pub(super) fn approvals(&self) -> ApprovalServiceClient<Channel> {
        ApprovalServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(super) fn referrals(&self) -> ReferralServiceClient<Channel> {
        ReferralServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(super) fn awards(&self) -> AwardServiceClient<Channel> {
        AwardServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(super) fn funds(&self) -> FundServiceClient<Channel> {
        FundServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(super) fn eligibility(&self) -> EligibilityServiceClient<Channel> {
        EligibilityServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(super) fn offers(&self) -> OfferServiceClient<Channel> {
        OfferServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(super) fn register(&self) -> RegisterServiceClient<Channel> {
        RegisterServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(super) fn terms(&self) -> TermsServiceClient<Channel> {
        TermsServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }
}

/// How the server proves itself, and what this command shows of its own.
fn tls(global: &Global) -> Result<ClientTlsConfig, Failure> {
    let mut tls = match &global.ca {
        Some(authority) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(authority)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let (Some(certificate), Some(key)) = (&global.certificate, &global.key) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(tls)
}

/// The token as metadata; it is sent over TLS, or on this machine, and never printed.
fn token(global: &Global) -> Result<Option<MetadataValue<Ascii>>, Failure> {
    let token = match &global.token_file {
        Some(path) => String::from_utf8_lossy(&read(path)?).into_owned(),
        None => match std::env::var("TSIO_TOKEN") {
            Ok(token) => token,
            Err(_) => return Ok(None),
        },
    };
    let local = ["127.0.0.1", "[::1]", "localhost"].map(Some).contains(&global.server.uri().host());
    if global.server.uri().scheme_str() != Some("https") && !local {
        let text = "a token is not sent in the clear: call the server by https://".to_owned();
        return Err(Failure::Local("TLS_WANTED", text));
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
        .parse()
        .map_err(|_| Failure::Local("TOKEN_MALFORMED", "the token holds what no token can".to_owned()))?;
    value.set_sensitive(true);
    Ok(Some(value))
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
