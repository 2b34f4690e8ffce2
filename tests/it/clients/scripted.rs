//! A server with scripted answers, for cases in which the real one would have to fail at an exact moment.

use std::sync::{Arc, Mutex};

use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response};
use prost::Message;
use prost::bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};

/// The answer to one call: messages, and then a status.
pub(super) struct Answer {
    messages: Vec<Vec<u8>>,
    /// The status, or `None` for an answer that is never finished.
    status: Option<tonic::Code>,
}

impl Answer {
    /// An answer in a script of [`serve`], which may also have `None`.
    pub(super) fn of<M: Message>(messages: &[M], status: Option<tonic::Code>) -> Option<Self> {
        Some(Self { messages: messages.iter().map(M::encode_to_vec).collect(), status })
    }
}

/// Answers each call by the next answer of the script, and returns the URL. A call with `None`, or after the end of the
/// script, is never answered.
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
    // Dropping a stream would reset it, so unfinished streams are kept.
    let mut unfinished = Vec::new();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let next = script.lock().unwrap().next().flatten();
        match next {
            Some(answer) => unfinished.extend(send(&mut respond, answer)),
            None => std::mem::forget(respond),
        }
    }
}

fn send(respond: &mut SendResponse<Bytes>, answer: Answer) -> Option<h2::SendStream<Bytes>> {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut body = respond.send_response(head, false).unwrap();
    for message in answer.messages {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        body.send_data([&[0], length.as_slice(), &message].concat().into(), false).unwrap();
    }
    let Some(code) = answer.status else { return Some(body) };
    let trailer = ("grpc-status".parse().unwrap(), HeaderValue::from(i32::from(code)));
    body.send_trailers(HeaderMap::from_iter([trailer])).unwrap();
    None
}
