//! Parses the `filter` of a list into a condition on typed columns. It supports the part of AIP-160 that SQL can express.
//!
//! An example: `state = IDENTIFIED AND (region = "West Midlands" OR region = "South-West England") AND NOT assignee = ""`.
//! A comparison is `field operator value`; `AND` may be left out; `OR` binds tighter than `AND`, as in AIP-160; `NOT` or
//! `-` negates the following comparison or bracket. A value is a word, or a text in quotes, in which a backslash escapes
//! the next character. Each list has a table of [`FilterColumn`]s that may be compared. Every mistake is reported with its
//! position, up to the first mistake that makes the rest of the filter unreadable.

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
    /// The name of the column in a filter, which is the name of the field in the message.
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
    pub(in crate::grpc) allowed: Option<&'a [String]>,
}

/// The comparisons of names and ids.
pub(in crate::grpc) const SAME: &[Comparison] = &[Comparison::Equal, Comparison::NotEqual];
/// The comparisons of texts in which a part can be searched.
pub(in crate::grpc) const PART: &[Comparison] = &[Comparison::Equal, Comparison::NotEqual, Comparison::Has];
/// The comparison of a field with several values.
pub(in crate::grpc) const HOLDS: &[Comparison] = &[Comparison::Has];
/// The comparisons of numbers, days and instants.
pub(in crate::grpc) const ORDERED: &[Comparison] = &[
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::AtMost,
    Comparison::Greater,
    Comparison::AtLeast,
];

/// Parses a filter. Returns `None` if the filter is empty or has mistakes, which become violations of the field `filter`.
pub(in crate::grpc) fn read<C: Copy>(
    fields: &mut Fields,
    columns: &[FilterColumn<C>],
    text: &str,
) -> Option<Condition<C>> {
    read_with_words(fields, columns, None, text)
}

/// Parses a filter as [`read`] does. If `words` is given, these words may occur alone.
pub(in crate::grpc) fn read_with_words<C: Copy>(
    fields: &mut Fields,
    columns: &[FilterColumn<C>],
    words: Option<&Words<'_, C>>,
    text: &str,
) -> Option<Condition<C>> {
    if text.trim().is_empty() {
        return None;
    }
    if text.chars().count() > MAX_CHARACTERS {
        fields.add_violation("filter", format!("is longer than {MAX_CHARACTERS} characters"));
        return None;
    }
    let end = text.trim_end().chars().count().saturating_add(1);
    let mut parser =
        Parser { tokens: tokenize(text), end, next: 0, columns, words, mistakes: Vec::new(), comparisons: 0 };
    let parsed = parser.parse_filter();
    let Parser { mut mistakes, .. } = parser;
    let condition = parsed.map_err(|mistake| mistakes.push(mistake)).ok();
    let is_valid = mistakes.is_empty();
    for FilterMistake { at, what } in mistakes {
        fields.add_violation("filter", format!("at character {at}: {what}"));
    }
    condition.filter(|_| is_valid)
}

