//! The program as a process: run to its end, or killed when its test is over.

#![allow(dead_code, reason = "each test needs a part of it")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::{Child, Command, Output, Stdio};

pub(crate) fn skytide(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytide"));
    command.args(args).stdin(Stdio::null()).env_remove("SKYTIDE_LOG");
    command
}

pub(crate) fn output(args: &[&str]) -> Output {
    skytide(args).output().expect("the program starts")
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("stdout is UTF-8")
}

/// Killed when it is dropped, so that none outlives its test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL: it can finish nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
