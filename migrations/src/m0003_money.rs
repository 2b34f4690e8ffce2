//! Creates the tables of money and days: accounts, their entries, awards with bookings and invoices.
//!
//! There are no foreign keys: only the writer adds rows, under the lock of their programme, and `verify` compares every
//! row with the record; see ADR 0014. The CHECKs let the database refuse sums that no rule allows.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, TABLES).await?;
        let guards = match manager.get_database_backend() {
            DbBackend::Postgres => APPEND_ONLY_POSTGRES,
            _ => APPEND_ONLY_SQLITE,
        };
        crate::run(manager, guards).await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::IN_TRANSACTION
    }
}

const TABLES: &str = "
ALTER TABLE books ADD COLUMN next_entry {int} NOT NULL DEFAULT 1;
ALTER TABLE approvals ADD COLUMN change TEXT;
-- The request that opened it. When it is repeated, it does not open a second approval.
ALTER TABLE approvals ADD COLUMN request_id {uuid};
UPDATE approvals SET request_id = (SELECT e.request_id FROM events e
    WHERE e.programme = approvals.programme AND e.seq = approvals.opened_seq);
CREATE INDEX approvals_of_request ON approvals (request_id);

-- Every limit with its balances: a fund, or the cap of an offer for a strand. An amount is always in one of the four
-- buckets; outside is minus the amount allocated. On SQLite the rows of this table and the next two are stored in the order
-- of their keys, which grow with time: a table needs no second tree, and new rows share pages.
CREATE TABLE accounts (
    id             {uuid} NOT NULL PRIMARY KEY,
    programme      TEXT NOT NULL,
    owner          TEXT NOT NULL,
    strand         TEXT NOT NULL,
    region         TEXT,
    offer_id       {uuid},
    unit           TEXT NOT NULL,
    binds          {bool} NOT NULL,
    over_committed {bool} NOT NULL,
    outside        {int} NOT NULL,
    available      {int} NOT NULL,
    committed      {int} NOT NULL,
    spent          {int} NOT NULL,
    version        {int} NOT NULL,
    CHECK (owner IN ('fund', 'cap')),
    CHECK (unit IN ('pence', 'half_days')),
    CHECK ((owner = 'cap') = (offer_id IS NOT NULL)),
    CHECK (owner = 'fund' OR region IS NULL),
    CHECK (owner = 'cap' OR unit = 'pence'),
    CHECK (outside + available + committed + spent = 0),
    CHECK (committed >= 0),
    CHECK (spent >= 0),
    CHECK (available >= 0 OR over_committed OR NOT binds),
    CHECK (available < 0 OR NOT over_committed),
    CHECK (binds OR NOT over_committed)
) {clustered};
CREATE UNIQUE INDEX one_fund_a_strand_and_region ON accounts (programme, strand, COALESCE(region, ''))
    WHERE owner = 'fund';
CREATE UNIQUE INDEX one_cap_an_offer_and_strand ON accounts (offer_id, strand) WHERE owner = 'cap';

-- The ledger: append-only, numbered without gaps, each row covered by the hash of its event.
CREATE TABLE entries (
    programme  TEXT NOT NULL,
    seq        {int} NOT NULL,
    event_seq  {int} NOT NULL,
    account_id {uuid} NOT NULL,
    verb       TEXT NOT NULL,
    amount     {int} NOT NULL,
    period     TEXT NOT NULL,
    on_fund    {bool} NOT NULL,
    PRIMARY KEY (programme, seq),
    CHECK (verb IN ('allocate', 'withdraw', 'commit', 'release', 'spend', 'refund')),
    CHECK (amount > 0),
    CONSTRAINT entries_are_numbered_from_one CHECK (seq >= 1 AND event_seq >= 1)
) {clustered};
CREATE INDEX entries_of_fund ON entries (account_id, seq) WHERE on_fund = {true};

CREATE TABLE awards (
    id          {uuid} NOT NULL PRIMARY KEY,
    programme   TEXT NOT NULL,
    offer_id    {uuid} NOT NULL,
    strand      TEXT NOT NULL,
    unit        TEXT NOT NULL,
    support     TEXT NOT NULL,
    fund_id     {uuid} NOT NULL,
    cap_id      {uuid},
    day_rate    {int},
    awarded     {int} NOT NULL,
    drawn       {int} NOT NULL,
    released    {int} NOT NULL,
    refunded    {int} NOT NULL,
    awarded_on  {date} NOT NULL,
    awarded_by  TEXT NOT NULL,
    made_seq    {int} NOT NULL,
    version     {int} NOT NULL,
    CHECK (unit IN ('pence', 'half_days')),
    CHECK ((unit = 'half_days') = (day_rate IS NOT NULL)),
    CHECK (awarded > 0 AND drawn >= 0 AND released >= 0 AND refunded >= 0),
    CHECK (drawn + released <= awarded),
    CHECK (refunded <= drawn)
) {clustered};
CREATE INDEX awards_of_offer ON awards (offer_id, id);

-- Days of an award that are booked for a date. The number of a booking is that of its event.
CREATE TABLE bookings (
    programme  TEXT NOT NULL,
    seq        {int} NOT NULL,
    award_id   {uuid} NOT NULL,
    half_days  {int} NOT NULL,
    booked_for {date} NOT NULL,
    leader     TEXT NOT NULL,
    state      TEXT NOT NULL,
    PRIMARY KEY (programme, seq),
    CHECK (half_days > 0),
    CHECK (state IN ('booked', 'delivered', 'cancelled'))
) {strict};
CREATE INDEX bookings_of_award ON bookings (award_id, seq);

-- Paid invoices, by the event that paid them.
CREATE TABLE invoices (
    programme  TEXT NOT NULL,
    seq        {int} NOT NULL,
    award_id   {uuid} NOT NULL,
    provider   TEXT NOT NULL,
    reference  TEXT NOT NULL,
    amount     {int} NOT NULL,
    refunded   {int} NOT NULL,
    PRIMARY KEY (programme, seq),
    CHECK (amount > 0 AND refunded >= 0 AND refunded <= amount)
) {strict};
CREATE INDEX invoices_of_award ON invoices (award_id, seq);
-- A provider's invoice is paid once, in any programme, until all of it has been refunded.
CREATE UNIQUE INDEX one_payment_an_invoice ON invoices (provider, reference) WHERE refunded < amount;
";

const APPEND_ONLY_SQLITE: &str = "
CREATE TRIGGER entries_are_not_replaced BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE programme = NEW.programme AND seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_are_not_updated BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
";

const APPEND_ONLY_POSTGRES: &str = "
-- Each of these foreign keys costs PostgreSQL a query for each row: a third of the work of writing a large batch. Only the
-- writer adds such rows, under the lock of their programme, and verify proves every row.
ALTER TABLE events DROP CONSTRAINT events_programme_fkey;
ALTER TABLE texts DROP CONSTRAINT texts_programme_seq_fkey;
-- Pages of rows that are updated often keep free space: a new version of a row on the same page needs no new entry in any
-- index. An award updates the version of its offer and the balances of its accounts.
ALTER TABLE offers SET (fillfactor = 50);
ALTER TABLE accounts SET (fillfactor = 80);

CREATE TRIGGER entries_are_not_changed BEFORE UPDATE OR DELETE ON entries
FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER entries_are_not_truncated BEFORE TRUNCATE ON entries
FOR EACH STATEMENT EXECUTE FUNCTION append_only();
";
