//! Checks the fields of a request, and reports all wrong fields at once.

use super::texts;
use crate::app::{AppError, Result, Violation};
use crate::domain::ids::{Programme, RequestId, Uid, Urn};
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

/// Converts the `amount` of each message, which are different types of the same form.
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

/// The violations found so far. It starts with those of the texts of the current request.
#[derive(Debug)]
pub(in crate::grpc) struct Fields(Vec<Violation>);

impl Default for Fields {
    fn default() -> Self {
        Self(texts::current_violations())
    }
}

impl Fields {
    /// Checks the fields of a request. `read` must check all of them before it returns `None` for one that is missing, so that
    /// all wrong fields are reported.
    pub(in crate::grpc) fn check<T>(read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T> {
        let mut fields = Self::default();
        let value = read(&mut fields);
        fields.done(value)
    }

    /// Checks a mutation: its request id, then the fields of its command, as [`Fields::check`] does.
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
    pub(in crate::grpc) fn wrong(&mut self, field: &str, description: impl Into<String>) {
        self.0.push(Violation::new(field, description));
    }

    /// Parses a required field.
    pub(in crate::grpc) fn parse<T>(&mut self, field: &str, text: &str) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        if text.is_empty() {
            self.wrong(field, "is required");
            return None;
        }
        text.parse().map_err(|error: T::Err| self.wrong(field, error.to_string())).ok()
    }

    /// Parses a field that may be empty.
    pub(in crate::grpc) fn optional<T>(&mut self, field: &str, text: &str) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        if text.is_empty() { None } else { self.parse(field, text) }
    }

    /// Parses the request id, which every mutation has, and records it in the span.
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
            self.wrong(field, format!("{number} is not a URN (5 or 6 digits)"));
        }
        urn
    }

    /// Checks a group UID.
    pub(in crate::grpc) fn uid(&mut self, field: &str, number: i32) -> Option<Uid> {
        let uid = u32::try_from(number).ok().and_then(Uid::new);
        if uid.is_none() {
            self.wrong(field, format!("{number} is not a group UID (1 to 6 digits)"));
        }
        uid
    }

    /// Parses a date, `YYYY-MM-DD`.
    pub(in crate::grpc) fn date(&mut self, field: &str, text: &str) -> Option<Date> {
        if text.is_empty() {
            self.wrong(field, "is required, as YYYY-MM-DD");
            return None;
        }
        let date = domain::day(text);
        if date.is_none() {
            self.wrong(field, format!("{text:?} is not a date of the form YYYY-MM-DD"));
        }
        date
    }

    /// Parses the date on which something happened: today if empty, never in the future.
    pub(in crate::grpc) fn happened(&mut self, field: &str, text: &str, today: Date) -> Option<Date> {
        let date = if text.is_empty() { today } else { self.date(field, text)? };
        time::happened(date, today).map_err(|future| self.wrong(field, future.to_string())).ok()
    }

    /// Checks a free text that may be empty, and normalises its line ends to line feeds.
    pub(in crate::grpc) fn note(&mut self, field: &str, text: &str) -> Option<String> {
        if text.chars().count() > MAX_TEXT {
            self.wrong(field, format!("is longer than {MAX_TEXT} characters"));
        }
        Some(with_line_feeds(text).trim().to_owned()).filter(|it| !it.is_empty())
    }

    /// Checks a required free text.
    pub(in crate::grpc) fn text(&mut self, field: &str, text: &str) -> Option<String> {
        let note = self.note(field, text);
        if note.is_none() {
            self.wrong(field, "is required");
        }
        note
    }

    /// Checks an etag, if one is given.
    pub(in crate::grpc) fn etag(&mut self, field: &str, text: &str) -> Option<String> {
        self.bounded(field, text, MAX_NAME);
        Some(text.to_owned()).filter(|it| !it.is_empty())
    }

    /// Checks a strand, if one is given.
    pub(in crate::grpc) fn strand(&mut self, text: &str) -> Option<String> {
        if self.bounded("strand", text, MAX_NAME) { self.note("strand", text) } else { None }
    }

    /// Checks a title that may be empty: a provider, or the reference of an invoice.
    pub(in crate::grpc) fn title(&mut self, field: &str, text: &str) -> Option<String> {
        if self.bounded(field, text, MAX_TITLE) { self.note(field, text) } else { None }
    }

    fn bounded(&mut self, field: &str, text: &str, limit: usize) -> bool {
        let fits = text.chars().count() <= limit;
        if !fits {
            self.wrong(field, format!("is longer than {limit} characters"));
        }
        fits
    }

    /// Checks an amount of money: 1 to [`MAX_PENCE`].
    pub(in crate::grpc) fn pence(&mut self, field: &str, pence: i64) -> Option<Pence> {
        let fits = (1..=MAX_PENCE).contains(&pence);
        if !fits {
            self.wrong(field, format!("must be 1 to {MAX_PENCE} pence, got {pence}"));
        }
        fits.then_some(Pence(pence))
    }

    /// Checks an amount of time: 1 to [`MAX_HALF_DAYS`].
    pub(in crate::grpc) fn half_days(&mut self, field: &str, half_days: i32) -> Option<HalfDays> {
        let fits = (1..=MAX_HALF_DAYS).contains(&half_days);
        if !fits {
            self.wrong(field, format!("must be 1 to {MAX_HALF_DAYS} half-days, got {half_days}"));
        }
        fits.then_some(HalfDays(half_days))
    }

    /// Checks an optional amount. `path` is the path of its message: empty, or with a dot at the end.
    pub(in crate::grpc) fn amount_if_any(
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

    /// Checks a required amount.
    pub(in crate::grpc) fn amount(&mut self, path: &str, amount: Option<impl Into<UncheckedAmount>>) -> Option<Amount> {
        if amount.is_none() {
            self.wrong(&format!("{path}amount"), "is required: amount_pence or half_days");
        }
        self.amount_if_any(path, amount)
    }

    /// Checks a required enum value, already converted; `None` stands for `UNSPECIFIED` or an unknown number.
    pub(in crate::grpc) fn choice<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.wrong(field, "is required, as one of its named values");
        }
        value
    }

    /// Ends the checks. Returns the value made of the fields, or all violations.
    pub(in crate::grpc) fn done<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(AppError::Invalid(self.0)),
        }
    }
}

