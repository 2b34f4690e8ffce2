//! Computes the current state of the record of reference data, and reports each event that breaks a rule.

use std::collections::BTreeMap;

use super::{AdoptedAnswer, ImportState, ImportedFile, RegisterBody, RegisterEvent, RegisterSeq};
use crate::approval::{Approval, ApprovalAnswer, ApprovalCaller, ApprovalState};
use crate::event::Seq;
use crate::ids::{Actor, ApprovalId, ImportId, RequestId};
use crate::person::{Person, TokenSubject};
use crate::terms::APPROVALS_EXPIRE_DAYS;
use crate::time::{Micros, Now};
use crate::values::approval::ApprovalAction;

/// An import, as the record describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedImport {
    /// Its file.
    pub file: ImportedFile,
    /// Its state, which says whether its rows count.
    pub state: ImportState,
    /// The person who imported it.
    pub imported_by: Actor,
    /// The time at which it was imported.
    pub imported_at: Micros,
    /// The person who asked to withdraw it, if it was withdrawn.
    pub withdrawn_by: Option<Actor>,
    /// The import that replaced it; `None` if it was not replaced.
    pub replaced_by: Option<ImportId>,
    /// The event that recorded it: `import_landed` or `import_found`.
    pub landed: RegisterSeq,
    /// The event that replaced or withdrew it. Its rows do not count from that event on. `None` if no event did, or if
    /// that happened before the record began.
    pub ended: Option<RegisterSeq>,
}

impl RecordedImport {
    /// Whether its rows counted for a decision that was made when `at` was the last event.
    #[must_use]
    pub fn counts_at(&self, at: RegisterSeq) -> bool {
        self.landed <= at && self.ended.map_or(self.state == ImportState::Landed, |ended| ended > at)
    }
}

/// The current state of the record of reference data.
#[derive(Debug, Default)]
pub struct RegisterState {
    /// Every import in the record, by id.
    pub imports: BTreeMap<ImportId, RecordedImport>,
    /// Every approval to withdraw an import, by id.
    pub approvals: BTreeMap<ApprovalId, Approval>,
    /// The time at which the record began; `None` before its first event.
    pub began_at: Option<Micros>,
    /// The number of adopting events that must still follow.
    adoptions_left: i64,
    /// The approval that the previous event gave, with the actor and request of that event. The next event must
    /// withdraw the import. `None` if the previous event gave no approval.
    just_given: Option<(ApprovalId, Actor, RequestId)>,
    /// The time at which the previous event was recorded.
    last_recorded: Option<Micros>,
}

impl RegisterState {
    /// Applies the next event. `recorded` is the time of the event with its date in London, or `None` if the time is
    /// outside the calendar. Returns one sentence for each rule that the event breaks. The caller prints each
    /// sentence after the number of the event.
    pub fn apply(&mut self, event: &RegisterEvent, recorded: Option<Now>) -> Vec<String> {
        let mut violations = Vec::new();
        violations.extend(self.check_order(event));
        violations.extend(self.check_recorded_time(event));
        violations.extend(check_effective_date(event, recorded));
        let just_given = self.just_given.take();
        let violation = match &event.body {
            RegisterBody::RecordBegun { found } => {
                (self.adoptions_left, self.began_at) = (*found, Some(event.recorded));
                None
            }
            RegisterBody::ImportFound { .. } => self.adopt_import(event),
            RegisterBody::ApprovalFound { .. } => self.adopt_approval(event),
            RegisterBody::AnswerFound { .. } => self.adopt_answer(event),
            RegisterBody::ImportLanded { import, file } => self.land(*import, file, event),
            RegisterBody::ImportRepeated { import } => self.landed_import(*import).err(),
            RegisterBody::ImportReplaced { import, by } => self.replace((*import, *by), event.seq),
            RegisterBody::ImportWithdrawn { import, approval } => {
                let was_just_given = just_given == Some((*approval, event.actor.clone(), event.request));
                self.withdraw((*import, *approval), was_just_given, event.seq)
            }
            RegisterBody::ApprovalOpened { .. } => self.open_approval(event),
            RegisterBody::ApprovalGiven { approval, token_subject } => {
                self.just_given = Some((*approval, event.actor.clone(), event.request));
                self.answer_approval(*approval, ApprovalAnswer::Given, *token_subject, event)
            }
            RegisterBody::ApprovalDenied { approval, token_subject } => {
                self.answer_approval(*approval, ApprovalAnswer::Denied, *token_subject, event)
            }
            RegisterBody::ApprovalWithdrawn { approval, token_subject } => {
                self.answer_approval(*approval, ApprovalAnswer::Withdrawn, *token_subject, event)
            }
        };
        violations.extend(violation);
        violations
    }

