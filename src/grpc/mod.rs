//! The wire: each service's messages to use cases and back, and nothing else.
//!
//! No rule and no database here. A handler ([`service`]) reads who calls, checks fields, calls the one use case, and
//! shows its answer or its error ([`message`]). Who may call is [`auth`], how calls come in [`transport`], what is counted
//! and traced of them [`telemetry`].

pub mod auth;
mod message;
mod server;
mod service;
pub mod telemetry;
pub mod transport;

pub use message::{metadata, reason};
pub use server::{ServerLimits, Serving, Setup, Tls, serve};
pub use telemetry::traces::{Exporting, Traces};
pub use transport::connections::ConnectionLimits;
