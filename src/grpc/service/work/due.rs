//! `ListDue`: the conditions and the pages of the list.

use std::collections::BTreeSet;

use super::actor_or_none;
use crate::app::{App, DueQuery, Result};
use crate::domain::due::DueKind;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size, token};
use crate::grpc::service::call::Call;
use crate::proto::{ListDueRequest, ListDueResponse};

pub(super) async fn list(app: &App, call: Call<ListDueRequest>) -> Result<ListDueResponse> {
    let message = &call.message;
    let token_binding =
        call.token_binding(&ListDueRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let (programme, on, region, local_authority, owner, kinds) = Fields::check(|fields| {
        let programme = fields.programme(&message.programme);
        let on = if message.date.is_empty() { Some(call.now.today) } else { fields.date("date", &message.date) };
        let region = fields.optional("region", &message.region);
        let owner = actor_or_none(fields, "owner", &message.owner);
        let local_authority = fields.local_authority("local_authority", message.local_authority);
        let kinds = kinds(fields, message);
        Some((programme?, on?, region, local_authority, owner, kinds))
    })?;
    let limit = page_size(message.page_size);
    let after = token::read_as(&token_binding, &message.page_token)?;
    let query = DueQuery { programme, on, region, local_authority, owner, kinds, after, limit };
    let page = app.list_due(&call.caller, call.now, &query).await?;
    let next_page_token = token::next(&token_binding, limit, &page, |last| last.key.to_string());
    Ok(ListDueResponse { items: page.iter().map(conversion::due_item).collect(), next_page_token })
}

fn kinds(fields: &mut Fields, message: &ListDueRequest) -> BTreeSet<DueKind> {
    let mut kinds = BTreeSet::new();
    for (index, number) in message.kinds.iter().enumerate() {
        match conversion::due_kind_from(*number) {
            Some(kind) => drop(kinds.insert(kind)),
            None => fields.add_violation(&format!("kinds[{index}]"), "is not a kind"),
        }
    }
    kinds
}
