//! The folded state beside the stored one, thing by thing.

use std::collections::{BTreeMap, HashMap};

use super::{Report, Result};
use crate::domain::award::Award;
use crate::domain::book::Facts;
use crate::domain::book::approval::Approval;
use crate::domain::ids::{AccountId, ApprovalId};
use crate::domain::ledger::{Account, Owner};
use crate::domain::offer::Offer;
use crate::store::approvals::StoredApproval;
use crate::store::{ReadTx, accounts, approvals, awards, loose, offers, placements};

/// Names every difference between what the record says and what the database has.
pub(super) async fn compare(snapshot: &ReadTx, facts: &Facts, report: &mut Report) -> Result<()> {
    compare_offers(snapshot, facts, report).await?;
    compare_accounts(snapshot, facts, report).await?;
    compare_awards(snapshot, facts, report).await?;
    compare_the_rest(snapshot, facts, report).await
}

async fn compare_offers(snapshot: &ReadTx, facts: &Facts, report: &mut Report) -> Result<()> {
    let stored = offers::of_programme(snapshot, &facts.programme.programme).await?;
    for (id, recorded) in &facts.offers {
        match stored.get(id) {
            None => report.differs(format!("offer {id}: the record makes it, the database does not have it")),
            Some(stored) if stored == recorded => {}
            Some(stored) => compare_offer(recorded, stored, report),
        }
    }
    for id in stored.keys().filter(|id| !facts.offers.contains_key(id)) {
        report.differs(format!("offer {id}: the database has it, no event makes it"));
    }
    let urns: Vec<_> = facts.listed.keys().copied().collect();
    let listed = offers::listing(snapshot, &facts.programme.programme, &urns).await?;
    for (urn, recorded) in &facts.listed {
        report.compare(format!("school {urn}: its open offer"), &Some(recorded), &listed.get(urn));
    }
    let open = offers::count_listed(snapshot, &facts.programme.programme).await?;
    report.compare("schools on open offers", &(facts.listed.len() as u64), &open);
    Ok(())
}

fn compare_offer(recorded: &Offer, stored: &Offer, report: &mut Report) {
    let id = recorded.id;
    let before = report.count;
    report.compare(format!("offer {id} state"), &recorded.state, &stored.state);
    report.compare(format!("offer {id} outcome"), &recorded.outcome, &stored.outcome);
    report.compare(format!("offer {id} state before closing"), &recorded.before_close, &stored.before_close);
    report.compare(format!("offer {id} acceptance"), &recorded.accepted, &stored.accepted);
    report.compare(format!("offer {id} region"), &recorded.region, &stored.region);
    report.compare(format!("offer {id} assignee"), &recorded.assignee, &stored.assignee);
    report.compare(format!("offer {id} recipient"), &recorded.recipient, &stored.recipient);
    report.compare(format!("offer {id} terms"), &recorded.terms, &stored.terms);
    report.compare(format!("offer {id} version"), &recorded.version, &stored.version);
    report.compare(format!("offer {id} schools"), &recorded.schools, &stored.schools);
    report.compare(format!("offer {id} contacts"), &recorded.contacts, &stored.contacts);
    if report.count == before {
        report.differs(format!("offer {id}: the record says {recorded:?}, the database has {stored:?}"));
    }
}

async fn compare_accounts(snapshot: &ReadTx, facts: &Facts, report: &mut Report) -> Result<()> {
    let stored = accounts::of_programme(snapshot, &facts.programme.programme).await?;
    let stored: HashMap<AccountId, Account> = stored.into_iter().map(|it| (it.id, it)).collect();
    let recorded: BTreeMap<AccountId, &Account> = facts.ledger.accounts().map(|it| (it.id, it)).collect();
    for (id, recorded) in &recorded {
        match stored.get(id) {
            // A fund that the terms bring with them is stored once something moves in it.
            None if recorded.version.0 == 0 && untouched(recorded) => {}
            None => report.differs(format!("{recorded}: the record makes it, the database does not have it")),
            Some(stored) => compare_account(recorded, stored, report),
        }
    }
    for account in stored.values().filter(|it| !recorded.contains_key(&it.id)) {
        report.differs(format!("{account}: the database has it, no event makes it"));
    }
    compare_sums(facts, report);
    Ok(())
}

fn untouched(account: &Account) -> bool {
    [account.outside, account.available, account.committed, account.spent].iter().all(|amount| *amount == 0)
}

fn compare_account(recorded: &Account, stored: &Account, report: &mut Report) {
    let before = report.count;
    report.compare(format!("{recorded} allocated"), &recorded.allocated(), &stored.allocated());
    report.compare(format!("{recorded} available"), &recorded.available, &stored.available);
    report.compare(format!("{recorded} committed"), &recorded.committed, &stored.committed);
    report.compare(format!("{recorded} spent"), &recorded.spent, &stored.spent);
    if report.count == before && recorded != stored {
        report.differs(format!("{recorded}: the record says {recorded:?}, the database has {stored:?}"));
    }
}

