//! How acts are done: who can do each, what is sent of it, what is written down.

use std::collections::VecDeque;

use skytide_atproto::message::{
    Account as AccountMessage, Handle, Info, MAX_OPS, Message, Migrate, Tombstone,
};
use skytide_atproto::syntax::Tid;

use super::act::{Act, Life};
use super::log::{ActEntry, ActLog};
use super::odd::Odd;
use super::{Made, Network};
use crate::account::{Account, Standing};
use crate::content::{Deed, People, RecordType};
use crate::repo::Envelope;
use crate::rng::Chance;
use crate::time;

/// The acts of a network: those to come, and those that were done.
#[derive(Debug)]
pub(super) struct Acts {
    odd: Odd,
    /// Apart from the network's own chance: what is not asked for changes nothing.
    chance: Chance,
    /// What is still to be done, by frame.
    planned: VecDeque<(u64, Act)>,
    pub(super) log: ActLog,
}

impl Acts {
    pub(super) fn new(seed: u64, odd: Odd) -> Self {
        // Far from the streams of accounts and of what was before.
        const STREAM: u64 = u64::MAX - 100;
        Self { odd, chance: Chance::new(seed, STREAM), planned: VecDeque::new(), log: ActLog::default() }
    }

    /// Adds an act to be done, after those of the same frame.
    pub(super) fn plan(&mut self, frame: u64, act: Act) {
        let place = self.planned.partition_point(|(planned, _)| *planned <= frame);
        self.planned.insert(place, (frame, act));
    }
}

/// An act's frame, and the revision of a commit that is not sent.
struct Done {
    made: Made,
    unsent: Option<Tid>,
}

impl From<Made> for Done {
    fn from(made: Made) -> Self {
        Self { made, unsent: None }
    }
}

impl Network {
    /// The frame of an act, if one is to be done now and somebody can.
    pub(super) fn act(&mut self, time: i64) -> Option<Made> {
        let due = self.acts.planned.partition_point(|(frame, _)| *frame <= self.made);
        for place in 0..due {
            let (_, act) = self.acts.planned[place];
            if let Some(made) = self.perform(act, time) {
                self.acts.planned.remove(place);
                return Some(made);
            }
        }
        let act = self.acts.odd.draw(&mut self.acts.chance)?;
        self.perform(act, time)
    }

    fn perform(&mut self, act: Act, time: i64) -> Option<Made> {
        let Done { made, unsent } = match act {
            Act::Sync => self.sync_after_unsent(time)?,
            Act::SyncUnchanged => {
                let who = self.someone(|account| account.repo.is_shown())?;
                self.numbered(who, time, |network, seq, text| network.sync(who, seq, text))?.into()
            }
            Act::Lost => self.lose(time, true)?,
            Act::LostUnnumbered => self.lose(time, false)?,
            Act::Handle | Act::Migrate | Act::Tombstone => self.older(act, time)?.into(),
            Act::Many | Act::Large | Act::Empty | Act::Blobs => self.unusual(act, time)?.into(),
            Act::Account(life) => self.live(life, time)?.into(),
            Act::Info => {
                let message = Some("the network will be away for a minute");
                let bytes = Message::Info(Info { name: "Maintenance", message }).to_frame_bytes();
                Made { bytes, seq: None, time, who: None }.into()
            }
            Act::Time(absurd) => self.usual(absurd.nanos()).into(),
        };
        let did = made.who.map(|who| self.population.accounts[who].did().to_owned());
        let unsent = unsent.map(|rev| rev.to_string());
        self.acts.log.add(ActEntry { act, frame: self.made, seq: made.seq, did, unsent });
        Some(made)
    }

    /// An account commits what is not sent, and shows where that led.
    fn sync_after_unsent(&mut self, time: i64) -> Option<Done> {
        let who = self.someone(|_| true)?;
        self.any_commit(who, self.seq, "")?;
        let unsent = self.population.accounts[who].repo.rev();
        let made = self.numbered(who, time, |network, seq, text| network.sync(who, seq, text))?;
        Some(Done { made, unsent })
    }

    /// An account commits twice, and only the second commit is sent. The first may take a sequence number too.
    fn lose(&mut self, time: i64, is_numbered: bool) -> Option<Done> {
        let who = self.someone(|account| account.repo.is_shown())?;
        self.any_commit(who, self.seq, "")?;
        if is_numbered {
            self.next_seq();
        }
        let unsent = self.population.accounts[who].repo.rev();
        let made = self.numbered(who, time, |network, seq, text| network.any_commit(who, seq, text))?;
        Some(Done { made, unsent })
    }

