//! Counts the statements that the service's writer sends, and its commits. PostgreSQL logs every statement meanwhile.

use crate::cluster::Cluster;

/// The setting that starts each line of the log with the application name and the process id.
const PREFIX: &str = "log_line_prefix = '<%a %p> '";
/// The start of the log lines of the service's writer, with its application name.
const WRITER: &str = "<tsio writer ";
/// A statement that marks the end of the count in the log.
const END: &str = "SELECT 'the end of the count'";

/// What the writer of a service sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterStatements {
    /// All statements, BEGIN and COMMIT among them.
    pub statements: u32,
    /// The statements that committed: a COMMIT, or a statement that commits by itself.
    pub commits: u32,
}

/// Starts to log every statement, and to record the log.
pub fn start_counting(cluster: &Cluster) {
    let prefix = format!("ALTER SYSTEM SET {PREFIX}");
    cluster.psql("postgres", &[&prefix, "ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()"]);
    // A session that was there before gets the setting with its next statement, once a new session has it.
    while cluster.psql("postgres", &["SHOW log_statement"]) != "all" {}
    cluster.log().record();
}

/// Stops logging. Returns what the writer has sent since [`start_counting`].
#[must_use]
pub fn stop_counting(cluster: &Cluster) -> WriterStatements {
    cluster.psql("postgres", &[END]);
    let lines = cluster.log().take_recorded_until(END);
    cluster.psql("postgres", &["ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"]);
    let writer_lines = lines.iter().filter(|line| line.starts_with(WRITER));
    let mut counts = WriterStatements { statements: 0, commits: 0 };
    for line in writer_lines {
        // A simple statement is logged as `statement: TEXT`, a prepared one as `execute NAME: TEXT`.
        let Some((_, message)) = line.split_once("> LOG:  ") else { continue };
        let text =
            message.strip_prefix("statement: ").or_else(|| Some(message.strip_prefix("execute ")?.split_once(": ")?.1));
        let Some(text) = text else { continue };
        counts.statements += 1;
        // A batch without the lock is one statement, which commits by itself.
        counts.commits += u32::from(text.starts_with("COMMIT") || text.starts_with("WITH guard AS "));
    }
    counts
}
