//! Counts the statements that the service's writer sends for each commit. PostgreSQL logs every statement meanwhile.

use tsio_test_support::cluster::Cluster;

/// The setting that starts each line of the log with the application name and the process id.
const PREFIX: &str = "log_line_prefix = '<%a %p> '";
/// The start of the log lines of the service's writer, with its application name.
const WRITER: &str = "<tsio writer ";

/// Starts to log every statement, and to record the log.
pub(crate) fn start_counting(cluster: &Cluster) {
    let prefix = format!("ALTER SYSTEM SET {PREFIX}");
    cluster.psql("postgres", &[&prefix, "ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()"]);
    cluster.log().record();
}

/// Stops logging. Returns the number of statements for each commit of the writer, including BEGIN and COMMIT. `None` if the
/// writer has committed nothing.
pub(crate) fn stop_counting(cluster: &Cluster) -> Option<f64> {
    let lines = cluster.log().take_recorded();
    cluster.psql("postgres", &["ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"]);
    let writer_lines = lines.iter().filter(|line| line.starts_with(WRITER));
    let (mut statements, mut commits) = (0_u32, 0_u32);
    for line in writer_lines {
        // A simple statement is logged as `statement: TEXT`, a prepared one as `execute NAME: TEXT`.
        let Some((_, message)) = line.split_once("> LOG:  ") else { continue };
        let text =
            message.strip_prefix("statement: ").or_else(|| Some(message.strip_prefix("execute ")?.split_once(": ")?.1));
        let Some(text) = text else { continue };
        statements += 1;
        // A batch without the lock is one statement, which commits by itself.
        commits += u32::from(text.starts_with("COMMIT") || text.starts_with("WITH guard AS "));
    }
    (commits > 0).then(|| f64::from(statements) / f64::from(commits))
}
