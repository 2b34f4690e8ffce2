//! Makes the awards of a request, from arguments or from a bundle file.

use std::path::Path;

use serde::{Deserialize, Deserializer};

use crate::cli::amounts;
use crate::cli::errors::Failure;
use crate::cli::names::Choice as _;
use crate::proto::new_award::{Amount, Support};
use crate::proto::{CreditSupport, LeaderKind, NewAward, NleSupport, NlgSupport, NpqelSupport};

/// The content of a bundle file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BundleFile {
    awards: Vec<BundleAward>,
}

/// One award of a bundle file. Its keys are the names of the command-line arguments.
#[derive(Debug, Deserialize)]
#[serde(tag = "strand", rename_all = "snake_case", deny_unknown_fields)]
enum BundleAward {
    Nle {
        #[serde(deserialize_with = "days")]
        days: i32,
        leader: String,
        organisation: String,
        #[serde(default, deserialize_with = "leader_kind")]
        leader_kind: Option<LeaderKind>,
    },
    Credit {
        #[serde(deserialize_with = "pounds")]
        amount: i64,
        partner: i32,
        suitable_because: String,
    },
    Nlg {
        #[serde(deserialize_with = "pounds")]
        amount: i64,
        because: String,
        #[serde(default)]
        leader: Option<String>,
        #[serde(default)]
        organisation: Option<String>,
    },
    Npqel {
        #[serde(deserialize_with = "pounds")]
        amount: i64,
        leader: String,
        provider: String,
        because: String,
    },
}

/// Reads the awards of a bundle file: JSON if its name ends in `.json`, otherwise TOML.
///
/// # Errors
/// [`Failure::Local`] if the file cannot be read, or is not a bundle.
pub(super) async fn read(file: &Path) -> Result<Vec<NewAward>, Failure> {
    let name = file.display();
    let text = tokio::fs::read_to_string(file).await;
    let text = text.map_err(|error| Failure::Local("FILE_UNREADABLE", format!("cannot read {name}: {error}")))?;
    let is_json = file.extension().is_some_and(|it| it.eq_ignore_ascii_case("json"));
    parse(&text, is_json).map_err(|error| Failure::Local("BUNDLE_UNSOUND", format!("{name}: {}", error.trim_end())))
}

/// Parses the text of a bundle file.
///
/// # Errors
/// The message of the parser.
pub(super) fn parse(text: &str, is_json: bool) -> Result<Vec<NewAward>, String> {
    let bundle: BundleFile = if is_json {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        toml::from_str(text).map_err(|error| error.to_string())?
    };
    Ok(bundle.awards.into_iter().map(NewAward::from).collect())
}

impl From<BundleAward> for NewAward {
    fn from(award: BundleAward) -> Self {
        match award {
            BundleAward::Nle { days, leader, organisation, leader_kind } => {
                nle(days, leader, organisation, leader_kind)
            }
            BundleAward::Credit { amount, partner, suitable_because } => credit(amount, partner, suitable_because),
            BundleAward::Nlg { amount, because, leader, organisation } => nlg(amount, because, leader, organisation),
            BundleAward::Npqel { amount, leader, provider, because } => npqel(amount, leader, provider, because),
        }
    }
}

/// Makes an award of days of a national leader of education.
pub(super) fn nle(half_days: i32, leader: String, organisation: String, leader_kind: Option<LeaderKind>) -> NewAward {
    let leader_kind = leader_kind.unwrap_or(LeaderKind::Unspecified).into();
    let support = Support::Nle(NleSupport { leader, organisation, leader_kind });
    NewAward { amount: Some(Amount::HalfDays(half_days)), support: Some(support) }
}

/// Makes an award of credit.
pub(super) const fn credit(pence: i64, partner_uid: i32, suitable_because: String) -> NewAward {
    money_award(pence, Support::Credit(CreditSupport { partner_uid, suitable_because }))
}

/// Makes an award of support of a national leader of governance.
pub(super) fn nlg(pence: i64, because: String, leader: Option<String>, organisation: Option<String>) -> NewAward {
    let (leader, organisation) = (leader.unwrap_or_default(), organisation.unwrap_or_default());
    money_award(pence, Support::Nlg(NlgSupport { because, leader, organisation }))
}

/// Makes an award of the fees of the executive leadership qualification.
pub(super) const fn npqel(pence: i64, leader: String, provider: String, because: String) -> NewAward {
    money_award(pence, Support::Npqel(NpqelSupport { leader, provider, because }))
}

const fn money_award(pence: i64, support: Support) -> NewAward {
    NewAward { amount: Some(Amount::AmountPence(pence)), support: Some(support) }
}

fn pounds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    amounts::pounds(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn leader_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LeaderKind>, D::Error> {
    let name = String::deserialize(deserializer)?;
    LeaderKind::named(&name).map(Some).ok_or_else(|| {
        serde::de::Error::custom(format!("leader_kind must be national_leader or equivalent, got {name:?}"))
    })
}

fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    amounts::days(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}
