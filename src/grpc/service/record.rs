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
    let mut fields = Fields::default();
    let request = fields.request_id(&message.request_id);
    let programme = fields.programme(&message.programme);
    if message.sequence < 1 {
        fields.wrong("sequence", format!("must be 1 or more, got {}", message.sequence));
    }
    let reason = conversion::erasure_reason_from(message.reason);
    if reason.is_none() {
        fields.wrong("reason", "is required");
    }
    let event = Seq(message.sequence);
    let command = programme.zip(reason).map(|(programme, reason)| EraseText { programme, event, reason });
    let (checked, validate_only) = (fields.done(request.zip(command)), message.validate_only);
    call.change(app, checked, validate_only).await
}
