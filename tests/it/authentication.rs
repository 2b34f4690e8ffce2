//! Authentication: which proof is accepted, what each caller may do where, and that nobody else gets anything.

mod cases;
pub(crate) mod issuer;
mod keys;
mod regions;
mod services;
pub(crate) mod tokens;

pub(super) use cases::methods;
use prost::bytes::Bytes;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::raw_call::exchange;

/// A call of any method with any bytes: what it answers, or the status. A stream is read to its end or its failure.
pub(super) async fn call(channel: &Channel, method: &str, request: Request<Bytes>) -> Result<Vec<Bytes>, Status> {
    exchange(channel, method, request.map(|message| vec![message])).await
}

/// The same as one of these roles, in development mode.
pub(super) fn as_role(role: &str, regions: Option<&str>, message: impl prost::Message) -> Request<Bytes> {
    let mut request = Request::new(Bytes::from(message.encode_to_vec()));
    request.metadata_mut().insert("x-tsio-actor", "someone".parse().unwrap());
    request.metadata_mut().insert("x-tsio-roles", role.parse().unwrap());
    if let Some(regions) = regions {
        request.metadata_mut().insert("x-tsio-regions", regions.parse().unwrap());
    }
    request
}

/// The code and the reason of a refusal.
pub(super) fn why(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().map(|it| it.reason).unwrap_or_default())
}
