//! Checks the header and the times of a token. Pure functions; the signature is checked elsewhere.

use std::time::Duration;

use jsonwebtoken::Header;
use serde_json::{Number, Value};

use crate::domain::time::Micros;
use crate::grpc::auth::error::{AuthError, expired, later, rejected};

/// Accepted types of tokens (RFC 7519, 5.1; RFC 9068, 2.1), each with or without `application/`, in any case. Other
/// tokens of the issuer, such as `logout+jwt`, do not authenticate a caller (RFC 8725, 3.11).
const TYPES: [&str; 2] = ["jwt", "at+jwt"];
/// The last second of the year 9999: a later time is a mistake, usually milliseconds instead of seconds.
const LATEST_SECOND: u64 = 253_402_300_799;

/// Checks the header.
///
/// # Errors
/// Reason `TOKEN_REJECTED` for a critical extension, because none is supported, and for a token of another type.
pub(super) fn check_header(header: &Header) -> Result<(), AuthError> {
    if header.crit.is_some() {
        return Err(rejected("has a header crit, and this server understands no extension"));
    }
    let Some(typ) = header.typ.as_deref() else { return Ok(()) };
    let short = match typ.split_at_checked("application/".len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        _ => typ,
    };
    if TYPES.iter().any(|it| short.eq_ignore_ascii_case(it)) {
        Ok(())
    } else {
        Err(rejected("has a header typ that is neither JWT nor at+jwt"))
    }
}

/// Checks the times of a token, and returns when it expires (with the leeway).
///
/// # Errors
/// Reason `TOKEN_EXPIRED`; `TOKEN_REJECTED` for a token that is not valid yet, or whose time is not a number of seconds.
pub(super) fn check_times(claims: &Value, now: Micros, leeway: Duration) -> Result<Micros, AuthError> {
    let expires = numeric_date(claims, "exp")?.ok_or_else(|| rejected("lacks one of exp, iss, aud"))?;
    let begins = numeric_date(claims, "nbf")?;
    numeric_date(claims, "iat")?;
    // Fractions round against the token: it expires not later, and begins not earlier, than it says.
    let until = later(since_1970(expires.as_secs()), leeway);
    if until <= now {
        return Err(expired());
    }
    let begins = begins.map(|it| it.as_secs().saturating_add(u64::from(it.subsec_nanos() > 0)));
    if begins.is_some_and(|it| since_1970(it) > later(now, leeway)) {
        return Err(rejected("is not valid yet"));
    }
    Ok(until)
}

/// Reads a NumericDate (RFC 7519, 2): seconds since 1970, with an optional fraction.
fn numeric_date(claims: &Value, name: &str) -> Result<Option<Duration>, AuthError> {
    let wrong = || rejected(&format!("has a claim {name} that is no number of seconds since 1970"));
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            seconds(number).filter(|it| it.as_secs() <= LATEST_SECOND).map(Some).ok_or_else(wrong)
        }
        Some(_) => Err(wrong()),
    }
}

fn seconds(number: &Number) -> Option<Duration> {
    let fraction = || number.as_f64().and_then(|it| Duration::try_from_secs_f64(it).ok());
    number.as_u64().map(Duration::from_secs).or_else(fraction)
}

fn since_1970(seconds: u64) -> Micros {
    later(Micros(0), Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::grpc::message::reason::ServiceReason;

    /// The current time of the tests, in seconds since 1970.
    const NOW: i64 = 1_700_000_000;

    #[test]
    fn only_access_tokens_without_extensions_are_taken() {
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
        for (typ, crit, taken) in rows {
            let checked = check_header(&header(typ, crit));
            assert_eq!(
                checked.as_ref().err().map(|it| it.reason),
                (!taken).then_some(ServiceReason::TokenRejected),
                "{typ:?} {crit:?}"
            );
        }
    }

    #[test]
    fn times_are_numbers_of_seconds() {
        const GOOD: Result<i64, ServiceReason> = Ok((NOW + 60) * 1_000_000);
        let good = NOW + 60;
        let rows = [
            (json!({ "exp": good }), GOOD),
            (json!({ "exp": 1_700_000_060.0 }), GOOD),
            (json!({ "exp": 1_700_000_060.9 }), GOOD),
            (json!({ "exp": 1.700_000_060e9 }), GOOD),
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
            (json!({ "exp": [good] }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": true }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": 253_402_300_799_i64 }), Ok(253_402_300_799_000_000)),
            (json!({ "exp": 253_402_300_800_i64 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": good * 1_000 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": u64::MAX }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": 1e300 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": good, "nbf": null, "iat": null }), GOOD),
            (json!({ "exp": good, "nbf": NOW, "iat": NOW }), GOOD),
            (json!({ "exp": good, "nbf": 1_699_999_999.5, "iat": 1_699_999_999.5 }), GOOD),
            (json!({ "exp": good, "nbf": 1_700_000_000.5 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": good, "nbf": NOW + 1 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": good, "nbf": "now" }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": good, "nbf": -1 }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": good, "iat": "now" }), Err(ServiceReason::TokenRejected)),
            (json!({ "exp": good, "iat": 1e300 }), Err(ServiceReason::TokenRejected)),
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
