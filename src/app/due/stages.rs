//! Offers, awards and bookings that have been in a stage for longer than the terms allow.

use super::{DueItem, DueKey, Search, stages_of};
use crate::app::Result;
use crate::app::clock::{moment, start_of_day};
use crate::app::register::in_local_authority;
use crate::domain::Date;
use crate::domain::due::{DueStage, due_date, since_date};
use crate::domain::ids::Urn;
use crate::domain::offer::Recipient;
use crate::store::due::{OpenStage, StageItem, StageQuery, StageStart, stages};
use crate::store::offers::OfferSearch;

/// A day before every stage.
const FIRST_DAY: Date = Date::from_ymd_opt(1900, 1, 1).unwrap();

impl Search<'_> {
    /// The items of all stages that the query includes, at most a page of each.
    pub(super) async fn stages(&self) -> Result<Vec<DueItem>> {
        let urns = self.schools_of_local_authority().await?;
        let offers = OfferSearch { schools: urns.as_deref(), ..self.offers() };
        let mut items = Vec::new();
        for stage in stages_of(self) {
            let rows = stages(self.snapshot, &offers, &self.stage_query(stage)).await?;
            items.extend(rows.into_iter().map(|row| self.stage_item(stage, row)));
        }
        Ok(items)
    }

    /// The schools of open offers in the local authority of the query; `None` if it has none.
    async fn schools_of_local_authority(&self) -> Result<Option<Vec<Urn>>> {
        let Some(la) = self.query.local_authority else { return Ok(None) };
        let urns: Vec<Urn> = self.listed.iter().map(|it| it.urn).collect();
        Ok(Some(in_local_authority(self.snapshot, &urns, la).await?))
    }

    fn stage_query(&self, stage: DueStage) -> StageQuery {
        let days = self.terms.stage_times().days(stage.limit());
        let start = |day: Date| match stage {
            DueStage::FirstContact => StageStart::Moment(start_of_day(day)),
            DueStage::SchoolContact
            | DueStage::Acceptance
            | DueStage::FirstDay
            | DueStage::Claim
            | DueStage::Unclaimed
            | DueStage::Close => StageStart::Day(day),
        };
        let (mut from, mut after) = (FIRST_DAY, None);
        if let Some(key) = &self.query.after {
            let since = since_date(key.due, days);
            from = if stage.kind() < key.kind { since.succ_opt().unwrap_or(since) } else { since };
            if stage.kind() == key.kind {
                after = place(stage, since, key);
            }
        }
        StageQuery {
            stage,
            on: self.query.on,
            is_past: self.query.on < self.now.today,
            awards_until: self.terms.award_window().to,
            before: start(since_date(self.query.on, days)),
            from: start(from),
            after,
            limit: self.query.limit,
        }
    }

    fn stage_item(&self, stage: DueStage, row: OpenStage) -> DueItem {
        let limit = stage.limit();
        let days = self.terms.stage_times().days(limit);
        let since = match row.since {
            StageStart::Moment(at) => moment(at).map_or(FIRST_DAY, |it| it.today),
            StageStart::Day(day) => day,
        };
        let (number, id) = match (row.since, row.item) {
            (StageStart::Moment(at), StageItem::Id(id)) => (at.0, id.to_string()),
            (StageStart::Moment(at), StageItem::Number(_)) => (at.0, String::new()),
            (StageStart::Day(_), StageItem::Id(id)) => (0, id.to_string()),
            (StageStart::Day(_), StageItem::Number(number)) => (number, String::new()),
        };
        let (urn, trust) = match row.offer.recipient {
            Recipient::Standalone(urn) => (Some(urn), None),
            Recipient::Mat(uid) => (None, Some(uid)),
        };
        let rule = format!("stage_days.{} = {days}", limit.name());
        let item = DueItem::due_at_once(stage.kind(), since, "", rule);
        DueItem {
            key: DueKey { due: due_date(since, days), kind: stage.kind(), number, id },
            subject: row.offer.name,
            reason: reason(stage, since),
            offer: Some(row.offer.id),
            recipient_kind: Some(row.offer.recipient.row()),
            region: Some(row.offer.region),
            owner: row.offer.assignee,
            urn,
            trust,
            award: row.award,
            booking: row.booking,
            strand: row.strand.map(|it| it.to_string()),
            ..item
        }
    }
}

/// The place of an item of this stage, as its query orders it. `None` if the key is of no such item.
fn place(stage: DueStage, since: Date, key: &DueKey) -> Option<(StageStart, StageItem)> {
    let item = || key.id.parse().ok().map(StageItem::Id);
    match stage {
        DueStage::FirstContact => Some((StageStart::Moment(crate::domain::time::Micros(key.number)), item()?)),
        DueStage::Claim => Some((StageStart::Day(since), StageItem::Number(key.number))),
        DueStage::SchoolContact | DueStage::Acceptance | DueStage::FirstDay | DueStage::Unclaimed | DueStage::Close => {
            Some((StageStart::Day(since), item()?))
        }
    }
}

/// Why an item of a stage is due, in one sentence.
fn reason(stage: DueStage, since: Date) -> String {
    match stage {
        DueStage::FirstContact => format!("made on {since}, and the responsible body has not been contacted"),
        DueStage::SchoolContact => {
            format!("the responsible body was contacted on {since}, the school has not been contacted")
        }
        DueStage::Acceptance => format!("contacted on {since}, and neither accepted nor closed"),
        DueStage::FirstDay => format!("accepted on {since}, and delivery has not started"),
        DueStage::Claim => format!("a day booked for {since} is neither delivered nor cancelled"),
        DueStage::Unclaimed => format!("awards were made until {since}, and money is still committed"),
        DueStage::Close => format!("all awards are settled since {since}, and the offer is open"),
    }
}
