//! What sessions are told: changes of what they watch, and snapshots.

use domain::{Instrument, InstrumentId, Nanos, Position};
use gateway::fix::{SECURITIES, Session, security_list};
use wire::fix::dictionary::Dictionary;

use crate::{
    book::Book,
    channel::{Changes, Channels, Watcher},
    client::{Client, UNSENT_MAX},
    desk::Subscription,
    entries::{Trades, snapshot},
    request::Kind,
    running::{Running, now},
    server::Server,
    stats::{Stats, add},
};

/// How a version tells of trades.
fn trades(dictionary: &Dictionary) -> Trades {
    if dictionary.begin_string.starts_with("FIXT") { Trades::Trade } else { Trades::Entry }
}

impl Running {
    /// Tells those who watch what has changed.
    pub(crate) fn publish(&mut self) {
        let time = now();
        // In this order: when they have begun, what is taken has them.
        if !self.has_begun && self.server.takes.has_begun() {
            self.has_begun = true;
            self.clients.iter_mut().flatten().for_each(|client| client.waits_for_books = false);
        }
        let Self { server, clients, channels, books, .. } = self;
        let precision = server.settings.session.precision;
        for (id, news) in server.takes.take() {
            let Some(instrument) = server.instruments.get(id) else { continue };
            let book = &mut books[id.0 as usize];
            book.take(&news);
            channels.publish((instrument, precision), book, &news, |watcher, changes| {
                if let Some(client) = clients[watcher.0].as_mut() {
                    tell(client, watcher, changes, (id, time), &server.stats);
                }
            });
        }
    }

    /// Tells a client snapshots, as long as there is room.
    pub(crate) fn give(&mut self, token: usize) {
        let Self { server, clients, channels, books, .. } = self;
        let Some(client) = clients[token].as_mut().filter(|client| client.takes_snapshots()) else { return };
        let time = now();
        while client.takes_snapshots() {
            let Some(session) = client.session.as_mut() else { return };
            let out = client.outbox.buffer();
            if let Some((id, at)) = client.desk.securities.take() {
                let all = server.instruments.as_slice();
                let some: Vec<Instrument> = all.iter().skip(at).take(SECURITIES).copied().collect();
                let next = at + some.len();
                session.send(b"y", time, out, |message| security_list(message, &id, &some, (at, all.len())));
                if next < all.len() {
                    client.desk.securities = Some((id, next));
                }
            } else if let Some(place) = client.desk.next_owed() {
                if let Some(subscription) = client.desk.get(place.0) {
                    give_book(session, (subscription, place.1), channels, books, server, time, out);
                }
                client.desk.has_told(place);
            }
            client.outbox.mark(Position(0));
        }
    }
}

/// Tells a snapshot of a book of a request.
fn give_book(
    session: &mut Session,
    (subscription, id): (&Subscription, InstrumentId),
    channels: &Channels,
    books: &[Book],
    server: &Server,
    time: Nanos,
    out: &mut Vec<u8>,
) {
    let Some(instrument) = server.instruments.get(id) else { return };
    let Subscription { depth, types, .. } = *subscription;
    let number = channels.number(id, depth, types).filter(|_| subscription.kind != Kind::Once);
    let version = trades(session.dictionary());
    let book = &books[id.0 as usize];
    session.send(b"W", time, out, |message| {
        snapshot(message, instrument, book, (&subscription.id, depth, types), version, number);
    });
    add(&server.stats.messages, 1);
}

/// Tells one who watches what has changed, or that it is behind.
fn tell(
    client: &mut Client,
    (_, number): Watcher,
    changes: &mut Changes<'_>,
    (id, time): (InstrumentId, Nanos),
    stats: &Stats,
) {
    let Client { desk, session, outbox, closing, .. } = client;
    let place = (number, id);
    let (Some(subscription), Some(session)) = (desk.get(number), session) else { return };
    if closing.is_some() || !changes.has(subscription.types) || desk.owes(place) {
        return;
    }
    match subscription.kind {
        Kind::Once => {}
        Kind::Refresh => desk.has_changed(place),
        Kind::Incremental if outbox.len() > UNSENT_MAX => {
            desk.owe(place);
            add(&stats.conflated, 1);
        }
        Kind::Incremental => {
            let version = trades(session.dictionary());
            for part in changes.parts(subscription.types, version) {
                session.send(b"X", time, outbox.buffer(), |message| {
                    message.text(262, &subscription.id).number(268, part.count).fields(&part.fields);
                });
                add(&stats.messages, 1);
            }
            outbox.mark(Position(0));
        }
    }
}
