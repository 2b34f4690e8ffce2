//! The words of `tsio funds`.

use chrono::DateTime;
use clap::{Args, Subcommand};
use prost_types::Timestamp;

use crate::cli::amounts::pounds;
use crate::cli::args::{PROGRAMME, date};

const COLUMNS: &str = "\
Columns of --csv, a header row first: entry, event_sequence, event_kind, verb, from_bucket, to_bucket, amount_pence, period,
effective_date, recorded_time, actor, offer. Amounts are whole pence, never negative; the buckets say which way they moved.

Examples:
  tsio funds entries $FUND
  tsio funds entries $FUND --filter 'verb = spend AND effective_date < 2022-04-01' --order-by 'entry desc'
  tsio funds entries $FUND --csv > entries.csv";

/// A command about funds.
#[derive(Debug, Subcommand)]
pub enum FundsCommand {
    /// Funds and their balances now
    #[command(after_help = "Examples:\n  tsio funds list\n  tsio funds list --programme 2021-22 --output json\n  \
                      tsio funds list --filter 'strand = credit AND available < 1000000'")]
    List {
        /// Only of this programme
        #[arg(long, value_name = "PROGRAMME")]
        programme: Option<String>,
        /// A condition, see docs/reference/lists.md; amounts are in pence
        #[arg(long, value_name = "CONDITION", default_value = "", hide_default_value = true)]
        filter: String,
    },
    /// One fund and its balances now
    #[command(after_help = "Example:\n  tsio funds show $FUND")]
    Show {
        /// The fund's id
        fund: String,
    },
    /// Make a fund with nothing in it
    #[command(after_help = "Examples:\n  tsio funds create --programme 2021-22 --strand credit\n  \
                      tsio funds create --strand credit --region \"West Midlands\"")]
    Create {
        /// The programme
        #[arg(long, value_name = "PROGRAMME", default_value = PROGRAMME)]
        programme: String,
        /// The strand, as the terms name it: nle, credit, nlg, npqel
        #[arg(long)]
        strand: String,
        /// RSC region, by name [default: the national fund]
        #[arg(long)]
        region: Option<String>,
    },
    /// Money arrives in a fund
    #[command(after_help = "Example:\n  tsio funds allocate $FUND £40,000 --on 2021-09-06")]
    Allocate {
        /// The fund's id
        fund: String,
        /// How much, in pounds
        #[arg(value_name = "POUNDS", value_parser = pounds)]
        amount: i64,
        #[command(flatten)]
        with: With,
    },
    /// Money leaves a fund
    #[command(after_help = "Example:\n  tsio funds withdraw $FUND 5000 --note \"returned to the centre\"")]
    Withdraw {
        /// The fund's id
        fund: String,
        /// How much, in pounds
        #[arg(value_name = "POUNDS", value_parser = pounds)]
        amount: i64,
        /// Deliberately cut below what is committed and spent; needs a second person
        #[arg(long)]
        over_commit: bool,
        #[command(flatten)]
        with: With,
    },
    /// Money moves from one fund to another of the programme
    #[command(after_help = "Example:\n  tsio funds move $FROM $TO 12500")]
    Move {
        /// The fund it leaves
        from: String,
        /// The fund it goes to
        to: String,
        /// How much, in pounds
        #[arg(value_name = "POUNDS", value_parser = pounds)]
        amount: i64,
        #[command(flatten)]
        with: With,
    },
    /// What a fund's balances were, in all and by financial year
    #[command(after_help = "Examples:\n  tsio funds position $FUND --as-of 2022-03-31\n  \
                      tsio funds position $FUND --recorded-by 2022-04-05T00:00:00Z --sequence 4120")]
    Position {
        /// The fund's id
        fund: String,
        /// Effective on this day or before
        #[arg(long, value_name = "DATE", value_parser = date)]
        as_of: Option<String>,
        /// Recorded at this time or before, like 2022-04-05T09:30:00Z
        #[arg(long, value_name = "TIME", value_parser = time)]
        recorded_by: Option<Timestamp>,
        /// Up to this event of the programme's record
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        sequence: Option<i64>,
    },
    /// A fund's ledger entries, first to last
    #[command(after_help = COLUMNS)]
    Entries(EntriesArgs),
}

/// Which entries, and how they are printed.
#[derive(Debug, Args)]
pub struct EntriesArgs {
    /// The fund's id
    pub(super) fund: String,
    /// Print CSV, as it comes
    #[arg(long)]
    pub(super) csv: bool,
    /// Only those, like `event_kind = drawn AND effective_date >= 2021-11-01`; docs/reference/lists.md has the fields
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) filter: String,
    /// `entry` or `entry desc`, the newest first [default: entry]
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, conflicts_with = "csv")]
    pub(super) order_by: String,
}

/// What goes with a movement of money.
#[derive(Debug, Args)]
pub struct With {
    /// The day [default: today]
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) on: Option<String>,
    /// Free text; kept apart and erasable
    #[arg(long, value_name = "TEXT")]
    pub(super) note: Option<String>,
    /// Only if the fund it leaves, or arrives in, is still as it was with this etag
    #[arg(long)]
    pub(super) etag: Option<String>,
}

impl With {
    /// The date, the note and the etag as they travel.
    pub(super) fn parts(self) -> (String, String, String) {
        (self.on.unwrap_or_default(), self.note.unwrap_or_default(), self.etag.unwrap_or_default())
    }
}

/// Takes an instant: RFC 3339, with its offset from UTC.
pub(super) fn time(text: &str) -> Result<Timestamp, &'static str> {
    const RULE: &str = "must be a time like 2022-04-05T09:30:00Z";
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| RULE)?;
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).map_err(|_| RULE)?;
    Ok(Timestamp { seconds: time.timestamp(), nanos })
}
