//! The ledger cannot be bent: the database refuses what no decision may write, entries only grow, and who goes past all
//! of that is named by `tsio verify` and by VerifyLedger alike.

use serde_json::Value;
use tokio::task::JoinSet;
use tsio::proto::{RecipientKind, VerifyLedgerRequest, VerifyLedgerResponse};

use crate::client::{Client, YEAR, fresh, of_school};
use crate::harness::{Db, Server, both, tsio};
use crate::money::{Much, PROVIDER, balances, credit, nle, nlg, npqel, refusal};
use crate::past::{Past, proved, verify};

both!(
    entries_are_not_changed,
    the_database_refuses_what_breaks_a_limit,
    tampering_with_money_is_named,
    many_verify_at_once,
    an_older_database_has_no_cap_until_an_award,
);

/// Who is in the ledger, nobody serving it.
struct Book {
    credit_fund: String,
    nle_fund: String,
    offer: String,
    /// Of £4,000 credit: £1,000 drawn, £500 of that refunded, £250 released.
    credit: String,
    /// Of 5 half-days: 2 delivered as booked, 1 booked.
    days: String,
    /// Of £900: an invoice of £300.
    fees: String,
    /// Open: £50,000.01 into the credit fund.
    approval: String,
}

async fn book(db: &Db) -> Book {
    let mut server = Server::start(db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let credit_fund = client.financed(YEAR, "credit", 1_000_000).await;
    client.financed(YEAR, "npqel", 200_000).await;
    let school = of_school(&offers, 910_003);
    client.accepted(school).await;
    let offer = school.offer.clone();
    let credit_award = client.awarded(&offer, credit(400_000)).await;
    let days = client.awarded(&offer, nle(5)).await;
    client.start(&offer).await.unwrap();
    client.draw(&credit_award, Much::Pence(100_000), &fresh()).await.unwrap();
    client.refund(&credit_award, Much::Pence(50_000)).await.unwrap();
    client.release(&credit_award, Some(Much::Pence(25_000))).await.unwrap();
    let first = client.book(&days, 2).await;
    client.deliver(&days, first).await;
    client.book(&days, 1).await;
    let trust = offers.iter().find(|it| it.recipient_kind() == RecipientKind::Mat).unwrap();
    client.accepted(trust).await;
    let fees = client.awarded(&trust.offer, npqel(PROVIDER, 90_000)).await;
    client.start(&trust.offer).await.unwrap();
    client.claim(&fees, 30_000, "INV-7").await.unwrap();
    let asked = client.allocate(&credit_fund, 5_000_001, &fresh()).await.unwrap_err();
    let approval = refusal(&asked).approval;
    let funds = client.funds(YEAR).await;
    let nle_fund = funds.iter().find(|it| it.strand == "nle").unwrap();
    // 5 half-days at £300: 2 delivered, 3 committed.
    assert_eq!(balances(nle_fund), [0, 90_000, 60_000, -150_000]);
    assert_eq!(balances(&client.fund(&credit_fund).await), [1_000_000, 275_000, 50_000, 675_000]);
    let nle_fund = nle_fund.fund.clone();
    server.stop();
    Book { credit_fund, nle_fund, offer, credit: credit_award, days, fees, approval }
}

async fn entries_are_not_changed(db: Db) {
    book(&db).await;
    let head = proved(&db);
    let mut past = Past::of(&db).await;
    let mut attempts = vec!["UPDATE entries SET amount = 1 WHERE seq = 1", "DELETE FROM entries WHERE seq = 1"];
    attempts.push(if db.is_postgres() {
        "TRUNCATE entries"
    } else {
        "REPLACE INTO entries SELECT * FROM entries WHERE seq = 1"
    });
    for attempt in attempts {
        let refused = past.run(attempt).await.unwrap_err();
        assert!(refused.contains("append-only"), "{attempt}: {refused}");
    }
    assert_eq!(proved(&db), head);
}

async fn the_database_refuses_what_breaks_a_limit(db: Db) {
    let book = book(&db).await;
    let head = proved(&db);
    let mut past = Past::of(&db).await;
    let [fund, nle_fund, offer, credit, days, fees] =
        [&book.credit_fund, &book.nle_fund, &book.offer, &book.credit, &book.days, &book.fees].map(|it| past.id(it));
    let other = past.id(&fresh());
    let copied = |change: &str| {
        let columns = "id, programme, owner, strand, region, offer_id, unit, binds, over_committed, outside, available, \
                       committed, spent, version";
        let values = columns.replacen("id", &other, 1);
        format!("INSERT INTO accounts ({columns}) SELECT {values} FROM accounts WHERE {change}")
    };
    let rows = [
        // A fund, in any of its buckets.
        format!("UPDATE accounts SET available = available + 1 WHERE id = {fund}"),
        format!("UPDATE accounts SET available = -1, outside = 1 - committed - spent WHERE id = {fund}"),
        format!("UPDATE accounts SET committed = -1, available = 1 - outside - spent WHERE id = {fund}"),
        format!("UPDATE accounts SET spent = -1, available = 1 - outside - committed WHERE id = {fund}"),
        format!("UPDATE accounts SET over_committed = NOT over_committed WHERE id = {fund}"),
        format!("UPDATE accounts SET unit = 'shillings' WHERE id = {fund}"),
        format!("UPDATE accounts SET committed = -1, available = 1 - outside - spent WHERE id = {nle_fund}"),
        // A cap: it never goes below nothing.
        format!("UPDATE accounts SET available = -1, committed = 1 - outside - spent WHERE offer_id = {offer}"),
        format!("UPDATE accounts SET offer_id = NULL WHERE offer_id = {offer}"),
        // A second fund of a strand, a second cap of an offer.
        copied(&format!("id = {fund}")),
        copied(&format!("offer_id = {offer} AND strand = 'credit'")),
        // An award.
        format!("UPDATE awards SET drawn = awarded - released + 1 WHERE id = {credit}"),
        format!("UPDATE awards SET released = awarded - drawn + 1 WHERE id = {days}"),
        format!("UPDATE awards SET refunded = drawn + 1 WHERE id = {credit}"),
        format!("UPDATE awards SET awarded = 0, drawn = 0, released = 0, refunded = 0 WHERE id = {credit}"),
        format!("UPDATE awards SET refunded = -1 WHERE id = {credit}"),
        // A booking, an invoice.
        format!("UPDATE bookings SET half_days = 0 WHERE award_id = {days}"),
        format!("UPDATE bookings SET state = 'lost' WHERE award_id = {days}"),
        format!("UPDATE invoices SET refunded = amount + 1 WHERE award_id = {fees}"),
        format!(
            "INSERT INTO invoices (programme, seq, award_id, provider, reference, amount, refunded) \
             SELECT programme, seq + 1000, award_id, provider, reference, 1, 0 FROM invoices WHERE award_id = {fees}"
        ),
        "INSERT INTO entries (programme, seq, event_seq, account_id, verb, amount, period, on_fund) \
         SELECT programme, seq + 1000, event_seq, account_id, verb, 0, period, on_fund FROM entries WHERE seq = 1"
            .to_owned(),
        "INSERT INTO entries (programme, seq, event_seq, account_id, verb, amount, period, on_fund) \
         SELECT programme, seq + 1000, event_seq, account_id, 'give', 1, period, on_fund FROM entries WHERE seq = 1"
            .to_owned(),
    ];
    for attempt in rows {
        let refused = past.run(&attempt).await;
        let refused = refused.expect_err(&attempt).to_lowercase();
        let held = ["check constraint", "unique constraint"].iter().any(|it| refused.contains(it));
        assert!(held, "{attempt}: {refused}");
    }
    assert_eq!(proved(&db), head);
}

/// Takes away what keeps entries from being changed.
async fn unguarded(db: &Db) -> Past {
    let mut past = Past::of(db).await;
    let sql = if db.is_postgres() {
        "ALTER TABLE entries DISABLE TRIGGER USER"
    } else {
        "DROP TRIGGER entries_are_not_updated; DROP TRIGGER entries_are_not_deleted"
    };
    past.run(sql).await.unwrap();
    past
}

/// What is done, what verify names, and what undoes it.
async fn tampering(past: &mut Past, book: &Book) -> Vec<(String, String, String)> {
    let Book { credit_fund, nle_fund, offer, credit, days, fees, .. } = book;
    let [fund, nle, caps, award, leader, paid] =
        [credit_fund, nle_fund, offer, credit, days, fees].map(|it| past.id(it));
    let entry = format!("seq = (SELECT MIN(seq) FROM entries WHERE account_id = {fund} AND verb = 'spend')");
    let event = past.number(&format!("SELECT event_seq FROM entries WHERE {entry}")).await;
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
            format!("UPDATE entries SET account_id = {nle} WHERE {entry}"),
            of_event.clone(),
            format!("UPDATE entries SET account_id = {fund} WHERE event_seq = {event} AND account_id = {nle}"),
        ),
        // Balances, every way that still adds up.
        (
            format!("UPDATE accounts SET available = available + 7, outside = outside - 7 WHERE id = {fund}"),
            credit_fund.clone(),
            format!("UPDATE accounts SET available = available - 7, outside = outside + 7 WHERE id = {fund}"),
        ),
        (
            format!("UPDATE accounts SET committed = committed + 7, spent = spent - 7 WHERE id = {nle}"),
            nle_fund.clone(),
            format!("UPDATE accounts SET committed = committed - 7, spent = spent + 7 WHERE id = {nle}"),
        ),
        (
            format!(
                "UPDATE accounts SET available = available + 1, outside = outside - 1 WHERE offer_id = {caps} AND strand = 'nle'"
            ),
            offer.clone(),
            format!(
                "UPDATE accounts SET available = available - 1, outside = outside + 1 WHERE offer_id = {caps} AND strand = 'nle'"
            ),
        ),
        // Awards, with what lies inside them.
        (
            format!("UPDATE awards SET drawn = drawn + 1 WHERE id = {award}"),
            credit.clone(),
            format!("UPDATE awards SET drawn = drawn - 1 WHERE id = {award}"),
        ),
        (
            format!("UPDATE bookings SET state = 'delivered' WHERE award_id = {leader} AND state = 'booked'"),
            days.clone(),
            format!("UPDATE bookings SET state = 'booked' WHERE award_id = {leader} AND half_days = 1"),
        ),
        (
            format!("UPDATE invoices SET reference = 'INV8' WHERE award_id = {paid}"),
            fees.clone(),
            format!("UPDATE invoices SET reference = 'INV7' WHERE award_id = {paid}"),
        ),
    ]
}

