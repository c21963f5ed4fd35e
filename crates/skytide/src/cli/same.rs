//! Which files are one, however they are named: what is written over what is read, or over another answer, is
//! all that is left.

#[cfg(unix)]
use std::fs::File;
use std::path::{Path, PathBuf};

use skytide_connect::network::Location;
use skytide_connect::sink::followed;
use skytide_connect::sources::Offer;

/// Whether two paths lead to one file, also through links, and also where there is none yet.
pub(crate) fn is_one(one: &Path, other: &Path) -> bool {
    followed(one) == followed(other) || has_both_names(one, other)
}

/// Whether the two are names of one file that is there.
#[cfg(unix)]
fn has_both_names(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    identity(one).is_some_and(|found| identity(other) == Some(found))
}

/// Whether standard input is this file, as by `< FILE`.
#[cfg(unix)]
fn is_standard_input(file: &Path) -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    let input = std::io::stdin().as_fd().try_clone_to_owned().and_then(|input| File::from(input).metadata());
    let (Ok(input), Ok(found)) = (input, file.metadata()) else { return false };
    // A terminal or a pipe may be both.
    input.is_file() && (input.dev(), input.ino()) == (found.dev(), found.ino())
}

/// The system tells it not.
#[cfg(not(unix))]
fn is_standard_input(_: &Path) -> bool {
    false
}

/// The system tells it not; names that lead to one place have been told.
#[cfg(not(unix))]
fn has_both_names(_: &Path, _: &Path) -> bool {
    false
}

/// Whether a file is among what a source is read from.
pub(crate) fn is_read(offer: &Offer, file: &Path) -> bool {
    match offer {
        Offer::Files(files) => files.definition().paths.iter().any(|path| is_one(path, file)),
        Offer::Network(network) => {
            let is_it = |path: &PathBuf| is_one(path, file);
            let is_there = match &network.connection.location {
                Location::Named(name) => is_it(&PathBuf::from(name)),
                Location::Repos(paths) => paths.iter().any(is_it),
                Location::Memory(_) | Location::Held(_) => false,
            };
            is_there || network.connection.history.iter().any(is_it)
        }
        // Rows come through standard input.
        Offer::Table { .. } => is_standard_input(file),
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_are_one_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        std::fs::write(at("there"), b"").unwrap();
        std::fs::write(at("other"), b"").unwrap();
        std::fs::hard_link(at("there"), at("hard")).unwrap();
        symlink("there", at("soft")).unwrap();
        symlink("new", at("to new")).unwrap();
        symlink("../to new", at("sub/to new")).unwrap();
        symlink("circle", at("circle")).unwrap();
        for (one, other) in [
            ("there", "sub/../there"),
            ("there", "hard"),
            ("hard", "soft"),
            ("new", "to new"),
            ("to new", "sub/to new"),
            ("new", "sub/../new"),
            ("circle", "circle"),
        ] {
            assert!(is_one(&at(one), &at(other)) && is_one(&at(other), &at(one)), "{one} {other}");
        }
        for (one, other) in [("there", "other"), ("there", "new"), ("new", "newer"), ("circle", "to new")] {
            assert!(!is_one(&at(one), &at(other)), "{one} {other}");
        }
    }
}
