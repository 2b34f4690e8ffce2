//! Months of Ofsted's files, as evidence: which rows of which imports, and as few columns as the rules look at.

use sea_orm::{FromQueryResult, Value};

use super::bulk::{among, numbers, select};
use super::imports::{Import, ids};
use super::offers::urn;
use super::{Readable, Result, StoreError};
use crate::domain::Date;
use crate::domain::ids::{ImportId, Urn};
use crate::domain::judgement::{Grade, Judgement, MonthRow};

const COLUMNS: &str = "r.urn, r.cur_number, r.cur_urn, r.cur_started, r.cur_ended, r.cur_published, r.cur_grade,
    r.prev_number, r.prev_urn, r.prev_started, r.prev_ended, r.prev_published, r.prev_grade";

#[derive(FromQueryResult)]
struct Row {
    urn: i64,
    cur_number: Option<String>,
    cur_urn: Option<i64>,
    cur_started: Option<Date>,
    cur_ended: Option<Date>,
    cur_published: Option<Date>,
    cur_grade: Option<i64>,
    prev_number: Option<String>,
    prev_urn: Option<i64>,
    prev_started: Option<Date>,
    prev_ended: Option<Date>,
    prev_published: Option<Date>,
    prev_grade: Option<i64>,
}

/// Every row of an import.
///
/// # Errors
/// As the database has it.
pub async fn all(from: &impl Readable, import: &Import) -> Result<Vec<MonthRow>> {
    let sql = format!("SELECT {COLUMNS} FROM ofsted_rows r WHERE r.import_id = $1");
    months(from, import, &sql, vec![import.id.0.into()]).await
}

/// The rows of an import about these schools.
///
/// # Errors
/// As the database has it.
pub async fn of_schools(from: &impl Readable, import: &Import, urns: &[Urn]) -> Result<Vec<MonthRow>> {
    let conn = from.at();
    let sql = format!("SELECT {COLUMNS} FROM ofsted_rows r WHERE r.import_id = $1 AND {}", among(&conn, "r.urn", 2));
    let list = numbers(&conn, &super::register::urn_numbers(urns));
    months(from, import, &sql, vec![import.id.0.into(), list]).await
}

/// The rows of an import that say something its newer ones do not: about a school that none of `newer` names, a
/// judgement made under an older URN, or a current grade among `grades`.
///
/// # Errors
/// As the database has it.
pub async fn telling(
    from: &impl Readable,
    import: &Import,
    newer: &[&Import],
    grades: &[Grade],
) -> Result<Vec<MonthRow>> {
    let mut values: Vec<Value> = vec![import.id.0.into()];
    let mut sql = format!("SELECT {COLUMNS} FROM ofsted_rows r WHERE r.import_id = $1");
    if !newer.is_empty() {
        let places: Vec<String> = (2..).zip(newer).map(|(place, _)| format!("${place}")).collect();
        let codes: Vec<String> = grades.iter().map(|grade| grade.code().to_string()).collect();
        let wanted =
            if codes.is_empty() { "FALSE".to_owned() } else { format!("r.cur_grade IN ({})", codes.join(", ")) };
        sql.push_str(&format!(
            " AND ({wanted} OR r.cur_urn < r.urn OR r.prev_urn < r.urn OR NOT EXISTS
               (SELECT 1 FROM ofsted_rows n WHERE n.urn = r.urn AND n.import_id IN ({})))",
            places.join(", ")
        ));
        values.extend(ids(newer).into_iter().map(Value::from));
    }
    months(from, import, &sql, values).await
}

async fn months(from: &impl Readable, import: &Import, sql: &str, values: Vec<Value>) -> Result<Vec<MonthRow>> {
    let rows: Vec<Row> = select(&from.at(), sql, values).await?;
    rows.into_iter().map(|row| month(row, import.as_at, import.id)).collect()
}

fn month(row: Row, as_at: Date, import: ImportId) -> Result<MonthRow> {
    let current = judgement(row.cur_number, row.cur_urn, row.cur_grade)?.map(|it| Judgement {
        started: row.cur_started,
        ended: row.cur_ended,
        published: row.cur_published,
        ..it
    });
    let previous = judgement(row.prev_number, row.prev_urn, row.prev_grade)?.map(|it| Judgement {
        started: row.prev_started,
        ended: row.prev_ended,
        published: row.prev_published,
        ..it
    });
    Ok(MonthRow { urn: urn(row.urn)?, as_at, import, current, previous })
}

fn judgement(number: Option<String>, judged: Option<i64>, code: Option<i64>) -> Result<Option<Judgement>> {
    let Some(code) = code else { return Ok(None) };
    let grade = u8::try_from(code).ok().and_then(Grade::from_code);
    let grade = grade.ok_or_else(|| StoreError::unreadable(format!("grade {code}")))?;
    let judged = judged.ok_or_else(|| StoreError::unreadable("a judgement without the URN judged"))?;
    let inspection = number.unwrap_or_default();
    Ok(Some(Judgement { inspection, urn_judged: urn(judged)?, started: None, ended: None, published: None, grade }))
}
