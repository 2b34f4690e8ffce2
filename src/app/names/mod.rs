//! Finds the ids of what people name. Each name must belong to exactly one entity that the caller may see: nothing is guessed.

mod name;

use std::collections::BTreeMap;
use std::str::FromStr;

use uuid::Uuid;

use self::name::{AwardName, FundName, IdName, OfferName};
use super::{App, AppError, Result, Violation, authorise};
use crate::app::queries::approvals::{ApprovalScope, visible_approvals};
use crate::domain::award::Award;
use crate::domain::ids::{AwardId, OfferId, Programme, ReferralId};
use crate::domain::ledger::{Account, Owner};
use crate::domain::offer::{Offer, Recipient};
use crate::domain::refusal::EntityKind;
use crate::domain::role::{Action, Caller, Reach};
use crate::store::db::page::Page;
use crate::store::names::{self, NamedTable};
use crate::store::{Readable, approvals, awards, offers, referrals};

/// The most candidates that an error lists.
const SHOWN_CANDIDATES: usize = 5;

/// What a name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedKind {
    /// An offer.
    Offer,
    /// An award.
    Award,
    /// A fund.
    Fund,
    /// An approval.
    Approval,
    /// A referral.
    Referral,
}

impl NamedKind {
    const fn entity(self) -> EntityKind {
        match self {
            Self::Offer => EntityKind::Offer,
            Self::Award => EntityKind::Award,
            Self::Fund => EntityKind::Fund,
            Self::Approval => EntityKind::Approval,
            Self::Referral => EntityKind::Referral,
        }
    }
}

/// An entity to which a name may belong.
struct Candidate {
    id: Uuid,
    /// How an error describes it, besides its id.
    description: String,
}

impl App {
    /// The ids of these names, in their order.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for an unknown programme, and for names that belong to nothing which the caller may see;
    /// [`AppError::Invalid`] with all wrong names, if one has another form or belongs to several entities; [`AppError::Denied`].
    pub async fn resolve_names(
        &self,
        caller: &Caller,
        programme: &Programme,
        kind: NamedKind,
        names: &[String],
    ) -> Result<Vec<Uuid>> {
        authorise(caller, Action::Read)?;
        self.terms(programme).await?;
        let candidates = match kind {
            NamedKind::Offer => self.offer_candidates(caller, programme, names).await?,
            NamedKind::Award => self.award_candidates(caller, programme, names).await?,
            NamedKind::Fund => self.fund_candidates(caller, programme, names).await?,
            NamedKind::Approval => self.approval_candidates(caller, programme, names).await?,
            NamedKind::Referral => self.referral_candidates(caller, programme, names).await?,
        };
        choose(kind, names, candidates)
    }

    async fn offer_candidates(
        &self,
        caller: &Caller,
        programme: &Programme,
        names: &[String],
    ) -> Result<Vec<Candidates>> {
        let (names, snapshot) = (parse_all::<OfferName>(names), self.snapshot().await?);
        let named: Vec<&OfferName> = names.iter().flatten().collect();
        let found = find_offers(&snapshot, programme, &caller.reach(Action::Read), &named).await?;
        let of_name = |name: &OfferName| matching_offers(name, &found).into_iter().map(offer_candidate).collect();
        Ok(names.into_iter().map(|name| name.map(|it| of_name(&it))).collect())
    }

    async fn award_candidates(
        &self,
        caller: &Caller,
        programme: &Programme,
        names: &[String],
    ) -> Result<Vec<Candidates>> {
        let (names, snapshot) = (parse_all::<AwardName>(names), self.snapshot().await?);
        let reach = caller.reach(Action::Read);
        let (mut offer_names, mut id_names) = (Vec::new(), Vec::new());
        for name in names.iter().flatten() {
            match name {
                AwardName::Id(name) => id_names.push(name),
                AwardName::OfOffer { offer, .. } => offer_names.push(offer),
            }
        }
        let by_id = names::by_ending(&snapshot, NamedTable::Awards, programme, &last_digits(id_names)).await?;
        let by_id: Vec<AwardId> = by_id.into_iter().map(AwardId).collect();
        let mut found_awards = awards::find(&snapshot, &by_id).await?;
        let mut found_offers = find_offers(&snapshot, programme, &reach, &offer_names).await?;
        let ids: Vec<OfferId> = found_offers.keys().copied().collect();
        found_awards.extend(awards::of_offers(&snapshot, &ids).await?);
        let other_offers: Vec<OfferId> = found_awards.values().map(|it| it.offer).collect();
        found_offers.extend(visible_offers(&snapshot, programme, &reach, &other_offers).await?);
        let mut visible_awards: Vec<&Award> =
            found_awards.values().filter(|it| found_offers.contains_key(&it.offer)).collect();
        visible_awards.sort_by_key(|it| it.made);
        let of_name = |name: AwardName| match name {
            AwardName::Id(name) => {
                Ok(visible_awards.iter().filter(|it| name.names(it.id.0)).map(|it| award_candidate(it)).collect())
            }
            AwardName::OfOffer { offer, strand, place } => match matching_offers(&offer, &found_offers).as_slice() {
                [only] => Ok(awards_of_strand(&visible_awards, only.id, &strand, place)),
                [] => Ok(Vec::new()),
                several => Err(ambiguous(EntityKind::Offer, several.iter().map(|it| offer_candidate(it)))),
            },
        };
        Ok(names.into_iter().map(|name| name.and_then(of_name)).collect())
    }

