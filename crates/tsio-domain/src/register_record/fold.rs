//! The state that the record of reference data comes to, and what of the record no rule allows.

use std::collections::BTreeMap;

use super::{AnswerFound, ImportState, ImportedFile, RegisterBody, RegisterEvent, RegisterSeq};
use crate::approval::{Approval, ApprovalAnswer, ApprovalCaller, ApprovalState};
use crate::event::Seq;
use crate::ids::{Actor, ApprovalId, ImportId, RequestId};
use crate::person::{Person, TokenSubject};
use crate::terms::APPROVALS_EXPIRE_DAYS;
use crate::time::{Micros, Now};
use crate::values::approval::ApprovalAction;

/// An import, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedImport {
    /// Its file.
    pub file: ImportedFile,
    /// Whether it counts.
    pub state: ImportState,
    /// Who imported it.
    pub imported_by: Actor,
    /// When.
    pub imported_at: Micros,
    /// Who withdrew it.
    pub withdrawn_by: Option<Actor>,
    /// The import that took its place.
    pub replaced_by: Option<ImportId>,
    /// The event that it landed with, or was found by.
    pub landed: RegisterSeq,
    /// The event from which on it counts no more.
    pub ended: Option<RegisterSeq>,
}

impl RecordedImport {
    /// Whether its rows counted for a decision made after this event.
    #[must_use]
    pub fn counts_at(&self, at: RegisterSeq) -> bool {
        self.landed <= at && self.ended.map_or(self.state == ImportState::Landed, |ended| ended > at)
    }
}

/// What the record comes to.
#[derive(Debug, Default)]
pub struct RegisterState {
    /// Every import that was seen to count, by id.
    pub imports: BTreeMap<ImportId, RecordedImport>,
    /// Every approval to withdraw one, by id.
    pub approvals: BTreeMap<ApprovalId, Approval>,
    /// When the record began.
    pub begun: Option<Micros>,
    /// Events still to come that adopt what was found when the record began.
    found_left: i64,
    /// The approval that the event before gave, who gave it and under which request: it withdraws its import next.
    given: Option<(ApprovalId, Actor, RequestId)>,
    /// When the event before was recorded.
    last_recorded: Option<Micros>,
}

impl RegisterState {
    /// Folds the next event in, with the moment it was recorded at; nothing for one that no calendar has. Returns what of
    /// it no rule allows, as sentences that follow the event's number.
    pub fn apply(&mut self, event: &RegisterEvent, recorded: Option<Now>) -> Vec<String> {
        let mut wrong = Vec::new();
        wrong.extend(self.out_of_place(event));
        wrong.extend(self.recorded_before_the_last(event));
        wrong.extend(wrong_day(event, recorded));
        let given = self.given.take();
        let broken = match &event.body {
            RegisterBody::RecordBegun { found } => {
                (self.found_left, self.begun) = (*found, Some(event.recorded));
                None
            }
            RegisterBody::ImportFound { .. } => self.import_found(event),
            RegisterBody::ApprovalFound { .. } => self.approval_found(event),
            RegisterBody::AnswerFound { .. } => self.answer_found(event),
            RegisterBody::ImportLanded { import, file } => self.landed(*import, file, event),
            RegisterBody::ImportRepeated { import } => self.counting(*import).err(),
            RegisterBody::ImportReplaced { import, by } => self.replaced((*import, *by), event.seq),
            RegisterBody::ImportWithdrawn { import, approval } => {
                let was_given = given == Some((*approval, event.actor.clone(), event.request));
                self.withdrawn((*import, *approval), was_given, event.seq)
            }
            RegisterBody::ApprovalOpened { .. } => self.opened(event),
            RegisterBody::ApprovalGiven { approval, token_subject } => {
                self.given = Some((*approval, event.actor.clone(), event.request));
                self.answered(*approval, ApprovalAnswer::Given, *token_subject, event)
            }
            RegisterBody::ApprovalDenied { approval, token_subject } => {
                self.answered(*approval, ApprovalAnswer::Denied, *token_subject, event)
            }
            RegisterBody::ApprovalWithdrawn { approval, token_subject } => {
                self.answered(*approval, ApprovalAnswer::Withdrawn, *token_subject, event)
            }
        };
        wrong.extend(broken);
        wrong
    }

    /// What is missing after the last event.
    #[must_use]
    pub fn unfinished(&self) -> Option<String> {
        if self.found_left > 0 {
            return Some(format!("{} events that adopt what was found are missing", self.found_left));
        }
        self.given.as_ref().map(|(approval, ..)| format!("approval {approval} was given, and withdraws nothing"))
    }

