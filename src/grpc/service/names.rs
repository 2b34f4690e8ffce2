//! `NameService`.

use tonic::{Request, Response, Status, async_trait};

use super::call::{Call, unary};
use crate::app::{App, NamedKind, Result};
use crate::grpc::message::fields::Fields;
use crate::proto;
use crate::proto::name_service_server::NameService;
use crate::proto::{ResolveNamesRequest, ResolveNamesResponse};

/// The most names of one request.
const MAX_NAMES: usize = 500;

/// The most characters of a name.
const MAX_NAME: usize = 200;

/// The service.
#[derive(Debug)]
pub(in crate::grpc) struct Names(pub(in crate::grpc) App);

#[async_trait]
impl NameService for Names {
    async fn resolve_names(
        &self,
        request: Request<ResolveNamesRequest>,
    ) -> std::result::Result<Response<ResolveNamesResponse>, Status> {
        unary(request, async |call| resolve(&self.0, call).await).await
    }
}

async fn resolve(app: &App, call: Call<ResolveNamesRequest>) -> Result<ResolveNamesResponse> {
    let message = &call.message;
    let (programme, kind) = Fields::check(|fields| {
        let programme = fields.programme(&message.programme);
        let kind = kind_from(message.kind());
        if kind.is_none() {
            fields.add_violation("kind", "is required");
        }
        if message.names.is_empty() || message.names.len() > MAX_NAMES {
            fields.add_violation("names", format!("must have 1 to {MAX_NAMES} names, got {}", message.names.len()));
        }
        for (index, name) in message.names.iter().enumerate().take(MAX_NAMES) {
            if name.trim().is_empty() || name.chars().count() > MAX_NAME {
                fields.add_violation(&format!("names[{index}]"), format!("must have 1 to {MAX_NAME} characters"));
            }
        }
        programme.zip(kind)
    })?;
    let ids = app.resolve_names(&call.caller, &programme, kind, &message.names).await?;
    Ok(ResolveNamesResponse { ids: ids.iter().map(ToString::to_string).collect() })
}

const fn kind_from(kind: proto::NamedKind) -> Option<NamedKind> {
    match kind {
        proto::NamedKind::Unspecified => None,
        proto::NamedKind::Offer => Some(NamedKind::Offer),
        proto::NamedKind::Award => Some(NamedKind::Award),
        proto::NamedKind::Fund => Some(NamedKind::Fund),
        proto::NamedKind::Approval => Some(NamedKind::Approval),
        proto::NamedKind::Referral => Some(NamedKind::Referral),
    }
}
