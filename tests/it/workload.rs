//! Sends thirty commands of many kinds, for tests in which disks or connections fail, and keeps their answers.
//!
//! Each command is sent until it has a definite answer. Afterwards [`Workload::check`] compares the database with all
//! answers. A workload can run many times on one database.

use std::time::{Duration, Instant};

use prost::Message as _;
use tonic::{Code, Status};
use tsio::proto::{ImportHeader, ImportRegisterRequest, RecipientKind, import_register_request};

use crate::client::{Client, YEAR, comparable, fresh, reason};
use crate::harness::Db;
use crate::money::{Quantity, nlg};
use crate::raw_sql::verify;

/// How long a command may stay without a definite answer, while faults are rare or have ended.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// An amount in pence that one person may not allocate alone, so that it needs an approval.
const NEEDS_APPROVAL: i64 = 6_000_000;
/// The day 2001-01-01 in days since 1970-01-01. It is before the as-at date of every sample.
const FIRST_DAY: i32 = 11_323;

/// A definite answer: the bytes of a success, or the code, reason and details of a refusal.
type Answer = Result<Vec<u8>, (Code, String, Vec<u8>)>;

/// A prepared database and the commands sent to it.
pub(crate) struct Workload {
    /// The offers that are not accepted.
    offers: Vec<String>,
    accepted_offer: String,
    fund: String,
    award: String,
    /// The number of imports so far. Each import has an as-at date of its own.
    imports: i32,
    /// The commands that were answered since the last check.
    answered: Vec<(Command, Answer)>,
    /// The reasons of UNAVAILABLE answers.
    pub(crate) unavailable: Vec<String>,
}

#[derive(Debug, Clone)]
struct Command {
    request_id: String,
    action: Action,
}

/// A kind of command that is sent alone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// An award, which is written without the lock of its programme.
    Award,
    /// A draw, which takes the lock.
    Draw,
    Import,
}

#[derive(Debug, Clone)]
enum Action {
    Note(String),
    Assign(String),
    Allocate(i64),
    Award,
    Draw,
    Import(String),
}

impl Workload {
    /// Makes 19 offers, accepts one and starts it, and creates funds and an award to draw from.
    pub(crate) async fn prepare(client: &Client) -> Self {
        let offers = client.seed().await;
        let trust = offers.iter().find(|it| it.recipient_kind() == RecipientKind::Mat).unwrap();
        client.accept_offer(trust).await;
        client.create_fund_with(YEAR, "nlg", 4_000_000).await;
        let fund = client.create_fund_with(YEAR, "credit", 2_000_000).await;
        let award = client.create_award(&trust.offer, nlg(1_000_000)).await;
        client.start(&trust.offer).await.unwrap();
        let accepted_offer = trust.offer.clone();
        let offers = offers.iter().map(|it| it.offer.clone()).filter(|it| *it != accepted_offer).collect();
        Self { offers, accepted_offer, fund, award, imports: 0, answered: Vec::new(), unavailable: Vec::new() }
    }

    /// Sends thirty commands, one after the other, each until it has a definite answer.
    ///
    /// # Errors
    /// Describes the first command that had no definite answer in time, or was refused. A request for approval is no
    /// refusal.
    pub(crate) async fn run(&mut self, client: &Client) -> Result<(), String> {
        for index in 0..30 {
            let offer = self.offers[index % self.offers.len()].clone();
            let action = match index % 10 {
                0 | 3 | 6 => Action::Note(offer),
                1 | 4 => Action::Assign(offer),
                2 => Action::Allocate(1),
                5 => Action::Award,
                7 => Action::Draw,
                8 if index == 8 => Action::Allocate(NEEDS_APPROVAL),
                8 => Action::Note(offer),
                _ if index == 29 => self.import(),
                _ => Action::Assign(offer),
            };
            self.send_until_answered(client, Command { request_id: fresh(), action }).await?;
        }
        Ok(())
    }

    /// Sends one command until it has a definite answer.
    ///
    /// # Errors
    /// As [`Workload::run`].
    pub(crate) async fn run_one(&mut self, client: &Client, kind: Kind) -> Result<(), String> {
        let action = match kind {
            Kind::Award => Action::Award,
            Kind::Draw => Action::Draw,
            Kind::Import => self.import(),
        };
        self.send_until_answered(client, Command { request_id: fresh(), action }).await
    }

