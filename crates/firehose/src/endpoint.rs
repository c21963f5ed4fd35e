//! The address of an event stream: host, path and method, made from whatever form of it a person is likely to have.

use std::{fmt, str::FromStr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Service;

/// What a parameter must have escaped: all but letters, digits and what RFC 3986 calls unreserved, and the signs of
/// identifiers, which are as well read.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'*');

/// Where an event stream is served: a WebSocket address whose path names the service.
///
/// ```
/// use skytide_firehose::{Endpoint, Service};
///
/// let whole = "wss://bsky.network/xrpc/com.atproto.sync.subscribeRepos";
/// for text in ["bsky.network", "wss://bsky.network", "https://bsky.network/xrpc", whole] {
///     assert_eq!(Endpoint::parse(text, Service::Repos)?.to_string(), whole);
/// }
/// # Ok::<(), skytide_firehose::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    secure: bool,
    /// As in the address: an IPv6 address keeps its brackets.
    host: String,
    port: Option<u16>,
    path: String,
    /// Parameters that were part of the address, without the `?`.
    query: Option<String>,
}

/// Why a text is not the address of an event stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no host in it.
    #[error("{text:?} names no host: write it like wss://bsky.network")]
    NoHost {
        /// The text as given.
        text: String,
    },
    /// It is an account's identifier. Which services are an account's is in its DID document.
    #[error(
        "{text:?} is an account, not an address: that of its PDS, or of the labeler that it is, is in its DID document (as in wss://mod.bsky.app)"
    )]
    Account {
        /// The text as given.
        text: String,
    },
    /// The scheme is not one of `wss`, `ws`, `https`, `http`.
    #[error("{text:?}: {scheme:?} is not a scheme of an event stream: use wss:// or ws://")]
    Scheme {
        /// The text as given.
        text: String,
        /// What stands before `://`.
        scheme: String,
    },
    /// The host has a character that hosts do not have (a name outside ASCII has to be given in its `xn--` form).
    #[error("{text:?}: the host {host:?} has a character that a host name cannot have")]
    Host {
        /// The text as given.
        text: String,
        /// The part taken for the host.
        host: String,
    },
    /// The port is not a number from 1 to 65535.
    #[error("{text:?}: {port:?} is not a port: use a number from 1 to 65535")]
    Port {
        /// The text as given.
        text: String,
        /// The part taken for the port.
        port: String,
    },
    /// The path or the parameters have a character that an address cannot have, or there is a `#` or a user name.
    #[error("{text:?} has {what} in it, which the address of an event stream cannot have")]
    Part {
        /// The text as given.
        text: String,
        /// What is in the way.
        what: &'static str,
    },
    /// The address names another service, or another method, than the one subscribed to.
    #[error("{text:?} names {found}, but the subscription is to {wanted}")]
    Method {
        /// The text as given.
        text: String,
        /// The method in the address.
        found: String,
        /// The method subscribed to.
        wanted: String,
    },
    /// The address has a `cursor` parameter; the cursor is the subscription's to keep.
    #[error("{text:?} has a cursor in it: give the cursor as an option of its own")]
    Cursor {
        /// The text as given.
        text: String,
    },
}