    /// Messages that are no longer sent.
    fn older(&mut self, act: Act, time: i64) -> Option<Made> {
        let who = self.someone(|_| true)?;
        let Network { population, acts: Acts { chance, .. }, .. } = self;
        let migrate_to = (act == Act::Migrate && chance.one_in_a_thousand(800))
            .then(|| population.someone(chance).0.to_owned());
        let account = &mut population.accounts[who];
        match act {
            Act::Handle => account.rename(chance),
            _ => account.standing = Standing::Gone,
        }
        self.numbered(who, time, |network, seq, time| {
            let account = &network.population.accounts[who];
            let (did, migrate_to) = (account.did(), migrate_to.as_deref());
            let message = match act {
                Act::Handle => Message::Handle(Handle { did, seq, time, handle: account.handle() }),
                Act::Migrate => Message::Migrate(Migrate { did, seq, time, migrate_to }),
                _ => Message::Tombstone(Tombstone { did, seq, time }),
            };
            Some(message.to_frame_bytes())
        })
    }

    /// A commit of what deeds do not write: of an account that has written a lot, if there is one.
    fn unusual(&mut self, act: Act, time: i64) -> Option<Made> {
        let who = self.someone(|account| account.has_past).or_else(|| self.someone(|_| true))?;
        let new_records = match act {
            Act::Many => MAX_OPS,
            Act::Large => 2,
            Act::Blobs => 1,
            _ => 0,
        };
        self.numbered(who, time, |network, seq, text| {
            network.commit_of(who, new_records, seq, text, |draft| match act {
                Act::Many => draft.write_many(),
                Act::Large => draft.write_large(),
                Act::Blobs => draft.write_blobs(),
                _ => Some(()),
            })
        })
    }

    /// A step of an account's life.
    fn live(&mut self, life: Life, time: i64) -> Option<Made> {
        let (standing, status) = match life {
            Life::Created => {
                // The last of the unborn: one that was reserved for this, if there is one.
                let unborn = |account: &Account| account.standing == Standing::Unborn;
                let who = self.population.accounts.iter().rposition(unborn)?;
                return self.begin(who, time);
            }
            Life::Reborn => {
                let who = self.find(Standing::Gone, |_| true)?;
                self.population.accounts[who].begin_anew();
                return self.begin(who, time);
            }
            Life::Reactivated => (Standing::Active, None),
            Life::Deactivated => (Standing::Inactive, Some("deactivated")),
            Life::Suspended => (Standing::Inactive, Some("suspended")),
            Life::TakenDown => (Standing::Inactive, Some("takendown")),
            Life::Deleted => (Standing::Gone, Some("deleted")),
        };
        let active = standing == Standing::Active;
        let who = self.find(if active { Standing::Inactive } else { Standing::Active }, |_| true)?;
        self.population.accounts[who].standing = standing;
        self.numbered(who, time, |network, seq, time| {
            let did = network.population.accounts[who].did();
            Some(Message::Account(AccountMessage { seq, did, time, active, status }).to_frame_bytes())
        })
    }

    /// An account comes to life; the rest of its beginning follows in the queue.
    fn begin(&mut self, who: usize, time: i64) -> Option<Made> {
        let event = self.bear(who);
        self.numbered(who, time, |network, seq, text| network.happen(event, seq, text))
    }

    /// A commit as deeds make them. It can always be done.
    fn any_commit(&mut self, who: usize, seq: u64, time: &str) -> Option<Vec<u8>> {
        let deed = self.mix.deed(&mut self.acts.chance);
        let post = Deed::Create(RecordType::Post);
        self.commit(who, deed, seq, time).or_else(|| self.commit(who, post, seq, time))
    }

    fn sync(&mut self, who: usize, seq: u64, time: &str) -> Option<Vec<u8>> {
        let account = &mut self.population.accounts[who];
        let did = account.did().to_owned();
        account.sync(Envelope { seq, time, did: &did, blobs: &[] })
    }

    /// Makes a frame that takes the next sequence number, if it comes about.
    fn numbered(
        &mut self,
        who: usize,
        time: i64,
        make: impl FnOnce(&mut Network, u64, &str) -> Option<Vec<u8>>,
    ) -> Option<Made> {
        let bytes = make(self, self.seq, &time::text(time))?;
        Some(Made { bytes, seq: Some(self.next_seq()), time, who: Some(who) })
    }

    /// An active account that fits.
    fn someone(&mut self, fits: impl Fn(&Account) -> bool) -> Option<usize> {
        self.find(Standing::Active, fits)
    }

    /// An account of this standing that fits, by its activity. Not one of which something is still to come:
    /// it would come from an account that has become another.
    fn find(&mut self, standing: Standing, fits: impl Fn(&Account) -> bool) -> Option<usize> {
        const TRIES: usize = 16;
        let Network { population, acts: Acts { chance, .. }, queue, .. } = self;
        let fits = |who: &usize| {
            let account = &population.accounts[*who];
            account.standing == standing && fits(account) && queue.iter().all(|event| event.who() != *who)
        };
        let by_activity = (0..TRIES).map(|_| population.pick(chance)).find(&fits);
        by_activity.or_else(|| (0..population.accounts.len()).find(&fits))
    }
}
