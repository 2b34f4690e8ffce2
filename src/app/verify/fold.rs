//! Folds the record of one programme from its first event to its last. The next pages are read while a page is folded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::cited::{Cited, Imports};
use super::compare::compare;
use super::decide::Deciding;
use super::requests::RequestSet;
use super::texts::Texts;
use super::{AppError, Result, VerifyReport};
use crate::app::verify::folded::Folded;
use crate::domain::award::Support;
use crate::domain::award::claim::IssuerKey;
use crate::domain::award::movement::Movements;
use crate::domain::event::{Event, EventBody, Hash, Seq, chain, text_hash};
use crate::domain::ids::{AccountId, Programme};
use crate::domain::ledger::{EntrySeq, LedgerEntry, Owner};
use crate::domain::programme::ProgrammeState;
use crate::domain::programme::decide::claims;
use crate::domain::rules::RulesVersion;
use crate::domain::terms::Terms;
use crate::domain::time::Micros;
use crate::store::entries::StoredEntry;
use crate::store::events::{Recorded, StoredEvent, Text};
use crate::store::verify_rows::VerifyRows;
use crate::store::{self, ReadTx, Store, entries, events};

/// The number of events in a page: less than a MiB.
const PAGE: u64 = 2_000;
/// The number of entries in a page.
const ENTRIES_PER_PAGE: u64 = 4_000;
/// The most pages that may wait to be folded.
const MAX_WAITING_PAGES: usize = 2;

/// A page of events in order, with all texts of that range of numbers, even those without an event.
struct RecordPage {
    events: Vec<StoredEvent>,
    texts: VerifyRows<Seq, Text>,
    cited: Cited,
}

type Entries = Vec<StoredEntry>;

/// Which events to read, and what is needed to load the data that they cite.
struct EventsToRead {
    programme: Programme,
    terms: Arc<Terms>,
    imports: Arc<Imports>,
    /// The last event to read.
    last: Seq,
}

/// Folds the record of one programme, and compares the result with the stored state. `state` is the state before the first
/// event, and `terms` is the stored hash of the terms. Returns the report, and `requests` with the requests of the record
/// added. Reading events, reading entries and folding run concurrently.
pub(super) async fn programme_record(
    store: &Store,
    snapshot: &ReadTx,
    (state, terms): (ProgrammeState, Hash),
    (imports, requests): (&Arc<Imports>, RequestSet),
) -> Result<(VerifyReport, RequestSet)> {
    let programme = state.programme.programme.clone();
    let last = (events::last(snapshot, &programme).await?, entries::last(snapshot, &programme).await?);
    let (pages, waiting) = mpsc::channel(MAX_WAITING_PAGES);
    let (entry_pages, waiting_entries) = mpsc::channel(MAX_WAITING_PAGES);
    let (scheme, imports) = (Arc::clone(&state.programme.scheme), Arc::clone(imports));
    let requests = (requests, imports.register_began());
    let deciding = Deciding::new(Arc::clone(&imports));
    let to_read = EventsToRead { programme: programme.clone(), terms: scheme, imports, last: last.0 };
    let folding = tokio::task::spawn_blocking(move || {
        ProgrammeFold::new(state, deciding, requests, waiting_entries).run(waiting)
    });
    // If the caller disconnects, this future is dropped: the set aborts its task, and the fold ends as its channels close.
    let mut entries = JoinSet::new();
    entries.spawn(read_entries(store.clone(), programme.clone(), last.1, entry_pages));
    let read = read_events(store, snapshot, &to_read, pages).await;
    while let Some(ended) = entries.join_next().await {
        ended.map_err(|error| AppError::Bug(error.to_string()))??;
    }
    let (folded, mut report, requests) = folding.await.map_err(|error| AppError::Bug(error.to_string()))?;
    read?;
    compare(snapshot, &folded, terms, &mut report).await?;
    Ok((report, requests))
}

