//! Formats the error of a failed command: as text for a person, and as JSON for a script.
//!
//! The code comes from gRPC, the reason from `google.rpc.ErrorInfo`, the limits from `tsio.v1.Refusal`. The text of a message
//! is not parsed.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use tonic::{Code, Status};
use uuid::Uuid;

use super::amounts::shown;
use super::names::{name, optional_text};
use super::output::{TableColumn, table};
use crate::client::Failed;
use crate::proto::{Limit, SubjectKind, code_name};

/// The reason of a call that waits for a second person.
const APPROVAL_REQUIRED: &str = "APPROVAL_REQUIRED";

/// The failure of a command.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server refused the call, or the call failed.
    Refused(Box<Status>),
    /// A local failure, such as a file or the connection: a reason like those of the server, and a sentence.
    Local(&'static str, String),
    /// The arguments contradict each other. Exits 2.
    Usage(String),
    /// Some of several requests failed; each failure has been printed already.
    Reported,
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Local("OUTPUT_FAILED", format!("cannot write the answer: {error}"))
    }
}

/// The JSON document of a failed command.
#[derive(Debug, Serialize)]
pub(super) struct ErrorDocument {
    error: ErrorView,
}

/// A call that was filed: it waits for a second person. That is no failure.
#[derive(Debug, Serialize)]
pub(super) struct FiledView {
    approval: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Uuid>,
}

impl FiledView {
    /// Returns the text for a person, with the next command.
    pub(super) fn text(&self) -> String {
        let Self { approval, message, .. } = self;
        format!(
            "filed for approval {approval}\n  {message}\n  a second person carries it out with: tsio approvals give {approval}"
        )
    }

    /// Returns the id of the approval.
    pub(super) fn id(&self) -> &str {
        &self.approval
    }
}

/// The JSON of one failure, with all limits and violations.
#[derive(Debug, Default, Serialize)]
pub(super) struct ErrorView {
    code: &'static str,
    reason: String,
    message: String,
    largest: Option<i64>,
    limits: Vec<LimitView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    more_limits: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<ViolationView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Uuid>,
}

#[derive(Debug, Serialize)]
struct LimitView {
    kind: String,
    account: String,
    unit: Option<String>,
    limit: Option<i64>,
    committed: Option<i64>,
    spent: Option<i64>,
    available: Option<i64>,
    requested: Option<i64>,
    largest: Option<i64>,
    subject_kind: Option<String>,
    subject_id: Option<String>,
    subject_part_of: Option<String>,
    strand: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Debug, Serialize)]
struct ViolationView {
    field: String,
    description: String,
}

impl ErrorView {
    /// Describes a failure. `request_id` is the id of the mutation, if the command has sent one; the command can be repeated with it.
    pub(super) fn new(failure: &Failure, request_id: Option<Uuid>) -> Self {
        let view = match failure {
            Failure::Refused(status) => Self::from_status((**status).clone()),
            Failure::Local(reason, message) => Self::local(reason, message),
            Failure::Usage(message) => Self::local("WRONG_USAGE", message),
            Failure::Reported => Self::local("SOME_FAILED", "some of them were refused"),
        };
        Self { request_id, ..view }
    }

    /// Describes a failure that the client itself has found.
    fn local(reason: &str, message: &str) -> Self {
        let code = if reason == "SERVER_UNREACHABLE" { Code::Unavailable } else { Code::InvalidArgument };
        Self { code: code_name(code), reason: reason.to_owned(), message: message.to_owned(), ..Self::default() }
    }

    /// Describes the status of a call.
    pub(super) fn from_status(status: Status) -> Self {
        let failed = Failed::from(status);
        let refusal = failed.refusal().cloned().unwrap_or_default();
        let violation = |(field, description)| ViolationView { field, description };
        Self {
            code: code_name(failed.status().code()),
            reason: failed.reason().to_owned(),
            message: failed.status().message().to_owned(),
            largest: refusal.largest,
            limits: refusal.limits.into_iter().map(LimitView::from).collect(),
            more_limits: Some(refusal.more_limits).filter(|more| *more > 0),
            approval: optional_text(refusal.approval),
            violations: failed.violations().into_iter().map(violation).collect(),
            request_id: None,
        }
    }

    /// Returns the approval that the call opened, if it waits for a second person.
    pub(super) fn filed(&self) -> Option<FiledView> {
        let approval = self.approval.clone().filter(|_| self.reason == APPROVAL_REQUIRED)?;
        Some(FiledView { approval, message: self.message.clone(), request_id: self.request_id })
    }

