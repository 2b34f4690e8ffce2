//! Makes the reference page of the contract from its descriptor and the comments in `proto/`.

use std::collections::HashMap;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto,
};
use tsio::grpc::auth::access;
use tsio::proto::FILE_DESCRIPTOR_SET;

/// Field numbers in the messages of a descriptor. The descriptor gives the place of each comment as a path of such numbers and
/// of indexes.
const FILE_MESSAGE: i32 = 4;
const FILE_ENUM: i32 = 5;
const FILE_SERVICE: i32 = 6;
const MESSAGE_FIELD: i32 = 2;
const MESSAGE_ONEOF: i32 = 8;
const SERVICE_METHOD: i32 = 2;
const ENUM_VALUE: i32 = 2;

/// The comments of one file, by the path of the commented item.
struct Comments(HashMap<Vec<i32>, String>);

impl Comments {
    fn of(file: &FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|it| &it.location);
        Self(locations.map(|it| (it.path.clone(), it.leading_comments().trim().to_owned())).collect())
    }

    /// Returns the comment as paragraphs. Panics if the item has none.
    fn text(&self, path: &[i32], name: &str) -> String {
        let text = self.0.get(path).filter(|it| !it.is_empty());
        let text = text.unwrap_or_else(|| panic!("{name} has no comment in proto/"));
        text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
    }

    /// Returns the comment as one line for a cell of a table.
    fn cell(&self, path: &[i32], name: &str) -> String {
        self.text(path, name).replace('\n', " ").replace('|', "\\|")
    }
}

/// Returns the text of `docs/reference/api.md`.
pub(super) fn page() -> String {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut files: Vec<_> = set.file.iter().filter(|it| it.package() == "tsio.v1").collect();
    files.sort_by_key(|it| it.name());
    let mut page = String::from(
        "# The contract\n\nGenerated from `proto/tsio/v1`: `TSIO_WRITE_DOCS=1 tests/run the_api_page`. The comments in `common.proto` \
         have the conventions of\nall messages. [access.md](access.md) lists what each role may do. \
         [client-developer.md](../how-to/client-developer.md) shows how to call the\nservice from a program.\n",
    );
    for file in &files {
        let comments = Comments::of(file);
        for (index, service) in (0..).zip(&file.service) {
            let path = [FILE_SERVICE, index];
            page.push_str(&format!("\n## {}\n\n{}\n", service.name(), comments.text(&path, service.name())));
            for (at, method) in (0..).zip(&service.method) {
                let name = format!("{}/{}", service.name(), method.name());
                let text = comments.text(&[FILE_SERVICE, index, SERVICE_METHOD, at], &name);
                page.push_str(&format!("\n### {}\n\n{}\n\n{text}\n", method.name(), signature(&name, method)));
            }
        }
        for (index, message) in (0..).zip(&file.message_type) {
            page.push_str(&message_section(&comments, index, message));
        }
        for (index, it) in (0..).zip(&file.enum_type) {
            page.push_str(&enum_section(&comments, index, it));
        }
    }
    page
}

/// Removes the package of the contract from the name of a type.
fn short(name: &str) -> &str {
    name.trim_start_matches('.').trim_start_matches("tsio.v1.")
}

/// Returns a link to the section of a type of the contract, or the name of any other type.
fn type_link(name: &str) -> String {
    let shown = short(name);
    if name.starts_with(".tsio.v1.") { format!("[{shown}](#{})", shown.to_lowercase()) } else { format!("`{shown}`") }
}

/// Describes a method: its request, its response and the actions that it needs.
fn signature(name: &str, method: &MethodDescriptorProto) -> String {
    let stream = |yes: bool| if yes { "stream of " } else { "" };
    let (_, needed) = access::TABLE.iter().find(|(it, _)| *it == name).unwrap();
    let actions: Vec<String> = needed.iter().map(|it| format!("`{}`", it.name())).collect();
    format!(
        "{}{} → {}{}; asks for {}",
        stream(method.client_streaming()),
        type_link(method.input_type()),
        stream(method.server_streaming()),
        type_link(method.output_type()),
        actions.join(" or "),
    )
}

/// Returns the section of a message, with the table of its fields.
fn message_section(comments: &Comments, index: i32, message: &DescriptorProto) -> String {
    let path = [FILE_MESSAGE, index];
    let mut text = format!("\n### {}\n\n{}\n", message.name(), comments.text(&path, message.name()));
    if message.field.is_empty() {
        return text;
    }
    text.push_str("\n| field | type | what it is |\n|---|---|---|\n");
    for (at, field) in (0..).zip(&message.field) {
        let name = format!("{}.{}", message.name(), field.name());
        let mut comment = comments.cell(&[FILE_MESSAGE, index, MESSAGE_FIELD, at], &name);
        if let Some(oneof_index) = field.oneof_index.filter(|_| !field.proto3_optional()) {
            let oneof = &message.oneof_decl[usize::try_from(oneof_index).unwrap()];
            let oneof_comment = comments.0.get(&vec![FILE_MESSAGE, index, MESSAGE_ONEOF, oneof_index]);
            let oneof_comment =
                oneof_comment.filter(|it| !it.is_empty()).map(|it| format!(": {}", it.replace('\n', " ")));
            comment.push_str(&format!(" *One of `{}`{}*", oneof.name(), oneof_comment.unwrap_or_default()));
        }
        text.push_str(&format!("| `{}` | {} | {comment} |\n", field.name(), field_type(message, field)));
    }
    text
}

/// Describes the type of a field, such as `list of` a message.
fn field_type(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let entry = message.nested_type.iter().find(|it| field.type_name().ends_with(&format!(".{}", it.name())));
    if let Some(entry) = entry {
        return format!("map of {} to {}", single_type(&entry.field[0]), single_type(&entry.field[1]));
    }
    let repeated = field.label() == Label::Repeated;
    let optional = if field.proto3_optional() { "optional " } else { "" };
    format!("{}{optional}{}", if repeated { "list of " } else { "" }, single_type(field))
}

/// Describes the type of one value of a field.
fn single_type(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum => type_link(field.type_name()),
        other => format!("`{}`", other.as_str_name().trim_start_matches("TYPE_").to_lowercase()),
    }
}

/// Returns the section of an enum, with the table of its values.
fn enum_section(comments: &Comments, index: i32, it: &EnumDescriptorProto) -> String {
    let mut text = format!("\n### {}\n\n{}\n", it.name(), comments.text(&[FILE_ENUM, index], it.name()));
    text.push_str("\n| value | number | what it is |\n|---|---|---|\n");
    for (at, value) in (0..).zip(&it.value) {
        let comment = comments.cell(&[FILE_ENUM, index, ENUM_VALUE, at], value.name());
        text.push_str(&format!("| `{}` | {} | {comment} |\n", value.name(), value.number()));
    }
    text
}
