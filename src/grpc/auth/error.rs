//! Why a caller is not authenticated.

use std::time::Duration;

use crate::domain::time::Micros;

/// The token has expired.
pub(in crate::grpc) fn expired() -> AuthError {
    AuthError::new("TOKEN_EXPIRED", "the token has expired")
}

/// The token is refused, as a sentence goes on.
pub(in crate::grpc) fn rejected(why: &str) -> AuthError {
    AuthError::new("TOKEN_REJECTED", format!("the token {why}"))
}

/// A moment later than another.
pub(in crate::grpc) fn later(at: Micros, by: Duration) -> Micros {
    Micros(at.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

/// Why nobody was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::grpc) struct AuthError {
    /// UPPER_SNAKE.
    pub(in crate::grpc) reason: &'static str,
    /// For whoever calls: what was wrong with the proof, never the proof itself.
    pub(in crate::grpc) message: String,
}

impl AuthError {
    /// A reason and what was wrong.
    pub(in crate::grpc) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
