//! Finds what the newest files say that a person has to deal with: eligible schools that have no offer, schools on open offers that
//! should not be there any more, and referrals that the files do not confirm.

use std::collections::HashMap;

use super::identify::{PlacementFinder, confirmed_by};
use super::standing::Standings;
use super::{Entitlements, entry};
use crate::app::Result;
use crate::app::register::{School, facts};
use crate::domain::Date;
use crate::domain::due::DueKind;
use crate::domain::eligibility::{RuleOutcome, explain};
use crate::domain::ids::{LaCode, ReferralId, Uid, Urn};
use crate::domain::offer::Recipient;
use crate::domain::referral::Referral;
use crate::domain::region::Region;
use crate::domain::terms::Terms;
use crate::store::Readable;
use crate::store::due::{DueOffer, ListedSchool};
use crate::store::imports::{self, FileKind};

/// A school about which the newest files say something that a person has to deal with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchoolFinding {
    /// What it is.
    pub(crate) kind: DueKind,
    /// The school.
    pub(crate) urn: Urn,
    /// Its name.
    pub(crate) name: String,
    /// Its local authority, if a file gives it.
    pub(crate) la: Option<LaCode>,
    /// Its region, if its local authority is in one.
    pub(crate) region: Option<Region>,
    /// Its trust, if it is in one.
    pub(crate) trust: Option<Uid>,
    /// The date of the file that says it, or the day on which the school closed.
    pub(crate) since: Date,
    /// The rule that is not met, in a few words.
    pub(crate) rule: String,
    /// The reason, in one sentence.
    pub(crate) reason: String,
    /// The open offer that it is about.
    pub(crate) offer: Option<DueOffer>,
}

/// The findings of the newest files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// About schools, by URN.
    pub(crate) schools: Vec<SchoolFinding>,
    /// Open referrals that the files confirm: the next identify records it.
    pub(crate) confirmed: Vec<ReferralId>,
}

/// Finds them. `listed` are the schools of all open offers of the programme, `referrals` open referrals. Whether a school has closed
/// is judged on the given day.
///
/// # Errors
/// [`crate::app::AppError::Unavailable`].
pub(crate) async fn findings(
    from: &dyn Readable,
    terms: &Terms,
    (listed, referrals): (&[ListedSchool], &[Referral]),
    day: Date,
) -> Result<Findings> {
    let standings = Standings::load(from, terms, day).await?;
    let missing: Vec<Urn> = listed.iter().map(|it| it.urn).filter(|urn| !standings.schools.contains_key(urn)).collect();
    let others = facts::schools(from, Some(terms.programme()), &missing, day).await?;
    let finder = PlacementFinder::load(from, &standings, &standings.schools).await?;
    let files = FileDates::load(from, day).await?;
    let sources = Sources { terms, standings: &standings, others: &others, finder: &finder, files };
    let mut schools: Vec<SchoolFinding> = listed.iter().filter_map(|it| sources.of_listed(it)).collect();
    let by_urn: HashMap<Urn, &ListedSchool> = listed.iter().map(|it| (it.urn, it)).collect();
    schools.extend(standings.entitled.keys().filter_map(|urn| sources.of_entitled(*urn, &by_urn)));
    schools.extend(sources.unknown());
    schools.sort_by_key(|it| it.urn);
    Ok(Findings { schools, confirmed: confirmed_by(&standings, referrals) })
}

/// The dates of the newest landed files. Without a file of a kind, the day of the list.
#[derive(Debug, Clone, Copy)]
struct FileDates {
    ofsted: Date,
    membership: Date,
    establishments: Date,
}

impl FileDates {
    async fn load(from: &dyn Readable, day: Date) -> Result<Self> {
        let newest = async |kind| imports::landed(from, kind).await.map(|it| it.first().map_or(day, |it| it.as_at));
        Ok(Self {
            ofsted: newest(FileKind::Ofsted).await?,
            membership: newest(FileKind::Membership).await?,
            establishments: newest(FileKind::Establishments).await?,
        })
    }
}

/// What findings are made from.
struct Sources<'a> {
    terms: &'a Terms,
    standings: &'a Standings,
    /// Schools on open offers that are not in `standings`.
    others: &'a HashMap<Urn, School>,
    finder: &'a PlacementFinder<'a>,
    files: FileDates,
}

