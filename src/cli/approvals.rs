//! `tsio approvals`: what waits for a second person, and the answer to it.

use clap::Subcommand;
use serde::Serialize;

use super::amounts::shown;
use super::args::Sought;
use super::errors::Failure;
use super::names::{instant, name, some_number, some_text};
use super::output::{TableColumn, View, cell, facts, table};
use super::session::{PAGE, Session, every_page};
use crate::cli::view::funds::FundView;
use crate::cli::view::imports::{AffectedView, ImportView, affected_text};
use crate::cli::view::offers::OfferView;
use crate::cli::view::schools::DecisionView;
use crate::proto::{
    Approval, DenyApprovalRequest, EntryPosition, EntryStatement, FundStatement, GiveApprovalRequest,
    GiveApprovalResponse, ListApprovalsRequest, WithdrawApprovalRequest,
};

/// A command about approvals.
#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// What waits for a second person
    #[command(after_help = "Examples:\n  tsio approvals list --all\n  \
                            tsio approvals list --filter 'action = move_funds'")]
    List {
        /// Those carried out, denied, withdrawn or expired too
        #[arg(long)]
        all: bool,
        /// Only those that wait for you
        #[arg(long, conflicts_with = "all")]
        waiting: bool,
        #[command(flatten)]
        sought: Sought,
    },
    /// Deny an approval: nothing is carried out
    #[command(
        after_help = "Example:\n  tsio approvals deny 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f --reason 'the wrong fund' --actor second.person"
    )]
    Deny {
        /// The approval's id
        approval: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Withdraw an approval that you asked for: nothing is carried out
    #[command(after_help = "Example:\n  tsio approvals withdraw 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f")]
    Withdraw {
        /// The approval's id
        approval: String,
    },
    /// Give an approval, which carries the command out
    #[command(alias = "approve")]
    #[command(
        after_help = "Example:\n  tsio approvals give 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f --actor second.person"
    )]
    Give {
        /// The approval's id
        approval: String,
    },
}

pub(super) async fn run(command: ApprovalsCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        ApprovalsCommand::List { all, waiting, sought: Sought { filter, order_by } } => {
            let first = ListApprovalsRequest {
                include_closed: all,
                waiting_for_me: waiting,
                page_size: PAGE,
                filter,
                order_by,
                page_token: String::new(),
            };
            let approvals = every_page(async |page_token| {
                let request = ListApprovalsRequest { page_token, ..first.clone() };
                let answer = session.services.approvals().list_approvals(session.call(request)).await?.into_inner();
                Ok((answer.approvals, answer.next_page_token))
            });
            session.print(&approvals.await?.into_iter().map(ApprovalView::from).collect::<Vec<_>>())
        }
        ApprovalsCommand::Give { approval } => {
            let request = GiveApprovalRequest { request_id: session.request_id(), approval, ..Default::default() };
            let answer = session.services.approvals().give_approval(session.call(request)).await?.into_inner();
            session.print(&GivenView::from(answer))
        }
        ApprovalsCommand::Withdraw { approval } => {
            let request = WithdrawApprovalRequest { request_id: session.request_id(), approval, validate_only: false };
            let answer = session.services.approvals().withdraw_approval(session.call(request)).await?.into_inner();
            session.print(&ApprovalView::from(answer.approval.unwrap_or_default()))
        }
        ApprovalsCommand::Deny { approval, reason } => {
            let request =
                DenyApprovalRequest { request_id: session.request_id(), approval, reason, validate_only: false };
            let answer = session.services.approvals().deny_approval(session.call(request)).await?.into_inner();
            session.print(&ApprovalView::from(answer.approval.unwrap_or_default()))
        }
    }
}

/// A fund in what an approval states.
#[derive(Debug, Serialize)]
struct StatementView {
    fund: String,
    allocated_before: i64,
    allocated_after: i64,
    committed: i64,
    spent: i64,
    available_before: i64,
    available_after: i64,
    as_of_shortfall: Option<i64>,
}

impl From<FundStatement> for StatementView {
    fn from(it: FundStatement) -> Self {
        Self {
            fund: it.fund,
            allocated_before: it.allocated_before,
            allocated_after: it.allocated_after,
            committed: it.committed,
            spent: it.spent,
            available_before: it.available_before,
            available_after: it.available_after,
            as_of_shortfall: some_number(it.as_of_shortfall),
        }
    }
}

/// An entry position in what an approval states.
#[derive(Debug, Serialize)]
struct EntryView {
    urn: i32,
    position: Option<String>,
    region: Option<String>,
    before: Option<String>,
    offers: Vec<String>,
}

impl From<EntryStatement> for EntryView {
    fn from(it: EntryStatement) -> Self {
        let position = |of: EntryPosition| name(of.as_str_name(), "ENTRY_POSITION_");
        let (to, before) = (position(it.position()), position(it.before()));
        Self { urn: it.urn, position: to, region: some_text(it.region), before, offers: it.offers }
    }
}

#[derive(Debug, Serialize)]
struct ApprovalView {
    approval: String,
    action: String,
    subject: Option<String>,
    state: Option<String>,
    requested_by: String,
    request_time: Option<String>,
    given_by: Option<String>,
    reason: Option<String>,
    amount_pence: Option<i64>,
    to_fund: Option<String>,
    over_commit: bool,
    denied_reason: Option<String>,
    expire_time: Option<String>,
    funds: Vec<StatementView>,
    offer_etag: Option<String>,
    offer_region: Option<String>,
    moved_alone_pence: Option<i64>,
    affected_offers: Vec<String>,
    entry: Option<EntryView>,
}

