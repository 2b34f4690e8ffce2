//! Creates the tables of reference data: imports of GIAS and Ofsted files, the rows of every file, and tables for the search by name.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, TABLES).await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::IN_TRANSACTION
    }
}

const TABLES: &str = "
-- One row. Calls that land or withdraw an import lock it, and so does identify: neither sees a half-done change of the other.
CREATE TABLE register_lock (id {int} NOT NULL PRIMARY KEY CHECK (id = 1)) {strict};
INSERT INTO register_lock (id) VALUES (1);

-- Rows of an import count only while its state is 'landed'. No query shows 'staging' imports, which are being written, or
-- 'discarded' imports, which are being deleted. 'indexed': the search tables below have the current names of its rows.
CREATE TABLE imports (
    id           {uuid} NOT NULL PRIMARY KEY,
    kind         TEXT NOT NULL,
    as_at        {date} NOT NULL,
    state        TEXT NOT NULL,
    file_name    TEXT NOT NULL,
    sha256       {bytes} NOT NULL,
    rows         {int} NOT NULL,
    accepted     {int} NOT NULL,
    more_problems {int} NOT NULL,
    imported_by  TEXT NOT NULL,
    imported_at  {int} NOT NULL,
    withdrawn_by TEXT,
    withdrawn_reason TEXT,
    replaced_by  {uuid},
    indexed      {bool} NOT NULL,
    CHECK (kind IN ('groups', 'membership', 'links', 'establishments', 'ofsted')),
    CHECK (state IN ('staging', 'discarded', 'landed', 'replaced', 'withdrawn'))
) {strict};
-- A file with the same kind, date and content is the same import.
CREATE UNIQUE INDEX one_import_a_content ON imports (kind, as_at, sha256) WHERE state = 'landed';
CREATE INDEX imports_by_date ON imports (kind, as_at);

CREATE TABLE import_problems (
    import_id   {uuid} NOT NULL REFERENCES imports (id),
    ordinal     {int} NOT NULL,
    line        {int} NOT NULL,
    column_name TEXT NOT NULL,
    reason      TEXT NOT NULL,
    PRIMARY KEY (import_id, ordinal)
) {strict};

CREATE TABLE group_rows (
    import_id   {uuid} NOT NULL REFERENCES imports (id),
    uid         {int} NOT NULL,
    group_id    TEXT,
    name        TEXT NOT NULL,
    companies_house TEXT,
    kind        {int} NOT NULL,
    kind_name   TEXT NOT NULL,
    status      TEXT NOT NULL,
    opened_on   {date},
    closed_on   {date},
    PRIMARY KEY (import_id, uid)
) {strict};
CREATE INDEX group_rows_by_uid ON group_rows (uid);

CREATE TABLE membership_rows (
    import_id   {uuid} NOT NULL REFERENCES imports (id),
    urn         {int} NOT NULL,
    uid         {int} NOT NULL,
    group_name  TEXT NOT NULL,
    kind        {int} NOT NULL,
    kind_name   TEXT NOT NULL,
    status      TEXT NOT NULL,
    joined_on   {date},
    school_name TEXT NOT NULL,
    school_type TEXT NOT NULL,
    phase       TEXT NOT NULL,
    la_code     {int} NOT NULL,
    PRIMARY KEY (import_id, urn, uid)
) {strict};
CREATE INDEX membership_rows_by_urn ON membership_rows (urn);
CREATE INDEX membership_rows_by_uid ON membership_rows (uid);

CREATE TABLE link_rows (
    import_id   {uuid} NOT NULL REFERENCES imports (id),
    urn         {int} NOT NULL,
    link_urn    {int} NOT NULL,
    link_name   TEXT NOT NULL,
    link_type   TEXT NOT NULL,
    linked_on   {date},
    PRIMARY KEY (import_id, urn, link_urn, link_type)
) {strict};
CREATE INDEX link_rows_by_urn ON link_rows (urn);

CREATE TABLE establishment_rows (
    import_id   {uuid} NOT NULL REFERENCES imports (id),
    urn         {int} NOT NULL,
    la_code     {int} NOT NULL,
    laestab     {int},
    name        TEXT NOT NULL,
    school_type TEXT NOT NULL,
    type_group  TEXT NOT NULL,
    status      TEXT NOT NULL,
    opened_on   {date},
    closed_on   {date},
    phase       TEXT NOT NULL,
    diocese     TEXT,
    PRIMARY KEY (import_id, urn)
) {strict};
CREATE INDEX establishment_rows_by_urn ON establishment_rows (urn);

-- The row of a school in a monthly file: its latest judgement and the previous one.
CREATE TABLE ofsted_rows (
    import_id   {uuid} NOT NULL REFERENCES imports (id),
    urn         {int} NOT NULL,
    name        TEXT NOT NULL,
    laestab     {int} NOT NULL,
    school_type TEXT NOT NULL,
    phase       TEXT NOT NULL,
    opened_on   {date},
    trust_uid   {int},
    cur_number  TEXT,
    cur_urn     {int},
    cur_started {date},
    cur_ended   {date},
    cur_published {date},
    cur_grade   {int},
    prev_number TEXT,
    prev_urn    {int},
    prev_started {date},
    prev_ended  {date},
    prev_published {date},
    prev_grade  {int},
    PRIMARY KEY (import_id, urn)
) {strict};
CREATE INDEX ofsted_rows_by_urn ON ofsted_rows (urn, import_id);

-- For finding schools by name: every school that a landed file has, with its name in the newest of them in lower case.
-- Updated right after an import lands. Only the search reads it.
CREATE TABLE schools (
    urn         {int} NOT NULL PRIMARY KEY,
    search      TEXT NOT NULL
) {strict};
CREATE INDEX schools_by_name ON schools (search, urn);

-- The same for trusts: every MAT and SAT that a landed file of groups or of membership has.
CREATE TABLE trusts (
    uid         {int} NOT NULL PRIMARY KEY,
    search      TEXT NOT NULL
) {strict};
CREATE INDEX trusts_by_name ON trusts (search, uid);
";
