//! `tsio referrals`: raises, discusses, decides, withdraws, lists and shows referrals.

use clap::{Args, Subcommand};
use prost::{Message, Name};

use super::args::ListQuery;
use super::dates::date;
use super::errors::Failure;
use super::json;
use super::named_arg::NamedArg;
use super::names::choice;
use super::offers::warn;
use super::session::{PAGE, Session, every_page};
use super::view::referrals as view;
use crate::proto::{
    DecideReferralRequest, DiscussionPartner, GetReferralRequest, ListReferralsRequest, Offer, RaiseReferralRequest,
    RecordDiscussionRequest, Referral, ReferralDecision, ReferralOrigin, ReferralState, Warning,
    WithdrawReferralRequest,
};

/// A command about referrals.
#[derive(Debug, Subcommand)]
pub enum ReferralsCommand {
    /// Refer a school, or a trust with the schools that need the support
    #[command(
        after_help = "Examples:\n  tsio referrals raise --urn 103150 --origin self-identified --ground would_benefit \
                      --on 2021-11-02 --because \"the head teacher wrote\"\n  \
                      tsio referrals raise --uid 2571 --urn 103150 --urn 103151 --origin exceptional --ground \
                      covid_disruption --on 2022-01-24 --because \"closed for five weeks\""
    )]
    Raise(RaiseArgs),
    /// Record a discussion about a referral
    #[command(
        after_help = "Example:\n  tsio referrals discuss $REFERRAL --with rsc --on 2021-11-09 --note \"agreed to visit\""
    )]
    Discuss {
        #[command(flatten)]
        which: ReferralArg,
        #[command(flatten)]
        on: ReferralDate,
        /// The partner of the discussion: `rsc` is the regional schools commissioner, who must be consulted before a decision
        #[arg(long, value_parser = choice::<DiscussionPartner>(), value_name = "WHOM", default_value = "rsc")]
        with: DiscussionPartner,
        /// The content of the discussion
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
    /// Approve a referral, which makes the offer; the person who raised the referral may not approve it
    #[command(after_help = "Example:\n  tsio referrals approve $REFERRAL --on 2021-11-12 --because \"as discussed\"")]
    Approve(DecideArgs),
    /// Decline a referral; the person who raised the referral may not decline it
    #[command(after_help = "Example:\n  tsio referrals decline $REFERRAL --on 2021-11-12 --because \"as discussed\"")]
    Decline(DecideArgs),
    /// Withdraw a referral before it is decided
    #[command(after_help = "Example:\n  tsio referrals withdraw $REFERRAL --because \"raised twice\"")]
    Withdraw {
        #[command(flatten)]
        which: ReferralArg,
        /// The reason
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
    /// List referrals, newest first
    #[command(after_help = "Examples:\n  tsio referrals list --state open --region \"West Midlands\"\n  \
                            tsio referrals list --filter 'ground = covid_disruption AND raise_date < 2022-02-01'")]
    List {
        /// Only in this state
        #[arg(long, value_parser = choice::<ReferralState>())]
        state: Option<ReferralState>,
        /// Only in this RSC region, by name
        #[arg(long, value_name = "REGION")]
        region: Option<String>,
        #[command(flatten)]
        query: ListQuery,
    },
    /// Show one referral with its discussions
    #[command(after_help = "Example:\n  tsio referrals show 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f")]
    Show {
        /// The referral's id
        referral: String,
    },
}

/// The arguments of `tsio referrals raise`.
#[derive(Debug, Args)]
pub struct RaiseArgs {
    /// The group UID of the trust, to refer a trust
    #[arg(long, value_name = "UID", value_parser = clap::value_parser!(i32).range(1..))]
    uid: Option<i32>,
    /// The URN of the school; with --uid, of each school of the trust that needs the support
    #[arg(long = "urn", value_name = "URN", required = true, value_parser = clap::value_parser!(i32).range(1..))]
    urns: Vec<i32>,
    /// How the referral came about
    #[arg(long, value_parser = choice::<ReferralOrigin>())]
    origin: ReferralOrigin,
    /// The ground, by its name in the terms
    #[arg(long, value_name = "GROUND")]
    ground: String,
    #[command(flatten)]
    on: ReferralDate,
    /// The reason
    #[arg(long, value_name = "TEXT")]
    because: String,
}

/// The arguments of a decision about a referral.
#[derive(Debug, Args)]
pub struct DecideArgs {
    #[command(flatten)]
    which: ReferralArg,
    #[command(flatten)]
    on: ReferralDate,
    /// The reason
    #[arg(long, value_name = "TEXT")]
    because: String,
}

/// The referral to change.
#[derive(Debug, Args)]
pub struct ReferralArg {
    /// The referral's id
    referral: String,
    /// Only if the referral still has this etag
    #[arg(long)]
    etag: Option<String>,
}

/// The date of a step of a referral.
#[derive(Debug, Args)]
pub struct ReferralDate {
    /// The day it happened [default: today]
    #[arg(long, value_name = "DATE", value_parser = date)]
    on: Option<String>,
}

impl ReferralsCommand {
    /// Returns the arguments that may be names of referrals.
    pub(super) fn named_args(&mut self) -> Vec<NamedArg<'_>> {
        match self {
            Self::Raise(_) | Self::List { .. } => Vec::new(),
            Self::Show { referral } => vec![NamedArg::referral(referral)],
            Self::Discuss { which, .. }
            | Self::Withdraw { which, .. }
            | Self::Approve(DecideArgs { which, .. })
            | Self::Decline(DecideArgs { which, .. }) => vec![NamedArg::referral(&mut which.referral)],
        }
    }
}

