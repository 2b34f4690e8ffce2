//! Ways to tamper with the ledger: each with the SQL, a part of the report of verify, and the SQL that undoes it.

use super::LedgerFixture;
use crate::client::{YEAR, fresh};
use crate::raw_sql::RawSql;
use crate::record::Tampering;

/// All ways to tamper. They need a connection on which the triggers of entries do not fire.
pub(super) async fn all(raw_sql: &mut RawSql, fixture: &LedgerFixture) -> Vec<Tampering> {
    let mut rows = entries_and_balances(raw_sql, fixture).await;
    rows.extend(outside_balances(raw_sql, fixture).await);
    rows.extend(claims(raw_sql, fixture));
    rows.extend(account_days(raw_sql, fixture));
    rows.extend(of_caps(raw_sql, fixture));
    rows.extend(unreadable(raw_sql, fixture));
    rows.extend(impossible_entries(raw_sql));
    rows.extend(of_unknown_programme(raw_sql, fixture));
    if matches!(raw_sql, RawSql::Postgres(_)) {
        rows.extend(infinite_dates(raw_sql, fixture));
    }
    rows
}

/// Entries, which the chain covers, and the balances and awards that are computed from them.
async fn entries_and_balances(raw_sql: &mut RawSql, fixture: &LedgerFixture) -> Vec<Tampering> {
    let LedgerFixture { credit_fund, nle_fund, offer, credit, days, fees, .. } = fixture;
    let [fund_id, nle_id, offer_id, credit_id, days_id, fees_id] =
        [credit_fund, nle_fund, offer, credit, days, fees].map(|it| raw_sql.id(it));
    let entry = format!("seq = (SELECT MIN(seq) FROM entries WHERE account_id = {fund_id} AND verb = 'spend')");
    let event = raw_sql.number(&format!("SELECT event_seq FROM entries WHERE {entry}")).await;
    let of_event = format!("event {event}");
    vec![
        // Entries, which the chain covers.
        (
            format!("UPDATE entries SET amount = amount + 1 WHERE {entry}"),
            of_event.clone(),
            format!("UPDATE entries SET amount = amount - 1 WHERE {entry}"),
        ),
        (
            format!("UPDATE entries SET period = 'FY2021-22/M09' WHERE {entry}"),
            of_event.clone(),
            format!("UPDATE entries SET period = 'FY2021-22/M08' WHERE {entry}"),
        ),
        (
            format!("UPDATE entries SET account_id = {nle_id} WHERE {entry}"),
            of_event.clone(),
            format!("UPDATE entries SET account_id = {fund_id} WHERE event_seq = {event} AND account_id = {nle_id}"),
        ),
        // Balances, changed so that the buckets still add up.
        (
            format!("UPDATE accounts SET available = available + 7, outside = outside - 7 WHERE id = {fund_id}"),
            credit_fund.clone(),
            format!("UPDATE accounts SET available = available - 7, outside = outside + 7 WHERE id = {fund_id}"),
        ),
        (
            format!("UPDATE accounts SET committed = committed + 7, spent = spent - 7 WHERE id = {nle_id}"),
            nle_fund.clone(),
            format!("UPDATE accounts SET committed = committed - 7, spent = spent + 7 WHERE id = {nle_id}"),
        ),
        (
            format!(
                "UPDATE accounts SET available = available + 1, outside = outside - 1 WHERE offer_id = {offer_id} AND strand = 'nle'"
            ),
            offer.clone(),
            format!(
                "UPDATE accounts SET available = available - 1, outside = outside + 1 WHERE offer_id = {offer_id} AND strand = 'nle'"
            ),
        ),
        // Awards, with their bookings and invoices.
        (
            format!("UPDATE awards SET drawn = drawn + 1 WHERE id = {credit_id}"),
            credit.clone(),
            format!("UPDATE awards SET drawn = drawn - 1 WHERE id = {credit_id}"),
        ),
        (
            format!("UPDATE bookings SET state = 'delivered' WHERE award_id = {days_id} AND state = 'booked'"),
            days.clone(),
            format!("UPDATE bookings SET state = 'booked' WHERE award_id = {days_id} AND half_days = 1"),
        ),
        (
            format!("UPDATE invoices SET reference = 'INV8' WHERE award_id = {fees_id}"),
            fees.clone(),
            format!("UPDATE invoices SET reference = 'INV7' WHERE award_id = {fees_id}"),
        ),
    ]
}

