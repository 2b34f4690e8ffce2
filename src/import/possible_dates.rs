//! Notes impossible dates of schools and groups, each as a problem of its row.
//!
//! A wrong closing date would close a school. The status says whether an opening or a closing has happened or is planned. One that
//! has happened may be up to a year after the as-at date, because the as-at date is only the caller's statement. A planned one may
//! have any later date.

use chrono::{Datelike as _, Months};

use super::cells::RowCells;
use crate::domain::Date;
use crate::import::group_status::GroupStatus;

/// The first year in which the register can have any event except the opening of a school.
const FIRST_YEAR: i32 = 1900;
/// The most months by which an event that has happened may be after the as-at date.
const MAX_MONTHS_AFTER: u32 = 12;

/// The last event that has happened, by the status of a school or group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// It opened, and has not closed.
    Opened,
    /// It closed.
    Closed,
    /// Neither event: the school or group is planned, or never existed.
    Nothing,
}

impl Happened {
    /// The last event by the status of a school, in the words of the register.
    pub(super) fn of_school(status: &str) -> Self {
        match status.to_lowercase().as_str() {
            "open" | "open, but proposed to close" => Self::Opened,
            "closed" => Self::Closed,
            _ => Self::Nothing,
        }
    }
}

impl From<GroupStatus> for Happened {
    fn from(status: GroupStatus) -> Self {
        match status {
            GroupStatus::Open | GroupStatus::ProposedToClose => Self::Opened,
            GroupStatus::Closed => Self::Closed,
            GroupStatus::ProposedToOpen | GroupStatus::CreatedInError => Self::Nothing,
        }
    }
}

/// A date and its column.
pub(super) type Dated<C> = (C, Option<Date>);

/// Checks the opening of a school, which may be centuries ago.
pub(super) fn opening<C: Into<usize> + Copy>(cells: &mut RowCells<'_>, happened: Happened, opened: Dated<C>) {
    if happened != Happened::Nothing {
        too_late(cells, opened);
    }
}

/// Checks the opening and the closing of a school.
pub(super) fn school<C: Into<usize> + Copy>(
    cells: &mut RowCells<'_>,
    happened: Happened,
    opened: Dated<C>,
    closed: Dated<C>,
) {
    opening(cells, happened, opened);
    closing(cells, happened, opened, closed);
}

/// Checks the opening and the closing of a group.
pub(super) fn group<C: Into<usize> + Copy>(
    cells: &mut RowCells<'_>,
    happened: Happened,
    opened: Dated<C>,
    closed: Dated<C>,
) {
    joining(cells, happened, opened);
    closing(cells, happened, opened, closed);
}

/// Checks the day on which a group opened, or a school joined it.
pub(super) fn joining<C: Into<usize> + Copy>(cells: &mut RowCells<'_>, happened: Happened, day: Dated<C>) {
    if !too_early(cells, day) {
        opening(cells, happened, day);
    }
}

/// Checks a closing. The day before the opening is allowed, because the register prints it for a school or group
/// that closed before it began.
fn closing<C: Into<usize> + Copy>(
    cells: &mut RowCells<'_>,
    happened: Happened,
    (_, opened): Dated<C>,
    (column, closed): Dated<C>,
) {
    if too_early(cells, (column, closed)) || (happened == Happened::Closed && too_late(cells, (column, closed))) {
        return;
    }
    if let Some((closed, opened)) = closed.zip(opened).filter(|(closed, opened)| closed.succ_opt() < Some(*opened)) {
        cells.problem(column, format!("is {closed}, before it opened ({opened})"));
    }
}

/// Notes a problem for a day before [`FIRST_YEAR`], and returns whether it did.
pub(super) fn too_early<C: Into<usize> + Copy>(cells: &mut RowCells<'_>, (column, day): Dated<C>) -> bool {
    let Some(day) = day.filter(|day| day.year() < FIRST_YEAR) else { return false };
    cells.problem(column, format!("is {day}, before {FIRST_YEAR}"));
    true
}

/// Notes a problem for a day more than a year after the as-at date, and returns whether it did.
fn too_late<C: Into<usize> + Copy>(cells: &mut RowCells<'_>, (column, day): Dated<C>) -> bool {
    let as_at = cells.as_at;
    let last = as_at.checked_add_months(Months::new(MAX_MONTHS_AFTER));
    let Some(day) = day.filter(|day| last.is_some_and(|last| *day > last)) else { return false };
    cells.problem(column, format!("is {day}, more than a year after the as-at date {as_at}"));
    true
}

#[cfg(test)]
mod tests {
    use super::super::{Reading, RegisterFile, read_register};

    /// The problems of `row` in a file with a header, a good row and this row. The good row must have none.
    fn problems(header: &str, good: &str, row: &str) -> Vec<String> {
        let file = format!("{header}\n{good}\n{row}\n");
        let reading = Reading { accept_problems: true, ..Reading::of("2022-03-31".parse().unwrap()) };
        let problems = match read_register(file.as_bytes(), &reading).unwrap() {
            RegisterFile::Groups(it) => it.problems,
            RegisterFile::Memberships(it) => it.problems,
            RegisterFile::Links(it) => it.problems,
            RegisterFile::Establishments(it) => it.problems,
        };
        assert!(problems.iter().all(|it| it.line == 3), "{problems:?}");
        problems.into_iter().map(|it| format!("{} {}", it.column, it.reason)).collect()
    }

