//! Reads and writes approvals. One person opens an approval and another person answers it.

use sea_orm::sea_query::{CaseStatement, Cond, Expr, ExprTrait as _, SimpleExpr};
use sea_orm::{ColumnTrait as _, EntityTrait as _, FromQueryResult as _, QueryFilter as _, QueryResult, Set};
use uuid::Uuid;

use super::verify_rows::{VerifyRows, read_each};
use super::{Readable, Result, StoreError, WriteTx};
use crate::domain::approval::{Approval, ApprovalState};
use crate::domain::event::Seq;
use crate::domain::ids::{Actor, ApprovalId, Programme, RequestId};
use crate::domain::person::{Person, key};
use crate::domain::role::{Reach, Regions};
use crate::domain::time::Micros;
use crate::domain::values::approval::ApprovalAction;
use crate::domain::values::statement::Statement;
use crate::store::db::bulk_sql::{upsert_all, uuid_in};
use crate::store::db::column_values::{actor, check_has_key, check_key, hash, since_rules_sql};
use crate::store::db::condition::{Comparison, Condition, Operand, compare};
use crate::store::db::entity::record::approval;
use crate::store::db::page::Page;

/// Finds approvals with these ids, open approvals about these subjects, and approvals that requests with these ids opened. The
/// requests may be of any caller.
pub async fn find(
    from: &dyn Readable,
    ids: &[ApprovalId],
    subjects: &[Uuid],
    requests: &[RequestId],
) -> Result<Vec<Approval>> {
    let conn = from.at();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let requests: Vec<Uuid> = requests.iter().map(|id| id.0).collect();
    let open_about_subjects = Cond::all().add(approval::Column::State.eq(ApprovalState::Open.name())).add(uuid_in(
        &conn,
        approval::Column::Subject,
        subjects,
    ));
    let by_request = uuid_in(&conn, approval::Column::RequestId, &requests);
    let condition =
        Cond::any().add(uuid_in(&conn, approval::Column::Id, &ids)).add(open_about_subjects).add(by_request);
    let rows = approval::Entity::find().filter(condition).all(&conn.db).await?;
    rows.into_iter().map(decode).collect()
}

/// The approvals of a programme whose stored state is open, including those that have expired since.
///
/// # Errors
/// [`StoreError::Unavailable`], [`StoreError::Unreadable`].
pub async fn open(from: &dyn Readable, programme: &Programme) -> Result<Vec<Approval>> {
    let open = approval::Entity::find()
        .filter(approval::Column::Programme.eq(programme.as_str()))
        .filter(approval::Column::State.eq(ApprovalState::Open.name()));
    open.all(&from.at().db).await?.into_iter().map(decode).collect()
}

/// Approvals that have expired at `now` without an answer.
///
/// # Errors
/// [`StoreError::Unavailable`], [`StoreError::Unreadable`].
pub async fn past(from: &dyn Readable, now: Micros) -> Result<Vec<Approval>> {
    let expired = approval::Entity::find().filter(state_at(now).eq(ApprovalState::Expired.name()));
    expired.all(&from.at().db).await?.into_iter().map(decode).collect()
}

/// Every approval of a programme, for `verify`.
pub async fn for_verify(from: &dyn Readable, programme: &Programme) -> Result<VerifyRows<ApprovalId, Approval>> {
    let sql = format!("SELECT *, {} AS since_rules FROM approvals WHERE programme = $1", since_rules_sql("opened_seq"));
    let id = |row: &QueryResult| Ok(ApprovalId(row.try_get("", "id")?));
    let read = |row: &QueryResult| {
        let model = approval::Model::from_query_result(row, "")?;
        check_has_key(row, "since_rules", Some(&model.requested_by), model.requested_key.as_deref())?;
        check_has_key(row, "since_rules", model.given_by.as_deref(), model.given_key.as_deref())?;
        decode(model)
    };
    read_each(&from.at(), &sql, vec![programme.as_str().into()], id, read).await
}

/// Every approval about reference data, for `verify`.
pub async fn about_imports(from: &dyn Readable) -> Result<VerifyRows<ApprovalId, Approval>> {
    let id = |row: &QueryResult| Ok(ApprovalId(row.try_get("", "id")?));
    let read = |row: &QueryResult| decode(approval::Model::from_query_result(row, "")?);
    read_each(&from.at(), "SELECT * FROM approvals WHERE programme IS NULL", vec![], id, read).await
}