/// Parses an `order_by` (AIP-132), which is the name of one of `orders`. An empty text means the first order. Returns
/// `None` for another text, which becomes a violation.
pub(in crate::grpc) fn order<T: Copy>(fields: &mut Fields, orders: &[(&str, T)], text: &str) -> Option<T> {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let name = words.strip_suffix(" asc").filter(|it| !it.contains(' ')).unwrap_or(&words);
    let order = orders.iter().find(|(it, _)| name.is_empty() || *it == name).map(|(_, order)| *order);
    if order.is_none() {
        let names: Vec<&str> = orders.iter().map(|(name, _)| *name).collect();
        fields.add_violation("order_by", format!("is none of: {}", names.join(", ")));
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
    /// A word without quotes, also a keyword.
    Word(String),
    /// A text in quotes.
    Text(String),
    Compare(Comparison),
    Open,
    Close,
    Minus,
    /// A character or text that is not a token, with the mistake.
    Wrong(&'static str),
}

/// Splits a text into tokens, each with the position of its first character.
fn tokenize(text: &str) -> Vec<(usize, Token)> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().enumerate().peekable();
    while let Some((at, char)) = chars.next() {
        let mut next_is = |expected: char| chars.next_if(|(_, it)| *it == expected).is_some();
        let token = match char {
            it if it.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '-' => Token::Minus,
            '=' => Token::Compare(Comparison::Equal),
            ':' => Token::Compare(Comparison::Has),
            '!' if next_is('=') => Token::Compare(Comparison::NotEqual),
            '<' if next_is('=') => Token::Compare(Comparison::AtMost),
            '<' => Token::Compare(Comparison::Less),
            '>' if next_is('=') => Token::Compare(Comparison::AtLeast),
            '>' => Token::Compare(Comparison::Greater),
            quote @ ('"' | '\'') => quoted(&mut chars, quote),
            first if is_word_character(first) => {
                let mut word = String::from(first);
                // A minus inside a word belongs to the word, as in dates and the ids of actors.
                while let Some((_, next)) = chars.next_if(|(_, it)| is_word_character(*it) || *it == '-') {
                    word.push(next);
                }
                // The colons of an instant belong to the word too.
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

/// Reads a quoted text up to its closing quote.
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
    /// The position of the character after the last token.
    end: usize,
    /// The index of the next token.
    next: usize,
    columns: &'a [FilterColumn<C>],
    words: Option<&'a Words<'a, C>>,
    /// The mistakes in comparisons that could be parsed.
    mistakes: Vec<FilterMistake>,
    /// The number of comparisons so far.
    comparisons: usize,
}

type ParseResult<C> = Result<Condition<C>, FilterMistake>;

impl<C: Copy> Parser<'_, C> {
    /// Parses the whole filter.
    fn parse_filter(&mut self) -> ParseResult<C> {
        let condition = self.parse_conjunction(0)?;
        if self.peek().is_some() {
            Err(self.mistake_here("a bracket closes that was not opened"))
        } else {
            Ok(condition)
        }
    }

    /// Parses a conjunction; `AND` between its parts may be omitted.
    fn parse_conjunction(&mut self, depth: u32) -> ParseResult<C> {
        let mut parts = vec![self.parse_disjunction(depth)?];
        while self.peek().is_some_and(|it| *it != Token::Close) {
            let has_and = self.next_if_keyword("AND");
            if has_and && self.peek().is_none() {
                return Err(self.mistake_here("expected a comparison after AND"));
            }
            parts.push(self.parse_disjunction(depth)?);
        }
        Ok(join_conditions(parts, Condition::All))
    }

    /// Parses a disjunction: terms with `OR` between them.
    fn parse_disjunction(&mut self, depth: u32) -> ParseResult<C> {
        let mut parts = vec![self.parse_term(depth)?];
        while self.next_if_keyword("OR") {
            parts.push(self.parse_term(depth)?);
        }
        Ok(join_conditions(parts, Condition::Any))
    }

    /// Parses a comparison, a bracket, or the negation of one of them.
    fn parse_term(&mut self, depth: u32) -> ParseResult<C> {
        if depth > MAX_DEPTH {
            return Err(self.mistake_here(&format!("more than {MAX_DEPTH} brackets or NOTs within each other")));
        }
        if self.next_if_keyword("NOT") || self.next_if(&Token::Minus) {
            return Ok(self.parse_term(depth.saturating_add(1))?.negated());
        }
        if self.next_if(&Token::Open) {
            let inner = self.parse_conjunction(depth.saturating_add(1))?;
            if !self.next_if(&Token::Close) {
                return Err(self.mistake_here("a bracket is not closed"));
            }
            return Ok(inner);
        }
        self.parse_comparison()
    }

    /// Parses a comparison, or a word alone.
    fn parse_comparison(&mut self) -> ParseResult<C> {
        self.comparisons = self.comparisons.saturating_add(1);
        if self.comparisons > MAX_COMPARISONS {
            return Err(self.mistake_here(&format!("more than {MAX_COMPARISONS} comparisons")));
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
            return Ok(self.word_condition(words, name_at, name));
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
        let value = match self.next_value() {
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
        Ok(self.typed_condition((name_at, &name), (operator_at, operator), (value_at, &value)))
    }

    /// Checks a word that occurs alone, and makes its condition.
    fn word_condition(&mut self, words: &Words<'_, C>, at: usize, word: String) -> Condition<C> {
        if let Some(allowed) = words.allowed.filter(|it| !it.contains(&word)) {
            let what = format!("{word:?} is none of: {}", allowed.join(", "));
            self.mistakes.push(FilterMistake { at, what });
        }
        Condition::Is(words.column, Comparison::Equal, Operand::Text(word))
    }

    /// Checks a parsed comparison against the columns, and makes its condition. A mistake is recorded, and parsing
    /// continues.
    fn typed_condition(
        &mut self,
        (name_at, name): (usize, &str),
        (operator_at, operator): (usize, Comparison),
        (value_at, value): (usize, &str),
    ) -> Condition<C> {
        // A filter with a mistake is refused, so this condition is never used.
        let placeholder = Condition::All(Vec::new());
        let Some(column) = self.columns.iter().find(|it| it.name == name) else {
            let names: Vec<&str> = self.columns.iter().map(|it| it.name).collect();
            let what = format!("{name:?} is none of {}", names.join(", "));
            self.mistakes.push(FilterMistake { at: name_at, what });
            return placeholder;
        };
        if !column.comparisons.contains(&operator) {
            let allowed: Vec<&str> = column.comparisons.iter().map(|it| operator_text(*it)).collect();
            let what = format!("{name} is compared by {}, not by {}", allowed.join(" "), operator_text(operator));
            self.mistakes.push(FilterMistake { at: operator_at, what });
        }
        match (column.read)(value) {
            Ok(operand) => Condition::Is(column.column, operator, operand),
            Err(expected) => {
                self.mistakes.push(FilterMistake { at: value_at, what: format!("{value:?} is not {expected}") });
                placeholder
            }
        }
    }

    /// Takes the next token as a value. A minus before a word becomes part of the word. Returns `None` at the end of the
    /// filter, and for a minus before a quoted text.
    fn next_value(&mut self) -> Option<Token> {
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

    /// Takes the next token if it is the expected one. Returns true if it was.
    fn next_if(&mut self, expected: &Token) -> bool {
        let matches = self.peek() == Some(expected);
        self.next = self.next.saturating_add(usize::from(matches));
        matches
    }

    fn next_if_keyword(&mut self, word: &str) -> bool {
        self.next_if(&Token::Word(word.to_owned()))
    }

    /// Returns the position of the next token, or of the end of the text.
    fn position(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    /// Makes a mistake at the position of the next token.
    fn mistake_here(&self, what: &str) -> FilterMistake {
        FilterMistake { at: self.position(), what: what.to_owned() }
    }
}

/// Joins conditions. A single condition stays unchanged.
fn join_conditions<C>(mut parts: Vec<Condition<C>>, join: fn(Vec<Condition<C>>) -> Condition<C>) -> Condition<C> {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

/// Returns a comparison as it is written in a filter.
const fn operator_text(comparison: Comparison) -> &'static str {
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