    /// Returns a sentence about the event that is missing after the last event: an adopting event, or the withdrawal
    /// that an approval allows. Returns `None` if no event is missing.
    #[must_use]
    pub fn unfinished(&self) -> Option<String> {
        if self.adoptions_left > 0 {
            return Some(format!("{} events that adopt what was found are missing", self.adoptions_left));
        }
        self.just_given.as_ref().map(|(approval, ..)| format!("approval {approval} was given, and withdraws nothing"))
    }

    /// Checks the order of events: the record begins with `record_begun`, the adopting events follow directly after
    /// it, and the withdrawal of an import follows directly after its approval was given. Also counts the adopting
    /// events that are left.
    fn check_order(&mut self, event: &RegisterEvent) -> Option<String> {
        let is_first = event.seq == Seq(1);
        let begins = matches!(event.body, RegisterBody::RecordBegun { .. });
        let adopts = matches!(
            event.body,
            RegisterBody::ImportFound { .. } | RegisterBody::ApprovalFound { .. } | RegisterBody::AnswerFound { .. }
        );
        if begins != is_first {
            return Some("the record begins with record_begun, and with nothing else".to_owned());
        }
        let is_adoption_expected = self.adoptions_left > 0;
        if adopts {
            self.adoptions_left = self.adoptions_left.saturating_sub(1);
        }
        if adopts != is_adoption_expected && !begins {
            let problem =
                if is_adoption_expected { "another event comes before the last adoption" } else { "this comes later" };
            return Some(format!("what was found is adopted right after the beginning: {problem}"));
        }
        match &self.just_given {
            Some((approval, ..)) if !matches!(event.body, RegisterBody::ImportWithdrawn { .. }) => {
                Some(format!("approval {approval} was given before it, and withdraws nothing"))
            }
            _ => None,
        }
    }

    /// Checks that the event was not recorded before the previous event.
    fn check_recorded_time(&mut self, event: &RegisterEvent) -> Option<String> {
        let last = self.last_recorded.replace(event.recorded).filter(|it| event.recorded < *it)?;
        Some(format!("it is recorded at {}, before the event before it, at {}", event.recorded.0, last.0))
    }

    /// Adopts an import that is older than the record. Returns the rule that the event breaks, if any.
    fn adopt_import(&mut self, event: &RegisterEvent) -> Option<String> {
        let RegisterBody::ImportFound { import, file, state, imported_by, imported_at, withdrawn_by, replaced_by } =
            &event.body
        else {
            return None;
        };
        let adopted = RecordedImport {
            file: file.clone(),
            state: *state,
            imported_by: imported_by.clone(),
            imported_at: *imported_at,
            withdrawn_by: withdrawn_by.clone(),
            replaced_by: *replaced_by,
            landed: event.seq,
            ended: None,
        };
        self.imports.insert(*import, adopted).map(|_| format!("import {import} is in the record already"))
    }

    /// Adopts an approval that is older than the record. Returns the rule that the event breaks, if any.
    fn adopt_approval(&mut self, event: &RegisterEvent) -> Option<String> {
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
        let adopted = Approval {
            request: *request,
            statement: statement.clone(),
            expires: *expires_at,
            opened: Some(event.seq),
            ..Approval::requested(*approval, ApprovalAction::WithdrawImport, import.0, by, *requested_at)
        };
        self.approvals.insert(*approval, adopted).map(|_| format!("approval {approval} is in the record already"))
    }

    /// Adopts the answer to an adopted approval. Returns the rule that the event breaks, if any.
    fn adopt_answer(&mut self, event: &RegisterEvent) -> Option<String> {
        let RegisterBody::AnswerFound { approval, answer, answered_by, token_subject } = &event.body else {
            return None;
        };
        let Some(adopted) = self.approvals.get_mut(approval) else { return Some(approval_not_recorded(*approval)) };
        adopted.answered_subject = *token_subject;
        adopted.state = match (answer, answered_by) {
            (AdoptedAnswer::CarriedOut, Some(by)) => ApprovalState::CarriedOut(by.clone()),
            (AdoptedAnswer::Denied, Some(by)) => {
                adopted.denied = Some(event.seq);
                ApprovalState::Denied(by.clone())
            }
            (AdoptedAnswer::Withdrawn, None) => ApprovalState::Withdrawn,
            (answer, by) => return Some(format!("an answer {answer} by {by:?}")),
        };
        None
    }

    /// Adds an import that landed. Returns the rule that the event breaks, if any.
    fn land(&mut self, import: ImportId, file: &ImportedFile, event: &RegisterEvent) -> Option<String> {
        let has_same_content = |it: &RecordedImport| {
            it.state == ImportState::Landed
                && (it.file.kind, it.file.as_at, it.file.sha256) == (file.kind, file.as_at, file.sha256)
        };
        let duplicate = self
            .imports
            .iter()
            .find(|(_, it)| has_same_content(it))
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
        let existing = self.imports.insert(import, landed);
        existing.map(|_| format!("import {import} is in the record already")).or(duplicate).or(future)
    }

