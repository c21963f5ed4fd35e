//! The blocking subscription: the async one, driven on a runtime of its own within the caller's thread.

use std::{
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    time::Duration,
};

use tokio::runtime::{self, Runtime};

use super::{Batch, Frame, Handle, JetstreamPlace, Subscription, taker::Kept};
use crate::Error;

/// So many frames are received together for the iterator.
const TOGETHER: usize = 256;

/// A live subscription to an event stream: a blocking [`Iterator`] of frames.
///
/// Not to be used within async code: waiting there would block the runtime. It ends with
/// [`Error::WithinRuntime`], behind a panic of tokio's that is caught. Take the [`Subscription`] itself
/// there, or a thread that may wait, as those of `spawn_blocking` may.
pub struct Blocking {
    subscription: Subscription,
    /// Received and not yet given by the iterator, the next one last.
    ready: Vec<Kept>,
    /// There until the end.
    runtime: Option<Runtime>,
}

impl Blocking {
    pub(super) fn new(subscription: Subscription) -> Result<Self, Error> {
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build();
        Ok(Self { subscription, ready: Vec::new(), runtime: Some(runtime.map_err(Error::Runtime)?) })
    }

    /// A handle that stops and observes the subscription from anywhere.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.subscription.handle()
    }

    /// See [`Subscription::jetstream_place`].
    #[must_use]
    pub fn jetstream_place(&self) -> Option<JetstreamPlace> {
        self.subscription.jetstream_place()
    }

    /// Takes a [stop](Handle::stop), or the end, back: it goes on from the [low-water mark](Handle::cursor).
    pub fn start_again(&mut self) {
        self.ready.clear();
        self.subscription.start_again();
    }

    /// Waits for the first frame and adds everything that is ready with it, at most `max` frames, to `out`. Gives how
    /// many there were, 0 if the subscription has ended.
    ///
    /// # Errors
    /// What ended the subscription; once.
    pub fn next_batch(&mut self, out: &mut Vec<Frame>, max: usize) -> Result<usize, Error> {
        match self.wait(out, max, None)? {
            Batch::Received(frames) => Ok(frames),
            Batch::Idle | Batch::Ended => Ok(0),
        }
    }

    /// As [`next_batch`](Self::next_batch), but waits for the first frame no longer than `wait`. With no wait at all
    /// it takes what is there.
    ///
    /// # Errors
    /// What ended the subscription; once.
    pub fn next_batch_within(
        &mut self,
        out: &mut Vec<Frame>,
        max: usize,
        wait: Duration,
    ) -> Result<Batch, Error> {
        self.wait(out, max, Some(wait))
    }

    /// Shows each frame that is ready to `visit`, at most `max` frames; waits for the first no longer than
    /// `wait`. The fastest way: see [`Subscription::visit_batch`].
    ///
    /// # Errors
    /// What ended the subscription; once.
    pub fn visit_within(
        &mut self,
        max: usize,
        wait: Duration,
        mut visit: impl FnMut(&Frame),
    ) -> Result<Batch, Error> {
        let mut ready = Vec::new();
        if let Some(batch) = self.take_ready(&mut ready, max) {
            ready.iter().for_each(visit);
            return Ok(batch);
        }
        self.may_wait()?;
        let Some(runtime) = &self.runtime else { return Ok(Batch::Ended) };
        let subscription = &mut self.subscription;
        within(runtime, Some(wait), subscription.visit_batch(max, &mut visit))
    }

    /// Ends where the caller's thread drives async code.
    fn may_wait(&mut self) -> Result<(), Error> {
        // Only tokio knows whether a thread with a runtime may wait, as those of `spawn_blocking` may; it
        // tells by a panic.
        let (true, Some(runtime)) = (runtime::Handle::try_current().is_ok(), &self.runtime) else {
            return Ok(());
        };
        catch_unwind(AssertUnwindSafe(|| runtime.block_on(std::future::ready(())))).map_err(|_| {
            self.end();
            Error::WithinRuntime
        })
    }

    fn end(&mut self) {
        self.subscription.end();
        if let Some(runtime) = self.runtime.take() {
            // A name that is still being looked up must not hold up the end.
            runtime.shutdown_background();
        }
    }

    fn wait(&mut self, out: &mut Vec<Frame>, max: usize, wait: Option<Duration>) -> Result<Batch, Error> {
        if let Some(batch) = self.take_ready(out, max) {
            return Ok(batch);
        }
        self.may_wait()?;
        let Some(runtime) = &self.runtime else { return Ok(Batch::Ended) };
        let subscription = &mut self.subscription;
        within(runtime, wait, subscription.next_batch(out, max))
    }

    /// Takes what was received for the iterator and not given by it; none if there is nothing.
    fn take_ready(&mut self, out: &mut Vec<Frame>, max: usize) -> Option<Batch> {
        let shared = &self.subscription.shared;
        if shared.is_stopped() {
            self.ready.clear();
        }
        if self.ready.is_empty() {
            return None;
        }
        shared.asked();
        let frames = self.ready.len().min(max.max(1));
        let given = self.ready.drain(self.ready.len() - frames..).rev();
        shared.hand_on(given.filter_map(|(frame, mark)| {
            out.push(frame);
            mark
        }));
        Some(Batch::Received(frames))
    }
}

/// Receives, waiting no longer than `wait` where there is one.
fn within(
    runtime: &Runtime,
    wait: Option<Duration>,
    receive: impl Future<Output = Result<usize, Error>>,
) -> Result<Batch, Error> {
    let frames = runtime.block_on(async {
        let mut receive = pin!(receive);
        let Some(wait) = wait else { return Some(receive.await) };
        if let Ok(received) = tokio::time::timeout(wait, &mut receive).await {
            return Some(received);
        }
        // A wait too short to sleep never lets the runtime look at the socket: give it the chance.
        tokio::task::yield_now().await;
        tokio::time::timeout(Duration::ZERO, receive).await.ok()
    });
    Ok(match frames.transpose()? {
        None => Batch::Idle,
        Some(0) => Batch::Ended,
        Some(frames) => Batch::Received(frames),
    })
}

impl Iterator for Blocking {
    type Item = Result<Frame, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let shared = self.subscription.shared.clone();
        shared.asked();
        if shared.is_stopped() {
            self.ready.clear();
            self.subscription.end();
        } else if self.ready.is_empty() {
            if let Err(error) = self.may_wait() {
                return Some(Err(error));
            }
            // The place of a Jetstream is that of what was received: it is to be what was given, too.
            let together = if self.subscription.jetstream.is_some() { 1 } else { TOGETHER };
            let (subscription, ready) = (&mut self.subscription, &mut self.ready);
            let received =
                self.runtime.as_ref()?.block_on(poll_fn(|cx| subscription.poll_frames(cx, ready, together)));
            if let Err(error) = received {
                return Some(Err(error));
            }
            self.ready.reverse();
        }
        let (frame, mark) = self.ready.pop()?;
        shared.hand_on(mark);
        Some(Ok(frame))
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.subscription.fmt(f)
    }
}
