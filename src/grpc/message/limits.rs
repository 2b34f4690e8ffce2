//! Limits of values that several modules check.

/// The longest name of a provider or reference of an invoice, in characters.
pub(in crate::grpc) const MAX_TITLE: usize = 200;
