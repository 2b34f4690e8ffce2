//! `RecordService`.

use tonic::{Request, Response, Status, async_trait};

use super::call::{Call, unary};
use crate::app::commands::EraseText;
use crate::app::{App, Result};
use crate::domain::event::Seq;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::Fields;
use crate::proto::record_service_server::RecordService;
use crate::proto::{EraseTextRequest, EraseTextResponse};

/// The service.
#[derive(Debug)]
pub(in crate::grpc) struct Records(pub(in crate::grpc) App);

#[async_trait]
impl RecordService for Records {
    async fn erase_text(
        &self,
        request: Request<EraseTextRequest>,
    ) -> std::result::Result<Response<EraseTextResponse>, Status> {
        unary(request, async |call| erase_text(&self.0, call).await).await
    }
}

async fn erase_text(app: &App, call: Call<EraseTextRequest>) -> Result<EraseTextResponse> {
    let message = &call.message;
    let command = Fields::command(&message.request_id, |fields| {
        let programme = fields.programme(&message.programme);
        if message.sequence < 1 {
            fields.add_violation("sequence", format!("must be 1 or more, got {}", message.sequence));
        }
        let reason = conversion::erasure_reason_from(message.reason);
        if reason.is_none() {
            fields.add_violation("reason", "is required");
        }
        Some(EraseText { programme: programme?, event: Seq(message.sequence), reason: reason? })
    });
    let validate_only = message.validate_only;
    call.change(app, command, validate_only).await
}