    async fn fund_candidates(
        &self,
        caller: &Caller,
        programme: &Programme,
        names: &[String],
    ) -> Result<Vec<Candidates>> {
        let funds = self.list_funds(caller, (Some(programme), None), None, u64::MAX).await?;
        let of_name = |name: FundName| {
            let matching = funds.iter().map(|it| &it.account).filter(|account| match &name {
                FundName::Id(name) => name.names(account.id.0),
                FundName::OfStrand { strand, region } => {
                    account.strand.as_str() == strand && account.owner == Owner::Fund { region: *region }
                }
            });
            let place = |owner: &Owner| match owner {
                Owner::Fund { region: Some(region) } => region.name(),
                Owner::Fund { region: None } | Owner::Cap { .. } => "national",
            };
            let description = |it: &Account| format!("{}, {}", it.strand, place(&it.owner));
            matching.map(|it| Candidate { id: it.id.0, description: description(it) }).collect()
        };
        Ok(parse_all::<FundName>(names).into_iter().map(|name| name.map(of_name)).collect())
    }

    async fn approval_candidates(
        &self,
        caller: &Caller,
        programme: &Programme,
        names: &[String],
    ) -> Result<Vec<Candidates>> {
        let (names, snapshot) = (parse_all::<IdName>(names), self.snapshot().await?);
        let visible = visible_approvals(caller, ApprovalScope::All, self.clock().now().at);
        let page = Page { newest_first: true, after: None, limit: i64::MAX.unsigned_abs() };
        let found = approvals::page(&snapshot, &visible, page).await?;
        let of_programme = found.into_iter().filter(|it| it.programme.as_ref().is_none_or(|it| it == programme));
        let found: Vec<(Uuid, String)> = of_programme.map(|it| (it.id.0, it.action.name().to_owned())).collect();
        Ok(by_id(names, &found))
    }

    async fn referral_candidates(
        &self,
        caller: &Caller,
        programme: &Programme,
        names: &[String],
    ) -> Result<Vec<Candidates>> {
        let (names, snapshot) = (parse_all::<IdName>(names), self.snapshot().await?);
        let ids =
            names::by_ending(&snapshot, NamedTable::Referrals, programme, &last_digits(names.iter().flatten())).await?;
        let (ids, reach): (Vec<ReferralId>, Reach) =
            (ids.into_iter().map(ReferralId).collect(), caller.reach(Action::Read));
        let found = referrals::find(&snapshot, programme, &ids, &[]).await?.into_iter();
        let visible = found.filter(|it| reach.covers_region(it.region));
        let found: Vec<(Uuid, String)> = visible.map(|it| (it.id.0, it.name)).collect();
        Ok(by_id(names, &found))
    }
}

/// The candidates of one name, or what is wrong with the name.
type Candidates = std::result::Result<Vec<Candidate>, String>;

fn parse_all<N: FromStr<Err = &'static str>>(names: &[String]) -> Vec<std::result::Result<N, String>> {
    names.iter().map(|name| name.trim().parse().map_err(|form: &str| form.to_owned())).collect()
}

fn last_digits<'a>(names: impl IntoIterator<Item = &'a IdName>) -> Vec<String> {
    names.into_iter().map(IdName::last_digits).collect()
}

/// The candidates of each name among these ids with their descriptions.
fn by_id(names: Vec<std::result::Result<IdName, String>>, found: &[(Uuid, String)]) -> Vec<Candidates> {
    let of_name = |name: IdName| {
        let matching = found.iter().filter(|(id, _)| name.names(*id));
        matching.map(|(id, description)| Candidate { id: *id, description: description.clone() }).collect()
    };
    names.into_iter().map(|name| name.map(of_name)).collect()
}

