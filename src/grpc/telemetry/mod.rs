//! Metrics, logs and traces of requests and of the process.

pub(in crate::grpc) mod call_metrics;
pub(in crate::grpc) mod call_span;
pub(in crate::grpc) mod connection_metrics;
pub(in crate::grpc) mod internal_metrics;
pub(in crate::grpc) mod ledger_check_job;
mod trace_context;
pub(in crate::grpc) mod traces;
