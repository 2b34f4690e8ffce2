//! What the documents show of the code is generated from the code, so the two cannot differ.

use std::path::Path;

use tsio::domain::offer::lifecycle::diagram;

/// The diagram in the README is the table of the life of an offer. To change both: `TSIO_WRITE_DOCS=1 tests/run the_diagram`.
#[test]
fn the_diagram_in_the_readme_is_generated_from_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once("```mermaid\n").unwrap();
    let (shown, after) = rest.split_once("```").unwrap();
    if std::env::var_os("TSIO_WRITE_DOCS").is_some() {
        std::fs::write(path, format!("{before}```mermaid\n{}```{after}", diagram())).unwrap();
    } else {
        assert_eq!(shown, diagram());
    }
}
