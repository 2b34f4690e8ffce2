//! Conditions on rows that a caller puts together: comparisons, all of or any of them. Values are bound, never written out.

use std::cmp::Ordering;

use sea_orm::sea_query::{Cond, Expr, ExprTrait as _, LikeExpr, SimpleExpr};
use sea_orm::{ColumnTrait, Value};
use uuid::Uuid;

use crate::domain::Date;

/// A condition over the columns `C` of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition<C> {
    /// Each of these; none is always true.
    All(Vec<Self>),
    /// One of these at least.
    Any(Vec<Self>),
    /// A comparison.
    Is(C, Comparison, Operand),
}

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
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

impl Comparison {
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
    /// A day.
    Day(Date),
    /// An id.
    Id(Uuid),
    /// Nothing: that there is no value.
    Nothing,
}

impl Operand {
    /// As a bound value, if there is one.
    pub(in crate::store) fn value(&self) -> Option<Value> {
        match self {
            Self::Text(text) => Some(text.as_str().into()),
            Self::Number(number) => Some((*number).into()),
            Self::Day(day) => Some((*day).into()),
            Self::Id(id) => Some((*id).into()),
            Self::Nothing => None,
        }
    }

    /// Whether a value stands so to another. Values of different kinds are different, and neither is more.
    #[must_use]
    pub fn stands(&self, how: Comparison, other: &Self) -> bool {
        let order = match (self, other) {
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Number(one), Self::Number(other)) => Some(one.cmp(other)),
            (Self::Day(one), Self::Day(other)) => Some(one.cmp(other)),
            (Self::Id(one), Self::Id(other)) => Some(one.cmp(other)),
            (Self::Nothing, Self::Nothing) => Some(Ordering::Equal),
            _ => None,
        };
        let has = || match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.to_lowercase().contains(&other.to_lowercase()),
            _ => false,
        };
        match how {
            Comparison::Equal => order.is_some_and(Ordering::is_eq),
            Comparison::NotEqual => !order.is_some_and(Ordering::is_eq),
            Comparison::Less => order.is_some_and(Ordering::is_lt),
            Comparison::AtMost => order.is_some_and(Ordering::is_le),
            Comparison::Greater => order.is_some_and(Ordering::is_gt),
            Comparison::AtLeast => order.is_some_and(Ordering::is_ge),
            Comparison::Has => has(),
            Comparison::HasNot => !has(),
        }
    }
}

impl<C: Copy> Condition<C> {
    /// Whether it holds, each comparison answered by `one`.
    pub fn holds(&self, one: &impl Fn(C, Comparison, &Operand) -> bool) -> bool {
        match self {
            Self::All(of) => of.iter().all(|it| it.holds(one)),
            Self::Any(of) => of.iter().any(|it| it.holds(one)),
            Self::Is(column, how, operand) => one(*column, *how, operand),
        }
    }

    /// Whether a comparison of it is such a one.
    pub fn asks(&self, such: &impl Fn(C, &Operand) -> bool) -> bool {
        match self {
            Self::All(of) | Self::Any(of) => of.iter().any(|it| it.asks(such)),
            Self::Is(column, _, operand) => such(*column, operand),
        }
    }

    /// Written out for a query that is: its values are added to `values`, and stand as `$n`.
    pub(in crate::store) fn written(&self, column: &impl Fn(C) -> &'static str, values: &mut Vec<Value>) -> String {
        let mut joined = |of: &[Self], with: &str, none: &str| {
            let of: Vec<String> = of.iter().map(|it| it.written(column, values)).collect();
            if of.is_empty() { none.to_owned() } else { format!("({})", of.join(with)) }
        };
        match self {
            Self::All(of) => joined(of, " AND ", "1 = 1"),
            Self::Any(of) => joined(of, " OR ", "1 = 0"),
            Self::Is(name, how, operand) => compared(column(*name), *how, operand, values),
        }
    }

    /// As a condition of a query, each comparison made by `one`.
    pub(in crate::store) fn cond(&self, one: &impl Fn(C, Comparison, &Operand) -> SimpleExpr) -> Cond {
        match self {
            Self::All(of) => of.iter().fold(Cond::all(), |all, it| all.add(it.cond(one))),
            Self::Any(of) => of.iter().fold(Cond::any(), |any, it| any.add(it.cond(one))),
            Self::Is(column, how, operand) => Cond::all().add(one(*column, *how, operand)),
        }
    }
}

