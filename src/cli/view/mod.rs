//! How answers are shown to people, and the few keys of their JSON that a command adds to those of the contract.

pub(in crate::cli) mod awards;
pub(in crate::cli) mod eligibility;
pub(in crate::cli) mod funds;
pub(in crate::cli) mod imports;
pub(in crate::cli) mod offers;
pub(in crate::cli) mod referrals;
pub(in crate::cli) mod schools;
