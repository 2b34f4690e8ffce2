//! Tests of watching offers: a stream sends every change once and in order. This holds after any fault, from any start
//! position, and through any server.

use std::collections::HashMap;
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use prost::Message as _;
use sea_orm::sqlx::postgres::PgListener;
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::watch_offers_request::Start;
use tsio::proto::watch_offers_response::Update;
use tsio::proto::{CloseOfferRequest, Offer, OfferState, Outcome, Party, WatchOffersRequest, WatchOffersResponse};

use crate::client::{Client, NEXT_YEAR, YEAR, contact, fresh, reason};
use crate::faults::TERMINATE;
use crate::harness::{Db, Server, both, cli, run, setting};
use crate::load::{Load, OnFailure};
use crate::money::create_fund_with;
use crate::raw_sql::{RawSql, verified_length};
use crate::samples::run_refused_for;

both!(
    nothing_is_lost_or_repeated_when_the_stream_breaks,
    a_watch_from_any_position_gives_the_rest,
    a_snapshot_comes_first,
    an_offer_that_leaves_the_filter_is_gone,
    many_watch_at_once,
    a_wrong_watch_request_is_refused,
    a_quiet_stream_sends_checkpoints_and_ends_at_its_deadline,
    a_stopping_server_ends_its_watches_so_that_they_can_resume,
    a_position_that_a_restore_removed_is_recognised,
    the_command_line_prints_one_line_per_message,
);

/// A stream of the changes of offers.
struct Watch(Streaming<WatchOffersResponse>);

impl Watch {
    async fn of(client: &Client, request: WatchOffersRequest) -> Self {
        Self(client.offers().watch_offers(client.ask(request)).await.unwrap().into_inner())
    }

    async fn from(client: &Client, start: Start) -> Self {
        Self::of(client, WatchOffersRequest { programme: YEAR.to_owned(), start: Some(start), ..Default::default() })
            .await
    }

    async fn next(&mut self) -> WatchOffersResponse {
        self.0.message().await.unwrap().expect("the stream is open")
    }

    /// Reads messages until one is no checkpoint, and returns it.
    async fn next_change(&mut self) -> WatchOffersResponse {
        loop {
            let message = self.next().await;
            if !matches!(message.update, Some(Update::Checkpoint(_))) {
                return message;
            }
        }
    }

    /// Reads all messages up to this sequence, and returns those that are no checkpoints.
    async fn up_to(&mut self, last: i64) -> Vec<WatchOffersResponse> {
        let mut all = Vec::new();
        loop {
            let message = self.next().await;
            let is_reached = message.sequence >= last;
            if !matches!(message.update, Some(Update::Checkpoint(_))) {
                all.push(message);
            }
            if is_reached {
                return all;
            }
        }
    }

    /// Reads the stream to its end and returns the status.
    async fn end(mut self) -> Status {
        loop {
            match self.0.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without an error status"),
                Err(status) => return status,
            }
        }
    }
}

/// The start position after this message.
fn token(message: &WatchOffersResponse) -> Start {
    Start::ResumeToken(message.resume_token.clone())
}

fn bytes(messages: &[WatchOffersResponse]) -> Vec<Vec<u8>> {
    messages.iter().map(prost::Message::encode_to_vec).collect()
}

fn offer_of(message: &WatchOffersResponse) -> &Offer {
    match &message.update {
        Some(Update::Change(change)) => change.offer.as_ref().unwrap(),
        Some(Update::Offer(offer)) => offer,
        other => panic!("{other:?} has no offer"),
    }
}

