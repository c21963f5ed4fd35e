//! How often what happens: the types of records and the proportions between them.

/// A type of record that accounts write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordType {
    Like,
    Post,
    Repost,
    Follow,
    Block,
    Profile,
    Status,
    List,
    ListItem,
    Threadgate,
    Postgate,
    Generator,
    StarterPack,
    Labeler,
    Play,
    Reading,
    /// Written on demand only.
    Page,
}

impl RecordType {
    pub(crate) fn nsid(self) -> &'static str {
        match self {
            RecordType::Like => "app.bsky.feed.like",
            RecordType::Post => "app.bsky.feed.post",
            RecordType::Repost => "app.bsky.feed.repost",
            RecordType::Follow => "app.bsky.graph.follow",
            RecordType::Block => "app.bsky.graph.block",
            RecordType::Profile => "app.bsky.actor.profile",
            RecordType::Status => "app.bsky.actor.status",
            RecordType::List => "app.bsky.graph.list",
            RecordType::ListItem => "app.bsky.graph.listitem",
            RecordType::Threadgate => "app.bsky.feed.threadgate",
            RecordType::Postgate => "app.bsky.feed.postgate",
            RecordType::Generator => "app.bsky.feed.generator",
            RecordType::StarterPack => "app.bsky.graph.starterpack",
            RecordType::Labeler => "app.bsky.labeler.service",
            RecordType::Play => "fm.teal.alpha.feed.play",
            RecordType::Reading => "com.example.weather.reading",
            RecordType::Page => "com.example.archive.page",
        }
    }

    /// The type of the record at a path, of those that stand for themselves.
    pub(crate) fn of(path: &str) -> Option<Self> {
        const ALONE: [RecordType; 9] = [
            RecordType::Like,
            RecordType::Post,
            RecordType::Repost,
            RecordType::Follow,
            RecordType::Block,
            RecordType::Profile,
            RecordType::Status,
            RecordType::ListItem,
            RecordType::Play,
        ];
        let (nsid, _) = path.split_once('/')?;
        ALONE.into_iter().find(|record_type| record_type.nsid() == nsid)
    }

    /// Whether a repository has at most one, at the key `self`.
    pub(crate) fn is_single(self) -> bool {
        matches!(self, RecordType::Profile | RecordType::Status | RecordType::Labeler)
    }
}

/// Types that are not common enough to be set one by one, with their weights among each other.
const OTHERS: [(RecordType, u64); 9] = [
    (RecordType::ListItem, 30),
    (RecordType::Threadgate, 20),
    (RecordType::Play, 15),
    (RecordType::Reading, 10),
    (RecordType::Postgate, 10),
    (RecordType::List, 6),
    (RecordType::Generator, 4),
    (RecordType::StarterPack, 4),
    (RecordType::Labeler, 1),
];

/// What is updated: in reality nearly always the one status or profile of an account.
const UPDATED: [(RecordType, u64); 3] =
    [(RecordType::Status, 50), (RecordType::Profile, 45), (RecordType::Labeler, 5)];

/// The proportions of a stream. The default is that of a real window of the public relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Weight of likes among created records.
    pub likes: u32,
    /// Weight of posts.
    pub posts: u32,
    /// Weight of reposts.
    pub reposts: u32,
    /// Weight of follows.
    pub follows: u32,
    /// Weight of blocks.
    pub blocks: u32,
    /// Weight of all other types together: lists, gates, feeds, and records of other applications.
    pub others: u32,
    /// Commits in a thousand that delete a record.
    pub deletes: u32,
    /// Commits in a thousand that update a record.
    pub updates: u32,
    /// Frames in a thousand that are an `#identity` or an `#account` of their own. New accounts bring both besides.
    pub accounts: u32,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            likes: 700,
            posts: 122,
            reposts: 102,
            follows: 60,
            blocks: 8,
            others: 8,
            deletes: 28,
            updates: 12,
            accounts: 6,
        }
    }
}

/// What a commit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Create(RecordType),
    Update(RecordType),
    Delete,
}

impl Mix {
    pub(crate) fn deed(&self, chance: &mut crate::rng::Chance) -> Deed {
        let per_mille = chance.below(1000);
        let (deletes, updates) = (u64::from(self.deletes), u64::from(self.updates));
        if per_mille < deletes {
            return Deed::Delete;
        }
        if per_mille < deletes + updates {
            return Deed::Update(one_of(&UPDATED, chance));
        }
        let common = [
            (RecordType::Like, self.likes),
            (RecordType::Post, self.posts),
            (RecordType::Repost, self.reposts),
            (RecordType::Follow, self.follows),
            (RecordType::Block, self.blocks),
        ];
        let weights = common.iter().map(|(_, weight)| *weight).chain([self.others]).map(u64::from);
        let place = chance.weighted(weights);
        Deed::Create(common.get(place).map_or_else(|| one_of(&OTHERS, chance), |(common, _)| *common))
    }
}

fn one_of(weighted: &[(RecordType, u64)], chance: &mut crate::rng::Chance) -> RecordType {
    weighted[chance.weighted(weighted.iter().map(|(_, weight)| *weight))].0
}
