//! The words of `tsio offers`.

use clap::{Args, Subcommand};

use crate::cli::args::{PROGRAMME, date};
use crate::cli::names::choice;
use crate::proto::{Acceptor, DeclineReason, Milestone, OfferState, Outcome, Party};

/// A command about offers.
#[derive(Debug, Subcommand)]
pub enum OffersCommand {
    /// Make an offer to every eligible recipient that has none
    #[command(after_help = "Example:\n  tsio offers identify --programme 2021-22 --dry-run")]
    Identify {
        /// The programme
        #[arg(long, value_name = "PROGRAMME", default_value = PROGRAMME)]
        programme: String,
        /// Answer what it would do and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Offers, in the order they were made
    #[command(after_help = "Examples:\n  tsio offers list --state identified --region \"West Midlands\"\n  \
                      tsio offers list --mine --output json\n  \
                      tsio offers list --filter 'NOT state = CLOSED AND schools.urn : 103150' --order-by name")]
    List(ListArgs),
    /// Offers with their schools, contacts, caps and awards; up to a hundred are of one moment
    #[command(
        after_help = "Examples:\n  tsio offers show 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f\n  tsio offers show $A $B"
    )]
    Show {
        /// The offers' ids
        #[arg(required = true, value_name = "OFFER")]
        offers: Vec<String>,
    },
    /// What happened to one offer, first to last
    #[command(after_help = "Examples:\n  tsio offers events 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f\n  \
                            tsio offers events $OFFER --filter 'NOT kind = noted' --order-by 'sequence desc'")]
    Events {
        /// The offer's id
        offer: String,
        /// A condition, see docs/reference/lists.md
        #[arg(long, value_name = "CONDITION", default_value = "", hide_default_value = true)]
        filter: String,
        /// `sequence` (when not given), or `sequence desc`, the last first
        #[arg(long, value_name = "ORDER", default_value = "", hide_default_value = true)]
        order_by: String,
    },
    /// Every change of a programme's offers as it comes, one line each, resuming by itself
    #[command(
        after_help = "Examples:\n  tsio offers watch --region \"West Midlands\" --state accepted --output json\n  \
                      tsio offers watch --resume $TOKEN --once --output json"
    )]
    Watch(WatchArgs),
    /// Record a contact with one party of one or many offers, all or none
    #[command(after_help = "Examples:\n  tsio offers contact $A $B --party responsible-body --on 2021-10-04\n  \
                      tsio offers contact $A --party school --urn 103150 --on 2021-10-05 --note \"by phone\"")]
    Contact(ContactArgs),
    /// A command that changes one offer.
    #[command(flatten)]
    Change(ChangeCommand),
}

/// A command that changes one offer.
#[derive(Debug, Subcommand)]
pub enum ChangeCommand {
    /// Mark a contact as a mistake; it stays on record
    #[command(after_help = "Example:\n  tsio offers correct $OFFER --contact 1204 --note \"wrong school rung\"")]
    Correct {
        #[command(flatten)]
        which: OfferArg,
        /// The contact's number, as `offers show` lists it
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        contact: i64,
        #[command(flatten)]
        note: Note,
    },
    /// Correct a mistaken date of the acceptance or of the start
    #[command(
        after_help = "Example:\n  tsio offers correct-date $OFFER accepted --on 2021-10-08 --reason \"letter of 8 October\""
    )]
    CorrectDate {
        #[command(flatten)]
        which: OfferArg,
        /// What has the date
        #[arg(value_parser = choice::<Milestone>())]
        milestone: Milestone,
        /// The day it was
        #[arg(long, value_name = "DATE", value_parser = date)]
        on: String,
        /// Why; kept apart and erasable
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
        /// Why
        #[arg(long, value_parser = choice::<DeclineReason>())]
        reason: DeclineReason,
        #[command(flatten)]
        on: OfferDate,
        #[command(flatten)]
        note: Note,
    },
    /// Start delivery; needs an award
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
        /// How it ends
        #[arg(long, value_parser = choice::<Outcome>())]
        outcome: Outcome,
        #[command(flatten)]
        on: OfferDate,
        #[command(flatten)]
        note: Note,
    },
    /// Reopen a closed offer; a second person carries it out
    #[command(after_help = "Example:\n  tsio offers reopen $OFFER --reason \"closed by mistake\"")]
    Reopen {
        #[command(flatten)]
        which: OfferArg,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Assign an offer to a person or a delivery partner, or to nobody
    #[command(after_help = "Examples:\n  tsio offers assign $OFFER --to a.officer\n  tsio offers assign $OFFER --to -")]
    Assign {
        #[command(flatten)]
        which: OfferArg,
        /// The person's id; `-` for nobody
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        to: String,
    },
    /// Add a note
    #[command(after_help = "Example:\n  tsio offers note $OFFER \"head teacher on leave until May\"")]
    Note {
        #[command(flatten)]
        which: OfferArg,
        /// The note
        text: String,
    },
    /// Move an offer to another region
    #[command(after_help = "Example:\n  tsio offers region $OFFER --to \"West Midlands\"")]
    Region {
        #[command(flatten)]
        which: OfferArg,
        /// RSC region, by name
        #[arg(long, value_name = "REGION")]
        to: String,
    },
}

