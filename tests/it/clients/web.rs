//! gRPC-Web over HTTP/1.1 as a browser sends it: off by default, authenticated like every call, and only for configured
//! origins.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost::bytes::Bytes;
use tonic::body::Body;
use tower::ServiceExt as _;
use tsio::proto::watch_offers_response::Update;
use tsio::proto::{GetOfferRequest, ListOffersRequest, WatchOffersRequest, WatchOffersResponse};

use super::MAX_WAIT;
use crate::authentication::issuer::{AUDIENCE, Guarded, ISSUER, SigningKey, claims, publish};
use crate::client::YEAR;
use crate::harness::{Db, Server, run};

/// The origin of the page that calls the server.
const PAGE: &str = "https://casework.example";
const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";
const LIST: &str = "OfferService/ListOffers";

/// A gRPC frame: the flag *not compressed*, the length, the message.
fn framed(message: &impl prost::Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), &bytes].concat()
}

/// Sends a request and returns the connection.
fn send(server: &Server, method: &str, rpc: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(MAX_WAIT)).unwrap();
    let mut head = format!("{method} /tsio.v1.{rpc} HTTP/1.1\r\nHost: tsio\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    stream
}

/// The whole answer as text; these tests do not look at its binary parts.
fn read_all(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    // An error means that the server closed the connection; the answer is complete.
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

/// A server that serves gRPC-Web to [`PAGE`], and a token of a case officer.
struct Web {
    server: Server,
    token: String,
    _folder: tempfile::TempDir,
}

impl Web {
    fn start(db: &Db) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (keys, file) = (folder.path().join("keys.json"), folder.path().join("tsio.toml"));
        let key = SigningKey::new("first");
        publish(&keys, &[key.published()]);
        let config = format!(
            "[tokens]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nkeys = \"{}\"\n[web]\norigins = [\"{PAGE}\"]\n",
            keys.display()
        );
        std::fs::write(&file, config).unwrap();
        let server = Server::start_with(db, &["--config", &file.display().to_string()]);
        let token = format!("Bearer {}", key.sign(&claims("cas", &["case-officer"], &["*"])));
        Self { server, token, _folder: folder }
    }

    fn post(&self, rpc: &str, content_type: &str, message: &impl prost::Message) -> TcpStream {
        let mut body = framed(message);
        if content_type == TEXT {
            body = BASE64_STANDARD.encode(body).into_bytes();
        }
        let headers = [
            ("Origin", PAGE),
            ("Content-Type", content_type),
            ("Accept", content_type),
            ("Authorization", &self.token),
        ];
        send(&self.server, "POST", rpc, &headers, &body)
    }
}

fn listing() -> ListOffersRequest {
    ListOffersRequest { programme: YEAR.to_owned(), ..Default::default() }
}

#[test]
fn a_page_calls_and_reads_refusals() {
    run(async {
        let web = Web::start(&Db::sqlite());
        let listed = read_all(web.post(LIST, BINARY, &listing()));
        assert!(listed.starts_with("HTTP/1.1 200") && listed.contains("grpc-status:0"), "{listed}");
        assert!(listed.contains(&format!("access-control-allow-origin: {PAGE}\r\n")), "{listed}");
        let listed = read_all(web.post(LIST, TEXT, &listing()));
        assert!(listed.starts_with("HTTP/1.1 200") && listed.contains("content-type: application/grpc-web-text"));

        let refused = read_all(web.post(
            "OfferService/GetOffer",
            BINARY,
            &GetOfferRequest { offer: "none".to_owned(), ..Default::default() },
        ));
        assert!(refused.contains("grpc-status: 3") || refused.contains("grpc-status:3"), "{refused}");
        assert!(refused.contains("grpc-status-details-bin:"), "{refused}");
        let exposed = refused.lines().find(|it| it.starts_with("access-control-expose-headers:")).unwrap();
        assert!(exposed.contains("grpc-status-details-bin"), "{exposed}");

        let headers = [("Origin", PAGE), ("Content-Type", BINARY)];
        let unknown = read_all(send(&web.server, "POST", LIST, &headers, &framed(&listing())));
        assert!(unknown.contains("grpc-status: 16") || unknown.contains("grpc-status:16"), "{unknown}");
    });
}

