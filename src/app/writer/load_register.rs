//! What commands are decided against that the register and the monthly files say.

use std::collections::BTreeSet;

use super::required_state::RequiredState;
use crate::app::eligibility;
use crate::app::write_error::WriteError;
use crate::domain::Date;
use crate::domain::approval::Approval;
use crate::domain::ids::{ReferralId, Urn};
use crate::domain::offer::Offer;
use crate::domain::programme::ProgrammeState;
use crate::domain::referral::ReferralSubject;
use crate::domain::register_record::RegisterSeq;
use crate::domain::role::Reach;
use crate::domain::terms::Terms;
use crate::store::{Readable, entry_decisions, offers, referrals};

/// Notes after which event of its record the register was read. All that a batch reads of it is after the same one.
///
/// # Errors
/// [`WriteError::Overtaken`] where something landed or was withdrawn in between.
pub(super) fn read_after(facts: &mut ProgrammeState, at: Option<RegisterSeq>) -> Result<(), WriteError> {
    let is_other = facts.register_seq.zip(at).is_some_and(|(before, at)| before != at);
    if is_other {
        return Err(WriteError::Overtaken("the register changed while it was read"));
    }
    facts.register_seq = facts.register_seq.or(at);
    Ok(())
}

/// Who answers for the schools of the offers that are contacted and follow the register still.
pub(super) async fn load_responsible(
    from: &impl Readable,
    asked: &RequiredState,
    today: Date,
    facts: &mut ProgrammeState,
) -> Result<(), WriteError> {
    let contacted = asked.contacted.iter().filter_map(|id| facts.offers.get(id));
    let urns: Vec<Urn> = contacted.filter_map(Offer::follows_register).collect();
    if !urns.is_empty() {
        read_after(facts, Some(eligibility::lock_register(from).await?))?;
        let programme = &facts.programme.programme;
        facts.responsible =
            eligibility::responsible_bodies(from, programme, &urns, today).await.map_err(WriteError::Load)?;
    }
    Ok(())
}

/// The referrals named, the open ones of whom is referred and, for identify, all that are open, and what register and files say of the schools concerned: under
/// the register's lock, as for identify.
pub(super) async fn load_referrals(
    from: &impl Readable,
    asked: &RequiredState,
    (terms, today): (&Terms, Date),
    facts: &mut ProgrammeState,
) -> Result<(), WriteError> {
    if asked.identifies {
        let open = referrals::open(from, terms.programme()).await?;
        facts.referrals = open.into_iter().map(|it| (it.id, it)).collect();
    }
    if asked.referrals.is_empty() && asked.referred.is_empty() {
        return Ok(());
    }
    let ids: Vec<ReferralId> = asked.referrals.iter().copied().collect();
    let subjects: Vec<ReferralSubject> = asked.referred.iter().copied().collect();
    let found = referrals::find(from, terms.programme(), &ids, &subjects).await?;
    let approved = found.iter().filter(|it| asked.approved.contains(&it.id)).flat_map(|it| &it.urns);
    let urns: BTreeSet<Urn> = asked.seated.iter().chain(approved).copied().collect();
    if !urns.is_empty() {
        (facts.offer_placements, facts.endings) =
            eligibility::offer_placements(from, terms, &urns, today).await.map_err(WriteError::Load)?;
    }
    facts.referrals.extend(found.into_iter().map(|it| (it.id, it)));
    Ok(())
}

/// Where the schools lie whose entry position is asked for. Of those that are to be decided, what the files say of them, what was
/// decided before, and the open offers they are on: under the register's lock, as for identify.
pub(super) async fn load_entries(
    from: &impl Readable,
    asked: &RequiredState,
    (terms, today): (&Terms, Date),
    facts: &mut ProgrammeState,
) -> Result<(), WriteError> {
    let located: Vec<Urn> = asked.entry_regions.iter().copied().collect();
    facts.entry_regions = eligibility::regions(from, &located, today).await.map_err(WriteError::Load)?;
    let given = asked.entries_given.iter().filter_map(|id| facts.approvals.get(id));
    let given = given.filter_map(Approval::school).map(|(urn, _)| urn);
    let urns: BTreeSet<Urn> = asked.entries.iter().copied().chain(given).collect();
    if urns.is_empty() {
        return Ok(());
    }
    facts.entry_schools = eligibility::entry_schools(from, terms, &urns, today).await.map_err(WriteError::Load)?;
    let decided = entry_decisions::of_programme(from, terms.programme()).await?;
    facts.entry_decisions = decided.into_iter().filter(|it| urns.contains(&it.urn)).map(|it| (it.urn, it)).collect();
    let follows = facts.entry_schools.values().flat_map(|it| &it.follows);
    let lineages: Vec<Urn> = urns.iter().chain(follows).copied().collect();
    let listed = offers::listing(from, terms.programme(), &Reach::everything(), &lineages).await?;
    facts.listed.extend(listed);
    Ok(())
}
