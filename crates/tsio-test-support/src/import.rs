//! Imports files over gRPC, in chunks of the size that the command line sends.

use tonic::transport::Channel;
use tonic::{Status, Streaming};
use tsio_client::proto::eligibility_service_client::EligibilityServiceClient;
use tsio_client::proto::register_service_client::RegisterServiceClient;
use tsio_client::proto::{
    ImportHeader, ImportOfstedRequest, ImportOutcome, ImportRegisterRequest, import_ofsted_request,
    import_ofsted_response, import_register_request, import_register_response,
};

use crate::caller::Caller;
use crate::messages::fresh;

/// The size of a chunk in bytes.
const CHUNK: usize = 256 * 1024;

/// A file to import.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// The name of the file.
    pub name: &'a str,
    /// The as-at date, such as `2021-08-31`.
    pub as_at: &'a str,
    /// The content of the file.
    pub bytes: &'a [u8],
}

/// Imports a file of the register, and returns the outcome.
///
/// # Errors
/// The status, if the server refuses the import or the call fails.
pub async fn register(channel: &Channel, caller: &Caller, file: File<'_>) -> Result<ImportOutcome, Status> {
    use import_register_request::Part;
    let parts = std::iter::once(Part::Header(file.header())).chain(file.chunks().map(Part::Chunk));
    let messages: Vec<_> = parts.map(|part| ImportRegisterRequest { part: Some(part) }).collect();
    let mut client = RegisterServiceClient::with_interceptor(channel.clone(), caller.clone());
    let answers = client.import_register(tokio_stream::iter(messages)).await?.into_inner();
    outcome(answers, |answer| match answer.part {
        Some(import_register_response::Part::Outcome(outcome)) => Some(outcome),
        _ => None,
    })
    .await
}

/// Imports a monthly file of Ofsted, and returns the outcome.
///
/// # Errors
/// The status, if the server refuses the import or the call fails.
pub async fn ofsted(channel: &Channel, caller: &Caller, file: File<'_>) -> Result<ImportOutcome, Status> {
    use import_ofsted_request::Part;
    let parts = std::iter::once(Part::Header(file.header())).chain(file.chunks().map(Part::Chunk));
    let messages: Vec<_> = parts.map(|part| ImportOfstedRequest { part: Some(part) }).collect();
    let mut client = EligibilityServiceClient::with_interceptor(channel.clone(), caller.clone());
    let answers = client.import_ofsted(tokio_stream::iter(messages)).await?.into_inner();
    outcome(answers, |answer| match answer.part {
        Some(import_ofsted_response::Part::Outcome(outcome)) => Some(outcome),
        _ => None,
    })
    .await
}

/// Reads all answers, and returns the last outcome in them. `outcome_of` returns the outcome in an answer; `None` if the answer
/// only reports progress.
async fn outcome<A>(
    mut answers: Streaming<A>,
    outcome_of: impl Fn(A) -> Option<ImportOutcome>,
) -> Result<ImportOutcome, Status> {
    let mut last = None;
    while let Some(answer) = answers.message().await? {
        last = outcome_of(answer).or(last);
    }
    Ok(last.expect("an import ends with its outcome"))
}

impl File<'_> {
    fn header(&self) -> ImportHeader {
        ImportHeader {
            request_id: fresh(),
            file_name: self.name.to_owned(),
            as_at: self.as_at.to_owned(),
            size_bytes: i64::try_from(self.bytes.len()).expect("the size of a test file fits in 64 bits"),
            ..Default::default()
        }
    }

    fn chunks(&self) -> impl Iterator<Item = Vec<u8>> {
        self.bytes.chunks(CHUNK).map(<[u8]>::to_vec)
    }
}