/// The same of what no balance shows: approvals, what entries are stored as, rows that hang on nothing.
async fn tampering_beside(past: &mut Past, book: &Book) -> Vec<(String, String, String)> {
    let Book { credit_fund, credit, days, fees, approval, .. } = book;
    let [fund, award, leader, paid, asked] = [credit_fund, credit, days, fees, approval].map(|it| past.id(it));
    let nobody = fresh();
    let none = past.id(&nobody);
    let entry = format!("seq = (SELECT MIN(seq) FROM entries WHERE account_id = {fund} AND verb = 'spend')");
    let number = past.number(&format!("SELECT seq FROM entries WHERE {entry}")).await;
    let approvals = |set: &str| format!("UPDATE approvals SET {set} WHERE id = {asked}");
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
            format!("UPDATE awards SET strand = 'nlg' WHERE id = {award}"),
            format!("award {credit}: it is stored under strand"),
            format!("UPDATE awards SET strand = 'credit' WHERE id = {award}"),
        ),
        (
            format!(
                "INSERT INTO bookings SELECT programme, seq + 1000, {none}, half_days, booked_for, leader, state \
                 FROM bookings WHERE award_id = {leader}"
            ),
            format!("it is stored under award {nobody}"),
            format!("DELETE FROM bookings WHERE award_id = {none}"),
        ),
        (
            format!("UPDATE invoices SET award_id = {none} WHERE award_id = {paid}"),
            format!("it is stored under award {nobody}"),
            format!("UPDATE invoices SET award_id = {paid} WHERE award_id = {none}"),
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
        (
            approvals("opened_seq = opened_seq + 1"),
            of_approval("opening event"),
            approvals("opened_seq = opened_seq - 1"),
        ),
        (
            approvals("requested_at = requested_at + 1"),
            of_approval("requested at"),
            approvals("requested_at = requested_at - 1"),
        ),
        (approvals("state = 'carried_out'"), format!("approval {approval}: its state"), approvals("state = 'open'")),
    ]
}

