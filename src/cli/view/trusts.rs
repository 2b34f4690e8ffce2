//! How trusts are shown.

use serde::Serialize;

use crate::proto::Trust;

/// A trust in a list.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct TrustView {
    pub(in crate::cli) uid: i32,
    pub(in crate::cli) name: String,
    pub(in crate::cli) group_type: String,
    pub(in crate::cli) status: String,
    pub(in crate::cli) schools: i32,
}

impl From<Trust> for TrustView {
    fn from(trust: Trust) -> Self {
        Self {
            uid: trust.uid,
            name: trust.name,
            group_type: trust.group_type,
            status: trust.status,
            schools: trust.schools,
        }
    }
}
