//! Reading a TOML table field by field, keeping lines and collecting mistakes.
//!
//! A field that is missing or wrong is reported and answered with nothing, so that the rest of the file is still
//! read; keys nobody asked for are mistakes of their own. No rule of the scheme is known here.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{DateRange, TermsMistake};
use crate::Date;

/// A value and the line it was written on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// Where mistakes go, with their lines.
pub(super) struct MistakeReport<'a> {
    file: &'a str,
    text: &'a str,
    mistakes: Vec<TermsMistake>,
}

impl<'a> MistakeReport<'a> {
    pub(super) const fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, mistakes: Vec::new() }
    }

    /// The line, from 1, on which a span begins.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        before.filter(|byte| **byte == b'\n').count().saturating_add(1)
    }

    pub(super) fn add(&mut self, line: usize, reason: impl Into<String>) {
        self.mistakes.push(TermsMistake { file: self.file.to_owned(), line, reason: reason.into() });
    }

    /// The mistakes so far, by line.
    pub(super) fn finish(mut self) -> Vec<TermsMistake> {
        self.mistakes.sort();
        self.mistakes
    }
}

struct TermsField<'t> {
    key: &'t str,
    line: usize,
    value: &'t Spanned<DeValue<'t>>,
}

/// A table being read: each field is taken once, and what is left at the end was never asked for.
pub(super) struct TermsTable<'t> {
    name: String,
    pub(super) line: usize,
    rest: Vec<TermsField<'t>>,
}

