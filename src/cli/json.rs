//! Converts messages to JSON by the descriptor of the contract, so that every field is printed.
//!
//! A field is printed under its name. Integers are numbers; an enum is its value's name without the prefix, in lower case;
//! an instant is RFC 3339 in UTC. An absent value is null: an empty text, an unspecified enum, a message or an `optional`
//! field that is not set. 0 is a number. If the first field of a response is a single message, its
//! keys are merged into those of the response.
//!
//! [`EXCEPTIONS`] lists all fields that are printed differently. Commands add keys with [`Object::with`]. This is not the JSON
//! mapping of proto3 (camelCase, 64-bit integers as text).

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, ReflectMessage as _, Value,
};
use prost_types::Timestamp;
use serde::{Serialize, Serializer};

use super::names::{instant, name};
use crate::proto::FILE_DESCRIPTOR_SET;

use Exception::{EmptyText, Hidden, Key, Merged, Nested, Parsed, ZeroIsNone};

/// How a field is printed, if it is not printed as its value under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exception {
    /// The field is printed under this key; `a.b` is the key `b` of an object `a`.
    Key(&'static str),
    /// The keys of its message are merged into the outer message. If it is not set, these keys are null, unless another field
    /// sets them.
    Merged,
    /// The field is printed under its name, although it is the first message of a response.
    Nested,
    /// 0 means that there is no value, and is printed as null.
    ZeroIsNone,
    /// An empty text is printed as an empty text, not as null.
    EmptyText,
    /// The text is a JSON document, and is printed as one.
    Parsed,
    /// The field is not printed, because a command adds another key for it.
    Hidden,
}

/// The fields that are printed differently, as `Message.field`.
const EXCEPTIONS: [(&str, Exception); 55] = [
    ("Approval.amount_pence", ZeroIsNone),
    ("Approval.moved_alone_pence", ZeroIsNone),
    // A check makes no award, so the award has no id.
    ("Award.award", EmptyText),
    ("Award.credit", Merged),
    ("Award.day_rate_pence", ZeroIsNone),
    ("Award.nle", Merged),
    ("Award.nlg", Merged),
    ("Award.npqel", Merged),
    ("ClosedSchool.successor_urns", Key("successors")),
    ("Contact.corrected_by", ZeroIsNone),
    ("Contact.urn", ZeroIsNone),
    ("CreditSupport.partner_uid", Key("partner")),
    ("CreditSupport.partner_uid", ZeroIsNone),
    ("DecideReferralResponse.offer", Key("made_offer")),
    ("DueItem.booking", ZeroIsNone),
    ("DueItem.due_date", Key("due")),
    ("DueItem.local_authority", ZeroIsNone),
    ("DueItem.since_date", Key("since")),
    ("DueItem.trust_uid", ZeroIsNone),
    ("DueItem.urn", ZeroIsNone),
    ("EligibilityChange.superseded_by", ZeroIsNone),
    ("FinancialYear.moved", Merged),
    ("FundStatement.as_of_shortfall", ZeroIsNone),
    ("GetFundPositionResponse.position", Merged),
    ("GetSchoolResponse.placed", Key("placed_by_hand")),
    ("GiveApprovalResponse.approval", Nested),
    ("Ground.text", EmptyText),
    ("Import.file_name", EmptyText),
    ("Invoice.total_pence", ZeroIsNone),
    ("Judgement.inspection_number", EmptyText),
    ("MoveFundsResponse.from_fund", Nested),
    ("NotEligibleSchool.whole_offer", Hidden),
    ("Offer.accepted_date", Key("accepted")),
    ("Offer.started_date", Key("started")),
    ("Offer.trust_uid", ZeroIsNone),
    ("OfferEvent.body_json", Key("body")),
    ("OfferEvent.body_json", Parsed),
    ("OfferSummary.local_authority", ZeroIsNone),
    ("PlaceSchoolResponse.trust_uid", ZeroIsNone),
    ("ProgrammePlacement.trust_uid", ZeroIsNone),
    ("Referral.uid", ZeroIsNone),
    ("School.la_code", ZeroIsNone),
    ("School.laestab", ZeroIsNone),
    ("School.successor_urns", Key("successors")),
    ("School.trust_uid", ZeroIsNone),
    ("SchoolEligibility.entry_unknown", Hidden),
    ("SchoolEligibility.school", Merged),
    ("SchoolEligibility.superseded_by", ZeroIsNone),
    ("SchoolLink.name", EmptyText),
    ("SummariseEligibilityResponse.mat_schools", Key("mat.schools")),
    ("SummariseEligibilityResponse.mat_trusts", Key("mat.trusts")),
    ("SummariseEligibilityResponse.standalone_maintained", Key("standalone.maintained")),
    ("SummariseEligibilityResponse.standalone_schools", Key("standalone.schools")),
    ("SummariseEligibilityResponse.standalone_single_academy_trust", Key("standalone.single_academy_trust")),
    ("SummariseEligibilityResponse.standalone_single_school_mat", Key("standalone.single_school_mat")),
];

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(i64),
    Text(String),
    List(Vec<Json>),
    Object(Object),
    /// A parsed document of a text field.
    Parsed(serde_json::Value),
}

