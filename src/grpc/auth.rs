//! Authenticates callers: people and programs of other organisations by a bearer token, services by a certificate.
//! In development mode a caller states its own identity.
//!
//! This module has no rule of the scheme. The role table ([`crate::domain::role`]) says what a role may do, the access
//! table ([`access`]) which actions each method needs, and [`method`] finds the method of a request.

pub mod access;
pub(in crate::grpc) mod call_time;
mod certificates;
mod development;
mod error;
mod jwks;
mod jwt;
mod jwt_rules;
mod key_cache;
pub(in crate::grpc) mod method;
mod ring_provider;
pub(in crate::grpc) mod security_log;

use std::sync::Arc;

use http::{Extensions, HeaderMap};
use tokio::time::Instant;
use tonic::Status;

use crate::domain::role::Caller;
use crate::domain::time::Micros;
use crate::grpc::message::reason::ServiceReason;
use crate::grpc::message::status::{internal, refuse};
use crate::grpc::telemetry::internal_metrics::InternalMetrics;
use call_time::CallTime;
use certificates::Certificates;
pub use certificates::Service;
pub(in crate::grpc) use error::AuthError;
pub use jwks::KeySource;
pub use jwt::TokenSettings;
use jwt::Verifier;

/// How callers are authenticated.
#[derive(Debug, Clone)]
pub enum Access {
    /// Callers state their identity in metadata. For development, and only on loopback.
    Development,
    /// Callers need a token of this issuer, or a certificate of one of these services.
    Guarded {
        /// Which bearer tokens are accepted; `None` if the server accepts none.
        tokens: Option<TokenSettings>,
        /// Services that are identified by their client certificate.
        services: Vec<Service>,
    },
}

impl Access {
    /// Returns a warning if the settings are valid but risky: see [`TokenSettings::warning`].
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::Guarded { tokens: Some(tokens), .. } => tokens.warning(),
            Self::Guarded { tokens: None, .. } | Self::Development => None,
        }
    }
}

/// An authenticated caller. Admission puts it in the extensions of the request, where handlers read it.
#[derive(Debug, Clone)]
pub(super) struct Authenticated {
    pub(super) caller: Caller,
    /// When the token (with the leeway) or the certificate expires; `None` in development mode. Every stream of the caller
    /// ends at that moment.
    pub(super) expires_at: Option<Micros>,
    /// The moment of `expires_at` on the monotonic clock, for deadlines.
    pub(super) deadline: Option<Instant>,
}

/// How a caller was authenticated. Admission puts it in the extensions of the request, where handlers read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The metadata of development mode, which is not checked.
    Stated,
    /// A bearer token.
    Token,
    /// A client certificate.
    Certificate,
}

impl From<AuthError> for Status {
    fn from(AuthError { reason, message }: AuthError) -> Self {
        refuse(reason, message)
    }
}

/// Authenticates callers: by a token or a client certificate; in development mode by metadata. In that mode there are no
/// proof checkers.
#[derive(Debug)]
pub(super) struct Authenticator(Option<ProofCheckers>);

/// Checks the two kinds of proof: tokens, if the server accepts any, and certificates.
#[derive(Debug)]
struct ProofCheckers {
    verifier: Option<Verifier>,
    certificates: Certificates,
}

impl Authenticator {
    /// Makes the authenticator. If tokens are configured, this fetches the keys of the issuer once: a server without keys
    /// could verify no token, and must not start.
    ///
    /// `max_calls` is the server's limit of requests in flight. `metrics` records the age of the keys.
    ///
    /// # Errors
    /// A message that says why the keys cannot be fetched.
    pub(super) async fn open(access: Access, max_calls: usize, metrics: &Arc<InternalMetrics>) -> Result<Self, String> {
        let Access::Guarded { tokens, services } = access else { return Ok(Self(None)) };
        let verifier = match tokens {
            Some(tokens) => Some(Verifier::open(tokens, max_calls, Arc::clone(metrics)).await?),
            None => None,
        };
        Ok(Self(Some(ProofCheckers { verifier, certificates: Certificates::new(services) })))
    }

    /// Returns true in development mode, where callers are not checked.
    pub(super) const fn is_development_mode(&self) -> bool {
        self.0.is_none()
    }

    /// Authenticates the caller by the headers of the request, or by the certificate of its connection (DER). A token
    /// takes precedence: then the certificate only secures the connection, for example that of a proxy.
    ///
    /// # Errors
    /// An [`AuthError`], which maps to UNAUTHENTICATED, or to UNAVAILABLE if the token cannot be checked now.
    pub(super) async fn authenticate(
        &self,
        headers: &HeaderMap,
        time: CallTime,
        certificate: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Result<(Authenticated, Proof), AuthError> {
        let Some(ProofCheckers { verifier, certificates }) = &self.0 else {
            let caller = development::read_caller(headers)?;
            return Ok((Authenticated { caller, expires_at: None, deadline: None }, Proof::Stated));
        };
        match (jwt::bearer_token(headers)?, verifier) {
            (Some(token), Some(verifier)) => Ok((verifier.authenticate(token, time).await?, Proof::Token)),
            (Some(_), None) => Err(AuthError::new(ServiceReason::TokenRejected, "this server takes no tokens")),
            (None, _) => Ok((certificates.authenticate(certificate().as_deref(), time)?, Proof::Certificate)),
        }
    }
}

/// Describes the first character of a text that is not printable ASCII, with its position from 1. Returns `None` if all
/// characters are printable ASCII.
fn describe_unprintable(text: &str) -> Option<String> {
    let (index, character) = text.chars().enumerate().find(|(_, it)| !matches!(it, ' '..='~'))?;
    Some(format!("U+{:04X} at character {}", u32::from(character), index.saturating_add(1)))
}

/// Returns the status that ends a stream when its caller's token or certificate expires. Any other
/// proof that expires is a token, because the stated identity of development mode does not expire.
pub(super) fn proof_expired_status(proof: Option<Proof>) -> Status {
    let error = match proof {
        Some(Proof::Certificate) => certificates::certificate_expired(),
        _ => AuthError::new(ServiceReason::TokenExpired, "the token has expired: begin again with another one"),
    };
    error.into()
}

/// Returns the authenticated caller of the request.
///
/// # Errors
/// INTERNAL if the request has no authenticated caller: its handler was reached without admission, which is a bug.
pub(super) fn authenticated_caller(extensions: &Extensions) -> Result<&Authenticated, Status> {
    extensions.get::<Authenticated>().ok_or_else(|| {
        tracing::error!("a call was not authenticated");
        internal()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_unprintable_character_is_named_with_its_position() {
        let rows = [
            ("case.officer-7 ~", None),
            ("", None),
            ("ann\u{1b}", Some("U+001B at character 4")),
            ("a\tb", Some("U+0009 at character 2")),
            ("\u{430}nn\u{7f}", Some("U+0430 at character 1")),
        ];
        for (text, expected) in rows {
            assert_eq!(describe_unprintable(text).as_deref(), expected, "{text:?}");
        }
    }
}
