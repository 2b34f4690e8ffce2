//! Reads and writes referrals of schools and trusts.

use std::str::FromStr;

use sea_orm::sea_query::{Cond, ExprTrait as _, SimpleExpr};
use sea_orm::{ColumnTrait as _, EntityTrait as _, FromQueryResult as _, QueryFilter as _, QueryResult, Set};
use uuid::Uuid;

use super::verify_rows::{VerifyRows, read_each};
use super::{Conn, Readable, Result, StoreError, WriteTx};
use crate::domain::event::Seq;
use crate::domain::ids::{OfferId, Programme, ReferralId};
use crate::domain::person::key;
use crate::domain::referral::{Referral, ReferralDecision, ReferralOrigin, ReferralSubject, State};
use crate::domain::region::Region;
use crate::domain::role::{Reach, Regions};
use crate::domain::terms::RuleId;
use crate::store::db::bulk_sql::{upsert_all, uuid_in};
use crate::store::db::column_values::{actor, check_has_key, check_key, hash, since_rules_sql};
use crate::store::db::condition::{Comparison, Condition, Operand, compare, contains_text};
use crate::store::db::entity::record::referral;
use crate::store::db::page::Page;
use crate::store::db::pg_date;

/// Finds the referrals with these ids, and the open referrals of these schools and trusts.
pub async fn find(
    from: &dyn Readable,
    programme: &Programme,
    ids: &[ReferralId],
    subjects: &[ReferralSubject],
) -> Result<Vec<Referral>> {
    let conn = from.at();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let open_of_subjects = Cond::all()
        .add(referral::Column::State.eq(State::Open.name()))
        .add(referral::Column::Subject.is_in(subjects.iter().map(ReferralSubject::to_string)));
    let condition = Cond::any().add(uuid_in(&conn, referral::Column::Id, &ids)).add(open_of_subjects);
    let of_programme = referral::Entity::find().filter(referral::Column::Programme.eq(programme.as_str()));
    of_programme.filter(condition).all(&conn.db).await?.into_iter().map(decode).collect()
}

/// One referral of any programme, if there is one with this id.
pub async fn get(from: &dyn Readable, id: ReferralId) -> Result<Option<Referral>> {
    referral::Entity::find_by_id(id.0).one(&from.at().db).await?.map(decode).transpose()
}

/// Every referral of a programme, for `verify`.
pub async fn for_verify(from: &dyn Readable, programme: &Programme) -> Result<VerifyRows<ReferralId, Referral>> {
    let id = |row: &QueryResult| Ok(ReferralId(row.try_get("", "id")?));
    let read = |row: &QueryResult| {
        pg_date::required(row, "raised_on")?;
        pg_date::optional(row, "decided_on")?;
        let model = referral::Model::from_query_result(row, "")?;
        check_has_key(row, "raised_under_rules", Some(&model.raised_by), model.raised_key.as_deref())?;
        check_has_key(row, "decided_under_rules", model.decided_by.as_deref(), model.decided_key.as_deref())?;
        decode(model)
    };
    let sql = format!(
        "SELECT *, {} AS raised_under_rules, {} AS decided_under_rules FROM referrals WHERE programme = $1",
        since_rules_sql("raised_seq"),
        since_rules_sql("decided_seq")
    );
    read_each(&from.at(), &sql, vec![programme.as_str().into()], id, read).await
}

/// The open referrals of a programme.
pub async fn open(from: &dyn Readable, programme: &Programme) -> Result<Vec<Referral>> {
    let find = referral::Entity::find()
        .filter(referral::Column::Programme.eq(programme.as_str()))
        .filter(referral::Column::State.eq(State::Open.name()));
    find.all(&from.at().db).await?.into_iter().map(decode).collect()
}

/// The approved referrals of a programme.
pub async fn approved(from: &dyn Readable, programme: &Programme) -> Result<Vec<Referral>> {
    let find = referral::Entity::find()
        .filter(referral::Column::Programme.eq(programme.as_str()))
        .filter(referral::Column::State.eq(State::Approved.name()));
    find.all(&from.at().db).await?.into_iter().map(decode).collect()
}

/// Which referrals a page shows: those that meet all conditions that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferralFilter {
    /// In this state. An open referral that counts as confirmed is in state confirmed.
    pub state: Option<State>,
    /// In this region.
    pub region: Option<Region>,
    /// The caller's filter.
    pub condition: Option<Condition<ReferralField>>,
    /// Open referrals that count as confirmed: the files have made their schools eligible.
    pub confirmed: Vec<ReferralId>,
}

