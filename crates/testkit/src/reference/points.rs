//! Points and where they stand: their order, which of them are one, and how streams are joined (SEMANTICS 1.2
//! to 1.5).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::value::Val;

/// Where a point stands among all points: by time, then by turn (SEMANTICS 1.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// UTC nanoseconds.
    pub(super) time: i64,
    /// Its turn among those of its time.
    pub(super) turn: Turn,
}

/// The turn of a point among those of its time; the variants stand in their order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// A moved point, by where the event or tick stands that it comes from first.
    Moved(Box<Place>),
    /// An event, by source and ordinal.
    Event { source: u16, ordinal: u64 },
    /// A tick, by the key that it was made for, of which grouping. One that was given another key since
    /// stands, as it did there, before those that are made under the new one: of all points of its time a
    /// key's own tick is the last.
    Tick { rekeyed: Reverse<u32>, grouping: String, key: Val },
}

impl Place {
    /// The place of an event.
    pub(super) const fn event(time: i64, source: u16, ordinal: u64) -> Self {
        Self { time, turn: Turn::Event { source, ordinal } }
    }

    /// The place of a key's tick.
    pub(super) fn tick(time: i64, grouping: &str, key: Val) -> Self {
        Self { time, turn: Turn::Tick { rekeyed: Reverse(0), grouping: grouping.to_owned(), key } }
    }

    /// Whether what asks at `other` sees it: it is not after it. The ticks of a boundary all see each other,
    /// whichever keys they are of, also where they were moved to one time.
    pub(super) fn is_known_at(&self, other: &Self) -> bool {
        match (&self.turn, &other.turn) {
            _ if self.time != other.time => self.time < other.time,
            (Turn::Moved(from), Turn::Moved(to)) => from.is_known_at(to),
            (_, Turn::Tick { .. }) => true,
            _ => self <= other,
        }
    }

    /// The place at another time. What is moved once more still comes from where it came from first.
    pub(super) fn moved_to(&self, time: i64) -> Self {
        let origin = match &self.turn {
            Turn::Moved(origin) => origin.clone(),
            Turn::Event { .. } | Turn::Tick { .. } => Box::new(self.clone()),
        };
        Self { time, turn: Turn::Moved(origin) }
    }

    /// The place under another key.
    fn rekeyed(&self) -> Self {
        let turn = match &self.turn {
            Turn::Moved(origin) => Turn::Moved(Box::new(origin.rekeyed())),
            Turn::Event { .. } => self.turn.clone(),
            Turn::Tick { rekeyed, grouping, key } => {
                Turn::Tick { rekeyed: Reverse(rekeyed.0 + 1), grouping: grouping.clone(), key: key.clone() }
            }
        };
        Self { time: self.time, turn }
    }
}

/// A point of a stream (SEMANTICS 1.1), with what tells it from others of the same time and key.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// Where it stands: that of the first of the events it is paired with.
    pub(super) place: Place,
    /// Where it stands under another key, where it is paired with nothing: that of its own event.
    pub(super) own: Place,
    /// Whether its key is the source's: only then is it paired (SEMANTICS 1.5).
    pub(super) is_of_source: bool,
    /// Which of the points it is that came to this place and key where they were last moved or given a key:
    /// an event under two keys, which are given one key again, and a point that comes to one time in two
    /// ways, are two.
    pub(super) copy: usize,
    pub(super) key: Val,
    pub(super) value: Val,
}

impl Point {
    /// The point at another time.
    pub(super) fn moved_to(self, time: i64) -> Self {
        Self { place: self.place.moved_to(time), own: self.own.moved_to(time), ..self }
    }

    /// The point under another key.
    pub(super) fn under(self, key: Val) -> Self {
        let own = self.own.rekeyed();
        Self { place: own.clone(), own, is_of_source: false, key: key.as_key(), ..self }
    }

