//! Refuses to load other terms for a programme that has terms: the terms of a programme never change.

use crate::ids::Programme;
use crate::refusal::{Limit, LimitKind, Reason, Refusal};

/// The refusal to load other terms for a programme that has terms. They never change, because its offers depend on them.
#[must_use]
pub fn terms_in_use(programme: &Programme) -> Refusal {
    let remedy = "load a changed scheme under a programme of its own";
    let limit = Limit::plain(LimitKind::Terms, programme.clone(), remedy);
    let message = format!("programme {programme} has other terms, and offers are pinned to them");
    Refusal::of(Reason::TermsInUse, message, limit)
}
