//! What is said about the rows that were not taken: problems by line, and notes about rows that are nobody's fault.

use std::collections::{BTreeMap, HashSet};

/// Lines named in one sentence; the others are counted.
const NAMED: usize = 5;

/// What is wrong with one cell of one row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowProblem {
    /// The line of the unpacked file the row starts on, from 1.
    pub line: u64,
    /// The column's standard name; `(row)` when it is the row as a whole.
    pub column: String,
    /// What is wrong, quoting the cell where it cannot be a name.
    pub reason: String,
}

/// Problems, up to a number, and the rows that have them.
pub(super) struct Problems {
    pub(super) listed: Vec<RowProblem>,
    pub(super) beyond: usize,
    /// The lines of all rows with problems, listed or not.
    pub(super) lines: HashSet<u64>,
    most: usize,
}

impl Problems {
    pub(super) fn up_to(most: usize) -> Self {
        Self { listed: Vec::new(), beyond: 0, lines: HashSet::new(), most }
    }

    pub(super) fn note(&mut self, problem: RowProblem) {
        self.lines.insert(problem.line);
        if self.listed.len() < self.most {
            self.listed.push(problem);
        } else {
            self.beyond += 1;
        }
    }
}

/// Rows that were read before, byte for byte: the line of each, and of the one that was taken.
pub(super) fn repeats_note(repeats: &[(u64, u64)]) -> Option<String> {
    let pairs = repeats.iter().take(NAMED).map(|(line, first)| format!("line {line} is line {first}"));
    let pairs = pairs.collect::<Vec<_>>().join(", ");
    let more = match repeats.len() {
        0 => return None,
        1..=NAMED => String::new(),
        all => format!(" and {} more", all - NAMED),
    };
    Some(format!("{} row(s) repeat another one cell for cell and were taken once: {pairs}{more}", repeats.len()))
}

/// Rows of other countries, by the code of their local authority.
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

/// "line 7", "lines 7, 9", and no more than five of them: a file of one URN must not list itself squared.
pub(super) fn named(lines: impl Iterator<Item = u64>, count: usize) -> String {
    let shown = lines.take(NAMED).map(|line| line.to_string()).collect::<Vec<_>>().join(", ");
    match count {
        1 => format!("line {shown}"),
        2..=NAMED => format!("lines {shown}"),
        _ => format!("lines {shown} and {} more", count - NAMED),
    }
}