    /// Whether two points of one key are one (SEMANTICS 1.5): of the same event or tick, or of paired events
    /// as they came from the sources.
    fn is_same(&self, other: &Self) -> bool {
        let is_paired = self.is_of_source && other.is_of_source && self.place == other.place;
        self.copy == other.copy && (self.own == other.own || is_paired)
    }
}

/// What an expression gives.
#[derive(Debug, Clone)]
pub(super) enum Stream {
    /// The same value everywhere.
    Constant(Val),
    /// Values at points, in order, and whether each holds until the next.
    Points { points: Vec<Point>, holds: bool },
}

impl Stream {
    /// Its points, in order; a constant has none.
    pub(super) fn points(&self) -> &[Point] {
        match self {
            Self::Constant(_) => &[],
            Self::Points { points, .. } => points,
        }
    }
}

/// A point of a union of streams.
#[derive(Debug, Clone)]
pub(super) struct Joined {
    /// The point, with the value of the stream it was found in.
    pub(super) point: Point,
    /// The value of each stream as of there.
    pub(super) values: Vec<Val>,
    /// Whether it is a point of each stream.
    pub(super) is_of: Vec<bool>,
}

/// The union of the arguments' points per key, in order, with each argument's value there: a discrete one's
/// at its own point, else null; a continuous one's as of there, null before its first (SEMANTICS 1.4).
pub(super) fn join(args: &[&Stream]) -> Vec<Joined> {
    struct Met {
        point: Point,
        at: Vec<Option<Val>>,
    }
    let mut keys: BTreeMap<Val, Vec<Met>> = BTreeMap::new();
    for (number, arg) in args.iter().enumerate() {
        for point in arg.points() {
            let met = keys.entry(point.key.clone()).or_default();
            let known = met.iter_mut().find(|known| known.at[number].is_none() && known.point.is_same(point));
            match known {
                Some(known) => {
                    known.at[number] = Some(point.value.clone());
                    known.point.place = known.point.place.clone().min(point.place.clone());
                    known.point.own = known.point.own.clone().min(point.own.clone());
                }
                None => {
                    let mut at = vec![None; args.len()];
                    at[number] = Some(point.value.clone());
                    met.push(Met { point: point.clone(), at });
                }
            }
        }
    }
    let mut all = Vec::new();
    for mut met in keys.into_values() {
        met.sort_by(|x, y| (&x.point.place, x.point.copy).cmp(&(&y.point.place, y.point.copy)));
        let mut latest: Vec<Val> = vec![Val::Null; args.len()];
        for Met { point, at } in met {
            let is_of = at.iter().map(Option::is_some).collect();
            let mut values = Vec::new();
            for ((arg, here), latest) in args.iter().zip(at).zip(&mut latest) {
                values.push(match (arg, here) {
                    (Stream::Constant(value), _) => value.clone(),
                    (Stream::Points { .. }, Some(value)) => {
                        *latest = value.clone();
                        value
                    }
                    (Stream::Points { holds: true, .. }, None) => latest.clone(),
                    (Stream::Points { holds: false, .. }, None) => Val::Null,
                });
            }
            all.push(Joined { point, values, is_of });
        }
    }
    all.sort_by(|x, y| x.point.place.cmp(&y.point.place));
    all
}

/// By place; where one place has several keys, as after a re-keying of joined streams, by key.
pub(super) fn in_order(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|x, y| (&x.place, &x.key).cmp(&(&y.place, &y.key)));
    points
}

/// In order: points that are what they were, and others that came to their place and key only now, each told
/// from all that are there already.
pub(super) fn anew(known: Vec<Point>, came: Vec<Point>) -> Vec<Point> {
    let mut all = known;
    for point in in_order(came) {
        let there = all.iter().filter(|other| other.place == point.place && other.key == point.key);
        let copy = there.map(|other| other.copy + 1).max().unwrap_or(0);
        all.push(Point { copy, ..point });
    }
    in_order(all)
}
