//! What a caller shows on each call: a token, fetched again once it has expired; or, in development mode, a name.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use tonic::metadata::{Ascii, MetadataValue};

use crate::error::Error;

/// Why no token could be had.
type NoToken = Box<dyn std::error::Error + Send + Sync>;

/// Where tokens come from. It is asked for the first call, and again once the server says that the token has expired.
pub trait TokenSource: Send + Sync + 'static {
    /// A token that is good now.
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, NoToken>> + Send + '_>>;
}

impl<F, T> TokenSource for F
where
    F: Fn() -> T + Send + Sync + 'static,
    T: Future<Output = Result<String, NoToken>> + Send + 'static,
{
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, NoToken>> + Send + '_>> {
        Box::pin(self())
    }
}

/// A file that somebody else keeps current, as a secrets mount does.
pub(crate) struct TokenFile(pub(crate) PathBuf);

impl TokenSource for TokenFile {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, NoToken>> + Send + '_>> {
        Box::pin(async {
            let read = tokio::fs::read_to_string(&self.0).await;
            read.map_err(|error| format!("{}: {error}", self.0.display()).into())
        })
    }
}

/// One token.
struct Fixed(String);

impl TokenSource for Fixed {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, NoToken>> + Send + '_>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// Metadata of every call.
pub(crate) type MetadataHeader = (&'static str, MetadataValue<Ascii>);

/// What a caller shows.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// Nothing but perhaps a certificate.
    None,
    /// Its own word, which only development mode takes.
    Named(Vec<MetadataHeader>),
    /// A token, and where the next one comes from.
    Token(Arc<Bearer>),
}

/// A token and its source.
pub(crate) struct Bearer {
    source: Box<dyn TokenSource>,
    /// Whether the source ever has another.
    renews: bool,
    current: RwLock<Option<MetadataValue<Ascii>>>,
}

impl Bearer {
    pub(crate) fn new(source: Box<dyn TokenSource>) -> Self {
        Self { source, renews: true, current: RwLock::new(None) }
    }

    /// One that there is no other in the place of.
    pub(crate) fn fixed(token: String) -> Self {
        Self { renews: false, ..Self::new(Box::new(Fixed(token))) }
    }

    fn current(&self) -> Option<MetadataValue<Ascii>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The token there is, or a first one.
    async fn value(&self) -> Result<MetadataValue<Ascii>, Error> {
        if let Some(current) = self.current() {
            return Ok(current);
        }
        let token = self.source.token().await.map_err(Error::no_token)?;
        let value = format!("Bearer {}", token.trim()).parse::<MetadataValue<Ascii>>();
        let mut value = value.map_err(|_| Error::no_token("it holds what no token can"))?;
        value.set_sensitive(true);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(value.clone());
        Ok(value)
    }

    /// Forgets a token that has expired, unless there is another by now.
    fn forget(&self, expired: &MetadataValue<Ascii>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref() == Some(expired) {
            *current = None;
        }
    }
}

impl Credentials {
    /// What to send along.
    pub(crate) async fn headers(&self) -> Result<Vec<MetadataHeader>, Error> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Named(headers) => Ok(headers.clone()),
            Self::Token(bearer) => Ok(vec![("authorization", bearer.value().await?)]),
        }
    }

    /// Whether another token may be had in the place of the one among these.
    pub(crate) fn renewed(&self, headers: &[MetadataHeader]) -> bool {
        let Self::Token(bearer) = self else { return false };
        headers.iter().filter(|(name, _)| *name == "authorization").for_each(|(_, value)| bearer.forget(value));
        bearer.renews
    }
}
