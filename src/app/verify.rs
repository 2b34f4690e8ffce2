//! Proves a book: folds its record from the first event and holds the current state against it.
//!
//! One snapshot; the log in pages, in order. It trusts nothing it can compute: every number, hash, offer, contact,
//! placement and approval is derived anew and compared, and every difference is named.

use std::fmt;

use super::terms::TermsCache;
use super::{AppError, Result};
use crate::domain::book::{Facts, ProgrammeFacts};
use crate::domain::event::{Hash, Seq, chain, genesis, text_hash};
use crate::domain::ids::Programme;
use crate::store::events::Recorded;
use crate::store::{ReadTx, Store, approvals, books, events, offers, placements};

/// Events read at a time: a few MiB, whatever the length of the record.
const PAGE: u64 = 5_000;
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
        let year = loaded.terms.year();
        let facts = Facts::new(ProgrammeFacts {
            programme: terms.programme.clone(),
            starts: year.from,
            ends: year.to,
            terms: loaded.sha256.0,
            open: true,
        });
        reports.push(book(&snapshot, facts).await?);
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

/// Folds one book and compares.
async fn book(snapshot: &ReadTx, mut facts: Facts) -> Result<Report> {
    let programme = facts.programme.programme.clone();
    let head = books::head_of(snapshot, &programme).await?;
    let head = head.ok_or_else(|| AppError::Bug(format!("programme {programme} has no book")))?;
    let (seq, hash) = (Seq(0), genesis(&programme));
    let mut report = Report { programme: programme.clone(), seq, hash, differences: Vec::new(), count: 0 };
    loop {
        let page = events::page(snapshot, &programme, report.seq, PAGE).await?;
        let Some(last) = page.last() else { break };
        let end = last.event.seq;
        for recorded in &page {
            link(&mut report, &programme, recorded);
            facts.apply(&recorded.event);
        }
        check_texts(snapshot, &mut report, &page).await?;
        report.seq = end;
    }
    report.compare("the head's sequence", &report.seq.clone(), &head.last());
    report.compare("the head's hash", &report.hash.clone(), &head.hash);
    compare_offers(snapshot, &facts, &mut report).await?;
    compare_the_rest(snapshot, &facts, &mut report).await?;
    Ok(report)
}

/// Checks one event's number and hash against the one before.
fn link(report: &mut Report, programme: &Programme, recorded: &Recorded) {
    let event = &recorded.event;
    let wanted = Seq(report.seq.0.saturating_add(1));
    if event.seq != wanted {
        report.differs(format!("event {}: the record goes from {} to it, events are missing", event.seq, report.seq));
    }
    let hash = chain(report.hash, programme, event, &recorded.body);
    if hash != recorded.hash {
        report.differs(format!("event {}: its hash is {}, computed {hash}", event.seq, recorded.hash));
    }
    if event.body.kind() != recorded.kind {
        report.differs(format!(
            "event {}: its kind is {:?}, its body says {}",
            event.seq,
            recorded.kind,
            event.body.kind()
        ));
    }
    report.seq = event.seq;
    report.hash = recorded.hash;
}

async fn check_texts(snapshot: &ReadTx, report: &mut Report, page: &[Recorded]) -> Result<()> {
    let hashed: Vec<(Seq, Hash)> = page.iter().filter_map(|it| Some((it.event.seq, it.event.text_hash?))).collect();
    if hashed.is_empty() {
        return Ok(());
    }
    let seqs: Vec<Seq> = hashed.iter().map(|(seq, _)| *seq).collect();
    for text in events::texts(snapshot, &report.programme, &seqs).await? {
        let wanted = hashed.iter().find(|(seq, _)| *seq == text.seq).map(|(_, hash)| *hash);
        if wanted != Some(text_hash(&text.salt, &text.text)) {
            report.differs(format!("event {}: its text is not the one it was recorded with", text.seq));
        }
    }
    Ok(())
}

async fn compare_offers(snapshot: &ReadTx, facts: &Facts, report: &mut Report) -> Result<()> {
    let stored = offers::of_programme(snapshot, &facts.programme.programme).await?;
    for (id, recorded) in &facts.offers {
        match stored.get(id) {
            None => report.differs(format!("offer {id}: the record makes it, the database does not have it")),
            Some(stored) if stored == recorded => {}
            Some(stored) => compare_offer(recorded, stored, report),
        }
    }
    for id in stored.keys().filter(|id| !facts.offers.contains_key(id)) {
        report.differs(format!("offer {id}: the database has it, no event makes it"));
    }
    let urns: Vec<_> = facts.listed.keys().copied().collect();
    let listed = offers::listing(snapshot, &facts.programme.programme, &urns).await?;
    for (urn, recorded) in &facts.listed {
        report.compare(format!("school {urn}: its open offer"), &Some(recorded), &listed.get(urn));
    }
    let open = offers::count_listed(snapshot, &facts.programme.programme).await?;
    report.compare("schools on open offers", &(facts.listed.len() as u64), &open);
    Ok(())
}

fn compare_offer(recorded: &crate::domain::offer::Offer, stored: &crate::domain::offer::Offer, report: &mut Report) {
    let id = recorded.id;
    let before = report.count;
    report.compare(format!("offer {id} state"), &recorded.state, &stored.state);
    report.compare(format!("offer {id} outcome"), &recorded.outcome, &stored.outcome);
    report.compare(format!("offer {id} state before closing"), &recorded.before_close, &stored.before_close);
    report.compare(format!("offer {id} acceptance"), &recorded.accepted, &stored.accepted);
    report.compare(format!("offer {id} region"), &recorded.region, &stored.region);
    report.compare(format!("offer {id} assignee"), &recorded.assignee, &stored.assignee);
    report.compare(format!("offer {id} recipient"), &recorded.recipient, &stored.recipient);
    report.compare(format!("offer {id} terms"), &recorded.terms, &stored.terms);
    report.compare(format!("offer {id} version"), &recorded.version, &stored.version);
    report.compare(format!("offer {id} schools"), &recorded.schools, &stored.schools);
    report.compare(format!("offer {id} contacts"), &recorded.contacts, &stored.contacts);
    if report.count == before {
        report.differs(format!("offer {id}: the record says {recorded:?}, the database has {stored:?}"));
    }
}

async fn compare_the_rest(snapshot: &ReadTx, facts: &Facts, report: &mut Report) -> Result<()> {
    let stored = placements::of_programme(snapshot, &facts.programme.programme).await?;
    let stored: std::collections::HashMap<_, _> = stored.into_iter().map(|(urn, how, _)| (urn, how)).collect();
    report.compare("placements by hand", &facts.placements, &stored);
    let stored = approvals::of_programme(snapshot, &facts.programme.programme).await?;
    let brief = |id, offer, by: &crate::domain::ids::Actor, given: &Option<crate::domain::ids::Actor>| {
        (id, offer, by.clone(), given.clone())
    };
    let stored: std::collections::BTreeSet<_> =
        stored.iter().map(|it| brief(it.id, it.subject, &it.requested_by, &it.given_by)).collect();
    let recorded = facts.approvals.values();
    let recorded = recorded.map(|it| brief(it.id, it.offer.0, &it.requested_by, &it.given_by)).collect();
    report.compare("approvals", &recorded, &stored);
    Ok(())
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
