//! Guesses the format of a file that is not CSV from its first bytes, so that the refusal can name the format.

/// The first bytes of a gzip file.
pub(super) const GZIP: &[u8] = b"\x1f\x8b";

/// The first bytes of other formats. If one text begins with another, the longer one comes first.
const MAGIC: &[(&[u8], &str)] = &[
    (GZIP, "seems to be a gzip file packed twice"),
    (b"PK\x03\x04", "seems to be a zip archive or an Excel workbook"),
    (b"PK\x05\x06", "seems to be an empty zip archive"),
    (b"\xd0\xcf\x11\xe0", "seems to be an old Excel workbook"),
    (b"%PDF", "seems to be a PDF document"),
    (b"7z\xbc\xaf", "seems to be a 7-Zip archive"),
    (b"BZh", "seems to be a bzip2 archive"),
    (b"\xfd7zXZ", "seems to be an xz archive"),
    (b"\x28\xb5\x2f\xfd", "seems to be a zstd archive"),
    (b"\xff\xfe", "seems to be UTF-16 text, not UTF-8"),
    (b"\xfe\xff", "seems to be UTF-16 text, not UTF-8"),
];

/// The format that the bytes seem to be; `None` if they may be CSV.
pub(super) fn seems(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"PK\x03\x04") && contains(head, b"[Content_Types].xml") {
        return Some("seems to be an Excel workbook");
    }
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(what);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let starts = |tag: &[u8]| text.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag));
    match () {
        () if starts(b"<!doctype html") || starts(b"<html") => Some("seems to be a web page"),
        () if starts(b"<?xml") || starts(b"<") => Some("seems to be XML or a web page"),
        () if starts(b"{") => Some("seems to be JSON"),
        () => None,
    }
}

fn contains(head: &[u8], part: &[u8]) -> bool {
    head.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_are_named() {
        let cases: [(&[u8], Option<&str>); 10] = [
            (b"PK\x03\x04\x14\0\x06\0[Content_Types].xml", Some("seems to be an Excel workbook")),
            (b"PK\x03\x04\x14\0\x06\0schools.csv", Some("seems to be a zip archive or an Excel workbook")),
            (b"\xd0\xcf\x11\xe0\xa1\xb1", Some("seems to be an old Excel workbook")),
            (b"\xef\xbb\xbf \n<!DOCTYPE HTML>", Some("seems to be a web page")),
            (b"<HTML lang=en>", Some("seems to be a web page")),
            (b"\xff\xfeU\0R\0N\0", Some("seems to be UTF-16 text, not UTF-8")),
            (b"%PDF-1.7", Some("seems to be a PDF document")),
            (b"{\"urn\": 100000}", Some("seems to be JSON")),
            (b"\xef\xbb\xbfURN,LAESTAB", None),
            (b"Management information, 31 August 2021\r\nURN", None),
        ];
        for (head, expected) in cases {
            assert_eq!(seems(head), expected, "{:?}", String::from_utf8_lossy(head));
        }
    }
}
