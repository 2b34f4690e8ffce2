//! The settings of the server's database sessions on PostgreSQL.

use crate::client::Client;
use crate::harness::{Db, Server, run};
use crate::raw_sql::RawSql;

/// SQL for a trigger that records the setting `jit` of each session that inserts into a table.
fn recording_trigger(table: &str) -> String {
    format!(
        "CREATE FUNCTION note_{table}() RETURNS trigger LANGUAGE plpgsql AS \
           $$ BEGIN INSERT INTO seen VALUES ('{table}', current_setting('jit')); RETURN NULL; END $$; \
         CREATE TRIGGER note AFTER INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION note_{table}()"
    )
}

/// The server's sessions disable sequential scans, so PostgreSQL estimates very high costs for some plans. It would
/// compile such a plan with JIT, which takes half a second for a statement of one millisecond.
#[test]
fn no_session_of_a_writer_uses_jit() {
    run(async {
        let db = Db::postgres();
        let server = Server::start(&db);
        let mut raw_sql = RawSql::of(&db).await;
        raw_sql.run("CREATE TABLE seen (place text, jit text)").await.unwrap();
        for table in ["events", "imports"] {
            raw_sql.run(&recording_trigger(table)).await.unwrap();
        }
        Client::of(&server).await.seed().await;
        let seen = raw_sql.lines("SELECT DISTINCT place || ' ' || jit FROM seen ORDER BY 1").await;
        assert_eq!(seen, ["events off", "imports off"]);
    });
}
