//! Reasons of statuses: those of the scheme, and those of the service around it.

use tonic::Code;

use super::status::code_of;
use crate::domain::refusal::Reason;
use crate::proto::code_name;

/// The reason of a server that cannot check a token because it has no keys: nothing is known to be wrong with the token.
pub(in crate::grpc) const KEYS_UNAVAILABLE: &str = "KEYS_UNAVAILABLE";

/// Every reason why a caller is not authenticated.
pub(in crate::grpc) const AUTHENTICATION: [&str; 9] = [
    "CALLER_MALFORMED",
    "CALLER_MISSING",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN",
    KEYS_UNAVAILABLE,
    "TOKEN_EXPIRED",
    "TOKEN_MALFORMED",
    "TOKEN_MISSING",
    "TOKEN_REJECTED",
];

/// A reason as the reference explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explained {
    /// UPPER_SNAKE, as `google.rpc.ErrorInfo` has it.
    pub reason: &'static str,
    /// The name of the status code.
    pub code: &'static str,
    /// What it means, as a sentence.
    pub meaning: &'static str,
    /// What to do, as a sentence.
    pub remedy: &'static str,
}

/// The reasons for which the scheme refuses a command.
pub fn of_scheme() -> impl Iterator<Item = Explained> {
    Reason::ALL.iter().map(|it| Explained {
        reason: it.code(),
        code: code_name(code_of(*it)),
        meaning: it.meaning(),
        remedy: it.remedy(),
    })
}

/// All other reasons.
pub fn of_service() -> impl Iterator<Item = Explained> {
    SERVICE.iter().map(|(reason, code, meaning, remedy)| Explained { reason, code: code_name(*code), meaning, remedy })
}