/// Compares the messages about all offers with the record. Each sequence from 2 on has to come once and in order, with its
/// event and the state of its offer after the event. Event 1 is about no offer.
async fn matches_record(client: &Client, seen: &[WatchOffersResponse], last: i64) {
    let numbers: Vec<i64> = seen.iter().map(|it| it.sequence).collect();
    assert_eq!(numbers, (2..=last).collect::<Vec<_>>());
    let mut latest: HashMap<&str, &Offer> = HashMap::new();
    let mut events = HashMap::new();
    for message in seen {
        let Some(Update::Change(change)) = &message.update else { panic!("{message:?}") };
        let (event, offer) = (change.event.as_ref().unwrap(), change.offer.as_ref().unwrap());
        assert_eq!(event.sequence, message.sequence);
        latest.insert(&offer.offer, offer);
        events.insert(event.sequence, event);
    }
    for offer in client.list(YEAR).await {
        assert_eq!(latest[offer.offer.as_str()], &offer);
        for mut event in client.events(&offer.offer).await {
            // A watch does not send texts.
            event.text.clear();
            assert_eq!(events.remove(&event.sequence), Some(&event));
        }
    }
    assert!(events.is_empty());
}

async fn nothing_is_lost_or_repeated_when_the_stream_breaks(db: Db) {
    let seed = setting("TSIO_SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("TSIO_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let load = Load::on(&client, &offers, OnFailure::Retry);
    let mut seen = Vec::new();
    let mut start = Start::AfterSequence(0);
    for _ in 0..30 {
        // Each watch has its own connection, which closes after a random number of messages.
        let mut watch = Watch::from(&Client::of(&server).await, start.clone()).await;
        for _ in 0..rng.usize(0..40) {
            let message = watch.next().await;
            start = if rng.bool() { token(&message) } else { Start::AfterSequence(message.sequence) };
            if !matches!(message.update, Some(Update::Checkpoint(_))) {
                seen.push(message);
            }
        }
    }
    load.until_more(50).await;
    load.end().await;
    let last = verified_length(&db);
    let mut watch = Watch::from(&client, start).await;
    if seen.last().map_or(0, |it| it.sequence) < last {
        seen.extend(watch.up_to(last).await);
    }
    matches_record(&client, &seen, last).await;
    let replayed = Watch::from(&client, Start::AfterSequence(0)).await.up_to(last).await;
    assert_eq!(bytes(&replayed), bytes(&seen), "a watch from the beginning has the messages of all the broken watches");
}

async fn a_watch_from_any_position_gives_the_rest(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let mut live = Watch::from(&client, Start::AfterSequence(0)).await;
    // Events 21 and 22, which create a fund and allocate money to it, are about no offer.
    create_fund_with(&server, "credit", "5000");
    let contacted =
        client.offers().contact_offers(client.ask(contact(Party::ResponsibleBody, &[&offers[0]], &fresh()))).await;
    assert!(contacted.is_ok());
    client.note(&offers[1].offer, "not to be sent", &fresh()).await.unwrap();
    let last = verified_length(&db);
    let whole = live.up_to(last).await;
    assert_eq!((last, whole.len()), (24, 21), "three of 24 events are about no offer");
    assert!(!whole.iter().any(|it| String::from_utf8_lossy(&it.encode_to_vec()).contains("not to be sent")));
    for sequence in 0..last {
        let rest: Vec<_> = whole.iter().filter(|it| it.sequence > sequence).cloned().collect();
        let resumed = Watch::from(&client, Start::AfterSequence(sequence)).await.up_to(last).await;
        assert_eq!(bytes(&resumed), bytes(&rest), "after sequence {sequence}");
    }
    for message in whole.iter().filter(|it| it.sequence < last) {
        let resumed = Watch::from(&client, token(message)).await.up_to(last).await;
        let rest: Vec<_> = whole.iter().filter(|it| it.sequence > message.sequence).cloned().collect();
        assert_eq!(bytes(&resumed), bytes(&rest), "after the token of sequence {}", message.sequence);
    }
    // At the end of the record, the first message is a checkpoint.
    let first = Watch::from(&client, Start::AfterSequence(last)).await.next().await;
    assert_eq!((first.sequence, matches!(first.update, Some(Update::Checkpoint(_)))), (last, true));
}

async fn a_snapshot_comes_first(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let load = Load::on(&client, &offers, OnFailure::Retry);
    load.until_more(10).await;
    let request = WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() };
    let mut watch = Watch::of(&client, request).await;
    let mut state: HashMap<String, Offer> = HashMap::new();
    let end = loop {
        let message = watch.next().await;
        if matches!(message.update, Some(Update::SnapshotEnd(_))) {
            break message;
        }
        let offer = offer_of(&message).clone();
        assert_eq!((message.sequence, message.resume_token.as_str()), (0, ""));
        assert!(state.insert(offer.offer.clone(), offer).is_none(), "the snapshot contains each offer once");
    };
    assert_eq!(state.len(), 19);
    load.until_more(50).await;
    load.end().await;
    let last = verified_length(&db);
    let mut sequence = end.sequence;
    for message in watch.up_to(last).await {
        sequence += 1;
        assert_eq!(message.sequence, sequence, "the changes continue after the snapshot");
        state.insert(offer_of(&message).offer.clone(), offer_of(&message).clone());
    }
    for offer in client.list(YEAR).await {
        assert_eq!(state[&offer.offer], offer);
    }
}

