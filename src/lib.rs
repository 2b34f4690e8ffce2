//! `tsio`: the trust and school improvement offer, as a service.
//!
//! The rooms, and who may import whom (`tests/tidy.rs` enforces it):
//!
//! ```text
//! domain   the scheme itself, pure                      imports nobody
//! import   bytes of a file -> rows and problems, pure   imports domain
//! store    the only place that names sea_orm            imports domain
//! app      use cases: who may, in which order           imports domain, store, import
//! grpc     the wire                                     imports app, domain
//! client   the client library                           imports proto
//! cli      commands on top of it                        imports client, proto; serve, verify and demo also app, store, grpc; terms, amounts and out also domain
//! ```

pub mod app;
pub mod cli;
pub mod client;
pub mod config;
pub mod domain;
pub mod grpc;
pub mod import;
pub mod proto;
pub mod store;
pub mod telemetry;
