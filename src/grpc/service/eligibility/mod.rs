//! `EligibilityService`.

mod list;

use tonic::{Request, Response, Status, Streaming, async_trait};

use super::call::{Call, unary};
use super::upload::{self, UploadAnswers, UploadPart, Uploads};
use crate::app::commands::DecideEntry;
use crate::app::eligibility::{ChangeKind, ChangedEligibility};
use crate::app::imports::ImportSource;
use crate::app::{App, Result};
use crate::grpc::message::conversion::{self, count, number};
use crate::grpc::message::fields::{Fields, page_size, token};
use crate::proto::eligibility_service_server::EligibilityService;
use crate::proto::explain_eligibility_request::Subject;
use crate::proto::{
    DecideEntryRequest, DecideEntryResponse, EligibilityChange, ExplainEligibilityRequest, ExplainEligibilityResponse,
    ImportOfstedRequest, ImportOfstedResponse, ListEligibilityChangesRequest, ListEligibilityChangesResponse,
    ListEligibilityRequest, ListEligibilityResponse, SummariseEligibilityRequest, SummariseEligibilityResponse,
    import_ofsted_request, import_ofsted_response,
};

/// The service.
#[derive(Debug)]
pub(in crate::grpc) struct Eligibility {
    pub(in crate::grpc) app: App,
    pub(in crate::grpc) uploads: Uploads,
}

type Reply<T> = std::result::Result<Response<T>, Status>;

#[async_trait]
impl EligibilityService for Eligibility {
    type ImportOfstedStream = UploadAnswers<ImportOfstedResponse>;

    async fn import_ofsted(&self, request: Request<Streaming<ImportOfstedRequest>>) -> Reply<Self::ImportOfstedStream> {
        let part = |message: ImportOfstedRequest| match message.part {
            Some(import_ofsted_request::Part::Header(header)) => UploadPart::Header(header),
            Some(import_ofsted_request::Part::Chunk(chunk)) => UploadPart::Chunk(chunk),
            None => UploadPart::Empty,
        };
        let wrap = |answer| {
            let part = match answer {
                upload::UploadAnswer::Progress(it) => import_ofsted_response::Part::Progress(it),
                upload::UploadAnswer::Outcome(it) => import_ofsted_response::Part::Outcome(it),
            };
            ImportOfstedResponse { part: Some(part) }
        };
        upload::receive_upload(self.app.clone(), self.uploads.clone(), ImportSource::Ofsted, request, part, wrap)
    }

    async fn explain_eligibility(
        &self,
        request: Request<ExplainEligibilityRequest>,
    ) -> Reply<ExplainEligibilityResponse> {
        unary(request, async |call| explain(&self.app, call).await).await
    }

    async fn list_eligibility(&self, request: Request<ListEligibilityRequest>) -> Reply<ListEligibilityResponse> {
        unary(request, async |call| list::list(&self.app, call).await).await
    }

    async fn summarise_eligibility(
        &self,
        request: Request<SummariseEligibilityRequest>,
    ) -> Reply<SummariseEligibilityResponse> {
        unary(request, async |call| {
            let mut fields = Fields::default();
            let programme = fields.programme(&call.message.programme);
            let it = self.app.eligibility_summary(&call.caller, call.now.today, &fields.done(programme)?).await?;
            Ok(SummariseEligibilityResponse {
                programme: it.programme.to_string(),
                as_at: conversion::date(it.as_at),
                schools: count(it.schools),
                eligible_schools: count(it.eligible_schools),
                by_rule: it.by_rule.into_iter().map(|(rule, schools)| (rule.to_string(), count(schools))).collect(),
                mat_schools: count(it.mat.schools),
                mat_trusts: count(it.mat.trusts),
                standalone_schools: count(it.standalone.schools),
                standalone_maintained: count(it.standalone.maintained),
                standalone_single_academy_trust: count(it.standalone.single_academy_trust),
                standalone_single_school_mat: count(it.standalone.single_school_mat),
                unplaced: count(it.unplaced),
                unknown: count(it.unknown),
                closed: count(it.closed),
                decided_by_person: count(it.decided_by_person),
            })
        })
        .await
    }

    async fn decide_entry(&self, request: Request<DecideEntryRequest>) -> Reply<DecideEntryResponse> {
        unary(request, async |call| decide_entry(&self.app, call).await).await
    }

    async fn list_eligibility_changes(
        &self,
        request: Request<ListEligibilityChangesRequest>,
    ) -> Reply<ListEligibilityChangesResponse> {
        unary(request, async |call| list_changes(&self.app, call).await).await
    }
}

