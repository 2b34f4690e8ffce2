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

/// Stores in the state the number of the register's last event at the time of a read. All reads of a batch must see the same
/// number, because the batch must be decided against one state of the register.
///
/// # Errors
/// [`WriteError::Overtaken`] if the number is not that of the first read: an import landed or was withdrawn in between.
pub(super) fn note_register_seq(state: &mut ProgrammeState, seq: Option<RegisterSeq>) -> Result<(), WriteError> {
    let has_changed = state.register_seq.zip(seq).is_some_and(|(first_read, seq)| first_read != seq);
    if has_changed {
        return Err(WriteError::Overtaken("the register changed while it was read"));
    }
    state.register_seq = state.register_seq.or(seq);
    Ok(())
}

/// Loads the responsible bodies for standalone offers that get a contact, by school. Offers whose responsible body does not
/// change any more are left out.
pub(super) async fn load_responsible_bodies(
    from: &dyn Readable,
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

/// Loads the referrals that commands name, the open referrals of the schools and trusts that commands refer and, for identify,
/// all open referrals. Also loads the offer placements of schools that a command refers, and of the schools of referrals that
/// a command approves. The caller has locked the register if a command needs offer placements.
pub(super) async fn load_referrals(
    from: &dyn Readable,
    required: &RequiredState,
    (terms, today): (&Terms, Date),
    state: &mut ProgrammeState,
) -> Result<(), WriteError> {
    if required.identifies {
        let open = referrals::open(from, terms.programme()).await?;
        state.referrals = open.into_iter().map(|it| (it.id, it)).collect();
    }
    if required.referrals.is_empty() && required.referred_subjects.is_empty() {
        return Ok(());
    }
    let ids: Vec<ReferralId> = required.referrals.iter().copied().collect();
    let subjects: Vec<ReferralSubject> = required.referred_subjects.iter().copied().collect();
    let loaded = referrals::find(from, terms.programme(), &ids, &subjects).await?;
    let approved_referrals = loaded.iter().filter(|it| required.approved_referrals.contains(&it.id));
    let approved_schools = approved_referrals.flat_map(|it| &it.urns);
    let urns: BTreeSet<Urn> = required.referred_schools.iter().chain(approved_schools).copied().collect();
    if !urns.is_empty() {
        (state.offer_placements, state.endings) =
            eligibility::offer_placements(from, terms, &urns, today).await.map_err(WriteError::Load)?;
    }
    state.referrals.extend(loaded.into_iter().map(|it| (it.id, it)));
    Ok(())
}

/// Loads the regions of schools whose entry position a command names. If a command decides an entry position, or answers an
/// approval of such a decision, also loads what the files say of the school, earlier decisions, and the open offers of the
/// school and its predecessors. The caller has locked the register in these cases.
pub(super) async fn load_entry_schools(
    from: &dyn Readable,
    required: &RequiredState,
    (terms, today): (&Terms, Date),
    state: &mut ProgrammeState,
) -> Result<(), WriteError> {
    let urns_for_region: Vec<Urn> = required.entry_regions.iter().copied().collect();
    state.entry_regions = eligibility::regions(from, &urns_for_region, today).await.map_err(WriteError::Load)?;
    let approvals = required.entry_approvals.iter().filter_map(|id| state.approvals.get(id));
    let approved_schools = approvals.filter_map(Approval::school).map(|(urn, _)| urn);
    let urns: BTreeSet<Urn> = required.entry_schools.iter().copied().chain(approved_schools).collect();
    if urns.is_empty() {
        return Ok(());
    }
    state.entry_schools = eligibility::entry_schools(from, terms, &urns, today).await.map_err(WriteError::Load)?;
    let decisions = entry_decisions::of_programme(from, terms.programme()).await?;
    state.entry_decisions = decisions.into_iter().filter(|it| urns.contains(&it.urn)).map(|it| (it.urn, it)).collect();
    let predecessors = state.entry_schools.values().flat_map(|it| &it.predecessors);
    let lineages: Vec<Urn> = urns.iter().chain(predecessors).copied().collect();
    let open_offers = offers::listing(from, terms.programme(), &Reach::everything(), &lineages).await?;
    state.open_offer_by_school.extend(open_offers);
    Ok(())
}
