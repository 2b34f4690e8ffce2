//! Serves gRPC-Web to web pages of configured origins. Requests are translated before admission, so the same checks apply.
//!
//! gRPC-Web and HTTP/1.1 are off unless an origin is configured. This layer also responds to the CORS preflight of
//! browsers. It does so without authentication, because a browser sends no token with a preflight.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use tonic_web::GrpcWebLayer;
use tower::layer::util::{Identity, Stack};
use tower::util::{Either, option_layer};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// The longest time that a browser may cache the response to a preflight.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(3_600);

/// The first layer of the server; it does nothing if no origin is configured.
pub(in crate::grpc) type Web = Either<Stack<GrpcWebLayer, CorsLayer>, Identity>;

/// Makes the layer for pages of these origins.
pub(in crate::grpc) fn layer(origins: Vec<HeaderValue>) -> Web {
    let header = |name: &'static str| HeaderName::from_static(name);
    let request_headers =
        [AUTHORIZATION, CONTENT_TYPE, header("x-grpc-web"), header("x-user-agent"), header("grpc-timeout")];
    let response_headers = [header("grpc-status"), header("grpc-message"), header("grpc-status-details-bin")];
    // CORS credentials (cookies) are not allowed: a page sends its token itself.
    let cors = || {
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins.clone()))
            .allow_methods([Method::POST])
            .allow_headers(request_headers)
            .expose_headers(response_headers)
            .max_age(PREFLIGHT_MAX_AGE)
    };
    option_layer((!origins.is_empty()).then(|| Stack::new(GrpcWebLayer::new(), cors())))
}
