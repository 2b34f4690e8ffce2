//! The ledger resists tampering. The database refuses invalid balances and changes of entries. If a change bypasses the
//! database's checks, `tsio verify` and VerifyLedger name it.

mod tampering;

use std::time::Duration;

use tokio::task::JoinSet;
use tsio::proto::{RecipientKind, VerifyLedgerRequest, VerifyLedgerResponse};

use crate::client::{Client, YEAR, fresh, offer_of_school};
use crate::harness::{Db, Server, both, cli, tsio};
use crate::money::{PROVIDER, Quantity, balances, credit, nle, nlg, npqel, refusal};
use crate::raw_sql::{RawSql, verified_heads, verified_length, verify};
use crate::record::check_each_is_named;
use crate::samples::{as_person, run_refused_for, start_with_august};

both!(
    entries_cannot_be_changed,
    the_database_refuses_what_breaks_a_limit,
    tampering_with_money_is_named,
    a_fund_that_is_empty_again_stays_stored,
    many_verify_at_once,
    a_cancelled_verify_leaves_its_connection_clean,
    the_command_asks_the_server_if_no_database_is_named,
    an_older_database_has_no_cap_until_an_award,
);

/// The ids of a ledger with entries of every kind.
struct LedgerFixture {
    credit_fund: String,
    nle_fund: String,
    offer: String,
    /// An award of £4,000 credit: £1,000 drawn, £500 of that refunded, £250 released.
    credit: String,
    /// An award of 5 half-days: 2 delivered as booked, 1 booked.
    days: String,
    /// An award of £900 fees with an invoice of £300.
    fees: String,
    /// An open approval of £50,000.01 into the credit fund.
    approval: String,
}

