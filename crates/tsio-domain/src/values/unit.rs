//! Defines the units of amounts.

use serde::{Deserialize, Serialize};

use super::named_enum;

named_enum! {
    /// The unit of the amounts of an account or an award.
    Unit {
        /// Whole pence.
        Pence = "pence",
        /// Whole half-days.
        HalfDays = "half_days",
    }
}
