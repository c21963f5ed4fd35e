//! What `--from` names: a simulated network, a socket, a recording, files of rows, or rows of standard input.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use skytide_connect::files::{Format, is_pattern, matching, may_wait};
use skytide_connect::repo;

/// A source as the user names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Location {
    /// A simulated network of this process.
    Sim(SimLocation),
    /// A relay, PDS, or whatever serves frames at this URL.
    Socket(String),
    /// A recording.
    File(PathBuf),
    /// Exported repositories: a file, those that a pattern fits, or a folder of them.
    Repos(PathBuf),
    /// Files of rows, as Parquet: one, or those that a pattern fits.
    Rows(PathBuf),
    /// Rows that come through standard input.
    Piped,
}

impl Default for Location {
    fn default() -> Self {
        Self::Sim(SimLocation::default())
    }
}

/// What of the simulated network is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SimLocation {
    pub(crate) seed: u64,
    pub(crate) accounts: usize,
    /// It ends after so many events.
    pub(crate) events: Option<u64>,
    /// Events a second; 0: as fast as they are read.
    pub(crate) rate: f64,
}

impl Default for SimLocation {
    fn default() -> Self {
        Self { seed: 1, accounts: 1000, events: None, rate: 1000.0 }
    }
}

impl Location {
    /// Whether it ends by itself.
    pub(crate) fn is_bounded(&self) -> bool {
        match self {
            Self::Sim(sim) => sim.events.is_some(),
            // A pipe is answered as it comes.
            Self::Socket(_) | Self::Piped => false,
            Self::File(_) | Self::Repos(_) | Self::Rows(_) => true,
        }
    }

    /// Whether it is rows, whose columns are to be named.
    pub(crate) fn is_rows(&self) -> bool {
        matches!(self, Self::Rows(_) | Self::Piped)
    }

    /// Where it stands on the disk.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Repos(path) | Self::Rows(path) => Some(path),
            Self::Sim(_) | Self::Socket(_) | Self::Piped => None,
        }
    }

    /// Whether its points may come late; those of files are sorted.
    pub(crate) fn may_be_late(&self) -> bool {
        !matches!(self, Self::Rows(_))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sim(_) => write!(f, "the simulated network"),
            Self::Piped => write!(f, "standard input"),
            Self::Socket(url) => write!(f, "{url}"),
            Self::File(path) | Self::Repos(path) | Self::Rows(path) => write!(f, "{}", path.display()),
        }
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty source; give sim, wss://HOST, ws://HOST:PORT or a file".to_owned());
        }
        if text == "-" {
            return Ok(Self::Piped);
        }
        if text == "sim" {
            return Ok(Self::Sim(SimLocation::default()));
        }
        if let Some(settings) = text.strip_prefix("sim:") {
            return settings.parse().map(Self::Sim);
        }
        match text.split_once("://") {
            Some(("ws" | "wss", _)) => Ok(Self::Socket(text.to_owned())),
            Some((scheme, rest)) => Err(format!(
                "{scheme}:// is not read; an event stream is at wss://{rest} (or ws:// without TLS)"
            )),
            None => {
                let path = PathBuf::from(text);
                if repo::is_named(&path) {
                    return Ok(Self::Repos(path));
                }
                if is_pattern(&path) {
                    // Its first file tells; that there is none is said by whoever reads it.
                    let first = matching(&path).ok().and_then(|paths| paths.into_iter().next());
                    let is_repos = first.is_some_and(|first| repo::is_named(&first));
                    return Ok(if is_repos { Self::Repos(path) } else { Self::Rows(path) });
                }
                // What neither its name nor its first bytes make one of rows is a recording, or said to be
                // none. A pipe's first bytes are not looked at: who reads it would miss them.
                let tells = Format::of_name(&path).is_some() || !may_wait(&path);
                Ok(if tells && Format::of_file(&path).is_ok() { Self::Rows(path) } else { Self::File(path) })
            }
        }
    }
}

impl FromStr for SimLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut sim = Self::default();
        for setting in text.split(',').filter(|setting| !setting.is_empty()) {
            let (name, value) = setting
                .split_once('=')
                .ok_or_else(|| format!("{setting:?} says no value; as in sim:seed=1,rate=100"))?;
            let number = || format!("{name}={value:?} is not a whole number");
            match name {
                "seed" => sim.seed = value.parse().map_err(|_| number())?,
                "accounts" => sim.accounts = accounts(value).map_err(|wrong| format!("{name}={wrong}"))?,
                "events" => sim.events = Some(value.parse().map_err(|_| number())?),
                "rate" => sim.rate = rate(value).map_err(|wrong| format!("{name}={wrong}"))?,
                other => return Err(format!("no setting {other:?}; there are seed, accounts, events, rate")),
            }
        }
        Ok(sim)
    }
}

/// How many accounts live in a simulated network.
pub(crate) fn accounts(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(accounts @ 1..=1_000_000) => Ok(accounts),
        _ => Err(format!("{text:?} is not a number of accounts from 1 to 1000000")),
    }
}

/// Events a second; 0: as fast as they are read.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.0 => Ok(rate),
        _ => Err(format!("{text:?} is not a number of events a second, or 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Location, String> {
        text.parse()
    }

    #[test]
    fn sources_are_told_apart() {
        assert_eq!(parsed("sim"), Ok(Location::Sim(SimLocation::default())));
        let sim = SimLocation { seed: 7, accounts: 10, events: Some(500), rate: 0.0 };
        assert_eq!(parsed("sim:seed=7,accounts=10,events=500,rate=0"), Ok(Location::Sim(sim)));
        assert_eq!(parsed("wss://bsky.network"), Ok(Location::Socket("wss://bsky.network".to_owned())));
        assert_eq!(parsed("day.frames.zst"), Ok(Location::File("day.frames.zst".into())));
        assert_eq!(parsed("of/events.parquet"), Ok(Location::Rows("of/events.parquet".into())));
        assert_eq!(parsed("of/did.car"), Ok(Location::Repos("of/did.car".into())));
        assert_eq!(parsed("of/*.car"), Ok(Location::Repos("of/*.car".into())));
        assert_eq!(parsed("."), Ok(Location::Repos(".".into())));
        assert_eq!(parsed("-"), Ok(Location::Piped));
        for pattern in ["of/*.csv", "of/*", "of/part-??"] {
            assert_eq!(parsed(pattern), Ok(Location::Rows(pattern.into())));
        }
    }

    #[test]
    fn nonsense_is_named() {
        assert!(parsed("https://bsky.network").unwrap_err().contains("wss://bsky.network"));
        assert!(parsed("sim:speed=3").unwrap_err().contains("seed, accounts, events, rate"));
        assert!(parsed("sim:rate=-1").unwrap_err().contains("rate"));
        assert!(parsed("sim:rate").unwrap_err().contains("says no value"));
        assert!(parsed("").is_err());
    }
}