/// Changes of the daily totals of an account.
fn account_days(raw_sql: &RawSql, fixture: &LedgerFixture) -> Vec<Tampering> {
    let credit_fund = &fixture.credit_fund;
    let fund_id = raw_sql.id(credit_fund);
    vec![
        (
            format!("UPDATE account_days SET change = change + 7 WHERE account_id = {fund_id}"),
            format!("account {credit_fund} on "),
            format!("UPDATE account_days SET change = change - 7 WHERE account_id = {fund_id}"),
        ),
        (
            format!(
                "UPDATE account_days SET on_day = '1999-01-01' WHERE account_id = {fund_id} AND on_day = '2021-09-01'"
            ),
            format!("account {credit_fund} on 1999-01-01: the record has no change on that day"),
            format!(
                "UPDATE account_days SET on_day = '2021-09-01' WHERE account_id = {fund_id} AND on_day = '1999-01-01'"
            ),
        ),
        (
            format!(r#"UPDATE accounts SET days = '[["2021-09-01",7]]' WHERE id = {fund_id}"#),
            format!("account {credit_fund}: it cannot be read: its daily changes"),
            format!("UPDATE accounts SET days = NULL WHERE id = {fund_id}"),
        ),
    ]
}

/// Changes of what lies in the rows of events and caps: entries and daily totals.
fn of_caps(raw_sql: &RawSql, fixture: &LedgerFixture) -> Vec<Tampering> {
    let offer = raw_sql.id(&fixture.offer);
    let cap = format!("(SELECT id FROM accounts WHERE offer_id = {offer} AND strand = 'nle')");
    let event = format!("(SELECT MIN(seq) FROM events WHERE offer_id = {offer} AND kind = 'awarded')");
    let replace = |from: &str, to: &str| {
        format!("UPDATE events SET cap_entries = REPLACE(cap_entries, '\"{from}\",', '\"{to}\",') WHERE seq = {event}")
    };
    vec![
        (replace("commit", "spend"), "its hash is".to_owned(), replace("spend", "commit")),
        (replace("commit", "lend"), "it cannot be read: its entries of caps".to_owned(), replace("lend", "commit")),
        (
            format!(
                "CREATE TABLE kept_days AS SELECT days FROM accounts WHERE id = {cap}; \
                 UPDATE accounts SET days = '[[\"2021-09-01\",-7]]' WHERE id = {cap}"
            ),
            "daily changes: the record says".to_owned(),
            format!("UPDATE accounts SET days = (SELECT days FROM kept_days) WHERE id = {cap}"),
        ),
        (
            format!(
                "INSERT INTO account_days (account_id, on_day, programme, change) VALUES ({cap}, '2021-09-01', '{YEAR}', 5)"
            ),
            "on 2021-09-01: the record has no change on that day".to_owned(),
            format!("DELETE FROM account_days WHERE account_id = {cap}"),
        ),
    ]
}

/// Changes of invoices and leaders.
fn claims(raw_sql: &RawSql, fixture: &LedgerFixture) -> Vec<Tampering> {
    let LedgerFixture { days, fees, .. } = fixture;
    let [days_id, fees_id] = [days, fees].map(|it| raw_sql.id(it));
    vec![
        (
            format!("UPDATE invoices SET part = part + 1 WHERE award_id = {fees_id}"),
            fees.clone(),
            format!("UPDATE invoices SET part = part - 1 WHERE award_id = {fees_id}"),
        ),
        (
            format!("UPDATE invoices SET total = amount WHERE award_id = {fees_id}"),
            fees.clone(),
            format!("UPDATE invoices SET total = NULL WHERE award_id = {fees_id}"),
        ),
        (
            format!("UPDATE invoices SET printed = 'INV 7' WHERE award_id = {fees_id}"),
            fees.clone(),
            format!("UPDATE invoices SET printed = 'INV-7' WHERE award_id = {fees_id}"),
        ),
        (
            format!("UPDATE invoices SET issuer = 'Oak Trust' WHERE award_id = {fees_id}"),
            format!("award {fees}: its invoice"),
            format!("UPDATE invoices SET issuer = 'Teach First' WHERE award_id = {fees_id}"),
        ),
        (
            format!("UPDATE awards SET leader_key = leader_key || 'x' WHERE id = {fees_id}"),
            format!("award {fees}: it cannot be read: the leader's key"),
            format!(
                "UPDATE awards SET leader_key = SUBSTR(leader_key, 1, LENGTH(leader_key) - 1) WHERE id = {fees_id}"
            ),
        ),
        (
            format!(
                "CREATE TABLE kept_key AS SELECT leader_key FROM awards WHERE id = {fees_id}; \
                 UPDATE awards SET leader_key = NULL WHERE id = {fees_id}"
            ),
            format!("award {fees}: it cannot be read: the leader's key"),
            format!("UPDATE awards SET leader_key = (SELECT leader_key FROM kept_key) WHERE id = {fees_id}"),
        ),
        (
            format!("UPDATE bookings SET leader_kind = 'equivalent' WHERE award_id = {days_id}"),
            days.clone(),
            format!("UPDATE bookings SET leader_kind = NULL WHERE award_id = {days_id}"),
        ),
    ]
}

/// Changes that no balance shows: approvals, columns of entries, orphan rows.
async fn outside_balances(raw_sql: &mut RawSql, fixture: &LedgerFixture) -> Vec<Tampering> {
    let LedgerFixture { credit_fund, credit, days, fees, approval, .. } = fixture;
    let [fund_id, credit_id, days_id, fees_id, approval_id] =
        [credit_fund, credit, days, fees, approval].map(|it| raw_sql.id(it));
    let absent_award = fresh();
    let absent_id = raw_sql.id(&absent_award);
    let entry = format!("seq = (SELECT MIN(seq) FROM entries WHERE account_id = {fund_id} AND verb = 'spend')");
    let number = raw_sql.number(&format!("SELECT seq FROM entries WHERE {entry}")).await;
    let approvals = |set: &str| format!("UPDATE approvals SET {set} WHERE id = {approval_id}");
    let of_approval = |what: &str| format!("approval {approval} {what}");
    vec![
        (
            format!("UPDATE entries SET on_fund = NOT on_fund WHERE {entry}"),
            format!("entry {number}: it is stored as a cap's"),
            format!("UPDATE entries SET on_fund = NOT on_fund WHERE {entry}"),
        ),
        (
            format!("UPDATE entries SET period = 'whenever' WHERE {entry}"),
            format!("entry {number}: it cannot be read"),
            format!("UPDATE entries SET period = 'FY2021-22/M08' WHERE {entry}"),
        ),
        (
            format!("UPDATE awards SET strand = 'nlg' WHERE id = {credit_id}"),
            format!("award {credit}: it cannot be read: the strand \"nlg\""),
            format!("UPDATE awards SET strand = 'credit' WHERE id = {credit_id}"),
        ),
        (
            format!(
                "INSERT INTO bookings SELECT programme, seq + 1000, {absent_id}, half_days, booked_for, leader, state, \
                 leader_kind FROM bookings WHERE award_id = {days_id}"
            ),
            format!("award {absent_award}: it is not there, but its booking"),
            format!("DELETE FROM bookings WHERE award_id = {absent_id}"),
        ),
        (
            format!("UPDATE invoices SET award_id = {absent_id} WHERE award_id = {fees_id}"),
            format!("award {absent_award}: it is not there, but its invoice"),
            format!("UPDATE invoices SET award_id = {fees_id} WHERE award_id = {absent_id}"),
        ),
        (
            approvals("action = action || 'x'"),
            of_approval("action"),
            approvals("action = SUBSTR(action, 1, LENGTH(action) - 1)"),
        ),
        (
            approvals("change = REPLACE(change, '5000001', '5000002')"),
            of_approval("change"),
            approvals("change = REPLACE(change, '5000002', '5000001')"),
        ),
        (approvals("opened_seq = 1 + opened_seq"), of_approval("opening"), approvals("opened_seq = opened_seq - 1")),
        (approvals("expires_at = expires_at + 1"), of_approval("expiry"), approvals("expires_at = expires_at - 1")),
        (
            approvals("requested_at = requested_at + 1"),
            of_approval("requested at"),
            approvals("requested_at = requested_at - 1"),
        ),
        (
            approvals("state = 'carried_out', given_by = 'mallory', given_key = 'mallory'"),
            of_approval("state"),
            approvals("state = 'open', given_by = NULL, given_key = NULL"),
        ),
        (
            approvals("state = 'denied', given_by = 'mallory', given_key = 'mallory', denied_seq = 1"),
            of_approval("denying event"),
            approvals("state = 'open', given_by = NULL, given_key = NULL, denied_seq = NULL"),
        ),
    ]
}

/// Rows that cannot be read, or that are read as another value. Verify names each of them.
fn unreadable(raw_sql: &RawSql, fixture: &LedgerFixture) -> Vec<Tampering> {
    let LedgerFixture { credit_fund, credit, days, fees, approval, .. } = fixture;
    let row = |(table, column, id): (&str, &str, &str), set: [&str; 2], named: String| {
        let [tamper, mend] = set.map(|set| format!("UPDATE {table} SET {set} WHERE {column} = {}", raw_sql.id(id)));
        (tamper, named, mend)
    };
    let cut = |column: &str| format!("{column} = SUBSTR({column}, 1, LENGTH({column}) - 1)");
    vec![
        row(
            ("accounts", "id", credit_fund),
            ["region = 'nowhere'", "region = NULL"],
            format!("account {credit_fund}: it cannot be read"),
        ),
        row(
            ("awards", "id", credit),
            ["support = support || 'x'", &cut("support")],
            format!("award {credit}: it cannot be read"),
        ),
        row(
            ("bookings", "award_id", days),
            ["leader = ' ' || leader", "leader = LTRIM(leader)"],
            format!("award {days}: its booking"),
        ),
        // A paid reference in another spelling, under which it could be paid again.
        row(
            ("invoices", "award_id", fees),
            ["reference = 'INV-7'", "reference = 'INV7'"],
            format!("award {fees}: its invoice"),
        ),
        row(
            ("approvals", "id", approval),
            ["change = change || 'x'", &cut("change")],
            format!("approval {approval}: it cannot be read"),
        ),
    ]
}

/// The date *infinity*, which PostgreSQL can store, but which is in no calendar.
fn infinite_dates(raw_sql: &RawSql, fixture: &LedgerFixture) -> Vec<Tampering> {
    let LedgerFixture { offer, credit, days, .. } = fixture;
    let of = |table: &str, [column, key, owner]: [&str; 3], id: &str, named: String| {
        let tamper = format!(
            "CREATE TABLE kept_{table} AS SELECT * FROM {table}; \
             UPDATE {table} SET {column} = 'infinity' WHERE {owner} = {}",
            raw_sql.id(id)
        );
        (
            tamper,
            named,
            format!("UPDATE {table} t SET {column} = k.{column} FROM kept_{table} k WHERE k.{key} = t.{key}"),
        )
    };
    vec![
        of("awards", ["awarded_on", "id", "id"], credit, format!("award {credit}: it cannot be read")),
        of("bookings", ["booked_for", "seq", "award_id"], days, format!("award {days}: its booking")),
        of("offers", ["accepted_on", "id", "id"], offer, format!("offer {offer}: it cannot be read")),
        of("contacts", ["happened_on", "seq", "offer_id"], offer, format!("offer {offer}: its contact")),
    ]
}

/// Entries that no writer makes: with a sequence or an event below 1, and, on SQLite, with a flag that means neither
/// fund nor cap.
fn impossible_entries(raw_sql: &RawSql) -> Vec<Tampering> {
    let copy = |columns: &str, rows: &str| {
        format!(
            "INSERT INTO entries SELECT programme, {columns}, account_id, verb, amount, period, on_fund FROM entries {rows}"
        )
    };
    let next = |by: &str| format!("UPDATE books SET next_entry = next_entry {by} WHERE programme = '{YEAR}'");
    let constraint = "entries_are_numbered_from_one";
    let (drop_check, restore_check) = match raw_sql {
        RawSql::Sqlite(_) => (String::new(), String::new()),
        RawSql::Postgres(_) => (
            format!("ALTER TABLE entries DROP CONSTRAINT {constraint};"),
            format!("; ALTER TABLE entries ADD CONSTRAINT {constraint} CHECK (seq >= 1 AND event_seq >= 1)"),
        ),
    };
    let mut all = vec![
        (
            format!("{drop_check} {}", copy("0, event_seq", "WHERE seq = 1")),
            "entry 0: entry 1 was expected".to_owned(),
            format!("DELETE FROM entries WHERE seq = 0{restore_check}"),
        ),
        (
            format!("{drop_check} {}; {}", copy("seq + 1, 0", "ORDER BY seq DESC LIMIT 1"), next("+ 1")),
            "its event 0 is not in the record".to_owned(),
            format!("DELETE FROM entries WHERE event_seq = 0; {}{restore_check}", next("- 1")),
        ),
    ];
    if matches!(raw_sql, RawSql::Sqlite(_)) {
        all.push((
            "UPDATE entries SET on_fund = 2 WHERE seq = 1".to_owned(),
            "entry 1: it cannot be read".to_owned(),
            "UPDATE entries SET on_fund = 1 WHERE seq = 1".to_owned(),
        ));
    }
    all
}

/// Rows of a programme that does not exist.
fn of_unknown_programme(raw_sql: &RawSql, fixture: &LedgerFixture) -> Vec<Tampering> {
    let [fund_id, credit_id, approval_id] =
        [&fixture.credit_fund, &fixture.credit, &fixture.approval].map(|it| raw_sql.id(it));
    let (new_id, unknown) = (raw_sql.id(&fresh()), "'2098-99'");
    let rows = [
        (
            "accounts",
            format!(
                "{new_id}, {unknown}, owner, strand, region, offer_id, unit, binds, over_committed, outside, available, \
                 committed, spent, version, days FROM accounts WHERE id = {fund_id}"
            ),
        ),
        (
            "awards",
            format!(
                "{new_id}, {unknown}, offer_id, strand, unit, support, fund_id, cap_id, day_rate, awarded, drawn, \
                 released, refunded, awarded_on, awarded_by, made_seq, version, leader_key FROM awards WHERE id = {credit_id}"
            ),
        ),
        (
            "bookings",
            format!("{unknown}, seq, award_id, half_days, booked_for, leader, state, leader_kind FROM bookings"),
        ),
        (
            "invoices",
            format!(
                "{unknown}, seq, award_id, provider, reference || 'X', amount, amount, issuer, printed, total, part \
                 FROM invoices"
            ),
        ),
        (
            "approvals",
            format!(
                "{new_id}, {unknown}, action, subject, opened_seq, reason, state, requested_by, requested_key, \
                 requested_subject, requested_at, given_by, given_key, given_subject, change, statement, expires_at, \
                 request_id, denied_seq, denied_reason, region FROM approvals WHERE id = {approval_id}"
            ),
        ),
        (
            "entries",
            format!("{unknown}, seq, event_seq, account_id, verb, amount, period, on_fund FROM entries WHERE seq = 1"),
        ),
    ];
    let row = |(table, columns): (&str, String)| {
        let (insert, delete) = (
            format!("INSERT INTO {table} SELECT {columns}"),
            format!("DELETE FROM {table} WHERE programme = {unknown}"),
        );
        (insert, format!("{table}: there are rows of programme \"2098-99\""), delete)
    };
    rows.into_iter().map(row).collect()
}
