//! Reads rows of Ofsted's management information: a school and its last two graded inspections, as printed.
//!
//! This module does not decide about eligibility; the domain does.

use chrono::{Days, Months, NaiveDate};

use super::aliases::{ImportColumn, OFSTED, Ofsted as Col};
use super::cells::RowCells;
use super::possible_dates::{self, Happened};
use super::table::RowKind;
use super::value;
use crate::domain::Date;
use crate::domain::ids::{LaCode, Laestab, Uid, Urn};
use crate::domain::judgement::Judgement;

/// The year of Ofsted's first inspections.
const FIRST_INSPECTIONS: i32 = 1992;
/// A file may have reports that came out up to this many days after its as-at date: five weeks.
const MAX_REPORT_DELAY_DAYS: u64 = 35;

/// One school in one monthly file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfstedRow {
    /// The school, under its URN of that month.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// Local authority and establishment number.
    pub laestab: Laestab,
    /// Its local authority, from the LAESTAB; one of the project's table.
    pub la: LaCode,
    /// Nursery, Primary, Secondary, Special or PRU; empty if the file does not say.
    pub phase: String,
    /// Type of education as printed.
    pub school_type: String,
    /// When it opened under this URN, if known.
    pub opened: Option<Date>,
    /// Its MAT, in the layouts that print it.
    pub trust_uid: Option<Uid>,
    /// That MAT's name.
    pub trust_name: Option<String>,
    /// The latest graded inspection; `None` if the school was never inspected.
    pub current: Option<Judgement>,
    /// The graded inspection before it. Its number is empty in a file without that column.
    pub previous: Option<Judgement>,
}

impl RowKind for OfstedRow {
    type Key = Urn;
    const KEY: &'static str = "URN";
    const TABLE: &'static [ImportColumn] = OFSTED;

    fn read(cells: &mut RowCells<'_>) -> (Option<Urn>, Option<Self>) {
        let urn = cells.number(Col::Urn);
        let laestab: Option<Laestab> = cells.number(Col::Laestab);
        if let Some(laestab) = laestab {
            cells.check_la(Col::Laestab, laestab.la_code());
        }
        let name = cells.needed(Col::Name);
        let school_type = cells.needed(Col::SchoolType);
        let opened = cells.date(Col::Opened);
        possible_dates::opening(cells, Happened::Opened, (Col::Opened, opened));
        let trust_uid = cells.number_if_given(Col::TrustUid);
        let current = judgement(cells, urn, &CURRENT_COLUMNS);
        let previous = judgement(cells, urn, &PREVIOUS_COLUMNS);
        let started = |of: &Option<Judgement>| of.as_ref().and_then(|it| it.started);
        let both_started = started(&current).zip(started(&previous));
        if let Some((latest, before)) = both_started.filter(|(latest, before)| before > latest) {
            cells.problem(Col::PreviousStarted, format!("is {before}, after the latest inspection began ({latest})"));
        }
        let row = || {
            Some(Self {
                urn: urn?,
                name: name?,
                laestab: laestab?,
                la: laestab?.la_code(),
                phase: cells.given(Col::Phase).unwrap_or_default().into_owned(),
                school_type: school_type?,
                opened,
                trust_uid,
                trust_name: cells.applicable(Col::TrustName),
                current,
                previous,
            })
        };
        (urn, row())
    }
}

/// The columns of one of the two inspections.
struct InspectionColumns {
    inspection: Col,
    urn_judged: Col,
    started: Col,
    ended: Col,
    published: Col,
    grade: Col,
}

const CURRENT_COLUMNS: InspectionColumns = InspectionColumns {
    inspection: Col::Inspection,
    urn_judged: Col::UrnJudged,
    started: Col::Started,
    ended: Col::Ended,
    published: Col::Published,
    grade: Col::Grade,
};

const PREVIOUS_COLUMNS: InspectionColumns = InspectionColumns {
    inspection: Col::PreviousInspection,
    urn_judged: Col::PreviousUrnJudged,
    started: Col::PreviousStarted,
    ended: Col::PreviousEnded,
    published: Col::PreviousPublished,
    grade: Col::PreviousGrade,
};

