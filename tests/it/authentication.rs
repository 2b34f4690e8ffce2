//! Authentication: which proofs of identity are accepted, and what each caller may do in which regions. All other calls
//! are refused.

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

/// Calls any method with any bytes, and reads its answers to the end. Returns all answers, or the status if the call
/// fails.
pub(super) async fn call(channel: &Channel, method: &str, request: Request<Bytes>) -> Result<Vec<Bytes>, Status> {
    exchange(channel, method, request.map(|message| vec![message])).await
}

/// A request of a caller with these roles, and these regions if given, for a server in development mode.
pub(super) fn as_role(role: &str, regions: Option<&str>, message: impl prost::Message) -> Request<Bytes> {
    let mut request = Request::new(Bytes::from(message.encode_to_vec()));
    request.metadata_mut().insert("x-tsio-actor", "someone".parse().unwrap());
    request.metadata_mut().insert("x-tsio-roles", role.parse().unwrap());
    if let Some(regions) = regions {
        request.metadata_mut().insert("x-tsio-regions", regions.parse().unwrap());
    }
    request
}

/// The code and the reason of a refusal; the reason is empty if the status has none.
pub(super) fn refusal_of(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().map(|it| it.reason).unwrap_or_default())
}