/// A field of a referral that a filter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferralField {
    /// The school or trust that is referred, as text.
    Subject,
    /// A school that it names, by URN.
    School,
    /// The region, by name.
    Region,
    /// Its origin, by name.
    Origin,
    /// Its ground.
    Ground,
    /// Its state, by name.
    State,
    /// Who raised it.
    RaisedBy,
    /// The day it was raised.
    Raised,
    /// Who decided it.
    DecidedBy,
    /// The day it was decided.
    Decided,
    /// The offer that was made or extended when it was approved.
    Offer,
    /// A school that only this referral makes eligible, by URN.
    Exceptional,
}

/// The condition that a field of a referral meets a comparison.
fn field_comparison(field: ReferralField, comparison: Comparison, operand: &Operand) -> SimpleExpr {
    use referral::Column as C;
    let column = match field {
        ReferralField::Subject => C::Subject,
        ReferralField::School => return list_contains(C::Urns, comparison, operand),
        ReferralField::Region => C::Region,
        ReferralField::Origin => C::Origin,
        ReferralField::Ground => C::Ground,
        // [`page`] compares a state by [`state_is`] instead, which knows the referrals that count as confirmed.
        ReferralField::State => C::State,
        ReferralField::RaisedBy => C::RaisedBy,
        ReferralField::Raised => C::RaisedOn,
        ReferralField::DecidedBy => C::DecidedBy,
        ReferralField::Decided => C::DecidedOn,
        ReferralField::Offer => C::OfferId,
        ReferralField::Exceptional => return list_contains(C::Exceptional, comparison, operand),
    };
    compare(column, comparison, operand)
}

/// The condition that a referral is in this state. `confirmed` are the open referrals that count as confirmed.
fn state_is(conn: &Conn<'_>, state: &str, confirmed: &[Uuid]) -> SimpleExpr {
    let is_stored_state = referral::Column::State.eq(state);
    if state == State::Confirmed.name() {
        is_stored_state.or(uuid_in(conn, referral::Column::Id, confirmed))
    } else if state == State::Open.name() {
        is_stored_state.and(uuid_in(conn, referral::Column::Id, confirmed).not())
    } else {
        is_stored_state
    }
}

/// The condition that a list of numbers, stored as JSON, contains a number; for [`Comparison::HasNot`], that it does not.
fn list_contains(column: referral::Column, comparison: Comparison, operand: &Operand) -> SimpleExpr {
    let number = if let Operand::Number(number) = operand { *number } else { 0 };
    let (first, last) = (format!("[{number}"), format!("{number}]"));
    let is_only = contains_text(column, &format!("[{number}]"));
    let contains = is_only
        .or(contains_text(column, &format!("{first},")))
        .or(contains_text(column, &format!(",{number},")))
        .or(contains_text(column, &format!(",{last}")));
    if comparison == Comparison::HasNot { contains.not() } else { contains }
}

/// The condition that a referral is within a reach. Only its region counts, because referrals have no assignee.
fn within_reach(reach: &Reach) -> Cond {
    match &reach.regions {
        Regions::Every => Cond::all(),
        Regions::These(regions) => Cond::all().add(referral::Column::Region.is_in(regions.iter().map(|it| it.name()))),
    }
}

/// A page of a programme's referrals within reach.
pub async fn page(
    from: &dyn Readable,
    programme: &Programme,
    (reach, filter): (&Reach, &ReferralFilter),
    page: Page,
) -> Result<Vec<Referral>> {
    use referral::Column as C;
    let mut find = referral::Entity::find().filter(C::Programme.eq(programme.as_str())).filter(within_reach(reach));
    let conn = from.at();
    let confirmed: Vec<Uuid> = filter.confirmed.iter().map(|it| it.0).collect();
    if let Some(state) = filter.state {
        find = find.filter(state_is(&conn, state.name(), &confirmed));
    }
    if let Some(region) = filter.region {
        find = find.filter(C::Region.eq(region.name()));
    }
    if let Some(condition) = &filter.condition {
        find = find.filter(condition.to_condition(&|field, how, operand: &Operand| match (field, operand) {
            (ReferralField::State, Operand::Text(state)) => {
                let in_state = state_is(&conn, state, &confirmed);
                if how == Comparison::NotEqual { in_state.not() } else { in_state }
            }
            _ => field_comparison(field, how, operand),
        }));
    }
    page.apply_to(find, C::Id).all(&conn.db).await?.into_iter().map(decode).collect()
}

