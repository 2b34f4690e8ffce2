//! Conditions from a caller's filter: comparisons, joined by *all of* or *any of*. Values are always bound, never part of the SQL
//! text.

use std::cmp::Ordering;

use sea_orm::sea_query::{BinOper, Cond, Expr, ExprTrait as _, LikeExpr, SimpleExpr};
use sea_orm::{ColumnTrait, Value};
use uuid::Uuid;

use crate::domain::Date;

/// A condition over the columns `C` of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition<C> {
    /// All of these. An empty list is always true.
    All(Vec<Self>),
    /// At least one of these.
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
    /// Contains the value, as a part of a text or as one of several values.
    Has,
    /// Does not contain the value.
    HasNot,
}

/// The meaning of a comparison, for two values in memory and for a column in SQL.
#[derive(Debug, Clone, Copy)]
struct Meaning {
    /// Its operator in SQL.
    operator: &'static str,
    /// Whether it holds for two values with this ordering.
    test: fn(Ordering) -> bool,
    /// Whether it is negative. A negative comparison holds for a column without a value and for values of different kinds; no
    /// other comparison does.
    is_negative: bool,
    /// The comparison that holds if and only if this one does not.
    opposite: Comparison,
}

impl Comparison {
    /// The meanings of all comparisons. [`Comparison::Has`] means equality for a column with one value; for texts,
    /// [`Operand::stands`] and [`compare`] search for a part.
    const fn meaning(self) -> Meaning {
        let (operator, test, is_negative, opposite): (_, fn(Ordering) -> bool, _, _) = match self {
            Self::Equal => ("=", Ordering::is_eq, false, Self::NotEqual),
            Self::NotEqual => ("<>", Ordering::is_ne, true, Self::Equal),
            Self::Less => ("<", Ordering::is_lt, false, Self::AtLeast),
            Self::AtMost => ("<=", Ordering::is_le, false, Self::Greater),
            Self::Greater => (">", Ordering::is_gt, false, Self::AtMost),
            Self::AtLeast => (">=", Ordering::is_ge, false, Self::Less),
            Self::Has => ("=", Ordering::is_eq, false, Self::HasNot),
            Self::HasNot => ("<>", Ordering::is_ne, true, Self::Has),
        };
        Meaning { operator, test, is_negative, opposite }
    }

    /// The opposite, which holds if and only if this does not.
    #[must_use]
    pub const fn opposite(self) -> Self {
        self.meaning().opposite
    }

    /// Whether it searches for a part of a text.
    const fn is_of_part(self) -> bool {
        matches!(self, Self::Has | Self::HasNot)
    }
}

/// The value that a column is compared with.
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
    /// No value.
    Nothing,
}

impl Operand {
    /// The value to bind, if there is one.
    pub(in crate::store) fn value(&self) -> Option<Value> {
        match self {
            Self::Text(text) => Some(text.as_str().into()),
            Self::Number(number) => Some((*number).into()),
            Self::Day(day) => Some((*day).into()),
            Self::Id(id) => Some((*id).into()),
            Self::Nothing => None,
        }
    }

    /// Compares two values in memory. Values of different kinds are unequal, and neither is greater.
    #[must_use]
    pub fn stands(&self, how: Comparison, other: &Self) -> bool {
        let meaning = how.meaning();
        if how.is_of_part() {
            let has = match (self, other) {
                (Self::Text(one), Self::Text(part)) => one.to_lowercase().contains(&part.to_lowercase()),
                _ => false,
            };
            return has != meaning.is_negative;
        }
        let order = match (self, other) {
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Number(one), Self::Number(other)) => Some(one.cmp(other)),
            (Self::Day(one), Self::Day(other)) => Some(one.cmp(other)),
            (Self::Id(one), Self::Id(other)) => Some(one.cmp(other)),
            (Self::Nothing, Self::Nothing) => Some(Ordering::Equal),
            _ => None,
        };
        order.map_or(meaning.is_negative, meaning.test)
    }
}

impl<C: Copy> Condition<C> {
    /// Whether it holds; `one` evaluates a single comparison.
    pub fn holds(&self, one: &impl Fn(C, Comparison, &Operand) -> bool) -> bool {
        match self {
            Self::All(of) => of.iter().all(|it| it.holds(one)),
            Self::Any(of) => of.iter().any(|it| it.holds(one)),
            Self::Is(column, how, operand) => one(*column, *how, operand),
        }
    }

    /// Whether any of its comparisons satisfies `such`.
    pub fn asks(&self, such: &impl Fn(C, &Operand) -> bool) -> bool {
        match self {
            Self::All(of) | Self::Any(of) => of.iter().any(|it| it.asks(such)),
            Self::Is(column, _, operand) => such(*column, operand),
        }
    }

