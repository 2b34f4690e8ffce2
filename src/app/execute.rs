//! Executes or previews a command of a programme. Both authorise the caller, look up the programme if the command does not
//! name it, and pass the command to the programme's writer.

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::answers::CommandOutcome;
use super::commands::TypedCommand;
use super::request::RequestIdentity;
use super::writer::{AnswerEncoders, Submission};
use super::{App, Result, authorise};
use crate::domain::ids::Programme;
use crate::domain::ledger::fund_change::FundChange;
use crate::domain::programme::Command;
use crate::domain::role::Caller;

/// The parts of a request that do not depend on its command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MutatingCall<'a> {
    /// The caller who makes the request.
    pub(crate) caller: &'a Caller,
    /// The identity of the request, by which a repeat is recognised.
    pub(crate) request: RequestIdentity,
    /// When the caller stops waiting; `None` for no limit.
    pub(crate) deadline: Option<Instant>,
    /// The functions that encode the answer.
    pub(crate) encoders: AnswerEncoders,
}

impl App {
    /// Executes a command and returns its encoded answer, which is stored. A repeated request always gets the same bytes.
    ///
    /// # Errors
    /// [`super::AppError::Denied`], which is checked first. [`super::AppError::NotFound`] if an entity that the command
    /// changes does not exist; [`super::AppError::Invalid`] if its entities belong to different programmes. Then the errors
    /// of [`super::writer::Writer::submit`].
    // A boxed future, so that the compiler checks and compiles the rest of the way once, and not for each kind of command.
    pub(crate) fn execute<'a>(
        &'a self,
        call: MutatingCall<'a>,
        command: impl TypedCommand,
    ) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(self.execute_parts(call, command.into_parts()))
    }

    async fn execute_parts(&self, call: MutatingCall<'_>, parts: (Option<Programme>, Command)) -> Result<Vec<u8>> {
        let MutatingCall { caller, request, deadline, encoders } = call;
        let (programme, command) = self.authorise_and_find_programme(caller, parts).await?;
        let submission = Submission {
            programme,
            actor: caller.actor.clone(),
            subject: caller.subject,
            reach: caller.reach(command.action()),
            request,
            command,
            deadline,
            encoders,
        };
        self.inner.writer.submit(submission).await
    }

    /// Decides a command without writing anything (AIP-163). Returns the outcome that the command would have.
    ///
    /// # Errors
    /// As [`App::execute`]. A command that would open an approval is refused with
    /// [`crate::domain::refusal::Reason::ApprovalRequired`], and no approval is opened.
    pub(crate) async fn preview<C: TypedCommand>(
        &self,
        caller: &Caller,
        command: C,
    ) -> Result<CommandOutcome<C::Answer>> {
        let preview: BoxFuture<'_, _> = Box::pin(self.preview_parts(caller, command.into_parts()));
        preview.await?.typed()
    }

    async fn preview_parts(&self, caller: &Caller, parts: (Option<Programme>, Command)) -> Result<CommandOutcome> {
        let (programme, command) = self.authorise_and_find_programme(caller, parts).await?;
        let reach = caller.reach(command.action());
        self.inner.writer.check(&programme, (caller, &reach), &command).await
    }

    /// Fails if the caller may not request the command. Returns the command with its programme.
    async fn authorise_and_find_programme(
        &self,
        caller: &Caller,
        (programme, command): (Option<Programme>, Command),
    ) -> Result<(Programme, Command)> {
        authorise(caller, command.action())?;
        let programme = match programme {
            Some(programme) => programme,
            None => self.programme_of_command(caller, &command).await?,
        };
        Ok((programme, command))
    }

    /// The programme of the referral, award, funds or offers that a command changes.
    async fn programme_of_command(&self, caller: &Caller, command: &Command) -> Result<Programme> {
        if let Command::Refer(referral_command) = command
            && let Some(referral) = referral_command.referral()
        {
            return self.programme_of_referral(referral).await;
        }
        match (command, command.award()) {
            (_, Some(award)) => self.programme_of_award(award).await,
            (Command::ChangeFund { change: FundChange::Move { from, to, .. }, .. }, _) => {
                self.programme_of_funds(&[*from, *to]).await
            }
            (Command::ChangeFund { change, .. }, _) => self.programme_of_funds(&[change.fund()]).await,
            _ => self.programme_of_offers(&caller.reach(command.action()), &command.offers()).await,
        }
    }
}
