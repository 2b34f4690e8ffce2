//! Checks the fields of a request, and names everything wrong at once.

use super::texts;
use crate::app::{AppError, Result, Violation};
use crate::domain::ids::{Programme, RequestId, Uid, Urn};
use crate::domain::ledger::Amount;
use crate::domain::money::{HalfDays, Pence};
use crate::domain::text::with_line_feeds;
use crate::domain::{self, Date, time};
use crate::grpc::message::limits::MAX_TITLE;
use crate::grpc::message::request_id::requested;

/// Characters of a free text.
const MAX_TEXT: usize = 10_000;
/// Characters of an etag, and of a strand.
const MAX_NAME: usize = 64;
/// The most a page has, where the caller asks for more.
const MAX_PAGE: u64 = 500;
/// What a page has, where the caller does not say.
const PAGE: u64 = 50;
/// The largest amount of one call, in pence: a hundred thousand million pounds, so that a slip of the keys is no award
/// and no sum of a programme overflows.
const MAX_PENCE: i64 = 10_000_000_000_000;
/// The same in half-days.
const MAX_HALF_DAYS: i32 = 10_000;

/// An amount of a message, before it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum GivenAmount {
    /// `amount_pence`.
    Pence(i64),
    /// `half_days`.
    HalfDays(i32),
}

/// Each message's `amount` as the one thing it is.
macro_rules! given {
    ($($message:ident),+) => {$(
        impl From<crate::proto::$message::Amount> for GivenAmount {
            fn from(amount: crate::proto::$message::Amount) -> Self {
                match amount {
                    crate::proto::$message::Amount::AmountPence(pence) => Self::Pence(pence),
                    crate::proto::$message::Amount::HalfDays(half_days) => Self::HalfDays(half_days),
                }
            }
        }
    )+};
}

given!(new_award, draw_award_request, release_award_request, refund_award_request);

/// The violations found so far; at the beginning, those of the texts of the request at hand.
#[derive(Debug)]
pub(in crate::grpc) struct Fields(Vec<Violation>);

impl Default for Fields {
    fn default() -> Self {
        Self(texts::found())
    }
}

impl Fields {
    /// Notes a violation.
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

    /// The request id that every mutation carries.
    pub(in crate::grpc) fn request_id(&mut self, text: &str) -> Option<RequestId> {
        let id = self.parse("request_id", text);
        if let Some(id) = id {
            requested(id);
        }
        id
    }

    /// A programme.
    pub(in crate::grpc) fn programme(&mut self, text: &str) -> Option<Programme> {
        self.parse("programme", text)
    }

    /// A URN.
    pub(in crate::grpc) fn urn(&mut self, field: &str, number: i32) -> Option<Urn> {
        let urn = u32::try_from(number).ok().and_then(Urn::new);
        if urn.is_none() {
            self.wrong(field, format!("{number} is not a URN (5 or 6 digits)"));
        }
        urn
    }

    /// A group UID.
    pub(in crate::grpc) fn uid(&mut self, field: &str, number: i32) -> Option<Uid> {
        let uid = u32::try_from(number).ok().and_then(Uid::new);
        if uid.is_none() {
            self.wrong(field, format!("{number} is not a group UID (1 to 6 digits)"));
        }
        uid
    }

    /// A date, `YYYY-MM-DD`.
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

    /// The date something happened: today when empty, never in the future.
    pub(in crate::grpc) fn happened(&mut self, field: &str, text: &str, today: Date) -> Option<Date> {
        let date = if text.is_empty() { today } else { self.date(field, text)? };
        time::happened(date, today).map_err(|future| self.wrong(field, future.to_string())).ok()
    }

    /// A free text that may be empty; its lines end with line feeds.
    pub(in crate::grpc) fn note(&mut self, field: &str, text: &str) -> Option<String> {
        if text.chars().count() > MAX_TEXT {
            self.wrong(field, format!("is longer than {MAX_TEXT} characters"));
        }
        Some(with_line_feeds(text).trim().to_owned()).filter(|it| !it.is_empty())
    }

    /// A free text that must be there.
    pub(in crate::grpc) fn text(&mut self, field: &str, text: &str) -> Option<String> {
        let note = self.note(field, text);
        if note.is_none() {
            self.wrong(field, "is required");
        }
        note
    }

    /// The etag the caller saw, if one is given.
    pub(in crate::grpc) fn etag(&mut self, field: &str, text: &str) -> Option<String> {
        self.bounded(field, text, MAX_NAME);
        Some(text.to_owned()).filter(|it| !it.is_empty())
    }

    /// A strand, if one is named.
    pub(in crate::grpc) fn strand(&mut self, text: &str) -> Option<String> {
        if self.bounded("strand", text, MAX_NAME) { self.note("strand", text) } else { None }
    }

    /// A title that may be empty: a provider's, an invoice's.
    pub(in crate::grpc) fn title(&mut self, field: &str, text: &str) -> Option<String> {
        if self.bounded(field, text, MAX_TITLE) { self.note(field, text) } else { None }
    }

    fn bounded(&mut self, field: &str, text: &str, most: usize) -> bool {
        let fits = text.chars().count() <= most;
        if !fits {
            self.wrong(field, format!("is longer than {most} characters"));
        }
        fits
    }

    /// An amount of money: more than nothing, and no more than [`MAX_PENCE`].
    pub(in crate::grpc) fn pence(&mut self, field: &str, pence: i64) -> Option<Pence> {
        let fits = (1..=MAX_PENCE).contains(&pence);
        if !fits {
            self.wrong(field, format!("must be 1 to {MAX_PENCE} pence, got {pence}"));
        }
        fits.then_some(Pence(pence))
    }

