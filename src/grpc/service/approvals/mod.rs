//! `ApprovalService`.

mod list;

use prost::Message as _;
use tonic::{Request, Response, Status, async_trait};

use super::call::{Call, decode, unary};
use crate::app::commands::{DenyApproval, GiveApproval, WithdrawApproval};
use crate::app::{App, Denial, Result, Withdrawal};
use crate::domain::approval::Approval;
use crate::domain::ids::ApprovalId;
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

/// Withdraws an approval of a programme, or of the register.
async fn withdraw(app: &App, call: Call<WithdrawApprovalRequest>) -> Result<WithdrawApprovalResponse> {
    let (request, approval) =
        Fields::command(&call.message.request_id, |fields| fields.parse("approval", &call.message.approval))?;
    let pending = app.approval(&call.caller, approval).await?;
    let validate_only = call.message.validate_only;
    match pending.programme {
        Some(programme) => {
            let permission = pending.action.permission_to_request();
            let command = WithdrawApproval { programme, approval, permission };
            call.change(app, Ok((request, command)), validate_only).await
        }
        None => {
            let withdrawal =
                Withdrawal { request: call.identity_of_parts(request, &[approval.0.as_bytes()]), approval };
            let encode =
                |it: &Approval| WithdrawApprovalResponse { approval: Some(conversion::approval(it)) }.encode_to_vec();
            decode(&app.take_back_withdrawal(&call.caller, withdrawal, validate_only, encode).await?)
        }
    }
}

/// Gives an approval, which its programme or the register then executes.
async fn give(app: &App, call: Call<GiveApprovalRequest>) -> Result<GiveApprovalResponse> {
    let (request, approval) =
        Fields::command(&call.message.request_id, |fields| fields.parse("approval", &call.message.approval))?;
    let pending = app.approval(&call.caller, approval).await?;
    match pending.programme {
        Some(programme) => {
            let permission = pending.action.permission_to_answer();
            let validate_only = call.message.validate_only;
            let command = GiveApproval { programme, approval, permission };
            call.change(app, Ok((request, command)), validate_only).await
        }
        None => super::register::give_withdrawal(app, call, request, approval).await,
    }
}

/// Denies an approval of a programme, or of the register.
async fn deny(app: &App, call: Call<DenyApprovalRequest>) -> Result<DenyApprovalResponse> {
    let (request, (approval, reason)) = Fields::command(&call.message.request_id, |fields| {
        let approval: Option<ApprovalId> = fields.parse("approval", &call.message.approval);
        let reason = fields.text("reason", &call.message.reason);
        Some((approval?, reason?))
    })?;
    let pending = app.approval(&call.caller, approval).await?;
    let validate_only = call.message.validate_only;
    match pending.programme {
        Some(programme) => {
            let permission = pending.action.permission_to_answer();
            let command = DenyApproval { programme, approval, permission, reason };
            call.change(app, Ok((request, command)), validate_only).await
        }
        None => {
            let request = call.identity_of_parts(request, &[approval.0.as_bytes(), reason.as_bytes()]);
            let denial = Denial { request, approval, reason };
            let encode =
                |it: &Approval| DenyApprovalResponse { approval: Some(conversion::approval(it)) }.encode_to_vec();
            decode(&app.deny_withdrawal(&call.caller, &denial, validate_only, encode).await?)
        }
    }
}
