//! Exports one after the other, each record that a plan reads as a point. They come in the order of their
//! paths: whoever reads them puts them in order of time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use skytide_atproto::columns::{Clock, Decoder, StandingRecord};
use skytide_atproto::frame::FrameError;
use skytide_runtime::Epoch;
use skytide_timestream::plan::Plan;

use super::Export;
use super::export::Repo;
use super::newest::newest;
use crate::catalog::FirehoseCatalog;
use crate::firehose::{Wanting, count_reasons, decoder, rows};
use crate::frames::now;
use crate::recovery::SaveError;
use crate::source::{Next, Progress, Saved, Source, SourceError, Status};

/// So many records make an epoch at most.
const RECORDS_PER_EPOCH: usize = 16_384;

/// Reads what a plan wants of exports.
pub(crate) struct RepoSource {
    exports: VecDeque<Export>,
    total: u64,
    collections: Vec<String>,
    decoder: Decoder,
    lanes: Vec<u16>,
    /// The one that is being read, and how many of its entries are.
    open: Option<(Repo, usize)>,
    read: u64,
    bytes: u64,
    points: u64,
    done: u64,
    missing: u64,
    /// Exports that are not read: another one of the account is newer.
    left_out: u64,
    newest: Option<i64>,
}

impl RepoSource {
    /// Reads what `plan` wants from `exports`, in which points have the times of `clock`.
    ///
    /// # Errors
    /// As of the firehose's source; or records have no such time.
    pub(crate) fn new(
        plan: &Plan,
        catalog: &FirehoseCatalog,
        exports: Vec<Export>,
        clock: Clock,
    ) -> Result<Self, SourceError> {
        let Wanting { streams, lanes } = Wanting::of(plan, catalog)?;
        let of_frames = match clock {
            Clock::Rev => Some("rev"),
            Clock::Arrival => Some("arrival"),
            Clock::FrameTime | Clock::CreatedAt => None,
        };
        if let Some(clock) = of_frames {
            return Err(SourceError::Unfit(format!(
                "a repository's records have no time by {clock}: they have that of their keys, and created_at"
            )));
        }
        let (exports, left_out) = newest(exports);
        Ok(Self {
            total: exports.len() as u64,
            exports: exports.into(),
            collections: catalog.wanted_collections(plan).unwrap_or_default(),
            decoder: decoder(streams, clock)?,
            lanes,
            open: None,
            read: 0,
            bytes: 0,
            points: 0,
            done: 0,
            missing: 0,
            left_out,
            newest: None,
        })
    }

    /// Reads on in an export; says whether it is at its end.
    fn advance(&mut self, repo: &Repo, at: &mut usize) -> bool {
        let end = repo.entries.len().min(*at + RECORDS_PER_EPOCH);
        while let Some(entry) = repo.entries.get(*at).filter(|_| *at < end) {
            if let Some(path) = entry.path() {
                let (cid, record) = (entry.cid, repo.record(entry));
                let standing = StandingRecord { did: &repo.did, path, cid, record, written: repo.written };
                let pushed = self.decoder.push_record(&standing);
                if pushed == Err(FrameError::Full) && self.decoder.rows() > 0 {
                    return false;
                }
                self.read += 1;
            }
            *at += 1;
        }
        *at == repo.entries.len()
    }

    fn epoch(&mut self) -> Epoch {
        let scans = self.decoder.take().into_iter().zip(&self.lanes).map(|(columns, lane)| {
            self.points += columns.time.len() as u64;
            self.newest = self.newest.max(columns.time.iter().copied().max());
            (!columns.time.is_empty()).then(|| rows(columns, *lane))
        });
        Epoch { scans: scans.collect(), watermark: i64::MIN }
    }
}

impl Source for RepoSource {
    fn next(&mut self, _: Duration) -> Result<Next, SourceError> {
        let (repo, mut at) = match self.open.take() {
            Some(open) => open,
            None => {
                let Some(export) = self.exports.pop_front() else { return Ok(Next::End) };
                let repo = Repo::open(&export, &self.collections, now())?;
                self.bytes += repo.len() as u64;
                self.missing += repo.missing;
                (repo, 0)
            }
        };
        if self.advance(&repo, &mut at) {
            self.done += 1;
        } else {
            self.open = Some((repo, at));
        }
        Ok(Next::Epoch(self.epoch()))
    }

    fn status(&self) -> Status {
        let mut dropped = BTreeMap::new();
        count_reasons(self.decoder.counters(), &mut dropped);
        for (reason, count) in
            [("missing parts of a repository", self.missing), ("older exports of an account", self.left_out)]
        {
            if count > 0 {
                dropped.insert(reason, count);
            }
        }
        Status {
            read: self.read,
            bytes: self.bytes,
            points: self.points,
            dropped,
            newest: self.newest,
            progress: Some(Progress { done: self.done, total: self.total }),
            ..Status::default()
        }
    }

    fn save(&self) -> Result<Saved, SaveError> {
        Err(SaveError::never("exported repositories", "they are read whole before the first row"))
    }
}
