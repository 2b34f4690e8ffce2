//! Callers who raise, discuss and decide referrals, and the requests that they make.

use tonic::transport::Channel;
use tonic::{Request, Status};
use tsio::proto::referral_service_client::ReferralServiceClient;
use tsio::proto::{
    DecideReferralRequest, DecideReferralResponse, ListReferralsRequest, RaiseReferralRequest, RaiseReferralResponse,
    RecordDiscussionRequest, Referral, ReferralDecision, ReferralOrigin, ReferralState,
};

use crate::client::{Client, YEAR, fresh};
use crate::harness::Server;

/// A caller: an actor with roles, in one region or in all.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    channel: Channel,
    actor: String,
    roles: &'static str,
    region: Option<&'static str>,
}

impl Caller {
    /// Connects as Ann, a case officer of every region.
    pub(super) async fn of(server: &Server) -> Self {
        let channel = Client::of(server).await.channel();
        Self { channel, actor: "ann".to_owned(), roles: "case-officer", region: None }
    }

    /// Returns another caller on the same connection.
    pub(super) fn named(&self, actor: &str, roles: &'static str, region: Option<&'static str>) -> Self {
        Self { channel: self.channel.clone(), actor: actor.to_owned(), roles, region }
    }

    pub(super) fn service(&self) -> ReferralServiceClient<Channel> {
        ReferralServiceClient::new(self.channel.clone())
    }

    /// Makes a request with this message and the caller's metadata.
    pub(super) fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-tsio-actor", self.actor.parse().unwrap());
        request.metadata_mut().insert("x-tsio-roles", self.roles.parse().unwrap());
        if let Some(region) = self.region {
            request.metadata_mut().insert("x-tsio-regions", region.parse().unwrap());
        }
        request
    }

    pub(super) async fn raise(&self, message: RaiseReferralRequest) -> Result<RaiseReferralResponse, Status> {
        Ok(self.service().raise_referral(self.ask(message)).await?.into_inner())
    }

    pub(super) async fn discuss(&self, referral: &str) -> Result<(), Status> {
        self.service().record_discussion(self.ask(discussion_request(referral))).await.map(drop)
    }

    /// Approves a referral.
    pub(super) async fn decide(&self, referral: &str, id: &str) -> Result<DecideReferralResponse, Status> {
        Ok(self.service().decide_referral(self.ask(approve_request(referral, id))).await?.into_inner())
    }

    /// Lists the referrals of the year in this state, or in all states if it is unspecified.
    pub(super) async fn list(&self, state: ReferralState) -> Vec<Referral> {
        let request = ListReferralsRequest { programme: YEAR.to_owned(), state: state.into(), ..Default::default() };
        self.service().list_referrals(self.ask(request)).await.unwrap().into_inner().referrals
    }
}

/// Makes a request that raises a referral of this school.
pub(super) fn raise_request(urn: i32) -> RaiseReferralRequest {
    RaiseReferralRequest {
        request_id: fresh(),
        programme: YEAR.to_owned(),
        urns: vec![urn],
        origin: ReferralOrigin::SelfIdentified.into(),
        ground: "would_benefit".to_owned(),
        date: "2021-11-02".to_owned(),
        reason: "the head teacher wrote".to_owned(),
        ..Default::default()
    }
}

/// Makes a request that records a discussion.
pub(super) fn discussion_request(referral: &str) -> RecordDiscussionRequest {
    RecordDiscussionRequest {
        request_id: fresh(),
        referral: referral.to_owned(),
        date: "2021-11-09".to_owned(),
        note: "with the chair of governors".to_owned(),
        ..Default::default()
    }
}

/// Makes a request that approves a referral.
pub(super) fn approve_request(referral: &str, id: &str) -> DecideReferralRequest {
    DecideReferralRequest {
        request_id: id.to_owned(),
        referral: referral.to_owned(),
        decision: ReferralDecision::Approve.into(),
        date: "2021-11-12".to_owned(),
        reason: "as discussed".to_owned(),
        ..Default::default()
    }
}
