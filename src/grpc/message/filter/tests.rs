//! Tests how filters and orders are parsed, and that each mistake is reported with its position.

use proptest::prelude::*;
use prost::Message as _;

use super::*;

const COLUMNS: &[FilterColumn<char>] = &[
    FilterColumn { name: "state", column: 's', comparisons: SAME, read: |text| Ok(Operand::Text(text.to_owned())) },
    FilterColumn { name: "name", column: 'n', comparisons: PART, read: |text| Ok(Operand::Text(text.to_owned())) },
    FilterColumn {
        name: "made",
        column: 'm',
        comparisons: ORDERED,
        read: |text| text.parse().map(Operand::Number).map_err(|_| "a number".to_owned()),
    },
];

/// Asserts that every column is a field of the message, or of a message inside it.
pub(in crate::grpc) fn assert_are_fields_of<C>(message: &str, columns: &[FilterColumn<C>]) {
    let set = prost_types::FileDescriptorSet::decode(crate::proto::FILE_DESCRIPTOR_SET).unwrap();
    let messages: Vec<_> = set.file.iter().flat_map(|file| &file.message_type).collect();
    for column in columns {
        let mut message = message.to_owned();
        for name in column.name.split('.') {
            let descriptor = messages.iter().find(|it| it.name() == message).unwrap();
            let field = descriptor.field.iter().find(|it| it.name() == name);
            let field = field.unwrap_or_else(|| panic!("{name} of {}", column.name));
            message = field.type_name().trim_start_matches(".tsio.v1.").to_owned();
        }
    }
}

/// Displays a parsed condition, with brackets around everything.
fn display_condition(it: &Condition<char>) -> String {
    let join = |parts: &[Condition<char>], separator: &str| {
        format!("({})", parts.iter().map(display_condition).collect::<Vec<_>>().join(separator))
    };
    match it {
        Condition::All(parts) => join(parts, " & "),
        Condition::Any(parts) => join(parts, " | "),
        Condition::Is(column, comparison, Operand::Text(text)) => {
            format!("{column}{}{text}", operator_text(*comparison))
        }
        Condition::Is(column, comparison, operand) => format!("{column}{}{operand:?}", operator_text(*comparison)),
    }
}

/// Parses a filter, and returns its condition as text, or the mistakes.
fn parse_filter(text: &str) -> Result<String, Vec<String>> {
    let mut fields = Fields::default();
    let read = read(&mut fields, COLUMNS, text);
    match fields.done(Some(())) {
        Ok(()) => Ok(read.as_ref().map(display_condition).unwrap_or_default()),
        Err(crate::app::AppError::Invalid(all)) => Err(all.into_iter().map(|it| it.description).collect()),
        Err(other) => unreachable!("{other:?}"),
    }
}

