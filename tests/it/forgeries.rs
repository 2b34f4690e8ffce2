//! Forged records. An administrator of the database drops its triggers and constraints, changes the record, and
//! computes hashes, head, balances and tables again. `tsio verify` names each forgery with its event and the broken
//! rule. It does so for events from before rules 2, and for events under rules 2.

mod evidence;
mod forger;

use std::path::Path;

use crate::client::{Client, YEAR};
use crate::fixtures::casework;
use crate::fixtures::format::Fixture;
use crate::harness::{Db, Server, run_within, tsio};
use crate::raw_sql::{RawSql, verified_heads, verify};
use forger::Forger;

/// The fixture of the last version with rules 1.
const OLD: &str = "tests/fixtures/01-9f9fc2a";
/// How long all forgeries of one record may take, each on a copy of the database.
const MAX_TIME: std::time::Duration = std::time::Duration::from_secs(300);

/// A forgery, and how `tsio verify` reports it.
struct Forgery {
    name: &'static str,
    /// Returns the SQL of the forgery.
    forge: fn(&Forger) -> Vec<String>,
    /// A word for [`target`] that selects the event that verify has to name; empty if it names no event.
    event: &'static str,
    /// A part of the difference that verify has to report.
    rule: &'static str,
}

/// A condition for events that are the only one of their request.
const ALONE: &str = "NOT EXISTS (SELECT 1 FROM events o WHERE o.programme = e.programme AND o.seq <> e.seq \
                     AND o.request_id = e.request_id)";

/// A query for the first event that meets a condition.
fn first(condition: &str) -> String {
    format!("SELECT MIN(e.seq) FROM events e WHERE e.programme = '{YEAR}' AND {condition}")
}

const FORGERIES: &[Forgery] = &[
    Forgery {
        name: "an approval of £60,000 that was given by its requester",
        forge: self_approval,
        event: "approved",
        rule: "SELF_APPROVAL",
    },
    Forgery {
        name: "an allocation of £940,000 by one person",
        forge: moved_alone,
        event: "allocated",
        rule: "APPROVAL_REQUIRED",
    },
    Forgery { name: "an award of 2019", forge: award_of_2019, event: "credit", rule: "OUTSIDE_WINDOW" },
    Forgery {
        name: "an invoice that was paid twice",
        forge: paid_twice,
        event: "second_payment",
        rule: "INVOICE_PAID",
    },
    Forgery { name: "a partner in no register", forge: no_partner, event: "credit", rule: "PARTNER_NOT_SUITABLE" },
    Forgery {
        name: "a referral decided by the person who raised it",
        forge: own_referral,
        event: "referred",
        rule: "SELF_APPROVAL",
    },
    Forgery {
        name: "a school contacted before its responsible body",
        forge: school_first,
        event: "school_contacted",
        rule: "CONTACT_MISSING",
    },
    Forgery {
        name: "another rule by which an offer was made",
        forge: other_rule,
        event: "identified",
        rule: "rule E1_RI_IN_YEAR, which no row",
    },
    Forgery {
        name: "other grades in the rows of Ofsted's file",
        forge: grades,
        event: "identified",
        rule: "rule E2_RI_TWICE_ON_ENTRY, which no row",
    },
    Forgery {
        name: "a provider that is not accredited",
        forge: other_provider,
        event: "first_award_of_call",
        rule: "PROVIDER_NOT_ACCREDITED",
    },
    Forgery {
        name: "other terms, with their hash in offers and events",
        forge: terms,
        event: "",
        rule: "their rules were rewritten",
    },
];

