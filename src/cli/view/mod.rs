//! How answers are shown: as tables, and as JSON from the message descriptor.

pub(in crate::cli) mod awards;
pub(in crate::cli) mod eligibility;
pub(in crate::cli) mod funds;
pub(in crate::cli) mod imports;
pub(in crate::cli) mod offers;
pub(in crate::cli) mod referrals;
pub(in crate::cli) mod schools;
pub(in crate::cli) mod trusts;
pub(in crate::cli) mod warnings;
