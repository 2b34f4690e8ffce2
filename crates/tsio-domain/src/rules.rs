//! Defines the versions of the rules. Each programme has adopted one.
//!
//! A new or changed rule must not apply to events that were recorded before it. So the record of each programme has
//! events `rules_adopted`, each with a version. The rules that a version adds apply only after the event that names the
//! version. All other rules apply to the whole record.
//!
//! | version | adds |
//! |---|---|
//! | 1 | the rules that apply to the whole record |
//! | 2 | ids are compared without case; approvals have a statement and expire; a referral needs a discussion with the commissioner; invoices have an issuer and parts; the fees of a leader are funded once; dates keep their order; `contact_until`; limits as of a day; movements that one person makes alone on a fund are added up |
//!
//! Version 2 is not released yet, and more rules are added to it until it is.
//!
//! A rule of version 2 checks that the programme's version is at least [`RulesVersion::V2`]. To add a version, add a
//! constant and a row above, and change [`RulesVersion::CURRENT`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RulesVersion(pub i64);

impl RulesVersion {
    /// The version that a record begins with.
    pub const V1: Self = Self(1);
    /// The second version.
    pub const V2: Self = Self(2);
    /// The newest version that this program knows. A programme that has an older version adopts it before its next
    /// event is recorded.
    pub const CURRENT: Self = Self::V2;
}

impl fmt::Display for RulesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
