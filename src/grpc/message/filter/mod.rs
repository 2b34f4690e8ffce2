//! Parses the `filter` of a list into a condition on typed columns. It supports the part of AIP-160 that SQL can express.
//!
//! `state = IDENTIFIED AND (region = "West Midlands" OR region = "South-West England") AND NOT assignee = ""`. Comparisons are
//! `field operator value`; `AND` may be left out; `OR` binds tighter than `AND`, as in AIP-160; `NOT` or `-` negates the
//! following comparison or bracket. A value is a word, or a text in quotes, in which a backslash escapes the next character.
//! Each list has a table of [`FilterColumn`]s that may be compared. Every mistake is reported with its position, up to the
//! first that makes the rest unreadable.

#[cfg(test)]
pub(in crate::grpc) mod tests;
pub(in crate::grpc) mod values;

use super::fields::Fields;
use crate::app::{Comparison, Condition, Operand};

/// The longest filter, in characters.
const MAX_CHARACTERS: usize = 2_000;
/// The deepest nesting of brackets and NOTs.
const MAX_DEPTH: u32 = 16;
/// The most comparisons in a filter.
const MAX_COMPARISONS: usize = 64;

/// A column of a list that a filter may compare.
pub(in crate::grpc) struct FilterColumn<C> {
    /// The name in the filter: the field of the message.
    pub(in crate::grpc) name: &'static str,
    /// The column of the query.
    pub(in crate::grpc) column: C,
    /// The allowed comparisons.
    pub(in crate::grpc) comparisons: &'static [Comparison],
    /// Parses a value; the error describes the expected value.
    pub(in crate::grpc) read: fn(&str) -> values::Value,
}

/// Words that may occur alone in a filter, such as `eligible`.
pub(in crate::grpc) struct Words<'a, C> {
    /// The column that a word is compared with.
    pub(in crate::grpc) column: C,
    /// All allowed words; `None` if any word is allowed.
    pub(in crate::grpc) known: Option<&'a [String]>,
}

/// Comparisons of names and ids.
pub(in crate::grpc) const SAME: &[Comparison] = &[Comparison::Equal, Comparison::NotEqual];
/// Comparisons of texts, with search for a part.
pub(in crate::grpc) const PART: &[Comparison] = &[Comparison::Equal, Comparison::NotEqual, Comparison::Has];
/// The comparison of a field with several values.
pub(in crate::grpc) const HOLDS: &[Comparison] = &[Comparison::Has];
/// Comparisons of numbers and instants.
pub(in crate::grpc) const ORDERED: &[Comparison] = &[
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::AtMost,
    Comparison::Greater,
    Comparison::AtLeast,
];

/// Parses a filter; `None` for an empty one. Mistakes become violations of the field `filter`.
pub(in crate::grpc) fn read<C: Copy>(
    fields: &mut Fields,
    columns: &[FilterColumn<C>],
    text: &str,
) -> Option<Condition<C>> {
    read_with(fields, columns, None, text)
}

/// Parses a filter that may also have words alone.
pub(in crate::grpc) fn read_with<C: Copy>(
    fields: &mut Fields,
    columns: &[FilterColumn<C>],
    words: Option<&Words<'_, C>>,
    text: &str,
) -> Option<Condition<C>> {
    if text.trim().is_empty() {
        return None;
    }
    if text.chars().count() > MAX_CHARACTERS {
        fields.wrong("filter", format!("is longer than {MAX_CHARACTERS} characters"));
        return None;
    }
    let end = text.trim_end().chars().count().saturating_add(1);
    let mut parser =
        Parser { tokens: tokens(text), end, next: 0, columns, words, mistakes: Vec::new(), comparisons: 0 };
    let parsed = parser.whole();
    let Parser { mut mistakes, .. } = parser;
    let condition = parsed.map_err(|mistake| mistakes.push(mistake)).ok();
    let is_valid = mistakes.is_empty();
    for FilterMistake { at, what } in mistakes {
        fields.wrong("filter", format!("at character {at}: {what}"));
    }
    condition.filter(|_| is_valid)
}

/// Parses an `order_by` (AIP-132): one of `orders`, or the first of them if it is empty.
pub(in crate::grpc) fn order<T: Copy>(fields: &mut Fields, orders: &[(&str, T)], text: &str) -> Option<T> {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = words.strip_suffix(" asc").filter(|it| !it.contains(' ')).unwrap_or(&words);
    let order = orders.iter().find(|(name, _)| plain.is_empty() || *name == plain).map(|(_, order)| *order);
    if order.is_none() {
        let known: Vec<&str> = orders.iter().map(|(name, _)| *name).collect();
        fields.wrong("order_by", format!("is none of: {}", known.join(", ")));
    }
    order
}

