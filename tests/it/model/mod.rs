//! Sends long random sequences of commands to the service and to a model of the published rules. Every answer, balance, state
//! and event has to agree.
//!
//! A failure prints the seed of its sequence. `TSIO_SEED` runs only the sequence of this seed, and `TSIO_MODEL_STEPS` sets the
//! number of commands.

mod agree;
mod approvals;
mod bookings;
mod claims;
mod command;
mod corrections;
mod dates;
mod limits;
mod rules;
mod scheme;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::{Client, YEAR, fresh, reason};
use crate::harness::{Db, Server, run_within, setting};
use crate::raw_sql::{RawSql, verify};
use command::Generator;
use world::{Call, World};

/// The number of commands in a sequence, unless `TSIO_MODEL_STEPS` sets another.
const STEPS: usize = 120;
/// Microseconds after which an approval expires: 30 days.
const APPROVAL_LIFETIME: i64 = 30 * 86_400_000_000;
/// The seed that every run uses.
const FIXED_SEED: u64 = 20_211_231;
/// In how many of a hundred batches a server loses its kept state.
const LOSSES: &str = "25";
/// The number of commands after which the other server gets the next ones. It is more than the number of batches that take the
/// lock after a write of the other server.
const LONG_TURN: usize = 12;
/// The time limit for each command of a sequence on average. A command takes far less.
const TIME_PER_STEP: Duration = Duration::from_millis(200);

/// The schools and trusts whose offers the commands change. Some are in the West Midlands, which has its own fund.
const RECIPIENTS: [i32; 10] = [910_001, 910_003, 910_009, 910_040, 910_042, 910_044, 90_001, 90_002, 90_005, 90_006];
/// A sequence with at least this number of commands has to meet all `EXPECTED_REASONS`.
const LONG_SEQUENCE: usize = 2_000;
const EXPECTED_REASONS: [&str; 26] = [
    "APPROVAL_NOT_OPEN",
    "APPROVAL_OF_ANOTHER",
    "APPROVAL_REQUIRED",
    "AWARD_EXCEEDED",
    "BOOKING_NOT_OPEN",
    "CAP_EXCEEDED",
    "CLAIM_ISSUER_MISSING",
    "CLAIM_TOTAL_DIFFERS",
    "CLAIM_TOTAL_EXCEEDED",
    "DATE_ORDER",
    "ETAG_STALE",
    "FIELD_VIOLATIONS",
    "FUNDS_INSUFFICIENT",
    "FUND_EXISTS",
    "FUND_OVER_COMMITTED",
    "INVOICE_MISSING",
    "INVOICE_PAID",
    "LEADER_FUNDED",
    "MOVEMENT_NOT_UNDOABLE",
    "NOT_FOUND",
    "OUTSIDE_WINDOW",
    "PARTNER_NOT_SUITABLE",
    "PROGRAMME_NOT_ENDED",
    "PROVIDER_NOT_ACCREDITED",
    "SELF_APPROVAL",
    "STRAND_NOT_OFFERED",
];

mod the_service_and_the_model_agree {
    use super::{Db, run_seeds};

    #[test]
    fn sqlite() {
        run_seeds(Db::sqlite);
    }

    #[test]
    fn postgres() {
        run_seeds(Db::postgres);
    }
}

/// Runs a sequence with the fixed seed and one with a random seed, or only one with `TSIO_SEED`. With another seed than the fixed one,
/// the servers lose their kept state at random, and calls alternate between two servers. On SQLite there is only one
/// server, because no two may use one file.
fn run_seeds(db: fn() -> Db) {
    let seeds = setting("TSIO_SEED").map_or_else(|| vec![FIXED_SEED, fastrand::u64(..)], |seed| vec![seed]);
    let steps = setting("TSIO_MODEL_STEPS").map_or(STEPS, |steps| usize::try_from(steps).unwrap());
    for seed in seeds {
        let _printer = PrintSeedOnFailure(seed);
        let time_limit = Duration::from_secs(60) + TIME_PER_STEP * u32::try_from(steps).unwrap();
        let servers = setting("TSIO_MODEL_SERVERS").unwrap_or(if seed == FIXED_SEED { 1 } else { 2 });
        run_within(time_limit, run_sequence(db(), (seed, steps), servers));
    }
}

/// Prints the seed when the test fails.
struct PrintSeedOnFailure(u64);

impl Drop for PrintSeedOnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- replay with TSIO_SEED={}", self.0);
        }
    }
}

