//! Implements the common part of all handlers: the caller, the deadline, the request id, and the status of an error.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use prost::Message;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status};

use super::command_responses::{CommandResponse, encoders};
use crate::app::execute::MutatingCall;
use crate::app::request::RequestIdentity;
use crate::app::{App, AppError, Result};
use crate::domain::ids::RequestId;
use crate::domain::refusal::Reason;
use crate::domain::role::Caller;
use crate::domain::time::Now;
use crate::grpc::auth::call_time::CallTime;
use crate::grpc::auth::method::Method;
use crate::grpc::auth::{self, Authenticated, security_log};
use crate::grpc::message::reason::{ServiceReason, StatusReason};
use crate::grpc::message::request_id::record_request_id;
use crate::grpc::message::status::status;
use crate::grpc::message::texts;
use crate::grpc::telemetry::call_span;
use crate::grpc::telemetry::internal_metrics::InternalMetrics;
use crate::grpc::transport::connections::peer;

/// The server's deadline is earlier than the client's by this fraction (1/20) of the timeout, so that the client gets
/// DEADLINE_EXCEEDED from the server, and not CANCELLED.
const EARLY_FRACTION: u32 = 20;

/// A request as handlers see it. `deadline` also ends a response stream.
#[derive(Debug)]
pub(in crate::grpc) struct Call<T> {
    pub(in crate::grpc) caller: Caller,
    pub(in crate::grpc) now: Now,
    pub(in crate::grpc) deadline: Option<Instant>,
    pub(in crate::grpc) method: Method,
    pub(in crate::grpc) message: T,
}

/// Runs the handler of a unary request: checks the caller and the texts, applies the deadline, and maps the error.
pub(in crate::grpc) async fn unary<T, R, F>(
    request: Request<T>,
    handle: impl FnOnce(Call<T>) -> F,
) -> std::result::Result<Response<R>, Status>
where
    T: Message,
    F: Future<Output = Result<R>> + Send,
{
    let (metadata, extensions, message) = request.into_parts();
    let Authenticated { caller, deadline: expiry, .. } = auth::authenticated_caller(&extensions)?.clone();
    let (method, CallTime { now, .. }) =
        (Method::from_extensions(&extensions)?, CallTime::from_extensions(&extensions)?);
    let deadline = deadline(&metadata);
    check_allowed(method, &caller, &extensions, &message)?;
    let denied_caller = caller.clone();
    // A response stream ends when the caller's token or certificate expires, or at the deadline.
    let stream_deadline = deadline.into_iter().chain(expiry).min();
    let result = within(deadline, async {
        let violations = texts::check(method.name(), &message);
        let is_accepted = violations.is_empty() || was_answered(method, &caller, &extensions, &message).await?;
        // Boxed, so that the compiler looks into a handler once, and not again in each future around it.
        let work: BoxFuture<'_, Result<R>> =
            Box::pin(handle(Call { caller, now, deadline: stream_deadline, method, message }));
        if is_accepted { work.await } else { texts::run_and_refuse(violations, work).await }
    })
    .await;
    result.map(Response::new).map_err(|error| {
        log_denial(method, &denied_caller, &extensions, None::<&T>, &error);
        fail(error)
    })
}

/// Records an error in the span and the log, and returns its status.
pub(in crate::grpc) fn fail(error: AppError) -> Status {
    call_span::record_failure(&error);
    error.log();
    status(error)
}

/// Checks that a role of the caller allows the method. A refusal is written to the security log.
///
/// # Errors
/// PERMISSION_DENIED, reason `ROLE_MISSING`.
pub(in crate::grpc) fn check_allowed(
    method: Method,
    caller: &Caller,
    extensions: &Extensions,
    message: &impl Message,
) -> std::result::Result<(), Status> {
    method.check(caller).map_err(|error| {
        log_denial(method, caller, extensions, Some(message), &error);
        error.log();
        status(error)
    })
}

/// Counts a denial and writes it to the security log. An error is a denial if a role is missing, or if the caller tried to
/// give an approval that the caller requested. `message` is given before the handler runs: its request id is then not
/// recorded in the span yet.
fn log_denial<T: Message>(
    method: Method,
    caller: &Caller,
    extensions: &Extensions,
    message: Option<&T>,
    error: &AppError,
) {
    let reason: StatusReason = match error {
        AppError::Denied(_) => ServiceReason::RoleMissing.into(),
        AppError::Refused(refusal) if refusal.reason == Reason::SelfApproval => refusal.reason.into(),
        _ => return,
    };
    if let Some(internal) = extensions.get::<Arc<InternalMetrics>>() {
        internal.record_denial(reason);
    }
    let address = peer(extensions).map(|it| it.address.to_string()).unwrap_or_default();
    let id = message.filter(|_| method.mutates()).and_then(|it| request_id(&it.encode_to_vec()));
    id.into_iter().for_each(record_request_id);
    security_log::log_denied_call(method.name(), Some(caller), &address, id, reason);
}

