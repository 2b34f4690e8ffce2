//! Bearer tokens: valid tokens, invalid tokens of every kind, new keys of the issuer, and tokens that expire.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use prost::Message as _;
use prost::bytes::Bytes;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{IdentifyOffersRequest, ListOffersRequest, ListOffersResponse, WatchOffersRequest};
use tsio_test_support::signer;

use super::issuer::{Guarded, SigningKey, claims, now, publish};
use super::{call, refusal_of};
use crate::client::{YEAR, fresh};
use crate::harness::{Db, run, tsio};

/// Longer than any wait of these tests takes.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A request with this message and this token.
pub(crate) fn with_token(token: &str, message: &impl prost::Message) -> Request<Bytes> {
    let mut request = Request::new(Bytes::from(message.encode_to_vec()));
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

pub(super) fn listing() -> ListOffersRequest {
    ListOffersRequest { programme: YEAR.to_owned(), ..Default::default() }
}

/// Lists offers with this token. Returns the answer, or the code and the reason of the refusal.
pub(super) async fn listed(channel: &Channel, token: &str) -> Result<ListOffersResponse, (Code, String)> {
    let answers = call(channel, "OfferService/ListOffers", with_token(token, &listing())).await;
    answers.map(|it| ListOffersResponse::decode(it[0].clone()).unwrap()).map_err(|status| refusal_of(&status))
}

#[test]
fn a_token_sets_the_roles_of_its_caller() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let channel = guarded.connect(None).await.unwrap();
        let reader = guarded.key.sign(&claims("ann", &["reader", "another-programs-role"], &["South-West England"]));
        assert_eq!(listed(&channel, &reader).await, Ok(ListOffersResponse::default()));
        let identify = IdentifyOffersRequest { request_id: fresh(), programme: YEAR.to_owned(), validate_only: false };
        let denied = call(&channel, "OfferService/IdentifyOffers", with_token(&reader, &identify)).await.unwrap_err();
        assert_eq!(refusal_of(&denied), (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
        let officer = guarded.key.sign(&claims("cas", &["case-officer"], &["*"]));
        call(&channel, "OfferService/IdentifyOffers", with_token(&officer, &identify)).await.unwrap();
        // Roles in the metadata have no effect beside a token.
        let mut with_metadata = with_token(&reader, &identify);
        with_metadata.metadata_mut().insert("x-tsio-roles", "case-officer".parse().unwrap());
        let denied = call(&channel, "OfferService/IdentifyOffers", with_metadata).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied);
        // An upload is denied before its first message.
        let imports = ["EligibilityService/ImportOfsted", "RegisterService/ImportRegister"];
        for method in imports {
            let denied = call(&channel, method, with_token(&reader, &())).await.unwrap_err();
            assert_eq!(refusal_of(&denied), (Code::PermissionDenied, "ROLE_MISSING".to_owned()), "{method}");
        }
        let is_logged =
            |log: &str, what: &str| log.lines().any(|it| it.contains("tsio::security") && it.contains(what));
        let log = guarded.server.wait_for_stderr(|log| {
            imports.iter().all(|method| is_logged(log, method)) && is_logged(log, "IdentifyOffers")
        });
        let log_line = |what: &str| log.lines().find(|it| it.contains("tsio::security") && it.contains(what));
        for method in imports {
            assert!(log_line(method).is_some_and(|it| it.contains("ROLE_MISSING")), "{method}");
        }
        let line = log_line("IdentifyOffers").unwrap();
        for expected in ["\"actor\":\"ann\"", "\"roles\":\"reader\"", "127.0.0.1:", &identify.request_id] {
            assert!(line.contains(expected), "{expected}: {line}");
        }
        assert!(!log.contains(&reader), "the log has a token");
    });
}

