//! How long values of messages may be.

/// Characters of a provider, and of an invoice's number as it is written.
pub(in crate::grpc) const MAX_TITLE: usize = 200;
