//! Reads the trace of a request from its header `traceparent` (W3C Trace Context). A malformed header is ignored, as the
//! standard requires.

use http::HeaderMap;

/// The caller's trace and span, which the span of the request continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) struct Parent<'a> {
    /// The id of the trace: 32 hex digits.
    pub(in crate::grpc) trace_id: &'a str,
    /// The id of the caller's span: 16 hex digits.
    pub(in crate::grpc) span_id: &'a str,
    /// True if the caller records its part of the trace.
    pub(in crate::grpc) sampled: bool,
}

/// Reads the header; `None` if it is absent, malformed or repeated.
pub(in crate::grpc) fn read(headers: &HeaderMap) -> Option<Parent<'_>> {
    let mut values = headers.get_all("traceparent").iter();
    let (first, second) = (values.next()?, values.next());
    if second.is_some() { None } else { parse(first.to_str().ok()?) }
}

fn parse(text: &str) -> Option<Parent<'_>> {
    let mut parts = text.split('-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // A later version may have more parts than these four; version 00 must not.
    let version = hex(version, 2).filter(|it| *it != "ff")?;
    if version == "00" && parts.next().is_some() {
        return None;
    }
    // An id must not be zero.
    let id = |text, digits| hex(text, digits).filter(|it| it.bytes().any(|digit| digit != b'0'));
    let flags = u8::from_str_radix(hex(flags, 2)?, 16).ok()?;
    Some(Parent { trace_id: id(trace_id, 32)?, span_id: id(span_id, 16)?, sampled: flags & 1 == 1 })
}

/// Returns the text if it is this number of lowercase hex digits.
fn hex(text: &str, digits: usize) -> Option<&str> {
    let is_hex = text.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it));
    (text.len() == digits && is_hex).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn a_traceparent_is_read_as_in_the_standard() {
        let parent = |sampled| Some(Parent { trace_id: TRACE, span_id: SPAN, sampled });
        let zeros = "0".repeat(32);
        let rows = [
            (format!("00-{TRACE}-{SPAN}-01"), parent(true)),
            (format!("00-{TRACE}-{SPAN}-00"), parent(false)),
            // Only the last bit of the flags is defined; a later version may define more bits.
            (format!("00-{TRACE}-{SPAN}-fe"), parent(false)),
            (format!("01-{TRACE}-{SPAN}-01-more"), parent(true)),
            (format!("00-{TRACE}-{SPAN}-01-more"), None),
            (format!("ff-{TRACE}-{SPAN}-01"), None),
            (format!("00-{zeros}-{SPAN}-01"), None),
            (format!("00-{TRACE}-0000000000000000-01"), None),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
            (format!("00-{}-{SPAN}-01", &TRACE[1..]), None),
            (format!("00-+{}-{SPAN}-01", &TRACE[1..]), None),
            (format!("00-{TRACE}-{SPAN}-1"), None),
            (format!("00-{TRACE}-{SPAN}"), None),
            (format!(" 00-{TRACE}-{SPAN}-01"), None),
            (String::new(), None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_repeated_header_is_ignored() {
        let mut headers = HeaderMap::new();
        headers.append("traceparent", format!("00-{TRACE}-{SPAN}-01").parse().unwrap());
        assert!(read(&headers).is_some());
        headers.append("traceparent", format!("00-{TRACE}-{SPAN}-01").parse().unwrap());
        assert_eq!(read(&headers), None);
    }
}
