//! A server that says what a script has it say: what the real one says only when something breaks at the wrong moment.

use std::sync::{Arc, Mutex};

use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response};
use prost::Message;
use prost::bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};

/// What one call is answered: messages, and then how it ends.
pub(super) struct Answer {
    messages: Vec<Vec<u8>>,
    /// The status, or nothing: the answer is never finished.
    ends: Option<tonic::Code>,
}

impl Answer {
    pub(super) fn of<M: Message>(messages: &[M], ends: Option<tonic::Code>) -> Option<Self> {
        Some(Self { messages: messages.iter().map(M::encode_to_vec).collect(), ends })
    }
}

/// Answers calls in their order, each by the next of these; where there is none, a call stays without an answer.
pub(super) async fn serve(script: Vec<Option<Answer>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let script = Arc::new(Mutex::new(script.into_iter()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, Arc::clone(&script)));
        }
    });
    url
}

async fn connection(stream: TcpStream, script: Arc<Mutex<std::vec::IntoIter<Option<Answer>>>>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    // What is dropped is reset, so what is never finished is kept.
    let mut kept = Vec::new();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let next = script.lock().unwrap().next().flatten();
        match next {
            Some(answer) => kept.extend(said(&mut respond, answer)),
            None => std::mem::forget(respond),
        }
    }
}

fn said(respond: &mut SendResponse<Bytes>, answer: Answer) -> Option<h2::SendStream<Bytes>> {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut body = respond.send_response(head, false).unwrap();
    for message in answer.messages {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        body.send_data([&[0], length.as_slice(), &message].concat().into(), false).unwrap();
    }
    let Some(code) = answer.ends else { return Some(body) };
    let status = ("grpc-status".parse().unwrap(), HeaderValue::from(i32::from(code)));
    body.send_trailers(HeaderMap::from_iter([status])).unwrap();
    None
}
