//! Converts errors of the transport to the code and reason that the contract defines for them.
//!
//! tonic reports an unreadable message as INTERNAL and a message that is too long as OUT_OF_RANGE, both without details.
//! In the contract INTERNAL means a bug of the server. Without this conversion, a client would report a bug when its own
//! message is wrong.

use http::Response;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::grpc::message::reason::ServiceReason;
use crate::grpc::message::status::{error_info, refuse, with_details};

/// Converts an error response without details to an error of the contract. No handler of this server makes an error without
/// details.
pub(in crate::grpc) fn with_error_reason(response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != Code::Ok && status.details().is_empty() => {
            contract_status(&status).into_http()
        }
        _ => response,
    }
}

/// Returns the status of the contract for an error of the transport.
fn contract_status(transport: &Status) -> Status {
    match transport.code() {
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

    fn converted(status: &Status) -> (Code, Option<String>) {
        let response = with_error_reason(status.clone().into_http());
        let status = Status::from_header_map(response.headers()).unwrap();
        (status.code(), status.get_details_error_info().map(|it| it.reason))
    }

    #[test]
    fn errors_of_tonic_get_the_code_and_reason_of_the_contract() {
        let rows = [
            (Status::internal("failed to decode"), Code::InvalidArgument, ServiceReason::MessageMalformed),
            (Status::out_of_range("too large"), Code::InvalidArgument, ServiceReason::MessageTooLarge),
            (Status::unimplemented(""), Code::Unimplemented, ServiceReason::NotImplemented),
            (Status::deadline_exceeded("late"), Code::DeadlineExceeded, ServiceReason::MessageTooSlow),
            (Status::aborted("gone"), Code::Aborted, ServiceReason::CallBrokenOff),
            (Status::unknown("h2"), Code::Unknown, ServiceReason::Transport),
        ];
        for (transport, code, reason) in rows {
            assert_eq!(converted(&transport), (code, Some(reason.code().to_owned())), "{transport}");
        }
    }

    #[test]
    fn an_error_of_a_handler_is_not_changed() {
        let handler_error = refuse(ServiceReason::Internal, "a bug");
        assert_eq!(converted(&handler_error), (Code::Internal, Some(ServiceReason::Internal.code().to_owned())));
        let success = with_error_reason(Response::new(Body::empty()));
        assert!(success.headers().is_empty(), "a response that is no error is not changed");
    }
}
