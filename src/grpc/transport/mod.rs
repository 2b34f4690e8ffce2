//! Implements the transport of the server: connections, admission of requests, bodies, health, and the metrics endpoint.

pub(in crate::grpc) mod admission;
pub(in crate::grpc) mod body_timeout;
pub(in crate::grpc) mod cancelled_stream;
pub(in crate::grpc) mod connections;
pub(in crate::grpc) mod delivery;
mod eviction;
mod health;
pub(in crate::grpc) mod metrics_endpoint;
mod transport_errors;
pub(in crate::grpc) mod web;
