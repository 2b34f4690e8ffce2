//! `TermsService`.

use prost::Message as _;
use tonic::{Request, Response, Status, async_trait};

use super::call::{decode, unary};
use crate::app::terms::{NewTerms, StoredTerms};
use crate::app::{App, LoadedTerms};
use crate::domain::terms::{Ground, RuleId, Terms};
use crate::grpc::message::conversion;
use crate::grpc::message::fields::Fields;
use crate::proto::terms_service_server::TermsService;
use crate::proto::{self, ListTermsRequest, ListTermsResponse, LoadTermsRequest, LoadTermsResponse};

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
