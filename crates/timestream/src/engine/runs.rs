//! The newest items of each key side by side in one arena, so that all of them are read, and copied, at once.
//!
//! A key has some room; items enter behind the others and leave in front. Where there is no room behind, what
//! is there moves to the front of the room or, if it is too much for that, to a larger one at the end of the
//! arena.

use super::array::{fill, make_room};

/// Items of each key in the order they came.
pub(super) struct Runs<T> {
    items: Vec<T>,
    runs: Vec<Run>,
    /// How many items of the arena are no key's room.
    waste: usize,
}

/// Where a key's items are.
#[derive(Clone, Copy, Default)]
struct Run {
    /// Its room.
    start: usize,
    room: usize,
    /// What is before the items, in its room.
    before: usize,
    len: usize,
}

impl Run {
    fn items(self) -> std::ops::Range<usize> {
        let first = self.start + self.before;
        first..first + self.len
    }
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Self { items: Vec::new(), runs: Vec::new(), waste: 0 }
    }
}

/// Less waste than this is let be.
const TIDY: usize = 4096;

impl<T: Copy + Default> Runs<T> {
    pub(super) fn grow(&mut self, keys: usize) {
        fill(&mut self.runs, keys, Run::default());
    }

    #[inline]
    pub(super) fn get(&self, key: usize) -> &[T] {
        self.runs.get(key).map_or(&[], |run| &self.items[run.items()])
    }

    /// Has memory bring a key's items.
    #[inline]
    pub(super) fn touch(&self, key: usize) {
        let items = self.get(key);
        items.iter().step_by(64 / size_of::<T>()).for_each(|item| {
            std::hint::black_box(*item);
        });
    }

    /// Adds items behind a key's others.
    #[inline]
    pub(super) fn push(&mut self, key: usize, items: &[T]) {
        let run = self.runs[key];
        if run.before + run.len + items.len() > run.room {
            self.find_room(key, items.len());
        }
        let run = &mut self.runs[key];
        let end = run.items().end;
        self.items[end..end + items.len()].copy_from_slice(items);
        run.len += items.len();
    }

    /// Makes room for so many more items of a key.
    fn find_room(&mut self, key: usize, more: usize) {
        let run = self.runs[key];
        let wanted = run.len + more;
        let mut new = Run { before: 0, ..run };
        // An eighth is free then, so that this is not to be done for each item.
        if wanted > run.room - run.room / 8 {
            new.start = self.items.len();
            new.room = wanted + wanted / 4;
            make_room(&mut self.items, new.room);
            self.items.resize(new.start + new.room, T::default());
            self.waste += run.room;
        }
        self.items.copy_within(run.items(), new.start);
        self.runs[key] = new;
    }

    /// Lets go of a key's first items.
    #[inline]
    pub(super) fn shorten(&mut self, key: usize, items: usize) {
        let run = &mut self.runs[key];
        let items = items.min(run.len);
        run.before += items;
        run.len -= items;
    }

    /// Lets go of a key's items and its room.
    pub(super) fn clear(&mut self, key: usize) {
        if let Some(run) = self.runs.get_mut(key) {
            self.waste += run.room;
            *run = Run::default();
        }
    }

    /// Drops what is no key's room, once it is more than a quarter.
    pub(super) fn tidy(&mut self) {
        if self.waste <= TIDY || self.waste * 4 <= self.items.len() {
            return;
        }
        let mut items = Vec::with_capacity(self.items.len() - self.waste);
        for run in &mut self.runs {
            let start = items.len();
            items.extend_from_slice(&self.items[run.start..run.start + run.room]);
            run.start = start;
        }
        self.items = items;
        self.waste = 0;
    }

    pub(super) fn memory(&self) -> usize {
        self.items.capacity() * size_of::<T>() + self.runs.capacity() * size_of::<Run>()
    }
}
