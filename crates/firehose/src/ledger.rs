//! The ledger of gaps: everything that may have been missed, in order, for whoever must know.
//!
//! A subscription mends what it can, and most of what it enters here has lost nothing; but only its reader can judge
//! that, and nothing that might be a loss goes by without an entry.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures_core::Stream;

/// So many entries are kept; of older ones only the counts.
const KEPT: usize = 10_000;

/// No more bytes of texts are kept with them, most of which a server has written, but for those of the newest entry.
const KEPT_TEXT: usize = 8 << 20;

/// Something that may have been missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Place in the ledger, from 0, without holes.
    pub number: u64,
    /// When it was found, in UTC nanoseconds.
    pub at: i64,
    /// What happened.
    pub cause: Cause,
}

/// Why something may have been missed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A connection was lost and made anew.
    Reconnected {
        /// The cursor asked for; none is live, and what came in between is missed for certain.
        asked: Option<u64>,
        /// The first number that came; none if the connection ended before. If it is the one asked for, or the one
        /// after it, nothing was missed.
        first: Option<u64>,
        /// Why the connection before had ended.
        why: String,
    },
    /// The server said that the cursor is older than what it still has (`#info OutdatedCursor`).
    OutdatedCursor {
        /// The cursor asked for.
        asked: Option<u64>,
        /// The server's explanation.
        message: Option<String>,
    },
    /// The server began its numbering anew.
    Restarted {
        /// The last number before.
        last: u64,
        /// The first number after.
        first: u64,
    },
    /// The time of the events moved on by more than the time that passed, and more than the limit.
    TimeJump {
        /// Number of the event after it.
        seq: Option<u64>,
        /// Newest time before, UTC nanoseconds.
        from: i64,
        /// Time after, UTC nanoseconds.
        to: i64,
    },
    /// A frame does not decode.
    Quarantined {
        /// Its number, where it could be read.
        seq: Option<u64>,
        /// Which rule it breaks, and where.
        reason: String,
    },
    /// A message was over the size limit.
    Oversized {
        /// Its number, where it could be read.
        seq: Option<u64>,
        /// Its size in bytes.
        size: u64,
    },
    /// A repository's commit does not follow the last one seen of it (only if chains are checked).
    ChainBreak {
        /// Number of the commit or `#sync`.
        seq: Option<u64>,
        /// The account.
        did: String,
        /// The revision that it says to follow; none for a first commit or a `#sync`.
        since: Option<String>,
        /// The last revision seen.
        last: String,
    },
    /// Frames were dropped because the program was slower than the stream and had allowed it.
    Overflowed {
        /// How many, one directly after the other.
        frames: u64,
        /// Number of the first, where one had one.
        first: Option<u64>,
        /// Number of the last.
        last: Option<u64>,
    },
}

impl Cause {
    /// A word for it, as a metric's label has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reconnected { .. } => "reconnected",
            Self::OutdatedCursor { .. } => "outdated_cursor",
            Self::Restarted { .. } => "restarted",
            Self::TimeJump { .. } => "time_jump",
            Self::Quarantined { .. } => "quarantined",
            Self::Oversized { .. } => "oversized",
            Self::ChainBreak { .. } => "chain_break",
            Self::Overflowed { .. } => "overflowed",
        }
    }
}

