//! Placements of schools by hand.

use sea_orm::{
    ColumnTrait as _, EntityTrait as _, FromQueryResult as _, QueryFilter as _, QueryOrder as _, QueryResult, Set,
};

use super::verify_rows::{VerifyRows, each};
use super::{Readable, Result, StoreError, WriteTx};
use crate::domain::event::Seq;
use crate::domain::ids::{Programme, Uid, Urn};
use crate::domain::school::HandPlacement;
use crate::store::db::bulk_sql::upsert_all;
use crate::store::db::column_values::{uid, urn};
use crate::store::db::entity::record::placement;

/// The placements by hand of a programme.
pub async fn of_programme(from: &impl Readable, programme: &Programme) -> Result<Vec<(Urn, HandPlacement, Seq)>> {
    let find = placement::Entity::find().filter(placement::Column::Programme.eq(programme.as_str()));
    let rows = find.all(&from.at().db).await?;
    rows.iter().map(placed).collect()
}

/// The placements of a school by hand, by programme.
pub async fn of_school(from: &impl Readable, of: Urn) -> Result<Vec<(Programme, HandPlacement)>> {
    let find = placement::Entity::find()
        .filter(placement::Column::Urn.eq(i64::from(of.get())))
        .order_by_asc(placement::Column::Programme);
    let rows = find.all(&from.at().db).await?;
    let of_programme = |row: &placement::Model| {
        let (_, how, _) = placed(row)?;
        Ok((row.programme.parse().map_err(StoreError::unreadable)?, how))
    };
    rows.iter().map(of_programme).collect()
}

/// The placements by hand of a programme by school, for `verify`.
pub async fn of_book(
    from: &impl Readable,
    programme: &Programme,
) -> Result<VerifyRows<Urn, (Urn, HandPlacement, Seq)>> {
    let sql = "SELECT * FROM placements WHERE programme = $1";
    let school = |row: &QueryResult| urn(row.try_get("", "urn")?);
    let placed = |row: &QueryResult| placed(&placement::Model::from_query_result(row, "")?);
    each(&from.at(), sql, vec![programme.as_str().into()], school, placed).await
}

/// Writes the current placements.
pub async fn put(tx: &WriteTx, programme: &Programme, placed: &[(Urn, HandPlacement, Seq)]) -> Result<()> {
    use placement::Column as C;
    let rows = placed.iter().map(|(urn, how, seq)| {
        let (kind, uid) = parts(*how);
        placement::ActiveModel {
            programme: Set(programme.to_string()),
            urn: Set(i64::from(urn.get())),
            kind: Set(kind.to_owned()),
            uid: Set(uid.map(|uid| i64::from(uid.get()))),
            seq: Set(seq.0),
        }
    });
    upsert_all::<placement::Entity, _>(tx, rows.collect(), &[C::Programme, C::Urn], &[C::Kind, C::Uid, C::Seq]).await
}

const fn parts(how: HandPlacement) -> (&'static str, Option<Uid>) {
    match how {
        HandPlacement::Maintained => ("maintained", None),
        HandPlacement::SingleAcademyTrust { uid } => ("single_academy_trust", Some(uid)),
        HandPlacement::SingleSchoolMat { uid } => ("single_school_mat", Some(uid)),
        HandPlacement::Mat { uid } => ("mat", Some(uid)),
    }
}

fn placed(row: &placement::Model) -> Result<(Urn, HandPlacement, Seq)> {
    let how = match (row.kind.as_str(), row.uid.map(uid).transpose()?) {
        ("maintained", None) => HandPlacement::Maintained,
        ("single_academy_trust", Some(uid)) => HandPlacement::SingleAcademyTrust { uid },
        ("single_school_mat", Some(uid)) => HandPlacement::SingleSchoolMat { uid },
        ("mat", Some(uid)) => HandPlacement::Mat { uid },
        (kind, trust) => return Err(StoreError::unreadable(format!("the placement {kind:?} in trust {trust:?}"))),
    };
    Ok((urn(row.urn)?, how, Seq(row.seq)))
}