async fn an_offer_that_leaves_the_filter_is_gone(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let region = offers[0].region.clone();
    let in_region: Vec<&Offer> = offers.iter().filter(|it| it.region == region).collect();
    let elsewhere = offers.iter().find(|it| it.region != region).unwrap();
    let request = WatchOffersRequest {
        programme: YEAR.to_owned(),
        regions: vec![region],
        states: vec![OfferState::Identified.into(), OfferState::Closed.into()],
        start: None,
    };
    let mut watch = Watch::of(&client, request).await;
    for offer in &in_region {
        assert_eq!(offer_of(&watch.next().await), *offer);
    }
    assert!(matches!(watch.next().await.update, Some(Update::SnapshotEnd(_))));

    let record_contact = async |offer: &Offer| {
        let request = contact(Party::ResponsibleBody, &[offer], &fresh());
        client.offers().contact_offers(client.ask(request)).await.unwrap();
    };
    record_contact(elsewhere).await;
    let left = in_region[0];
    record_contact(left).await;
    // The offer matches the filter neither before nor after this change, so the stream does not send it.
    client.note(&left.offer, "between", &fresh()).await.unwrap();
    let close = CloseOfferRequest {
        request_id: fresh(),
        offer: left.offer.clone(),
        outcome: Outcome::Withdrawn.into(),
        ..Default::default()
    };
    client.offers().close_offer(client.ask(close)).await.unwrap();
    let gone = watch.next_change().await;
    match &gone.update {
        Some(Update::Gone(it)) => assert_eq!((&it.offer, gone.sequence), (&left.offer, 22)),
        other => panic!("{other:?}"),
    }
    let back = watch.next_change().await;
    assert_eq!((back.sequence, offer_of(&back).state()), (24, OfferState::Closed));
}

async fn many_watch_at_once(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    // The watches share a second connection, because their unread messages fill it.
    let watcher = Client::of(&server).await;
    let watching = (0..60).map(async |_| Watch::from(&watcher, Start::AfterSequence(0)).await);
    let watching = join_all(watching).await;
    let load = Load::on(&client, &offers, OnFailure::Retry);
    load.until_more(400).await;
    load.end().await;
    let last = verified_length(&db);
    let seen = join_all(watching.into_iter().map(async |mut it| it.up_to(last).await)).await;
    matches_record(&client, &seen[0], last).await;
    for messages in &seen[1..] {
        assert!(bytes(messages) == bytes(&seen[0]), "all watchers receive the same messages");
    }
}

