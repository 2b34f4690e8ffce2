//! What the service asks of its sessions on PostgreSQL, as the sessions themselves see it.

use crate::client::Client;
use crate::harness::{Db, Server, run};
use crate::raw_sql::Past;

/// A trigger that writes down a setting of each session that inserts into a table.
fn noted(table: &str) -> String {
    format!(
        "CREATE FUNCTION note_{table}() RETURNS trigger LANGUAGE plpgsql AS \
           $$ BEGIN INSERT INTO seen VALUES ('{table}', current_setting('jit')); RETURN NULL; END $$; \
         CREATE TRIGGER note AFTER INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION note_{table}()"
    )
}

/// Plans by key alone have costs beyond any bound, for scans are switched off: with JIT each would be compiled, which takes half a
/// second where the statement takes one millisecond.
#[test]
fn no_statement_of_a_writer_is_compiled() {
    run(async {
        let db = Db::postgres();
        let server = Server::start(&db);
        let mut past = Past::of(&db).await;
        past.run("CREATE TABLE seen (place text, jit text)").await.unwrap();
        for table in ["events", "imports"] {
            past.run(&noted(table)).await.unwrap();
        }
        Client::of(&server).await.seed().await;
        let seen = past.lines("SELECT DISTINCT place || ' ' || jit FROM seen ORDER BY 1").await;
        assert_eq!(seen, ["events off", "imports off"]);
    });
}
