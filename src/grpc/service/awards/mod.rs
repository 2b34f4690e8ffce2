//! `AwardService`.

mod commands;
mod list;

use prost::Message as _;
use tonic::{Request, Response, Status, async_trait};

use super::call::{Call, book_of, unary};
use crate::app::{App, Result, ToldAward, authorise};
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
            let command = commands::create(&call.message, self.0.today());
            let validate_only = call.message.validate_only;
            let told = call.change(&self.0, command, validate_only, |told| {
                CreateAwardsResponse { awards: conversion::awards(told), warnings: conversion::warnings(told) }
                    .encode_to_vec()
            });
            let mut answer: CreateAwardsResponse = told.await?;
            if validate_only {
                answer.awards.iter_mut().for_each(|it| it.award.clear());
            }
            Ok(answer)
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
            let found = self.0.get_award(&call.caller, fields.done(id)?).await?;
            Ok(GetAwardResponse { award: Some(shown(&found)) })
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
            call.change(&self.0, command, validate_only, |told| {
                let (award, warnings) = (conversion::first_award(told), conversion::warnings(told));
                BookDaysResponse { award, warnings, booking: conversion::made_booking(told) }.encode_to_vec()
            })
            .await
        })
        .await
    }

    async fn cancel_booking(&self, request: Request<CancelBookingRequest>) -> Reply<CancelBookingResponse> {
        unary(request, async |call| {
            let command = commands::cancel(&call.message);
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only, |told| {
                CancelBookingResponse { award: conversion::first_award(told) }.encode_to_vec()
            })
            .await
        })
        .await
    }

    async fn draw_award(&self, request: Request<DrawAwardRequest>) -> Reply<DrawAwardResponse> {
        unary(request, async |call| {
            let command = commands::draw(&call.message, self.0.today());
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only, |told| {
                DrawAwardResponse { award: conversion::first_award(told), warnings: conversion::warnings(told) }
                    .encode_to_vec()
            })
            .await
        })
        .await
    }

    async fn release_award(&self, request: Request<ReleaseAwardRequest>) -> Reply<ReleaseAwardResponse> {
        unary(request, async |call| {
            let command = commands::release(&call.message, self.0.today());
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only, |told| {
                ReleaseAwardResponse { award: conversion::first_award(told), warnings: conversion::warnings(told) }
                    .encode_to_vec()
            })
            .await
        })
        .await
    }

    async fn refund_award(&self, request: Request<RefundAwardRequest>) -> Reply<RefundAwardResponse> {
        unary(request, async |call| {
            let command = commands::refund(&call.message, self.0.today());
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only, |told| {
                RefundAwardResponse { award: conversion::first_award(told), warnings: conversion::warnings(told) }
                    .encode_to_vec()
            })
            .await
        })
        .await
    }

    async fn undo_movement(&self, request: Request<UndoMovementRequest>) -> Reply<UndoMovementResponse> {
        unary(request, async |call| {
            let command = commands::undo(&call.message);
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only, |told| {
                UndoMovementResponse { award: conversion::first_award(told) }.encode_to_vec()
            })
            .await
        })
        .await
    }
}

/// The real path, without the writing.
async fn check(app: &App, call: Call<CheckAwardRequest>) -> Result<CheckAwardResponse> {
    let command = commands::check(&call.message, app.today())?;
    authorise(&call.caller, command.action())?;
    let programme = book_of(app, &call.caller, &command).await?;
    let told = app.check(&call.caller, &programme, &command).await?;
    let (mut awards, warnings) = (conversion::awards(&told), conversion::warnings(&told));
    // An id of an award that will not be made is of no use to anybody.
    awards.iter_mut().for_each(|it| it.award.clear());
    Ok(CheckAwardResponse { awards, warnings, judged_at_sequence: told.judged_at.0 })
}

fn shown(it: &ToldAward) -> Award {
    conversion::award(&it.award, it.text.as_deref())
}
