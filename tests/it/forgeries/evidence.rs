//! An event cites an event of the register's record, and depends on the files that counted at that moment.
//! `tsio verify` names forged citations.

use super::forger::Forger;
use super::is_careless;
use crate::client::YEAR;
use crate::harness::{Db, Server, both};
use crate::raw_sql::{verified_heads, verify};
use crate::samples::{
    AUGUST, REGISTER_AUGUST, SEPTEMBER, as_person, identify, import, import_all, run_filed, run_ok, text,
};

both!(a_citation_of_another_event_is_named);

/// A name, the forgery, a word in the body of the forged event, and the expected report.
type Citation = (&'static str, fn(&Forger) -> Vec<String>, &'static str, &'static str);

/// SQL that makes every citation of one event of the register's record cite another.
fn cite(from: i64, to: i64) -> Vec<String> {
    let (from, to) = (format!("\"register_seq\":{from}}}"), format!("\"register_seq\":{to}}}"));
    vec![format!("UPDATE events SET body = REPLACE(body, '{from}', '{to}') WHERE programme = '{YEAR}'")]
}

/// In the register's record, events 2 to 5 are the four register files, 6 is August and 7 is September. Event 10
/// withdraws September.
const CITATIONS: [Citation; 4] = [
    ("September before it landed", |_| cite(7, 6), "E1_RI_IN_YEAR", "rule E1_RI_IN_YEAR, which no row"),
    ("September once it was withdrawn", |_| cite(7, 10), "E1_RI_IN_YEAR", "rule E1_RI_IN_YEAR, which no row"),
    ("August before it landed", |_| cite(6, 5), "E2_RI_TWICE_ON_ENTRY", "rule E2_RI_TWICE_ON_ENTRY, which no row"),
    ("the trusts before they landed", |_| cite(6, 1), "\"mat\"", "is not in the register"),
];

async fn a_citation_of_another_event_is_named(db: Db) {
    let mut server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST]);
    identify(&server);
    let september = text(&import(&server, SEPTEMBER), "import_id");
    identify(&server);
    let ask = as_person("ann", "administrator", &["import", "withdraw", &september, "--reason", "a draft"]);
    let approval = text(&run_filed(&server, &ask), "approval");
    run_ok(&server, &as_person("bob", "administrator", &["approvals", "give", &approval]));
    server.stop();
    verified_heads(&db);
    for (name, forge, word, rule) in CITATIONS {
        let restore = db.backup();
        let mut forger = Forger::of(&db).await;
        let first = format!(
            "SELECT MIN(seq) FROM events WHERE programme = '{YEAR}' AND kind = 'identified' AND body LIKE '%{word}%'"
        );
        let seq = forger.number(&first).await;
        forger.forge(forge).await;
        forger.end().await;
        let (code, reports) = verify(&db, &["--programme", YEAR]);
        assert_eq!(code, 1, "{name}: it is not noticed");
        let differences = reports[0]["differences"].as_array().unwrap();
        let differences: Vec<&str> = differences.iter().map(|it| it.as_str().unwrap()).collect();
        let named = |it: &&str| it.starts_with(&format!("event {seq}: ")) && it.contains(rule);
        assert!(differences.iter().any(named), "{name}: event {seq}: {rule} is not in {differences:#?}");
        let careless: Vec<_> = differences.iter().filter(|it| is_careless(it)).collect();
        assert!(careless.is_empty(), "{name}: {careless:#?}");
        restore();
    }
    verified_heads(&db);
}
