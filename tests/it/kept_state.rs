//! Checks that a server notices every change that somebody else makes between two batches, although it keeps the state of a
//! programme from one batch to the next.

use tonic::{Code, Status};
use tsio::proto::{Acceptor, CorrectContactRequest, Offer, OfferState, Party, RecipientKind};
use tsio_test_support::messages;
use tsio_test_support::statements::{self, WriterStatements};

use crate::client::{Client, YEAR, contact, fresh, offer_of_school, reason};
use crate::harness::{Db, Server, both, run};
use crate::money::{amounts, balances, credit_with, nlg, refusal};
use crate::race::of_kind;
use crate::raw_sql::{RawSql, verified_heads};
use crate::samples::{path, run_ok};

both!(
    a_repeat_gets_the_stored_answer_although_it_would_be_refused_now,
    a_trust_that_closed_meanwhile_is_refused_as_a_partner,
    an_award_and_its_release_alternate,
);

/// Each test makes awards before and after somebody else writes. From the second award of a programme on, the state is kept.
const AWARDS_BEFORE: usize = 3;

/// The fund of the tests, in pence, and each award before.
const FUND: i64 = 100_000;
const EACH: i64 = 1_000;

/// An accepted offer to a trust, with a fund for its governance support, under which some awards were made.
struct Prepared {
    client: Client,
    offer: Offer,
    fund: String,
}

async fn prepare(server: &Server) -> Prepared {
    let client = Client::of(server).await;
    let offer = of_kind(&client.seed().await, RecipientKind::Mat).remove(0);
    client.accept_offer(&offer).await;
    let fund = client.create_fund_with(YEAR, "nlg", FUND).await;
    for _ in 0..AWARDS_BEFORE {
        client.create_award(&offer.offer, nlg(EACH)).await;
    }
    Prepared { client, offer, fund }
}

/// The amount that [`prepare`] leaves in the fund.
fn rest() -> i64 {
    FUND - EACH * i64::try_from(AWARDS_BEFORE).unwrap()
}

async fn a_repeat_gets_the_stored_answer_although_it_would_be_refused_now(db: Db) {
    let server = Server::start(&db);
    let Prepared { client, offer, fund } = prepare(&server).await;
    let id = fresh();
    let first = client.award(&offer.offer, vec![nlg(rest())], &id).await.unwrap();
    assert_eq!(balances(&client.fund(&fund).await), [FUND, FUND, 0, 0]);
    let again = client.award(&offer.offer, vec![nlg(rest())], &id).await.unwrap();
    assert_eq!(again, first);
    // The fund is empty, so the same award is refused under another id, and another award under the same id.
    let refused = client.award(&offer.offer, vec![nlg(rest())], &fresh()).await.unwrap_err();
    assert_eq!(reason(&refused), "FUNDS_INSUFFICIENT");
    let reused = client.award(&offer.offer, vec![nlg(1)], &id).await.unwrap_err();
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
    verified_heads(&db);
}

/// A newer register closes the partner of the first awards.
async fn a_trust_that_closed_meanwhile_is_refused_as_a_partner(db: Db) {
    const PARTNER: i32 = 90_003;
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let offer = offer_of_school(&offers, 910_001);
    client.accept_offer(offer).await;
    client.create_fund_with(YEAR, "credit", FUND).await;
    for _ in 0..AWARDS_BEFORE {
        client.create_award(&offer.offer, credit_with(PARTNER, EACH)).await;
    }
    let register = std::fs::read_to_string(path("gias_groups_2022-03.csv")).unwrap();
    let (open, closed) = ("2016-09-01,2016-09-01,OPEN,Open", "2016-09-01,2016-09-01,CLOSED,Closed");
    let close = |row: &str| if row.starts_with("90003,") { row.replace(open, closed) } else { row.to_owned() };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("groups.csv");
    std::fs::write(&file, register.lines().map(close).collect::<Vec<_>>().join("\n")).unwrap();
    run_ok(&server, &["import", "register", file.to_str().unwrap(), "--as-at", "2022-03-31"]);
    // This award is refused in any case, because of its cap. A smaller amount would not help: the answer must say so.
    let above_cap = client.award(&offer.offer, vec![credit_with(PARTNER, 2_000_000)], &fresh()).await.unwrap_err();
    assert_eq!(refusal(&above_cap).largest, Some(0));
    let refused = client.award(&offer.offer, vec![credit_with(PARTNER, EACH)], &fresh()).await.unwrap_err();
    assert_eq!(reason(&refused), "PARTNER_NOT_SUITABLE");
    // A still newer register opens it again.
    std::fs::write(&file, register).unwrap();
    run_ok(&server, &["import", "register", file.to_str().unwrap(), "--as-at", "2022-04-30"]);
    client.create_award(&offer.offer, credit_with(PARTNER, EACH)).await;
    verified_heads(&db);
}

