//! The section `[feed]`: where market data is published and served.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use door::auth::Network;
use feed::{Settings, WebSettings};
use link::clients::ServerFiles;
use serde::Deserialize;

use super::{QuotesFile, TlsFile, networks, tls};

/// What the file says. Nothing is published unless it says where.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FeedFile {
    mold: Vec<SocketAddr>,
    interface: String,
    ttl: u32,
    rerequest: String,
    snapshot: String,
    keep_mib: usize,
    requests_per_second: u32,
    snapshot_clients: usize,
    websocket: String,
    websocket_clients: usize,
    origins: Vec<String>,
    depth: usize,
    login: bool,
    allow: Option<Vec<String>>,
    login_timeout_s: u64,
    connections_per_address: Option<usize>,
    tls: TlsFile,
    pub(super) fix: QuotesFile,
}

/// Whom the listeners for snapshots and web clients let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FeedDoors {
    /// What they show their clients; `None`: they come without TLS.
    pub(crate) tls: Option<ServerFiles>,
    /// Whether clients must log in.
    pub(crate) login: bool,
    /// Where connections may come from; empty: from anywhere.
    pub(crate) allow: Vec<Network>,
}

impl Default for FeedFile {
    fn default() -> Self {
        let Settings { ttl, keep_bytes, requests_per_second, snapshot_clients, login_timeout, .. } =
            Settings::default();
        Self {
            mold: Vec::new(),
            interface: String::new(),
            ttl,
            rerequest: String::new(),
            snapshot: String::new(),
            keep_mib: keep_bytes >> 20,
            requests_per_second,
            snapshot_clients,
            websocket: String::new(),
            websocket_clients: 64,
            origins: Vec::new(),
            depth: 10,
            login: false,
            allow: None,
            login_timeout_s: login_timeout.as_secs(),
            connections_per_address: None,
            tls: TlsFile::default(),
            fix: QuotesFile::default(),
        }
    }
}

/// Messages for re-requests may take so much memory.
const KEEP_MIB_MAX: usize = 1 << 16;
/// Clients that may take a snapshot at once: each costs a socket and, at worst, the sending of a whole snapshot.
const CLIENTS_MAX: usize = 1_024;
/// WebSocket clients at once: each may have a mebibyte waiting.
const WEBSOCKET_CLIENTS_MAX: usize = 16_384;
/// Levels: snapshots of all that a client may subscribe to find room in what may wait for it.
const DEPTH_MAX: usize = 50;

/// A login takes a few round trips, and what waits to be verified before it some seconds.
const LOGIN_TIMEOUT_MAX_S: u64 = 300;

impl FeedFile {
    /// `everybody`: the networks that connections of every kind may come from.
    pub(super) fn doors(&self, everybody: &[Network]) -> Result<FeedDoors, String> {
        let allow = match &self.allow {
            None => everybody.to_vec(),
            Some(own) => networks("feed.allow", own)?,
        };
        Ok(FeedDoors { tls: tls("feed.tls", &self.tls)?, login: self.login, allow })
    }

    pub(super) fn settings(&self) -> Result<Settings, String> {
        let interface = match self.interface.as_str() {
            "" => None,
            text => Some(text.parse::<Ipv4Addr>().map_err(|_| {
                format!("feed.interface: \"{text}\" is no IPv4 address: give that of an interface of this host, or \"\"")
            })?),
        };
        if !(1..=KEEP_MIB_MAX).contains(&self.keep_mib) {
            return Err(format!("feed.keep_mib: {} is not between 1 and {KEEP_MIB_MAX}", self.keep_mib));
        }
        if !(1..=CLIENTS_MAX).contains(&self.snapshot_clients) {
            let clients = self.snapshot_clients;
            return Err(format!("feed.snapshot_clients: {clients} is not between 1 and {CLIENTS_MAX}"));
        }
        if self.ttl > 255 {
            return Err(format!("feed.ttl: {} is more than 255", self.ttl));
        }
        if !(1..=WEBSOCKET_CLIENTS_MAX).contains(&self.websocket_clients) {
            let clients = self.websocket_clients;
            return Err(format!(
                "feed.websocket_clients: {clients} is not between 1 and {WEBSOCKET_CLIENTS_MAX}"
            ));
        }
        if !(1..=DEPTH_MAX).contains(&self.depth) {
            return Err(format!("feed.depth: {} is not between 1 and {DEPTH_MAX}", self.depth));
        }
        if !(1..=LOGIN_TIMEOUT_MAX_S).contains(&self.login_timeout_s) {
            let seconds = self.login_timeout_s;
            return Err(format!(
                "feed.login_timeout_s: {seconds} is not between 1 and {LOGIN_TIMEOUT_MAX_S}"
            ));
        }
        if self.connections_per_address == Some(0) {
            return Err("feed.connections_per_address: with 0 nobody could come in".into());
        }
        let web = address("websocket", &self.websocket)?.map(|address| WebSettings {
            address,
            depth: self.depth,
            clients: self.websocket_clients,
            origins: self.origins.clone(),
        });
        let settings = Settings {
            mold: self.mold.clone(),
            interface,
            ttl: self.ttl,
            rerequest: address("rerequest", &self.rerequest)?,
            snapshot: address("snapshot", &self.snapshot)?,
            keep_bytes: self.keep_mib << 20,
            requests_per_second: self.requests_per_second,
            snapshot_clients: self.snapshot_clients,
            web,
            login_timeout: Duration::from_secs(self.login_timeout_s),
            of_address: self.connections_per_address,
        };
        if self.login && settings.snapshot.is_none() && settings.web.is_none() {
            return Err(
                "feed.login: there is nothing to log in to: give feed.snapshot or feed.websocket".into()
            );
        }
        if settings.rerequest.is_some() && settings.mold.is_empty() {
            return Err("feed.rerequest: without feed.mold there is nothing to ask for again".into());
        }
        Ok(settings)
    }
}

