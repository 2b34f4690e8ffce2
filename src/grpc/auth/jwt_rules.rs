//! Checks the header and the times of a token. These are pure functions; [`super::jwt`] checks the signature.

use std::time::Duration;

use jsonwebtoken::Header;
use serde_json::{Number, Value};

use crate::domain::time::Micros;
use crate::grpc::auth::error::{AuthError, add_duration, token_expired, token_rejected};

/// The accepted values of the header `typ` (RFC 7519, 5.1; RFC 9068, 2.1), each with or without `application/`, in any
/// case. Other tokens of the issuer, such as `logout+jwt`, do not authenticate a caller (RFC 8725, 3.11).
const TYPES: [&str; 2] = ["jwt", "at+jwt"];
/// The last second of the year 9999: a later time is a mistake, usually milliseconds instead of seconds.
const LATEST_SECOND: u64 = 253_402_300_799;

/// Checks the header of a token.
///
/// # Errors
/// Reason `TOKEN_REJECTED` for a critical extension, because no extension is supported, and for a type that is not in
/// [`TYPES`].
pub(super) fn check_header(header: &Header) -> Result<(), AuthError> {
    if header.crit.is_some() {
        return Err(token_rejected("has a header crit, and this server understands no extension"));
    }
    let Some(typ) = header.typ.as_deref() else { return Ok(()) };
    let subtype = match typ.split_at_checked("application/".len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        _ => typ,
    };
    if TYPES.iter().any(|it| subtype.eq_ignore_ascii_case(it)) {
        Ok(())
    } else {
        Err(token_rejected("has a header typ that is neither JWT nor at+jwt"))
    }
}

/// Checks the times of a token, and returns when it expires (with the leeway).
///
/// # Errors
/// Reason `TOKEN_EXPIRED`; `TOKEN_REJECTED` for a token that has no `exp`, is not valid yet, or has a time that is not a
/// number of seconds.
pub(super) fn check_times(claims: &Value, now: Micros, leeway: Duration) -> Result<Micros, AuthError> {
    let expires = numeric_date(claims, "exp")?.ok_or_else(|| token_rejected("lacks one of exp, iss, aud"))?;
    let begins = numeric_date(claims, "nbf")?;
    // The time of issue must be a time, but is not compared.
    numeric_date(claims, "iat")?;
    // Fractions are rounded against the token: it never expires later, and never begins earlier, than its claims say.
    let expires_at = add_duration(since_1970(expires.as_secs()), leeway);
    if expires_at <= now {
        return Err(token_expired());
    }
    let first_second = begins.map(|it| it.as_secs().saturating_add(u64::from(it.subsec_nanos() > 0)));
    if first_second.is_some_and(|it| since_1970(it) > add_duration(now, leeway)) {
        return Err(token_rejected("is not valid yet"));
    }
    Ok(expires_at)
}

/// Reads a NumericDate (RFC 7519, 2): seconds since 1970, with an optional fraction. Returns `None` if the claim is absent.
///
/// # Errors
/// Reason `TOKEN_REJECTED` if the claim is not such a number, is negative, or is after [`LATEST_SECOND`].
fn numeric_date(claims: &Value, name: &str) -> Result<Option<Duration>, AuthError> {
    let invalid = || token_rejected(&format!("has a claim {name} that is no number of seconds since 1970"));
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            seconds(number).filter(|it| it.as_secs() <= LATEST_SECOND).map(Some).ok_or_else(invalid)
        }
        Some(_) => Err(invalid()),
    }
}

fn seconds(number: &Number) -> Option<Duration> {
    let fraction = || number.as_f64().and_then(|it| Duration::try_from_secs_f64(it).ok());
    number.as_u64().map(Duration::from_secs).or_else(fraction)
}

