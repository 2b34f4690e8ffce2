//! Structured logs: one line per event on stderr, with the caller, the method and the ids of the request.

use std::io::{self, IsTerminal as _, Write, stderr};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::environment;
use crate::domain::text::{Lines, shown};
use crate::grpc::Exporting;
use crate::store::CommitNoticeLayer;

/// The default filter: this program's own events, and warnings of libraries.
const DEFAULT: &str = "warn,tsio=info";

/// Writes each event as one line, with control characters as `\uXXXX`, so that they cannot act on a terminal. In JSON this is the
/// escape of the same character, so a parser reads the original value.
struct SafeLines<W>(W);

impl<W: Write> Write for SafeLines<W> {
    /// Writes one whole event; the layer formats an event before it writes.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = shown(text.trim_end_matches('\n'), Lines::One);
        self.0.write_all(format!("{line}\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Starts logging: plain lines on a terminal, JSON otherwise. A second start does nothing.
pub fn start() {
    start_with(None);
}

/// Starts logging, and exports spans if `traces` is given.
pub fn start_with(traces: Option<&Exporting>) {
    let configured = environment::log_filter().map(EnvFilter::try_new);
    let filter_error = configured.as_ref().and_then(|it| it.as_ref().err().map(ToString::to_string));
    let filter = configured.and_then(Result::ok).unwrap_or_else(|| EnvFilter::new(DEFAULT));
    // No colours, because they are control characters, which `SafeLines` escapes.
    let log = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| SafeLines(stderr()));
    let log: Box<dyn Layer<Registry> + Send + Sync> =
        if stderr().is_terminal() { log.boxed() } else { log.json().with_span_list(false).boxed() };
    // Each layer has its own filter, because other layers may need what the log leaves out.
    let registry = tracing_subscriber::registry().with(log.with_filter(filter)).with(CommitNoticeLayer::filtered());
    // This fails if a test in the same process has started logging before; that one stays.
    let _ = match traces {
        None => registry.try_init(),
        Some(traces) => registry.with(traces.layer()).try_init(),
    };
    if let Some(error) = filter_error {
        tracing::warn!(error, "TSIO_LOG cannot be read and is left out");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct CapturedLog(Arc<Mutex<Vec<u8>>>);

    impl Write for CapturedLog {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Logs an event in a span, and returns the log, as plain lines or as JSON.
    fn logged(json: bool) -> String {
        const HOSTILE: &str = "a\u{1b}[31m\u{9b}\u{202e}\r\nb";
        let captured = CapturedLog::default();
        let writer = captured.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || SafeLines(writer.clone()));
        let layer: Box<dyn Layer<Registry> + Send + Sync> = if json { layer.json().boxed() } else { layer.boxed() };
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            let span = tracing::info_span!("call", actor = HOSTILE, why = %HOSTILE);
            let _inside = span.enter();
            tracing::info!(text = HOSTILE, shown = %HOSTILE, "message {HOSTILE}");
        });
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn an_event_is_one_line_without_control_characters() {
        for json in [false, true] {
            let text = logged(json);
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            let line = text.trim_end_matches('\n');
            assert_eq!(shown(line, Lines::One), line);
            assert!(line.contains("message a") && line.contains("31m"), "{line}");
        }
        let value: serde_json::Value = serde_json::from_str(&logged(true)).unwrap();
        assert_eq!(value["fields"]["text"], "a\u{1b}[31m\u{9b}\u{202e}\r\nb");
    }
}
