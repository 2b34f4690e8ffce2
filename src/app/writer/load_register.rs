//! Loads the part of the state that comes from the register and the monthly files.

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

/// Notes the last event of the register's record when the register was read. A batch must read one state of the register.
///
/// # Errors
/// [`WriteError::Overtaken`] if an import landed or was withdrawn since the first read.
pub(super) fn note_register_seq(state: &mut ProgrammeState, seq: Option<RegisterSeq>) -> Result<(), WriteError> {
    let has_changed = state.register_seq.zip(seq).is_some_and(|(first, seq)| first != seq);
    if has_changed {
        return Err(WriteError::Overtaken("the register changed while it was read"));
    }
    state.register_seq = state.register_seq.or(seq);
    Ok(())
}

/// Loads the responsible bodies of schools whose offers get a contact, if the offer still follows the register.
pub(super) async fn load_responsible(
    from: &impl Readable,
    required: &RequiredState,
    today: Date,
    state: &mut ProgrammeState,
) -> Result<(), WriteError> {
    let contacted = required.contacted_offers.iter().filter_map(|id| state.offers.get(id));
    let urns: Vec<Urn> = contacted.filter_map(Offer::school_of_responsible_body).collect();
    if !urns.is_empty() {
        note_register_seq(state, Some(eligibility::lock_register(from).await?))?;
        let programme = &state.programme.programme;
        state.responsible_bodies =
            eligibility::responsible_bodies(from, programme, &urns, today).await.map_err(WriteError::Load)?;
    }
    Ok(())
}

/// Loads the referrals that commands name, the open referrals of the same schools and trusts and, for identify, all open
/// referrals. For schools that are referred or approved, also loads their offer placements, under the register's lock.
pub(super) async fn load_referrals(
    from: &impl Readable,
    required: &RequiredState,
    (terms, today): (&Terms, Date),
    state: &mut ProgrammeState,
) -> Result<(), WriteError> {
    if required.identifies {
        let open = referrals::open(from, terms.programme()).await?;
        state.referrals = open.into_iter().map(|it| (it.id, it)).collect();
    }
    if required.referrals.is_empty() && required.referred.is_empty() {
        return Ok(());
    }
    let ids: Vec<ReferralId> = required.referrals.iter().copied().collect();
    let subjects: Vec<ReferralSubject> = required.referred.iter().copied().collect();
    let loaded = referrals::find(from, terms.programme(), &ids, &subjects).await?;
    let approved = loaded.iter().filter(|it| required.approved.contains(&it.id)).flat_map(|it| &it.urns);
    let urns: BTreeSet<Urn> = required.referred_schools.iter().chain(approved).copied().collect();
    if !urns.is_empty() {
        (state.offer_placements, state.endings) =
            eligibility::offer_placements(from, terms, &urns, today).await.map_err(WriteError::Load)?;
    }
    state.referrals.extend(loaded.into_iter().map(|it| (it.id, it)));
    Ok(())
}

/// Loads the regions of schools whose entry position a command names. For schools that need a decision, also loads what the
/// files say of them, earlier decisions, and their open offers, under the register's lock.
pub(super) async fn load_entries(
    from: &impl Readable,
    required: &RequiredState,
    (terms, today): (&Terms, Date),
    state: &mut ProgrammeState,
) -> Result<(), WriteError> {
    let regions_of: Vec<Urn> = required.entry_regions.iter().copied().collect();
    state.entry_regions = eligibility::regions(from, &regions_of, today).await.map_err(WriteError::Load)?;
    let approvals = required.entry_approvals.iter().filter_map(|id| state.approvals.get(id));
    let approved = approvals.filter_map(Approval::school).map(|(urn, _)| urn);
    let urns: BTreeSet<Urn> = required.entries.iter().copied().chain(approved).collect();
    if urns.is_empty() {
        return Ok(());
    }
    state.entry_schools = eligibility::entry_schools(from, terms, &urns, today).await.map_err(WriteError::Load)?;
    let decisions = entry_decisions::of_programme(from, terms.programme()).await?;
    state.entry_decisions = decisions.into_iter().filter(|it| urns.contains(&it.urn)).map(|it| (it.urn, it)).collect();
    let follows = state.entry_schools.values().flat_map(|it| &it.follows);
    let lineages: Vec<Urn> = urns.iter().chain(follows).copied().collect();
    let open_offers = offers::listing(from, terms.programme(), &Reach::everything(), &lineages).await?;
    state.open_offer_by_school.extend(open_offers);
    Ok(())
}
