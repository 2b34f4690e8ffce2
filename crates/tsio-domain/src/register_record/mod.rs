//! Defines the record of reference data. It says which files landed, were replaced or withdrawn, and who did it. The
//! record is named `register`, so its types are named `Register...`. It is not the public register of schools (GIAS).
//!
//! Its events form a hash chain, like the events in the record of a programme. The rows of a file are not in the record.
//! For each landed import, the record has the number of rows and one hash over all rows. Of a free text, the record has
//! only the salted hash. The texts are stored with the approvals.
//!
//! Imports and approvals may be older than the record. The record begins with events that *adopt* them. Such an event
//! describes what was found in the tables when the record began, so its name ends in `Found`.

mod fold;
pub mod refusals;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Date;
use super::event::{Body, Hash, Seq};
use super::ids::{Actor, ApprovalId, ImportId, RequestId};
use super::person::TokenSubject;
use super::time::Micros;
use crate::values::named_enum;
use crate::values::statement::Statement;
pub use fold::{RecordedImport, RegisterState};

named_enum! {
    /// The kind of an imported file.
    FileKind {
        /// GIAS groups.
        Groups = "groups",
        /// GIAS group membership.
        Membership = "membership",
        /// GIAS links.
        Links = "links",
        /// GIAS establishments.
        Establishments = "establishments",
        /// Ofsted management information.
        Ofsted = "ofsted",
    }
}

named_enum! {
    /// The state of an import. Its rows count only in the state `landed`.
    ImportState {
        /// Its rows are being written. No query returns the import.
        Staging = "staging",
        /// Its rows are being deleted. No query returns the import.
        Discarded = "discarded",
        /// Its rows count.
        Landed = "landed",
        /// Another import replaced it.
        Replaced = "replaced",
        /// It was withdrawn: one person asked for this, and a second person approved it.
        Withdrawn = "withdrawn",
    }
}

named_enum! {
    /// The answer to an approval, if it was answered before this record began.
    AdoptedAnswer {
        /// The second person gave the approval, and the import was withdrawn.
        CarriedOut = "carried_out",
        /// The second person denied the approval.
        Denied = "denied",
        /// The requester withdrew the approval.
        Withdrawn = "withdrawn",
    }
}

/// The number of rows in a list, and the SHA-256 over the SHA-256 of each row in a fixed order
/// (`docs/reference/record.md`, "Rows").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsHash {
    /// The number of rows.
    pub count: i64,
    /// The hash over the hashes of the rows.
    pub sha256: Hash,
}

/// Computes a [`RowsHash`]. The hashes of the rows must be added in the order of the keys of the rows.
#[derive(Debug, Default)]
pub struct RowsHasher {
    count: i64,
    hash_of_rows: Sha256,
}

impl RowsHasher {
    /// Adds the hash of the next row.
    pub fn add(&mut self, row: Hash) {
        self.count = self.count.saturating_add(1);
        self.hash_of_rows.update(row.0);
    }

    /// The number of rows added so far.
    #[must_use]
    pub const fn count(&self) -> i64 {
        self.count
    }

    /// Returns the number of rows and the hash over all of them.
    #[must_use]
    pub fn finish(self) -> RowsHash {
        RowsHash { count: self.count, sha256: Hash(self.hash_of_rows.finalize().into()) }
    }
}

/// One file as it was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedFile {
    /// Its kind.
    pub kind: FileKind,
    /// Its as-at date: the date whose state it shows.
    pub as_at: Date,
    /// Its name, as the person who imported it gave it.
    pub name: String,
    /// SHA-256 of its unpacked bytes.
    pub sha256: Hash,
    /// The number of data rows in the file.
    pub rows: i64,
    /// The number and hash of the rows that were accepted.
    pub accepted: RowsHash,
    /// The number and hash of the problems and notes that are stored with the import.
    pub findings: RowsHash,
    /// The number of further problems, which are not stored.
    pub more_problems: i64,
}

