//! Reads and writes hand placements of schools.

use sea_orm::{
    ColumnTrait as _, EntityTrait as _, FromQueryResult as _, QueryFilter as _, QueryOrder as _, QueryResult, Set,
};

use super::verify_rows::{VerifyRows, read_each};
use super::{Readable, Result, StoreError, WriteTx};
use crate::domain::event::Seq;
use crate::domain::ids::{Programme, Uid, Urn};
use crate::domain::school::HandPlacement;
use crate::store::db::bulk_sql::upsert_all;
use crate::store::db::column_values::{uid, urn};
use crate::store::db::entity::record::placement;

/// The hand placements of a programme: each school, its placement, and the number of the event that made the placement.
pub async fn of_programme(from: &dyn Readable, programme: &Programme) -> Result<Vec<(Urn, HandPlacement, Seq)>> {
    let find = placement::Entity::find().filter(placement::Column::Programme.eq(programme.as_str()));
    let rows = find.all(&from.at().db).await?;
    rows.iter().map(decode).collect()
}

/// The hand placements of a school, in the order of the programmes.
pub async fn of_school(from: &dyn Readable, school: Urn) -> Result<Vec<(Programme, HandPlacement)>> {
    let find = placement::Entity::find()
        .filter(placement::Column::Urn.eq(i64::from(school.get())))
        .order_by_asc(placement::Column::Programme);
    let rows = find.all(&from.at().db).await?;
    let with_programme = |row: &placement::Model| {
        let (_, hand_placement, _) = decode(row)?;
        Ok((row.programme.parse().map_err(StoreError::unreadable)?, hand_placement))
    };
    rows.iter().map(with_programme).collect()
}

/// The hand placements of a programme by school, for `verify`.
pub async fn for_verify(
    from: &dyn Readable,
    programme: &Programme,
) -> Result<VerifyRows<Urn, (Urn, HandPlacement, Seq)>> {
    let sql = "SELECT * FROM placements WHERE programme = $1";
    let school = |row: &QueryResult| urn(row.try_get("", "urn")?);
    let read = |row: &QueryResult| decode(&placement::Model::from_query_result(row, "")?);
    read_each(&from.at(), sql, vec![programme.as_str().into()], school, read).await
}

/// Inserts these placements, or updates the rows of schools that have one.
pub async fn put(tx: &WriteTx, programme: &Programme, placements: &[(Urn, HandPlacement, Seq)]) -> Result<()> {
    use placement::Column as C;
    let rows = placements.iter().map(|(urn, hand_placement, seq)| {
        let (kind, uid) = columns_of(*hand_placement);
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

/// The stored kind of a placement, and its trust.
const fn columns_of(hand_placement: HandPlacement) -> (&'static str, Option<Uid>) {
    match hand_placement {
        HandPlacement::Maintained => ("maintained", None),
        HandPlacement::SingleAcademyTrust { uid } => ("single_academy_trust", Some(uid)),
        HandPlacement::SingleSchoolMat { uid } => ("single_school_mat", Some(uid)),
        HandPlacement::Mat { uid } => ("mat", Some(uid)),
    }
}

fn decode(row: &placement::Model) -> Result<(Urn, HandPlacement, Seq)> {
    let hand_placement = match (row.kind.as_str(), row.uid.map(uid).transpose()?) {
        ("maintained", None) => HandPlacement::Maintained,
        ("single_academy_trust", Some(uid)) => HandPlacement::SingleAcademyTrust { uid },
        ("single_school_mat", Some(uid)) => HandPlacement::SingleSchoolMat { uid },
        ("mat", Some(uid)) => HandPlacement::Mat { uid },
        (kind, trust) => {
            let trust = trust.map_or_else(|| "no trust".to_owned(), |uid| format!("trust {uid}"));
            let urn = row.urn;
            let message = format!("the placement of school {urn} has kind {kind:?} and {trust}, which is no placement");
            return Err(StoreError::unreadable(message));
        }
    };
    Ok((urn(row.urn)?, hand_placement, Seq(row.seq)))
}
