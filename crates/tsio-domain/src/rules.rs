//! The version of the rules that a programme has adopted.
//!
//! A rule that is added or changed must not judge what was recorded before it. So each programme's record says from which
//! event on a version holds: `rules_adopted`. What this table names is judged only from that event on; everything else
//! holds over the whole record.
//!
//! | version | adds |
//! |---|---|
//! | 1 | the rules that hold over the whole record |
//! | 2 | folded identity, stated approvals and their expiry, the discussion with the commissioner; invoices by issuer and in parts, a leader of fees funded once; the order of dates, `contact_until`, as of a day; what one person moves alone on a fund counts together |
//!
//! Version 2 is not released yet, and grows until it is.
//!
//! A rule asks `facts.rules >= RulesVersion::V2`. A new version is a constant here, a row above, and [`RulesVersion::CURRENT`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RulesVersion(pub i64);

impl RulesVersion {
    /// What a record begins with.
    pub const V1: Self = Self(1);
    /// The second version.
    pub const V2: Self = Self(2);
    /// The newest version that this program knows, which every programme adopts before anything else is recorded.
    pub const CURRENT: Self = Self::V2;
}

impl fmt::Display for RulesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
