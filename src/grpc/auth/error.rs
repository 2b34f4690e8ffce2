//! Why a caller is not authenticated.

use std::time::Duration;

use crate::domain::time::Micros;
use crate::grpc::message::reason::ServiceReason;

/// The token has expired.
pub(in crate::grpc) fn expired() -> AuthError {
    AuthError::new(ServiceReason::TokenExpired, "the token has expired")
}

/// The token is refused; `why` continues the sentence "the token ...".
pub(in crate::grpc) fn rejected(why: &str) -> AuthError {
    AuthError::new(ServiceReason::TokenRejected, format!("the token {why}"))
}

/// The moment `by` after `at`, saturating.
pub(in crate::grpc) fn later(at: Micros, by: Duration) -> Micros {
    Micros(at.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

/// Why a caller was not authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::grpc) struct AuthError {
    /// One of the reasons of authentication.
    pub(in crate::grpc) reason: ServiceReason,
    /// For the caller: what was wrong with the proof, never the proof itself.
    pub(in crate::grpc) message: String,
}

impl AuthError {
    /// Makes an error of a reason and a message.
    pub(in crate::grpc) fn new(reason: ServiceReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
