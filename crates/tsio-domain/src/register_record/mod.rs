//! The record of reference data, named `register`: which files landed, were replaced or withdrawn, and by whom.
//!
//! It is chained as a programme's record is. The rows of a file are not in it: each landing carries how many there are and
//! one hash over all of them. No free text is in it, only salted hashes; the texts lie with the approvals.

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
    /// What a file is.
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
    /// Whether an import counts.
    ImportState {
        /// Its rows are being written; nobody sees it.
        Staging = "staging",
        /// Its rows are being deleted; nobody sees it.
        Discarded = "discarded",
        /// It counts.
        Landed = "landed",
        /// Another import took its place.
        Replaced = "replaced",
        /// Withdrawn by two people.
        Withdrawn = "withdrawn",
    }
}

named_enum! {
    /// How an approval was answered that was there before this record began.
    AnswerFound {
        /// Given, and carried out.
        CarriedOut = "carried_out",
        /// Denied by the second person.
        Denied = "denied",
        /// Withdrawn by the requester.
        Withdrawn = "withdrawn",
    }
}

/// A list of rows in a fixed order: how many, and SHA-256 over the SHA-256 of each, one after the other
/// (`docs/reference/record.md`, "Rows").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsHash {
    /// How many rows.
    pub count: i64,
    /// The hash over theirs.
    pub sha256: Hash,
}

/// Takes rows' hashes one by one, in the order of their keys.
#[derive(Debug, Default)]
pub struct RowsHasher {
    count: i64,
    list: Sha256,
}

impl RowsHasher {
    /// The next row's.
    pub fn add(&mut self, row: Hash) {
        self.count = self.count.saturating_add(1);
        self.list.update(row.0);
    }

    /// How many there were.
    #[must_use]
    pub const fn count(&self) -> i64 {
        self.count
    }

    /// The hash over all of them.
    #[must_use]
    pub fn finish(self) -> RowsHash {
        RowsHash { count: self.count, sha256: Hash(self.list.finalize().into()) }
    }
}

/// One file as it was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedFile {
    /// What it is.
    pub kind: FileKind,
    /// The date it speaks for.
    pub as_at: Date,
    /// Its name as given.
    pub name: String,
    /// SHA-256 of its unpacked bytes.
    pub sha256: Hash,
    /// Data rows in it.
    pub rows: i64,
    /// The rows that went in.
    pub accepted: RowsHash,
    /// The problems and notes that are kept with it.
    pub findings: RowsHash,
    /// Problems beyond those.
    pub more_problems: i64,
}

/// What happened. Its JSON is the event's body in the record: fields are added, never renamed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RegisterBody {
    /// The record began. What was there before is adopted by the events right after this one.
    RecordBegun {
        /// How many those are.
        found: i64,
    },
    /// An import was there before the record began; its rows were hashed as they were then.
    ImportFound {
        /// The import.
        import: ImportId,
        /// Its file.
        file: ImportedFile,
        /// Whether it counted.
        state: ImportState,
        /// Who had imported it.
        imported_by: Actor,
        /// When.
        imported_at: Micros,
        /// Who had withdrawn it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        withdrawn_by: Option<Actor>,
        /// The import that had taken its place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced_by: Option<ImportId>,
    },
    /// An approval was there before the record began; why it was asked for is this event's text.
    ApprovalFound {
        /// The approval.
        approval: ApprovalId,
        /// The import that it is to withdraw.
        import: ImportId,
        /// Who had asked.
        requested_by: Actor,
        /// When.
        requested_at: Micros,
        /// Under which id, where that was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<RequestId>,
        /// Whose token it was, where that was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
        /// What it states, where it states something.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        statement: Option<Statement>,
        /// When it expires, where it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Micros>,
    },
    /// That approval had been answered; why it was denied is this event's text.
    AnswerFound {
        /// The approval.
        approval: ApprovalId,
        /// How.
        answer: AnswerFound,
        /// By whom; nobody where it was withdrawn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answered_by: Option<Actor>,
        /// Whose token it was, where that was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// A file landed: from here on its rows count.
    ImportLanded {
        /// The import.
        import: ImportId,
        /// Its file.
        file: ImportedFile,
    },
    /// The content of a file was there already: no row went in.
    ImportRepeated {
        /// The import that has it.
        import: ImportId,
    },
    /// Another import took the place of this one.
    ImportReplaced {
        /// The import.
        import: ImportId,
        /// The other one.
        by: ImportId,
    },
    /// Somebody asked to withdraw an import; why is this event's text.
    ApprovalOpened {
        /// The approval.
        approval: ApprovalId,
        /// The import.
        import: ImportId,
        /// What it will do.
        statement: Statement,
        /// When it expires, in microseconds since 1970.
        expires_at: Micros,
        /// Whose token it was, to tell two people apart; nothing without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The second person approved.
    ApprovalGiven {
        /// The approval.
        approval: ApprovalId,
        /// Whose token it was, to tell two people apart; nothing without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The second person denied it; why is this event's text.
    ApprovalDenied {
        /// The approval.
        approval: ApprovalId,
        /// Whose token it was, to tell two people apart; nothing without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The requester withdrew it.
    ApprovalWithdrawn {
        /// The approval.
        approval: ApprovalId,
        /// Whose token it was; nothing without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The import was withdrawn: its rows count no more.
    ImportWithdrawn {
        /// The import.
        import: ImportId,
        /// The approval that carried it out, given by the event before this one.
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

/// One event of this record: about no offer, without reason code and entries.
pub type RegisterEvent = super::event::Event<RegisterBody>;

/// The event of this record after which a decision read the register and the files; 0 where nothing was recorded yet.
pub type RegisterSeq = Seq;
