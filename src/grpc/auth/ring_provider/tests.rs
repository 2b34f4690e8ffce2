//! Verifies known signatures of each algorithm: the examples of RFC 7515, 7520 and 8037, and signatures by OpenSSL for the
//! other algorithms.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::verify;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

const RSA: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];
const CURVES: [Algorithm; 3] = [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
const SHARED_SECRET: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// A token with the key that verifies it, and the source of both.
#[derive(Deserialize)]
struct Vector {
    algorithm: Algorithm,
    source: String,
    key: Value,
    token: String,
}

impl Vector {
    fn load_all() -> Vec<Self> {
        install();
        serde_json::from_str(include_str!("vectors.json")).unwrap()
    }

    fn key(&self) -> DecodingKey {
        parse_key(&self.key)
    }

    /// Returns the signed message, and the signature.
    fn parts(&self) -> (&str, &str) {
        self.token.rsplit_once('.').unwrap()
    }
}

fn parse_key(jwk: &Value) -> DecodingKey {
    DecodingKey::from_jwk(&serde_json::from_value::<Jwk>(jwk.clone()).unwrap()).unwrap()
}

/// The public key of the second test of RFC 8032, 7.1. The vectors have only one key of its kind.
fn other_ed25519_key() -> DecodingKey {
    parse_key(&json!({"kty": "OKP", "crv": "Ed25519", "x": "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}))
}

/// Returns the text with another character at this index.
fn with_change_at(text: &str, index: usize) -> String {
    let other = if text.as_bytes()[index] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &text[..index], &text[index + 1..])
}

#[test]
fn the_vectors_have_each_algorithm_once() {
    let vectors = Vector::load_all();
    let algorithms: Vec<Algorithm> = vectors.iter().map(|it| it.algorithm).collect();
    assert_eq!(algorithms, [RSA.as_slice(), CURVES.as_slice()].concat());
}

#[test]
fn a_signature_is_good_only_for_its_message_and_its_key() {
    let vectors = Vector::load_all();
    for vector in &vectors {
        let (algorithm, source, key) = (vector.algorithm, &vector.source, vector.key());
        let (message, signature) = vector.parts();
        let is_good = |signature: &str, message: &str, key: &DecodingKey| {
            verify(signature, message.as_bytes(), key, algorithm).unwrap()
        };
        assert!(is_good(signature, message, &key), "{algorithm:?}, {source}");
        for index in [0, signature.len() / 2] {
            assert!(
                !is_good(&with_change_at(signature, index), message, &key),
                "{algorithm:?}: its signature changed at {index}"
            );
        }
        for index in [0, message.len() - 1] {
            assert!(
                !is_good(signature, &with_change_at(message, index), &key),
                "{algorithm:?}: its message changed at {index}"
            );
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let wrong_lengths: [&[u8]; 4] = [&[], &[0; 3], &bytes[1..], &[&bytes[..], &[0]].concat()];
        for wrong_bytes in wrong_lengths {
            let wrong_signature = BASE64_URL_SAFE_NO_PAD.encode(wrong_bytes);
            assert!(!is_good(&wrong_signature, message, &key), "{algorithm:?}: {wrong_signature:?}");
        }
        let others = vectors.iter().filter(|it| it.key != vector.key && it.key().family() == algorithm.family());
        let mut others: Vec<DecodingKey> = others.map(Vector::key).collect();
        if algorithm == Algorithm::EdDSA {
            others.push(other_ed25519_key());
        }
        assert!(!others.is_empty(), "{algorithm:?} has no other key");
        for other in others {
            assert!(!is_good(signature, message, &other), "{algorithm:?}: another key verifies its signature");
        }
    }
}

#[test]
fn a_signature_is_good_only_for_its_algorithm() {
    for vector in Vector::load_all() {
        let (message, signature) = vector.parts();
        let key = vector.key();
        let others = [RSA.as_slice(), CURVES.as_slice()].concat().into_iter().filter(|it| *it != vector.algorithm);
        for other in others {
            let verified = verify(signature, message.as_bytes(), &key, other);
            if other.family() == key.family() {
                assert!(!verified.unwrap(), "{:?} as {other:?}", vector.algorithm);
            } else {
                let error = verified.unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::InvalidKeyFormat), "{:?} as {other:?}", vector.algorithm);
            }
        }
        for other in SHARED_SECRET {
            let error = verify(signature, message.as_bytes(), &key, other).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidKeyFormat), "{:?} as {other:?}", vector.algorithm);
        }
    }
}

#[test]
fn a_shared_secret_is_refused_as_a_key() {
    install();
    for algorithm in SHARED_SECRET {
        let error = verify("AAAA", b"message", &DecodingKey::from_secret(b"secret"), algorithm).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::UnsupportedAlgorithm), "{algorithm:?}");
    }
}

#[test]
fn an_rsa_key_may_have_leading_zeros() {
    let vectors = Vector::load_all();
    for vector in vectors.iter().filter(|it| RSA.contains(&it.algorithm)) {
        let (message, signature) = vector.parts();
        for zeros in 1..=2 {
            let mut padded = vector.key.clone();
            for name in ["n", "e"] {
                let number = BASE64_URL_SAFE_NO_PAD.decode(padded[name].as_str().unwrap()).unwrap();
                padded[name] = BASE64_URL_SAFE_NO_PAD.encode([vec![0; zeros], number].concat()).into();
            }
            assert!(verify(signature, message.as_bytes(), &parse_key(&padded), vector.algorithm).unwrap());
        }
    }
    assert_eq!(without_leading_zeros(&[0, 0]), [0_u8; 0]);
    assert_eq!(without_leading_zeros(&[0, 1, 0]), [1, 0]);
}