/// A mistake, with its character position from 1.
struct FilterMistake {
    at: usize,
    what: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Compare(Comparison),
    Open,
    Close,
    Minus,
    Wrong(&'static str),
}

/// Splits a text into tokens, each with the position of its first character.
fn tokens(text: &str) -> Vec<(usize, Token)> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().enumerate().peekable();
    while let Some((at, char)) = chars.next() {
        let mut then = |expected: char| chars.next_if(|(_, it)| *it == expected).is_some();
        let token = match char {
            it if it.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '-' => Token::Minus,
            '=' => Token::Compare(Comparison::Equal),
            ':' => Token::Compare(Comparison::Has),
            '!' if then('=') => Token::Compare(Comparison::NotEqual),
            '<' if then('=') => Token::Compare(Comparison::AtMost),
            '<' => Token::Compare(Comparison::Less),
            '>' if then('=') => Token::Compare(Comparison::AtLeast),
            '>' => Token::Compare(Comparison::Greater),
            quote @ ('"' | '\'') => quoted(&mut chars, quote),
            first if is_word_character(first) => {
                let mut word = String::from(first);
                // A minus inside a word belongs to it: dates, ids of actors.
                while let Some((_, next)) = chars.next_if(|(_, it)| is_word_character(*it) || *it == '-') {
                    word.push(next);
                }
                // The colons of an instant belong to it too.
                while word.starts_with(|it: char| it.is_ascii_digit()) && word.contains('T') {
                    let Some((_, next)) = chars.next_if(|(_, it)| is_word_character(*it) || matches!(it, ':' | '-'))
                    else {
                        break;
                    };
                    word.push(next);
                }
                Token::Word(word)
            }
            _ => Token::Wrong("this character means nothing here"),
        };
        tokens.push((at.saturating_add(1), token));
    }
    tokens
}

fn is_word_character(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '.' | '@' | '+')
}

fn quoted(chars: &mut impl Iterator<Item = (usize, char)>, quote: char) -> Token {
    let mut text = String::new();
    loop {
        match chars.next() {
            Some((_, it)) if it == quote => return Token::Text(text),
            Some((_, '\\')) => text.extend(chars.next().map(|(_, it)| it)),
            Some((_, it)) => text.push(it),
            None => return Token::Wrong("this text has no end"),
        }
    }
}

struct Parser<'a, C> {
    tokens: Vec<(usize, Token)>,
    /// The character after the last token.
    end: usize,
    /// The index of the next token.
    next: usize,
    columns: &'a [FilterColumn<C>],
    words: Option<&'a Words<'a, C>>,
    /// Mistakes in comparisons that could be parsed.
    mistakes: Vec<FilterMistake>,
    comparisons: usize,
}

type ParseResult<C> = Result<Condition<C>, FilterMistake>;

