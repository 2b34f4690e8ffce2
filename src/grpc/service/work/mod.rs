//! `WorkService`.

mod due;
mod summary;

use tonic::{Request, Response, Status, async_trait};

use super::call::unary;
use crate::app::App;
use crate::domain::ids::Actor;
use crate::grpc::message::fields::Fields;
use crate::proto::work_service_server::WorkService;
use crate::proto::{ListDueRequest, ListDueResponse, SummariseOffersRequest, SummariseOffersResponse};

/// The service.
#[derive(Debug)]
pub(in crate::grpc) struct Work(pub(in crate::grpc) App);

#[async_trait]
impl WorkService for Work {
    async fn list_due(
        &self,
        request: Request<ListDueRequest>,
    ) -> std::result::Result<Response<ListDueResponse>, Status> {
        unary(request, async |call| due::list(&self.0, call).await).await
    }

    async fn summarise_offers(
        &self,
        request: Request<SummariseOffersRequest>,
    ) -> std::result::Result<Response<SummariseOffersResponse>, Status> {
        unary(request, async |call| summary::summarise(&self.0, call).await).await
    }
}

/// Reads the condition that something belongs to an actor, or with `-` to nobody. `None` if the text is empty or wrong.
fn actor_or_none(fields: &mut Fields, field: &str, text: &str) -> Option<Option<Actor>> {
    match text {
        "" => None,
        "-" => Some(None),
        actor => fields.parse(field, actor).map(Some),
    }
}
