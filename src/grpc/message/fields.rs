//! Checks the fields of a request, and reports all wrong fields together.

use super::texts;
use crate::app::{AppError, Result, Violation};
use crate::domain::ids::{LaCode, Programme, RequestId, Uid, Urn};
use crate::domain::ledger::Amount;
use crate::domain::money::{HalfDays, Pence};
use crate::domain::text::with_line_feeds;
use crate::domain::{self, Date, time};
use crate::grpc::message::limits::MAX_TITLE;
use crate::grpc::message::request_id::record_request_id;

/// The longest free text, in characters.
const MAX_TEXT: usize = 10_000;
/// The longest etag or strand, in characters.
const MAX_NAME: usize = 64;
/// The largest page; a larger page size is reduced to it.
const MAX_PAGE: u64 = 500;
/// The size of a page if the request has none.
const DEFAULT_PAGE: u64 = 50;
/// The largest amount of one request, in pence: a hundred thousand million pounds. It catches typing errors, and keeps the
/// sums of a programme from overflowing.
const MAX_PENCE: i64 = 10_000_000_000_000;
/// The largest amount of one request, in half-days.
const MAX_HALF_DAYS: i32 = 10_000;

/// An amount of a message, before it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum UncheckedAmount {
    /// `amount_pence`.
    Pence(i64),
    /// `half_days`.
    HalfDays(i32),
}

/// Converts the `amount` of each of these messages. Their amounts are different types with the same variants.
macro_rules! amount_from {
    ($($message:ident),+) => {$(
        impl From<crate::proto::$message::Amount> for UncheckedAmount {
            fn from(amount: crate::proto::$message::Amount) -> Self {
                match amount {
                    crate::proto::$message::Amount::AmountPence(pence) => Self::Pence(pence),
                    crate::proto::$message::Amount::HalfDays(half_days) => Self::HalfDays(half_days),
                }
            }
        }
    )+};
}

amount_from!(new_award, draw_award_request, release_award_request, refund_award_request);

/// Collects the violations of a request. A new value starts with the violations in the texts of the current request.
#[derive(Debug)]
pub(in crate::grpc) struct Fields(Vec<Violation>);

impl Default for Fields {
    fn default() -> Self {
        Self(texts::current_violations())
    }
}

impl Fields {
    /// Checks the fields of a request and returns the value that `read` makes of them. `read` must check all fields before
    /// it returns `None` for a missing field, so that all wrong fields are reported.
    ///
    /// # Errors
    /// [`AppError::Invalid`] with all violations.
    pub(in crate::grpc) fn check<T>(read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T> {
        let mut fields = Self::default();
        let value = read(&mut fields);
        fields.done(value)
    }

    /// Checks a mutation as [`Fields::check`] does: its request id, then the fields of its command. Returns both.
    ///
    /// # Errors
    /// [`AppError::Invalid`] with all violations.
    pub(in crate::grpc) fn command<C>(
        request_id: &str,
        read: impl FnOnce(&mut Self) -> Option<C>,
    ) -> Result<(RequestId, C)> {
        Self::check(|fields| {
            let request = fields.request_id(request_id);
            let command = read(fields);
            Some((request?, command?))
        })
    }

    /// Adds a violation.
    pub(in crate::grpc) fn add_violation(&mut self, field: &str, description: impl Into<String>) {
        self.0.push(Violation::new(field, description));
    }

    /// Parses a required field; `None` if it is empty or wrong.
    pub(in crate::grpc) fn parse<T>(&mut self, field: &str, text: &str) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        if text.is_empty() {
            self.add_violation(field, "is required");
            return None;
        }
        text.parse().map_err(|error: T::Err| self.add_violation(field, error.to_string())).ok()
    }