/// Invalid tokens: the mistake of each, the token, and the reason of the refusal.
fn bad_tokens(good: &SigningKey) -> Vec<(&'static str, String, &'static str)> {
    let with = |name: &str, value: Value| {
        let mut claims = claims("eve", &["administrator"], &["*"]);
        claims[name] = value;
        good.sign(&claims)
    };
    let without = |name: &str| {
        let mut claims = claims("eve", &["administrator"], &["*"]);
        claims.as_object_mut().unwrap().remove(name);
        good.sign(&claims)
    };
    let all = claims("eve", &["administrator"], &["*"]);
    let unsigned = |header: Value| {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&header), part(&all))
    };
    let header_with = |name: &str, value: Value| {
        let mut header = good.header();
        header[name] = value;
        header
    };
    let signed_with_secret = |key: &[u8]| signer::hs256(&header_with("alg", json!("HS256")), &all, key);
    let typed = |typ: &str| good.sign_with(&header_with("typ", json!(typ)), &all);
    let critical = |names: &[&str]| good.sign_with(&header_with("crit", json!(names)), &all);
    let whole = good.sign(&all);
    let (head, signature) = whole.rsplit_once('.').unwrap();
    let (first, _) = head.split_once('.').unwrap();
    let other = BASE64_URL_SAFE_NO_PAD.encode(claims("eve", &["finance"], &["*"]).to_string());
    let published = json!({ "keys": [good.published()] }).to_string();
    vec![
        ("expired", with("exp", json!(now() - 1)), "TOKEN_EXPIRED"),
        ("not valid yet", with("nbf", json!(now() + 600)), "TOKEN_REJECTED"),
        ("for another audience", with("aud", json!("another")), "TOKEN_REJECTED"),
        ("for a list of other audiences", with("aud", json!(["one", "two"])), "TOKEN_REJECTED"),
        ("of another issuer", with("iss", json!("https://evil.example")), "TOKEN_REJECTED"),
        ("without an expiry", without("exp"), "TOKEN_REJECTED"),
        ("without an audience", without("aud"), "TOKEN_REJECTED"),
        ("without a subject", without("sub"), "TOKEN_REJECTED"),
        ("with a control character in the subject", with("sub", json!("ann\u{1b}[31m")), "TOKEN_REJECTED"),
        ("with a Cyrillic letter in the subject", with("sub", json!("аnn")), "TOKEN_REJECTED"),
        ("with an extension that must be understood", critical(&["urn:example:extension"]), "TOKEN_REJECTED"),
        ("with a standard claim as that extension", critical(&["exp"]), "TOKEN_REJECTED"),
        ("for logging out", typed("logout+jwt"), "TOKEN_REJECTED"),
        ("for proving a key", typed("application/dpop+jwt"), "TOKEN_REJECTED"),
        ("expired by less than a second", with("exp", json!(now() as f64 - 0.5)), "TOKEN_EXPIRED"),
        ("expired before 1970", with("exp", json!(-1)), "TOKEN_REJECTED"),
        ("with an expiry in milliseconds", with("exp", json!((now() + 600) * 1_000)), "TOKEN_REJECTED"),
        ("with an expiry too far in the future", with("exp", json!(1e300)), "TOKEN_REJECTED"),
        ("not valid yet, by half a second more", with("nbf", json!(now() as f64 + 600.5)), "TOKEN_REJECTED"),
        ("made at a time that is text", with("iat", json!("yesterday")), "TOKEN_REJECTED"),
        ("with an expiry that is text", with("exp", json!("9999999999")), "TOKEN_REJECTED"),
        ("with a region that does not exist", with("regions", json!(["Mars"])), "TOKEN_REJECTED"),
        ("with a role that is a number", with("roles", json!([1])), "TOKEN_REJECTED"),
        ("alg none", unsigned(json!({ "alg": "none", "kid": good.id })), "TOKEN_MALFORMED"),
        ("alg none, typed", unsigned(json!({ "alg": "None", "typ": "JWT", "kid": good.id })), "TOKEN_MALFORMED"),
        ("signed with the public key", signed_with_secret(good.pair.public_key_raw()), "TOKEN_REJECTED"),
        ("signed with the public PEM", signed_with_secret(good.pair.public_key_pem().as_bytes()), "TOKEN_REJECTED"),
        ("signed with the published set", signed_with_secret(published.as_bytes()), "TOKEN_REJECTED"),
        ("signed with an unknown key", SigningKey::new("second").sign(&all), "TOKEN_REJECTED"),
        ("signed with another key of the same id", SigningKey::new(&good.id).sign(&all), "TOKEN_REJECTED"),
        ("with other claims", format!("{first}.{other}.{signature}"), "TOKEN_REJECTED"),
        ("without a signature", format!("{head}."), "TOKEN_REJECTED"),
        ("of two parts", head.to_owned(), "TOKEN_MALFORMED"),
        ("nothing", String::new(), "TOKEN_MALFORMED"),
        ("too long", "x".repeat(9_000), "TOKEN_MALFORMED"),
    ]
}

