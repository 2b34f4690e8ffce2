//! Connects to a server: checks its certificate, sends the credentials of the caller, and retries calls.

use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::credentials::{Bearer, Credentials, MetadataHeader, TokenFile, TokenSource};
use crate::error::Error;
use crate::lists::{List, Listed};
use crate::mutations::Mutation;
use crate::retry::{self, Retry};
use crate::services::Services;

/// The time limit of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The default number of tries of a call.
const DEFAULT_TRIES: u32 = 5;
/// The default time limit of one try.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// The default time after which a silent connection counts as broken. It is shorter than [`PATIENCE`], so that a call can be
/// retried on a new connection.
pub const SILENCE: Duration = Duration::from_secs(20);
/// The default time limit of all tries of a call.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The settings of a client; see [`Client::to`].
#[must_use = "nothing is connected until `connect` or `lazy`"]
pub struct Builder {
    server: String,
    authorities: Vec<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    credentials: Result<Credentials, Error>,
    silence: Duration,
    policy: Policy,
}

/// How often and how long calls are tried.
#[derive(Debug, Clone, Copy)]
struct Policy {
    /// The largest number of tries of a call.
    tries: u32,
    /// The time limit of one try.
    deadline: Duration,
    /// The time limit of all tries of a call.
    patience: Duration,
    /// The time limit of a watch; `None` for no limit.
    stream_deadline: Option<Duration>,
}