    /// Parses a field that may be empty; `None` if it is empty or wrong.
    pub(in crate::grpc) fn optional<T>(&mut self, field: &str, text: &str) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        if text.is_empty() { None } else { self.parse(field, text) }
    }

    /// Parses the request id, which every mutation must have, and records it in the span of the request.
    pub(in crate::grpc) fn request_id(&mut self, text: &str) -> Option<RequestId> {
        let id = self.parse("request_id", text);
        if let Some(id) = id {
            record_request_id(id);
        }
        id
    }

    /// Parses a programme.
    pub(in crate::grpc) fn programme(&mut self, text: &str) -> Option<Programme> {
        self.parse("programme", text)
    }

    /// Checks a URN.
    pub(in crate::grpc) fn urn(&mut self, field: &str, number: i32) -> Option<Urn> {
        let urn = u32::try_from(number).ok().and_then(Urn::new);
        if urn.is_none() {
            self.add_violation(field, format!("{number} is not a URN (5 or 6 digits)"));
        }
        urn
    }

    /// Checks the code of a local authority; `None` for 0, or if it is wrong.
    pub(in crate::grpc) fn local_authority(&mut self, field: &str, code: i32) -> Option<LaCode> {
        let found = u16::try_from(code).ok().and_then(LaCode::new);
        if found.is_none() && code != 0 {
            self.add_violation(field, format!("must be a code of three digits, got {code}"));
        }
        found
    }

    /// Checks a group UID.
    pub(in crate::grpc) fn uid(&mut self, field: &str, number: i32) -> Option<Uid> {
        let uid = u32::try_from(number).ok().and_then(Uid::new);
        if uid.is_none() {
            self.add_violation(field, format!("{number} is not a group UID (1 to 6 digits)"));
        }
        uid
    }

    /// Parses a required date, `YYYY-MM-DD`.
    pub(in crate::grpc) fn date(&mut self, field: &str, text: &str) -> Option<Date> {
        if text.is_empty() {
            self.add_violation(field, "is required, as YYYY-MM-DD");
            return None;
        }
        let date = domain::day(text);
        if date.is_none() {
            self.add_violation(field, format!("{text:?} is not a date of the form YYYY-MM-DD"));
        }
        date
    }

    /// Parses the date on which something happened. An empty text means today; a date in the future is a violation.
    pub(in crate::grpc) fn effective_date(&mut self, field: &str, text: &str, today: Date) -> Option<Date> {
        let date = if text.is_empty() { today } else { self.date(field, text)? };
        time::happened(date, today).map_err(|future| self.add_violation(field, future.to_string())).ok()
    }

    /// Checks a free text that may be empty. Returns the text without surrounding spaces and with line feeds as line ends;
    /// `None` if it is empty.
    pub(in crate::grpc) fn note(&mut self, field: &str, text: &str) -> Option<String> {
        if text.chars().count() > MAX_TEXT {
            self.add_violation(field, format!("is longer than {MAX_TEXT} characters"));
        }
        Some(with_line_feeds(text).trim().to_owned()).filter(|it| !it.is_empty())
    }

    /// Checks a required free text, as [`Fields::note`] does.
    pub(in crate::grpc) fn text(&mut self, field: &str, text: &str) -> Option<String> {
        let note = self.note(field, text);
        if note.is_none() {
            self.add_violation(field, "is required");
        }
        note
    }

    /// Checks the length of an etag that may be empty; `None` if it is empty.
    pub(in crate::grpc) fn etag(&mut self, field: &str, text: &str) -> Option<String> {
        self.check_length(field, text, MAX_NAME);
        Some(text.to_owned()).filter(|it| !it.is_empty())
    }

    /// Checks the length of a strand that may be empty; `None` if it is empty or too long.
    pub(in crate::grpc) fn strand(&mut self, text: &str) -> Option<String> {
        if self.check_length("strand", text, MAX_NAME) { self.note("strand", text) } else { None }
    }

    /// Checks the length of a short text that may be empty, such as a provider or the reference of an invoice; `None` if
    /// it is empty or too long.
    pub(in crate::grpc) fn title(&mut self, field: &str, text: &str) -> Option<String> {
        if self.check_length(field, text, MAX_TITLE) { self.note(field, text) } else { None }
    }

    /// Returns true if a text has at most `limit` characters.
    fn check_length(&mut self, field: &str, text: &str, limit: usize) -> bool {
        let fits = text.chars().count() <= limit;
        if !fits {
            self.add_violation(field, format!("is longer than {limit} characters"));
        }
        fits
    }

    /// Checks an amount of money: 1 to [`MAX_PENCE`].
    pub(in crate::grpc) fn pence(&mut self, field: &str, pence: i64) -> Option<Pence> {
        let fits = (1..=MAX_PENCE).contains(&pence);
        if !fits {
            self.add_violation(field, format!("must be 1 to {MAX_PENCE} pence, got {pence}"));
        }
        fits.then_some(Pence(pence))
    }

    /// Checks an amount of time: 1 to [`MAX_HALF_DAYS`].
    pub(in crate::grpc) fn half_days(&mut self, field: &str, half_days: i32) -> Option<HalfDays> {
        let fits = (1..=MAX_HALF_DAYS).contains(&half_days);
        if !fits {
            self.add_violation(field, format!("must be 1 to {MAX_HALF_DAYS} half-days, got {half_days}"));
        }
        fits.then_some(HalfDays(half_days))
    }

    /// Checks an amount that may be absent. `path` is the path of the message that has the amount: empty, or with a dot at
    /// the end.
    pub(in crate::grpc) fn optional_amount(
        &mut self,
        path: &str,
        amount: Option<impl Into<UncheckedAmount>>,
    ) -> Option<Amount> {
        match amount?.into() {
            UncheckedAmount::Pence(pence) => self.pence(&format!("{path}amount_pence"), pence).map(Amount::Pence),
            UncheckedAmount::HalfDays(half_days) => {
                self.half_days(&format!("{path}half_days"), half_days).map(Amount::HalfDays)
            }
        }
    }

    /// Checks a required amount, as [`Fields::optional_amount`] does.
    pub(in crate::grpc) fn amount(&mut self, path: &str, amount: Option<impl Into<UncheckedAmount>>) -> Option<Amount> {
        if amount.is_none() {
            self.add_violation(&format!("{path}amount"), "is required: amount_pence or half_days");
        }
        self.optional_amount(path, amount)
    }

    /// Checks a required enum value, already converted; `None` stands for `UNSPECIFIED` or an unknown number.
    pub(in crate::grpc) fn choice<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.add_violation(field, "is required, as one of its named values");
        }
        value
    }

    /// Ends the checks and returns the value that was made of the fields.
    ///
    /// # Errors
    /// [`AppError::Invalid`] with all violations. A `value` of `None` must come with a violation.
    pub(in crate::grpc) fn done<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(AppError::Invalid(self.0)),
        }
    }
}

