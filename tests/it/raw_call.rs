//! Calls any method with messages as bytes, so that a test can compare, repeat and damage the messages.

use prost::bytes::{Buf, BufMut, Bytes};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

/// Sends the messages to a method such as `OfferService/NoteOffer`, and returns every message of the answer, or the status.
/// Makes calls of every kind, because on the wire a unary call is a stream of one message.
pub(crate) async fn exchange(
    channel: &Channel,
    method: &str,
    request: Request<Vec<Bytes>>,
) -> Result<Vec<Bytes>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = format!("/tsio.v1.{method}").parse().map_err(|_| Status::internal("no path of a method"))?;
    let mut answers = client.streaming(request.map(tokio_stream::iter), path, RawCodec).await?.into_inner();
    let mut messages = Vec::new();
    while let Some(message) = answers.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

/// A codec that does not encode or decode: a message is its bytes.
#[derive(Clone, Copy)]
struct RawCodec;

impl Codec for RawCodec {
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

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
