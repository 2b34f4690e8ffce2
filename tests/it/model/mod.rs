//! Long random sequences of commands, run against the service and against a model of the published rules: every answer,
//! balance, state and event has to agree.
//!
//! A failure prints its seed; `TSIO_SEED` runs that one alone, `TSIO_MODEL_STEPS` says how many commands.

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

/// Commands of one sequence, unless `TSIO_MODEL_STEPS` says another number.
const STEPS: usize = 120;
/// Microseconds after which an approval expires: 30 days.
const EXPIRES: i64 = 30 * 86_400_000_000;
/// The seed that every run uses.
const FIXED: u64 = 20_211_231;
/// The time limit of one step, far longer than any step takes.
const STEP: Duration = Duration::from_millis(200);

/// The schools and trusts whose offers the commands change. Some are in the West Midlands, which has its own fund.
const RECIPIENTS: [i32; 10] = [910_001, 910_003, 910_009, 910_040, 910_042, 910_044, 90_001, 90_002, 90_005, 90_006];
/// A full sequence meets all of these.
const LONG: usize = 2_000;
const MET: [&str; 26] = [
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
    use super::{Db, both_seeds};

    #[test]
    fn sqlite() {
        both_seeds(Db::sqlite);
    }

    #[test]
    fn postgres() {
        both_seeds(Db::postgres);
    }
}

fn both_seeds(db: fn() -> Db) {
    let seeds = setting("TSIO_SEED").map_or_else(|| vec![FIXED, fastrand::u64(..)], |seed| vec![seed]);
    let steps = setting("TSIO_MODEL_STEPS").map_or(STEPS, |steps| usize::try_from(steps).unwrap());
    for seed in seeds {
        let _printer = PrintSeedOnFailure(seed);
        let bound = Duration::from_secs(60) + STEP * u32::try_from(steps).unwrap();
        // The random seed alternates between two servers; the fixed one uses one server. A SQLite file has one server.
        let servers = setting("TSIO_MODEL_SERVERS").unwrap_or(if seed == FIXED { 1 } else { 2 });
        run_within(bound, sequence(db(), (seed, steps), servers));
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

/// Returns the offers that the commands change, as the service has them at the beginning.
async fn begun(server: &Server, other: Option<&Server>) -> World {
    let client = Client::of(server).await;
    let mut offers = client.seed().await;
    offers.retain(|it| RECIPIENTS.contains(&it.recipient));
    assert_eq!(offers.len(), RECIPIENTS.len());
    let funds: Vec<String> = client.funds(YEAR).await.into_iter().map(|it| it.fund).collect();
    assert_eq!(funds.len(), 1, "the NLE fund is made with the programme");
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
        offers_of: Vec::new(),
        in_days: Vec::new(),
        bookings: Vec::new(),
        offer_etags,
        award_etags: Vec::new(),
    }
}

async fn sequence(db: Db, (seed, steps): (u64, usize), servers: u64) {
    let server = Server::start(&db);
    let other = (servers > 1 && db.is_postgres()).then(|| Server::start(&db));
    let mut world = begun(&server, other.as_ref()).await;
    let mut raw_sql = RawSql::of(&db).await;
    let mut scheme = world.scheme();
    let mut generator = Generator::new(seed);
    let (mut done, mut met) = (0, BTreeMap::<String, usize>::new());
    for step in 0..steps {
        if let Some(approval) = generator.expires(&scheme) {
            let id = &world.approvals[approval];
            raw_sql
                .run(&format!("UPDATE approvals SET expires_at = requested_at WHERE id = {}", raw_sql.id(id)))
                .await
                .unwrap();
            scheme.expires(approval);
        }
        world.turn();
        let command = generator.next(&scheme);
        let etag = if generator.one_in(3) { world.etag(&command) } else { String::new() };
        let call = Call { command, id: fresh(), etag };
        let before = scheme.clone();
        let answer = scheme.answer(&call.command);
        let sent = world.send(&call).await;
        let at = format!("step {step}: {:?}\nmodel: {answer:?}", call.command);
        match &sent {
            Ok(_) => done += 1,
            Err(status) => *met.entry(reason(status)).or_default() += 1,
        }
        let again = sent.is_ok() && generator.one_in(8);
        let first = sent.as_ref().map(|it| it.bytes.clone()).ok();
        let this = agree::Step { command: &call.command, before: &before, at: &at };
        agree::answered(&mut world, &mut scheme, &this, answer, sent);
        if again {
            assert_eq!(world.send(&call).await.ok().map(|it| it.bytes), first, "{at}: the same again");
        }
        agree::funds(&world, &scheme, &at).await;
        agree::offer_of(&mut world, &scheme, &call.command, &at).await;
        if step % 100 == 99 {
            agree::everything(&mut world, &scheme, &at).await;
        }
    }
    agree::everything(&mut world, &scheme, "at the end").await;
    assert!(done * 4 > steps && done * 10 < steps * 9, "{done} done of {steps} prove little: {met:?}");
    if steps >= LONG {
        let missing: Vec<_> = MET.iter().filter(|it| !met.contains_key(**it)).collect();
        assert!(missing.is_empty(), "never met: {missing:?}; {met:?}");
    }
    // Restores the expiry of every approval to the time in its event.
    raw_sql.run(&format!("UPDATE approvals SET expires_at = requested_at + {EXPIRES}")).await.unwrap();
    let expired = scheme.approvals.iter().zip(&world.approvals).filter(|(it, _)| it.state == scheme::Open::Expired);
    proved_except_for_expiry(&db, &expired.map(|(_, id)| id.as_str()).collect::<Vec<_>>());
}

/// Verifies the record. SQL made these approvals expire, so by the record they are still open. Verify may therefore report
/// that the same call opened another approval, and nothing else.
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
