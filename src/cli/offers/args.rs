//! Defines the arguments of `tsio offers`.

use clap::{Args, Subcommand};

use crate::cli::args::ListOutput;
use crate::cli::dates::date;
use crate::cli::named_arg::NamedArg;
use crate::cli::names::choice;
use crate::proto::{Acceptor, DeclineReason, Milestone, OfferState, Outcome, Party, SummaryDimension};

/// A command about offers.
#[derive(Debug, Subcommand)]
pub enum OffersCommand {
    /// Make an offer to every eligible recipient that has none, and update open offers
    #[command(after_help = "Example:\n  tsio offers identify --programme 2021-22 --dry-run")]
    Identify {
        /// Only show what would change, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List offers, in the order in which they were made
    #[command(after_help = "Examples:\n  tsio offers list --state identified --region \"West Midlands\"\n  \
                      tsio offers list --mine --output json\n  \
                      tsio offers list --filter 'NOT state = CLOSED AND schools.urn : 103150' --order-by name")]
    List(ListArgs),
    /// Count offers, their money and days, and how long their stages took
    #[command(after_help = "Examples:\n  tsio offers summary\n  tsio offers summary --by region,state\n  \
                      tsio offers summary --by month --region west-midlands --csv")]
    Summary(SummaryArgs),
    /// Show offers with their schools, contacts, caps and awards; up to 100 are read at the same moment
    #[command(
        after_help = "Examples:\n  tsio offers show 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f\n  tsio offers show $A $B"
    )]
    Show {
        /// The ids of the offers
        #[arg(required = true, value_name = "OFFER")]
        offers: Vec<String>,
    },
    /// List the events of one offer, from the first to the last
    #[command(after_help = "Examples:\n  tsio offers events 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f\n  \
                            tsio offers events $OFFER --filter 'NOT kind = noted' --order-by 'sequence desc'")]
    Events {
        /// The offer's id
        offer: String,
        /// A condition, see docs/reference/lists.md
        #[arg(long, value_name = "CONDITION", default_value = "", hide_default_value = true)]
        filter: String,
        /// `sequence`, or `sequence desc` for the last first [default: sequence]
        #[arg(long, value_name = "ORDER", default_value = "", hide_default_value = true)]
        order_by: String,
        #[command(flatten)]
        output: ListOutput,
    },
    /// Print every change of a programme's offers when it happens, one line each; resumes a broken stream
    #[command(
        after_help = "Examples:\n  tsio offers watch --region \"West Midlands\" --state accepted --output json\n  \
                      tsio offers watch --resume $TOKEN --once --output json"
    )]
    Watch(WatchArgs),
    /// Record a contact with one party of one or several offers: of all, or of none
    #[command(after_help = "Examples:\n  tsio offers contact $A $B --party responsible-body --on 2021-10-04\n  \
                      tsio offers contact $A --party school --urn 103150 --on 2021-10-05 --note \"by phone\"\n  \
                      tsio offers contact --local-authority 330 --party responsible-body --on today --dry-run")]
    Contact(ContactArgs),
    /// A command that changes one offer.
    #[command(flatten)]
    Change(ChangeCommand),
}

