//! Proves a book: folds its record from the first event and holds the current state against it.
//!
//! One snapshot; the log in pages, in order, read ahead while the page before is folded. It trusts nothing it can
//! compute: every number, hash, bucket, balance, award, offer, contact, placement and approval is derived anew and
//! compared, and every difference is named.

mod compare;
mod fold;

use std::fmt;

use super::terms::TermsCache;
use super::{AppError, Result};
use crate::domain::event::{Hash, Seq};
use crate::domain::ids::Programme;
use crate::store::{ReadTx, Store, books, events, loose};

/// Differences named of one book; the count goes on.
const NAMED: usize = 100;

/// A head to hold the record against: the record must contain it, so that a cut tail shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The event.
    pub seq: Seq,
    /// Its hash.
    pub hash: Hash,
}

impl Expected {
    /// A head as it was written down: a sequence and 64 hex digits.
    ///
    /// # Errors
    /// When the hash is not one.
    pub fn new(sequence: i64, hash: &str) -> std::result::Result<Self, crate::domain::ids::BadId> {
        Ok(Self { seq: Seq(sequence), hash: hash.parse()? })
    }
}

/// What verifying one book found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The book.
    pub programme: Programme,
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
}

impl Report {
    /// Whether the book is proved.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.count == 0
    }

    fn differs(&mut self, difference: impl fmt::Display) {
        self.count = self.count.saturating_add(1);
        if self.differences.len() < NAMED {
            self.differences.push(difference.to_string());
        }
    }

    fn compare<T: PartialEq + fmt::Debug>(&mut self, what: impl fmt::Display, recorded: &T, stored: &T) {
        if recorded != stored {
            self.differs(format!("{what}: the record says {recorded:?}, the database has {stored:?}"));
        }
    }
}

/// Verifies every book, or only one, over one snapshot.
///
/// # Errors
/// [`AppError::NotFound`] for an unknown programme; [`AppError::Unavailable`]; [`AppError::Bug`] for an event that
/// cannot be read.
pub async fn verify(store: &Store, only: Option<&Programme>, expected: Option<Expected>) -> Result<Vec<Report>> {
    let snapshot = store.snapshot().await?;
    let cache = TermsCache::default();
    let all = books::all_terms(&snapshot).await?;
    let mut reports = Vec::new();
    for terms in all.iter().filter(|it| only.is_none_or(|only| it.programme == *only)) {
        let loaded = cache.of(&snapshot, &terms.programme).await?;
        reports.push(fold::book(store, &snapshot, loaded.facts(true)).await?);
    }
    if let (None, Some(report)) = (only, reports.first_mut()) {
        for (table, programme) in loose::without_a_book(&snapshot).await? {
            report.differs(format!("{table}: there are rows of programme {programme:?}, which has no book"));
        }
    }
    match (only, expected) {
        (Some(only), _) if reports.is_empty() => Err(AppError::NotFound(format!("programme {only}"))),
        (_, Some(expected)) => {
            hold_against(&snapshot, &mut reports, expected).await?;
            Ok(reports)
        }
        _ => Ok(reports),
    }
}

/// The record must contain the expected head: a record cut or rewritten since does not.
async fn hold_against(snapshot: &ReadTx, reports: &mut [Report], expected: Expected) -> Result<()> {
    let before = Seq(expected.seq.0.saturating_sub(1));
    for report in reports.iter_mut() {
        let page = events::page(snapshot, &report.programme, before, 1).await?;
        if page.first().is_some_and(|it| it.event.seq == expected.seq && it.hash == expected.hash) {
            return Ok(());
        }
    }
    for report in reports.iter_mut() {
        report.differs(format!("event {} with hash {} is not in the record", expected.seq, expected.hash));
    }
    Ok(())
}
