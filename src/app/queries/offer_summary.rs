//! Summarises the offers of a programme by dimensions: counts, money and days, and how long stages took.

use std::collections::{BTreeMap, HashMap};

use crate::app::clock::moment;
use crate::app::{App, Result, authorise};
use crate::domain::Date;
use crate::domain::award::BookingState;
use crate::domain::ids::{Actor, LaCode, OfferId, Programme, Urn};
use crate::domain::ledger::Unit;
use crate::domain::offer::State;
use crate::domain::placement::RecipientKind;
use crate::domain::region::Region;
use crate::domain::role::{Action, Caller};
use crate::domain::time::Micros;
use crate::store::due::{ListedSchool, OffersWithSchools, listed_schools};
use crate::store::offer_sums::{OfferFigure, OfferGroup, OfferGrouping, OfferSums, sums};
use crate::store::offers::OfferSearch;
use crate::store::{ReadTx, register};

/// A property by which offers are summarised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SummaryDimension {
    /// The region.
    Region,
    /// The state.
    State,
    /// The assignee.
    Assignee,
    /// The local authority in which most of the schools on the offer are.
    LocalAuthority,
    /// The kind of recipient.
    RecipientKind,
    /// The month in which the offer was made.
    Month,
}

/// Which offers are summarised, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryQuery {
    /// The programme.
    pub programme: Programme,
    /// The dimensions.
    pub by: Vec<SummaryDimension>,
    /// Only in this state.
    pub state: Option<State>,
    /// Only in this region.
    pub region: Option<Region>,
    /// Only assigned to this actor; `Some(None)` for offers without an assignee.
    pub assignee: Option<Option<Actor>>,
    /// Only offers that list a school of this local authority.
    pub local_authority: Option<LaCode>,
}

/// The values of the dimensions of a row. A property that is no dimension has its empty value.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SummaryKey {
    /// The region.
    pub region: Option<Region>,
    /// The state.
    pub state: Option<State>,
    /// The assignee.
    pub assignee: Option<String>,
    /// The local authority.
    pub local_authority: Option<LaCode>,
    /// The kind of recipient.
    pub recipient_kind: Option<RecipientKind>,
    /// The month, `YYYY-MM`.
    pub month: Option<String>,
}

/// Awarded, drawn and what is left, in one unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SummarySums {
    /// Awarded.
    pub awarded: i64,
    /// Drawn, before refunds.
    pub drawn: i64,
    /// Neither drawn nor released.
    pub left: i64,
}

/// For how many offers a stage took how many days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageDays(BTreeMap<i64, i64>);

/// A row of the summary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfferSummary {
    /// The values of the dimensions.
    pub key: SummaryKey,
    /// The number of offers.
    pub offers: i64,
    /// Of strands in pence.
    pub pence: SummarySums,
    /// Of strands in half-days.
    pub half_days: SummarySums,
    /// Half-days that were booked and not cancelled.
    pub booked: i64,
    /// Half-days that were delivered of those.
    pub delivered: i64,
    /// Days from the day on which the offer was made to the first contact with the responsible body.
    pub contacted: StageDays,
    /// Days from the day on which the offer was made to the acceptance.
    pub accepted: StageDays,
    /// Days from the day on which the offer was made to the start.
    pub started: StageDays,
}

impl StageDays {
    /// Counts offers. A date before the offer was made counts as 0 days: it was recorded late.
    fn add(&mut self, made: Date, day: Date, offers: i64) {
        let count = self.0.entry(day.signed_duration_since(made).num_days().max(0)).or_default();
        *count = count.saturating_add(offers);
    }

    /// The number of offers.
    #[must_use]
    pub fn offers(&self) -> i64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The percentile by nearest rank: the least number of days that at least so many percent of the offers took. `None` without
    /// offers.
    #[must_use]
    pub fn percentile(&self, percent: i64) -> Option<i64> {
        let needed = self.offers().saturating_mul(percent);
        let mut counted = 0_i64;
        self.0.iter().find_map(|(days, count)| {
            counted = counted.saturating_add(*count);
            (counted.saturating_mul(100) >= needed).then_some(*days)
        })
    }
}

