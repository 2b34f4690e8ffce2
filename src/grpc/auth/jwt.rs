//! Verifies bearer tokens (JWT) of one issuer: their signature, issuer, audience and times. Then it reads the caller from
//! the claims.
//!
//! A verified token is cached by its digest, because verification costs more than most reads. The cached result expires
//! with the token, or earlier.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use quick_cache::sync::Cache;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::call_time::CallTime;
use super::error::{add_duration, token_expired, token_rejected};
use super::jwks::{KeyFetcher, KeySource};
use super::jwt_rules::{check_header, check_times};
use super::key_cache::{FetchedKeys, KeyCache, KeyCacheTimes, NoKey};
use super::{Authenticated, describe_unprintable, ring_provider};
use crate::domain::person;
use crate::domain::region::Region;
use crate::domain::role::{Caller, Regions, Role};
use crate::domain::time::Micros;
use crate::grpc::auth::error::AuthError;
use crate::grpc::message::reason::ServiceReason;
use crate::grpc::telemetry::internal_metrics::InternalMetrics;

/// The longest time that a verified token is accepted from the cache.
const MAX_CACHED_TIME: Duration = Duration::from_secs(300);
/// The most tokens in the cache. Beyond this number, the least used are evicted.
const MAX_CACHED_TOKENS: usize = 10_000;
/// The longest accepted token, in bytes. A token that lists a hundred groups of its user is shorter.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// The name in the claim of regions that means all regions.
const EVERY_REGION: &str = "*";

/// Which tokens are accepted, and which claims describe the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// The claim `iss` must be this text.
    pub issuer: String,
    /// The claim `aud` must be this text, or a list that contains it.
    pub audience: String,
    /// The issuer's keys.
    pub keys: KeySource,
    /// The allowed difference between the clocks of issuer and server.
    pub leeway: Duration,
    /// The claim with the caller's opaque id.
    pub actor_claim: String,
    /// The claim with the names of roles. Unknown names are ignored, because they belong to other programs.
    pub roles_claim: String,
    /// The claim with the names of regions, `*` for all. A token without the claim has no region.
    pub regions_claim: String,
}

/// Claims that people choose, share or change. An id from such a claim may belong to another person later, and one person
/// may have two ids.
const NOT_OPAQUE: [&str; 10] = [
    "email",
    "family_name",
    "given_name",
    "login",
    "mail",
    "name",
    "nickname",
    "preferred_username",
    "unique_name",
    "upn",
];

impl TokenSettings {
    /// Returns a warning if `actor_claim` is not an opaque id.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let claim = &self.actor_claim;
        // A claim may be named by a URL; the last part of the URL is the plain name of the claim.
        let plain_name = claim.rsplit(['/', ':', '.']).next().unwrap_or(claim).to_ascii_lowercase();
        NOT_OPAQUE.contains(&plain_name.as_str()).then(|| {
            format!(
                "tokens.actor_claim: {claim:?} is no opaque id: it names a person, may change, and may be given to \
                 another; use a claim that stays with one person, such as \"sub\" or \"oid\""
            )
        })
    }
}

/// Verifies tokens.
#[derive(Debug)]
pub(super) struct Verifier {
    settings: TokenSettings,
    keys: KeyCache,
    /// Verified tokens by their digest.
    verified: Cache<[u8; 32], VerifiedToken>,
}

#[derive(Debug, Clone)]
struct VerifiedToken {
    caller: Authenticated,
    cached_until: Micros,
}

impl Verifier {
    /// Fetches the keys of the issuer, and makes the verifier.
    ///
    /// # Errors
    /// A message that says why the keys cannot be fetched.
    pub(super) async fn open(
        settings: TokenSettings,
        max_calls: usize,
        metrics: Arc<InternalMetrics>,
    ) -> Result<Self, String> {
        ring_provider::install();
        let fetcher = Arc::new(KeyFetcher::new(settings.keys.clone()));
        let fetch = move || -> FetchedKeys {
            let fetcher = Arc::clone(&fetcher);
            Box::pin(async move { fetcher.fetch().await })
        };
        let keys = KeyCache::open(Box::new(fetch), KeyCacheTimes::USUAL, max_calls, metrics).await;
        let keys = keys.map_err(|error| format!("tokens.keys: {error}"))?;
        Ok(Self { settings, keys, verified: Cache::new(MAX_CACHED_TOKENS) })
    }

