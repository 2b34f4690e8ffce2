//! The door: who is let in by what they show, what each may do where, and that nothing else gets anything.

mod cases;
pub(crate) mod issuer;
mod regions;
mod services;
mod tokens;

pub(super) use cases::methods;
use prost::bytes::{Buf, BufMut, Bytes};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

/// A call of any method with any bytes: what it answers, or the status. A stream is read to its end or its failure.
pub(super) async fn call(channel: &Channel, method: &str, request: Request<Bytes>) -> Result<Vec<Bytes>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = format!("/tsio.v1.{method}").parse().unwrap();
    let mut answers = client.server_streaming(request, path, Raw).await?.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        all.push(answer);
    }
    Ok(all)
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

/// Bytes as they are.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
