//! `ListImports`: which imports, in which order.

use crate::app::imports::{Filter, Kind, State};
use crate::app::{App, ImportField, Page, Result};
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size, token};
use crate::grpc::message::filter::values::{Value, actor, choice, day, instant, number, some_actor, text};
use crate::grpc::message::filter::{self, Column, ORDERED, SAME};
use crate::grpc::service::call::Call;
use crate::proto::{ListImportsRequest, ListImportsResponse};

/// What a filter may ask of an import, by the names of the message's fields. docs/reference/lists.md has it in prose.
#[rustfmt::skip]
const COLUMNS: &[Column<ImportField>] = &[
    Column { name: "kind",          column: ImportField::Kind,        takes: SAME,    read: kind },
    Column { name: "as_at",         column: ImportField::AsAt,        takes: ORDERED, read: day },
    Column { name: "state",         column: ImportField::State,       takes: SAME,    read: state },
    Column { name: "file_name",     column: ImportField::FileName,    takes: SAME,    read: text },
    Column { name: "rows",          column: ImportField::Rows,        takes: ORDERED, read: number },
    Column { name: "accepted",      column: ImportField::Accepted,    takes: ORDERED, read: number },
    Column { name: "imported_by",   column: ImportField::ImportedBy,  takes: SAME,    read: actor },
    Column { name: "imported_time", column: ImportField::Imported,    takes: ORDERED, read: instant },
    Column { name: "withdrawn_by",  column: ImportField::WithdrawnBy, takes: SAME,    read: some_actor },
];

fn kind(text: &str) -> Value {
    choice(text, "IMPORT_KIND_", Kind::ALL.iter().map(|it| it.name()))
}

fn state(text: &str) -> Value {
    let seen = [State::Landed, State::Replaced, State::Withdrawn];
    choice(text, "IMPORT_STATE_", seen.map(State::name).into_iter())
}

pub(super) async fn list(app: &App, call: Call<ListImportsRequest>) -> Result<ListImportsResponse> {
    let message = &call.message;
    let mut fields = Fields::default();
    let kind: Option<Kind> = conversion::import_kind_from(message.kind);
    if kind.is_none() && message.kind != 0 {
        fields.wrong("kind", "is not a kind of file");
    }
    let condition = filter::read(&mut fields, COLUMNS, &message.filter);
    let orders = [("import_id desc", true), ("import_id", false)];
    let newest_first = filter::order(&mut fields, &orders, &message.order_by);
    let newest_first = fields.done(newest_first)?;
    let bound = call.bound(&ListImportsRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let after = token::read_as(&bound, &message.page_token)?;
    let limit = page_size(message.page_size);
    let filter = Filter { kind, condition };
    let page = app.list_imports(&call.caller, &filter, Page { newest_first, after, limit }).await?;
    let next_page_token = token::next(&bound, limit, &page, |last| last.id.to_string());
    Ok(ListImportsResponse { imports: page.iter().map(conversion::import).collect(), next_page_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_asks_fields_of_the_message() {
        filter::tests::are_fields_of("Import", COLUMNS);
    }
}