    /// Verifies the token, or finds it in the cache, and returns its caller.
    ///
    /// # Errors
    /// Reasons `TOKEN_MALFORMED`, `TOKEN_EXPIRED`, `TOKEN_REJECTED`; `KEYS_UNAVAILABLE`, which may be temporary.
    pub(super) async fn authenticate(&self, token: &str, time: CallTime) -> Result<Authenticated, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::new(
                ServiceReason::TokenMalformed,
                format!("a token is at most {MAX_TOKEN_BYTES} bytes long"),
            ));
        }
        // This check comes before the cache, so that cached tokens are refused too: the keys that verified them are no
        // longer trusted.
        if self.keys.is_too_old() {
            return Err(key_error(NoKey::Unavailable));
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        let now = time.now.at;
        if let Some(cached) = self.verified.get(&digest)
            && now < cached.cached_until
        {
            return Ok(cached.caller);
        }
        let caller = self.verify(token, time).await?;
        let latest = add_duration(now, MAX_CACHED_TIME);
        let cached_until = caller.expires_at.map_or(latest, |expires_at| expires_at.min(latest));
        if cached_until <= now {
            return Err(token_expired());
        }
        self.verified.insert(digest, VerifiedToken { caller: caller.clone(), cached_until });
        Ok(caller)
    }

    async fn verify(&self, token: &str, time: CallTime) -> Result<Authenticated, AuthError> {
        let malformed = || {
            AuthError::new(ServiceReason::TokenMalformed, "the bearer token is no signed JWT with a known algorithm")
        };
        let header = decode_header(token).map_err(|_| malformed())?;
        check_header(&header)?;
        let key = self.keys.find(header.kid.as_deref()).await.map_err(key_error)?;
        if !key.algorithms.contains(&header.alg) {
            return Err(token_rejected("was signed with an algorithm that its key is not for"));
        }
        let mut validation = Validation::new(header.alg);
        validation.algorithms.clone_from(&key.algorithms);
        // `check_times` checks the times instead: it uses the time of the request, and fractions of seconds.
        validation.validate_exp = false;
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        let claims = decode::<Value>(token, &key.key, &validation).map_err(|error| match error.kind() {
            ErrorKind::InvalidIssuer => token_rejected("is of another issuer"),
            ErrorKind::InvalidAudience => token_rejected("is for another audience"),
            ErrorKind::MissingRequiredClaim(_) => token_rejected("lacks one of exp, iss, aud"),
            ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => token_rejected("is not signed by its issuer"),
            _ => malformed(),
        })?;
        self.read_claims(&claims.claims, time)
    }

    /// Reads the caller from verified claims, and checks the times.
    fn read_claims(&self, claims: &Value, time: CallTime) -> Result<Authenticated, AuthError> {
        let expires_at = check_times(claims, time.now.at, self.settings.leeway)?;
        let TokenSettings { actor_claim, roles_claim, regions_claim, .. } = &self.settings;
        let actor = claims.get(actor_claim).and_then(Value::as_str).unwrap_or_default();
        if let Some(character) = describe_unprintable(actor) {
            let rule = "must have only printable ASCII characters";
            return Err(token_rejected(&format!("has a claim {actor_claim} that {rule}; got {character}")));
        }
        let actor = actor.parse().map_err(|_| token_rejected(&format!("names nobody in its claim {actor_claim}")))?;
        let roles = claim_names(claims, roles_claim)?;
        let roles: Vec<Role> = roles.iter().filter_map(|it| it.parse().ok()).collect();
        let regions = claim_names(claims, regions_claim)?;
        let regions = if regions.contains(&EVERY_REGION) {
            Regions::Every
        } else {
            let unknown = |error| token_rejected(&format!("has a claim {regions_claim} in which {error}"));
            let parsed = regions.iter().map(|it| it.parse::<Region>());
            Regions::These(parsed.collect::<Result<_, _>>().map_err(unknown)?)
        };
        let deadline = time.deadline(expires_at);
        let issuer = &self.settings.issuer;
        let subject = claims.get("sub").and_then(Value::as_str).map(|sub| person::subject(issuer, sub));
        let caller = Caller { actor, roles, regions, subject };
        Ok(Authenticated { caller, expires_at: Some(expires_at), deadline })
    }
}

/// Returns the names in a claim, which is a list or a single text. Returns no names if the claim is absent.
fn claim_names<'a>(claims: &'a Value, claim: &str) -> Result<Vec<&'a str>, AuthError> {
    let invalid = || token_rejected(&format!("has a claim {claim} that is no list of names"));
    match claims.get(claim) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(name)) => Ok(vec![name]),
        Some(Value::Array(list)) => list.iter().map(|it| it.as_str().ok_or_else(invalid)).collect(),
        Some(_) => Err(invalid()),
    }
}

/// Returns the bearer token of a request; `None` if the request has no authorization header.
///
/// # Errors
/// Reason `TOKEN_MALFORMED` for a scheme other than `Bearer`, and for more than one authorization header.
pub(super) fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let invalid = || AuthError::new(ServiceReason::TokenMalformed, "metadata authorization is `Bearer` and one token");
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid());
    }
    let (scheme, token) = first.to_str().ok().and_then(|it| it.split_once(' ')).ok_or_else(invalid)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(token.trim())) } else { Err(invalid()) }
}

/// Returns the error of a token whose key was not found.
fn key_error(no_key: NoKey) -> AuthError {
    match no_key {
        NoKey::Unpublished => token_rejected("was signed with a key that its issuer does not publish"),
        NoKey::Unavailable => AuthError::new(
            ServiceReason::KeysUnavailable,
            "the issuer's keys cannot be fetched at the moment, so the token cannot be checked: try again",
        ),
    }
}
