//! Checks the settings of traces. A malformed address is a mistake; an unreachable collector is not.

use http::Uri;

use super::file::{ConfigFile, ConfigMistake};
use crate::grpc::Traces;

/// Checks the settings of traces. `endpoint_override` is from the flag or the environment. Returns `None` if no collector is
/// configured.
pub(super) fn check(
    settings: &ConfigFile,
    endpoint_override: Option<String>,
    mistakes: &mut Vec<ConfigMistake>,
) -> Option<Traces> {
    let table = settings.traces.as_ref();
    // A mistake has a line only if the address is from the file.
    let file_endpoint = table.and_then(|it| it.endpoint.as_ref()).filter(|_| endpoint_override.is_none());
    let endpoint = endpoint_override.or_else(|| file_endpoint.map(|it| it.get_ref().clone()))?;
    if !is_address(&endpoint) {
        mistakes.push(ConfigMistake::at(
            file_endpoint,
            format!("traces.endpoint: {endpoint:?} is not http(s)://host:port"),
        ));
    }
    let ratio = table.and_then(|it| it.ratio.as_ref());
    let fraction = ratio.map_or(1.0, |it| *it.get_ref());
    if !(0.0..=1.0).contains(&fraction) {
        mistakes.push(ConfigMistake::at(ratio, format!("traces.ratio: {fraction} is not from 0 to 1")));
    }
    Some(Traces { endpoint, ratio: fraction })
}

/// Returns true for `http://host` or `https://host`, with or without a port, and without a path.
fn is_address(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && matches!(uri.path(), "" | "/")
    })
}
