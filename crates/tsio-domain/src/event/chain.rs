//! Computes the hash chain that covers a record. A record is a whole log of events: that of a programme or that of the
//! register.

use sha2::{Digest as _, Sha256};

use super::{Body, Event};
use crate::hash::Hash;
use crate::period::Period;

/// Returns the hash with which the chain of a record starts: the previous hash of the record's first event. It depends only
/// on the record's name, which is the programme (such as 2021-22) or the name of the register's record.
#[must_use]
pub fn genesis(record_name: &impl AsRef<str>) -> Hash {
    Hash(Sha256::new().chain_update(b"tsio book v1\n").chain_update(record_name.as_ref()).finalize().into())
}

/// Returns the salted hash of a free text. An event contains this hash and not the text.
#[must_use]
pub fn text_hash(salt: &[u8], text: &str) -> Hash {
    Hash(Sha256::new().chain_update(b"tsio text v1\n").chain_update(salt).chain_update(text).finalize().into())
}

/// Returns the hash that links an event to the chain: SHA-256 over the previous hash and the canonical encoding,
/// version 1.
///
/// The encoding is the sequence of fields, in the order in which the function writes them:
///
/// * a text is its length as 8 big-endian bytes, then its UTF-8;
/// * a number is 8 big-endian bytes; an id is its 16 bytes, a hash its 32 bytes;
/// * an optional field is one byte 0, or one byte 1 and then the field;
/// * `body` is the JSON exactly as it is stored;
/// * the last field is the number of ledger entries, followed by the fields of each entry: number, account, verb,
///   amount, period.
///
/// `docs/reference/record.md` describes the encoding for people who verify an export offline.
#[must_use]
pub fn chain<B: Body>(previous: Hash, record_name: &impl AsRef<str>, event: &Event<B>, body: &str) -> Hash {
    let mut encoder = Encoder::new(b"tsio event v1\n");
    encoder.0.update(previous.0);
    encoder.text(record_name.as_ref());
    encoder.number(event.seq.0);
    encoder.text(event.body.kind());
    encoder.optional(event.offer.as_ref(), |encoder, id| encoder.0.update(id.0.as_bytes()));
    encoder.text(event.actor.as_str());
    encoder.0.update(event.request.0.as_bytes());
    encoder.text(&event.effective.to_string());
    encoder.number(event.recorded.0);
    encoder.optional(event.reason_code.as_ref(), |encoder, code| encoder.text(code));
    encoder.optional(event.text_hash.as_ref(), |encoder, hash| encoder.0.update(hash.0));
    encoder.text(body);
    encoder.number(i64::try_from(event.entries.len()).unwrap_or(i64::MAX));
    // The entries of an event mostly have the same period, so its text is made once.
    let mut last_period: Option<(Period, String)> = None;
    for entry in &event.entries {
        let (_, period) = match &mut last_period {
            Some(last) if last.0 == entry.period => last,
            other => other.insert((entry.period, entry.period.to_string())),
        };
        encoder.number(entry.seq.0);
        encoder.0.update(entry.account.0.as_bytes());
        encoder.text(entry.verb.name());
        encoder.number(entry.amount);
        encoder.text(period);
    }
    encoder.finish()
}

/// Writes values into a SHA-256 in the encoding of the records: see [`chain`].
#[derive(Debug)]
pub struct Encoder(Sha256);

impl Encoder {
    /// Makes an encoder, and writes these bytes without their length.
    #[must_use]
    pub fn new(prefix: &[u8]) -> Self {
        Self(Sha256::new().chain_update(prefix))
    }

    /// Writes a text: its length in bytes, then its UTF-8.
    pub fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text);
    }

    /// Writes a number as 8 big-endian bytes.
    pub fn number(&mut self, number: i64) {
        self.0.update(number.to_be_bytes());
    }

    /// Writes an optional field: one byte 0, or one byte 1 and then the field.
    pub fn optional<T>(&mut self, field: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.0.update([u8::from(field.is_some())]);
        if let Some(field) = field {
            write(self, field);
        }
    }

    /// Returns the hash of all bytes written.
    #[must_use]
    pub fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}
