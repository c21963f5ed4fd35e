//! Several sources as one: their points in order of time, then of the sources.
//!
//! Each source tells with an epoch up to which time its points are all there. What is before the least of
//! those times goes out; what is at it waits, since another source may still have a point of that time (a
//! single source without ordinals of the program's own does not wait). A source that is at its end no longer
//! counts, nor does one that was silent for its time of idleness; what that says after all may be
//! [late](crate::late), which it judges by how far the others have gone.
//!
//! What is ahead is held. So a source that can wait is not read on while much of it is held, until the one
//! behind has come as far, has ended, or is not waited for. What goes out at once may be all that is held: it
//! does so in as many epochs as it takes, so that a stop or a save comes between them.

use std::time::{Duration, Instant};

use skytide_runtime::{BytesError, Epoch, Reader, Writer};
use skytide_timestream::engine::{Backlog, Mode};
use skytide_timestream::plan::{Plan, Scan};
use skytide_timestream::rows::Rows;

use crate::late::Passed;
use crate::recovery::{SaveError, StateError, state};
use crate::source::{
    EPOCH_BYTES, EPOCH_ROWS, Next, Opened, Progress, Saved, Source, SourceError, SourceState, Status,
};
use crate::tables::Bell;

/// Bytes held of a source that is ahead of the others before it is no longer asked: so much of a file is read
/// again in no time.
pub(crate) const HELD: usize = 32 << 20;
/// And of a connection: what its server has for it is not there for ever.
pub(crate) const HELD_OF_A_CONNECTION: usize = 128 << 20;
/// The longest wait at one source while others may have something.
const TURN: Duration = Duration::from_millis(10);

/// A source among several.
pub struct Feed {
    source: Box<dyn Source + Send>,
    /// Its scans' places among those of the plan.
    scans: Vec<usize>,
    idle: Option<Duration>,
    /// Whether the bell tells that it has something.
    rings: bool,
    /// By scan: points not yet let go.
    held: Vec<Backlog>,
    /// Bytes that are held of it before it is no longer asked while it is ahead.
    most: usize,
    /// The ordinal of the next row to go out, where a program orders rows by numbers of its own: of those
    /// several may be equal, and what is no other point by its place is the same one.
    counted: Option<u64>,
    told: Option<i64>,
    heard: Instant,
    has_ended: bool,
    /// Whether it is read no more, or has given all that it had when it was closed: what it would have given
    /// next is not known.
    is_left: bool,
}

shown!(Feed { scans, most, told, has_ended });

impl Feed {
    /// A source that gives the points of these scans of the plan. After `idle` of silence it is not waited
    /// for. `rings` says that the bell of the [`Merge`] tells when it has something to read. While it is
    /// ahead of another and some 32 MiB of it are held, it is not read, unless it is to be
    /// [held](Self::holding) further.
    #[must_use]
    pub fn new(
        source: Box<dyn Source + Send>,
        scans: Vec<usize>,
        idle: Option<Duration>,
        rings: bool,
    ) -> Self {
        let held = scans.iter().map(|_| Backlog::of_source()).collect();
        Self {
            source,
            scans,
            idle,
            rings,
            held,
            most: HELD,
            counted: None,
            told: None,
            heard: Instant::now(),
            has_ended: false,
            is_left: false,
        }
    }

