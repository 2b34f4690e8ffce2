//! Parses the values of filters, one function per kind. An error describes the expected value.

use crate::app::Operand;
use crate::domain;
use crate::domain::ids::Actor;
use crate::domain::region::Region;

/// A parsed value, or a description of the expected one.
pub(in crate::grpc) type Value = Result<Operand, String>;

/// Parses one of the names of an enum, in upper or lower case. The text may begin with the prefix that the contract puts
/// before the names of the enum.
pub(in crate::grpc) fn choice(text: &str, prefix: &str, names: impl Iterator<Item = &'static str>) -> Value {
    let names: Vec<&str> = names.collect();
    let short = text.strip_prefix(prefix).unwrap_or(text);
    let name = names.iter().find(|it| it.eq_ignore_ascii_case(short));
    let expected =
        || format!("one of {}", names.iter().map(|it| it.to_ascii_uppercase()).collect::<Vec<_>>().join(", "));
    name.map(|it| Operand::Text((*it).to_owned())).ok_or_else(expected)
}

/// Parses one of the values that a text field may have, in exactly this spelling.
pub(in crate::grpc) fn name(text: &str, names: &[&'static str]) -> Value {
    let name = names.iter().find(|it| **it == text);
    name.map(|it| Operand::Text((*it).to_owned())).ok_or_else(|| format!("one of {}", names.join(", ")))
}

pub(in crate::grpc) fn region(text: &str) -> Value {
    let region: Region = text.parse().map_err(|_| "the name of an RSC region".to_owned())?;
    Ok(Operand::Text(region.name().to_owned()))
}

/// Parses a region, or `""` for none.
pub(in crate::grpc) fn optional_region(text: &str) -> Value {
    if text.is_empty() {
        Ok(Operand::Nothing)
    } else {
        region(text).map_err(|expected| format!("{expected}, or \"\" for none"))
    }
}

/// Parses `true` or `false`.
pub(in crate::grpc) fn boolean(text: &str) -> Value {
    name(text, &["true", "false"])
}

pub(in crate::grpc) fn actor(text: &str) -> Value {
    let actor: Actor = text.parse().map_err(|_| "the id of an actor".to_owned())?;
    Ok(Operand::Text(actor.to_string()))
}

/// Parses the id of an actor, or `""` for none.
pub(in crate::grpc) fn optional_actor(text: &str) -> Value {
    if text.is_empty() {
        Ok(Operand::Nothing)
    } else {
        actor(text).map_err(|expected| format!("{expected}, or \"\" for nobody"))
    }
}

/// Parses a UUID.
pub(in crate::grpc) fn id(text: &str) -> Value {
    text.parse().map(Operand::Id).map_err(|_| "an id".to_owned())
}

/// Parses a UUID, or `""` for none.
pub(in crate::grpc) fn optional_id(text: &str) -> Value {
    if text.is_empty() {
        Ok(Operand::Nothing)
    } else {
        id(text).map_err(|expected| format!("{expected}, or \"\" for none"))
    }
}

pub(in crate::grpc) fn text(text: &str) -> Value {
    Ok(Operand::Text(text.to_owned()))
}

pub(in crate::grpc) fn number(text: &str) -> Value {
    text.parse().map(Operand::Number).map_err(|_| "a number".to_owned())
}

/// Parses a number, where 0 means none.
pub(in crate::grpc) fn optional_number(text: &str) -> Value {
    number(text).map(|it| if it == Operand::Number(0) { Operand::Nothing } else { it })
}

pub(in crate::grpc) fn instant(text: &str) -> Value {
    let instant = chrono::DateTime::parse_from_rfc3339(text);
    let expected = |_| "an instant such as 2022-03-01T09:00:00Z (RFC 3339)".to_owned();
    instant.map(|it| Operand::Number(it.timestamp_micros())).map_err(expected)
}

pub(in crate::grpc) fn day(text: &str) -> Value {
    domain::day(text).map(Operand::Day).ok_or_else(|| "a day such as 2022-03-01".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Date;

    /// The function, the text, and the expected result.
    type Row = (fn(&str) -> Value, &'static str, Result<Operand, &'static str>);

    #[test]
    fn values_are_parsed_or_refused_with_a_description() {
        let date = Date::from_ymd_opt(2022, 2, 28).unwrap();
        let rows: [Row; 24] = [
            (day, "2022-02-28", Ok(Operand::Day(date))),
            (day, "2022-02-30", Err("a day such as 2022-03-01")),
            (day, "2022-2-28", Err("a day such as 2022-03-01")),
            (day, "+10000-01-01", Err("a day such as 2022-03-01")),
            (day, "-0001-01-01", Err("a day such as 2022-03-01")),
            (day, "-200000-01-01", Err("a day such as 2022-03-01")),
            (instant, "1970-01-01T01:00:00+01:00", Ok(Operand::Number(0))),
            (instant, "1970-01-01T00:00:00.000001Z", Ok(Operand::Number(1))),
            (instant, "1970-01-01", Err("an instant such as 2022-03-01T09:00:00Z (RFC 3339)")),
            (number, "-9223372036854775808", Ok(Operand::Number(i64::MIN))),
            (number, "9223372036854775808", Err("a number")),
            (optional_number, "0", Ok(Operand::Nothing)),
            (id, "", Err("an id")),
            (optional_id, "", Ok(Operand::Nothing)),
            (optional_id, "0190a4c1", Err("an id, or \"\" for none")),
            (optional_actor, "", Ok(Operand::Nothing)),
            (optional_actor, "two words", Err("the id of an actor, or \"\" for nobody")),
            (actor, "", Err("the id of an actor")),
            (region, "west midlands", Ok(Operand::Text("West Midlands".to_owned()))),
            (region, "Wales", Err("the name of an RSC region")),
            (optional_region, "", Ok(Operand::Nothing)),
            (optional_region, "Wales", Err("the name of an RSC region, or \"\" for none")),
            (boolean, "true", Ok(Operand::Text("true".to_owned()))),
            (boolean, "yes", Err("one of true, false")),
        ];
        for (read, text, expected) in rows {
            assert_eq!(read(text), expected.map_err(ToOwned::to_owned), "{text:?}");
        }
    }
}
