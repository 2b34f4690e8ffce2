//! Selects offers in queries that are written as SQL text: of what is due, and of summaries.

use sea_orm::Value;

use super::reach_condition;
use crate::domain::ids::{Programme, Urn};
use crate::domain::offer::State;
use crate::domain::region::Region;
use crate::domain::role::Reach;
use crate::store::Conn;
use crate::store::db::bulk_sql::{numbers, value_in};

/// Which offers are searched: those that meet all conditions.
#[derive(Debug, Clone, Copy)]
pub struct OfferSearch<'a> {
    /// The programme.
    pub programme: &'a Programme,
    /// Within this reach.
    pub reach: &'a Reach,
    /// In this state.
    pub state: Option<State>,
    /// In this region.
    pub region: Option<Region>,
    /// Assigned to this actor; `Some(None)` for offers without an assignee.
    pub assignee: Option<Option<&'a str>>,
    /// That list one of these schools.
    pub schools: Option<&'a [Urn]>,
}

/// The values of a statement, each added where its text needs it.
#[derive(Default)]
pub(in crate::store) struct Values(pub(in crate::store) Vec<Value>);

impl Values {
    /// Adds a value and returns its parameter, such as `$3`.
    pub(in crate::store) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.0.push(value.into());
        format!("${}", self.0.len())
    }
}

impl OfferSearch<'_> {
    /// The condition that an offer, named `o` in the statement, is searched.
    pub(in crate::store) fn conditions(&self, conn: &Conn<'_>, values: &mut Values) -> String {
        let mut all = vec![format!("o.programme = {}", values.bind(self.programme.as_str()))];
        all.extend(reach_condition(self.reach, &mut |value| values.bind(value)));
        all.extend(self.state.map(|it| format!("o.state = {}", values.bind(it.name()))));
        all.extend(self.region.map(|it| format!("o.region = {}", values.bind(it.name()))));
        all.extend(self.assignee.map(|assignee| match assignee {
            Some(actor) => format!("o.assignee = {}", values.bind(actor)),
            None => "o.assignee IS NULL".to_owned(),
        }));
        if let Some(urns) = self.schools {
            let urns: Vec<i64> = urns.iter().map(|it| i64::from(it.get())).collect();
            values.0.push(numbers(conn, &urns));
            let listed = value_in(conn, "s.urn", values.0.len());
            all.push(format!("EXISTS (SELECT 1 FROM offer_schools s WHERE s.offer_id = o.id AND {listed})"));
        }
        all.join(" AND ")
    }
}
