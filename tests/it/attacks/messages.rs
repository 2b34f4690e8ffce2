//! Messages that are too long, compressed, truncated, duplicated or random.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use prost::bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint};
use tokio::net::TcpStream;
use tonic::{Code, Request, Status};
use tsio::proto::NoteOfferRequest;

use super::{assert_unharmed, noise, random, random_phase};
use crate::authentication::{as_role, call, methods, refusal_of};
use crate::client::{Client, YEAR, fresh};
use crate::harness::{Db, Server, both, run_within};
use crate::metrics::Scrape;

/// The roles of the caller.
const ALL_ROLES: &str = "case-officer,delivery-partner,regional-director,finance,finance-approver,administrator";
const MIB: usize = 1024 * 1024;

/// A request with these bytes, by a caller with every role.
fn request_of(bytes: Vec<u8>) -> Request<Bytes> {
    as_role(ALL_ROLES, None, ()).map(|_| Bytes::from(bytes))
}

/// A field that no message has.
fn unknown_field(size: usize) -> Vec<u8> {
    let mut message = Vec::new();
    encode_key(15_000, WireType::LengthDelimited, &mut message);
    encode_varint(size as u64, &mut message);
    message.resize(message.len() + size, 0);
    message
}

async fn a_message_of_five_mebibytes_is_refused_by_every_method(db: Db) {
    let server = Server::start(&db);
    for (method, _) in methods() {
        // One connection for each call: the rest of a refused message may break it.
        let channel = Client::of(&server).await.channel();
        let status = call(&channel, &method, request_of(unknown_field(5 * MIB))).await.unwrap_err();
        // An upload reports a message that it cannot read as a violation of a field.
        let expected = if method.contains("/Import") { "FIELD_VIOLATIONS" } else { "MESSAGE_TOO_LARGE" };
        assert_eq!(refusal_of(&status), (Code::InvalidArgument, expected.to_owned()), "{method}: {status}");
    }
    // A large message below the limit is read.
    let channel = Client::of(&server).await.channel();
    call(&channel, "FundService/ListFunds", request_of(unknown_field(3 * MIB))).await.unwrap();
    assert_unharmed(&server).await;
}

/// Calls a method with exactly these bytes as its body, including the framing. Returns the status of the call.
async fn post(address: SocketAddr, method: &str, encoding: Option<&str>, body: Vec<u8>) -> Status {
    send(address, method, encoding, body, true).await
}

/// Does the same as [`post`], but does not end the body.
async fn post_unfinished(address: SocketAddr, method: &'static str, body: Vec<u8>) -> Status {
    send(address, method, None, body, false).await
}

async fn send(address: SocketAddr, method: &str, encoding: Option<&str>, body: Vec<u8>, ends_body: bool) -> Status {
    let (client, connection) = h2::client::handshake(TcpStream::connect(address).await.unwrap()).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = headers(address, method);
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let mut client = client.ready().await.unwrap();
    let (answer, mut upload) = client.send_request(request.body(()).unwrap(), false).unwrap();
    // Fails if the server has answered the headers already; the caller checks that answer.
    let _ = upload.send_data(body.into(), ends_body);
    let answer = answer.await.unwrap();
    let status = Status::from_header_map(answer.headers()).expect("a refusal is in the headers");
    drop((client, upload, answer));
    connection.abort();
    status
}

