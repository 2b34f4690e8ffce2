//! Verifies the register's record: folds it from its first event, and compares the result with the stored imports, their rows and
//! the approvals about them.

use std::collections::BTreeMap;

use super::requests::RequestSet;
use super::{Result, VerifyReport, compare};
use crate::app::clock;
use crate::domain::approval::{Approval, ApprovalState};
use crate::domain::event::{Body as _, Hash, Seq, chain, text_hash};
use crate::domain::ids::{ApprovalId, ImportId, RecordName};
use crate::domain::register_record::{ImportState, RecordedImport, RegisterEvent, RegisterSeq, RegisterState};
use crate::domain::time::Micros;
use crate::store::approvals;
use crate::store::imports::{self, Import};
use crate::store::register::record;
use crate::store::verify_rows::VerifyRows;
use crate::store::{ReadTx, StoreError, request_checks};

/// The number of events in a page.
const PAGE: u64 = 1_000;

/// The most differing requests that are listed of each kind.
const MAX_LISTED_REQUESTS: u64 = 100;

/// The folded record of the register.
pub(super) struct RegisterFold {
    /// The state after its last event.
    pub(super) state: RegisterState,
    report: VerifyReport,
    /// The hashes of the texts, by the number of their event.
    texts: BTreeMap<RegisterSeq, Hash>,
}

/// Reads and folds the record from a snapshot. Returns the result, and `requests` with the requests of the record added.
pub(super) async fn fold(snapshot: &ReadTx, mut requests: RequestSet) -> Result<(RegisterFold, RequestSet)> {
    let report = VerifyReport::new(RecordName::Register);
    let mut fold = RegisterFold { state: RegisterState::default(), report, texts: BTreeMap::new() };
    let mut first = Seq(i64::MIN);
    loop {
        let page = record::page(snapshot, first, PAGE).await?;
        let next = page.last().and_then(|it| it.seq.0.checked_add(1)).map(Seq);
        page.into_iter().for_each(|event| fold.add_event(event, &mut requests));
        match next {
            Some(next) => first = next,
            None => break,
        }
    }
    fold.report.check_finished(&fold.state);
    Ok((fold, requests))
}

/// Compares the tables with the folded state, and the stored answers with the requests. `requests` are the requests of all
/// records, or `None` if not all records were read. Returns the report.
pub(super) async fn compare(
    snapshot: &ReadTx,
    fold: &RegisterFold,
    requests: Option<RequestSet>,
) -> Result<VerifyReport> {
    let RegisterFold { state, report, texts } = fold;
    let mut report = report.clone();
    compare_head(snapshot, &mut report).await?;
    let stored = approvals::about_imports(snapshot).await?;
    let salts = record::salts(snapshot).await?;
    compare_texts(texts, &salts, (state, &stored), &mut report);
    compare_approvals(&state.approvals, &stored, &mut report);
    compare_imports(snapshot, state, &stored, &mut report).await?;
    compare_requests(snapshot, fold.began_at(), requests, &mut report).await?;
    Ok(report)
}

impl RegisterFold {
    /// When the record began; the largest time if it has not begun.
    pub(super) fn began_at(&self) -> Micros {
        self.state.began_at.unwrap_or(Micros(i64::MAX))
    }

    /// Checks an event, applies it to the state, and adds its request.
    fn add_event(&mut self, stored: record::StoredRegisterEvent, requests: &mut RequestSet) {
        let Self { state, report, texts } = self;
        let record::StoredRegisterEvent { seq, hash, recorded } = stored;
        let expected = report.seq.0.saturating_add(1);
        if seq.0 != expected {
            report.differs(format!("event {seq}: event {expected} was expected"));
        }
        match recorded {
            Ok(recorded) => {
                let event: &RegisterEvent = &recorded.event;
                let computed = chain(report.hash, &RecordName::Register, event, &recorded.body);
                if computed != recorded.hash {
                    report.differs(format!("event {seq}: its hash is {}, computed {computed}", recorded.hash));
                }
                let kind = event.body.kind();
                if kind != recorded.kind {
                    report.differs(format!("event {seq}: its kind is {:?}, its body says {kind}", recorded.kind));
                }
                texts.extend(event.text_hash.map(|hash| (seq, hash)));
                requests.add_register_event(event);
                for wrong in state.apply(event, clock::moment(event.recorded)) {
                    report.differs(format!("event {seq}: {wrong}"));
                }
            }
            Err(why) => {
                requests.mark_incomplete();
                report.differs(format!("event {seq}: it cannot be read: {why}"));
            }
        }
        report.seq = seq;
        // The hash of an unreadable event is still the one that the next event is chained to.
        report.hash = hash.unwrap_or(report.hash);
    }
}

