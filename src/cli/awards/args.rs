//! Defines the arguments of `tsio awards`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::amounts::{days, pounds};
use crate::cli::args::ListQuery;
use crate::cli::dates::{calendar_date, date};
use crate::cli::named_arg::NamedArg;
use crate::cli::names::choice;
use crate::proto::{AwardState, LeaderKind};

const BUNDLE: &str = "\
FILE is TOML, or JSON with the same names if its name ends in .json. It has one [[awards]] for each award, with a strand and
the keys of that strand. Amounts are texts, in pounds or days.

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

`nle` may have leader_kind: `national_leader` or `equivalent`. `nlg` must have amount and because, and may have leader and
organisation. `npqel` must have amount, leader, provider and because.

Example:
  tsio awards bundle $OFFER awards.toml --check";

/// A command about awards.
#[derive(Debug, Subcommand)]
pub enum AwardsCommand {
    /// A command that makes awards.
    #[command(flatten)]
    Make(MakeCommand),
    /// Show one award with its bookings and invoices
    #[command(after_help = "Example:\n  tsio awards show $AWARD")]
    Show {
        /// The award's id
        award: String,
    },
    /// List awards, in the order in which they were made
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
        /// The number of days, in steps of half a day
        #[arg(long, value_name = "DAYS", value_parser = days)]
        days: i32,
        /// The opaque id of the leader, never a name
        #[arg(long, value_name = "ID")]
        leader: String,
        /// The organisation of the leader; stored separately, and can be erased
        #[arg(long, value_name = "NAME")]
        organisation: String,
        /// The kind of leader [default: not recorded]
        #[arg(long, value_parser = choice::<LeaderKind>())]
        leader_kind: Option<LeaderKind>,
        #[command(flatten)]
        args: MakeArgs,
    },
    /// Award credit towards the costs of a trust partnership
    #[command(after_help = "Example:\n  \
                      tsio awards credit $OFFER --amount £4,000 --partner 5101 --suitable-because \"all good nearby\"")]
    Credit {
        /// The offer's id
        offer: String,
        /// The amount in pounds
        #[arg(long, value_name = "POUNDS", value_parser = pounds)]
        amount: i64,
        /// The group UID of the partner, a multi-academy trust
        #[arg(long, value_name = "UID", value_parser = clap::value_parser!(i32).range(1..))]
        partner: i32,
        /// Why the partner is suitable; stored separately, and can be erased
        #[arg(long, value_name = "TEXT")]
        suitable_because: String,
        #[command(flatten)]
        args: MakeArgs,
    },
    /// Award support of a national leader of governance
    #[command(after_help = "Example:\n  tsio awards nlg $OFFER --amount 1500 --because \"a new board\" \
                      --leader nlg-12 --organisation \"Oak Learning Trust\"")]
    Nlg {
        /// The offer's id
        offer: String,
        /// The amount in pounds
        #[arg(long, value_name = "POUNDS", value_parser = pounds)]
        amount: i64,
        /// Why the support is beneficial; stored separately, and can be erased
        #[arg(long, value_name = "TEXT")]
        because: String,
        /// The opaque id of the leader, never a name [default: not recorded]
        #[arg(long, value_name = "ID")]
        leader: Option<String>,
        /// The organisation of the leader, never the name of a person, because it cannot be erased [default: not recorded]
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        #[command(flatten)]
        args: MakeArgs,
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
        /// The opaque id of the trust's leader, never a name
        #[arg(long, value_name = "ID")]
        leader: String,
        /// An accredited provider, by its name in the terms
        #[arg(long, value_name = "PROVIDER")]
        provider: String,
        /// Why the support is beneficial; stored separately, and can be erased
        #[arg(long, value_name = "TEXT")]
        because: String,
        #[command(flatten)]
        args: MakeArgs,
    },
    /// Make all awards of a file under one offer, or none of them
    #[command(after_help = BUNDLE)]
    Bundle {
        /// The offer's id
        offer: String,
        /// The file with the awards, TOML or JSON
        file: PathBuf,
        #[command(flatten)]
        args: MakeArgs,
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
        /// The number of days, in steps of half a day
        #[arg(long, value_name = "DAYS", value_parser = days)]
        days: i32,
        /// The date of the days; may be in the future
        #[arg(long, value_name = "DATE", value_parser = calendar_date)]
        on: String,
        /// The opaque id of the leader who comes [default: the leader of the award]
        #[arg(long, value_name = "ID")]
        leader: Option<String>,
        /// The kind of leader [default: that of the award]
        #[arg(long, value_parser = choice::<LeaderKind>())]
        leader_kind: Option<LeaderKind>,
    },
    /// Cancel a booking, so that its days can be booked again
    #[command(after_help = "Example:\n  tsio awards cancel $AWARD --booking 1204")]
    Cancel {
        #[command(flatten)]
        which: AwardArg,
        /// The number of the booking, as `awards show` lists it
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
        amount: AmountArg,
        /// The date of the delivery, or of the claim
        #[arg(long, value_name = "DATE", value_parser = date)]
        on: String,
        /// The booking that was delivered; all of its days, unless --days is given
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
        booking: Option<i64>,
        /// The reference of the invoice, as printed on it
        #[arg(long, value_name = "REF")]
        invoice: Option<String>,
        /// Who issued the invoice, never the name of a person, because it cannot be erased [default: the provider, the partner
        /// trust, or the organisation of the leader]
        #[arg(long, value_name = "NAME", requires = "invoice")]
        issuer: Option<String>,
        /// The total of the invoice in pounds, if it is paid in parts
        #[arg(long, value_name = "POUNDS", value_parser = pounds, requires = "invoice")]
        total: Option<i64>,
        /// Free text; stored separately, and can be erased
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Give back an amount that is committed and not needed
    #[command(after_help = "Example:\n  tsio awards release $AWARD --days 0.5")]
    Release {
        #[command(flatten)]
        which: AwardArg,
        #[command(flatten)]
        amount: AmountArg,
        /// The date [default: today]
        #[arg(long, value_name = "DATE", value_parser = date)]
        on: Option<String>,
        /// Free text; stored separately, and can be erased
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Record that an amount that was drawn came back
    #[command(after_help = "Example:\n  tsio awards refund $AWARD --amount 250 --reason \"paid twice\"")]
    Refund {
        #[command(flatten)]
        which: AwardArg,
        #[command(flatten)]
        amount: AmountArg,
        /// The reason; stored separately, and can be erased
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// The date [default: today]
        #[arg(long, value_name = "DATE", value_parser = date)]
        on: Option<String>,
        /// The reference of the refunded invoice; required if the award paid several invoices, or also claims without one
        #[arg(long, value_name = "REF")]
        invoice: Option<String>,
        /// Who issued the invoice; required if the award paid several invoices with that reference
        #[arg(long, value_name = "NAME", requires = "invoice")]
        issuer: Option<String>,
    },
    /// Undo a mistaken draw, release or refund
    #[command(after_help = "Example:\n  tsio awards undo $AWARD --event 1204 --reason \"paid to the wrong school\"")]
    Undo {
        #[command(flatten)]
        which: AwardArg,
        /// The number of the event to undo, as `offers events` lists it
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        event: i64,
        /// The reason; stored separately, and can be erased
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Which awards to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only under this offer
    #[arg(long)]
    pub(super) offer: Option<String>,
    /// Only of this strand, by its name in the terms
    #[arg(long)]
    pub(super) strand: Option<String>,
    /// Only in this state
    #[arg(long, value_parser = choice::<AwardState>())]
    pub(super) state: Option<AwardState>,
    #[command(flatten)]
    pub(super) query: ListQuery,
}

/// The arguments of all commands that make awards.
#[derive(Debug, Args)]
pub struct MakeArgs {
    /// The date [default: today; after the award window, the date on which the offer was accepted]
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) on: Option<String>,
    /// Only check the awards, and write nothing
    #[arg(long)]
    pub(super) check: bool,
    /// Only if the offer still has this etag
    #[arg(long)]
    pub(super) etag: Option<String>,
}

/// Which award to change.
#[derive(Debug, Args)]
pub struct AwardArg {
    /// The award's id
    pub(super) award: String,
    /// Only if the award still has this etag
    #[arg(long)]
    pub(super) etag: Option<String>,
}

/// An amount in the award's unit.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub struct AmountArg {
    /// The number of days, in steps of half a day
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub(super) days: Option<i32>,
    /// The amount in pounds
    #[arg(long, value_name = "POUNDS", value_parser = pounds)]
    pub(super) amount: Option<i64>,
}

