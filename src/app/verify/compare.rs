//! Compares the folded state of a programme with the stored one, entity by entity.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use super::{Result, VerifyReport};
use crate::app::verify::folded::Folded;
use crate::domain::approval::Approval;
use crate::domain::award::Award;
use crate::domain::event::{Hash, Seq};
use crate::domain::ids::{AccountId, Urn};
use crate::domain::ledger::{Account, Owner};
use crate::domain::offer::Offer;
use crate::domain::programme::ProgrammeState;
use crate::domain::referral::Referral;
use crate::domain::role::Reach;
use crate::domain::school::HandPlacement;
use crate::domain::terms::released::is_rewritten;
use crate::store::register::record;
use crate::store::verify_rows::VerifyRows;
use crate::store::{
    ReadTx, StoreError, account_days, accounts, approvals, awards, entry_decisions, offers, placements, programmes,
    referrals,
};

/// Reports every difference between the folded state of a programme and the database. `terms` is the stored hash of its
/// terms.
pub(super) async fn compare(snapshot: &ReadTx, folded: &Folded, terms: Hash, report: &mut VerifyReport) -> Result<()> {
    let state = &folded.state;
    compare_head(snapshot, folded, report).await?;
    compare_cited(snapshot, folded, report).await?;
    compare_terms(state, terms, report);
    compare_offers(snapshot, state, report).await?;
    compare_accounts(snapshot, folded, report).await?;
    let programme = &state.programme.programme;
    compare_rows("award", &state.awards, awards::for_verify(snapshot, programme).await?, report, compare_award);
    compare_rows(
        "approval",
        &state.approvals,
        approvals::for_verify(snapshot, programme).await?,
        report,
        compare_approval,
    );
    compare_rows(
        "referral",
        &state.referrals,
        referrals::for_verify(snapshot, programme).await?,
        report,
        compare_referral,
    );
    let decided = entry_decisions::for_verify(snapshot, programme).await?;
    compare_rows("entry position of school", &state.entry_decisions, decided, report, |recorded, stored, report| {
        report.compare(format!("entry position of school {}", recorded.urn), recorded, stored);
    });
    compare_placements(snapshot, folded, report).await
}

/// Compares the recorded entities of one kind with their rows. `what` is the name of the kind in the differences.
fn compare_rows<K: Ord + Display, R, S>(
    what: &str,
    recorded: &BTreeMap<K, R>,
    stored: VerifyRows<K, S>,
    report: &mut VerifyReport,
    compare: impl Fn(&R, &S, &mut VerifyReport),
) {
    let VerifyRows { mut rows, without_key } = stored;
    report.without_key(what, without_key);
    for (id, recorded) in recorded {
        match rows.remove(id) {
            Some(Ok(stored)) => compare(recorded, &stored, report),
            Some(Err(wrong)) => report.differs(format!("{what} {id}: {wrong}")),
            None => report.differs(format!("{what} {id}: the record makes it, the database does not have it")),
        }
    }
    for (id, stored) in rows {
        let wrong = stored.err();
        let wrong = wrong.as_deref().unwrap_or("the database has it, no event makes it");
        report.differs(format!("{what} {id}: {wrong}"));
    }
}