#[rustfmt::skip]
const SERVICE: [(&str, Code, &str, &str); 41] = [
    ("FIELD_VIOLATIONS",     Code::InvalidArgument,    "Fields of the request are wrong; each is named.", "Correct the fields that are named."),
    ("FILE_REFUSED",         Code::InvalidArgument,    "The file cannot be used as a whole.", "See the message and its details; import a file of the kind named."),
    ("NOT_FOUND",            Code::NotFound,           "What the call names does not exist, or is outside the caller's regions and roles.", "Check the id, and the regions of the caller."),
    ("ETAG_STALE",           Code::Aborted,            "The object has changed since the version that the caller saw.", "Read it again and decide again."),
    ("REQUEST_ID_REUSED",    Code::AlreadyExists,      "The request id was used for another request.", "Use a new request id for a new request."),
    ("ROLE_MISSING",         Code::PermissionDenied,   "No role of the caller allows the method.", "Ask somebody with the role; see who may do what."),
    ("OVERLOADED",           Code::ResourceExhausted,  "The service is busy.", "Try again a little later, with the same request id."),
    ("WATCHES_EXCEEDED",     Code::ResourceExhausted,  "The limit of watches of one caller is reached.", "End a watch, or try again later."),
    ("DEADLINE_PASSED",      Code::DeadlineExceeded,   "The deadline of the call passed; the call may have been carried out.", "Try again with the same request id and a later deadline: the answer tells."),
    ("DATABASE_AWAY",        Code::Unavailable,        "The database does not answer.", "Try again with the same request id."),
    ("STORAGE_FULL",         Code::Unavailable,        "The disk of the database is full; a call that was being carried out may have been or not.", "Free space, then try again with the same request id: the answer tells."),
    ("SERVER_OUTDATED",      Code::Unavailable,        "The database has a newer schema or newer rules than this server.", "Upgrade the server; another server may answer."),
    ("CLOCK_WRONG",          Code::Unavailable,        "The clock of the server is too far from that of the database.", "Correct the clock of the server."),
    ("HISTORY_DIVERGED",     Code::FailedPrecondition, "The position is not part of this programme's record.", "Begin again with a snapshot; the database may have been restored."),
    ("WATCHER_TOO_SLOW",     Code::ResourceExhausted,  "The watcher took no message for too long, or a snapshot took too long.", "Resume from the last position, or begin again where there is none, and read faster."),
    ("SERVER_STOPPING",      Code::Unavailable,        "The server is shutting down.", "Try again; another server may answer."),
    ("INTERNAL",             Code::Internal,           "A fault of the service; its log says more.", "Report it with the time and the request id."),
    ("CALLER_MALFORMED",     Code::Unauthenticated,    "The metadata that names the caller cannot be read.", "Correct the metadata that is named."),
    ("CALLER_MISSING",       Code::Unauthenticated,    "The call does not say who makes it (development mode).", "Send the metadata of the caller."),
    ("CERTIFICATE_EXPIRED",  Code::Unauthenticated,    "The client certificate has expired.", "Connect again with another certificate."),
    ("CERTIFICATE_UNKNOWN",  Code::Unauthenticated,    "The client certificate names no service that is configured.", "Add the service to the configuration."),
    ("KEYS_UNAVAILABLE",     Code::Unavailable,        "The keys of the issuer cannot be fetched, so the token cannot be checked.", "Try again; nothing is known to be wrong with the token."),
    ("TOKEN_EXPIRED",        Code::Unauthenticated,    "The token has expired.", "Get another token."),
    ("TOKEN_MALFORMED",      Code::Unauthenticated,    "The token cannot be read.", "Send a bearer token as it was issued."),
    ("TOKEN_MISSING",        Code::Unauthenticated,    "There is neither a token nor a client certificate.", "Send a bearer token."),
    ("TOKEN_REJECTED",       Code::Unauthenticated,    "The token is not one that this server accepts; the message says why.", "Get a token for this audience with the claims that are asked for."),
    ("CALLS_EXCEEDED",       Code::ResourceExhausted,  "The caller has reached the limit of calls in flight.", "Wait for a call to end."),
    ("CONNECTIONS_EXCEEDED", Code::ResourceExhausted,  "The caller has reached the limit of connections.", "Use one connection for many calls."),
    ("RATE_EXCEEDED",        Code::ResourceExhausted,  "The caller has exceeded the limit of calls per second.", "Wait a little, then try again with the same request id."),
    ("HEALTH_EXCEEDED",      Code::ResourceExhausted,  "The limit of health checks without a credential is reached.", "Probe less often, or with a credential."),
    ("HEALTH_WATCH_ENDED",   Code::DeadlineExceeded,   "A health watch without a credential has come to its end.", "Begin another."),
    ("MESSAGE_MALFORMED",    Code::InvalidArgument,    "The request is not the one message that the method takes.", "Generate the client from the contract."),
    ("MESSAGE_TOO_LARGE",    Code::InvalidArgument,    "The message is larger than the server takes.", "Send less; files go up in chunks."),
    ("MESSAGE_TOO_SLOW",     Code::DeadlineExceeded,   "The message did not arrive in the time that the server waits.", "Try again over a better connection."),
    ("CALL_BROKEN_OFF",      Code::Aborted,            "The call was cancelled before its message was complete.", "Try again with the same request id."),
    ("NOT_IMPLEMENTED",      Code::Unimplemented,      "The server has no such method, or does not accept compressed messages.", "Compare the versions of client and server."),
    ("TRANSPORT",            Code::Unknown,            "The transport failed; the status code is the one that it gave.", "Try again with the same request id."),
    ("DATE_IN_THE_PAST",     Code::Ok,                 "A warning: the date lies more than 60 days in the past.", "Check the date."),
    ("DATE_ASSUMED",         Code::Ok,                 "A warning: no date was given, and this one was taken.", "Check the date."),
    ("DRAW_REPEATED",        Code::Ok,                 "A warning: as much was drawn on this award on the same day already.", "Check that it was not recorded twice."),
    ("DIOCESE_UNKNOWN",      Code::Ok,                 "A warning: no file of establishments names the schools, so the local authority stands in for a diocese.", "Import the file of establishments."),
];