/// A client of one server, or of several behind one address. Cheap to clone; clones share the connection and the token.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    credentials: Credentials,
    policy: Policy,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("server", &self.server).field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Builder {
    /// Adds an authority that may have signed the server's certificate, as PEM. Without one, those of the system are used.
    pub fn authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// Sets the client certificate and its key, as PEM, by which a service is identified.
    pub fn certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Sets a token, which is not renewed.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.credentials = Ok(Credentials::Token(Arc::new(Bearer::fixed(token.into()))));
        self
    }

    /// Sets a file that always contains a current token. It is read for the first call, and again after the token has expired.
    pub fn token_file(self, path: impl Into<PathBuf>) -> Self {
        self.tokens(TokenFile(path.into()))
    }

    /// Sets the source of tokens, for example a closure that returns a future.
    pub fn tokens(mut self, source: impl TokenSource) -> Self {
        self.credentials = Ok(Credentials::Token(Arc::new(Bearer::new(Box::new(source)))));
        self
    }

    /// Sets the identity of the caller, for a server in development mode: `actor` is the id of the caller. `roles` are
    /// separated by commas. `regions` are separated by semicolons, because names of regions contain commas; `None` means all regions.
    pub fn named(mut self, actor: &str, roles: &str, regions: Option<&str>) -> Self {
        let headers = [("x-tsio-actor", Some(actor)), ("x-tsio-roles", Some(roles)), ("x-tsio-regions", regions)];
        let header = |(name, value): (&'static str, Option<&str>)| {
            let parsed = value?.parse::<MetadataValue<Ascii>>();
            Some(parsed.map(|it| (name, it)).map_err(|_| {
                Error::wrong_setting(format!("the value of {name} has characters that a header cannot have"))
            }))
        };
        let headers: Result<Vec<_>, Error> = headers.into_iter().filter_map(header).collect();
        self.credentials = headers.map(Credentials::Named);
        self
    }

    /// Sets how often a call is tried at most; 5 by default.
    pub const fn tries(mut self, tries: u32) -> Self {
        self.policy.tries = tries;
        self
    }

    /// Sets the time limit of one try; 10 s by default.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.policy.deadline = deadline;
        self
    }

    /// Sets the time limit of all tries of a call, with the waits between; 30 s by default.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.policy.patience = patience;
        self
    }

    /// Sets how long a watch may last before it ends with DEADLINE_EXCEEDED; without limit by default.
    pub const fn stream_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.policy.stream_deadline = deadline;
        self
    }

    /// Sets the time after which a connection that does not answer pings counts as broken; 20 s by default.
    pub const fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Connects to the server.
    ///
    /// # Errors
    /// [`Error::Setup`]; [`Error::Unreachable`] if the server does not answer or its certificate is not trusted.
    pub async fn connect(self) -> Result<Client, Error> {
        let server = self.server.clone();
        let (endpoint, credentials, policy) = self.into_parts()?;
        let channel = endpoint.connect().await.map_err(|error| unreachable(&server, &error))?;
        Ok(Client { channel, credentials, policy })
    }

    /// Makes a client that connects with the first call.
    ///
    /// # Errors
    /// [`Error::Setup`].
    pub fn lazy(self) -> Result<Client, Error> {
        let (endpoint, credentials, policy) = self.into_parts()?;
        Ok(Client { channel: endpoint.connect_lazy(), credentials, policy })
    }

    /// Checks the settings, and returns the endpoint, the credentials and the policy of retries.
    ///
    /// # Errors
    /// [`Error::Setup`].
    fn into_parts(self) -> Result<(Endpoint, Credentials, Policy), Error> {
        let endpoint = Endpoint::from_shared(self.server.clone());
        let endpoint = endpoint.map_err(|error| Error::wrong_setting(format!("{}: {error}", self.server)))?;
        let is_secure = endpoint.uri().scheme_str() == Some("https");
        let credentials = self.credentials?;
        let is_local = ["127.0.0.1", "[::1]", "localhost"].map(Some).contains(&endpoint.uri().host());
        if matches!(credentials, Credentials::Token(_)) && !is_secure && !is_local {
            let text = "a token is not sent in the clear: call the server by https://".to_owned();
            return Err(Error::Setup { reason: "TLS_WANTED", text });
        }
        if self.identity.is_some() && !is_secure {
            let text = "a client certificate is used only with TLS: call the server by https://".to_owned();
            return Err(Error::Setup { reason: "TLS_WANTED", text });
        }
        // A ping is sent after half of the time; its answer may take the other half.
        let half_silence = self.silence / 2;
        let mut endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).http2_keep_alive_interval(half_silence);
        endpoint = endpoint.keep_alive_timeout(half_silence).keep_alive_while_idle(true);
        if is_secure {
            let mut tls = ClientTlsConfig::new();
            tls = if self.authorities.is_empty() { tls.with_native_roots() } else { tls };
            tls = tls.ca_certificates(self.authorities.into_iter().map(Certificate::from_pem));
            if let Some((certificate, key)) = self.identity {
                tls = tls.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(tls).map_err(|error| {
                let text = format!("the certificates cannot be used{}", causes(&error));
                Error::wrong_setting(text)
            })?;
        }
        Ok((endpoint, credentials, self.policy))
    }
}

impl Client {
    /// Starts to build a client of the server at this address, `http://` or `https://`.
    pub fn to(server: impl Into<String>) -> Builder {
        let policy = Policy { tries: DEFAULT_TRIES, deadline: DEADLINE, patience: PATIENCE, stream_deadline: None };
        let (server, credentials) = (server.into(), Ok(Credentials::None));
        Builder { server, authorities: Vec::new(), identity: None, credentials, silence: SILENCE, policy }
    }

