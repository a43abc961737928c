//! What is said at the start of listeners that others than this machine reach, and that let pass what a network could read, or
//! whoever comes.

use std::net::SocketAddr;

use log::warn;

use crate::config::Config;

/// Says which listeners are more open than they may be meant to be.
pub(super) fn warn(config: &Config) {
    for warning in warnings(config) {
        warn!("{warning}");
    }
}

fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let plain = |key: &str, section: &str, address: SocketAddr, what: &str| {
        format!(
            "{key} listens on {address} without TLS: {what} pass as they are; [{section}] takes a certificate"
        )
    };
    let is_seen = |address: &SocketAddr| !address.ip().is_loopback();
    if is_seen(&config.soup) && config.tls.is_none() {
        warnings.push(plain("soup", "tls", config.soup, "passwords and orders"));
    }
    if let Some(fix) = config.fix.as_ref().filter(|fix| is_seen(&fix.address) && fix.tls.is_none()) {
        warnings.push(plain("fix.address", "fix.tls", fix.address, "passwords and orders"));
    }
    let quotes = config.quotes.as_ref().map(|quotes| quotes.address).filter(is_seen);
    if let Some(address) = quotes.filter(|_| config.feed_doors.tls.is_none()) {
        warnings.push(plain("feed.fix.address", "feed.tls", address, "passwords"));
    }
    let web = config.feed.web.as_ref().map(|web| web.address);
    let doors = &config.feed_doors;
    for (key, address) in [("feed.snapshot", config.feed.snapshot), ("feed.websocket", web)] {
        let Some(address) = address.filter(is_seen) else { continue };
        if doors.login && doors.tls.is_none() {
            warnings.push(plain(key, "feed.tls", address, "passwords"));
        } else if !doors.login && doors.allow.is_empty() {
            warnings.push(format!(
                "{key} gives market data on {address} to whoever reaches it: feed.login asks for users, feed.allow names networks"
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(change: impl FnOnce(String) -> String) -> Vec<String> {
        warnings(&Config::parse(&change(crate::config::DEFAULT.to_owned())).expect("a configuration"))
    }

    #[test]
    fn what_others_reach_is_named_and_what_is_guarded_is_not() {
        assert_eq!(said(|text| text), [] as [String; 0]);
        let text = said(|text| text.replace("soup = \"127.0.0.1:9000\"", "soup = \"0.0.0.0:9000\""));
        assert!(text.len() == 1 && text[0].contains("soup listens on 0.0.0.0:9000 without TLS"), "{text:?}");
        let feed = |changes: &[(&str, &str)]| {
            said(|text| {
                let text = text.replace("snapshot = \"\"", "snapshot = \"0.0.0.0:9102\"");
                changes.iter().fold(text, |text, (from, to)| {
                    assert!(text.contains(from), "{from}");
                    text.replace(from, to)
                })
            })
        };
        let open = feed(&[]);
        assert!(open.len() == 1 && open[0].contains("to whoever reaches it"), "{open:?}");
        assert_eq!(feed(&[("# allow = []", "allow = [\"10.0.0.0/8\"]")]), [] as [String; 0]);
        let login = ("login = false", "login = true");
        let plain = feed(&[login]);
        assert!(
            plain.len() == 1 && plain[0].contains("feed.snapshot listens on 0.0.0.0:9102 without TLS"),
            "{plain:?}"
        );
        let empty = "[feed.tls]\ncertificate = \"\"\nkey = \"\"";
        let guarded = feed(&[login, (empty, "[feed.tls]\ncertificate = \"a\"\nkey = \"b\"")]);
        assert_eq!(guarded, [] as [String; 0]);
    }
}
