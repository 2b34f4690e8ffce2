//! `tsio approvals`: lists approvals, and gives, denies or withdraws one.

use clap::Subcommand;

use super::amounts::pence;
use super::args::ListQuery;
use super::errors::Failure;
use super::json::{self, Object};
use super::named_arg::NamedArg;
use super::names::{instant, word};
use super::output::{TableColumn, field_lines, parts, table};
use super::session::{PAGE, Session, every_page};
use super::view::{funds, imports, offers, schools};
use crate::proto::{
    Approval, DenyApprovalRequest, EntryPosition, FundStatement, GiveApprovalRequest, GiveApprovalResponse,
    ListApprovalsRequest, WithdrawApprovalRequest,
};

/// A command about approvals.
#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// List approvals that wait for a second person
    #[command(after_help = "Examples:\n  tsio approvals list --all\n  \
                            tsio approvals list --filter 'action = move_funds'")]
    List {
        /// List also approvals that were given, denied or withdrawn, or have expired
        #[arg(long)]
        all: bool,
        /// List only approvals that wait for you
        #[arg(long, conflicts_with = "all")]
        waiting: bool,
        #[command(flatten)]
        query: ListQuery,
    },
    /// Deny an approval: nothing is carried out
    #[command(
        after_help = "Example:\n  tsio approvals deny 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f --reason 'the wrong fund' --actor second.person"
    )]
    Deny {
        /// The approval's id
        approval: String,
        /// The reason
        #[arg(long)]
        reason: String,
    },
    /// Withdraw an approval that your request opened: nothing is carried out
    #[command(after_help = "Example:\n  tsio approvals withdraw 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f")]
    Withdraw {
        /// The approval's id
        approval: String,
    },
    /// Give an approval, which carries out the request
    #[command(alias = "approve")]
    #[command(
        after_help = "Example:\n  tsio approvals give 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f --actor second.person"
    )]
    Give {
        /// The approval's id
        approval: String,
    },
}

impl ApprovalsCommand {
    /// Returns the arguments that may be names of approvals.
    pub(super) fn named_args(&mut self) -> Vec<NamedArg<'_>> {
        match self {
            Self::List { .. } => Vec::new(),
            Self::Deny { approval, .. } | Self::Withdraw { approval } | Self::Give { approval } => {
                vec![NamedArg::approval(approval)]
            }
        }
    }
}

pub(super) async fn run(command: ApprovalsCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        ApprovalsCommand::List { all, waiting, query: ListQuery { filter, order_by, output } } => {
            let first_request = ListApprovalsRequest {
                include_closed: all,
                waiting_for_me: waiting,
                page_size: PAGE,
                filter,
                order_by,
                page_token: String::new(),
            };
            let approvals = every_page(async |page_token| {
                let request = ListApprovalsRequest { page_token, ..first_request.clone() };
                let answer = session.services.approvals().list_approvals(session.call(request)).await?.into_inner();
                Ok((answer.approvals, answer.next_page_token))
            });
            let approvals = approvals.await?;
            session.print_list(&approvals, &output, json::of, rows)
        }
        ApprovalsCommand::Give { approval } => {
            let request = GiveApprovalRequest { request_id: session.request_id(), approval, ..Default::default() };
            let answer = session.services.approvals().give_approval(session.call(request)).await?.into_inner();
            session.print(|| given_approval_json(&answer), || given_approval(&answer))
        }
        ApprovalsCommand::Withdraw { approval } => {
            let request = WithdrawApprovalRequest { request_id: session.request_id(), approval, validate_only: false };
            let answer = session.services.approvals().withdraw_approval(session.call(request)).await?.into_inner();
            session.print(|| json::of(&answer), || answer.approval.as_ref().map(detail).unwrap_or_default())
        }
        ApprovalsCommand::Deny { approval, reason } => {
            let request =
                DenyApprovalRequest { request_id: session.request_id(), approval, reason, validate_only: false };
            let answer = session.services.approvals().deny_approval(session.call(request)).await?.into_inner();
            session.print(|| json::of(&answer), || answer.approval.as_ref().map(detail).unwrap_or_default())
        }
    }
}

