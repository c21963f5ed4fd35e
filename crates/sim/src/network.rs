//! The network: accounts that act on a logical clock, and the relay's stream of frames of what they do.

mod act;
mod draft;
mod log;
mod odd;
mod perform;
mod script;

use std::collections::VecDeque;

use skytide_atproto::message::{Account as AccountMessage, Identity, Message};

pub use act::{Absurd, Act, ActError, Life};
pub use log::{ActEntry, ActLog};
pub use odd::{ActKind, Odd, OddError};
pub use script::{Script, ScriptError};

use crate::account::{Account, Standing};
use crate::content::{Deed, Mix, People, Pool, RecordType, Target};
use crate::frames::{FrameSource, SimFrame};
use crate::past::Pasts;
use crate::repo::{Envelope, Write};
use crate::rng::Chance;
use crate::time;
use draft::{Draft, MOST_WRITES};
use perform::Acts;

/// What a network is made of. The same configuration gives the same bytes, on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Where all chance comes from.
    pub seed: u64,
    /// Accounts; one in twenty is created in the course of the stream. At least one there is.
    pub accounts: usize,
    /// When the stream begins, in nanoseconds since 1970, UTC; between 1970 and 2223.
    pub start: i64,
    /// Frames in a second of the logical clock; at least one.
    pub rate: u32,
    /// Sequence number of the first frame.
    pub first_seq: u64,
    /// How often what happens.
    pub mix: Mix,
    /// Accounts in a thousand that sign with P-256; the others sign with K-256.
    pub p256: u32,
    /// How often what is out of the ordinary happens.
    pub odd: Odd,
}

impl Default for Config {
    /// Seed 1; 2,000 accounts, 50 in a thousand with P-256; from 2026-01-01T00:00:00Z at 500 frames a second,
    /// numbered from 1; the mix of the real network; nothing out of the ordinary.
    fn default() -> Self {
        Self {
            seed: 1,
            accounts: 2_000,
            start: 1_767_225_600 * time::SECOND,
            rate: 500,
            first_seq: 1,
            mix: Mix::default(),
            p256: 50,
            odd: Odd::default(),
        }
    }
}

/// A simulated network, and the endless stream of its frames.
///
/// ```
/// use skytide_sim::{Config, Network};
///
/// let frames: Vec<_> = Network::new(Config { seed: 7, accounts: 10, ..Config::default() }).take(3).collect();
/// assert_eq!(frames.iter().map(|frame| frame.seq).collect::<Vec<_>>(), [1, 2, 3]);
/// ```
#[derive(Debug)]
pub struct Network {
    seed: u64,
    p256: u32,
    mix: Mix,
    chance: Chance,
    population: Population,
    posts: Pool,
    reposts: Pool,
    pasts: Pasts,
    /// What has been decided to happen next.
    queue: VecDeque<Event>,
    acts: Acts,
    /// Frames made.
    made: u64,
    /// Of the next frame.
    seq: u64,
    now: i64,
    /// Mean nanoseconds between two frames.
    step: i64,
}

/// Accounts and how active they are: a few do most of it.
#[derive(Debug)]
struct Population {
    accounts: Vec<Account>,
    /// Running totals of the accounts' weights.
    ends: Vec<u64>,
}

/// One frame's cause. The number is the account's place.
#[derive(Debug, Clone, Copy)]
enum Event {
    Identity(usize),
    Account(usize, bool, Option<&'static str>),
    Commit(usize, Deed),
}

/// A frame that was made.
struct Made {
    bytes: Vec<u8>,
    /// Its sequence number, if it has one.
    seq: Option<u64>,
    /// Its envelope's time.
    time: i64,
    /// Whose doing it is.
    who: Option<usize>,
}

impl Network {
    /// A network before its first frame. Takes milliseconds: keys and repositories are made when first used.
    pub fn new(config: Config) -> Self {
        const LATEST: i64 = 8_000_000_000 * time::SECOND;
        let start = config.start.clamp(0, LATEST);
        let accounts = (0..config.accounts.max(1))
            .map(|place| Account::numbered(place, config.seed, config.p256, place % 20 == 19));
        Self {
            seed: config.seed,
            p256: config.p256,
            mix: config.mix,
            chance: Chance::new(config.seed, 0),
            population: Population::new(accounts.collect()),
            posts: Pool::default(),
            reposts: Pool::default(),
            pasts: Pasts::new(config.seed, micros(start)),
            queue: VecDeque::new(),
            acts: Acts::new(config.seed, config.odd),
            made: 0,
            seq: config.first_seq,
            now: start,
            step: time::SECOND / i64::from(config.rate.max(1)),
        }
    }

    /// All accounts, also those that are created later in the stream.
    pub fn accounts(&self) -> &[Account] {
        &self.population.accounts
    }