#[test]
fn two_servers_send_the_same_changes_and_notify_each_other() {
    run(async {
        let db = Db::postgres();
        let mut notifications = PgListener::connect(&db.url()).await.unwrap();
        let (first_server, second_server) = (Server::start(&db), Server::start(&db));
        let (one, other) = (Client::of(&first_server).await, Client::of(&second_server).await);
        let offers = one.seed().await;
        let mut watching =
            [Watch::from(&one, Start::AfterSequence(0)).await, Watch::from(&other, Start::AfterSequence(0)).await];
        notifications.listen("tsio_books").await.unwrap();
        one.note(&offers[0].offer, "for the other server", &fresh()).await.unwrap();
        assert_eq!(notifications.recv().await.unwrap().payload(), YEAR);
        // Terminated sessions lose notifications, but the watches must not lose changes.
        let mut raw_sql = RawSql::of(&db).await;
        for client in [&one, &other] {
            let load = Load::on(client, &offers, OnFailure::Retry);
            for _ in 0..5 {
                load.until_more(30).await;
                // Between two batches there may be no session to terminate.
                while raw_sql.number(TERMINATE).await == 0 {
                    load.until_more(1).await;
                }
            }
            load.until_more(30).await;
            load.end().await;
        }
        let last = verified_length(&db);
        let [first, second] = &mut watching;
        let (first, second) = (first.up_to(last).await, second.up_to(last).await);
        matches_record(&other, &first, last).await;
        assert_eq!(bytes(&first), bytes(&second));
        // A token from one server is valid at the other.
        let rest = Watch::from(&other, token(&first[10])).await.up_to(last).await;
        assert_eq!(bytes(&rest), bytes(&first[11..]));
    });
}

async fn a_position_that_a_restore_removed_is_recognised(db: Db) {
    let mut server = Server::start(&db);
    let offers = Client::of(&server).await.seed().await;
    server.stop();
    let restore = db.backup();
    server.restart();
    let client = Client::of(&server).await;
    let mut watch = Watch::from(&client, Start::AfterSequence(19)).await;
    let kept = watch.next_change().await;
    client.note(&offers[0].offer, "removed by the restore", &fresh()).await.unwrap();
    let lost = watch.next_change().await;
    assert_eq!((kept.sequence, lost.sequence), (20, 21));
    drop(watch);
    server.stop();
    restore();

    server.restart();
    let client = Client::of(&server).await;
    let diverged = async |start: Start| {
        let status = Watch::from(&client, start).await.end().await;
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "HISTORY_DIVERGED"));
    };
    diverged(token(&lost)).await;
    diverged(Start::AfterSequence(21)).await;
    // Now another event has this sequence. Only the token shows that it is not the lost event.
    client.note(&offers[0].offer, "made after the restore", &fresh()).await.unwrap();
    diverged(token(&lost)).await;
    let other = Watch::from(&client, token(&kept)).await.next_change().await;
    assert_eq!(other.sequence, 21);
    assert_ne!(other.resume_token, lost.resume_token);
}

/// A watcher that does not read is ended after 30 seconds. The test measures them by the checkpoints of a second stream, which
/// come every five seconds.
#[test]
fn a_watcher_that_reads_nothing_is_ended_and_can_resume() {
    run(async {
        let server = Server::start(&Db::sqlite());
        let client = Client::of(&server).await;
        let offers = client.seed().await;
        let load = Load::on(&client, &offers, OnFailure::Retry);
        load.until_more(1_000).await;
        load.end().await;
        // With a small window, the server cannot send all messages before the watcher reads some.
        let narrow = Endpoint::from_shared(server.url()).unwrap().initial_stream_window_size(65_535);
        let mut narrow = OfferServiceClient::new(narrow.connect().await.unwrap());
        let (programme, start) = (YEAR.to_owned(), Some(Start::AfterSequence(0)));
        let request = WatchOffersRequest { programme, start, ..Default::default() };
        let mut slow = Watch(narrow.watch_offers(client.ask(request)).await.unwrap().into_inner());
        let mut clock = Watch::from(&client, Start::AfterSequence(1)).await;
        let last = loop {
            let message = clock.next().await;
            if matches!(message.update, Some(Update::Checkpoint(_))) {
                break message.sequence;
            }
        };
        for _ in 0..7 {
            assert_eq!(clock.next().await.sequence, last);
        }
        let mut seen = Vec::new();
        let status = loop {
            match slow.0.message().await {
                Ok(message) => seen.push(message.expect("the stream ends with an error status")),
                Err(status) => break status,
            }
        };
        assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "WATCHER_TOO_SLOW"));
        let newest = seen.last().unwrap();
        assert!(
            newest.sequence < last && status.message().ends_with(&format!("after sequence {}", newest.sequence)),
            "{status:?}"
        );
        let rest = Watch::from(&client, token(newest)).await.up_to(last).await;
        seen.extend(rest);
        matches_record(&client, &seen, last).await;
    });
}