    /// The record begins with `record_begun`; what adopts follows it at once; and what is given is carried out at once.
    fn out_of_place(&mut self, event: &RegisterEvent) -> Option<String> {
        let is_first = event.seq == Seq(1);
        let begins = matches!(event.body, RegisterBody::RecordBegun { .. });
        let adopts = matches!(
            event.body,
            RegisterBody::ImportFound { .. } | RegisterBody::ApprovalFound { .. } | RegisterBody::AnswerFound { .. }
        );
        if begins != is_first {
            return Some("the record begins with record_begun, and with nothing else".to_owned());
        }
        let is_due = self.found_left > 0;
        if adopts {
            self.found_left = self.found_left.saturating_sub(1);
        }
        if adopts != is_due && !begins {
            return Some(format!("what was found is adopted right after the beginning: {is_due} is expected"));
        }
        match &self.given {
            Some((approval, ..)) if !matches!(event.body, RegisterBody::ImportWithdrawn { .. }) => {
                Some(format!("approval {approval} was given before it, and withdraws nothing"))
            }
            _ => None,
        }
    }

    /// Each event is recorded at or after the moment of the one before it.
    fn recorded_before_the_last(&mut self, event: &RegisterEvent) -> Option<String> {
        let last = self.last_recorded.replace(event.recorded).filter(|it| event.recorded < *it)?;
        Some(format!("it is recorded at {}, before the event before it, at {}", event.recorded.0, last.0))
    }

    fn import_found(&mut self, event: &RegisterEvent) -> Option<String> {
        let RegisterBody::ImportFound { import, file, state, imported_by, imported_at, withdrawn_by, replaced_by } =
            &event.body
        else {
            return None;
        };
        let found = RecordedImport {
            file: file.clone(),
            state: *state,
            imported_by: imported_by.clone(),
            imported_at: *imported_at,
            withdrawn_by: withdrawn_by.clone(),
            replaced_by: *replaced_by,
            landed: event.seq,
            ended: None,
        };
        self.imports.insert(*import, found).map(|_| format!("import {import} is in the record already"))
    }

    fn approval_found(&mut self, event: &RegisterEvent) -> Option<String> {
        let RegisterBody::ApprovalFound {
            approval,
            import,
            requested_by,
            requested_at,
            request,
            token_subject,
            statement,
            expires_at,
        } = &event.body
        else {
            return None;
        };
        let by = Person { actor: requested_by.clone(), subject: *token_subject };
        let found = Approval {
            request: *request,
            statement: statement.clone(),
            expires: *expires_at,
            opened: Some(event.seq),
            ..Approval::asked(*approval, ApprovalAction::WithdrawImport, import.0, by, *requested_at)
        };
        self.approvals.insert(*approval, found).map(|_| format!("approval {approval} is in the record already"))
    }

    fn answer_found(&mut self, event: &RegisterEvent) -> Option<String> {
        let RegisterBody::AnswerFound { approval, answer, answered_by, token_subject } = &event.body else {
            return None;
        };
        let Some(found) = self.approvals.get_mut(approval) else { return Some(no_approval(*approval)) };
        found.answered_subject = *token_subject;
        found.state = match (answer, answered_by) {
            (AnswerFound::CarriedOut, Some(by)) => ApprovalState::CarriedOut(by.clone()),
            (AnswerFound::Denied, Some(by)) => {
                found.denied = Some(event.seq);
                ApprovalState::Denied(by.clone())
            }
            (AnswerFound::Withdrawn, None) => ApprovalState::Withdrawn,
            (answer, by) => return Some(format!("an answer {answer} by {by:?}")),
        };
        None
    }

    fn landed(&mut self, import: ImportId, file: &ImportedFile, event: &RegisterEvent) -> Option<String> {
        let same = |it: &RecordedImport| {
            it.state == ImportState::Landed
                && (it.file.kind, it.file.as_at, it.file.sha256) == (file.kind, file.as_at, file.sha256)
        };
        let twice = self
            .imports
            .iter()
            .find(|(_, it)| same(it))
            .map(|(id, _)| format!("its content is that of import {id}, which counts"));
        let future = (file.as_at > event.effective).then(|| format!("its file speaks for a later day, {}", file.as_at));
        let landed = RecordedImport {
            file: file.clone(),
            state: ImportState::Landed,
            imported_by: event.actor.clone(),
            imported_at: event.recorded,
            withdrawn_by: None,
            replaced_by: None,
            landed: event.seq,
            ended: None,
        };
        let known = self.imports.insert(import, landed);
        known.map(|_| format!("import {import} is in the record already")).or(twice).or(future)
    }

