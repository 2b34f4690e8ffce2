//! Who calls. Until authentication is built the caller names itself in metadata, on loopback only.

use tonic::Status;
use tonic::metadata::MetadataMap;

use super::status::{error_info, with_details};
use crate::domain::role::{Caller, Regions, Role};

/// Metadata that names the caller: an opaque id.
const ACTOR: &str = "x-tsio-actor";
/// Metadata that lists the caller's roles, separated by commas.
const ROLES: &str = "x-tsio-roles";

/// Reads the caller from a call's metadata.
///
/// # Errors
/// UNAUTHENTICATED, reason `CALLER_MISSING` or `CALLER_MALFORMED`.
pub(super) fn caller(metadata: &MetadataMap) -> Result<Caller, Status> {
    let actor = text(metadata, ACTOR)?.parse().map_err(|error| malformed(ACTOR, &error))?;
    let roles = text(metadata, ROLES)?;
    let roles: Result<Vec<Role>, _> = roles.split(',').filter(|it| !it.trim().is_empty()).map(str::parse).collect();
    Ok(Caller { actor, roles: roles.map_err(|error| malformed(ROLES, &error))?, regions: Regions::Every })
}

fn text<'a>(metadata: &'a MetadataMap, name: &str) -> Result<&'a str, Status> {
    let missing = || {
        let message = format!("metadata {name} is missing: until authentication is built the caller names itself");
        unauthenticated("CALLER_MISSING", message)
    };
    metadata.get(name).ok_or_else(missing)?.to_str().map_err(|error| malformed(name, &error))
}

fn malformed(name: &str, error: &dyn std::fmt::Display) -> Status {
    unauthenticated("CALLER_MALFORMED", format!("metadata {name}: {error}"))
}

fn unauthenticated(reason: &str, message: String) -> Status {
    with_details(tonic::Code::Unauthenticated, message, vec![error_info(reason)])
}
