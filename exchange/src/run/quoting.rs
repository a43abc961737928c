//! Market data by FIX, while this process leads: its listener.

use door::{auth::User, lobby::LobbyLimits};
use gateway::Instruments;
use quotes::{Server, Settings};

use super::choices::Choices;
use crate::config::Config;

/// Connections that may wait, at least, besides those of sessions: who logs in at once would be cut off by who comes next.
const WAITING_MIN: usize = 16;

/// File descriptors that it takes.
pub(super) fn descriptors(config: &Config) -> u64 {
    // Its poll, its waker, and what listens.
    config.quotes.as_ref().map_or(0, |quotes| 4 + (quotes.clients + waiting_max(quotes.clients)) as u64)
}

/// How many may wait that have not logged in.
fn waiting_max(clients: usize) -> usize {
    (clients / 2).max(WAITING_MIN)
}

/// Listens for these users, if the configuration says where.
///
/// # Errors
/// When the address cannot be had.
pub(super) fn bind(
    choices: &Choices,
    users: &[User],
    instruments: &Instruments,
) -> Result<Option<Server>, String> {
    let config = &choices.config;
    let Some(quotes) = &config.quotes else { return Ok(None) };
    let settings = Settings {
        address: quotes.address,
        comp_id: quotes.comp_id.clone(),
        session: quotes.session,
        sessions: quotes.clients,
        lobby: LobbyLimits {
            of_address: config.feed.of_address,
            of_other_machine: quotes.clients.div_ceil(2),
            unauthenticated: waiting_max(quotes.clients),
            ..LobbyLimits::default()
        },
        allow: config.feed_doors.allow.clone(),
        login_timeout: config.feed.login_timeout,
        tls: choices.feed_tls.clone(),
    };
    let server = Server::bind(settings, users.to_vec(), instruments.clone());
    server
        .map(Some)
        .map_err(|error| format!("feed.fix.address: cannot listen on {}: {error}", quotes.address))
}
