//! The contract (`proto/tsio/v1`): the messages and clients of `tsio-client`, and the generated server traits.

#![expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated code"
)]

pub use tsio_client::proto::*;

tonic::include_proto!("tsio.v1");
