//! How often a network does what is out of the ordinary: a rate for each kind of act, none unless it is asked for.

use std::fmt;
use std::str::FromStr;

use super::act::{Absurd, Act, Life};
use crate::rng::Chance;

/// Frames that rates are counted in.
const MILLION: u64 = 1_000_000;

/// Makes of one list the kinds, their words, and a rate for each.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $rate:ident,)*) => {
        /// A kind of act, named by the first word of its text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ActKind {
            $($(#[$doc])* $kind,)*
        }

        impl ActKind {
            /// All kinds.
            pub const ALL: [ActKind; [$(ActKind::$kind),*].len()] = [$(ActKind::$kind),*];

            /// Its word, as `sync`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(ActKind::$kind => stringify!($rate),)*
                }
            }
        }

        /// How many frames in a million are each kind of act, by chance: 0 by default.
        ///
        /// Where all rates come to more than a million together, every frame is an act, and each kind has its
        /// share of them. An act that nobody can do yet, as a `reactivated` where all accounts are active,
        /// gives way to an ordinary frame. It has a text form, as `sync=100,lost=50`, with the kinds of a
        /// rate other than 0.
        ///
        /// ```
        /// use skytide_sim::Odd;
        ///
        /// let odd: Odd = "sync=100,lost=50".parse()?;
        /// assert_eq!(odd, Odd { sync: 100, lost: 50, ..Odd::default() });
        /// # Ok::<(), skytide_sim::OddError>(())
        /// ```
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Odd {
            $($(#[$doc])* pub $rate: u32,)*
        }

        impl Odd {
            /// The rate of a kind.
            pub fn rate(&self, kind: ActKind) -> u32 {
                match kind {
                    $(ActKind::$kind => self.$rate,)*
                }
            }

            fn rate_mut(&mut self, kind: ActKind) -> &mut u32 {
                match kind {
                    $(ActKind::$kind => &mut self.$rate,)*
                }
            }
        }
    };
}

kinds! {
    /// [`Act::Sync`] and [`Act::SyncUnchanged`].
    Sync sync,
    /// [`Act::Lost`] and [`Act::LostUnnumbered`].
    Lost lost,
    /// [`Act::Handle`].
    Handle handle,
    /// [`Act::Migrate`].
    Migrate migrate,
    /// [`Act::Tombstone`].
    Tombstone tombstone,
    /// [`Act::Many`].
    Many many,
    /// [`Act::Large`].
    Large large,
    /// [`Act::Empty`].
    Empty empty,
    /// [`Act::Blobs`].
    Blobs blobs,
    /// [`Act::Account`]: any step of a life.
    Account account,
    /// [`Act::Info`].
    Info info,
    /// [`Act::Time`].
    Time time,
}

impl ActKind {
    /// An act of the kind: each of them as often as the others.
    fn some(self, chance: &mut Chance) -> Act {
        let mut either = |one, other| if chance.one_in_a_thousand(500) { one } else { other };
        match self {
            ActKind::Sync => either(Act::Sync, Act::SyncUnchanged),
            ActKind::Lost => either(Act::Lost, Act::LostUnnumbered),
            ActKind::Handle => Act::Handle,
            ActKind::Migrate => Act::Migrate,
            ActKind::Tombstone => Act::Tombstone,
            ActKind::Many => Act::Many,
            ActKind::Large => Act::Large,
            ActKind::Empty => Act::Empty,
            ActKind::Blobs => Act::Blobs,
            ActKind::Account => Act::Account(Life::ALL[chance.index(Life::ALL.len())]),
            ActKind::Info => Act::Info,
            ActKind::Time => either(Act::Time(Absurd::Past), Act::Time(Absurd::Future)),
        }
    }
}

impl fmt::Display for ActKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Odd {
    /// Whether a frame is an act, and which. Nothing is drawn where all rates are 0.
    pub(super) fn draw(&self, chance: &mut Chance) -> Option<Act> {
        let rates = ActKind::ALL.map(|kind| (kind, u64::from(self.rate(kind))));
        let sum: u64 = rates.iter().map(|(_, rate)| rate).sum();
        if sum == 0 {
            return None;
        }
        let mut drawn = chance.below(sum.max(MILLION));
        let (kind, _) = rates.into_iter().find(|(_, rate)| {
            let found = drawn < *rate;
            drawn = drawn.saturating_sub(*rate);
            found
        })?;
        Some(kind.some(chance))
    }
}

/// Kinds with their rates, as `sync=100,lost=50`; nothing where all are 0.
impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for kind in ActKind::ALL {
            let rate = self.rate(kind);
            if rate > 0 {
                write!(f, "{comma}{kind}={rate}")?;
                comma = ",";
            }
        }
        Ok(())
    }
}

