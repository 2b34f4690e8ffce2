//! Reads an upload as a stream of text lines. Unpacks and hashes the bytes, limits their number, and makes all line endings LF.
//!
//! Unpacks piece by piece, into the buffer of the CSV reader, and checks the limit after each piece. So a gzip bomb is stopped before
//! it is unpacked completely.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::limits::ImportLimits;
use super::refused::FileRefused;
use super::sniff::{GZIP, seems};

/// The content of a row that is added after the last byte. No row of the file can have this content, because a file with a NUL is
/// refused. If a quotation mark is not closed, this row becomes part of a cell. Otherwise the CSV reader returns it as the last row.
pub(super) const END: &[u8] = b"\0";
/// The bytes that are added after the last byte: a line break, and the row [`END`].
const TAIL: &[u8] = b"\n\0\n";

/// The mark that some programs put in front of UTF-8; a file saved twice has two of them.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The number of bytes that are read first, to recognise other formats.
const HEAD: usize = 1024;

/// A reader that unpacks and hashes the upload, and makes all line endings LF.
pub(super) struct Unpacked<'a> {
    source: UnpackSource<'a>,
    /// The first bytes, without byte order marks. They are read before those of `source`.
    head: io::Cursor<Vec<u8>>,
    hash: Sha256,
    /// The number of unpacked bytes so far.
    seen: u64,
    /// The number of bytes since the CSV reader began its current row.
    in_row: usize,
    /// The line on which that row begins.
    line: u64,
    /// Whether the last byte was a CR.
    after_cr: bool,
    /// The rest of [`TAIL`].
    tail: &'static [u8],
    limits: ImportLimits,
}

enum UnpackSource<'a> {
    Plain(&'a [u8]),
    Gzip(Box<MultiGzDecoder<&'a [u8]>>),
}

impl UnpackSource<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, FileRefused> {
        match self {
            Self::Plain(bytes) => bytes.read(buf),
            Self::Gzip(gzip) => gzip.read(buf),
        }
        .map_err(|e| FileRefused::BadGzip(e.to_string()))
    }
}

impl<'a> Unpacked<'a> {
    /// Opens an upload. Checks its first bytes.
    ///
    /// # Errors
    /// [`FileRefused`] if the upload is too large, empty, damaged, or seems to be of another format.
    pub(super) fn open(upload: &'a [u8], limits: &ImportLimits) -> Result<Self, FileRefused> {
        if upload.len() > limits.upload_bytes {
            return Err(FileRefused::over_bytes("the upload", limits.upload_bytes as u64));
        }
        let mut source = match upload.starts_with(GZIP) {
            true => UnpackSource::Gzip(Box::new(MultiGzDecoder::new(upload))),
            false => UnpackSource::Plain(upload),
        };
        let mut head = vec![0; HEAD];
        let mut filled = 0;
        while let Some(rest) = head.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match source.read(rest)? {
                0 => break,
                n => filled += n,
            }
        }
        head.truncate(filled);
        let mut marks = 0;
        while head.get(marks..).is_some_and(|rest| rest.starts_with(BYTE_ORDER_MARK)) {
            marks += BYTE_ORDER_MARK.len();
        }
        // The marks are hashed with the file, but belong to no cell.
        let text = head.split_off(marks);
        if text.iter().all(u8::is_ascii_whitespace) && filled < HEAD {
            return Err(FileRefused::Empty);
        }
        if let Some(other) = seems(&text) {
            return Err(FileRefused::NotCsv(other));
        }
        Ok(Self {
            source,
            head: io::Cursor::new(text),
            hash: Sha256::new_with_prefix(&head),
            seen: marks as u64,
            in_row: 0,
            line: 1,
            after_cr: false,
            tail: TAIL,
            limits: *limits,
        })
    }

    /// Notes that the CSV reader begins a new row. It has read ahead, so the row begins up to one buffer earlier in the file. The count
    /// for [`ImportLimits::row_bytes`] starts again.
    pub(super) fn begin_row(&mut self, line: u64) {
        self.in_row = 0;
        self.line = line;
    }

    /// The hash of every byte read so far, as unpacked.
    pub(super) fn sha256(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    fn next_chunk(&mut self, buf: &mut [u8]) -> Result<usize, FileRefused> {
        loop {
            let read = match self.head.read(buf) {
                Ok(n) if n > 0 => n,
                _ => self.source.read(buf)?,
            };
            let Some(chunk) = buf.get_mut(..read).filter(|chunk| !chunk.is_empty()) else {
                return Ok(0);
            };
            self.seen += read as u64;
            if self.seen > self.limits.unpacked_bytes {
                return Err(FileRefused::over_bytes("the unpacked file", self.limits.unpacked_bytes));
            }
            // This check only limits memory. It allows one buffer more, because the CSV reader reads ahead into later rows.
            // [`RecordReader`](super::records::RecordReader) checks the exact size of a row.
            self.in_row += read;
            if self.in_row > self.limits.row_bytes.saturating_add(BUFFER) {
                let what = format!("a row (from line {}: a line or a quotation mark without end?)", self.line);
                return Err(FileRefused::over_bytes(what, self.limits.row_bytes as u64));
            }
            if chunk.contains(&END[0]) {
                return Err(FileRefused::NotCsv("has NUL characters, so it is not text"));
            }
            self.hash.update(&*chunk);
            let kept = self.normalise_line_endings(chunk);
            if kept > 0 {
                return Ok(kept);
            }
        }
    }

    /// Replaces CRLF and single CR by LF, in place, so that lines can be counted. Returns the number of bytes that are left.
    fn normalise_line_endings(&mut self, chunk: &mut [u8]) -> usize {
        let cells = std::cell::Cell::from_mut(chunk).as_slice_of_cells();
        let mut out = cells.iter();
        let mut kept = 0;
        for byte in cells.iter().map(std::cell::Cell::get) {
            let skip = byte == b'\n' && self.after_cr;
            self.after_cr = byte == b'\r';
            if !skip && let Some(cell) = out.next() {
                cell.set(if self.after_cr { b'\n' } else { byte });
                kept += 1;
            }
        }
        kept
    }
}

