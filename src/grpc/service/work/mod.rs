//! `WorkService`.

mod due;

use tonic::{Request, Response, Status, async_trait};

use super::call::unary;
use crate::app::App;
use crate::proto::work_service_server::WorkService;
use crate::proto::{ListDueRequest, ListDueResponse};

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
}
