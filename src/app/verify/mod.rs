//! Proves the records: folds each from its first event and holds the current state against it.
//!
//! One snapshot; the log in pages, in order, read ahead while the page before is folded. It trusts nothing it can
//! compute: every number, hash, text, bucket, balance, award, offer, contact, placement and approval is derived again and
//! compared, and every difference is named. A row that cannot be read is one, and hides no other. So is the schema. Every call is
//! decided again, by the functions that decide commands: what the rules of its time do not allow is a difference too.

mod calls;
mod cited;
mod compare;
mod decide;
mod evidence;
mod fold;
mod folded;
mod loading;
mod register;
mod schema;
mod texts;

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use self::calls::Calls;
use self::cited::Imports;
use super::{AppError, Result};
use crate::app::terms_cache::Loaded;
use crate::domain::event::{Hash, Seq, genesis};
use crate::domain::ids::RecordName;
use crate::domain::programme::ProgrammeState;
use crate::domain::refusal::EntityKind;
use crate::domain::terms::Terms;
use crate::store::programmes::LoadedTerms;
use crate::store::register::record;
use crate::store::verify_rows::{self, VerifyRows};
use crate::store::{ReadTx, Store, events, programmes};

/// Differences named of one programme; the count goes on.
const NAMED: usize = 100;

/// A head to hold the record against: the record must contain it, so that a cut tail shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedHead {
    /// The event.
    pub seq: Seq,
    /// Its hash.
    pub hash: Hash,
}

impl ExpectedHead {
    /// A head as it was written down: a sequence and 64 hex digits.
    ///
    /// # Errors
    /// When the hash is not one.
    pub fn new(sequence: i64, hash: &str) -> std::result::Result<Self, crate::domain::ids::BadId> {
        Ok(Self { seq: Seq(sequence), hash: hash.parse()? })
    }
}

/// What verifying one programme found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Whose record.
    pub programme: RecordName,
    /// Its last event.
    pub seq: Seq,
    /// The hash of it.
    pub hash: Hash,
    /// Ledger entries folded.
    pub entries: i64,
    /// Differences, the first hundred of them.
    pub differences: Vec<String>,
    /// How many there are.
    pub count: usize,
    /// What is no difference, and worth knowing: what operators added to the schema. Of the first programme only.
    pub notes: Vec<String>,
    /// What only a rule forbids that the programme adopted later, the first hundred of it. It is no difference.
    pub allowed: Vec<String>,
    /// How much there is of it.
    pub allowed_count: usize,
}

impl VerifyReport {
    /// Whether the programme is proved.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.count == 0
    }

    /// What is known before the first event.
    fn new(record: impl Into<RecordName>) -> Self {
        let programme = record.into();
        let hash = genesis(&programme);
        Self {
            programme,
            seq: Seq(0),
            hash,
            entries: 0,
            differences: Vec::new(),
            count: 0,
            allowed: Vec::new(),
            allowed_count: 0,
            notes: Vec::new(),
        }
    }

    fn differs(&mut self, difference: impl fmt::Display) {
        self.count = self.count.saturating_add(1);
        if self.differences.len() < NAMED {
            self.differences.push(difference.to_string());
        }
    }

    /// Names what was allowed when it was made.
    fn allowed_when_made(&mut self, what: impl fmt::Display) {
        self.allowed_count = self.allowed_count.saturating_add(1);
        if self.allowed.len() < NAMED {
            self.allowed.push(what.to_string());
        }
    }

    fn keyless(&mut self, what: &str, rows: Vec<String>) {
        for why in rows {
            self.differs(format!("{what}: there is a row whose key cannot be read: {why}"));
        }
    }

    fn compare<T: PartialEq + fmt::Debug>(&mut self, what: impl fmt::Display, recorded: &T, stored: &T) {
        if recorded != stored {
            self.differs(format!("{what}: the record says {recorded:?}, the database has {stored:?}"));
        }
    }
}

