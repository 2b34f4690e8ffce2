//! The words of `tsio awards`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::amounts::{days, pounds};
use crate::cli::args::{ListQuery, date};
use crate::cli::names::choice;
use crate::proto::{AwardState, LeaderKind};

const BUNDLE: &str = "\
FILE is TOML, or JSON with the same names when it ends in .json: one [[awards]] for each award, of a strand and with what
that strand asks for. Amounts are texts, in pounds or days.

  [[awards]]
  strand = \"nle\"
  days = \"2.5\"
  leader = \"nle-114\"
  organisation = \"Oak Learning Trust\"

  [[awards]]
  strand = \"credit\"
  amount = \"£4,000\"
  partner = 5101
  suitable_because = \"runs three schools nearby, all good\"

`nle` may have leader_kind, `national_leader` or `equivalent`. `nlg` takes amount and because, and may have leader and
organisation; `npqel` takes amount, leader, provider and because.

Example:
  tsio awards bundle $OFFER awards.toml --check";

/// A command about awards.
#[derive(Debug, Subcommand)]
pub enum AwardsCommand {
    /// A command that makes awards.
    #[command(flatten)]
    Make(MakeCommand),
    /// One award with its bookings and invoices
    #[command(after_help = "Example:\n  tsio awards show $AWARD")]
    Show {
        /// The award's id
        award: String,
    },
    /// Awards, in the order they were made
    #[command(after_help = "Examples:\n  tsio awards list --offer $OFFER\n  \
                      tsio awards list --programme 2021-22 --strand nle --state open --output json\n  \
                      tsio awards list --filter \"fund = $FUND AND committed > 0\" --order-by 'award desc'")]
    List(ListArgs),
    /// A command that changes one award.
    #[command(flatten)]
    Change(ChangeCommand),
}

/// A command that makes awards.
#[derive(Debug, Subcommand)]
pub enum MakeCommand {
    /// Award days of a national leader of education
    #[command(after_help = "Example:\n  \
                      tsio awards nle $OFFER --days 2.5 --leader nle-114 --organisation \"Oak Learning Trust\"")]
    Nle {
        /// The offer's id
        offer: String,
        /// How many days, in halves
        #[arg(long, value_name = "DAYS", value_parser = days)]
        days: i32,
        /// The leader's opaque id, never a name
        #[arg(long, value_name = "ID")]
        leader: String,
        /// The leader's organisation; kept apart and erasable
        #[arg(long, value_name = "NAME")]
        organisation: String,
        /// Whether the leader is a national leader or an equivalent [default: not recorded]
        #[arg(long, value_parser = choice::<LeaderKind>())]
        leader_kind: Option<LeaderKind>,
        #[command(flatten)]
        making: Making,
    },
    /// Award credit towards the costs of a trust partnership
    #[command(after_help = "Example:\n  \
                      tsio awards credit $OFFER --amount £4,000 --partner 5101 --suitable-because \"all good nearby\"")]
    Credit {
        /// The offer's id
        offer: String,
        /// How much, in pounds
        #[arg(long, value_name = "POUNDS", value_parser = pounds)]
        amount: i64,
        /// Group UID of the partner, a multi-academy trust
        #[arg(long, value_name = "UID", value_parser = clap::value_parser!(i32).range(1..))]
        partner: i32,
        /// Why the partner is suitable; kept apart and erasable
        #[arg(long, value_name = "TEXT")]
        suitable_because: String,
        #[command(flatten)]
        making: Making,
    },
    /// Award support of a national leader of governance
    #[command(after_help = "Example:\n  tsio awards nlg $OFFER --amount 1500 --because \"a new board\" \
                      --leader nlg-12 --organisation \"Oak Learning Trust\"")]
    Nlg {
        /// The offer's id
        offer: String,
        /// How much, in pounds
        #[arg(long, value_name = "POUNDS", value_parser = pounds)]
        amount: i64,
        /// Why it is beneficial; kept apart and erasable
        #[arg(long, value_name = "TEXT")]
        because: String,
        /// The leader's opaque id, never a name [default: not recorded]
        #[arg(long, value_name = "ID")]
        leader: Option<String>,
        /// The leader's organisation, never a person's name: it stays in the record [default: not recorded]
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        #[command(flatten)]
        making: Making,
    },
    /// Award the fees of the executive leadership qualification
    #[command(after_help = "Example:\n  tsio awards npqel $OFFER --amount 4000 --leader ceo-7 \
                      --provider \"Ambition Institute\" --because \"first trust\"")]
    Npqel {
        /// The offer's id
        offer: String,
        /// The fee, in pounds
        #[arg(long, value_name = "POUNDS", value_parser = pounds)]
        amount: i64,
        /// The trust leader's opaque id, never a name
        #[arg(long, value_name = "ID")]
        leader: String,
        /// An accredited provider, as the terms name it
        #[arg(long, value_name = "PROVIDER")]
        provider: String,
        /// Why it is beneficial; kept apart and erasable
        #[arg(long, value_name = "TEXT")]
        because: String,
        #[command(flatten)]
        making: Making,
    },
    /// Make several awards under one offer, all or none
    #[command(after_help = BUNDLE)]
    Bundle {
        /// The offer's id
        offer: String,
        /// The awards, TOML or JSON
        file: PathBuf,
        #[command(flatten)]
        making: Making,
    },
}