    /// Returns the JSON document for a script.
    pub(super) fn document(self) -> ErrorDocument {
        ErrorDocument { error: self }
    }

    /// Returns the text for a person: the message, each wrong field, each limit, and the next steps.
    pub(super) fn text(&self) -> String {
        let mut text = format!("error: {} ({})\n", self.message, self.reason);
        // Do not repeat what the message contains already.
        let is_new = |text: &str| !self.message.contains(text);
        for violation in self.violations.iter().filter(|it| is_new(&it.description)) {
            writeln!(text, "  {}: {}", violation.field, violation.description).unwrap_or_default();
        }
        if self.limits.iter().any(LimitView::has_numbers) {
            writeln!(text, "{}", self.limits_text()).unwrap_or_default();
        }
        let remedies = self.limits.iter().filter_map(|limit| Some((limit, limit.remedy.as_ref()?)));
        for (limit, remedy) in remedies.filter(|(_, remedy)| is_new(remedy)) {
            // Do not repeat the kind if the account begins with it.
            let kind = if limit.account.starts_with(&limit.kind) { "" } else { &limit.kind };
            writeln!(text, "  {}: {remedy}", format!("{kind} {}", limit.account).trim()).unwrap_or_default();
        }
        if let Some(more) = self.more_limits {
            writeln!(text, "and {more} more limit{}", if more == 1 { "" } else { "s" }).unwrap_or_default();
        }
        if let Some(largest) = self.largest.filter(|_| self.limits.iter().any(LimitView::has_numbers)) {
            let unit = self.limits.iter().find_map(|limit| limit.largest.and(limit.unit.as_deref()));
            writeln!(text, "the largest that would pass: {}", shown(unit, largest)).unwrap_or_default();
        }
        if let Some(id) = self.request_id.filter(|_| self.outcome_is_unknown()) {
            writeln!(text, "to try the same call again: --request-id {id}").unwrap_or_default();
        }
        text
    }

    /// Whether the change may have been carried out although the call failed. Then the same call with the same request id tells.
    fn outcome_is_unknown(&self) -> bool {
        use Code::{Cancelled, DeadlineExceeded, Internal, Unavailable, Unknown};
        [Cancelled, DeadlineExceeded, Internal, Unavailable, Unknown]
            .into_iter()
            .any(|code| code_name(code) == self.code)
    }

    /// Formats the limits as a table.
    fn limits_text(&self) -> String {
        use TableColumn::{Id, Number};
        let columns = [
            Id("KIND"),
            Id("ACCOUNT"),
            Number("LIMIT"),
            Number("COMMITTED"),
            Number("SPENT"),
            Number("AVAILABLE"),
            Number("REQUESTED"),
            Number("LARGEST"),
        ];
        let row = |limit: &LimitView| {
            let numbers = [limit.limit, limit.committed, limit.spent, limit.available, limit.requested, limit.largest];
            // The text after an id goes to the next line, so that the id is not broken.
            let words = [limit.kind.clone(), limit.account.replace(" (", "\n(")];
            let amount = |amount: Option<i64>| amount.map(|it| shown(limit.unit.as_deref(), it)).unwrap_or_default();
            words.into_iter().chain(numbers.map(amount)).collect()
        };
        table(&columns, self.limits.iter().map(row))
    }
}

impl LimitView {
    /// Returns true if the limit has at least one number. Otherwise it has only a remedy, and no row in the table of limits.
    fn has_numbers(&self) -> bool {
        [self.limit, self.committed, self.spent, self.available, self.requested, self.largest]
            .iter()
            .any(Option::is_some)
    }
}

impl From<Limit> for LimitView {
    fn from(limit: Limit) -> Self {
        let kind = SubjectKind::try_from(limit.subject_kind).ok();
        Self {
            kind: limit.kind,
            account: limit.account,
            unit: optional_text(limit.unit),
            limit: limit.limit,
            committed: limit.committed,
            spent: limit.spent,
            available: limit.available,
            requested: limit.requested,
            largest: limit.largest,
            subject_kind: kind.and_then(|kind| name(kind.as_str_name(), "SUBJECT_KIND_")),
            subject_id: optional_text(limit.subject_id),
            subject_part_of: optional_text(limit.subject_part_of),
            strand: optional_text(limit.strand),
            remedy: optional_text(limit.remedy),
        }
    }
}