    /// Holds about so many bytes of it while it is ahead of another.
    #[must_use]
    pub fn holding(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Its rows are ordered by a subsort column, of which several values may be equal: each of its scans has
    /// all rows.
    pub(crate) fn counting(self) -> Self {
        Self { counted: Some(0), ..self }
    }

    /// Its scans' places among those of the plan.
    pub(crate) fn scans(&self) -> impl Iterator<Item = usize> {
        self.scans.iter().copied()
    }

    /// Writes what it takes to go on after the points that have gone out.
    fn save(&self, bytes: &mut Writer) -> Result<(), SaveError> {
        state::write_places(bytes, &self.scans);
        match self.source.save()? {
            Saved::State(SourceState(state)) => {
                bytes.number(0);
                bytes.part(&state);
                state::write_time(bytes, self.told);
                bytes.number(self.has_ended.into());
                state::write_held(bytes, &self.held)?;
            }
            // What is held is read again; each of its scans has as many rows.
            Saved::Again { of, given } => {
                let held: usize = self.held.first().map_or(0, Backlog::len);
                bytes.number(1);
                bytes.part(of.as_bytes());
                bytes.number(given.saturating_sub(held as u64));
            }
        }
        Ok(())
    }

    /// Goes on from where it stood; its source does already.
    pub(crate) fn going_on(mut self, left: Left) -> Self {
        match left {
            Left::State { told, has_ended, held, .. } => {
                (self.told, self.has_ended, self.held) = (told, has_ended, held);
            }
            Left::Again { given, .. } => self.counted = self.counted.map(|_| given),
        }
        self
    }

    /// Holds what the source has; tells whether it had anything, if only its end.
    fn ask(&mut self, wait: Duration, is_closed: bool) -> Result<bool, SourceError> {
        // A source that rings has said already that it has nothing.
        match self.source.next(if self.rings { Duration::ZERO } else { wait })? {
            Next::Idle => return Ok(false),
            Next::End => {
                self.has_ended = !is_closed;
                self.is_left = is_closed;
            }
            Next::Epoch(epoch) => {
                self.heard = Instant::now();
                if !matches!(epoch.watermark, i64::MIN | i64::MAX) {
                    self.told = self.told.max(Some(epoch.watermark));
                }
                for (held, rows) in self.held.iter_mut().zip(epoch.scans) {
                    let Some(rows) = rows.filter(|rows| !rows.is_empty()) else { continue };
                    held.push(rows)?;
                }
            }
        }
        Ok(true)
    }

    /// Whether it is to wait for another that stands there.
    fn is_ahead(&self, least: Option<i64>) -> bool {
        self.told > least && self.held.iter().map(Backlog::bytes).sum::<usize>() > self.most
    }

    fn is_waited_for(&self) -> bool {
        !self.has_ended && self.idle.is_none_or(|idle| self.heard.elapsed() < idle)
    }

    /// How far it goes where nothing is waited for: as far as it has told, or beyond all that it has if it is
    /// at its end.
    fn reaches(&self) -> Option<i64> {
        let held = self.held.iter().filter(|_| self.has_ended).flat_map(Backlog::batches);
        let last = held.filter_map(|rows| rows.places.time.last()).max();
        self.told.max(last.map(|time| time.saturating_add(1)))
    }
}

/// Where a feed stood when it was saved.
pub(crate) enum Left {
    /// Its source has a state.
    State { state: SourceState, told: Option<i64>, has_ended: bool, held: Vec<Backlog> },
    /// Its source gives the same points again, of which so many have gone out.
    Again { of: String, given: u64 },
}

impl Left {
    /// Reads what [`Feed`] wrote of these scans of a plan, which stand in it at `places`.
    pub(crate) fn read(bytes: &mut Reader<'_>, places: &[usize], scans: &[Scan]) -> Result<Self, StateError> {
        state::expect_places(bytes, places)?;
        Ok(match bytes.number()? {
            0 => Self::State {
                state: SourceState(bytes.part()?.to_vec()),
                told: state::read_time(bytes)?,
                has_ended: state::read_flag(bytes)?,
                held: state::read_held(bytes, scans)?,
            },
            1 => Self::Again { of: state::read_text(bytes)?, given: state::read_count(bytes)? },
            _ => return Err(BytesError::Number.into()),
        })
    }
}

/// Up to where points are let go of.
#[derive(Clone, Copy)]
enum Until {
    Time(i64),
    End,
}

/// Several sources in order.
pub struct Merge {
    feeds: Vec<Feed>,
    opened: Opened,
    mode: Mode,
    /// Of which state it goes on from, the [sum](SourceState::sum).
    begun_at: Option<u64>,
    /// Whether points of the time that is reached wait too.
    is_strict: bool,
    bell: Bell,
    /// Up to which time points have gone out.
    passed: Passed,
    /// Up to where points are being let go of in several epochs: nothing is read before all of them are out.
    going: Option<Until>,
    /// What ended a source, to be said once what is complete is out; of a source alone all that it gave.
    failed: Option<SourceError>,
    has_ended: bool,
    is_closed: bool,
}

shown!(Merge { feeds, mode, has_ended });

impl Merge {
    /// The points of all `feeds` for a plan with these scans. With `is_strict` points wait until their time
    /// has passed, as they must where points that come later may stand before them at one time; several feeds
    /// are strict in any case. `passed` tells sources that may be idle how far the others have gone: what
    /// they give stands at or after it.
    #[must_use]
    pub fn new(
        feeds: Vec<Feed>,
        scans: &[Scan],
        mode: Mode,
        is_strict: bool,
        bell: Bell,
        passed: Passed,
    ) -> Self {
        let is_strict = is_strict || feeds.len() > 1;
        Self {
            feeds,
            opened: Opened::of(scans),
            mode,
            begun_at: None,
            is_strict,
            bell,
            passed,
            going: None,
            failed: None,
            has_ended: false,
            is_closed: false,
        }
    }

