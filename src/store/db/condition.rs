//! Turns conditions from a caller's filter into SQL. A condition is a comparison, or several conditions joined by *all of* or
//! *any of*. Values are always bound, never part of the SQL text.

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
    /// The column has the same value.
    Equal,
    /// Not the same.
    NotEqual,
    /// Less.
    Less,
    /// Less or the same.
    AtMost,
    /// More.
    Greater,
    /// More or the same.
    AtLeast,
    /// Contains the value, as a part of a text or as one of several values.
    Has,
    /// Does not contain the value.
    HasNot,
}

/// The meaning of a comparison, both for two values in memory and for a column in SQL.
#[derive(Debug, Clone, Copy)]
struct Meaning {
    /// The operator in SQL.
    operator: &'static str,
    /// Whether the comparison holds for two values with an ordering.
    test: fn(Ordering) -> bool,
    /// Whether the comparison is negative. Only negative comparisons hold for a column without a value and for values of different
    /// kinds.
    is_negative: bool,
    /// The comparison that holds if and only if this one does not.
    opposite: Comparison,
}

impl Comparison {
    /// The meanings of all comparisons. [`Comparison::Has`] means equality for a column with one value; for texts,
    /// [`Operand::compares`] and [`compare`] search for a part.
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

    /// The comparison that holds if and only if this one does not.
    #[must_use]
    pub const fn opposite(self) -> Self {
        self.meaning().opposite
    }

