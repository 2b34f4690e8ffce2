//! A preview of what moves money or days is the same call without its traces, refusal or not.

use tonic::Response;
use tsio::proto::{
    AllocateFundRequest, BookDaysRequest, CancelBookingRequest, CheckAwardRequest, CreateAwardsRequest,
    CreateFundRequest, DrawAwardRequest, MoveFundsRequest, RefundAwardRequest, ReleaseAwardRequest,
    WithdrawFundRequest, draw_award_request, refund_award_request, release_award_request,
};

use crate::client::{Client, YEAR, fresh, of_school, reason, seen};
use crate::harness::{Db, Server, both};
use crate::money::{DAY, amounts, balances, credit, nle, refusal};
use crate::past::proved;

both!(what_becomes_of_an_award, what_moves_between_funds, what_would_be_made);

/// Previews a call under the id it is then made with: no trace of the preview, and the very same answer.
macro_rules! previewed {
    ($db:expr, $client:expr, $service:ident . $rpc:ident, $message:expr) => {{
        let mut message = $message;
        message.request_id = fresh();
        let head = proved($db);
        message.validate_only = true;
        let preview = $client.$service().$rpc($client.ask(message.clone())).await.map(Response::into_inner);
        assert_eq!(proved($db), head, stringify!($rpc));
        message.validate_only = false;
        let real = $client.$service().$rpc($client.ask(message)).await.map(Response::into_inner);
        assert_eq!(seen(preview), seen(real.clone()), stringify!($rpc));
        real
    }};
}

async fn what_becomes_of_an_award(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = of_school(&offers, 910_003);
    client.financed(YEAR, "credit", 100_000).await;
    client.accepted(school).await;
    let award = client.awarded(&school.offer, credit(10_000)).await;
    let days = client.awarded(&school.offer, nle(4)).await;
    client.start(&school.offer).await.unwrap();
    let date = || DAY.to_owned();

    let booked = |half_days| BookDaysRequest { award: days.clone(), half_days, date: date(), ..Default::default() };
    let booking = previewed!(&db, client, award_service.book_days, booked(3)).unwrap().booking;
    assert_eq!(reason(&previewed!(&db, client, award_service.book_days, booked(2)).unwrap_err()), "AWARD_EXCEEDED");
    let second = previewed!(&db, client, award_service.book_days, booked(1)).unwrap().booking;
    assert_eq!(second, booking + 1);
    let cancel = CancelBookingRequest { award: days.clone(), booking: second, ..Default::default() };
    previewed!(&db, client, award_service.cancel_booking, cancel.clone()).unwrap();
    let twice = previewed!(&db, client, award_service.cancel_booking, cancel).unwrap_err();
    assert_eq!(reason(&twice), "BOOKING_NOT_OPEN");
    let deliver = DrawAwardRequest { award: days, booking, date: date(), ..Default::default() };
    let delivered = previewed!(&db, client, award_service.draw_award, deliver).unwrap().award.unwrap();
    assert_eq!(amounts(&delivered), [4, 3, 0, 0, 1]);

    let draw = |pence| DrawAwardRequest {
        award: award.clone(),
        amount: Some(draw_award_request::Amount::AmountPence(pence)),
        date: date(),
        note: "first half".to_owned(),
        ..Default::default()
    };
    previewed!(&db, client, award_service.draw_award, draw(6_000)).unwrap();
    let over = previewed!(&db, client, award_service.draw_award, draw(4_001)).unwrap_err();
    assert_eq!((reason(&over).as_str(), refusal(&over).largest), ("AWARD_EXCEEDED", Some(4_000)));
    let release = ReleaseAwardRequest {
        award: award.clone(),
        amount: Some(release_award_request::Amount::AmountPence(1_000)),
        date: date(),
        ..Default::default()
    };
    previewed!(&db, client, award_service.release_award, release).unwrap();
    let refund = RefundAwardRequest {
        award: award.clone(),
        amount: Some(refund_award_request::Amount::AmountPence(2_500)),
        reason: "paid in error".to_owned(),
        date: date(),
        ..Default::default()
    };
    previewed!(&db, client, award_service.refund_award, refund).unwrap();
    assert_eq!(amounts(&client.get_award(&award).await), [10_000, 6_000, 1_000, 2_500, 3_000]);
}