    /// Returns the generated clients, which send the credentials with each call. They do not retry calls. They use the token
    /// that is current now, so get them again for later calls.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub async fn services(&self) -> Result<Services, Error> {
        let headers = self.credentials.headers().await?;
        Ok(Services::new(self.channel.clone(), headers, self.credentials.clone()))
    }

    /// Sends a mutation, and returns the answer. A mutation without a request id gets a new one. The id is the same in every try. So
    /// a mutation whose answer was lost is not carried out twice; the next try returns the stored answer.
    ///
    /// # Errors
    /// [`Error::Failed`] with the request id; [`Error::Token`].
    pub async fn mutate<M: Mutation, R>(
        &self,
        mut message: M,
        call: impl AsyncFn(Services, Request<M>) -> Result<Response<R>, Status>,
    ) -> Result<R, Error> {
        if message.request_id().is_empty() {
            *message.request_id() = Uuid::new_v4().to_string();
        }
        let request_id = message.request_id().clone();
        self.with_retry(&message, Some(request_id), &call).await
    }

    /// Sends a read, and returns the answer.
    ///
    /// # Errors
    /// [`Error::Failed`]; [`Error::Token`].
    pub async fn read<M: prost::Message + Clone, R>(
        &self,
        message: M,
        call: impl AsyncFn(Services, Request<M>) -> Result<Response<R>, Status>,
    ) -> Result<R, Error> {
        self.with_retry(&message, None, &call).await
    }

    /// Reads a whole list, page by page, and returns all items.
    ///
    /// # Errors
    /// [`Error::Failed`]; [`Error::Token`].
    pub async fn every<L: List>(
        &self,
        mut request: L,
        call: impl AsyncFn(Services, Request<L>) -> Result<Response<L::Page>, Status>,
    ) -> Result<Vec<<L::Page as Listed>::Item>, Error> {
        let mut all = Vec::new();
        loop {
            let (items, next) = self.with_retry(&request, None, &call).await?.into_parts();
            all.extend(items);
            if next.is_empty() {
                return Ok(all);
            }
            request.turn(next);
        }
    }

    /// The time limit of one try.
    pub(crate) const fn deadline(&self) -> Duration {
        self.policy.deadline
    }

    /// The time limit of a watch; `None` for no limit.
    pub(crate) const fn stream_deadline(&self) -> Option<Duration> {
        self.policy.stream_deadline
    }

    /// Forgets the token in the headers of a call, unless another token has replaced it already. Returns true if the source may return
    /// another token for the next call.
    pub(crate) fn forget_token(&self, sent_headers: &[MetadataHeader]) -> bool {
        self.credentials.forget_token(sent_headers)
    }

    /// Sends a message, and retries the call if that is safe. Returns the answer.
    async fn with_retry<M: Clone, R>(
        &self,
        message: &M,
        request_id: Option<String>,
        call: &impl AsyncFn(Services, Request<M>) -> Result<Response<R>, Status>,
    ) -> Result<R, Error> {
        let start = Instant::now();
        let time_left = || self.policy.patience.saturating_sub(start.elapsed());
        let (mut tries, mut has_renewed) = (0_u32, false);
        loop {
            let mut sent_headers = Vec::new();
            let try_timeout = self.policy.deadline.min(time_left());
            let one_try = async {
                let services = self.services().await?;
                sent_headers = services.headers().to_vec();
                let mut request = Request::new(message.clone());
                request.set_timeout(try_timeout);
                Ok(call(services, request).await)
            };
            tries = tries.saturating_add(1);
            // The outer result is of the time limit, the next one of the credentials, and the inner one of the call.
            let status = match tokio::time::timeout(try_timeout, one_try).await {
                Ok(Ok(Ok(answer))) => return Ok(answer.into_inner()),
                Ok(Ok(Err(status))) => status,
                Ok(Err(error)) => return Err(Error::with_request_id(error, request_id)),
                Err(_) => Status::deadline_exceeded("no answer came in the time given"),
            };
            match retry::classify(&status) {
                Retry::WithAnotherToken if !has_renewed && self.forget_token(&sent_headers) => has_renewed = true,
                // Without time for another try after the wait, the call fails now.
                Retry::Yes
                    if tries < self.policy.tries
                        && let Some(wait) = retry::pause(tries, time_left()) =>
                {
                    retry::wait(wait).await;
                }
                Retry::Yes | Retry::WithAnotherToken | Retry::No => {
                    return Err(Error::from_status(status, request_id, tries));
                }
            }
        }
    }
}

fn unreachable(server: &str, error: &tonic::transport::Error) -> Error {
    Error::Unreachable(format!("cannot reach {server}{}", causes(error)))
}

/// Returns the causes of a transport error as text, each once. The message of the error itself does not contain them.
fn causes(error: &tonic::transport::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let cause_text = error.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        cause = error.source();
    }
    text
}