/// Which approvals a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibleApprovals<'a> {
    /// Approvals of these actions, each within a reach. An approval about a school is in its region.
    pub actions: Vec<(ApprovalAction, Reach)>,
    /// Includes those that this person requested, of any action.
    pub asked_by: Option<Person>,
    /// Leaves out those that this person requested.
    pub not_asked_by: Option<Person>,
    /// Whether to include those that are not open any more.
    pub closed_too: bool,
    /// The current time. Approvals that expire at this time or earlier are not open.
    pub now: Micros,
    /// The caller's filter.
    pub condition: Option<&'a Condition<ApprovalField>>,
}

/// A field of an approval that a filter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalField {
    /// The requested action.
    Action,
    /// The offer, the import or the fund that it is about.
    Subject,
    /// Its state, by name.
    State,
    /// Who requested it.
    RequestedBy,
    /// When it was requested.
    Requested,
    /// Who answered it.
    AnsweredBy,
}

/// The state by name at a time: an open approval after its expiry has expired.
fn state_at(now: Micros) -> Expr {
    use approval::Column as C;
    let expired = Cond::all().add(C::State.eq(ApprovalState::Open.name())).add(C::ExpiresAt.lte(now.0));
    CaseStatement::new().case(expired, ApprovalState::Expired.name()).finally(Expr::col(C::State)).into()
}

/// The condition that a field of an approval meets a comparison. `now` decides which open approvals have expired.
fn field_comparison(field: ApprovalField, comparison: Comparison, operand: &Operand, now: Micros) -> SimpleExpr {
    use approval::Column as C;
    let column = match field {
        ApprovalField::Action => C::Action,
        ApprovalField::Subject => C::Subject,
        ApprovalField::State => {
            let name = if let Operand::Text(name) = operand { name.as_str() } else { "" };
            let state = state_at(now);
            return if comparison == Comparison::NotEqual { state.ne(name) } else { state.eq(name) };
        }
        ApprovalField::RequestedBy => C::RequestedBy,
        ApprovalField::Requested => C::RequestedAt,
        ApprovalField::AnsweredBy => C::GivenBy,
    };
    compare(column, comparison, operand)
}

/// Approvals that a person requested. The condition is never NULL, so that it can be negated.
fn requested_by_person(person: &Person) -> Cond {
    use approval::Column as C;
    let key = Expr::col(C::RequestedKey).if_null(Expr::col(C::RequestedBy)).eq(key(person.actor.as_str()));
    let by_id = Cond::any().add(C::RequestedBy.eq(person.actor.as_str())).add(key);
    match person.subject {
        None => by_id,
        Some(subject) => {
            let same_subject =
                Cond::all().add(C::RequestedSubject.is_not_null()).add(C::RequestedSubject.eq(subject.0.to_vec()));
            by_id.add(same_subject)
        }
    }
}

/// Approvals of an action within reach.
fn action_within(action: ApprovalAction, reach: &Reach) -> Cond {
    let all = Cond::all().add(approval::Column::Action.eq(action.name()));
    match &reach.regions {
        Regions::Every => all,
        Regions::These(regions) => all.add(approval::Column::Region.is_in(regions.iter().map(|it| it.name()))),
    }
}

/// The region of an approval, if it is about a school that has one.
fn region(statement: Option<&Statement>) -> Option<String> {
    match statement {
        Some(Statement::Entry { region, .. }) => region.map(|it| it.name().to_owned()),
        Some(Statement::Funds { .. } | Statement::Import { .. } | Statement::Offer { .. }) | None => None,
    }
}

/// A page of the approvals that are visible to a caller.
pub async fn page(from: &dyn Readable, visible_approvals: &VisibleApprovals<'_>, page: Page) -> Result<Vec<Approval>> {
    let mut in_view = Cond::any();
    for (action, reach) in &visible_approvals.actions {
        in_view = in_view.add(action_within(*action, reach));
    }
    if let Some(person) = &visible_approvals.asked_by {
        in_view = in_view.add(requested_by_person(person));
    }
    let mut find = approval::Entity::find().filter(in_view);
    if let Some(person) = &visible_approvals.not_asked_by {
        find = find.filter(requested_by_person(person).not());
    }
    if !visible_approvals.closed_too {
        find = find.filter(state_at(visible_approvals.now).eq(ApprovalState::Open.name()));
    }
    if let Some(condition) = visible_approvals.condition {
        find = find.filter(
            condition.to_condition(&|field, how, operand| field_comparison(field, how, operand, visible_approvals.now)),
        );
    }
    page.apply_to(find, approval::Column::Id).all(&from.at().db).await?.into_iter().map(decode).collect()
}