impl From<Approval> for ApprovalView {
    fn from(approval: Approval) -> Self {
        Self {
            state: name(approval.state().as_str_name(), "APPROVAL_STATE_"),
            approval: approval.approval,
            action: approval.action,
            subject: some_text(approval.subject),
            requested_by: approval.requested_by,
            request_time: instant(approval.request_time),
            given_by: some_text(approval.given_by),
            reason: some_text(approval.reason),
            amount_pence: some_number(approval.amount_pence),
            to_fund: some_text(approval.to_fund),
            over_commit: approval.over_commit,
            denied_reason: some_text(approval.denied_reason),
            expire_time: instant(approval.expire_time),
            funds: approval.funds.into_iter().map(StatementView::from).collect(),
            offer_etag: some_text(approval.offer_etag),
            offer_region: some_text(approval.offer_region),
            moved_alone_pence: some_number(approval.moved_alone_pence),
            affected_offers: approval.affected_offers,
            entry: approval.entry.map(EntryView::from),
        }
    }
}

impl ApprovalView {
    /// What it is about: an id, or a school.
    fn about(&self) -> String {
        let school = self.entry.as_ref().map(|it| format!("school {}", it.urn));
        cell(self.subject.as_ref().or(school.as_ref()))
    }

    /// What it states: of funds before and after, what was moved alone; how many offers lose their ground; of a school, its
    /// entry position, and the open offers that depend on what was decided before.
    fn states(&self) -> String {
        if let Some(entry) = &self.entry {
            let (to, before) = (cell(entry.position.as_ref()), cell(entry.before.as_ref()));
            let before = if before.is_empty() { "unknown".to_owned() } else { before };
            let offers = entry.offers.iter().map(|it| format!("; open offer {it}")).collect::<String>();
            return format!("school {}: entry position {before}, then {to}{offers}", entry.urn);
        }
        let pounds = |pence| shown(Some("pence"), pence);
        let one = |it: &StatementView| {
            let (before, after) = (pounds(it.available_before), pounds(it.available_after));
            let short = it.as_of_shortfall.map(|short| format!(", {} short as of a day in the past", pounds(short)));
            format!("fund {}: available {before}, then {after}{}", it.fund, short.unwrap_or_default())
        };
        let alone = self.moved_alone_pence.map(|pence| format!("moved alone in 30 days before: {}", pounds(pence)));
        let affected = (!self.affected_offers.is_empty())
            .then(|| format!("leaves without ground: {} offers", self.affected_offers.len()));
        self.funds.iter().map(one).chain(alone).chain(affected).collect::<Vec<_>>().join("; ")
    }

    fn amount(&self) -> String {
        self.amount_pence.map(|pence| shown(Some("pence"), pence)).unwrap_or_default()
    }
}

impl View for ApprovalView {
    fn text(&self) -> String {
        facts([
            ("approval", self.approval.clone()),
            ("action", self.action.clone()),
            ("state", self.state.clone().unwrap_or_default()),
            ("subject", self.about()),
            ("amount", self.amount()),
            ("to fund", cell(self.to_fund.as_ref())),
            ("expires", cell(self.expire_time.as_ref())),
            ("states", self.states()),
        ])
    }
}

impl View for Vec<ApprovalView> {
    fn text(&self) -> String {
        use TableColumn::{Id, Text};
        let columns = [Id("APPROVAL"), Text("ACTION"), Text("STATE"), Text("ASKED BY"), Text("SUBJECT"), Text("WHY")];
        let row = |approval: &ApprovalView| {
            vec![
                approval.approval.clone(),
                format!("{} {}", approval.action, approval.amount()),
                approval.state.clone().unwrap_or_default(),
                approval.requested_by.clone(),
                approval.about(),
                cell(approval.reason.as_ref()),
            ]
        };
        table(&columns, self.iter().map(row))
    }
}

#[derive(Debug, Serialize)]
struct GivenView {
    approval: ApprovalView,
    offer: Option<OfferView>,
    import: Option<ImportView>,
    affected_offers: Vec<AffectedView>,
    funds: Vec<FundView>,
    entry_decision: Option<DecisionView>,
}

impl From<GiveApprovalResponse> for GivenView {
    fn from(answer: GiveApprovalResponse) -> Self {
        Self {
            approval: answer.approval.unwrap_or_default().into(),
            offer: answer.offer.map(OfferView::from),
            import: answer.import.map(ImportView::from),
            affected_offers: answer.affected_offers.into_iter().map(AffectedView::from).collect(),
            funds: answer.funds.into_iter().map(FundView::from).collect(),
            entry_decision: answer.entry_decision.map(DecisionView::from),
        }
    }
}

impl View for GivenView {
    fn text(&self) -> String {
        let what = self.approval.text();
        let funds = (!self.funds.is_empty()).then(|| self.funds.text());
        let offer = self.offer.as_ref().map(View::text);
        let import = self.import.as_ref().map(View::text);
        let decision = self.entry_decision.as_ref().map(View::text);
        let parts = [Some(what), offer, decision, import, affected_text(&self.affected_offers), funds];
        parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }
}
