//! The generated code of the public contract (`proto/tsio/v1`). Nothing else lives here.

#![expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    clippy::too_many_lines,
    reason = "generated code"
)]

tonic::include_proto!("tsio.v1");

/// The compiled file descriptor set, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tsio_descriptor.bin"));
