//! Whoever uses the client alone gets the client alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

#[test]
fn the_client_pulls_in_neither_arrow_nor_timely() {
    let ran = Command::new(env!("CARGO"))
        .args(["tree", "--package", env!("CARGO_PKG_NAME"), "--all-features", "--edges", "normal,build"])
        .args(["--prefix", "none", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let tree = String::from_utf8(ran.stdout).unwrap();
    let names: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    // What it does need is there: the list is one.
    assert!(names.contains(&"skytide-atproto") && names.contains(&"tokio"), "{tree}");
    let heavy: Vec<_> =
        names.iter().filter(|name| name.contains("arrow") || name.contains("timely")).collect();
    assert!(heavy.is_empty(), "{heavy:?}");
}