    /// Whether the comparison searches for a part of a text.
    const fn searches_part(self) -> bool {
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

    /// Whether a comparison of this value with another one holds, in memory. Values of different kinds are unequal, and neither of
    /// them is greater.
    #[must_use]
    pub fn compares(&self, how: Comparison, other: &Self) -> bool {
        let meaning = how.meaning();
        if how.searches_part() {
            let has = match (self, other) {
                (Self::Text(text), Self::Text(part)) => text.to_lowercase().contains(&part.to_lowercase()),
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
    /// Whether the condition holds. `evaluate` evaluates a single comparison.
    pub fn holds(&self, evaluate: &impl Fn(C, Comparison, &Operand) -> bool) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|it| it.holds(evaluate)),
            Self::Any(conditions) => conditions.iter().any(|it| it.holds(evaluate)),
            Self::Is(column, how, operand) => evaluate(*column, *how, operand),
        }
    }

    /// Whether any comparison in the condition satisfies `is_match`.
    pub fn asks(&self, is_match: &impl Fn(C, &Operand) -> bool) -> bool {
        match self {
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().any(|it| it.asks(is_match)),
            Self::Is(column, _, operand) => is_match(*column, operand),
        }
    }

    /// The condition as SQL text. Its values are added to `values` and appear as `$n`.
    pub(in crate::store) fn to_sql(&self, column: &impl Fn(C) -> &'static str, values: &mut Vec<Value>) -> String {
        let mut join = |conditions: &[Self], operator: &str, if_empty: &str| {
            let parts: Vec<String> = conditions.iter().map(|it| it.to_sql(column, values)).collect();
            if parts.is_empty() { if_empty.to_owned() } else { format!("({})", parts.join(operator)) }
        };
        match self {
            Self::All(conditions) => join(conditions, " AND ", "1 = 1"),
            Self::Any(conditions) => join(conditions, " OR ", "1 = 0"),
            Self::Is(name, how, operand) => comparison_sql(column(*name), *how, operand, values),
        }
    }

    /// The condition for the query builder. `build` builds a single comparison.
    pub(in crate::store) fn to_condition(&self, build: &impl Fn(C, Comparison, &Operand) -> SimpleExpr) -> Cond {
        match self {
            Self::All(conditions) => conditions.iter().fold(Cond::all(), |all, it| all.add(it.to_condition(build))),
            Self::Any(conditions) => conditions.iter().fold(Cond::any(), |any, it| any.add(it.to_condition(build))),
            Self::Is(column, how, operand) => Cond::all().add(build(*column, *how, operand)),
        }
    }
}

/// A comparison of a column for the query builder. [`Comparison::Has`] and [`Comparison::HasNot`] search a text column for a part;
/// such a column must have only lower-case text. A column without a value equals no value and contains no text.
pub(in crate::store) fn compare<C: ColumnTrait>(column: C, how: Comparison, operand: &Operand) -> SimpleExpr {
    let Some(value) = operand.value() else {
        return if how == Comparison::Equal { column.is_null() } else { column.is_not_null() };
    };
    let meaning = how.meaning();
    let compared = if how.searches_part() {
        let part = if let Operand::Text(text) = operand { text.to_lowercase() } else { String::new() };
        let has = contains_text(column, &part);
        if meaning.is_negative { has.not() } else { has }
    } else {
        Expr::col(column.as_column_ref()).binary(BinOper::Custom(meaning.operator), value)
    };
    if meaning.is_negative { compared.or(column.is_null()) } else { compared }
}

/// A comparison as SQL text. A column without a value equals no value. Here [`Comparison::Has`] means equality.
fn comparison_sql(column: &str, how: Comparison, operand: &Operand, values: &mut Vec<Value>) -> String {
    let Some(value) = operand.value() else {
        return if how == Comparison::Equal { format!("{column} IS NULL") } else { format!("{column} IS NOT NULL") };
    };
    values.push(value);
    let (Meaning { operator, is_negative, .. }, number) = (how.meaning(), values.len());
    let compared = format!("{column} {operator} ${number}");
    if is_negative { format!("({compared} OR {column} IS NULL)") } else { compared }
}

impl<C> Condition<C> {
    /// The condition that holds if and only if this one does not.
    #[must_use]
    pub fn negated(self) -> Self {
        let negate_each = |conditions: Vec<Self>| conditions.into_iter().map(Self::negated).collect();
        match self {
            Self::All(conditions) => Self::Any(negate_each(conditions)),
            Self::Any(conditions) => Self::All(negate_each(conditions)),
            Self::Is(column, how, operand) => Self::Is(column, how.opposite(), operand),
        }
    }
}

/// The condition that a column contains a text literally, without wildcards.
pub(in crate::store) fn contains_text<C: ColumnTrait>(column: C, text: &str) -> SimpleExpr {
    Expr::col(column.as_column_ref()).like(LikeExpr::new(format!("%{}%", escaped(text))).escape('\\'))
}

/// The condition that a column begins with a text literally, without wildcards.
pub(in crate::store) fn begins_with_text<C: ColumnTrait>(column: C, text: &str) -> SimpleExpr {
    Expr::col(column.as_column_ref()).like(LikeExpr::new(format!("{}%", escaped(text))).escape('\\'))
}

/// Escapes the wildcards of LIKE.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_compare_in_memory_as_in_a_query() {
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
        for (one, how, other, expected) in rows {
            assert_eq!(one.compares(how, &other), expected, "{one:?} {how:?} {other:?}");
        }
    }

    /// A comparison for the query builder means the same as the SQL text of [`comparison_sql`], except for parts of texts.
    #[test]
    fn the_query_builder_gets_each_comparison() {
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
            let query = approval::Entity::find().filter(compare(approval::Column::Action, how, &operand));
            let sql = query.build(DbBackend::Sqlite).to_string();
            let (_, condition) = sql.split_once(" WHERE ").unwrap();
            assert_eq!(condition.replace("\"approvals\".\"action\"", "c"), expected, "{how:?} {operand:?}");
        }
    }

    #[test]
    fn either_a_comparison_or_its_opposite_holds() {
        use Comparison::{AtLeast, AtMost, Equal, Greater, Has, HasNot, Less, NotEqual};

        let text = |it: &str| Operand::Text(it.to_owned());
        let pairs = [(text("Oak"), text("oak")), (Operand::Number(2), Operand::Number(3)), (text("a"), text("a"))];
        for how in [Equal, NotEqual, Less, AtMost, Greater, AtLeast, Has, HasNot] {
            assert_eq!(how.opposite().opposite(), how);
            for (one, other) in &pairs {
                assert_ne!(one.compares(how, other), one.compares(how.opposite(), other), "{one:?} {how:?} {other:?}");
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
        for (condition, expected_sql, expected_values) in rows {
            let mut values: Vec<Value> = vec![1_i64.into()];
            assert_eq!(condition.to_sql(&|_| "x", &mut values), expected_sql);
            assert_eq!(values[1..], expected_values.into_iter().map(Value::from).collect::<Vec<_>>(), "{expected_sql}");
        }
    }
}
