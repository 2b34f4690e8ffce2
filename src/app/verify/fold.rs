//! One programme from its first event to its last: read in pages, folded beside the reading.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::calls::Calls;
use super::cited::{Cited, Imports};
use super::compare::compare;
use super::decide::Deciding;
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

/// Events read at a time: less than a MiB, for a record of any length.
const PAGE: u64 = 2_000;
/// Entries read at a time.
const ENTRIES: u64 = 4_000;
/// Pages that may wait to be folded.
const AHEAD: usize = 2;

/// Some events in order, with the texts from the first of them to the last, whether they belong to one or not.
struct RecordPage {
    events: Vec<StoredEvent>,
    texts: VerifyRows<Seq, Text>,
    cited: Cited,
}

type Entries = Vec<StoredEntry>;

/// Which events to read.
struct PageRequest {
    programme: Programme,
    terms: Arc<Terms>,
    imports: Arc<Imports>,
    /// The last of them.
    last: Seq,
}

/// Folds one programme, whose terms are stored under this hash, and compares; adds its calls. Events, entries and the fold run beside each
/// other.
pub(super) async fn book(
    store: &Store,
    snapshot: &ReadTx,
    (facts, terms): (ProgrammeState, Hash),
    (imports, calls): (&Arc<Imports>, Calls),
) -> Result<(VerifyReport, Calls)> {
    let programme = facts.programme.programme.clone();
    let last = (events::last(snapshot, &programme).await?, entries::last(snapshot, &programme).await?);
    let (pages, waiting) = mpsc::channel(AHEAD);
    let (ledger, moved) = mpsc::channel(AHEAD);
    let (scheme, imports) = (Arc::clone(&facts.programme.scheme), Arc::clone(imports));
    let calls = (calls, imports.register_begun());
    let deciding = Deciding::new(Arc::clone(&imports));
    let of = PageRequest { programme: programme.clone(), terms: scheme, imports, last: last.0 };
    let folding = tokio::task::spawn_blocking(move || ProgrammeFold::new(facts, deciding, calls, moved).run(waiting));
    // Dropped with this future, when the caller is gone, it is aborted; the fold ends as its channels are closed.
    let mut entries = JoinSet::new();
    entries.spawn(read_entries(store.clone(), programme.clone(), last.1, ledger));
    let read = read_events(store, snapshot, &of, pages).await;
    while let Some(ended) = entries.join_next().await {
        ended.map_err(|error| AppError::Bug(error.to_string()))??;
    }
    let (folded, mut report, calls) = folding.await.map_err(|error| AppError::Bug(error.to_string()))?;
    read?;
    compare(snapshot, &folded, terms, &mut report).await?;
    Ok((report, calls))
}

/// Reads all events up to the last of the snapshot, page by page, from the lowest number there can be: one that no writer
/// gives is there to be named. A page is fetched while the one before it is read. They never change, so any connection
/// reads the same; their texts may be erased, and come from the snapshot.
async fn read_events(
    store: &Store,
    snapshot: &ReadTx,
    of: &PageRequest,
    pages: mpsc::Sender<RecordPage>,
) -> Result<()> {
    let (programme, last) = (&of.programme, of.last);
    let mut first = Seq(i64::MIN);
    let mut fetched = events::of_book(store, programme, (first, last), PAGE).await;
    loop {
        let next = fetched.as_ref().ok().and_then(|page| page.last()).and_then(after);
        let ahead = next.map(|next| events::of_book(store, programme, (next, last), PAGE));
        let (events, ahead) = beside(fetched, events::Events::read, ahead).await?;
        let events = match events {
            Ok(events) => events,
            Err(error) if error.retryable() => return Err(error.into()),
            Err(_) => events::each_of_book(snapshot, programme, (first, last), PAGE).await?,
        };
        let read = events.last().map(|it| it.seq);
        // After the last event there may be texts as well.
        let upto = read.unwrap_or(Seq(i64::MAX));
        let texts = events::texts_of_book(snapshot, programme, (first, upto)).await?;
        let cited = Cited::load(snapshot, (programme, &of.terms), &of.imports, &events).await?;
        // The fold ends early only by a panic, which is found where it is waited for.
        if pages.send(RecordPage { events, texts, cited }).await.is_err() {
            return Ok(());
        }
        first = match read.and_then(after) {
            Some(next) => next,
            None => return Ok(()),
        };
        fetched = match ahead {
            Some(ahead) => ahead,
            None => events::of_book(store, programme, (first, last), PAGE).await,
        };
    }
}

