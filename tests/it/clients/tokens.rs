//! A token issuer for the example clients. The first token is valid for a few seconds, each later one for an hour.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;
use tsio_test_support::signer;

use crate::authentication::issuer::{SigningKey, claims, now};

/// For how many seconds the first token is valid.
const FIRST_TOKEN_SECONDS: u64 = 8;

/// Answers every request over HTTP with a token, as text.
pub(super) struct Tokens {
    address: SocketAddr,
    issued: Arc<AtomicUsize>,
}

impl Tokens {
    pub(super) fn of(key: &SigningKey) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let issued = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&issued);
        let (header, key) = (key.header(), key.pair.serialize_der());
        thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                let head = BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok);
                if head.take_while(|it| !it.is_empty()).count() == 0 {
                    continue;
                }
                let mut claims = claims("cas", &["case-officer"], &["*"]);
                if count.fetch_add(1, Ordering::Relaxed) == 0 {
                    claims["exp"] = json!(now() + FIRST_TOKEN_SECONDS);
                }
                let token = signer::es256(&header, &claims, &key);
                let length = token.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
                     Connection: close\r\n\r\n{token}"
                );
                // An error means that the client closed the connection; the test checks its later calls.
                let _ = client.write_all(answer.as_bytes());
            }
        });
        Self { address, issued }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// How many tokens were issued.
    pub(super) fn issued(&self) -> usize {
        self.issued.load(Ordering::Relaxed)
    }
}
