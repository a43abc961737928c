//! The thread: its turns.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use domain::{Nanos, Position, Side};
use log::{error, warn};
use mio::{Events, Token};

use super::{REQUESTS, SNAPSHOT_CLIENTS, SNAPSHOTS, Seen, Server, Start, WAKE, WEB};
use crate::{
    change::Change,
    itch::{Directory, Scribe},
    market::Market,
    store::Store,
    tap::{Batch, Intake, Item},
};
/// The thread's state.
pub(super) struct Running {
    server: Server,
    intake: Intake,
    market: Market,
    scribe: Scribe,
    store: Store,
    /// What the gate has not let through.
    waiting: VecDeque<Batch>,
    start: Position,
    nanos: Nanos,
    has_begun: bool,
    unfit_said: bool,
    /// Of this turn, if anybody wants to know.
    seen: Seen,
    /// Clients that have to be looked at, by their tokens.
    again: Vec<usize>,
}

impl Running {
    pub(super) fn new(mut server: Server, start: Start, intake: Intake) -> Self {
        let Start { instruments, standing, position, nanos, session } = start;
        if let Some(web) = &mut server.web {
            web.list(&instruments);
        }
        let scribe = Scribe::new(Directory::new(&instruments));
        let mut market = Market::new(instruments.len());
        standing.iter().for_each(|order| market.stand(order));
        let store = Store::new(session, server.keep_bytes);
        Self {
            server,
            intake,
            market,
            scribe,
            store,
            waiting: VecDeque::new(),
            start: position,
            nanos,
            has_begun: false,
            unfit_said: false,
            seen: Seen::default(),
            again: Vec::new(),
        }
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            // In this order: what came before the end is there when the end is seen.
            let has_ended = self.intake.has_ended();
            let worked = self.publish();
            let now = Instant::now();
            if has_ended && !worked {
                return self.end();
            }
            if self.has_begun {
                self.server.publisher.heartbeat(&self.store, now);
            }
            let owes = self.serve(&events, now);
            self.intake.announce();
            let look_again =
                worked || owes || self.intake.has_more() || self.intake.has_ended() || self.may_publish();
            let timeout = if look_again { Duration::ZERO } else { self.patience(now) };
            let polled = self.server.poll.poll(&mut events, Some(timeout));
            self.intake.retract();
            match polled {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    error!("feed: polling sockets: {error}");
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => {}
            }
        }
    }

    fn patience(&self, now: Instant) -> Duration {
        let heartbeat = self.server.publisher.heartbeat_in(now);
        let snapshots = self.server.snapshots.as_ref().map(|snapshots| snapshots.patience(now));
        let web = self.server.web.as_ref().map(|web| web.patience(now));
        snapshots.into_iter().chain(web).fold(heartbeat, Duration::min)
    }

    /// Whether the gate lets something through that has not been published.
    fn may_publish(&self) -> bool {
        let gate = self.intake.gate();
        if self.has_begun {
            self.waiting.front().is_some_and(|batch| batch.position <= gate)
        } else {
            self.start <= gate
        }
    }

    /// Takes what the front left and publishes what the gate lets through. Says whether there was anything.
    fn publish(&mut self) -> bool {
        let (mut worked, had_begun) = (false, self.has_begun);
        let mut published = None;
        while let Some(batch) = self.intake.next() {
            self.waiting.push_back(batch);
        }
        let gate = self.intake.gate();
        if !self.has_begun {
            if self.start > gate {
                return false;
            }
            self.has_begun = true;
            worked = true;
            let Self { scribe, store, nanos, .. } = self;
            scribe.directory().open(*nanos, |message| store.push(&message));
            self.server.stats.messages.set(self.store.next() - 1);
            self.server.publisher.begin(&self.store);
            published = Some(self.start);
        }
        while self.waiting.front().is_some_and(|batch| batch.position <= gate) {
            let Some(batch) = self.waiting.pop_front() else { break };
            self.apply(&batch);
            self.server.publisher.flush(&self.store);
            published = Some(batch.position);
            self.intake.published(batch);
            worked = true;
        }
        if !had_begun {
            self.server.watchers.iter_mut().for_each(|watcher| watcher.on_begin(&self.market));
        }
        self.tell();
        // Not before all have been told.
        if let Some(position) = published {
            self.server.stats.position.set(position.0);
        }
        worked
    }

    /// Tells others than those of the feed itself what was published.
    fn tell(&mut self) {
        let Self { server, seen, market, .. } = self;
        if seen.is_empty() {
            return;
        }
        if let Some(web) = &mut server.web {
            web.publish(market, seen, Instant::now());
        }
        for watcher in &mut server.watchers {
            watcher.on_turn(market, seen);
        }
        seen.clear();
    }

    fn apply(&mut self, batch: &Batch) {
        let Self { market, scribe, store, nanos, unfit_said, server, seen, .. } = self;
        let is_watched = server.web.is_some() || !server.watchers.is_empty();
        let stats = &server.stats;
        let mut say = |change: &Change| {
            if is_watched {
                seen.see(change);
            }
            match scribe.message(change) {
                Ok(Some(message)) => store.push(&message),
                Ok(None) => {}
                Err(unfit) => {
                    stats.unfit.add(1);
                    if !core::mem::replace(unfit_said, true) {
                        error!("a change of instrument {} is not published: {unfit}", change.instrument);
                    }
                }
            }
        };
        for item in &batch.items {
            match item {
                Item::Event(event) => {
                    *nanos = event.nanos;
                    market.on_event(event, &mut say);
                }
                Item::Terms(terms) => market.on_terms(terms),
                Item::Silent(instrument, sequence) => market.on_silent(*instrument, *sequence),
            }
        }
        market.turn(batch.drained, batch.quiescent, &mut say);
        stats.messages.set(store.next() - 1);
    }

    /// Serves whoever asks. Says whether there is more to do at once.
    fn serve(&mut self, events: &Events, now: Instant) -> bool {
        let Self { server, store, market, scribe, nanos, has_begun, again, .. } = self;
        let directory = scribe.directory();
        let mut owes = false;
        server.look_at_logins(store.session(), again, now);
        for event in events {
            match event.token() {
                WAKE | REQUESTS => {}
                SNAPSHOTS => {
                    if let Some(snapshots) = &mut server.snapshots {
                        snapshots.accept(server.poll.registry(), &server.doors, now);
                    }
                }
                WEB => {
                    if let Some(web) = &mut server.web {
                        web.accept(server.poll.registry(), &server.doors, now);
                    }
                }
                Token(token) if token >= SNAPSHOT_CLIENTS => again.push(token),
                _ => {}
            }
        }
        if let Some(requests) = &mut server.requests {
            owes |= requests.serve(store, now);
        }
        owes |= server.hear(again, *has_begun, store.session(), market, now);
        if let Some(snapshots) = &mut server.snapshots {
            if *has_begun {
                snapshots.give(now, store, |say| {
                    directory.open(*nanos, &mut *say);
                    for (instrument, locate) in directory.entries() {
                        if locate.is_err() {
                            continue;
                        }
                        for side in [Side::Buy, Side::Sell] {
                            for order in market.orders(instrument.id, side) {
                                let add =
                                    directory.add(*nanos, order.order, side, order.price, order.quantity);
                                if let Ok(Some(add)) = add {
                                    say(add);
                                }
                            }
                        }
                    }
                });
            }
            owes |= snapshots.flush(server.poll.registry(), &server.doors, now);
        }
        if let Some(web) = &mut server.web {
            web.look(now);
        }
        owes
    }

    /// The front has ended: so does the session.
    fn end(mut self) {
        if !self.waiting.is_empty() {
            warn!("{} turns were never as safe as asked, and are not published", self.waiting.len());
        }
        if !self.has_begun {
            return;
        }
        let Self { store, nanos, server, .. } = &mut self;
        // The time goes on to where it is, but not backwards.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let now = Nanos(u64::try_from(now).unwrap_or(u64::MAX)).max(*nanos);
        Directory::close(now, |message| store.push(&message));
        server.publisher.flush(store);
        server.publisher.end(store);
        if let Some(web) = &mut server.web {
            web.end();
        }
    }
}