impl SummaryKey {
    /// What rows are ordered by: the dimensions as they were requested.
    fn order(&self, by: &[SummaryDimension]) -> Vec<Self> {
        let only = |dimension: &SummaryDimension| match dimension {
            SummaryDimension::Region => Self { region: self.region, ..Self::default() },
            SummaryDimension::State => Self { state: self.state, ..Self::default() },
            SummaryDimension::Assignee => Self { assignee: self.assignee.clone(), ..Self::default() },
            SummaryDimension::LocalAuthority => Self { local_authority: self.local_authority, ..Self::default() },
            SummaryDimension::RecipientKind => Self { recipient_kind: self.recipient_kind, ..Self::default() },
            SummaryDimension::Month => Self { month: self.month.clone(), ..Self::default() },
        };
        by.iter().map(only).collect()
    }
}

impl App {
    /// Summarises the offers within the caller's reach. Without dimensions there is one row, also if there are no offers.
    ///
    /// # Errors
    /// [`crate::app::AppError::NotFound`] for an unknown programme; [`crate::app::AppError::Denied`].
    pub async fn summarise_offers(&self, caller: &Caller, query: &SummaryQuery) -> Result<Vec<OfferSummary>> {
        authorise(caller, Action::Read)?;
        self.terms(&query.programme).await?;
        let (snapshot, reach) = (self.snapshot().await?, caller.reach(Action::Read));
        let assignee = query.assignee.as_ref().map(|it| it.as_ref().map(Actor::as_str));
        let (programme, state, region) = (&query.programme, query.state, query.region);
        let offers = OfferSearch { programme, reach: &reach, state, region, assignee, schools: None };
        let by = |dimension| query.by.contains(&dimension);
        let mut areas = HashMap::new();
        let mut schools = None;
        if by(SummaryDimension::LocalAuthority) || query.local_authority.is_some() {
            let listed = listed_schools(&snapshot, &offers, OffersWithSchools::All).await?;
            let codes = local_authorities(&snapshot, &listed).await?;
            areas = area_of_most_schools(&listed, &codes);
            schools = query.local_authority.map(|la| urns_in(&codes, la));
        }
        let offers = OfferSearch { schools: schools.as_deref(), ..offers };
        let grouping = OfferGrouping {
            region: by(SummaryDimension::Region),
            state: by(SummaryDimension::State),
            assignee: by(SummaryDimension::Assignee),
            recipient_kind: by(SummaryDimension::RecipientKind),
            made_at: by(SummaryDimension::Month),
            offer: by(SummaryDimension::LocalAuthority),
        };
        let mut table = SummaryTable { with_month: by(SummaryDimension::Month), areas, rows: BTreeMap::new() };
        for figure in [
            OfferFigure::Offers,
            OfferFigure::Contacted,
            OfferFigure::Accepted,
            OfferFigure::Started,
            OfferFigure::Awards,
            OfferFigure::Bookings,
        ] {
            for row in sums(&snapshot, &offers, grouping, figure).await? {
                table.add(figure, &row);
            }
        }
        Ok(table.finish(&query.by))
    }
}

/// The local authority of each of these schools in the newest register. Schools without a known one are left out.
async fn local_authorities(snapshot: &ReadTx, listed: &[ListedSchool]) -> Result<HashMap<Urn, LaCode>> {
    let urns: Vec<Urn> = listed.iter().map(|it| it.urn).collect();
    let schools = register::schools(snapshot, &urns).await?;
    Ok(schools.into_values().filter_map(|it| Some((it.urn, it.la?))).collect())
}

fn urns_in(codes: &HashMap<Urn, LaCode>, la: LaCode) -> Vec<Urn> {
    codes.iter().filter(|(_, code)| **code == la).map(|(urn, _)| *urn).collect()
}

/// The local authority in which most of the schools of each offer are; of several, the one with the lowest code.
fn area_of_most_schools(listed: &[ListedSchool], codes: &HashMap<Urn, LaCode>) -> HashMap<OfferId, LaCode> {
    let mut counts: HashMap<OfferId, BTreeMap<LaCode, usize>> = HashMap::new();
    for school in listed {
        if let Some(code) = codes.get(&school.urn) {
            let count = counts.entry(school.offer.id).or_default().entry(*code).or_default();
            *count = count.saturating_add(1);
        }
    }
    let most = |areas: BTreeMap<LaCode, usize>| {
        let highest = areas.values().copied().max()?;
        areas.into_iter().find(|(_, count)| *count == highest).map(|(code, _)| code)
    };
    counts.into_iter().filter_map(|(offer, areas)| Some((offer, most(areas)?))).collect()
}

/// The rows of a summary while it is made.
struct SummaryTable {
    with_month: bool,
    /// The local authority of each offer, if it is a dimension.
    areas: HashMap<OfferId, LaCode>,
    rows: BTreeMap<SummaryKey, OfferSummary>,
}

