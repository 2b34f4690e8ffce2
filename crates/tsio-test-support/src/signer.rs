//! Signs tokens as an issuer does. The program itself only checks tokens.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::Value;

/// Makes a token with this header and these claims, signed with a private key of the curve P-256 (PKCS #8, DER).
#[must_use]
pub fn es256(header: &Value, claims: &Value, key: &[u8]) -> String {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &random)
        .expect("the key is a P-256 key in PKCS #8");
    let message = message(header, claims);
    let signature = key.sign(&random, message.as_bytes()).expect("the system has a random source");
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// Makes a token with this header and these claims, signed with a shared secret.
#[must_use]
pub fn hs256(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = message(header, claims);
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// Returns the signed part of a token: the encoded header, a dot, and the encoded claims.
fn message(header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|it| BASE64_URL_SAFE_NO_PAD.encode(it.to_string()));
    format!("{header}.{claims}")
}
