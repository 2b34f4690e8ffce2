//! Checks every text of a request before the handler runs. The descriptor of the contract says which fields are texts, so
//! that no field is forgotten.
//!
//! [`Fields`](super::fields::Fields) starts with the violations found here, so that all wrong fields are reported together.

use std::collections::HashMap;
use std::future::Future;
use std::sync::OnceLock;

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};

use crate::app::{AppError, Result, Violation};
use crate::domain::award::{BadReference, Reference};
use crate::domain::text::{Lines, forbidden};
use crate::grpc::message::limits::MAX_TITLE;
use crate::proto::FILE_DESCRIPTOR_SET;

/// Fields with free text, or with the text of a terms file. They may have line feeds and tabs.
const MANY_LINES: [&str; 5] = ["because", "note", "reason", "suitable_because", "text"];

/// Fields with the reference of an invoice. Earlier versions accepted any text there.
const REFERENCES: [&str; 1] = ["invoice"];

tokio::task_local! {
    /// The violations in the texts of the current request.
    static TEXT_VIOLATIONS: Vec<Violation>;
}

/// Returns the violations in the texts of the current request.
pub(in crate::grpc) fn current_violations() -> Vec<Violation> {
    TEXT_VIOLATIONS.try_with(Clone::clone).unwrap_or_default()
}

/// Runs the handler of a request that has these violations in its texts. The result is always an error.
///
/// # Errors
/// The error of the handler; if it is about wrong fields, it includes these violations. [`AppError::Invalid`] with these
/// violations if the handler succeeds.
pub(in crate::grpc) async fn run_and_refuse<R>(
    violations: Vec<Violation>,
    work: impl Future<Output = Result<R>>,
) -> Result<R> {
    let result = TEXT_VIOLATIONS.scope(violations.clone(), work).await;
    result.and_then(|_| Err(AppError::Invalid(violations)))
}

/// Does the same as [`run_and_refuse`] for a check that does not wait. If there are no violations, returns the result of the
/// check.
///
/// # Errors
/// The error of the check, or [`AppError::Invalid`] with these violations if the check succeeds.
pub(in crate::grpc) fn check_and_refuse<R>(violations: Vec<Violation>, check: impl FnOnce() -> Result<R>) -> Result<R> {
    if violations.is_empty() {
        return check();
    }
    let result = TEXT_VIOLATIONS.sync_scope(violations.clone(), check);
    result.and_then(|_| Err(AppError::Invalid(violations)))
}

/// Returns the violations in the texts of `message`, which is the request of the method `rpc`.
pub(in crate::grpc) fn check(rpc: &str, message: &impl Message) -> Vec<Violation> {
    let contract = contract();
    contract.requests.get(rpc).map(|request| contract.check(request, "", &message.encode_to_vec())).unwrap_or_default()
}

/// Returns the violations in the texts of a message inside a request. `name` is the name of the message in the contract;
/// `path` is its path in the request, with a dot at the end.
pub(in crate::grpc) fn check_part(name: &str, path: &str, message: &impl Message) -> Vec<Violation> {
    contract().check(&format!(".tsio.v1.{name}"), path, &message.encode_to_vec())
}

/// The text fields of the messages of the contract.
struct Contract {
    /// The full name of the request message of each method, by `Service/Method`.
    requests: HashMap<String, String>,
    /// The fields of each message that are texts or messages, by field number. The key is the full name of the message.
    messages: HashMap<String, HashMap<u32, TextField>>,
}

/// A field that is a text, or a message that may have texts.
struct TextField {
    name: String,
    is_repeated: bool,
    content: TextContent,
}

enum TextContent {
    Text(Lines),
    /// The reference of an invoice.
    Reference,
    /// A message, by its full name.
    Message(String),
}

fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    // The descriptor is compiled into the program, and a test decodes it: the default is never used.
    CONTRACT.get_or_init(|| Contract::read(FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default()))
}

