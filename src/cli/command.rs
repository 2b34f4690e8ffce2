//! The whole command line: every command, and the options that all of them take.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use super::approvals::ApprovalsCommand;
use super::args::{ConfigCommand, DemoArgs, Global, MigrateArgs, ServeArgs, VerifyArgs};
use super::awards::AwardsCommand;
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

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

/// The trust and school improvement offer
///
/// All commands but serve, migrate, verify, demo and completions call a running server.
#[derive(Debug, Parser)]
#[command(name = "tsio", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What every command takes.
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
    /// Recompute the whole record and compare; exits 1 on any difference
    #[command(after_help = "Examples:\n  tsio verify --database sqlite:tsio.db\n  \
                      tsio verify --database sqlite:tsio.db --programme 2021-22 --expect $SEQUENCE:$HASH")]
    Verify(VerifyArgs),
    /// The whole job on an embedded database, told step by step
    #[command(after_help = "Example:\n  tsio demo")]
    Demo(DemoArgs),
    /// Print the completions of a shell
    #[command(after_help = "Example:\n  tsio completions bash > /etc/bash_completion.d/tsio")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// A command for a running server.
    #[command(flatten)]
    Client(ClientCommand),
}

/// A command of the client half.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// The scheme's terms, one file a programme
    #[command(subcommand)]
    Terms(TermsCommand),
    /// Files of GIAS and Ofsted
    #[command(subcommand)]
    Import(ImportCommand),
    /// Schools and how they are placed
    #[command(subcommand)]
    Schools(SchoolsCommand),
    /// Trusts and their schools
    #[command(subcommand)]
    Trusts(TrustsCommand),
    /// Who is eligible, by which rule, on what evidence
    #[command(subcommand)]
    Eligibility(EligibilityCommand),
    /// Offers and their life
    #[command(subcommand)]
    Offers(OffersCommand),
    /// Support given under offers: days, credit, governance, the qualification
    #[command(subcommand)]
    Awards(AwardsCommand),
    /// What there is to give, and what became of it
    #[command(subcommand)]
    Funds(FundsCommand),
    /// What waits for a second person
    #[command(subcommand)]
    Approvals(ApprovalsCommand),
    /// Schools and trusts that come forward, or are put forward
    #[command(subcommand)]
    Referrals(ReferralsCommand),
    /// The record of a programme: texts that are to be erased
    #[command(subcommand)]
    Record(RecordCommand),
}