/// The query for the event of a word in [`FORGERIES`].
fn target(word: &str) -> String {
    match word {
        "approved" => first(
            "e.kind = 'approval_given' AND EXISTS (SELECT 1 FROM events m WHERE m.programme = e.programme \
             AND m.seq = e.seq + 1 AND m.request_id = e.request_id AND m.kind = 'fund_allocated')",
        ),
        "allocated" => first(&format!("e.kind = 'fund_allocated' AND {ALONE}")),
        "credit" => first(&format!("e.kind = 'awarded' AND e.body LIKE '%\"credit\"%' AND {ALONE}")),
        "second_payment" => first("e.kind = 'drawn' AND e.body LIKE '%\"invoice\":\"INV8B\"%'"),
        "referred" => first("e.kind = 'referral_approved'"),
        "school_contacted" => first("e.kind = 'contacted' AND e.body LIKE '%\"party\":\"school\"%'"),
        "identified" => {
            first("e.kind = 'identified' AND e.body LIKE '%\"standalone\"%\"rules\":[\"E2_RI_TWICE_ON_ENTRY\"]%'")
        }
        // Awards of one call are refused together, so verify names the first event of the call.
        "first_award_of_call" => first(&format!(
            "e.request_id = (SELECT f.request_id FROM events f WHERE f.programme = '{YEAR}' AND f.seq = ({}))",
            target("fees")
        )),
        "fees" => first("e.kind = 'awarded' AND e.body LIKE '%Teach First%'"),
        _ => unreachable!("{word}"),
    }
}

/// SQL that changes the event that [`target`] selects for this word.
fn update_event(word: &str, set: &str) -> String {
    format!("UPDATE events SET {set} WHERE programme = '{YEAR}' AND seq = ({})", target(word))
}

fn self_approval(_: &Forger) -> Vec<String> {
    let given = target("approved");
    let requester =
        "(SELECT MIN(requested_by) FROM approvals WHERE action = 'allocate_fund' AND state = 'carried_out')";
    vec![
        format!(
            "UPDATE events SET actor = {requester} WHERE programme = '{YEAR}' AND seq IN (({given}), ({given}) + 1)"
        ),
        format!(
            "UPDATE approvals SET given_by = requested_by, given_key = requested_key WHERE programme = '{YEAR}' \
             AND action = 'allocate_fund' AND state = 'carried_out'"
        ),
    ]
}

fn moved_alone(_: &Forger) -> Vec<String> {
    let seq = target("allocated");
    let of =
        |column: &str| format!("(SELECT {column} FROM entries WHERE programme = '{YEAR}' AND event_seq = ({seq}))");
    let (fund, amount) = (of("account_id"), of("amount"));
    let more = format!("(94000000 - {amount})");
    vec![
        format!("UPDATE accounts SET outside = outside - {more}, available = available + {more} WHERE id = {fund}"),
        format!(
            "UPDATE account_days SET change = change + {more} WHERE account_id = {fund} AND on_day = \
             (SELECT effective_on FROM events WHERE programme = '{YEAR}' AND seq = ({seq}))"
        ),
        update_event("allocated", &format!("body = REPLACE(body, '\"amount\":' || {amount}, '\"amount\":94000000')")),
        format!("UPDATE entries SET amount = 94000000 WHERE programme = '{YEAR}' AND event_seq = ({seq})"),
    ]
}

fn award_of_2019(forger: &Forger) -> Vec<String> {
    let seq = target("credit");
    let moved = format!(
        "(SELECT account_id, amount FROM entries WHERE programme = '{YEAR}' AND event_seq = ({seq}) AND verb = 'commit' \
         AND on_fund = TRUE)"
    );
    let day = forger.date("2019-11-01");
    vec![
        format!(
            "UPDATE account_days SET change = change + (SELECT amount FROM {moved} m WHERE m.account_id = \
             account_days.account_id) WHERE account_id IN (SELECT account_id FROM {moved} n) AND on_day = \
             (SELECT effective_on FROM events WHERE programme = '{YEAR}' AND seq = ({seq}))"
        ),
        format!(
            "INSERT INTO account_days (account_id, on_day, programme, change) \
             SELECT account_id, {day}, '{YEAR}', -amount FROM {moved} m"
        ),
        format!("UPDATE awards SET awarded_on = {day} WHERE programme = '{YEAR}' AND made_seq = ({seq})"),
        format!("UPDATE entries SET period = 'FY2019-20/M08' WHERE programme = '{YEAR}' AND event_seq = ({seq})"),
        update_event("credit", &format!("effective_on = {day}")),
    ]
}

