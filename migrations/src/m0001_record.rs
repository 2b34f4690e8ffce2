//! Creates the tables of programmes, their events, and the current state that is folded from the events.

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
-- The terms of each programme, as they were loaded. A stored text is never changed.
CREATE TABLE terms (
    programme   TEXT NOT NULL PRIMARY KEY,
    text        TEXT NOT NULL,
    sha256      {bytes} NOT NULL,
    loaded_by   TEXT NOT NULL,
    loaded_at   {int} NOT NULL
) {strict};

-- One row for each programme, with the head of its record. Every change of the programme locks this row first.
CREATE TABLE books (
    programme   TEXT NOT NULL PRIMARY KEY REFERENCES terms (programme),
    next_seq    {int} NOT NULL CHECK (next_seq >= 1),
    head        {bytes} NOT NULL,
    open        {bool} NOT NULL
) {strict};

-- The record: append-only, numbered without gaps. The hash of each row covers the hash of the previous row.
CREATE TABLE events (
    programme    TEXT NOT NULL REFERENCES books (programme),
    seq          {int} NOT NULL,
    kind         TEXT NOT NULL,
    offer_id     {uuid},
    actor        TEXT NOT NULL,
    request_id   {uuid} NOT NULL,
    effective_on {date} NOT NULL,
    recorded_at  {int} NOT NULL,
    reason_code  TEXT,
    text_hash    {bytes},
    body         TEXT NOT NULL,
    hash         {bytes} NOT NULL,
    PRIMARY KEY (programme, seq)
) {strict};
CREATE INDEX events_of_offer ON events (offer_id, seq);

-- Free text of events, stored separately so that it can be erased. The record has only its salted hash.
CREATE TABLE texts (
    programme   TEXT NOT NULL,
    seq         {int} NOT NULL,
    salt        {bytes} NOT NULL,
    text        TEXT NOT NULL,
    PRIMARY KEY (programme, seq),
    FOREIGN KEY (programme, seq) REFERENCES events (programme, seq)
) {strict};

-- The answer to the first success of every mutation, by caller and request id. A repeated request gets it again, for ever.
CREATE TABLE requests (
    actor       TEXT NOT NULL,
    request_id  {uuid} NOT NULL,
    rpc         TEXT NOT NULL,
    fingerprint {bytes} NOT NULL,
    answer      {bytes} NOT NULL,
    recorded_at {int} NOT NULL,
    PRIMARY KEY (actor, request_id)
) {strict};

CREATE TABLE offers (
    id             {uuid} NOT NULL PRIMARY KEY,
    programme      TEXT NOT NULL REFERENCES books (programme),
    recipient_kind TEXT NOT NULL,
    recipient      {int} NOT NULL,
    name           TEXT NOT NULL,
    region         TEXT NOT NULL,
    state          TEXT NOT NULL,
    assignee       TEXT,
    outcome        TEXT,
    before_close   TEXT,
    accepted_by    TEXT,
    accepted_on    {date},
    trust_uid      {int},
    responsible    TEXT NOT NULL,
    terms_sha256   {bytes} NOT NULL,
    search         TEXT NOT NULL,
    version        {int} NOT NULL,
    made_at        {int} NOT NULL,
    CHECK (recipient_kind IN ('standalone', 'mat')),
    CHECK (state IN ('identified', 'contacted', 'accepted', 'delivering', 'closed')),
    CHECK ((state = 'closed') = (outcome IS NOT NULL))
) {strict};
-- A recipient has at most one offer in a programme, open or closed.
CREATE UNIQUE INDEX one_offer_a_recipient ON offers (programme, recipient_kind, recipient);
CREATE INDEX offers_by_region_and_state ON offers (programme, region, state, id);
CREATE INDEX offers_by_assignee ON offers (programme, assignee, id);

CREATE TABLE offer_schools (
    offer_id    {uuid} NOT NULL REFERENCES offers (id),
    urn         {int} NOT NULL,
    programme   TEXT NOT NULL,
    name        TEXT NOT NULL,
    rules       TEXT NOT NULL,
    open        {bool} NOT NULL,
    PRIMARY KEY (offer_id, urn)
) {strict};
-- A school is on at most one open offer of a programme.
CREATE UNIQUE INDEX one_open_offer_a_school ON offer_schools (programme, urn) WHERE open = {true};

CREATE TABLE contacts (
    programme    TEXT NOT NULL,
    seq          {int} NOT NULL,
    offer_id     {uuid} NOT NULL REFERENCES offers (id),
    party        TEXT NOT NULL,
    urn          {int},
    happened_on  {date} NOT NULL,
    corrected_by {int},
    PRIMARY KEY (programme, seq),
    CHECK (party IN ('responsible_body', 'school'))
) {strict};
CREATE INDEX contacts_of_offer ON contacts (offer_id, seq);

-- Schools placed by a person, because the register does not place them.
CREATE TABLE placements (
    programme   TEXT NOT NULL REFERENCES books (programme),
    urn         {int} NOT NULL,
    kind        TEXT NOT NULL,
    uid         {int},
    seq         {int} NOT NULL,
    PRIMARY KEY (programme, urn)
) {strict};

-- Actions that wait for a second person, or were answered by one. Without a programme, they are about reference data.
CREATE TABLE approvals (
    id           {uuid} NOT NULL PRIMARY KEY,
    programme    TEXT,
    action       TEXT NOT NULL,
    subject      {uuid} NOT NULL,
    opened_seq   {int},
    reason       TEXT,
    state        TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_at {int} NOT NULL,
    given_by     TEXT,
    CHECK (state IN ('open', 'carried_out')),
    CHECK (given_by IS NULL OR given_by <> requested_by),
    CHECK ((programme IS NULL) = (opened_seq IS NULL))
) {strict};
CREATE INDEX approvals_of_subject ON approvals (subject);
";

const APPEND_ONLY_SQLITE: &str = "
CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE programme = NEW.programme AND seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_not_updated BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
";

const APPEND_ONLY_POSTGRES: &str = "
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;
CREATE TRIGGER events_are_not_changed BEFORE UPDATE OR DELETE ON events
FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION append_only();
";
