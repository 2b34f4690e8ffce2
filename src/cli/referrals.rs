//! `tsio referrals`: schools and trusts that come forward, or are put forward.

use clap::{Args, Subcommand};
use prost::{Message, Name};

use super::args::{ListQuery, PROGRAMME, date};
use super::errors::Failure;
use super::json;
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
    /// Put a discussion on record, with whom it was held
    #[command(
        after_help = "Example:\n  tsio referrals discuss $REFERRAL --with rsc --on 2021-11-09 --note \"agreed to visit\""
    )]
    Discuss {
        #[command(flatten)]
        which: ReferralArg,
        #[command(flatten)]
        on: ReferralDate,
        /// With whom: `rsc` is the regional schools commissioner, without whom nothing is decided
        #[arg(long, value_parser = choice::<DiscussionPartner>(), value_name = "WHOM", default_value = "rsc")]
        with: DiscussionPartner,
        /// What was said
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
    /// Approve a referral, which makes the offer; not by the person who raised it
    #[command(after_help = "Example:\n  tsio referrals approve $REFERRAL --on 2021-11-12 --because \"as discussed\"")]
    Approve(DecideArgs),
    /// Decline a referral; not by the person who raised it
    #[command(after_help = "Example:\n  tsio referrals decline $REFERRAL --on 2021-11-12 --because \"as discussed\"")]
    Decline(DecideArgs),
    /// Take a referral back undecided
    #[command(after_help = "Example:\n  tsio referrals withdraw $REFERRAL --because \"raised twice\"")]
    Withdraw {
        #[command(flatten)]
        which: ReferralArg,
        /// Why
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
    /// Referrals, newest first
    #[command(after_help = "Examples:\n  tsio referrals list --state open --region \"West Midlands\"\n  \
                            tsio referrals list --filter 'ground = covid_disruption AND raise_date < 2022-02-01'")]
    List {
        /// The programme
        #[arg(long, value_name = "PROGRAMME", default_value = PROGRAMME)]
        programme: String,
        /// In this state
        #[arg(long, value_parser = choice::<ReferralState>())]
        state: Option<ReferralState>,
        /// In this RSC region, by name
        #[arg(long, value_name = "REGION")]
        region: Option<String>,
        #[command(flatten)]
        query: ListQuery,
    },
    /// One referral with its discussions
    #[command(after_help = "Example:\n  tsio referrals show 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f")]
    Show {
        /// The referral's id
        referral: String,
    },
}

/// What to refer.
#[derive(Debug, Args)]
pub struct RaiseArgs {
    /// The programme
    #[arg(long, value_name = "PROGRAMME", default_value = PROGRAMME)]
    programme: String,
    /// The trust, by its group UID, to refer it for the schools named
    #[arg(long, value_name = "UID", value_parser = clap::value_parser!(i32).range(1..))]
    uid: Option<i32>,
    /// The school; with --uid each of the trust's schools that needs the support
    #[arg(long = "urn", value_name = "URN", required = true, value_parser = clap::value_parser!(i32).range(1..))]
    urns: Vec<i32>,
    /// How it came about
    #[arg(long, value_parser = choice::<ReferralOrigin>())]
    origin: ReferralOrigin,
    /// The ground, by its name in the terms
    #[arg(long, value_name = "GROUND")]
    ground: String,
    #[command(flatten)]
    on: ReferralDate,
    /// Why
    #[arg(long, value_name = "TEXT")]
    because: String,
}

/// Which referral is decided, and why.
#[derive(Debug, Args)]
pub struct DecideArgs {
    #[command(flatten)]
    which: ReferralArg,
    #[command(flatten)]
    on: ReferralDate,
    /// Why
    #[arg(long, value_name = "TEXT")]
    because: String,
}

/// Which referral.
#[derive(Debug, Args)]
pub struct ReferralArg {
    /// The referral's id
    referral: String,
    /// Only if the referral is still as it was with this etag
    #[arg(long)]
    etag: Option<String>,
}

/// When.
#[derive(Debug, Args)]
pub struct ReferralDate {
    /// The day it happened [default: today]
    #[arg(long, value_name = "DATE", value_parser = date)]
    on: Option<String>,
}

impl ReferralArg {
    /// The id, and the etag as it travels.
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
                programme: args.programme,
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
        ReferralsCommand::List { programme, state, region, query: ListQuery { filter, order_by } } => {
            let first = ListReferralsRequest {
                programme,
                state: state.unwrap_or(ReferralState::Unspecified).into(),
                region: region.unwrap_or_default(),
                page_size: PAGE,
                filter,
                order_by,
                page_token: String::new(),
            };
            let found = every_page(async |page_token| {
                let request = ListReferralsRequest { page_token, ..first.clone() };
                let answer = session.services.referrals().list_referrals(session.call(request)).await?.into_inner();
                Ok((answer.referrals, answer.next_page_token))
            });
            let found = found.await?;
            session.print(|| json::list(&found), || view::rows(&found))
        }
        ReferralsCommand::Show { referral } => {
            let answer = referrals.get_referral(session.call(GetReferralRequest { referral })).await?.into_inner();
            let text = || answer.referral.as_ref().map(view::one).unwrap_or_default();
            session.print(|| json::of(&answer), text)
        }
    }
}

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

/// Prints a referral after a change, and the offer that was made of it.
fn changed<M: Message + Name>(
    session: &Session<'_>,
    answer: &M,
    (referral, made): (Option<&Referral>, Option<&Offer>),
    warnings: &[Warning],
) -> Result<(), Failure> {
    warn(warnings);
    session.print(|| view::changed_json(json::changed(answer), made), || view::changed(referral, made))
}
