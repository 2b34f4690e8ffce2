//! The only place of the client that writes: answers to stdout, everything else to stderr.
//!
//! No control character reaches a terminal from here: each is written `\uXXXX`, in a table before
//! its columns are laid out. JSON has the same escapes, so that its values stay what they are.
//!
//! JSON is made from the contract ([`super::json`]); tables are made by hand (`view/`).

use std::borrow::Cow;
use std::io::{self, Write as _};

use clap::ValueEnum;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table};
use serde::Serialize;

use crate::domain::text::{Lines, shown};

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Aligned columns for people
    Table,
    /// One document for scripts
    Json,
}

/// A column: its heading, and on which side its values line up.
#[derive(Clone, Copy)]
pub(super) enum TableColumn {
    /// Lined up on the left, wrapped where the page is too narrow.
    Text(&'static str),
    /// Lined up on the left and never wrapped, so that it can be copied.
    Id(&'static str),
    /// Lined up on the right, never wrapped.
    Number(&'static str),
}

/// Wide enough for an id and a name, narrow enough for a terminal.
const WIDTH: u16 = 100;

/// Prints an answer on stdout, as its JSON or as what a person reads; only the one asked for is made.
///
/// # Errors
/// When stdout cannot be written to.
pub(super) fn answer<J: Serialize>(
    output: Output,
    json: impl FnOnce() -> J,
    shown: impl FnOnce() -> String,
) -> io::Result<()> {
    match output {
        Output::Table => text(shown().trim_end()),
        Output::Json => document(&json()),
    }
}

/// Prints one json document on stdout.
///
/// # Errors
/// When stdout cannot be written to.
pub(super) fn document(value: &impl Serialize) -> io::Result<()> {
    text(&serde_json::to_string_pretty(value)?)
}

/// Prints a line for a person on stderr. That nobody reads it is no failure.
pub(super) fn remark(text: &str) {
    writeln!(io::stderr().lock(), "{}", lines(text.trim_end())).unwrap_or_default();
}

/// Prints why the words given are no command, or the help that was asked for. What the words held is no part of clap's
/// styles, so that a text that needs escapes is printed plain.
pub(super) fn usage(error: &clap::Error) {
    match lines(&error.render().to_string()) {
        Cow::Borrowed(_) => error.print().unwrap_or_default(),
        Cow::Owned(escaped) => remark(&escaped),
    }
}

/// A text of one or more lines as it may be shown.
pub(super) fn lines(text: &str) -> Cow<'_, str> {
    shown(text, Lines::Many)
}

/// A text as it may be shown on one line.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    shown(text, Lines::One)
}

/// A text as it may be shown in a table, where no column lines up after a tab.
fn in_table(text: &str) -> String {
    lines(text).replace('\t', "    ")
}

/// A table with headings, aligned, without lines.
pub(super) fn table(columns: &[TableColumn], rows: impl IntoIterator<Item = Vec<String>>) -> String {
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

/// One thing's facts, a line each.
pub(super) fn facts(rows: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut table = plain();
    let rows = rows.into_iter().filter(|(_, value)| !value.is_empty());
    table.add_rows(rows.map(|(key, value)| [key.to_owned(), in_table(&value)]));
    align(&mut table, [false, false]);
    table.trim_fmt()
}

/// Counts, a line each, lined up on the right.
pub(super) fn counts(rows: impl IntoIterator<Item = (String, String)>) -> String {
    let mut table = plain();
    table.add_rows(rows.into_iter().map(|(key, value)| [in_table(&key), in_table(&value)]));
    align(&mut table, [false, true]);
    table.trim_fmt()
}

/// What a cell shows for a number where 0 says that there is none.
pub(super) fn number<N: Default + PartialEq + ToString>(number: N) -> String {
    if number == N::default() { String::new() } else { number.to_string() }
}

/// The parts that say something, a blank line between them.
pub(super) fn parts(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// A table, or nothing where it has no rows.
pub(super) fn table_of_some<T>(columns: &[TableColumn], rows: &[T], row: impl Fn(&T) -> Vec<String>) -> String {
    if rows.is_empty() { String::new() } else { table(columns, rows.iter().map(row)) }
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table
}

fn align(table: &mut Table, numbers: impl IntoIterator<Item = bool>) {
    for (column, number) in table.column_iter_mut().zip(numbers) {
        column.set_cell_alignment(if number { CellAlignment::Right } else { CellAlignment::Left });
        column.set_padding((0, 1));
    }
}

/// Prints a text on stdout. A reader that has had enough, such as `head`, is no failure.
///
/// # Errors
/// When stdout cannot be written to.
pub(super) fn text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{}", lines(text)).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a part of a longer text on stdout. Answers whether to go on. A reader that has had enough, such as `head`, is no failure.
///
/// # Errors
/// When stdout cannot be written to.
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
    fn words_line_up_on_the_left_and_numbers_on_the_right() {
        let rows = [vec!["Oak".to_owned(), "7".to_owned()], vec!["Elm Park".to_owned(), "12345".to_owned()]];
        let text = table(&[TableColumn::Text("NAME"), TableColumn::Number("SCHOOLS")], rows);
        assert_eq!(text, "NAME     SCHOOLS\nOak            7\nElm Park   12345");
    }

    #[test]
    fn a_fact_without_a_value_is_left_out() {
        let text = facts([("name", "Oak".to_owned()), ("diocese", String::new()), ("urn", "100001".to_owned())]);
        assert_eq!(text, "name Oak\nurn  100001");
    }

    /// An escape sequence, a C1 control and one of writing direction, as an old version may have stored them.
    const HOSTILE: &str = "A\u{1b}[31mRED\u{9b}\u{202e}";

    #[test]
    fn a_table_shows_controls_escaped_and_lines_up() {
        let rows = [vec![HOSTILE.to_owned(), "1".to_owned()], vec!["a\tb\nc".to_owned(), "2".to_owned()]];
        let name = r"A\u001b[31mRED\u009b\u202e";
        let expected =
            [format!("{:<26} N", "NAME"), format!("{name} 1"), format!("{:<26} 2", "a    b"), "c".to_owned()];
        let text = table(&[TableColumn::Text("NAME"), TableColumn::Number("N")], rows);
        let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(trimmed, expected);
        for text in [facts([("name", HOSTILE.to_owned())]), counts([(HOSTILE.to_owned(), HOSTILE.to_owned())])] {
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
