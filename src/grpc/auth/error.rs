//! Defines the error of a caller that is not authenticated, and makes the errors of tokens.

use std::time::Duration;

use crate::domain::time::Micros;
use crate::grpc::message::reason::ServiceReason;

/// Returns the error of an expired token.
pub(in crate::grpc) fn token_expired() -> AuthError {
    AuthError::new(ServiceReason::TokenExpired, "the token has expired")
}

/// Returns the error of a token that is refused. `reason` continues the sentence "the token ...".
pub(in crate::grpc) fn token_rejected(reason: &str) -> AuthError {
    AuthError::new(ServiceReason::TokenRejected, format!("the token {reason}"))
}

/// Adds a duration to a moment, saturating.
pub(in crate::grpc) fn add_duration(at: Micros, duration: Duration) -> Micros {
    Micros(at.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
}

/// Why a caller was not authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::grpc) struct AuthError {
    /// One of the reasons of authentication.
    pub(in crate::grpc) reason: ServiceReason,
    /// A text for the caller. It says what was wrong with the proof, and never contains the proof itself.
    pub(in crate::grpc) message: String,
}

impl AuthError {
    /// Makes an error of a reason and a message.
    pub(in crate::grpc) fn new(reason: ServiceReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
