//! The credentials that are sent with each call: a token, which is fetched again after it has expired, or the metadata of
//! development mode.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use tonic::metadata::{Ascii, MetadataValue};

use crate::error::Error;

/// The error of a source that cannot return a token.
type NoToken = Box<dyn std::error::Error + Send + Sync>;

/// A source of tokens. It is used for the first call, and again after the server has reported the token as expired.
pub trait TokenSource: Send + Sync + 'static {
    /// Returns a token that is valid now.
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

/// A file whose token is kept current from outside, for example by a secrets mount.
pub(crate) struct TokenFile(pub(crate) PathBuf);

impl TokenSource for TokenFile {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, NoToken>> + Send + '_>> {
        Box::pin(async {
            let read = tokio::fs::read_to_string(&self.0).await;
            read.map_err(|error| format!("{}: {error}", self.0.display()).into())
        })
    }
}

/// A token that is never renewed.
struct FixedToken(String);

impl TokenSource for FixedToken {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, NoToken>> + Send + '_>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// A metadata header of every call.
pub(crate) type MetadataHeader = (&'static str, MetadataValue<Ascii>);

/// The credentials of a caller.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// No credentials in the headers. The connection may have a client certificate.
    None,
    /// The identity that the caller states; only development mode accepts it.
    Named(Vec<MetadataHeader>),
    /// A token and its source.
    Token(Arc<Bearer>),
}

/// The current token, if there is one, and the source of the next one.
pub(crate) struct Bearer {
    source: Box<dyn TokenSource>,
    /// False if the source always returns the same token.
    renews: bool,
    current: RwLock<Option<MetadataValue<Ascii>>>,
}

impl Bearer {
    pub(crate) fn new(source: Box<dyn TokenSource>) -> Self {
        Self { source, renews: true, current: RwLock::new(None) }
    }

    /// Makes a token that is never renewed.
    pub(crate) fn fixed(token: String) -> Self {
        Self { renews: false, ..Self::new(Box::new(FixedToken(token))) }
    }

    fn current(&self) -> Option<MetadataValue<Ascii>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the current token as a header value. Gets a token from the source if there is no current one.
    ///
    /// # Errors
    /// [`Error::Token`] if the source fails, or the token cannot be a header value.
    async fn header_value(&self) -> Result<MetadataValue<Ascii>, Error> {
        if let Some(current) = self.current() {
            return Ok(current);
        }
        let token = self.source.token().await.map_err(Error::no_token)?;
        let value = format!("Bearer {}", token.trim()).parse::<MetadataValue<Ascii>>();
        let mut value = value.map_err(|_| Error::no_token("it has characters that a header cannot have"))?;
        value.set_sensitive(true);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(value.clone());
        Ok(value)
    }

    /// Drops an expired token, unless another token has replaced it already.
    fn forget(&self, expired: &MetadataValue<Ascii>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref() == Some(expired) {
            *current = None;
        }
    }
}

impl Credentials {
    /// Returns the headers for a call.
    ///
    /// # Errors
    /// [`Error::Token`] if a token is needed and the source has none.
    pub(crate) async fn headers(&self) -> Result<Vec<MetadataHeader>, Error> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Named(headers) => Ok(headers.clone()),
            Self::Token(bearer) => Ok(vec![("authorization", bearer.header_value().await?)]),
        }
    }

    /// Drops the token in these headers, if it is the current one. Returns true if the source may return another token.
    pub(crate) fn forget_token(&self, headers: &[MetadataHeader]) -> bool {
        let Self::Token(bearer) = self else { return false };
        headers.iter().filter(|(name, _)| *name == "authorization").for_each(|(_, value)| bearer.forget(value));
        bearer.renews
    }
}
