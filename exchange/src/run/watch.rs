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

use super::{disk_alarm::DiskAlarm, voice::Voice};
use crate::{
    balance_events::{self, EventFile, Stamped, is_counted},
    front::Requests,
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

/// What the main thread watches with, until `E` comes from whoever runs, or nobody is left who could say it.
pub(super) struct Watch<E> {
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
    pub(super) end: Receiver<E>,
    pub(super) disk: DiskAlarm,
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

impl<E> Watch<E> {
    /// Waits for the end, and gives the voice back.
    pub(super) fn run(mut self) -> (Voice, Option<E>) {
        let ended = self.until_the_end();
        (self.voice, ended)
    }

    fn until_the_end(&mut self) -> Option<E> {
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
            let time = at(next.map_or(self.disk.next(), |next| next.min(self.disk.next())));
            // While events gather they do not wake this thread.
            let waiting = if gathering { never() } else { self.events.clone() };
            select! {
                recv(self.end) -> ended => {
                    self.tell(None, &mut recent);
                    return ended.ok();
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
            self.disk.look();
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
        let (mut lines, mut values) = (Vec::new(), Vec::new());
        for stamped in first.into_iter().chain(self.events.try_iter()) {
            if !self.voice.json && !is_counted(&stamped.event) {
                lines.push(balance_events::line(&stamped.event, &self.fixed));
            }
            values.push(balance_events::json(&stamped, &self.fixed));
        }
        if self.voice.json {
            self.voice.say_all(&values);
        } else {
            self.voice.say_all(&lines);
        }
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

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        thread::{self, JoinHandle},
    };

    use crossbeam_channel::{Sender, bounded};
    use domain::{InstrumentId, Nanos, ShardId};
    use engine::balance::{BalanceEvent, Unit, Why};

    use super::*;
    use crate::status::{
        socket,
        tests::{fixed, moments},
    };

    const HUNG: Duration = Duration::from_secs(30);

    /// A main thread that watches, and the front's ends of its channels.
    struct Rig {
        dir: tempfile::TempDir,
        requests: Arc<Requests>,
        counters: Sender<Counters>,
        events: Sender<Stamped>,
        end: Sender<&'static str>,
        main: JoinHandle<Option<&'static str>>,
    }

    impl Rig {
        /// In text, so that nothing but events of moment goes to the test's own output; `file` for all events.
        fn new(file: bool) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let requests = Arc::new(Requests::default());
            let (counters, asked) = bounded(1);
            let (events, happened) = bounded(4);
            let (end, ended) = bounded(1);
            let watch = Watch {
                voice: Voice { json: false },
                fixed: fixed(),
                every: None,
                file: file.then(|| EventFile::open(&dir.path().join("events")).unwrap()),
                endpoint: Some(Endpoint::open(dir.path()).unwrap()),
                requests: Arc::clone(&requests),
                wake: Arc::new(FrontWake::default()),
                counters: asked,
                events: happened,
                end: ended,
                disk: DiskAlarm::new(|| Duration::ZERO),
            };
            let main = thread::spawn(move || watch.run().1);
            Self { dir, requests, counters, events, end, main }
        }

        /// Answers every question for counters, as the front does, until the main thread has gone.
        fn answer(&self, answer: Counters) -> JoinHandle<()> {
            let (requests, counters) = (Arc::downgrade(&self.requests), self.counters.clone());
            thread::spawn(move || {
                while let Some(requests) = requests.upgrade() {
                    if requests.status_wanted.swap(false, Ordering::Relaxed) {
                        let _ = counters.try_send(answer.clone());
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            })
        }

        fn steals_wanted(&self, wanted: bool) {
            let begin = Instant::now();
            while self.requests.steals_wanted.load(Ordering::Relaxed) != wanted {
                assert!(begin.elapsed() < HUNG, "it stays {}", !wanted);
                thread::sleep(Duration::from_millis(1));
            }
        }

        fn ends(self) -> tempfile::TempDir {
            self.end.send("as it should be").unwrap();
            assert_eq!(self.main.join().unwrap(), Some("as it should be"));
            assert!(!self.dir.path().join(socket::NAME).exists());
            self.dir
        }
    }

    fn migration(commands: u32) -> Stamped {
        let (unit, book) = (Unit(0), InstrumentId(0));
        let (from, to, why) = (ShardId(0), ShardId(1), Why::Load);
        let event = BalanceEvent::Migration { unit, book, from, to, why, commands, still_nanos: 7_000 };
        Stamped { at: Nanos(5_000), event }
    }

    fn steal(commands: u32) -> Stamped {
        let (book, home, thief, why) = (InstrumentId(1), ShardId(0), ShardId(1), Why::Backlog);
        Stamped {
            at: Nanos(5_000),
            event: BalanceEvent::Steal { book, home, thief, why, commands, still_nanos: 7_000 },
        }
    }

    #[test]
    fn a_client_hears_the_status_and_what_happened_before_it() {
        let rig = Rig::new(false);
        let (_, now) = moments();
        let answers = rig.answer(now.clone());
        rig.steals_wanted(false);
        let client = socket::connect(rig.dir.path()).unwrap();
        client.set_read_timeout(Some(HUNG)).unwrap();
        rig.steals_wanted(true);
        rig.events.send_timeout(steal(3), HUNG).unwrap();
        rig.events.send_timeout(migration(4), HUNG).unwrap();
        let mut reader = BufReader::new(client);
        let mut recent = move || {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let status: Status = serde_json::from_str(&line).unwrap();
            assert_eq!(status.sequenced, now.sequenced);
            assert!(status.recent.len() <= RECENT_MAX, "{line}");
            let told = |event: Value| (event["event"].to_string(), event["commands"].as_u64().unwrap());
            status.recent.into_iter().map(told).collect::<Vec<_>>()
        };
        let mut told = vec![];
        while told.len() < 2 {
            told.extend(recent());
        }
        assert_eq!(told, [("\"steal\"".into(), 3), ("\"migration\"".into(), 4)]);
        // What was told is not told again, and of many the latest are told.
        for commands in 0..100 {
            rig.events.send_timeout(migration(commands), HUNG).unwrap();
        }
        let mut told = vec![];
        while told.last().is_none_or(|(_, commands)| *commands < 99) {
            told.extend(recent());
        }
        assert!(told.is_sorted_by(|(_, one), (_, other)| one < other), "{told:?}");
        // Nobody listens any more, so steals are of no interest again.
        drop(recent);
        rig.steals_wanted(false);
        rig.ends();
        answers.join().unwrap();
    }

    #[test]
    fn the_file_gets_every_event_to_the_last() {
        let rig = Rig::new(true);
        rig.steals_wanted(true);
        for commands in 0..50 {
            rig.events.send_timeout(steal(commands), HUNG).unwrap();
            rig.events.send_timeout(migration(commands), HUNG).unwrap();
        }
        let dir = rig.ends();
        let text = std::fs::read_to_string(dir.path().join("events")).unwrap();
        let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events.len(), 100);
        for (place, event) in events.iter().enumerate() {
            assert_eq!(event["commands"], place / 2);
            assert_eq!(event["event"], if place % 2 == 0 { "steal" } else { "migration" });
        }
    }

    #[test]
    fn a_front_that_does_not_answer_holds_nothing_up() {
        let rig = Rig::new(false);
        let client = socket::connect(rig.dir.path()).unwrap();
        let begin = Instant::now();
        while !rig.requests.status_wanted.load(Ordering::Relaxed) {
            assert!(begin.elapsed() < HUNG, "nobody asks");
        }
        drop(client);
        rig.ends();
    }
}
