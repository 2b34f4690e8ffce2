//! Writes CSV whose texts a spreadsheet does not run as formulas.
//!
//! Numbers stay numbers. A text that a spreadsheet would read as a formula gets an apostrophe in front, which marks the cell as
//! text.

use serde::Serialize;
use serde_json::Value;

use super::errors::Failure;
use super::output;

/// The first characters of a formula, in ASCII and full width, and characters that a spreadsheet skips before a formula.
const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Returns the header row.
///
/// # Errors
/// [`Failure::Local`] if the CSV writer fails.
pub(super) fn header(columns: &[&str]) -> Result<String, Failure> {
    csv_text(|csv| csv.write_record(columns))
}

/// Returns rows as CSV. Each row has the values of the keys in `columns`; a missing key is an empty cell.
///
/// # Errors
/// [`Failure::Local`] if a row cannot be converted to JSON, or the CSV writer fails.
pub(super) fn rows<R: Serialize>(columns: &[&str], rows: impl IntoIterator<Item = R>) -> Result<String, Failure> {
    let mut records = Vec::new();
    for row in rows {
        let row = serde_json::to_value(row).map_err(|error| csv_failure(&error))?;
        records.push(columns.iter().map(|column| cell(row.get(column))).collect::<Vec<_>>());
    }
    csv_text(|csv| records.iter().try_for_each(|record| csv.write_record(record)))
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        Some(Value::String(text)) => text_cell(text),
        Some(value @ (Value::Array(_) | Value::Object(_))) => text_cell(&value.to_string()),
    }
}

/// Returns a text with its control characters escaped, and with an apostrophe in front if a spreadsheet would read it as a
/// formula.
fn text_cell(text: &str) -> String {
    let is_formula = text.trim_start_matches(' ').starts_with(FORMULA_STARTS);
    format!("{}{}", if is_formula { "'" } else { "" }, output::lines(text))
}

/// Returns the CSV that `write` writes.
fn csv_text(write: impl FnOnce(&mut ::csv::Writer<Vec<u8>>) -> ::csv::Result<()>) -> Result<String, Failure> {
    let mut csv = ::csv::Writer::from_writer(Vec::new());
    write(&mut csv).map_err(|error| csv_failure(&error))?;
    let bytes = csv.into_inner().map_err(|error| csv_failure(&error))?;
    String::from_utf8(bytes).map_err(|error| csv_failure(&error))
}

fn csv_failure(error: &dyn std::fmt::Display) -> Failure {
    Failure::Local("OUTPUT_FAILED", format!("cannot write CSV: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Row {
        amount: i64,
        who: Option<&'static str>,
        done: bool,
    }

    fn row(amount: i64, who: &'static str) -> Row {
        Row { amount, who: Some(who), done: true }
    }

    #[test]
    fn a_row_has_the_columns_in_their_order() {
        assert_eq!(header(&["who", "amount", "done"]).ok().as_deref(), Some("who,amount,done\n"));
        let rows = rows(&["who", "amount", "done"], [row(-5, "a, \"b\""), Row { amount: 0, who: None, done: false }]);
        assert_eq!(rows.ok().as_deref(), Some("\"a, \"\"b\"\"\",-5,true\n,0,false\n"));
    }

    #[test]
    fn a_text_that_looks_like_a_formula_is_marked_as_text_and_a_number_is_not() {
        #[rustfmt::skip]
        let texts = [
            ("=1+1",                  "'=1+1"),
            ("+44 20",                "'+44 20"),
            ("-1",                    "'-1"),
            ("@SUM(1+1)",             "'@SUM(1+1)"),
            ("\t=1+1",                "'\t=1+1"),
            ("\r=1+1",                "'\\u000d=1+1"),
            ("\n=1+1",                "\"'\n=1+1\""),
            ("  =1+1",                "'  =1+1"),
            ("＝1+1",                 "'＝1+1"),
            ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
            ("1+1",                   "1+1"),
            ("2021-09-06",            "2021-09-06"),
            ("'tis",                  "'tis"),
            ("a\u{1b}[31m\u{202e}",   "a\\u001b[31m\\u202e"),
        ];
        for (text, expected) in texts {
            let written = rows(&["who", "amount"], [row(-1, text)]).ok();
            assert_eq!(written.as_deref(), Some(format!("{expected},-1\n").as_str()), "{text:?}");
        }
    }
}
