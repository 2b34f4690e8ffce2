//! The `filter` of a list: the part of AIP-160 that the database can carry, read into a condition on typed columns.
//!
//! `state = IDENTIFIED AND (region = "West Midlands" OR region = "South-West England") AND NOT assignee = ""`. Comparisons are
//! `field operator value`; `AND` may be left out; `OR` binds tighter than `AND`, as in AIP-160; `NOT` or `-` goes before a
//! comparison or a bracket. A value is a word, or a text in quotes, where a backslash takes the next character as it is.
//! What a list lets be asked is its table of [`FilterColumn`]s. Every mistake in what could be read is named with its place.

#[cfg(test)]
pub(in crate::grpc) mod tests;
pub(in crate::grpc) mod values;

use super::fields::Fields;
use crate::app::{Comparison, Condition, Operand};

/// Characters of a filter.
const LONGEST: usize = 2_000;
/// Brackets within brackets.
const DEEPEST: u32 = 16;
/// Comparisons of a filter.
const MOST: usize = 64;

/// What a filter may ask of a list's rows.
pub(in crate::grpc) struct FilterColumn<C> {
    /// Its name: the field of the message.
    pub(in crate::grpc) name: &'static str,
    /// What stands for it.
    pub(in crate::grpc) column: C,
    /// How it may be compared.
    pub(in crate::grpc) takes: &'static [Comparison],
    /// Reads a value, or says what was expected.
    pub(in crate::grpc) read: fn(&str) -> values::Value,
}

/// What may stand in a filter by itself, as `eligible` does.
pub(in crate::grpc) struct Words<'a, C> {
    /// What they are said of.
    pub(in crate::grpc) column: C,
    /// All of them; nothing where that is not known, and any may be one.
    pub(in crate::grpc) known: Option<&'a [String]>,
}

/// For names and ids.
pub(in crate::grpc) const SAME: &[Comparison] = &[Comparison::Equal, Comparison::NotEqual];
/// For texts of which a part may be asked.
pub(in crate::grpc) const PART: &[Comparison] = &[Comparison::Equal, Comparison::NotEqual, Comparison::Has];
/// For what has several.
pub(in crate::grpc) const HOLDS: &[Comparison] = &[Comparison::Has];
/// For numbers and instants.
pub(in crate::grpc) const ORDERED: &[Comparison] = &[
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::AtMost,
    Comparison::Greater,
    Comparison::AtLeast,
];

/// Reads a filter; nothing for an empty one. Mistakes are violations of the field `filter`.
pub(in crate::grpc) fn read<C: Copy>(
    fields: &mut Fields,
    columns: &[FilterColumn<C>],
    text: &str,
) -> Option<Condition<C>> {
    read_with(fields, columns, None, text)
}

/// The same with words that stand by themselves.
pub(in crate::grpc) fn read_with<C: Copy>(
    fields: &mut Fields,
    columns: &[FilterColumn<C>],
    words: Option<&Words<'_, C>>,
    text: &str,
) -> Option<Condition<C>> {
    if text.trim().is_empty() {
        return None;
    }
    if text.chars().count() > LONGEST {
        fields.wrong("filter", format!("is longer than {LONGEST} characters"));
        return None;
    }
    let end = text.trim_end().chars().count().saturating_add(1);
    let mut parser = Parser { tokens: tokens(text), end, at: 0, columns, words, mistakes: Vec::new(), compared: 0 };
    let read = parser.whole();
    let Parser { mut mistakes, .. } = parser;
    let condition = read.map_err(|mistake| mistakes.push(mistake)).ok();
    let sound = mistakes.is_empty();
    for FilterMistake { at, what } in mistakes {
        fields.wrong("filter", format!("at character {at}: {what}"));
    }
    condition.filter(|_| sound)
}

