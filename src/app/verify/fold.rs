//! One book from its first event to its last: read in pages, folded beside the reading.

use std::collections::HashMap;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::compare::compare;
use super::{AppError, Report, Result};
use crate::domain::book::Facts;
use crate::domain::event::{Seq, chain, genesis, text_hash};
use crate::domain::ids::{AccountId, Programme};
use crate::domain::ledger::{EntrySeq, Owner};
use crate::store::entries::StoredEntry;
use crate::store::events::{Recorded, Text};
use crate::store::{ReadTx, Store, books, entries, events};

/// Events read at a time: a few MiB, whatever the length of the record.
const PAGE: u64 = 5_000;
/// Entries read at a time.
const ENTRIES: u64 = 10_000;
/// Pages that may wait to be folded.
const AHEAD: usize = 2;

/// Some events in order, with the texts that belong to them.
struct Page {
    events: Vec<Recorded>,
    texts: Vec<Text>,
}

type Entries = Vec<StoredEntry>;

/// Folds one book and compares. Events, entries and the fold run beside each other.
pub(super) async fn book(store: &Store, snapshot: &ReadTx, facts: Facts) -> Result<Report> {
    let programme = facts.programme.programme.clone();
    let head = books::head_of(snapshot, &programme).await?;
    let head = head.ok_or_else(|| AppError::Bug(format!("programme {programme} has no book")))?;
    let last = entries::last(snapshot, &programme).await?;
    let (pages, waiting) = mpsc::channel(AHEAD);
    let (ledger, moved) = mpsc::channel(AHEAD);
    let folding = tokio::task::spawn_blocking(move || Fold::new(facts, moved).run(waiting));
    // Dropped with this future, when the caller is gone, it is aborted; the fold ends as its channels are closed.
    let mut entries = JoinSet::new();
    entries.spawn(read_entries(store.clone(), programme.clone(), last, ledger));
    let read = read_events(snapshot, &programme, pages).await;
    while let Some(ended) = entries.join_next().await {
        ended.map_err(|error| AppError::Bug(error.to_string()))??;
    }
    let (facts, mut report, next_entry) = folding.await.map_err(|error| AppError::Bug(error.to_string()))?;
    read?;
    report.compare("the head's sequence", &report.seq.clone(), &head.last());
    report.compare("the head's hash", &report.hash.clone(), &head.hash);
    report.compare("the head's next entry", &next_entry, &head.next_entry);
    compare(snapshot, &facts, &mut report).await?;
    Ok(report)
}

/// Reads all events, page by page.
async fn read_events(snapshot: &ReadTx, programme: &Programme, pages: mpsc::Sender<Page>) -> Result<()> {
    let mut after = Seq(0);
    loop {
        let events = events::page(snapshot, programme, after, PAGE).await?;
        let Some(end) = events.last().map(|last| last.event.seq) else { return Ok(()) };
        let hashed: Vec<Seq> = events.iter().filter(|it| it.event.text_hash.is_some()).map(|it| it.event.seq).collect();
        let texts = if hashed.is_empty() { Vec::new() } else { events::texts(snapshot, programme, &hashed).await? };
        // The fold ends early only by a panic, which is found where it is waited for.
        if pages.send(Page { events, texts }).await.is_err() {
            return Ok(());
        }
        after = end;
    }
}

