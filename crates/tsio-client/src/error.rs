//! Errors of calls, as data.

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{StatusExt as _, pb};

use crate::proto::{Refusal, code_name};

/// An error of a call or of building a client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client cannot be built: a wrong address, certificate or header.
    #[error("{text}")]
    Setup {
        /// A reason like a server's: `SETTINGS_WRONG`, `TLS_WANTED`.
        reason: &'static str,
        /// One sentence.
        text: String,
    },
    /// The server cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The source had no token.
    #[error("no token: {source}")]
    Token {
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// The request id of the mutation that needed the token; `None` for a read. Each try needs a token, so an earlier try of
        /// the same mutation may have reached the server. The server may have carried it out: repeat the call with this id.
        request_id: Option<String>,
    },
    /// The server refused the call, or no answer came.
    #[error(transparent)]
    Failed(Box<Failed>),
}

/// A failed call, with the status and details of the server.
#[derive(Debug, thiserror::Error)]
#[error("{} ({})", .status.message(), self.reason())]
pub struct Failed {
    status: Status,
    reason: Option<String>,
    refusal: Option<Refusal>,
    /// The request id of the mutation, with which the call may be repeated later. `None` for a read, and for a value that was
    /// converted from a [`Status`], which does not contain the id.
    pub request_id: Option<String>,
    /// The number of tries.
    pub tries: u32,
}

/// Converts the status of a call that the caller made through the generated clients ([`crate::Services`]). They do not retry, so
/// `tries` is 1. A status does not contain the request id, so `request_id` is `None`.
impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Self::new(status, None, 1)
    }
}

impl Failed {
    pub(crate) fn new(status: Status, request_id: Option<String>, tries: u32) -> Self {
        let reason = reason(&status);
        let details = pb::Status::decode(status.details()).unwrap_or_default().details;
        let refusal = details.into_iter().find_map(|it| {
            let is_refusal = it.type_url.ends_with("/tsio.v1.Refusal");
            is_refusal.then(|| Refusal::decode(it.value.as_slice()).ok()).flatten()
        });
        Self { status, reason, refusal, request_id, tries }
    }

    /// The status that was received.
    #[must_use]
    pub const fn status(&self) -> &Status {
        &self.status
    }

    /// The reason in `google.rpc.ErrorInfo`, UPPER_SNAKE, or the name of the status code if there is none.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_else(|| code_name(self.status.code()))
    }

    /// The refusal of the scheme, with every limit that prevents the request; `None` if the call failed for another reason.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// The wrong fields, each with a description of the mistake.
    #[must_use]
    pub fn violations(&self) -> Vec<(String, String)> {
        let bad = self.status.get_details_bad_request();
        let fields = bad.into_iter().flat_map(|it| it.field_violations);
        fields.map(|it| (it.field, it.description)).collect()
    }
}

impl Error {
    /// Makes the error of a wrong setting.
    pub(crate) const fn wrong_setting(text: String) -> Self {
        Self::Setup { reason: "SETTINGS_WRONG", text }
    }

    /// Makes the error of a missing token.
    pub(crate) fn no_token(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Token { source: source.into(), request_id: None }
    }

    /// Makes the error of a failed call.
    pub(crate) fn from_status(status: Status, request_id: Option<String>, tries: u32) -> Self {
        Self::Failed(Box::new(Failed::new(status, request_id, tries)))
    }

    /// Sets the request id of an [`Error::Token`]. Other errors do not change.
    pub(crate) fn with_request_id(self, request_id: Option<String>) -> Self {
        match self {
            Self::Token { source, .. } => Self::Token { source, request_id },
            other => other,
        }
    }

    /// The failed call; `None` for any other error.
    #[must_use]
    pub fn failed(&self) -> Option<&Failed> {
        if let Self::Failed(failed) = self { Some(failed) } else { None }
    }

    /// The refusal of the scheme; `None` for any other error.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.failed().and_then(Failed::refusal)
    }

    /// The request id of the failed mutation, with which the call may be repeated. `None` if the error is of a read or of
    /// connecting, or if the failed call was converted from a [`Status`].
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Setup { .. } | Self::Unreachable(_) => None,
            Self::Token { request_id, .. } => request_id.as_deref(),
            Self::Failed(failed) => failed.request_id.as_deref(),
        }
    }

    /// The status code of the failed call. The other errors have no status, so each has a fixed code: INVALID_ARGUMENT if the
    /// client cannot be built, UNAVAILABLE if the server cannot be reached, UNAUTHENTICATED if the source had no token.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Setup { .. } => Code::InvalidArgument,
            Self::Unreachable(_) => Code::Unavailable,
            Self::Token { .. } => Code::Unauthenticated,
            Self::Failed(failed) => failed.status.code(),
        }
    }
}

/// Returns the reason of a status. `None` if the status has no reason, because the transport has made it and not the server.
pub(crate) fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|it| it.reason)
}
