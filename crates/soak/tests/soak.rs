//! The soak fails where it has to: what a relay loses on purpose is found missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn soak(args: &[&str]) -> Output {
    // What a soak that fails leaves behind goes with this.
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_soak"));
    command.env("TMPDIR", folder.path()).args(args).output().expect("the soak starts")
}

#[test]
fn frames_that_the_relay_loses_are_missed() {
    let lossy = soak(&["2000", "--seed", "7", "--faults", "gap 3=700000"]);
    let said = String::from_utf8_lossy(&lossy.stderr);
    assert!(!lossy.status.success(), "{said}");
    assert!(said.contains("events are missing"), "{said}");
    assert!(said.contains(": gap 3, seq "), "the gap is named: {said}");
    assert!(said.contains("was handed event "), "{said}");
}

#[test]
fn a_wish_that_makes_no_sense_is_refused() {
    for (args, why) in [
        (&["1"][..], "at least"),
        (&["many"], "is not a number"),
        (&["--faults", "nothing=1"], "--faults"),
        (&["--seed"], "--seed what?"),
    ] {
        let refused = soak(args);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(why), "{args:?}: {said}");
    }
}