    /// Has acts done at set frames, the stream's first being number 1: what is given here comes beside what
    /// [`Config::odd`] brings by chance. An act that nobody can do at its frame, as where all accounts are
    /// active and one is to be reactivated, is done with the first frame at which somebody can; of acts due
    /// at once, the one given first goes first, each with a frame of its own. For each `account created` the
    /// network gets one more account.
    #[must_use]
    pub fn script(mut self, acts: impl IntoIterator<Item = (u64, Act)>) -> Self {
        for (frame, act) in acts {
            if act == Act::Account(Life::Created) {
                let place = self.population.accounts.len();
                self.population.reserve(Account::numbered(place, self.seed, self.p256, true));
            }
            self.acts.plan(frame, act);
        }
        self
    }

    /// The acts that were done by chance and by script: to be read at any time, from anywhere.
    pub fn log(&self) -> ActLog {
        self.acts.log.clone()
    }

    /// The time of its clock, nanoseconds.
    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// Its accounts, to be named by their popularity.
    pub(crate) fn people(&self) -> &dyn People {
        &self.population
    }

    /// A post, by its popularity; none where none is known yet.
    pub(crate) fn some_post(&self, chance: &mut Chance) -> Option<&Target> {
        self.posts.pick(chance)
    }

    /// The next frame. There is always one.
    pub fn next_frame(&mut self) -> SimFrame {
        let Made { bytes, seq, time, .. } = self.make();
        let seq = seq.unwrap_or_else(|| self.seq.saturating_sub(1));
        SimFrame { seq, time, bytes: bytes.into() }
    }

    fn make(&mut self) -> Made {
        self.now += self.chance.between(0, 2 * self.step);
        let time = self.stamp();
        self.made += 1;
        if let Some(made) = self.act(time) {
            return made;
        }
        self.usual(time)
    }

    /// A frame of the network's ordinary life, numbered.
    fn usual(&mut self, time: i64) -> Made {
        let text = time::text(time);
        let seq = self.next_seq();
        // Not every deed can be done: a delete may find nothing to delete. An `#identity` always can.
        const TRIES: usize = 16;
        let happened = (0..TRIES).find_map(|_| {
            let event = self.queue.pop_front().unwrap_or_else(|| self.decide());
            Some((event.who(), self.happen(event, seq, &text)?))
        });
        let (who, bytes) = happened.unwrap_or_else(|| (0, self.identity(0, seq, &text)));
        Made { bytes, seq: Some(seq), time, who: Some(who) }
    }

    /// Takes a sequence number.
    fn next_seq(&mut self) -> u64 {
        let seq = self.seq;
        self.seq += 1;
        seq
    }

    /// The relay's `time`: relays are many machines, so it lags by some milliseconds, rarely by most of a second, and
    /// falls from frame to frame nearly as often as it rises.
    fn stamp(&mut self) -> i64 {
        use time::MILLISECOND;
        let lag = match self.chance.below(1000) {
            0..15 => self.chance.between(0, 900 * MILLISECOND),
            15..550 => self.chance.between(0, 60 * MILLISECOND),
            _ => 0,
        };
        time::whole_millis(self.now - lag)
    }

    /// Decides what happens next.
    fn decide(&mut self) -> Event {
        let Self { chance, population, .. } = self;
        const TRIES: usize = 8;
        let mut who = population.pick(chance);
        for _ in 0..TRIES {
            match population.accounts[who].standing {
                Standing::Active => break,
                Standing::Unborn => return self.bear(who),
                // Somebody comes back, or somebody else acts.
                Standing::Inactive if chance.one_in_a_thousand(100) => break,
                Standing::Inactive | Standing::Gone => who = population.pick(chance),
            }
        }
        let standing = &mut population.accounts[who].standing;
        match standing {
            Standing::Active => {}
            Standing::Inactive => {
                *standing = Standing::Active;
                return Event::Account(who, true, None);
            }
            Standing::Unborn => return self.bear(who),
            // Hardly anybody is left. To resolve a DID again does no harm.
            Standing::Gone => return Event::Identity(who),
        }
        if !chance.one_in_a_thousand(self.mix.accounts.into()) {
            return Event::Commit(who, self.mix.deed(chance));
        }
        match chance.below(100) {
            0..50 => {
                if chance.one_in_a_thousand(400) {
                    population.accounts[who].rename(chance);
                }
                Event::Identity(who)
            }
            50..75 => Event::Account(who, true, None),
            75..80 => Event::Account(who, true, Some("throttled")),
            80..82 => Event::Account(who, true, Some("desynchronized")),
            past => {
                population.accounts[who].standing = Standing::Inactive;
                let status = match past {
                    82..92 => "deactivated",
                    92..96 => "takendown",
                    96..99 => "suspended",
                    _ => "deleted",
                };
                Event::Account(who, false, Some(status))
            }
        }
    }

    /// An account is created: its identity, its standing, its profile.
    fn bear(&mut self, who: usize) -> Event {
        self.population.accounts[who].standing = Standing::Active;
        self.population.rouse(who);
        self.queue.push_back(Event::Account(who, true, None));
        self.queue.push_back(Event::Commit(who, Deed::Create(RecordType::Profile)));
        Event::Identity(who)
    }