    /// Makes an import with a new as-at date.
    fn import(&mut self) -> Action {
        self.imports += 1;
        Action::Import(date(FIRST_DAY + self.imports))
    }

    /// Sends a command until it has a definite answer, and keeps the answer.
    ///
    /// # Errors
    /// As [`Workload::run`].
    async fn send_until_answered(&mut self, client: &Client, command: Command) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let answer = self.send(client, &command).await;
            match &answer {
                Ok(_) => {}
                Err((Code::FailedPrecondition, reason, _)) if reason == "APPROVAL_REQUIRED" => {}
                Err((Code::Unavailable, reason, _)) if started.elapsed() < MAX_WAIT => {
                    self.unavailable.push(reason.clone());
                    continue;
                }
                Err((code, reason, _)) => return Err(format!("{command:?}: {code:?} {reason}")),
            }
            self.answered.push((command, answer));
            return Ok(());
        }
    }

    async fn send(&self, client: &Client, Command { request_id: id, action }: &Command) -> Answer {
        match action {
            Action::Note(offer) => comparable(client.note(offer, "a small thing", id).await),
            Action::Assign(offer) => comparable(client.assign(offer, "case-7", id).await),
            Action::Allocate(pence) => comparable(client.allocate(&self.fund, *pence, id).await),
            Action::Award => comparable(client.award(&self.accepted_offer, vec![nlg(1)], id).await),
            Action::Draw => comparable(client.draw(&self.award, Quantity::Pence(1), id).await),
            Action::Import(as_at) => match import(client, as_at, id).await {
                Ok(answer) => Ok(answer),
                Err(status) => Err((status.code(), reason(&status), status.details().to_vec())),
            },
        }
    }

    /// Sends all commands again. Each must get the same answer. The record must be sound before and afterwards, and the
    /// repeated commands must not change it.
    ///
    /// # Errors
    /// Describes the first difference, or what is wrong with the record.
    pub(crate) async fn check(&mut self, client: &Client, db: &Db) -> Result<(), String> {
        let before = sound_reports(db)?;
        for (command, answer) in &self.answered {
            let again = self.send(client, command).await;
            if again != *answer {
                return Err(format!("{command:?} was answered {answer:?}, and then {again:?}"));
            }
        }
        let after = sound_reports(db)?;
        if before != after {
            return Err(format!("a repeated command was carried out again: {before} became {after}"));
        }
        self.answered.clear();
        Ok(())
    }
}

/// Returns the reports of `tsio verify`, or an error if a record is unsound.
fn sound_reports(db: &Db) -> Result<serde_json::Value, String> {
    let (code, reports) = verify(db, &[]);
    if code == 0 { Ok(reports) } else { Err(format!("verify ends with {code}: {reports}")) }
}

/// Returns the date of a day since 1970-01-01.
fn date(days_since_1970: i32) -> String {
    let date = chrono::NaiveDate::from_num_days_from_ce_opt(days_since_1970 + 719_163).unwrap();
    date.to_string()
}

/// Imports the links of schools as at this day and returns the bytes of the last answer.
async fn import(client: &Client, as_at: &str, id: &str) -> Result<Vec<u8>, Status> {
    use import_register_request::Part;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/gias_links.csv");
    let bytes = std::fs::read(path).unwrap();
    let header = ImportHeader {
        request_id: id.to_owned(),
        file_name: "gias_links.csv".to_owned(),
        as_at: as_at.to_owned(),
        size_bytes: i64::try_from(bytes.len()).unwrap(),
        ..Default::default()
    };
    let parts = [Part::Header(header), Part::Chunk(bytes)].map(|part| ImportRegisterRequest { part: Some(part) });
    let mut answers =
        client.register_service().import_register(client.ask(tokio_stream::iter(parts))).await?.into_inner();
    let mut last = Vec::new();
    while let Some(answer) = answers.message().await? {
        last = answer.encode_to_vec();
    }
    Ok(last)
}
