//! Reads rows of the monthly files as evidence, with only the columns that the rules use.

use sea_orm::Value;

use super::imports::{Import, ids};
use super::{Readable, Result, StoreError};
use crate::domain::Date;
use crate::domain::ids::Urn;
use crate::domain::judgement::{Grade, Judgement, MonthRow};
use crate::store::db::bulk_sql::{numbers, select_rows, value_in};
use crate::store::db::column_values::urn;
use crate::store::db::row::{Row as _, row};

row! {
    /// The columns of a row's two judgements. A row has no judgement where the grade is NULL.
    struct JudgementsRow {
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
}

/// The beginning of a query for the rows of import $1, each with the URN of its school.
fn select_months() -> String {
    format!("SELECT {}, r.urn FROM ofsted_rows r WHERE r.import_id = $1", JudgementsRow::names_of("r"))
}

/// Every row of an import.
pub async fn all(from: &dyn Readable, import: &Import) -> Result<Vec<MonthRow>> {
    months(from, import, &select_months(), vec![import.id.0.into()]).await
}

/// The rows of an import about these schools.
pub async fn of_schools(from: &dyn Readable, import: &Import, urns: &[Urn]) -> Result<Vec<MonthRow>> {
    let conn = from.at();
    let sql = format!("{} AND {}", select_months(), value_in(&conn, "r.urn", 2));
    let urn_list = numbers(&conn, &super::register::urn_numbers(urns));
    months(from, import, &sql, vec![import.id.0.into(), urn_list]).await
}

/// The rows of an import that can change an answer about eligibility:
///
/// * every row, if `newer` is empty;
/// * the rows of schools that no import of `newer` names;
/// * of the other rows, those that have a current grade among `grades` or a judgement under a lower URN than the school's, unless
///   an import of `older` has the same judgements for the school.
pub async fn decisive_rows(
    from: &dyn Readable,
    import: &Import,
    newer: &[&Import],
    older: &[&Import],
    grades: &[Grade],
) -> Result<Vec<MonthRow>> {
    let mut sql = select_months();
    let mut values: Vec<Value> = vec![import.id.0.into()];
    if !newer.is_empty() {
        let placeholders = |imports: &[&Import], first: usize| {
            let placeholders: Vec<String> = (first..).zip(imports).map(|(index, _)| format!("${index}")).collect();
            placeholders.join(", ")
        };
        let mut alternatives = vec!["r.cur_urn < r.urn".to_owned(), "r.prev_urn < r.urn".to_owned()];
        alternatives.extend(grades.iter().map(|grade| format!("r.cur_grade = {}", grade.code())));
        let mut condition = format!("({})", alternatives.join(" OR "));
        if !older.is_empty() {
            let columns = JudgementsRow::COLUMNS.iter();
            let equal_columns = columns.map(|(column, _)| format!("o.{column} IS NOT DISTINCT FROM r.{column}"));
            let equal_columns: Vec<String> = equal_columns.collect();
            let older_ids = placeholders(older, 2_usize.saturating_add(newer.len()));
            condition.push_str(&format!(
                " AND NOT EXISTS (SELECT 1 FROM ofsted_rows o WHERE o.urn = r.urn AND o.import_id IN ({older_ids}) AND {})",
                equal_columns.join(" AND ")
            ));
        }
        sql.push_str(&format!(
            " AND (({condition}) OR NOT EXISTS
               (SELECT 1 FROM ofsted_rows n WHERE n.urn = r.urn AND n.import_id IN ({})))",
            placeholders(newer, 2)
        ));
        values.extend(ids(newer).into_iter().map(Value::from));
        values.extend(ids(older).into_iter().map(Value::from));
    }
    months(from, import, &sql, values).await
}

async fn months(from: &dyn Readable, import: &Import, sql: &str, values: Vec<Value>) -> Result<Vec<MonthRow>> {
    let month = |(row, urn): (JudgementsRow, Urn)| {
        let current = [row.cur_started, row.cur_ended, row.cur_published];
        let previous = [row.prev_started, row.prev_ended, row.prev_published];
        Ok(MonthRow {
            urn,
            as_at: import.as_at,
            import: import.id,
            current: judgement(row.cur_number, row.cur_urn, current, row.cur_grade)?,
            previous: judgement(row.prev_number, row.prev_urn, previous, row.prev_grade)?,
        })
    };
    select_rows(&from.at(), sql, values, month).await
}

/// Decodes a judgement: the number of the inspection, the URN of the school judged, the days on which the inspection started and
/// ended and its report was published, and the grade. Returns `None` without a grade.
fn judgement(
    inspection: Option<String>,
    judged: Option<i64>,
    [started, ended, published]: [Option<Date>; 3],
    code: Option<i64>,
) -> Result<Option<Judgement>> {
    let Some(code) = code else { return Ok(None) };
    let grade = u8::try_from(code).ok().and_then(Grade::from_code);
    Ok(Some(Judgement {
        inspection: inspection.unwrap_or_default(),
        urn_judged: urn(judged.ok_or_else(|| StoreError::unreadable("a judgement without the URN judged"))?)?,
        started,
        ended,
        published,
        grade: grade.ok_or_else(|| StoreError::unreadable(format!("grade {code}")))?,
    }))
}