/// Writes the current state of referrals.
pub async fn put(tx: &WriteTx, referrals: &[&Referral]) -> Result<()> {
    use referral::Column as C;
    let row = |it: &&Referral| {
        Ok(referral::ActiveModel {
            id: Set(it.id.0),
            programme: Set(it.programme.to_string()),
            subject: Set(it.subject.to_string()),
            urns: Set(json(&it.urns)?),
            name: Set(it.name.clone()),
            region: Set(it.region.name().to_owned()),
            origin: Set(it.origin.name().to_owned()),
            rule: Set(it.rule.to_string()),
            ground: Set(it.ground.clone()),
            state: Set(it.state.name().to_owned()),
            raised_by: Set(it.raised_by.to_string()),
            raised_key: Set(Some(key(it.raised_by.as_str()))),
            raised_subject: Set(it.raised_subject.map(|it| it.0.to_vec())),
            raised_on: Set(it.raised_on),
            raised_seq: Set(it.raised.0),
            discussions: Set(json(&it.discussions)?),
            decided_by: Set(it.decision.as_ref().map(|it| it.by.to_string())),
            decided_key: Set(it.decision.as_ref().map(|it| key(it.by.as_str()))),
            decided_subject: Set(it.decision.as_ref().and_then(|it| it.subject).map(|it| it.0.to_vec())),
            decided_on: Set(it.decision.as_ref().map(|it| it.on)),
            decided_seq: Set(it.decision.as_ref().map(|it| it.seq.0)),
            offer_id: Set(it.offer.map(|it| it.0)),
            exceptional: Set(json(&it.exceptional)?),
            version: Set(it.version.0),
        })
    };
    let rows: Result<Vec<_>> = referrals.iter().map(row).collect();
    let update = [
        C::RaisedKey,
        C::State,
        C::Discussions,
        C::DecidedBy,
        C::DecidedKey,
        C::DecidedSubject,
        C::DecidedOn,
        C::DecidedSeq,
        C::OfferId,
        C::Exceptional,
        C::Version,
    ];
    upsert_all::<referral::Entity, _>(tx, rows?, &[C::Id], &update).await
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(StoreError::unreadable)
}

fn decode(row: referral::Model) -> Result<Referral> {
    let unreadable = |what: &str, value: &str| StoreError::unreadable(format!("the {what} {value:?}"));
    check_key(Some(&row.raised_by), row.raised_key.as_deref())?;
    check_key(row.decided_by.as_deref(), row.decided_key.as_deref())?;
    let decider_subject = row.decided_subject.as_deref().map(hash).transpose()?;
    let decision = match (row.decided_seq, row.decided_on, row.decided_by) {
        (Some(seq), Some(on), Some(by)) => {
            Some(ReferralDecision { seq: Seq(seq), on, by: actor(&by)?, subject: decider_subject })
        }
        (None, None, None) => None,
        _ => return Err(StoreError::unreadable("half a decision")),
    };
    let state = State::named(&row.state).ok_or_else(|| unreadable("state", &row.state))?;
    Ok(Referral {
        id: ReferralId(row.id),
        programme: row.programme.parse().map_err(StoreError::unreadable)?,
        subject: ReferralSubject::from_str(&row.subject).map_err(StoreError::unreadable)?,
        urns: serde_json::from_str(&row.urns).map_err(StoreError::unreadable)?,
        name: row.name,
        region: row.region.parse().map_err(StoreError::unreadable)?,
        origin: ReferralOrigin::named(&row.origin).ok_or_else(|| unreadable("origin", &row.origin))?,
        rule: RuleId::new(&row.rule),
        ground: row.ground,
        state,
        raised_by: actor(&row.raised_by)?,
        raised_subject: row.raised_subject.as_deref().map(hash).transpose()?,
        raised_on: row.raised_on,
        raised: Seq(row.raised_seq),
        discussions: serde_json::from_str(&row.discussions).map_err(StoreError::unreadable)?,
        decision,
        offer: row.offer_id.map(OfferId),
        exceptional: serde_json::from_str(&row.exceptional).map_err(StoreError::unreadable)?,
        version: Seq(row.version),
    })
}