fn address(name: &str, text: &str) -> Result<Option<SocketAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| {
        format!("feed.{name}: \"{text}\" is no address: write it as \"127.0.0.1:9100\", or \"\" for none")
    };
    text.parse().map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        toml::from_str::<FeedFile>(text).map_err(|error| error.to_string())?.settings()
    }

    #[test]
    fn nothing_is_published_unless_the_file_says_where() {
        assert_eq!(parse(""), Ok(Settings::default()));
        assert!(!parse("").unwrap().is_on());
        let default = crate::config::Config::parse(crate::config::DEFAULT).unwrap();
        assert_eq!(default.feed, Settings::default());
        let text = "mold = [\"239.1.1.1:30001\", \"10.0.0.7:30001\"]\ninterface = \"10.0.0.1\"\nrerequest = \
                    \"127.0.0.1:9101\"\nsnapshot = \"127.0.0.1:9102\"\nkeep_mib = 3\n";
        let settings = parse(text).unwrap();
        assert!(settings.is_on());
        assert_eq!((settings.mold.len(), settings.keep_bytes), (2, 3 << 20));
        assert_eq!(settings.interface, Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(settings.snapshot, Some("127.0.0.1:9102".parse().unwrap()));
    }

    #[test]
    fn networks_are_everybodys_unless_the_feed_has_its_own() {
        let everybody = ["10.0.0.0/8".parse().unwrap()];
        let doors = |text: &str| toml::from_str::<FeedFile>(text).unwrap().doors(&everybody);
        assert_eq!(doors("").unwrap(), FeedDoors { tls: None, login: false, allow: everybody.to_vec() });
        let own = doors("login = true\nallow = [\"192.0.2.0/24\"]").unwrap();
        assert_eq!((own.login, own.allow), (true, vec!["192.0.2.0/24".parse().unwrap()]));
        assert_eq!(doors("allow = []").unwrap().allow, []);
        assert!(doors("allow = [\"here\"]").unwrap_err().contains("feed.allow: \"here\""));
        let half = doors("[tls]\ncertificate = \"a\"").unwrap_err();
        assert!(half.contains("feed.tls"), "{half}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, says) in [
            ("mold = [\"localhost\"]", "mold"),
            ("interface = \"eth0\"", "feed.interface: \"eth0\" is no IPv4 address"),
            ("rerequest = \"9101\"", "feed.rerequest: \"9101\" is no address"),
            ("rerequest = \"127.0.0.1:1\"", "without feed.mold"),
            ("snapshot = \"here\"", "feed.snapshot: \"here\" is no address"),
            ("keep_mib = 0", "feed.keep_mib: 0"),
            ("snapshot_clients = 9999", "feed.snapshot_clients: 9999"),
            ("ttl = 256", "feed.ttl: 256"),
            ("depth = 51", "feed.depth: 51"),
            ("websocket = \"x\"", "feed.websocket: \"x\""),
            ("websocket_clients = 0", "feed.websocket_clients: 0"),
            ("multicast = true", "multicast"),
            ("login = true", "feed.login: there is nothing to log in to"),
            ("login_timeout_s = 0", "feed.login_timeout_s: 0"),
            ("connections_per_address = 0", "feed.connections_per_address"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