/// A command that changes one offer.
#[derive(Debug, Subcommand)]
pub enum ChangeCommand {
    /// Mark a contact as a mistake; the contact stays in the record
    #[command(after_help = "Example:\n  tsio offers correct $OFFER --contact 1204 --note \"wrong school rung\"")]
    Correct {
        #[command(flatten)]
        which: OfferArg,
        /// The number of the contact, as `offers show` lists it
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        contact: i64,
        #[command(flatten)]
        note: Note,
    },
    /// Correct the date of the acceptance or of the start
    #[command(
        after_help = "Example:\n  tsio offers correct-date $OFFER accepted --on 2021-10-08 --reason \"letter of 8 October\""
    )]
    CorrectDate {
        #[command(flatten)]
        which: OfferArg,
        /// The step whose date is wrong
        #[arg(value_parser = choice::<Milestone>())]
        milestone: Milestone,
        /// The right date
        #[arg(long, value_name = "DATE", value_parser = date)]
        on: String,
        /// The reason; stored separately, and can be erased
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Accept an offer
    #[command(after_help = "Example:\n  tsio offers accept $OFFER --by trust --on 2021-10-11")]
    Accept {
        #[command(flatten)]
        which: OfferArg,
        /// Who accepts
        #[arg(long, value_parser = choice::<Acceptor>(), value_name = "WHO")]
        by: Acceptor,
        #[command(flatten)]
        on: OfferDate,
        #[command(flatten)]
        note: Note,
    },
    /// Decline an offer, which closes it
    #[command(after_help = "Example:\n  tsio offers decline $OFFER --reason support-in-place")]
    Decline {
        #[command(flatten)]
        which: OfferArg,
        /// The reason
        #[arg(long, value_parser = choice::<DeclineReason>())]
        reason: DeclineReason,
        #[command(flatten)]
        on: OfferDate,
        #[command(flatten)]
        note: Note,
    },
    /// Start the delivery; the offer must have an award
    #[command(after_help = "Example:\n  tsio offers start $OFFER --on 2021-11-01")]
    Start {
        #[command(flatten)]
        which: OfferArg,
        #[command(flatten)]
        on: OfferDate,
    },
    /// Close an offer with an outcome
    #[command(after_help = "Example:\n  tsio offers close $OFFER --outcome completed")]
    Close {
        #[command(flatten)]
        which: OfferArg,
        /// The outcome
        #[arg(long, value_parser = choice::<Outcome>())]
        outcome: Outcome,
        #[command(flatten)]
        on: OfferDate,
        #[command(flatten)]
        note: Note,
    },
    /// Reopen a closed offer; a second person must approve
    #[command(after_help = "Example:\n  tsio offers reopen $OFFER --reason \"closed by mistake\"")]
    Reopen {
        #[command(flatten)]
        which: OfferArg,
        /// The reason
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Assign an offer to a person or a delivery partner, or remove the assignment
    #[command(after_help = "Examples:\n  tsio offers assign $OFFER --to a.officer\n  tsio offers assign $OFFER --to -")]
    Assign {
        #[command(flatten)]
        which: OfferArg,
        /// The id of the assignee; `-` to remove the assignment
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        to: String,
    },
    /// Add a note to an offer
    #[command(after_help = "Example:\n  tsio offers note $OFFER \"head teacher on leave until May\"")]
    Note {
        #[command(flatten)]
        which: OfferArg,
        /// The text of the note
        text: String,
    },
    /// Move an offer to another region
    #[command(after_help = "Example:\n  tsio offers region $OFFER --to \"West Midlands\"")]
    Region {
        #[command(flatten)]
        which: OfferArg,
        /// The RSC region, by name
        #[arg(long, value_name = "REGION")]
        to: String,
    },
}

/// The dimensions and the conditions of a summary.
#[derive(Debug, Args)]
pub struct SummaryArgs {
    /// The dimensions, separated by commas [default: one row for all offers]
    #[arg(long, value_name = "DIMENSIONS", value_delimiter = ',', value_parser = choice::<SummaryDimension>())]
    pub(super) by: Vec<SummaryDimension>,
    /// Only in this state
    #[arg(long, value_parser = choice::<OfferState>())]
    pub(super) state: Option<OfferState>,
    /// Only in this RSC region, by name
    #[arg(long)]
    pub(super) region: Option<String>,
    /// Only assigned to the caller
    #[arg(long, conflicts_with = "assignee")]
    pub(super) mine: bool,
    /// Only assigned to this person; `-` for offers without an assignee
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub(super) assignee: Option<String>,
    /// Only offers that list a school of this local authority
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(i32).range(100..=999))]
    pub(super) local_authority: Option<i32>,
    #[command(flatten)]
    pub(super) output: ListOutput,
}

/// The conditions of a list of offers. An offer must meet all of them.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only in this state
    #[arg(long, value_parser = choice::<OfferState>())]
    pub(super) state: Option<OfferState>,
    /// Only in this RSC region, by name
    #[arg(long)]
    pub(super) region: Option<String>,
    /// Only assigned to the caller
    #[arg(long, conflicts_with = "assignee")]
    pub(super) mine: bool,
    /// Only assigned to this person; `-` for offers without an assignee
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub(super) assignee: Option<String>,
    /// Only offers that list a school of this local authority
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(i32).range(100..=999))]
    pub(super) local_authority: Option<i32>,
    /// Part of the recipient's or a school's name, or a whole URN or UID
    #[arg(long, value_name = "TEXT")]
    pub(super) search: Option<String>,
    /// A condition, see docs/reference/lists.md
    #[arg(long, value_name = "CONDITION")]
    pub(super) filter: Option<String>,
    /// `create_time` or `name`; with ` desc` in descending order [default: create_time]
    #[arg(long, value_name = "ORDER")]
    pub(super) order_by: Option<String>,
    #[command(flatten)]
    pub(super) output: ListOutput,
}

