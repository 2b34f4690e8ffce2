//! Adds the caller's name and roles to requests, as a server in development mode reads them.

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// A connection that adds the metadata of its [`Caller`] to each request.
pub type Named = InterceptedService<Channel, Caller>;

/// A caller with a name and roles, for all regions.
#[derive(Debug, Clone)]
pub struct Caller {
    actor: MetadataValue<Ascii>,
    roles: MetadataValue<Ascii>,
}

impl Caller {
    /// Makes a caller with this name and these roles, which are separated by commas.
    #[must_use]
    pub fn new(actor: &str, roles: &str) -> Self {
        Self {
            actor: actor.parse().expect("the name is a valid header value"),
            roles: roles.parse().expect("the roles are a valid header value"),
        }
    }

    /// Makes a request of this caller with this message.
    pub fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        self.add_metadata(request.metadata_mut());
        request
    }

    fn add_metadata(&self, metadata: &mut MetadataMap) {
        metadata.insert("x-tsio-actor", self.actor.clone());
        metadata.insert("x-tsio-roles", self.roles.clone());
    }
}

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        self.add_metadata(request.metadata_mut());
        Ok(request)
    }
}

/// Connects to the server at this URL.
pub async fn connect(url: &str) -> Channel {
    Endpoint::from_shared(url.to_owned()).expect("the URL is valid").connect().await.expect("the server listens")
}