/// Returns the size of a page. A requested size that is too large is reduced, not refused (AIP-158); zero or less means the
/// default.
pub(in crate::grpc) fn page_size(requested: i32) -> u64 {
    page_size_within(requested, DEFAULT_PAGE, MAX_PAGE)
}

/// Returns the size of a page like [`page_size`], with this default and limit.
pub(in crate::grpc) fn page_size_within(requested: i32, default: u64, limit: u64) -> u64 {
    match u64::try_from(requested) {
        Ok(0) | Err(_) => default,
        Ok(size) => size.min(limit),
    }
}

/// Makes and reads page tokens. A token is an opaque text that is valid only for the request that it was made for:
/// `binding` is the method and the encoded request without its page fields, as `Call::token_binding` returns them.
pub(in crate::grpc) mod token {
    use std::fmt::Display;
    use std::str::FromStr;

    use sha2::{Digest as _, Sha256};

    use crate::app::{AppError, Result, Violation};

    /// The length of the digest of the binding at the start of a token, in hex digits.
    const BINDING_DIGEST_DIGITS: usize = 16;

    /// Makes the token of the page that begins after `key`, for this binding.
    pub(in crate::grpc) fn make(binding: &[u8], key: &str) -> String {
        format!("{}{}", binding_digest(binding), hex::encode(key))
    }

    /// Reads the key of a token that was made for this binding. Returns `None` for an empty token, which means the first
    /// page.
    ///
    /// # Errors
    /// [`AppError::Invalid`] if the text is no token, or was made for another binding.
    pub(in crate::grpc) fn read(binding: &[u8], token: &str) -> Result<Option<String>> {
        if token.is_empty() {
            return Ok(None);
        }
        let invalid = |problem: &str| AppError::Invalid(vec![Violation::new("page_token", problem)]);
        let (digest, key) =
            token.split_at_checked(BINDING_DIGEST_DIGITS).ok_or_else(|| invalid("is not a page token"))?;
        if digest != binding_digest(binding) {
            return Err(invalid("was made for another filter"));
        }
        let key = hex::decode(key).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        key.map(Some).ok_or_else(|| invalid("is not a page token"))
    }

    /// Reads the key of a token as [`read`] does, and parses the key.
    ///
    /// # Errors
    /// Those of [`read`], and [`AppError::Invalid`] if the key cannot be parsed.
    pub(in crate::grpc) fn read_as<T: FromStr>(binding: &[u8], token: &str) -> Result<Option<T>> {
        let invalid = |_| AppError::Invalid(vec![Violation::new("page_token", "is not a page token")]);
        read(binding, token)?.map(|key| key.parse().map_err(invalid)).transpose()
    }

    /// Makes the token of the page after `page`; empty if `page` has fewer than `size` items. `key` returns the key of an
    /// item.
    pub(in crate::grpc) fn next<T>(binding: &[u8], size: u64, page: &[T], key: impl Fn(&T) -> String) -> String {
        let is_full = u64::try_from(page.len()).is_ok_and(|it| it >= size);
        page.last().filter(|_| is_full).map(|last| make(binding, &key(last))).unwrap_or_default()
    }

    /// The key of an item in a list that may be ordered by name. The name may have several lines.
    pub(in crate::grpc) struct NamedKey<K> {
        pub(in crate::grpc) key: K,
        pub(in crate::grpc) name: String,
    }

    /// Writes a [`NamedKey`] as text: the key on the first line, then the name.
    pub(in crate::grpc) fn named_key(key: impl Display, name: &str) -> String {
        format!("{key}\n{name}")
    }

