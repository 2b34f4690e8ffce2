//! `RecordService`.

use prost::Message as _;
use tonic::{Request, Response, Status, async_trait};

use super::call::{Call, unary};
use crate::app::writer::CommandOutcome;
use crate::app::{App, Result};
use crate::domain::event::Seq;
use crate::domain::programme::{Command, CommandAnswer};
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
    let given = request.zip(programme).zip(reason);
    let ((request, programme), reason) = fields.done(given)?;
    let command = Command::EraseText { event: Seq(message.sequence), reason };
    if message.validate_only {
        return Ok(erased(&app.check(&call.caller, &programme, &command).await?));
    }
    call.submit(app, programme, request, command, |told| erased(told).encode_to_vec()).await
}

fn erased(told: &CommandOutcome) -> EraseTextResponse {
    let sequence = match told.answer {
        CommandAnswer::Erased(event) => event.0,
        _ => 0,
    };
    EraseTextResponse { programme: told.programme.to_string(), sequence }
}
