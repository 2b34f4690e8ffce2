//! Defines the reasons of statuses: the reasons of the scheme, and those of the service.
//!
//! The table of the scheme's reasons is in the domain, the table of the service's reasons in this module. All other code
//! uses the enums.

use tonic::Code;

use crate::domain::refusal::Reason;
use crate::proto::code_name;

/// Declares the enum of the reasons and the texts of each reason, in the order of the reference documentation.
macro_rules! service_reasons {
    ($($variant:ident = $code:literal, $status:ident, $meaning:literal, $remedy:literal;)+) => {
        /// A reason of the service, not of the scheme: why it refused a request, or what a response warns of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::grpc) enum ServiceReason { $(#[doc = $meaning] $variant),+ }

        impl ServiceReason {
            /// All reasons of the service.
            pub(in crate::grpc) const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the reason as it is sent, in UPPER_SNAKE case.
            pub(in crate::grpc) const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// Returns the status code of the reason: OK for a warning. A status with the reason `TRANSPORT` has the code
            /// that the transport gave, and not the code of the reason.
            pub(in crate::grpc) const fn status(self) -> Code {
                match self { $(Self::$variant => Code::$status),+ }
            }

            /// Returns the meaning and the remedy.
            const fn explanation(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($meaning, $remedy)),+ }
            }
        }
    };
}

impl ServiceReason {
    /// Returns true if the reason says why a caller is not authenticated. `KEYS_UNAVAILABLE` is such a reason too. It has
    /// another status code than UNAUTHENTICATED, because the token may be valid.
    pub(in crate::grpc) const fn is_authentication_failure(self) -> bool {
        matches!(self.status(), Code::Unauthenticated) || matches!(self, Self::KeysUnavailable)
    }
}

/// A reason of a status: of the scheme or of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum StatusReason {
    /// The scheme refuses a command.
    Scheme(Reason),
    /// The service refuses the request.
    Service(ServiceReason),
}

impl StatusReason {
    /// Returns the reason as it is sent, in UPPER_SNAKE case.
    pub(in crate::grpc) const fn code(self) -> &'static str {
        match self {
            Self::Scheme(reason) => reason.code(),
            Self::Service(reason) => reason.code(),
        }
    }
}

impl From<Reason> for StatusReason {
    fn from(reason: Reason) -> Self {
        Self::Scheme(reason)
    }
}

impl From<ServiceReason> for StatusReason {
    fn from(reason: ServiceReason) -> Self {
        Self::Service(reason)
    }
}

/// Returns the status code of a refusal.
pub(in crate::grpc) const fn status_code_of(reason: Reason) -> Code {
    match reason {
        Reason::SelfApproval | Reason::ApprovalOfAnother => Code::PermissionDenied,
        Reason::FundExists | Reason::ReferralOpen => Code::AlreadyExists,
        Reason::StateNotAllowed
        | Reason::ContactMissing
        | Reason::ContactNotCorrectable
        | Reason::AcceptorNotAllowed
        | Reason::SchoolNotOnOffer
        | Reason::AwardMissing
        | Reason::AlreadyDrawn
        | Reason::ProgrammeNotEnded
        | Reason::ProgrammeClosed
        | Reason::OutsideProgramme
        | Reason::SchoolOnAnotherOffer
        | Reason::ApprovalRequired
        | Reason::ApprovalNotOpen
        | Reason::ApprovalClosed
        | Reason::ApprovalExceeded
        | Reason::AlreadyPlaced
        | Reason::EntryNotUnknown
        | Reason::NoText
        | Reason::TextErased
        | Reason::TrustNotSuitable
        | Reason::ImportDisagrees
        | Reason::ImportNotLanded
        | Reason::TermsInUse
        | Reason::CapExceeded
        | Reason::FundsInsufficient
        | Reason::FundMissing
        | Reason::FundOverCommitted
        | Reason::StrandNotOffered
        | Reason::PartnerNotSuitable
        | Reason::ProviderNotAccredited
        | Reason::OutsideWindow
        | Reason::DateOrder
        | Reason::MovementNotUndoable
        | Reason::AwardExceeded
        | Reason::UnitMismatch
        | Reason::AmountTooLarge
        | Reason::SameFund
        | Reason::BookingNotOpen
        | Reason::InvoiceMissing
        | Reason::InvoiceNotExpected
        | Reason::InvoicePaid
        | Reason::ClaimIssuerMissing
        | Reason::ClaimTotalDiffers
        | Reason::ClaimTotalExceeded
        | Reason::BookingLeaderMissing
        | Reason::LeaderFunded
        | Reason::ReferralNotOpen
        | Reason::CannotBeReferred
        | Reason::GroundNotInEffect
        | Reason::DiscussionMissing => Code::FailedPrecondition,
    }
}

