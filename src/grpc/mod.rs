//! The gRPC layer: translates each request to a use case and its result to a response.
//!
//! It has no rule of the scheme and no database access. A handler ([`service`]) reads the caller, checks the fields,
//! calls one use case, and converts its result or its error to a message ([`message`]). [`auth`] authenticates callers,
//! [`transport`] accepts connections and admits requests, [`telemetry`] counts and traces them.

pub mod auth;
mod message;
mod server;
mod service;
pub(crate) mod telemetry;
pub(crate) mod transport;

pub(crate) use message::encoded::EncodedMessage;
pub use message::{metadata, reason};
pub use server::{ServerLimits, Serving, Setup, Tls, serve};
pub use telemetry::traces::{Exporting, Traces};
pub use transport::connections::ConnectionLimits;
