//! Verifies the records: folds each record from its first event, and compares the result with the stored state.
//!
//! The state is read from one snapshot. A record is read in pages, in order; a page is read while the page before is
//! folded. Everything that can be computed is computed again and compared: every number, hash, text, bucket, balance,
//! award, offer, contact, placement and approval, and the schema. Every difference is named. A row that cannot be read is a
//! difference, and the other rows are still compared. Every request is decided again with the functions that decide
//! commands. A decision that the rules of its time do not allow is a difference too.

mod cited;
mod compare;
mod decide;
mod evidence;
mod fold;
mod folded;
mod loading;
mod register;
mod requests;
mod schema;
mod texts;

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use self::cited::Imports;
use self::requests::RequestSet;
use super::{AppError, Result};
use crate::app::terms_cache::LoadedScheme;
use crate::domain::event::{Hash, Seq, genesis};
use crate::domain::ids::RecordName;
use crate::domain::programme::ProgrammeState;
use crate::domain::refusal::EntityKind;
use crate::domain::terms::Terms;
use crate::store::programmes::LoadedTerms;
use crate::store::register::record;
use crate::store::verify_rows::{self, VerifyRows};
use crate::store::{ReadTx, Store, events, programmes};

/// The most differences that are listed for one record. Further ones are only counted.
const MAX_LISTED: usize = 100;

/// An event that a record must contain, because it was the head of the record at an earlier time. If the record does not
/// contain it, events were removed from the end or rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedHead {
    /// The number of the event.
    pub seq: Seq,
    /// The hash of the event.
    pub hash: Hash,
}

impl ExpectedHead {
    /// Makes an expected head from a sequence number and a hash of 64 hex digits.
    ///
    /// # Errors
    /// If the hash is malformed.
    pub fn new(sequence: i64, hash: &str) -> std::result::Result<Self, crate::domain::ids::BadId> {
        Ok(Self { seq: Seq(sequence), hash: hash.parse()? })
    }
}

/// The result of verifying one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The name of the record.
    pub programme: RecordName,
    /// The number of the record's last event.
    pub seq: Seq,
    /// The hash of the record's last event.
    pub hash: Hash,
    /// The number of ledger entries.
    pub entries: i64,
    /// The first hundred differences.
    pub differences: Vec<String>,
    /// The number of all differences.
    pub count: usize,
    /// Additions that operators made to the schema, which are no differences. Only in the first report.
    pub notes: Vec<String>,
    /// The first hundred decisions that were allowed when they were made, and are forbidden only by a rule that the programme
    /// adopted later. They are no differences.
    pub allowed: Vec<String>,
    /// The number of all such decisions.
    pub allowed_count: usize,
}

impl VerifyReport {
    /// Whether the record has no differences.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.count == 0
    }

    /// The report of a record before its first event.
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

    /// Adds a difference.
    fn differs(&mut self, difference: impl fmt::Display) {
        self.count = self.count.saturating_add(1);
        if self.differences.len() < MAX_LISTED {
            self.differences.push(difference.to_string());
        }
    }

    /// Adds a decision that was allowed when it was made, and is forbidden only by a later rule.
    fn allowed_when_made(&mut self, what: impl fmt::Display) {
        self.allowed_count = self.allowed_count.saturating_add(1);
        if self.allowed.len() < MAX_LISTED {
            self.allowed.push(what.to_string());
        }
    }

    /// Adds a difference for each row whose key cannot be read.
    fn without_key(&mut self, what: &str, rows: Vec<String>) {
        for why in rows {
            self.differs(format!("{what}: there is a row whose key cannot be read: {why}"));
        }
    }

    /// Adds a difference if a recorded value is not the stored value.
    fn compare<T: PartialEq + fmt::Debug>(&mut self, what: impl fmt::Display, recorded: &T, stored: &T) {
        if recorded != stored {
            self.differs(format!("{what}: the record says {recorded:?}, the database has {stored:?}"));
        }
    }
}

