//! The program as a process: run to its end, or killed when its test is over.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
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

pub(crate) fn lines(output: &Output) -> Vec<serde_json::Value> {
    out(output).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
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

/// A simulated network of 20 accounts in a process of its own, as fast as it is read; with further flags.
pub(crate) fn serve(more: &[&str]) -> (Running, String) {
    let mut args = vec!["sim", "--listen", "127.0.0.1:0", "--accounts", "20", "--rate", "0"];
    args.extend(more);
    let mut server = Running(skytide(&args).stderr(Stdio::piped()).spawn().expect("the program starts"));
    let mut said = String::new();
    BufReader::new(server.0.stderr.take().expect("it is a pipe")).read_line(&mut said).expect("it speaks");
    let url = said.split_whitespace().find(|word| word.starts_with("ws://")).expect(&said).to_owned();
    (server, url)
}

/// A server that answers every request so.
pub(crate) fn answering(answer: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("ws://{}", listener.local_addr().expect("it has one"));
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let request = BufReader::new(connection.try_clone().expect("it is open"));
            request.lines().map_while(Result::ok).find(String::is_empty);
            // Who asked may be gone.
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    url
}