    /// Whether it was opened where an earlier run left it, in this state, or at its beginning where there is none.
    pub(crate) fn has_begun_at(&self, state: Option<&SourceState>) -> bool {
        self.begun_at == state.map(SourceState::sum)
    }

    /// Goes on from a state, of which these bytes are left, and its feeds do already.
    pub(crate) fn going_on(
        mut self,
        state: &SourceState,
        bytes: &mut Reader<'_>,
    ) -> Result<Self, StateError> {
        self.begun_at = Some(state.sum());
        if let Some(passed) = state::read_time(bytes)? {
            self.passed.reach(passed);
        }
        self.has_ended = state::read_flag(bytes)?;
        Ok(self)
    }

    /// The sources that are asked for more: not those at their end, and not those of which much is held,
    /// which wait for the one behind; where all are to end, what was handed over is asked for however much it
    /// is.
    fn asked(&mut self) -> impl Iterator<Item = &mut Feed> {
        let waited_for = self.feeds.iter().filter(|feed| feed.is_waited_for());
        let least = waited_for.map(|feed| feed.told).min().filter(|_| !self.is_closed);
        self.feeds.iter_mut().filter_map(move |feed| {
            let waits = !feed.has_ended && least.is_some_and(|least| feed.is_ahead(least));
            if waits {
                // Who is not asked is not silent.
                feed.heard = Instant::now();
            }
            (!feed.has_ended && !feed.is_left && !waits).then_some(feed)
        })
    }

    /// Whether all that there was has gone out, in this run or in the one that it goes on with.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.has_ended
    }

    /// Takes what the sources have; tells whether they had anything, if only what ended one.
    fn poll(&mut self, wait: Duration) -> bool {
        let (is_closed, mut any) = (self.is_closed, false);
        let asked = self.asked().try_for_each(|feed| {
            any |= feed.ask(wait, is_closed)?;
            Ok(())
        });
        self.failed = asked.err();
        any || self.failed.is_some()
    }

    /// Up to which time everything is here; none where a source has told nothing.
    fn watermark(&self) -> Option<i64> {
        let waited: Vec<&Feed> = self.feeds.iter().filter(|feed| feed.is_waited_for()).collect();
        if waited.is_empty() {
            // All are silent or at their end: how far each goes is all there is to go by.
            return self.feeds.iter().filter_map(Feed::reaches).max();
        }
        waited.iter().map(|feed| feed.told).min().flatten()
    }

