//! Who makes a call, as a server in development mode is told.

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// A connection that says on each call who makes it.
pub type Named = InterceptedService<Channel, Caller>;

/// A caller, by name and roles, with every region.
#[derive(Debug, Clone)]
pub struct Caller {
    actor: MetadataValue<Ascii>,
    roles: MetadataValue<Ascii>,
}

impl Caller {
    /// A caller of this name with these roles, which have commas between.
    #[must_use]
    pub fn new(actor: &str, roles: &str) -> Self {
        Self { actor: actor.parse().expect("a name for a header"), roles: roles.parse().expect("roles for a header") }
    }

    /// A request with this message.
    pub fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        self.name_in(request.metadata_mut());
        request
    }

    fn name_in(&self, metadata: &mut MetadataMap) {
        metadata.insert("x-tsio-actor", self.actor.clone());
        metadata.insert("x-tsio-roles", self.roles.clone());
    }
}

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        self.name_in(request.metadata_mut());
        Ok(request)
    }
}

/// A connection to the server at this URL.
pub async fn connect(url: &str) -> Channel {
    Endpoint::from_shared(url.to_owned()).expect("a URL").connect().await.expect("the server listens")
}