/// Reads all events up to the last event of the snapshot, page by page. Begins with the lowest possible number, to find
/// events that the writer cannot have made. A page is fetched while the page before is decoded. Events never change, so
/// every connection reads the same events. Texts may be erased, so they are read from the snapshot.
async fn read_events(
    store: &Store,
    snapshot: &ReadTx,
    to_read: &EventsToRead,
    pages: mpsc::Sender<RecordPage>,
) -> Result<()> {
    let (programme, last) = (&to_read.programme, to_read.last);
    let mut first = Seq(i64::MIN);
    let mut fetched = events::for_verify(store, programme, (first, last), PAGE).await;
    loop {
        let next = fetched.as_ref().ok().and_then(|page| page.last()).and_then(after);
        let ahead = next.map(|next| events::for_verify(store, programme, (next, last), PAGE));
        let (events, ahead) = decode_and_fetch(fetched, events::Events::read, ahead).await?;
        let events = match events {
            Ok(events) => events,
            Err(error) if error.retryable() => return Err(error.into()),
            Err(_) => events::each_for_verify(snapshot, programme, (first, last), PAGE).await?,
        };
        let read = events.last().map(|it| it.seq);
        // There may be texts after the last event.
        let upto = read.unwrap_or(Seq(i64::MAX));
        let texts = events::texts_for_verify(snapshot, programme, (first, upto)).await?;
        let cited = Cited::load(snapshot, (programme, &to_read.terms), &to_read.imports, &events).await?;
        // The fold ends early only if it panics, which `programme_record` notices when it waits for it.
        if pages.send(RecordPage { events, texts, cited }).await.is_err() {
            return Ok(());
        }
        first = match read.and_then(after) {
            Some(next) => next,
            None => return Ok(()),
        };
        fetched = match ahead {
            Some(ahead) => ahead,
            None => events::for_verify(store, programme, (first, last), PAGE).await,
        };
    }
}

/// Decodes a fetched page while the next one is fetched.
async fn decode_and_fetch<P: Send + 'static, T: Send + 'static>(
    fetched: store::Result<P>,
    read: fn(P) -> store::Result<T>,
    next: Option<impl Future<Output = store::Result<P>>>,
) -> Result<(store::Result<T>, Option<store::Result<P>>)> {
    let reading = tokio::task::spawn_blocking(move || read(fetched?));
    let next = match next {
        Some(next) => Some(next.await),
        None => None,
    };
    Ok((reading.await.map_err(|error| AppError::Bug(error.to_string()))?, next))
}

/// The number after this number; `None` if this is the largest number.
fn after(seq: Seq) -> Option<Seq> {
    seq.0.checked_add(1).map(Seq)
}

/// Reads all entries up to the last entry of the snapshot, in the same way as [`read_events`]. Entries never change either.
async fn read_entries(store: Store, programme: Programme, last: EntrySeq, pages: mpsc::Sender<Entries>) -> Result<()> {
    let fetch = |first| entries::for_verify(&store, &programme, (first, last), ENTRIES_PER_PAGE);
    let mut first = EntrySeq(i64::MIN);
    let mut fetched = fetch(first).await;
    loop {
        let next = fetched.as_ref().ok().and_then(|page| page.last()).and_then(|it| it.0.checked_add(1)).map(EntrySeq);
        let (page, ahead) = decode_and_fetch(fetched, entries::FetchedEntries::read, next.map(fetch)).await?;
        let page = match page {
            Ok(page) => page,
            Err(error) if error.retryable() => return Err(error.into()),
            Err(_) => entries::each_for_verify(&store, &programme, (first, last), ENTRIES_PER_PAGE).await?,
        };
        let read = page.last().and_then(|it| it.seq.0.checked_add(1)).map(EntrySeq);
        if pages.send(page).await.is_err() {
            return Ok(());
        }
        first = match read {
            Some(next) => next,
            None => return Ok(()),
        };
        fetched = match ahead {
            Some(ahead) => ahead,
            None => fetch(first).await,
        };
    }
}