/// Reads a page that has been fetched while the next one is.
async fn beside<P: Send + 'static, T: Send + 'static>(
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

/// The number after this one, if there is one.
fn after(seq: Seq) -> Option<Seq> {
    seq.0.checked_add(1).map(Seq)
}

/// Reads all entries up to the last of the snapshot in the same way; they never change either.
async fn read_entries(store: Store, programme: Programme, last: EntrySeq, pages: mpsc::Sender<Entries>) -> Result<()> {
    let fetch = |first| entries::of_book(&store, &programme, (first, last), ENTRIES);
    let mut first = EntrySeq(i64::MIN);
    let mut fetched = fetch(first).await;
    loop {
        let next = fetched.as_ref().ok().and_then(|page| page.last()).and_then(|it| it.0.checked_add(1)).map(EntrySeq);
        let (page, ahead) = beside(fetched, entries::RemainingEntries::read, next.map(fetch)).await?;
        let page = match page {
            Ok(page) => page,
            Err(error) if error.retryable() => return Err(error.into()),
            Err(_) => entries::each_of_book(&store, &programme, (first, last), ENTRIES).await?,
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

/// What lies beside an event that waits for the rest of its call.
struct Beside {
    /// What its entries are stored as.
    stored_as: Vec<(EntrySeq, AccountId, bool)>,
    /// The organisation that the text of an award names.
    organisation: Option<IssuerKey>,
}

struct ProgrammeFold {
    folded: Folded,
    deciding: Deciding,
    /// The calls folded in, and when the register's record began.
    calls: (Calls, Micros),
    /// The events of the call at hand, which is decided again once all of them are there.
    call: Vec<Event>,
    beside: Vec<Beside>,
    report: VerifyReport,
    /// Entries that were read and not folded yet, and where more come from.
    ahead: std::vec::IntoIter<StoredEntry>,
    pages: mpsc::Receiver<Entries>,
    /// What the entries of the event at hand are stored as, until it has been folded.
    stored_as: Vec<(EntrySeq, AccountId, bool)>,
    /// Texts that are not there, and those that were erased.
    texts: Texts,
    /// When the event before the one at hand was recorded.
    recorded: Micros,
}

impl ProgrammeFold {
    fn new(
        mut facts: ProgrammeState,
        deciding: Deciding,
        calls: (Calls, Micros),
        pages: mpsc::Receiver<Entries>,
    ) -> Self {
        facts.movements = Movements::summed();
        let report = VerifyReport::new(facts.programme.programme.clone());
        let folded =
            Folded { facts, next_entry: EntrySeq(1), placed: HashMap::new(), moved: HashSet::new(), cited: None };
        let (call, beside, ahead) = (Vec::new(), Vec::new(), Vec::new().into_iter());
        let (stored_as, texts, recorded) = (Vec::new(), Texts::default(), Micros(i64::MIN));
        Self { folded, deciding, calls, call, beside, report, ahead, pages, stored_as, texts, recorded }
    }

    fn run(mut self, mut pages: mpsc::Receiver<RecordPage>) -> (Folded, VerifyReport, Calls) {
        while let Some(page) = pages.blocking_recv() {
            self.page(page);
        }
        self.settle();
        while let Some(entry) = self.next_up_to(Seq(i64::MAX)) {
            self.number(&entry, None);
        }
        self.texts.compare(&mut self.report);
        (self.folded, self.report, self.calls.0)
    }

    fn page(&mut self, RecordPage { events, texts, cited }: RecordPage) {
        // A call that ended with the page before is decided with what that page cites.
        let first = events.first().and_then(|it| it.recorded.as_ref().ok());
        if !first.is_some_and(|it| self.goes_on(&it.event)) {
            self.settle();
        }
        self.deciding.take(cited, self.call.is_empty());
        let VerifyRows { rows: mut texts, keyless } = texts;
        self.report.keyless("texts", keyless);
        for StoredEvent { seq, hash, recorded } in events {
            let (entries, text) = (self.entries_of(seq), texts.remove(&seq));
            let requested = self.report.seq.0.saturating_add(1);
            if seq.0 != requested {
                self.report.differs(format!("event {seq}: event {requested} was expected"));
            }
            match recorded {
                Ok(mut recorded) => {
                    recorded.event.entries = entries;
                    self.link(&recorded);
                    self.follows(&recorded.event);
                    let organisation = self.organisation(&recorded.event, text.as_ref());
                    self.text(&recorded.event, text);
                    self.cite(&recorded.event);
                    self.wait(recorded.event, organisation);
                }
                Err(why) => {
                    self.settle();
                    self.calls.0.lack_some();
                    self.report.differs(format!("event {seq}: it cannot be read: {why}"));
                    let stored_as = std::mem::take(&mut self.stored_as);
                    self.owners(stored_as);
                }
            }
            self.report.seq = seq;
            // One that cannot be read still says what the next is chained to.
            self.report.hash = hash.unwrap_or(self.report.hash);
        }
        for seq in texts.into_keys() {
            self.report.differs(format!("text {seq}: there is no such event"));
        }
    }

    /// Nothing is recorded before what came before it; versions before rules 2 went by the clock alone.
    fn follows(&mut self, event: &Event) {
        let before = std::mem::replace(&mut self.recorded, event.recorded);
        if event.recorded < before && self.folded.facts.rules >= RulesVersion::V2 {
            self.report.differs(format!("event {}: it is recorded before the event before it", event.seq));
        }
    }

    /// Takes the entries up to an event, and answers its own.
    fn entries_of(&mut self, event: Seq) -> Vec<LedgerEntry> {
        let mut own = Vec::new();
        while let Some(stored) = self.next_up_to(event) {
            self.number(&stored, Some(event));
            if let (true, Ok(entry)) = (stored.event == event, stored.entry) {
                self.stored_as.push((entry.seq, entry.account, stored.on_fund));
                own.push(entry);
            }
        }
        own
    }

    /// The next entry, if its event is this one or one before it.
    fn next_up_to(&mut self, seq: Seq) -> Option<StoredEntry> {
        loop {
            match self.ahead.as_slice().first() {
                Some(it) if it.event > seq => return None,
                Some(_) => return self.ahead.next(),
                None => self.ahead = self.pages.blocking_recv()?.into_iter(),
            }
        }
    }

    /// Checks an entry's number, that it can be read, and that its event is the one at hand.
    fn number(&mut self, entry: &StoredEntry, at_hand: Option<Seq>) {
        let (number, event) = (entry.seq.0, entry.event);
        if let Err(unreadable) = &entry.entry {
            self.report.differs(format!("entry {number}: it cannot be read: {unreadable}"));
        }
        let requested = self.folded.next_entry.0;
        if number != requested {
            self.report.differs(format!("entry {number}: entry {requested} was expected"));
        }
        if at_hand != Some(event) {
            self.report.differs(format!("entry {number}: its event {event} is not in the record, or out of order"));
        }
        self.folded.next_entry = EntrySeq(number.saturating_add(1));
        self.report.entries = self.report.entries.saturating_add(1);
    }

    /// Checks one event's hash against the one before, and its kind.
    fn link(&mut self, recorded: &Recorded) {
        let Self { report, .. } = self;
        let (event, said) = (&recorded.event, recorded.event.body.kind());
        let hash = chain(report.hash, &report.programme, event, &recorded.body);
        if hash != recorded.hash {
            report.differs(format!("event {}: its hash is {}, computed {hash}", event.seq, recorded.hash));
        }
        if said != recorded.kind {
            report.differs(format!("event {}: its kind is {:?}, its body says {said}", event.seq, recorded.kind));
        }
    }

    /// Checks an event's text against its hash. One that is not there has to be erased by a later event.
    fn text(&mut self, event: &Event, text: Option<std::result::Result<Text, String>>) {
        let wrong = match (text, event.text_hash) {
            (None, None) => return,
            (None, Some(_)) => return self.texts.absent(event.seq),
            (Some(Ok(text)), Some(hash)) if hash == text_hash(&text.salt, &text.text) => return,
            (Some(Ok(_)), Some(_)) => "its text is not the one it was recorded with".to_owned(),
            (Some(Ok(_)), None) => "it has a text, and was recorded without one".to_owned(),
            (Some(Err(wrong)), _) => format!("its text: {wrong}"),
        };
        self.report.differs(format!("event {}: {wrong}", event.seq));
    }

    /// Events that depend on the register cite its record, later ones no earlier event of it; those from before there was one
    /// cite none.
    fn cite(&mut self, event: &Event) {
        let Self { folded, report, .. } = self;
        match (event.body.register_seq(), folded.cited) {
            (Some(at), Some(before)) if at < before => {
                report.differs(format!(
                    "event {}: it cites event {at} of the register's record, after {before}",
                    event.seq
                ));
            }
            (None, Some(_)) if event.body.rests_on_register() => {
                report.differs(format!("event {}: it cites no event of the register's record", event.seq));
            }
            (at, before) => folded.cited = at.or(before),
        }
    }

    /// The organisation of a leader, where the text of an award says it.
    fn organisation(&self, event: &Event, text: Option<&std::result::Result<Text, String>>) -> Option<IssuerKey> {
        let (EventBody::Awarded { support: Support::Nle { .. }, .. }, Some(Ok(text))) = (&event.body, text) else {
            return None;
        };
        claims::organisation(&text.text, &self.folded.facts.programme.scheme)
    }

    /// Whether an event belongs to the call at hand.
    fn goes_on(&self, event: &Event) -> bool {
        self.call.first().is_some_and(|it| (&it.actor, it.request) == (&event.actor, event.request))
    }

    /// Has an event wait for the rest of its call: the next events of the same person under the same request.
    fn wait(&mut self, event: Event, organisation: Option<IssuerKey>) {
        if !self.goes_on(&event) {
            self.settle();
        }
        self.call.push(event);
        self.beside.push(Beside { stored_as: std::mem::take(&mut self.stored_as), organisation });
    }

    /// Decides the call at hand again, and folds it in.
    fn settle(&mut self) {
        let (call, beside) = (std::mem::take(&mut self.call), std::mem::take(&mut self.beside));
        self.deciding.decide(&call, &mut self.folded.facts, &mut self.report);
        self.calls.0.call(&call, self.calls.1);
        for (event, Beside { stored_as, organisation }) in call.iter().zip(beside) {
            self.apply(event);
            if let (Some(award), Some(key)) = (event.body.award(), organisation) {
                self.folded.facts.organisations.insert(award, key);
            }
            self.owners(stored_as);
        }
        Deciding::settled(&call, &mut self.folded.facts);
    }

    fn apply(&mut self, event: &Event) {
        let Self { folded, report, .. } = self;
        folded.facts.apply(event);
        for broken in folded.facts.broken.drain(..) {
            report.differs(format!("event {}: {broken}", event.seq));
        }
        self.texts.apply(event, report);
        if let EventBody::Placed { urn, .. } = &event.body {
            folded.placed.insert(*urn, event.seq);
        }
    }

    /// Checks that the entries of the event just folded are stored as what their accounts are.
    fn owners(&mut self, stored_as: Vec<(EntrySeq, AccountId, bool)>) {
        for (seq, account, on_fund) in stored_as {
            // An account that there is not is named by the fold.
            let Some(account) = self.folded.facts.ledger.get(account) else { continue };
            let of_fund = matches!(account.owner, Owner::Fund { .. });
            if of_fund && account.version == Seq(0) {
                self.folded.moved.insert(account.id);
            }
            if on_fund != of_fund {
                let said = if on_fund { "a fund's" } else { "a cap's" };
                self.report.differs(format!("entry {}: it is stored as {said}, its account is {account}", seq.0));
            }
        }
    }
}