#[test]
fn a_page_watches() {
    run(async {
        let web = Web::start(&Db::sqlite());
        let request = WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() };
        let mut stream = web.post("OfferService/WatchOffers", BINARY, &request);
        let (mut received, mut chunk) = (Vec::new(), [0; 1_024]);
        // The end of the snapshot is field 2, an empty message: the bytes 0x12 0. After it comes the key of the
        // sequence (0x30) or, if the sequence is 0, of the resume token (0x3a). The stream does not end.
        while !received.windows(3).any(|it| it == [0x12, 0, 0x30])
            && !received.windows(3).any(|it| it == [0x12, 0, 0x3a])
        {
            let read = stream.read(&mut chunk).unwrap();
            assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&received));
            received.extend(&chunk[..read]);
        }
        assert!(received.starts_with(b"HTTP/1.1 200"));
    });
}

/// Over TLS browsers and the server use HTTP/2. The watch is requested in the text format, as some pages do.
#[test]
fn a_page_calls_over_tls() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), &format!("[web]\norigins = [\"{PAGE}\"]\n"));
        let channel = guarded.connect(None).await.unwrap();
        let token = guarded.key.sign(&claims("cas", &["case-officer"], &["*"]));
        let ask = async |rpc: &str, form: &str, body: Vec<u8>| {
            let request = http::Request::post(format!("{}/tsio.v1.{rpc}", guarded.url()))
                .header("origin", PAGE)
                .header("content-type", form)
                .header("accept", form)
                .header("authorization", format!("Bearer {token}"))
                .body(Body::new(Full::new(Bytes::from(body))))
                .unwrap();
            channel.clone().oneshot(request).await.unwrap()
        };
        let answer = ask(LIST, BINARY, framed(&listing())).await;
        assert_eq!((answer.version(), answer.status()), (http::Version::HTTP_2, http::StatusCode::OK));
        assert_eq!(answer.headers()["access-control-allow-origin"], PAGE);
        let all = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&all).contains("grpc-status:0"), "{all:?}");

        let request = WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() };
        let body = BASE64_STANDARD.encode(framed(&request)).into_bytes();
        let mut stream = ask("OfferService/WatchOffers", TEXT, body).await.into_body();
        let first = stream.frame().await.unwrap().unwrap().into_data().unwrap();
        // The snapshot of an empty programme ends at once, so the first message is its end.
        let message = BASE64_STANDARD.decode(&first).unwrap();
        let length = u32::from_be_bytes(message[1..5].try_into().unwrap()) as usize;
        // The same HTTP/2 frame may contain the checkpoint after it.
        let message = WatchOffersResponse::decode(&message[5..5 + length]).unwrap();
        assert!(matches!(message.update, Some(Update::SnapshotEnd(_))), "{message:?}");
    });
}

#[test]
fn only_configured_origins_may_call() {
    run(async {
        let web = Web::start(&Db::sqlite());
        let preflight = |origin: &str| {
            let headers = [
                ("Origin", origin),
                ("Access-Control-Request-Method", "POST"),
                ("Access-Control-Request-Headers", "authorization,content-type,x-grpc-web"),
            ];
            read_all(send(&web.server, "OPTIONS", LIST, &headers, b""))
        };
        let allowed = preflight(PAGE);
        assert!(allowed.starts_with("HTTP/1.1 200"), "{allowed}");
        for expected in [&format!("access-control-allow-origin: {PAGE}"), "authorization", "x-grpc-web", "POST"] {
            assert!(allowed.contains(expected), "{expected}: {allowed}");
        }
        let other = preflight("https://evil.example");
        assert!(!other.contains("access-control-allow-origin"), "{other}");
    });
}

#[test]
fn without_configured_origins_http_1_is_not_served() {
    run(async {
        let server = Server::start(&Db::sqlite());
        let headers = [("Origin", PAGE), ("Content-Type", BINARY), ("x-tsio-actor", "cas")];
        let answer = read_all(send(&server, "POST", LIST, &headers, &framed(&listing())));
        assert!(!answer.contains("200") && !answer.contains("grpc-status"), "{answer}");
    });
}
