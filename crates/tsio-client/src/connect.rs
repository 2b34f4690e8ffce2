//! A connection: how the server proves itself, what the caller shows, and how often a call is made.

use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::credentials::{Bearer, Credentials, TokenFile, TokenSource};
use crate::error::Error;
use crate::lists::{List, Listed};
use crate::mutations::Mutation;
use crate::retry::{self, Again};
use crate::services::Services;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a call is made at most.
const TRIES: u32 = 5;
/// How long one try may take, unless said.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// How long a connection may be dead before it is left, unless said: shorter than [`PATIENCE`], so that a call outlasts it.
pub const SILENCE: Duration = Duration::from_secs(20);
/// How long all tries of a call may take, unless said.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a client is made of; see [`Client::to`].
#[must_use = "nothing is connected until `connect` or `lazy`"]
pub struct Builder {
    server: String,
    authorities: Vec<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    credentials: Result<Credentials, Error>,
    silence: Duration,
    policy: Policy,
}

#[derive(Debug, Clone, Copy)]
struct Policy {
    tries: u32,
    deadline: Duration,
    patience: Duration,
    stream: Option<Duration>,
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
    /// The authority that the server's certificate must be of, as PEM; the system's own where none is named.
    pub fn authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// The caller's own certificate and its key, as PEM: what a service shows.
    pub fn certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// A token, which is not renewed.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.credentials = Ok(Credentials::Token(Arc::new(Bearer::fixed(token.into()))));
        self
    }

    /// A file that somebody keeps a current token in. It is read for the first call, and again once the token has expired.
    pub fn token_file(self, path: impl Into<PathBuf>) -> Self {
        self.tokens(TokenFile(path.into()))
    }

    /// Where tokens come from: a closure that answers a future will do.
    pub fn tokens(mut self, source: impl TokenSource) -> Self {
        self.credentials = Ok(Credentials::Token(Arc::new(Bearer::new(Box::new(source)))));
        self
    }

    /// The caller's own word, for a server in development mode: an actor, roles with commas between, and regions where
    /// not everywhere.
    pub fn named(mut self, actor: &str, roles: &str, regions: Option<&str>) -> Self {
        let headers = [("x-tsio-actor", Some(actor)), ("x-tsio-roles", Some(roles)), ("x-tsio-regions", regions)];
        let header = |(name, value): (&'static str, Option<&str>)| {
            let parsed = value?.parse::<MetadataValue<Ascii>>();
            Some(parsed.map(|it| (name, it)).map_err(|_| Error::wrong(format!("{name} cannot be sent"))))
        };
        let headers: Result<Vec<_>, Error> = headers.into_iter().filter_map(header).collect();
        self.credentials = headers.map(Credentials::Named);
        self
    }

    /// How often a call is made at most; 5 unless said.
    pub const fn tries(mut self, tries: u32) -> Self {
        self.policy.tries = tries;
        self
    }

    /// How long one try may take; 10 s unless said.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.policy.deadline = deadline;
        self
    }

    /// How long all tries of one call may take, waits included; 30 s unless said.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.policy.patience = patience;
        self
    }

    /// How long a watch may last before it ends with DEADLINE_EXCEEDED; for ever unless said.
    pub const fn stream_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.policy.stream = deadline;
        self
    }

    /// How long a connection may be without a sign of life, which is asked for, before it counts as broken; 20 s unless said.
    pub const fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`Error::Setup`]; [`Error::Unreachable`].
    pub async fn connect(self) -> Result<Client, Error> {
        let server = self.server.clone();
        let (endpoint, credentials, policy) = self.parts()?;
        let channel = endpoint.connect().await.map_err(|error| unreachable(&server, &error))?;
        Ok(Client { channel, credentials, policy })
    }

    /// The same, connecting with the first call.
    ///
    /// # Errors
    /// [`Error::Setup`].
    pub fn lazy(self) -> Result<Client, Error> {
        let (endpoint, credentials, policy) = self.parts()?;
        Ok(Client { channel: endpoint.connect_lazy(), credentials, policy })
    }

    fn parts(self) -> Result<(Endpoint, Credentials, Policy), Error> {
        let endpoint = Endpoint::from_shared(self.server.clone());
        let endpoint = endpoint.map_err(|error| Error::wrong(format!("{}: {error}", self.server)))?;
        let secure = endpoint.uri().scheme_str() == Some("https");
        let credentials = self.credentials?;
        let local = ["127.0.0.1", "[::1]", "localhost"].map(Some).contains(&endpoint.uri().host());
        if matches!(credentials, Credentials::Token(_)) && !secure && !local {
            let text = "a token is not sent in the clear: call the server by https://".to_owned();
            return Err(Error::Setup { reason: "TLS_WANTED", text });
        }
        let half = self.silence / 2;
        let mut endpoint = endpoint.connect_timeout(CONNECT).http2_keep_alive_interval(half);
        endpoint = endpoint.keep_alive_timeout(half).keep_alive_while_idle(true);
        if secure {
            let mut tls = ClientTlsConfig::new();
            tls = if self.authorities.is_empty() { tls.with_native_roots() } else { tls };
            tls = tls.ca_certificates(self.authorities.into_iter().map(Certificate::from_pem));
            if let Some((certificate, key)) = self.identity {
                tls = tls.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(tls).map_err(|error| unreachable(&self.server, &error))?;
        }
        Ok((endpoint, credentials, self.policy))
    }
}

