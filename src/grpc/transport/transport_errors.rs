//! What the transport refuses by itself gets the contract's form: its code, and a reason.
//!
//! tonic answers a message it cannot read as INTERNAL, one that is too long as OUT_OF_RANGE, and no such answer has
//! details. By the contract INTERNAL is a bug of ours, so that callers would be told to report what they sent.

use http::Response;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::grpc::message::status::{error_info, with_details};

/// The answer as the contract has it, where it is a refusal that none of our handlers wrote.
pub(in crate::grpc) fn in_our_words(answer: Response<Body>) -> Response<Body> {
    match Status::from_header_map(answer.headers()) {
        Some(status) if status.code() != Code::Ok && status.details().is_empty() => said(&status).into_http(),
        _ => answer,
    }
}

fn said(theirs: &Status) -> Status {
    let (code, reason, message) = match theirs.code() {
        Code::Internal => {
            (Code::InvalidArgument, "MESSAGE_MALFORMED", "the request is not the one message that this method takes")
        }
        Code::OutOfRange => (Code::InvalidArgument, "MESSAGE_TOO_LARGE", "the message is larger than the server takes"),
        Code::Unimplemented => (
            Code::Unimplemented,
            "NOT_IMPLEMENTED",
            "there is no such method, or messages come compressed, which it does not take",
        ),
        Code::DeadlineExceeded => {
            (Code::DeadlineExceeded, "MESSAGE_TOO_SLOW", "the message did not come in the time that the server waits")
        }
        Code::Aborted => (Code::Aborted, "CALL_BROKEN_OFF", "the call was cancelled before its message was here"),
        other => (other, "TRANSPORT", "the transport failed"),
    };
    with_details(code, message.to_owned(), vec![error_info(reason)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt as _;

    fn answered(status: &Status) -> (Code, Option<String>) {
        let answer = in_our_words(status.clone().into_http());
        let said = Status::from_header_map(answer.headers()).unwrap();
        (said.code(), said.get_details_error_info().map(|it| it.reason))
    }

    #[test]
    fn what_tonic_says_by_itself_becomes_a_refusal_with_its_reason() {
        let rows = [
            (Status::internal("failed to decode"), Code::InvalidArgument, "MESSAGE_MALFORMED"),
            (Status::out_of_range("too large"), Code::InvalidArgument, "MESSAGE_TOO_LARGE"),
            (Status::unimplemented(""), Code::Unimplemented, "NOT_IMPLEMENTED"),
            (Status::deadline_exceeded("late"), Code::DeadlineExceeded, "MESSAGE_TOO_SLOW"),
            (Status::aborted("gone"), Code::Aborted, "CALL_BROKEN_OFF"),
            (Status::unknown("h2"), Code::Unknown, "TRANSPORT"),
        ];
        for (theirs, code, reason) in rows {
            assert_eq!(answered(&theirs), (code, Some(reason.to_owned())), "{theirs}");
        }
    }

    #[test]
    fn what_a_handler_says_stays_as_it_is() {
        let ours = with_details(Code::Internal, "a bug".to_owned(), vec![error_info("INTERNAL")]);
        assert_eq!(answered(&ours), (Code::Internal, Some("INTERNAL".to_owned())));
        let fine = in_our_words(Response::new(Body::empty()));
        assert!(fine.headers().is_empty(), "an answer that is no refusal is not touched");
    }
}
