//! `tsio trusts`: find trusts, and show one with its schools.

use clap::Subcommand;
use serde::Serialize;

use super::errors::Failure;
use super::output::{TableColumn, View, facts, table};
use super::session::{PAGE, Session, every_page};
use crate::cli::view::schools::SchoolView;
use crate::cli::view::trusts::TrustView;
use crate::proto::{GetTrustRequest, GetTrustResponse, ListTrustsRequest};

/// A command about trusts.
#[derive(Debug, Subcommand)]
pub enum TrustsCommand {
    /// Find trusts by UID or part of a name
    #[command(after_help = "Example:\n  tsio trusts find \"learning partnership\"")]
    Find {
        /// A UID, or part of a name; at least 2 characters
        text: String,
    },
    /// One trust with its schools in the newest register
    #[command(after_help = "Example:\n  tsio trusts show 2044")]
    Show {
        /// Its group UID
        #[arg(value_parser = clap::value_parser!(i32).range(1..))]
        uid: i32,
    },
}

pub(super) async fn run(command: TrustsCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        TrustsCommand::Find { text } => {
            let trusts = every_page(async |page_token| {
                let request = ListTrustsRequest { search: text.clone(), page_size: PAGE, page_token };
                let answer = session.services.register().list_trusts(session.call(request)).await?.into_inner();
                Ok((answer.trusts, answer.next_page_token))
            });
            session.print(&trusts.await?.into_iter().map(TrustView::from).collect::<Vec<_>>())
        }
        TrustsCommand::Show { uid } => {
            let answer =
                session.services.register().get_trust(session.call(GetTrustRequest { uid })).await?.into_inner();
            session.print(&TrustDetail::from(answer))
        }
    }
}

impl View for Vec<TrustView> {
    fn text(&self) -> String {
        use TableColumn::{Number, Text};
        let columns = [Number("UID"), Text("NAME"), Text("TYPE"), Text("STATUS"), Number("SCHOOLS")];
        let row = |trust: &TrustView| {
            vec![
                trust.uid.to_string(),
                trust.name.clone(),
                trust.group_type.clone(),
                trust.status.clone(),
                trust.schools.to_string(),
            ]
        };
        table(&columns, self.iter().map(row))
    }
}

#[derive(Debug, Serialize)]
struct TrustDetail {
    uid: i32,
    name: String,
    group_type: String,
    status: String,
    schools: Vec<SchoolView>,
}

impl From<GetTrustResponse> for TrustDetail {
    fn from(answer: GetTrustResponse) -> Self {
        let trust = answer.trust.unwrap_or_default();
        Self {
            uid: trust.uid,
            name: trust.name,
            group_type: trust.group_type,
            status: trust.status,
            schools: answer.schools.into_iter().map(SchoolView::from).collect(),
        }
    }
}

impl View for TrustDetail {
    fn text(&self) -> String {
        let trust = facts([
            ("uid", self.uid.to_string()),
            ("name", self.name.clone()),
            ("type", self.group_type.clone()),
            ("status", self.status.clone()),
        ]);
        format!("{trust}\n\n{}", self.schools.text())
    }
}
