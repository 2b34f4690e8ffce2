//! Tests of texts that people write: a control character is refused, and a stored control character never reaches a terminal.

mod places;
mod shown;

use prost::Message as _;
use prost::bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tsio::proto::register_service_client::RegisterServiceClient;
use tsio::proto::{
    AssignOfferRequest, ImportHeader, ImportRegisterRequest, LoadTermsRequest, NoteOfferRequest, NoteOfferResponse,
};

use crate::authentication::{as_role, call};
use crate::client::{Client, fresh, reason};
use crate::harness::{Db, Server, both};
use crate::raw_sql::RawSql;
use crate::samples::path;

both!(
    no_field_of_any_method_takes_a_control_character,
    every_kind_of_unsafe_character_is_named,
    a_note_keeps_its_lines,
    a_body_of_an_earlier_version_is_still_answered,
    the_name_of_an_uploaded_file_is_checked,
    an_actor_is_printable,
);

/// All roles, so that every method may be called.
const ROLES: &str = "case-officer,delivery-partner,regional-director,finance,finance-approver,administrator,reader";

/// Returns the violations of a status: each field with its mistake.
pub(crate) fn violations(status: &Status) -> Vec<(String, String)> {
    let violations = status.get_details_bad_request().map(|it| it.field_violations).unwrap_or_default();
    violations.into_iter().map(|it| (it.field, it.description)).collect()
}

/// Sends a control character in every text field of every method. The fields come from the descriptor of the contract, so
/// the test also covers fields that are added later.
async fn no_field_of_any_method_takes_a_control_character(db: Db) {
    let server = Server::start(&db);
    let channel = Client::of(&server).await.channel();
    let places = places::texts("a\u{1b}[31mb");
    assert!(places.len() > 180, "the contract has only {} text fields", places.len());
    for (method, path, message) in places {
        let request = as_role(ROLES, None, ()).map(|_| Bytes::from(message));
        let status = call(&channel, &method, request).await.expect_err(&path);
        assert_eq!(status.code(), Code::InvalidArgument, "{method} {path}: {status:?}");
        let found = violations(&status).into_iter().find(|(field, what)| *field == path && what.contains("U+001B"));
        let (_, what) = found.unwrap_or_else(|| panic!("{method} {path}: {:?}", violations(&status)));
        assert!(what.contains("U+001B at character 2"), "{method} {path}: {what}");
        assert!(!status.message().contains('\u{1b}'), "{method} {path}: {status:?}");
    }
}

async fn every_kind_of_unsafe_character_is_named(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offer = client.seed().await[0].offer.clone();
    let unsafe_everywhere =
        ["\0", "\u{8}", "\r", "\u{7f}", "\u{85}", "\u{9b}", "\u{61c}", "\u{200f}", "\u{202e}", "\u{2069}"];
    let unsafe_everywhere = unsafe_everywhere.into_iter().chain(["\u{2028}", "\u{200b}", "\u{feff}", "\u{e0041}"]);
    for bad in unsafe_everywhere.clone().chain(["\n", "\t"]) {
        let named = format!("U+{:04X} at character 5", u32::from(bad.chars().next().unwrap()));
        let refused = client.assign(&offer, &format!("case{bad}7"), &fresh()).await.unwrap_err();
        assert_eq!(reason(&refused), "FIELD_VIOLATIONS");
        assert_eq!(violations(&refused)[0].0, "assignee");
        assert!(violations(&refused)[0].1.contains(&named), "{bad:?}: {:?}", violations(&refused));
    }
    for bad in unsafe_everywhere {
        let named = format!("U+{:04X} at character 3 of line 2", u32::from(bad.chars().next().unwrap()));
        let refused = client.note(&offer, &format!("one\nto{bad}x"), &fresh()).await.unwrap_err();
        assert_eq!(violations(&refused)[0].0, "text");
        assert!(violations(&refused)[0].1.contains(&named), "{bad:?}: {:?}", violations(&refused));
    }
    // One refusal names all wrong fields. No event was recorded.
    let refused = client.note("x", "a\u{7}", &fresh()).await.unwrap_err();
    let fields: Vec<String> = violations(&refused).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["text", "offer"]);
    assert!(client.events(&offer).await.iter().all(|it| it.kind != "noted" && it.kind != "assigned"));
}