/// The arguments of a watch. It begins with a snapshot of all offers, unless `--after` or `--resume` is given.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Only in this RSC region, by name; can be repeated
    #[arg(id = "watched", long = "region", value_name = "REGION")]
    pub(super) regions: Vec<String>,
    /// Only in this state; can be repeated
    #[arg(long = "state", value_name = "STATE", value_parser = choice::<OfferState>())]
    pub(super) states: Vec<OfferState>,
    /// Only changes after this event; 0 for all changes
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "resume", value_parser = clap::value_parser!(i64).range(0..))]
    pub(super) after: Option<i64>,
    /// Only changes after the line with this resume token
    #[arg(long, value_name = "TOKEN")]
    pub(super) resume: Option<String>,
    /// Stop after all changes until now
    #[arg(long)]
    pub(super) once: bool,
}

/// The arguments of `tsio offers contact`.
#[derive(Debug, Args)]
pub struct ContactArgs {
    /// The offers: ids, endings, URNs of their schools, or `uid:2345`
    #[arg(required_unless_present = "local_authority", value_name = "OFFER")]
    pub(super) offers: Vec<String>,
    /// Instead of naming offers: all that wait for this contact and list a school of this local authority. With
    /// `--party school` only offers to schools, not those to trusts
    #[arg(long, value_name = "CODE", conflicts_with_all = ["offers", "urn", "etag"], value_parser = clap::value_parser!(i32).range(100..=999))]
    pub(super) local_authority: Option<i32>,
    /// Only show what would change, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// The party that was contacted
    #[arg(long, value_parser = choice::<Party>())]
    pub(super) party: Party,
    /// The URN of the school, if a school of a trust's offer was contacted
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    pub(super) urn: Option<i32>,
    /// The date of the contact
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) on: String,
    #[command(flatten)]
    pub(super) note: Note,
    /// Only if the offer still has this etag; with one offer only
    #[arg(long)]
    pub(super) etag: Option<String>,
}

/// The offer to change.
#[derive(Debug, Args)]
pub struct OfferArg {
    /// The offer's id
    pub(super) offer: String,
    /// Only if the offer still has this etag
    #[arg(long)]
    pub(super) etag: Option<String>,
}

/// The date of a step of an offer.
#[derive(Debug, Args)]
pub struct OfferDate {
    /// The date [default: today]
    #[arg(long = "on", value_name = "DATE", value_parser = date)]
    pub(super) date: Option<String>,
}

/// The note of a command.
#[derive(Debug, Args)]
pub struct Note {
    /// Free text; stored separately, and can be erased
    #[arg(long = "note", value_name = "TEXT")]
    pub(super) text: Option<String>,
}

impl OffersCommand {
    /// Returns the arguments that may be names of offers.
    pub(in crate::cli) fn named_args(&mut self) -> Vec<NamedArg<'_>> {
        match self {
            Self::Identify { .. } | Self::List(_) | Self::Summary(_) | Self::Watch(_) => Vec::new(),
            Self::Show { offers } => offers.iter_mut().map(NamedArg::offer).collect(),
            Self::Contact(args) => args.offers.iter_mut().map(NamedArg::offer).collect(),
            Self::Events { offer, .. } => vec![NamedArg::offer(offer)],
            Self::Change(command) => vec![NamedArg::offer(&mut command.target().offer)],
        }
    }
}

impl ChangeCommand {
    /// Returns the offer to change.
    const fn target(&mut self) -> &mut OfferArg {
        match self {
            Self::Correct { which, .. }
            | Self::CorrectDate { which, .. }
            | Self::Accept { which, .. }
            | Self::Decline { which, .. }
            | Self::Start { which, .. }
            | Self::Close { which, .. }
            | Self::Reopen { which, .. }
            | Self::Assign { which, .. }
            | Self::Note { which, .. }
            | Self::Region { which, .. } => which,
        }
    }
}

impl OfferArg {
    /// Returns the id, and the etag as the message has it: empty if none is given.
    pub(super) fn parts(self) -> (String, String) {
        (self.offer, self.etag.unwrap_or_default())
    }
}

impl OfferDate {
    /// Returns the date as the message has it: empty for today.
    pub(super) fn date(self) -> String {
        self.date.unwrap_or_default()
    }
}

impl Note {
    /// Returns the note as the message has it: empty if none is given.
    pub(super) fn text(self) -> String {
        self.text.unwrap_or_default()
    }
}
