//! The network: accounts that act on a logical clock, and the relay's stream of frames of what they do.

use std::collections::VecDeque;

use skytide_atproto::cid::Cid;
use skytide_atproto::message::{Account as AccountMessage, Identity, Message};

use crate::account::{Account, Standing};
use crate::content::{self, Belongs, Deed, Mix, People, Pool, RecordType, Scene, Target};
use crate::frames::{FrameSource, SimFrame};
use crate::past::Pasts;
use crate::repo::{Envelope, Write};
use crate::rng::Chance;
use crate::time;

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
}

impl Default for Config {
    /// Seed 1; 2,000 accounts, 50 in a thousand with P-256; from 2026-01-01T00:00:00Z at 500 frames a second, numbered
    /// from 1; the mix of the real network.
    fn default() -> Self {
        Self {
            seed: 1,
            accounts: 2_000,
            start: 1_767_225_600 * time::SECOND,
            rate: 500,
            first_seq: 1,
            mix: Mix::default(),
            p256: 50,
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
    mix: Mix,
    chance: Chance,
    population: Population,
    posts: Pool,
    reposts: Pool,
    pasts: Pasts,
    /// What has been decided to happen next.
    queue: VecDeque<Event>,
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

impl Network {
    /// A network before its first frame. Takes milliseconds: keys and repositories are made when first used.
    pub fn new(config: Config) -> Self {
        const LATEST: i64 = 8_000_000_000 * time::SECOND;
        let start = config.start.clamp(0, LATEST);
        let accounts = (0..config.accounts.max(1)).map(|place| {
            let chance = Chance::new(config.seed, 1 + place as u64);
            Account::new(chance, config.p256, place % 20 == 19)
        });
        Self {
            mix: config.mix,
            chance: Chance::new(config.seed, 0),
            population: Population::new(accounts.collect()),
            posts: Pool::default(),
            reposts: Pool::default(),
            pasts: Pasts::new(config.seed, micros(start)),
            queue: VecDeque::new(),
            seq: config.first_seq,
            now: start,
            step: time::SECOND / i64::from(config.rate.max(1)),
        }
    }

    /// All accounts, also those that are created later in the stream.
    pub fn accounts(&self) -> &[Account] {
        &self.population.accounts
    }

    /// The next frame. There is always one.
    pub fn next_frame(&mut self) -> SimFrame {
        self.now += self.chance.between(0, 2 * self.step);
        let time = self.stamp();
        let text = time::text(time);
        let seq = self.seq;
        self.seq += 1;
        // Not every deed can be done: a delete may find nothing to delete. An `#identity` always can.
        const TRIES: usize = 16;
        let frame = (0..TRIES).find_map(|_| {
            let event = self.queue.pop_front().unwrap_or_else(|| self.decide());
            self.happen(event, seq, &text)
        });
        let bytes = frame.unwrap_or_else(|| self.identity(0, seq, &text));
        SimFrame { seq, time, bytes: bytes.into() }
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
                Standing::Inactive => who = population.pick(chance),
            }
        }
        let standing = &mut population.accounts[who].standing;
        if *standing == Standing::Inactive {
            *standing = Standing::Active;
            return Event::Account(who, true, None);
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
        self.remember_past(who);
        // A PDS commits some time before its relay says so.
        let committed = micros(self.now - self.chance.between(0, 300 * time::MILLISECOND));
        let tids = self.population.accounts[who].repo.tids(committed, MOST_WRITES as u64)?;
        let (rev, keys) = tids.split_last()?;
        let keys = keys.iter().map(ToString::to_string).collect();
        let mut draft = Draft { network: self, who, keys, writes: Vec::new() };
        draft.write(deed)?;
        let Draft { writes, .. } = draft;
        let account = &mut self.population.accounts[who];
        let did = account.did().to_owned();
        let envelope = Envelope { seq, time, did: &did };
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

/// Records that one commit writes at most.
const MOST_WRITES: usize = 3;

/// The writes of a commit while they are put together.
struct Draft<'a> {
    network: &'a mut Network,
    who: usize,
    /// Keys for new records.
    keys: Vec<String>,
    writes: Vec<Write>,
}

impl Draft<'_> {
    fn write(&mut self, deed: Deed) -> Option<()> {
        match deed {
            Deed::Create(gate @ (RecordType::Threadgate | RecordType::Postgate)) => {
                let post = self.put(RecordType::Post, 0, Belongs::Alone)?;
                // A gate has the key of its post.
                self.put(gate, 0, Belongs::Thread { first: &post, last: &post })?;
            }
            Deed::Create(RecordType::Post) if self.network.chance.one_in_a_thousand(12) => {
                let first = self.put(RecordType::Post, 0, Belongs::Alone)?;
                let second =
                    self.put(RecordType::Post, 1, Belongs::Thread { first: &first, last: &first })?;
                self.put(RecordType::Post, 2, Belongs::Thread { first: &first, last: &second })?;
            }
            Deed::Create(record_type) | Deed::Update(record_type) => {
                self.put(record_type, 0, Belongs::Alone)?;
            }
            Deed::Delete => {
                let Network { population, chance, .. } = &mut *self.network;
                let path = population.accounts[self.who].repo.some_path(chance)?;
                self.writes.push(Write::Delete { path });
            }
        }
        Some(())
    }

    /// Writes a record at key number `key`, or at its type's only one.
    fn put(&mut self, record_type: RecordType, key: usize, belongs: Belongs<'_>) -> Option<Target> {
        let rkey = if record_type.is_single() { "self" } else { self.keys.get(key)? };
        let path = format!("{}/{rkey}", record_type.nsid());
        let Network { population, chance, posts, reposts, now, .. } = &mut *self.network;
        let account = &population.accounts[self.who];
        let mut scene = Scene {
            chance,
            did: account.did(),
            language: account.language,
            now: *now,
            posts,
            reposts,
            people: population,
            belongs,
        };
        let record = content::write(record_type, &mut scene)?.to_bytes();
        let cid = Cid::for_dag_cbor(&record);
        let target = Target { uri: format!("at://{}/{path}", account.did()), cid };
        self.writes.push(Write::Put { path, record, cid });
        Some(target)
    }
}

impl Population {
    fn new(accounts: Vec<Account>) -> Self {
        // The account at place n is active by 1 / (n + 12).
        let weights = (0..accounts.len() as u64).map(|place| (1 << 32) / (place + 12));
        let ends = weights
            .scan(0, |end, weight| {
                *end += weight;
                Some(*end)
            })
            .collect();
        Self { accounts, ends }
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
        let frame = self.next_frame();
        out.extend_from_slice(&frame.bytes);
        Some(Some(frame.seq))
    }
}

/// Whole microseconds since 1970; none before.
fn micros(nanos: i64) -> u64 {
    u64::try_from(nanos / 1_000).unwrap_or_default()
}
