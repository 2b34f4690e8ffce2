//! Callers who raise, discuss and decide referrals, and their requests.

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

    pub(super) fn named(&self, actor: &str, roles: &'static str, region: Option<&'static str>) -> Self {
        Self { channel: self.channel.clone(), actor: actor.to_owned(), roles, region }
    }

    pub(super) fn service(&self) -> ReferralServiceClient<Channel> {
        ReferralServiceClient::new(self.channel.clone())
    }

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
        self.service().record_discussion(self.ask(discussion(referral))).await.map(drop)
    }

    pub(super) async fn decide(&self, referral: &str, id: &str) -> Result<DecideReferralResponse, Status> {
        Ok(self.service().decide_referral(self.ask(deciding(referral, id))).await?.into_inner())
    }

    pub(super) async fn list(&self, state: ReferralState) -> Vec<Referral> {
        let request = ListReferralsRequest { programme: YEAR.to_owned(), state: state.into(), ..Default::default() };
        self.service().list_referrals(self.ask(request)).await.unwrap().into_inner().referrals
    }
}

pub(super) fn raising(urn: i32) -> RaiseReferralRequest {
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

pub(super) fn discussion(referral: &str) -> RecordDiscussionRequest {
    RecordDiscussionRequest {
        request_id: fresh(),
        referral: referral.to_owned(),
        date: "2021-11-09".to_owned(),
        note: "with the chair of governors".to_owned(),
        ..Default::default()
    }
}

pub(super) fn deciding(referral: &str, id: &str) -> DecideReferralRequest {
    DecideReferralRequest {
        request_id: id.to_owned(),
        referral: referral.to_owned(),
        decision: ReferralDecision::Approve.into(),
        date: "2021-11-12".to_owned(),
        reason: "as discussed".to_owned(),
        ..Default::default()
    }
}
