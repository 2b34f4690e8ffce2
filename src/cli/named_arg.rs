//! An argument that may be a name instead of an id: [`super::resolve`] replaces it.

use crate::proto::NamedKind;

/// An argument that names an entity.
pub(super) struct NamedArg<'a> {
    pub(super) kind: NamedKind,
    pub(super) text: &'a mut String,
}

impl<'a> NamedArg<'a> {
    pub(super) const fn offer(text: &'a mut String) -> Self {
        Self { kind: NamedKind::Offer, text }
    }

    pub(super) const fn award(text: &'a mut String) -> Self {
        Self { kind: NamedKind::Award, text }
    }

    pub(super) const fn fund(text: &'a mut String) -> Self {
        Self { kind: NamedKind::Fund, text }
    }

    pub(super) const fn approval(text: &'a mut String) -> Self {
        Self { kind: NamedKind::Approval, text }
    }

    pub(super) const fn referral(text: &'a mut String) -> Self {
        Self { kind: NamedKind::Referral, text }
    }
}
