//! What the clients of a stream share: the source, the window, who reads where; and the task that keeps its pace.
//!
//! Everything runs on one thread, so a `RefCell` that is never held over an await is all the locking there is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::faulty::Spot;
use super::jetstream::{Clock, Stamp};
use super::window::{Sought, Window};
use super::wire::{Chunk, Room};
use super::{Beginning, Counted, CursorRule, Ending, Pacing, Settings};
use crate::frames::FrameSource;

/// A chunk is one write: large enough that the system call costs little, small enough to stay in the cache from being
/// made to being sent, and to be made in a few milliseconds where every frame is signed.
const CHUNK: Room = Room { frames: 64, bytes: 256 << 10 };

pub(super) struct Hub {
    /// Where clients ask for it.
    pub(super) path: &'static str,
    state: RefCell<State>,
    pub(super) settings: Settings,
    pub(super) counters: Arc<Counted>,
    /// Frames were made, or a client has moved on that others waited for, or the stream has ended.
    changed: Notify,
    first_client: Notify,
}

struct State {
    source: Box<dyn FrameSource>,
    window: Window,
    /// Where events are asked for: their clock, and the counters that tell its time.
    stamping: Option<(Clock, Arc<Counted>)>,
    ended: bool,
    /// For each client the place of the frame it is sent next.
    readers: BTreeMap<u64, u64>,
    next_reader: u64,
}

/// What a client is to do next.
pub(super) enum Step {
    /// Send these messages.
    Send(Run),
    /// Wait for [`Hub::changed`].
    Wait,
    /// It has fallen out of the window.
    TooSlow,
    /// It has everything, and the connection is to be closed.
    Close,
}

/// Consecutive messages of the stream.
pub(super) struct Run {
    pub(super) bytes: Bytes,
    /// Place of the first.
    pub(super) first: u64,
    pub(super) frames: u64,
    /// For each the times of its events; empty where nobody asks for events.
    pub(super) stamps: Vec<Stamp>,
}

impl Run {
    /// Where each message stands.
    pub(super) fn spots(&self) -> impl ExactSizeIterator<Item = Spot> + use<> {
        let first = self.first;
        (0..self.frames as usize).map(move |at| Spot { place: first + at as u64, time_us: None })
    }
}

impl Hub {
    pub(super) fn new(
        path: &'static str,
        source: Box<dyn FrameSource>,
        settings: Settings,
        counters: Arc<Counted>,
        events: Option<Arc<Counted>>,
    ) -> Self {
        let state = State {
            source,
            window: Window::new(settings.window),
            stamping: events.map(|counters| (Clock::default(), counters)),
            ended: settings.total == Some(0),
            readers: BTreeMap::new(),
            next_reader: 0,
        };
        Self {
            path,
            state: RefCell::new(state),
            settings,
            counters,
            changed: Notify::new(),
            first_client: Notify::new(),
        }
    }

    /// Resolves after the next change. To be taken before [`Reader::step`] says to wait, so that none is missed.
    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Where a cursor leads by a rule; without one to the live stream.
    pub(super) fn seek(&self, cursor: Option<u64>, rule: CursorRule) -> Sought {
        let state = self.state.borrow();
        match cursor {
            None => Sought::At(state.window.end()),
            Some(cursor) => state.window.seek(cursor, rule),
        }
    }

    /// Where a cursor of the events leads by a rule; without one to the live stream.
    pub(super) fn seek_time(&self, cursor: Option<u64>, rule: CursorRule) -> u64 {
        let window = &self.state.borrow().window;
        cursor.map_or(window.end(), |cursor| window.seek_time(cursor, rule))
    }

    /// As [`Hub::before`], with the times of the first and the last event between the two.
    pub(super) fn before_in_time(&self, place: u64, frames: u64) -> Option<(u64, RangeInclusive<u64>)> {
        let window = &self.state.borrow().window;
        let from = place.saturating_sub(frames).max(window.oldest());
        let first = window.stamps(from).first()?.first;
        let end = window.stamps(place.checked_sub(1)?).first()?.end();
        (first < end).then(|| (from, first..=end - 1))
    }

    /// The place so many frames before another, as far as a cursor could lead there, and the sequence numbers
    /// of the first and the last frame between the two. `None` where there is nothing between.
    pub(super) fn before(&self, place: u64, frames: u64) -> Option<(u64, RangeInclusive<u64>)> {
        let window = &self.state.borrow().window;
        let from = place.saturating_sub(frames).max(window.floor());
        let last = place.checked_sub(1)?;
        (from < place).then_some(())?;
        Some((from, window.seq_at(from)?..=window.seq_at(last)?))
    }