impl Contract {
    fn read(set: FileDescriptorSet) -> Self {
        let mut contract = Self { requests: HashMap::new(), messages: HashMap::new() };
        for file in set.file {
            for message in &file.message_type {
                contract.add(&format!(".{}", file.package()), message);
            }
            for service in &file.service {
                let methods = service.method.iter();
                let request = |it: &prost_types::MethodDescriptorProto| {
                    (format!("{}/{}", service.name(), it.name()), it.input_type().to_owned())
                };
                contract.requests.extend(methods.map(request));
            }
        }
        contract
    }

    fn add(&mut self, parent: &str, message: &DescriptorProto) {
        let name = format!("{parent}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested);
        }
        let fields = message.field.iter().filter_map(|field| {
            let lines = if MANY_LINES.contains(&field.name()) { Lines::Many } else { Lines::One };
            let content = match field.r#type() {
                Type::String if REFERENCES.contains(&field.name()) => TextContent::Reference,
                Type::String => TextContent::Text(lines),
                Type::Message => TextContent::Message(field.type_name().to_owned()),
                _ => return None,
            };
            let is_repeated = field.label() == Label::Repeated;
            let number = u32::try_from(field.number()).ok()?;
            Some((number, TextField { name: field.name().to_owned(), is_repeated, content }))
        });
        let fields = fields.collect();
        self.messages.insert(name, fields);
    }

    fn check(&self, message: &str, path: &str, encoded: &[u8]) -> Vec<Violation> {
        let mut violations = Vec::new();
        // This program has just encoded the message, so decoding does not fail.
        self.check_message(message, path, encoded, &mut violations).unwrap_or_default();
        violations
    }

    /// Adds the violations of one encoded message and of the messages inside it. Returns `None` if the message is unknown
    /// or truncated.
    fn check_message(
        &self,
        message: &str,
        path: &str,
        mut encoded: &[u8],
        violations: &mut Vec<Violation>,
    ) -> Option<()> {
        let fields = self.messages.get(message)?;
        let mut counts: HashMap<u32, usize> = HashMap::new();
        while !encoded.is_empty() {
            let (number, wire) = decode_key(&mut encoded).ok()?;
            if wire != WireType::LengthDelimited {
                skip_field(wire, number, &mut encoded, DecodeContext::default()).ok()?;
                continue;
            }
            let length = usize::try_from(decode_varint(&mut encoded).ok()?).ok()?;
            let (value, rest) = encoded.split_at_checked(length)?;
            encoded = rest;
            let Some(field) = fields.get(&number) else { continue };
            let count = counts.entry(number).or_default();
            let index = *count;
            *count = count.saturating_add(1);
            let field_path = || {
                let index = if field.is_repeated { format!("[{index}]") } else { String::new() };
                format!("{path}{}{index}", field.name)
            };
            match &field.content {
                TextContent::Message(inner) => {
                    self.check_message(inner, &format!("{}.", field_path()), value, violations)?
                }
                TextContent::Text(lines) => {
                    violations.extend(text_violation(*lines, value).map(|what| Violation::new(field_path(), what)))
                }
                TextContent::Reference => {
                    let what = text_violation(Lines::One, value).or_else(|| reference_violation(value));
                    violations.extend(what.map(|what| Violation::new(field_path(), what)));
                }
            }
        }
        Some(())
    }
}

/// Returns why a text is refused; `None` if all its characters are allowed.
fn text_violation(lines: Lines, text: &[u8]) -> Option<String> {
    let forbidden = forbidden(std::str::from_utf8(text).ok()?, lines)?;
    let allowed = match lines {
        Lines::One => "must have no control characters, line breaks, tabs or invisible characters",
        Lines::Many => "must have no control or invisible characters except line feeds and tabs",
    };
    Some(format!("{allowed}; got {forbidden}"))
}

