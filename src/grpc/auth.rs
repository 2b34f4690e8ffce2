//! Who calls, and how they prove it: a bearer token for people and programs of other houses, a certificate for services,
//! or, in development, their own word.
//!
//! Nothing of the scheme is here: what a caller may do is the role table's ([`crate::domain::role`]), what each method
//! asks for is the access table's ([`access`]), and [`method`] resolves which method a call is of.

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

/// Who is let in.
#[derive(Debug, Clone)]
pub enum Access {
    /// Callers name themselves in metadata: for development, on loopback alone.
    Development,
    /// Callers with a token of this issuer, or a certificate of one of these services.
    Guarded {
        /// Bearer tokens.
        tokens: Option<TokenSettings>,
        /// Services known by the certificate they call with.
        services: Vec<Service>,
    },
}

impl Access {
    /// What is worth knowing of who is let in, though it can be served with.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::Guarded { tokens: Some(tokens), .. } => tokens.warning(),
            Self::Guarded { tokens: None, .. } | Self::Development => None,
        }
    }
}

/// A caller who has been let in; handlers find it among the extensions of the request.
#[derive(Debug, Clone)]
pub(super) struct Authenticated {
    pub(super) caller: Caller,
    /// When the proof ends, and every stream with it.
    pub(super) until: Option<Micros>,
    /// The same on the clock that deadlines go by.
    pub(super) ends: Option<Instant>,
}

/// What a caller was authenticated by; handlers find it among the extensions of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// Their own word, in development mode.
    Word,
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

/// Authenticates callers: by a token or a client certificate; in development mode by what they say of themselves.
#[derive(Debug)]
pub(super) struct Authenticator(Option<Proofs>);

/// What may be shown.
#[derive(Debug)]
struct Proofs {
    verifier: Option<Verifier>,
    certificates: Certificates,
}

impl Authenticator {
    /// Gets ready: the keys of the issuer are fetched once, so that a server that could let nobody in does not start.
    /// `calls` is how many the server has in flight at most, `measured` what the age of the keys is told to.
    ///
    /// # Errors
    /// Why the keys cannot be had.
    pub(super) async fn open(access: Access, calls: usize, measured: &Arc<InternalMetrics>) -> Result<Self, String> {
        let Access::Guarded { tokens, services } = access else { return Ok(Self(None)) };
        let verifier = match tokens {
            Some(tokens) => Some(Verifier::open(tokens, calls, Arc::clone(measured)).await?),
            None => None,
        };
        Ok(Self(Some(Proofs { verifier, certificates: Certificates::new(services) })))
    }

    /// Whether callers are let in by their word.
    pub(super) const fn is_open(&self) -> bool {
        self.0.is_none()
    }

    /// Who calls, by the headers of the call and the certificate of its connection (DER). A token speaks for the caller where there is one; the certificate beside it is then the transport's.
    ///
    /// # Errors
    /// UNAUTHENTICATED, or UNAVAILABLE where a token cannot be checked, and why.
    pub(super) async fn who(
        &self,
        headers: &HeaderMap,
        time: CallTime,
        certificate: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Result<(Authenticated, Proof), AuthError> {
        let Some(Proofs { verifier, certificates }) = &self.0 else {
            let caller = development::caller(headers)?;
            return Ok((Authenticated { caller, until: None, ends: None }, Proof::Word));
        };
        match (jwt::bearer(headers)?, verifier) {
            (Some(token), Some(verifier)) => Ok((verifier.caller(token, time).await?, Proof::Token)),
            (Some(_), None) => Err(AuthError::new(ServiceReason::TokenRejected, "this server takes no tokens")),
            (None, _) => Ok((certificates.caller(certificate().as_deref(), time)?, Proof::Certificate)),
        }
    }
}

/// The first character of a text that is no printable ASCII, named, and its place, from 1.
fn unprintable(text: &str) -> Option<String> {
    let (at, found) = text.chars().enumerate().find(|(_, it)| !matches!(it, ' '..='~'))?;
    Some(format!("U+{:04X} at character {}", u32::from(found), at.saturating_add(1)))
}

/// What a stream is ended with when its caller's proof is over.
pub(super) fn over(proof: Option<Proof>) -> Status {
    let over = match proof {
        Some(Proof::Certificate) => certificates::expired(),
        _ => AuthError::new(ServiceReason::TokenExpired, "the token has expired: begin again with another one"),
    };
    over.into()
}

/// The caller that was let in.
///
/// # Errors
/// INTERNAL if there is none: the method was reached without authentication, which is a bug.
pub(super) fn authenticated(extensions: &Extensions) -> Result<&Authenticated, Status> {
    extensions.get::<Authenticated>().ok_or_else(|| {
        tracing::error!("a call was not authenticated");
        internal()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_is_no_printable_ascii_is_named_with_its_place() {
        let rows = [
            ("case.officer-7 ~", None),
            ("", None),
            ("ann\u{1b}", Some("U+001B at character 4")),
            ("a\tb", Some("U+0009 at character 2")),
            ("\u{430}nn\u{7f}", Some("U+0430 at character 1")),
        ];
        for (text, named) in rows {
            assert_eq!(unprintable(text).as_deref(), named, "{text:?}");
        }
    }
}
