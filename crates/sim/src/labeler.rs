//! A labeler: an account whose word about other accounts and their records goes out as a stream of signed labels.
//!
//! It watches a network of its own, made from the same configuration as the one that a relay serves, so what
//! it labels is there: DIDs of accounts, AT-URIs and CIDs of their records.

mod values;

use std::collections::VecDeque;

use skytide_atproto::message::{Label, Labels, Message};

use crate::account::Account;
use crate::frames::{FrameSource, SimFrame};
use crate::network::{Config, Network};
use crate::rng::Chance;
use crate::time;

/// What a labeler is made of. The same configuration gives the same bytes, on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelerConfig {
    /// The network that is labelled. Its seed and its start are the labeler's too.
    pub network: Config,
    /// Frames in a second of the logical clock; at least one.
    pub rate: u32,
    /// Sequence number of the first frame.
    pub first_seq: u64,
    /// Labels in a thousand that take back one that was given before.
    pub negations: u32,
    /// Labels in a thousand, of those that are given, that end by themselves.
    pub expiring: u32,
}

impl Default for LabelerConfig {
    /// The default network; 10 frames a second, numbered from 1; of 1,000 labels 80 take one back, 50 of the
    /// others end.
    fn default() -> Self {
        Self { network: Config::default(), rate: 10, first_seq: 1, negations: 80, expiring: 50 }
    }
}

/// A labeler, and the endless stream of its `#labels` frames.
///
/// ```
/// use skytide_sim::{Labeler, LabelerConfig};
///
/// let frames: Vec<_> = Labeler::new(LabelerConfig::default()).take(3).collect();
/// assert_eq!(frames.iter().map(|frame| frame.seq).collect::<Vec<_>>(), [1, 2, 3]);
/// ```
#[derive(Debug)]
pub struct Labeler {
    account: Account,
    network: Network,
    chance: Chance,
    negations: u32,
    expiring: u32,
    /// Labels that were given and not taken back, the oldest first.
    given: VecDeque<Given>,
    seq: u64,
    now: i64,
    /// Mean nanoseconds between two frames.
    step: i64,
}

/// What a label is about and says, and when it was made. Together with the labeler the first two are its identity.
#[derive(Debug, Clone)]
struct Given {
    uri: String,
    val: &'static str,
    cid: Option<String>,
    cts: i64,
}

/// A label before it is signed.
struct Draft {
    about: Given,
    neg: Option<bool>,
    exp: Option<i64>,
}

impl Labeler {
    /// Labels that are remembered, to be taken back.
    const REMEMBERED: usize = 1_024;

    /// A labeler before its first frame.
    pub fn new(config: LabelerConfig) -> Self {
        // Streams of chance far from those of the network's accounts.
        const ACCOUNT: u64 = u64::MAX - 200;
        const LABELS: u64 = u64::MAX - 201;
        let network = Network::new(config.network);
        Self {
            account: Account::new(Chance::new(config.network.seed, ACCOUNT), 0, true),
            chance: Chance::new(config.network.seed, LABELS),
            negations: config.negations,
            expiring: config.expiring,
            given: VecDeque::new(),
            seq: config.first_seq,
            now: network.now(),
            step: time::SECOND / i64::from(config.rate.max(1)),
            network,
        }
    }

    /// Its DID: the `src` of its labels.
    pub fn did(&self) -> &str {
        self.account.did()
    }

    /// Its handle, below the reserved domain `.test`.
    pub fn handle(&self) -> &str {
        self.account.handle()
    }

    /// Its public key, as the DID document's `#atproto_label` verification method gives it, in the form
    /// `did:key:z…`. The curve is K-256.
    pub fn did_key(&self) -> String {
        self.account.did_key()
    }

    /// The next frame. There is always one. Its time is the newest `cts` of its labels.
    pub fn next_frame(&mut self) -> SimFrame {
        self.watch();
        // One label in most frames, few in others.
        let count = match self.chance.below(1000) {
            0..800 => 1,
            800..930 => 2,
            930..980 => 3,
            _ => 4 + self.chance.below(2),
        };
        let drafts: Vec<_> = (0..count).map(|_| self.draft()).collect();
        let (seq, time) = (self.seq, drafts.iter().map(|draft| draft.about.cts).max().unwrap_or(self.now));
        self.seq += 1;
        SimFrame { seq, time, bytes: self.frame(seq, &drafts).into() }
    }

