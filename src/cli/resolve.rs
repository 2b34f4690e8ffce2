//! Replaces the names in a command by ids, before the command runs.
//!
//! A person says the school, an ending of an id or a strand; the calls of the contract take ids. A command lists its arguments
//! that may be names, and the server finds what they name. An argument that is a whole id is sent as it is.

use uuid::Uuid;

use super::command::ClientCommand;
use super::errors::Failure;
use super::named_arg::NamedArg;
use super::session::Session;
use crate::proto::ResolveNamesRequest;

/// The most names of one request: the most that the server accepts.
const BATCH_SIZE: usize = 500;

/// Returns the arguments of a command that may be names.
fn named_args(command: &mut ClientCommand) -> Vec<NamedArg<'_>> {
    match command {
        ClientCommand::Offers(command) => command.named_args(),
        ClientCommand::Awards(command) => command.named_args(),
        ClientCommand::Funds(command) => command.named_args(),
        ClientCommand::Approvals(command) => command.named_args(),
        ClientCommand::Referrals(command) => command.named_args(),
        ClientCommand::Terms(_)
        | ClientCommand::Import(_)
        | ClientCommand::Schools(_)
        | ClientCommand::Trusts(_)
        | ClientCommand::Eligibility(_)
        | ClientCommand::Record(_)
        | ClientCommand::Due(_)
        | ClientCommand::Areas(_) => Vec::new(),
    }
}

/// Replaces each name in a command by its id.
///
/// # Errors
/// The error of the server, which lists all names that belong to nothing, or to more than one entity.
pub(super) async fn resolve(command: &mut ClientCommand, session: &Session<'_>) -> Result<(), Failure> {
    let mut args = named_args(command);
    args.retain(|it| Uuid::try_parse(it.text.trim()).is_err());
    for batch in args.chunk_by_mut(|arg, next| arg.kind == next.kind).flat_map(|of_kind| of_kind.chunks_mut(BATCH_SIZE))
    {
        let Some(kind) = batch.first().map(|it| it.kind.into()) else { continue };
        let names = batch.iter().map(|it| it.text.clone()).collect();
        let request = ResolveNamesRequest { programme: session.programme(), kind, names };
        let answer = session.services.names().resolve_names(session.call(request)).await?.into_inner();
        for (arg, id) in batch.iter_mut().zip(answer.ids) {
            *arg.text = id;
        }
    }
    Ok(())
}
