//! Encodes the entries of caps, which are stored with their event: the column `cap_entries`.

use uuid::Uuid;

use super::{Result, StoreError};
use crate::domain::Date;
use crate::domain::ids::AccountId;
use crate::domain::ledger::{EntryKind, EntrySeq, LedgerEntry};
use crate::domain::period::Period;

/// An entry as an array of JSON: its number, account, verb and amount. Its period is that of its event's effective date.
type EntryCells = (i64, Uuid, EntryKind, i64);

/// Encodes those entries of an event whose account is a cap. `None` if there are none.
pub(super) fn encode(entries: &[LedgerEntry], is_fund: impl Fn(AccountId) -> bool) -> Option<String> {
    let of_caps = entries.iter().filter(|it| !is_fund(it.account));
    let cells: Vec<EntryCells> = of_caps.map(|it| (it.seq.0, it.account.0, it.verb, it.amount)).collect();
    (!cells.is_empty()).then(|| text_of(&cells))
}

fn text_of(cells: &[EntryCells]) -> String {
    serde_json::to_string(cells).unwrap_or_default()
}

/// Decodes the entries of an event with this effective date.
///
/// # Errors
/// [`StoreError::Unreadable`], also for another text than the one that this program writes for these entries.
pub(super) fn decode(text: Option<&str>, effective: Date) -> Result<Vec<LedgerEntry>> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let unreadable = |error: String| StoreError::unreadable(format!("its entries of caps: {error}"));
    let cells: Vec<EntryCells> = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    if cells.is_empty() || !cells.is_sorted_by_key(|(seq, ..)| *seq) || text_of(&cells) != text {
        return Err(unreadable(format!("the text {text}")));
    }
    let period = Period::of(effective);
    let entry = |(seq, account, verb, amount)| LedgerEntry {
        seq: EntrySeq(seq),
        account: AccountId(account),
        verb,
        amount,
        period,
    };
    Ok(cells.into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_caps_are_decoded_as_they_were() {
        let effective = Date::from_ymd_opt(2021, 9, 14).unwrap();
        let entry = |seq, account: u128, verb| LedgerEntry {
            seq: EntrySeq(seq),
            account: AccountId(Uuid::from_u128(account)),
            verb,
            amount: 250_000,
            period: Period::of(effective),
        };
        let entries =
            [entry(7, 1, EntryKind::Allocate), entry(8, 2, EntryKind::Commit), entry(9, 1, EntryKind::Commit)];
        let is_fund = |it: AccountId| it.0 == Uuid::from_u128(2);
        let text = encode(&entries, is_fund);
        let account = Uuid::from_u128(1);
        let expected = format!(r#"[[7,"{account}","allocate",250000],[9,"{account}","commit",250000]]"#);
        assert_eq!(text.as_deref(), Some(expected.as_str()));
        let [first, _, last] = entries;
        assert_eq!(decode(text.as_deref(), effective).unwrap(), [first, last]);
        assert_eq!(encode(&entries[1..2], is_fund), None);
        assert_eq!(decode(None, effective).unwrap(), []);
    }

    #[test]
    fn a_text_that_is_no_list_of_entries_is_refused() {
        let entry = |seq: i64, verb: &str| format!(r#"[{seq},"01890a5d-ac96-774b-bcce-b302099a8057","{verb}",1]"#);
        let (unknown_verb, with_space) = (format!("[{}]", entry(7, "lend")), format!("[{} ]", entry(7, "commit")));
        let unordered = format!("[{},{}]", entry(8, "commit"), entry(7, "commit"));
        assert!(decode(Some(&format!("[{}]", entry(7, "commit"))), Date::MIN).is_ok());
        for text in ["", "[", "[]", "[[7]]", "null", &unknown_verb, &with_space, &unordered] {
            let refused = decode(Some(text), Date::MIN);
            assert!(matches!(refused, Err(StoreError::Unreadable(_))), "{text:?}: {refused:?}");
        }
    }
}