async fn a_note_keeps_its_lines(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offer = client.seed().await[0].offer.clone();
    let id = fresh();
    let first = client.note(&offer, " one\r\n\ttwo – “three”\n\r\nfour ", &id).await.unwrap();
    let texts: Vec<String> = client.events(&offer).await.into_iter().map(|it| it.text).collect();
    assert_eq!(texts.last().map(String::as_str), Some("one\n\ttwo – “three”\n\nfour"));
    // The request id belongs to the body that was sent, before line ends are changed and blanks removed.
    let again = client.note(&offer, " one\r\n\ttwo – “three”\n\r\nfour ", &id).await.unwrap();
    assert_eq!(again.encode_to_vec(), first.encode_to_vec());
    let other = client.note(&offer, " one\n\ttwo – “three”\n\nfour ", &id).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
}

/// A repeated request that an earlier version accepted gets its stored answer, although this version refuses such a text.
async fn a_body_of_an_earlier_version_is_still_answered(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offer = client.seed().await[0].offer.clone();
    let id = fresh();
    let stored = client.note(&offer, "bell", &id).await.unwrap();
    let (request_id, text) = (id.clone(), "bell\u{7}".to_owned());
    let old = NoteOfferRequest { request_id, offer: offer.clone(), text, ..Default::default() };
    set_stored_body(&db, "OfferService/NoteOffer", &id, &old).await;
    let offers = || client.offers();
    let again: NoteOfferResponse = offers().note_offer(client.ask(old.clone())).await.unwrap().into_inner();
    assert_eq!(again.encode_to_vec(), stored.encode_to_vec());
    assert_eq!(client.times_recorded(&offer, &id).await, 1);
    // With another body, request id or caller, or as a preview, it is a new request, whose text is checked.
    let others = [
        NoteOfferRequest { text: "bells\u{7}".to_owned(), ..old.clone() },
        NoteOfferRequest { request_id: fresh(), ..old.clone() },
        NoteOfferRequest { validate_only: true, ..old.clone() },
    ];
    for other in others {
        let refused = offers().note_offer(client.ask(other)).await.unwrap_err();
        assert_eq!(violations(&refused)[0].0, "text");
    }
    let refused = offers().note_offer(client.named("another").ask(old.clone())).await.unwrap_err();
    assert_eq!(violations(&refused)[0].0, "text");
    // A caller who may no longer see the offer does not get the stored answer.
    let region = client.offer(&offer).await.region;
    let other = if region == "West Midlands" { "North of England" } else { "West Midlands" };
    let mut elsewhere = client.ask(old);
    elsewhere.metadata_mut().insert("x-tsio-roles", "case-officer".parse().unwrap());
    elsewhere.metadata_mut().insert("x-tsio-regions", other.parse().unwrap());
    assert_eq!(offers().note_offer(elsewhere).await.unwrap_err().code(), Code::NotFound);

    // The same rules apply to loading terms, which no worker of a programme carries out.
    let terms = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/terms/2021-22.toml")).unwrap();
    let load = LoadTermsRequest { request_id: fresh(), text: terms, ..Default::default() };
    let mut service = tsio::proto::terms_service_client::TermsServiceClient::new(client.channel());
    let stored = service.load_terms(client.ask(load.clone())).await.unwrap().into_inner();
    let old = LoadTermsRequest { file_name: "year\u{202e}.toml".to_owned(), ..load };
    set_stored_body(&db, "TermsService/LoadTerms", &old.request_id, &old).await;
    let again = service.load_terms(client.ask(old.clone())).await.unwrap().into_inner();
    assert_eq!(again.encode_to_vec(), stored.encode_to_vec());
    let new = LoadTermsRequest { request_id: fresh(), ..old };
    assert_eq!(violations(&service.load_terms(client.ask(new)).await.unwrap_err())[0].0, "file_name");
}

