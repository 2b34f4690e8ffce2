//! The generated clients, which send the caller's credentials with each call.

use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::Status;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tower::Service;

use crate::credentials::{Credentials, MetadataHeader};
use crate::proto::approval_service_client::ApprovalServiceClient;
use crate::proto::award_service_client::AwardServiceClient;
use crate::proto::eligibility_service_client::EligibilityServiceClient;
use crate::proto::finance_service_client::FinanceServiceClient;
use crate::proto::fund_service_client::FundServiceClient;
use crate::proto::name_service_client::NameServiceClient;
use crate::proto::offer_service_client::OfferServiceClient;
use crate::proto::record_service_client::RecordServiceClient;
use crate::proto::referral_service_client::ReferralServiceClient;
use crate::proto::register_service_client::RegisterServiceClient;
use crate::proto::terms_service_client::TermsServiceClient;
use crate::proto::work_service_client::WorkServiceClient;
use crate::retry::{self, Retry};

/// The largest accepted response. Changes between two months are not paged: 25,000 schools of 200 bytes make 5 MB.
const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

/// A connection that sends the credentials with each call, and drops a token that the server reports as expired.
#[derive(Clone)]
pub struct Authorised {
    channel: Channel,
    headers: Vec<MetadataHeader>,
    credentials: Credentials,
}

impl std::fmt::Debug for Authorised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Only the names, because a value may be a token.
        f.debug_list().entries(self.headers.iter().map(|(name, _)| name)).finish()
    }
}

impl Service<http::Request<Body>> for Authorised {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let mut metadata = MetadataMap::from_headers(parts.headers);
        for (name, value) in &self.headers {
            metadata.insert(*name, value.clone());
        }
        parts.headers = metadata.into_headers();
        let answer = self.channel.call(http::Request::from_parts(parts, body));
        let (headers, credentials) = (self.headers.clone(), self.credentials.clone());
        Box::pin(async move {
            let answer = answer.await?;
            // If the server refuses a call before its handler runs, the status is in the headers.
            let refused = Status::from_header_map(answer.headers());
            if refused.is_some_and(|status| retry::classify(&status) == Retry::WithAnotherToken) {
                credentials.forget_token(&headers);
            }
            Ok(answer)
        })
    }
}

/// The services of the contract, each with its generated client. Calls through them are not retried.
#[derive(Debug, Clone)]
pub struct Services(Authorised);

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $client:ident,)+) => {
        impl Services {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(&self) -> $client<Authorised> {
                    $client::new(self.0.clone()).max_decoding_message_size(MAX_RESPONSE_BYTES)
                }
            )+
        }
    };
}

services! {
    /// Approvals by a second person.
    approvals: ApprovalServiceClient,
    /// Awards and their movements.
    awards: AwardServiceClient,
    /// The eligibility of schools.
    eligibility: EligibilityServiceClient,
    /// Verification of the ledger.
    finance: FinanceServiceClient,
    /// Funds, their movements and entries.
    funds: FundServiceClient,
    /// The names by which people refer to offers, awards, funds and others.
    names: NameServiceClient,
    /// Offers and their states.
    offers: OfferServiceClient,
    /// The record of a programme.
    record: RecordServiceClient,
    /// Referrals of schools and trusts.
    referrals: ReferralServiceClient,
    /// Schools, trusts and imported files.
    register: RegisterServiceClient,
    /// The terms of each programme.
    terms: TermsServiceClient,
    /// What needs attention, and summaries.
    work: WorkServiceClient,
}

impl Services {
    pub(crate) const fn new(channel: Channel, headers: Vec<MetadataHeader>, credentials: Credentials) -> Self {
        Self(Authorised { channel, headers, credentials })
    }

    pub(crate) fn headers(&self) -> &[MetadataHeader] {
        &self.0.headers
    }
}