/// A comparison of a column. Of which a part may be asked, a column has lower case alone. What has no value is not the same as anything, and has no part.
pub(in crate::store) fn compare<C: ColumnTrait>(column: C, how: Comparison, operand: &Operand) -> SimpleExpr {
    let Some(value) = operand.value() else {
        return if how == Comparison::Equal { column.is_null() } else { column.is_not_null() };
    };
    let part = || if let Operand::Text(text) = operand { text.to_lowercase() } else { String::new() };
    match how {
        Comparison::Equal => column.eq(value),
        Comparison::NotEqual => column.ne(value).or(column.is_null()),
        Comparison::Less => column.lt(value),
        Comparison::AtMost => column.lte(value),
        Comparison::Greater => column.gt(value),
        Comparison::AtLeast => column.gte(value),
        Comparison::Has => holds(column, &part()),
        Comparison::HasNot => holds(column, &part()).not().or(column.is_null()),
    }
}

/// A comparison written out. What has no value is not the same as anything; what is not several has itself alone.
fn compared(column: &str, how: Comparison, operand: &Operand, values: &mut Vec<Value>) -> String {
    let Some(value) = operand.value() else {
        return if how == Comparison::Equal { format!("{column} IS NULL") } else { format!("{column} IS NOT NULL") };
    };
    values.push(value);
    let value = format!("${}", values.len());
    match how {
        Comparison::Equal | Comparison::Has => format!("{column} = {value}"),
        Comparison::NotEqual | Comparison::HasNot => format!("({column} <> {value} OR {column} IS NULL)"),
        Comparison::Less => format!("{column} < {value}"),
        Comparison::AtMost => format!("{column} <= {value}"),
        Comparison::Greater => format!("{column} > {value}"),
        Comparison::AtLeast => format!("{column} >= {value}"),
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

/// Whether a column holds a text as it stands: nothing in the text is a wild card.
pub(in crate::store) fn holds<C: ColumnTrait>(column: C, text: &str) -> SimpleExpr {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    Expr::col(column.as_column_ref()).like(LikeExpr::new(format!("%{escaped}%")).escape('\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_to_each_other_as_in_a_query() {
        let (text, number) = (|it: &str| Operand::Text(it.to_owned()), Operand::Number);
        let rows = [
            (text("Oak"), Comparison::Equal, text("Oak"), true),
            (text("Oak"), Comparison::Equal, text("oak"), false),
            (text("Oakhill"), Comparison::Has, text("KH"), true),
            (text("Oakhill"), Comparison::HasNot, text("%"), true),
            (number(2), Comparison::Less, number(3), true),
            (number(3), Comparison::AtMost, number(3), true),
            (number(3), Comparison::Greater, number(3), false),
            (number(3), Comparison::AtLeast, number(3), true),
            (Operand::Nothing, Comparison::Equal, Operand::Nothing, true),
            (Operand::Nothing, Comparison::NotEqual, number(3), true),
            (Operand::Nothing, Comparison::Less, number(3), false),
            (number(3), Comparison::NotEqual, Operand::Nothing, true),
        ];
        for (one, how, other, wanted) in rows {
            assert_eq!(one.stands(how, &other), wanted, "{one:?} {how:?} {other:?}");
        }
    }

    #[test]
    fn a_condition_is_written_with_its_values_bound() {
        let is = |how, operand| Condition::Is('x', how, operand);
        let text = |it: &str| Operand::Text(it.to_owned());
        let rows = [
            (is(Comparison::Equal, text("' OR 1=1")), "x = $2", vec!["' OR 1=1"]),
            (is(Comparison::NotEqual, text("a")), "(x <> $2 OR x IS NULL)", vec!["a"]),
            (is(Comparison::Equal, Operand::Nothing), "x IS NULL", vec![]),
            (is(Comparison::NotEqual, Operand::Nothing), "x IS NOT NULL", vec![]),
            (is(Comparison::Has, text("a")), "x = $2", vec!["a"]),
            (is(Comparison::HasNot, text("a")), "(x <> $2 OR x IS NULL)", vec!["a"]),
            (Condition::All(vec![]), "1 = 1", vec![]),
            (Condition::All(vec![]).negated(), "1 = 0", vec![]),
            (
                Condition::All(vec![
                    Condition::Any(vec![is(Comparison::Less, text("a")), is(Comparison::AtLeast, text("b"))]),
                    is(Comparison::Equal, text("c")),
                ]),
                "((x < $2 OR x >= $3) AND x = $4)",
                vec!["a", "b", "c"],
            ),
        ];
        for (condition, wanted, bound) in rows {
            let mut values: Vec<Value> = vec![1_i64.into()];
            assert_eq!(condition.written(&|_| "x", &mut values), wanted);
            assert_eq!(values[1..], bound.into_iter().map(Value::from).collect::<Vec<_>>(), "{wanted}");
        }
    }
}
