//! The shape of a JSON document: its keys and the types of their values, at every depth.
//!
//! A scalar is `text`, `integer`, `boolean` or `null`; several types at one place are joined by ` or `. A key that
//! some objects lack ends in `?`. A list has one element: the combined shape of all its elements.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// The shape of one document or of several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shape {
    scalars: BTreeSet<&'static str>,
    elements: Option<Box<Shape>>,
    object: Option<Keys>,
}

/// The keys of objects at one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Keys {
    shapes: BTreeMap<String, Shape>,
    /// Keys that some of the objects lack.
    optional: BTreeSet<String>,
}

impl Shape {
    /// The shape of one document.
    pub(super) fn of(document: &Value) -> Self {
        let mut shape = Self::default();
        match document {
            Value::Null => drop(shape.scalars.insert("null")),
            Value::Bool(_) => drop(shape.scalars.insert("boolean")),
            Value::Number(number) => {
                assert!(number.is_i64(), "not an integer: {number}");
                shape.scalars.insert("integer");
            }
            Value::String(_) => drop(shape.scalars.insert("text")),
            Value::Array(elements) => {
                let mut all = Self::default();
                elements.iter().for_each(|it| all.add(Self::of(it)));
                shape.elements = Some(Box::new(all));
            }
            Value::Object(object) => {
                let shapes = object.iter().map(|(key, value)| (key.clone(), Self::of(value))).collect();
                shape.object = Some(Keys { shapes, ..Keys::default() });
            }
        }
        shape
    }

    /// Merges the shape of another document at the same place.
    pub(super) fn add(&mut self, other: Self) {
        self.scalars.extend(other.scalars);
        match (&mut self.elements, other.elements) {
            (Some(own), Some(others)) => own.add(*others),
            (own @ None, others) => *own = others,
            (Some(_), None) => {}
        }
        match (&mut self.object, other.object) {
            (Some(own), Some(others)) => own.add(others),
            (own @ None, others) => *own = others,
            (Some(_), None) => {}
        }
    }

    /// The shape in the format of a shape file.
    pub(super) fn to_json(&self) -> Value {
        let scalars = self.scalars.iter().copied().collect::<Vec<_>>().join(" or ");
        let elements = self.elements.as_ref().map(|all| match all.to_json() {
            Value::String(nothing) if nothing.is_empty() => json!([]),
            shape => json!([shape]),
        });
        let object = self.object.as_ref().map(Keys::to_json);
        let scalars = Some(scalars).filter(|it| !it.is_empty()).map(Value::String);
        let mut all: Vec<Value> = scalars.into_iter().chain(elements).chain(object).collect();
        match all.len() {
            0 => json!(""),
            1 => all.remove(0),
            _ => json!({ "either": all }),
        }
    }
}

impl Keys {
    fn add(&mut self, other: Self) {
        let lacking = |keys: &Self, others: &Self| -> Vec<String> {
            others.shapes.keys().filter(|key| !keys.shapes.contains_key(*key)).cloned().collect()
        };
        let lacking_keys = [lacking(self, &other), lacking(&other, self)].concat();
        self.optional.extend(lacking_keys.into_iter().chain(other.optional));
        for (key, shape) in other.shapes {
            self.shapes.entry(key).or_default().add(shape);
        }
    }

    fn to_json(&self) -> Value {
        let key = |key: &String| format!("{key}{}", if self.optional.contains(key) { "?" } else { "" });
        self.shapes.iter().map(|(name, shape)| (key(name), shape.to_json())).collect()
    }
}

#[test]
fn a_shape_combines_its_documents() {
    let rows = [
        (vec![json!({"a": 1}), json!({"a": null, "b": "x"})], json!({"a": "integer or null", "b?": "text"})),
        (vec![json!([]), json!([{"a": [1, "x"]}])], json!([{"a": ["integer or text"]}])),
        (vec![json!({"a": []})], json!({"a": []})),
        (vec![json!({"a": null}), json!({"a": {"b": true}})], json!({"a": {"either": ["null", {"b": "boolean"}]}})),
        (vec![json!({"a": 1}), json!({}), json!({"a": 2})], json!({"a?": "integer"})),
    ];
    for (documents, expected) in rows {
        let mut shape = Shape::default();
        let mut shapes = documents.iter().map(Shape::of);
        shape.add(shapes.next().unwrap());
        shapes.for_each(|it| shape.add(it));
        assert_eq!(shape.to_json(), expected, "{documents:?}");
    }
}