impl<C: Copy> Parser<'_, C> {
    fn whole(&mut self) -> ParseResult<C> {
        let condition = self.all(0)?;
        if self.peek().is_some() { Err(self.mistake("a bracket closes that was not opened")) } else { Ok(condition) }
    }

    /// Parses a conjunction; `AND` between its parts may be omitted.
    fn all(&mut self, depth: u32) -> ParseResult<C> {
        let mut parts = vec![self.any(depth)?];
        while self.peek().is_some_and(|it| *it != Token::Close) {
            let has_and = self.keyword("AND");
            if has_and && self.peek().is_none() {
                return Err(self.mistake("expected a comparison after AND"));
            }
            parts.push(self.any(depth)?);
        }
        Ok(joined(parts, Condition::All))
    }

    /// Parses a disjunction.
    fn any(&mut self, depth: u32) -> ParseResult<C> {
        let mut parts = vec![self.term(depth)?];
        while self.keyword("OR") {
            parts.push(self.term(depth)?);
        }
        Ok(joined(parts, Condition::Any))
    }

    fn term(&mut self, depth: u32) -> ParseResult<C> {
        if depth > MAX_DEPTH {
            return Err(self.mistake(&format!("more than {MAX_DEPTH} brackets or NOTs within each other")));
        }
        if self.keyword("NOT") || self.next_if(&Token::Minus) {
            return Ok(self.term(depth.saturating_add(1))?.negated());
        }
        if self.next_if(&Token::Open) {
            let inner = self.all(depth.saturating_add(1))?;
            if !self.next_if(&Token::Close) {
                return Err(self.mistake("a bracket is not closed"));
            }
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> ParseResult<C> {
        self.comparisons = self.comparisons.saturating_add(1);
        if self.comparisons > MAX_COMPARISONS {
            return Err(self.mistake(&format!("more than {MAX_COMPARISONS} comparisons")));
        }
        let name_at = self.position();
        let (name, is_field) = match (self.next(), self.words) {
            (Some(Token::Word(name)), None) => (name, true),
            (Some(Token::Word(name)), Some(_)) => {
                let is_field = self.columns.iter().any(|it| it.name == name);
                (name, is_field || matches!(self.peek(), Some(Token::Compare(_) | Token::Wrong(_))))
            }
            (Some(Token::Text(name)), Some(_)) => (name, false),
            (Some(Token::Wrong(what)), _) => return Err(FilterMistake { at: name_at, what: what.to_owned() }),
            _ => {
                return Err(FilterMistake {
                    at: name_at,
                    what: "expected a comparison: field, operator, value".to_owned(),
                });
            }
        };
        if let Some(words) = self.words.filter(|_| !is_field) {
            return Ok(self.word(words, name_at, name));
        }
        let operator_at = self.position();
        let operator = match self.next() {
            Some(Token::Compare(operator)) => operator,
            Some(Token::Wrong(what)) => return Err(FilterMistake { at: operator_at, what: what.to_owned() }),
            _ => {
                let what = format!("expected one of = != < <= > >= : after {name:?}");
                return Err(FilterMistake { at: operator_at, what });
            }
        };
        let value_at = self.position();
        let value = match self.signed() {
            Some(Token::Text(value)) => value,
            Some(Token::Word(value)) if !matches!(value.as_str(), "AND" | "OR" | "NOT") => value,
            Some(Token::Wrong(what)) => return Err(FilterMistake { at: value_at, what: what.to_owned() }),
            _ => {
                return Err(FilterMistake {
                    at: value_at,
                    what: "expected a value: a word, or a text in quotes".to_owned(),
                });
            }
        };
        Ok(self.typed((name_at, &name), (operator_at, operator), (value_at, &value)))
    }

    /// Checks a word alone.
    fn word(&mut self, words: &Words<'_, C>, at: usize, word: String) -> Condition<C> {
        if let Some(known) = words.known.filter(|it| !it.contains(&word)) {
            let what = format!("{word:?} is none of: {}", known.join(", "));
            self.mistakes.push(FilterMistake { at, what });
        }
        Condition::Is(words.column, Comparison::Equal, Operand::Text(word))
    }

    /// Checks a parsed comparison against the columns. A mistake is recorded, and parsing continues.
    fn typed(
        &mut self,
        (name_at, name): (usize, &str),
        (operator_at, operator): (usize, Comparison),
        (value_at, value): (usize, &str),
    ) -> Condition<C> {
        let nothing = Condition::All(Vec::new());
        let Some(column) = self.columns.iter().find(|it| it.name == name) else {
            let known: Vec<&str> = self.columns.iter().map(|it| it.name).collect();
            let what = format!("{name:?} is none of {}", known.join(", "));
            self.mistakes.push(FilterMistake { at: name_at, what });
            return nothing;
        };
        if !column.comparisons.contains(&operator) {
            let allowed: Vec<&str> = column.comparisons.iter().map(|it| sign(*it)).collect();
            let what = format!("{name} is compared by {}, not by {}", allowed.join(" "), sign(operator));
            self.mistakes.push(FilterMistake { at: operator_at, what });
        }
        match (column.read)(value) {
            Ok(operand) => Condition::Is(column.column, operator, operand),
            Err(expected) => {
                self.mistakes.push(FilterMistake { at: value_at, what: format!("{value:?} is not {expected}") });
                nothing
            }
        }
    }

    /// Takes the next token. A minus may precede a word, and becomes part of it, but not a quoted text.
    fn signed(&mut self) -> Option<Token> {
        let minus = self.next_if(&Token::Minus);
        match self.next() {
            Some(Token::Word(word)) if minus => Some(Token::Word(format!("-{word}"))),
            Some(Token::Text(_)) if minus => None,
            other => other,
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).map(|(_, token)| token.clone());
        self.next = self.next.saturating_add(1);
        token
    }

    fn next_if(&mut self, expected: &Token) -> bool {
        let matches = self.peek() == Some(expected);
        self.next = self.next.saturating_add(usize::from(matches));
        matches
    }

    fn keyword(&mut self, word: &str) -> bool {
        self.next_if(&Token::Word(word.to_owned()))
    }

    /// The position of the next token, or the end of the text.
    fn position(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn mistake(&self, what: &str) -> FilterMistake {
        FilterMistake { at: self.position(), what: what.to_owned() }
    }
}

fn joined<C>(mut parts: Vec<Condition<C>>, join: fn(Vec<Condition<C>>) -> Condition<C>) -> Condition<C> {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

const fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::AtMost => "<=",
        Comparison::Greater => ">",
        Comparison::AtLeast => ">=",
        Comparison::Has => ":",
        Comparison::HasNot => "NOT :",
    }
}
