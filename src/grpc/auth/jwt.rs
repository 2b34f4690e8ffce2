//! Verifies bearer tokens (JWT) of one issuer: signature, issuer, audience and times. Then reads the caller from the claims.
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
use super::error::{expired, later, rejected};
use super::jwks::{KeyFetcher, KeySource};
use super::jwt_rules::{check_header, check_times};
use super::key_cache::{FetchedKeys, KeyCache, KeyCacheTimes, NoKey};
use super::{Authenticated, ring_provider, unprintable};
use crate::domain::person;
use crate::domain::region::Region;
use crate::domain::role::{Caller, Regions, Role};
use crate::domain::time::Micros;
use crate::grpc::auth::error::AuthError;
use crate::grpc::message::reason::ServiceReason;
use crate::grpc::telemetry::internal_metrics::InternalMetrics;

/// How long a verified token is accepted from the cache.
const CACHED_FOR: Duration = Duration::from_secs(300);
/// The number of cached tokens; beyond it, the least used are evicted.
const CACHED_TOKENS: usize = 10_000;
/// The longest accepted token, in bytes. A token with a hundred groups is shorter.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// The name that means all regions.
const EVERY_REGION: &str = "*";

/// Which tokens are accepted, and which claims describe the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// `iss` must be this.
    pub issuer: String,
    /// `aud` must be this, or name it.
    pub audience: String,
    /// The issuer's keys.
    pub keys: KeySource,
    /// The allowed difference between the clocks of issuer and server.
    pub leeway: Duration,
    /// The claim with the caller's opaque id.
    pub actor_claim: String,
    /// The claim with the names of roles; unknown names are ignored, they belong to other programs.
    pub roles_claim: String,
    /// The claim with the names of regions, `*` for all. A token without the claim has no region.
    pub regions_claim: String,
}

