//! A decision of a command: its events, its answer, and what is worth knowing.

use super::command::{CommandAnswer, Warning};
use crate::domain::Date;
use crate::domain::event::{NewEvent, Seq};
use crate::domain::time::Now;

/// A decision: what to record and what to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The events to record, in order.
    pub drafts: Vec<NewEvent>,
    /// The answer.
    pub answer: CommandAnswer,
    /// Worth knowing.
    pub warnings: Vec<Warning>,
}

impl Decision {
    pub(super) const fn new(drafts: Vec<NewEvent>, answer: CommandAnswer) -> Self {
        Self { drafts, answer, warnings: Vec::new() }
    }

    /// Has the events that rest on the register or the files cite the event of its record that they were read after.
    pub(super) fn citing(mut self, register: Option<Seq>) -> Self {
        if let Some(at) = register {
            self.drafts.iter_mut().for_each(|draft| draft.body.cite(at));
        }
        self
    }

    pub(super) fn warn_of_dioceses(mut self, schools: usize) -> Self {
        if schools > 0 {
            self.warnings.push(Warning::DioceseUnknown(schools));
        }
        self
    }

    pub(super) fn warn_if_past(mut self, on: Date, now: Now) -> Self {
        self.warnings.extend(Warning::if_past(on, now));
        self
    }
}