/// Awards and releases of the same fund are decided against kept accounts and awards.
async fn an_award_and_its_release_alternate(db: Db) {
    let server = Server::start(&db);
    let Prepared { client, offer, fund } = prepare(&server).await;
    for turn in 1..=5 {
        let award = client.create_award(&offer.offer, nlg(rest())).await;
        assert_eq!(balances(&client.fund(&fund).await), [FUND, FUND, 0, 0], "turn {turn}");
        client.release(&award, None).await.unwrap();
        assert_eq!(amounts(&client.get_award(&award).await), [rest(), 0, rest(), 0, 0]);
        assert_eq!(balances(&client.fund(&fund).await), [FUND, FUND - rest(), 0, rest()], "turn {turn}");
    }
    verified_heads(&db);
}

/// After a write of another server, so many batches of a server take the lock. The next one relies on its own state again.
const BATCHES_WITH_LOCK: usize = 5;

/// A server that relies on its state empties the fund, and another server gives the money back. The first would refuse the next
/// award against its own state, and has to accept it. Then the other server awards all that is left. The first would accept an
/// award against its own state, and has to refuse it.
#[test]
fn two_servers_in_turn_see_each_other() {
    run(async {
        let db = Db::postgres();
        let servers = [Server::start(&db), Server::start(&db)];
        let Prepared { client, offer, fund } = prepare(&servers[0]).await;
        let clients = [client, Client::of(&servers[1]).await];
        let mut rest = rest();
        for turn in 0..4 {
            let (one, other) = (&clients[turn % 2], &clients[(turn + 1) % 2]);
            for _ in 0..BATCHES_WITH_LOCK {
                one.create_award(&offer.offer, nlg(1)).await;
                rest -= 1;
            }
            let all = one.create_award(&offer.offer, nlg(rest)).await;
            other.release(&all, None).await.unwrap();
            one.create_award(&offer.offer, nlg(EACH)).await;
            rest -= EACH;
            assert_eq!(balances(&one.fund(&fund).await), [FUND, FUND - rest, 0, rest], "turn {turn}");

            for _ in 0..BATCHES_WITH_LOCK {
                one.create_award(&offer.offer, nlg(1)).await;
                rest -= 1;
            }
            let all = other.create_award(&offer.offer, nlg(rest)).await;
            let refused = one.award(&offer.offer, vec![nlg(1)], &fresh()).await.unwrap_err();
            assert_eq!((reason(&refused).as_str(), refusal(&refused).largest), ("FUNDS_INSUFFICIENT", Some(0)));
            other.release(&all, None).await.unwrap();
        }
        verified_heads(&db);
    });
}

async fn record_contact(client: &Client, offer: &Offer, party: Party) {
    client.offers().contact_offers(client.ask(contact(party, &[offer], &fresh()))).await.unwrap();
}

async fn accept(client: &Client, offer: &Offer) -> Result<(), Status> {
    let request = messages::accept(&offer.offer, Acceptor::School, "2021-09-20");
    client.offers().accept_offer(client.ask(request)).await.map(drop)
}

/// Adds so many notes that the server relies on its own state afterwards, in which it keeps the offer.
async fn add_notes(client: &Client, offer: &Offer) {
    for number in 0..=BATCHES_WITH_LOCK {
        client.note(&offer.offer, &format!("note {number}"), &fresh()).await.unwrap();
    }
}

