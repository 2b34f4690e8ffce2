//! What people must not type into a terms file: characters that nobody sees, however they are written.
//!
//! A file can be free of them and its texts not, since TOML has escapes. Asked of a file that is to be loaded; terms that are
//! stored are read as they are.

use std::borrow::Cow;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::TermsMistake;
use super::read::MistakeReport;
use crate::text::{Lines, forbidden, shown};

/// Every text and key of a file that has a character it must not have, by line.
pub(super) fn unseen(file: &str, text: &str) -> Vec<TermsMistake> {
    let mut report = MistakeReport::new(file, text);
    // What is no TOML is a mistake already.
    let (root, _) = DeTable::parse_recoverable(text);
    of_table(root.get_ref(), "", &mut report);
    report.finish()
}

fn of_table(table: &DeTable<'_>, path: &str, report: &mut MistakeReport<'_>) {
    for (key, value) in table {
        let name: &Cow<'_, str> = key.get_ref();
        let name = shown(name, Lines::One);
        let path = if path.is_empty() { name.into_owned() } else { format!("{path}.{name}") };
        look_at(key.get_ref(), Lines::One, (&key.span(), &path), report);
        of_value(value.get_ref(), (&value.span(), &path), report);
    }
}

fn of_value(value: &DeValue<'_>, (span, path): (&Range<usize>, &str), report: &mut MistakeReport<'_>) {
    match value {
        DeValue::String(text) => look_at(text, Lines::Many, (span, path), report),
        DeValue::Array(all) => all.iter().for_each(|it| of_value(it.get_ref(), (&it.span(), path), report)),
        DeValue::Table(table) => of_table(table, path, report),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

fn look_at(text: &str, lines: Lines, (span, path): (&Range<usize>, &str), report: &mut MistakeReport<'_>) {
    if let Some(found) = forbidden(text, lines) {
        let but = if lines == Lines::Many { " but line feeds and tabs" } else { "" };
        let line = report.line(span);
        report.add(line, format!("{path} must have no control or invisible characters{but}; got {found}"));
    }
}
