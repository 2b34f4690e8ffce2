//! Why a call did not succeed, as data.

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{StatusExt as _, pb};

use crate::proto::{Refusal, code_name};

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client cannot be built as it was asked for: an address, a certificate, a name that is no header.
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
    /// No token could be had.
    #[error("no token: {source}")]
    Token {
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// The request id of the mutation that wanted one. An earlier try may have been carried out.
        request_id: Option<String>,
    },
    /// The server did not do it, or its answer never came.
    #[error(transparent)]
    Failed(Box<Failed>),
}

/// What came of a call that did not succeed, with what the server says of it.
#[derive(Debug, thiserror::Error)]
#[error("{} ({})", .status.message(), self.reason())]
pub struct Failed {
    status: Status,
    reason: Option<String>,
    refusal: Option<Refusal>,
    /// The request id of the mutation, in every try; with it the same call may be made again later.
    pub request_id: Option<String>,
    /// How often it was tried.
    pub tries: u32,
}

/// What a status says, of a call made with the generated clients: tried once, its request id known to the caller.
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
            let named = it.type_url.ends_with("/tsio.v1.Refusal");
            named.then(|| Refusal::decode(it.value.as_slice()).ok()).flatten()
        });
        Self { status, reason, refusal, request_id, tries }
    }

    /// The status as it came.
    #[must_use]
    pub const fn status(&self) -> &Status {
        &self.status
    }

    /// The reason of its `google.rpc.ErrorInfo`, UPPER_SNAKE; the code's name where the answer is not the server's.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_else(|| code_name(self.status.code()))
    }

    /// What the scheme refused, with every limit that binds; nothing where it is no refusal.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// The fields that are wrong, each with what is wrong with it.
    #[must_use]
    pub fn violations(&self) -> Vec<(String, String)> {
        let bad = self.status.get_details_bad_request();
        let fields = bad.into_iter().flat_map(|it| it.field_violations);
        fields.map(|it| (it.field, it.description)).collect()
    }
}

impl Error {
    pub(crate) const fn wrong(text: String) -> Self {
        Self::Setup { reason: "SETTINGS_WRONG", text }
    }

    pub(crate) fn no_token(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Token { source: source.into(), request_id: None }
    }

    pub(crate) fn of(status: Status, request_id: Option<String>, tries: u32) -> Self {
        Self::Failed(Box::new(Failed::new(status, request_id, tries)))
    }

    /// The same, of a mutation with this request id.
    pub(crate) fn under(self, id: Option<String>) -> Self {
        match self {
            Self::Token { source, .. } => Self::Token { source, request_id: id },
            other => other,
        }
    }

    /// What came of the call, where it was made.
    #[must_use]
    pub fn failed(&self) -> Option<&Failed> {
        if let Self::Failed(failed) = self { Some(failed) } else { None }
    }

    /// What the scheme refused, if it did.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.failed().and_then(Failed::refusal)
    }

    /// The request id of the mutation that did not succeed: with it the same call may be made again.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Setup { .. } | Self::Unreachable(_) => None,
            Self::Token { request_id, .. } => request_id.as_deref(),
            Self::Failed(failed) => failed.request_id.as_deref(),
        }
    }

    /// The code: UNAVAILABLE where the server cannot be reached, INVALID_ARGUMENT for a client that cannot be built.
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

/// The reason of a status that the server sent; nothing where it came from the transport.
pub(crate) fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|it| it.reason)
}