/// Reads an `order_by` (AIP-132) as one of the orders there are, the first when nothing is said.
pub(in crate::grpc) fn order<T: Copy>(fields: &mut Fields, orders: &[(&str, T)], text: &str) -> Option<T> {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = words.strip_suffix(" asc").filter(|it| !it.contains(' ')).unwrap_or(&words);
    let found = orders.iter().find(|(name, _)| plain.is_empty() || *name == plain).map(|(_, order)| *order);
    if found.is_none() {
        let known: Vec<&str> = orders.iter().map(|(name, _)| *name).collect();
        fields.wrong("order_by", format!("is none of: {}", known.join(", ")));
    }
    found
}

/// What is wrong, and at which character, from 1.
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

/// The tokens of a text, each with the character it begins at.
fn tokens(text: &str) -> Vec<(usize, Token)> {
    let mut found = Vec::new();
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
            first if is_of_word(first) => {
                let mut word = String::from(first);
                // A sign within a word is part of it: dates, names of actors.
                while let Some((_, next)) = chars.next_if(|(_, it)| is_of_word(*it) || *it == '-') {
                    word.push(next);
                }
                // As are the colons of an instant.
                while word.starts_with(|it: char| it.is_ascii_digit()) && word.contains('T') {
                    let Some((_, next)) = chars.next_if(|(_, it)| is_of_word(*it) || matches!(it, ':' | '-')) else {
                        break;
                    };
                    word.push(next);
                }
                Token::Word(word)
            }
            _ => Token::Wrong("this character means nothing here"),
        };
        found.push((at.saturating_add(1), token));
    }
    found
}

fn is_of_word(char: char) -> bool {
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
    at: usize,
    columns: &'a [FilterColumn<C>],
    words: Option<&'a Words<'a, C>>,
    /// What could be read and means nothing.
    mistakes: Vec<FilterMistake>,
    compared: usize,
}

type Read<C> = Result<Condition<C>, FilterMistake>;