/// Verifies every record, or only one, over one snapshot: the programmes' by name, then the register's.
///
/// # Errors
/// [`AppError::NotFound`] for an unknown programme; [`AppError::Unavailable`]; [`AppError::Bug`] for what is wrong where
/// there is no record to say it of.
pub async fn verify(
    store: &Store,
    only: Option<&RecordName>,
    expected: Option<ExpectedHead>,
) -> Result<Vec<VerifyReport>> {
    let snapshot = store.snapshot().await?;
    let (register, calls) = register::fold(&snapshot, Calls::new()).await?;
    let register = Arc::new(register);
    let (mut reports, calls, mut stray) = records(store, &snapshot, &register, calls, only).await?;
    if only.is_none() {
        for (table, programme) in verify_rows::of_no_programme(&snapshot).await? {
            stray.push(format!("{table}: there are rows of programme {programme:?}, which has no terms"));
        }
    }
    if only.is_none_or(|only| *only == RecordName::Register) {
        let calls = only.is_none().then_some(calls);
        reports.push(register::compare(&snapshot, &register, calls).await?);
    }
    let notes = schema::compare(&snapshot, &mut stray).await?;
    match (reports.first_mut(), only) {
        (Some(report), _) => {
            stray.into_iter().for_each(|it| report.differs(it));
            report.notes = notes;
        }
        (None, _) if !stray.is_empty() => return Err(AppError::Bug(stray.join("; "))),
        (None, Some(only)) => return Err(AppError::not_found(EntityKind::Programme, only)),
        (None, None) => {}
    }
    if let Some(expected) = expected {
        hold_against(&snapshot, &mut reports, expected).await?;
    }
    Ok(reports)
}

/// Proves the programmes' records, or only one; adds their calls, and says what there is no record to say it of.
async fn records(
    store: &Store,
    snapshot: &ReadTx,
    register: &Arc<register::RegisterFold>,
    mut calls: Calls,
    only: Option<&RecordName>,
) -> Result<(Vec<VerifyReport>, Calls, Vec<String>)> {
    let imports = Arc::new(Imports::load(snapshot, Arc::clone(register)).await?);
    let VerifyRows { rows: all, keyless: mut stray } = programmes::terms_of_books(snapshot).await?;
    if !stray.is_empty() {
        calls.lack_some();
    }
    let mut reports = Vec::new();
    for (name, terms) in all.into_iter().filter(|(name, _)| only.is_none_or(|only| only.as_str() == name)) {
        match terms.and_then(|terms| Ok((begin(&terms)?, terms))) {
            Ok((facts, terms)) => {
                let own = calls.none();
                let (mut report, own) = fold::book(store, snapshot, (facts, terms.sha256), (&imports, own)).await?;
                calls.add(own);
                loading::compare(snapshot, &terms, &mut report).await?;
                reports.push(report);
            }
            Err(wrong) => {
                calls.lack_some();
                stray.push(format!("terms of {name}: {wrong}"));
            }
        }
    }
    Ok((reports, calls, stray))
}

/// The facts that a programme begins with, under its terms as their text says, without trusting the stored hash.
fn begin(row: &LoadedTerms) -> std::result::Result<ProgrammeState, String> {
    let parsed = Terms::parse("terms", &row.text);
    let terms = parsed.map_err(|mistakes| format!("their text is unsound: {mistakes:?}"))?;
    if *terms.programme() != row.programme {
        return Err(format!("their text is that of {}", terms.programme()));
    }
    let sha256 = Hash(Sha256::digest(&row.text).into());
    Ok(Loaded { terms: Arc::new(terms), sha256 }.initial_state(true))
}

/// The record must contain the expected head: a record cut or rewritten since does not.
async fn hold_against(snapshot: &ReadTx, reports: &mut [VerifyReport], expected: ExpectedHead) -> Result<()> {
    for report in reports.iter() {
        let is_there = match &report.programme {
            RecordName::Programme(programme) => {
                let page = events::each_of_book(snapshot, programme, (expected.seq, expected.seq), 1).await?;
                page.first().is_some_and(|it| it.hash == Some(expected.hash))
            }
            RecordName::Register => record::has(snapshot, expected.seq, expected.hash).await?,
        };
        if is_there {
            return Ok(());
        }
    }
    let head = format!("event {} with hash {}", expected.seq, expected.hash);
    for report in reports {
        report.differs(format!("{head} is not in the record"));
    }
    Ok(())
}