/// Checks the faults of a reference that the handler does not report: a letter that references must not have, and a shape
/// that earlier versions of the program accepted. Returns the fault. The handler reports a wrong length and any other wrong
/// shape.
fn reference_violation(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok().filter(|it| it.chars().nth(MAX_TITLE).is_none())?;
    let error = Reference::read(text).err()?;
    let was_accepted = Reference::before_rules_2(text).is_some();
    (was_accepted || matches!(error, BadReference::OtherLetter(_))).then(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{
        BatchGetOffersRequest, ContactOffersRequest, ContactedOffer, CreateAwardsRequest, ImportHeader, NewAward,
        NleSupport, WatchOffersRequest, new_award, watch_offers_request,
    };

    /// Returns the fields of the violations.
    fn field_paths(violations: Vec<Violation>) -> Vec<String> {
        violations.into_iter().map(|it| it.field).collect()
    }

    #[test]
    fn the_descriptor_has_every_request_and_nested_message() {
        let contract = contract();
        assert!(contract.requests.len() > 50, "{}", contract.requests.len());
        for (rpc, request) in &contract.requests {
            assert!(contract.messages.contains_key(request), "{rpc}: {request}");
        }
        for field in contract.messages.values().flat_map(HashMap::values) {
            if let TextContent::Message(inner) = &field.content {
                assert!(contract.messages.contains_key(inner), "{}: {inner}", field.name);
            }
        }
    }

    #[test]
    fn a_violation_has_the_path_of_its_text() {
        let offers = vec!["a".to_owned(), "b\u{7}".to_owned(), "c\n".to_owned()];
        let batch = BatchGetOffersRequest { offers, ..Default::default() };
        assert_eq!(field_paths(check("OfferService/BatchGetOffers", &batch)), ["offers[1]", "offers[2]"]);

        let contacted = |etag: &str| ContactedOffer { urn: 910_003, etag: etag.to_owned(), ..Default::default() };
        let contact = ContactOffersRequest {
            offers: vec![contacted("x"), contacted("\u{202e}")],
            note: "one\r\ntwo\tthree".to_owned(),
            date: "2021-09-13\t".to_owned(),
            ..Default::default()
        };
        assert_eq!(field_paths(check("OfferService/ContactOffers", &contact)), ["offers[1].etag", "date"]);

        let support =
            NleSupport { leader: "l\u{9b}".to_owned(), organisation: "two\nlines".to_owned(), leader_kind: 0 };
        let support = Some(new_award::Support::Nle(support));
        let awards = vec![NewAward::default(), NewAward { support, ..Default::default() }];
        let create = CreateAwardsRequest { awards, ..Default::default() };
        let expected = ["awards[1].nle.leader", "awards[1].nle.organisation"];
        assert_eq!(field_paths(check("AwardService/CreateAwards", &create)), expected);

        let start = Some(watch_offers_request::Start::ResumeToken("\0".to_owned()));
        let watch = WatchOffersRequest { start, ..Default::default() };
        assert_eq!(field_paths(check("OfferService/WatchOffers", &watch)), ["resume_token"]);

        let header = ImportHeader { file_name: "a\u{85}.csv".to_owned(), size_bytes: -1, ..Default::default() };
        let violations = check_part("ImportHeader", "header.", &header);
        assert!(violations[0].description.ends_with("got U+0085 at character 2"), "{violations:?}");
        assert_eq!(field_paths(violations), ["header.file_name"]);
    }

    #[tokio::test]
    async fn a_request_with_wrong_texts_fails_even_if_its_handler_succeeds() {
        let wrong = vec![Violation::new("note", "got U+0007")];
        let result = run_and_refuse(wrong.clone(), async { Ok(current_violations()) }).await;
        assert_eq!(result, Err(AppError::Invalid(wrong.clone())));
        let more = vec![wrong[0].clone(), Violation::new("offer", "is required")];
        let result: Result<()> = run_and_refuse(wrong.clone(), async { Err(AppError::Invalid(more.clone())) }).await;
        assert_eq!(result, Err(AppError::Invalid(more)));
        assert_eq!(check_and_refuse(wrong.clone(), || Ok(current_violations())), Err(AppError::Invalid(wrong)));
        assert_eq!(check_and_refuse(Vec::new(), || Ok(current_violations())), Ok(Vec::new()));
    }
}