/// Writes the current state of approvals.
pub async fn put(tx: &WriteTx, approvals: &[&Approval]) -> Result<()> {
    use approval::Column as C;
    let rows = approvals.iter().map(|it| approval::ActiveModel {
        id: Set(it.id.0),
        programme: Set(it.programme.as_ref().map(Programme::to_string)),
        action: Set(it.action.name().to_owned()),
        subject: Set(it.subject),
        change: Set(it.change.as_ref().map(|change| serde_json::to_string(change).unwrap_or_default())),
        statement: Set(it.statement.as_ref().map(|it| serde_json::to_string(it).unwrap_or_default())),
        expires_at: Set(it.expires.map(|it| it.0)),
        opened_seq: Set(it.opened.map(|seq| seq.0)),
        reason: Set(it.reason.clone()),
        state: Set(it.state.name().to_owned()),
        requested_by: Set(it.requested_by.to_string()),
        requested_key: Set(Some(key(it.requested_by.as_str()))),
        requested_subject: Set(it.requested_subject.map(|it| it.0.to_vec())),
        request_id: Set(it.request.map(|it| it.0)),
        requested_at: Set(it.requested_at.0),
        given_by: Set(it.state.answered_by().map(Actor::to_string)),
        given_key: Set(it.state.answered_by().map(|by| key(by.as_str()))),
        given_subject: Set(it.answered_subject.map(|it| it.0.to_vec())),
        denied_seq: Set(it.denied.map(|seq| seq.0)),
        denied_reason: Set(it.denied_reason.clone()),
        region: Set(region(it.statement.as_ref())),
    });
    upsert_all::<approval::Entity, _>(
        tx,
        rows.collect(),
        &[C::Id],
        &[
            C::RequestedKey,
            C::ExpiresAt,
            C::State,
            C::GivenBy,
            C::GivenKey,
            C::GivenSubject,
            C::DeniedSeq,
            C::DeniedReason,
        ],
    )
    .await
}

fn decode(row: approval::Model) -> Result<Approval> {
    let programme = row.programme.map(|it| it.parse()).transpose().map_err(StoreError::unreadable)?;
    check_key(Some(&row.requested_by), row.requested_key.as_deref())?;
    check_key(row.given_by.as_deref(), row.given_key.as_deref())?;
    let statement = row.statement.map(|it| serde_json::from_str(&it)).transpose().map_err(StoreError::unreadable)?;
    let stated_region = region(statement.as_ref());
    if row.region != stated_region {
        let message = format!("its region is {:?}, it states {stated_region:?}", row.region);
        return Err(StoreError::unreadable(message));
    }
    let answered_by = row.given_by.as_deref().map(actor).transpose()?;
    let unfit_state =
        || StoreError::unreadable(format!("its state is {:?}, which does not fit who answered", row.state));
    let state = ApprovalState::named(&row.state, answered_by).ok_or_else(unfit_state)?;
    let unknown_action =
        || StoreError::unreadable(format!("approval {} action: {:?} is not known", row.id, row.action));
    let action = ApprovalAction::named(&row.action).ok_or_else(unknown_action)?;
    Ok(Approval {
        id: ApprovalId(row.id),
        programme,
        action,
        subject: row.subject,
        change: row.change.map(|it| serde_json::from_str(&it)).transpose().map_err(StoreError::unreadable)?,
        statement,
        expires: row.expires_at.map(Micros),
        opened: row.opened_seq.map(Seq),
        reason: row.reason,
        requested_by: actor(&row.requested_by)?,
        requested_subject: row.requested_subject.as_deref().map(hash).transpose()?,
        request: row.request_id.map(RequestId),
        requested_at: Micros(row.requested_at),
        state,
        answered_subject: row.given_subject.as_deref().map(hash).transpose()?,
        denied: row.denied_seq.map(Seq),
        denied_reason: row.denied_reason,
    })
}