impl<'t> TermsTable<'t> {
    pub(super) fn new(name: &str, line: usize, table: &'t DeTable<'t>, report: &MistakeReport<'_>) -> Self {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let field = |(key, value): (&'t Spanned<_>, _)| {
            let text: &std::borrow::Cow<'t, str> = key.get_ref();
            TermsField { key: text.as_ref(), line: report.line(&key.span()), value }
        };
        Self { name: name.to_owned(), line, rest: entries.into_iter().map(field).collect() }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn take(&mut self, key: &str) -> Option<TermsField<'t>> {
        let at = self.rest.iter().position(|field| field.key == key)?;
        Some(self.rest.remove(at))
    }

    /// Whether the file has the field.
    pub(super) fn has(&self, key: &str) -> bool {
        self.rest.iter().any(|field| field.key == key)
    }

    fn need(&mut self, key: &str, report: &mut MistakeReport<'_>) -> Option<TermsField<'t>> {
        let field = self.take(key);
        if field.is_none() {
            report.add(self.line, format!("{} is missing", self.path(key)));
        }
        field
    }

    /// A field read by `read`; when that answers nothing, the mistake says what was `expected`.
    fn read<T>(
        &mut self,
        key: &str,
        expected: &str,
        report: &mut MistakeReport<'_>,
        read: impl FnOnce(&'t DeValue<'t>) -> Option<T>,
    ) -> Option<Located<T>> {
        let field = self.need(key, report)?;
        match read(field.value.get_ref()) {
            Some(value) => Some(Located { value, line: field.line }),
            None => {
                report.add(field.line, format!("{} must be {expected}", self.path(key)));
                None
            }
        }
    }

    pub(super) fn text(&mut self, key: &str, report: &mut MistakeReport<'_>) -> Option<Located<String>> {
        self.read(key, "a text, not empty", report, |value| {
            value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
        })
    }

    pub(super) fn yes_or_no(&mut self, key: &str, report: &mut MistakeReport<'_>) -> Option<Located<bool>> {
        self.read(key, "true or false", report, DeValue::as_bool)
    }

    pub(super) fn date(&mut self, key: &str, report: &mut MistakeReport<'_>) -> Option<Located<Date>> {
        self.read(key, "a date (like 2021-09-01)", report, date)
    }

    pub(super) fn number(&mut self, key: &str, report: &mut MistakeReport<'_>) -> Option<Located<u32>> {
        self.read(key, "a whole number above 0", report, |value| integer(value).filter(|n| *n > 0))
    }

    /// A text that parses, or one of a few words.
    pub(super) fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        key: &str,
        report: &mut MistakeReport<'_>,
    ) -> Option<Located<T>> {
        let text = self.text(key, report)?;
        match text.value.parse() {
            Ok(value) => Some(Located { value, line: text.line }),
            Err(error) => {
                report.add(text.line, format!("{}: {error}", self.path(key)));
                None
            }
        }
    }

    pub(super) fn word<T: Copy>(
        &mut self,
        key: &str,
        words: &[(&str, T)],
        report: &mut MistakeReport<'_>,
    ) -> Option<Located<T>> {
        let text = self.text(key, report)?;
        let path = self.path(key);
        let value = word(&path, &text.value, text.line, words, report)?;
        Some(Located { value, line: text.line })
    }

    /// A list, each item read by `item` with its own line; one bad item leaves the others standing.
    fn list<T>(
        &mut self,
        key: &str,
        expected: &str,
        report: &mut MistakeReport<'_>,
        mut item: impl FnMut(&'t DeValue<'t>, &str, usize, &mut MistakeReport<'_>) -> Option<T>,
    ) -> Option<Located<Vec<Located<T>>>> {
        let field = self.need(key, report)?;
        let path = self.path(key);
        let Some(array) = field.value.get_ref().as_array() else {
            report.add(field.line, format!("{path} must be {expected}"));
            return None;
        };
        let mut items = Vec::new();
        for entry in array.iter() {
            let line = report.line(&entry.span());
            if let Some(value) = item(entry.get_ref(), &path, line, report) {
                items.push(Located { value, line });
            }
        }
        Some(Located { value: items, line: field.line })
    }

    pub(super) fn texts(&mut self, key: &str, report: &mut MistakeReport<'_>) -> Option<Located<Vec<Located<String>>>> {
        self.list(key, "a list of texts", report, |value, path, line, report| {
            let text = value.as_str().filter(|text| !text.trim().is_empty());
            if text.is_none() {
                report.add(line, format!("{path}: each must be a text, not empty"));
            }
            text.map(str::to_owned)
        })
    }

    pub(super) fn words<T: Copy>(
        &mut self,
        key: &str,
        words: &[(&str, T)],
        report: &mut MistakeReport<'_>,
    ) -> Option<Located<Vec<Located<T>>>> {
        self.list(key, "a list of texts", report, |value, path, line, report| {
            word(path, value.as_str().unwrap_or_default(), line, words, report)
        })
    }

    pub(super) fn numbers(&mut self, key: &str, report: &mut MistakeReport<'_>) -> Option<Located<Vec<Located<u32>>>> {
        self.list(key, "a list of whole numbers", report, |value, path, line, report| {
            let number = integer(value);
            if number.is_none() {
                report.add(line, format!("{path}: each must be a whole number"));
            }
            number
        })
    }

    pub(super) fn table(&mut self, key: &str, report: &mut MistakeReport<'_>) -> Option<Self> {
        let field = self.need(key, report)?;
        self.open(field, report)
    }

    /// Every field that is left, as tables, in the file's order.
    pub(super) fn tables(&mut self, report: &mut MistakeReport<'_>) -> Vec<(String, Self)> {
        let mut found = Vec::new();
        for field in std::mem::take(&mut self.rest) {
            let key = field.key.to_owned();
            found.extend(self.open(field, report).map(|table| (key, table)));
        }
        found
    }

    /// Every field that is left, as texts, in the file's order.
    pub(super) fn all_texts(&mut self, report: &mut MistakeReport<'_>) -> Vec<(String, Located<String>)> {
        let keys: Vec<String> = self.rest.iter().map(|field| field.key.to_owned()).collect();
        keys.into_iter().filter_map(|key| self.text(&key, report).map(|text| (key, text))).collect()
    }

    fn open(&self, field: TermsField<'t>, report: &mut MistakeReport<'_>) -> Option<Self> {
        let path = self.path(field.key);
        let table = field.value.get_ref().as_table();
        if table.is_none() {
            report.add(field.line, format!("{path} must be a table"));
        }
        table.map(|table| Self::new(&path, field.line, table, report))
    }

    /// `from` and `to` of this very table, in order.
    pub(super) fn period(&mut self, report: &mut MistakeReport<'_>) -> Option<Located<DateRange>> {
        let (from, to) = (self.date("from", report), self.date("to", report));
        let (from, to) = (from?, to?);
        if to.value < from.value {
            report.add(to.line, format!("{} ends {} before it begins {}", self.name, to.value, from.value));
            return None;
        }
        Some(Located { value: DateRange { from: from.value, to: to.value }, line: from.line })
    }

    /// Reports what nobody asked for.
    pub(super) fn finish(self, report: &mut MistakeReport<'_>) {
        for field in &self.rest {
            report.add(field.line, format!("{} is not a known key", self.path(field.key)));
        }
    }
}

fn word<T: Copy>(
    path: &str,
    text: &str,
    line: usize,
    words: &[(&str, T)],
    report: &mut MistakeReport<'_>,
) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        report.add(line, format!("{path}: {text:?} is none of {}", known.join(", ")));
    }
    found
}

fn integer(value: &DeValue<'_>) -> Option<u32> {
    let integer = value.as_integer()?;
    u32::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn date(value: &DeValue<'_>) -> Option<Date> {
    let written = value.as_datetime().filter(|d| d.time.is_none() && d.offset.is_none())?;
    let day = written.date?;
    Date::from_ymd_opt(i32::from(day.year), u32::from(day.month), u32::from(day.day))
}