fn since_1970(seconds: u64) -> Micros {
    add_duration(Micros(0), Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::grpc::message::reason::ServiceReason;

    /// The current time of the tests, in seconds since 1970.
    const NOW: i64 = 1_700_000_000;

    #[test]
    fn only_access_tokens_without_extensions_are_accepted() {
        let header = |typ: Option<&str>, crit: Option<&[&str]>| Header {
            typ: typ.map(str::to_owned),
            crit: crit.map(|it| it.iter().map(|&it| it.to_owned()).collect()),
            ..Header::default()
        };
        let rows = [
            (None, None, true),
            (Some("JWT"), None, true),
            (Some("jwt"), None, true),
            (Some("at+jwt"), None, true),
            (Some("AT+JWT"), None, true),
            (Some("application/jwt"), None, true),
            (Some("Application/AT+jwt"), None, true),
            (Some(""), None, false),
            (Some("application/"), None, false),
            (Some("application/application/jwt"), None, false),
            (Some("JWS"), None, false),
            (Some("JWT "), None, false),
            (Some("logout+jwt"), None, false),
            (Some("application/logout+jwt"), None, false),
            (Some("dpop+jwt"), None, false),
            (Some("text/at+jwt"), None, false),
            (Some("applicatioñ/jwt"), None, false),
            (None, Some(&["exp"][..]), false),
            (Some("JWT"), Some(&["b64"]), false),
            (Some("JWT"), Some(&[]), false),
        ];
        for (typ, crit, accepted) in rows {
            let checked = check_header(&header(typ, crit));
            assert_eq!(
                checked.as_ref().err().map(|it| it.reason),
                (!accepted).then_some(ServiceReason::TokenRejected),
                "{typ:?} {crit:?}"
            );
        }
    }

    #[test]
    fn times_are_numbers_of_seconds() {
        const EXPIRES_IN_ONE_MINUTE: Result<i64, ServiceReason> = Ok((NOW + 60) * 1_000_000);
        let in_one_minute = NOW + 60;
        let rows = [
            (json!({ "exp": in_one_minute }), EXPIRES_IN_ONE_MINUTE),
            (json!({ "exp": 1_700_000_060.0 }), EXPIRES_IN_ONE_MINUTE),
            (json!({ "exp": 1_700_000_060.9 }), EXPIRES_IN_ONE_MINUTE),
            (json!({ "exp": 1.700_000_060e9 }), EXPIRES_IN_ONE_MINUTE),
            (json!({ "exp": NOW + 1 }), Ok((NOW + 1) * 1_000_000)),
            (json!({ "exp": 1_700_000_001.5 }), Ok((NOW + 1) * 1_000_000)),
            (json!({ "exp": NOW }), Err(ServiceReason::TokenExpired)),
            (json!({ "exp": 1_700_000_000.9 }), Err(ServiceReason::TokenExpired)),
            (json!({ "exp": 0 }), Err(ServiceReason::TokenExpired)),
            (json!({ "exp": 0.5 }), Err(ServiceReason::TokenExpired)),
            (json!({}), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": null }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": -1 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": -0.5 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": "1700000060" }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": "NaN" }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": [in_one_minute] }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": true }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": 253_402_300_799_i64 }), Ok(253_402_300_799_000_000)),
            (json!({ "exp": 253_402_300_800_i64 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": in_one_minute * 1_000 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": u64::MAX }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": 1e300 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": in_one_minute, "nbf": null, "iat": null }), EXPIRES_IN_ONE_MINUTE),
            (json!({ "exp": in_one_minute, "nbf": NOW, "iat": NOW }), EXPIRES_IN_ONE_MINUTE),
            (json!({ "exp": in_one_minute, "nbf": 1_699_999_999.5, "iat": 1_699_999_999.5 }), EXPIRES_IN_ONE_MINUTE),
            (json!({ "exp": in_one_minute, "nbf": 1_700_000_000.5 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": in_one_minute, "nbf": NOW + 1 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": in_one_minute, "nbf": "now" }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": in_one_minute, "nbf": -1 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": in_one_minute, "iat": "now" }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": in_one_minute, "iat": 1e300 }), Err(ServiceReason::TokenRejected)),
        ];
        for (claims, expected) in rows {
            let checked = check_times(&claims, Micros(NOW * 1_000_000), Duration::ZERO);
            assert_eq!(checked.map(|it| it.0).map_err(|it| it.reason), expected, "{claims}");
        }
    }

    #[test]
    fn clocks_may_differ_by_the_leeway() {
        let leeway = Duration::from_secs(30);
        let rows = [
            (json!({ "exp": NOW - 29 }), Ok((NOW + 1) * 1_000_000)),
            (json!({ "exp": NOW - 30 }), Err(ServiceReason::TokenExpired)),
            (json!({ "exp": NOW + 60, "nbf": NOW + 30 }), Ok((NOW + 90) * 1_000_000)),
            (json!({ "exp": NOW + 60, "nbf": NOW + 31 }), Err(ServiceReason::TokenRejected)),
        ];
        for (claims, expected) in rows {
            let checked = check_times(&claims, Micros(NOW * 1_000_000), leeway);
            assert_eq!(checked.map(|it| it.0).map_err(|it| it.reason), expected, "{claims}");
        }
    }
}
