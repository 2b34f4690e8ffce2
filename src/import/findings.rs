//! Collects the problems of rows, and writes the notes about rows that were not taken: repeats, and rows of other countries.

use std::collections::{BTreeMap, HashSet};

/// The most lines that one sentence names; further lines are only counted.
const MAX_NAMED: usize = 5;

/// What is wrong with one cell of one row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowProblem {
    /// The line of the unpacked file on which the row starts, from 1.
    pub line: u64,
    /// The column's standard name; `(row)` if the problem is of the whole row.
    pub column: String,
    /// What is wrong. Quotes the cell only if it cannot be a person's name.
    pub reason: String,
}

/// The first problems of a file, the number of further ones, and the lines of the rows with problems.
pub(super) struct Problems {
    pub(super) listed: Vec<RowProblem>,
    pub(super) beyond: usize,
    /// The lines of all rows with problems, listed or not.
    pub(super) lines: HashSet<u64>,
    max_listed: usize,
}

impl Problems {
    pub(super) fn up_to(max_listed: usize) -> Self {
        Self { listed: Vec::new(), beyond: 0, lines: HashSet::new(), max_listed }
    }

    pub(super) fn note(&mut self, problem: RowProblem) {
        self.lines.insert(problem.line);
        if self.listed.len() < self.max_listed {
            self.listed.push(problem);
        } else {
            self.beyond += 1;
        }
    }
}

/// The note about rows that repeat a taken row cell for cell; `None` if there are none. Each pair is the line of the repeat and
/// the line of the taken row.
pub(super) fn repeats_note(repeats: &[(u64, u64)]) -> Option<String> {
    let pairs = repeats.iter().take(MAX_NAMED).map(|(line, first)| format!("line {line} is line {first}"));
    let pairs = pairs.collect::<Vec<_>>().join(", ");
    let more = match repeats.len() {
        0 => return None,
        1..=MAX_NAMED => String::new(),
        all => format!(" and {} more", all - MAX_NAMED),
    };
    Some(format!("{} row(s) repeat another one cell for cell and were taken once: {pairs}{more}", repeats.len()))
}

/// The note about rows of other countries; `None` if there are none. Each pair is a line and the code of its local authority.
pub(super) fn abroad_note(rows: &[(u64, u16)]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, code) in rows {
        let place = match code {
            0 => "no local authority (000)",
            660..=681 => "Wales (660 to 681)",
            _ => "overseas (700 to 799)",
        };
        *counts.entry(place).or_default() += 1;
    }
    let counts: Vec<_> = counts.iter().map(|(place, count)| format!("{place}: {count}")).collect();
    (!rows.is_empty()).then(|| {
        format!("{} row(s) are of no local authority in England and were not taken: {}", rows.len(), counts.join(", "))
    })
}

/// Names lines: "line 7", "lines 7, 9". Names only the first five, because in a file with only one URN every row would name all
/// others.
pub(super) fn line_names(lines: impl Iterator<Item = u64>, count: usize) -> String {
    let shown = lines.take(MAX_NAMED).map(|line| line.to_string()).collect::<Vec<_>>().join(", ");
    match count {
        1 => format!("line {shown}"),
        2..=MAX_NAMED => format!("lines {shown}"),
        _ => format!("lines {shown} and {} more", count - MAX_NAMED),
    }
}