/// Reads the request id of an encoded mutation; `None` if it cannot be read. The request id is the first field of the
/// message; a test of the contract ensures that.
fn request_id(message: &[u8]) -> Option<RequestId> {
    // 10 is the key of a text in field 1; a length below 128 has one byte.
    let [10, length @ ..128, rest @ ..] = message else { return None };
    let text = std::str::from_utf8(rest.get(..usize::from(*length))?).ok()?;
    text.parse().ok()
}

/// Returns true if the same request was answered before. An earlier version of the program may have accepted texts that are
/// refused now, and a repeated request must still get its stored answer.
async fn was_answered<T: Message>(
    method: Method,
    caller: &Caller,
    extensions: &Extensions,
    message: &T,
) -> Result<bool> {
    let Some(app) = extensions.get::<App>().filter(|_| method.mutates()) else { return Ok(false) };
    let body = message.encode_to_vec();
    let Some(request) = request_id(&body) else { return Ok(false) };
    let identity = RequestIdentity::of_message(request, method.name(), &body);
    app.was_answered(&caller.actor, request, (identity.rpc, Some(identity.fingerprint))).await
}

/// Runs `work` until the deadline, if there is a deadline.
///
/// # Errors
/// The error of `work`, or [`AppError::DeadlinePassed`].
pub(in crate::grpc) async fn within<R>(deadline: Option<Instant>, work: impl Future<Output = Result<R>>) -> Result<R> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(AppError::DeadlinePassed)),
        None => work.await,
    }
}

impl<T: Message> Call<T> {
    /// Returns the identity by which a repeated request is recognised: the method and the whole message.
    pub(in crate::grpc) fn identity(&self, request: RequestId) -> RequestIdentity {
        RequestIdentity::of_message(request, self.method.name(), &self.message.encode_to_vec())
    }

    /// Returns the identity of a request about reference data: the method and these parts of the message.
    pub(in crate::grpc) fn identity_of_parts(&self, request: RequestId, parts: &[&[u8]]) -> RequestIdentity {
        RequestIdentity::of_parts(request, self.method.name(), parts)
    }

    /// Returns the bytes that a page token is bound to: the method and `message`. The handler passes a message in which
    /// the fields that may change from page to page are cleared.
    pub(in crate::grpc) fn token_binding(&self, message: &T) -> Vec<u8> {
        [self.method.name().as_bytes(), &[0], &message.encode_to_vec()].concat()
    }

    /// Executes the command of the method and returns the response. With `validate_only` the command is only previewed.
    pub(in crate::grpc) async fn change<R: CommandResponse>(
        self,
        app: &App,
        checked: Result<(RequestId, R::Command)>,
        validate_only: bool,
    ) -> Result<R> {
        let (request, command) = checked?;
        if validate_only {
            return Ok(R::from_outcome(&app.preview(&self.caller, command).await?));
        }
        let call = MutatingCall {
            caller: &self.caller,
            request: self.identity(request),
            deadline: self.deadline,
            encoders: encoders::<R>(),
        };
        decode(&app.execute(call, command).await?)
    }
}

/// Decodes a stored answer.
pub(in crate::grpc) fn decode<R: Message + Default>(answer: &[u8]) -> Result<R> {
    R::decode(answer).map_err(|error| AppError::Bug(format!("a stored answer cannot be read: {error}")))
}

/// Returns the deadline of the request, which is a little before the deadline of the client. `None` if the client has set
/// no timeout.
pub(in crate::grpc) fn deadline(metadata: &MetadataMap) -> Option<Instant> {
    let timeout = parse_timeout(metadata.get("grpc-timeout")?.to_str().ok()?)?;
    let early = timeout.checked_div(EARLY_FRACTION).unwrap_or_default();
    Instant::now().checked_add(timeout.saturating_sub(early))
}

/// Parses the value of `grpc-timeout`: at most 8 digits and a unit. Returns `None` for any other text.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = Some(digits).filter(|it| it.len() <= 8)?.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.saturating_mul(3_600)),
        "M" => Duration::from_secs(number.saturating_mul(60)),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_is_not_done_by_its_deadline_ends() {
        let now = Some(Instant::now());
        let late = within(now, std::future::pending::<Result<()>>()).await;
        assert!(matches!(late, Err(AppError::DeadlinePassed)), "{late:?}");
        assert_eq!(
            within(now, async { Ok(7) }).await.ok(),
            Some(7),
            "work that is done in its first poll has no deadline"
        );
        assert_eq!(within(None, async { Ok(7) }).await.ok(), Some(7));
    }

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        let rows = [
            ("1S", Some(Duration::from_secs(1))),
            ("250m", Some(Duration::from_millis(250))),
            ("2M", Some(Duration::from_secs(120))),
            ("1H", Some(Duration::from_secs(3_600))),
            ("10u", Some(Duration::from_micros(10))),
            ("99n", Some(Duration::from_nanos(99))),
            ("", None),
            ("S", None),
            ("-1S", None),
            ("1s", None),
            ("123456789S", None),
            ("1é", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_timeout(text), expected, "{text:?}");
        }
    }
}