impl Client {
    /// A client of the server at this address, `http://` or `https://`.
    pub fn to(server: impl Into<String>) -> Builder {
        let policy = Policy { tries: TRIES, deadline: DEADLINE, patience: PATIENCE, stream: None };
        let (server, credentials) = (server.into(), Ok(Credentials::None));
        Builder { server, authorities: Vec::new(), identity: None, credentials, silence: SILENCE, policy }
    }

    /// The generated clients, with the caller's proof on each call. A call through one is made once, as it is. They show the
    /// token there is now: ask for them again rather than keep them.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub async fn services(&self) -> Result<Services, Error> {
        let headers = self.credentials.headers().await?;
        Ok(Services::new(self.channel.clone(), headers, self.credentials.clone()))
    }

    /// Changes something. The request id is made here unless the message has one, and is the same in every try; so what was
    /// carried out though its answer was lost is answered, and not done twice.
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
        self.tried(&message, Some(request_id), &call).await
    }

    /// Reads something.
    ///
    /// # Errors
    /// [`Error::Failed`]; [`Error::Token`].
    pub async fn read<M: prost::Message + Clone, R>(
        &self,
        message: M,
        call: impl AsyncFn(Services, Request<M>) -> Result<Response<R>, Status>,
    ) -> Result<R, Error> {
        self.tried(&message, None, &call).await
    }

    /// A list to its end, page by page.
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
            let (items, next) = self.tried(&request, None, &call).await?.into_parts();
            all.extend(items);
            if next.is_empty() {
                return Ok(all);
            }
            request.turn(next);
        }
    }

    /// How long one try may take.
    pub(crate) const fn deadline(&self) -> Duration {
        self.policy.deadline
    }

    pub(crate) const fn stream_deadline(&self) -> Option<Duration> {
        self.policy.stream
    }

    /// Whether the next call will show another token.
    pub(crate) async fn renew(&self) -> Result<bool, Error> {
        Ok(self.credentials.renewed(&self.credentials.headers().await?))
    }

    async fn tried<M: Clone, R>(
        &self,
        message: &M,
        request_id: Option<String>,
        call: &impl AsyncFn(Services, Request<M>) -> Result<Response<R>, Status>,
    ) -> Result<R, Error> {
        let begun = Instant::now();
        let left = || self.policy.patience.saturating_sub(begun.elapsed());
        let (mut tries, mut renewed) = (0_u32, false);
        loop {
            let mut shown = Vec::new();
            let within = self.policy.deadline.min(left());
            let once = async {
                let services = self.services().await?;
                shown = services.headers().to_vec();
                let mut request = Request::new(message.clone());
                request.set_timeout(within);
                Ok(call(services, request).await)
            };
            tries = tries.saturating_add(1);
            let status = match tokio::time::timeout(within, once).await {
                Ok(Ok(Ok(answer))) => return Ok(answer.into_inner()),
                Ok(Ok(Err(status))) => status,
                Ok(Err(error)) => return Err(Error::under(error, request_id)),
                Err(_) => Status::deadline_exceeded("no answer came in the time given"),
            };
            match retry::again(&status) {
                Again::WithAnotherToken if !renewed && self.credentials.renewed(&shown) => renewed = true,
                // A wait that uses up the time that is left would only come to another failure.
                Again::Yes
                    if tries < self.policy.tries
                        && let Some(wait) = retry::pause(tries, left()) =>
                {
                    retry::wait(wait).await;
                }
                Again::Yes | Again::WithAnotherToken | Again::No => return Err(Error::of(status, request_id, tries)),
            }
        }
    }
}

fn unreachable(server: &str, error: &tonic::transport::Error) -> Error {
    Error::Unreachable(format!("cannot reach {server}{}", causes(error)))
}

/// What lies behind an error of the transport, which says nothing itself; each cause once.
fn causes(error: &tonic::transport::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
