//! The stream's last frames, kept for clients that come back: addressed by place (0 is the first frame ever
//! made), found by cursor.
//!
//! Places, not sequence numbers, are what is counted in: they have no gaps, and frames without a number have one too.

use std::collections::VecDeque;

use bytes::Bytes;

use super::CursorRule;
use super::jetstream::Stamp;
use super::wire::Chunk;

#[derive(Debug)]
pub(super) struct Window {
    chunks: VecDeque<Chunk>,
    /// Frames that are kept.
    keep: u64,
    /// Place of the next frame to be made.
    end: u64,
    /// Sequence number of the newest frame; 0 before the first.
    newest: u64,
    /// Sequence number of the last frame of the chunks that were let go.
    gone: Option<u64>,
    /// Place of the first frame since the numbering began anew. Cursors know only what is numbered as they are.
    renumbered: u64,
}

/// Where a cursor leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sought {
    /// To this place; everything after the cursor is there.
    At(u64),
    /// Frames after the cursor are gone; the oldest that is there is at this place.
    Outdated(u64),
    /// Beyond the newest frame.
    Future,
}

impl Window {
    pub(super) fn new(keep: u64) -> Self {
        Self { chunks: VecDeque::new(), keep, end: 0, newest: 0, gone: None, renumbered: 0 }
    }

    /// Place of the next frame to be made.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Sequence number of the newest frame; 0 before the first.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Place of the oldest frame that may be asked for.
    pub(super) fn oldest(&self) -> u64 {
        self.end.saturating_sub(self.keep)
    }

    /// Place of the oldest frame that a cursor leads to.
    pub(super) fn floor(&self) -> u64 {
        self.oldest().max(self.renumbered)
    }

    /// How many frames may be made until the one at `place` is no longer kept.
    pub(super) fn room_after(&self, place: u64) -> u64 {
        (place + self.keep).saturating_sub(self.end)
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.end = chunk.end();
        self.newest = chunk.last_seq();
        self.renumbered = chunk.renumbered.unwrap_or(self.renumbered);
        self.chunks.push_back(chunk);
        while self.chunks.front().is_some_and(|chunk| chunk.end() <= self.oldest()) {
            self.gone = self.chunks.pop_front().map(|chunk| chunk.last_seq());
        }
    }

    /// The messages from `place` to the end of its chunk, and the place after them; `None` at the end of the stream.
    pub(super) fn read(&self, place: u64) -> Option<(Bytes, u64)> {
        let chunk = self.chunks.get(self.chunks.partition_point(|chunk| chunk.end() <= place))?;
        Some((chunk.from(place), chunk.end()))
    }

    /// Where a cursor leads. Zero is the whole window.
    pub(super) fn seek(&self, cursor: u64, rule: CursorRule) -> Sought {
        let floor = self.floor();
        if cursor == 0 {
            return Sought::At(floor);
        }
        if cursor > self.newest {
            return Sought::Future;
        }
        let skipped = |seq| match rule {
            CursorRule::Inclusive => seq < cursor,
            CursorRule::Exclusive => seq <= cursor,
        };
        if self.last_gone().is_some_and(|seq| !skipped(seq)) {
            return Sought::Outdated(floor);
        }
        let past = |chunk: &Chunk| chunk.end() <= floor || skipped(chunk.last_seq());
        let chunk = self.chunks.get(self.chunks.partition_point(past));
        Sought::At(chunk.map_or(self.end, |chunk| chunk.seek(floor, skipped)))
    }

    /// Where a cursor of a Jetstream leads, which is a time in microseconds: never to what is gone, and one
    /// in the future to the frames to come.
    pub(super) fn seek_time(&self, cursor: u64, rule: CursorRule) -> u64 {
        let first = rule.first(cursor);
        let skipped = |stamp: &Stamp| stamp.end() <= first;
        let past = |chunk: &Chunk| chunk.stamps_from(chunk.first).last().is_none_or(skipped);
        let Some(chunk) = self.chunks.get(self.chunks.partition_point(past)) else { return self.end };
        let before = chunk.stamps_from(chunk.first).partition_point(skipped);
        (chunk.first + before as u64).max(self.oldest())
    }

    /// The times of the events from `place` to the end of its chunk.
    pub(super) fn stamps(&self, place: u64) -> &[Stamp] {
        let chunk = self.chunks.get(self.chunks.partition_point(|chunk| chunk.end() <= place));
        chunk.map_or(&[], |chunk| chunk.stamps_from(place))
    }

