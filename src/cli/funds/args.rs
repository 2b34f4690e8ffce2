//! Defines the arguments of `tsio funds`.

use chrono::DateTime;
use clap::{Args, Subcommand};
use prost_types::Timestamp;

use crate::cli::amounts::pounds;
use crate::cli::args::ListOutput;
use crate::cli::dates::date;
use crate::cli::named_arg::NamedArg;

const ENTRIES_HELP: &str = "\
The columns of --csv, after a header row: entry, event_sequence, event_kind, verb, from_bucket, to_bucket, amount_pence, period,
effective_date, recorded_time, actor, offer. Amounts are whole pence, never negative; the buckets show the direction.

Examples:
  tsio funds entries $FUND
  tsio funds entries $FUND --filter 'verb = spend AND effective_date < 2022-04-01' --order-by 'entry desc'
  tsio funds entries $FUND --csv > entries.csv";

/// A command about funds.
#[derive(Debug, Subcommand)]
pub enum FundsCommand {
    /// List funds with their current balances
    #[command(after_help = "Examples:\n  tsio funds list\n  tsio funds list --programme 2021-22 --output json\n  \
                      tsio funds list --filter 'strand = credit AND available < 1000000'")]
    List {
        /// A condition, see docs/reference/lists.md; amounts are in pence
        #[arg(long, value_name = "CONDITION", default_value = "", hide_default_value = true)]
        filter: String,
        #[command(flatten)]
        output: ListOutput,
    },
    /// Show one fund with its current balances
    #[command(after_help = "Example:\n  tsio funds show $FUND")]
    Show {
        /// The fund's id
        fund: String,
    },
    /// Create an empty fund
    #[command(after_help = "Examples:\n  tsio funds create --programme 2021-22 --strand credit\n  \
                      tsio funds create --strand credit --region \"West Midlands\"")]
    Create {
        /// The strand, by its name in the terms: nle, credit, nlg, npqel
        #[arg(long)]
        strand: String,
        /// The RSC region, by name [default: the national fund]
        #[arg(long)]
        region: Option<String>,
    },
    /// Allocate money to a fund
    #[command(after_help = "Example:\n  tsio funds allocate $FUND £40,000 --on 2021-09-06")]
    Allocate {
        /// The fund's id
        fund: String,
        /// The amount in pounds
        #[arg(value_name = "POUNDS", value_parser = pounds)]
        amount: i64,
        #[command(flatten)]
        options: MoneyOptions,
    },
    /// Withdraw money from a fund
    #[command(after_help = "Example:\n  tsio funds withdraw $FUND 5000 --note \"returned to the centre\"")]
    Withdraw {
        /// The fund's id
        fund: String,
        /// The amount in pounds
        #[arg(value_name = "POUNDS", value_parser = pounds)]
        amount: i64,
        /// Withdraw even if less remains than is committed and spent; needs a second person
        #[arg(long)]
        over_commit: bool,
        #[command(flatten)]
        options: MoneyOptions,
    },
    /// Move money from one fund to another fund of the same programme
    #[command(after_help = "Example:\n  tsio funds move $FROM $TO 12500")]
    Move {
        /// The id of the fund that the money leaves
        from: String,
        /// The id of the fund that gets the money
        to: String,
        /// The amount in pounds
        #[arg(value_name = "POUNDS", value_parser = pounds)]
        amount: i64,
        #[command(flatten)]
        options: MoneyOptions,
    },
    /// Show the balances of a fund, in total and by financial year
    #[command(after_help = "Examples:\n  tsio funds position $FUND --as-of 2022-03-31\n  \
                      tsio funds position $FUND --recorded-by 2022-04-05T00:00:00Z --sequence 4120")]
    Position {
        /// The fund's id
        fund: String,
        /// Use entries with an effective date up to this day
        #[arg(long, value_name = "DATE", value_parser = date)]
        as_of: Option<String>,
        /// Use entries that were recorded up to this time, such as 2022-04-05T09:30:00Z
        #[arg(long, value_name = "TIME", value_parser = time)]
        recorded_by: Option<Timestamp>,
        /// Use entries up to this event of the programme's record
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        sequence: Option<i64>,
    },
    /// List the ledger entries of a fund, from the first to the last
    #[command(after_help = ENTRIES_HELP)]
    Entries(EntriesArgs),
}

/// The arguments of `tsio funds entries`.
#[derive(Debug, Args)]
pub struct EntriesArgs {
    /// The fund's id
    pub(super) fund: String,
    /// Print CSV, while the entries arrive
    #[arg(long)]
    pub(super) csv: bool,
    /// A condition, such as `event_kind = drawn AND effective_date >= 2021-11-01`; see docs/reference/lists.md
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) filter: String,
    /// `entry`, or `entry desc` for the newest first [default: entry]
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, conflicts_with = "csv")]
    pub(super) order_by: String,
}

/// The optional arguments of the commands that change the money of a fund.
#[derive(Debug, Args)]
pub struct MoneyOptions {
    /// The date [default: today]
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) on: Option<String>,
    /// Free text; stored separately, and can be erased
    #[arg(long, value_name = "TEXT")]
    pub(super) note: Option<String>,
    /// Only if the fund still has this etag; for `move`, the fund that the money leaves
    #[arg(long)]
    pub(super) etag: Option<String>,
}

impl FundsCommand {
    /// Returns the arguments that may be names of funds.
    pub(in crate::cli) fn named_args(&mut self) -> Vec<NamedArg<'_>> {
        match self {
            Self::List { .. } | Self::Create { .. } => Vec::new(),
            Self::Show { fund }
            | Self::Allocate { fund, .. }
            | Self::Withdraw { fund, .. }
            | Self::Position { fund, .. }
            | Self::Entries(EntriesArgs { fund, .. }) => vec![NamedArg::fund(fund)],
            Self::Move { from, to, .. } => vec![NamedArg::fund(from), NamedArg::fund(to)],
        }
    }
}

impl MoneyOptions {
    /// Returns the date, the note and the etag as the message has them: empty if none is given.
    pub(super) fn parts(self) -> (String, String, String) {
        (self.on.unwrap_or_default(), self.note.unwrap_or_default(), self.etag.unwrap_or_default())
    }
}

/// Parses a time as RFC 3339, with its offset from UTC.
///
/// # Errors
/// The rule, if the text is not such a time.
pub(super) fn time(text: &str) -> Result<Timestamp, &'static str> {
    const RULE: &str = "must be a time like 2022-04-05T09:30:00Z";
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| RULE)?;
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).map_err(|_| RULE)?;
    Ok(Timestamp { seconds: time.timestamp(), nanos })
}
