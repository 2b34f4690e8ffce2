//! `ListEligibility`: the filter, the order and the pages of the list.

use crate::app::eligibility::{EligibilityField, EligibilityOrder, EligibilityPageStart, EligibilityQuery};
use crate::app::{App, Operand, Result};
use crate::domain::ids::Urn;
use crate::domain::placement::PlacementKind;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size, token};
use crate::grpc::message::filter::values::{Value, choice, number, optional_number, optional_region, text};
use crate::grpc::message::filter::{self, FilterColumn, ORDERED, PART, SAME, Words};
use crate::grpc::service::call::Call;
use crate::proto::{ListEligibilityRequest, ListEligibilityResponse};

/// The fields of a school that a filter may compare, by their names in the message. docs/reference/lists.md lists them.
#[rustfmt::skip]
const COLUMNS: &[FilterColumn<EligibilityField>] = &[
    FilterColumn { name: "school.urn",       column: EligibilityField::Urn,            comparisons: ORDERED, read: number },
    FilterColumn { name: "school.name",      column: EligibilityField::Name,           comparisons: PART,    read: text },
    FilterColumn { name: "school.region",    column: EligibilityField::Region,         comparisons: SAME,    read: optional_region },
    FilterColumn { name: "school.la_code",   column: EligibilityField::LocalAuthority, comparisons: SAME,    read: optional_number },
    FilterColumn { name: "school.phase",     column: EligibilityField::Phase,          comparisons: SAME,    read: text },
    FilterColumn { name: "school.placement", column: EligibilityField::Placement,      comparisons: SAME,    read: placement },
    FilterColumn { name: "school.trust_uid", column: EligibilityField::Trust,          comparisons: SAME,    read: optional_number },
];

const ORDERS: [(&str, EligibilityOrder); 4] = [
    ("school.urn", EligibilityOrder::Urn),
    ("school.urn desc", EligibilityOrder::UrnLast),
    ("school.name", EligibilityOrder::Name),
    ("school.name desc", EligibilityOrder::NameLast),
];

fn placement(text: &str) -> Value {
    use PlacementKind as Kind;
    const UNPLACED: &str = "unplaced";
    let kinds = [Kind::Maintained, Kind::SingleAcademyTrust, Kind::SingleSchoolMat, Kind::Mat].map(Kind::as_str);
    let kind = choice(text, "PLACEMENT_", kinds.into_iter().chain([UNPLACED]))?;
    Ok(if kind == Operand::Text(UNPLACED.to_owned()) { Operand::Nothing } else { kind })
}

pub(super) async fn list(app: &App, call: Call<ListEligibilityRequest>) -> Result<ListEligibilityResponse> {
    let message = &call.message;
    let mut fields = Fields::default();
    let programme = fields.programme(&message.programme);
    let order = filter::order(&mut fields, &ORDERS, &message.order_by);
    // The terms define the words. If the terms cannot be loaded, any word is allowed here: the violations of the other
    // fields are reported before that error.
    let loaded_words = match &programme {
        Some(programme) => Some(app.eligibility_words(&call.caller, programme).await),
        None => None,
    };
    let allowed = loaded_words.as_ref().and_then(|it| it.as_deref().ok());
    let words = Words { column: EligibilityField::Word, allowed };
    let condition = filter::read_with_words(&mut fields, COLUMNS, Some(&words), &message.filter);
    let (programme, order) = fields.done(programme.zip(order))?;
    loaded_words.transpose()?;
    let token_binding =
        call.token_binding(&ListEligibilityRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let after: Option<token::NamedKey<Urn>> = token::read_as(&token_binding, &message.page_token)?;
    let after = after.map(|it| EligibilityPageStart { urn: it.key, name: it.name });
    let size = page_size(message.page_size);
    let query = EligibilityQuery { condition, order, after, limit: usize::try_from(size).unwrap_or(usize::MAX) };
    let page = app.list_eligibility(&call.caller, call.now.today, &programme, &query).await?;
    let next_page_token =
        token::next(&token_binding, size, &page, |last| token::named_key(last.school.urn, &last.school.name));
    Ok(ListEligibilityResponse { schools: page.iter().map(conversion::school_eligibility).collect(), next_page_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_column_is_a_field_of_the_message() {
        filter::tests::assert_are_fields_of("SchoolEligibility", COLUMNS);
    }

    #[test]
    fn a_placement_is_read_by_name() {
        assert_eq!(placement("MAT"), Ok(Operand::Text("mat".to_owned())));
        assert_eq!(placement("PLACEMENT_SINGLE_SCHOOL_MAT"), Ok(Operand::Text("single_school_mat".to_owned())));
        assert_eq!(placement("unplaced"), Ok(Operand::Nothing));
        assert!(placement("").unwrap_err().starts_with("one of MAINTAINED, "));
    }
}
