//! Warnings of answers.

use serde::Serialize;

use crate::proto::Warning;

/// A warning.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct WarningView {
    code: String,
    message: String,
}

impl From<&Warning> for WarningView {
    fn from(warning: &Warning) -> Self {
        Self { code: warning.code.clone(), message: warning.message.clone() }
    }
}