/// Which offers to list; all conditions given must hold.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The programme
    #[arg(long, value_name = "PROGRAMME", default_value = PROGRAMME)]
    pub(super) programme: String,
    /// Only in this state
    #[arg(long, value_parser = choice::<OfferState>())]
    pub(super) state: Option<OfferState>,
    /// Only in this RSC region, by name
    #[arg(long)]
    pub(super) region: Option<String>,
    /// Only assigned to the caller
    #[arg(long, conflicts_with = "assignee")]
    pub(super) mine: bool,
    /// Only assigned to this person; `-` for nobody
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub(super) assignee: Option<String>,
    /// Part of the recipient's or a school's name, or a whole URN or UID
    #[arg(long, value_name = "TEXT")]
    pub(super) search: Option<String>,
    /// A condition, see docs/reference/lists.md
    #[arg(long, value_name = "CONDITION")]
    pub(super) filter: Option<String>,
    /// `create_time` (when not given), `name`, or either with ` desc`
    #[arg(long, value_name = "ORDER")]
    pub(super) order_by: Option<String>,
}

/// What to watch, and from where on; each offer as it is comes first, unless a place is given.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The programme
    #[arg(long, value_name = "PROGRAMME", default_value = PROGRAMME)]
    pub(super) programme: String,
    /// Only in this RSC region, by name; may be given again
    #[arg(id = "watched", long = "region", value_name = "REGION")]
    pub(super) regions: Vec<String>,
    /// Only in this state; may be given again
    #[arg(long = "state", value_name = "STATE", value_parser = choice::<OfferState>())]
    pub(super) states: Vec<OfferState>,
    /// Only what came after this event; 0 for everything from the first
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "resume", value_parser = clap::value_parser!(i64).range(0..))]
    pub(super) after: Option<i64>,
    /// Only what came after the line with this resume token
    #[arg(long, value_name = "TOKEN")]
    pub(super) resume: Option<String>,
    /// Stop after everything recorded so far was sent
    #[arg(long)]
    pub(super) once: bool,
}

/// A contact.
#[derive(Debug, Args)]
pub struct ContactArgs {
    /// The offers' ids
    #[arg(required = true, value_name = "OFFER")]
    pub(super) offers: Vec<String>,
    /// Whom it was with
    #[arg(long, value_parser = choice::<Party>())]
    pub(super) party: Party,
    /// The school, for a contact with a school of a trust's offer
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    pub(super) urn: Option<i32>,
    /// The day it happened
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) on: String,
    #[command(flatten)]
    pub(super) note: Note,
    /// Only if the offer is still as it was with this etag; for one offer
    #[arg(long)]
    pub(super) etag: Option<String>,
}

/// Which offer to change.
#[derive(Debug, Args)]
pub struct OfferArg {
    /// The offer's id
    pub(super) offer: String,
    /// Only if the offer is still as it was with this etag
    #[arg(long)]
    pub(super) etag: Option<String>,
}

/// When.
#[derive(Debug, Args)]
pub struct OfferDate {
    /// The day it happened [default: today]
    #[arg(long = "on", value_name = "DATE", value_parser = date)]
    pub(super) date: Option<String>,
}

/// Free text.
#[derive(Debug, Args)]
pub struct Note {
    /// Free text; kept apart and erasable
    #[arg(long = "note", value_name = "TEXT")]
    pub(super) text: Option<String>,
}

impl OfferArg {
    /// The id, and the etag as it travels.
    pub(super) fn parts(self) -> (String, String) {
        (self.offer, self.etag.unwrap_or_default())
    }
}

impl OfferDate {
    /// The date as it travels: empty for today.
    pub(super) fn date(self) -> String {
        self.date.unwrap_or_default()
    }
}

impl Note {
    /// The note as it travels.
    pub(super) fn text(self) -> String {
        self.text.unwrap_or_default()
    }
}
