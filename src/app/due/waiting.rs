//! Referrals and approvals that wait for a person, and funds with little left.

use super::{DueItem, Search};
use crate::app::Result;
use crate::app::clock::moment;
use crate::app::queries::approvals::{ApprovalScope, visible_approvals};
use crate::domain::approval::Approval;
use crate::domain::due::{DueKind, is_low};
use crate::domain::ids::ReferralId;
use crate::domain::ledger::{Account, Owner};
use crate::domain::referral::{DiscussionPartner, Referral, ReferralSubject};
use crate::domain::time::Micros;
use crate::store::db::page::Page;
use crate::store::due::last_entry_of_fund;
use crate::store::{accounts, approvals, referrals};

impl Search<'_> {
    /// The open referrals within reach, if the query includes them.
    pub(super) async fn open_referrals(&self) -> Result<Vec<Referral>> {
        if ![DueKind::ReferralDiscussion, DueKind::ReferralDecision].into_iter().any(|kind| self.includes(kind)) {
            return Ok(Vec::new());
        }
        let mut open = referrals::open(self.snapshot, &self.query.programme).await?;
        open.retain(|it| self.reach.covers_region(it.region));
        Ok(open)
    }

    /// The referrals that wait for a discussion or a decision. `confirmed` are those that the files confirm.
    pub(super) fn referrals(&self, open: &[Referral], confirmed: &[ReferralId]) -> Vec<DueItem> {
        let waiting = open.iter().filter(|it| !confirmed.contains(&it.id)).map(referral_item);
        waiting.filter(|it| self.includes(it.key.kind) && self.meets(it)).collect()
    }

    /// The approvals of the programme, and of reference data, that wait for the caller.
    pub(super) async fn approvals(&self) -> Result<Vec<DueItem>> {
        if !self.includes(DueKind::Approval) {
            return Ok(Vec::new());
        }
        let visible = visible_approvals(self.caller, ApprovalScope::WaitingForMe, self.now.at);
        if visible.actions.is_empty() {
            return Ok(Vec::new());
        }
        let all = Page { newest_first: false, after: None, limit: i64::MAX.unsigned_abs() };
        let waiting = approvals::page(self.snapshot, &visible, all).await?;
        let of_programme = |it: &Approval| it.programme.as_ref().is_none_or(|it| *it == self.query.programme);
        let items = waiting.into_iter().filter(of_programme).map(|it| self.approval_item(&it));
        Ok(items.filter(|it| self.meets(it)).collect())
    }

    fn approval_item(&self, it: &Approval) -> DueItem {
        let day = |at: Micros| moment(at).map_or(self.query.on, |it| it.today);
        let expires = it.expires.map(|at| format!("; it expires on {}", day(at))).unwrap_or_default();
        let action = it.action.name().replace('_', " ");
        DueItem {
            subject: action,
            reason: format!("requested by {}{expires}", it.requested_by),
            owner: Some(self.caller.actor.clone()),
            approval: Some(it.id),
            ..DueItem::due_at_once(DueKind::Approval, day(it.requested_at), it.id, "a second person decides")
        }
    }

    /// The binding funds within reach of which less is left than the terms set.
    pub(super) async fn low_funds(&self) -> Result<Vec<DueItem>> {
        let mut items = Vec::new();
        if !self.includes(DueKind::LowFund) {
            return Ok(items);
        }
        let percent = self.terms.low_fund_percent();
        for (_, fund) in accounts::funds(self.snapshot, Some(&self.query.programme)).await? {
            let Owner::Fund { region } = fund.owner else { continue };
            if !fund.binds || !self.reach.covers_fund(region) || !is_low(fund.available, fund.allocated(), percent) {
                continue;
            }
            let since = last_entry_of_fund(self.snapshot, fund.id).await?.unwrap_or(self.query.on);
            let item = DueItem {
                subject: fund_in_words(&fund),
                reason: format!("less than {percent} % of its allocation is left"),
                region,
                strand: Some(fund.strand.to_string()),
                fund: Some(fund.id),
                ..DueItem::due_at_once(DueKind::LowFund, since, fund.id, format!("low_fund_percent = {percent}"))
            };
            items.extend(Some(item).filter(|it| self.meets(it)));
        }
        Ok(items)
    }
}

fn fund_in_words(fund: &Account) -> String {
    match fund.owner {
        Owner::Fund { region: Some(region) } => format!("{} fund of {region}", fund.strand),
        Owner::Fund { region: None } | Owner::Cap { .. } => format!("{} fund, national", fund.strand),
    }
}

fn referral_item(it: &Referral) -> DueItem {
    let with_commissioner =
        it.discussions.iter().rfind(|it| it.with == Some(DiscussionPartner::RegionalSchoolsCommissioner));
    let (kind, reason) = match with_commissioner {
        Some(discussion) => (
            DueKind::ReferralDecision,
            format!("discussed with the regional schools commissioner on {}, not decided", discussion.on),
        ),
        None => (DueKind::ReferralDiscussion, "not discussed with the regional schools commissioner yet".to_owned()),
    };
    let (urn, trust) = match it.subject {
        ReferralSubject::School(urn) => (Some(urn), None),
        ReferralSubject::Trust(uid) => (None, Some(uid)),
    };
    DueItem {
        subject: it.name.clone(),
        reason,
        region: Some(it.region),
        urn,
        trust,
        referral: Some(it.id),
        ..DueItem::due_at_once(kind, it.raised_on, it.id, it.rule.to_string())
    }
}
