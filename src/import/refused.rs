//! Declares the reasons why a whole file is refused. The messages are for the caseworker who chose the file.
//!
//! A fault of one row is not such a reason. It is a [`RowProblem`](super::RowProblem), and the other rows are taken.

use std::fmt;

use super::findings::RowProblem;

/// The kind of a file, as its header shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// Ofsted management information, latest inspections.
    Ofsted,
    /// GIAS groups: trusts, federations, sponsors.
    Groups,
    /// GIAS group links: which school is in which group.
    Memberships,
    /// GIAS links between establishments: predecessors and successors.
    Links,
    /// GIAS establishments.
    Establishments,
}

impl FileKind {
    /// The command that imports a file of this kind.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Ofsted => "tsio import ofsted",
            Self::Groups | Self::Memberships | Self::Links | Self::Establishments => "tsio import register",
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ofsted => "Ofsted management information",
            Self::Groups => "GIAS groups",
            Self::Memberships => "GIAS group membership",
            Self::Links => "GIAS establishment links",
            Self::Establishments => "GIAS establishments",
        })
    }
}

/// A required column that a file does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingColumn {
    /// The standard name of the column.
    pub name: &'static str,
    /// The other accepted names of the column.
    pub also: &'static [&'static str],
    /// The name in the file that is most like it, if any is.
    pub nearest: Option<String>,
}

impl fmt::Display for MissingColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.name)?;
        for also in self.also {
            write!(f, " or \"{also}\"")?;
        }
        match &self.nearest {
            Some(nearest) => write!(f, " (the nearest is {nearest:?})"),
            None => Ok(()),
        }
    }
}

/// Why a whole file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileRefused {
    /// The file has no bytes, or only white space.
    #[error("the file is empty")]
    Empty,
    /// The file is not separated text.
    #[error("this is not a CSV file: it {0}. Save it as CSV and try again")]
    NotCsv(&'static str),
    /// The gzip file cannot be unpacked.
    #[error("the gzip file is damaged or cut short ({0}). Download it again, or unpack it first")]
    BadGzip(String),
    /// No row among the first ones looks like a header.
    #[error(
        "no header row was found: none of the first {looked_at} rows has a column named URN or Group UID, whether \
         commas, semicolons, tabs or vertical bars separate the cells"
    )]
    NoHeader {
        /// The number of rows that were searched.
        looked_at: usize,
    },
    /// There is a header, but it is of no known kind.
    #[error(
        "the columns ({}) are of no kind of file known here. Known are: Ofsted management information; GIAS groups, \
         group membership, establishment links and establishments", columns.join(", ")
    )]
    UnknownKind {
        /// The first columns of the header.
        columns: Vec<String>,
    },
    /// The file is for the other import command.
    #[error("this looks like a file of {found}: import it with `{}`", found.command())]
    WrongKind {
        /// The kind that the header shows.
        found: FileKind,
    },
    /// Required columns are missing.
    #[error("this looks like a file of {kind}, but it has no column {}", listed(missing))]
    MissingColumns {
        /// The kind that the header shows.
        kind: FileKind,
        /// All missing columns.
        missing: Vec<MissingColumn>,
    },
    /// Two columns have a name of the same required or optional column.
    #[error("columns {} and {} are both \"{name}\": remove one of them", at.0, at.1)]
    DuplicateColumn {
        /// The column's standard name.
        name: &'static str,
        /// The numbers of the two columns, from 1.
        at: (usize, usize),
    },
    /// The file has a header, but no row under it.
    #[error("the file has a header, but no row under it")]
    NoRows,
    /// Dates that can only be month-first, and none that can only be day-first.
    #[error(
        "its dates have the month first: {dates} can be read only so (the first is {date:?} in line {line}), and none \
         only with the day first. Dates must be dd/mm/yyyy, dd-mm-yyyy or yyyy-mm-dd: download the file again, and \
         import it without opening it in a spreadsheet"
    )]
    MonthFirst {
        /// The number of dates that can only be month-first.
        dates: usize,
        /// The line of the first such date.
        line: u64,
        /// The first such date, as written.
        date: String,
    },
    /// Many dates that would be other days with the month first, and no date that shows which order is right.
    #[error(
        "nothing in the file tells whether its dates have the day or the month first, and {dates} of them would be other \
         days with the month first. If the day comes first in all of them, say so: --day-first (field day_first)"
    )]
    DateOrderUntold {
        /// The number of dates that would be other days with the month first.
        dates: usize,
    },
    /// The file has rows, but none of them can be taken.
    #[error("none of the {rows} rows can be taken: {with_problems} have problems, {abroad} are of other countries")]
    NoGoodRow {
        /// Rows under the header.
        rows: usize,
        /// Rows with problems.
        with_problems: usize,
        /// Rows of other countries.
        abroad: usize,
        /// The first of the problems.
        problems: Vec<RowProblem>,
    },
    /// So many rows have problems that the file as a whole is doubtful.
    #[error(
        "{with_problems} of {rows} rows have problems, more than {} %. Mend the file or, to take the other rows \
         nevertheless, say --accept-problems (field accept_problems)",
        FileRefused::MOST_PROBLEMS_PERCENT
    )]
    TooManyProblems {
        /// Rows under the header, without those of other countries and repeated ones.
        rows: usize,
        /// Rows with problems.
        with_problems: usize,
        /// The first of the problems.
        problems: Vec<RowProblem>,
    },
    /// A quotation mark is never closed, so the rest of the file is part of one cell.
    #[error("a quotation mark opened in the row of line {line} is never closed, so the rows after it cannot be read")]
    OpenQuote {
        /// The line on which the row with the quotation mark starts.
        line: u64,
    },
    /// The upload, the unpacked file or one of its rows is larger than allowed, or the file has too many rows.
    #[error("{what} exceeds the limit of {limit}")]
    OverLimit {
        /// What is too large.
        what: String,
        /// The limit, with its unit.
        limit: String,
    },
}

fn listed(missing: &[MissingColumn]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("; and no column ")
}

impl FileRefused {
    /// The largest accepted share of rows with problems, in percent. A file with more is refused, unless its sender accepts them.
    pub const MOST_PROBLEMS_PERCENT: usize = 5;

    /// The details of the refusal: each is a place (a column, or a line and column) and what is wrong there.
    #[must_use]
    pub fn details(&self) -> Vec<(String, String)> {
        match self {
            Self::MissingColumns { missing, .. } => {
                // These are the words of the message, because the command line leaves out details that the message contains.
                missing.iter().map(|it| (it.name.to_owned(), format!("no column {it}"))).collect()
            }
            Self::NoGoodRow { problems, .. } | Self::TooManyProblems { problems, .. } => {
                let place = |it: &RowProblem| format!("line {}, {}", it.line, it.column);
                problems.iter().map(|it| (place(it), it.reason.clone())).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn over_bytes(what: impl Into<String>, limit: u64) -> Self {
        match limit {
            mib if mib >= 1 << 20 && mib.is_multiple_of(1 << 20) => Self::over(what, mib >> 20, "MiB"),
            kib if kib >= 1 << 10 && kib.is_multiple_of(1 << 10) => Self::over(what, kib >> 10, "KiB"),
            bytes => Self::over(what, bytes, "bytes"),
        }
    }

    pub(super) fn over(what: impl Into<String>, limit: impl fmt::Display, unit: &str) -> Self {
        Self::OverLimit { what: what.into(), limit: format!("{limit} {unit}") }
    }
}
