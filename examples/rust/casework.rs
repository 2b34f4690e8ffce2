//! Calls tsio from Rust, with the crate `tsio-client`.
//!
//! First, a service with a certificate lists offers. Then an officer with a token accepts an offer, makes an award, and reads
//! why a second award is refused. At the end the officer watches the programme until delivery of the offer starts.
//!
//! Environment variables: the server as host:port (`TSIO_TARGET`), the authority that signed its certificate (`TSIO_CA`), the
//! certificate of this service and its key (`TSIO_CERT`, `TSIO_KEY`), and the URL that returns a token (`TSIO_TOKEN_URL`).

use std::error::Error;

use tsio_client::Client;
use tsio_client::proto::new_award::{Amount, Support};
use tsio_client::proto::watch_offers_request::Start;
use tsio_client::proto::watch_offers_response::Update;
use tsio_client::proto::{
    AcceptOfferRequest, Acceptor, CreateAwardsRequest, CreditSupport, ListOffersRequest, NewAward, OfferState,
    WatchOffersRequest,
};

const PROGRAMME: &str = "2021-22";

fn file(name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(std::fs::read(std::env::var(name)?)?)
}

/// A connection to the server over TLS, not opened yet.
fn server() -> Result<tsio_client::Builder, Box<dyn Error>> {
    Ok(Client::to(format!("https://{}", std::env::var("TSIO_TARGET")?)).authority(file("TSIO_CA")?))
}

/// Gets a token from the issuer. The client calls this before the first call, and again when the token has expired.
async fn token() -> Result<String, Box<dyn Error + Send + Sync>> {
    let url = std::env::var("TSIO_TOKEN_URL")?;
    tokio::task::spawn_blocking(move || Ok(ureq::get(url).call()?.body_mut().read_to_string()?)).await?
}

/// Creates a request for an award of credit. The client adds a request id, the same in every try.
fn credit(offer: &str, pence: i64) -> CreateAwardsRequest {
    let suitable_because = "strong on early reading".to_owned();
    let support = Support::Credit(CreditSupport { partner_uid: 90_001, suitable_because });
    let award = NewAward { amount: Some(Amount::AmountPence(pence)), support: Some(support) };
    let date = "2021-11-01".to_owned();
    CreateAwardsRequest { offer: offer.to_owned(), awards: vec![award], date, ..Default::default() }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = server()?.certificate(file("TSIO_CERT")?, file("TSIO_KEY")?).connect().await?;
    let list_request = ListOffersRequest {
        programme: PROGRAMME.to_owned(),
        filter: "state = CONTACTED".to_owned(),
        ..Default::default()
    };
    let found = service.every(list_request, async |tsio, request| tsio.offers().list_offers(request).await).await?;
    println!("listed {}", found.len());
    let offer = found.first().ok_or("no offer is in the state contacted")?.offer.clone();

    let officer = server()?.tokens(token).connect().await?;
    let accept = AcceptOfferRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        offer: offer.clone(),
        acceptor: Acceptor::School.into(),
        date: "2021-09-20".to_owned(),
        ..Default::default()
    };
    let accepted = officer.mutate(accept.clone(), async |tsio, it| tsio.offers().accept_offer(it).await).await?;
    let state = accepted.offer.as_ref().map(|it| it.state().as_str_name()).unwrap_or_default();
    println!("accepted {offer} {state}");
    let again = officer.mutate(accept, async |tsio, it| tsio.offers().accept_offer(it).await).await?;
    if again != accepted {
        return Err("the same request id must answer the same".into());
    }

    let award = credit(&offer, 300_000);
    let made = officer.mutate(award, async |tsio, it| tsio.awards().create_awards(it).await).await?;
    println!("awarded {}", made.awards.first().map(|it| it.awarded).unwrap_or_default());

    let too_much = credit(&offer, 800_000);
    match officer.mutate(too_much, async |tsio, it| tsio.awards().create_awards(it).await).await {
        Ok(_) => return Err("an award above its limits was made".into()),
        Err(error) => {
            let refusal = error.refusal().ok_or("the refusal says nothing")?;
            println!("refused {} largest {}", refusal.reason, refusal.largest.unwrap_or_default());
            for limit in &refusal.limits {
                let (requested, largest) = (limit.requested.unwrap_or_default(), limit.largest.unwrap_or_default());
                println!("limit {} requested {requested} largest {largest}", limit.kind);
            }
        }
    }

    let start = Some(Start::AfterSequence(0));
    let watch_request = WatchOffersRequest { programme: PROGRAMME.to_owned(), start, ..Default::default() };
    let mut watch = officer.watch(watch_request).on_break(|status| {
        let expired = status.code() == tonic::Code::Unauthenticated;
        println!("{}", if expired { "token expired: asking for another" } else { "watching again" });
    });
    loop {
        let message = watch.next().await?;
        let Some(Update::Change(change)) = message.update else {
            println!("up to {}", message.sequence);
            continue;
        };
        println!("change {}", message.sequence);
        let changed = change.offer.unwrap_or_default();
        if changed.offer == offer && changed.state() == OfferState::Delivering {
            break;
        }
    }
    println!("done");
    Ok(())
}
