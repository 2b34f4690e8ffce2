//! What amounts count.

use serde::{Deserialize, Serialize};

use super::named_enum;

named_enum! {
    /// What an account or an award counts.
    Unit {
        /// Whole pence.
        Pence = "pence",
        /// Whole half-days.
        HalfDays = "half_days",
    }
}
