//! Reads: one file for each noun. A query checks the caller's role, reads one snapshot and changes nothing.

pub(in crate::app) mod approvals;
pub(in crate::app) mod awards;
pub(in crate::app) mod funds;
pub(in crate::app) mod referrals;
pub(in crate::app) mod register;
mod verification;
