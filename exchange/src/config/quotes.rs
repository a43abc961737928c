//! The section `[feed.fix]`: where clients that speak FIX are told of books.

use std::net::SocketAddr;

use gateway::fix::Settings;
use serde::Deserialize;

use super::FixFile;

/// What the file says. Nobody comes unless it says where.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct QuotesFile {
    address: String,
    comp_id: String,
    clients: usize,
}

impl Default for QuotesFile {
    fn default() -> Self {
        Self { address: String::new(), comp_id: "FULCRUM-MD".into(), clients: 64 }
    }
}

/// Each may have some mebibytes waiting.
const CLIENTS_MAX: usize = 1_024;

/// Where clients that speak FIX are told of books, and how.
#[derive(Clone, Debug)]
pub(crate) struct Quotes {
    pub(crate) address: SocketAddr,
    pub(crate) comp_id: String,
    /// At once.
    pub(crate) clients: usize,
    /// How sessions are driven: as those of the listener for orders.
    pub(crate) session: Settings,
}

impl QuotesFile {
    /// `orders`: the section of the listener for orders.
    pub(super) fn quotes(&self, orders: &FixFile) -> Result<Option<Quotes>, String> {
        if self.address.is_empty() {
            return Ok(None);
        }
        let address = self.address.parse().map_err(|_| {
            format!("feed.fix.address: \"{}\" is no address and port, such as 127.0.0.1:9104", self.address)
        })?;
        super::comp_id("feed.fix.comp_id", &self.comp_id)?;
        if self.comp_id == orders.comp_id {
            return Err(format!(
                "feed.fix.comp_id: \"{}\" is fix.comp_id too: a logon that is signed for the one listener would do for the other",
                self.comp_id
            ));
        }
        if !(1..=CLIENTS_MAX).contains(&self.clients) {
            return Err(format!("feed.fix.clients: {} is not between 1 and {CLIENTS_MAX}", self.clients));
        }
        let session = super::fix_session(orders)?;
        Ok(Some(Quotes { address, comp_id: self.comp_id.clone(), clients: self.clients, session }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, DEFAULT};

    fn parse(keys: &str) -> Result<Option<Quotes>, String> {
        Config::parse(&DEFAULT.replace("[feed.fix]\naddress = \"\"", &format!("[feed.fix]\n{keys}")))
            .map(|config| config.quotes)
    }

    #[test]
    fn nobody_is_told_unless_the_file_says_where() {
        assert!(parse("address = \"\"").unwrap().is_none());
        let quotes = parse("address = \"127.0.0.1:9104\"").unwrap().unwrap();
        assert_eq!((quotes.comp_id.as_str(), quotes.clients), ("FULCRUM-MD", 64));
        assert_eq!((quotes.address.port(), quotes.session.heartbeat), (9_104, (1, 300)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let other = |key: &str, value: &str| {
            let text = DEFAULT.replace("[feed.fix]\naddress = \"\"", "[feed.fix]\naddress = \"[::1]:1\"");
            let (head, tail) = text.split_once("[feed.fix]\n").unwrap();
            let begin = tail.find(&format!("{key} = ")).unwrap();
            let end = begin + tail[begin..].find('\n').unwrap();
            Config::parse(&format!("{head}[feed.fix]\n{}{key} = {value}{}", &tail[..begin], &tail[end..]))
                .unwrap_err()
        };
        for (key, value, says) in [
            ("address", "\"9104\"", "feed.fix.address: \"9104\" is no address"),
            ("comp_id", "\"FULCRUM\"", "feed.fix.comp_id: \"FULCRUM\" is fix.comp_id too"),
            ("comp_id", "\"A B\"", "feed.fix.comp_id: printable"),
            ("clients", "0", "feed.fix.clients: 0"),
            ("clients", "2000", "feed.fix.clients: 2000"),
        ] {
            let said = other(key, value);
            assert!(said.contains(says), "{key} = {value}: {said}");
        }
    }
}
