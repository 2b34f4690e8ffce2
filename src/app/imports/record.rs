//! Appends events to the register's record, under the register's lock, in the transaction that makes the change.

use super::Import;
use crate::app::write_error::WriteError;
use crate::domain::event::{Body as _, Event, Seq, chain, text_hash};
use crate::domain::ids::{Actor, RecordName, RequestId};
use crate::domain::register_record::{ImportedFile, RegisterBody, RowsHash};
use crate::domain::time::Now;
use crate::store::events::Recorded;
use crate::store::register::RegisterHead;
use crate::store::register::record::{self, Salt};
use crate::store::{self, WriteTx};

/// The actor and the request id of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct DoneBy<'a> {
    pub(super) actor: &'a Actor,
    pub(super) request: RequestId,
}

/// Appends events to the register's record. Gives each event its number, and its hash, which depends on the hash of the event
/// before.
#[derive(Debug)]
pub(super) struct RegisterAppender {
    head: RegisterHead,
    events: Vec<Recorded<RegisterBody>>,
    salts: Vec<Salt>,
}

impl RegisterAppender {
    /// An appender that continues after this head, whose row the transaction has locked.
    pub(super) const fn after(head: RegisterHead) -> Self {
        Self { head, events: Vec::new(), salts: Vec::new() }
    }

    /// Adds an event, which [`Self::write`] writes. The record keeps only the salted hash of the event's text.
    ///
    /// # Errors
    /// [`WriteError::Bug`] if the body cannot be encoded as JSON.
    pub(super) fn append(
        &mut self,
        by: DoneBy<'_>,
        now: Now,
        body: RegisterBody,
        text: Option<&str>,
    ) -> Result<(), WriteError> {
        let seq = self.head.next;
        let text_hash = text.map(|text| {
            let salt = uuid::Uuid::new_v4().as_bytes().to_vec();
            let hash = text_hash(&salt, text);
            self.salts.push(Salt { seq, salt });
            hash
        });
        let event = Event {
            seq,
            offer: None,
            actor: by.actor.clone(),
            request: by.request,
            effective: now.today,
            recorded: now.at,
            reason_code: None,
            text_hash,
            body,
            entries: Vec::new(),
        };
        let body = serde_json::to_string(&event.body).map_err(|error| WriteError::Bug(error.to_string()))?;
        let hash = chain(self.head.hash, &RecordName::Register, &event, &body);
        self.head = RegisterHead { next: Seq(seq.0.saturating_add(1)), hash };
        self.events.push(Recorded { kind: event.body.kind().to_owned(), event, body, hash });
        Ok(())
    }

    /// Writes the added events and the head.
    pub(super) async fn write(self, tx: &WriteTx) -> store::Result<()> {
        record::append(tx, &self.head, &self.events, &self.salts).await
    }
}

/// Makes the description of an import's file for the record, with the hashes of its accepted rows and of its problems and
/// notes.
pub(super) fn imported_file(import: &Import, (accepted, findings): (RowsHash, RowsHash)) -> ImportedFile {
    ImportedFile {
        kind: import.kind,
        as_at: import.as_at,
        name: import.file_name.clone(),
        sha256: import.sha256,
        rows: import.rows,
        accepted,
        findings,
        more_problems: import.more_problems,
    }
}