/// The number of bytes that the CSV reader requests at a time.
pub(super) const BUFFER: usize = 32 << 10;

impl Read for Unpacked<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.next_chunk(buf).map_err(io::Error::other)? {
            0 => self.tail.read(buf),
            n => Ok(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    fn read(upload: &[u8], limits: &ImportLimits) -> Result<(Vec<u8>, [u8; 32]), FileRefused> {
        let mut file = Unpacked::open(upload, limits)?;
        let mut text = Vec::new();
        match file.read_to_end(&mut text) {
            Ok(_) => Ok((text, file.sha256())),
            Err(e) => Err(e.downcast::<FileRefused>().unwrap()),
        }
    }

    #[test]
    fn a_packed_upload_has_the_same_text_and_hash_as_a_plain_one() {
        let plain = b"URN,a\r\n1,b\r\r\n2,c\n\n";
        let expected: [u8; 32] = Sha256::digest(plain).into();
        let text = b"URN,a\n1,b\n\n2,c\n\n\n\0\n".to_vec();
        assert_eq!(read(plain, &ImportLimits::default()), Ok((text.clone(), expected)));
        assert_eq!(read(&gzip(plain), &ImportLimits::default()), Ok((text.clone(), expected)));
        let joined = [gzip(&plain[..9]), gzip(&plain[9..])].concat();
        assert_eq!(read(&joined, &ImportLimits::default()), Ok((text, expected)));
    }

    #[test]
    fn byte_order_marks_are_hashed_and_not_read() {
        for marks in ["", "\u{feff}", "\u{feff}\u{feff}", "\u{feff}\u{feff}\u{feff}"] {
            let file = format!("{marks}\"URN\",a\n");
            let expected: [u8; 32] = Sha256::digest(&file).into();
            assert_eq!(read(file.as_bytes(), &ImportLimits::default()), Ok((b"\"URN\",a\n\n\0\n".to_vec(), expected)));
        }
        assert_eq!(read("\u{feff}\u{feff}\n".as_bytes(), &ImportLimits::default()), Err(FileRefused::Empty));
    }

    #[test]
    fn a_bomb_stops_while_it_unpacks() {
        let bomb = gzip(&vec![b'\n'; 1 << 20]);
        let limits = ImportLimits { unpacked_bytes: 1 << 16, ..ImportLimits::default() };
        let refused = FileRefused::OverLimit { what: "the unpacked file".into(), limit: "64 KiB".into() };
        assert_eq!(read(&bomb, &limits), Err(refused));
    }

    #[test]
    fn a_gzip_cut_short_is_refused() {
        let packed = gzip(b"URN,LAESTAB\n100000,3301001\n");
        assert!(matches!(read(&packed[..packed.len() - 9], &ImportLimits::default()), Err(FileRefused::BadGzip(_))));
    }
}
