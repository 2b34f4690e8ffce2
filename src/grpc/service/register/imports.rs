//! `ListImports`: the filter, the order and the pages of the list.

use crate::app::imports::{FileKind, ImportFilter, ImportState};
use crate::app::{App, ImportField, Page, Result};
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size, token};
use crate::grpc::message::filter::values::{Value, actor, choice, day, instant, number, optional_actor, text};
use crate::grpc::message::filter::{self, FilterColumn, ORDERED, SAME};
use crate::grpc::service::call::Call;
use crate::proto::{ListImportsRequest, ListImportsResponse};

/// The fields of an import that a filter may compare, by their names in the message. docs/reference/lists.md lists them.
#[rustfmt::skip]
const COLUMNS: &[FilterColumn<ImportField>] = &[
    FilterColumn { name: "kind",          column: ImportField::Kind,       comparisons: SAME,    read: kind },
    FilterColumn { name: "as_at",         column: ImportField::AsAt,        comparisons: ORDERED, read: day },
    FilterColumn { name: "state",         column: ImportField::State,       comparisons: SAME,    read: state },
    FilterColumn { name: "file_name",     column: ImportField::FileName,    comparisons: SAME,    read: text },
    FilterColumn { name: "rows",          column: ImportField::Rows,        comparisons: ORDERED, read: number },
    FilterColumn { name: "accepted",      column: ImportField::Accepted,    comparisons: ORDERED, read: number },
    FilterColumn { name: "imported_by",   column: ImportField::ImportedBy,  comparisons: SAME,    read: actor },
    FilterColumn { name: "imported_time", column: ImportField::Imported,    comparisons: ORDERED, read: instant },
    FilterColumn { name: "withdrawn_by",  column: ImportField::WithdrawnBy, comparisons: SAME,    read: optional_actor },
];

fn kind(text: &str) -> Value {
    choice(text, "IMPORT_KIND_", FileKind::ALL.iter().map(|it| it.name()))
}

fn state(text: &str) -> Value {
    let visible = [ImportState::Landed, ImportState::Replaced, ImportState::Withdrawn];
    choice(text, "IMPORT_STATE_", visible.map(ImportState::name).into_iter())
}

pub(super) async fn list(app: &App, call: Call<ListImportsRequest>) -> Result<ListImportsResponse> {
    let message = &call.message;
    let mut fields = Fields::default();
    let kind: Option<FileKind> = conversion::import_kind_from(message.kind);
    if kind.is_none() && message.kind != 0 {
        fields.add_violation("kind", "is not a kind of file");
    }
    let condition = filter::read(&mut fields, COLUMNS, &message.filter);
    let orders = [("import_id desc", true), ("import_id", false)];
    let newest_first = filter::order(&mut fields, &orders, &message.order_by);
    let newest_first = fields.done(newest_first)?;
    let token_binding =
        call.token_binding(&ListImportsRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let after = token::read_as(&token_binding, &message.page_token)?;
    let limit = page_size(message.page_size);
    let filter = ImportFilter { kind, condition };
    let page = app.list_imports(&call.caller, &filter, Page { newest_first, after, limit }).await?;
    let next_page_token = token::next(&token_binding, limit, &page, |last| last.id.to_string());
    Ok(ListImportsResponse { imports: page.iter().map(conversion::import).collect(), next_page_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_column_is_a_field_of_the_message() {
        filter::tests::assert_are_fields_of("Import", COLUMNS);
    }
}