#[test]
fn a_filter_is_parsed_as_in_aip_160() {
    let rows = [
        ("", ""),
        ("state = OPEN", "s=OPEN"),
        ("state=OPEN", "s=OPEN"),
        ("state = \"a \\\"b\\\" c\"", "s=a \"b\" c"),
        ("state = 'it is'", "s=it is"),
        ("name : part", "n:part"),
        ("made >= 3", "m>=Number(3)"),
        ("made >= -3", "m>=Number(-3)"),
        ("state = a state = b", "(s=a & s=b)"),
        ("state = a AND state = b", "(s=a & s=b)"),
        // OR binds tighter than AND.
        ("state = a AND state = b OR state = c", "(s=a & (s=b | s=c))"),
        ("(state = a AND state = b) OR state = c", "((s=a & s=b) | s=c)"),
        ("NOT state = a", "s!=a"),
        ("-state = a", "s!=a"),
        ("NOT (state = a OR made < 3)", "(s!=a & m>=Number(3))"),
        ("NOT NOT state = a", "s=a"),
        ("NOT name : a", "nNOT :a"),
        ("state = school-officer.7@example", "s=school-officer.7@example"),
        ("state = 2022-03-01T10:00:00+01:00", "s=2022-03-01T10:00:00+01:00"),
    ];
    for (text, expected) in rows {
        assert_eq!(parse_filter(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn every_mistake_is_reported_with_its_position() {
    let rows: [(&str, &[&str]); 20] = [
        ("colour = red", &["at character 1: \"colour\" is none of state, name, made"]),
        ("state < a", &["at character 7: state is compared by = !=, not by <"]),
        ("made = x", &["at character 8: \"x\" is not a number"]),
        (
            "colour = red AND made = x AND state : a",
            &["at character 1: \"colour\"", "at character 25: \"x\"", "at character 37: state is"],
        ),
        ("state", &["at character 6: expected one of ="]),
        ("state =", &["at character 8: expected a value"]),
        ("(state = a", &["at character 11: a bracket is not closed"]),
        ("state = a)", &["at character 10: a bracket closes"]),
        ("state = \"a", &["at character 9: this text has no end"]),
        ("state = a AND ", &["at character 14: expected a comparison after AND"]),
        ("state = a; DROP TABLE offers", &["at character 10: this character means nothing here"]),
        ("= a", &["at character 1: expected a comparison"]),
        ("made = -\"5\"", &["at character 8: expected a value"]),
        ("made > -", &["at character 8: expected a value"]),
        ("state = AND", &["at character 9: expected a value"]),
        ("name : OR open", &["at character 8: expected a value"]),
        ("state = NOT name = x", &["at character 9: expected a value"]),
        ("state ; x", &["at character 7: this character means nothing here"]),
        ("state a", &["at character 7: expected one of = != < <= > >= : after \"state\""]),
        ("made = x AND (state = a", &["at character 8: \"x\"", "at character 24: a bracket is not closed"]),
    ];
    for (text, expected) in rows {
        let mistakes = parse_filter(text).unwrap_err();
        assert_eq!(mistakes.len(), expected.len(), "{text}: {mistakes:?}");
        for (mistake, expected) in mistakes.iter().zip(expected) {
            assert!(mistake.starts_with(expected), "{text}: {mistake}");
        }
    }
    let deep = format!("{}state = a{}", "(".repeat(20), ")".repeat(20));
    assert!(parse_filter(&deep).unwrap_err()[0].contains("more than 16 brackets"));
    let long = vec!["state = a"; 65].join(" AND ");
    assert!(parse_filter(&long).unwrap_err()[0].contains("more than 64 comparisons"));
    assert_eq!(parse_filter(&"x".repeat(2_001)).unwrap_err(), ["is longer than 2000 characters"]);
}

#[test]
fn a_word_may_occur_alone_if_the_list_has_words() {
    let allowed = ["open".to_owned(), "E1_RI".to_owned(), "E1 of old".to_owned()];
    let words = Words { column: 'w', allowed: Some(&allowed) };
    let parse = |text: &str| {
        let mut fields = Fields::default();
        let read = read_with_words(&mut fields, COLUMNS, Some(&words), text);
        fields.done(read).map(|it| display_condition(&it)).map_err(|error| match error {
            crate::app::AppError::Invalid(all) => all.into_iter().map(|it| it.description).collect::<Vec<_>>(),
            other => unreachable!("{other:?}"),
        })
    };
    let rows = [
        ("open", Ok("w=open")),
        (" open ", Ok("w=open")),
        ("open AND NOT E1_RI", Ok("(w=open & w!=E1_RI)")),
        ("(open OR E1_RI) state = a", Ok("((w=open | w=E1_RI) & s=a)")),
        ("open state = a OR E1_RI", Ok("(w=open & (s=a | w=E1_RI))")),
        ("shut OR open", Err("at character 1: \"shut\" is none of: open, E1_RI, E1 of old")),
        ("\"E1 of old\" OR 'open'", Ok("(w=E1 of old | w=open)")),
        ("open AND state", Err("at character 15: expected one of = != < <= > >= : after \"state\"")),
        ("state \"a\"", Err("at character 7: expected one of = != < <= > >= : after \"state\"")),
        ("open; x", Err("at character 5: this character means nothing here")),
    ];
    for (text, expected) in rows {
        match expected {
            Ok(expected) => assert_eq!(parse(text).as_deref(), Ok(expected), "{text}"),
            Err(expected) => assert_eq!(parse(text).unwrap_err(), [expected], "{text}"),
        }
    }
}

#[test]
fn an_order_is_one_of_the_orders_of_the_list() {
    let orders = [("made", 1), ("made desc", 2), ("name", 3)];
    let rows = [
        ("", Some(1)),
        ("made", Some(1)),
        (" made  desc ", Some(2)),
        ("name asc", Some(3)),
        ("name desc", None),
        ("made desc asc", None),
        ("Made", None),
        ("made, name", None),
    ];
    for (text, expected) in rows {
        let mut fields = Fields::default();
        assert_eq!(order(&mut fields, &orders, text), expected, "{text:?}");
        assert_eq!(fields.done(Some(())).is_ok(), expected.is_some(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "(\\PC|[()=<>!:\"'\\\\ -]|AND|OR|NOT|state|made|name|open){0,60}") {
        let _ = parse_filter(&text);
        let allowed = ["open".to_owned()];
        let mut fields = Fields::default();
        let _ = read_with_words(&mut fields, COLUMNS, Some(&Words { column: 'w', allowed: Some(&allowed) }), &text);
        let _ = order(&mut fields, &[("made", 1)], &text);
    }
}
