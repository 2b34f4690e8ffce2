//! `ApprovalService`.

mod list;

use prost::Message as _;
use tonic::{Request, Response, Status, async_trait};

use super::call::{Call, decode, unary};
use crate::app::writer::CommandOutcome;
use crate::app::{App, Denial, Result, Withdrawal};
use crate::domain::approval::Approval;
use crate::domain::programme::Command;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::Fields;
use crate::proto::approval_service_server::ApprovalService;
use crate::proto::{
    DenyApprovalRequest, DenyApprovalResponse, GiveApprovalRequest, GiveApprovalResponse, ListApprovalsRequest,
    ListApprovalsResponse, WithdrawApprovalRequest, WithdrawApprovalResponse,
};

/// The service.
#[derive(Debug)]
pub(in crate::grpc) struct Approvals(pub(in crate::grpc) App);

type Reply<T> = std::result::Result<Response<T>, Status>;

#[async_trait]
impl ApprovalService for Approvals {
    async fn list_approvals(&self, request: Request<ListApprovalsRequest>) -> Reply<ListApprovalsResponse> {
        unary(request, async |call| list::list(&self.0, call).await).await
    }

    async fn give_approval(&self, request: Request<GiveApprovalRequest>) -> Reply<GiveApprovalResponse> {
        unary(request, async |call| give(&self.0, call).await).await
    }

    async fn deny_approval(&self, request: Request<DenyApprovalRequest>) -> Reply<DenyApprovalResponse> {
        unary(request, async |call| deny(&self.0, call).await).await
    }

    async fn withdraw_approval(&self, request: Request<WithdrawApprovalRequest>) -> Reply<WithdrawApprovalResponse> {
        unary(request, async |call| withdraw(&self.0, call).await).await
    }
}

/// Withdrawn where it lies: in a book, or in the register.
async fn withdraw(app: &App, call: Call<WithdrawApprovalRequest>) -> Result<WithdrawApprovalResponse> {
    let mut fields = Fields::default();
    let request = fields.request_id(&call.message.request_id);
    let approval = fields.parse("approval", &call.message.approval);
    let (request, approval) = fields.done(request.zip(approval))?;
    let waiting = app.approval(&call.caller, approval).await?;
    let validate_only = call.message.validate_only;
    match waiting.programme {
        Some(programme) => {
            let command = Command::WithdrawApproval { approval, action: waiting.action.asking() };
            call.change_in(app, programme, (request, command), validate_only, withdrawn).await
        }
        None => {
            let withdrawal = Withdrawal { request, approval };
            let encode = |it: &Approval| withdrawn_of(Some(it));
            decode(&app.take_back_withdrawal(&call.caller, withdrawal, validate_only, encode).await?)
        }
    }
}

fn withdrawn(told: &CommandOutcome) -> Vec<u8> {
    withdrawn_of(told.approval.as_ref())
}

fn withdrawn_of(approval: Option<&Approval>) -> Vec<u8> {
    WithdrawApprovalResponse { approval: approval.map(conversion::approval) }.encode_to_vec()
}

/// Carried out by whatever the approval belongs to: a book, or the register.
async fn give(app: &App, call: Call<GiveApprovalRequest>) -> Result<GiveApprovalResponse> {
    let mut fields = Fields::default();
    let request = fields.request_id(&call.message.request_id);
    let approval = fields.parse("approval", &call.message.approval);
    let (request, approval) = fields.done(request.zip(approval))?;
    let waiting = app.approval(&call.caller, approval).await?;
    match waiting.programme {
        Some(programme) => {
            let action = waiting.action.permission();
            let validate_only = call.message.validate_only;
            let command = Command::GiveApproval { approval, action };
            call.change_in(app, programme, (request, command), validate_only, given).await
        }
        None => super::register::give_withdrawal(app, call, request, approval).await,
    }
}

fn given(told: &CommandOutcome) -> Vec<u8> {
    let approval = told.approval.as_ref().map(conversion::approval);
    let (offer, funds) = (conversion::first_offer(told), conversion::funds(told));
    let entry_decision = conversion::decided(told);
    GiveApprovalResponse { approval, offer, funds, entry_decision, ..Default::default() }.encode_to_vec()
}

/// Denied where it lies: in a book, or in the register.
async fn deny(app: &App, call: Call<DenyApprovalRequest>) -> Result<DenyApprovalResponse> {
    let mut fields = Fields::default();
    let request = fields.request_id(&call.message.request_id);
    let approval = fields.parse("approval", &call.message.approval);
    let reason = fields.text("reason", &call.message.reason);
    let ((request, approval), reason) = fields.done(request.zip(approval).zip(reason))?;
    let waiting = app.approval(&call.caller, approval).await?;
    let validate_only = call.message.validate_only;
    match waiting.programme {
        Some(programme) => {
            let action = waiting.action.permission();
            let command = Command::DenyApproval { approval, action, reason };
            call.change_in(app, programme, (request, command), validate_only, denied).await
        }
        None => {
            let denial = Denial { request, approval, reason };
            let encode = |it: &Approval| denied_of(Some(it));
            decode(&app.deny_withdrawal(&call.caller, &denial, validate_only, encode).await?)
        }
    }
}

fn denied(told: &CommandOutcome) -> Vec<u8> {
    denied_of(told.approval.as_ref())
}

fn denied_of(approval: Option<&Approval>) -> Vec<u8> {
    DenyApprovalResponse { approval: approval.map(conversion::approval) }.encode_to_vec()
}