impl VerifyReport {
    /// Adds a difference if the record ends in the middle of a change.
    fn check_finished(&mut self, state: &RegisterState) {
        if let Some(wrong) = state.unfinished() {
            self.differs(format!("event {}: after it, {wrong}", self.seq));
        }
    }
}

async fn compare_head(snapshot: &ReadTx, report: &mut VerifyReport) -> Result<()> {
    let (seq, hash) = (report.seq, report.hash);
    match record::head(snapshot).await {
        Ok(head) => {
            report.compare("the head's sequence", &seq, &head.last());
            report.compare("the head's hash", &hash, &head.hash);
        }
        Err(StoreError::Unreadable(why)) => report.differs(format!("the head: it cannot be read: {why}")),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Compares the reasons of approvals and denials with their hashes in the record. It is no difference if a text and its
/// salt are both absent, because then the text was erased.
fn compare_texts(
    texts: &BTreeMap<RegisterSeq, Hash>,
    salts: &VerifyRows<RegisterSeq, Vec<u8>>,
    (state, stored): (&RegisterState, &VerifyRows<ApprovalId, Approval>),
    report: &mut VerifyReport,
) {
    report.without_key("register_salts", salts.without_key.clone());
    for seq in salts.rows.keys().filter(|seq| !texts.contains_key(seq)) {
        report.differs(format!("salt {seq}: there is no event with a text of this number"));
    }
    let mut check = |seq: RegisterSeq, what: String, text: Option<&String>| {
        let salt = match salts.rows.get(&seq) {
            Some(Ok(salt)) => Some(salt),
            Some(Err(wrong)) => return report.differs(format!("salt {seq}: {wrong}")),
            None => None,
        };
        let wrong = match (texts.get(&seq), text, salt) {
            (None, None, _) | (Some(_), None, None) => return,
            (Some(hash), Some(text), Some(salt)) if *hash == text_hash(salt, text) => return,
            (Some(_), Some(_), Some(_)) => "is not the one it was recorded with",
            (None, Some(_), _) => "is there, and was not recorded",
            (Some(_), None, Some(_)) | (Some(_), Some(_), None) => "or its salt is missing: erasing takes both",
        };
        report.differs(format!("event {seq}: {what} {wrong}"));
    };
    for (id, recorded) in &state.approvals {
        let Some(Ok(it)) = stored.rows.get(id) else { continue };
        if let Some(opened) = recorded.opened {
            check(opened, format!("the reason of approval {id}"), it.reason.as_ref());
        }
        match (recorded.denied, it.denied_reason.as_ref()) {
            (Some(seq), text) => check(seq, format!("the reason of denying approval {id}"), text),
            (None, None) => {}
            // No event has the number 0, so the text is reported as not recorded.
            (None, Some(_)) => check(Seq(0), format!("a reason of denying approval {id}"), it.denied_reason.as_ref()),
        }
    }
}

fn compare_approvals(
    recorded: &BTreeMap<ApprovalId, Approval>,
    stored: &VerifyRows<ApprovalId, Approval>,
    report: &mut VerifyReport,
) {
    report.without_key("approval", stored.without_key.clone());
    for (id, recorded) in recorded {
        match stored.rows.get(id) {
            Some(Ok(stored)) => compare_approval(recorded, stored, report),
            Some(Err(wrong)) => report.differs(format!("approval {id}: {wrong}")),
            None => report.differs(format!("approval {id}: the record makes it, the database does not have it")),
        }
    }
    for (id, stored) in stored.rows.iter().filter(|(id, _)| !recorded.contains_key(id)) {
        let wrong = stored.as_ref().err().map_or("the database has it, no event makes it", String::as_str);
        report.differs(format!("approval {id}: {wrong}"));
    }
}

/// Compares an approval with its row. Event numbers are only in the record, and texts only in the row, so neither is
/// compared.
fn compare_approval(recorded: &Approval, stored: &Approval, report: &mut VerifyReport) {
    let (reason, denied_reason) = (stored.reason.clone(), stored.denied_reason.clone());
    let recorded = Approval { opened: None, denied: None, reason, denied_reason, ..recorded.clone() };
    compare::compare_approval(&recorded, stored, report);
}

async fn compare_imports(
    snapshot: &ReadTx,
    state: &RegisterState,
    approvals: &VerifyRows<ApprovalId, Approval>,
    report: &mut VerifyReport,
) -> Result<()> {
    let stored = imports::all(snapshot).await?;
    report.without_key("import", stored.without_key);
    for (id, recorded) in &state.imports {
        match stored.rows.get(id) {
            Some(Ok(import)) => {
                compare_import(*id, recorded, import, report);
                compare_reason(*id, import, (state, approvals), report);
            }
            Some(Err(wrong)) => report.differs(format!("import {id}: {wrong}")),
            None => {
                report.differs(format!("import {id}: the record has it, the database does not, or nobody sees it"));
            }
        }
        compare_rows(snapshot, *id, recorded, report).await?;
    }
    for (id, import) in stored.rows.iter().filter(|(id, _)| !state.imports.contains_key(id)) {
        let wrong = import.as_ref().err().map_or("the database has it, no event makes it", String::as_str);
        report.differs(format!("import {id}: {wrong}"));
    }
    Ok(())
}

fn compare_import(id: ImportId, recorded: &RecordedImport, stored: &Import, report: &mut VerifyReport) {
    let file = &recorded.file;
    report.compare(format!("import {id} kind"), &file.kind, &stored.kind);
    report.compare(format!("import {id} date"), &file.as_at, &stored.as_at);
    report.compare(format!("import {id} state"), &recorded.state, &stored.state);
    report.compare(format!("import {id} file name"), &file.name, &stored.file_name);
    report.compare(format!("import {id} file's hash"), &file.sha256, &stored.sha256);
    report.compare(format!("import {id} rows in the file"), &file.rows, &stored.rows);
    report.compare(format!("import {id} rows that went in"), &file.accepted.count, &stored.accepted);
    report.compare(format!("import {id} further problems"), &file.more_problems, &stored.more_problems);
    report.compare(format!("import {id} imported by"), &recorded.imported_by, &stored.imported_by);
    report.compare(format!("import {id} imported at"), &recorded.imported_at, &stored.imported_at);
    report.compare(format!("import {id} withdrawn by"), &recorded.withdrawn_by, &stored.withdrawn_by);
    report.compare(format!("import {id} replaced by"), &recorded.replaced_by, &stored.replaced_by);
}

/// Compares the reason in the row of a withdrawn import with the reason in the row of its approval. The hash of that reason
/// is in the record.
fn compare_reason(
    id: ImportId,
    stored: &Import,
    (state, approvals): (&RegisterState, &VerifyRows<ApprovalId, Approval>),
    report: &mut VerifyReport,
) {
    let carried_out = |it: &&Approval| it.subject == id.0 && matches!(it.state, ApprovalState::CarriedOut(_));
    let by = state.approvals.iter().find(|(_, it)| carried_out(it));
    let by = by.filter(|_| stored.state == ImportState::Withdrawn).and_then(|(id, _)| approvals.rows.get(id));
    let reason = by.and_then(|it| it.as_ref().ok()).and_then(|it| it.reason.clone());
    report.compare(format!("import {id} reason of its withdrawal"), &reason, &stored.withdrawn_reason);
}

async fn compare_rows(
    snapshot: &ReadTx,
    id: ImportId,
    recorded: &RecordedImport,
    report: &mut VerifyReport,
) -> Result<()> {
    let file = &recorded.file;
    let rows = imports::rows_hash(snapshot, file.kind, id).await;
    let findings = imports::findings_hash(snapshot, id).await;
    for (what, recorded, stored) in [("rows", file.accepted, rows), ("problems and notes", file.findings, findings)] {
        match stored {
            Ok(stored) if stored == recorded => {}
            Ok(stored) => report.differs(format!(
                "import {id}: its {what} are not those it landed with: recorded {} with hash {}, stored {} with hash {}",
                recorded.count, recorded.sha256, stored.count, stored.sha256
            )),
            Err(StoreError::Unreadable(why)) => report.differs(format!("import {id}: its {what} cannot be read: {why}")),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Compares the stored answers with the events of all records together, because a request id belongs to a caller and not to a
/// programme. If the sums of hashes do not agree, or `requests` is `None`, lists the requests that differ.
async fn compare_requests(
    snapshot: &ReadTx,
    register_began: Micros,
    requests: Option<RequestSet>,
    report: &mut VerifyReport,
) -> Result<()> {
    let agree = match requests {
        Some(requests) => requests.agree(snapshot, register_began).await?,
        None => false,
    };
    if !agree {
        for it in request_checks::without_event(snapshot, register_began, MAX_LISTED_REQUESTS).await? {
            let what = "it was answered, and has no event of that moment";
            report.differs(format!("request {} of {}: {what}", it.request, it.actor));
        }
        for it in request_checks::without_answer(snapshot, MAX_LISTED_REQUESTS).await? {
            let what = "it has an event, and no answer of that moment";
            report.differs(format!("request {} of {}: {what}", it.request, it.actor));
        }
    }
    for it in request_checks::of_terms(snapshot).await? {
        let what = "it has an event, and no answer of that moment";
        report.differs(format!("request {} of {}: {what}", it.request, it.actor));
    }
    for it in request_checks::of_other_approvals(snapshot, MAX_LISTED_REQUESTS).await? {
        let what = "its answer is not that of the approval it opened";
        report.differs(format!("request {} of {}: {what}", it.request, it.actor));
    }
    Ok(())
}
