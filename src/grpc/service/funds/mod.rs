//! `FundService`.

mod entries;
mod list;

use tonic::{Request, Response, Status, async_trait};

use super::call::{Call, unary};
use crate::app::commands::{AllocateFund, CreateFund, MoveFunds, WithdrawFund};
use crate::app::{App, PositionConditions, Result};
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, RequestId};
use crate::domain::terms::StrandId;
use crate::domain::time::Micros;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::Fields;
use crate::proto::fund_service_server::FundService;
use crate::proto::{
    AllocateFundRequest, AllocateFundResponse, CreateFundRequest, CreateFundResponse, FinancialYear,
    GetFundPositionRequest, GetFundPositionResponse, GetFundRequest, GetFundResponse, ListFundEntriesRequest,
    ListFundEntriesResponse, ListFundsRequest, ListFundsResponse, MoveFundsRequest, MoveFundsResponse,
    StreamFundEntriesRequest, WithdrawFundRequest, WithdrawFundResponse,
};

/// The service.
#[derive(Debug)]
pub(in crate::grpc) struct Funds(pub(in crate::grpc) App);

type Reply<T> = std::result::Result<Response<T>, Status>;

#[async_trait]
impl FundService for Funds {
    async fn create_fund(&self, request: Request<CreateFundRequest>) -> Reply<CreateFundResponse> {
        unary(request, async |call| {
            let (command, validate_only) = (create_command(&call.message), call.message.validate_only);
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn get_fund(&self, request: Request<GetFundRequest>) -> Reply<GetFundResponse> {
        unary(request, async |call| {
            let mut fields = Fields::default();
            let id = fields.parse("fund", &call.message.fund);
            let fund = self.0.get_fund(&call.caller, fields.done(id)?).await?;
            Ok(GetFundResponse { fund: Some(conversion::fund(&fund)) })
        })
        .await
    }

    async fn list_funds(&self, request: Request<ListFundsRequest>) -> Reply<ListFundsResponse> {
        unary(request, async |call| list::list(&self.0, call).await).await
    }

    async fn allocate_fund(&self, request: Request<AllocateFundRequest>) -> Reply<AllocateFundResponse> {
        unary(request, async |call| {
            let message = &call.message;
            let command = Fields::command(&message.request_id, |fields| {
                let fund = fields.parse("fund", &message.fund);
                let amount = fields.pence("amount_pence", message.amount_pence);
                let on = fields.effective_date("date", &message.date, call.now.today);
                let text = fields.note("note", &message.note);
                let etag = fields.etag("etag", &message.etag);
                Some(AllocateFund { fund: fund?, amount: amount?, on: on?, etag, text })
            });
            let validate_only = message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn withdraw_fund(&self, request: Request<WithdrawFundRequest>) -> Reply<WithdrawFundResponse> {
        unary(request, async |call| {
            let message = &call.message;
            let command = Fields::command(&message.request_id, |fields| {
                let fund = fields.parse("fund", &message.fund);
                let amount = fields.pence("amount_pence", message.amount_pence);
                let on = fields.effective_date("date", &message.date, call.now.today);
                let text = fields.note("note", &message.note);
                let etag = fields.etag("etag", &message.etag);
                Some(WithdrawFund {
                    fund: fund?,
                    amount: amount?,
                    over_commit: message.over_commit,
                    on: on?,
                    etag,
                    text,
                })
            });
            let validate_only = message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn move_funds(&self, request: Request<MoveFundsRequest>) -> Reply<MoveFundsResponse> {
        unary(request, async |call| {
            let message = &call.message;
            let command = Fields::command(&message.request_id, |fields| {
                let from: Option<AccountId> = fields.parse("from_fund", &message.from_fund);
                let to: Option<AccountId> = fields.parse("to_fund", &message.to_fund);
                let amount = fields.pence("amount_pence", message.amount_pence);
                let on = fields.effective_date("date", &message.date, call.now.today);
                let text = fields.note("note", &message.note);
                let etag = fields.etag("etag", &message.etag);
                Some(MoveFunds { from: from?, to: to?, amount: amount?, on: on?, etag, text })
            });
            let validate_only = message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn get_fund_position(&self, request: Request<GetFundPositionRequest>) -> Reply<GetFundPositionResponse> {
        unary(request, async |call| get_position(&self.0, call).await).await
    }

    async fn list_fund_entries(&self, request: Request<ListFundEntriesRequest>) -> Reply<ListFundEntriesResponse> {
        unary(request, async |call| entries::list(&self.0, call).await).await
    }

    type StreamFundEntriesStream = entries::EntriesStream;

    async fn stream_fund_entries(&self, request: Request<StreamFundEntriesRequest>) -> Reply<entries::EntriesStream> {
        unary(request, async |call| entries::stream(&self.0, call).await).await
    }
}

fn create_command(message: &CreateFundRequest) -> Result<(RequestId, CreateFund)> {
    Fields::command(&message.request_id, |fields| {
        let programme = fields.programme(&message.programme);
        let strand = fields.strand(&message.strand).map(StrandId::new);
        if message.strand.trim().is_empty() {
            fields.add_violation("strand", "is required");
        }
        let region = fields.optional("region", &message.region);
        Some(CreateFund { programme: programme?, strand: strand?, region })
    })
}

async fn get_position(app: &App, call: Call<GetFundPositionRequest>) -> Result<GetFundPositionResponse> {
    let message = &call.message;
    let mut fields = Fields::default();
    let fund = fields.parse("fund", &message.fund);
    let as_of = if message.as_of_date.is_empty() { None } else { fields.date("as_of_date", &message.as_of_date) };
    let recorded_by = message.recorded_by_time.as_ref().and_then(|it| {
        let micros = to_micros(it);
        if micros.is_none() {
            fields.add_violation("recorded_by_time", "is not an instant");
        }
        micros
    });
    if message.at_sequence < 0 {
        fields.add_violation("at_sequence", "is the number of an event, 1 or more, or 0 for the last");
    }
    let at = (message.at_sequence > 0).then_some(Seq(message.at_sequence));
    let fund: AccountId = fields.done(fund)?;
    let response = app.fund_position(&call.caller, fund, PositionConditions { as_of, recorded_by, at }).await?;
    Ok(GetFundPositionResponse {
        fund: fund.to_string(),
        at_sequence: response.at.0,
        position: Some(conversion::position(&response.total)),
        financial_years: response
            .years
            .iter()
            .map(|(year, moved)| FinancialYear { year: year.clone(), moved: Some(conversion::position(moved)) })
            .collect(),
    })
}

/// Converts an instant to whole microseconds, the precision of the record. Returns `None` if the nanoseconds are not
/// within one second, or the instant is too far from 1970.
fn to_micros(at: &prost_types::Timestamp) -> Option<Micros> {
    let nanos = Some(at.nanos).filter(|it| (0..1_000_000_000).contains(it))?;
    at.seconds.checked_mul(1_000_000)?.checked_add(i64::from(nanos.checked_div(1_000)?)).map(Micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_cut_to_microseconds() {
        let at = |seconds, nanos| to_micros(&prost_types::Timestamp { seconds, nanos }).map(|it| it.0);
        assert_eq!(at(1, 2_999), Some(1_000_002));
        assert_eq!(at(-1, 0), Some(-1_000_000));
        assert_eq!(at(0, 1_000_000_000), None);
        assert_eq!(at(0, -1), None);
        assert_eq!(at(i64::MAX, 0), None);
    }
}