/// Rows of a programme that has no book.
fn of_no_book(past: &Past, book: &Book) -> Vec<(String, String, String)> {
    let [fund, award] = [&book.credit_fund, &book.credit].map(|it| past.id(it));
    let (other, strange) = (past.id(&fresh()), "'2098-99'");
    let rows = [
        (
            "accounts",
            format!(
                "{other}, {strange}, owner, strand, region, offer_id, unit, binds, over_committed, outside, available, \
                 committed, spent, version FROM accounts WHERE id = {fund}"
            ),
        ),
        (
            "awards",
            format!(
                "{other}, {strange}, offer_id, strand, unit, support, fund_id, cap_id, day_rate, awarded, drawn, \
                 released, refunded, awarded_on, awarded_by, made_seq, version FROM awards WHERE id = {award}"
            ),
        ),
        ("bookings", format!("{strange}, seq, award_id, half_days, booked_for, leader, state FROM bookings")),
        ("invoices", format!("{strange}, seq, award_id, provider, reference, amount, amount FROM invoices")),
        (
            "entries",
            format!("{strange}, seq, event_seq, account_id, verb, amount, period, on_fund FROM entries WHERE seq = 1"),
        ),
    ];
    let row = |(table, columns): (&str, String)| {
        let (insert, delete) = (
            format!("INSERT INTO {table} SELECT {columns}"),
            format!("DELETE FROM {table} WHERE programme = {strange}"),
        );
        (insert, format!("{table}: there are rows of programme \"2098-99\""), delete)
    };
    rows.into_iter().map(row).collect()
}

