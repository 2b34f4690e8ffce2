//! The log of calls shows who called, from where, and under which ids. It contains no text that people write.

use serde_json::Value;
use tsio::proto::{NoteOfferRequest, NoteOfferResponse};

use crate::client::{Client, YEAR, fresh};
use crate::harness::{Db, Server, both};
use crate::raw_sql::RawSql;

both!(a_failed_call_is_one_line_in_the_log, a_command_that_cannot_be_written_is_logged);

/// The trace id that the caller sends.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// The text of a note, which must not be logged.
const SECRET: &str = "Mrs Miggins telephoned";

/// Writes a note with a trace id, as a caller with these roles.
async fn note(client: &Client, offer: &str, id: &str, roles: &str) -> Result<NoteOfferResponse, tonic::Status> {
    let note = NoteOfferRequest {
        request_id: id.to_owned(),
        offer: offer.to_owned(),
        text: SECRET.to_owned(),
        ..Default::default()
    };
    let mut request = client.ask(note);
    request.metadata_mut().insert("x-tsio-roles", roles.parse().unwrap());
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01").parse().unwrap());
    client.offers().note_offer(request).await.map(tonic::Response::into_inner)
}

/// The log lines of the call with this request id.
fn lines_of(log: &str, id: &str) -> Vec<Value> {
    // The log's line about development mode is not JSON, and is skipped.
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|it| it["span"]["request_id"] == *id || it["fields"]["request_id"] == *id).collect()
}

async fn a_failed_call_is_one_line_in_the_log(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let absent_offer = uuid::Uuid::nil().to_string();
    let (done, missing, denied) = (fresh(), fresh(), fresh());
    note(&client, &offers[0].offer, &done, "case-officer").await.unwrap();
    note(&client, &absent_offer, &missing, "case-officer,finance").await.unwrap_err();
    note(&client, &offers[0].offer, &denied, "finance").await.unwrap_err();
    server.stop();
    let log = server.stderr();
    assert!(!log.contains("Miggins"), "{log}");
    assert_eq!(lines_of(&log, &done), Vec::<Value>::new(), "a successful call is logged only at debug level");

    let [line] = &lines_of(&log, &missing)[..] else { panic!("{log}") };
    let (fields, span) = (&line["fields"], &line["span"]);
    assert_eq!(
        (&line["level"], &fields["message"], &fields["code"]),
        (&"INFO".into(), &"ended".into(), &"NOT_FOUND".into())
    );
    assert!(fields["took_us"].as_u64().unwrap() > 0, "{line}");
    for (field, expected) in [
        ("rpc", "OfferService/NoteOffer"),
        ("actor", "officer"),
        ("roles", "case-officer,finance"),
        ("trace_id", TRACE),
        ("why", &format!("offer {absent_offer} does not exist")),
    ] {
        assert_eq!(span[field], expected, "{field}: {line}");
    }
    assert!(span["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");

    // This call was denied before its message was decoded. The security log has a line about it too.
    let [denial, ended] = &lines_of(&log, &denied)[..] else { panic!("{log}") };
    assert_eq!((&denial["target"], &denial["span"]["trace_id"]), (&"tsio::security".into(), &TRACE.into()));
    assert_eq!((&ended["fields"]["code"], &ended["span"]["trace_id"]), (&"PERMISSION_DENIED".into(), &TRACE.into()));
}

async fn a_command_that_cannot_be_written_is_logged(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let mut raw_sql = RawSql::of(&db).await;
    let failing_trigger = match raw_sql {
        RawSql::Sqlite(_) => {
            "CREATE TRIGGER cursed BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no'); END".to_owned()
        }
        RawSql::Postgres(_) => "CREATE FUNCTION curse() RETURNS trigger LANGUAGE plpgsql AS \
                              $$ BEGIN RAISE EXCEPTION 'no'; END $$; \
                              CREATE TRIGGER cursed BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION curse()"
            .to_owned(),
    };
    raw_sql.run(&failing_trigger).await.unwrap();
    let id = fresh();
    note(&client, &offers[0].offer, &id, "case-officer").await.unwrap_err();
    server.stop();
    let log = server.stderr();
    let lines = lines_of(&log, &id);
    let line_of =
        |message: &str| lines.iter().find(|it| it["fields"]["message"] == message).unwrap_or_else(|| panic!("{log}"));
    let written = line_of("a command cannot be written");
    assert_eq!((&written["level"], &written["span"]["trace_id"]), (&"ERROR".into(), &TRACE.into()));
    assert_eq!(written["fields"]["programme"], YEAR);
    assert_eq!(line_of("ended")["fields"]["code"], "INTERNAL");
}