    /// The sequence number of the frame at a place, or the one before it where it has none.
    pub(super) fn seq_at(&self, place: u64) -> Option<u64> {
        self.chunks.get(self.chunks.partition_point(|chunk| chunk.end() <= place))?.seq_at(place)
    }

    /// The sequence number of the frame before the oldest, if it is of the same numbering.
    fn last_gone(&self) -> Option<u64> {
        let place = self.oldest().checked_sub(1).filter(|place| *place >= self.renumbered)?;
        self.chunks.front().and_then(|chunk| chunk.seq_at(place)).or(self.gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::FrameSource;
    use crate::relay::wire::Room;

    /// Frames numbered 10, 20, 30…, each holding nothing.
    struct Tens(u64);

    impl FrameSource for Tens {
        fn next_into(&mut self, _: &mut Vec<u8>) -> Option<Option<u64>> {
            self.0 += 10;
            Some(Some(self.0))
        }
    }

    /// A window that keeps 5 frames, after 8 were made in chunks of 3, 3 and 2: numbers 40 to 80 are there.
    fn window() -> Window {
        let (mut window, mut source) = (Window::new(5), Tens(0));
        for frames in [3, 3, 2] {
            let room = Room { frames, bytes: 1 << 10 };
            window.push(Chunk::take(&mut source, window.end(), window.newest(), room).0.unwrap());
        }
        window
    }

    #[test]
    fn cursors_lead_where_the_rule_says() {
        let window = window();
        let inclusive = |cursor| window.seek(cursor, CursorRule::Inclusive);
        let exclusive = |cursor| window.seek(cursor, CursorRule::Exclusive);
        assert_eq!((inclusive(0), exclusive(0)), (Sought::At(3), Sought::At(3)));
        assert_eq!((inclusive(40), exclusive(40)), (Sought::At(3), Sought::At(4)));
        assert_eq!((inclusive(45), exclusive(45)), (Sought::At(4), Sought::At(4)));
        assert_eq!((inclusive(80), exclusive(80)), (Sought::At(7), Sought::At(8)));
        assert_eq!((inclusive(81), exclusive(81)), (Sought::Future, Sought::Future));
        assert_eq!((inclusive(30), exclusive(30)), (Sought::Outdated(3), Sought::At(3)));
        assert_eq!((inclusive(29), exclusive(29)), (Sought::Outdated(3), Sought::Outdated(3)));
    }

    #[test]
    fn a_cursor_leads_to_frames_that_are_numbered_as_it_is() {
        /// 10, 20, 30, 1, 2, 3…
        struct Anew(u64);

        impl FrameSource for Anew {
            fn next_into(&mut self, _: &mut Vec<u8>) -> Option<Option<u64>> {
                self.0 += 1;
                Some(Some(if self.0 <= 3 { self.0 * 10 } else { self.0 - 3 }))
            }
        }

        // The numbering begins anew within a chunk, and with one.
        for sizes in [[2, 3, 3], [3, 2, 3]] {
            let (mut window, mut source) = (Window::new(100), Anew(0));
            for frames in sizes {
                let room = Room { frames, bytes: 1 << 10 };
                window.push(Chunk::take(&mut source, window.end(), window.newest(), room).0.unwrap());
            }
            let seek = |cursor| window.seek(cursor, CursorRule::Inclusive);
            assert_eq!([seek(0), seek(1), seek(2), seek(5)], [3, 3, 4, 7].map(Sought::At), "{sizes:?}");
            assert_eq!([seek(6), seek(30)], [Sought::Future; 2]);
            assert_eq!((window.seq_at(2), window.seq_at(3), window.seq_at(8)), (Some(30), Some(1), None));
        }
    }

    #[test]
    fn an_empty_window_knows_no_cursor_but_zero() {
        let window = Window::new(5);
        assert_eq!(window.seek(0, CursorRule::Inclusive), Sought::At(0));
        assert_eq!(window.seek(1, CursorRule::Inclusive), Sought::Future);
        assert_eq!(window.read(0), None);
    }

    #[test]
    fn reading_goes_chunk_by_chunk() {
        let window = window();
        let (mut place, mut sizes) = (window.oldest() + 1, Vec::new());
        while let Some((bytes, next)) = window.read(place) {
            sizes.push(bytes.len());
            place = next;
        }
        // An empty message is two bytes long.
        assert_eq!((sizes, place), (vec![4, 4], 8));
    }
}
