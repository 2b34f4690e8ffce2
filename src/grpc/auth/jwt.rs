//! Bearer tokens (JWT) of one issuer: signature, issuer, audience and times checked, then read as a caller.
//!
//! A token that was checked is remembered by its digest for a while, since checking costs more than most reads; what
//! is remembered ends with the token.

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

/// How long a checked token is believed without another look at it.
const BELIEVED: Duration = Duration::from_secs(300);
/// Tokens remembered; past it, those that are shown least are checked again.
const REMEMBERED: usize = 10_000;
/// Bytes of a token: one with a hundred groups in it is smaller.
const LONGEST: usize = 8 * 1024;
/// The region that stands for all of them.
const EVERY_REGION: &str = "*";

/// Whose tokens are taken, and what of them is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// `iss` must be this.
    pub issuer: String,
    /// `aud` must be this, or name it.
    pub audience: String,
    /// The issuer's keys.
    pub keys: KeySource,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// The claim with the caller's opaque id.
    pub actor_claim: String,
    /// The claim with the roles' names; names that are no role of ours are another program's.
    pub roles_claim: String,
    /// The claim with the regions' names, `*` for all; without it, none.
    pub regions_claim: String,
}

/// Claims that people choose, share or change: an id from one may be another person tomorrow, or one person twice.
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
    /// What is worth knowing of these settings, though they can be served with.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let claim = &self.actor_claim;
        // A claim of a namespace is named by a URL: its last part says what it is.
        let last = claim.rsplit(['/', ':', '.']).next().unwrap_or(claim).to_ascii_lowercase();
        NOT_OPAQUE.contains(&last.as_str()).then(|| {
            format!(
                "tokens.actor_claim: {claim:?} is no opaque id: it names a person, may change, and may be given to \
                 another; use a claim that stays with one person, such as \"sub\" or \"oid\""
            )
        })
    }
}

/// Checks tokens.
#[derive(Debug)]
pub(super) struct Verifier {
    tokens: TokenSettings,
    keys: KeyCache,
    /// By their digests.
    seen: Cache<[u8; 32], VerifiedToken>,
}

#[derive(Debug, Clone)]
struct VerifiedToken {
    let_in: Authenticated,
    believed_until: Micros,
}

impl Verifier {
    pub(super) async fn open(
        tokens: TokenSettings,
        calls: usize,
        measured: Arc<InternalMetrics>,
    ) -> Result<Self, String> {
        ring_provider::install();
        let fetcher = Arc::new(KeyFetcher::new(tokens.keys.clone()));
        let fetch = move || -> FetchedKeys {
            let fetcher = Arc::clone(&fetcher);
            Box::pin(async move { fetcher.fetch().await })
        };
        let keys = KeyCache::open(Box::new(fetch), KeyCacheTimes::USUAL, calls, measured).await;
        let keys = keys.map_err(|error| format!("tokens.keys: {error}"))?;
        Ok(Self { tokens, keys, seen: Cache::new(REMEMBERED) })
    }

    /// The caller a token speaks for.
    ///
    /// # Errors
    /// Reasons `TOKEN_MALFORMED`, `TOKEN_EXPIRED`, `TOKEN_REJECTED`; `KEYS_UNAVAILABLE`, which may pass.
    pub(super) async fn caller(&self, token: &str, time: CallTime) -> Result<Authenticated, AuthError> {
        if token.len() > LONGEST {
            return Err(AuthError::new(
                ServiceReason::TokenMalformed,
                format!("a token is at most {LONGEST} bytes long"),
            ));
        }
        // Those remembered too: what they were checked with is believed no longer.
        if self.keys.is_too_old() {
            return Err(no_key(NoKey::Unavailable));
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        let now = time.now.at;
        if let Some(seen) = self.seen.get(&digest)
            && now < seen.believed_until
        {
            return Ok(seen.let_in);
        }
        let let_in = self.check(token, time).await?;
        let most = later(now, BELIEVED);
        let believed_until = let_in.until.map_or(most, |until| until.min(most));
        if believed_until <= now {
            return Err(expired());
        }
        self.seen.insert(digest, VerifiedToken { let_in: let_in.clone(), believed_until });
        Ok(let_in)
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
        // Times are checked by the one clock, and with their fractions.
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

    /// Reads claims that were checked.
    fn read(&self, claims: &Value, time: CallTime) -> Result<Authenticated, AuthError> {
        let until = check_times(claims, time.now.at, self.tokens.leeway)?;
        let TokenSettings { actor_claim, roles_claim, regions_claim, .. } = &self.tokens;
        let actor = claims.get(actor_claim).and_then(Value::as_str).unwrap_or_default();
        if let Some(found) = unprintable(actor) {
            let requested = "must have only printable ASCII characters";
            return Err(rejected(&format!("has a claim {actor_claim} that {requested}; got {found}")));
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

/// The names in a claim: a list, or one text; nothing where there is no claim.
fn names<'a>(claims: &'a Value, claim: &str) -> Result<Vec<&'a str>, AuthError> {
    let wrong = || rejected(&format!("has a claim {claim} that is no list of names"));
    match claims.get(claim) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(list)) => list.iter().map(|it| it.as_str().ok_or_else(wrong)).collect(),
        Some(_) => Err(wrong()),
    }
}

/// The bearer token of a call, where there is one.
///
/// # Errors
/// Reason `TOKEN_MALFORMED` for any other authorization, and for more than one.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let wrong = || AuthError::new(ServiceReason::TokenMalformed, "metadata authorization is `Bearer` and one token");
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let Some(first) = given.next() else { return Ok(None) };
    if given.next().is_some() {
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