/// An object that keeps the order of its keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Object(Vec<(String, Json)>);

/// Converts a message to JSON. Returns an empty object if the contract does not have the message.
pub(super) fn of<M: Message + Name>(message: &M) -> Object {
    static CONTRACT: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap_or_default());
    let decode = |descriptor| DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).ok();
    let message = CONTRACT.get_message_by_name(&M::full_name()).and_then(decode);
    message.as_ref().map(object).unwrap_or_default()
}

/// Converts messages to JSON.
pub(super) fn list<M: Message + Name>(messages: &[M]) -> Json {
    messages.iter().map(of).collect()
}

/// Converts the answer to a mutation to JSON. The object always has the key `warnings`, even if the answer has no such field.
pub(super) fn changed<M: Message + Name>(answer: &M) -> Object {
    of(answer).or("warnings", Json::List(Vec::new()))
}

/// Converts a message of any type to JSON.
fn object(message: &DynamicMessage) -> Object {
    let mut printed = Object::default();
    for field in message.descriptor().fields() {
        let exceptions = exceptions(&field);
        if exceptions.contains(&Hidden) {
            continue;
        }
        if exceptions.contains(&Merged) || (is_resource(&field) && !exceptions.contains(&Nested)) {
            merge(&mut printed, message, &field);
            continue;
        }
        let key = exceptions.iter().find_map(|it| if let Key(key) = it { Some(*key) } else { None });
        printed.set(key.unwrap_or(field.name()), value(message, &field, &exceptions));
    }
    printed
}

/// Returns the exceptions of a field.
fn exceptions(field: &FieldDescriptor) -> Vec<Exception> {
    let package = field.parent_message().package_name();
    let field_name = field.full_name().strip_prefix(package).unwrap_or_default().trim_start_matches('.');
    EXCEPTIONS.iter().filter(|(name, _)| *name == field_name).map(|(_, exception)| *exception).collect()
}

/// Returns true if this is the first field of a response, and a single message. Such a field is merged into the response.
fn is_resource(field: &FieldDescriptor) -> bool {
    let is_of_response = field.parent_message().name().ends_with("Response");
    is_of_response && field.number() == 1 && !field.is_list() && field.kind().as_message().is_some()
}

/// Merges the keys of an inner message into the outer object. If the inner message is not set, those of its keys that the outer
/// object does not have become null.
fn merge(printed: &mut Object, message: &DynamicMessage, field: &FieldDescriptor) {
    let Value::Message(inner) = &*message.get_field(field) else { return };
    let is_set = message.has_field(field);
    for (key, value) in object(inner).0 {
        if is_set {
            printed.set(&key, value);
        } else if printed.get(&key).is_none() {
            printed.set(&key, Json::Null);
        }
    }
}

/// Converts the value of a field to JSON.
fn value(message: &DynamicMessage, field: &FieldDescriptor, exceptions: &[Exception]) -> Json {
    if field.supports_presence() && !message.has_field(field) {
        return Json::Null;
    }
    match &*message.get_field(field) {
        Value::String(text) if exceptions.contains(&Parsed) => {
            serde_json::from_str(text).map_or_else(|_| Json::from(text.as_str()), Json::Parsed)
        }
        Value::String(text) if text.is_empty() && !exceptions.contains(&EmptyText) => Json::Null,
        Value::I32(0) | Value::I64(0) if exceptions.contains(&ZeroIsNone) => Json::Null,
        Value::List(elements) => elements.iter().map(|it| element(&field.kind(), it)).collect(),
        Value::Map(entries) => {
            let kind = field.kind();
            let value_kind = kind.as_message().map(|it| it.map_entry_value_field().kind());
            let value_kind = value_kind.unwrap_or(kind);
            let key = |key: &prost_reflect::MapKey| key.as_str().unwrap_or_default().to_owned();
            let mut entries: Vec<_> = entries.iter().map(|(name, it)| (key(name), element(&value_kind, it))).collect();
            entries.sort_by(|(left, _), (right, _)| left.cmp(right));
            Json::Object(Object(entries))
        }
        single => element(&field.kind(), single),
    }
}

/// Converts a single value to JSON. Unsigned numbers, fractions and bytes would become null; no message that is printed has them.
fn element(kind: &Kind, value: &Value) -> Json {
    match value {
        Value::Bool(is) => Json::Bool(*is),
        Value::I32(number) => Json::Number((*number).into()),
        Value::I64(number) => Json::Number(*number),
        Value::String(text) => Json::from(text.as_str()),
        Value::EnumNumber(number) => kind.as_enum().and_then(|it| short_name(it, *number)).into(),
        Value::Message(time) if time.descriptor().full_name() == Timestamp::full_name() => {
            instant(time.transcode_to().ok()).into()
        }
        Value::Message(message) => object(message).into(),
        _ => Json::Null,
    }
}

