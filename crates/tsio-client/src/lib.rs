//! The contract of tsio, and its client library: typed calls to a running server, retried only if that is safe.
//!
//! ```no_run
//! # async fn example() -> Result<(), tsio_client::Error> {
//! use tsio_client::Client;
//! use tsio_client::proto::{AcceptOfferRequest, Acceptor, ListOffersRequest, OfferState};
//!
//! let client = Client::to("https://tsio.example:50051")
//!     .authority(std::fs::read("ca.pem").unwrap_or_default())
//!     .token_file("/run/secrets/tsio-token")
//!     .connect()
//!     .await?;
//!
//! let contacted = ListOffersRequest {
//!     programme: "2021-22".to_owned(),
//!     state: OfferState::Contacted.into(),
//!     ..Default::default()
//! };
//! let offers = client.every(contacted, async |tsio, request| tsio.offers().list_offers(request).await).await?;
//!
//! for offer in offers {
//!     let accept = AcceptOfferRequest {
//!         offer: offer.offer,
//!         etag: offer.etag,
//!         acceptor: Acceptor::School.into(),
//!         date: "2021-10-11".to_owned(),
//!         ..Default::default()
//!     };
//!     // The request id is made once and used in every try.
//!     match client.mutate(accept, async |tsio, request| tsio.offers().accept_offer(request).await).await {
//!         Ok(answer) => println!("accepted: {:?}", answer.offer),
//!         Err(error) => match error.refusal() {
//!             Some(refusal) => println!("refused: {} ({:?})", refusal.message, refusal.limits),
//!             None => return Err(error),
//!         },
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | what | how |
//! |---|---|
//! | a mutation | [`Client::mutate`]: one request id for all tries |
//! | a read | [`Client::read`] |
//! | a whole list | [`Client::every`] |
//! | the changes of a programme's offers | [`Client::watch`], which resumes a broken stream |
//! | anything else, such as an upload | [`Client::services`]: the generated clients, with the caller's credentials |
//!
//! `docs/how-to/client-developer.md` says which errors are retried.

pub mod proto;

mod connect;
mod credentials;
mod error;
mod lists;
mod mutations;
mod retry;
mod services;
mod watch;

pub use connect::{Builder, Client, DEADLINE, PATIENCE, SILENCE};
pub use credentials::TokenSource;
pub use error::{Error, Failed};
pub use lists::{List, Listed};
pub use mutations::Mutation;
pub use services::{Authorised, Services};
pub use watch::Watch;