    fn happen(&mut self, event: Event, seq: u64, time: &str) -> Option<Vec<u8>> {
        match event {
            Event::Identity(who) => Some(self.identity(who, seq, time)),
            Event::Account(who, active, status) => {
                let did = self.population.accounts[who].did();
                let message = Message::Account(AccountMessage { seq, did, time, active, status });
                Some(message.to_frame_bytes())
            }
            Event::Commit(who, deed) => self.commit(who, deed, seq, time),
        }
    }

    fn identity(&mut self, who: usize, seq: u64, time: &str) -> Vec<u8> {
        let account = &self.population.accounts[who];
        let handle = self.chance.one_in_a_thousand(700).then(|| account.handle());
        Message::Identity(Identity { seq, did: account.did(), time, handle }).to_frame_bytes()
    }

    fn commit(&mut self, who: usize, deed: Deed, seq: u64, time: &str) -> Option<Vec<u8>> {
        self.commit_of(who, MOST_WRITES, seq, time, |draft| draft.write(deed))
    }

    /// Commits what `write` puts into a draft, which has so many keys for new records. `None` where it cannot
    /// be done.
    fn commit_of(
        &mut self,
        who: usize,
        keys: usize,
        seq: u64,
        time: &str,
        write: impl FnOnce(&mut Draft<'_>) -> Option<()>,
    ) -> Option<Vec<u8>> {
        self.remember_past(who);
        // A PDS commits some time before its relay says so.
        let committed = micros(self.now - self.chance.between(0, 300 * time::MILLISECOND));
        let tids = self.population.accounts[who].repo.tids(committed, keys as u64)?;
        let (rev, keys) = tids.split_last()?;
        let keys = keys.iter().map(ToString::to_string).collect();
        let mut draft = Draft { network: self, who, keys, rev: *rev, writes: Vec::new(), blobs: Vec::new() };
        write(&mut draft)?;
        let Draft { writes, blobs, .. } = draft;
        let account = &mut self.population.accounts[who];
        let did = account.did().to_owned();
        let envelope = Envelope { seq, time, did: &did, blobs: &blobs };
        let frame = account.commit(&writes, *rev, envelope)?;
        self.announce(&did, &writes);
        Some(frame)
    }

    /// Gives an account that has written before the stream what it wrote, with its first act.
    fn remember_past(&mut self, who: usize) {
        let account = &mut self.population.accounts[who];
        if !account.has_past || account.repo.is_begun() {
            return;
        }
        let past = self.pasts.some(&mut self.chance);
        for (path, cid) in past.newest_posts() {
            self.posts.add(Target { uri: format!("at://{}/{path}", account.did()), cid }, &mut self.chance);
        }
        account.repo.remember(past);
    }

    /// Lets others refer to new posts and reposts.
    fn announce(&mut self, did: &str, writes: &[Write]) {
        for write in writes {
            let Write::Put { path, cid, .. } = write else { continue };
            let pool = match path.split_once('/') {
                Some((nsid, _)) if nsid == RecordType::Post.nsid() => &mut self.posts,
                Some((nsid, _)) if nsid == RecordType::Repost.nsid() => &mut self.reposts,
                _ => continue,
            };
            pool.add(Target { uri: format!("at://{did}/{path}"), cid: *cid }, &mut self.chance);
        }
    }
}

impl Event {
    fn who(self) -> usize {
        match self {
            Event::Identity(who) | Event::Account(who, ..) | Event::Commit(who, _) => who,
        }
    }
}

impl Population {
    fn new(accounts: Vec<Account>) -> Self {
        let ends = (0..accounts.len())
            .scan(0, |end, place| {
                *end += Self::weight(place);
                Some(*end)
            })
            .collect();
        Self { accounts, ends }
    }

    /// The account at place n is active by 1 / (n + 12).
    fn weight(place: usize) -> u64 {
        (1 << 32) / (place as u64 + 12)
    }

    /// Adds an account that does nothing, and that nobody knows, until it is roused.
    fn reserve(&mut self, account: Account) {
        self.accounts.push(account);
        self.ends.push(self.ends.last().copied().unwrap_or_default());
    }

    /// Lets a reserved account take part like any other.
    fn rouse(&mut self, who: usize) {
        let before = who.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        if self.ends.get(who) == Some(&before) {
            self.ends.iter_mut().skip(who).for_each(|end| *end += Self::weight(who));
        }
    }

    /// The place of an account, by its activity.
    fn pick(&self, chance: &mut Chance) -> usize {
        let drawn = chance.below(self.ends.last().copied().unwrap_or_default());
        self.ends.partition_point(|end| *end <= drawn)
    }
}

impl People for Population {
    fn someone(&self, chance: &mut Chance) -> (&str, &str) {
        let account = &self.accounts[self.pick(chance)];
        (account.did(), account.handle())
    }
}

impl Iterator for Network {
    type Item = SimFrame;

    fn next(&mut self) -> Option<SimFrame> {
        Some(self.next_frame())
    }
}

impl FrameSource for Network {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Option<Option<u64>> {
        let Made { bytes, seq, .. } = self.make();
        out.extend_from_slice(&bytes);
        Some(seq)
    }
}

/// Whole microseconds since 1970; none before.
fn micros(nanos: i64) -> u64 {
    u64::try_from(nanos / 1_000).unwrap_or_default()
}
