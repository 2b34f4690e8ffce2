//! Finds the gRPC method of a request, when the request is admitted. The name and the actions of a method come from the
//! [access table](super::access), its other properties from the descriptor of the contract.

use std::collections::HashMap;
use std::sync::OnceLock;

use http::Extensions;
use prost::Message as _;
use prost_types::method_options::IdempotencyLevel;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use tonic::Status;

use super::access;
use crate::app::{AppError, Result};
use crate::domain::role::{Action, Caller};
use crate::grpc::message::status::internal;
use crate::proto::FILE_DESCRIPTOR_SET;

/// A method of the contract. Admission puts it in the extensions of the request, where handlers read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) struct Method {
    name: &'static str,
    actions: &'static [Action],
    mutates: bool,
    takes_stream: bool,
}

impl Method {
    /// Finds the method of a request path, such as `/tsio.v1.OfferService/NoteOffer`; `None` if the contract has no such
    /// method.
    pub(in crate::grpc) fn find(path: &str) -> Option<Self> {
        methods_by_path().get(path).copied()
    }

    /// Returns the method that was found when the request was admitted.
    ///
    /// # Errors
    /// INTERNAL if the request has no such method: its handler was reached without admission, which is a bug.
    pub(in crate::grpc) fn from_extensions(extensions: &Extensions) -> std::result::Result<Self, Status> {
        extensions.get::<Self>().copied().ok_or_else(|| {
            tracing::error!("a call was not admitted as a method of the contract");
            internal()
        })
    }

    /// Returns the name, such as `OfferService/NoteOffer`. This text is stored with the answer of a mutation, and is part
    /// of the fingerprint of the request.
    pub(in crate::grpc) const fn name(self) -> &'static str {
        self.name
    }

    /// Returns true if the method may change data. Its message then has a request id.
    pub(in crate::grpc) const fn mutates(self) -> bool {
        self.mutates
    }

    /// Returns true if the client sends a stream of messages.
    pub(in crate::grpc) const fn takes_stream(self) -> bool {
        self.takes_stream
    }

    /// Checks that one of the caller's roles allows one of the method's actions.
    ///
    /// # Errors
    /// [`AppError::Denied`] with the actions of the method. [`AppError::Bug`] if the method has no actions.
    pub(in crate::grpc) fn check(self, caller: &Caller) -> Result<()> {
        if self.actions.is_empty() {
            return Err(AppError::Bug(format!("{} asks for nothing in the access table", self.name)));
        }
        if self.actions.iter().any(|action| caller.may(*action)) {
            Ok(())
        } else {
            Err(AppError::Denied(self.actions.to_vec()))
        }
    }
}

/// Returns every method, by the path of its requests.
fn methods_by_path() -> &'static HashMap<String, Method> {
    static METHODS: OnceLock<HashMap<String, Method>> = OnceLock::new();
    // The descriptor is compiled into the program, and a test decodes it: the default is never used.
    METHODS.get_or_init(|| join_with_access_table(&FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default()))
}

/// Returns the methods that are in both the access table and the descriptor, by the path of their requests.
fn join_with_access_table(set: &FileDescriptorSet) -> HashMap<String, Method> {
    let mut methods = HashMap::new();
    for file in &set.file {
        for service in &file.service {
            for descriptor in &service.method {
                let name = format!("{}/{}", service.name(), descriptor.name());
                let Some((name, actions)) = access::TABLE.iter().copied().find(|(it, _)| *it == name) else { continue };
                let method = Method {
                    name,
                    actions,
                    mutates: !has_no_side_effects(descriptor),
                    takes_stream: descriptor.client_streaming(),
                };
                methods.insert(format!("/{}.{name}", file.package()), method);
            }
        }
    }
    methods
}

fn has_no_side_effects(descriptor: &MethodDescriptorProto) -> bool {
    let level = descriptor.options.as_ref().map(prost_types::MethodOptions::idempotency_level);
    level == Some(IdempotencyLevel::NoSideEffects)
}

#[cfg(test)]
pub(in crate::grpc) mod tests {
    use super::*;
    use crate::domain::role::{Regions, Role};

    /// Returns the method with this name, such as `OfferService/NoteOffer`.
    pub(in crate::grpc) fn method_named(name: &str) -> Method {
        Method::find(&format!("/tsio.v1.{name}")).unwrap()
    }

    fn descriptor_set() -> FileDescriptorSet {
        FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap()
    }

    #[test]
    fn every_row_of_the_access_table_is_a_method_of_the_descriptor_and_the_other_way_round() {
        let set = descriptor_set();
        let services = set.file.iter().filter(|it| it.package() == "tsio.v1").flat_map(|it| &it.service);
        let method_count: usize = services.map(|it| it.method.len()).sum();
        let methods = join_with_access_table(&set);
        assert_eq!((methods.len(), access::TABLE.len()), (method_count, method_count));
        for (name, actions) in access::TABLE {
            let method = method_named(name);
            assert_eq!((method.name(), method.actions), (*name, *actions));
        }
        assert_eq!(Method::find("/tsio.v1.OfferService/Nothing"), None);
        assert_eq!(Method::find("OfferService/GetOffer"), None, "without the package");
    }

    /// The contract declares which methods have side effects; exactly those must have a request id.
    #[test]
    fn exactly_the_mutations_have_a_request_id() {
        let set = descriptor_set();
        let messages: HashMap<String, bool> = set
            .file
            .iter()
            .flat_map(|file| &file.message_type)
            .map(|it| {
                let first = it.field.iter().min_by_key(|field| field.number());
                (format!(".tsio.v1.{}", it.name()), first.is_some_and(|field| field.name() == "request_id"))
            })
            .collect();
        let mut streams = Vec::new();
        for service in set.file.iter().flat_map(|file| &file.service) {
            for descriptor in &service.method {
                let method = method_named(&format!("{}/{}", service.name(), descriptor.name()));
                if method.takes_stream() {
                    // An upload has its request id in its first message.
                    streams.push(method.name());
                    assert!(method.mutates(), "{}", method.name());
                } else {
                    assert_eq!(method.mutates(), messages[descriptor.input_type()], "{}", method.name());
                }
            }
        }
        assert_eq!(streams, ["RegisterService/ImportRegister", "EligibilityService/ImportOfsted"]);
    }

    #[test]
    fn a_method_may_be_called_with_the_roles_of_the_table() {
        let caller = |roles: &[Role]| Caller {
            actor: "ann".parse().unwrap(),
            roles: roles.to_vec(),
            regions: Regions::Every,
            subject: None,
        };
        assert_eq!(method_named("OfferService/GetOffer").check(&caller(Role::ALL)), Ok(()));
        assert_eq!(
            method_named("TermsService/LoadTerms").check(&caller(&[])),
            Err(AppError::Denied(vec![Action::LoadTerms]))
        );
        let without_actions = Method { actions: &[], ..method_named("OfferService/GetOffer") };
        assert!(matches!(without_actions.check(&caller(Role::ALL)), Err(AppError::Bug(_))));
    }

    #[test]
    fn a_handler_that_is_reached_without_admission_fails_as_internal() {
        let mut extensions = Extensions::new();
        assert_eq!(Method::from_extensions(&extensions).unwrap_err().code(), tonic::Code::Internal);
        extensions.insert(method_named("OfferService/GetOffer"));
        assert_eq!(Method::from_extensions(&extensions).unwrap().name(), "OfferService/GetOffer");
    }
}
