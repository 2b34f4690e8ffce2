//! Prints answers to stdout, and everything else to stderr. No other module of the client prints.
//!
//! Control characters are printed as `\uXXXX`, so that none reaches a terminal. In a table they are replaced before the widths of
//! the columns are computed. In JSON `\uXXXX` is the escape of the same character, so a parser reads the original value.
//!
//! JSON is made from the contract, the messages of gRPC ([`super::json`]), tables by the modules in `view/`.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table};
use serde::Serialize;

use super::json::HasIds;
use crate::domain::text::{Lines, shown};

/// The format of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Aligned columns for people
    Table,
    /// One document for scripts
    Json,
    /// The ids only, one a line
    Id,
}

/// A column: its heading and alignment.
#[derive(Clone, Copy)]
pub(super) enum TableColumn<'a> {
    /// Aligned left, wrapped if the page is too narrow.
    Text(&'a str),
    /// Aligned left and never wrapped, so that it can be copied.
    Id(&'a str),
    /// Aligned right, never wrapped.
    Number(&'a str),
}

/// The width of tables: enough for an id and a name, and not too wide for a terminal.
const WIDTH: u16 = 100;

/// Prints an answer on stdout, as JSON, as text or as its ids. Only the requested format is made. An answer without ids prints a
/// remark instead of them.
///
/// # Errors
/// The write to stdout fails.
pub(super) fn answer<J: Serialize + HasIds>(
    output: Output,
    json: impl FnOnce() -> J,
    as_text: impl FnOnce() -> String,
) -> io::Result<()> {
    match output {
        Output::Table => text(as_text().trim_end()),
        Output::Json => document(&json()),
        Output::Id => match json().ids() {
            Some(ids) if ids.is_empty() => Ok(()),
            Some(ids) => text(&ids.join("\n")),
            None => {
                remark("this answer has no ids");
                Ok(())
            }
        },
    }
}

/// Prints one JSON document on stdout.
///
/// # Errors
/// The write to stdout fails.
pub(super) fn document(value: &impl Serialize) -> io::Result<()> {
    text(&serde_json::to_string_pretty(value)?)
}

/// Prints a line for a person on stderr. A failed write is ignored.
pub(super) fn remark(text: &str) {
    writeln!(io::stderr().lock(), "{}", lines(text.trim_end())).unwrap_or_default();
}

/// Prints a parse error or the help. A parse error quotes arguments. If they have control characters, the text is escaped and
/// printed without clap's styles.
pub(super) fn usage(error: &clap::Error) {
    match lines(&error.render().to_string()) {
        Cow::Borrowed(_) => error.print().unwrap_or_default(),
        Cow::Owned(escaped) => remark(&escaped),
    }
}

/// Returns a text of one or more lines with its control characters escaped.
pub(super) fn lines(text: &str) -> Cow<'_, str> {
    shown(text, Lines::Many)
}

/// Returns a text as one line, with control characters and line breaks escaped.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    shown(text, Lines::One)
}

/// Returns an escaped text for a table, with spaces instead of tabs, which would break the alignment.
fn in_table(text: &str) -> String {
    lines(text).replace('\t', "    ")
}