/// A reason with its explanation in the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explained {
    /// The reason in UPPER_SNAKE case, as `google.rpc.ErrorInfo` requires.
    pub reason: &'static str,
    /// The name of the status code.
    pub code: &'static str,
    /// The meaning, as a sentence.
    pub meaning: &'static str,
    /// What to do, as a sentence.
    pub remedy: &'static str,
}

/// Returns the reasons for which the scheme refuses a command.
pub fn of_scheme() -> impl Iterator<Item = Explained> {
    Reason::ALL.iter().map(|it| Explained {
        reason: it.code(),
        code: code_name(status_code_of(*it)),
        meaning: it.meaning(),
        remedy: it.remedy(),
    })
}

/// Returns the reasons of the service.
pub fn of_service() -> impl Iterator<Item = Explained> {
    ServiceReason::ALL.iter().map(|it| {
        let (meaning, remedy) = it.explanation();
        Explained { reason: it.code(), code: code_name(it.status()), meaning, remedy }
    })
}

#[rustfmt::skip]
service_reasons! {
    FieldViolations = "FIELD_VIOLATIONS", InvalidArgument,
        "Fields of the request are wrong; each is named.", "Correct the fields that are named.";
    FileRefused = "FILE_REFUSED", InvalidArgument,
        "The file cannot be used as a whole.", "See the message and its details; import a file of the kind named.";
    NotFound = "NOT_FOUND", NotFound,
        "What the call names does not exist, or is outside the caller's regions and roles.", "Check the id, and the regions of the caller.";
    EtagStale = "ETAG_STALE", Aborted,
        "The object has changed since the version that the caller saw.", "Read it again and decide again.";
    RequestIdReused = "REQUEST_ID_REUSED", AlreadyExists,
        "The request id was used for another request.", "Use a new request id for a new request.";
    RoleMissing = "ROLE_MISSING", PermissionDenied,
        "No role of the caller allows the method.", "Ask somebody with the role; see who may do what.";
    Overloaded = "OVERLOADED", ResourceExhausted,
        "The service is busy.", "Try again a little later, with the same request id.";
    WatchesExceeded = "WATCHES_EXCEEDED", ResourceExhausted,
        "The limit of watches of one caller is reached.", "End a watch, or try again later.";
    DeadlinePassed = "DEADLINE_PASSED", DeadlineExceeded,
        "The deadline of the call passed; the call may have been carried out.", "Try again with the same request id and a later deadline: the answer tells.";
    DatabaseAway = "DATABASE_AWAY", Unavailable,
        "The database does not answer.", "Try again with the same request id.";
    StorageFull = "STORAGE_FULL", Unavailable,
        "The disk of the database is full; a call that was being carried out may have been or not.", "Free space, then try again with the same request id: the answer tells.";
    ServerOutdated = "SERVER_OUTDATED", Unavailable,
        "The database has a newer schema or newer rules than this server.", "Upgrade the server; another server may answer.";
    ClockWrong = "CLOCK_WRONG", Unavailable,
        "The clock of the server is too far from that of the database.", "Correct the clock of the server.";
    HistoryDiverged = "HISTORY_DIVERGED", FailedPrecondition,
        "The position is not part of this programme's record.", "Begin again with a snapshot; the database may have been restored.";
    WatcherTooSlow = "WATCHER_TOO_SLOW", ResourceExhausted,
        "The watcher took no message for too long, or a snapshot took too long.", "Resume from the last position, or begin again where there is none, and read faster.";
    ServerStopping = "SERVER_STOPPING", Unavailable,
        "The server is shutting down.", "Try again; another server may answer.";
    Internal = "INTERNAL", Internal,
        "A fault of the service; its log says more.", "Report it with the time and the request id.";
    CallerMalformed = "CALLER_MALFORMED", Unauthenticated,
        "The metadata that names the caller cannot be read.", "Correct the metadata that is named.";
    CallerMissing = "CALLER_MISSING", Unauthenticated,
        "The call does not say who makes it (development mode).", "Send the metadata of the caller.";
    CertificateExpired = "CERTIFICATE_EXPIRED", Unauthenticated,
        "The client certificate has expired.", "Connect again with another certificate.";
    CertificateUnknown = "CERTIFICATE_UNKNOWN", Unauthenticated,
        "The client certificate names no service that is configured.", "Add the service to the configuration.";
    KeysUnavailable = "KEYS_UNAVAILABLE", Unavailable,
        "The keys of the issuer cannot be fetched, so the token cannot be checked.", "Try again; nothing is known to be wrong with the token.";
    TokenExpired = "TOKEN_EXPIRED", Unauthenticated,
        "The token has expired.", "Get another token.";
    TokenMalformed = "TOKEN_MALFORMED", Unauthenticated,
        "The token cannot be read.", "Send a bearer token as it was issued.";
    TokenMissing = "TOKEN_MISSING", Unauthenticated,
        "There is neither a token nor a client certificate.", "Send a bearer token.";
    TokenRejected = "TOKEN_REJECTED", Unauthenticated,
        "The token is not one that this server accepts; the message says why.", "Get a token for this audience with the claims that are asked for.";
    CallsExceeded = "CALLS_EXCEEDED", ResourceExhausted,
        "The caller has reached the limit of calls in flight.", "Wait for a call to end.";
    ConnectionsExceeded = "CONNECTIONS_EXCEEDED", ResourceExhausted,
        "The caller has reached the limit of connections.", "Use one connection for many calls.";
    RateExceeded = "RATE_EXCEEDED", ResourceExhausted,
        "The caller has exceeded the limit of calls per second.", "Wait a little, then try again with the same request id.";
    HealthExceeded = "HEALTH_EXCEEDED", ResourceExhausted,
        "The limit of health checks without a credential is reached.", "Probe less often, or with a credential.";
    HealthWatchEnded = "HEALTH_WATCH_ENDED", DeadlineExceeded,
        "A health watch without a credential has come to its end.", "Begin another.";
    MessageMalformed = "MESSAGE_MALFORMED", InvalidArgument,
        "The request is not the one message that the method takes.", "Generate the client from the contract.";
    MessageTooLarge = "MESSAGE_TOO_LARGE", InvalidArgument,
        "The message is larger than the server takes.", "Send less; files go up in chunks.";
    MessageTooSlow = "MESSAGE_TOO_SLOW", DeadlineExceeded,
        "The message did not arrive in the time that the server waits.", "Try again over a better connection.";
    CallBrokenOff = "CALL_BROKEN_OFF", Aborted,
        "The call was cancelled before its message was complete.", "Try again with the same request id.";
    NotImplemented = "NOT_IMPLEMENTED", Unimplemented,
        "The server has no such method, or does not accept compressed messages.", "Compare the versions of client and server.";
    Transport = "TRANSPORT", Unknown,
        "The transport failed; the status code is the one that it gave.", "Try again with the same request id.";
    DateInThePast = "DATE_IN_THE_PAST", Ok,
        "A warning: the date lies more than 60 days in the past.", "Check the date.";
    DateAssumed = "DATE_ASSUMED", Ok,
        "A warning: no date was given, and this one was taken.", "Check the date.";
    DrawRepeated = "DRAW_REPEATED", Ok,
        "A warning: as much was drawn on this award on the same day already.", "Check that it was not recorded twice.";
    DioceseUnknown = "DIOCESE_UNKNOWN", Ok,
        "A warning: no file of establishments names the schools, so the local authority stands in for a diocese.", "Import the file of establishments.";
}
