//! Lists every text field of every request of the contract, and encodes a message in which only this field is set.

use std::collections::HashMap;

use prost::Message as _;
use prost::encoding::encode_varint;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};
use tsio::proto::FILE_DESCRIPTOR_SET;

/// Returns for each text field the method, the path that a violation names, and the bytes of a request in which the field has
/// this text. For a method that receives a stream, it is the first message of the stream.
pub(super) fn texts(text: &str) -> Vec<(String, String, Vec<u8>)> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let named = |package: &str, it: &DescriptorProto| (format!(".{package}.{}", it.name()), it.clone());
    let messages = set.file.iter().flat_map(|file| file.message_type.iter().map(|it| named(file.package(), it)));
    let messages: HashMap<String, DescriptorProto> = messages.collect();
    let services = set.file.iter().filter(|it| it.package() == "tsio.v1").flat_map(|it| &it.service);
    let methods = services.flat_map(|service| {
        service.method.iter().map(|it| (format!("{}/{}", service.name(), it.name()), it.input_type().to_owned()))
    });
    let texts = methods.flat_map(|(method, message)| {
        fields_within(&messages, &message, text).into_iter().map(move |(path, bytes)| (method.clone(), path, bytes))
    });
    texts.collect()
}

/// Returns the text fields of a message and of the messages within it: the path, and the bytes of the encoded message.
fn fields_within(messages: &HashMap<String, DescriptorProto>, message: &str, text: &str) -> Vec<(String, Vec<u8>)> {
    let message = messages.get(message).unwrap_or_else(|| panic!("no {message} in the descriptors"));
    let mut found = Vec::new();
    for field in &message.field {
        let path =
            if field.label() == Label::Repeated { format!("{}[0]", field.name()) } else { field.name().to_owned() };
        match field.r#type() {
            Type::String => found.push((path, length_delimited(field.number(), text.as_bytes()))),
            Type::Message => {
                let inner = fields_within(messages, field.type_name(), text);
                let inner = inner.into_iter().map(|(path, bytes)| (path, length_delimited(field.number(), &bytes)));
                found.extend(inner.map(|(inner_path, bytes)| (format!("{path}.{inner_path}"), bytes)));
            }
            _ => {}
        }
    }
    found
}

/// Encodes a field of a type whose encoding begins with its length: bytes, a text or a message.
fn length_delimited(number: i32, bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    encode_varint(u64::try_from((number << 3) | 2).unwrap(), &mut encoded);
    encode_varint(u64::try_from(bytes.len()).unwrap(), &mut encoded);
    encoded.extend(bytes);
    encoded
}
