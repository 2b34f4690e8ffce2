//! Thirty commands of many kinds that can be repeated on one database, with their answers.
//!
//! For tests in which disks or connections fail: each command is sent until it has a definite answer. Afterwards
//! [`Workload::check`] compares the database with all answers.

use std::time::{Duration, Instant};

use prost::Message as _;
use tonic::{Code, Status};
use tsio::proto::{ImportHeader, ImportRegisterRequest, RecipientKind, import_register_request};

use crate::client::{Client, YEAR, fresh, reason, seen};
use crate::harness::Db;
use crate::money::{Much, nlg};
use crate::raw_sql::verify;

/// The longest time without an answer to a command, once the faults have ended or are few.
const ANSWERED: Duration = Duration::from_secs(60);
/// An amount above what one person may allocate alone: it opens an approval.
const MUCH: i64 = 6_000_000;
/// Days since 1970-01-01 of 2001-01-01, before any other import of the samples.
const FIRST_DAY: i32 = 11_323;

/// A success, or a refusal that is a definite answer.
type Answer = Result<Vec<u8>, (Code, String, Vec<u8>)>;

/// A prepared database and the commands sent to it.
pub(crate) struct Workload {
    offers: Vec<String>,
    accepted: String,
    fund: String,
    award: String,
    imports: i32,
    answered: Vec<(Command, Answer)>,
    /// The reasons of UNAVAILABLE answers.
    pub(crate) unavailable: Vec<String>,
}

#[derive(Debug, Clone)]
struct Command {
    id: String,
    what: What,
}

/// A kind of command that is sent alone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Award,
    Import,
}

#[derive(Debug, Clone)]
enum What {
    Note(String),
    Assign(String),
    Allocate(i64),
    Award,
    Draw,
    Import(String),
}

impl Workload {
    /// Makes 19 offers, accepts one, and makes a fund and an award to draw on.
    pub(crate) async fn prepare(client: &Client) -> Self {
        let offers = client.seed().await;
        let trust = offers.iter().find(|it| it.recipient_kind() == RecipientKind::Mat).unwrap();
        client.accepted(trust).await;
        client.financed(YEAR, "nlg", 4_000_000).await;
        let fund = client.financed(YEAR, "credit", 2_000_000).await;
        let award = client.awarded(&trust.offer, nlg(1_000_000)).await;
        client.start(&trust.offer).await.unwrap();
        let accepted = trust.offer.clone();
        let offers = offers.iter().map(|it| it.offer.clone()).filter(|it| *it != accepted).collect();
        Self { offers, accepted, fund, award, imports: 0, answered: Vec::new(), unavailable: Vec::new() }
    }

    /// Sends thirty commands, one after the other, each until it has a definite answer.
    ///
    /// # Errors
    /// Describes the first command without an answer, or with a refusal for another reason than an outage.
    pub(crate) async fn run(&mut self, client: &Client) -> Result<(), String> {
        for n in 0..30 {
            let offer = self.offers[n % self.offers.len()].clone();
            let what = match n % 10 {
                0 | 3 | 6 => What::Note(offer),
                1 | 4 => What::Assign(offer),
                2 => What::Allocate(1),
                5 => What::Award,
                7 => What::Draw,
                8 if n == 8 => What::Allocate(MUCH),
                8 => What::Note(offer),
                _ if n == 29 => self.import(),
                _ => What::Assign(offer),
            };
            self.answer(client, Command { id: fresh(), what }).await?;
        }
        Ok(())
    }

    /// Sends one command until it has a definite answer.
    ///
    /// # Errors
    /// As [`Workload::run`].
    pub(crate) async fn one(&mut self, client: &Client, kind: Kind) -> Result<(), String> {
        let what = match kind {
            Kind::Award => What::Award,
            Kind::Import => self.import(),
        };
        self.answer(client, Command { id: fresh(), what }).await
    }

    fn import(&mut self) -> What {
        self.imports += 1;
        What::Import(day(FIRST_DAY + self.imports))
    }

    async fn answer(&mut self, client: &Client, command: Command) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let answer = self.send(client, &command).await;
            match &answer {
                Ok(_) => {}
                Err((Code::FailedPrecondition, reason, _)) if reason == "APPROVAL_REQUIRED" => {}
                Err((Code::Unavailable, reason, _)) if started.elapsed() < ANSWERED => {
                    self.unavailable.push(reason.clone());
                    continue;
                }
                Err((code, reason, _)) => return Err(format!("{command:?}: {code:?} {reason}")),
            }
            self.answered.push((command, answer));
            return Ok(());
        }
    }

    async fn send(&self, client: &Client, Command { id, what }: &Command) -> Answer {
        match what {
            What::Note(offer) => seen(client.note(offer, "a small thing", id).await),
            What::Assign(offer) => seen(client.assign(offer, "case-7", id).await),
            What::Allocate(pence) => seen(client.allocate(&self.fund, *pence, id).await),
            What::Award => seen(client.award(&self.accepted, vec![nlg(1)], id).await),
            What::Draw => seen(client.draw(&self.award, Much::Pence(1), id).await),
            What::Import(as_at) => match import(client, as_at, id).await {
                Ok(answer) => Ok(answer),
                Err(status) => Err((status.code(), reason(&status), status.details().to_vec())),
            },
        }
    }

    /// Compares the database with the answers: the record is sound, and each command that is sent again has the same answer
    /// and adds nothing.
    ///
    /// # Errors
    /// Describes what is missing or different.
    pub(crate) async fn check(&mut self, client: &Client, db: &Db) -> Result<(), String> {
        let before = sound(db)?;
        for (command, answer) in &self.answered {
            let again = self.send(client, command).await;
            if again != *answer {
                return Err(format!("{command:?} was answered {answer:?}, and then {again:?}"));
            }
        }
        let after = sound(db)?;
        if before != after {
            return Err(format!("what was repeated was carried out again: {before} became {after}"));
        }
        self.answered.clear();
        Ok(())
    }
}

fn sound(db: &Db) -> Result<serde_json::Value, String> {
    let (code, reports) = verify(db, &[]);
    if code == 0 { Ok(reports) } else { Err(format!("verify ends with {code}: {reports}")) }
}

fn day(since_1970: i32) -> String {
    let day = chrono::NaiveDate::from_num_days_from_ce_opt(since_1970 + 719_163).unwrap();
    day.to_string()
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
    let mut answers = client.registry().import_register(client.ask(tokio_stream::iter(parts))).await?.into_inner();
    let mut last = Vec::new();
    while let Some(answer) = answers.message().await? {
        last = answer.encode_to_vec();
    }
    Ok(last)
}
