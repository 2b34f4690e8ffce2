//! The words of the command line that every command shares, and the server's own commands.
//!
//! Each noun's words live with the noun. Nothing is decided here beyond what makes a command well formed: a date is a
//! date, a request id a UUID. Wrong usage exits 2.

use std::path::PathBuf;
use std::str::FromStr;

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Endpoint;
use uuid::Uuid;

use super::output::Output;

/// The programme of this service's first year.
pub(super) const PROGRAMME: &str = "2021-22";

const ALL_ROLES: &str = "administrator,case-officer,regional-director,finance,finance-approver";

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The server to call
    #[arg(long, global = true, value_name = "URL", env = "TSIO_SERVER", default_value = "http://127.0.0.1:50051")]
    pub server: Endpoint,
    /// How to print the answer
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = Output::Table)]
    pub output: Output,
    /// A file with the bearer token to call with; TSIO_TOKEN may hold the token itself
    #[arg(long, global = true, value_name = "FILE", env = "TSIO_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// The authority that signed the server's certificate, in PEM [default: those the machine trusts]
    #[arg(long, global = true, value_name = "FILE", env = "TSIO_CA")]
    pub ca: Option<PathBuf>,
    /// A certificate to call with, in PEM
    #[arg(long, global = true, value_name = "FILE", env = "TSIO_CERTIFICATE", requires = "key")]
    pub certificate: Option<PathBuf>,
    /// The certificate's key, in PEM
    #[arg(long, global = true, value_name = "FILE", env = "TSIO_KEY", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// Who is calling, for a server in development mode
    #[arg(long, global = true, value_name = "ID", env = "TSIO_ACTOR", default_value = "local-operator")]
    pub actor: MetadataValue<Ascii>,
    /// The caller's roles, separated by commas, for a server in development mode
    #[arg(long, global = true, value_name = "LIST", env = "TSIO_ROLES", default_value = ALL_ROLES)]
    pub roles: MetadataValue<Ascii>,
    /// The caller's regions, separated by semicolons, for a server in development mode [default: all]
    #[arg(long, global = true, value_name = "LIST", env = "TSIO_REGIONS")]
    pub regions: Option<MetadataValue<Ascii>>,
    /// Id of a mutation: the same id with the same command is carried out once [default: a fresh one]
    #[arg(long, global = true, value_name = "UUID")]
    pub request_id: Option<Uuid>,
    /// How long one call may take; an import takes as long as it takes
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
}

/// What `serve` takes.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The database: `sqlite:FILE` or `postgres://...`
    /// [default: sqlite:tsio.db]
    #[arg(long, value_name = "URL", env = "TSIO_DATABASE", hide_env_values = true)]
    pub database: Option<String>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR", env = "TSIO_LISTEN")]
    pub listen: Option<std::net::SocketAddr>,
    /// A configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Bring the database up to date first
    #[arg(long)]
    pub migrate: bool,
    /// Let callers name themselves, unchecked: for development, on loopback only
    #[arg(long, env = "TSIO_DEVELOPMENT")]
    pub development: bool,
    /// Where Prometheus may scrape /metrics, over plain HTTP [default: nowhere]
    #[arg(long, value_name = "ADDR", env = "TSIO_METRICS_LISTEN")]
    pub metrics_listen: Option<std::net::SocketAddr>,
    /// A collector that traces go to, by OTLP over gRPC [default: none]
    #[arg(long, value_name = "URL", env = "TSIO_TRACES_ENDPOINT")]
    pub traces_endpoint: Option<String>,
}

/// A command about settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say what is wrong with a file of settings, line by line; exits 1 when something is
    #[command(after_help = "Example:\n  tsio config check --config tsio.toml")]
    Check {
        /// The file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// What `migrate` takes.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The database: `sqlite:FILE` or `postgres://...`
    #[arg(long, value_name = "URL", env = "TSIO_DATABASE", hide_env_values = true)]
    pub database: String,
}

/// What `verify` takes.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The database: `sqlite:FILE` or `postgres://...`
    #[arg(long, value_name = "URL", env = "TSIO_DATABASE", hide_env_values = true)]
    pub database: String,
    /// What the record's chain must be at a sequence
    #[arg(long, value_name = "SEQ:HASH")]
    pub expect: Option<ExpectedHash>,
    /// Only this programme's record; `register` is that of reference data
    #[arg(long, value_name = "PROGRAMME")]
    pub programme: Option<String>,
}

/// What `demo` takes.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the database in this directory
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// A hash that was written down earlier, to compare the chain with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedHash {
    /// The sequence of the event.
    pub sequence: i64,
    /// Its hash, 64 digits of lower-case hex.
    pub hash: String,
}

impl FromStr for ExpectedHash {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "must be a sequence, a colon and 64 hex digits";
        let (sequence, hash) = text.split_once(':').ok_or(RULE)?;
        let sequence = sequence.parse().ok().filter(|number| *number > 0).ok_or(RULE)?;
        let well_formed = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        well_formed.then(|| Self { sequence, hash: hash.to_ascii_lowercase() }).ok_or(RULE)
    }
}

/// Takes a date as it travels: `YYYY-MM-DD`, and a day that exists.
pub(super) fn date(text: &str) -> Result<String, &'static str> {
    let parsed: Option<NaiveDate> = text.parse().ok();
    parsed
        .map(|day| day.to_string())
        .filter(|day| text.len() == 10 && day == text)
        .ok_or("must be a date as YYYY-MM-DD")
}

/// Which rows of a list, and in which order.
#[derive(Debug, Args)]
pub struct ListQuery {
    /// A condition, see docs/reference/lists.md
    #[arg(long, value_name = "CONDITION", default_value = "", hide_default_value = true)]
    pub(super) filter: String,
    /// By the field of the id (`award`, `referral`, `approval`, `import_id`), the order they were made in, or that with ` desc`
    #[arg(long, value_name = "ORDER", default_value = "", hide_default_value = true)]
    pub(super) order_by: String,
}