/// Compares the end of the record with the stored head, the rules version, and whether the programme is open.
async fn compare_head(snapshot: &ReadTx, folded: &Folded, report: &mut VerifyReport) -> Result<()> {
    let (seq, hash) = (report.seq, report.hash);
    match programmes::head_of(snapshot, &folded.state.programme.programme).await {
        Ok(Some(head)) => {
            report.compare("the head's sequence", &seq, &head.last());
            report.compare("the head's hash", &hash, &head.hash);
            report.compare("the head's next entry", &folded.next_entry, &head.next_entry);
            report.compare("the version of the rules", &folded.state.rules, &head.rules);
            // No event closes a programme.
            report.compare("whether the programme is open", &true, &head.open);
        }
        Ok(None) => report.differs("the programme: there are terms, but its row is missing"),
        Err(StoreError::Unreadable(why)) => report.differs(format!("the programme: it cannot be read: {why}")),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Checks that the last event of the register's record that the programme cites exists.
async fn compare_cited(snapshot: &ReadTx, folded: &Folded, report: &mut VerifyReport) -> Result<()> {
    let Some(cited) = folded.cited else { return Ok(()) };
    let last = match record::head(snapshot).await {
        Ok(head) => head.last(),
        // The report of the register's record lists an unreadable head.
        Err(StoreError::Unreadable(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if cited > last {
        report.differs(format!("an event cites event {cited} of the register's record, which ends with {last}"));
    }
    Ok(())
}

/// Compares the hash computed from the text of the terms with the stored hash, and with the hash that each offer stores. Also
/// reports terms whose text was rewritten.
fn compare_terms(state: &ProgrammeState, stored: Hash, report: &mut VerifyReport) {
    let computed = Hash(state.programme.terms);
    if computed != stored {
        report.differs(format!("the terms: the hash of their text is {stored}, computed {computed}"));
    }
    if is_rewritten(&state.programme.programme, computed) {
        report.differs(format!(
            "the terms: no text with the hash {computed} ever came with the program: their rules were rewritten"
        ));
    }
    if let Some(offer) = state.offers.values().find(|it| it.terms != computed.0) {
        report.differs(format!(
            "the terms: offer {} was made under {}, they are {computed}",
            offer.id,
            Hash(offer.terms)
        ));
    }
}

async fn compare_offers(snapshot: &ReadTx, state: &ProgrammeState, report: &mut VerifyReport) -> Result<()> {
    let programme = &state.programme.programme;
    compare_rows("offer", &state.offers, offers::for_verify(snapshot, programme).await?, report, compare_offer);
    let urns: Vec<_> = state.open_offer_by_school.keys().copied().collect();
    let listed = offers::listing(snapshot, programme, &Reach::everything(), &urns).await?;
    for (urn, recorded) in &state.open_offer_by_school {
        report.compare(format!("school {urn}: its open offer"), &Some(recorded), &listed.get(urn));
    }
    let open = offers::count_listed(snapshot, programme).await?;
    report.compare("schools on open offers", &(state.open_offer_by_school.len() as u64), &open);
    Ok(())
}

fn compare_offer(recorded: &Offer, stored: &Offer, report: &mut VerifyReport) {
    if recorded == stored {
        return;
    }
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

async fn compare_accounts(snapshot: &ReadTx, folded: &Folded, report: &mut VerifyReport) -> Result<()> {
    let ledger = &folded.state.ledger;
    let stored = accounts::for_verify(snapshot, &folded.state.programme.programme).await?;
    // A fund that the terms define gets a row with its first entry, so such a fund without entries may have no row.
    let may_have_no_row = |it: &Account| {
        matches!(it.owner, Owner::Fund { .. }) && it.version == Seq(0) && !folded.moved_funds.contains(&it.id)
    };
    let recorded = ledger.accounts().filter(|it| stored.rows.contains_key(&it.id) || !may_have_no_row(it));
    let recorded: BTreeMap<AccountId, &Account> = recorded.map(|it| (it.id, it)).collect();
    // A day whose changes sum to zero is not stored for a cap, and may be stored for a fund.
    let days = |id: AccountId| folded.state.account_days.of_account(id).filter(|(_, change)| *change != 0);
    compare_rows("account", &recorded, stored, report, |recorded, (stored, stored_days), report| {
        compare_account(recorded, stored, report);
        if let Owner::Cap { .. } = recorded.owner {
            report.compare(format!("{recorded} daily changes"), &days(recorded.id).collect(), stored_days);
        }
    });
    compare_sums(&folded.state, report);
    let mut stored = account_days::for_verify(snapshot, &folded.state.programme.programme).await?;
    stored.rows.retain(|_, it| *it != Ok(0));
    let funds = ledger.accounts().filter(|it| matches!(it.owner, Owner::Fund { .. }));
    let changes = funds.flat_map(|fund| days(fund.id).map(|(on, change)| ((fund.id, on.to_string()), change)));
    compare_days(&changes.collect(), stored, report);
    Ok(())
}

/// Checks that the stored daily changes of funds are those of their entries.
fn compare_days(
    recorded: &BTreeMap<(AccountId, String), i64>,
    stored: VerifyRows<(AccountId, String), i64>,
    report: &mut VerifyReport,
) {
    report.without_key("account_days", stored.without_key);
    for ((account, day), change) in recorded {
        match stored.rows.get(&(*account, day.clone())) {
            Some(Ok(stored)) => report.compare(format!("account {account} on {day}"), change, stored),
            Some(Err(wrong)) => report.differs(format!("account {account} on {day}: {wrong}")),
            None => {
                report.differs(format!("account {account} on {day}: it changed by {change}, the database has nothing"))
            }
        }
    }
    for (account, day) in stored.rows.keys().filter(|it| !recorded.contains_key(*it)) {
        report.differs(format!("account {account} on {day}: the record has no change on that day"));
    }
}

fn compare_account(recorded: &Account, stored: &Account, report: &mut VerifyReport) {
    if recorded == stored {
        return;
    }
    let before = report.count;
    report.compare(format!("{recorded} allocated"), &recorded.allocated(), &stored.allocated());
    report.compare(format!("{recorded} available"), &recorded.available, &stored.available);
    report.compare(format!("{recorded} committed"), &recorded.committed, &stored.committed);
    report.compare(format!("{recorded} spent"), &recorded.spent, &stored.spent);
    if report.count == before {
        report.differs(format!("{recorded}: the record says {recorded:?}, the database has {stored:?}"));
    }
}

/// Checks that the amounts of each account are the sums of the awards under it.
fn compare_sums(state: &ProgrammeState, report: &mut VerifyReport) {
    let mut sums: HashMap<AccountId, (i64, i64)> = HashMap::new();
    let mut add = |account: AccountId, committed: i64, spent: i64| {
        let sum = sums.entry(account).or_default();
        *sum = (sum.0.saturating_add(committed), sum.1.saturating_add(spent));
    };
    for award in state.awards.values() {
        let cost = |amount| award.cost(amount).unwrap_or(i64::MAX);
        add(award.fund, cost(award.committed()), cost(award.spent()));
        award.cap.into_iter().for_each(|cap| add(cap, award.committed(), award.spent()));
    }
    for account in state.ledger.accounts() {
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

fn compare_award(recorded: &Award, stored: &Award, report: &mut VerifyReport) {
    if recorded == stored {
        return;
    }
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

async fn compare_placements(snapshot: &ReadTx, folded: &Folded, report: &mut VerifyReport) -> Result<()> {
    let state = &folded.state;
    let placed = |(urn, how): (&Urn, &HandPlacement)| Some((*urn, (*urn, *how, *folded.placed.get(urn)?)));
    let recorded: BTreeMap<Urn, (Urn, HandPlacement, Seq)> = state.placements.iter().filter_map(placed).collect();
    let stored = placements::for_verify(snapshot, &state.programme.programme).await?;
    compare_rows("placement of school", &recorded, stored, report, |recorded, stored, report| {
        report.compare(format!("placement of school {}", recorded.0), recorded, stored);
    });
    Ok(())
}

/// Compares every column of an approval with the record.
pub(super) fn compare_approval(recorded: &Approval, stored: &Approval, report: &mut VerifyReport) {
    let id = recorded.id;
    report.compare(format!("approval {id} action"), &recorded.action, &stored.action);
    report.compare(format!("approval {id} subject"), &recorded.subject, &stored.subject);
    report.compare(format!("approval {id} change"), &recorded.change, &stored.change);
    report.compare(format!("approval {id} statement"), &recorded.statement, &stored.statement);
    report.compare(format!("approval {id} expiry"), &recorded.expires, &stored.expires);
    report.compare(format!("approval {id} opening event"), &recorded.opened, &stored.opened);
    report.compare(format!("approval {id} requested by"), &recorded.requested_by, &stored.requested_by);
    report.compare(format!("approval {id} requesting token"), &recorded.requested_subject, &stored.requested_subject);
    report.compare(format!("approval {id} answering token"), &recorded.answered_subject, &stored.answered_subject);
    report.compare(format!("approval {id} requested at"), &recorded.requested_at, &stored.requested_at);
    report.compare(format!("approval {id} request"), &recorded.request, &stored.request);
    report.compare(format!("approval {id} state"), &recorded.state, &stored.state);
    report.compare(format!("approval {id} denying event"), &recorded.denied, &stored.denied);
    // Reasons are texts of the events. Only approvals about reference data have them in their row.
    report.compare(format!("approval {id} reason"), &recorded.reason, &stored.reason);
    report.compare(format!("approval {id} reason of denying"), &recorded.denied_reason, &stored.denied_reason);
}

fn compare_referral(recorded: &Referral, stored: &Referral, report: &mut VerifyReport) {
    if recorded == stored {
        return;
    }
    let id = recorded.id;
    let before = report.count;
    report.compare(format!("referral {id} state"), &recorded.state, &stored.state);
    report.compare(format!("referral {id} region"), &recorded.region, &stored.region);
    report.compare(format!("referral {id} discussions"), &recorded.discussions, &stored.discussions);
    report.compare(format!("referral {id} decision"), &recorded.decision, &stored.decision);
    report.compare(format!("referral {id} offer"), &recorded.offer, &stored.offer);
    report.compare(format!("referral {id} exceptional schools"), &recorded.exceptional, &stored.exceptional);
    report.compare(format!("referral {id} version"), &recorded.version, &stored.version);
    if report.count == before {
        report.differs(format!("referral {id}: the record says {recorded:?}, the database has {stored:?}"));
    }
}