/// The headers of a call by a caller with every role.
fn headers(address: SocketAddr, method: &str) -> http::request::Builder {
    http::Request::post(format!("http://{address}/tsio.v1.{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-tsio-actor", "ann")
        .header("x-tsio-roles", ALL_ROLES)
}

/// A gRPC frame: the compression flag, the length that it states, and the message.
fn framed(flag: u8, length: usize, message: &[u8]) -> Vec<u8> {
    [&[flag], &u32::try_from(length).unwrap().to_be_bytes()[..], message].concat()
}

async fn a_compressed_truncated_or_duplicated_message_is_refused(db: Db) {
    let server = Server::start(&db);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut bomb, &vec![0; 64 * MIB]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < MIB, "it is small until it is decompressed");
    let malformed = (Code::InvalidArgument, "MESSAGE_MALFORMED");
    let rows = [
        ("a bomb", Some("gzip"), framed(1, bomb.len(), &bomb), (Code::Unimplemented, "NOT_IMPLEMENTED")),
        ("an unknown compression", Some("zstd"), framed(1, 3, b"abc"), (Code::Unimplemented, "NOT_IMPLEMENTED")),
        ("compressed without an encoding", None, framed(1, bomb.len(), &bomb), malformed),
        ("a flag that does not exist", None, framed(7, 0, b""), malformed),
        ("longer than it says", None, framed(0, 2, &[8, 1, 8, 1]), malformed),
        ("shorter than it says", None, framed(0, 100, &[8, 1]), malformed),
        (
            "four gigabytes, it says",
            None,
            framed(0, u32::MAX as usize, &[8, 1]),
            (Code::InvalidArgument, "MESSAGE_TOO_LARGE"),
        ),
        ("no message", None, Vec::new(), malformed),
        ("half a frame", None, vec![0, 0], malformed),
        ("a text that is not UTF-8", None, framed(0, 4, &[10, 2, 0xff, 0xfe]), malformed),
        ("a group that never ends", None, framed(0, 2, &[0x0b, 0x0b]), malformed),
    ];
    for (what, encoding, body, (code, reason)) in rows {
        for method in ["FundService/ListFunds", "OfferService/NoteOffer", "OfferService/WatchOffers"] {
            let status = post(server.address(), method, encoding, body.clone()).await;
            assert_eq!(refusal_of(&status), (code, reason.to_owned()), "{what}, {method}: {status}");
        }
    }
    assert_unharmed(&server).await;
}

/// A call of an authenticated caller that never finishes its message is ended after a time limit.
async fn an_unfinished_message_times_out(db: Db) {
    let server = Server::start(&db);
    let body = |size: usize| framed(0, size, &[8]);
    let waiting = [
        ("FundService/ListFunds", body(100)),
        ("OfferService/WatchOffers", body(9)),
        ("OfferService/NoteOffer", vec![]),
    ]
    .map(|(method, start)| tokio::spawn(post_unfinished(server.address(), method, start)));
    assert_unharmed(&server).await;
    for it in waiting {
        let status = it.await.unwrap();
        assert_eq!(refusal_of(&status), (Code::DeadlineExceeded, "MESSAGE_TOO_SLOW".to_owned()), "{status}");
    }
}

/// The client gets no status, because its stream is reset. The metrics count the call under its status code.
async fn a_reset_stream_is_counted_as_a_failed_call(db: Db) {
    let server = Server::start_with(&db, &["--metrics-listen", "127.0.0.1:0"]);
    let rows =
        [("CALL_BROKEN_OFF", h2::Reason::CANCEL, "ABORTED"), ("TRANSPORT", h2::Reason::HTTP_1_1_REQUIRED, "UNKNOWN")];
    for (reason, reset, code) in rows {
        let socket = TcpStream::connect(server.address()).await.unwrap();
        let (client, connection) = h2::client::handshake(socket).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let head = headers(server.address(), "OfferService/NoteOffer").body(()).unwrap();
        let (answer, mut upload) = client.send_request(head, false).unwrap();
        upload.send_data(framed(0, 100, &[8]).into(), false).unwrap();
        Scrape::wait_until(&server, |it| it.value("tsio_grpc_server_in_flight") == 1.0).await;
        upload.send_reset(reset);
        let failed = format!(
            "tsio_grpc_server_handled_total{{grpc_code=\"{code}\",grpc_method=\"NoteOffer\",grpc_service=\"tsio.v1.OfferService\"}}"
        );
        let scrape = Scrape::wait_until(&server, |it| it.value("tsio_grpc_server_in_flight") == 0.0).await;
        assert_eq!(scrape.value(&failed), 1.0, "{reason}: {}", scrape.0);
        assert!(answer.await.is_err(), "{reason}: the client gets an answer");
        drop((client, upload));
        connection.abort();
    }
    assert_unharmed(&server).await;
}