impl Cause {
    /// The bytes of its texts.
    fn text(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Reconnected { why, .. } => why.len(),
            Self::OutdatedCursor { message, .. } => length(message),
            Self::Quarantined { reason, .. } => reason.len(),
            Self::ChainBreak { did, since, last, .. } => did.len() + length(since) + last.len(),
            Self::Restarted { .. }
            | Self::TimeJump { .. }
            | Self::Oversized { .. }
            | Self::Overflowed { .. } => 0,
        }
    }

    /// Whether it is certain that nothing was missed: a reconnect whose first frame is the one asked for, or
    /// has the next number.
    #[must_use]
    pub fn lost_nothing(&self) -> bool {
        match self {
            Self::Reconnected { asked: Some(asked), first: Some(first), .. } => {
                *first == *asked || Some(*first) == asked.checked_add(1)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or =
            |number: &Option<u64>, none: &str| number.map_or_else(|| none.to_owned(), |it| it.to_string());
        match self {
            Self::Reconnected { asked, first, why } => write!(
                f,
                "reconnected: asked for {}, got {} first ({why})",
                or(asked, "live"),
                or(first, "nothing")
            ),
            Self::OutdatedCursor { asked, message } => {
                write!(f, "the cursor {} is older than what the server has", or(asked, "asked for"))?;
                message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
            }
            Self::Restarted { last, first } => {
                write!(f, "the numbering began anew: {first} after {last}")
            }
            Self::TimeJump { seq, from, to } => {
                let seconds = to.saturating_sub(*from) as f64 / 1e9;
                write!(f, "the time jumped by {seconds:.1} s before {}", or(seq, "an event"))
            }
            Self::Quarantined { seq, reason } => {
                write!(f, "frame {} does not decode: {reason}", or(seq, "without a number"))
            }
            Self::Oversized { seq, size } => {
                write!(f, "message {} is too large: {size} bytes", or(seq, "without a number"))
            }
            Self::ChainBreak { seq, did, since, last } => {
                let since = since.as_deref().unwrap_or("nothing");
                write!(f, "{did}: {} follows {since}, the last seen is {last}", or(seq, "a commit"))
            }
            Self::Overflowed { frames, first, last } => {
                write!(f, "{frames} frames dropped unread, {} to {}", or(first, "?"), or(last, "?"))
            }
        }
    }
}

/// The gaps of one subscription. A cheap handle: clones are the same ledger.
#[derive(Clone, Default)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    entries: VecDeque<Gap>,
    /// Bytes of the texts in them.
    text: usize,
    counts: BTreeMap<&'static str, u64>,
    /// Number of the next entry.
    next: u64,
    closed: bool,
    followers: Vec<Waker>,
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a gap that was found at `at` (UTC nanoseconds). A program that finds one of its own, such as a
    /// frame that only it could tell to be damaged, enters it here too.
    pub fn enter(&self, at: i64, cause: Cause) {
        let mut book = self.book();
        let number = book.next;
        book.next += 1;
        *book.counts.entry(cause.name()).or_default() += 1;
        book.text += cause.text();
        while (book.entries.len() >= KEPT || book.text > KEPT_TEXT)
            && let Some(oldest) = book.entries.pop_front()
        {
            book.text -= oldest.cause.text();
        }
        book.entries.push_back(Gap { number, at, cause });
        wake(book);
    }

    /// No more entries come.
    pub(crate) fn close(&self) {
        let mut book = self.book();
        book.closed = true;
        wake(book);
    }

    /// Entries come again.
    pub(crate) fn reopen(&self) {
        self.book().closed = false;
    }

    /// The entries from `number` on that are kept, in order.
    #[must_use]
    pub fn since(&self, number: u64) -> Vec<Gap> {
        let book = self.book();
        let first = book.next - book.entries.len() as u64;
        let skipped = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        book.entries.iter().skip(skipped).cloned().collect()
    }

    /// How many entries there have been.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.book().next
    }

    /// Whether there has been none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries there have been by the [name](Cause::name) of their cause.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.book().counts.clone()
    }

    /// The entries from the first that is kept, and then each as it comes, until the subscription has ended.
    #[must_use]
    pub fn follow(&self) -> Gaps {
        Gaps { ledger: self.clone(), next: 0 }
    }
}

/// Wakes who follows. The lock is given back first: a waker may look into the ledger.
fn wake(mut book: MutexGuard<'_, Book>) {
    let followers = std::mem::take(&mut book.followers);
    drop(book);
    followers.into_iter().for_each(Waker::wake);
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.counts()).finish()
    }
}

/// The entries of a [`Ledger`] as they come: a [`Stream`]. If it is not read for so long that entries are
/// forgotten, their numbers are missing.
#[derive(Debug)]
pub struct Gaps {
    ledger: Ledger,
    next: u64,
}

