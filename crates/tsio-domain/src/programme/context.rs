//! What deciding a command needs besides the facts.

use uuid::Uuid;

use crate::ids::{Actor, RequestId};
use crate::person::{Person, TokenSubject};
use crate::role::Reach;
use crate::time::Now;

/// What deciding needs besides the facts: who asks, when it is, and where new ids come from.
pub struct Context<'a> {
    /// Who asks.
    pub actor: &'a Actor,
    /// Whose token it is, to tell two people apart.
    pub subject: Option<TokenSubject>,
    /// Where they may: what lies outside does not exist for them.
    pub reach: &'a Reach,
    /// Under which id: the same again when the call is made again. Nil where nothing is to be recorded.
    pub request: RequestId,
    /// The moment.
    pub now: Now,
    /// New ids, time-ordered.
    pub ids: &'a mut dyn FnMut() -> Uuid,
}

impl Context<'_> {
    /// Who asks, as far as two people are told apart.
    #[must_use]
    pub fn person(&self) -> Person {
        Person { actor: self.actor.clone(), subject: self.subject }
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Context");
        shown
            .field("actor", &self.actor)
            .field("reach", &self.reach)
            .field("request", &self.request)
            .field("now", &self.now);
        shown.finish_non_exhaustive()
    }
}
