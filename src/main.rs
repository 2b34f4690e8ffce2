//! The one binary: the server's commands and the client's.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use tsio::cli::{self, Cli, Command};

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    match command {
        Command::Client(command) => cli::run(command, &global).await,
        Command::Completions { shell } => cli::completions(shell),
        Command::Serve(_) | Command::Migrate(_) | Command::Verify(_) | Command::Demo(_) => {
            writeln!(io::stderr().lock(), "error: this build is the client only").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}
