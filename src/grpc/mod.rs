//! The wire: each service's messages to use cases and back, and nothing else.
//!
//! No rule and no database here. A handler reads who calls, checks fields ([`fields`]), calls the one use case, and
//! shows its answer ([`convert`]) or its error ([`status`]).

mod approvals;
mod auth;
mod awards;
mod call;
mod convert;
mod eligibility;
mod fields;
mod finance;
mod funds;
mod offers;
mod register;
mod server;
mod status;
mod terms;
mod torn;
mod upload;

pub use server::{Limits, Serving, serve};