/// A text is no list of rates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OddError {
    /// A part is not a kind, `=` and a rate.
    #[error("`{found}` is no rate; write KIND=RATE, as `sync=100`")]
    Pair {
        /// The part.
        found: String,
    },
    /// There is no such kind.
    #[error("`{found}` is no kind of act; there are {}, and `{ALL}` of them", all_kinds())]
    Kind {
        /// What stands in its place.
        found: String,
    },
    /// The rate is no number of frames in a million.
    #[error("{kind}: `{found}` is no rate; it is a whole number of frames in a million, from 0 to 1000000")]
    Rate {
        /// The kind, or `all`.
        kind: &'static str,
        /// What stands in the rate's place.
        found: String,
    },
    /// A kind is there twice.
    #[error("{kind} has two rates")]
    Twice {
        /// The kind, or `all`.
        kind: &'static str,
    },
}

/// What stands for every kind.
const ALL: &str = "all";

fn all_kinds() -> String {
    ActKind::ALL.map(|kind| format!("`{kind}`")).join(", ")
}

impl FromStr for Odd {
    type Err = OddError;

    /// Reads rates between commas; white space around words does not matter. `all` is the rate of each kind
    /// that has none of its own. An empty text is no rate at all.
    fn from_str(text: &str) -> Result<Odd, OddError> {
        let mut odd = Odd::default();
        let mut seen = Vec::new();
        if text.trim().is_empty() {
            return Ok(odd);
        }
        for part in text.split(',').map(str::trim) {
            let Some((word, rate)) = part.split_once('=') else {
                return Err(OddError::Pair { found: part.to_owned() });
            };
            let (word, rate) = (word.trim(), rate.trim());
            let kind = ActKind::ALL.into_iter().find(|kind| kind.as_str() == word);
            let name = kind.map(ActKind::as_str).or(Some(ALL).filter(|all| *all == word));
            let name = name.ok_or_else(|| OddError::Kind { found: word.to_owned() })?;
            let number = rate.parse().ok().filter(|rate| u64::from(*rate) <= MILLION);
            if seen.iter().any(|(seen, _)| *seen == kind) {
                return Err(OddError::Twice { kind: name });
            }
            seen.push((kind, number.ok_or_else(|| OddError::Rate { kind: name, found: rate.to_owned() })?));
        }
        // What is said of all comes first, wherever it stands.
        seen.sort_by_key(|(kind, _)| kind.is_some());
        for (kind, rate) in seen {
            for kind in ActKind::ALL.into_iter().filter(|each| kind.is_none_or(|kind| kind == *each)) {
                *odd.rate_mut(kind) = rate;
            }
        }
        Ok(odd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_come_as_often_as_their_rates_say() {
        let odd = Odd { sync: 100_000, time: 50_000, ..Odd::default() };
        let mut chance = Chance::new(5, 0);
        let drawn: Vec<_> = (0..10_000).filter_map(|_| odd.draw(&mut chance)).collect();
        let count = |wanted: Act| drawn.iter().filter(|act| **act == wanted).count();
        for (act, least, most) in [
            (Act::Sync, 430, 570),
            (Act::SyncUnchanged, 430, 570),
            (Act::Time(Absurd::Past), 200, 300),
            (Act::Time(Absurd::Future), 200, 300),
        ] {
            assert!((least..most).contains(&count(act)), "{act}: {}", count(act));
        }
        assert!(drawn.iter().all(|act| matches!(act.kind(), ActKind::Sync | ActKind::Time)));
    }

    #[test]
    fn rates_beyond_a_million_are_shares() {
        let odd = Odd { info: u32::MAX, empty: u32::MAX, ..Odd::default() };
        let mut chance = Chance::new(5, 0);
        let infos = (0..1_000).filter(|_| odd.draw(&mut chance).unwrap() == Act::Info).count();
        assert!((430..570).contains(&infos), "{infos}");
        assert_eq!(Odd::default().draw(&mut chance), None);
    }

    #[test]
    fn errors_say_what_is_wrong_and_what_there_is() {
        let told = |text: &str| text.parse::<Odd>().unwrap_err().to_string();
        assert_eq!(told("sync=1,lost"), "`lost` is no rate; write KIND=RATE, as `sync=100`");
        assert_eq!(told("sync=1,"), "`` is no rate; write KIND=RATE, as `sync=100`");
        let kinds = "`sync`, `lost`, `handle`, `migrate`, `tombstone`, `many`, `large`, `empty`, `blobs`, `account`, \
                     `info`, `time`";
        assert_eq!(told("snyc=1"), format!("`snyc` is no kind of act; there are {kinds}, and `all` of them"));
        for rate in ["many", "-1", "1000001", "1.5", ""] {
            let rest = "is no rate; it is a whole number of frames in a million, from 0 to 1000000";
            assert_eq!(told(&format!("lost={rate}")), format!("lost: `{rate}` {rest}"));
        }
        assert_eq!(told("lost=1, lost=0"), "lost has two rates");
        assert_eq!(told("all=1, all=0"), "all has two rates");
    }

    #[test]
    fn all_is_the_rate_of_each_kind_that_has_none() {
        let odd: Odd = "lost=0, all=7, sync=100".parse().unwrap();
        for kind in ActKind::ALL {
            let rate = match kind {
                ActKind::Lost => 0,
                ActKind::Sync => 100,
                _ => 7,
            };
            assert_eq!(odd.rate(kind), rate, "{kind}");
        }
    }
}
