//! The book's page of functions is what the registry says.

use std::path::Path;

#[test]
fn the_books_page_is_the_registrys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/functions.md");
    let made = skytide_timestream::functions::reference();
    if std::env::var_os("SKYTIDE_ACCEPT").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == made,
        "docs/functions.md is not what the registry says; SKYTIDE_ACCEPT=1 writes it anew"
    );
}
