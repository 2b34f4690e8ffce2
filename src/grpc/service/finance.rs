//! `FinanceService`.

use tonic::{Request, Response, Status, async_trait};

use super::call::unary;
use crate::app::App;
use crate::app::verify::{ExpectedHead, VerifyReport};
use crate::grpc::message::conversion;
use crate::grpc::message::fields::Fields;
use crate::proto::finance_service_server::FinanceService;
use crate::proto::{VerifiedBook, VerifyLedgerRequest, VerifyLedgerResponse};

/// The service.
#[derive(Debug)]
pub(in crate::grpc) struct Finance(pub(in crate::grpc) App);

#[async_trait]
impl FinanceService for Finance {
    async fn verify_ledger(
        &self,
        request: Request<VerifyLedgerRequest>,
    ) -> Result<Response<VerifyLedgerResponse>, Status> {
        unary(request, async |call| {
            let mut fields = Fields::default();
            let programme = fields.optional("programme", &call.message.programme);
            let expected = expected_head(&mut fields, &call.message.expect);
            let (programme, expected) = fields.done(Some((programme, expected)))?;
            let reports = self.0.verify_ledger(&call.caller, programme.as_ref(), expected).await?;
            let sound = reports.iter().all(VerifyReport::is_sound);
            Ok(VerifyLedgerResponse { books: reports.into_iter().map(book).collect(), sound })
        })
        .await
    }
}

/// Parses the head of a record that the caller noted earlier; `None` if the text is empty.
fn expected_head(fields: &mut Fields, text: &str) -> Option<ExpectedHead> {
    if text.is_empty() {
        return None;
    }
    let parts = text.split_once(':');
    let head = parts.and_then(|(sequence, hash)| {
        let sequence = sequence.parse().ok().filter(|it: &i64| *it > 0)?;
        ExpectedHead::new(sequence, hash).ok()
    });
    if head.is_none() {
        fields.add_violation("expect", "must be a sequence, a colon and 64 hex digits");
    }
    head
}

fn book(it: VerifyReport) -> VerifiedBook {
    VerifiedBook {
        programme: it.programme.to_string(),
        sequence: it.seq.0,
        hash: it.hash.to_string(),
        entries: it.entries,
        difference_count: conversion::row_count(it.count),
        differences: it.differences,
        allowed_when_made_count: conversion::row_count(it.allowed_count),
        allowed_when_made: it.allowed,
        notes: it.notes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_a_sequence_and_a_hash() {
        let hash = "0f".repeat(32);
        let rows = [
            (format!("17:{hash}"), true),
            (String::new(), true),
            (format!("0:{hash}"), false),
            (format!("-1:{hash}"), false),
            (format!("17 {hash}"), false),
            ("17:0f".to_owned(), false),
        ];
        for (text, is_valid) in rows {
            let mut fields = Fields::default();
            let read = expected_head(&mut fields, &text);
            assert_eq!(fields.done(Some(())).is_ok(), is_valid, "{text}");
            assert_eq!(read.map(|it| it.seq.0), (is_valid && !text.is_empty()).then_some(17), "{text}");
        }
    }
}
