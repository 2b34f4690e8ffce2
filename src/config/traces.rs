//! Where traces go: an address that cannot be one is a mistake, not a collector that is away.

use http::Uri;

use super::file::{ConfigFile, ConfigMistake};
use crate::grpc::Traces;

/// Traces as flag, environment and file have them; none where none of them names a collector.
pub(super) fn check(says: &ConfigFile, given: Option<String>, mistakes: &mut Vec<ConfigMistake>) -> Option<Traces> {
    let table = says.traces.as_ref();
    let in_file = table.and_then(|it| it.endpoint.as_ref()).filter(|_| given.is_none());
    let endpoint = given.or_else(|| in_file.map(|it| it.get_ref().clone()))?;
    if !is_address(&endpoint) {
        mistakes.push(ConfigMistake::at(in_file, format!("traces.endpoint: {endpoint:?} is not http(s)://host:port")));
    }
    let ratio = table.and_then(|it| it.ratio.as_ref());
    let part = ratio.map_or(1.0, |it| *it.get_ref());
    if !(0.0..=1.0).contains(&part) {
        mistakes.push(ConfigMistake::at(ratio, format!("traces.ratio: {part} is not from 0 to 1")));
    }
    Some(Traces { endpoint, ratio: part })
}

fn is_address(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && matches!(uri.path(), "" | "/")
    })
}