/// Issuers write some headers and claims in different ways. All of these are valid.
#[test]
fn tokens_of_different_issuers_are_accepted() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let channel = guarded.connect(None).await.unwrap();
        for typ in [None, Some("at+jwt"), Some("application/at+jwt"), Some("jwt")] {
            let mut header = guarded.key.header();
            match typ {
                Some(typ) => header["typ"] = json!(typ),
                None => drop(header.as_object_mut().unwrap().remove("typ")),
            }
            let token = guarded.key.sign_with(&header, &claims("ann", &["reader"], &["*"]));
            assert!(listed(&channel, &token).await.is_ok(), "{typ:?}");
        }
        let mut fractions = claims("ann", &["reader"], &["*"]);
        for (name, seconds) in [("exp", 600.25), ("nbf", -1.5), ("iat", -1.5)] {
            fractions[name] = json!(now() as f64 + seconds);
        }
        assert!(listed(&channel, &guarded.key.sign(&fractions)).await.is_ok(), "{fractions}");
    });
}

#[test]
fn an_invalid_token_is_refused() {
    run(async {
        let db = Db::sqlite();
        let guarded = Guarded::start(&db, "");
        let channel = guarded.connect(None).await.unwrap();
        for (what, token, reason) in bad_tokens(&guarded.key) {
            let identify =
                IdentifyOffersRequest { request_id: fresh(), programme: YEAR.to_owned(), validate_only: false };
            for _twice in 0..2 {
                let status = call(&channel, "OfferService/IdentifyOffers", with_token(&token, &identify)).await;
                let (code, said) = refusal_of(&status.unwrap_err());
                assert_eq!((code, said.as_str()), (Code::Unauthenticated, reason), "{what}");
            }
        }
        let nothing = call(&channel, "OfferService/ListOffers", Request::new(Bytes::new())).await.unwrap_err();
        assert_eq!(refusal_of(&nothing), (Code::Unauthenticated, "TOKEN_MISSING".to_owned()));
        let mut basic = Request::new(Bytes::new());
        basic.metadata_mut().insert("authorization", "Basic YTpi".parse().unwrap());
        let basic = call(&channel, "OfferService/ListOffers", basic).await.unwrap_err();
        assert_eq!(refusal_of(&basic), (Code::Unauthenticated, "TOKEN_MALFORMED".to_owned()));
        let good = guarded.key.sign(&claims("ann", &["reader"], &["*"]));
        assert!(listed(&channel, &good).await.is_ok());
    });
}

/// A token is valid until it expires, also if the server has cached it.
#[test]
fn a_token_expires() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "[limits]\ncalls_per_second = 100000\n");
        let channel = guarded.connect(None).await.unwrap();
        let mut short = claims("ann", &["reader"], &["*"]);
        let ends = now() + 2;
        short["exp"] = json!(ends);
        let token = guarded.key.sign(&short);
        assert!(listed(&channel, &token).await.is_ok());
        let started = Instant::now();
        let refused = loop {
            assert!(started.elapsed() < MAX_WAIT, "the token does not expire");
            if let Err(refused) = listed(&channel, &token).await {
                break refused;
            }
        };
        assert_eq!(refused, (Code::Unauthenticated, "TOKEN_EXPIRED".to_owned()));
        assert!(now() >= ends, "the token expired too early");
    });
}

