//! Forges a record as an administrator of the database can: drops the triggers and constraints, changes the record, and
//! computes the chain, the head and the daily changes of caps again.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest as _, Sha256};
use tsio::domain::Date;
use tsio::domain::event::{Hash, Seq, chain, genesis};
use tsio::domain::ids::{AccountId, Programme};
use tsio::domain::ledger::{EntryKind, EntrySeq, LedgerEntry};
use tsio::store::{Store, Use, entries, events};

use crate::client::YEAR;
use crate::harness::Db;
use crate::raw_sql::RawSql;

/// A page size larger than any record of these tests, so that one read returns all events or entries.
const EVERY: u64 = 1_000_000;
/// Tables with triggers and constraints that prevent a forgery.
const GUARDED: [&str; 7] = ["events", "entries", "approvals", "referrals", "awards", "accounts", "invoices"];

pub(super) struct Forger {
    db: Db,
    raw_sql: RawSql,
}

impl Forger {
    pub(super) async fn of(db: &Db) -> Self {
        Self { db: db.clone(), raw_sql: RawSql::of(db).await }
    }

    pub(super) async fn end(self) {
        self.raw_sql.close().await;
    }

    pub(super) async fn number(&mut self, sql: &str) -> i64 {
        self.raw_sql.number(sql).await
    }

    /// A date literal in SQL.
    pub(super) fn date(&self, day: &str) -> String {
        if self.db.is_postgres() { format!("DATE '{day}'") } else { format!("'{day}'") }
    }

    fn bytes(&self, hash: Hash) -> String {
        if self.db.is_postgres() { format!("'\\x{hash}'::bytea") } else { format!("X'{hash}'") }
    }

    /// Changes the record, and computes its chain again.
    pub(super) async fn forge(&mut self, forge: fn(&Self) -> Vec<String>) {
        self.drop_guards().await;
        for sql in forge(self) {
            if let Err(refused) = self.raw_sql.run(&sql).await {
                panic!("{sql}: {refused}");
            }
        }
        self.rebuild_chain().await;
    }

    async fn drop_guards(&mut self) {
        let mut sql = Vec::new();
        if self.db.is_postgres() {
            sql.extend(GUARDED.map(|it| format!("ALTER TABLE {it} DISABLE TRIGGER USER")));
            let tables = GUARDED.map(|it| format!("'{it}'::regclass")).join(", ");
            sql.push(format!(
                "DO $$ DECLARE it record; BEGIN FOR it IN SELECT conrelid::regclass AS owner, conname FROM pg_constraint \
                 WHERE contype = 'c' AND conrelid IN ({tables}) LOOP \
                 EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', it.owner, it.conname); END LOOP; END $$"
            ));
        } else {
            sql.push("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON".to_owned());
            sql.extend(["events", "entries"].into_iter().flat_map(|table| {
                ["updated", "deleted", "replaced"]
                    .map(|change| format!("DROP TRIGGER IF EXISTS {table}_are_not_{change}"))
            }));
        }
        for it in sql {
            self.raw_sql.run(&it).await.unwrap();
        }
    }

    /// Computes the hashes of all events and the head again, and stores those that changed. Stores the daily changes of all caps.
    async fn rebuild_chain(&mut self) {
        let programme: Programme = YEAR.parse().unwrap();
        let store = Store::open(&self.db.url(), Use::Look).await.unwrap();
        let all = events::each_for_verify(&store, &programme, (Seq(1), Seq(i64::MAX)), EVERY).await.unwrap();
        let stored =
            entries::each_for_verify(&store, &programme, (EntrySeq(1), EntrySeq(i64::MAX)), EVERY).await.unwrap();
        let mut entries_by_event: HashMap<Seq, Vec<LedgerEntry>> = HashMap::new();
        for it in stored {
            entries_by_event.entry(it.event).or_default().push(it.entry.unwrap());
        }
        store.close().await.unwrap();
        let mut head = genesis(&programme);
        let mut sql = String::new();
        let mut days: HashMap<AccountId, BTreeMap<Date, i64>> = HashMap::new();
        for stored in all {
            let recorded = stored.recorded.unwrap();
            let mut event = recorded.event;
            event.entries = entries_by_event.remove(&event.seq).unwrap_or_default();
            event.entries.extend(stored.cap_entries);
            event.entries.sort_by_key(|it| it.seq);
            for it in &event.entries {
                *days.entry(it.account).or_default().entry(event.effective).or_default() += change_of_cap(it);
            }
            head = chain(head, &programme, &event, &recorded.body);
            if head != recorded.hash {
                let (hash, seq) = (self.bytes(head), event.seq);
                sql.push_str(&format!("UPDATE events SET hash = {hash} WHERE programme = '{YEAR}' AND seq = {seq};"));
            }
        }
        for (account, mut days) in days {
            days.retain(|_, change| *change != 0);
            let (id, days) = (self.raw_sql.id(&account.to_string()), Vec::from_iter(days));
            let days = if days.is_empty() { "NULL".to_owned() } else { format!("'{}'", serde_json::json!(days)) };
            sql.push_str(&format!("UPDATE accounts SET days = {days} WHERE id = {id} AND owner = 'cap';"));
        }
        let head = self.bytes(head);
        sql.push_str(&format!("UPDATE books SET head = {head} WHERE programme = '{YEAR}'"));
        self.raw_sql.run(&sql).await.unwrap();
    }

    /// SQL that replaces a part of the terms, their hash, and that hash in offers and events.
    pub(super) fn rewrite_terms(&self, from: &str, to: &str) -> Vec<String> {
        let hash_of = |text: &str| Hash(Sha256::digest(text).into());
        let old = include_str!("../../../terms/2021-22.toml");
        let new = old.replace(from, to);
        assert_ne!(old, new);
        let (text, hash) = (new.replace('\'', "''"), hash_of(&new));
        let bytes = self.bytes(hash);
        let stored_hash = if self.db.is_postgres() { "encode(sha256, 'hex')" } else { "LOWER(HEX(sha256))" };
        vec![
            format!(
                "UPDATE events SET body = REPLACE(body, (SELECT {stored_hash} FROM terms WHERE programme = '{YEAR}'), '{hash}') \
                 WHERE programme = '{YEAR}' AND kind = 'identified'"
            ),
            format!("UPDATE offers SET terms_sha256 = {bytes} WHERE programme = '{YEAR}'"),
            format!("UPDATE terms SET text = '{text}', sha256 = {bytes} WHERE programme = '{YEAR}'"),
        ]
    }
}

/// By how much an entry of a cap changes what is available on its day. The allocation by the terms counts on every day.
fn change_of_cap(entry: &LedgerEntry) -> i64 {
    match entry.verb {
        EntryKind::Commit | EntryKind::Withdraw => -entry.amount,
        EntryKind::Release | EntryKind::Refund => entry.amount,
        EntryKind::Allocate | EntryKind::Spend => 0,
    }
}