/// Details of an event that waits for the other events of its request.
struct EventDetails {
    /// The entries of the event, each with its account and whether it is stored as an entry of a fund.
    stored_as: Vec<(EntrySeq, AccountId, bool)>,
    /// The organisation that the text of an award names, if any.
    organisation: Option<IssuerKey>,
}

/// The fold of one programme's record in progress.
struct ProgrammeFold {
    folded: Folded,
    deciding: Deciding,
    /// The requests that were folded, and the time at which the register's record began.
    requests: (RequestSet, Micros),
    /// The events of the current request, which is decided again once all of them are read.
    request_events: Vec<Event>,
    /// Details of the events in `request_events`, in the same order.
    details: Vec<EventDetails>,
    report: VerifyReport,
    /// Entries that were read but not folded yet.
    ahead: std::vec::IntoIter<StoredEntry>,
    /// The pages of further entries.
    pages: mpsc::Receiver<Entries>,
    /// The entries of the current event, until it is folded.
    stored_as: Vec<(EntrySeq, AccountId, bool)>,
    /// Texts that are absent, and texts that were erased.
    texts: Texts,
    /// When the previous event was recorded.
    recorded: Micros,
}

impl ProgrammeFold {
    fn new(
        mut state: ProgrammeState,
        deciding: Deciding,
        requests: (RequestSet, Micros),
        pages: mpsc::Receiver<Entries>,
    ) -> Self {
        state.movements = Movements::summed();
        let report = VerifyReport::new(state.programme.programme.clone());
        let folded =
            Folded { state, next_entry: EntrySeq(1), placed: HashMap::new(), moved_funds: HashSet::new(), cited: None };
        let (request_events, details, ahead) = (Vec::new(), Vec::new(), Vec::new().into_iter());
        let (stored_as, texts, recorded) = (Vec::new(), Texts::default(), Micros(i64::MIN));
        Self { folded, deciding, requests, request_events, details, report, ahead, pages, stored_as, texts, recorded }
    }

    /// Folds the pages until there are no more. Returns the result, the report, and the requests.
    fn run(mut self, mut pages: mpsc::Receiver<RecordPage>) -> (Folded, VerifyReport, RequestSet) {
        while let Some(page) = pages.blocking_recv() {
            self.fold_page(page);
        }
        self.finish_request();
        while let Some(entry) = self.take_entry_up_to(Seq(i64::MAX)) {
            self.check_entry(&entry, None);
        }
        self.texts.compare(&mut self.report);
        (self.folded, self.report, self.requests.0)
    }

    /// Checks the events and texts of a page, and adds the events to the current request.
    fn fold_page(&mut self, RecordPage { events, texts, cited }: RecordPage) {
        // A request that ended with the previous page is decided with the data that the previous page cites.
        let first = events.first().and_then(|it| it.recorded.as_ref().ok());
        if !first.is_some_and(|it| self.is_same_request(&it.event)) {
            self.finish_request();
        }
        self.deciding.take_cited(cited, !self.request_events.is_empty());
        let VerifyRows { rows: mut texts, without_key } = texts;
        self.report.without_key("texts", without_key);
        for StoredEvent { seq, hash, recorded, cap_entries } in events {
            let (entries, text) = (self.take_entries_of(seq, cap_entries), texts.remove(&seq));
            let expected = self.report.seq.0.saturating_add(1);
            if seq.0 != expected {
                self.report.differs(format!("event {seq}: event {expected} was expected"));
            }
            match recorded {
                Ok(mut recorded) => {
                    recorded.event.entries = entries;
                    self.check_hash(&recorded);
                    self.check_time(&recorded.event);
                    let organisation = self.organisation(&recorded.event, text.as_ref());
                    self.check_text(&recorded.event, text);
                    self.check_cited(&recorded.event);
                    self.add_to_request(recorded.event, organisation);
                }
                Err(why) => {
                    self.finish_request();
                    self.requests.0.mark_incomplete();
                    self.report.differs(format!("event {seq}: it cannot be read: {why}"));
                    let stored_as = std::mem::take(&mut self.stored_as);
                    self.check_owners(stored_as);
                }
            }
            self.report.seq = seq;
            // The hash of an unreadable event is still the one that the next event is chained to.
            self.report.hash = hash.unwrap_or(self.report.hash);
        }
        for seq in texts.into_keys() {
            self.report.differs(format!("text {seq}: there is no such event"));
        }
    }