async fn a_wrong_watch_request_is_refused(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let token = Watch::from(&client, Start::AfterSequence(3)).await.next().await.resume_token;
    let request_for = |programme: &str, start: Option<Start>| WatchOffersRequest {
        programme: programme.to_owned(),
        start,
        ..Default::default()
    };
    let rows = [
        (request_for(NEXT_YEAR, Some(Start::ResumeToken(token.clone()))), Code::InvalidArgument, "FIELD_VIOLATIONS"),
        (request_for(YEAR, Some(Start::ResumeToken(token[1..].to_owned()))), Code::InvalidArgument, "FIELD_VIOLATIONS"),
        (request_for(YEAR, Some(Start::ResumeToken(String::new()))), Code::InvalidArgument, "FIELD_VIOLATIONS"),
        (request_for(YEAR, Some(Start::AfterSequence(-1))), Code::InvalidArgument, "FIELD_VIOLATIONS"),
        (request_for(YEAR, Some(Start::AfterSequence(21))), Code::FailedPrecondition, "HISTORY_DIVERGED"),
        (request_for("2030-31", None), Code::NotFound, "NOT_FOUND"),
    ];
    for (request, code, expected_reason) in rows {
        let status = match client.offers().watch_offers(client.ask(request.clone())).await {
            Ok(answer) => Watch(answer.into_inner()).end().await,
            Err(status) => status,
        };
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected_reason), "{request:?}");
    }
}

async fn a_quiet_stream_sends_checkpoints_and_ends_at_its_deadline(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let mut request = client.ask(WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() });
    request.set_timeout(Duration::from_secs(12));
    let mut watch = Watch(client.offers().watch_offers(request).await.unwrap().into_inner());
    while !matches!(watch.next().await.update, Some(Update::SnapshotEnd(_))) {}
    // The first checkpoint says that the stream has caught up, the next ones that it is still open.
    for _ in 0..2 {
        let checkpoint = watch.next().await;
        assert_eq!((checkpoint.sequence, matches!(checkpoint.update, Some(Update::Checkpoint(_)))), (20, true));
    }
    let status = watch.end().await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_PASSED"));
}

async fn a_stopping_server_ends_its_watches_so_that_they_can_resume(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let mut watching = Vec::new();
    for _ in 0..5 {
        let mut watch = Watch::from(&client, Start::AfterSequence(19)).await;
        assert_eq!(watch.next().await.sequence, 20);
        watching.push(watch);
    }
    server.stop();
    for watch in watching {
        let status = watch.end().await;
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "SERVER_STOPPING"));
    }
}

async fn the_command_line_prints_one_line_per_message(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let lines = |more: &[&str]| -> Vec<serde_json::Value> {
        let output = cli(&server, &[&["offers", "watch", "--once"], more].concat());
        assert_eq!(output.code, 0, "{}", output.stderr);
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let first = lines(&[]);
    assert_eq!((first.len(), &first[20]["kind"]), (21, &"checkpoint".into()));
    assert!(first[..19].iter().all(|it| it["kind"] == "offer" && it["resume_token"].is_null()));
    let end = &first[19];
    assert_eq!((&end["kind"], &end["sequence"]), (&"snapshot_end".into(), &20.into()));
    client.assign(&offers[4].offer, "ann", &fresh()).await.unwrap();
    client.assign(&offers[5].offer, "ann", &fresh()).await.unwrap();
    for from in [["--resume", end["resume_token"].as_str().unwrap()], ["--after", "20"]] {
        let rest = lines(&from);
        assert_eq!((&rest[0]["kind"], &rest[0]["event"]["kind"]), (&"change".into(), &"assigned".into()));
        assert_eq!(
            (&rest[0]["offer"]["offer"], &rest[0]["offer"]["assignee"]),
            (&offers[4].offer.clone().into(), &"ann".into())
        );
        assert_eq!((&rest[2]["kind"], &rest[2]["sequence"], rest.len()), (&"checkpoint".into(), &22.into(), 3));
    }
    run_refused_for(&server, "HISTORY_DIVERGED", &["offers", "watch", "--after", "23"]);
}