/// Formats a table with headings and aligned columns, without border lines.
pub(super) fn table(columns: &[TableColumn<'_>], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = plain();
    table.set_header(columns.iter().map(|column| match column {
        TableColumn::Text(heading) | TableColumn::Id(heading) | TableColumn::Number(heading) => *heading,
    }));
    table.add_rows(rows.into_iter().map(|row| row.iter().map(|it| in_table(it)).collect::<Vec<_>>()));
    align(&mut table, columns.iter().map(|column| matches!(column, TableColumn::Number(_))));
    for (column, kind) in table.column_iter_mut().zip(columns) {
        if !matches!(kind, TableColumn::Text(_)) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.trim_fmt()
}

/// Formats fields, one line per field with its name and its value. Fields with an empty value are left out.
pub(super) fn field_lines(rows: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut table = plain();
    let rows = rows.into_iter().filter(|(_, value)| !value.is_empty());
    table.add_rows(rows.map(|(key, value)| [key.to_owned(), in_table(&value)]));
    align(&mut table, [false, false]);
    table.trim_fmt()
}

/// Formats counts, one line per count with its name. The counts are aligned right.
pub(super) fn counts(rows: impl IntoIterator<Item = (String, String)>) -> String {
    let mut table = plain();
    table.add_rows(rows.into_iter().map(|(key, value)| [in_table(&key), in_table(&value)]));
    align(&mut table, [false, true]);
    table.trim_fmt()
}

/// Returns the text of a number; empty for 0, which means that there is no value.
pub(super) fn number<N: Default + PartialEq + ToString>(number: N) -> String {
    if number == N::default() { String::new() } else { number.to_string() }
}

/// Joins the parts that are not empty, with a blank line between them.
pub(super) fn parts(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// Formats a table; empty if it has no rows.
pub(super) fn table_if_any<T>(columns: &[TableColumn<'_>], rows: &[T], row: impl Fn(&T) -> Vec<String>) -> String {
    if rows.is_empty() { String::new() } else { table(columns, rows.iter().map(row)) }
}

/// Returns an empty table without borders, of the width [`WIDTH`].
fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table
}

/// Aligns each column: right if it is a column of numbers, otherwise left.
fn align(table: &mut Table, numbers: impl IntoIterator<Item = bool>) {
    for (column, number) in table.column_iter_mut().zip(numbers) {
        column.set_cell_alignment(if number { CellAlignment::Right } else { CellAlignment::Left });
        column.set_padding((0, 1));
    }
}

/// Returns true if stdout is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Prints a text on stdout. A reader that closes the pipe early, such as `head`, is not a failure.
///
/// # Errors
/// The write to stdout fails.
pub(super) fn text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{}", lines(text)).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a part of a longer text on stdout. Returns false if the reader, such as `head`, has closed the pipe.
///
/// # Errors
/// The write to stdout fails.
pub(super) fn part(text: &str) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(lines(text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_aligned_left_and_numbers_right() {
        let rows = [vec!["Oak".to_owned(), "7".to_owned()], vec!["Elm Park".to_owned(), "12345".to_owned()]];
        let text = table(&[TableColumn::Text("NAME"), TableColumn::Number("SCHOOLS")], rows);
        assert_eq!(text, "NAME     SCHOOLS\nOak            7\nElm Park   12345");
    }

    #[test]
    fn a_field_without_a_value_is_left_out() {
        let text = field_lines([("name", "Oak".to_owned()), ("diocese", String::new()), ("urn", "100001".to_owned())]);
        assert_eq!(text, "name Oak\nurn  100001");
    }

    /// An escape sequence, a C1 control and a control of writing direction, which an old version may have stored.
    const HOSTILE: &str = "A\u{1b}[31mRED\u{9b}\u{202e}";

    #[test]
    fn a_table_escapes_controls_and_stays_aligned() {
        let rows = [vec![HOSTILE.to_owned(), "1".to_owned()], vec!["a\tb\nc".to_owned(), "2".to_owned()]];
        let name = r"A\u001b[31mRED\u009b\u202e";
        let expected =
            [format!("{:<26} N", "NAME"), format!("{name} 1"), format!("{:<26} 2", "a    b"), "c".to_owned()];
        let text = table(&[TableColumn::Text("NAME"), TableColumn::Number("N")], rows);
        let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(trimmed, expected);
        for text in [field_lines([("name", HOSTILE.to_owned())]), counts([(HOSTILE.to_owned(), HOSTILE.to_owned())])] {
            assert!(text.contains(name) && !text.contains('\u{1b}'), "{text:?}");
        }
    }

    #[test]
    fn no_line_is_wider_than_the_page_and_no_id_is_broken() {
        let id = "6f1c8a52-30c5-4c3e-9d9e-0a4f5e6b7c8d";
        let rows = [vec![id.to_owned(), "word ".repeat(60), "other ".repeat(9), "123456".to_owned()]];
        let columns =
            [TableColumn::Id("OFFER"), TableColumn::Text("TEXT"), TableColumn::Text("TEXT"), TableColumn::Number("N")];
        let text = table(&columns, rows);
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        assert!(text.contains(id) && text.contains("123456"), "{text}");
    }
}