/// An upload with a used request id is compared with the stored request before its file name is checked.
async fn the_name_of_an_uploaded_file_is_checked(db: Db) {
    use tsio::proto::import_register_request::Part;
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let upload = async |id: &str, file_name: &str| {
        let bytes = std::fs::read(path("gias_groups_2021-08.csv")).unwrap();
        let (request_id, file_name, as_at) = (id.to_owned(), file_name.to_owned(), "2021-08-31".to_owned());
        let header = ImportHeader { request_id, file_name, as_at, ..Default::default() };
        let parts = [Part::Header(header), Part::Chunk(bytes)].map(|part| ImportRegisterRequest { part: Some(part) });
        let mut service = RegisterServiceClient::new(client.channel());
        let mut answers = service.import_register(client.ask(tokio_stream::iter(parts))).await?.into_inner();
        while answers.message().await?.is_some() {}
        Ok::<(), Status>(())
    };
    let id = fresh();
    upload(&id, "groups.csv").await.unwrap();
    assert_eq!(reason(&upload(&id, "groups\u{7}.csv").await.unwrap_err()), "REQUEST_ID_REUSED");
    let refused = upload(&fresh(), "groups\u{7}.csv").await.unwrap_err();
    let expected =
        "must have no control characters, line breaks, tabs or invisible characters; got U+0007 at character 7";
    assert_eq!(violations(&refused), [("header.file_name".to_owned(), expected.to_owned())]);
}

/// Changes the fingerprint of a stored request to the fingerprint of this body, as if an earlier version had accepted it.
pub(crate) async fn set_stored_body(db: &Db, rpc: &str, id: &str, body: &impl prost::Message) {
    let mut hash = Sha256::new();
    hash.update(rpc);
    hash.update([0]);
    hash.update(body.encode_to_vec());
    let hex: String = hash.finalize().iter().map(|it| format!("{it:02x}")).collect();
    let bytes = if db.is_postgres() { format!("'\\x{hex}'") } else { format!("X'{hex}'") };
    let mut raw_sql = RawSql::of(db).await;
    let id = raw_sql.id(id);
    raw_sql.run(&format!("UPDATE requests SET fingerprint = {bytes} WHERE request_id = {id}")).await.unwrap();
    let changed = format!("SELECT count(*) FROM requests WHERE request_id = {id} AND fingerprint = {bytes}");
    assert_eq!(raw_sql.number(&changed).await, 1);
}

/// In development mode, callers name themselves in headers. The refusal of a bad character names it and its position.
async fn an_actor_is_printable(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let rows = [
        ("x-tsio-actor", "case\u{202e}7", "U+202E at character 5"),
        ("x-tsio-actor", "case\u{9b}7", "U+009B at character 5"),
        ("x-tsio-actor", "case\t7", "U+0009 at character 5"),
        ("x-tsio-actor", "café", "U+00E9 at character 4"),
        ("x-tsio-roles", "reader\u{200b}", "U+200B at character 7"),
        ("x-tsio-regions", "London\u{2028}", "U+2028 at character 7"),
    ];
    for (name, value, expected) in rows {
        let body = AssignOfferRequest { request_id: fresh(), ..Default::default() };
        let mut request = client.ask(body);
        let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        let mut headers = std::mem::take(request.metadata_mut()).into_headers();
        headers.insert(http::HeaderName::from_static(name), value);
        *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
        let refused = client.offers().assign_offer(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "CALLER_MALFORMED"));
        assert!(refused.message().contains(name) && refused.message().contains(expected), "{name}: {refused:?}");
    }
}