    /// An import that counts.
    fn counting(&mut self, import: ImportId) -> Result<&mut RecordedImport, String> {
        let found = self.imports.get_mut(&import).ok_or_else(|| format!("import {import} is not in the record"))?;
        if found.state == ImportState::Landed {
            Ok(found)
        } else {
            Err(format!("import {import} does not count: it is {}", found.state))
        }
    }

    fn replaced(&mut self, (import, by): (ImportId, ImportId), seq: Seq) -> Option<String> {
        if import == by {
            return Some(format!("import {import} takes its own place"));
        }
        let new = match self.counting(by) {
            Ok(found) => (found.file.kind, found.file.as_at),
            Err(wrong) => return Some(wrong),
        };
        let old = match self.counting(import) {
            Ok(old) => old,
            Err(wrong) => return Some(wrong),
        };
        (old.state, old.replaced_by, old.ended) = (ImportState::Replaced, Some(by), Some(seq));
        let old = (old.file.kind, old.file.as_at);
        (old != new).then(|| {
            format!("import {by} is of {} as at {}, import {import} of {} as at {}", new.0, new.1, old.0, old.1)
        })
    }

    fn withdrawn(&mut self, (import, approval): (ImportId, ApprovalId), was_given: bool, seq: Seq) -> Option<String> {
        let asked = self.approvals.get(&approval).filter(|it| it.subject == import.0).map(|it| it.requested_by.clone());
        let allowed = was_given && asked.is_some();
        let old = match self.counting(import) {
            Ok(old) => old,
            Err(wrong) => return Some(wrong),
        };
        (old.state, old.withdrawn_by, old.ended) = (ImportState::Withdrawn, asked, Some(seq));
        (!allowed)
            .then(|| format!("import {import} is withdrawn without an approval of that, given by the event before"))
    }

    fn opened(&mut self, event: &RegisterEvent) -> Option<String> {
        let RegisterBody::ApprovalOpened { approval, import, statement, expires_at, token_subject } = &event.body
        else {
            return None;
        };
        let by = person(event, *token_subject);
        let by = ApprovalCaller::about_reference_data(by, event.recorded);
        let asked = by.asking(*approval, ApprovalAction::WithdrawImport, import.0, APPROVALS_EXPIRE_DAYS);
        let other_expiry = asked.expires.filter(|it| it != expires_at).map(|expected| {
            format!(
                "approval {approval} expires at {}, not {APPROVALS_EXPIRE_DAYS} days after it was opened, at {}",
                expires_at.0, expected.0
            )
        });
        let opened = Approval {
            request: Some(event.request),
            statement: Some(statement.clone()),
            expires: Some(*expires_at),
            opened: Some(event.seq),
            ..asked
        };
        let known = self.approvals.insert(*approval, opened);
        known
            .map(|_| format!("approval {approval} is in the record already"))
            .or(self.counting(*import).err())
            .or(other_expiry)
    }

    /// Answers an approval, by the rules that decide the commands.
    fn answered(
        &mut self,
        approval: ApprovalId,
        answer: ApprovalAnswer,
        subject: Option<TokenSubject>,
        event: &RegisterEvent,
    ) -> Option<String> {
        let Some(found) = self.approvals.get_mut(&approval) else { return Some(no_approval(approval)) };
        let by = ApprovalCaller::about_reference_data(person(event, subject), event.recorded);
        let wrong = by.may(found, answer).err();
        found.answer(answer, &by.person, Some(event.seq));
        wrong.map(|it| format!("approval {approval}: {} ({})", it.message, it.reason.code()))
    }
}

/// An event takes effect no later than on the day, in London, on which it was recorded.
fn wrong_day(event: &RegisterEvent, recorded: Option<Now>) -> Option<String> {
    let Some(Now { today, .. }) = recorded else {
        return Some("it is recorded at a time that no calendar has".to_owned());
    };
    (event.effective > today)
        .then(|| format!("it takes effect on {}, after the day it was recorded on, {today}", event.effective))
}

fn person(event: &RegisterEvent, subject: Option<TokenSubject>) -> Person {
    Person { actor: event.actor.clone(), subject }
}

fn no_approval(approval: ApprovalId) -> String {
    format!("approval {approval} is not in the record")
}
