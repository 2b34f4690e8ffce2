//! Checks the origins of pages that may call. An origin that no browser can send is a mistake.

use http::HeaderValue;
use toml::Spanned;

use super::file::{ConfigFile, ConfigMistake};

/// Checks the origins, and returns them; empty without `[web]`.
pub(super) fn check(settings: &ConfigFile, mistakes: &mut Vec<ConfigMistake>) -> Vec<HeaderValue> {
    let origins = settings.web.as_ref().map(|it| it.origins.as_slice()).unwrap_or_default();
    origins.iter().filter_map(|it| origin(it, mistakes)).collect()
}

/// Checks an origin. Returns `None` if it is wrong.
fn origin(configured: &Spanned<String>, mistakes: &mut Vec<ConfigMistake>) -> Option<HeaderValue> {
    let value = configured.get_ref();
    let origin = if is_origin(value) { HeaderValue::from_str(value).ok() } else { None };
    if origin.is_none() {
        let why = format!(
            "web.origins: {value:?} is no origin: https://host or https://host:port, in lower case and with nothing \
             behind it; http:// only for this machine"
        );
        mistakes.push(ConfigMistake::at(Some(configured), why));
    }
    origin
}

/// Returns true for an origin as browsers send it: without the default port of the scheme, and without a path. A wildcard is
/// not an origin.
fn is_origin(text: &str) -> bool {
    let (host_and_port, default_port) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(host), _) => (host, "443"),
        (None, Some(host)) if ["localhost", "127.0.0.1"].contains(&host.split(':').next().unwrap_or(host)) => {
            (host, "80")
        }
        _ => return false,
    };
    let (name, port) = host_and_port.split_once(':').unzip();
    let name = name.unwrap_or(host_and_port);
    let is_host_byte = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-' || it == b'.';
    // `parse` alone would accept `+80` and `080`.
    let is_port =
        |it: &str| it != default_port && !it.starts_with('0') && !it.starts_with('+') && it.parse::<u16>().is_ok();
    !name.is_empty() && name.bytes().all(is_host_byte) && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for good in ["https://casework.example", "https://casework.example:8443", "http://localhost:5173"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "*",
            "",
            "null",
            "https://",
            "https://*.example",
            "https://casework.example/",
            "https://Casework.example",
            "https://casework.example:443",
            "https://casework.example:0",
            "https://casework.example:99999",
            "https://casework.example:",
            "http://casework.example",
            "http://localhost.example",
            "casework.example",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
