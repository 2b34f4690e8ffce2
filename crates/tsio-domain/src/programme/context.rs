//! Defines the context of a request. A command is decided from the programme's state and this context.

use uuid::Uuid;

use crate::ids::{Actor, RequestId};
use crate::person::{Person, TokenSubject};
use crate::role::Reach;
use crate::time::Now;

/// The context of a request: the caller, the time, and a source of new ids.
pub struct Context<'a> {
    /// The caller.
    pub actor: &'a Actor,
    /// The subject of the caller's token, to tell two people apart.
    pub subject: Option<TokenSubject>,
    /// The caller's reach. Anything outside it is reported as not found.
    pub reach: &'a Reach,
    /// The request id, which is the same when the caller repeats the request. It is nil if nothing will be recorded.
    pub request: RequestId,
    /// The current time and day.
    pub now: Now,
    /// Generates time-ordered ids.
    pub ids: &'a mut dyn FnMut() -> Uuid,
}

impl Context<'_> {
    /// The caller as a person, to compare with other people.
    #[must_use]
    pub fn person(&self) -> Person {
        Person { actor: self.actor.clone(), subject: self.subject }
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Context");
        debug
            .field("actor", &self.actor)
            .field("reach", &self.reach)
            .field("request", &self.request)
            .field("now", &self.now);
        debug.finish_non_exhaustive()
    }
}
