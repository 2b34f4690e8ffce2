//! Finds control and invisible characters in the keys and texts of a terms file. Comments are not checked.
//!
//! An escape such as `\u202e` is visible in the file, but the text that is read from it contains the invisible
//! character. So the parsed texts are checked. Terms that are already stored are not checked, because earlier versions
//! accepted such characters.

use std::borrow::Cow;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::TermsMistake;
use super::read::MistakeReport;
use crate::text::{Lines, forbidden, shown};

/// Returns a mistake for every text and key of a file that has a forbidden character, in the order of the lines.
pub(super) fn forbidden_characters(file: &str, text: &str) -> Vec<TermsMistake> {
    let mut report = MistakeReport::new(file, text);
    // Mistakes of syntax are reported when the file is parsed.
    let (root, _) = DeTable::parse_recoverable(text);
    check_table(root.get_ref(), "", &mut report);
    report.finish()
}

/// Checks the keys and values of a table. `path` is the name of the table in the file.
fn check_table(table: &DeTable<'_>, path: &str, report: &mut MistakeReport<'_>) {
    for (key, value) in table {
        let name: &Cow<'_, str> = key.get_ref();
        let name = shown(name, Lines::One);
        let path = if path.is_empty() { name.into_owned() } else { format!("{path}.{name}") };
        check_text(key.get_ref(), Lines::One, (&key.span(), &path), report);
        check_value(value.get_ref(), (&value.span(), &path), report);
    }
}

fn check_value(value: &DeValue<'_>, (span, path): (&Range<usize>, &str), report: &mut MistakeReport<'_>) {
    match value {
        DeValue::String(text) => check_text(text, Lines::Many, (span, path), report),
        DeValue::Array(items) => items.iter().for_each(|it| check_value(it.get_ref(), (&it.span(), path), report)),
        DeValue::Table(table) => check_table(table, path, report),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

fn check_text(text: &str, lines: Lines, (span, path): (&Range<usize>, &str), report: &mut MistakeReport<'_>) {
    if let Some(found) = forbidden(text, lines) {
        let exception = if lines == Lines::Many { " except line feeds and tabs" } else { "" };
        let line = report.line(span);
        report.add(line, format!("{path} must have no control or invisible characters{exception}; got {found}"));
    }
}