/// The id of the only candidate of each name.
///
/// # Errors
/// [`AppError::NotFound`] if all wrong names have no candidate, otherwise [`AppError::Invalid`].
fn choose(kind: NamedKind, names: &[String], candidates: Vec<Candidates>) -> Result<Vec<Uuid>> {
    let (mut ids, mut missing, mut violations) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (name, candidates)) in names.iter().zip(candidates).enumerate() {
        let problem = match candidates {
            Ok(found) => match found.as_slice() {
                [only] => {
                    ids.push(only.id);
                    continue;
                }
                [] => {
                    missing.push(name.clone());
                    format!("belongs to no {} that you may see", kind.entity().name())
                }
                _ => ambiguous(kind.entity(), found),
            },
            Err(problem) => problem,
        };
        violations.push(Violation::new(format!("names[{index}]"), format!("{name:?} {problem}")));
    }
    match (violations.len(), missing.len()) {
        (0, _) => Ok(ids),
        (all, missing_names) if all == missing_names => Err(AppError::NotFound(kind.entity(), missing)),
        _ => Err(AppError::Invalid(violations)),
    }
}

/// The violation for a name that belongs to several entities.
fn ambiguous(kind: EntityKind, candidates: impl IntoIterator<Item = Candidate>) -> String {
    let all: Vec<String> = candidates.into_iter().map(|it| format!("{} ({})", it.id, it.description)).collect();
    let shown = all.iter().take(SHOWN_CANDIDATES).cloned().collect::<Vec<_>>().join(", ");
    let more = match all.len().saturating_sub(SHOWN_CANDIDATES) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("belongs to more than one {}: {shown}{more}", kind.name())
}

/// The offers of a programme within reach that these names may belong to.
async fn find_offers(
    from: &dyn Readable,
    programme: &Programme,
    reach: &Reach,
    offer_names: &[&OfferName],
) -> Result<BTreeMap<OfferId, Offer>> {
    let (mut endings, mut urns, mut uids) = (Vec::new(), Vec::new(), Vec::new());
    for name in offer_names {
        match name {
            OfferName::Id(name) => endings.push(name.last_digits()),
            OfferName::School(urn) => urns.push(*urn),
            OfferName::Trust(uid) => uids.push(*uid),
        }
    }
    let by_ending = names::by_ending(from, NamedTable::Offers, programme, &endings).await?;
    let mut ids: Vec<OfferId> = by_ending.into_iter().map(OfferId).collect();
    ids.extend(names::offers_of_schools(from, programme, &urns).await?);
    ids.extend(names::offers_of_trusts(from, programme, &uids).await?);
    visible_offers(from, programme, reach, &ids).await
}

/// Those of these offers that belong to the programme and are within reach.
async fn visible_offers(
    from: &dyn Readable,
    programme: &Programme,
    reach: &Reach,
    ids: &[OfferId],
) -> Result<BTreeMap<OfferId, Offer>> {
    let mut found = offers::find(from, ids).await?;
    found.retain(|_, it| it.programme == *programme && reach.covers(it.region, it.assignee.as_ref()));
    Ok(found)
}

/// The offers that a name may belong to. For a school: the open offer that it is on, otherwise its newest closed one.
fn matching_offers<'a>(name: &OfferName, offers: &'a BTreeMap<OfferId, Offer>) -> Vec<&'a Offer> {
    let all = offers.values();
    match name {
        OfferName::Id(name) => all.filter(|it| name.names(it.id.0)).collect(),
        OfferName::School(urn) => {
            let of_school: Vec<&Offer> = all.filter(|it| it.schools.contains_key(urn)).collect();
            let open: Vec<&Offer> = of_school.iter().copied().filter(|it| it.is_open()).collect();
            if !open.is_empty() {
                return open;
            }
            let newest = of_school.iter().map(|it| it.made_at).max();
            of_school.into_iter().filter(|it| Some(it.made_at) == newest).collect()
        }
        OfferName::Trust(uid) => {
            let is_to_trust = |it: &&Offer| it.recipient == Recipient::Mat(*uid);
            let of_trust: Vec<&Offer> = all.filter(|it| is_to_trust(it) || it.trust == Some(*uid)).collect();
            let to_trust: Vec<&Offer> = of_trust.iter().copied().filter(is_to_trust).collect();
            if to_trust.is_empty() { of_trust } else { to_trust }
        }
    }
}

/// The awards of a strand under an offer; only the one at a place, if a place is given. `awards` are in the order in which they
/// were made.
fn awards_of_strand(awards: &[&Award], offer: OfferId, strand: &str, place: Option<usize>) -> Vec<Candidate> {
    let of_strand = awards.iter().filter(|it| it.offer == offer && it.support.strand_name() == strand);
    let candidates = of_strand.map(|it| award_candidate(it));
    match place {
        Some(place) => candidates.skip(place.saturating_sub(1)).take(1).collect(),
        None => candidates.collect(),
    }
}

fn offer_candidate(it: &Offer) -> Candidate {
    Candidate { id: it.id.0, description: format!("{}, {}", it.name, it.state.name()) }
}

fn award_candidate(it: &Award) -> Candidate {
    Candidate { id: it.id.0, description: format!("{}, awarded on {}", it.support.strand_name(), it.on) }
}