    #[test]
    fn impossible_dates_of_a_school_are_problems() {
        let header = "URN,LA (code),EstablishmentNumber,EstablishmentName,TypeOfEstablishment (name),\
                      EstablishmentStatus (name),OpenDate,CloseDate";
        let row = |urn: &str, status: &str, opened: &str, closed: &str| {
            format!("{urn},330,2001,Hill Top,Community school,{status},{opened},{closed}")
        };
        let planned = "\"Open, but proposed to close\"";
        #[rustfmt::skip]
        let rows = [
            ("Open",             "13-09-2013", "",           ""),
            ("Open",             "13-09-1015", "",           ""),
            ("Open",             "31-03-2023", "",           ""),
            ("Open",             "01-04-2023", "",           "OpenDate is 2023-04-01, more than a year after the as-at date 2022-03-31"),
            ("Open",             "13-09-2099", "",           "OpenDate is 2099-09-13, more than a year after the as-at date 2022-03-31"),
            ("Proposed to open", "01-09-2025", "",           ""),
            ("Proposed to open", "01-09-2099", "",           ""),
            ("Open",             "13-09-2013", "15-01-1015", "CloseDate is 1015-01-15, before 1900"),
            ("Open",             "",           "15-01-1015", "CloseDate is 1015-01-15, before 1900"),
            ("Open",             "13-09-2021", "13-09-2013", "CloseDate is 2013-09-13, before it opened (2021-09-13)"),
            ("Closed",           "13-09-2021", "13-09-2013", "CloseDate is 2013-09-13, before it opened (2021-09-13)"),
            ("Closed",           "13-09-2013", "13-09-2013", ""),
            ("Closed",           "13-09-2013", "12-09-2013", ""),
            ("Closed",           "13-09-2013", "11-09-2013", "CloseDate is 2013-09-11, before it opened (2013-09-13)"),
            ("Closed",           "13-09-2013", "",           ""),
            ("Closed",           "13-09-2013", "31-08-2022", ""),
            ("Closed",           "13-09-2013", "13-09-2099", "CloseDate is 2099-09-13, more than a year after the as-at date 2022-03-31"),
            (planned,            "13-09-2013", "31-08-2025", ""),
            (planned,            "13-09-2013", "13-09-2099", ""),
            // The file may be older than its as-at date says, and the school has closed.
            (planned,            "13-09-2013", "30-03-2021", ""),
            ("Open",             "13-09-2099", "13-09-1015", "OpenDate is 2099-09-13, more than a year after the as-at date 2022-03-31; CloseDate is 1015-09-13, before 1900"),
        ];
        for (status, opened, closed, expected) in rows {
            let found = problems(header, &row("100001", "Open", "", ""), &row("100002", status, opened, closed));
            let mut expected: Vec<&str> = expected.split("; ").filter(|it| !it.is_empty()).collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "{status} {opened} {closed}");
        }
    }

    #[test]
    fn impossible_dates_of_groups_memberships_and_links_are_problems() {
        let groups = "Group UID,Group Name,Group Type (code),Group Type,Group Status,Open date,Closed Date";
        let group = |uid: &str, status: &str, opened: &str, closed: &str| {
            format!("{uid},Hill,6,Multi-academy trust,{status},{opened},{closed}")
        };
        #[rustfmt::skip]
        let rows = [
            ("Closed",            "2017-05-01", "2017-04-30", ""),
            ("Closed",            "2017-05-01", "2017-04-29", "Closed Date is 2017-04-29, before it opened (2017-05-01)"),
            ("Proposed to open",  "2024-12-12", "",           ""),
            ("Open",              "2024-12-12", "",           "Open date is 2024-12-12, more than a year after the as-at date 2022-03-31"),
            ("Open",              "1015-12-12", "",           "Open date is 1015-12-12, before 1900"),
            ("Proposed to close", "2011-09-01", "2022-08-31", ""),
            ("Created in error",  "2011-09-01", "2020-08-31", ""),
        ];
        for (status, opened, closed, expected) in rows {
            let found = problems(groups, &group("2044", "Open", "", ""), &group("2045", status, opened, closed));
            assert_eq!(found.concat(), expected, "{status} {opened} {closed}");
        }

        let members = "URN,Group UID,Group Name,Group Type (code),Group Type,Group Status,Joined date,EstablishmentName,\
                       TypeOfEstablishment (name),LA (code)";
        let member = |urn: &str, status: &str, joined: &str| {
            format!("{urn},2044,Hill,6,Multi-academy trust,{status},{joined},Dale,Academy converter,330")
        };
        #[rustfmt::skip]
        let rows = [
            ("Open",             "2022-09-01", ""),
            ("Open",             "2099-09-01", "Joined date is 2099-09-01, more than a year after the as-at date 2022-03-31"),
            ("Open",             "1015-09-01", "Joined date is 1015-09-01, before 1900"),
            ("Proposed to open", "2024-12-12", ""),
        ];
        for (status, joined, expected) in rows {
            let found = problems(members, &member("100001", "Open", ""), &member("100002", status, joined));
            assert_eq!(found.concat(), expected, "{status} {joined}");
        }

        let links = "URN,LinkURN,LinkName,LinkType,LinkEstablishedDate";
        #[rustfmt::skip]
        let rows = [
            ("31-03-2025", ""),
            ("31-03-1015", "LinkEstablishedDate is 1015-03-31, before 1900"),
        ];
        for (on, expected) in rows {
            let link = |urn: &str, on: &str| format!("{urn},100021,Dale,Successor,{on}");
            let found = problems(links, &link("100001", ""), &link("100002", on));
            assert_eq!(found.concat(), expected, "{on}");
        }
    }
}
