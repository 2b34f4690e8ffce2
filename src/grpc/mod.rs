//! The wire: each service's messages to use cases and back, and nothing else.
//!
//! No rule and no database here. A handler reads who calls, checks fields ([`fields`]), calls the one use case, and
//! shows its answer ([`convert`]) or its error ([`status`]).

pub mod access;
mod approvals;
mod asked;
pub mod auth;
mod awards;
mod call;
mod connection_metrics;
mod connections;
mod convert;
mod delivery;
mod denied;
mod eligibility;
mod eviction;
mod fields;
mod filter;
mod finance;
mod foreign;
mod funds;
mod gate;
mod health;
mod ledger;
mod line;
mod mask;
mod measured;
mod metrics;
mod offers;
mod record;
mod referrals;
mod register;
mod scrape;
mod server;
mod slow;
mod status;
mod terms;
mod texts;
mod torn;
mod traceparent;
mod traces;
mod upload;
mod watch;
mod web;

pub use connections::ConnectionLimits;
pub use server::{Limits, Serving, Setup, Tls, serve};
pub use traces::{Exporting, Traces};