/// A command that changes one award.
#[derive(Debug, Subcommand)]
pub enum ChangeCommand {
    /// Book days of a leader for a date
    #[command(after_help = "Example:\n  tsio awards book $AWARD --days 1 --on 2022-03-14")]
    Book {
        #[command(flatten)]
        which: AwardArg,
        /// How many days, in halves
        #[arg(long, value_name = "DAYS", value_parser = days)]
        days: i32,
        /// The day; may lie in the future
        #[arg(long, value_name = "DATE", value_parser = date)]
        on: String,
        /// Who comes, an opaque id [default: the award's leader]
        #[arg(long, value_name = "ID")]
        leader: Option<String>,
        /// Whether that is a national leader or an equivalent [default: as the award says of its leader]
        #[arg(long, value_parser = choice::<LeaderKind>())]
        leader_kind: Option<LeaderKind>,
    },
    /// Cancel a booking, which frees its days for another
    #[command(after_help = "Example:\n  tsio awards cancel $AWARD --booking 1204")]
    Cancel {
        #[command(flatten)]
        which: AwardArg,
        /// The booking's number, as `awards show` lists it
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
        booking: i64,
    },
    /// Record days delivered, or pay a claim
    #[command(after_help = "Examples:\n  tsio awards draw $AWARD --booking 1204 --on 2022-03-14\n  \
                      tsio awards draw $AWARD --amount 1250.50 --on 2022-05-01 --invoice INV-77\n  \
                      tsio awards draw $AWARD --amount 500 --on 2022-05-01 --invoice INV-78 --total 1500")]
    Draw {
        #[command(flatten)]
        which: AwardArg,
        #[command(flatten)]
        much: HowMuch,
        /// The day it was delivered or is claimed for
        #[arg(long, value_name = "DATE", value_parser = date)]
        on: String,
        /// The booking delivered; all its days, unless said otherwise
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
        booking: Option<i64>,
        /// The reference of the invoice, as it is printed
        #[arg(long, value_name = "REF")]
        invoice: Option<String>,
        /// Who made the invoice out, never a person's name: it stays in the record [default: the provider, the partner
        /// trust, or the leader's organisation]
        #[arg(long, value_name = "NAME", requires = "invoice")]
        issuer: Option<String>,
        /// The total of the invoice in pounds, where it is paid in parts
        #[arg(long, value_name = "POUNDS", value_parser = pounds, requires = "invoice")]
        total: Option<i64>,
        /// Free text; kept apart and erasable
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Give back what is committed and not needed
    #[command(after_help = "Example:\n  tsio awards release $AWARD --days 0.5")]
    Release {
        #[command(flatten)]
        which: AwardArg,
        #[command(flatten)]
        much: HowMuch,
        /// The day [default: today]
        #[arg(long, value_name = "DATE", value_parser = date)]
        on: Option<String>,
        /// Free text; kept apart and erasable
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Take back what was drawn
    #[command(after_help = "Example:\n  tsio awards refund $AWARD --amount 250 --reason \"paid twice\"")]
    Refund {
        #[command(flatten)]
        which: AwardArg,
        #[command(flatten)]
        much: HowMuch,
        /// Why; kept apart and erasable
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// The day [default: today]
        #[arg(long, value_name = "DATE", value_parser = date)]
        on: Option<String>,
        /// The invoice refunded, where the award paid several, or some without one
        #[arg(long, value_name = "REF")]
        invoice: Option<String>,
        /// Who made the invoice out, where the award paid several of that reference
        #[arg(long, value_name = "NAME", requires = "invoice")]
        issuer: Option<String>,
    },
    /// Undo a mistaken draw, release or refund
    #[command(after_help = "Example:\n  tsio awards undo $AWARD --event 1204 --reason \"paid to the wrong school\"")]
    Undo {
        #[command(flatten)]
        which: AwardArg,
        /// The number of the mistake's event, as `offers events` lists it
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        event: i64,
        /// Why; kept apart and erasable
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Which awards to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Of this offer
    #[arg(long, conflicts_with = "programme")]
    pub(super) offer: Option<String>,
    /// Of this programme [default: 2021-22, unless an offer is named]
    #[arg(long, value_name = "PROGRAMME")]
    pub(super) programme: Option<String>,
    /// Only of this strand, as the terms name it
    #[arg(long)]
    pub(super) strand: Option<String>,
    /// Only in this state
    #[arg(long, value_parser = choice::<AwardState>())]
    pub(super) state: Option<AwardState>,
    #[command(flatten)]
    pub(super) query: ListQuery,
}

/// How awards are made.
#[derive(Debug, Args)]
pub struct Making {
    /// The day [default: today, or the day the offer was accepted once the award window has passed]
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) on: Option<String>,
    /// Answer what it would do and write nothing
    #[arg(long)]
    pub(super) check: bool,
    /// Only if the offer is still as it was with this etag
    #[arg(long)]
    pub(super) etag: Option<String>,
}

/// Which award to change.
#[derive(Debug, Args)]
pub struct AwardArg {
    /// The award's id
    pub(super) award: String,
    /// Only if the award is still as it was with this etag
    #[arg(long)]
    pub(super) etag: Option<String>,
}

/// An amount in the award's unit.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub struct HowMuch {
    /// How many days, in halves
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub(super) days: Option<i32>,
    /// How much, in pounds
    #[arg(long, value_name = "POUNDS", value_parser = pounds)]
    pub(super) amount: Option<i64>,
}

impl HowMuch {
    /// Whether no amount is said.
    pub(super) const fn is_unsaid(self) -> bool {
        self.days.is_none() && self.amount.is_none()
    }
}

impl AwardArg {
    /// The id, and the etag as it travels.
    pub(super) fn parts(self) -> (String, String) {
        (self.award, self.etag.unwrap_or_default())
    }
}