impl Stream for Gaps {
    type Item = Gap;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Gap>> {
        let gap = {
            let mut book = self.ledger.book();
            let first = book.next - book.entries.len() as u64;
            let at = self.next.max(first);
            let found = usize::try_from(at - first).ok().and_then(|at| book.entries.get(at).cloned());
            match found {
                Some(gap) => gap,
                None if book.closed => return Poll::Ready(None),
                None => {
                    book.followers.retain(|waker| !waker.will_wake(cx.waker()));
                    book.followers.push(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        };
        self.next = gap.number + 1;
        Poll::Ready(Some(gap))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn cause(first: u64) -> Cause {
        Cause::Restarted { last: 9, first }
    }

    #[test]
    fn entries_are_kept_in_order_and_counted() {
        let ledger = Ledger::default();
        assert!(ledger.is_empty());
        for first in 0..KEPT as u64 + 5 {
            ledger.enter(7, cause(first));
        }
        ledger.enter(8, Cause::Oversized { seq: None, size: 3 });
        assert_eq!(ledger.len(), KEPT as u64 + 6);
        assert_eq!(ledger.counts(), BTreeMap::from([("oversized", 1), ("restarted", KEPT as u64 + 5)]));
        let all = ledger.since(0);
        assert_eq!((all.len(), all[0].number), (KEPT, 6));
        assert!(all.windows(2).all(|two| two[1].number == two[0].number + 1));
        assert_eq!(ledger.since(KEPT as u64 + 4).len(), 2);
        assert_eq!(ledger.since(u64::MAX), []);
    }

    #[test]
    fn long_texts_are_kept_of_the_newest_entries_only() {
        let ledger = Ledger::default();
        let long = |bytes: usize| Cause::Quarantined { seq: None, reason: "x".repeat(bytes) };
        for _ in 0..20 {
            ledger.enter(1, long(KEPT_TEXT / 8));
        }
        assert_eq!((ledger.since(0).len(), ledger.len()), (8, 20));
        ledger.enter(1, long(2 * KEPT_TEXT));
        assert_eq!(ledger.since(0).len(), 1);
        (0..9).for_each(|first| ledger.enter(1, cause(first)));
        assert_eq!(ledger.since(0).len(), 9, "the long one has gone");
        ledger.enter(1, long(KEPT_TEXT));
        assert_eq!(ledger.since(0).len(), 10);
    }

    #[tokio::test]
    async fn a_follower_gets_each_entry_once_and_the_end() {
        let ledger = Ledger::default();
        ledger.enter(1, cause(1));
        let mut gaps = ledger.follow();
        assert_eq!(gaps.next().await.map(|gap| gap.cause), Some(cause(1)));
        assert!(gaps.next().now_or_never().is_none());
        let (entered, followed) = tokio::join!(
            async {
                tokio::task::yield_now().await;
                ledger.enter(2, cause(2));
                tokio::task::yield_now().await;
                ledger.close();
            },
            gaps.map(|gap| gap.number).collect::<Vec<_>>(),
        );
        assert_eq!((entered, followed), ((), vec![1]));
    }

    /// A waker of a follower that looks into the ledger at once.
    struct Looks(Ledger);

    impl std::task::Wake for Looks {
        fn wake(self: Arc<Self>) {
            let _entries = self.0.len();
        }
    }

    #[test]
    fn a_follower_may_look_while_it_is_woken() {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let ledger = Ledger::default();
            let waker = Waker::from(Arc::new(Looks(ledger.clone())));
            let mut gaps = ledger.follow();
            assert!(gaps.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
            ledger.enter(1, cause(1));
            assert!(gaps.poll_next_unpin(&mut Context::from_waker(&waker)).is_ready());
            assert!(gaps.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
            ledger.close();
            tell.send(ledger.len())
        });
        assert_eq!(told.recv_timeout(std::time::Duration::from_secs(20)), Ok(1));
    }

    #[test]
    fn a_seamless_reconnect_lost_nothing() {
        let reconnected =
            |asked, first| Cause::Reconnected { asked, first, why: String::new() }.lost_nothing();
        assert!(reconnected(Some(5), Some(5)) && reconnected(Some(5), Some(6)));
        assert!(!reconnected(Some(5), Some(7)) && !reconnected(None, Some(5)) && !reconnected(Some(5), None));
        assert!(!cause(1).lost_nothing());
    }

    #[test]
    fn every_cause_says_what_happened() {
        let causes = [
            (
                Cause::Reconnected { asked: Some(5), first: Some(6), why: "reset".into() },
                "asked for 5, got 6",
            ),
            (
                Cause::Reconnected { asked: None, first: None, why: "reset".into() },
                "asked for live, got nothing",
            ),
            (Cause::OutdatedCursor { asked: Some(5), message: Some("old".into()) }, "cursor 5"),
            (cause(1), "1 after 9"),
            (Cause::TimeJump { seq: Some(4), from: 0, to: 90_000_000_000 }, "90.0 s before 4"),
            (Cause::Quarantined { seq: None, reason: "bad".into() }, "without a number"),
            (Cause::Oversized { seq: Some(1), size: 6 }, "6 bytes"),
            (
                Cause::ChainBreak { seq: Some(1), did: "did:a".into(), since: None, last: "x".into() },
                "did:a: 1",
            ),
            (Cause::Overflowed { frames: 3, first: Some(1), last: Some(3) }, "1 to 3"),
        ];
        for (cause, part) in causes {
            assert!(cause.to_string().contains(part), "{cause}");
        }
    }
}