/// Reads all entries up to the last of the snapshot, page by page. They never change, so any connection reads the same.
async fn read_entries(store: Store, programme: Programme, last: EntrySeq, pages: mpsc::Sender<Entries>) -> Result<()> {
    let mut after = EntrySeq(0);
    while after < last {
        let mut page = entries::of_book(&store, &programme, after, ENTRIES).await?;
        let Some(end) = page.last() else { return Ok(()) };
        after = end.seq;
        page.retain(|it| it.seq <= last);
        if pages.send(page).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

struct Fold {
    facts: Facts,
    report: Report,
    next_entry: EntrySeq,
    /// Entries that were read and not folded yet, and where more come from.
    ahead: std::vec::IntoIter<StoredEntry>,
    /// What the entries of the event at hand are stored as, until it has been folded.
    stored_as: Vec<(EntrySeq, AccountId, bool)>,
    moved: mpsc::Receiver<Entries>,
}

impl Fold {
    fn new(facts: Facts, moved: mpsc::Receiver<Entries>) -> Self {
        let programme = facts.programme.programme.clone();
        let (seq, hash) = (Seq(0), genesis(&programme));
        let report = Report { programme, seq, hash, entries: 0, differences: Vec::new(), count: 0 };
        Self { facts, report, next_entry: EntrySeq(1), ahead: Vec::new().into_iter(), stored_as: Vec::new(), moved }
    }

    fn run(mut self, mut pages: mpsc::Receiver<Page>) -> (Facts, Report, EntrySeq) {
        while let Some(page) = pages.blocking_recv() {
            self.page(page);
        }
        while let Some(entry) = self.next_up_to(Seq(i64::MAX)) {
            self.number(&entry, Seq(0));
        }
        (self.facts, self.report, self.next_entry)
    }

    fn page(&mut self, Page { events, texts }: Page) {
        let mut texts = texts.into_iter().map(|text| (text.seq, text)).collect::<HashMap<_, _>>();
        for mut recorded in events {
            let seq = recorded.event.seq;
            while let Some(stored) = self.next_up_to(seq) {
                self.number(&stored, seq);
                if let (true, Ok(entry)) = (stored.event == seq, stored.entry) {
                    self.stored_as.push((entry.seq, entry.account, stored.on_fund));
                    recorded.event.entries.push(entry);
                }
            }
            self.link(&recorded);
            if let (Some(hash), Some(text)) = (recorded.event.text_hash, texts.remove(&seq))
                && hash != text_hash(&text.salt, &text.text)
            {
                self.report.differs(format!("event {seq}: its text is not the one it was recorded with"));
            }
            self.facts.apply(&recorded.event);
            for broken in self.facts.broken.drain(..) {
                self.report.differs(format!("event {seq}: {broken}"));
            }
            self.owners();
        }
    }

    /// The next entry, if its event is this one or one before it.
    fn next_up_to(&mut self, seq: Seq) -> Option<StoredEntry> {
        loop {
            match self.ahead.as_slice().first() {
                Some(it) if it.event > seq => return None,
                Some(_) => return self.ahead.next(),
                None => self.ahead = self.moved.blocking_recv()?.into_iter(),
            }
        }
    }

    /// Checks that the entries of the event just folded are stored as what their accounts are.
    fn owners(&mut self) {
        for (seq, account, on_fund) in self.stored_as.drain(..) {
            // An account that there is not is named by the fold.
            let Some(account) = self.facts.ledger.get(account) else { continue };
            if on_fund != matches!(account.owner, Owner::Fund { .. }) {
                let said = if on_fund { "a fund's" } else { "a cap's" };
                self.report.differs(format!("entry {}: it is stored as {said}, its account is {account}", seq.0));
            }
        }
    }

    /// Checks an entry's number, that it can be read, and that its event is the one at hand.
    fn number(&mut self, entry: &StoredEntry, at_hand: Seq) {
        let event = entry.event;
        if let Err(unreadable) = &entry.entry {
            self.report.differs(format!("entry {}: it cannot be read: {unreadable}", entry.seq.0));
        }
        if entry.seq != self.next_entry {
            let wanted = self.next_entry.0;
            self.report.differs(format!("entry {}: entry {wanted} was expected, entries are missing", entry.seq.0));
        }
        if event != at_hand {
            self.report
                .differs(format!("entry {}: its event {event} is not in the record, or out of order", entry.seq.0));
        }
        self.next_entry = EntrySeq(entry.seq.0.saturating_add(1));
        self.report.entries = self.report.entries.saturating_add(1);
    }

    /// Checks one event's number and hash against the one before.
    fn link(&mut self, recorded: &Recorded) {
        let Self { report, .. } = self;
        let event = &recorded.event;
        let wanted = Seq(report.seq.0.saturating_add(1));
        if event.seq != wanted {
            let from = report.seq;
            report.differs(format!("event {}: the record goes from {from} to it, events are missing", event.seq));
        }
        let hash = chain(report.hash, &report.programme, event, &recorded.body);
        if hash != recorded.hash {
            report.differs(format!("event {}: its hash is {}, computed {hash}", event.seq, recorded.hash));
        }
        let said = event.body.kind();
        if said != recorded.kind {
            report.differs(format!("event {}: its kind is {:?}, its body says {said}", event.seq, recorded.kind));
        }
        report.seq = event.seq;
        report.hash = recorded.hash;
    }
}