    /// Checks that an event is not recorded before the previous event. Programs before rules version 2 did not ensure that.
    fn check_time(&mut self, event: &Event) {
        let before = std::mem::replace(&mut self.recorded, event.recorded);
        if event.recorded < before && self.folded.state.rules >= RulesVersion::V2 {
            self.report.differs(format!("event {}: it is recorded before the event before it", event.seq));
        }
    }

    /// Takes and checks the entries up to an event, and returns the entries of this event. `of_caps` are those that are stored with
    /// the event.
    fn take_entries_of(&mut self, event: Seq, of_caps: Vec<LedgerEntry>) -> Vec<LedgerEntry> {
        let with_event = |entry: LedgerEntry| StoredEntry { seq: entry.seq, event, on_fund: false, entry: Ok(entry) };
        let mut stored: Vec<StoredEntry> = of_caps.into_iter().map(with_event).collect();
        while let Some(row) = self.take_entry_up_to(event) {
            stored.push(row);
        }
        stored.sort_by_key(|it| it.seq);
        let mut own = Vec::new();
        for it in stored {
            self.check_entry(&it, Some(event));
            if let (true, Ok(entry)) = (it.event == event, it.entry) {
                self.stored_as.push((entry.seq, entry.account, it.on_fund));
                own.push(entry);
            }
        }
        own
    }

    /// Takes the next entry if it belongs to this event or an earlier event.
    fn take_entry_up_to(&mut self, seq: Seq) -> Option<StoredEntry> {
        loop {
            match self.ahead.as_slice().first() {
                Some(it) if it.event > seq => return None,
                Some(_) => return self.ahead.next(),
                None => self.ahead = self.pages.blocking_recv()?.into_iter(),
            }
        }
    }

    /// Checks an entry's number, that it can be read, and that it belongs to the current event.
    fn check_entry(&mut self, entry: &StoredEntry, current: Option<Seq>) {
        let (number, event) = (entry.seq.0, entry.event);
        if let Err(unreadable) = &entry.entry {
            self.report.differs(format!("entry {number}: it cannot be read: {unreadable}"));
        }
        let expected = self.folded.next_entry.0;
        if number != expected {
            self.report.differs(format!("entry {number}: entry {expected} was expected"));
        }
        if current != Some(event) {
            self.report.differs(format!("entry {number}: its event {event} is not in the record, or out of order"));
        }
        self.folded.next_entry = EntrySeq(number.saturating_add(1));
        self.report.entries = self.report.entries.saturating_add(1);
    }

    /// Checks the kind of an event, and its hash, which is computed from the hash of the previous event.
    fn check_hash(&mut self, recorded: &Recorded) {
        let Self { report, .. } = self;
        let (event, kind) = (&recorded.event, recorded.event.body.kind());
        let hash = chain(report.hash, &report.programme, event, &recorded.body);
        if hash != recorded.hash {
            report.differs(format!("event {}: its hash is {}, computed {hash}", event.seq, recorded.hash));
        }
        if kind != recorded.kind {
            report.differs(format!("event {}: its kind is {:?}, its body says {kind}", event.seq, recorded.kind));
        }
    }

    /// Checks the text of an event against its hash. An absent text must have been erased by a later event.
    fn check_text(&mut self, event: &Event, text: Option<std::result::Result<Text, String>>) {
        let wrong = match (text, event.text_hash) {
            (None, None) => return,
            (None, Some(_)) => return self.texts.add_absent(event.seq),
            (Some(Ok(text)), Some(hash)) if hash == text_hash(&text.salt, &text.text) => return,
            (Some(Ok(_)), Some(_)) => "its text is not the one it was recorded with".to_owned(),
            (Some(Ok(_)), None) => "it has a text, and was recorded without one".to_owned(),
            (Some(Err(wrong)), _) => format!("its text: {wrong}"),
        };
        self.report.differs(format!("event {}: {wrong}", event.seq));
    }