    /// The held points before a time (and of it, unless that is strict), in order, or all; of many the first.
    fn release(&mut self, until: Until) -> Result<Epoch, SourceError> {
        let mut scans: Vec<Option<Rows>> = (0..self.opened.scans()).map(|_| None).collect();
        let is_strict = self.is_strict;
        let has_come = |time| match until {
            Until::Time(until) if is_strict => time < until,
            Until::Time(until) => time <= until,
            Until::End => true,
        };
        let held = self.feeds.iter().flat_map(|feed| &feed.held);
        let part = Backlog::part(held, has_come, EPOCH_ROWS, EPOCH_BYTES);
        self.going = part.map(|_| until);
        let goes = |time| part.map_or_else(|| has_come(time), |end| time < end);
        for feed in &mut self.feeds {
            let mut count = 0;
            for (held, place) in feed.held.iter_mut().zip(&feed.scans) {
                let Some(mut rows) = held.take_merged(goes)? else { continue };
                if let Some(first) = feed.counted {
                    rows.places.ordinal = (first..).take(rows.len()).collect();
                    count = count.max(rows.len() as u64);
                }
                if let Some(scan) = scans.get_mut(*place) {
                    *scan = Some(rows);
                }
            }
            feed.counted = feed.counted.map(|first| first + count);
        }
        let told = match until {
            Until::Time(until) => Some(until),
            Until::End => self.feeds.iter().filter_map(|feed| feed.told).max(),
        };
        // No more is known after a part than after all.
        let watermark = told.map_or(i64::MIN, |told| part.map_or(told, |end| end.min(told)));
        if let Until::Time(_) = until {
            self.passed.reach(watermark);
        }
        Ok(Epoch { scans, watermark })
    }
}

impl Source for Merge {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        if let Some(until) = self.going {
            return Ok(Next::Epoch(self.release(until)?));
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.has_ended {
            return Ok(Next::End);
        }
        let seen = self.bell.count();
        let mut any = self.poll(Duration::ZERO);
        if !any && !wait.is_zero() {
            let rings = self.asked().all(|feed| feed.rings);
            any = if rings {
                self.bell.wait(seen, wait);
                self.poll(Duration::ZERO)
            } else {
                self.poll(if self.feeds.len() == 1 { wait } else { wait.min(TURN) })
            };
        }
        // Nothing follows an error: what is complete goes out before it is told, of a source alone all that it gave.
        let is_alone = self.feeds.len() == 1;
        if self.feeds.iter().all(|feed| feed.has_ended) || (self.failed.is_some() && is_alone) {
            self.has_ended = true;
            return Ok(Next::Epoch(self.release(Until::End)?));
        }
        let is_through = self.is_closed && self.feeds.iter().all(|feed| feed.has_ended || feed.is_left);
        self.has_ended = self.failed.is_some() || is_through;
        let watermark = self.watermark();
        // Silence alone can let points go.
        if any || watermark > self.passed.get() {
            let scans = (0..self.opened.scans()).map(|_| None).collect();
            return Ok(Next::Epoch(match watermark {
                Some(watermark) => self.release(Until::Time(watermark))?,
                None => Epoch { scans, watermark: i64::MIN },
            }));
        }
        Ok(Next::Idle)
    }

    fn status(&self) -> Status {
        let mut all = Status::default();
        for feed in &self.feeds {
            let status = feed.source.status();
            all.read += status.read;
            all.bytes += status.bytes;
            all.points += status.points;
            all.spilled += status.spilled;
            all.newest = all.newest.max(status.newest);
            all.cursor = all.cursor.or(status.cursor);
            all.unreached = all.unreached.or(status.unreached);
            all.unread = all.unread.or(status.unread);
            all.progress = match (all.progress, status.progress) {
                (Some(a), Some(b)) => Some(Progress { done: a.done + b.done, total: a.total + b.total }),
                (a, b) => a.or(b),
            };
            for (reason, count) in status.dropped {
                *all.dropped.entry(reason).or_default() += count;
            }
        }
        all
    }

    fn close(&mut self) -> bool {
        if !self.is_closed && (!self.has_ended || self.going.is_some()) {
            let closed: Vec<bool> = self.feeds.iter_mut().map(|feed| feed.source.close()).collect();
            self.is_closed = closed.contains(&true);
            for (feed, is_closed) in self.feeds.iter_mut().zip(closed) {
                feed.is_left = self.is_closed && !is_closed && !feed.has_ended;
            }
        }
        self.is_closed
    }