/// Creates the offers, and returns the clients with those offers that the commands change.
async fn prepare(server: &Server, other: Option<&Server>) -> World {
    let client = Client::of(server).await;
    let mut offers = client.seed().await;
    offers.retain(|it| RECIPIENTS.contains(&it.recipient));
    assert_eq!(offers.len(), RECIPIENTS.len());
    let funds: Vec<String> = client.funds(YEAR).await.into_iter().map(|it| it.fund).collect();
    assert_eq!(funds.len(), 1, "the fund of NLE is created with the programme");
    let second = client.named("second");
    let others = match other {
        Some(other) => {
            let client = Client::of(other).await;
            let second = client.named("second");
            Some((client, second))
        }
        None => None,
    };
    let offer_etags = offers.iter().map(|it| it.etag.clone()).collect();
    World {
        client,
        second,
        others,
        offers,
        funds,
        awards: Vec::new(),
        approvals: Vec::new(),
        award_offers: Vec::new(),
        counts_half_days: Vec::new(),
        bookings: Vec::new(),
        offer_etags,
        award_etags: Vec::new(),
    }
}

/// Runs a sequence of commands, and compares the service with the model after each.
async fn run_sequence(db: Db, (seed, steps): (u64, usize), servers: u64) {
    let environment: &[_] = if seed == FIXED_SEED { &[] } else { &[("TSIO_LOSE_STATE", LOSSES)] };
    let server = Server::start_in(&db, environment);
    let other = (servers > 1 && db.is_postgres()).then(|| Server::start_in(&db, environment));
    // With an even seed, the servers take turns after each command. With an odd one, a server keeps its state for a while before the
    // other one writes.
    let turn = if seed.is_multiple_of(2) { 1 } else { LONG_TURN };
    let mut world = prepare(&server, other.as_ref()).await;
    let mut raw_sql = RawSql::of(&db).await;
    let mut scheme = world.scheme();
    let mut generator = Generator::new(seed);
    let (mut succeeded, mut reasons_met) = (0, BTreeMap::<String, usize>::new());
    for step in 0..steps {
        if let Some(approval) = generator.pick_expiring_approval(&scheme) {
            let id = &world.approvals[approval];
            raw_sql
                .run(&format!("UPDATE approvals SET expires_at = requested_at WHERE id = {}", raw_sql.id(id)))
                .await
                .unwrap();
            scheme.expire(approval);
        }
        if step.is_multiple_of(turn) {
            world.switch_server();
        }
        let command = generator.next(&scheme);
        let etag = if generator.one_in(3) { world.etag(&command) } else { String::new() };
        let call = Call { command, id: fresh(), etag };
        let before = scheme.clone();
        let answer = scheme.answer(&call.command);
        let response = world.send(&call).await;
        let context = format!("step {step}: {:?}\nmodel: {answer:?}", call.command);
        match &response {
            Ok(_) => succeeded += 1,
            Err(status) => *reasons_met.entry(reason(status)).or_default() += 1,
        }
        let repeats = response.is_ok() && generator.one_in(8);
        let first_bytes = response.as_ref().map(|it| it.bytes.clone()).ok();
        let compared = agree::Step { command: &call.command, before: &before, context: &context };
        agree::check_answer(&mut world, &mut scheme, &compared, answer, response);
        if repeats {
            assert_eq!(world.send(&call).await.ok().map(|it| it.bytes), first_bytes, "{context}: the repeated call");
        }
        agree::check_funds(&world, &scheme, &context).await;
        agree::check_changed_offer(&mut world, &scheme, &call.command, &context).await;
        if step % 100 == 99 {
            agree::check_everything(&mut world, &scheme, &context).await;
        }
    }
    agree::check_everything(&mut world, &scheme, "at the end").await;
    let is_mixed = succeeded * 4 > steps && succeeded * 10 < steps * 9;
    assert!(is_mixed, "{succeeded} of {steps} commands succeeded, expected 25 % to 90 %: {reasons_met:?}");
    if steps >= LONG_SEQUENCE {
        let missing: Vec<_> = EXPECTED_REASONS.iter().filter(|it| !reasons_met.contains_key(**it)).collect();
        assert!(missing.is_empty(), "reasons that no command met: {missing:?}; {reasons_met:?}");
    }
    // Restores the time at which each approval expires to the time in its event.
    raw_sql.run(&format!("UPDATE approvals SET expires_at = requested_at + {APPROVAL_LIFETIME}")).await.unwrap();
    let expired =
        scheme.approvals.iter().zip(&world.approvals).filter(|(it, _)| it.state == scheme::ApprovalState::Expired);
    proved_except_for_expiry(&db, &expired.map(|(_, id)| id.as_str()).collect::<Vec<_>>());
}

/// Verifies the record. According to the record these approvals are still open, because SQL made them expire. Verify may
/// therefore report that a call opened another approval of the same change, but nothing else.
fn proved_except_for_expiry(db: &Db, expired: &[&str]) {
    let (_, reports) = verify(db, &[]);
    for report in reports.as_array().unwrap() {
        let differences: Vec<&str> =
            report["differences"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        assert_eq!(report["difference_count"], differences.len());
        let is_open = |it: &str| expired.iter().any(|id| it.ends_with(&format!("approval {id} is open")));
        let others: Vec<_> =
            differences.into_iter().filter(|it| !(it.contains("APPROVAL_REQUIRED: ") && is_open(it))).collect();
        assert_eq!(others, Vec::<&str>::new());
    }
}