/// The issuer publishes a second key. Tokens of both keys are then accepted, also after the key set has become
/// unreadable.
#[test]
fn keys_rotate() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let channel = guarded.connect(None).await.unwrap();
        let old = guarded.key.sign(&claims("ann", &["reader"], &["*"]));
        assert!(listed(&channel, &old).await.is_ok());
        let next = SigningKey::new("next");
        let new = next.sign(&claims("bob", &["reader"], &["*"]));
        publish(
            &guarded.path("keys.json"),
            &[guarded.key.published(), next.published(), json!({ "kty": "oct", "k": "AAAA" })],
        );
        let started = Instant::now();
        while listed(&channel, &new).await.is_err() {
            assert!(started.elapsed() < MAX_WAIT, "the new key is not fetched");
        }
        // Another token of the old key, which the server cannot have cached.
        assert!(listed(&channel, &guarded.key.sign(&claims("cy", &["reader"], &["*"]))).await.is_ok());
        // If the new set cannot be read, the earlier set stays in use.
        std::fs::write(guarded.path("keys.json"), "{").unwrap();
        let unknown = SigningKey::new("third").sign(&claims("eve", &["reader"], &["*"]));
        assert_eq!(listed(&channel, &unknown).await.unwrap_err().1, "TOKEN_REJECTED");
        assert!(listed(&channel, &next.sign(&claims("dee", &["reader"], &["*"]))).await.is_ok());
    });
}

/// The command line sends a token from a file, over TLS only.
#[test]
fn the_command_line_sends_a_token() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let token = guarded.path("token");
        std::fs::write(&token, guarded.key.sign(&claims("ann", &["reader"], &["*"]))).unwrap();
        let (token, ca) = (token.display().to_string(), guarded.path("ca.pem").display().to_string());
        let list = |more: &[&str]| {
            tsio(&[&["--server", &guarded.url(), "--output", "json", "--ca", &ca], more, &["offers", "list"]].concat())
        };
        let listed = list(&["--token-file", &token]);
        assert_eq!((listed.code, listed.json), (0, json!([])), "{}", listed.stderr);
        let without = list(&[]);
        assert_eq!(
            (without.code, &without.json["error"]["reason"]),
            (1, &json!("TOKEN_MISSING")),
            "{}",
            without.stderr
        );
        let plain =
            tsio(&["--server", "http://192.0.2.1:1", "--output", "json", "--token-file", &token, "offers", "list"]);
        assert_eq!((plain.code, &plain.json["error"]["reason"]), (1, &json!("TLS_WANTED")), "{}", plain.stderr);
    });
}

/// A caller can open only a limited number of watches, so other callers can still watch.
#[test]
fn the_watches_of_one_caller_are_limited() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "[limits]\nwatches_per_caller = 2\n");
        let channel = guarded.connect(None).await.unwrap();
        let [ann, ben] = ["ann", "ben"].map(|it| guarded.key.sign(&claims(it, &["reader"], &["*"])));
        let watch = async |token: &str| {
            let mut request = Request::new(WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() });
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
            let mut stream = OfferServiceClient::new(channel.clone()).watch_offers(request).await?.into_inner();
            stream.message().await?;
            Ok::<_, Status>(stream)
        };
        let [first, _second] = [watch(&ann).await.unwrap(), watch(&ann).await.unwrap()];
        let refused = refusal_of(&watch(&ann).await.unwrap_err());
        assert_eq!(refused, (Code::ResourceExhausted, "WATCHES_EXCEEDED".to_owned()));
        assert!(watch(&ben).await.is_ok(), "another caller has separate watches");
        let rust_client =
            tsio::client::Client::to(guarded.url()).authority(guarded.authority.pem.clone()).token(ann.clone());
        let request = WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() };
        let refused = rust_client.connect().await.unwrap().watch(request).next().await.unwrap_err();
        assert_eq!(refused.failed().map(|it| it.reason()), Some("WATCHES_EXCEEDED"), "{refused}");
        // When a caller ends a watch, the caller may start another one.
        drop(first);
        let started = Instant::now();
        while watch(&ann).await.is_err() {
            assert!(started.elapsed() < MAX_WAIT, "the ended watch still counts");
        }
    });
}