impl ReferralArg {
    /// Returns the id, and the etag as the message has it: empty if none is given.
    fn parts(self) -> (String, String) {
        (self.referral, self.etag.unwrap_or_default())
    }
}

pub(super) async fn run(command: ReferralsCommand, session: &Session<'_>) -> Result<(), Failure> {
    let mut referrals = session.services.referrals();
    let validate_only = false;
    match command {
        ReferralsCommand::Raise(args) => {
            let request = RaiseReferralRequest {
                request_id: session.request_id(),
                programme: session.programme(),
                uid: args.uid.unwrap_or_default(),
                urns: args.urns,
                origin: args.origin.into(),
                ground: args.ground,
                date: args.on.on.unwrap_or_default(),
                reason: args.because,
                validate_only,
            };
            let answer = referrals.raise_referral(session.call(request)).await?.into_inner();
            changed(session, &answer, (answer.referral.as_ref(), None), &answer.warnings)
        }
        ReferralsCommand::Discuss { which, on, with, note } => {
            let (request_id, (referral, etag)) = (session.request_id(), which.parts());
            let date = on.on.unwrap_or_default();
            let held_with = with.into();
            let request = RecordDiscussionRequest { request_id, referral, etag, date, note, validate_only, held_with };
            let answer = referrals.record_discussion(session.call(request)).await?.into_inner();
            changed(session, &answer, (answer.referral.as_ref(), None), &answer.warnings)
        }
        ReferralsCommand::Approve(args) => decide(args, ReferralDecision::Approve, session).await,
        ReferralsCommand::Decline(args) => decide(args, ReferralDecision::Decline, session).await,
        ReferralsCommand::Withdraw { which, because: reason } => {
            let (request_id, (referral, etag)) = (session.request_id(), which.parts());
            let request = WithdrawReferralRequest { request_id, referral, etag, reason, validate_only };
            let answer = referrals.withdraw_referral(session.call(request)).await?.into_inner();
            changed(session, &answer, (answer.referral.as_ref(), None), &[])
        }
        ReferralsCommand::List { state, region, query: ListQuery { filter, order_by, output } } => {
            let first_request = ListReferralsRequest {
                programme: session.programme(),
                state: state.unwrap_or(ReferralState::Unspecified).into(),
                region: region.unwrap_or_default(),
                page_size: PAGE,
                filter,
                order_by,
                page_token: String::new(),
            };
            let all_referrals = every_page(async |page_token| {
                let request = ListReferralsRequest { page_token, ..first_request.clone() };
                let answer = session.services.referrals().list_referrals(session.call(request)).await?.into_inner();
                Ok((answer.referrals, answer.next_page_token))
            });
            let all_referrals = all_referrals.await?;
            session.print_list(&all_referrals, &output, json::of, view::rows)
        }
        ReferralsCommand::Show { referral } => {
            let answer = referrals.get_referral(session.call(GetReferralRequest { referral })).await?.into_inner();
            let text = || answer.referral.as_ref().map(view::detail).unwrap_or_default();
            session.print(|| json::of(&answer), text)
        }
    }
}

/// Approves or declines a referral.
async fn decide(args: DecideArgs, decision: ReferralDecision, session: &Session<'_>) -> Result<(), Failure> {
    let (referral, etag) = args.which.parts();
    let request = DecideReferralRequest {
        request_id: session.request_id(),
        referral,
        etag,
        decision: decision.into(),
        date: args.on.on.unwrap_or_default(),
        reason: args.because,
        validate_only: false,
    };
    let answer = session.services.referrals().decide_referral(session.call(request)).await?.into_inner();
    changed(session, &answer, (answer.referral.as_ref(), answer.offer.as_ref()), &answer.warnings)
}

/// Prints the warnings of a command on stderr, the referral in its new state, and the offer that the decision has made, if any.
fn changed<M: Message + Name>(
    session: &Session<'_>,
    answer: &M,
    (referral, made_offer): (Option<&Referral>, Option<&Offer>),
    warnings: &[Warning],
) -> Result<(), Failure> {
    warn(warnings);
    session.print(|| view::changed_json(json::changed(answer), made_offer), || view::changed(referral, made_offer))
}