async fn tampering_with_money_is_named(db: Db) {
    let book = book(&db).await;
    let head = proved(&db)[0].0;
    let mut past = unguarded(&db).await;
    let mut rows = tampering(&mut past, &book).await;
    rows.extend(tampering_beside(&mut past, &book).await);
    rows.extend(of_no_book(&past, &book));
    for (tamper, named, mend) in rows {
        past.run(&tamper).await.unwrap();
        let (code, reports) = verify(&db, &[]);
        assert_eq!(code, 1, "{tamper}");
        let differences = reports[0]["differences"].clone();
        let names = |it: &Value| it.as_str().unwrap().contains(&named);
        assert!(differences.as_array().unwrap().iter().any(names), "{tamper}: {named} is not in {differences:#}");
        past.run(&mend).await.unwrap();
        assert_eq!(proved(&db)[0].0, head, "{mend}");
    }
    // The last entries are gone; over the wire the same is found as by the command.
    past.run("DELETE FROM entries WHERE seq = (SELECT MAX(seq) FROM entries)").await.unwrap();
    let (code, reports) = verify(&db, &[]);
    assert_eq!(code, 1);
    let over_wire = verified_over_wire(&db).await;
    assert!(!over_wire.sound);
    let report = over_wire.books.iter().find(|it| it.programme == YEAR).unwrap();
    let differences: Vec<&str> =
        reports[0]["differences"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(
        (&report.differences[..], report.sequence),
        (&differences.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()[..], head)
    );
    assert_eq!(usize::try_from(report.difference_count).unwrap(), differences.len());
}

async fn many_verify_at_once(db: Db) {
    const CALLERS: usize = 40;
    book(&db).await;
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let mut calls = JoinSet::new();
    for _ in 0..CALLERS {
        let client = client.clone();
        calls.spawn(async move {
            client.finance().verify_ledger(client.ask(VerifyLedgerRequest::default())).await.unwrap().into_inner()
        });
    }
    // Reading goes on beside them.
    for _ in 0..10 {
        assert_eq!(client.funds(YEAR).await.len(), 3);
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|it| it.sound).count(), CALLERS, "{answers:?}");
}