impl AwardsCommand {
    /// Returns the arguments that may be names of awards and offers.
    pub(in crate::cli) fn named_args(&mut self) -> Vec<NamedArg<'_>> {
        match self {
            Self::Make(command) => vec![NamedArg::offer(command.offer())],
            Self::Show { award } => vec![NamedArg::award(award)],
            Self::List(args) => args.offer.iter_mut().map(NamedArg::offer).collect(),
            Self::Change(command) => vec![NamedArg::award(&mut command.target().award)],
        }
    }
}

impl MakeCommand {
    /// Returns the offer to make awards under.
    const fn offer(&mut self) -> &mut String {
        match self {
            Self::Nle { offer, .. }
            | Self::Credit { offer, .. }
            | Self::Nlg { offer, .. }
            | Self::Npqel { offer, .. }
            | Self::Bundle { offer, .. } => offer,
        }
    }
}

impl ChangeCommand {
    /// Returns the award to change.
    const fn target(&mut self) -> &mut AwardArg {
        match self {
            Self::Book { which, .. }
            | Self::Cancel { which, .. }
            | Self::Draw { which, .. }
            | Self::Release { which, .. }
            | Self::Refund { which, .. }
            | Self::Undo { which, .. } => which,
        }
    }
}

impl AmountArg {
    /// Returns true if neither days nor an amount are given.
    pub(super) const fn is_missing(self) -> bool {
        self.days.is_none() && self.amount.is_none()
    }
}

impl AwardArg {
    /// Returns the id, and the etag as the message has it: empty if none is given.
    pub(super) fn parts(self) -> (String, String) {
        (self.award, self.etag.unwrap_or_default())
    }
}