async fn what_moves_between_funds(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let (fund, to_fund) = (client.financed(YEAR, "credit", 1_000).await, client.made(YEAR, "nlg", "").await);
    let date = || "2021-10-01".to_owned();
    let allocate = AllocateFundRequest { fund: fund.clone(), amount_pence: 50, date: date(), ..Default::default() };
    previewed!(&db, client, fund_service.allocate_fund, allocate).unwrap();
    let withdraw =
        |amount_pence| WithdrawFundRequest { fund: fund.clone(), amount_pence, date: date(), ..Default::default() };
    previewed!(&db, client, fund_service.withdraw_fund, withdraw(100)).unwrap();
    let over = previewed!(&db, client, fund_service.withdraw_fund, withdraw(951)).unwrap_err();
    assert_eq!((reason(&over).as_str(), refusal(&over).largest), ("FUNDS_INSUFFICIENT", Some(950)));
    let moved = MoveFundsRequest {
        from_fund: fund.clone(),
        to_fund: to_fund.clone(),
        amount_pence: 200,
        date: date(),
        ..Default::default()
    };
    let moved = previewed!(&db, client, fund_service.move_funds, moved).unwrap();
    assert_eq!(balances(&moved.from_fund.unwrap()), [750, 0, 0, 750]);
    assert_eq!(balances(&moved.to_fund.unwrap()), [200, 0, 0, 200]);
    // A preview opens no approval.
    let much = AllocateFundRequest {
        request_id: fresh(),
        fund: fund.clone(),
        amount_pence: 5_000_001,
        date: date(),
        validate_only: true,
        ..Default::default()
    };
    let head = proved(&db);
    let waits = client.fund_service().allocate_fund(client.ask(much)).await.unwrap_err();
    assert_eq!((reason(&waits).as_str(), proved(&db)), ("APPROVAL_REQUIRED", head));
    let open =
        client.approvals().list_approvals(client.ask(tsio::proto::ListApprovalsRequest::default())).await.unwrap();
    assert_eq!(open.into_inner().approvals.len(), 0);
}

/// What is made has an id of its own each time; all else of the preview is as it will be.
async fn what_would_be_made(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = of_school(&offers, 910_003);
    client.accepted(school).await;
    let head = proved(&db);
    let mut create = CreateFundRequest {
        request_id: fresh(),
        programme: YEAR.to_owned(),
        strand: "credit".to_owned(),
        validate_only: true,
        ..Default::default()
    };
    let mut would =
        client.fund_service().create_fund(client.ask(create.clone())).await.unwrap().into_inner().fund.unwrap();
    assert_eq!((proved(&db), client.funds(YEAR).await.len()), (head, 1));
    create.validate_only = false;
    let made = client.fund_service().create_fund(client.ask(create)).await.unwrap().into_inner().fund.unwrap();
    would.fund.clone_from(&made.fund);
    assert_eq!(would, made);
    client.allocate(&made.fund, 100_000, &fresh()).await.unwrap();

    let head = proved(&db);
    let awards = vec![credit(100_000), nle(6)];
    let offer = school.offer.clone();
    let check =
        CheckAwardRequest { offer: offer.clone(), awards: awards.clone(), date: DAY.to_owned(), ..Default::default() };
    let checked = client.award_service().check_award(client.ask(check)).await.unwrap().into_inner();
    assert_eq!((checked.judged_at_sequence, proved(&db)), (head[0].0, head.clone()));
    let mut create = CreateAwardsRequest {
        request_id: fresh(),
        offer,
        awards,
        date: DAY.to_owned(),
        validate_only: true,
        ..Default::default()
    };
    let would = client.award_service().create_awards(client.ask(create.clone())).await.unwrap().into_inner();
    assert_eq!(proved(&db), head);
    create.validate_only = false;
    let made = client.award_service().create_awards(client.ask(create)).await.unwrap().into_inner();
    for preview in [would.awards, checked.awards] {
        assert_eq!(preview.len(), 2);
        for (mut would, made) in preview.into_iter().zip(&made.awards) {
            assert_eq!(would.award, "", "an id of an award that is not made");
            would.award.clone_from(&made.award);
            assert_eq!(would, *made);
        }
    }
    assert_eq!((would.warnings, checked.warnings), (made.warnings.clone(), made.warnings));
    proved(&db);
}
