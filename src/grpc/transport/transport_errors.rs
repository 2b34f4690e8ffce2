//! What the transport refuses by itself gets the contract's form: its code, and a reason.
//!
//! tonic answers a message it cannot read as INTERNAL, one that is too long as OUT_OF_RANGE, and no such answer has
//! details. By the contract INTERNAL is a bug of ours, so that callers would be told to report what they sent.

use http::Response;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::grpc::message::reason::ServiceReason;
use crate::grpc::message::status::{error_info, refuse, with_details};

/// Turns a refusal that none of our handlers wrote into one as the contract defines it.
pub(in crate::grpc) fn in_our_words(answer: Response<Body>) -> Response<Body> {
    match Status::from_header_map(answer.headers()) {
        Some(status) if status.code() != Code::Ok && status.details().is_empty() => said(&status).into_http(),
        _ => answer,
    }
}

fn said(theirs: &Status) -> Status {
    match theirs.code() {
        Code::Internal => {
            refuse(ServiceReason::MessageMalformed, "the request is not the one message that this method takes")
        }
        Code::OutOfRange => refuse(ServiceReason::MessageTooLarge, "the message is larger than the server takes"),
        Code::Unimplemented => refuse(
            ServiceReason::NotImplemented,
            "there is no such method, or messages come compressed, which it does not take",
        ),
        Code::DeadlineExceeded => {
            refuse(ServiceReason::MessageTooSlow, "the message did not come in the time that the server waits")
        }
        Code::Aborted => refuse(ServiceReason::CallBrokenOff, "the call was cancelled before its message was here"),
        other => with_details(other, "the transport failed".to_owned(), vec![error_info(ServiceReason::Transport)]),
    }
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
            (Status::internal("failed to decode"), Code::InvalidArgument, ServiceReason::MessageMalformed),
            (Status::out_of_range("too large"), Code::InvalidArgument, ServiceReason::MessageTooLarge),
            (Status::unimplemented(""), Code::Unimplemented, ServiceReason::NotImplemented),
            (Status::deadline_exceeded("late"), Code::DeadlineExceeded, ServiceReason::MessageTooSlow),
            (Status::aborted("gone"), Code::Aborted, ServiceReason::CallBrokenOff),
            (Status::unknown("h2"), Code::Unknown, ServiceReason::Transport),
        ];
        for (theirs, code, reason) in rows {
            assert_eq!(answered(&theirs), (code, Some(reason.code().to_owned())), "{theirs}");
        }
    }

    #[test]
    fn what_a_handler_says_stays_as_it_is() {
        let ours = refuse(ServiceReason::Internal, "a bug");
        assert_eq!(answered(&ours), (Code::Internal, Some(ServiceReason::Internal.code().to_owned())));
        let fine = in_our_words(Response::new(Body::empty()));
        assert!(fine.headers().is_empty(), "an answer that is no refusal is not touched");
    }
}
