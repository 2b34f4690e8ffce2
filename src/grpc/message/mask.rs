//! Reads and applies read masks (AIP-157), which select the fields of a response. Without a mask, or with `*`, a response
//! has all fields.

use std::collections::BTreeSet;

use prost_types::FieldMask;

use super::fields::Fields;

/// The most paths in a mask: more than any response has fields.
const MAX_PATHS: usize = 64;

/// A field of a message that a mask may name.
pub(in crate::grpc) struct MaskField<M> {
    /// The name of the field.
    pub(in crate::grpc) name: &'static str,
    /// Clears the field.
    pub(in crate::grpc) clear: fn(&mut M),
}

/// The requested fields; `None` for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::grpc) struct Mask(Option<BTreeSet<String>>);

impl Mask {
    /// Reads a mask. More than [`MAX_PATHS`] paths, and a path that `is_field` rejects, are violations of `read_mask`.
    pub(in crate::grpc) fn read(
        fields: &mut Fields,
        read_mask: Option<&FieldMask>,
        is_field: impl Fn(&str) -> bool,
    ) -> Self {
        let Some(read_mask) = read_mask.filter(|it| !it.paths.is_empty()) else { return Self(None) };
        if read_mask.paths.iter().any(|it| it == "*") {
            return Self(None);
        }
        if read_mask.paths.len() > MAX_PATHS {
            fields.add_violation(
                "read_mask",
                format!("must have at most {MAX_PATHS} paths, got {}", read_mask.paths.len()),
            );
            return Self(None);
        }
        for (index, path) in read_mask.paths.iter().enumerate().filter(|(_, path)| !is_field(path)) {
            let shortened: String = path.chars().take(60).collect();
            fields.add_violation(
                &format!("read_mask.paths[{index}]"),
                format!("{shortened:?} is no field of the answer"),
            );
        }
        Self(Some(read_mask.paths.iter().cloned().collect()))
    }

    /// Returns true if the field is requested.
    pub(in crate::grpc) fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|paths| paths.contains(name))
    }

    /// Returns the mask of a field that is a message itself; `None` if neither the field nor a field inside it is
    /// requested.
    pub(in crate::grpc) fn nested(&self, name: &str) -> Option<Self> {
        let Some(paths) = &self.0 else { return Some(Self(None)) };
        if paths.contains(name) {
            return Some(Self(None));
        }
        let inner = |path: &String| path.strip_prefix(name)?.strip_prefix('.').map(ToOwned::to_owned);
        let inner: BTreeSet<String> = paths.iter().filter_map(inner).collect();
        (!inner.is_empty()).then_some(Self(Some(inner)))
    }

    /// Clears the fields of a message that are not requested.
    pub(in crate::grpc) fn apply<M>(&self, message: &mut M, fields: &[MaskField<M>]) {
        fields.iter().filter(|it| !self.has(it.name)).for_each(|it| (it.clear)(message));
    }
}
