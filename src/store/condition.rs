//! Conditions on rows that a caller puts together: comparisons, all of or any of them. Values are bound, never written out.

use sea_orm::sea_query::{Cond, SimpleExpr};

/// A condition over the columns `C` of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition<C> {
    /// Each of these; none is always true.
    All(Vec<Self>),
    /// One of these at least.
    Any(Vec<Self>),
    /// A comparison.
    Is(C, How, Operand),
}

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The same.
    Equal,
    /// Not the same.
    NotEqual,
    /// Less.
    Less,
    /// Less, or the same.
    AtMost,
    /// More.
    Greater,
    /// More, or the same.
    AtLeast,
    /// Has it: a part of a text, one of several.
    Has,
    /// Does not have it.
    HasNot,
}

impl How {
    /// What holds where this does not.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::AtLeast,
            Self::AtLeast => Self::Less,
            Self::Greater => Self::AtMost,
            Self::AtMost => Self::Greater,
            Self::Has => Self::HasNot,
            Self::HasNot => Self::Has,
        }
    }
}

/// What a column is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A text.
    Text(String),
    /// A number, or an instant in microseconds.
    Number(i64),
    /// Nothing: that there is no value.
    Nothing,
}

impl<C: Copy> Condition<C> {
    /// As a condition of a query, each comparison made by `one`.
    pub(super) fn cond(&self, one: &impl Fn(C, How, &Operand) -> SimpleExpr) -> Cond {
        match self {
            Self::All(of) => of.iter().fold(Cond::all(), |all, it| all.add(it.cond(one))),
            Self::Any(of) => of.iter().fold(Cond::any(), |any, it| any.add(it.cond(one))),
            Self::Is(column, how, operand) => Cond::all().add(one(*column, *how, operand)),
        }
    }
}

impl<C> Condition<C> {
    /// What holds where this does not.
    #[must_use]
    pub fn negated(self) -> Self {
        let all = |of: Vec<Self>| of.into_iter().map(Self::negated).collect();
        match self {
            Self::All(of) => Self::Any(all(of)),
            Self::Any(of) => Self::All(all(of)),
            Self::Is(column, how, operand) => Self::Is(column, how.opposite(), operand),
        }
    }
}
