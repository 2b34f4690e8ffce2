//! Approvals: opened by one person, answered by another.

use sea_orm::sea_query::{Cond, SimpleExpr};
use sea_orm::{ColumnTrait as _, EntityTrait as _, FromQueryResult as _, QueryFilter as _, QueryResult, Set};
use uuid::Uuid;

use super::books::actor;
use super::bulk::{upsert_all, uuid_in};
use super::condition::{Condition, How, Operand, compare};
use super::entity::record::approval;
use super::loose::{Rows, each};
use super::page::Page;
use super::{Readable, Result, StoreError, WriteTx};
use crate::domain::book::approval::State;
use crate::domain::book::funds::FundChange;
use crate::domain::event::Seq;
use crate::domain::ids::{Actor, ApprovalId, Programme, RequestId};
use crate::domain::time::Micros;

/// An approval as stored: about an offer of a programme, or about reference data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredApproval {
    /// Its id.
    pub id: ApprovalId,
    /// The book it belongs to; none for reference data.
    pub programme: Option<Programme>,
    /// What was asked.
    pub action: String,
    /// The offer, the import or the fund it is about.
    pub subject: Uuid,
    /// The movement asked for, where it is about money.
    pub change: Option<FundChange>,
    /// The event that opened it; none for reference data.
    pub opened: Option<Seq>,
    /// Why, where it is about reference data; an offer's reason lies with its event.
    pub reason: Option<String>,
    /// Who asked.
    pub requested_by: Actor,
    /// Under which id; nothing where that was not kept.
    pub request: Option<RequestId>,
    /// When.
    pub requested_at: Micros,
    /// Where it is.
    pub state: State,
    /// The event that denied it; none for reference data.
    pub denied: Option<Seq>,
    /// Why it was denied, where it is about reference data; otherwise that lies with its event.
    pub denied_reason: Option<String>,
}

/// These approvals, the open ones about these subjects, and those opened by these requests, whosever they were.
///
/// # Errors
/// As the database has it.
pub async fn find(
    from: &impl Readable,
    ids: &[ApprovalId],
    subjects: &[Uuid],
    requests: &[RequestId],
) -> Result<Vec<StoredApproval>> {
    let conn = from.at();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let requests: Vec<Uuid> = requests.iter().map(|id| id.0).collect();
    let open = Cond::all().add(approval::Column::State.eq(State::Open.name())).add(uuid_in(
        &conn,
        approval::Column::Subject,
        subjects,
    ));
    let asked = uuid_in(&conn, approval::Column::RequestId, &requests);
    let wanted = Cond::any().add(uuid_in(&conn, approval::Column::Id, &ids)).add(open).add(asked);
    let rows = approval::Entity::find().filter(wanted).all(&conn.db).await?;
    rows.into_iter().map(stored).collect()
}

/// Every approval of a programme's book, to be held against the record.
///
/// # Errors
/// As the database has it.
pub async fn of_book(from: &impl Readable, programme: &Programme) -> Result<Rows<ApprovalId, StoredApproval>> {
    let sql = "SELECT * FROM approvals WHERE programme = $1";
    let id = |row: &QueryResult| Ok(ApprovalId(row.try_get("", "id")?));
    let read = |row: &QueryResult| stored(approval::Model::from_query_result(row, "")?);
    each(&from.at(), sql, vec![programme.as_str().into()], id, read).await
}

/// Which approvals somebody sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<'a> {
    /// Those of these actions.
    pub actions: Vec<&'static str>,
    /// And those that this actor asked for.
    pub asked_by: Option<&'a str>,
    /// But none that this actor asked for.
    pub not_asked_by: Option<&'a str>,
    /// Those that are open no more, too.
    pub closed_too: bool,
    /// What the caller put together.
    pub condition: Option<&'a Condition<Field>>,
}

