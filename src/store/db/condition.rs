//! Conditions on rows that a caller puts together: comparisons, all of or any of them. Values are bound, never written out.

use std::cmp::Ordering;

use sea_orm::sea_query::{Cond, ExprTrait as _, SimpleExpr};
use sea_orm::{ColumnTrait, Value};
use uuid::Uuid;

use crate::domain::Date;
use crate::store::register::search::holds;

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
    pub fn stands(&self, how: How, other: &Self) -> bool {
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
            How::Equal => order.is_some_and(Ordering::is_eq),
            How::NotEqual => !order.is_some_and(Ordering::is_eq),
            How::Less => order.is_some_and(Ordering::is_lt),
            How::AtMost => order.is_some_and(Ordering::is_le),
            How::Greater => order.is_some_and(Ordering::is_gt),
            How::AtLeast => order.is_some_and(Ordering::is_ge),
            How::Has => has(),
            How::HasNot => !has(),
        }
    }
}

impl<C: Copy> Condition<C> {
    /// Whether it holds, each comparison answered by `one`.
    pub fn holds(&self, one: &impl Fn(C, How, &Operand) -> bool) -> bool {
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
    pub(in crate::store) fn cond(&self, one: &impl Fn(C, How, &Operand) -> SimpleExpr) -> Cond {
        match self {
            Self::All(of) => of.iter().fold(Cond::all(), |all, it| all.add(it.cond(one))),
            Self::Any(of) => of.iter().fold(Cond::any(), |any, it| any.add(it.cond(one))),
            Self::Is(column, how, operand) => Cond::all().add(one(*column, *how, operand)),
        }
    }
}

/// A comparison of a column. Of which a part may be asked, a column has lower case alone. What has no value is not the same as anything, and has no part.
pub(in crate::store) fn compare<C: ColumnTrait>(column: C, how: How, operand: &Operand) -> SimpleExpr {
    let Some(value) = operand.value() else {
        return if how == How::Equal { column.is_null() } else { column.is_not_null() };
    };
    let part = || if let Operand::Text(text) = operand { text.to_lowercase() } else { String::new() };
    match how {
        How::Equal => column.eq(value),
        How::NotEqual => column.ne(value).or(column.is_null()),
        How::Less => column.lt(value),
        How::AtMost => column.lte(value),
        How::Greater => column.gt(value),
        How::AtLeast => column.gte(value),
        How::Has => holds(column, &part()),
        How::HasNot => holds(column, &part()).not().or(column.is_null()),
    }
}

/// A comparison written out. What has no value is not the same as anything; what is not several has itself alone.
fn compared(column: &str, how: How, operand: &Operand, values: &mut Vec<Value>) -> String {
    let Some(value) = operand.value() else {
        return if how == How::Equal { format!("{column} IS NULL") } else { format!("{column} IS NOT NULL") };
    };
    values.push(value);
    let value = format!("${}", values.len());
    match how {
        How::Equal | How::Has => format!("{column} = {value}"),
        How::NotEqual | How::HasNot => format!("({column} <> {value} OR {column} IS NULL)"),
        How::Less => format!("{column} < {value}"),
        How::AtMost => format!("{column} <= {value}"),
        How::Greater => format!("{column} > {value}"),
        How::AtLeast => format!("{column} >= {value}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_to_each_other_as_in_a_query() {
        let (text, number) = (|it: &str| Operand::Text(it.to_owned()), Operand::Number);
        let rows = [
            (text("Oak"), How::Equal, text("Oak"), true),
            (text("Oak"), How::Equal, text("oak"), false),
            (text("Oakhill"), How::Has, text("KH"), true),
            (text("Oakhill"), How::HasNot, text("%"), true),
            (number(2), How::Less, number(3), true),
            (number(3), How::AtMost, number(3), true),
            (number(3), How::Greater, number(3), false),
            (number(3), How::AtLeast, number(3), true),
            (Operand::Nothing, How::Equal, Operand::Nothing, true),
            (Operand::Nothing, How::NotEqual, number(3), true),
            (Operand::Nothing, How::Less, number(3), false),
            (number(3), How::NotEqual, Operand::Nothing, true),
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
            (is(How::Equal, text("' OR 1=1")), "x = $2", vec!["' OR 1=1"]),
            (is(How::NotEqual, text("a")), "(x <> $2 OR x IS NULL)", vec!["a"]),
            (is(How::Equal, Operand::Nothing), "x IS NULL", vec![]),
            (is(How::NotEqual, Operand::Nothing), "x IS NOT NULL", vec![]),
            (is(How::Has, text("a")), "x = $2", vec!["a"]),
            (is(How::HasNot, text("a")), "(x <> $2 OR x IS NULL)", vec!["a"]),
            (Condition::All(vec![]), "1 = 1", vec![]),
            (Condition::All(vec![]).negated(), "1 = 0", vec![]),
            (
                Condition::All(vec![
                    Condition::Any(vec![is(How::Less, text("a")), is(How::AtLeast, text("b"))]),
                    is(How::Equal, text("c")),
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