/// A server that keeps an offer would refuse its acceptance, and has to accept it after another server has recorded a contact. The same
/// server would accept the next offer, and has to refuse it after the other one has reported a contact as a mistake.
#[test]
fn two_servers_in_turn_change_an_offer() {
    run(async {
        let db = Db::postgres();
        let servers = [Server::start(&db), Server::start(&db)];
        let (one, other) = (Client::of(&servers[0]).await, Client::of(&servers[1]).await);
        for pair in of_kind(&one.seed().await, RecipientKind::Standalone).chunks_exact(2).take(3) {
            record_contact(&one, &pair[0], Party::ResponsibleBody).await;
            add_notes(&one, &pair[0]).await;
            assert_eq!(reason(&accept(&one, &pair[0]).await.unwrap_err()), "CONTACT_MISSING");
            record_contact(&other, &pair[0], Party::School).await;
            accept(&one, &pair[0]).await.unwrap();

            record_contact(&one, &pair[1], Party::ResponsibleBody).await;
            record_contact(&one, &pair[1], Party::School).await;
            add_notes(&one, &pair[1]).await;
            let mistake = CorrectContactRequest {
                request_id: fresh(),
                offer: pair[1].offer.clone(),
                contact: other.offer(&pair[1].offer).await.contacts[1].contact,
                note: "another school was meant".to_owned(),
                ..Default::default()
            };
            other.offers().correct_contact(other.ask(mistake)).await.unwrap();
            assert_eq!(reason(&accept(&one, &pair[1]).await.unwrap_err()), "CONTACT_MISSING");
        }
        verified_heads(&db);
    });
}

/// Once the state is kept, a change that needs only its offer is one statement.
#[test]
fn a_step_of_an_offer_is_one_statement() {
    run(async {
        let db = Db::postgres_alone();
        let server = Server::start_in(&db, &[("TSIO_LOSE_STATE", "0")]);
        let client = Client::of(&server).await;
        let offer = of_kind(&client.seed().await, RecipientKind::Standalone).remove(0);
        record_contact(&client, &offer, Party::ResponsibleBody).await;
        statements::start_counting(db.own_cluster());
        record_contact(&client, &offer, Party::School).await;
        accept(&client, &offer).await.unwrap();
        client.assign(&offer.offer, "bo", &fresh()).await.unwrap();
        let id = fresh();
        let noted = client.note(&offer.offer, "rang, and nobody answered", &id).await.unwrap();
        let sent = statements::stop_counting(db.own_cluster());
        assert_eq!(sent, WriterStatements { statements: 4, commits: 4 });
        let again = client.note(&offer.offer, "rang, and nobody answered", &id).await.unwrap();
        assert_eq!((again, client.times_recorded(&offer.offer, &id).await), (noted, 1));
        let offer = client.offer(&offer.offer).await;
        assert_eq!((offer.state(), offer.assignee.as_str(), offer.contacts.len()), (OfferState::Accepted, "bo", 2));
        verified_heads(&db);
    });
}

/// A server that keeps state notices by itself that a newer program has migrated the schema.
#[test]
fn a_newer_schema_stops_a_server_that_keeps_state() {
    run(async {
        let db = Db::postgres();
        let server = Server::start(&db);
        let Prepared { client, offer, fund } = prepare(&server).await;
        let mut raw_sql = RawSql::of(&db).await;
        raw_sql.run("INSERT INTO seaql_migrations VALUES ('m9999_of_the_future', 0)").await.unwrap();
        let refused = client.award(&offer.offer, vec![nlg(EACH)], &fresh()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        raw_sql.run("DELETE FROM seaql_migrations WHERE version = 'm9999_of_the_future'").await.unwrap();
        assert_eq!(balances(&client.fund(&fund).await), [FUND, FUND - rest(), 0, rest()]);
        client.create_award(&offer.offer, nlg(EACH)).await;
        verified_heads(&db);
    });
}
