//! The command line: a gRPC client of a running server, and the commands that run the server or check its database.
//!
//! Each noun has a file with its arguments and its requests; `view/` formats the answers. The commands of the client know no
//! rule of the scheme and do not access the database; they print the refusals of the server.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 filed and waiting for a second person.

mod amounts;
mod approvals;
mod areas;
mod args;
mod awards;
mod command;
mod csv;
mod dates;
mod demo;
mod due;
mod eligibility;
mod errors;
mod funds;
mod import;
mod json;
mod list;
mod named_arg;
mod names;
mod offers;
mod output;
mod record;
mod referrals;
mod resolve;
mod schools;
mod serve;
mod session;
mod terms;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_server;
mod trusts;
mod verify;
pub(in crate::cli) mod view;

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use clap_complete::Shell;
use uuid::Uuid;

use self::args::Global;
use self::command::{Cli, ClientCommand, Command};
use self::errors::{ErrorView, Failure};
use self::terms::TermsCommand;
pub use output::Output;
use session::Session;

/// The exit code of a command that was refused or has failed.
const REFUSED: u8 = 1;
/// The exit code of a call that was filed and waits for a second person.
const FILED: u8 = 3;
/// How long a process waits at its end for threads that may block.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// The exit code of wrong usage.
const WRONG_USAGE: u8 = 2;

/// Runs the command that the arguments of the process name. Returns the exit code.
///
/// The runtime starts here and not in the binary. An async function is compiled in the crate that polls it, so the binary would
/// compile the whole server a second time.
#[must_use]
pub fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::remark(&format!("error: the runtime does not start: {error}"));
            return ExitCode::from(REFUSED);
        }
    };
    let code = runtime.block_on(run_command());
    // A thread may hang in a call of the system, for example on a disk that does not answer.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    code
}

async fn run_command() -> ExitCode {
    let Cli { global, command } = match parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match command {
        Command::Client(command) => run(command, &global).await,
        Command::Completions { shell } => completions(shell),
        Command::Serve(args) => serve::serve(args).await,
        Command::Config(command) => serve::config(&command),
        Command::Migrate(args) => serve::migrate(args).await,
        Command::Verify(args) => match verify::run(args, &global).await {
            Ok(code) => code,
            Err(failure) => print_failure(&failure, None, &global),
        },
        Command::Demo(args) => demo::run(args).await,
    }
}

/// Returns the definition of the command line, for completions and manuals.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the arguments of this process. If they are wrong, prints the mistake; if help is requested, prints the help.
///
/// # Errors
/// The exit code of the process, after something was printed: 2 for wrong usage, 0 for help or the version.
fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        output::usage(&error);
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(WRONG_USAGE))
    })
}

/// Runs one client command, and prints its answer or its failure. Returns the exit code.
async fn run(command: ClientCommand, global: &Global) -> ExitCode {
    let request_id_used = OnceLock::new();
    match dispatch(command, global, &request_id_used).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => print_failure(&failure, request_id_used.get().copied(), global),
    }
}

/// Prints the failure of a command; `request_id` is that of its change, if it has sent one. Returns the exit code.
fn print_failure(failure: &Failure, request_id: Option<Uuid>, global: &Global) -> ExitCode {
    match failure {
        Failure::Reported => return ExitCode::from(REFUSED),
        Failure::Usage(message) => {
            output::remark(&format!("error: {message}"));
            return ExitCode::from(WRONG_USAGE);
        }
        Failure::Refused(_) | Failure::Local(..) => {}
    }
    let error = ErrorView::new(failure, request_id);
    if let Some(filed) = error.filed() {
        // A failed write to stdout cannot be reported.
        match global.output {
            Output::Table => output::text(&filed.text()),
            Output::Json => output::document(&filed),
            Output::Id => output::text(filed.id()),
        }
        .unwrap_or_default();
        return ExitCode::from(FILED);
    }
    output::remark(&error.text());
    if global.output == Output::Json {
        // A failed write to stdout cannot be reported.
        output::document(&error.document()).unwrap_or_default();
    }
    ExitCode::from(REFUSED)
}

/// Prints the completion script of a shell.
#[must_use]
fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "tsio", &mut script);
    match output::text(&String::from_utf8_lossy(&script)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(REFUSED),
    }
}

/// Runs a client command. Wrong arguments, and `terms check`, need no connection to the server. `request_id_used` receives the
/// request id if the command uses one.
async fn dispatch(
    mut command: ClientCommand,
    global: &Global,
    request_id_used: &OnceLock<Uuid>,
) -> Result<(), Failure> {
    match &command {
        ClientCommand::Offers(command) => offers::check(command)?,
        ClientCommand::Awards(command) => awards::check(command)?,
        ClientCommand::Import(command) => import::check(command)?,
        ClientCommand::Terms(TermsCommand::Check { file }) => return terms::check(file, global.output),
        _ => {}
    }
    let session = Session::open(global, request_id_used).await?;
    resolve::resolve(&mut command, &session).await?;
    match command {
        ClientCommand::Terms(command) => terms::run(command, &session).await,
        ClientCommand::Import(command) => import::run(command, &session).await,
        ClientCommand::Schools(command) => schools::run(command, &session).await,
        ClientCommand::Trusts(command) => trusts::run(command, &session).await,
        ClientCommand::Eligibility(command) => eligibility::run(command, &session).await,
        ClientCommand::Offers(command) => offers::run(command, &session).await,
        ClientCommand::Awards(command) => awards::run(command, &session).await,
        ClientCommand::Funds(command) => funds::run(command, &session).await,
        ClientCommand::Approvals(command) => approvals::run(command, &session).await,
        ClientCommand::Referrals(command) => referrals::run(command, &session).await,
        ClientCommand::Record(command) => record::run(command, &session).await,
        ClientCommand::Due(args) => due::run(args, &session).await,
        ClientCommand::Areas(args) => areas::run(args, &session).await,
    }
}