/// What the awards of an account say must be what its entries moved: no penny without its award.
fn compare_sums(facts: &Facts, report: &mut Report) {
    let mut sums: HashMap<AccountId, (i64, i64)> = HashMap::new();
    let mut add = |account: AccountId, committed: i64, spent: i64| {
        let sum = sums.entry(account).or_default();
        *sum = (sum.0.saturating_add(committed), sum.1.saturating_add(spent));
    };
    for award in facts.awards.values() {
        let cost = |amount| award.cost(amount).unwrap_or(i64::MAX);
        add(award.fund, cost(award.committed()), cost(award.spent()));
        award.cap.into_iter().for_each(|cap| add(cap, award.committed(), award.spent()));
    }
    for account in facts.ledger.accounts() {
        let (committed, spent) = sums.get(&account.id).copied().unwrap_or_default();
        if (committed, spent) != (account.committed, account.spent) {
            let (in_account, what) = (
                (account.committed, account.spent),
                match account.owner {
                    Owner::Fund { .. } => "charged to it",
                    Owner::Cap { .. } => "under it",
                },
            );
            report.differs(format!(
                "{account}: its entries leave {} committed and {} spent, the awards {what} {committed} and {spent}",
                in_account.0, in_account.1
            ));
        }
    }
}

async fn compare_awards(snapshot: &ReadTx, facts: &Facts, report: &mut Report) -> Result<()> {
    let awards::OfProgramme { awards: mut stored, strands, bookings, invoices } =
        awards::of_programme(snapshot, &facts.programme.programme).await?;
    for (id, recorded) in &facts.awards {
        match stored.remove(id) {
            None => report.differs(format!("award {id}: the record makes it, the database does not have it")),
            Some(stored) if stored == *recorded => {}
            Some(stored) => compare_award(recorded, &stored, report),
        }
    }
    for id in stored.keys() {
        report.differs(format!("award {id}: the database has it, no event makes it"));
    }
    for (id, strand) in strands {
        report.differs(format!("award {id}: it is stored under strand {strand:?}, which is not that of its support"));
    }
    for (id, seq) in bookings {
        report.differs(format!("booking {seq}: it is stored under award {id}, which this programme does not have"));
    }
    for (id, seq) in invoices {
        report.differs(format!("invoice {seq}: it is stored under award {id}, which this programme does not have"));
    }
    Ok(())
}

fn compare_award(recorded: &Award, stored: &Award, report: &mut Report) {
    let id = recorded.id;
    let before = report.count;
    report.compare(format!("award {id} awarded"), &recorded.awarded, &stored.awarded);
    report.compare(format!("award {id} drawn"), &recorded.drawn, &stored.drawn);
    report.compare(format!("award {id} released"), &recorded.released, &stored.released);
    report.compare(format!("award {id} refunded"), &recorded.refunded, &stored.refunded);
    report.compare(format!("award {id} version"), &recorded.version, &stored.version);
    report.compare(format!("award {id} bookings"), &recorded.bookings, &stored.bookings);
    report.compare(format!("award {id} invoices"), &recorded.invoices, &stored.invoices);
    if report.count == before {
        report.differs(format!("award {id}: the record says {recorded:?}, the database has {stored:?}"));
    }
}

async fn compare_the_rest(snapshot: &ReadTx, facts: &Facts, report: &mut Report) -> Result<()> {
    let stored = placements::of_programme(snapshot, &facts.programme.programme).await?;
    let stored: HashMap<_, _> = stored.into_iter().map(|(urn, how, _)| (urn, how)).collect();
    report.compare("placements by hand", &facts.placements, &stored);
    compare_approvals(snapshot, facts, report).await
}

async fn compare_approvals(snapshot: &ReadTx, facts: &Facts, report: &mut Report) -> Result<()> {
    let programme = &facts.programme.programme;
    let stored = approvals::of_programme(snapshot, programme).await?;
    let mut stored: BTreeMap<ApprovalId, StoredApproval> = stored.into_iter().map(|it| (it.id, it)).collect();
    for (id, recorded) in &facts.approvals {
        match stored.remove(id) {
            None => report.differs(format!("approval {id}: the record opens it, the database does not have it")),
            Some(stored) => compare_approval(recorded, &stored, report),
        }
    }
    for id in stored.keys() {
        report.differs(format!("approval {id}: the database has it, no event opens it"));
    }
    for id in loose::approvals(snapshot, programme).await? {
        report.differs(format!("approval {id}: its state is not what it is by who gave it"));
    }
    Ok(())
}

fn compare_approval(recorded: &Approval, stored: &StoredApproval, report: &mut Report) {
    let id = recorded.id;
    report.compare(format!("approval {id} action"), &recorded.action, &stored.action);
    report.compare(format!("approval {id} subject"), &recorded.subject, &stored.subject);
    report.compare(format!("approval {id} change"), &recorded.change, &stored.change);
    report.compare(format!("approval {id} opening event"), &Some(recorded.opened), &stored.opened);
    report.compare(format!("approval {id} requested by"), &recorded.requested_by, &stored.requested_by);
    report.compare(format!("approval {id} requested at"), &recorded.requested_at, &stored.requested_at);
    report.compare(format!("approval {id} request"), &recorded.request, &stored.request);
    report.compare(format!("approval {id} given by"), &recorded.given_by, &stored.given_by);
}
