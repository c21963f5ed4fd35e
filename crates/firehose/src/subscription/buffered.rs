//! A subscription that reads ahead on a thread of its own, into a bounded buffer: for readers that pause, or
//! that would rather miss frames than fall behind.

use std::{
    any::Any,
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread::JoinHandle,
};

use futures_core::Stream;
use tokio::{runtime, sync::Notify};

use super::{Frame, Handle, Subscription, handle::Shared, taker::Kept};
use crate::{Cause, Error};

/// What happens to a frame that comes while the buffer is full, by the number of its frames or by their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// It waits: the socket is not read until there is room. Nothing is lost; a server may lose its patience,
    /// and then the subscription reconnects from its place.
    #[default]
    Wait,
    /// It takes the place of the oldest frame in the buffer, which is dropped, counted in
    /// [`Counters::overflowed`](crate::Counters::overflowed) and entered in the ledger.
    DropOldest,
}

/// A subscription that reads ahead: an [`Iterator`] that blocks, or an async [`Stream`] by
/// [`into_stream`](Self::into_stream).
///
/// Until the buffer is full, pings are answered and the connection is kept while the reader is busy elsewhere.
pub struct Buffered {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and the reader share.
struct Queue {
    state: Mutex<Queued>,
    capacity: usize,
    /// So many bytes of frames fill it, too.
    bytes: usize,
    /// The reader waits for a frame.
    filled: Condvar,
    /// The thread waits for room.
    emptied: Notify,
}

#[derive(Default)]
struct Queued {
    frames: VecDeque<Kept>,
    /// Their bytes.
    bytes: usize,
    /// What ended the subscription, not yet given.
    error: Option<Error>,
    ended: bool,
    /// An async reader that waits for a frame.
    reader: Option<Waker>,
    /// Frames dropped since one was last given: how many, the first and the last number.
    dropped: (u64, Option<u64>, Option<u64>),
}

impl Queued {
    fn push(&mut self, kept: Kept) {
        self.bytes += kept.0.bytes.len();
        self.frames.push_back(kept);
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    fn pop(&mut self) -> Option<Kept> {
        let kept = self.frames.pop_front()?;
        self.bytes -= kept.0.bytes.len();
        Some(kept)
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, Queued> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is more than fits. The newest frame always does, however large it is.
    fn overflows(&self, state: &Queued) -> bool {
        let frames = state.frames.len();
        frames > self.capacity || (state.bytes > self.bytes && frames > 1)
    }

    /// Frames, an error or the end are there to be taken. The lock is given back first: what a reader's waker
    /// does is not known here, and it may wait for a reader that is about to take the lock.
    fn wake(&self, mut state: MutexGuard<'_, Queued>) {
        let reader = state.reader.take();
        drop(state);
        self.filled.notify_one();
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Buffered {
    pub(super) fn new(
        subscription: Subscription,
        capacity: NonZeroUsize,
        overflow: Overflow,
    ) -> Result<Self, Error> {
        let shared = subscription.shared.clone();
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            capacity: capacity.get(),
            bytes: subscription.settings.buffer_bytes,
            filled: Condvar::new(),
            emptied: Notify::new(),
        });
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(Error::Runtime)?;
        let filled = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("firehose".to_owned())
            .spawn(move || {
                let filling = || runtime.block_on(fill(subscription, &filled, overflow));
                // A reader must not wait for a thread that has panicked, nor take that for the end.
                let panic = catch_unwind(AssertUnwindSafe(filling)).err();
                let mut state = filled.state();
                let panicked = panic.as_deref().map(|panic| Error::Panicked { message: message(panic) });
                (state.error, state.ended) = (panicked.or(state.error.take()), true);
                filled.wake(state);
                // A name that is still being looked up must not hold up the end.
                runtime.shutdown_background();
            })
            .map_err(Error::Runtime)?;
        Ok(Self { queue, shared, thread: Some(thread) })
    }

    /// A handle that stops and observes the subscription from anywhere.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone())
    }

    /// The same as an async [`Stream`], which needs no runtime of its own.
    #[must_use]
    pub fn into_stream(self) -> BufferedStream {
        BufferedStream(self)
    }

    /// Frames in the buffer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.state().frames.len()
    }

