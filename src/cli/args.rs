//! Defines the arguments that all commands share, and those of the commands that run the server or check its database.
//!
//! The arguments of each other command are defined in the file of its noun. The parser checks only the format of an argument,
//! such as a date or a UUID. Wrong usage exits 2.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Endpoint;
use uuid::Uuid;

use super::output::Output;

/// The default programme: the first year of the scheme.
pub(super) const PROGRAMME: &str = "2021-22";

/// The default roles in development mode.
const DEFAULT_ROLES: &str = "administrator,case-officer,regional-director,finance,finance-approver";

/// The options that all commands have.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The URL of the server
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "URL",
        env = "TSIO_SERVER",
        default_value = "http://127.0.0.1:50051"
    )]
    pub server: Endpoint,
    /// The programme [default: TSIO_PROGRAMME, otherwise 2021-22; of `verify` and `funds list`: all]
    #[arg(long, global = true, value_name = "PROGRAMME")]
    pub programme: Option<String>,
    /// The format of the answer
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = Output::Table)]
    pub output: Output,
    /// A file with the bearer token of the caller; or set TSIO_TOKEN to the token itself
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE", env = "TSIO_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// The authority that signed the server's certificate, in PEM [default: the authorities that the system trusts]
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE", env = "TSIO_CA")]
    pub ca: Option<PathBuf>,
    /// The certificate of the caller, in PEM
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "FILE",
        env = "TSIO_CERTIFICATE",
        requires = "key"
    )]
    pub certificate: Option<PathBuf>,
    /// The key of the certificate, in PEM
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "FILE",
        env = "TSIO_KEY",
        requires = "certificate"
    )]
    pub key: Option<PathBuf>,
    /// The id of the caller, for a server in development mode
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "ID",
        env = "TSIO_ACTOR",
        default_value = "local-operator"
    )]
    pub actor: MetadataValue<Ascii>,
    /// The roles of the caller, separated by commas, for a server in development mode
    #[arg(long, global = true, hide_short_help = true, value_name = "LIST", env = "TSIO_ROLES", default_value = DEFAULT_ROLES)]
    pub roles: MetadataValue<Ascii>,
    /// The regions of the caller, separated by semicolons, for a server in development mode [default: all]
    #[arg(long, global = true, hide_short_help = true, value_name = "LIST", env = "TSIO_REGIONS")]
    pub regions: Option<MetadataValue<Ascii>>,
    /// The request id of a change: the same command with the same id is carried out once [default: a new id]
    #[arg(long, global = true, hide_short_help = true, value_name = "UUID")]
    pub request_id: Option<Uuid>,
    /// The time limit of one request; an import has none [default: no limit]
    #[arg(long, global = true, hide_short_help = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
}

/// The arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The database: `sqlite:FILE` or `postgres://...`
    /// [default: sqlite:tsio.db]
    #[arg(long, value_name = "URL", env = "TSIO_DATABASE", hide_env_values = true)]
    pub database: Option<String>,
    /// The address to listen on; port 0 means a free port [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR", env = "TSIO_LISTEN")]
    pub listen: Option<std::net::SocketAddr>,
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Migrate the schema of the database first
    #[arg(long)]
    pub migrate: bool,
    /// Development mode: callers state their own identity, without authentication; on loopback only
    #[arg(long, env = "TSIO_DEVELOPMENT")]
    pub development: bool,
    /// The address of /metrics for Prometheus, over plain HTTP [default: no metrics]
    #[arg(long, value_name = "ADDR", env = "TSIO_METRICS_LISTEN")]
    pub metrics_listen: Option<std::net::SocketAddr>,
    /// The URL of the collector that traces are sent to, by OTLP over gRPC [default: no traces]
    #[arg(long, value_name = "URL", env = "TSIO_TRACES_ENDPOINT")]
    pub traces_endpoint: Option<String>,
}

/// A command about the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a configuration file, and print each mistake with its line; exits 1 if there is one
    #[command(after_help = "Example:\n  tsio config check --config tsio.toml")]
    Check {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// The arguments of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The database: `sqlite:FILE` or `postgres://...`
    #[arg(long, value_name = "URL", env = "TSIO_DATABASE", hide_env_values = true)]
    pub database: String,
}

/// The arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The database: `sqlite:FILE` or `postgres://...` [default: the server is asked to verify its own]
    #[arg(long, value_name = "URL", env = "TSIO_DATABASE", hide_env_values = true)]
    pub database: Option<String>,
    /// An event's number and hash, to compare with the record
    #[arg(long, value_name = "SEQ:HASH")]
    pub expect: Option<ExpectedHash>,
}

/// The arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the database, in this directory
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// The number and the hash of an event, as noted earlier, to compare with the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedHash {
    /// The number of the event.
    pub sequence: i64,
    /// The hash of the event, 64 hex digits in lower case.
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

/// The filter and the order of a list.
#[derive(Debug, Args)]
pub struct ListQuery {
    /// A condition, see docs/reference/lists.md
    #[arg(long, value_name = "CONDITION", default_value = "", hide_default_value = true)]
    pub(super) filter: String,
    /// The field of the id (`award`, `referral`, `approval` or `import_id`) for the order of creation; with ` desc` in reverse
    #[arg(long, value_name = "ORDER", default_value = "", hide_default_value = true)]
    pub(super) order_by: String,
    #[command(flatten)]
    pub(super) output: ListOutput,
}

impl ListOutput {
    /// The same, with this limit if none is given.
    pub(super) fn or_limit(self, limit: usize) -> Self {
        Self { limit: self.limit.or(Some(limit)), ..self }
    }
}

/// How a list is printed.
#[derive(Debug, Clone, Default, Args)]
pub struct ListOutput {
    /// Print at most this many rows; 0 for all [default: 50 on a terminal, otherwise all]
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
    /// Print CSV with a header row
    #[arg(long)]
    pub(super) csv: bool,
    /// Print only these columns: keys of the JSON, separated by commas
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    pub(super) columns: Vec<String>,
}