fn state(it: &Approval) -> String {
    word(it.state().as_str_name(), "APPROVAL_STATE_")
}

/// Returns the subject of an approval: an id, or a school for a decision about an entry position.
fn subject(it: &Approval) -> String {
    match &it.entry {
        Some(entry) if it.subject.is_empty() => format!("school {}", entry.urn),
        _ => it.subject.clone(),
    }
}

/// Formats what an approval would change.
///
/// * For funds: the available amount before and after, and the amount that the requester moved without a second person in the
///   30 days before.
/// * For an import: the number of offers with schools that would no longer be eligible.
/// * For a school: its entry position before and after, and the open offers that depend on it.
fn statement(it: &Approval) -> String {
    if let Some(entry) = &it.entry {
        let position = |it: EntryPosition| word(it.as_str_name(), "ENTRY_POSITION_");
        let (after, before) = (position(entry.position()), position(entry.before()));
        let before = if before.is_empty() { "unknown".to_owned() } else { before };
        let offers = entry.offers.iter().map(|it| format!("; open offer {it}")).collect::<String>();
        return format!("school {}: entry position {before}, then {after}{offers}", entry.urn);
    }
    let fund = |it: &FundStatement| {
        let (before, after) = (pence(it.available_before), pence(it.available_after));
        let shortfall = match it.as_of_shortfall {
            0 => String::new(),
            amount => format!(", {} short as of a day in the past", pence(amount)),
        };
        format!("fund {}: available {before}, then {after}{shortfall}", it.fund)
    };
    let moved_alone =
        (it.moved_alone_pence != 0).then(|| format!("moved alone in 30 days before: {}", pence(it.moved_alone_pence)));
    let affected = (!it.affected_offers.is_empty())
        .then(|| format!("offers with schools that are no longer eligible: {}", it.affected_offers.len()));
    it.funds.iter().map(fund).chain(moved_alone).chain(affected).collect::<Vec<_>>().join("; ")
}

/// Formats the amount; empty if the approval has none.
fn amount(it: &Approval) -> String {
    if it.amount_pence == 0 { String::new() } else { pence(it.amount_pence) }
}

/// Formats one approval.
fn detail(it: &Approval) -> String {
    field_lines([
        ("approval", it.approval.clone()),
        ("action", it.action.clone()),
        ("state", state(it)),
        ("subject", subject(it)),
        ("amount", amount(it)),
        ("to fund", it.to_fund.clone()),
        ("expires", instant(it.expire_time).unwrap_or_default()),
        ("states", statement(it)),
    ])
}

/// Formats approvals as a table, one row per approval.
fn rows(approvals: &[Approval]) -> String {
    use TableColumn::{Id, Text};
    let columns = [Id("APPROVAL"), Text("ACTION"), Text("STATE"), Text("ASKED BY"), Text("SUBJECT"), Text("WHY")];
    let row = |it: &Approval| {
        let action = format!("{} {}", it.action, amount(it));
        vec![it.approval.clone(), action, state(it), it.requested_by.clone(), subject(it), it.reason.clone()]
    };
    table(&columns, approvals.iter().map(row))
}

/// Returns the answer to `approvals give` as JSON. The offer in it has the keys of an offer in a list.
fn given_approval_json(answer: &GiveApprovalResponse) -> Object {
    json::of(answer).with("offer", answer.offer.as_ref().map(offers::row_json))
}

/// Formats the answer to `approvals give`: the approval, and what it has changed.
fn given_approval(answer: &GiveApprovalResponse) -> String {
    let funds_text = if answer.funds.is_empty() { String::new() } else { funds::rows(&answer.funds) };
    let texts = [
        answer.approval.as_ref().map(detail),
        answer.offer.as_ref().map(offers::brief),
        answer.entry_decision.as_ref().map(schools::decision),
        answer.import.as_ref().map(imports::brief),
    ];
    parts(texts.into_iter().flatten().chain([imports::affected(&answer.affected_offers), funds_text]))
}