/// Verifies every record, or only the record `only`, over one snapshot. Returns the reports: those of the programmes by
/// name, then that of the register. With `expected`, one of the records must contain that event.
///
/// # Errors
/// [`AppError::NotFound`] for an unknown programme; [`AppError::Unavailable`]; [`AppError::Bug`] if there are differences
/// that belong to no record, and no report to list them in.
pub async fn verify(
    store: &Store,
    only: Option<&RecordName>,
    expected: Option<ExpectedHead>,
) -> Result<Vec<VerifyReport>> {
    let snapshot = store.snapshot().await?;
    let (register, requests) = register::fold(&snapshot, RequestSet::new()).await?;
    let register = Arc::new(register);
    let (mut reports, requests, mut differences_of_no_record) =
        records(store, &snapshot, &register, requests, only).await?;
    if let Some(RecordName::Programme(programme)) = only
        && reports.is_empty()
        && differences_of_no_record.is_empty()
    {
        return Err(AppError::not_found(EntityKind::Programme, programme));
    }
    if only.is_none() {
        for (table, programme) in verify_rows::of_no_programme(&snapshot).await? {
            differences_of_no_record
                .push(format!("{table}: there are rows of programme {programme:?}, which has no terms"));
        }
    }
    if only.is_none_or(|only| *only == RecordName::Register) {
        let requests = only.is_none().then_some(requests);
        reports.push(register::compare(&snapshot, &register, requests).await?);
    }
    let notes = schema::compare(&snapshot, &mut differences_of_no_record).await?;
    match reports.first_mut() {
        Some(report) => {
            differences_of_no_record.into_iter().for_each(|it| report.differs(it));
            report.notes = notes;
        }
        None if !differences_of_no_record.is_empty() => return Err(AppError::Bug(differences_of_no_record.join("; "))),
        None => {}
    }
    if let Some(expected) = expected {
        check_expected_head(&snapshot, &mut reports, expected).await?;
    }
    Ok(reports)
}

/// Verifies the records of the programmes, or only the record `only`. Returns their reports, `requests` with their requests
/// added, and the differences that belong to no record.
async fn records(
    store: &Store,
    snapshot: &ReadTx,
    register: &Arc<register::RegisterFold>,
    mut requests: RequestSet,
    only: Option<&RecordName>,
) -> Result<(Vec<VerifyReport>, RequestSet, Vec<String>)> {
    let imports = Arc::new(Imports::load(snapshot, Arc::clone(register)).await?);
    let VerifyRows { rows: all, without_key: mut differences_of_no_record } =
        programmes::terms_for_verify(snapshot).await?;
    if !differences_of_no_record.is_empty() {
        requests.mark_incomplete();
    }
    let mut reports = Vec::new();
    for (name, terms) in all.into_iter().filter(|(name, _)| only.is_none_or(|only| only.as_str() == name)) {
        match terms.and_then(|terms| Ok((state_before_first_event(&terms)?, terms))) {
            Ok((state, terms)) => {
                let own_requests = requests.empty_with_same_keys();
                let (mut report, own_requests) =
                    fold::programme_record(store, snapshot, (state, terms.sha256), (&imports, own_requests)).await?;
                requests.add(own_requests);
                loading::compare(snapshot, &terms, &mut report).await?;
                reports.push(report);
            }
            Err(wrong) => {
                requests.mark_incomplete();
                differences_of_no_record.push(format!("terms of {name}: {wrong}"));
            }
        }
    }
    Ok((reports, requests, differences_of_no_record))
}

/// Makes the state of a programme before its first event from the text of its terms. The stored hash is not used.
///
/// # Errors
/// A description of what is wrong with the text.
fn state_before_first_event(row: &LoadedTerms) -> std::result::Result<ProgrammeState, String> {
    let parsed = Terms::parse("terms", &row.text);
    let terms = parsed.map_err(|mistakes| format!("their text is unsound: {mistakes:?}"))?;
    if *terms.programme() != row.programme {
        return Err(format!("their text is that of {}", terms.programme()));
    }
    let sha256 = Hash(Sha256::digest(&row.text).into());
    Ok(LoadedScheme { terms: Arc::new(terms), sha256 }.initial_state(true))
}

/// Adds a difference to each report if none of the verified records contains the expected head. The record with that head
/// was then cut or rewritten.
async fn check_expected_head(snapshot: &ReadTx, reports: &mut [VerifyReport], expected: ExpectedHead) -> Result<()> {
    for report in reports.iter() {
        let is_there = match &report.programme {
            RecordName::Programme(programme) => {
                let page = events::each_for_verify(snapshot, programme, (expected.seq, expected.seq), 1).await?;
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