async fn explain(app: &App, call: Call<ExplainEligibilityRequest>) -> Result<ExplainEligibilityResponse> {
    let mut fields = Fields::default();
    let programme = fields.programme(&call.message.programme);
    let (mut urn, mut uid) = (None, None);
    match call.message.subject {
        Some(Subject::Urn(number)) => urn = fields.urn("urn", number),
        Some(Subject::Uid(number)) => uid = fields.uid("uid", number),
        None => fields.add_violation("subject", "is required: a URN or a group UID"),
    }
    let programme = fields.done(programme)?;
    let explanation = match (urn, uid) {
        (Some(urn), _) => app.explain_school(&call.caller, call.now.today, &programme, urn).await?,
        (None, Some(uid)) => app.explain_trust(&call.caller, call.now.today, &programme, uid).await?,
        (None, None) => return Err(crate::app::AppError::Bug("no subject past the checks".to_owned())),
    };
    Ok(ExplainEligibilityResponse {
        programme: programme.to_string(),
        schools: explanation.schools.iter().map(conversion::school_eligibility).collect(),
        trust_rules: explanation.trust_rules.iter().map(conversion::rule_answer).collect(),
        trust: explanation.trust.as_ref().map(conversion::trust),
    })
}

async fn decide_entry(app: &App, call: Call<DecideEntryRequest>) -> Result<DecideEntryResponse> {
    let message = &call.message;
    let command = Fields::command(&message.request_id, |fields| {
        let programme = fields.programme(&message.programme);
        let urn = fields.urn("urn", message.urn);
        let met = fields.choice("position", conversion::entry_position_from(message.position));
        let reason = fields.text("reason", &message.reason);
        Some(DecideEntry { programme: programme?, urn: urn?, met: met?, reason: reason? })
    });
    let validate_only = message.validate_only;
    call.change(app, command, validate_only).await
}

async fn list_changes(app: &App, call: Call<ListEligibilityChangesRequest>) -> Result<ListEligibilityChangesResponse> {
    let message = &call.message;
    let (programme, from, to) = Fields::check(|fields| {
        let programme = fields.programme(&message.programme);
        let from = fields.date("from_date", &message.from_date);
        let to = fields.date("to_date", &message.to_date);
        Some((programme?, from?, to?))
    })?;
    let bound_message = ListEligibilityChangesRequest { page_size: 0, page_token: String::new(), ..message.clone() };
    let token_binding = call.token_binding(&bound_message);
    let after: Option<ChangeKey> = token::read_as(&token_binding, &message.page_token)?;
    let size = page_size(message.page_size);
    let changes = app.eligibility_changes(&call.caller, &programme, from, to).await?;
    let remaining = changes
        .iter()
        .map(change_message)
        .filter(|it| after.as_ref().is_none_or(|after| ChangeKey::from_message(it) > *after));
    let page: Vec<EligibilityChange> = remaining.take(usize::try_from(size).unwrap_or(usize::MAX)).collect();
    let next_page_token = token::next(&token_binding, size, &page, |last| ChangeKey::from_message(last).to_string());
    Ok(ListEligibilityChangesResponse { changes: page, next_page_token })
}

/// The sort key of a change: the URN of its school, then the index of its kind in [`KINDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ChangeKey(i32, usize);

impl ChangeKey {
    fn from_message(it: &EligibilityChange) -> Self {
        Self(it.urn, KINDS.iter().position(|(_, name)| *name == it.change).unwrap_or(KINDS.len()))
    }
}

impl std::fmt::Display for ChangeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

impl std::str::FromStr for ChangeKey {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let (urn, kind) = text.split_once(' ').unwrap_or((text, ""));
        Ok(Self(urn.parse()?, kind.parse()?))
    }
}

/// The kinds of change, in the order of the list.
const KINDS: [(ChangeKind, &str); 5] = [
    (ChangeKind::BecameEligible, "became_eligible"),
    (ChangeKind::RuleAdded, "rule_added"),
    (ChangeKind::Superseded, "superseded"),
    (ChangeKind::BecameUnknown, "became_unknown"),
    (ChangeKind::NoLongerEligible, "no_longer_eligible"),
];

fn change_message(it: &ChangedEligibility) -> EligibilityChange {
    let kind = KINDS.iter().find(|(kind, _)| *kind == it.kind).map_or("", |(_, name)| *name);
    EligibilityChange {
        urn: number(it.urn.get()),
        name: it.name.clone(),
        change: kind.to_owned(),
        rules: it.rules.iter().map(ToString::to_string).collect(),
        superseded_by: it.superseded_by.map_or(0, |urn| number(urn.get())),
    }
}