/// Reads one inspection; `None` if there is none, or its grade cannot be read. Notes a problem if only one of the grade and the
/// inspection number is given.
fn judgement(cells: &mut RowCells<'_>, own_urn: Option<Urn>, columns: &InspectionColumns) -> Option<Judgement> {
    let text = cells.text(columns.grade);
    let number = cells.given(columns.inspection).map(|number| value::whole(&number).to_owned());
    let started = cells.date(columns.started);
    let ended = cells.date(columns.ended);
    let published = cells.date(columns.published);
    let urn_judged = cells.number_if_given(columns.urn_judged).or(own_urn);
    let grade = match (value::grade(&text), &number) {
        (Err(reason), _) => {
            cells.quoted(columns.grade, &text, reason);
            return None;
        }
        (Ok(None), None) => return None,
        (Ok(None), Some(number)) => {
            cells.quoted(
                columns.grade,
                &text,
                &format!("is no grade, but inspection {} is given", value::shown(number)),
            );
            return None;
        }
        (Ok(Some(grade)), _) => grade,
    };
    match &number {
        None if cells.has(columns.inspection) => {
            cells.problem(columns.inspection, format!("is blank, but overall effectiveness {text:?} is given"));
        }
        Some(number) if !value::is_inspection_number(number) => {
            cells.quoted(
                columns.inspection,
                number,
                "is not an inspection number (digits, perhaps with letters in front)",
            );
        }
        _ => {}
    }
    check_dates(cells, columns, (started, ended, published));
    Some(Judgement {
        inspection: number.unwrap_or_default(),
        urn_judged: urn_judged?,
        started,
        ended,
        published,
        grade,
    })
}

/// Notes a problem for each impossible date of an inspection. The end of an inspection and its report may be after the as-at date,
/// because the file is published weeks later, but not more than a year after that date.
fn check_dates(
    cells: &mut RowCells<'_>,
    columns: &InspectionColumns,
    dates: (Option<Date>, Option<Date>, Option<Date>),
) {
    let (started, ended, published) = dates;
    let as_at = cells.as_at;
    if let Some(started) = started.filter(|day| *day > as_at) {
        cells.problem(columns.started, format!("is {started}, after the as-at date {as_at}"));
    }
    if let Some(started) = started.filter(|day| Some(*day) < NaiveDate::from_ymd_opt(FIRST_INSPECTIONS, 1, 1)) {
        cells
            .problem(columns.started, format!("is {started}, before Ofsted's first inspections ({FIRST_INSPECTIONS})"));
    }
    let last_possible = as_at.checked_add_months(Months::new(12));
    for (column, day) in [(columns.ended, ended), (columns.published, published)] {
        let Some(day) = day else { continue };
        if let Some(started) = started.filter(|started| day < *started) {
            cells.problem(column, format!("is {day}, before the inspection began ({started})"));
        } else if last_possible.is_some_and(|last| day > last) {
            cells.problem(column, format!("is {day}, more than a year after the as-at date {as_at}"));
        }
    }
    // A publication before the start has been noted above.
    if let Some((ended, published)) = ended.zip(published).filter(|(ended, day)| day < ended && started <= Some(*day)) {
        cells.problem(columns.published, format!("is {published}, before the inspection ended ({ended})"));
    }
}

/// A note that the as-at date may be wrong, if the dates of the reports in the file do not fit it.
pub(super) fn as_at_note(rows: &[OfstedRow], as_at: Date) -> Option<String> {
    let reports = || rows.iter().filter_map(|row| row.current.as_ref()?.published);
    let newest = reports().max()?;
    let latest = as_at.checked_add_days(Days::new(MAX_REPORT_DELAY_DAYS))?;
    let earliest = as_at.checked_sub_months(Months::new(6))?;
    if newest > latest {
        let late = reports().filter(|day| *day > latest).count();
        return Some(format!(
            "the as-at date is {as_at}, but {late} report(s) came out more than five weeks after it, the newest on \
             {newest}: is the as-at date right?"
        ));
    }
    (newest < earliest).then(|| {
        format!(
            "the as-at date is {as_at}, but no report came out in the half year before it, the newest on {newest}: is the \
             as-at date right?"
        )
    })
}