/// Claims that people choose, share or change. Such an id may name another person later, or one person may have two.
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
    /// A warning if `actor_claim` is not an opaque id.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let claim = &self.actor_claim;
        // A claim may be named by a URL; the last part of it is its plain name.
        let last = claim.rsplit(['/', ':', '.']).next().unwrap_or(claim).to_ascii_lowercase();
        NOT_OPAQUE.contains(&last.as_str()).then(|| {
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
    tokens: TokenSettings,
    keys: KeyCache,
    /// Verified tokens by their digest.
    verified: Cache<[u8; 32], VerifiedToken>,
}

#[derive(Debug, Clone)]
struct VerifiedToken {
    identity: Authenticated,
    cached_until: Micros,
}

impl Verifier {
    pub(super) async fn open(
        tokens: TokenSettings,
        max_calls: usize,
        metrics: Arc<InternalMetrics>,
    ) -> Result<Self, String> {
        ring_provider::install();
        let fetcher = Arc::new(KeyFetcher::new(tokens.keys.clone()));
        let fetch = move || -> FetchedKeys {
            let fetcher = Arc::clone(&fetcher);
            Box::pin(async move { fetcher.fetch().await })
        };
        let keys = KeyCache::open(Box::new(fetch), KeyCacheTimes::USUAL, max_calls, metrics).await;
        let keys = keys.map_err(|error| format!("tokens.keys: {error}"))?;
        Ok(Self { tokens, keys, verified: Cache::new(CACHED_TOKENS) })
    }

    /// Verifies the token and returns its caller.
    ///
    /// # Errors
    /// Reasons `TOKEN_MALFORMED`, `TOKEN_EXPIRED`, `TOKEN_REJECTED`; `KEYS_UNAVAILABLE`, which may be temporary.
    pub(super) async fn caller(&self, token: &str, time: CallTime) -> Result<Authenticated, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::new(
                ServiceReason::TokenMalformed,
                format!("a token is at most {MAX_TOKEN_BYTES} bytes long"),
            ));
        }
        // This refuses cached tokens too: the keys that verified them are no longer trusted.
        if self.keys.is_too_old() {
            return Err(no_key(NoKey::Unavailable));
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        let now = time.now.at;
        if let Some(cached) = self.verified.get(&digest)
            && now < cached.cached_until
        {
            return Ok(cached.identity);
        }
        let identity = self.check(token, time).await?;
        let latest = later(now, CACHED_FOR);
        let cached_until = identity.until.map_or(latest, |until| until.min(latest));
        if cached_until <= now {
            return Err(expired());
        }
        self.verified.insert(digest, VerifiedToken { identity: identity.clone(), cached_until });
        Ok(identity)
    }

    async fn check(&self, token: &str, time: CallTime) -> Result<Authenticated, AuthError> {
        let malformed = || {
            AuthError::new(ServiceReason::TokenMalformed, "the bearer token is no signed JWT with a known algorithm")
        };
        let header = decode_header(token).map_err(|_| malformed())?;
        check_header(&header)?;
        let key = self.keys.find(header.kid.as_deref()).await.map_err(no_key)?;
        if !key.algorithms.contains(&header.alg) {
            return Err(rejected("was signed with an algorithm that its key is not for"));
        }
        let mut validation = Validation::new(header.alg);
        validation.algorithms.clone_from(&key.algorithms);
        // `check_times` checks the times, with the time of the request and with fractions of seconds.
        validation.validate_exp = false;
        validation.set_issuer(&[&self.tokens.issuer]);
        validation.set_audience(&[&self.tokens.audience]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        let claims = decode::<Value>(token, &key.key, &validation).map_err(|error| match error.kind() {
            ErrorKind::InvalidIssuer => rejected("is of another issuer"),
            ErrorKind::InvalidAudience => rejected("is for another audience"),
            ErrorKind::MissingRequiredClaim(_) => rejected("lacks one of exp, iss, aud"),
            ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => rejected("is not signed by its issuer"),
            _ => malformed(),
        })?;
        self.read(&claims.claims, time)
    }

    /// Reads the caller from verified claims, and checks the times.
    fn read(&self, claims: &Value, time: CallTime) -> Result<Authenticated, AuthError> {
        let until = check_times(claims, time.now.at, self.tokens.leeway)?;
        let TokenSettings { actor_claim, roles_claim, regions_claim, .. } = &self.tokens;
        let actor = claims.get(actor_claim).and_then(Value::as_str).unwrap_or_default();
        if let Some(character) = unprintable(actor) {
            let rule = "must have only printable ASCII characters";
            return Err(rejected(&format!("has a claim {actor_claim} that {rule}; got {character}")));
        }
        let actor = actor.parse().map_err(|_| rejected(&format!("names nobody in its claim {actor_claim}")))?;
        let roles = names(claims, roles_claim)?;
        let roles: Vec<Role> = roles.iter().filter_map(|it| it.parse().ok()).collect();
        let regions = names(claims, regions_claim)?;
        let regions = if regions.contains(&EVERY_REGION) {
            Regions::Every
        } else {
            let unknown = |error| rejected(&format!("has a claim {regions_claim} in which {error}"));
            let named = regions.iter().map(|it| it.parse::<Region>());
            Regions::These(named.collect::<Result<_, _>>().map_err(unknown)?)
        };
        let ends = time.deadline(until);
        let issuer = &self.tokens.issuer;
        let subject = claims.get("sub").and_then(Value::as_str).map(|sub| person::subject(issuer, sub));
        Ok(Authenticated { caller: Caller { actor, roles, regions, subject }, until: Some(until), ends })
    }
}

/// The names in a claim, which is a list or a single text; empty if the claim is absent.
fn names<'a>(claims: &'a Value, claim: &str) -> Result<Vec<&'a str>, AuthError> {
    let wrong = || rejected(&format!("has a claim {claim} that is no list of names"));
    match claims.get(claim) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(list)) => list.iter().map(|it| it.as_str().ok_or_else(wrong)).collect(),
        Some(_) => Err(wrong()),
    }
}

/// The bearer token of a request, if it has one.
///
/// # Errors
/// Reason `TOKEN_MALFORMED` for another scheme, and for more than one authorization header.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let wrong = || AuthError::new(ServiceReason::TokenMalformed, "metadata authorization is `Bearer` and one token");
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong());
    }
    let (scheme, token) = first.to_str().ok().and_then(|it| it.split_once(' ')).ok_or_else(wrong)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(token.trim())) } else { Err(wrong()) }
}

fn no_key(why: NoKey) -> AuthError {
    match why {
        NoKey::Unpublished => rejected("was signed with a key that its issuer does not publish"),
        NoKey::Unavailable => AuthError::new(
            ServiceReason::KeysUnavailable,
            "the issuer's keys cannot be fetched at the moment, so the token cannot be checked: try again",
        ),
    }
}
