//! Reasons of refusals that are not those of the scheme.

/// The reason of a server that cannot check tokens because it has no keys.
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
