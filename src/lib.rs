//! `tsio`: the trust and school improvement offer, as a service.
//!
//! The layers, and what each may import (`tests/tidy.rs` checks it):
//!
//! ```text
//! domain   the scheme itself, pure: a crate of its own  imports none
//! import   bytes of a file -> rows and problems, pure   imports domain
//! store    the only place that names sea_orm            imports domain
//! app      use cases, permissions, the writer           imports domain, store, import
//! grpc     the gRPC services and their server           imports app, domain
//! client   the client library: a crate of its own       imports none
//! cli      the command line                             imports client, proto; serve, verify and demo also app, store, grpc; terms, amounts and output also domain; dates also app, for the clock
//! ```
//!
//! A module is `pub` only if the binary, the tests or the benches use it. In the other modules the compiler reports items that
//! are not used. An item that is `pub` is for the other layers.

#![expect(
    unreachable_pub,
    reason = "an item is public to the other layers; its module decides whether it is to other crates"
)]

pub mod app;
pub mod cli;
pub mod config;
pub mod grpc;
mod import;
pub mod proto;
pub mod store;
mod telemetry;

pub use tsio_client as client;
pub use tsio_domain as domain;