    fn begin(&mut self, plan: &Plan, mode: Mode) -> Result<(), SourceError> {
        if self.mode != mode {
            return Err(SourceError::OtherMode { mode });
        }
        self.opened.begin(plan)
    }

    fn save(&self) -> Result<Saved, SaveError> {
        if self.failed.is_some() {
            return Err(SaveError::NotNow);
        }
        let mut bytes = Writer::default();
        for feed in &self.feeds {
            feed.save(&mut bytes)?;
        }
        state::write_time(&mut bytes, self.passed.get());
        // Whoever goes on in the midst of an end comes to it again.
        bytes.number((self.has_ended && self.going.is_none()).into());
        Ok(Saved::State(SourceState(bytes.into_bytes())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use arrow_array::{Array, Int64Array};
    use arrow_schema::Fields;
    use skytide_timestream::catalog::StreamDef;
    use skytide_timestream::rows::{Lane, Places};

    use super::*;
    use crate::late::Judge;
    use crate::reorder::Reorder;

    /// Gives one batch after the other, up to a time before which all is here.
    struct Batches(VecDeque<(Rows, i64)>);

    impl Source for Batches {
        fn next(&mut self, _: Duration) -> Result<Next, SourceError> {
            Ok(match self.0.pop_front() {
                Some((rows, watermark)) => Next::Epoch(Epoch { scans: vec![Some(rows)], watermark }),
                None => Next::Idle,
            })
        }

        fn status(&self) -> Status {
            Status::default()
        }
    }

    /// Rows of these times and ordinals, with the times as their column.
    fn rows(times: std::ops::Range<i64>) -> Rows {
        let ordinal = times.clone().map(i64::cast_unsigned).collect();
        let column = Arc::new(Int64Array::from_iter_values(times.clone()));
        Rows { places: Places::new(times.collect(), Lane::One(1), ordinal), key: None, columns: vec![column] }
    }

    /// Many rows that stay, of which the first hundred go one by one as others come.
    fn much_is_held() -> Batches {
        let ones = (0..100).map(|at| (rows(10_000 + at..10_001 + at), at));
        Batches([(rows(0..10_000), 0)].into_iter().chain(ones).collect())
    }

    /// Takes an epoch for each time; tells how often what is held lies elsewhere than before.
    fn copies<S: Source>(source: &mut S, held: impl Fn(&S) -> &Backlog) -> usize {
        let mut copies = 0;
        let mut before = None;
        let mut taken = Vec::new();
        for _ in 0..=100 {
            let Ok(Next::Epoch(epoch)) = source.next(Duration::ZERO) else { panic!("there is more") };
            taken.extend(epoch.scans.into_iter().flatten().flat_map(|rows| rows.places.time.to_vec()));
            let column = held(source).batches()[0].columns[0].to_data().buffers()[0].clone();
            let lies = column.data_ptr();
            copies += usize::from(before.replace(lies).is_some_and(|before| before != lies));
        }
        assert!(taken.iter().copied().eq(0..taken.len() as i64) && taken.len() >= 99, "{taken:?}");
        copies
    }

    #[test]
    fn what_is_held_is_not_copied_whenever_others_come() {
        let feed = Feed::new(Box::new(much_is_held()), vec![0], None, false);
        let (bell, passed) = (Bell::default(), Passed::default());
        let [name, key] = ["m", "k"].map(str::to_owned);
        let stream = Arc::new(StreamDef { name, source: 0, fields: Fields::empty(), key, time: None });
        let scan = Scan { stream, keyed: false, pairs: None, columns: Vec::new(), tests: Vec::new() };
        let mut merge = Merge::new(vec![feed], &[scan], Mode::Live, true, bell, passed);
        assert_eq!(copies(&mut merge, |merge| &merge.feeds[0].held[0]), 0);

        let judge = Judge::new(Duration::from_nanos(10_000));
        let mut reorder = Reorder::new(much_is_held(), Mode::Live, judge);
        assert_eq!(copies(&mut reorder, |reorder| &reorder.held()[0]), 0);
    }
}