    /// Checks which event of the register's record an event cites. No event may cite an earlier event than the events
    /// before it do. An event that depends on the register must cite an event if any event before it does. Events from
    /// before the register's record cite no event.
    fn check_cited(&mut self, event: &Event) {
        let Self { folded, report, .. } = self;
        match (event.body.register_seq(), folded.cited) {
            (Some(at), Some(before)) if at < before => {
                report.differs(format!(
                    "event {}: it cites event {at} of the register's record, after {before}",
                    event.seq
                ));
            }
            (None, Some(_)) if event.body.depends_on_register() => {
                report.differs(format!("event {}: it cites no event of the register's record", event.seq));
            }
            (at, before) => folded.cited = at.or(before),
        }
    }

    /// The organisation of a leader, if the text of an award names it.
    fn organisation(&self, event: &Event, text: Option<&std::result::Result<Text, String>>) -> Option<IssuerKey> {
        let (EventBody::Awarded { support: Support::Nle { .. }, .. }, Some(Ok(text))) = (&event.body, text) else {
            return None;
        };
        claims::issuer_key_of_organisation(&text.text, &self.folded.state.programme.scheme)
    }

    /// Whether an event belongs to the current request.
    fn is_same_request(&self, event: &Event) -> bool {
        self.request_events.first().is_some_and(|it| (&it.actor, it.request) == (&event.actor, event.request))
    }

    /// Adds an event to the current request, which has all consecutive events with the same actor and request id.
    fn add_to_request(&mut self, event: Event, organisation: Option<IssuerKey>) {
        if !self.is_same_request(&event) {
            self.finish_request();
        }
        self.request_events.push(event);
        self.details.push(EventDetails { stored_as: std::mem::take(&mut self.stored_as), organisation });
    }

    /// Decides the current request again and applies its events.
    fn finish_request(&mut self) {
        let (request_events, details) = (std::mem::take(&mut self.request_events), std::mem::take(&mut self.details));
        self.deciding.decide(&request_events, &mut self.folded.state, &mut self.report);
        self.requests.0.add_request(&request_events, self.requests.1);
        for (event, EventDetails { stored_as, organisation }) in request_events.iter().zip(details) {
            self.apply(event);
            if let (Some(award), Some(key)) = (event.body.award(), organisation) {
                self.folded.state.organisations.insert(award, key);
            }
            self.check_owners(stored_as);
        }
        Deciding::forget_recalled(&request_events, &mut self.folded.state);
    }

    /// Applies an event to the state, and reports violations of the rules of accounts.
    fn apply(&mut self, event: &Event) {
        let Self { folded, report, .. } = self;
        folded.state.apply(event);
        for violation in folded.state.violations.drain(..) {
            report.differs(format!("event {}: {violation}", event.seq));
        }
        self.texts.add_erased(event, report);
        if let EventBody::Placed { urn, .. } = &event.body {
            folded.placed.insert(*urn, event.seq);
        }
    }

    /// Checks the entries of the event that was applied last: each must be stored as an entry of a fund if its account is a
    /// fund, and of a cap otherwise. Notes the funds that have entries.
    fn check_owners(&mut self, stored_as: Vec<(EntrySeq, AccountId, bool)>) {
        for (seq, account, on_fund) in stored_as {
            // The fold reports an account that does not exist.
            let Some(account) = self.folded.state.ledger.get(account) else { continue };
            let of_fund = matches!(account.owner, Owner::Fund { .. });
            // Only a fund that the terms define has version 0. The version of other funds is the event that made them.
            if of_fund && account.version == Seq(0) {
                self.folded.moved_funds.insert(account.id);
            }
            if on_fund != of_fund {
                let owner = if on_fund { "a fund's" } else { "a cap's" };
                self.report.differs(format!("entry {}: it is stored as {owner}, its account is {account}", seq.0));
            }
        }
    }
}