impl Endpoint {
    /// Makes the endpoint of a service from a host, a base address, an address that ends in `/xrpc`, or the whole
    /// endpoint.
    ///
    /// Without a scheme it is `wss`, and for this very machine (`localhost`, `127.…`, `[::1]`) `ws`, where nothing
    /// serves TLS. `https` and `http` are taken for `wss` and `ws`. Further parameters in the address are kept.
    ///
    /// # Errors
    /// By cause, each with the text as given.
    pub fn parse(text: &str, service: Service) -> Result<Self, EndpointError> {
        let given = || text.to_owned();
        let trimmed = text.trim();
        let (scheme, rest) = match trimmed.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, trimmed),
        };
        let account = trimmed.strip_prefix("at://").unwrap_or(trimmed);
        if account.strip_prefix("did:").is_some_and(|method| method.contains(':')) {
            return Err(EndpointError::Account { text: given() });
        }
        if rest.contains('#') {
            return Err(EndpointError::Part { text: given(), what: "a '#'" });
        }
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(EndpointError::Part { text: given(), what: "a user name" });
        }
        let (host, port) = split_authority(authority);
        let port = match port {
            None => None,
            Some(port) => match u16::from_str(port) {
                Ok(number) if number > 0 && !port.starts_with('+') => Some(number),
                _ => return Err(EndpointError::Port { text: given(), port: port.to_owned() }),
            },
        };
        if host.is_empty() {
            return Err(EndpointError::NoHost { text: given() });
        }
        if !is_host(host) {
            return Err(EndpointError::Host { text: given(), host: host.to_owned() });
        }
        let secure = match scheme.as_deref() {
            Some("wss" | "https") => true,
            Some("ws" | "http") => false,
            Some(other) => return Err(EndpointError::Scheme { text: given(), scheme: other.to_owned() }),
            None => !is_this_machine(host),
        };
        let printable =
            |part: &str| part.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
        if !printable(path) || !query.is_none_or(printable) {
            return Err(EndpointError::Part {
                text: given(),
                what: "a space or a character that needs escaping",
            });
        }
        if query
            .is_some_and(|query| query.split('&').any(|pair| pair == "cursor" || pair.starts_with("cursor=")))
        {
            return Err(EndpointError::Cursor { text: given() });
        }
        Ok(Self {
            secure,
            host: host.to_ascii_lowercase(),
            port,
            path: full_path(path, service).map_err(|found| EndpointError::Method {
                text: given(),
                found,
                wanted: service.to_string(),
            })?,
            query: query.filter(|query| !query.is_empty()).map(str::to_owned),
        })
    }

    /// Whether the stream comes over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host as resolvers and certificates name it: an IPv6 address has no brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, the scheme's own where the address gives none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.secure { 443 } else { 80 })
    }

    /// The address to ask for, with the cursor and further parameters, which are escaped where they have to be.
    #[must_use]
    pub fn url(&self, cursor: Option<u64>, parameters: &[(String, String)]) -> String {
        let mut url = self.to_string();
        let mut sign = if self.query.is_some() { '&' } else { '?' };
        let mut add = |name: &str, value: &str| {
            url.push(sign);
            url.extend(utf8_percent_encode(name, ESCAPED));
            url.push('=');
            url.extend(utf8_percent_encode(value, ESCAPED));
            sign = '&';
        };
        for (name, value) in parameters {
            add(name, value);
        }
        if let Some(cursor) = cursor {
            add("cursor", &cursor.to_string());
        }
        url
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "wss" } else { "ws" }, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)?;
        match &self.query {
            Some(query) => write!(f, "?{query}"),
            None => Ok(()),
        }
    }
}

