//! Formats answers as text, and adds the few keys of JSON that are not in the contract.

pub(in crate::cli) mod awards;
pub(in crate::cli) mod due;
pub(in crate::cli) mod eligibility;
pub(in crate::cli) mod funds;
pub(in crate::cli) mod imports;
pub(in crate::cli) mod offer_summary;
pub(in crate::cli) mod offers;
pub(in crate::cli) mod referrals;
pub(in crate::cli) mod schools;
