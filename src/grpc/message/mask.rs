//! Read masks (AIP-157): which fields of a resource an answer has. Without one, or with `*`, it has all.

use std::collections::BTreeSet;

use prost_types::FieldMask;

use super::fields::Fields;

/// Paths that a mask may have: more than any answer has fields.
const MOST: usize = 64;

/// A field of a message that a mask may name.
pub(in crate::grpc) struct MaskField<M> {
    /// Its name.
    pub(in crate::grpc) name: &'static str,
    /// Takes it out.
    pub(in crate::grpc) clear: fn(&mut M),
}

/// The fields asked for; all without a mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::grpc) struct Mask(Option<BTreeSet<String>>);

impl Mask {
    /// Reads a mask. Each path that is none of `known` is a violation of `read_mask`.
    pub(in crate::grpc) fn read(fields: &mut Fields, given: Option<&FieldMask>, known: impl Fn(&str) -> bool) -> Self {
        let Some(given) = given.filter(|it| !it.paths.is_empty()) else { return Self(None) };
        if given.paths.iter().any(|it| it == "*") {
            return Self(None);
        }
        if given.paths.len() > MOST {
            fields.wrong("read_mask", format!("must have at most {MOST} paths, got {}", given.paths.len()));
            return Self(None);
        }
        for (at, path) in given.paths.iter().enumerate().filter(|(_, path)| !known(path)) {
            let shown: String = path.chars().take(60).collect();
            fields.wrong(&format!("read_mask.paths[{at}]"), format!("{shown:?} is no field of the answer"));
        }
        Self(Some(given.paths.iter().cloned().collect()))
    }

    /// Whether a field is asked for.
    pub(in crate::grpc) fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|paths| paths.contains(name))
    }

    /// The mask of a field that is a message: all of it, or what is named within it; nothing where it is not wanted.
    pub(in crate::grpc) fn within(&self, name: &str) -> Option<Self> {
        let Some(paths) = &self.0 else { return Some(Self(None)) };
        if paths.contains(name) {
            return Some(Self(None));
        }
        let inner = |path: &String| path.strip_prefix(name)?.strip_prefix('.').map(ToOwned::to_owned);
        let inner: BTreeSet<String> = paths.iter().filter_map(inner).collect();
        (!inner.is_empty()).then_some(Self(Some(inner)))
    }

    /// Takes out of a message what is not wanted.
    pub(in crate::grpc) fn apply<M>(&self, message: &mut M, parts: &[MaskField<M>]) {
        parts.iter().filter(|it| !self.has(it.name)).for_each(|it| (it.clear)(message));
    }
}