    /// Adds the frames that are there, at most `max`, to `out`, and gives how many there were, 0 if the
    /// subscription has ended. Pending where there are none; the waker is called when there are. Asking says
    /// that the frames before are finished, as everywhere.
    ///
    /// # Errors
    /// What ended the subscription; once.
    pub fn poll_batch(
        &self,
        cx: &mut Context<'_>,
        out: &mut Vec<Frame>,
        max: usize,
    ) -> Poll<Result<usize, Error>> {
        self.shared.asked();
        let mut state = self.queue.state();
        let before = out.len();
        while out.len() - before < max.max(1) {
            match self.taken(&mut state) {
                Some(Some(Ok(frame))) => out.push(frame),
                // After frames it is for the next poll.
                Some(Some(Err(error))) if out.len() > before => {
                    state.error = Some(error);
                    break;
                }
                Some(Some(Err(error))) => return Poll::Ready(Err(error)),
                Some(None) => return Poll::Ready(Ok(out.len() - before)),
                None if out.len() > before => break,
                None => {
                    state.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(out.len() - before))
    }

    /// Takes what is there: a frame, the error, or the end; none if the reader has to wait.
    fn taken(&self, state: &mut Queued) -> Option<Option<Result<Frame, Error>>> {
        if self.shared.is_stopped() {
            state.clear();
        }
        if state.dropped.0 > 0 && (!state.frames.is_empty() || state.ended) {
            let (frames, first, last) = std::mem::take(&mut state.dropped);
            let cause = Cause::Overflowed { frames, first, last };
            self.shared.ledger.enter(super::now(), cause);
        }
        if let Some((frame, mark)) = state.pop() {
            self.queue.emptied.notify_one();
            self.shared.hand_on(mark);
            return Some(Some(Ok(frame)));
        }
        match state.error.take() {
            Some(error) => Some(Some(Err(error))),
            None => state.ended.then_some(None),
        }
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Waits until the reader has taken something, or the subscription is told to stop.
async fn room(subscription: &Subscription, queue: &Queue) {
    let mut emptied = pin!(queue.emptied.notified());
    poll_fn(|cx| {
        subscription.shared.wake_on_stop(cx.waker());
        if subscription.shared.is_stopped() { Poll::Ready(()) } else { emptied.as_mut().poll(cx) }
    })
    .await;
}

/// Reads until the subscription ends.
async fn fill(mut subscription: Subscription, queue: &Queue, overflow: Overflow) {
    let mut received = Vec::new();
    loop {
        let (waiting, bytes) = match overflow {
            Overflow::Wait => {
                let state = queue.state();
                (state.frames.len(), state.bytes)
            }
            Overflow::DropOldest => (0, 0),
        };
        let is_full = waiting >= queue.capacity || bytes >= queue.bytes;
        if is_full && !subscription.shared.is_stopped() {
            room(&subscription, queue).await;
            continue;
        }
        let room = queue.capacity.saturating_sub(waiting).max(1);
        let bytes = queue.bytes.saturating_sub(bytes).max(1);
        let polled = subscription.receive_ahead(&mut received, room, bytes).await;
        let mut state = queue.state();
        received.drain(..).for_each(|kept| state.push(kept));
        while overflow == Overflow::DropOldest && queue.overflows(&state) {
            let Some((frame, _)) = state.pop() else { break };
            let (frames, first, last) = state.dropped;
            state.dropped = (frames + 1, first.or(frame.seq), frame.seq.or(last));
            subscription.count_overflow();
        }
        match polled {
            Ok(0) => state.ended = true,
            Ok(_) => {}
            Err(error) => (state.error, state.ended) = (Some(error), true),
        }
        // Nobody is to have them, and nobody may ever ask.
        if subscription.shared.is_stopped() {
            state.clear();
        }
        let ended = state.ended;
        queue.wake(state);
        if ended {
            return;
        }
    }
}

impl Iterator for Buffered {
    type Item = Result<Frame, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.shared.asked();
        let mut state = self.queue.state();
        loop {
            if let Some(taken) = self.taken(&mut state) {
                return taken;
            }
            state = self.queue.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The async form of a [`Buffered`] subscription: a [`Stream`].
#[derive(Debug)]
pub struct BufferedStream(Buffered);

impl BufferedStream {
    /// A handle that stops and observes the subscription from anywhere.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }
}

impl Stream for BufferedStream {
    type Item = Result<Frame, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self(buffered) = &*self;
        buffered.shared.asked();
        let mut state = buffered.queue.state();
        match buffered.taken(&mut state) {
            Some(taken) => Poll::Ready(taken),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        self.handle().stop();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say: a panic is told as an error.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Buffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffered").field("waiting", &self.waiting()).field("handle", &self.handle()).finish()
    }
}
