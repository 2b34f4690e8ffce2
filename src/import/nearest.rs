//! Finds the column name that is most like a missing one. A refusal names it with the missing column.

use strsim::levenshtein as distance;

/// A name without the parts that programs and publishers change: case, spaces, punctuation, and a note in brackets at its end.
pub(super) fn normalised(name: &str) -> String {
    let name = name.trim();
    let noted = name.strip_suffix(']').and_then(|it| it.rsplit_once('['));
    let name = noted.filter(|(before, _)| !before.trim().is_empty()).map_or(name, |(before, _)| before);
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The name that is most like the requested one; `None` if no name is like it.
pub(super) fn nearest<'n>(requested: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let requested = normalised(requested);
    let near = names.filter_map(|name| {
        let candidate = normalised(name);
        let max_distance = (requested.chars().count() / 5).min(4);
        // A name that only adds something at its end, such as a note, is as near as one changed character.
        let distance = match candidate.starts_with(&requested) && requested.len() > 3 {
            true => 1,
            false => distance(&requested, &candidate),
        };
        (!candidate.is_empty() && distance <= max_distance.max(usize::from(requested.len() > 3)))
            .then_some((distance, name))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_or_none() {
        let names = ["URN", "Publication.date", "Overall effectiveness [note 1]", "Schol name", "Local authority"];
        #[rustfmt::skip]
        let cases = [
            ("Publication date",        Some("Publication.date")),
            ("Overall effectiveness",   Some("Overall effectiveness [note 1]")),
            ("School name",             Some("Schol name")),
            ("Type of education",       None),
            ("Inspection start date",   None),
            ("UID",                     None),
        ];
        for (requested, expected) in cases {
            assert_eq!(nearest(requested, names.into_iter()), expected, "{requested}");
        }
    }

    #[test]
    fn the_distance_counts_each_change() {
        let cases = [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "ab", 1),
            ("abc", "axc", 1),
            ("kitten", "sitting", 3),
            ("", "ab", 2),
        ];
        for (a, b, expected) in cases {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn a_name_is_normalised() {
        #[rustfmt::skip]
        let cases = [
            ("LA (code)",                       "lacode"),
            ("LA..code.",                       "lacode"),
            ("Overall effectiveness [note 1]",  "overalleffectiveness"),
            ("[note 1]",                        "note1"),
            ("Group_UID ",                      "groupuid"),
        ];
        for (name, expected) in cases {
            assert_eq!(normalised(name), expected, "{name}");
        }
    }
}
