//! Reads the identity that a caller states in metadata. This is development mode, which is allowed only on loopback
//! addresses.

use http::HeaderMap;

use super::describe_unprintable;
use crate::domain::role::{Caller, Regions, Role};
use crate::grpc::auth::error::AuthError;
use crate::grpc::message::reason::ServiceReason;

/// Metadata that names the caller: an opaque id.
const ACTOR: &str = "x-tsio-actor";
/// Metadata that lists the caller's roles, separated by commas.
const ROLES: &str = "x-tsio-roles";
/// Metadata that lists the caller's regions, separated by semicolons because names of regions contain commas. If it is
/// absent, the caller has all regions.
const REGIONS: &str = "x-tsio-regions";

/// Reads the caller from the metadata of a request.
///
/// # Errors
/// Reason `CALLER_MISSING` without an id or without the list of roles; `CALLER_MALFORMED` if a value cannot be read.
pub(super) fn read_caller(headers: &HeaderMap) -> Result<Caller, AuthError> {
    let missing = |name: &str| {
        let message = format!("metadata {name} is missing: in development mode the caller names itself");
        AuthError::new(ServiceReason::CallerMissing, message)
    };
    let actor = read_text(headers, ACTOR)?.ok_or_else(|| missing(ACTOR))?;
    let actor = actor.parse().map_err(|error| malformed(ACTOR, &error))?;
    let roles = read_text(headers, ROLES)?.ok_or_else(|| missing(ROLES))?;
    let roles: Result<Vec<Role>, _> = roles.split(',').filter(|it| !it.trim().is_empty()).map(str::parse).collect();
    let roles = roles.map_err(|error| malformed(ROLES, &error))?;
    let regions = match read_text(headers, REGIONS)? {
        None => Regions::Every,
        Some(list) => {
            let names = list.split(';').map(str::trim).filter(|it| !it.is_empty()).map(str::parse);
            Regions::These(names.collect::<Result<_, _>>().map_err(|error| malformed(REGIONS, &error))?)
        }
    };
    Ok(Caller { actor, roles, regions, subject: None })
}

/// Reads the text of a metadata item; `None` if the request does not have the item.
fn read_text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, AuthError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    if let Some(character) = describe_unprintable(&String::from_utf8_lossy(value.as_bytes())) {
        return Err(malformed(name, &format!("must have only printable ASCII characters; got {character}")));
    }
    value.to_str().map(Some).map_err(|error| malformed(name, &error))
}

fn malformed(name: &str, error: &dyn std::fmt::Display) -> AuthError {
    AuthError::new(ServiceReason::CallerMalformed, format!("metadata {name}: {error}"))
}