impl SummaryTable {
    /// Adds the sums of a group.
    fn add(&mut self, figure: OfferFigure, sums: &OfferSums) {
        let made = sums.group().made_at.map_or(Date::MIN, made_on);
        let key = self.key(sums.group(), made);
        let row = self.rows.entry(key.clone()).or_insert_with(|| OfferSummary { key, ..OfferSummary::default() });
        let day = sums.day.unwrap_or(made);
        match figure {
            OfferFigure::Offers => row.offers = row.offers.saturating_add(sums.first),
            OfferFigure::Contacted => row.contacted.add(made, day, sums.first),
            OfferFigure::Accepted => row.accepted.add(made, day, sums.first),
            OfferFigure::Started => row.started.add(made, day, sums.first),
            OfferFigure::Awards => {
                let is_pence = sums.word.as_deref() == Some(Unit::Pence.name());
                let total = if is_pence { &mut row.pence } else { &mut row.half_days };
                total.awarded = total.awarded.saturating_add(sums.first);
                total.drawn = total.drawn.saturating_add(sums.drawn);
                let left = sums.first.saturating_sub(sums.drawn).saturating_sub(sums.released);
                total.left = total.left.saturating_add(left);
            }
            OfferFigure::Bookings => {
                let state = sums.word.as_deref().and_then(BookingState::named);
                if state == Some(BookingState::Delivered) {
                    row.delivered = row.delivered.saturating_add(sums.first);
                }
                if state != Some(BookingState::Cancelled) {
                    row.booked = row.booked.saturating_add(sums.first);
                }
            }
        }
    }

    fn key(&self, group: &OfferGroup, made: Date) -> SummaryKey {
        SummaryKey {
            region: group.region.as_deref().and_then(|it| it.parse().ok()),
            state: group.state.as_deref().and_then(State::named),
            assignee: group.assignee.clone(),
            local_authority: group.offer.and_then(|offer| self.areas.get(&offer).copied()),
            recipient_kind: group.recipient_kind.as_deref().and_then(recipient_kind),
            month: self.with_month.then(|| made.format("%Y-%m").to_string()),
        }
    }

    /// The rows, in the order of these dimensions.
    fn finish(mut self, by: &[SummaryDimension]) -> Vec<OfferSummary> {
        if by.is_empty() {
            self.rows.entry(SummaryKey::default()).or_default();
        }
        let mut rows: Vec<OfferSummary> = self.rows.into_values().collect();
        rows.sort_by_cached_key(|it| it.key.order(by));
        rows
    }
}

fn recipient_kind(name: &str) -> Option<RecipientKind> {
    [RecipientKind::Standalone, RecipientKind::Mat].into_iter().find(|it| it.as_str() == name)
}

/// The day in London on which an offer was made.
fn made_on(at: Micros) -> Date {
    moment(at).map_or(Date::MIN, |it| it.today)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let days = |list: &[i64]| {
            let mut days = StageDays::default();
            let made = Date::from_ymd_opt(2021, 10, 1).unwrap();
            for it in list {
                days.add(made, made + chrono::TimeDelta::days(*it), 1);
            }
            days
        };
        // the days, the median, the 90th percentile
        let rows: [(&[i64], Option<i64>, Option<i64>); 7] = [
            (&[], None, None),
            (&[7], Some(7), Some(7)),
            (&[1, 9], Some(1), Some(9)),
            (&[3, 1, 2], Some(2), Some(3)),
            (&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], Some(5), Some(9)),
            (&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], Some(6), Some(10)),
            // A date before the offer was made was recorded late.
            (&[-40, -3, 5], Some(0), Some(5)),
        ];
        for (list, median, p90) in rows {
            let days = days(list);
            assert_eq!((days.percentile(50), days.percentile(90)), (median, p90), "{list:?}");
            assert_eq!(days.offers(), i64::try_from(list.len()).unwrap());
        }
    }

    #[test]
    fn rows_are_ordered_by_the_dimensions_as_requested() {
        use SummaryDimension::{Assignee, State as ByState};
        let key = |state, assignee: &str| SummaryKey {
            state: Some(state),
            assignee: Some(assignee.to_owned()),
            ..SummaryKey::default()
        };
        let (one, other) = (key(State::Closed, "ann"), key(State::Identified, "bob"));
        assert!(one.order(&[Assignee, ByState]) < other.order(&[Assignee, ByState]));
        assert!(one.order(&[ByState, Assignee]) > other.order(&[ByState, Assignee]));
    }
}
