//! Defines how long an offer may stay in each stage before it needs attention. The scheme sets no such times: they are our choice,
//! and each terms file may set its own.

use serde::Serialize;

use super::read::{MistakeReport, TermsTable};

/// The longest time that a stage may have, in days: ten years.
const MOST_DAYS: u32 = 3_660;

/// A stage of an offer that the terms limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Stage {
    /// From identify to the first contact with the responsible body.
    FirstContact,
    /// From that contact to a contact with the school, if the offer is to a school.
    SchoolContact,
    /// From the contact with the school, or the first contact with a trust, to the acceptance.
    Acceptance,
    /// From the acceptance to the start of delivery.
    FirstDay,
    /// From a booked day to its delivery, and from the end of the awards to the last claim.
    Claim,
    /// From the last draw or release to the close.
    Close,
}

impl Stage {
    /// All stages, in the order of an offer's life.
    pub const ALL: [Self; 6] =
        [Self::FirstContact, Self::SchoolContact, Self::Acceptance, Self::FirstDay, Self::Claim, Self::Close];

    /// Its key in the terms file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstContact => "first_contact",
            Self::SchoolContact => "school_contact",
            Self::Acceptance => "acceptance",
            Self::FirstDay => "first_day",
            Self::Claim => "claim",
            Self::Close => "close",
        }
    }

    /// The time of this stage in days, if the terms do not say it.
    const fn default_days(self) -> u32 {
        match self {
            Self::FirstContact | Self::SchoolContact => 10,
            Self::Acceptance => 28,
            Self::FirstDay => 42,
            Self::Claim | Self::Close => 30,
        }
    }
}

/// The time of each stage, in days of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageTimes(Vec<(Stage, u32)>);

impl StageTimes {
    /// The days that a stage may take.
    #[must_use]
    pub fn days(&self, stage: Stage) -> u32 {
        self.0.iter().find(|(it, _)| *it == stage).map_or_else(|| stage.default_days(), |(_, days)| *days)
    }

    /// Reads the table `stage_days`, whose keys are the names of stages. `None` stands for a file without the table. A stage that is
    /// missing or wrong gets its default; a wrong one is reported.
    pub(super) fn read(table: Option<TermsTable<'_>>, report: &mut MistakeReport<'_>) -> Self {
        let Some(mut table) = table else { return Self(Vec::new()) };
        let mut times = Vec::new();
        for stage in Stage::ALL {
            let days = if table.has(stage.name()) { table.number(stage.name(), report) } else { None };
            match days {
                Some(days) if days.value > MOST_DAYS => {
                    let reason =
                        format!("stage_days.{} must be at most {MOST_DAYS} days, got {}", stage.name(), days.value);
                    report.add(days.line, reason);
                }
                days => times.extend(days.map(|days| (stage, days.value))),
            }
        }
        table.finish(report);
        Self(times)
    }
}