/// Returns the name of an enum value without the common prefix; `None` for an unspecified or unknown value.
fn short_name(descriptor: &EnumDescriptor, number: i32) -> Option<String> {
    let (unspecified, value) = (descriptor.get_value(0)?, descriptor.get_value(number)?);
    name(value.name(), unspecified.name().strip_suffix("UNSPECIFIED")?)
}

impl Object {
    /// Sets a key, replacing an existing value, and returns the object.
    pub(super) fn with(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.set(key, value.into());
        self
    }

    /// Sets a key unless it exists, and returns the object.
    pub(super) fn or(self, key: &str, value: impl Into<Json>) -> Self {
        if self.get(key).is_some() { self } else { self.with(key, value) }
    }

    /// Removes these keys, and returns the object.
    pub(super) fn without(mut self, keys: &[&str]) -> Self {
        self.0.retain(|(key, _)| !keys.contains(&key.as_str()));
        self
    }

    /// Returns the value of a key at the top of the object.
    fn get(&self, key: &str) -> Option<&Json> {
        self.0.iter().find(|(it, _)| it == key).map(|(_, value)| value)
    }

    /// Sets a key, where `a.b` is the key `b` of an object `a`. Replaces an existing value.
    fn set(&mut self, key: &str, value: Json) {
        let (key, value) = match key.split_once('.') {
            Some((outer, inner)) => {
                let inner_object = match self.get(outer) {
                    Some(Json::Object(object)) => object.clone(),
                    _ => Self::default(),
                };
                (outer, Json::Object(inner_object.with(inner, value)))
            }
            None => (key, value),
        };
        match self.0.iter_mut().find(|(it, _)| it == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }
}

/// The keys of ids. An object has an id if its first key is one of them.
const ID_KEYS: [&str; 11] =
    ["approval", "award", "code", "entry", "fund", "import_id", "offer", "referral", "sequence", "uid", "urn"];

/// An answer that may have ids.
pub(super) trait HasIds {
    /// Returns the id of an object, or the ids of a list of objects; `None` if one of them has no id.
    fn ids(&self) -> Option<Vec<String>>;
}

impl HasIds for Object {
    fn ids(&self) -> Option<Vec<String>> {
        Some(vec![self.id()?])
    }
}

impl HasIds for Json {
    fn ids(&self) -> Option<Vec<String>> {
        match self {
            Self::List(elements) => {
                let ids = elements.iter().map(|it| if let Self::Object(object) = it { object.id() } else { None });
                ids.collect()
            }
            Self::Object(object) => object.ids(),
            _ => None,
        }
    }
}

impl Object {
    /// Returns the id: the value of the first key, if that is the key of an id.
    pub(super) fn id(&self) -> Option<String> {
        let (key, value) = self.0.first()?;
        match value {
            Json::Text(id) if ID_KEYS.contains(&key.as_str()) && !id.is_empty() => Some(id.clone()),
            Json::Number(id) if ID_KEYS.contains(&key.as_str()) => Some(id.to_string()),
            _ => None,
        }
    }

    /// Returns the keys, in their order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// Returns an object with these keys only, in this order. A key that does not exist is null.
    pub(super) fn only(&self, keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| ((*key).to_owned(), self.get(key).cloned().unwrap_or(Json::Null))).collect())
    }

    /// Returns the values as the cells of a table: texts as they are, nothing for null, and JSON for lists and objects.
    pub(super) fn cells(&self) -> Vec<String> {
        let cell = |value: &Json| match value {
            Json::Null => String::new(),
            Json::Text(text) => text.clone(),
            other => serde_json::to_string(other).unwrap_or_default(),
        };
        self.0.iter().map(|(_, value)| cell(value)).collect()
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Bool(is) => serializer.serialize_bool(*is),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(elements) => serializer.collect_seq(elements),
            Self::Object(object) => object.serialize(serializer),
            Self::Parsed(document) => document.serialize(serializer),
        }
    }
}

/// Implements the conversion of these types to JSON.
macro_rules! convert_to_json {
    ($($from:ty: |$it:ident| $json:expr),+ $(,)?) => {$(
        impl From<$from> for Json {
            fn from($it: $from) -> Self {
                $json
            }
        }
    )+};
}

convert_to_json! {
    bool: |it| Self::Bool(it),
    i64: |it| Self::Number(it),
    usize: |it| Self::Number(i64::try_from(it).unwrap_or(i64::MAX)),
    &str: |it| Self::Text(it.to_owned()),
    String: |it| Self::Text(it),
    Object: |it| Self::Object(it),
}

impl<T: Into<Self>> From<Option<T>> for Json {
    fn from(it: Option<T>) -> Self {
        it.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Self>> FromIterator<T> for Json {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }
}
