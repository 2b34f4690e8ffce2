//! The lists of the contract, which are read page by page.

use crate::proto;

/// A request for a page of a list.
pub trait List: prost::Message + Clone {
    /// The response with a page.
    type Page: Listed;
    /// Sets the token of the page to read.
    fn turn(&mut self, page_token: String);
}

/// A page of a list.
pub trait Listed {
    /// An item of the list.
    type Item;
    /// Returns the items, and the token of the next page, which is empty on the last page.
    fn into_parts(self) -> (Vec<Self::Item>, String);
}

/// Implements [`List`] and [`Listed`] for each list: its request, its response with the field of the items, and their type.
macro_rules! lists {
    ($($request:ident -> $response:ident . $items:ident: $item:ident,)+) => {
        $(
            impl List for proto::$request {
                type Page = proto::$response;
                fn turn(&mut self, page_token: String) {
                    self.page_token = page_token;
                }
            }

            impl Listed for proto::$response {
                type Item = proto::$item;
                fn into_parts(self) -> (Vec<Self::Item>, String) {
                    (self.$items, self.next_page_token)
                }
            }
        )+
        #[cfg(test)]
        const ALL: &[&str] = &[$(stringify!($request)),+];
    };
}

lists! {
    ListApprovalsRequest -> ListApprovalsResponse.approvals: Approval,
    ListAwardsRequest -> ListAwardsResponse.awards: Award,
    ListDueRequest -> ListDueResponse.items: DueItem,
    ListEligibilityChangesRequest -> ListEligibilityChangesResponse.changes: EligibilityChange,
    ListEligibilityRequest -> ListEligibilityResponse.schools: SchoolEligibility,
    ListFundEntriesRequest -> ListFundEntriesResponse.entries: FundEntry,
    ListFundsRequest -> ListFundsResponse.funds: Fund,
    ListImportsRequest -> ListImportsResponse.imports: Import,
    ListOfferEventsRequest -> ListOfferEventsResponse.events: OfferEvent,
    ListOffersRequest -> ListOffersResponse.offers: Offer,
    ListReferralsRequest -> ListReferralsResponse.referrals: Referral,
    ListSchoolsRequest -> ListSchoolsResponse.schools: School,
    ListTrustsRequest -> ListTrustsResponse.trusts: Trust,
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn every_list_of_the_contract_is_declared() {
        let set = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let messages = set.file.iter().filter(|file| file.package() == "tsio.v1").flat_map(|file| &file.message_type);
        let is_list_request =
            |it: &&prost_types::DescriptorProto| it.field.iter().any(|field| field.name() == "page_token");
        let mut declared_by_contract: Vec<&str> = messages.filter(is_list_request).map(|it| it.name()).collect();
        declared_by_contract.sort_unstable();
        assert_eq!(declared_by_contract, ALL);
    }
}
