//! The first of a host's addresses that answers.

use std::{future::Future, io, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::timeout;

/// An address that has not answered for so long no longer keeps the next one waiting (RFC 8305, 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// Tries the addresses in order, each once the one before it has failed or has had its head start; none is
/// given up until one has answered. The error is that of the one that failed last.
pub(super) async fn first<A, T, F: Future<Output = io::Result<T>>>(
    addresses: impl IntoIterator<Item = A>,
    attempt: impl Fn(A) -> F,
) -> io::Result<T> {
    let mut addresses = addresses.into_iter().peekable();
    let mut attempts = FuturesUnordered::new();
    let mut failed = None;
    loop {
        attempts.extend(addresses.next().map(&attempt));
        let next = attempts.next();
        let answer =
            if addresses.peek().is_some() { timeout(HEAD_START, next).await } else { Ok(next.await) };
        match answer {
            Ok(Some(Ok(answer))) => return Ok(answer),
            Ok(Some(Err(error))) => failed = Some(error),
            Ok(None) => {
                return Err(failed
                    .unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host has no address")));
            }
            // The next one may begin.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What an address does.
    #[derive(Clone, Copy)]
    enum Does {
        Answer(u64),
        Refuse,
        Nothing,
    }

    async fn reached(addresses: &[Does]) -> (Result<usize, String>, Vec<usize>) {
        let tried = Mutex::new(Vec::new());
        let attempt = async |(at, does): (usize, Does)| {
            tried.lock().unwrap().push(at);
            match does {
                Does::Answer(after) => tokio::time::sleep(Duration::from_millis(after)).await,
                Does::Refuse => return Err(io::Error::other(format!("{at} refuses"))),
                Does::Nothing => std::future::pending().await,
            }
            Ok(at)
        };
        let first = first(addresses.iter().copied().enumerate(), attempt).await;
        (first.map_err(|error| error.to_string()), tried.into_inner().unwrap())
    }

    #[tokio::test]
    async fn an_address_that_says_nothing_does_not_keep_the_next_from_being_tried() {
        use Does::{Answer, Nothing, Refuse};
        let cases: [(&[Does], _, _); 6] = [
            (&[Answer(0), Answer(0)], Ok(0), vec![0]),
            (&[Nothing, Nothing, Answer(0)], Ok(2), vec![0, 1, 2]),
            (&[Refuse, Answer(0)], Ok(1), vec![0, 1]),
            (&[Answer(400), Nothing], Ok(0), vec![0, 1]),
            (&[Refuse, Refuse], Err("1 refuses".to_owned()), vec![0, 1]),
            (&[], Err("the host has no address".to_owned()), vec![]),
        ];
        for (addresses, expected, tried) in cases {
            assert_eq!(reached(addresses).await, (expected, tried));
        }
    }
}
