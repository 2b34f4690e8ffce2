//! gRPC-Web, for pages of the origins that the operator names: a translation before the gate, which guards both the same.
//!
//! Off unless an origin is named; HTTP/1.1 is then not spoken at all. A browser asks first what a page may send
//! (CORS): that is answered here, without a token, as the browser sends none with it.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use tonic_web::GrpcWebLayer;
use tower::layer::util::{Identity, Stack};
use tower::util::{Either, option_layer};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what it was told.
const REMEMBERED: Duration = Duration::from_secs(3_600);

/// What a call passes first: nothing where no page may call.
pub(in crate::grpc) type Web = Either<Stack<GrpcWebLayer, CorsLayer>, Identity>;

/// For pages of these origins.
pub(in crate::grpc) fn layer(origins: Vec<HeaderValue>) -> Web {
    let named = |name: &'static str| HeaderName::from_static(name);
    let sent = [AUTHORIZATION, CONTENT_TYPE, named("x-grpc-web"), named("x-user-agent"), named("grpc-timeout")];
    let read = [named("grpc-status"), named("grpc-message"), named("grpc-status-details-bin")];
    // Without credentials: a page shows its token, and no cookie speaks for it.
    let cors = || {
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins.clone()))
            .allow_methods([Method::POST])
            .allow_headers(sent)
            .expose_headers(read)
            .max_age(REMEMBERED)
    };
    option_layer((!origins.is_empty()).then(|| Stack::new(GrpcWebLayer::new(), cors())))
}
