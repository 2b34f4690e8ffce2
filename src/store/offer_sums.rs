//! Counts offers and sums their awards and bookings, grouped by columns of the offers. The database groups, so that few rows are
//! read even for many offers.

use super::offers::{OfferSearch, Values};
use super::{Readable, Result};
use crate::domain::Date;
use crate::domain::ids::OfferId;
use crate::domain::time::Micros;
use crate::store::db::bulk_sql::select_rows;
use crate::store::db::row::{Row as _, row};

/// The columns by which offers are grouped. A figure with days is also grouped by the moment at which the offers were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OfferGrouping {
    /// By region.
    pub region: bool,
    /// By state.
    pub state: bool,
    /// By assignee.
    pub assignee: bool,
    /// By kind of recipient.
    pub recipient_kind: bool,
    /// By the moment at which the offers were made.
    pub made_at: bool,
    /// Each offer is a group of its own.
    pub offer: bool,
}

row! {
    /// The columns of a group. A column by which offers are not grouped is NULL.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct OfferGroup {
        /// The region, by name.
        pub region: Option<String>,
        /// The state, by name.
        pub state: Option<String>,
        /// The assignee; also NULL for offers without one.
        pub assignee: Option<String>,
        /// The kind of recipient, by name.
        pub recipient_kind: Option<String>,
        /// The offer.
        pub offer: Option<OfferId>,
        /// When the offers were made.
        pub made_at: Option<Micros>,
    }
}

row! {
    /// Sums of a group. What they are depends on [`OfferFigure`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct OfferSums {
        ..group: OfferGroup,
        /// The day of the figure, or NULL.
        pub day: Option<Date>,
        /// The unit of the awards, or the state of the bookings, or NULL.
        pub word: Option<String>,
        /// The number of offers, or the sum that is awarded or booked.
        pub first: i64,
        /// The sum that is drawn, or 0.
        pub drawn: i64,
        /// The sum that is released, or 0.
        pub released: i64,
    }
}

impl OfferSums {
    /// The columns of the group.
    pub const fn group(&self) -> &OfferGroup {
        &self.group
    }
}

/// A figure of offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferFigure {
    /// The number of offers.
    Offers,
    /// The number of offers by the day of the first contact with the responsible body.
    Contacted,
    /// The number of offers by the day on which they were accepted.
    Accepted,
    /// The number of offers by the day on which delivery started.
    Started,
    /// The sums of awards by their unit: awarded, drawn, released.
    Awards,
    /// The sum of half-days booked, by the state of the bookings.
    Bookings,
}

/// The sums of a figure for each group of the searched offers that has one.
///
/// # Errors
/// [`super::StoreError::Unavailable`]; [`super::StoreError::Unreadable`].
pub async fn sums(
    from: &dyn Readable,
    offers: &OfferSearch<'_>,
    grouping: OfferGrouping,
    figure: OfferFigure,
) -> Result<Vec<OfferSums>> {
    let conn = from.at();
    let mut values = Values::default();
    let conditions = offers.conditions(&conn, &mut values);
    let parts = figure.parts();
    let chosen = |is_chosen: bool, column: &'static str| if is_chosen { column } else { "NULL" };
    let columns = [
        chosen(grouping.region, "o.region"),
        chosen(grouping.state, "o.state"),
        chosen(grouping.assignee, "o.assignee"),
        chosen(grouping.recipient_kind, "o.recipient_kind"),
        chosen(grouping.offer, "o.id"),
        chosen(grouping.made_at || parts.day != "NULL", "o.made_at"),
    ];
    let mut group_by: Vec<&str> = columns.into_iter().filter(|it| *it != "NULL").collect();
    group_by.extend([parts.day, parts.word].into_iter().filter(|it| *it != "NULL"));
    let aliases = OfferGroup::names();
    let aliased: Vec<String> =
        columns.iter().zip(aliases.split(", ")).map(|(column, name)| format!("{column} AS {name}")).collect();
    let [first, drawn, released] = parts.sums.map(|it| format!("CAST({it} AS bigint)"));
    // Without columns to group by, an aggregate has one row, also if nothing was found: its sums are NULL then, and it is left out.
    let group_by = if group_by.is_empty() {
        " HAVING COUNT(*) > 0".to_owned()
    } else {
        format!(" GROUP BY {}", group_by.join(", "))
    };
    let sql = format!(
        "SELECT {}, {} AS day, {} AS word, {first}, {drawn}, {released} FROM offers o {} WHERE {conditions} AND {}{group_by}",
        aliased.join(", "),
        parts.day,
        parts.word,
        parts.join,
        parts.condition,
    );
    select_rows(&conn, &sql, values.0, Ok).await
}

/// The parts of a statement that depend on the figure.
struct FigureParts {
    join: &'static str,
    condition: &'static str,
    day: &'static str,
    word: &'static str,
    sums: [&'static str; 3],
}

impl OfferFigure {
    const fn parts(self) -> FigureParts {
        const COUNT: [&str; 3] = ["COUNT(*)", "0", "0"];
        match self {
            Self::Offers => FigureParts { join: "", condition: "1 = 1", day: "NULL", word: "NULL", sums: COUNT },
            Self::Contacted => FigureParts {
                join: "JOIN (SELECT offer_id, MIN(happened_on) AS first_on FROM contacts WHERE party = 'responsible_body' AND \
                       corrected_by IS NULL GROUP BY offer_id) c ON c.offer_id = o.id",
                condition: "1 = 1",
                day: "c.first_on",
                word: "NULL",
                sums: COUNT,
            },
            Self::Accepted => FigureParts {
                join: "",
                condition: "o.accepted_on IS NOT NULL",
                day: "o.accepted_on",
                word: "NULL",
                sums: COUNT,
            },
            Self::Started => FigureParts {
                join: "",
                condition: "o.started_on IS NOT NULL",
                day: "o.started_on",
                word: "NULL",
                sums: COUNT,
            },
            Self::Awards => FigureParts {
                join: "JOIN awards a ON a.offer_id = o.id",
                condition: "1 = 1",
                day: "NULL",
                word: "a.unit",
                sums: ["SUM(a.awarded)", "SUM(a.drawn)", "SUM(a.released)"],
            },
            Self::Bookings => FigureParts {
                join: "JOIN awards a ON a.offer_id = o.id JOIN bookings b ON b.award_id = a.id",
                condition: "1 = 1",
                day: "NULL",
                word: "b.state",
                sums: ["SUM(b.half_days)", "0", "0"],
            },
        }
    }
}
