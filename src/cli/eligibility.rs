//! `tsio eligibility`: counts and lists schools, explains one school or trust, and lists changes between two months.

#[cfg(test)]
mod tests;

use clap::Subcommand;
use tonic::Code;

use super::args::ListOutput;
use super::dates::date;
use super::errors::Failure;
use super::json;
use super::names::choice;
use super::session::{PAGE, Session, every_page};
use super::view::{eligibility, schools};
use crate::proto::explain_eligibility_request::Subject;
use crate::proto::{
    DecideEntryRequest, EntryPosition, ExplainEligibilityRequest, ExplainEligibilityResponse,
    ListEligibilityChangesRequest, ListEligibilityRequest, SummariseEligibilityRequest,
};

/// A command about eligibility.
#[derive(Debug, Subcommand)]
pub enum EligibilityCommand {
    /// Count schools by rule and by kind of recipient
    #[command(after_help = "Example:\n  tsio eligibility summary --programme 2021-22 --output json")]
    Summary,
    /// List schools that are eligible, or that meet a condition
    #[command(
        after_help = "Examples:\n  tsio eligibility list\n  tsio eligibility list --filter E2_RI_TWICE_ON_ENTRY\n  \
                      tsio eligibility list --filter 'unplaced AND school.region = \"West Midlands\"' --order-by school.name"
    )]
    List {
        /// `eligible`, `unknown`, `unplaced`, `closed`, `decided`, the id of a rule, or a condition; see docs/reference/lists.md.
        /// Lists only eligible schools, unless the text names `eligible`, `unknown` or `decided`
        #[arg(long, value_name = "TEXT", default_value = "eligible")]
        filter: String,
        /// `school.urn` or `school.name`; with ` desc` in descending order [default: school.urn]
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        order_by: String,
        #[command(flatten)]
        output: ListOutput,
    },
    /// Explain each rule for one school or trust, with its evidence
    #[command(after_help = "Examples:\n  tsio eligibility explain 103150\n  tsio eligibility explain 2044 --trust")]
    Explain {
        /// A URN; or a group UID, if no file has that URN
        #[arg(value_name = "URN|UID", value_parser = clap::value_parser!(i32).range(1..))]
        number: i32,
        /// The number is a group UID
        #[arg(long)]
        trust: bool,
    },
    /// Decide the entry position of a school, if the files do not contain it; a second person must approve
    #[command(
        after_help = "Example:\n  tsio eligibility decide 148685 --position met --reason \"reports of 2014 and 2018 seen\""
    )]
    Decide {
        /// The school's URN
        #[arg(value_parser = clap::value_parser!(i32).range(1..))]
        urn: i32,
        /// `met` if the school entered the year with the judgements that the rule requires
        #[arg(long, value_parser = choice::<EntryPosition>())]
        position: EntryPosition,
        /// The evidence for the decision
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List the schools whose eligibility changed between two dates
    #[command(after_help = "Example:\n  tsio eligibility changes --from 2021-08-31 --to 2021-11-30")]
    Changes {
        /// The earlier date: uses the files up to this date
        #[arg(long, value_name = "DATE", value_parser = date)]
        from: String,
        /// The later date: uses the files up to this date
        #[arg(long, value_name = "DATE", value_parser = date)]
        to: String,
        #[command(flatten)]
        output: ListOutput,
    },
}

pub(super) async fn run(command: EligibilityCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        EligibilityCommand::Summary => {
            let programme = session.programme();
            let request = session.call(SummariseEligibilityRequest { programme });
            let answer = session.services.eligibility().summarise_eligibility(request).await?.into_inner();
            let summary = eligibility::with_all_rules(answer);
            session.print(|| json::of(&summary), || eligibility::summary(&summary))
        }
        EligibilityCommand::List { filter, order_by, output } => {
            let programme = session.programme();
            let first_request =
                ListEligibilityRequest { programme, filter, order_by, page_size: PAGE, ..Default::default() };
            let all_schools = every_page(async |page_token| {
                let request = ListEligibilityRequest { page_token, ..first_request.clone() };
                let answer = session.services.eligibility().list_eligibility(session.call(request)).await?.into_inner();
                Ok((answer.schools, answer.next_page_token))
            });
            let all_schools = all_schools.await?;
            session.print_list(&all_schools, &output, eligibility::school_json, eligibility::rows)
        }
        EligibilityCommand::Explain { number, trust } => {
            let answer = explain(session, &session.programme(), number, trust).await?;
            session.print(|| eligibility::explanation_json(&answer), || eligibility::explanation(&answer))
        }
        EligibilityCommand::Decide { urn, position, reason } => {
            let (request_id, programme, position) = (session.request_id(), session.programme(), position.into());
            let request = DecideEntryRequest { request_id, programme, urn, position, reason, validate_only: false };
            let answer = session.services.eligibility().decide_entry(session.call(request)).await?.into_inner();
            let text = || answer.decision.as_ref().map(schools::decision).unwrap_or_default();
            session.print(|| json::of(&answer), text)
        }
        EligibilityCommand::Changes { from, to, output } => {
            let programme = session.programme();
            let changes = every_page(async |page_token| {
                let (programme, from_date, to_date) = (programme.clone(), from.clone(), to.clone());
                let request =
                    ListEligibilityChangesRequest { programme, from_date, to_date, page_size: PAGE, page_token };
                let answer =
                    session.services.eligibility().list_eligibility_changes(session.call(request)).await?.into_inner();
                Ok((answer.changes, answer.next_page_token))
            });
            let changes = changes.await?;
            session.print_list(&changes, &output, json::of, eligibility::changes)
        }
    }
}

/// Explains the eligibility of a school or trust. With `trust` the number is a UID. Without it the number is looked up as a URN
/// first, and as a UID only if no file has that URN, because URNs and UIDs overlap. If there is neither, the error is that of the
/// URN.
async fn explain(
    session: &Session<'_>,
    programme: &str,
    number: i32,
    trust: bool,
) -> Result<ExplainEligibilityResponse, Failure> {
    let request_explanation = async |subject| {
        let request = ExplainEligibilityRequest { programme: programme.to_owned(), subject: Some(subject) };
        session.services.eligibility().explain_eligibility(session.call(request)).await.map(tonic::Response::into_inner)
    };
    if trust {
        return Ok(request_explanation(Subject::Uid(number)).await?);
    }
    match request_explanation(Subject::Urn(number)).await {
        Err(no_school) if no_school.code() == Code::NotFound => match request_explanation(Subject::Uid(number)).await {
            Err(no_trust) if no_trust.code() == Code::NotFound => Err(no_school.into()),
            answer => Ok(answer?),
        },
        answer => Ok(answer?),
    }
}