/// Makes a ledger with entries of every kind, and stops its server.
async fn make_ledger(db: &Db) -> LedgerFixture {
    let mut server = Server::start(db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let credit_fund = client.create_fund_with(YEAR, "credit", 1_000_000).await;
    client.create_fund_with(YEAR, "npqel", 200_000).await;
    let school = offer_of_school(&offers, 910_003);
    client.accept_offer(school).await;
    let offer = school.offer.clone();
    let credit_award = client.create_award(&offer, credit(400_000)).await;
    let days = client.create_award(&offer, nle(5)).await;
    client.start(&offer).await.unwrap();
    client.draw(&credit_award, Quantity::Pence(100_000), &fresh()).await.unwrap();
    client.refund(&credit_award, Quantity::Pence(50_000)).await.unwrap();
    client.release(&credit_award, Some(Quantity::Pence(25_000))).await.unwrap();
    let first = client.book(&days, 2).await;
    client.deliver(&days, first).await;
    client.book(&days, 1).await;
    let trust = offers.iter().find(|it| it.recipient_kind() == RecipientKind::Mat).unwrap();
    client.accept_offer(trust).await;
    let fees = client.create_award(&trust.offer, npqel(PROVIDER, 90_000)).await;
    client.start(&trust.offer).await.unwrap();
    client.claim(&fees, 30_000, "INV-7").await.unwrap();
    let refused = client.allocate(&credit_fund, 5_000_001, &fresh()).await.unwrap_err();
    let approval = refusal(&refused).approval;
    let funds = client.funds(YEAR).await;
    let nle_fund = funds.iter().find(|it| it.strand == "nle").unwrap();
    // 5 half-days at £300: 2 delivered, 3 committed.
    assert_eq!(balances(nle_fund), [0, 90_000, 60_000, -150_000]);
    assert_eq!(balances(&client.fund(&credit_fund).await), [1_000_000, 275_000, 50_000, 675_000]);
    let nle_fund = nle_fund.fund.clone();
    server.stop();
    LedgerFixture { credit_fund, nle_fund, offer, credit: credit_award, days, fees, approval }
}

async fn entries_cannot_be_changed(db: Db) {
    make_ledger(&db).await;
    let heads = verified_heads(&db);
    let mut raw_sql = RawSql::of(&db).await;
    let mut attempts = vec!["UPDATE entries SET amount = 1 WHERE seq = 1", "DELETE FROM entries WHERE seq = 1"];
    attempts.push(if db.is_postgres() {
        "TRUNCATE entries"
    } else {
        "REPLACE INTO entries SELECT * FROM entries WHERE seq = 1"
    });
    for attempt in attempts {
        let refused = raw_sql.run(attempt).await.unwrap_err();
        assert!(refused.contains("append-only"), "{attempt}: {refused}");
    }
    assert_eq!(verified_heads(&db), heads);
}

async fn the_database_refuses_what_breaks_a_limit(db: Db) {
    let fixture = make_ledger(&db).await;
    let heads = verified_heads(&db);
    let mut raw_sql = RawSql::of(&db).await;
    let [fund, nle_fund, offer, credit, days, fees] =
        [&fixture.credit_fund, &fixture.nle_fund, &fixture.offer, &fixture.credit, &fixture.days, &fixture.fees]
            .map(|it| raw_sql.id(it));
    let other = raw_sql.id(&fresh());
    let copied = |condition: &str| {
        let columns = "id, programme, owner, strand, region, offer_id, unit, binds, over_committed, outside, available, \
                       committed, spent, version";
        let values = columns.replacen("id", &other, 1);
        format!("INSERT INTO accounts ({columns}) SELECT {values} FROM accounts WHERE {condition}")
    };
    let entry =
        |columns: &str| format!("INSERT INTO entries SELECT programme, {columns}, on_fund FROM entries WHERE seq = 1");
    let rows = [
        // A fund with a wrong sum of its buckets, a negative bucket, a wrong flag or a wrong unit.
        format!("UPDATE accounts SET available = available + 1 WHERE id = {fund}"),
        format!("UPDATE accounts SET available = -1, outside = 1 - committed - spent WHERE id = {fund}"),
        format!("UPDATE accounts SET committed = -1, available = 1 - outside - spent WHERE id = {fund}"),
        format!("UPDATE accounts SET spent = -1, available = 1 - outside - committed WHERE id = {fund}"),
        format!("UPDATE accounts SET over_committed = NOT over_committed WHERE id = {fund}"),
        format!("UPDATE accounts SET unit = 'shillings' WHERE id = {fund}"),
        format!("UPDATE accounts SET unit = 'half_days' WHERE id = {fund}"),
        format!("UPDATE accounts SET committed = -1, available = 1 - outside - spent WHERE id = {nle_fund}"),
        // A fund that does not bind is never over-committed, even with a negative balance.
        format!("UPDATE accounts SET over_committed = NOT over_committed WHERE id = {nle_fund}"),
        // A cap with a negative balance, or without its offer.
        format!("UPDATE accounts SET available = -1, committed = 1 - outside - spent WHERE offer_id = {offer}"),
        format!("UPDATE accounts SET offer_id = NULL WHERE offer_id = {offer}"),
        // A second fund of a strand, and a second cap of an offer for a strand.
        copied(&format!("id = {fund}")),
        copied(&format!("offer_id = {offer} AND strand = 'credit'")),
        // An award whose amounts contradict each other, or whose day rate does not fit its unit.
        format!("UPDATE awards SET drawn = awarded - released + 1 WHERE id = {credit}"),
        format!("UPDATE awards SET released = awarded - drawn + 1 WHERE id = {days}"),
        format!("UPDATE awards SET refunded = drawn + 1 WHERE id = {credit}"),
        format!("UPDATE awards SET awarded = 0, drawn = 0, released = 0, refunded = 0 WHERE id = {credit}"),
        format!("UPDATE awards SET refunded = -1 WHERE id = {credit}"),
        format!("UPDATE awards SET day_rate = 30000 WHERE id = {credit}"),
        format!("UPDATE awards SET day_rate = NULL WHERE id = {days}"),
        // A booking with no days or an unknown state, and an invoice that is refunded too much or paid twice.
        format!("UPDATE bookings SET half_days = 0 WHERE award_id = {days}"),
        format!("UPDATE bookings SET state = 'lost' WHERE award_id = {days}"),
        format!("UPDATE invoices SET refunded = amount + 1 WHERE award_id = {fees}"),
        format!(
            "INSERT INTO invoices (programme, seq, award_id, provider, reference, amount, refunded) \
             SELECT programme, seq + 1000, award_id, provider, reference, 1, 0 FROM invoices WHERE award_id = {fees}"
        ),
        // The same part of an invoice paid twice, and a payment above the invoice's total.
        format!(
            "INSERT INTO invoices (programme, seq, award_id, provider, reference, amount, refunded, total, part) \
             SELECT programme, seq + 1000, award_id, provider, reference, 1, 0, 9, 1 FROM invoices WHERE award_id = {fees}"
        ),
        format!("UPDATE invoices SET total = amount - 1 WHERE award_id = {fees}"),
        // A second award for the same leader.
        format!(
            "INSERT INTO awards (id, programme, offer_id, strand, unit, support, fund_id, awarded, drawn, released, refunded, \
             awarded_on, awarded_by, made_seq, version, leader_key) \
             SELECT {other}, programme, offer_id, strand, unit, support, fund_id, awarded, 0, 0, 0, awarded_on, awarded_by, \
             made_seq, version, leader_key FROM awards WHERE id = {fees}"
        ),
        // An entry without an amount, of an unknown verb, or with an invalid sequence of its own or of its event.
        entry("seq + 1000, event_seq, account_id, verb, 0, period"),
        entry("seq + 1000, event_seq, account_id, 'give', 1, period"),
        entry("0, event_seq, account_id, verb, amount, period"),
        entry("seq + 1000, 0, account_id, verb, amount, period"),
    ];
    for attempt in rows {
        let refused = raw_sql.run(&attempt).await;
        let refused = refused.expect_err(&attempt).to_lowercase();
        let is_constraint = ["check constraint", "unique constraint"].iter().any(|it| refused.contains(it));
        assert!(is_constraint, "{attempt}: {refused}");
    }
    assert_eq!(verified_heads(&db), heads);
}

async fn tampering_with_money_is_named(db: Db) {
    let fixture = make_ledger(&db).await;
    let head = verified_length(&db);
    let mut raw_sql = RawSql::of(&db).await;
    let rows = tampering::all(&mut raw_sql, &fixture).await;
    check_each_is_named(&db, &mut raw_sql, rows).await;
    // Without the last entry, VerifyLedger reports the same differences as the command.
    raw_sql.run_unguarded("DELETE FROM entries WHERE seq = (SELECT MAX(seq) FROM entries)").await.unwrap();
    let (code, reports) = verify(&db, &[]);
    assert_eq!(code, 1);
    let answer = call_verify_ledger(&db).await;
    assert!(!answer.sound);
    let report = answer.books.iter().find(|it| it.programme == YEAR).unwrap();
    let differences: Vec<&str> =
        reports[0]["differences"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(
        (&report.differences[..], report.sequence),
        (&differences.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()[..], head)
    );
    assert_eq!(usize::try_from(report.difference_count).unwrap(), differences.len());
}

/// The terms create the fund, and an award on it is released. All balances of the fund are zero again, but it has
/// entries, so its row must stay.
async fn a_fund_that_is_empty_again_stays_stored(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = offer_of_school(&offers, 910_003);
    client.accept_offer(school).await;
    let award = client.create_award(&school.offer, nle(2)).await;
    client.release(&award, None).await.unwrap();
    let funds = client.funds(YEAR).await;
    assert_eq!((funds.len(), balances(&funds[0])), (1, [0, 0, 0, 0]));
    server.stop();
    verified_heads(&db);
    let mut raw_sql = RawSql::of(&db).await;
    let fund = raw_sql.id(&funds[0].fund);
    let remove = format!(
        "CREATE TABLE kept AS SELECT * FROM accounts WHERE id = {fund}; DELETE FROM accounts WHERE id = {fund}"
    );
    let named = format!("account {}: the record makes it", funds[0].fund);
    let restore = "INSERT INTO accounts SELECT * FROM kept".to_owned();
    check_each_is_named(&db, &mut raw_sql, vec![(remove, named, restore)]).await;
}

/// Asks the server to verify the ledger, and returns the response.
async fn verify_ledger(client: &Client) -> VerifyLedgerResponse {
    let request = client.ask(VerifyLedgerRequest::default());
    client.finance_service().verify_ledger(request).await.unwrap().into_inner()
}

async fn many_verify_at_once(db: Db) {
    const CALLERS: usize = 40;
    make_ledger(&db).await;
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let mut calls = JoinSet::new();
    for _ in 0..CALLERS {
        let client = client.clone();
        calls.spawn(async move { verify_ledger(&client).await });
    }
    // Reads succeed while the ledger is verified.
    for _ in 0..10 {
        assert_eq!(client.funds(YEAR).await.len(), 3);
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|it| it.sound).count(), CALLERS, "{answers:?}");
}

/// A cancelled call may leave its connection in the middle of a page. The next call on that connection must not read
/// the rest of the page.
async fn a_cancelled_verify_leaves_its_connection_clean(db: Db) {
    let fixture = make_ledger(&db).await;
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let mut cancelled = 0;
    for micros in (200..12_000).step_by(100) {
        let mut request = client.ask(VerifyLedgerRequest::default());
        request.set_timeout(Duration::from_micros(micros));
        cancelled += usize::from(client.finance_service().verify_ledger(request).await.is_err());
        assert_eq!(client.fund(&fixture.credit_fund).await.fund, fixture.credit_fund, "after {micros} us");
    }
    assert!(cancelled > 0, "no call was cancelled");
    // Enough reads to use each connection of the pool.
    for _ in 0..64 {
        assert_eq!(client.funds(YEAR).await.len(), 3);
    }
    assert!(verify_ledger(&client).await.sound);
}

async fn the_command_asks_the_server_if_no_database_is_named(db: Db) {
    let server = start_with_august(&db);
    let of_database = tsio(&["--output", "json", "verify", "--database", &db.url()]);
    let of_server = cli(&server, &["verify"]);
    assert_eq!((of_server.code, &of_server.json), (0, &of_database.json), "{}", of_server.stderr);
    let only = cli(&server, &["verify", "--programme", "2021-22"]);
    assert_eq!(only.json.as_array().map(Vec::len), Some(1), "{}", only.stdout);
    let head = format!("{}:{}", only.json[0]["sequence"], only.json[0]["hash"].as_str().unwrap());
    assert_eq!(cli(&server, &["verify", "--programme", "2021-22", "--expect", &head]).code, 0);
    let wrong = format!("{}:{}", only.json[0]["sequence"], "0".repeat(64));
    assert_eq!(cli(&server, &["verify", "--programme", "2021-22", "--expect", &wrong]).code, 1);
    run_refused_for(&server, "ROLE_MISSING", &as_person("carol", "case-officer", &["verify"]));
}

/// Starts a server, and calls VerifyLedger.
async fn call_verify_ledger(db: &Db) -> VerifyLedgerResponse {
    let server = Server::start(db);
    let client = Client::of(&server).await;
    verify_ledger(&client).await
}

/// SQL that undoes the migrations `m0003_money`, `m0009_claims` and `m0015_fewer_rows`. On PostgreSQL it also restores two
/// foreign keys.
pub(crate) fn before_money(db: &Db) -> String {
    let sql = "DROP TABLE invoices; DROP TABLE bookings; DROP TABLE awards; DROP TABLE entries; DROP TABLE accounts; \
        DROP INDEX approvals_of_request; ALTER TABLE approvals DROP COLUMN request_id; \
        ALTER TABLE books DROP COLUMN next_entry; ALTER TABLE approvals DROP COLUMN change; \
        ALTER TABLE events DROP COLUMN cap_entries; ALTER TABLE offers ADD COLUMN version INTEGER NOT NULL DEFAULT 1; \
        DELETE FROM seaql_migrations WHERE version IN ('m0003_money', 'm0009_claims', 'm0015_fewer_rows')";
    let keys = "ALTER TABLE events ADD CONSTRAINT events_programme_fkey FOREIGN KEY (programme) REFERENCES books; \
        ALTER TABLE texts ADD CONSTRAINT texts_programme_seq_fkey FOREIGN KEY (programme, seq) REFERENCES events";
    if db.is_postgres() { format!("{sql}; {keys}") } else { sql.to_owned() }
}

async fn an_older_database_has_no_cap_until_an_award(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let trust = offers.iter().find(|it| it.recipient_kind() == RecipientKind::Mat).unwrap();
    client.accept_offer(trust).await;
    server.stop();
    let mut raw_sql = RawSql::of(&db).await;
    raw_sql.run(&before_money(&db)).await.unwrap();
    let before = raw_sql.number("SELECT COUNT(*) FROM events").await;
    let migrated = tsio(&["migrate", "--database", &db.url()]);
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    let caps = "SELECT COUNT(*) FROM accounts WHERE owner = 'cap'";
    let counts = [
        raw_sql.number("SELECT COUNT(*) FROM events").await,
        raw_sql.number("SELECT COUNT(*) FROM entries").await,
        raw_sql.number(caps).await,
    ];
    assert_eq!(counts, [before, 0, 0], "a migration writes no history");
    drop(raw_sql);
    verified_heads(&db);

    server.restart();
    let client = Client::of(&server).await;
    let caps_of = |whole: &tsio::proto::GetOfferResponse| {
        whole.caps.iter().map(|it| (it.strand.clone(), it.allocated, it.committed)).collect::<Vec<_>>()
    };
    let whole = client.offer_details(&trust.offer).await;
    assert_eq!(caps_of(&whole), [("nle".to_owned(), 10, 0)], "the cap is shown as the terms set it");
    assert_eq!(RawSql::of(&db).await.number(caps).await, 0);
    client.create_fund_with(YEAR, "nlg", 100_000).await;
    client.create_award(&trust.offer, nlg(40_000)).await;
    assert_eq!(RawSql::of(&db).await.number(caps).await, 0, "a strand that only its fund limits has no cap");
    client.create_award(&trust.offer, nle(3)).await;
    assert_eq!(RawSql::of(&db).await.number(caps).await, 1);
    assert_eq!(caps_of(&client.offer_details(&trust.offer).await), [("nle".to_owned(), 10, 3)]);
    verified_heads(&db);
}