    /// Returns an import whose rows count. The error is a sentence for the report: the import is not in the record, or
    /// its rows do not count.
    fn landed_import(&mut self, import: ImportId) -> Result<&mut RecordedImport, String> {
        let recorded = self.imports.get_mut(&import).ok_or_else(|| format!("import {import} is not in the record"))?;
        if recorded.state == ImportState::Landed {
            Ok(recorded)
        } else {
            Err(format!("import {import} does not count: it is {}", recorded.state))
        }
    }

    /// Marks an import as replaced by another import. Returns the rule that the event breaks, if any.
    fn replace(&mut self, (import, by): (ImportId, ImportId), seq: Seq) -> Option<String> {
        if import == by {
            return Some(format!("import {import} takes its own place"));
        }
        let new = match self.landed_import(by) {
            Ok(new) => (new.file.kind, new.file.as_at),
            Err(violation) => return Some(violation),
        };
        let old = match self.landed_import(import) {
            Ok(old) => old,
            Err(violation) => return Some(violation),
        };
        (old.state, old.replaced_by, old.ended) = (ImportState::Replaced, Some(by), Some(seq));
        let old = (old.file.kind, old.file.as_at);
        (old != new).then(|| {
            format!("import {by} is of {} as at {}, import {import} of {} as at {}", new.0, new.1, old.0, old.1)
        })
    }

    /// Marks an import as withdrawn. Returns the rule that the event breaks, if any.
    fn withdraw(
        &mut self,
        (import, approval): (ImportId, ApprovalId),
        was_just_given: bool,
        seq: Seq,
    ) -> Option<String> {
        let approval = self.approvals.get(&approval).filter(|it| it.subject == import.0);
        let requester = approval.map(|it| it.requested_by.clone());
        let is_allowed = was_just_given && requester.is_some();
        let old = match self.landed_import(import) {
            Ok(old) => old,
            Err(violation) => return Some(violation),
        };
        (old.state, old.withdrawn_by, old.ended) = (ImportState::Withdrawn, requester, Some(seq));
        (!is_allowed)
            .then(|| format!("import {import} is withdrawn without an approval of that, given by the event before"))
    }

    /// Adds an approval that was opened. Returns the rule that the event breaks, if any.
    fn open_approval(&mut self, event: &RegisterEvent) -> Option<String> {
        let RegisterBody::ApprovalOpened { approval, import, statement, expires_at, token_subject } = &event.body
        else {
            return None;
        };
        let requester = ApprovalCaller::about_reference_data(person(event, *token_subject), event.recorded);
        let expected =
            requester.new_approval(*approval, ApprovalAction::WithdrawImport, import.0, APPROVALS_EXPIRE_DAYS);
        let wrong_expiry = expected.expires.filter(|it| it != expires_at).map(|expected| {
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
            ..expected
        };
        let existing = self.approvals.insert(*approval, opened);
        existing
            .map(|_| format!("approval {approval} is in the record already"))
            .or(self.landed_import(*import).err())
            .or(wrong_expiry)
    }

    /// Records the answer to an approval, and checks it by the rules that the commands use. Returns the rule that the
    /// event breaks, if any.
    fn answer_approval(
        &mut self,
        approval: ApprovalId,
        answer: ApprovalAnswer,
        subject: Option<TokenSubject>,
        event: &RegisterEvent,
    ) -> Option<String> {
        let Some(recorded) = self.approvals.get_mut(&approval) else { return Some(approval_not_recorded(approval)) };
        let by = ApprovalCaller::about_reference_data(person(event, subject), event.recorded);
        let refusal = by.may(recorded, answer).err();
        recorded.answer(answer, &by.person, Some(event.seq));
        refusal.map(|it| format!("approval {approval}: {} ({})", it.message, it.reason.code()))
    }
}

/// Checks that the effective date is no later than the date of recording in London.
fn check_effective_date(event: &RegisterEvent, recorded: Option<Now>) -> Option<String> {
    let Some(Now { today, .. }) = recorded else {
        return Some("it is recorded at a time that no calendar has".to_owned());
    };
    (event.effective > today)
        .then(|| format!("it takes effect on {}, after the day it was recorded on, {today}", event.effective))
}

/// The actor of an event as a person.
fn person(event: &RegisterEvent, subject: Option<TokenSubject>) -> Person {
    Person { actor: event.actor.clone(), subject }
}

fn approval_not_recorded(approval: ApprovalId) -> String {
    format!("approval {approval} is not in the record")
}