    /// The condition as SQL text. Its values are added to `values` and appear as `$n`.
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

    /// The condition for the query builder; `one` makes a single comparison.
    pub(in crate::store) fn cond(&self, one: &impl Fn(C, Comparison, &Operand) -> SimpleExpr) -> Cond {
        match self {
            Self::All(of) => of.iter().fold(Cond::all(), |all, it| all.add(it.cond(one))),
            Self::Any(of) => of.iter().fold(Cond::any(), |any, it| any.add(it.cond(one))),
            Self::Is(column, how, operand) => Cond::all().add(one(*column, *how, operand)),
        }
    }
}

/// A comparison of a column for the query builder. A column that is searched for a part has only lower-case text. A column
/// without a value equals nothing and contains nothing.
pub(in crate::store) fn compare<C: ColumnTrait>(column: C, how: Comparison, operand: &Operand) -> SimpleExpr {
    let Some(value) = operand.value() else {
        return if how == Comparison::Equal { column.is_null() } else { column.is_not_null() };
    };
    let meaning = how.meaning();
    let compared = if how.is_of_part() {
        let part = if let Operand::Text(text) = operand { text.to_lowercase() } else { String::new() };
        let has = holds(column, &part);
        if meaning.is_negative { has.not() } else { has }
    } else {
        Expr::col(column.as_column_ref()).binary(BinOper::Custom(meaning.operator), value)
    };
    if meaning.is_negative { compared.or(column.is_null()) } else { compared }
}

/// A comparison as SQL text. A column without a value equals nothing. A column with a single value contains only that value.
fn compared(column: &str, how: Comparison, operand: &Operand, values: &mut Vec<Value>) -> String {
    let Some(value) = operand.value() else {
        return if how == Comparison::Equal { format!("{column} IS NULL") } else { format!("{column} IS NOT NULL") };
    };
    values.push(value);
    let (Meaning { operator, is_negative, .. }, number) = (how.meaning(), values.len());
    let compared = format!("{column} {operator} ${number}");
    if is_negative { format!("({compared} OR {column} IS NULL)") } else { compared }
}

impl<C> Condition<C> {
    /// The opposite, which holds if and only if this does not.
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

/// The condition that a column contains a text literally, without wildcards.
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

    /// A condition for the query builder means the same as its SQL text, except for parts of texts.
    #[test]
    fn a_column_is_compared_in_a_query_as_values_are() {
        use sea_orm::{DbBackend, EntityTrait as _, QueryFilter as _, QueryTrait as _};

        use crate::store::db::entity::record::approval;

        let number = Operand::Number(7);
        let text = |it: &str| Operand::Text(it.to_owned());
        let rows = [
            (Comparison::Equal, number.clone(), "c = 7"),
            (Comparison::NotEqual, number.clone(), "(c <> 7) OR c IS NULL"),
            (Comparison::Less, number.clone(), "c < 7"),
            (Comparison::AtMost, number.clone(), "c <= 7"),
            (Comparison::Greater, number.clone(), "c > 7"),
            (Comparison::AtLeast, number, "c >= 7"),
            (Comparison::Equal, text("a"), "c = 'a'"),
            (Comparison::Has, text("A%"), "c LIKE '%a\\%%' ESCAPE '\\'"),
            (Comparison::HasNot, text("A"), "(NOT c LIKE '%a%' ESCAPE '\\') OR c IS NULL"),
            (Comparison::Equal, Operand::Nothing, "c IS NULL"),
            (Comparison::NotEqual, Operand::Nothing, "c IS NOT NULL"),
        ];
        for (how, operand, expected) in rows {
            let made = approval::Entity::find().filter(compare(approval::Column::Action, how, &operand));
            let made = made.build(DbBackend::Sqlite).to_string();
            let (_, condition) = made.split_once(" WHERE ").unwrap();
            assert_eq!(condition.replace("\"approvals\".\"action\"", "c"), expected, "{how:?} {operand:?}");
        }
    }

    #[test]
    fn of_a_comparison_and_its_opposite_one_holds() {
        use Comparison::{AtLeast, AtMost, Equal, Greater, Has, HasNot, Less, NotEqual};

        let text = |it: &str| Operand::Text(it.to_owned());
        let pairs = [(text("Oak"), text("oak")), (Operand::Number(2), Operand::Number(3)), (text("a"), text("a"))];
        for how in [Equal, NotEqual, Less, AtMost, Greater, AtLeast, Has, HasNot] {
            assert_eq!(how.opposite().opposite(), how);
            for (one, other) in &pairs {
                assert_ne!(one.stands(how, other), one.stands(how.opposite(), other), "{one:?} {how:?} {other:?}");
            }
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
