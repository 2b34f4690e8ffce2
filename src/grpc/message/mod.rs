//! Messages: checks fields, converts values, parses filters and masks, and maps errors to statuses.

pub(in crate::grpc) mod conversion;
pub(in crate::grpc) mod encoded;
pub(in crate::grpc) mod fields;
pub(in crate::grpc) mod filter;
pub(in crate::grpc) mod limits;
pub(in crate::grpc) mod mask;
pub mod metadata;
pub mod reason;
pub(in crate::grpc) mod request_id;
pub(in crate::grpc) mod status;
pub(in crate::grpc) mod texts;