async fn verified_over_wire(db: &Db) -> VerifyLedgerResponse {
    let server = Server::start(db);
    let client = Client::of(&server).await;
    client.finance().verify_ledger(client.ask(VerifyLedgerRequest::default())).await.unwrap().into_inner()
}

/// The schema of the second release: what the third migration added is taken out again.
fn before_money(db: &Db) -> String {
    let sql = "DROP TABLE invoices; DROP TABLE bookings; DROP TABLE awards; DROP TABLE entries; DROP TABLE accounts; \
        DROP INDEX approvals_of_request; ALTER TABLE approvals DROP COLUMN request_id; \
        ALTER TABLE books DROP COLUMN next_entry; ALTER TABLE approvals DROP COLUMN change; \
        DELETE FROM seaql_migrations WHERE version = 'm0003_money'";
    let keys = "ALTER TABLE events ADD CONSTRAINT events_programme_fkey FOREIGN KEY (programme) REFERENCES books; \
        ALTER TABLE texts ADD CONSTRAINT texts_programme_seq_fkey FOREIGN KEY (programme, seq) REFERENCES events";
    if db.is_postgres() { format!("{sql}; {keys}") } else { sql.to_owned() }
}

async fn an_older_database_has_no_cap_until_an_award(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let trust = offers.iter().find(|it| it.recipient_kind() == RecipientKind::Mat).unwrap();
    client.accepted(trust).await;
    server.stop();
    let mut past = Past::of(&db).await;
    past.run(&before_money(&db)).await.unwrap();
    let before = past.number("SELECT COUNT(*) FROM events").await;
    let migrated = tsio(&["migrate", "--database", &db.url()]);
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    let caps = "SELECT COUNT(*) FROM accounts WHERE owner = 'cap'";
    let counts = [
        past.number("SELECT COUNT(*) FROM events").await,
        past.number("SELECT COUNT(*) FROM entries").await,
        past.number(caps).await,
    ];
    assert_eq!(counts, [before, 0, 0], "a migration writes no history");
    drop(past);
    proved(&db);

    server.restart();
    let client = Client::of(&server).await;
    let cap = |whole: &tsio::proto::GetOfferResponse| {
        whole.caps.iter().map(|it| (it.strand.clone(), it.allocated, it.committed)).collect::<Vec<_>>()
    };
    let whole = client.whole(&trust.offer).await;
    assert_eq!(cap(&whole), [("nle".to_owned(), 10, 0)], "shown from the terms");
    assert_eq!(Past::of(&db).await.number(caps).await, 0);
    client.financed(YEAR, "nlg", 100_000).await;
    client.awarded(&trust.offer, nlg(40_000)).await;
    assert_eq!(Past::of(&db).await.number(caps).await, 0, "what only the fund limits has no cap");
    client.awarded(&trust.offer, nle(3)).await;
    assert_eq!(Past::of(&db).await.number(caps).await, 1);
    assert_eq!(cap(&client.whole(&trust.offer).await), [("nle".to_owned(), 10, 3)]);
    proved(&db);
}