fn paid_twice(_: &Forger) -> Vec<String> {
    let seq = target("second_payment");
    vec![
        "DROP INDEX one_payment_an_invoice".to_owned(),
        "DROP INDEX one_payment_a_part".to_owned(),
        format!(
            "UPDATE invoices SET reference = 'INV7', printed = CASE WHEN printed IS NULL THEN NULL ELSE 'INV-7' END, \
             part = CASE WHEN part IS NULL THEN NULL ELSE 2 END WHERE programme = '{YEAR}' AND seq = ({seq})"
        ),
        update_event(
            "second_payment",
            "body = REPLACE(REPLACE(REPLACE(body, 'INV8B', 'INV7'), 'INV 8/b', 'INV-7'), '\"part\":1', '\"part\":2')",
        ),
    ]
}

fn no_partner(_: &Forger) -> Vec<String> {
    let seq = target("credit");
    let set = |column: &str| format!("{column} = REPLACE({column}, '\"partner\":90001', '\"partner\":999999')");
    vec![
        format!("UPDATE awards SET {} WHERE programme = '{YEAR}' AND made_seq = ({seq})", set("support")),
        update_event("credit", &set("body")),
    ]
}

fn own_referral(_: &Forger) -> Vec<String> {
    let seq = target("referred");
    let call = format!("(SELECT request_id FROM events WHERE programme = '{YEAR}' AND seq = ({seq}))");
    let referral = format!("programme = '{YEAR}' AND decided_seq = ({seq})");
    vec![
        format!(
            "UPDATE events SET actor = (SELECT raised_by FROM referrals WHERE {referral}) \
             WHERE programme = '{YEAR}' AND request_id = {call}"
        ),
        format!("UPDATE referrals SET decided_by = raised_by, decided_key = raised_key WHERE {referral}"),
    ]
}

fn school_first(forger: &Forger) -> Vec<String> {
    let seq = target("school_contacted");
    let call = format!("(SELECT request_id FROM events WHERE programme = '{YEAR}' AND seq = ({seq}))");
    let contact_events = format!("(SELECT seq FROM events WHERE programme = '{YEAR}' AND request_id = {call})");
    let day = forger.date("2021-09-01");
    vec![
        format!("UPDATE contacts SET happened_on = {day} WHERE programme = '{YEAR}' AND seq IN {contact_events}"),
        format!("UPDATE events SET effective_on = {day} WHERE programme = '{YEAR}' AND seq IN {contact_events}"),
    ]
}

fn other_rule(_: &Forger) -> Vec<String> {
    let offer =
        format!("(SELECT offer_id FROM events WHERE programme = '{YEAR}' AND seq = ({}))", target("identified"));
    let set = |column: &str| format!("{column} = REPLACE({column}, 'E2_RI_TWICE_ON_ENTRY', 'E1_RI_IN_YEAR')");
    vec![
        format!("UPDATE offer_schools SET {} WHERE offer_id = {offer}", set("rules")),
        update_event("identified", &set("body")),
    ]
}

fn grades(_: &Forger) -> Vec<String> {
    let offer =
        format!("(SELECT offer_id FROM events WHERE programme = '{YEAR}' AND seq = ({}))", target("identified"));
    vec![format!(
        "UPDATE ofsted_rows SET cur_grade = 1, prev_grade = 1 WHERE urn IN (SELECT urn FROM offer_schools WHERE offer_id = {offer})"
    )]
}

