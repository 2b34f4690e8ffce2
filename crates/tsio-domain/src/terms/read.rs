//! Reads a TOML table field by field, with the line of each value, and collects mistakes.
//!
//! A field that is missing or wrong is reported and read as `None`, so that the rest of the file is still read. An
//! unknown key is a mistake too. This module does not use the rules of the scheme.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{DateRange, TermsMistake};
use crate::Date;

/// A value and its line in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// Collects the mistakes of a file, with their lines.
pub(super) struct MistakeReport<'a> {
    file: &'a str,
    /// The index of each line feed in the text.
    line_feeds: Vec<usize>,
    mistakes: Vec<TermsMistake>,
    /// Whether a part of the file could not be read. Then a missing field is no mistake of its own.
    has_syntax_mistakes: bool,
}

impl<'a> MistakeReport<'a> {
    pub(super) fn new(file: &'a str, text: &str) -> Self {
        let line_feeds = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index).collect();
        Self { file, line_feeds, mistakes: Vec::new(), has_syntax_mistakes: false }
    }

    /// Returns the line, from 1, on which a span of the text begins.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.line_feeds.partition_point(|index| *index < span.start).saturating_add(1)
    }

    pub(super) fn add(&mut self, line: usize, reason: impl Into<String>) {
        self.mistakes.push(TermsMistake { file: self.file.to_owned(), line, reason: reason.into() });
    }

    pub(super) fn add_syntax_mistake(&mut self, line: usize, reason: impl Into<String>) {
        self.has_syntax_mistakes = true;
        self.add(line, reason);
    }

    pub(super) const fn has_syntax_mistakes(&self) -> bool {
        self.has_syntax_mistakes
    }

    /// Returns the mistakes in the order of their lines.
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

/// A table that is being read. Each field that is read is taken out of the table. The fields left at the end are
/// unknown keys.
pub(super) struct TermsTable<'t> {
    name: String,
    pub(super) line: usize,
    fields_left: Vec<TermsField<'t>>,
}

impl<'t> TermsTable<'t> {
    pub(super) fn new(name: &str, line: usize, table: &'t DeTable<'t>, report: &MistakeReport<'_>) -> Self {
        let mut sorted_fields: Vec<_> = table.iter().collect();
        sorted_fields.sort_by_key(|(key, _)| key.span().start);
        let field = |(key, value): (&'t Spanned<_>, _)| {
            let text: &std::borrow::Cow<'t, str> = key.get_ref();
            TermsField { key: text.as_ref(), line: report.line(&key.span()), value }
        };
        Self { name: name.to_owned(), line, fields_left: sorted_fields.into_iter().map(field).collect() }
    }

