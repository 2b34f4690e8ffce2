//! Months of Ofsted's files, as evidence: which rows of which imports, and as few columns as the rules look at.

use sea_orm::{QueryResult, TryGetable, Value};

use super::imports::{Import, ids};
use super::{Readable, Result, StoreError};
use crate::domain::Date;
use crate::domain::ids::{ImportId, Urn};
use crate::domain::judgement::{Grade, Judgement, MonthRow};
use crate::store::db::bulk_sql::{among, numbers, select_by_place};
use crate::store::db::column_values::urn;

/// The columns of a row, in the order [`month`] reads them.
const COLUMNS: &str = "r.urn, r.cur_number, r.cur_urn, r.cur_started, r.cur_ended, r.cur_published, r.cur_grade,
    r.prev_number, r.prev_urn, r.prev_started, r.prev_ended, r.prev_published, r.prev_grade";

/// Both judgements, to tell whether two rows of one school print the same.
const JUDGEMENTS: [&str; 12] = [
    "cur_number",
    "cur_urn",
    "cur_started",
    "cur_ended",
    "cur_published",
    "cur_grade",
    "prev_number",
    "prev_urn",
    "prev_started",
    "prev_ended",
    "prev_published",
    "prev_grade",
];

/// Every row of an import.
pub async fn all(from: &impl Readable, import: &Import) -> Result<Vec<MonthRow>> {
    let sql = format!("SELECT {COLUMNS} FROM ofsted_rows r WHERE r.import_id = $1");
    months(from, import, &sql, vec![import.id.0.into()]).await
}

/// The rows of an import about these schools.
pub async fn of_schools(from: &impl Readable, import: &Import, urns: &[Urn]) -> Result<Vec<MonthRow>> {
    let conn = from.at();
    let sql = format!("SELECT {COLUMNS} FROM ofsted_rows r WHERE r.import_id = $1 AND {}", among(&conn, "r.urn", 2));
    let list = numbers(&conn, &super::register::urn_numbers(urns));
    months(from, import, &sql, vec![import.id.0.into(), list]).await
}

/// The rows of an import that say something the others do not: about a school that none of `newer` names; and those with
/// a current grade among `grades`, or a judgement made under an older URN, unless one of `older` prints the same of the
/// school already.
pub async fn telling(
    from: &impl Readable,
    import: &Import,
    newer: &[&Import],
    older: &[&Import],
    grades: &[Grade],
) -> Result<Vec<MonthRow>> {
    let mut sql = format!("SELECT {COLUMNS} FROM ofsted_rows r WHERE r.import_id = $1");
    let mut values: Vec<Value> = vec![import.id.0.into()];
    if !newer.is_empty() {
        let places = |imports: &[&Import], first: usize| {
            let places: Vec<String> = (first..).zip(imports).map(|(place, _)| format!("${place}")).collect();
            places.join(", ")
        };
        let mut wanted = vec!["r.cur_urn < r.urn".to_owned(), "r.prev_urn < r.urn".to_owned()];
        wanted.extend(grades.iter().map(|grade| format!("r.cur_grade = {}", grade.code())));
        let mut wanted = format!("({})", wanted.join(" OR "));
        if !older.is_empty() {
            let same = JUDGEMENTS.map(|column| format!("o.{column} IS NOT DISTINCT FROM r.{column}"));
            let listed = places(older, 2_usize.saturating_add(newer.len()));
            wanted.push_str(&format!(
                " AND NOT EXISTS (SELECT 1 FROM ofsted_rows o WHERE o.urn = r.urn AND o.import_id IN ({listed}) AND {})",
                same.join(" AND ")
            ));
        }
        sql.push_str(&format!(
            " AND (({wanted}) OR NOT EXISTS
               (SELECT 1 FROM ofsted_rows n WHERE n.urn = r.urn AND n.import_id IN ({})))",
            places(newer, 2)
        ));
        values.extend(ids(newer).into_iter().map(Value::from));
        values.extend(ids(older).into_iter().map(Value::from));
    }
    months(from, import, &sql, values).await
}

async fn months(from: &impl Readable, import: &Import, sql: &str, values: Vec<Value>) -> Result<Vec<MonthRow>> {
    select_by_place(&from.at(), sql, values, |row| month(row, import.as_at, import.id)).await
}

fn month(row: &QueryResult, as_at: Date, import: ImportId) -> Result<MonthRow> {
    let (current, previous) = (judgement(row, 1)?, judgement(row, 7)?);
    Ok(MonthRow { urn: urn(at(row, 0)?)?, as_at, import, current, previous })
}

/// The judgement whose columns begin at `first`.
fn judgement(row: &QueryResult, first: usize) -> Result<Option<Judgement>> {
    let place = |offset: usize| first.saturating_add(offset);
    let Some(code) = at::<Option<i64>>(row, place(5))? else { return Ok(None) };
    let grade = u8::try_from(code).ok().and_then(Grade::from_code);
    let judged: Option<i64> = at(row, place(1))?;
    Ok(Some(Judgement {
        inspection: at::<Option<String>>(row, place(0))?.unwrap_or_default(),
        urn_judged: urn(judged.ok_or_else(|| StoreError::unreadable("a judgement without the URN judged"))?)?,
        started: at(row, place(2))?,
        ended: at(row, place(3))?,
        published: at(row, place(4))?,
        grade: grade.ok_or_else(|| StoreError::unreadable(format!("grade {code}")))?,
    }))
}

fn at<T: TryGetable>(row: &QueryResult, place: usize) -> Result<T> {
    Ok(row.try_get_by_index(place)?)
}