/// The body of an event of this record. It is stored as JSON: fields may be added, but never renamed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RegisterBody {
    /// The record began. The events right after this one adopt the imports, approvals and answers that are older than
    /// the record.
    RecordBegun {
        /// The number of adopting events: `ImportFound`, `ApprovalFound` and `AnswerFound`.
        found: i64,
    },
    /// Adopts an import that was found in the tables when the record began. Its rows were hashed at that time.
    ImportFound {
        /// The import.
        import: ImportId,
        /// Its file.
        file: ImportedFile,
        /// Its state when the record began.
        state: ImportState,
        /// The person who imported it.
        imported_by: Actor,
        /// When it was imported.
        imported_at: Micros,
        /// The person who asked to withdraw it; `None` if it was not withdrawn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        withdrawn_by: Option<Actor>,
        /// The import that replaced it; `None` if it was not replaced.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced_by: Option<ImportId>,
    },
    /// Adopts an approval that was found in the tables when the record began. The text of this event is the requester's
    /// reason.
    ApprovalFound {
        /// The approval.
        approval: ApprovalId,
        /// The import that the requester asked to withdraw.
        import: ImportId,
        /// The requester.
        requested_by: Actor,
        /// When the approval was requested.
        requested_at: Micros,
        /// The request id of the call that requested the approval; `None` if it was not stored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<RequestId>,
        /// The token subject of the requester; `None` if it was not stored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
        /// The offers that the withdrawal would change. `None` if the approval was requested before such statements were
        /// stored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        statement: Option<Statement>,
        /// The time at which it expires; `None` if it has no expiry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Micros>,
    },
    /// Adopts the answer that was found for an adopted approval. If the approval was denied, the text of this event is
    /// the reason.
    AnswerFound {
        /// The approval.
        approval: ApprovalId,
        /// The answer.
        answer: AdoptedAnswer,
        /// The person who answered; `None` if the approval was withdrawn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answered_by: Option<Actor>,
        /// The token subject of the person who answered; `None` if it was not stored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// A file landed: its rows count from this event on.
    ImportLanded {
        /// The import.
        import: ImportId,
        /// Its file.
        file: ImportedFile,
    },
    /// A file was imported, but the same content had landed before. No rows were added.
    ImportRepeated {
        /// The import that has this content.
        import: ImportId,
    },
    /// Another import replaced an import.
    ImportReplaced {
        /// The replaced import.
        import: ImportId,
        /// The import that replaces it.
        by: ImportId,
    },
    /// A person asked to withdraw an import. The text of this event is the reason.
    ApprovalOpened {
        /// The approval.
        approval: ApprovalId,
        /// The import.
        import: ImportId,
        /// The offers that the withdrawal will change.
        statement: Statement,
        /// When it expires, in microseconds since 1970.
        expires_at: Micros,
        /// The token subject of the actor, which shows whether two actors are one person; `None` without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The second person gave the approval.
    ApprovalGiven {
        /// The approval.
        approval: ApprovalId,
        /// The token subject of the actor, which shows whether two actors are one person; `None` without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The second person denied the approval. The text of this event is the reason.
    ApprovalDenied {
        /// The approval.
        approval: ApprovalId,
        /// The token subject of the actor, which shows whether two actors are one person; `None` without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The requester withdrew the approval.
    ApprovalWithdrawn {
        /// The approval.
        approval: ApprovalId,
        /// The token subject of the actor; `None` without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The import was withdrawn: its rows do not count from this event on.
    ImportWithdrawn {
        /// The import.
        import: ImportId,
        /// The approval that allowed the withdrawal. It was given by the event before this one.
        approval: ApprovalId,
    },
}

impl Body for RegisterBody {
    fn kind(&self) -> &'static str {
        match self {
            Self::RecordBegun { .. } => "record_begun",
            Self::ImportFound { .. } => "import_found",
            Self::ApprovalFound { .. } => "approval_found",
            Self::AnswerFound { .. } => "answer_found",
            Self::ImportLanded { .. } => "import_landed",
            Self::ImportRepeated { .. } => "import_repeated",
            Self::ImportReplaced { .. } => "import_replaced",
            Self::ApprovalOpened { .. } => "approval_opened",
            Self::ApprovalGiven { .. } => "approval_given",
            Self::ApprovalDenied { .. } => "approval_denied",
            Self::ApprovalWithdrawn { .. } => "approval_withdrawn",
            Self::ImportWithdrawn { .. } => "import_withdrawn",
        }
    }
}

/// One event of this record. It has no offer, no reason code and no ledger entries.
pub type RegisterEvent = super::event::Event<RegisterBody>;

/// The number of an event of this record. A decision that depends on reference data stores the number of the last event
/// at that time; 0 if the record had no event.
pub type RegisterSeq = Seq;
