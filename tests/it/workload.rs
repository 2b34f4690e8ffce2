//! Sends thirty commands of many kinds to a server, and stores their answers. Can be run several times on one database.
//!
//! Tests in which disks or connections fail use it: each command is sent until it has a definite answer. Afterwards
//! [`Workload::check`] compares the database with all answers.

use std::time::{Duration, Instant};

use prost::Message as _;
use tonic::{Code, Status};
use tsio::proto::{ImportHeader, ImportRegisterRequest, RecipientKind, import_register_request};

use crate::client::{Client, YEAR, fresh, reason, seen};
use crate::harness::Db;
use crate::money::{Much, nlg};
use crate::raw_sql::verify;

/// The longest time for which a command is repeated while the answer is UNAVAILABLE.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// In pence, more than one person may allocate alone: the command opens an approval.
const NEEDS_APPROVAL: i64 = 6_000_000;
/// The number of days from 1970-01-01 to 2001-01-01. This is before all as-at dates of the samples.
const FIRST_AS_AT: i32 = 11_323;

/// The bytes of a success, or the code, reason and details of a refusal.
type Answer = Result<Vec<u8>, (Code, String, Vec<u8>)>;

/// A prepared database and the commands sent to it.
pub(crate) struct Workload {
    /// Offers that are not accepted.
    offers: Vec<String>,
    accepted: String,
    fund: String,
    award: String,
    /// The number of imports, each with another as-at date.
    imports: i32,
    /// The commands since the last check, each with its definite answer.
    answered: Vec<(Command, Answer)>,
    /// The reasons of UNAVAILABLE answers.
    pub(crate) unavailable: Vec<String>,
}

#[derive(Debug, Clone)]
struct Command {
    id: String,
    action: CommandAction,
}

/// A kind of command for [`Workload::one`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum CommandKind {
    Award,
    Import,
}

#[derive(Debug, Clone)]
enum CommandAction {
    /// Adds a note to this offer.
    Note(String),
    /// Assigns this offer.
    Assign(String),
    /// Allocates pence to the fund.
    Allocate(i64),
    Award,
    Draw,
    /// Imports a file with this as-at date.
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
    /// Describes the first command with another answer than a success, an opened approval or UNAVAILABLE; or with UNAVAILABLE
    /// for longer than `MAX_WAIT`.
    pub(crate) async fn run(&mut self, client: &Client) -> Result<(), String> {
        for number in 0..30 {
            let offer = self.offers[number % self.offers.len()].clone();
            let action = match number % 10 {
                0 | 3 | 6 => CommandAction::Note(offer),
                1 | 4 => CommandAction::Assign(offer),
                2 => CommandAction::Allocate(1),
                5 => CommandAction::Award,
                7 => CommandAction::Draw,
                8 if number == 8 => CommandAction::Allocate(NEEDS_APPROVAL),
                8 => CommandAction::Note(offer),
                _ if number == 29 => self.next_import(),
                _ => CommandAction::Assign(offer),
            };
            self.complete(client, Command { id: fresh(), action }).await?;
        }
        Ok(())
    }

    /// Sends one command until it has a definite answer.
    ///
    /// # Errors
    /// As [`Workload::run`].
    pub(crate) async fn one(&mut self, client: &Client, kind: CommandKind) -> Result<(), String> {
        let action = match kind {
            CommandKind::Award => CommandAction::Award,
            CommandKind::Import => self.next_import(),
        };
        self.complete(client, Command { id: fresh(), action }).await
    }

    /// Makes the next import, with an as-at date of its own.
    fn next_import(&mut self) -> CommandAction {
        self.imports += 1;
        CommandAction::Import(date(FIRST_AS_AT + self.imports))
    }

    /// Sends the command until it has a definite answer, and stores the answer.
    async fn complete(&mut self, client: &Client, command: Command) -> Result<(), String> {
        let first_sent = Instant::now();
        loop {
            let answer = self.send(client, &command).await;
            match &answer {
                Ok(_) => {}
                Err((Code::FailedPrecondition, reason, _)) if reason == "APPROVAL_REQUIRED" => {}
                Err((Code::Unavailable, reason, _)) if first_sent.elapsed() < MAX_WAIT => {
                    self.unavailable.push(reason.clone());
                    continue;
                }
                Err((code, reason, _)) => return Err(format!("{command:?}: {code:?} {reason}")),
            }
            self.answered.push((command, answer));
            return Ok(());
        }
    }

    async fn send(&self, client: &Client, Command { id, action }: &Command) -> Answer {
        match action {
            CommandAction::Note(offer) => seen(client.note(offer, "a small thing", id).await),
            CommandAction::Assign(offer) => seen(client.assign(offer, "case-7", id).await),
            CommandAction::Allocate(pence) => seen(client.allocate(&self.fund, *pence, id).await),
            CommandAction::Award => seen(client.award(&self.accepted, vec![nlg(1)], id).await),
            CommandAction::Draw => seen(client.draw(&self.award, Much::Pence(1), id).await),
            CommandAction::Import(as_at) => match import(client, as_at, id).await {
                Ok(answer) => Ok(answer),
                Err(status) => Err((status.code(), reason(&status), status.details().to_vec())),
            },
        }
    }

    /// Checks with `tsio verify` that the record is sound. Then repeats each command: it must return the same answer, and must
    /// not change the record. Forgets the commands afterwards.
    ///
    /// # Errors
    /// Describes the first difference.
    pub(crate) async fn check(&mut self, client: &Client, db: &Db) -> Result<(), String> {
        let before = verify_record(db)?;
        for (command, answer) in &self.answered {
            let again = self.send(client, command).await;
            if again != *answer {
                return Err(format!("{command:?} was answered {answer:?}, and then {again:?}"));
            }
        }
        let after = verify_record(db)?;
        if before != after {
            return Err(format!("a repeated command changed the record: {before} became {after}"));
        }
        self.answered.clear();
        Ok(())
    }
}

/// Returns the reports of `tsio verify`, or an error if it finds a difference.
fn verify_record(db: &Db) -> Result<serde_json::Value, String> {
    let (code, reports) = verify(db, &[]);
    if code == 0 { Ok(reports) } else { Err(format!("verify ends with {code}: {reports}")) }
}

/// Returns the date this number of days after 1970-01-01, as `YYYY-MM-DD`.
fn date(days_after_1970: i32) -> String {
    let date = chrono::NaiveDate::from_num_days_from_ce_opt(days_after_1970 + 719_163).unwrap();
    date.to_string()
}

/// Imports the links of schools with this as-at date, and returns the bytes of the last message of the answer.
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