    /// Lets time pass, and sees some of what happens in it: the network may be far faster, and labels may
    /// come long after what they are about.
    fn watch(&mut self) {
        const SEEN: usize = 4;
        self.now += self.chance.between(0, 2 * self.step);
        for _ in 0..SEEN {
            if self.network.now() < self.now {
                self.network.next_frame();
            }
        }
    }

    /// A label to be given, or to be taken back.
    fn draft(&mut self) -> Draft {
        // A `cts` is when the labeler decided, some time before it says so.
        let now = self.now.max(self.network.now());
        let cts = time::whole_millis(now - self.chance.between(0, 60 * time::MILLISECOND));
        if self.chance.one_in_a_thousand(self.negations.into()) {
            let place = self.chance.index(self.given.len());
            if let Some(given) = self.given.remove(place) {
                // It counts only if it is later.
                let cts = cts.max(given.cts + time::MILLISECOND);
                return Draft { about: Given { cts, ..given }, neg: Some(true), exp: None };
            }
        }
        let about = self.about(cts);
        self.remember(about.clone());
        let exp = self.chance.one_in_a_thousand(self.expiring.into()).then(|| {
            const HOURS: [i64; 5] = [1, 6, 24, 7 * 24, 30 * 24];
            let hours = self.chance.pick(&HOURS).copied().unwrap_or(1);
            cts + hours * 3_600 * time::SECOND
        });
        // Older labelers wrote, and signed, what they did not take back.
        let neg = self.chance.one_in_a_thousand(30).then_some(false);
        Draft { about, neg, exp }
    }

    /// An account or a record, and what is said of it.
    fn about(&mut self, cts: i64) -> Given {
        let is_record = self.chance.one_in_a_thousand(750);
        let record = self.network.some_post(&mut self.chance).filter(|_| is_record).cloned();
        match record {
            Some(target) => {
                // Without a CID a label is about all versions of the record.
                let cid = self.chance.one_in_a_thousand(500).then(|| target.cid.to_string());
                Given { uri: target.uri, val: values::of_record(&mut self.chance), cid, cts }
            }
            None => {
                let uri = self.network.people().someone(&mut self.chance).0.to_owned();
                Given { uri, val: values::of_account(&mut self.chance), cid: None, cts }
            }
        }
    }

    /// Of two labels of one identity the later counts.
    fn remember(&mut self, new: Given) {
        self.given.retain(|given| (given.val, &given.uri) != (new.val, &new.uri));
        if self.given.len() == Self::REMEMBERED {
            self.given.pop_front();
        }
        self.given.push_back(new);
    }

    fn frame(&self, seq: u64, drafts: &[Draft]) -> Vec<u8> {
        let times: Vec<_> =
            drafts.iter().map(|draft| (time::text(draft.about.cts), draft.exp.map(time::text))).collect();
        let mut labels: Vec<_> = drafts
            .iter()
            .zip(&times)
            .map(|(draft, (cts, exp))| Label {
                cid: draft.about.cid.as_deref(),
                cts,
                exp: exp.as_deref(),
                neg: draft.neg,
                sig: None,
                src: self.account.did(),
                uri: &draft.about.uri,
                val: draft.about.val,
                ver: Some(1),
            })
            .collect();
        let signatures: Vec<_> =
            labels.iter().map(|label| self.account.sign(&label.unsigned_bytes())).collect();
        for (label, signature) in labels.iter_mut().zip(&signatures) {
            label.sig = Some(signature);
        }
        Message::Labels(Labels { seq, labels }).to_frame_bytes()
    }
}

impl Iterator for Labeler {
    type Item = SimFrame;

    fn next(&mut self) -> Option<SimFrame> {
        Some(self.next_frame())
    }
}

impl FrameSource for Labeler {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Option<Option<u64>> {
        let frame = self.next_frame();
        out.extend_from_slice(&frame.bytes);
        Some(Some(frame.seq))
    }
}