/// A random message that looks plausible: fields with low numbers, often with plausible values.
fn plausible(random: &mut fastrand::Rng, depth: usize) -> Vec<u8> {
    let mut message = Vec::new();
    for _ in 0..random.usize(..8) {
        let number = random.u32(1..14);
        match random.u8(..6) {
            0 => {
                encode_key(number, WireType::Varint, &mut message);
                let small = random.u64(..4);
                let any = random.u64(..);
                encode_varint(*random.choice([small, any, 0, i64::MAX as u64, u64::MAX].iter()).unwrap(), &mut message);
            }
            1 => {
                encode_key(number, WireType::ThirtyTwoBit, &mut message);
                message.extend(random.u32(..).to_le_bytes());
            }
            kind => {
                encode_key(number, WireType::LengthDelimited, &mut message);
                let texts = [
                    YEAR.to_owned(),
                    fresh(),
                    "2021-09-01".to_owned(),
                    "nle".to_owned(),
                    "£1,000\u{0}'; --".to_owned(),
                    "é".repeat(random.usize(..3_000)),
                ];
                let content = match kind {
                    2 if depth > 0 => plausible(random, depth - 1),
                    3 => noise(random, 40),
                    _ => random.choice(texts.iter()).unwrap().clone().into_bytes(),
                };
                encode_varint(content.len() as u64, &mut message);
                message.extend(content);
            }
        }
    }
    message
}

async fn no_message_makes_an_internal_error(db: Db) {
    let server = Server::start(&db);
    let channel = Client::of(&server).await.channel();
    let (mut random, methods) = (random(), methods());
    let (started, mut refused) = (Instant::now(), 0_u64);
    while started.elapsed() < random_phase() || refused == 0 {
        for (method, _) in &methods {
            let message = if random.u8(..4) == 0 { noise(&mut random, 200) } else { plausible(&mut random, 3) };
            let mut request = request_of(message.clone());
            // A watch that starts does not end by itself.
            request.set_timeout(Duration::from_millis(500));
            let Err(status) = call(&channel, method, request).await else { continue };
            assert!(
                !matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss),
                "{method}: {status}: {message:?}"
            );
            refused += 1;
        }
    }
    assert_unharmed(&server).await;
}

fn note(text: String) -> NoteOfferRequest {
    NoteOfferRequest { request_id: fresh(), offer: fresh(), text, ..Default::default() }
}

/// Control characters, also of the writing direction, are a field violation. Other texts are taken literally. The log
/// repeats neither.
async fn special_characters_in_a_text_have_no_effect(db: Db) {
    let server = Server::start(&db);
    let channel = Client::of(&server).await.channel();
    let texts = ["'; DROP TABLE offers; --", "$(reboot)", "%00", "\u{202e}gnp", "\u{1b}]0;x\u{7}", "{{7*7}}"];
    for text in texts {
        let request = as_role("case-officer", None, note(text.to_owned()));
        let status = call(&channel, "OfferService/NoteOffer", request).await.unwrap_err();
        let has_control = text.contains(['\u{202e}', '\u{1b}']);
        let expected = if has_control { Code::InvalidArgument } else { Code::NotFound };
        assert_eq!(status.code(), expected, "{status}");
        assert!(!server.stderr().contains(text), "{text}");
    }
    assert_unharmed(&server).await;
}

/// The random test with its own time limit: `TSIO_ATTACK_SECONDS` may make it run for minutes.
mod minutes {
    use super::*;

    #[test]
    fn no_message_makes_an_internal_error_on_sqlite() {
        run_within(random_phase() + Duration::from_secs(120), no_message_makes_an_internal_error(Db::sqlite()));
    }

    #[test]
    fn no_message_makes_an_internal_error_on_postgres() {
        run_within(random_phase() + Duration::from_secs(120), no_message_makes_an_internal_error(Db::postgres()));
    }
}

both!(
    a_reset_stream_is_counted_as_a_failed_call,
    an_unfinished_message_times_out,
    a_message_of_five_mebibytes_is_refused_by_every_method,
    a_compressed_truncated_or_duplicated_message_is_refused,
    special_characters_in_a_text_have_no_effect,
);
