//! The main thread while an exchange runs: it waits for the front to end, shows the status, and tells what balancing did.
//!
//! It sleeps until there is something to do. Nothing that it waits for can hold the front up: the front leaves counters
//! and events in channels that it never waits for.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, at, never, select};
use serde_json::Value;

use super::voice::Voice;
use crate::{
    balance_events::{self, EventFile, Stamped, is_steal},
    front::{Ended, Requests},
    status::{
        Counters, Fixed, Status,
        socket::{Clients, Endpoint},
    },
    wake::FrontWake,
};

/// How long the front may take to answer before the status is left out.
const PATIENCE: Duration = Duration::from_millis(250);
/// How often clients of the socket hear.
const CLIENTS_EACH: Duration = Duration::from_millis(250);
/// After events have been taken, others are let gather for so long: one wake-up, and one write, for many.
const GATHER: Duration = Duration::from_millis(20);
/// Events that a client of the socket is told at a time, the latest.
const RECENT_MAX: usize = 16;

/// What the main thread watches with.
pub(super) struct Watch {
    pub(super) voice: Voice,
    pub(super) fixed: Fixed,
    /// How often the status is shown; `None` for never.
    pub(super) every: Option<Duration>,
    pub(super) file: Option<EventFile>,
    /// `None` when there is no status socket.
    pub(super) endpoint: Option<Endpoint>,
    pub(super) requests: Arc<Requests>,
    pub(super) wake: Arc<FrontWake>,
    pub(super) counters: Receiver<Counters>,
    pub(super) events: Receiver<Stamped>,
    pub(super) end: Receiver<Result<Ended, String>>,
}

/// Something that is done again and again, with the counters of the last time.
struct Repeated {
    each: Duration,
    next: Instant,
    before: Option<Counters>,
}

impl Repeated {
    fn new(each: Duration, before: Option<Counters>) -> Self {
        Self { each, next: Instant::now() + each, before }
    }

    /// Whether it is time; if so, the next time is one period on, or from now if that has passed too.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        if now < self.next {
            return false;
        }
        self.next = (self.next + self.each).max(now);
        true
    }

    /// What happened since the last time.
    fn status(&mut self, now: Option<Counters>, fixed: &Fixed) -> Option<Status> {
        let now = now?;
        let status = self.before.as_ref().map(|before| Status::between(before, &now, fixed));
        self.before = Some(now);
        status
    }
}

impl Watch {
    /// Waits for the front to end, and gives the voice back.
    pub(super) fn run(mut self) -> (Voice, Result<Ended, String>) {
        let ended = self.until_the_end();
        (self.voice, ended)
    }

    fn until_the_end(&mut self) -> Result<Ended, String> {
        let mut shown = self.every.map(|every| Repeated::new(every, self.ask()));
        let mut clients = Clients::default();
        let mut told: Option<Repeated> = None;
        let mut recent = VecDeque::new();
        let mut gathered = Instant::now();
        let new_clients = self.endpoint.as_ref().map_or_else(never, |endpoint| endpoint.clients.clone());
        self.want_steals(&clients);
        loop {
            let gathering = Instant::now() < gathered;
            let next = [shown.as_ref().map(|shown| shown.next), told.as_ref().map(|told| told.next)];
            let next = next.into_iter().flatten().chain(gathering.then_some(gathered)).min();
            let time = next.map_or_else(never, at);
            // While events gather they do not wake this thread.
            let waiting = if gathering { never() } else { self.events.clone() };
            select! {
                recv(self.end) -> ended => {
                    self.tell(None, &mut recent);
                    return ended.unwrap_or_else(|_| Err("the front died".into()));
                }
                recv(waiting) -> event => {
                    if let Ok(event) = event {
                        self.tell(Some(event), &mut recent);
                        gathered = Instant::now() + GATHER;
                    }
                }
                recv(new_clients) -> client => {
                    if let Ok(client) = client {
                        clients.add(client);
                        if told.is_none() {
                            recent.clear();
                            told = Some(Repeated::new(CLIENTS_EACH, self.ask()));
                        }
                        self.want_steals(&clients);
                    }
                }
                recv(time) -> _ => {}
            }
            if let Some(shown) = &mut shown
                && shown.is_due()
                && let Some(status) = shown.status(self.ask(), &self.fixed)
            {
                self.voice.say(&status.line(), &value(&status));
            }
            if let Some(repeated) = &mut told
                && repeated.is_due()
            {
                // What has come until now belongs to this line.
                self.tell(None, &mut recent);
                if let Some(mut status) = repeated.status(self.ask(), &self.fixed) {
                    status.recent = recent.drain(..).collect();
                    clients.send(format!("{}\n", value(&status)).as_bytes());
                }
                if clients.is_empty() {
                    told = None;
                    self.want_steals(&clients);
                }
            }
        }
    }

    /// The front's counters of now; `None` when it does not answer.
    fn ask(&self) -> Option<Counters> {
        // An answer that came too late to the last question.
        while self.counters.try_recv().is_ok() {}
        self.requests.status_wanted.store(true, Ordering::Relaxed);
        self.wake.call();
        self.counters.recv_timeout(PATIENCE).ok()
    }

    /// Steals can be many, and in text they are only counted: the front keeps them to itself when nobody wants them.
    fn want_steals(&self, clients: &Clients) {
        let wanted = self.voice.json || self.file.is_some() || !clients.is_empty();
        self.requests.steals_wanted.store(wanted, Ordering::Relaxed);
    }

    /// Takes the events that are there, and tells whoever wants to know.
    fn tell(&mut self, first: Option<Stamped>, recent: &mut VecDeque<Value>) {
        let said: Vec<_> = first
            .into_iter()
            .chain(self.events.try_iter())
            .map(|stamped| {
                (
                    is_steal(&stamped.event),
                    balance_events::line(&stamped.event, &self.fixed),
                    balance_events::json(&stamped, &self.fixed),
                )
            })
            .collect();
        let shown: Vec<_> = said
            .iter()
            .filter(|(is_steal, ..)| self.voice.json || !is_steal)
            .map(|(_, line, value)| (line.as_str(), value))
            .collect();
        if !shown.is_empty() {
            self.voice.say_all(&shown);
        }
        let values: Vec<_> = said.into_iter().map(|(.., value)| value).collect();
        if let Some(file) = &mut self.file {
            file.write(&values);
        }
        recent.extend(values);
        let many = recent.len().saturating_sub(RECENT_MAX);
        recent.drain(..many);
    }
}

/// A status as JSON.
fn value(status: &Status) -> Value {
    serde_json::to_value(status).expect("plain structs become JSON")
}