fn other_provider(_: &Forger) -> Vec<String> {
    let seq = target("fees");
    let award = format!("(SELECT id FROM awards WHERE programme = '{YEAR}' AND made_seq = ({seq}))");
    let set = |column: &str| format!("{column} = REPLACE({column}, 'Teach First', 'Nobody Ltd')");
    vec![
        format!("UPDATE invoices SET {} WHERE award_id = {award}", set("provider")),
        format!("UPDATE awards SET {} WHERE id = {award}", set("support")),
        update_event("fees", &set("body")),
    ]
}

fn terms(forger: &Forger) -> Vec<String> {
    let text = include_str!("../../terms/2021-22.toml");
    assert!(text.contains("current  = [3]"));
    forger.rewrite_terms("current  = [3]", "current  = [2]")
}

/// Whether a difference names a wrong hash or table row instead of a broken rule. Such a difference is a mistake in the
/// forgery itself.
fn is_careless(difference: &str) -> bool {
    let table_prefixes =
        ["offer ", "award ", "account ", "fund ", "approval ", "referral ", "the head", "text ", "entry ", "school "];
    let breaks_chain = difference.contains("its hash is") || difference.contains("its kind is");
    breaks_chain || table_prefixes.iter().any(|it| difference.starts_with(it))
}

/// Makes each forgery on a copy of the database, and checks that verify names it.
async fn check_each_is_named(db: &Db) {
    verified_heads(db);
    for Forgery { name, forge, event, rule } in FORGERIES {
        let restore = db.backup();
        let mut forger = Forger::of(db).await;
        let seq = if event.is_empty() { None } else { Some(forger.number(&target(event)).await) };
        forger.forge(*forge).await;
        forger.end().await;
        let (code, reports) = verify(db, &["--programme", YEAR]);
        let differences: Vec<&str> =
            reports[0]["differences"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        assert_eq!(code, 1, "{name}: verify reports no difference");
        let prefix = seq.map(|it| format!("event {it}: ")).unwrap_or_default();
        let names_it = |it: &&&str| it.starts_with(&prefix) && it.contains(rule);
        assert!(differences.iter().find(names_it).is_some(), "{name}: {prefix}{rule} is not in {differences:#?}");
        let careless: Vec<_> = differences.iter().filter(|it| is_careless(it)).collect();
        assert!(careless.is_empty(), "{name}: {careless:#?}");
        restore();
    }
    verified_heads(db);
}

/// Forges a record from before rules 2.
async fn before_rules_2(db: Db) {
    let migrated = tsio(&["migrate", "--database", &db.url()]);
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    let adopted = format!("SELECT MIN(seq) FROM events WHERE programme = '{YEAR}' AND kind = 'rules_adopted'");
    let mut raw_sql = RawSql::of(&db).await;
    let last = format!("SELECT MAX(seq) FROM events WHERE programme = '{YEAR}'");
    assert_eq!(
        raw_sql.number(&adopted).await,
        raw_sql.number(&last).await,
        "the record has events after the rules were adopted"
    );
    drop(raw_sql);
    check_each_is_named(&db).await;
}

/// Forges a record that begins with rules 2.
async fn after_rules_2(db: Db) {
    let mut server = Server::start(&db);
    casework::carry_out(Client::of(&server).await.channel()).await;
    server.stop();
    check_each_is_named(&db).await;
}

fn old_database(database: &str) -> Vec<u8> {
    Fixture::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(OLD).join(database)).database
}

#[test]
fn before_rules_2_on_sqlite() {
    run_within(MAX_TIME, before_rules_2(Db::sqlite_restored(&old_database("sqlite"))));
}

#[test]
fn before_rules_2_on_postgres() {
    run_within(MAX_TIME, before_rules_2(Db::postgres_restored(&old_database("postgres"))));
}

#[test]
fn after_rules_2_on_sqlite() {
    run_within(MAX_TIME, after_rules_2(Db::sqlite()));
}

#[test]
fn after_rules_2_on_postgres() {
    run_within(MAX_TIME, after_rules_2(Db::postgres()));
}