impl Sources<'_> {
    fn school(&self, urn: Urn) -> Option<&School> {
        self.standings.schools.get(&urn).or_else(|| self.others.get(&urn))
    }

    fn entitled(&self) -> &Entitlements {
        &self.standings.entitled
    }

    /// A finding about a school without an offer. `None` if no file names the school.
    fn finding(&self, kind: DueKind, urn: Urn, rule: &str, reason: String) -> Option<SchoolFinding> {
        let school = self.school(urn)?;
        Some(SchoolFinding {
            kind,
            urn,
            name: school.name.clone(),
            la: school.la,
            region: school.region(),
            trust: school.placement.trust(),
            since: self.files.ofsted,
            rule: rule.to_owned(),
            reason,
            offer: None,
        })
    }

    /// What is wrong with a school on an open offer: that it has closed, else that it is not eligible any more, else that it
    /// belongs to another recipient.
    fn of_listed(&self, listed: &ListedSchool) -> Option<SchoolFinding> {
        let school = self.school(listed.urn)?;
        let with_offer = |finding: SchoolFinding| SchoolFinding { offer: Some(listed.offer.clone()), ..finding };
        if let Some(reason) = &school.closed {
            let since = school.ending.close_date.unwrap_or(self.files.establishments);
            let finding =
                self.finding(DueKind::SchoolClosed, listed.urn, "closed schools have no offer", reason.clone());
            return finding.map(|it| with_offer(SchoolFinding { since, ..it }));
        }
        if !self.entitled().contains_key(&self.standings.assessment.newest_urn(listed.urn)) {
            let reason = entry::why_not_eligible(self.terms, self.standings, listed.urn)?;
            return self.finding(DueKind::NotEligible, listed.urn, "eligible schools only", reason).map(with_offer);
        }
        let reason = match self.finder.candidate(school) {
            Ok(candidate) if candidate.recipient == listed.offer.recipient => return None,
            Ok(candidate) => format!("belongs to {} now", recipient_in_words(candidate.recipient, &candidate.name)),
            Err(reason) => format!("belongs to no recipient now: {reason}"),
        };
        let finding = self.finding(DueKind::RecipientChanged, listed.urn, "the newest register", reason);
        finding.map(|it| with_offer(SchoolFinding { since: self.files.membership, ..it }))
    }

    /// Why an eligible school that is on no open offer cannot get one.
    fn of_entitled(&self, urn: Urn, listed: &HashMap<Urn, &ListedSchool>) -> Option<SchoolFinding> {
        let school = self.standings.schools.get(&urn)?;
        if school.closed.is_some() || listed.contains_key(&urn) {
            return None;
        }
        let candidate = match self.finder.candidate(school) {
            Ok(candidate) => candidate,
            Err(reason) => return self.finding(DueKind::Unplaced, urn, "placement", reason),
        };
        let older = candidate.schools.iter().flat_map(|it| &it.predecessors);
        let other = older.filter_map(|it| listed.get(it)).find(|it| it.offer.recipient != candidate.recipient)?;
        let reason = format!("its predecessor {} is on the open offer to {}", other.urn, other.offer.name);
        let finding = self.finding(DueKind::Blocked, urn, "one open offer for each school", reason)?;
        Some(SchoolFinding { offer: Some(other.offer.clone()), ..finding })
    }

    /// The schools of which it is unknown whether they are eligible.
    fn unknown(&self) -> impl Iterator<Item = SchoolFinding> {
        let schools = self.standings.undecided(self.terms);
        schools.filter_map(|urn| {
            let answers = explain(self.terms, &self.standings.assessment, urn)?;
            let unknown = answers.into_iter().find(|it| it.outcome == RuleOutcome::Unknown)?;
            self.finding(DueKind::Unknown, urn, unknown.rule.as_str(), unknown.reason)
        })
    }
}

fn recipient_in_words(recipient: Recipient, name: &str) -> String {
    match recipient {
        Recipient::Mat(uid) => format!("trust {uid}, {name},"),
        Recipient::Standalone(_) => "no multi-academy trust".to_owned(),
    }
}