    /// An amount of time: more than nothing, and no more than [`MAX_HALF_DAYS`].
    pub(in crate::grpc) fn half_days(&mut self, field: &str, half_days: i32) -> Option<HalfDays> {
        let fits = (1..=MAX_HALF_DAYS).contains(&half_days);
        if !fits {
            self.wrong(field, format!("must be 1 to {MAX_HALF_DAYS} half-days, got {half_days}"));
        }
        fits.then_some(HalfDays(half_days))
    }

    /// An amount that may be left out, of a message whose path ends in a dot, or is empty.
    pub(in crate::grpc) fn amount_if_any(
        &mut self,
        path: &str,
        given: Option<impl Into<GivenAmount>>,
    ) -> Option<Amount> {
        match given?.into() {
            GivenAmount::Pence(pence) => self.pence(&format!("{path}amount_pence"), pence).map(Amount::Pence),
            GivenAmount::HalfDays(half_days) => {
                self.half_days(&format!("{path}half_days"), half_days).map(Amount::HalfDays)
            }
        }
    }

    /// An amount that must be there.
    pub(in crate::grpc) fn amount(&mut self, path: &str, given: Option<impl Into<GivenAmount>>) -> Option<Amount> {
        if given.is_none() {
            self.wrong(&format!("{path}amount"), "is required: amount_pence or half_days");
        }
        self.amount_if_any(path, given)
    }

    /// A value of an enum of the domain; `UNSPECIFIED` and unknown numbers are violations.
    pub(in crate::grpc) fn choice<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.wrong(field, "is required, as one of its named values");
        }
        value
    }

    /// Everything checked: the value made of the fields, or every violation.
    pub(in crate::grpc) fn done<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(AppError::Invalid(self.0)),
        }
    }
}

/// How many a page has: what was asked, capped, not refused (AIP-158). Less than nothing is nothing said.
pub(in crate::grpc) fn page_size(asked: i32) -> u64 {
    page_size_within(asked, PAGE, MAX_PAGE)
}

/// The same with other numbers.
pub(in crate::grpc) fn page_size_within(asked: i32, otherwise: u64, most: u64) -> u64 {
    match u64::try_from(asked) {
        Ok(0) | Err(_) => otherwise,
        Ok(asked) => asked.min(most),
    }
}

/// Page tokens: opaque text, bound to the filter they were made for.
pub(in crate::grpc) mod token {
    use std::fmt::Display;
    use std::str::FromStr;

    use sha2::{Digest as _, Sha256};

    use crate::app::{AppError, Result, Violation};

    /// A token for the page after `key`, under this filter.
    pub(in crate::grpc) fn make(filter: &[u8], key: &str) -> String {
        format!("{}{}", bound(filter), hex::encode(key))
    }

    /// The key in a token, which must have been made for this filter. Nothing for the first page.
    pub(in crate::grpc) fn read(filter: &[u8], token: &str) -> Result<Option<String>> {
        if token.is_empty() {
            return Ok(None);
        }
        let wrong = |why: &str| AppError::Invalid(vec![Violation::new("page_token", why)]);
        let (mark, key) = token.split_at_checked(16).ok_or_else(|| wrong("is not a page token"))?;
        if mark != bound(filter) {
            return Err(wrong("was made for another filter"));
        }
        let key = hex::decode(key).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        key.map(Some).ok_or_else(|| wrong("is not a page token"))
    }

    /// The same as a value.
    pub(in crate::grpc) fn read_as<T: FromStr>(filter: &[u8], token: &str) -> Result<Option<T>> {
        let wrong = |_| AppError::Invalid(vec![Violation::new("page_token", "is not a page token")]);
        read(filter, token)?.map(|key| key.parse().map_err(wrong)).transpose()
    }

    /// The token for the page after this one; empty when this one was not full.
    pub(in crate::grpc) fn next<T>(filter: &[u8], size: u64, page: &[T], key: impl Fn(&T) -> String) -> String {
        let full = u64::try_from(page.len()).is_ok_and(|it| it >= size);
        page.last().filter(|_| full).map(|last| make(filter, &key(last))).unwrap_or_default()
    }

    /// The key of a list that may come by name: with the name, which may have lines itself.
    pub(in crate::grpc) struct Named<K> {
        pub(in crate::grpc) key: K,
        pub(in crate::grpc) name: String,
    }

    /// The same as text.
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

    fn bound(filter: &[u8]) -> String {
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
        let named: Vec<&str> = violations.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(named, ["request_id", "urn", "from", "date", "reason"]);
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
    fn an_amount_is_more_than_nothing_and_bounded() {
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
        for (given, expected) in rows {
            let mut fields = Fields::default();
            let amount = fields.amount("awards[0].", given);
            match (fields.done(amount), expected) {
                (Ok(amount), Ok(expected)) => assert_eq!(amount, expected),
                (Err(AppError::Invalid(wrong)), Err(field)) => {
                    assert_eq!(wrong.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), [field], "{given:?}");
                }
                (got, _) => panic!("{given:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_page_is_capped_not_refused() {
        let rows = [(0, 50), (-1, 50), (1, 1), (500, 500), (501, 500), (i32::MAX, 500)];
        for (asked, given) in rows {
            assert_eq!(page_size(asked), given, "{asked}");
        }
    }
}