/// What of an approval a condition may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// What was asked.
    Action,
    /// The offer, the import or the fund it is about.
    Subject,
    /// Where it is, by name.
    State,
    /// Who asked.
    RequestedBy,
    /// When.
    Requested,
    /// Who answered it, if anybody.
    AnsweredBy,
}

fn compared(field: Field, how: How, operand: &Operand) -> SimpleExpr {
    use approval::Column as C;
    let column = match field {
        Field::Action => C::Action,
        Field::Subject => C::Subject,
        Field::State => C::State,
        Field::RequestedBy => C::RequestedBy,
        Field::Requested => C::RequestedAt,
        Field::AnsweredBy => C::GivenBy,
    };
    compare(column, how, operand)
}

/// A page of approvals.
///
/// # Errors
/// As the database has it.
pub async fn page(from: &impl Readable, seen: &Seen<'_>, page: Page) -> Result<Vec<StoredApproval>> {
    let mut whose = Cond::any().add(approval::Column::Action.is_in(seen.actions.iter().copied()));
    if let Some(actor) = seen.asked_by {
        whose = whose.add(approval::Column::RequestedBy.eq(actor));
    }
    let mut find = approval::Entity::find().filter(whose);
    if let Some(actor) = seen.not_asked_by {
        find = find.filter(approval::Column::RequestedBy.ne(actor));
    }
    if !seen.closed_too {
        find = find.filter(approval::Column::State.eq(State::Open.name()));
    }
    if let Some(condition) = seen.condition {
        find = find.filter(condition.cond(&compared));
    }
    page.of(find, approval::Column::Id).all(&from.at().db).await?.into_iter().map(stored).collect()
}

/// Writes approvals as they are now.
///
/// # Errors
/// As the database has it.
pub async fn put(tx: &WriteTx, approvals: &[StoredApproval]) -> Result<()> {
    use approval::Column as C;
    let rows = approvals.iter().map(|it| approval::ActiveModel {
        id: Set(it.id.0),
        programme: Set(it.programme.as_ref().map(Programme::to_string)),
        action: Set(it.action.clone()),
        subject: Set(it.subject),
        change: Set(it.change.as_ref().map(|change| serde_json::to_string(change).unwrap_or_default())),
        opened_seq: Set(it.opened.map(|seq| seq.0)),
        reason: Set(it.reason.clone()),
        state: Set(it.state.name().to_owned()),
        requested_by: Set(it.requested_by.to_string()),
        request_id: Set(it.request.map(|it| it.0)),
        requested_at: Set(it.requested_at.0),
        given_by: Set(it.state.answered_by().map(Actor::to_string)),
        denied_seq: Set(it.denied.map(|seq| seq.0)),
        denied_reason: Set(it.denied_reason.clone()),
    });
    upsert_all::<approval::Entity, _>(
        tx,
        rows.collect(),
        &[C::Id],
        &[C::State, C::GivenBy, C::DeniedSeq, C::DeniedReason],
    )
    .await
}

fn stored(row: approval::Model) -> Result<StoredApproval> {
    let programme = row.programme.map(|it| it.parse()).transpose().map_err(StoreError::unreadable)?;
    let answered_by = row.given_by.as_deref().map(actor).transpose()?;
    let unreadable =
        || StoreError::unreadable(format!("its state is {:?}, which it is not by who answered", row.state));
    let state = State::named(&row.state, answered_by).ok_or_else(unreadable)?;
    Ok(StoredApproval {
        id: ApprovalId(row.id),
        programme,
        action: row.action,
        subject: row.subject,
        change: row.change.map(|it| serde_json::from_str(&it)).transpose().map_err(StoreError::unreadable)?,
        opened: row.opened_seq.map(Seq),
        reason: row.reason,
        requested_by: actor(&row.requested_by)?,
        request: row.request_id.map(RequestId),
        requested_at: Micros(row.requested_at),
        state,
        denied: row.denied_seq.map(Seq),
        denied_reason: row.denied_reason,
    })
}
