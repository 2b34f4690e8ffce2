//! How many statements a commit takes, counted on the server: PostgreSQL logs every statement for a moment.

use tsio_test_support::cluster::Cluster;

/// What stands before each line of the log: the application, then the process.
const PREFIX: &str = "log_line_prefix = '<%a %p> '";
/// The application name of the service's writer.
const WRITER: &str = "<tsio writer ";

/// Has every statement logged from now on, and begins to record.
pub(crate) fn begin(cluster: &Cluster) {
    let prefix = format!("ALTER SYSTEM SET {PREFIX}");
    cluster.psql("postgres", &[&prefix, "ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()"]);
    cluster.log().record();
}

/// Stops logging. Answers statements a commit of the writer, BEGIN and COMMIT among them; none if it committed nothing.
pub(crate) fn end(cluster: &Cluster) -> Option<f64> {
    let lines = cluster.log().take_recorded();
    cluster.psql("postgres", &["ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"]);
    let writer = lines.iter().filter(|line| line.starts_with(WRITER));
    let (mut statements, mut commits) = (0_u32, 0_u32);
    for line in writer {
        // A statement without parameters is logged as such, a prepared one when it is executed.
        let Some((_, said)) = line.split_once("> LOG:  ") else { continue };
        let text =
            said.strip_prefix("statement: ").or_else(|| Some(said.strip_prefix("execute ")?.split_once(": ")?.1));
        let Some(text) = text else { continue };
        statements += 1;
        commits += u32::from(text.trim_end_matches(';').trim().eq_ignore_ascii_case("commit"));
    }
    (commits > 0).then(|| f64::from(statements) / f64::from(commits))
}
