//! `TermsService`.

use prost::Message as _;
use tonic::{Request, Response, Status, async_trait};

use super::call::{Call, decode, unary};
use crate::app::terms::{NewTerms, StoredTerms, TermsSource};
use crate::app::{App, LoadedTerms};
use crate::domain::terms::{DifferenceKind, Ground, RuleId, Terms, TermsDifference, TermsValue};
use crate::grpc::message::conversion;
use crate::grpc::message::fields::Fields;
use crate::proto::terms_service_server::TermsService;
use crate::proto::terms_source::Source;
use crate::proto::{
    self, DiffTermsRequest, DiffTermsResponse, GetTermsRequest, GetTermsResponse, ListTermsRequest, ListTermsResponse,
    LoadTermsRequest, LoadTermsResponse,
};

/// The service.
#[derive(Debug)]
pub(in crate::grpc) struct Programmes(pub(in crate::grpc) App);

#[async_trait]
impl TermsService for Programmes {
    async fn list_terms(&self, request: Request<ListTermsRequest>) -> Result<Response<ListTermsResponse>, Status> {
        unary(request, async |call| {
            let loaded_terms = self.0.list_terms(&call.caller).await?;
            Ok(ListTermsResponse { terms: loaded_terms.iter().map(|(row, terms)| terms_message(row, terms)).collect() })
        })
        .await
    }

    async fn load_terms(&self, request: Request<LoadTermsRequest>) -> Result<Response<LoadTermsResponse>, Status> {
        unary(request, async |call| {
            let mut fields = Fields::default();
            let request = fields.request_id(&call.message.request_id);
            if call.message.text.is_empty() {
                fields.add_violation("text", "is required");
            }
            let request = fields.done(request)?;
            let file_name = Some(call.message.file_name.as_str()).filter(|it| !it.is_empty()).unwrap_or("terms");
            let (request, text) = (call.identity(request), call.message.text.as_str());
            let validate_only = call.message.validate_only;
            let new = NewTerms { request, file_name, text, validate_only, encode };
            decode(&self.0.load_terms(&call.caller, new).await?)
        })
        .await
    }

    async fn get_terms(&self, request: Request<GetTermsRequest>) -> Result<Response<GetTermsResponse>, Status> {
        unary(request, async |call| get(&self.0, call).await).await
    }

    async fn diff_terms(&self, request: Request<DiffTermsRequest>) -> Result<Response<DiffTermsResponse>, Status> {
        unary(request, async |call| diff(&self.0, call).await).await
    }
}

async fn get(app: &App, call: Call<GetTermsRequest>) -> crate::app::Result<GetTermsResponse> {
    let programme = Fields::check(|fields| fields.programme(&call.message.programme))?;
    let (row, terms) = app.get_terms(&call.caller, &programme).await?;
    let value = |it: TermsValue| proto::TermsValue { key: it.key, value: it.value };
    Ok(GetTermsResponse {
        terms: Some(terms_message(&row, &terms)),
        values: terms.values().into_iter().map(value).collect(),
        text: row.text,
    })
}

async fn diff(app: &App, call: Call<DiffTermsRequest>) -> crate::app::Result<DiffTermsResponse> {
    let message = &call.message;
    let (before, after) = Fields::check(|fields| {
        let before = source(fields, "before", message.before.as_ref());
        let after = source(fields, "after", message.after.as_ref());
        before.zip(after)
    })?;
    let differences = app.diff_terms(&call.caller, &before, &after).await?;
    Ok(DiffTermsResponse { differences: differences.into_iter().map(difference).collect() })
}

/// Reads where terms come from; `None` if it is missing or wrong.
fn source(fields: &mut Fields, field: &str, source: Option<&proto::TermsSource>) -> Option<TermsSource> {
    let file_name = source.map(|it| it.file_name.clone()).filter(|it| !it.is_empty());
    match source.and_then(|it| it.source.as_ref()) {
        Some(Source::Programme(programme)) => {
            fields.parse(&format!("{field}.programme"), programme).map(TermsSource::Programme)
        }
        Some(Source::Text(text)) => {
            Some(TermsSource::Text { file_name: file_name.unwrap_or_else(|| field.to_owned()), text: text.clone() })
        }
        None => {
            fields.add_violation(field, "must have a programme or a text");
            None
        }
    }
}

fn difference(it: TermsDifference) -> proto::TermsDifference {
    let kind = match it.kind {
        DifferenceKind::AtOnce => proto::TermsDifferenceKind::AtOnce,
        DifferenceKind::LaterOffers => proto::TermsDifferenceKind::LaterOffers,
        DifferenceKind::NotAllowed => proto::TermsDifferenceKind::NotAllowed,
    };
    let (before, after) = (it.before.unwrap_or_default(), it.after.unwrap_or_default());
    proto::TermsDifference { key: it.key, before, after, kind: kind.into() }
}

fn encode(it: &StoredTerms) -> Vec<u8> {
    LoadTermsResponse { terms: Some(terms_message(&it.row, &it.terms)), unchanged: it.unchanged }.encode_to_vec()
}

fn terms_message(row: &LoadedTerms, terms: &Terms) -> proto::Terms {
    let year = terms.year();
    proto::Terms {
        programme: row.programme.to_string(),
        starts: year.from.to_string(),
        ends: year.to.to_string(),
        sha256: row.sha256.to_string(),
        load_time: Some(conversion::timestamp(row.loaded_at)),
        rules: terms.rules().iter().map(|rule| rule.id.to_string()).collect(),
        grounds: terms.grounds().map(|(rule, it)| ground(rule, it)).collect(),
    }
}

fn ground(rule: &RuleId, it: &Ground) -> proto::Ground {
    proto::Ground {
        ground: it.id.clone(),
        rule: rule.to_string(),
        text: it.text.clone(),
        starts: it.in_effect.from.to_string(),
        ends: it.in_effect.to.to_string(),
    }
}
