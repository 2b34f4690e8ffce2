//! Prints lists: a part of the rows, selected columns, CSV.

use super::args::ListOutput;
use super::csv;
use super::errors::Failure;
use super::json::{Json, Object};
use super::output::{self, Output, TableColumn};
use super::session::Session;

/// The most rows that are printed on a terminal if no limit is given.
const TERMINAL_ROWS: usize = 50;

impl Session<'_> {
    /// Prints the rows of a list: as JSON, as CSV, as ids or as a table. `json` converts one row, and `table` formats the rows that
    /// are printed. Says on stderr how many rows are left out.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a column that the rows do not have, and for CSV and another format at once; the output fails.
    pub(super) fn print_list<T: Default>(
        &self,
        rows: &[T],
        args: &ListOutput,
        json: impl Fn(&T) -> Object,
        table: impl FnOnce(&[T]) -> String,
    ) -> Result<(), Failure> {
        if args.csv && self.output() != Output::Table {
            return Err(Failure::Usage("--csv and --output are two formats: use one of them".to_owned()));
        }
        let printed = self.row_limit(args).and_then(|limit| rows.get(..limit)).unwrap_or(rows);
        // The ids are those of whole rows.
        if self.output() != Output::Id && (args.csv || !args.columns.is_empty()) {
            let objects: Vec<Object> = printed.iter().map(&json).collect();
            self.print_columns(&json(&T::default()), &objects, args)?;
        } else {
            self.print(|| printed.iter().map(json).collect::<Json>(), || table(printed))?;
        }
        if let more @ 1.. = rows.len().saturating_sub(printed.len()) {
            output::remark(&format!("{more} more: --limit 0"));
        }
        Ok(())
    }

    /// Says on stderr that there are more rows than were read.
    pub(super) fn remark_more(&self, has_more: bool) {
        if has_more {
            output::remark("there are more: --limit 0");
        }
    }

    /// The most rows to print; `None` for all.
    pub(super) fn row_limit(&self, args: &ListOutput) -> Option<usize> {
        let is_for_terminal = !args.csv && self.output() == Output::Table && output::is_terminal();
        args.limit.or(is_for_terminal.then_some(TERMINAL_ROWS)).filter(|limit| *limit > 0)
    }

    /// Prints the selected columns of a list, or all columns. `empty_row` has the columns of all rows.
    fn print_columns(&self, empty_row: &Object, rows: &[Object], args: &ListOutput) -> Result<(), Failure> {
        let columns = selected_columns(empty_row, &args.columns)?;
        if args.csv {
            let rows = csv::rows(&columns, rows)?;
            return Ok(output::text(format!("{}{rows}", csv::header(&columns)?).trim_end())?);
        }
        let selected = || rows.iter().map(|it| it.only(&columns));
        let headings: Vec<String> = columns.iter().map(|it| it.to_uppercase().replace('_', " ")).collect();
        let headings: Vec<TableColumn<'_>> = headings.iter().map(|it| TableColumn::Text(it)).collect();
        self.print(|| selected().collect::<Json>(), || output::table(&headings, selected().map(|it| it.cells())))
    }
}

/// The columns to print: those that are requested, or all keys of a row.
///
/// # Errors
/// [`Failure::Usage`] for a column that a row does not have.
fn selected_columns<'a>(row: &'a Object, requested: &'a [String]) -> Result<Vec<&'a str>, Failure> {
    let known: Vec<&str> = row.keys().collect();
    if requested.is_empty() {
        return Ok(known);
    }
    let requested: Vec<&str> = requested.iter().map(|it| it.trim()).collect();
    let unknown: Vec<&str> = requested.iter().copied().filter(|it| !known.contains(it)).collect();
    if unknown.is_empty() {
        return Ok(requested);
    }
    Err(Failure::Usage(format!("no column {}; there are: {}", unknown.join(", "), known.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Object {
        Object::default().with("offer", "a").with("name", "St Wilfreda").with("etag", Json::Null)
    }

    #[test]
    fn the_columns_are_those_requested_or_all() {
        let (row, requested) = (row(), ["name", " offer"].map(ToOwned::to_owned));
        assert_eq!(selected_columns(&row, &[]).ok(), Some(vec!["offer", "name", "etag"]));
        assert_eq!(selected_columns(&row, &requested).ok(), Some(vec!["name", "offer"]));
        assert_eq!(row.only(&["name", "none"]).cells(), ["St Wilfreda", ""]);
    }

    #[test]
    fn an_unknown_column_is_wrong_usage_and_the_known_ones_are_named() {
        let requested = ["name", "nmae", "x"].map(ToOwned::to_owned);
        let row = row();
        let error = selected_columns(&row, &requested).unwrap_err();
        assert!(matches!(error, Failure::Usage(text) if text == "no column nmae, x; there are: offer, name, etag"));
    }
}
