//! The generated clients, with the caller's proof on each call.

use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::credentials::Header;
use crate::proto::approval_service_client::ApprovalServiceClient;
use crate::proto::award_service_client::AwardServiceClient;
use crate::proto::eligibility_service_client::EligibilityServiceClient;
use crate::proto::finance_service_client::FinanceServiceClient;
use crate::proto::fund_service_client::FundServiceClient;
use crate::proto::offer_service_client::OfferServiceClient;
use crate::proto::referral_service_client::ReferralServiceClient;
use crate::proto::register_service_client::RegisterServiceClient;
use crate::proto::terms_service_client::TermsServiceClient;

/// The largest answer taken. Changes between two months are not paged: 25,000 schools of 200 bytes make 5 MB.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// A connection that shows on each call who makes it.
pub type Authorised = InterceptedService<Channel, Proof>;

/// What a caller shows.
#[derive(Clone)]
pub struct Proof(Vec<Header>);

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Interceptor for Proof {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in &self.0 {
            request.metadata_mut().insert(*name, value.clone());
        }
        Ok(request)
    }
}

/// The services of the contract, each with its generated client. A call through one is made once, as it is.
#[derive(Debug, Clone)]
pub struct Services {
    channel: Channel,
    proof: Proof,
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $client:ident,)+) => {
        impl Services {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(&self) -> $client<Authorised> {
                    let proven = $client::with_interceptor(self.channel.clone(), self.proof.clone());
                    proven.max_decoding_message_size(LARGEST_ANSWER)
                }
            )+
        }
    };
}

services! {
    /// What waits for a second person.
    approvals: ApprovalServiceClient,
    /// Awards and what becomes of them.
    awards: AwardServiceClient,
    /// Who is eligible, and why.
    eligibility: EligibilityServiceClient,
    /// The proof of the books.
    finance: FinanceServiceClient,
    /// Funds, their movements and entries.
    funds: FundServiceClient,
    /// Offers on their way.
    offers: OfferServiceClient,
    /// Schools and trusts that come forward.
    referrals: ReferralServiceClient,
    /// Schools, trusts and imported files.
    register: RegisterServiceClient,
    /// The scheme of each programme.
    terms: TermsServiceClient,
}

impl Services {
    pub(super) const fn new(channel: Channel, headers: Vec<Header>) -> Self {
        Self { channel, proof: Proof(headers) }
    }

    pub(super) fn headers(&self) -> &[Header] {
        &self.proof.0
    }
}
