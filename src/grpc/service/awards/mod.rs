//! `AwardService`.

mod commands;
mod list;

use tonic::{Request, Response, Status, async_trait};

use super::call::{Call, unary};
use super::command_responses::CommandResponse as _;
use crate::app::{App, AwardWithText, Result};
use crate::grpc::message::conversion;
use crate::grpc::message::fields::Fields;
use crate::proto::award_service_server::AwardService;
use crate::proto::{
    Award, BookDaysRequest, BookDaysResponse, CancelBookingRequest, CancelBookingResponse, CheckAwardRequest,
    CheckAwardResponse, CreateAwardsRequest, CreateAwardsResponse, DrawAwardRequest, DrawAwardResponse,
    GetAwardRequest, GetAwardResponse, ListAwardsRequest, ListAwardsResponse, RefundAwardRequest, RefundAwardResponse,
    ReleaseAwardRequest, ReleaseAwardResponse, UndoMovementRequest, UndoMovementResponse,
};

/// The service.
#[derive(Debug)]
pub(in crate::grpc) struct Awards(pub(in crate::grpc) App);

type Reply<T> = std::result::Result<Response<T>, Status>;

#[async_trait]
impl AwardService for Awards {
    async fn create_awards(&self, request: Request<CreateAwardsRequest>) -> Reply<CreateAwardsResponse> {
        unary(request, async |call| {
            let command = commands::create(&call.message, call.now.today);
            let validate_only = call.message.validate_only;
            let mut response: CreateAwardsResponse = call.change(&self.0, command, validate_only).await?;
            if validate_only {
                // The awards are not made, so their ids are cleared.
                response.awards.iter_mut().for_each(|it| it.award.clear());
            }
            Ok(response)
        })
        .await
    }

    async fn check_award(&self, request: Request<CheckAwardRequest>) -> Reply<CheckAwardResponse> {
        unary(request, async |call| check(&self.0, call).await).await
    }

    async fn get_award(&self, request: Request<GetAwardRequest>) -> Reply<GetAwardResponse> {
        unary(request, async |call| {
            let mut fields = Fields::default();
            let id = fields.parse("award", &call.message.award);
            let award = self.0.get_award(&call.caller, fields.done(id)?).await?;
            Ok(GetAwardResponse { award: Some(award_message(&award)) })
        })
        .await
    }

    async fn list_awards(&self, request: Request<ListAwardsRequest>) -> Reply<ListAwardsResponse> {
        unary(request, async |call| list::list(&self.0, call).await).await
    }

    async fn book_days(&self, request: Request<BookDaysRequest>) -> Reply<BookDaysResponse> {
        unary(request, async |call| {
            let command = commands::book(&call.message);
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn cancel_booking(&self, request: Request<CancelBookingRequest>) -> Reply<CancelBookingResponse> {
        unary(request, async |call| {
            let command = commands::cancel(&call.message);
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn draw_award(&self, request: Request<DrawAwardRequest>) -> Reply<DrawAwardResponse> {
        unary(request, async |call| {
            let command = commands::draw(&call.message, call.now.today);
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn release_award(&self, request: Request<ReleaseAwardRequest>) -> Reply<ReleaseAwardResponse> {
        unary(request, async |call| {
            let command = commands::release(&call.message, call.now.today);
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn refund_award(&self, request: Request<RefundAwardRequest>) -> Reply<RefundAwardResponse> {
        unary(request, async |call| {
            let command = commands::refund(&call.message, call.now.today);
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn undo_movement(&self, request: Request<UndoMovementRequest>) -> Reply<UndoMovementResponse> {
        unary(request, async |call| {
            let command = commands::undo(&call.message);
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }
}

/// Previews the command of `CreateAwards`: it is decided in the same way, but nothing is written.
async fn check(app: &App, call: Call<CheckAwardRequest>) -> Result<CheckAwardResponse> {
    let command = commands::check(&call.message, call.now.today)?;
    let mut response = CheckAwardResponse::from_outcome(&app.preview(&call.caller, command).await?);
    // The awards are not made, so their ids are cleared.
    response.awards.iter_mut().for_each(|it| it.award.clear());
    Ok(response)
}

fn award_message(it: &AwardWithText) -> Award {
    conversion::award(&it.award, it.text.as_deref())
}
