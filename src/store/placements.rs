//! Schools placed by a person.

use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set};

use super::bulk::upsert_all;
use super::entity::record::placement;
use super::offers::{uid, urn};
use super::{Readable, Result, StoreError, WriteTx};
use crate::domain::event::Seq;
use crate::domain::ids::{Programme, Uid, Urn};
use crate::domain::school::HandPlacement;

/// The placements by hand of a programme.
///
/// # Errors
/// As the database has it.
pub async fn of_programme(from: &impl Readable, programme: &Programme) -> Result<Vec<(Urn, HandPlacement, Seq)>> {
    let find = placement::Entity::find().filter(placement::Column::Programme.eq(programme.as_str()));
    let rows = find.all(&from.at().db).await?;
    rows.into_iter().map(|row| Ok((urn(row.urn)?, value(&row)?, Seq(row.seq)))).collect()
}

/// Writes placements as they are now.
///
/// # Errors
/// As the database has it.
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

fn value(row: &placement::Model) -> Result<HandPlacement> {
    let trust = || row.uid.map_or_else(|| Err(StoreError::unreadable("a placement without its trust")), uid);
    Ok(match row.kind.as_str() {
        "maintained" => HandPlacement::Maintained,
        "single_academy_trust" => HandPlacement::SingleAcademyTrust { uid: trust()? },
        "single_school_mat" => HandPlacement::SingleSchoolMat { uid: trust()? },
        "mat" => HandPlacement::Mat { uid: trust()? },
        other => return Err(StoreError::unreadable(format!("placement {other:?}"))),
    })
}
