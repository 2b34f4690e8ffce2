//! The services of the contract: one file each, and the common part of all handlers.

pub(in crate::grpc) mod approvals;
pub(in crate::grpc) mod awards;
mod call;
mod command_responses;
pub(in crate::grpc) mod eligibility;
pub(in crate::grpc) mod finance;
pub(in crate::grpc) mod funds;
pub(in crate::grpc) mod names;
pub(in crate::grpc) mod offers;
pub(in crate::grpc) mod record;
pub(in crate::grpc) mod referrals;
pub(in crate::grpc) mod register;
pub(in crate::grpc) mod terms;
pub(in crate::grpc) mod upload;
pub(in crate::grpc) mod watch;
pub(in crate::grpc) mod work;
