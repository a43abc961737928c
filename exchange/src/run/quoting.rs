//! Market data by FIX, while this process leads: its listener.

use door::{auth::User, lobby::LobbyLimits};
use gateway::Instruments;
use quotes::{Server, Settings};

use super::choices::Choices;

/// Of a few connections all may wait: who logs in at once would be cut off by who comes next.
const FEW: usize = 16;

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
        clients: quotes.clients,
        lobby: LobbyLimits {
            of_address: config.feed.of_address,
            of_other_machine: quotes.clients.div_ceil(2),
            unauthenticated: (quotes.clients / 2).max(FEW),
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