    /// Returns the full name of a field: `year.from`.
    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Takes a field out of the table; `None` if the table does not have it.
    fn take(&mut self, key: &str) -> Option<TermsField<'t>> {
        let index = self.fields_left.iter().position(|field| field.key == key)?;
        Some(self.fields_left.remove(index))
    }

    /// Whether the table has the field, and the field was not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.fields_left.iter().any(|field| field.key == key)
    }

    /// Takes a field out of the table. A missing field is reported.
    fn take_required(&mut self, key: &str, report: &mut MistakeReport<'_>) -> Option<TermsField<'t>> {
        let field = self.take(key);
        if field.is_none() && !report.has_syntax_mistakes() {
            report.add(self.line, format!("{} is missing", self.path(key)));
        }
        field
    }

    /// Takes a field and reads it with `read`. If `read` returns `None`, reports a mistake that says what was
    /// `expected`.
    fn read<T>(
        &mut self,
        key: &str,
        expected: &str,
        report: &mut MistakeReport<'_>,
        read: impl FnOnce(&'t DeValue<'t>) -> Option<T>,
    ) -> Option<Located<T>> {
        let field = self.take_required(key, report)?;
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

    /// Reads a text and parses it.
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

    /// Reads a text that must be one of a few words, each with its value.
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

    /// Reads a list, and each of its items with `read_item`. A wrong item is left out, and the other items are still
    /// read.
    fn list<T>(
        &mut self,
        key: &str,
        expected: &str,
        report: &mut MistakeReport<'_>,
        mut read_item: impl FnMut(&'t DeValue<'t>, &str, usize, &mut MistakeReport<'_>) -> Option<T>,
    ) -> Option<Located<Vec<Located<T>>>> {
        let field = self.take_required(key, report)?;
        let path = self.path(key);
        let Some(array) = field.value.get_ref().as_array() else {
            report.add(field.line, format!("{path} must be {expected}"));
            return None;
        };
        let mut items = Vec::new();
        for element in array.iter() {
            let line = report.line(&element.span());
            if let Some(value) = read_item(element.get_ref(), &path, line, report) {
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
        let field = self.take_required(key, report)?;
        self.open_table(field, report)
    }

    /// Reads all fields that are left as tables, in the order of the file.
    pub(super) fn tables(&mut self, report: &mut MistakeReport<'_>) -> Vec<(String, Self)> {
        let mut tables = Vec::new();
        for field in std::mem::take(&mut self.fields_left) {
            let key = field.key.to_owned();
            tables.extend(self.open_table(field, report).map(|table| (key, table)));
        }
        tables
    }

    /// Reads all fields that are left as texts, in the order of the file.
    pub(super) fn all_texts(&mut self, report: &mut MistakeReport<'_>) -> Vec<(String, Located<String>)> {
        let keys: Vec<String> = self.fields_left.iter().map(|field| field.key.to_owned()).collect();
        keys.into_iter().filter_map(|key| self.text(&key, report).map(|text| (key, text))).collect()
    }

    /// Opens the table that is the value of a field. A value of another type is reported.
    fn open_table(&self, field: TermsField<'t>, report: &mut MistakeReport<'_>) -> Option<Self> {
        let path = self.path(field.key);
        let table = field.value.get_ref().as_table();
        if table.is_none() {
            report.add(field.line, format!("{path} must be a table"));
        }
        table.map(|table| Self::new(&path, field.line, table, report))
    }

    /// Reads the fields `from` and `to` of this table as a period.
    pub(super) fn period(&mut self, report: &mut MistakeReport<'_>) -> Option<Located<DateRange>> {
        let (from, to) = (self.date("from", report), self.date("to", report));
        let (from, to) = (from?, to?);
        if to.value < from.value {
            report.add(to.line, format!("{} ends {} before it begins {}", self.name, to.value, from.value));
            return None;
        }
        Some(Located { value: DateRange { from: from.value, to: to.value }, line: from.line })
    }

    /// Reports each field that is left as an unknown key. Beside wrong syntax none is reported, because the parser may have put the
    /// field into another table.
    pub(super) fn finish(self, report: &mut MistakeReport<'_>) {
        if report.has_syntax_mistakes() {
            return;
        }
        for field in &self.fields_left {
            report.add(field.line, format!("{} is not a known key", self.path(field.key)));
        }
    }
}

/// Returns the value of a word. A text that is none of the words is reported.
fn word<T: Copy>(
    path: &str,
    text: &str,
    line: usize,
    words: &[(&str, T)],
    report: &mut MistakeReport<'_>,
) -> Option<T> {
    let value = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if value.is_none() {
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        report.add(line, format!("{path}: {text:?} is none of {}", allowed.join(", ")));
    }
    value
}

/// Reads a whole number, 0 or more.
fn integer(value: &DeValue<'_>) -> Option<u32> {
    let integer = value.as_integer()?;
    u32::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Reads a date without a time.
fn date(value: &DeValue<'_>) -> Option<Date> {
    let date_only = value.as_datetime().filter(|it| it.time.is_none() && it.offset.is_none())?;
    let day = date_only.date?;
    Date::from_ymd_opt(i32::from(day.year), u32::from(day.month), u32::from(day.day))
}
