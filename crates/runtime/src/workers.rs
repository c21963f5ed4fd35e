//! The threads of a job beside the caller's, and how a failure of one ends all.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle, Thread};

use timely::WorkerConfig;
use timely::communication::{Allocator, AllocatorBuilder};
use timely::worker::Worker;

use crate::dataflow::Site;
use crate::error::JobError;
use crate::station::lock;

/// Whether the job goes on, as all its workers see it.
pub(crate) struct Pulse {
    /// No worker takes up more work.
    stopped: AtomicBool,
    /// The first failure, until it is told.
    failure: Mutex<Option<JobError>>,
    /// Whether that is that an end was asked for, which is told as often as anyone asks.
    halted: AtomicBool,
    /// The caller's thread, which may be waiting for an answer that will not come.
    caller: Thread,
}

impl Pulse {
    /// The pulse of a job whose first worker is this thread.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            stopped: AtomicBool::new(false),
            failure: Mutex::new(None),
            halted: AtomicBool::new(false),
            caller: std::thread::current(),
        })
    }

    /// Whether workers must stop.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Ends the job by an error; the first one counts.
    pub(crate) fn fail(&self, error: JobError) {
        let mut failure = lock(&self.failure);
        if !self.stopped.swap(true, Ordering::SeqCst) {
            tracing::debug!(%error, "the job ends");
            self.halted.store(matches!(error, JobError::Stopped), Ordering::SeqCst);
            *failure = Some(error);
        }
        self.caller.unpark();
    }

    /// Whether the job goes on; if not, the error by which it has ended.
    pub(crate) fn check(&self) -> Result<(), JobError> {
        if self.stopped() { Err(self.failure()) } else { Ok(()) }
    }

    /// The error by which the job has ended: by name the first time.
    pub(crate) fn failure(&self) -> JobError {
        let first = lock(&self.failure).take();
        let again = || if self.is_halted() { JobError::Stopped } else { JobError::Ended };
        first.unwrap_or_else(again)
    }

    /// Whether the job was left at work.
    pub(crate) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    /// Runs something of a worker's; a panic ends the job.
    pub(crate) fn guard<T>(&self, worker: usize, work: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(value) => Some(value),
            Err(payload) => {
                let message = panic_message(payload.as_ref());
                self.fail(JobError::Panicked { worker, message });
                None
            }
        }
    }
}

/// What a panic said; nothing if it carries no text.
#[must_use]
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// The threads of all workers but the first.
pub(crate) struct Crew {
    pulse: Arc<Pulse>,
    threads: Vec<JoinHandle<()>>,
}

/// A thread that waits for its way to the other workers.
type Waiting = (Sender<AllocatorBuilder>, JoinHandle<()>);

impl Crew {
    /// Starts a thread for each site and connects them and the caller, who gets the first worker.
    ///
    /// `channels` has the way to the other workers for the caller and for each site.
    pub(crate) fn start(
        pulse: &Arc<Pulse>,
        channels: Vec<AllocatorBuilder>,
        sites: Vec<Site>,
    ) -> Result<(Worker, Self), JobError> {
        // Timely's channels are made by all workers at once, and panic if one of them is missing: all threads first.
        let waiting =
            sites.into_iter().map(|site| enlist(pulse, site)).collect::<Result<Vec<Waiting>, JobError>>()?;
        let mut channels = channels.into_iter();
        let Some(own) = channels.next() else { return Err(JobError::Workers(0)) };
        let mut threads = Vec::with_capacity(waiting.len());
        for ((go, thread), channel) in waiting.into_iter().zip(channels) {
            // A thread that is gone has told why.
            let _ = go.send(channel);
            threads.push(thread);
        }
        let crew = Self { pulse: Arc::clone(pulse), threads };
        let worker = pulse.guard(0, || connect(own)).ok_or_else(|| pulse.failure())?;
        Ok((worker?, crew))
    }
}

impl Drop for Crew {
    /// Ends the threads: each after the epoch it is at.
    fn drop(&mut self) {
        self.pulse.stopped.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A panic of the thread was caught in it and told.
            let _ = thread.join();
        }
    }
}

/// A thread for a site, which works once it has its channel.
fn enlist(pulse: &Arc<Pulse>, site: Site) -> Result<Waiting, JobError> {
    let (go, channel): (_, Receiver<AllocatorBuilder>) = channel();
    let number = site.worker;
    let pulse = Arc::clone(pulse);
    let work = move || {
        let Ok(channel) = channel.recv() else { return };
        pulse.guard(number, || {
            let mut worker = match connect(channel) {
                Ok(worker) => worker,
                Err(error) => return pulse.fail(error),
            };
            site.build(&mut worker);
            while !pulse.stopped() {
                worker.step_or_park(None);
            }
        });
    };
    let thread = Builder::new().name(format!("skytide-worker-{number}")).spawn(work);
    thread.map(|thread| (go, thread)).map_err(|source| JobError::Thread { worker: number, source })
}

/// A worker on its end of the channels.
fn connect(channel: AllocatorBuilder) -> Result<Worker, JobError> {
    let allocator = match channel {
        AllocatorBuilder::Thread(_) => Allocator::Thread(timely::communication::allocator::Thread::default()),
        AllocatorBuilder::Process(process) => Allocator::Process(process.build()),
        AllocatorBuilder::Tcp(_) => return Err(JobError::Setup("a job runs in one process".to_owned())),
    };
    // Without a clock timely never parks.
    Ok(Worker::new(WorkerConfig::default(), allocator, Some(std::time::Instant::now())))
}
