//! Servers that send without end what is no frame: they keep nobody from looking at the time, and cost no memory.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use skytide_firehose::{Batch, Blocking, Builder, Subscription};
use tokio_tungstenite::tungstenite::accept;

use super::support::*;

/// A frame of a WebSocket with a short body.
fn part(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first, body.len() as u8], body].concat()
}

/// A server that does this with each connection.
fn serve(act: impl Fn(TcpStream) + Send + Sync + Copy + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = url(listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            thread::spawn(move || {
                let Ok(mut opened) = accept(connection.unwrap()) else { return };
                act(opened.get_mut().try_clone().unwrap());
            });
        }
    });
    url
}

/// Sends a frame, and then this for as long as anybody is there.
fn flood(mut to: TcpStream, first: &[u8], again: &[u8]) {
    let again = again.repeat(2000);
    let frame = identity(1);
    to.write_all(&part(0x82, &frame)).unwrap();
    to.write_all(first).unwrap();
    while to.write_all(&again).is_ok() {}
}

fn text(to: TcpStream) {
    flood(to, b"", &part(0x81, b"hi"));
}

fn pongs(to: TcpStream) {
    flood(to, b"", &part(0x8a, b"x"));
}

fn pings(to: TcpStream) {
    flood(to, b"", &part(0x89, b"x"));
}

fn parts(to: TcpStream) {
    flood(to, &part(0x02, b""), &part(0x00, b""));
}

fn repetitions(to: TcpStream) {
    flood(to, b"", &part(0x82, &identity(1)));
}

fn floods() -> [(&'static str, String); 5] {
    [
        ("text", serve(text)),
        ("pongs", serve(pongs)),
        ("pings", serve(pings)),
        ("parts", serve(parts)),
        ("repetitions", serve(repetitions)),
    ]
}

fn opened(url: &str) -> Builder {
    Subscription::repos(url).backoff(at_once())
}

/// Looks for frames until this came.
fn until(frames: &mut Blocking, expected: Batch, wait: Duration) {
    let begun = Instant::now();
    let mut received = Vec::new();
    loop {
        let batch = frames.next_batch_within(&mut received, 4096, wait).unwrap();
        assert!(begun.elapsed() < 20 * SECOND, "{batch:?}");
        if batch == expected {
            return;
        }
    }
}

#[test]
fn nobody_is_kept_from_looking_at_the_time() {
    for (what, url) in floods() {
        let mut frames = opened(&url).blocking().unwrap();
        until(&mut frames, Batch::Received(1), SECOND);
        let begun = Instant::now();
        until(&mut frames, Batch::Idle, Duration::from_millis(50));
        assert!(begun.elapsed() < SECOND, "{what}: {:?}", begun.elapsed());
        let (handle, stopped) = (frames.handle(), Instant::now());
        let stop = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            handle.stop();
        });
        until(&mut frames, Batch::Ended, 20 * SECOND);
        assert!(stopped.elapsed() < SECOND, "{what}: {:?}", stopped.elapsed());
        stop.join().unwrap();
    }
}

#[test]
fn what_is_no_message_does_not_end_a_silence() {
    for (what, url) in floods() {
        if !["pongs", "pings", "parts"].contains(&what) {
            continue;
        }
        let silence = Duration::from_millis(100);
        let mut frames = opened(&url).receive_timeout(silence).blocking().unwrap();
        let (begun, mut received) = (Instant::now(), Vec::new());
        while frames.handle().counters().silences == 0 {
            frames.next_batch_within(&mut received, 4096, silence).unwrap();
            assert!(begun.elapsed() < 10 * SECOND, "{what}");
        }
    }
}

/// More than the system keeps of what nobody reads.
const PINGS: u32 = 400_000;

/// Sends pings with numbers, reads none of the answers until all are sent, and tells how many there were and
/// the last one.
fn deaf(mut to: TcpStream) {
    let body = |number: u32| format!("{number:0100}").into_bytes();
    for numbers in (0..PINGS).collect::<Vec<_>>().chunks(1000) {
        let pings: Vec<u8> = numbers.iter().flat_map(|number| part(0x89, &body(*number))).collect();
        to.write_all(&pings).unwrap();
    }
    to.write_all(&part(0x82, &identity(1))).unwrap();
    to.set_read_timeout(Some(SECOND)).unwrap();
    let (mut answers, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        match to.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => answers += read,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                break;
            }
        }
    }
    to.write_all(&part(0x82, &identity(answers as u64))).unwrap();
}

#[test]
fn pings_whose_answers_nobody_reads_are_let_go() {
    let mut frames = opened(&serve(deaf)).blocking().unwrap();
    assert_eq!(frames.next().unwrap().unwrap().seq, Some(1));
    let answers = frames.next().unwrap().unwrap().seq.unwrap();
    let all = u64::from(PINGS) * 106;
    assert!(0 < answers && answers < all / 2, "{answers} of {all} bytes");
}
