//! The event streams that there are to subscribe to.

use std::{fmt, time::Duration};

/// The method that streams the commits of repositories, and what happens to their accounts.
pub const SUBSCRIBE_REPOS: &str = "com.atproto.sync.subscribeRepos";

/// The method that streams the labels of a labeler.
pub const SUBSCRIBE_LABELS: &str = "com.atproto.label.subscribeLabels";

/// Which stream of a host is subscribed to. A host may serve several, and sequence numbers belong to host and stream
/// together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Service {
    /// Commits, identities and accounts of a relay or PDS: [`SUBSCRIBE_REPOS`].
    #[default]
    Repos,
    /// The labels of a labeler: [`SUBSCRIBE_LABELS`].
    Labels,
    /// The events of a Jetstream (version 1): a relay's stream as JSON, without proofs. They are made into frames.
    Jetstream,
}

impl Service {
    /// Where a host serves it, below whatever path the host itself is at.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::Repos => format!("/xrpc/{SUBSCRIBE_REPOS}"),
            Self::Labels => format!("/xrpc/{SUBSCRIBE_LABELS}"),
            Self::Jetstream => "/subscribe".to_owned(),
        }
    }

    /// The service that an address names with its path; none where it names just a host.
    #[must_use]
    pub fn named_by(address: &str) -> Option<Self> {
        let path = address.split(['?', '#']).next()?.trim_end_matches('/');
        [Self::Repos, Self::Labels, Self::Jetstream]
            .into_iter()
            .find(|service| path.ends_with(&service.path()))
    }

    /// How long such a stream may be silent: on a labeler's, minutes without a label are nothing unusual.
    pub(crate) fn usual_timeout(self) -> Duration {
        match self {
            Self::Repos | Self::Jetstream => Duration::from_secs(30),
            Self::Labels => Duration::from_secs(300),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repos => SUBSCRIBE_REPOS,
            Self::Labels => SUBSCRIBE_LABELS,
            Self::Jetstream => "Jetstream",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_name_its_service() {
        let named = |address| Service::named_by(address);
        assert_eq!(named("wss://mod.bsky.app/xrpc/com.atproto.label.subscribeLabels"), Some(Service::Labels));
        assert_eq!(named("wss://jetstream.example/subscribe?wantedDids=a"), Some(Service::Jetstream));
        assert_eq!(named("wss://bsky.network"), None);
    }
}
