//! Deciding one command: a file for each kind of command, and what several kinds share.

pub mod approvals;
pub mod awards;
pub mod claims;
pub(in crate::domain) mod dates;
mod endings;
pub mod entry_position;
pub mod erasure;
pub mod funds;
pub mod identify;
pub(in crate::domain) mod limits;
mod referral_refusals;
pub mod referrals;
mod spending;
pub mod statement;
pub mod threshold;
mod undo;
