//! The trace that a call belongs to, as its caller says in `traceparent` (W3C Trace Context). What is malformed is as
//! good as absent, as the standard wants it.

use http::HeaderMap;

/// Where the caller is in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) struct Parent<'a> {
    /// 32 hex digits.
    pub(in crate::grpc) trace_id: &'a str,
    /// 16 hex digits: the caller's own span.
    pub(in crate::grpc) span_id: &'a str,
    /// Whether the caller keeps its part of the trace.
    pub(in crate::grpc) sampled: bool,
}

/// Reads the one `traceparent` of a call.
pub(in crate::grpc) fn read(headers: &HeaderMap) -> Option<Parent<'_>> {
    let mut all = headers.get_all("traceparent").iter();
    let (one, more) = (all.next()?, all.next());
    if more.is_some() { None } else { parse(one.to_str().ok()?) }
}

fn parse(text: &str) -> Option<Parent<'_>> {
    let mut parts = text.split('-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Versions to come may say more behind it; this one does not.
    let version = hex(version, 2).filter(|it| *it != "ff")?;
    if version == "00" && parts.next().is_some() {
        return None;
    }
    let id = |text, digits| hex(text, digits).filter(|it| it.bytes().any(|digit| digit != b'0'));
    let flags = u8::from_str_radix(hex(flags, 2)?, 16).ok()?;
    Some(Parent { trace_id: id(trace_id, 32)?, span_id: id(span_id, 16)?, sampled: flags & 1 == 1 })
}

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
    fn a_traceparent_is_read_as_the_standard_has_it() {
        let parent = |sampled| Some(Parent { trace_id: TRACE, span_id: SPAN, sampled });
        let nothing = "0".repeat(32);
        let rows = [
            (format!("00-{TRACE}-{SPAN}-01"), parent(true)),
            (format!("00-{TRACE}-{SPAN}-00"), parent(false)),
            // Only the last bit is known; a later version may say more.
            (format!("00-{TRACE}-{SPAN}-fe"), parent(false)),
            (format!("01-{TRACE}-{SPAN}-01-more"), parent(true)),
            (format!("00-{TRACE}-{SPAN}-01-more"), None),
            (format!("ff-{TRACE}-{SPAN}-01"), None),
            (format!("00-{nothing}-{SPAN}-01"), None),
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
    fn two_of_them_are_none() {
        let mut headers = HeaderMap::new();
        headers.append("traceparent", format!("00-{TRACE}-{SPAN}-01").parse().unwrap());
        assert!(read(&headers).is_some());
        headers.append("traceparent", format!("00-{TRACE}-{SPAN}-01").parse().unwrap());
        assert_eq!(read(&headers), None);
    }
}