    /// Place of the next frame to be made.
    pub(super) fn end(&self) -> u64 {
        self.state.borrow().window.end()
    }

    /// Makes a chunk of at most so many frames; gives how many it made.
    fn make(&self, state: &mut State, frames: u64) -> u64 {
        let made = state.window.end();
        let left = self.settings.total.map_or(u64::MAX, |total| total.saturating_sub(made));
        let room = Room { frames: frames.min(left).min(CHUNK.frames), ..CHUNK };
        if state.ended || room.frames == 0 {
            return 0;
        }
        let (chunk, ended) = Chunk::take(&mut *state.source, made, state.window.newest(), room);
        if let Some(mut chunk) = chunk {
            if let Some((clock, counters)) = &mut state.stamping {
                chunk.stamp(clock);
                counters.newest_seq.store(clock.newest(), Ordering::Relaxed);
            }
            state.window.push(chunk);
        }
        let new = state.window.end() - made;
        state.ended = ended || left == new;
        count(&self.counters.made, new);
        self.counters.newest_seq.store(state.window.newest(), Ordering::Relaxed);
        self.changed.notify_waiters();
        new
    }

    /// Makes frames by the pace until the stream ends.
    pub(super) async fn keep_pace(&self) {
        if self.settings.beginning == Beginning::FirstClient {
            self.first_client.notified().await;
        }
        match self.settings.pacing {
            Pacing::AsRead => {}
            Pacing::Rate(rate) => self.keep_rate(rate).await,
            Pacing::Bursts { frames, pause } => {
                while self.make_all(frames).await {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn keep_rate(&self, rate: f64) {
        let begun = Instant::now();
        let mut made = 0;
        loop {
            // Frames become due in turn, the first after one interval; what one sleep was too long is made up for.
            let due = (begun.elapsed().as_secs_f64() * rate) as u64;
            if due > made {
                if !self.make_all(due - made).await {
                    return;
                }
                made = due;
            }
            let Ok(next) = Duration::try_from_secs_f64((made + 1) as f64 / rate) else {
                // So slow that the next frame never comes.
                return;
            };
            tokio::time::sleep_until(begun + next).await;
        }
    }

    /// Makes so many frames, letting clients take theirs in between. False once the stream has ended.
    async fn make_all(&self, frames: u64) -> bool {
        let mut left = frames;
        while left > 0 {
            left -= self.make(&mut self.state.borrow_mut(), left);
            if self.state.borrow().ended {
                return false;
            }
            tokio::task::yield_now().await;
        }
        true
    }
}

/// Adds to a counter.
pub(super) fn count(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// A client's place in the stream. As long as it exists, nothing it has not been sent is let go where the
/// pace allows it.
pub(super) struct Reader<'a> {
    hub: &'a Hub,
    id: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(hub: &'a Hub, place: u64) -> Self {
        let mut state = hub.state.borrow_mut();
        let id = state.next_reader;
        state.next_reader += 1;
        state.readers.insert(id, place);
        hub.first_client.notify_one();
        Self { hub, id }
    }

    /// What to do next. What it says to send counts as sent.
    pub(super) fn step(&self) -> Step {
        let state = &mut *self.hub.state.borrow_mut();
        let place = state.readers.get(&self.id).copied().unwrap_or(state.window.end());
        if place < state.window.oldest() {
            return Step::TooSlow;
        }
        if place == state.window.end() && self.hub.settings.pacing == Pacing::AsRead {
            let slowest = state.readers.values().copied().min().unwrap_or(place);
            let room = state.window.room_after(slowest);
            self.hub.make(state, room);
        }
        match state.window.read(place) {
            Some((bytes, next)) => {
                state.readers.insert(self.id, next);
                self.hub.changed.notify_waiters();
                let stamps = state.window.stamps(place).to_vec();
                Step::Send(Run { bytes, first: place, frames: next - place, stamps })
            }
            None if state.ended && self.hub.settings.ending == Ending::Close => Step::Close,
            None => Step::Wait,
        }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.hub.state.borrow_mut().readers.remove(&self.id);
        self.hub.changed.notify_waiters();
    }
}
