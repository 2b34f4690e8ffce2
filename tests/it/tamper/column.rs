//! Reads the columns of a database, and makes SQL that changes a value of a column to another value of its type.

use crate::raw_sql::RawSql;

/// A column, as the database describes it.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) table: String,
    pub(super) name: String,
    kind: String,
    may_be_null: bool,
    /// The columns of the table's primary key.
    key: Vec<String>,
    is_postgres: bool,
}

/// One statement that changes one row.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) sql: String,
    /// A query that counts the rows that the statement could change.
    candidates: String,
}

const SQLITE: &str = "SELECT m.name || '|' || c.name || '|' || c.type || '|' || (c.\"notnull\" = 0) || '|' || \
    (SELECT GROUP_CONCAT(k.name) FROM pragma_table_info(m.name) k WHERE k.pk > 0) \
    FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' \
    ORDER BY m.name, c.cid";
const POSTGRES: &str = "SELECT c.relname || '|' || a.attname || '|' || format_type(a.atttypid, a.atttypmod) || '|' || \
    (NOT a.attnotnull)::int || '|' || (SELECT string_agg(k.attname, ',' ORDER BY k.attnum) FROM pg_index i \
    JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = ANY (i.indkey) WHERE i.indrelid = c.oid AND i.indisprimary) \
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY c.relname, a.attnum";

/// Reads every column of every table.
pub(super) async fn all(raw_sql: &mut RawSql) -> Vec<Column> {
    let is_postgres = matches!(raw_sql, RawSql::Postgres(_));
    let lines = raw_sql.lines(if is_postgres { POSTGRES } else { SQLITE }).await;
    let column = |line: &String| {
        let mut parts = line.split('|').map(ToOwned::to_owned);
        let mut next = || parts.next().unwrap_or_else(|| panic!("{line}"));
        let (table, name, kind) = (next(), next(), next().to_lowercase());
        let may_be_null = next() == "1";
        let key = next().split(',').map(ToOwned::to_owned).collect();
        Column { table, name, kind, may_be_null, key, is_postgres }
    };
    lines.iter().map(column).collect()
}

impl Column {
    /// Makes SQL for the changes to try: another value in the first, the last and a middle row that has a value. For a
    /// nullable column also NULL in the first row that has a value, and a value in the first row that has NULL.
    pub(super) fn changes(&self) -> Vec<Change> {
        let name = &self.name;
        let (has_value, is_null) = (format!("{name} IS NOT NULL"), format!("{name} IS NULL"));
        let mut changes: Vec<Change> = ["first", "last", "middle"]
            .iter()
            .map(|place| self.change(&self.another_value(), &has_value, place))
            .collect();
        if self.may_be_null {
            changes.push(self.change("NULL", &has_value, "first"));
            changes.push(self.change(self.constant(), &is_null, "first"));
        }
        changes
    }

    /// Makes SQL that changes one row, the first, last or middle one that meets `condition`: its column gets `value`.
    fn change(&self, value: &str, condition: &str, place: &str) -> Change {
        let Self { table, name, .. } = self;
        let condition = format!("{} AND {condition}", covered_rows(table));
        Change {
            sql: format!("UPDATE {table} SET {name} = {value} WHERE {}", row(table, &self.key, &condition, place)),
            candidates: format!("SELECT count(*) FROM {table} WHERE {condition}"),
        }
    }

    /// Returns an SQL expression for another value of the same type.
    fn another_value(&self) -> String {
        let name = &self.name;
        match (self.is_postgres, self.kind.as_str()) {
            (_, "bigint") => format!("{name} + 1"),
            (true, "text") => format!("{name} || 'x'"),
            (true, "boolean") => format!("NOT {name}"),
            (true, "date") => format!("{name} + 1"),
            (true, "uuid") => format!("md5({name}::text)::uuid"),
            (true, "bytea") => format!("set_byte({name}, 0, get_byte({name}, 0) # 1)"),
            (false, "integer") => format!("CASE {name} WHEN 0 THEN 1 WHEN 1 THEN 0 ELSE {name} + 1 END"),
            (false, "text") => {
                format!("CASE WHEN {name} GLOB '????-??-??' THEN DATE({name}, '+1 day') ELSE {name} || 'x' END")
            }
            (false, "blob") => format!(
                "CASE {name} WHEN ZEROBLOB(LENGTH({name})) THEN RANDOMBLOB(LENGTH({name})) ELSE ZEROBLOB(LENGTH({name})) END"
            ),
            other => panic!("{}.{name}: {other:?}", self.table),
        }
    }

    /// Returns an SQL constant of the type.
    fn constant(&self) -> &'static str {
        match (self.is_postgres, self.kind.as_str()) {
            (_, "bigint" | "integer") => "1",
            (_, "text") if self.name.ends_with("_on") => "'2021-10-01'",
            (_, "text") => "'x'",
            (_, "boolean") => "TRUE",
            (_, "date") => "'2021-10-01'",
            (_, "uuid") => "'01890a5d-ac96-774b-bcce-b302099a8057'",
            (true, _) => r"'\x01'",
            (false, _) => "X'01890A5DAC96774BBCCEB302099A8057'",
        }
    }
}

/// Returns a condition for the rows that verify compares with the record in every column. It does not compare rows of
/// `account_days` whose change is 0, and requests that have no event. Of a request that loads terms it compares only the actor
/// and the id: the only event of that request is `rules_adopted`, which the program also writes without a request.
fn covered_rows(table: &str) -> &'static str {
    match table {
        "account_days" => "change <> 0",
        "requests" => {
            "request_id IN (SELECT request_id FROM events WHERE kind <> 'rules_adopted' \
             UNION ALL SELECT request_id FROM register_events)"
        }
        _ => "1 = 1",
    }
}

/// Returns an SQL expression that selects one row by its key: the first, last or middle row that meets `condition`.
fn row(table: &str, key: &[String], condition: &str, place: &str) -> String {
    let keys = key.join(", ");
    let order = if place == "last" { key.join(" DESC, ") + " DESC" } else { keys.clone() };
    let offset = if place == "middle" {
        format!("(SELECT count(*) / 2 FROM {table} WHERE {condition})")
    } else {
        "0".to_owned()
    };
    format!("({keys}) = (SELECT {keys} FROM {table} WHERE {condition} ORDER BY {order} LIMIT 1 OFFSET {offset})")
}

impl Change {
    /// Makes SQL that deletes the last row of a table that verify compares.
    pub(super) fn delete_last_row(table: &str, columns: &[Column]) -> Self {
        let key = &columns.iter().find(|it| it.table == table).unwrap().key;
        let condition = covered_rows(table);
        Self {
            sql: format!("DELETE FROM {table} WHERE {}", row(table, key, condition, "last")),
            candidates: format!("SELECT count(*) FROM {table} WHERE {condition}"),
        }
    }

    /// Makes the change. Returns false if no row meets its condition, or another row already has the new key.
    pub(super) async fn apply(&self, raw_sql: &mut RawSql) -> bool {
        if raw_sql.number(&self.candidates).await == 0 {
            return false;
        }
        match raw_sql.run(&self.sql).await {
            Ok(()) => true,
            Err(error) => {
                assert!(error.to_lowercase().contains("unique"), "{}: {error}", self.sql);
                false
            }
        }
    }
}
