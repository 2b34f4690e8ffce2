//! Reads the rows of a file, each with the physical line on which it starts.
//!
//! Only this module uses the CSV reader. It does not interpret the rows.

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use super::limits::ImportLimits;
use super::refused::FileRefused;
use super::unpack::{BUFFER, END, Unpacked};

/// The character between two cells of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    Comma,
    Semicolon,
    Tab,
    Bar,
}

impl Separator {
    /// All separators, the usual one first.
    pub(super) const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Bar];

    const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }

    /// Its name, as in "a comma".
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Comma => "comma",
            Self::Semicolon => "semicolon",
            Self::Tab => "tab",
            Self::Bar => "vertical bar",
        }
    }
}

/// Reads row after row into one buffer.
pub(super) struct RecordReader<'a> {
    csv: Reader<Unpacked<'a>>,
    /// The character between two cells.
    pub(super) separator: Separator,
    limits: ImportLimits,
    /// The row that was read last.
    pub(super) row: ByteRecord,
    /// The line on which that row starts, from 1.
    pub(super) line: u64,
    /// The number of lines of that row.
    pub(super) lines: u64,
}

impl<'a> RecordReader<'a> {
    pub(super) fn open(upload: &'a [u8], separator: Separator, limits: &ImportLimits) -> Result<Self, FileRefused> {
        let text = Unpacked::open(upload, limits)?;
        let csv = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator.byte())
            .buffer_capacity(BUFFER)
            .from_reader(text);
        Ok(Self { csv, separator, limits: *limits, row: ByteRecord::new(), line: 0, lines: 0 })
    }

    /// Reads the next row, and returns false if there is none. Empty lines are skipped.
    pub(super) fn read(&mut self) -> Result<bool, FileRefused> {
        let line = self.csv.position().line();
        self.csv.get_mut().begin_row(line);
        let has_row = self.csv.read_byte_record(&mut self.row).map_err(refusal_of)?;
        if !has_row || (self.row.len() == 1 && self.row.get(0) == Some(END)) {
            return Ok(false);
        }
        let breaks = self.row.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64;
        // The reader is after the line break that ends the row. After an open quotation mark that line break counts as part of a cell.
        let next_line = self.csv.position().line();
        if self.row.as_slice().contains(&END[0]) {
            return Err(FileRefused::OpenQuote { line: next_line.saturating_sub(breaks) });
        }
        self.lines = breaks + 1;
        self.line = next_line.saturating_sub(self.lines);
        if self.row.as_slice().len() > self.limits.row_bytes {
            let what = format!("the row of line {}", self.line);
            return Err(FileRefused::over_bytes(what, self.limits.row_bytes as u64));
        }
        if self.row.len() > self.limits.columns {
            let what = format!("the row of line {}", self.line);
            return Err(FileRefused::over(what, self.limits.columns, "columns"));
        }
        Ok(true)
    }

    /// The hash of the file. It is complete only after the last row.
    pub(super) fn sha256(&self) -> [u8; 32] {
        self.csv.get_ref().sha256()
    }
}

fn refusal_of(error: csv::Error) -> FileRefused {
    match error.into_kind() {
        ErrorKind::Io(e) => e.downcast().unwrap_or(FileRefused::NotCsv("cannot be read as text")),
        _ => FileRefused::NotCsv("cannot be read as text"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(file: &str) -> Result<Vec<(u64, usize)>, FileRefused> {
        let mut records = RecordReader::open(file.as_bytes(), Separator::Comma, &ImportLimits::default())?;
        let mut lines = Vec::new();
        while records.read()? {
            lines.push((records.line, records.row.len()));
        }
        Ok(lines)
    }

    #[test]
    fn a_row_knows_the_line_it_starts_on() {
        let cases: [(&str, &[u64]); 7] = [
            ("a,b\nc,d\ne,f", &[1, 2, 3]),
            ("a,b\r\nc,d\r\ne,f\r\n", &[1, 2, 3]),
            ("a,b\rc,d\re,f\r", &[1, 2, 3]),
            ("\n\na,b\n\r\n\nc,d", &[3, 6]),
            ("a,\"b\nb\nb\"\nc,d\n", &[1, 4]),
            ("a,\"b\r\nb\"\r\n\r\nc,d\r\n", &[1, 4]),
            ("\u{feff}\"a\",b\nc,d", &[1, 2]),
        ];
        for (file, expected) in cases {
            let found = lines(file).unwrap().into_iter().map(|(line, _)| line).collect::<Vec<_>>();
            assert_eq!(found, expected, "{file:?}");
        }
    }

    #[test]
    fn an_open_quotation_mark_is_reported_with_its_line() {
        for (file, line) in [("a,b\n\nc,\"d\ne,f\n", 3), ("\"a", 1), ("a\nb\n\"\"\"", 3)] {
            assert_eq!(lines(file), Err(FileRefused::OpenQuote { line }), "{file:?}");
        }
    }

    #[test]
    fn limits_hold_for_a_row() {
        let limits = ImportLimits { row_bytes: 20, columns: 4, ..ImportLimits::default() };
        let read = |file: &str| {
            let mut records = RecordReader::open(file.as_bytes(), Separator::Comma, &limits)?;
            while records.read()? {}
            Ok::<_, FileRefused>(())
        };
        let over = |what: &str, limit: &str| Err(FileRefused::OverLimit { what: what.into(), limit: limit.into() });
        assert_eq!(read("a,b,c,d\n12345678901234567890"), Ok(()));
        assert_eq!(read("a\n123456789012345678901"), over("the row of line 2", "20 bytes"));
        assert_eq!(read("a\nb,,,,"), over("the row of line 2", "4 columns"));
        assert_eq!(
            read(&"x".repeat(100_000)),
            over("a row (from line 1: a line or a quotation mark without end?)", "20 bytes")
        );
    }

    proptest! {
        #[test]
        fn rows_come_back_as_written(
            rows in prop::collection::vec(prop::collection::vec("[ -~\u{e0}\u{2019}\n]{0,12}", 2..6), 1..30),
            always in any::<bool>(), ending in 0..3_usize, bom in any::<bool>(),
        ) {
            let style = if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
            let terminator = [csv::Terminator::CRLF, csv::Terminator::Any(b'\n'), csv::Terminator::Any(b'\r')][ending];
            let start = if bom { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
            let mut writer =
                csv::WriterBuilder::new().flexible(true).quote_style(style).terminator(terminator).from_writer(start);
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let file = writer.into_inner().unwrap();
            prop_assume!(super::super::sniff::seems(&file).is_none());
            let mut records = RecordReader::open(&file, Separator::Comma, &ImportLimits::default()).unwrap();
            let mut line = 1;
            for row in &rows {
                prop_assert!(records.read().unwrap());
                prop_assert_eq!(records.line, line);
                let read: Vec<_> = records.row.iter().map(|cell| String::from_utf8(cell.to_vec()).unwrap()).collect();
                prop_assert_eq!(&read, row);
                line += 1 + row.iter().map(|cell| cell.matches('\n').count() as u64).sum::<u64>();
            }
            prop_assert!(!records.read().unwrap());
        }

        #[test]
        fn any_bytes_are_rows_or_a_refusal_within_the_limits(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            let limits = ImportLimits { row_bytes: 50, columns: 5, unpacked_bytes: 2000, ..ImportLimits::default() };
            if let Ok(mut records) = RecordReader::open(&bytes, Separator::Comma, &limits) {
                while let Ok(true) = records.read() {
                    prop_assert!(records.row.len() <= 5 && records.row.as_slice().len() <= 50);
                    prop_assert!(records.line >= 1);
                }
            }
        }
    }
}