impl<C: Copy> Parser<'_, C> {
    fn whole(&mut self) -> Read<C> {
        let condition = self.all(0)?;
        if self.peek().is_some() { Err(self.mistake("a bracket closes that was not opened")) } else { Ok(condition) }
    }

    /// Factors, all of them, with or without `AND` between.
    fn all(&mut self, depth: u32) -> Read<C> {
        let mut of = vec![self.any(depth)?];
        while self.peek().is_some_and(|it| *it != Token::Close) {
            let joined = self.keyword("AND");
            if joined && self.peek().is_none() {
                return Err(self.mistake("expected a comparison after AND"));
            }
            of.push(self.any(depth)?);
        }
        Ok(joined(of, Condition::All))
    }

    /// Terms, one of them.
    fn any(&mut self, depth: u32) -> Read<C> {
        let mut of = vec![self.term(depth)?];
        while self.keyword("OR") {
            of.push(self.term(depth)?);
        }
        Ok(joined(of, Condition::Any))
    }

    fn term(&mut self, depth: u32) -> Read<C> {
        if depth > DEEPEST {
            return Err(self.mistake(&format!("more than {DEEPEST} brackets or NOTs within each other")));
        }
        if self.keyword("NOT") || self.next_if(&Token::Minus) {
            return Ok(self.term(depth.saturating_add(1))?.negated());
        }
        if self.next_if(&Token::Open) {
            let within = self.all(depth.saturating_add(1))?;
            if !self.next_if(&Token::Close) {
                return Err(self.mistake("a bracket is not closed"));
            }
            return Ok(within);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Read<C> {
        self.compared = self.compared.saturating_add(1);
        if self.compared > MOST {
            return Err(self.mistake(&format!("more than {MOST} comparisons")));
        }
        let place = self.place();
        let (name, is_field) = match (self.next(), self.words) {
            (Some(Token::Word(name)), None) => (name, true),
            (Some(Token::Word(name)), Some(_)) => {
                let is_field = self.columns.iter().any(|it| it.name == name);
                (name, is_field || matches!(self.peek(), Some(Token::Compare(_) | Token::Wrong(_))))
            }
            (Some(Token::Text(name)), Some(_)) => (name, false),
            (Some(Token::Wrong(what)), _) => return Err(FilterMistake { at: place, what: what.to_owned() }),
            _ => {
                return Err(FilterMistake {
                    at: place,
                    what: "expected a comparison: field, operator, value".to_owned(),
                });
            }
        };
        if let Some(words) = self.words.filter(|_| !is_field) {
            return Ok(self.word(words, place, name));
        }
        let compared = self.place();
        let how = match self.next() {
            Some(Token::Compare(how)) => how,
            Some(Token::Wrong(what)) => return Err(FilterMistake { at: compared, what: what.to_owned() }),
            _ => {
                let what = format!("expected one of = != < <= > >= : after {name:?}");
                return Err(FilterMistake { at: compared, what });
            }
        };
        let valued = self.place();
        let value = match self.signed() {
            Some(Token::Text(value)) => value,
            Some(Token::Word(value)) if !matches!(value.as_str(), "AND" | "OR" | "NOT") => value,
            Some(Token::Wrong(what)) => return Err(FilterMistake { at: valued, what: what.to_owned() }),
            _ => {
                return Err(FilterMistake {
                    at: valued,
                    what: "expected a value: a word, or a text in quotes".to_owned(),
                });
            }
        };
        Ok(self.typed((place, &name), (compared, how), (valued, &value)))
    }

    /// A word by itself.
    fn word(&mut self, words: &Words<'_, C>, place: usize, word: String) -> Condition<C> {
        if let Some(known) = words.known.filter(|it| !it.contains(&word)) {
            let what = format!("{word:?} is none of: {}", known.join(", "));
            self.mistakes.push(FilterMistake { at: place, what });
        }
        Condition::Is(words.column, Comparison::Equal, Operand::Text(word))
    }

    /// A comparison that could be read, as far as it means something. A mistake is noted, and reading goes on.
    fn typed(
        &mut self,
        (place, name): (usize, &str),
        (compared, how): (usize, Comparison),
        (valued, value): (usize, &str),
    ) -> Condition<C> {
        let nothing = Condition::All(Vec::new());
        let Some(column) = self.columns.iter().find(|it| it.name == name) else {
            let known: Vec<&str> = self.columns.iter().map(|it| it.name).collect();
            let what = format!("{name:?} is none of {}", known.join(", "));
            self.mistakes.push(FilterMistake { at: place, what });
            return nothing;
        };
        if !column.takes.contains(&how) {
            let takes: Vec<&str> = column.takes.iter().map(|it| sign(*it)).collect();
            let what = format!("{name} is compared by {}, not by {}", takes.join(" "), sign(how));
            self.mistakes.push(FilterMistake { at: compared, what });
        }
        match (column.read)(value) {
            Ok(operand) => Condition::Is(column.column, how, operand),
            Err(expected) => {
                self.mistakes.push(FilterMistake { at: valued, what: format!("{value:?} is not {expected}") });
                nothing
            }
        }
    }

    /// The next token; a word with the minus before it, which stands before nothing else.
    fn signed(&mut self) -> Option<Token> {
        let minus = self.next_if(&Token::Minus);
        match self.next() {
            Some(Token::Word(word)) if minus => Some(Token::Word(format!("-{word}"))),
            Some(Token::Text(_)) if minus => None,
            other => other,
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|(_, token)| token.clone());
        self.at = self.at.saturating_add(1);
        token
    }

    fn next_if(&mut self, expected: &Token) -> bool {
        let found = self.peek() == Some(expected);
        self.at = self.at.saturating_add(usize::from(found));
        found
    }

    fn keyword(&mut self, word: &str) -> bool {
        self.next_if(&Token::Word(word.to_owned()))
    }

    /// Where the next token begins; after the last where there is none.
    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(at, _)| *at)
    }

    fn mistake(&self, what: &str) -> FilterMistake {
        FilterMistake { at: self.place(), what: what.to_owned() }
    }
}

fn joined<C>(mut of: Vec<Condition<C>>, how: fn(Vec<Condition<C>>) -> Condition<C>) -> Condition<C> {
    match of.len() {
        1 => of.remove(0),
        _ => how(of),
    }
}

const fn sign(how: Comparison) -> &'static str {
    match how {
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
