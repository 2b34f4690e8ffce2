//! Defines the command line: all commands, and the options that all of them have.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use super::approvals::ApprovalsCommand;
use super::areas::AreasArgs;
use super::args::{ConfigCommand, DemoArgs, Global, MigrateArgs, ServeArgs, VerifyArgs};
use super::awards::AwardsCommand;
use super::due::DueArgs;
use super::eligibility::EligibilityCommand;
use super::funds::FundsCommand;
use super::import::ImportCommand;
use super::offers::OffersCommand;
use super::record::RecordCommand;
use super::referrals::ReferralsCommand;
use super::schools::SchoolsCommand;
use super::terms::TermsCommand;
use super::trusts::TrustsCommand;

const EXAMPLES: &str = "\
Examples:
  tsio serve --development --migrate
  tsio import register groups.csv.gz membership.csv.gz --as-at 2022-03-31
  tsio import ofsted month.csv --as-at 2021-11-30
  tsio eligibility summary
  tsio offers identify
  tsio offers list --state identified --output json
  tsio awards nle $OFFER --days 2.5 --leader nle-114 --organisation Oakfield
  tsio funds position $FUND --as-of 2022-03-31

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 filed and waiting for a second person.";

/// The trust and school improvement offer
///
/// All commands but serve, migrate, demo and completions call a running server; verify does unless it is given a database.
#[derive(Debug, Parser)]
#[command(name = "tsio", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The options that all commands have.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// One command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API
    #[command(
        after_help = "Example:\n  tsio serve --config tsio.toml\n  tsio serve --development --database sqlite:tsio.db --listen 127.0.0.1:0"
    )]
    Serve(ServeArgs),
    /// The server's settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Bring a database up to date
    #[command(after_help = "Example:\n  tsio migrate --database postgres://localhost/tsio")]
    Migrate(MigrateArgs),
    /// Recompute the whole record and compare it; exits 1 if there is a difference
    #[command(after_help = "Examples:\n  tsio verify\n  tsio verify --database sqlite:tsio.db\n  \
                      tsio verify --database sqlite:tsio.db --programme 2021-22 --expect $SEQUENCE:$HASH")]
    Verify(VerifyArgs),
    /// Run one case from import to close on a new database, and print each step
    #[command(after_help = "Example:\n  tsio demo")]
    Demo(DemoArgs),
    /// Print the completion script of a shell
    #[command(after_help = "Example:\n  tsio completions bash > /etc/bash_completion.d/tsio")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// A command for a running server.
    #[command(flatten)]
    Client(ClientCommand),
}

/// A command that calls a running server.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// The terms of each programme
    #[command(subcommand)]
    Terms(TermsCommand),
    /// Imports of files of GIAS and Ofsted
    #[command(subcommand)]
    Import(ImportCommand),
    /// Schools and their placement
    #[command(subcommand)]
    Schools(SchoolsCommand),
    /// Trusts and their schools
    #[command(subcommand)]
    Trusts(TrustsCommand),
    /// Eligible schools, with the rules and the evidence
    #[command(subcommand)]
    Eligibility(EligibilityCommand),
    /// Offers and their states
    #[command(subcommand)]
    Offers(OffersCommand),
    /// Awards under offers: days, credit, governance, the qualification
    #[command(subcommand)]
    Awards(AwardsCommand),
    /// Funds: the money of each strand, and how it is used
    #[command(subcommand)]
    Funds(FundsCommand),
    /// Approvals by a second person
    #[command(subcommand)]
    Approvals(ApprovalsCommand),
    /// Referrals of schools and trusts that the files do not make eligible
    #[command(subcommand)]
    Referrals(ReferralsCommand),
    /// The record of a programme: erase texts in it
    #[command(subcommand)]
    Record(RecordCommand),
    /// List what needs attention, each with the command that deals with it
    #[command(after_help = "Examples:\n  tsio due\n  tsio due --mine --on 2021-10-29\n  \
                            tsio due --region west-midlands --kind first-contact --kind school-contact")]
    Due(DueArgs),
    /// List the local authorities with their codes and regions
    #[command(after_help = "Examples:\n  tsio areas --region west-midlands\n  tsio areas --output id")]
    Areas(AreasArgs),
}
