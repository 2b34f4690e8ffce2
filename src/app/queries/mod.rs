//! The queries, in one file for each kind of entity. A query checks the caller's roles, reads and changes nothing.

pub(in crate::app) mod approvals;
pub(in crate::app) mod awards;
pub(in crate::app) mod funds;
pub(in crate::app) mod offer_summary;
pub(in crate::app) mod referrals;
pub(in crate::app) mod register;
mod verification;
