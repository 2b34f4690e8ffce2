//! Lists the SHA-256 of every text of terms that was ever released with the program.
//!
//! If the list has texts for a programme, the programme must use one of them. So the list shows whether a person has
//! changed the terms in the database together with the hashes that refer to these terms.
//!
//! When a file of terms changes, add a line. Never delete a line, because existing offers keep the terms under which
//! they were made.

use crate::event::Hash;
use crate::ids::Programme;

/// Programme and hash, oldest first.
const RELEASED: [(&str, &str); 5] = [
    ("2021-22", "5e0ee10514ddb9775cb38b941f3de2b79b94de5de198aa5e909e050c49b7a51b"),
    ("2021-22", "12b9a1ac35f45feb17e1c537b7587b59db56cd2ab08d23eae5a1400122cf238d"),
    ("2021-22", "64ae12cc6e1dda3d2fe739d3e86175da519fb3969114d435d3ede93799247b78"),
    ("2022-23", "da705de0748af1baa4de67e78080abd18ce46ac32fec1d77dd9dca992edcd96c"),
    ("2022-23", "a9427c0a1abdb1dcf048a8ae9eb46185559fc3078dc7eabf4650537ac38e2eca"),
];

/// Whether terms of the programme were released, but none with this hash.
#[must_use]
pub fn is_rewritten(programme: &Programme, terms: Hash) -> bool {
    let mut of_programme = RELEASED.iter().filter(|(name, _)| *name == programme.as_str()).peekable();
    let terms = terms.to_string();
    of_programme.peek().is_some() && !of_programme.any(|(_, hash)| *hash == terms)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::terms::{Terms, shipped};

    #[test]
    fn the_terms_of_the_program_are_on_the_list() {
        for (file, text) in shipped() {
            let programme = Terms::parse(file, text).unwrap().programme().clone();
            let hash = |text: &str| Hash(Sha256::digest(text).into());
            assert!(!is_rewritten(&programme, hash(text)), "{file}: add {}", hash(text));
            assert!(RELEASED.iter().any(|(name, _)| *name == programme.as_str()), "{file} is not on the list");
            assert!(
                is_rewritten(&programme, hash(&text.replace('1', "2"))),
                "{file}: a changed text must count as rewritten"
            );
        }
        assert!(
            !is_rewritten(&"2018-19".parse().unwrap(), Hash([7; 32])),
            "terms of a programme that was never released may be loaded"
        );
    }
}
