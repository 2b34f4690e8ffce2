//! `tsio areas`: lists local authorities with their codes and regions.

use clap::Args;

use super::args::ListOutput;
use super::errors::Failure;
use super::json;
use super::output::{TableColumn, table};
use super::session::Session;
use crate::proto::{Area, ListAreasRequest};

/// The arguments of `tsio areas`.
#[derive(Debug, Args)]
pub struct AreasArgs {
    /// Only in this RSC region, by name
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    #[command(flatten)]
    output: ListOutput,
}

pub(super) async fn run(args: AreasArgs, session: &Session<'_>) -> Result<(), Failure> {
    let request = ListAreasRequest { region: args.region.unwrap_or_default() };
    let answer = session.services.register().list_areas(session.call(request)).await?.into_inner();
    session.print_list(&answer.areas, &args.output, json::of, rows)
}

/// Formats local authorities as a table.
fn rows(areas: &[Area]) -> String {
    use TableColumn::{Number, Text};
    let row = |it: &Area| vec![it.code.to_string(), it.name.clone(), it.region.clone()];
    table(&[Number("CODE"), Text("LOCAL AUTHORITY"), Text("REGION")], areas.iter().map(row))
}