/// The size of a page. A size that is too large is reduced, not refused (AIP-158); zero or less means the default.
pub(in crate::grpc) fn page_size(requested: i32) -> u64 {
    page_size_within(requested, DEFAULT_PAGE, MAX_PAGE)
}

/// The size of a page with another default and limit.
pub(in crate::grpc) fn page_size_within(requested: i32, default: u64, limit: u64) -> u64 {
    match u64::try_from(requested) {
        Ok(0) | Err(_) => default,
        Ok(size) => size.min(limit),
    }
}

/// Page tokens: opaque texts, valid only with the filter they were made for.
pub(in crate::grpc) mod token {
    use std::fmt::Display;
    use std::str::FromStr;

    use sha2::{Digest as _, Sha256};

    use crate::app::{AppError, Result, Violation};

    /// Makes the token of the page after `key`, for this filter.
    pub(in crate::grpc) fn make(filter: &[u8], key: &str) -> String {
        format!("{}{}", filter_digest(filter), hex::encode(key))
    }

    /// Reads the key of a token, which must have been made for this filter. `None` for the first page.
    pub(in crate::grpc) fn read(filter: &[u8], token: &str) -> Result<Option<String>> {
        if token.is_empty() {
            return Ok(None);
        }
        let wrong = |why: &str| AppError::Invalid(vec![Violation::new("page_token", why)]);
        let (digest, key) = token.split_at_checked(16).ok_or_else(|| wrong("is not a page token"))?;
        if digest != filter_digest(filter) {
            return Err(wrong("was made for another filter"));
        }
        let key = hex::decode(key).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        key.map(Some).ok_or_else(|| wrong("is not a page token"))
    }

    /// Reads the key of a token, and parses it.
    pub(in crate::grpc) fn read_as<T: FromStr>(filter: &[u8], token: &str) -> Result<Option<T>> {
        let wrong = |_| AppError::Invalid(vec![Violation::new("page_token", "is not a page token")]);
        read(filter, token)?.map(|key| key.parse().map_err(wrong)).transpose()
    }

    /// Makes the token of the page after this one; empty if this page is not full.
    pub(in crate::grpc) fn next<T>(filter: &[u8], size: u64, page: &[T], key: impl Fn(&T) -> String) -> String {
        let is_full = u64::try_from(page.len()).is_ok_and(|it| it >= size);
        page.last().filter(|_| is_full).map(|last| make(filter, &key(last))).unwrap_or_default()
    }

    /// The key of a page in a list that may be ordered by name. The name may have several lines.
    pub(in crate::grpc) struct Named<K> {
        pub(in crate::grpc) key: K,
        pub(in crate::grpc) name: String,
    }

    /// Writes a [`Named`] as text.
    pub(in crate::grpc) fn named(key: impl Display, name: &str) -> String {
        format!("{key}\n{name}")
    }

    impl<K: FromStr> FromStr for Named<K> {
        type Err = ();
        fn from_str(text: &str) -> std::result::Result<Self, ()> {
            let (key, name) = text.split_once('\n').filter(|(_, name)| !name.contains('\0')).ok_or(())?;
            Ok(Self { key: key.parse().map_err(|_| ())?, name: name.to_owned() })
        }
    }

    fn filter_digest(filter: &[u8]) -> String {
        hex::encode(&Sha256::digest(filter)[..8])
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_key_with_a_name_is_read_as_it_is_written() {
            for name in ["St Wilfreda's", "", "two\nlines"] {
                let read: Named<u32> = named(910_001, name).parse().unwrap();
                assert_eq!((read.key, read.name.as_str()), (910_001, name));
            }
            for bad in ["910001", "910001\na\0b", "x\na"] {
                assert!(bad.parse::<Named<u32>>().is_err(), "{bad:?}");
            }
        }

        #[test]
        fn a_token_is_bound_to_its_filter() {
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
    fn everything_wrong_is_named_at_once() {
        let today = "2022-03-01".parse().unwrap();
        let mut fields = Fields::default();
        fields.request_id("x");
        fields.urn("urn", 7);
        fields.date("from", "01/03/2022");
        fields.happened("date", "2022-03-02", today);
        fields.text("reason", "  ");
        let Err(AppError::Invalid(violations)) = fields.done(Some(())) else { panic!("nothing found") };
        let wrong_fields: Vec<&str> = violations.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(wrong_fields, ["request_id", "urn", "from", "date", "reason"]);
    }

    #[test]
    fn a_date_is_ten_characters() {
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
                (Err(AppError::Invalid(wrong)), Err(field)) => {
                    assert_eq!(wrong.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), [field], "{unchecked:?}");
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
