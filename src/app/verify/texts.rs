//! Texts that are not there beside the events that erased them: only the two numbers are kept, however long the record.

use std::collections::BTreeSet;

use super::VerifyReport;
use crate::domain::event::{Event, Seq};

/// What the record and the table of texts say of erasing.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// Events that were recorded with a text, of which it is not there.
    absent: BTreeSet<Seq>,
    /// Events whose texts later events erased.
    erased: BTreeSet<Seq>,
}

impl Texts {
    /// Notes that the text of an event is not there.
    pub(super) fn absent(&mut self, event: Seq) {
        self.absent.insert(event);
    }

    /// Notes what an event erased.
    pub(super) fn apply(&mut self, event: &Event, report: &mut VerifyReport) {
        for it in event.body.erased_texts() {
            if *it >= event.seq || !self.erased.insert(*it) {
                report.differs(format!("event {}: it erases the text of event {it}, which it cannot", event.seq));
            }
        }
    }

    /// Names each text that is missing without an event, and each event that erased nothing.
    pub(super) fn compare(&self, report: &mut VerifyReport) {
        for event in self.absent.difference(&self.erased) {
            report.differs(format!("event {event}: its text is not there, and no event erased it"));
        }
        for event in self.erased.difference(&self.absent) {
            report.differs(format!("event {event}: its text was erased, and is there or was never recorded"));
        }
    }
}