    impl<K: FromStr> FromStr for NamedKey<K> {
        type Err = ();
        fn from_str(text: &str) -> std::result::Result<Self, ()> {
            let (key, name) = text.split_once('\n').filter(|(_, name)| !name.contains('\0')).ok_or(())?;
            Ok(Self { key: key.parse().map_err(|_| ())?, name: name.to_owned() })
        }
    }

    /// Returns the first 8 bytes of the digest of a binding, as [`BINDING_DIGEST_DIGITS`] hex digits.
    fn binding_digest(binding: &[u8]) -> String {
        hex::encode(&Sha256::digest(binding)[..8])
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_key_with_a_name_is_read_as_it_is_written() {
            for name in ["St Wilfreda's", "", "two\nlines"] {
                let read: NamedKey<u32> = named_key(910_001, name).parse().unwrap();
                assert_eq!((read.key, read.name.as_str()), (910_001, name));
            }
            for bad in ["910001", "910001\na\0b", "x\na"] {
                assert!(bad.parse::<NamedKey<u32>>().is_err(), "{bad:?}");
            }
        }

        #[test]
        fn a_token_is_valid_only_for_its_binding() {
            let token = make(b"state=open", "école\n900001");
            assert_eq!(read(b"state=open", &token), Ok(Some("école\n900001".to_owned())));
            assert_eq!(read(b"", ""), Ok(None));
            for bad in ["x", "zzzzzzzzzzzzzzzzzz", &token[..15], &token[..token.len() - 1]] {
                assert!(read(b"state=open", bad).is_err(), "{bad}");
            }
            assert!(read(b"state=closed", &token).is_err());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wrong_fields_are_reported_together() {
        let today = "2022-03-01".parse().unwrap();
        let mut fields = Fields::default();
        fields.request_id("x");
        fields.urn("urn", 7);
        fields.date("from", "01/03/2022");
        fields.effective_date("date", "2022-03-02", today);
        fields.text("reason", "  ");
        let Err(AppError::Invalid(violations)) = fields.done(Some(())) else { panic!("the fields were accepted") };
        let wrong_fields: Vec<&str> = violations.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(wrong_fields, ["request_id", "urn", "from", "date", "reason"]);
    }

    #[test]
    fn a_date_has_exactly_ten_characters() {
        let day = |text: &str| Fields::default().date("date", text).map(|it| it.to_string());
        assert_eq!(day("2022-02-28").as_deref(), Some("2022-02-28"));
        let longer = ["+10000-01-01", "-0001-01-01", "-200000-01-01", "+2022-2-28", "+2022-02-28"];
        for bad in ["2022-02-30", "2022-2-28", "2022-02- 1", "28/02/2022", "20220228", ""].into_iter().chain(longer) {
            assert_eq!(day(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_amount_is_positive_and_limited() {
        use crate::proto::new_award::Amount::{AmountPence, HalfDays as Half};
        let rows = [
            (Some(AmountPence(1)), Ok(Amount::Pence(Pence(1)))),
            (Some(AmountPence(10_000_000_000_000)), Ok(Amount::Pence(Pence(10_000_000_000_000)))),
            (Some(AmountPence(10_000_000_000_001)), Err("awards[0].amount_pence")),
            (Some(AmountPence(0)), Err("awards[0].amount_pence")),
            (Some(AmountPence(-1)), Err("awards[0].amount_pence")),
            (Some(AmountPence(i64::MAX)), Err("awards[0].amount_pence")),
            (Some(Half(5)), Ok(Amount::HalfDays(HalfDays(5)))),
            (Some(Half(10_000)), Ok(Amount::HalfDays(HalfDays(10_000)))),
            (Some(Half(10_001)), Err("awards[0].half_days")),
            (Some(Half(0)), Err("awards[0].half_days")),
            (Some(Half(i32::MIN)), Err("awards[0].half_days")),
            (None, Err("awards[0].amount")),
        ];
        for (unchecked, expected) in rows {
            let mut fields = Fields::default();
            let amount = fields.amount("awards[0].", unchecked);
            match (fields.done(amount), expected) {
                (Ok(amount), Ok(expected)) => assert_eq!(amount, expected),
                (Err(AppError::Invalid(violations)), Err(field)) => {
                    assert_eq!(
                        violations.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(),
                        [field],
                        "{unchecked:?}"
                    );
                }
                (got, _) => panic!("{unchecked:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_page_size_is_reduced_not_refused() {
        let rows = [(0, 50), (-1, 50), (1, 1), (500, 500), (501, 500), (i32::MAX, 500)];
        for (requested, expected) in rows {
            assert_eq!(page_size(requested), expected, "{requested}");
        }
    }
}