/// The host and what stands after its colon. An IPv6 address has colons of its own, in brackets.
fn split_authority(authority: &str) -> (&str, Option<&str>) {
    let after_brackets = authority.rfind(']').map_or(0, |at| at + 1);
    match authority.get(after_brackets..).and_then(|rest| rest.find(':')) {
        Some(colon) => {
            let (host, port) = authority.split_at(after_brackets + colon);
            (host, port.get(1..))
        }
        None => (authority, None),
    }
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => std::net::Ipv6Addr::from_str(address).is_ok(),
        None => {
            !host.starts_with(['.', '-'])
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host == "[::1]"
        || std::net::Ipv4Addr::from_str(host).is_ok_and(|address| address.is_loopback())
}

/// The path that ends in the service's, from a path that may lack some of it; or the other method it names.
fn full_path(path: &str, service: Service) -> Result<String, String> {
    let path = path.trim_end_matches('/');
    let wanted = service.path();
    match Service::named_by(path) {
        Some(named) if named == service => return Ok(path.to_owned()),
        Some(other) => return Err(other.to_string()),
        None => {}
    }
    match path.rsplit_once("/xrpc") {
        Some((before, "")) if wanted.starts_with("/xrpc") => Ok(format!("{before}{wanted}")),
        Some((_, named)) if named.starts_with('/') => Err(named.trim_start_matches('/').to_owned()),
        _ => Ok(format!("{path}{wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{SUBSCRIBE_LABELS, SUBSCRIBE_REPOS};

    fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        Endpoint::parse(text, Service::Repos)
    }

    #[test]
    fn every_form_gives_the_endpoint() {
        for (text, expected) in [
            ("bsky.network", "wss://bsky.network/xrpc/"),
            ("  bsky.network \n", "wss://bsky.network/xrpc/"),
            ("bsky.network:8443", "wss://bsky.network:8443/xrpc/"),
            ("bsky.network/", "wss://bsky.network/xrpc/"),
            ("WSS://Bsky.Network", "wss://bsky.network/xrpc/"),
            ("https://bsky.network/xrpc/", "wss://bsky.network/xrpc/"),
            ("http://pds.example", "ws://pds.example/xrpc/"),
            ("ws://127.0.0.1:7777", "ws://127.0.0.1:7777/xrpc/"),
            ("127.0.0.1:7777", "ws://127.0.0.1:7777/xrpc/"),
            ("localhost:7777", "ws://localhost:7777/xrpc/"),
            ("[::1]:7777", "ws://[::1]:7777/xrpc/"),
            ("wss://[2001:db8::1]", "wss://[2001:db8::1]/xrpc/"),
            ("wss://host/behind/a/proxy", "wss://host/behind/a/proxy/xrpc/"),
        ] {
            assert_eq!(
                parse(text).expect(text).to_string(),
                format!("{expected}{SUBSCRIBE_REPOS}"),
                "{text}"
            );
        }
        let whole = format!("wss://host/xrpc/{SUBSCRIBE_REPOS}?a=1");
        let endpoint = parse(&whole).unwrap();
        assert_eq!(endpoint.to_string(), whole);
        assert_eq!(endpoint.url(Some(7), &[]), format!("{whole}&cursor=7"));
        let plain = format!("wss://host/xrpc/{SUBSCRIBE_REPOS}");
        let host = parse("host").unwrap();
        assert_eq!(host.url(Some(0), &[]), format!("{plain}?cursor=0"));
        assert_eq!(host.url(None, &[]), plain);
        let parameters = [("did", "did:plc:a"), ("did", "did:web:b%3A1"), ("x&y", "a b=ü")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let asked = "did=did:plc:a&did=did:web:b%253A1&x%26y=a%20b%3D%C3%BC";
        assert_eq!(host.url(Some(7), &parameters), format!("{plain}?{asked}&cursor=7"));
        assert_eq!(endpoint.url(None, &parameters), format!("{whole}&{asked}"));
    }

    #[test]
    fn each_service_has_its_place() {
        let of = |text, service| Endpoint::parse(text, service).map(|endpoint| endpoint.to_string());
        let labels = format!("wss://mod.bsky.app/xrpc/{SUBSCRIBE_LABELS}");
        for text in ["mod.bsky.app", "https://mod.bsky.app/xrpc/", &labels] {
            assert_eq!(of(text, Service::Labels), Ok(labels.clone()));
        }
        for text in ["jetstream.example", "wss://jetstream.example/subscribe/"] {
            assert_eq!(of(text, Service::Jetstream), Ok("wss://jetstream.example/subscribe".to_owned()));
        }
        assert!(of(&labels, Service::Repos).unwrap_err().to_string().contains(SUBSCRIBE_REPOS));
        assert!(of(&labels, Service::Jetstream).is_err());
        let refused = of("wss://jetstream.example/subscribe", Service::Labels).unwrap_err().to_string();
        assert!(refused.contains("names Jetstream, but the subscription is to"), "{refused}");
    }

    #[test]
    fn host_and_port_are_as_a_resolver_needs_them() {
        let endpoint = parse("wss://[2001:db8::1]").unwrap();
        assert_eq!((endpoint.host(), endpoint.port(), endpoint.is_secure()), ("2001:db8::1", 443, true));
        let endpoint = parse("ws://host").unwrap();
        assert_eq!((endpoint.host(), endpoint.port(), endpoint.is_secure()), ("host", 80, false));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |text: &str| parse(text).expect_err(text).to_string();
        for (text, part) in [
            ("", "names no host"),
            ("wss://", "names no host"),
            ("wss:///xrpc", "names no host"),
            ("ftp://host", "\"ftp\" is not a scheme"),
            ("host:0", "\"0\" is not a port"),
            ("host:", "\"\" is not a port"),
            ("host:+80", "\"+80\" is not a port"),
            ("host:65536", "\"65536\" is not a port"),
            ("did:plc:ar7c4by46qjdydhdevvrndac", "is an account, not an address"),
            ("at://did:web:host/app.bsky.labeler.service/self", "is an account"),
            ("ho st", "\"ho st\" has a character"),
            ("bücher.example", "\"bücher.example\" has a character"),
            ("[::zz]", "\"[::zz]\" has a character"),
            ("wss://user@host", "a user name"),
            ("wss://host#top", "a '#'"),
            ("wss://host/a b", "a space"),
            ("wss://host?cursor=5", "option of its own"),
            ("wss://host?a=b&cursor", "option of its own"),
            ("wss://host/xrpc/com.atproto.label.subscribeLabels", "names com.atproto.label.subscribeLabels"),
        ] {
            assert!(refused(text).contains(part), "{text}: {}", refused(text));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_is_stable(text in "\\PC{0,40}|(wss?://)?[a-z.:\\[\\]/?#@0-9]{0,30}") {
            if let Ok(endpoint) = parse(&text) {
                prop_assert_eq!(parse(&endpoint.to_string()), Ok(endpoint));
            }
        }
    }
}
