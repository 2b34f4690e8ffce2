//! Compares the texts that are absent with the texts that events erased. Only event numbers are held in memory.

use std::collections::BTreeSet;

use super::VerifyReport;
use crate::domain::event::{Event, Seq};

/// Texts that are absent, and texts that were erased.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// Events that were recorded with a text that is absent now.
    absent: BTreeSet<Seq>,
    /// Events whose texts later events erased.
    erased: BTreeSet<Seq>,
}

impl Texts {
    /// Notes that the text of an event is absent.
    pub(super) fn add_absent(&mut self, event: Seq) {
        self.absent.insert(event);
    }

    /// Notes the texts that an event erased. Reports a text that the event cannot have erased, or that was erased before.
    pub(super) fn add_erased(&mut self, event: &Event, report: &mut VerifyReport) {
        for it in event.body.erased_texts() {
            if *it >= event.seq || !self.erased.insert(*it) {
                report.differs(format!("event {}: it erases the text of event {it}, which it cannot", event.seq));
            }
        }
    }

    /// Reports each text that is absent but was not erased, and each erased text that is present or never existed.
    pub(super) fn compare(&self, report: &mut VerifyReport) {
        for event in self.absent.difference(&self.erased) {
            report.differs(format!("event {event}: its text is not there, and no event erased it"));
        }
        for event in self.erased.difference(&self.absent) {
            report.differs(format!("event {event}: its text was erased, and is there or was never recorded"));
        }
    }
}
