//! The run itself: one thread drives all sessions.
//!
//! One turn:
//! 1. send what is due, at most [`BATCH`] requests, into the sessions' buffers; the clock was read once before;
//! 2. write each buffer that has something, one call each;
//! 3. wait for the next due time or for a socket;
//! 4. read each socket that has something, read the clock once for each read, and match the answers.
//!
//! Nothing in a turn allocates or hashes, but for the snapshot that is taken once a second.

use core::time::Duration;
use std::{
    sync::atomic::Ordering,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use client::{ClientError, soup::MessageLog};
use domain::Nanos;
use rustix::time::{ClockId, clock_gettime};

use crate::{
    Config, LoadError, Machine, Mode, Outcome, Progress, Series, Snapshot, Source, Stop,
    book_choice::BookChoice,
    line::{Line, Way},
    lobster::Replay,
    request::{Request, orders_per_session},
    schedule::Schedule,
    tracker::Tracker,
    wait::Waiter,
    workload::Workload,
};

/// Requests sent in one turn; the lateness of the last is known at most this many encodings too good, some tens of microseconds.
const BATCH: usize = 512;
/// How long connecting and logging in may take.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the goodbyes of all sessions may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
/// The rate at which a closed loop walks a schedule that has no due times.
const NOMINAL_RATE: u64 = 100_000;
/// A window this wide is refilled when a quarter of it is free, so that requests go out in batches.
const BATCHED_WINDOW: usize = 64;
/// Unanswered cancels while cleaning up.
const CLEAN_UP_WINDOW: u64 = 1_024;

const SECOND: u64 = 1_000_000_000;

/// A session of the run.
#[derive(Debug)]
struct Session {
    line: Line,
    readable: bool,
    writable: bool,
    /// It is to be read until its end shows.
    is_over: bool,
    /// Requests are encoded that were not offered to the kernel.
    dirty: bool,
}

/// Where requests come from.
#[derive(Debug)]
enum Flow {
    Made { workload: Box<Workload>, books: BookChoice, schedule: Schedule },
    Recorded { replay: Box<Replay>, schedule: Schedule, books: BookChoice },
}

/// When a request may be sent.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// At its due time.
    Due,
    /// When fewer than `window` are in flight; after the window was full, when fewer than `resume` are.
    Window { window: u64, resume: u64 },
}

pub(crate) struct Driver<'a> {
    config: &'a Config,
    sessions: Vec<Session>,
    waiter: Waiter,
    tracker: Tracker,
    flow: Flow,
    pace: Pace,
    /// The window was full and has not emptied yet.
    held: bool,
    /// A request that finds no room yet.
    pending: Option<Planned>,
    logs: Vec<MessageLog>,
    start: Instant,
    /// The time of day then.
    start_utc: Nanos,
    stop_at: u64,
    stop_count: u64,
    /// When the last request was sent, and when it was due.
    last_sent: u64,
    last_due: u64,
    last_answer: u64,
    processor_before: Duration,
    stalls: u64,
    series: Series,
}

impl<'a> Driver<'a> {
    /// Plans the run, connects and logs in.
    pub(crate) fn start(config: &'a Config) -> Result<Self, LoadError> {
        let seed = config.seed;
        let (pace, rate) = match config.mode {
            Mode::OpenLoop { rate } => (Pace::Due, rate),
            Mode::ClosedLoop { in_flight } => {
                let window = in_flight.saturating_mul(config.sessions_used()) as u64;
                (Pace::Window { window, resume: window }, NOMINAL_RATE)
            }
            Mode::Flood { window } => {
                let resume = if window < BATCHED_WINDOW { window } else { window - window / 4 };
                (Pace::Window { window: window as u64, resume: resume as u64 }, NOMINAL_RATE)
            }
        };
        let (flow, sessions, orders) = match &config.source {
            Source::Profile(profile) => {
                let books = BookChoice::new(*profile, config.instruments.len(), seed);
                let schedule = Schedule::new(rate, &books);
                let workload = Box::new(Workload::new(&config.instruments, config.sessions, seed));
                (
                    Flow::Made { workload, books, schedule },
                    config.sessions,
                    orders_per_session(config.sessions, config.instruments.len()),
                )
            }
            Source::Lobster(path) => {
                let replay = Replay::load(path, &config.instruments[0])
                    .map_err(|error| LoadError::Lobster { path: path.clone(), error })?;
                let books = BookChoice::new(crate::Profile::Calm, 1, seed);
                let schedule = Schedule::new(rate, &books);
                let numbers = replay.numbers();
                (Flow::Recorded { replay: Box::new(replay), schedule, books }, 1, numbers)
            }
        };
        let mut waiter = Waiter::new(config.wait).map_err(LoadError::Poll)?;
        let mut connected = Vec::with_capacity(sessions);
        let way = Way {
            protocol: &config.protocol,
            target: config.target,
            tls: config.tls.as_ref(),
            instruments: &config.instruments,
            orders,
            timeout: START_TIMEOUT,
        };
        for (index, user) in config.users.iter().take(sessions).enumerate() {
            let mut line = Line::open(&way, user).map_err(LoadError::Start)?;
            waiter.watch(line.stream(), index).map_err(LoadError::Poll)?;
            connected.push(Session { line, readable: false, writable: true, is_over: false, dirty: false });
        }
        let (stop_at, stop_count) = match config.stop {
            Stop::After(time) => (u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), u64::MAX),
            Stop::Count(count) => (u64::MAX, count),
        };
        Ok(Self {
            config,
            sessions: connected,
            waiter,
            tracker: Tracker::new(sessions, orders),
            flow,
            pace,
            held: false,
            pending: None,
            logs: if config.keep_log { vec![MessageLog::new(); sessions] } else { vec![] },
            start: Instant::now(),
            start_utc: utc_now(),
            stop_at,
            stop_count,
            last_sent: 0,
            last_due: 0,
            last_answer: 0,
            processor_before: thread_time(),
            stalls: 0,
            series: Series::new(),
        })
    }

    /// Runs to the end.
    pub(crate) fn run(mut self, progress: &mut dyn Progress) -> Result<Outcome, LoadError> {
        self.start = Instant::now();
        self.start_utc = utc_now();
        self.processor_before = thread_time();
        let ended = self.measure(progress);
        let mut outcome = self.outcome();
        match ended {
            Ok(()) => {}
            Err(Failure::Poll(error)) => return Err(LoadError::Poll(error)),
            Err(Failure::Client(error)) => {
                outcome.logs = self.logs;
                return Err(LoadError::Interrupted { error, partial: Box::new(outcome) });
            }
        }
        if self.config.clean_up {
            outcome.cleaned_up = self.clean_up().ok().flatten();
        }
        for session in &mut self.sessions {
            // The answers are in: how the goodbye fares changes nothing.
            let _ = session.line.leave();
        }
        let deadline = Instant::now() + LEAVE_TIMEOUT;
        for session in &mut self.sessions {
            let _ = session.line.has_left(deadline.saturating_duration_since(Instant::now()));
        }
        outcome.logs = self.logs;
        Ok(outcome)
    }

    /// Sends until the stop, then waits for the answers.
    fn measure(&mut self, progress: &mut dyn Progress) -> Result<(), Failure> {
        let mut next_tick = Series::INTERVAL;
        let mut next_snapshot = SECOND;
        let mut sending = true;
        let mut now = self.now();
        loop {
            if sending {
                sending = self.send(now)? && !self.config.cancel.load(Ordering::Relaxed);
            }
            self.flush()?;
            if !sending && self.is_drained(now) {
                self.note(now);
                return Ok(());
            }
            if now >= next_tick {
                next_tick = (now / Series::INTERVAL + 1) * Series::INTERVAL;
                self.note(now);
                self.keep_alive()?;
                if now >= next_snapshot {
                    next_snapshot = (now / SECOND + 1) * SECOND;
                    progress.snapshot(&self.snapshot(now));
                }
            }
            let until = if sending { self.next_due().min(next_tick) } else { next_tick };
            self.wait(now, until)?;
            self.receive()?;
            now = self.now();
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Everything is written and answered, or nothing has come for too long.
    fn is_drained(&self, now: u64) -> bool {
        let patience = u64::try_from(self.config.drain.as_nanos()).unwrap_or(u64::MAX);
        let waiting = self.tracker.counts.in_flight() > 0;
        !waiting || now.saturating_sub(self.last_answer.max(self.last_sent)) >= patience
    }

    /// When something can be sent next without anything arriving; never, when a window or a buffer is full.
    fn next_due(&self) -> u64 {
        if let Some(planned) = &self.pending {
            return if self.has_room(&planned.request) { 0 } else { u64::MAX };
        }
        if self.is_held() {
            return u64::MAX;
        }
        match self.pace {
            Pace::Due => self.schedule().peek().min(self.stop_at),
            Pace::Window { .. } => 0,
        }
    }

    fn schedule(&self) -> &Schedule {
        match &self.flow {
            Flow::Made { schedule, .. } | Flow::Recorded { schedule, .. } => schedule,
        }
    }

    fn is_held(&self) -> bool {
        match self.pace {
            Pace::Due => false,
            Pace::Window { resume, .. } => self.held && self.tracker.counts.in_flight() >= resume,
        }
    }

    /// Whether the session's buffer and its ring of orders have room.
    fn has_room(&self, request: &Request) -> bool {
        self.sessions[request.session].line.has_room() && self.tracker.has_room(request)
    }

    /// Sends what is due; false when nothing more is to be sent.
    fn send(&mut self, now: u64) -> Result<bool, ClientError> {
        for _ in 0..BATCH {
            if self.tracker.counts.sent() >= self.stop_count {
                return Ok(false);
            }
            let planned = match self.pending.take() {
                Some(pending) => pending,
                None => match self.next_request(now) {
                    Next::Request(planned) => planned,
                    Next::Later => return Ok(true),
                    Next::Never => return Ok(false),
                },
            };
            let Planned { request, due, hot } = planned;
            if !self.has_room(&request) {
                self.stalls += 1;
                self.pending = Some(planned);
                return Ok(true);
            }
            self.encode(&request, now)?;
            self.tracker.sent(&request, hot, due, now);
            if let Flow::Recorded { replay, .. } = &mut self.flow {
                replay.advance();
            }
            self.last_sent = now;
            self.last_due = due;
        }
        Ok(true)
    }

    /// The next request that may be sent now, and when it was due.
    fn next_request(&mut self, now: u64) -> Next {
        let hot_at = match self.pace {
            Pace::Due => {
                let due = self.schedule().peek();
                if due >= self.stop_at {
                    return Next::Never;
                }
                if due > now {
                    return Next::Later;
                }
                None
            }
            Pace::Window { window, .. } => {
                if now >= self.stop_at {
                    return Next::Never;
                }
                if self.is_held() {
                    return Next::Later;
                }
                self.held = self.tracker.counts.in_flight() >= window;
                if self.held {
                    return Next::Later;
                }
                Some(now)
            }
        };
        let (request, at, hot) = match &mut self.flow {
            Flow::Made { workload, books, schedule } => {
                let due = schedule.next(books, hot_at);
                let request = workload.next(due.book);
                (request, due.at, books.is_hot(workload.book_of(&request)))
            }
            Flow::Recorded { replay, schedule, books } => {
                let Some(request) = replay.peek() else { return Next::Never };
                (request, schedule.next(books, hot_at).at, false)
            }
        };
        Next::Request(Planned { request, due: if hot_at.is_some() { now } else { at }, hot })
    }

    /// Encodes a request into its session's buffer, which has room.
    fn encode(&mut self, request: &Request, now: u64) -> Result<(), ClientError> {
        let session = &mut self.sessions[request.session];
        session.line.encode(request, Nanos(self.start_utc.0 + now))?;
        session.dirty = true;
        Ok(())
    }

    /// Offers what is encoded to the kernel, one write a session.
    fn flush(&mut self) -> Result<(), Failure> {
        for session in &mut self.sessions {
            if session.dirty && session.writable {
                let all = session.line.flush()?;
                session.dirty = !all;
                session.writable = all;
            }
        }
        Ok(())
    }

    fn wait(&mut self, now: u64, until: u64) -> Result<(), Failure> {
        let sessions = &mut self.sessions;
        // A socket that was not read empty will not be announced again.
        let until = if sessions.iter().any(|s| s.readable || (s.dirty && s.writable)) { now } else { until };
        self.waiter
            .wait(now, until, |index, ready| {
                sessions[index].readable |= ready.readable;
                sessions[index].writable |= ready.writable;
                sessions[index].is_over |= ready.is_over;
            })
            .map_err(Failure::Poll)
    }

    /// Reads what has arrived and matches the answers.
    fn receive(&mut self) -> Result<(), Failure> {
        for index in 0..self.sessions.len() {
            if !self.sessions[index].readable {
                continue;
            }
            let filled = self.sessions[index].line.fill();
            let now = self.now();
            let session = &mut self.sessions[index];
            // What was read before a connection failed still counts.
            session.readable = *filled.as_ref().unwrap_or(&false) || session.is_over;
            let done = self.tracker.counts.answered + self.tracker.counts.superfluous;
            while let Some(heard) = session.line.next()? {
                if let Some(answer) = heard.answer {
                    self.tracker.answered(index, &answer, now);
                    if let Flow::Recorded { replay, .. } = &mut self.flow {
                        replay.answered(&answer);
                    }
                }
                if let (Some(log), Some(message)) = (self.logs.get_mut(index), heard.message) {
                    log.observe(&message).map_err(|error| ClientError::Protocol {
                        peer: self.config.target,
                        user: self.config.users[index].name.clone(),
                        what: error.to_string(),
                    })?;
                }
            }
            // Answers that the session itself owes.
            session.dirty |= session.line.unwritten() > 0;
            if self.tracker.counts.answered + self.tracker.counts.superfluous != done {
                self.last_answer = now;
            }
            filled?;
        }
        Ok(())
    }

    fn keep_alive(&mut self) -> Result<(), Failure> {
        for session in &mut self.sessions {
            session.line.keep_alive()?;
            session.dirty |= session.line.unwritten() > 0;
        }
        Ok(())
    }

    /// Cancels what still rests; `None` when not all of it was answered.
    fn clean_up(&mut self) -> Result<Option<u64>, Failure> {
        self.pending = None;
        let before = self.tracker.counts.cancels;
        let mut next = 0;
        let mut next_tick = 0;
        loop {
            let now = self.now();
            let mut found = true;
            while found && self.tracker.counts.in_flight() < CLEAN_UP_WINDOW {
                found = match self.tracker.next_open(&mut next) {
                    Some(request) if self.sessions[request.session].line.has_room() => {
                        self.encode(&request, now)?;
                        self.tracker.sent(&request, false, now, now);
                        self.last_sent = now;
                        next += 1;
                        true
                    }
                    Some(_) => break,
                    None => false,
                };
            }
            self.flush()?;
            if !found && self.tracker.counts.in_flight() == 0 {
                return Ok(Some(self.tracker.counts.cancels - before));
            }
            if self.is_drained(now) && self.tracker.counts.in_flight() > 0 {
                return Ok(None);
            }
            if now >= next_tick {
                next_tick = now + Series::INTERVAL;
                self.keep_alive()?;
            }
            self.wait(now, next_tick)?;
            self.receive()?;
        }
    }

    fn note(&mut self, now: u64) {
        let counts = &self.tracker.counts;
        self.series.note(now, counts.sent(), counts.answered + counts.superfluous);
    }

    fn snapshot(&self, now: u64) -> Snapshot {
        let counts = &self.tracker.counts;
        let latency = &self.tracker.latency;
        let intended = latency.intended();
        Snapshot {
            elapsed: Duration::from_nanos(now),
            sent: counts.sent(),
            answered: counts.answered,
            superfluous: counts.superfluous,
            rejected: counts.rejects.total(),
            rate: counts.sent() as f64 / Duration::from_nanos(now.max(1)).as_secs_f64(),
            p50: intended.value_at_quantile(0.5),
            p99: intended.value_at_quantile(0.99),
            hot_p99: latency.hot.value_at_quantile(0.99),
            others_p99: latency.others.value_at_quantile(0.99),
        }
    }

    fn outcome(&mut self) -> Outcome {
        let recording = match &mut self.flow {
            Flow::Made { .. } => None,
            Flow::Recorded { replay, .. } => Some((replay.rows(), replay.agreement())),
        };
        let mut outcome = Outcome {
            config: self.config.clone(),
            counts: self.tracker.counts.clone(),
            latency: self.tracker.latency.clone(),
            sending: Duration::from_nanos(self.last_sent),
            planned: Duration::from_nanos(self.last_due),
            answering: Duration::from_nanos(self.last_answer),
            processor: thread_time().saturating_sub(self.processor_before),
            stalls: self.stalls,
            series: self.series.clone(),
            recording,
            warnings: vec![],
            logs: vec![],
            cleaned_up: None,
            machine: Machine::here(),
        };
        outcome.judge();
        outcome
    }
}

/// A request to be sent.
#[derive(Clone, Copy, Debug)]
struct Planned {
    request: Request,
    /// Nanoseconds since the start.
    due: u64,
    /// Its book was hot then.
    hot: bool,
}

/// What may be sent next.
enum Next {
    /// This.
    Request(Planned),
    /// Nothing yet.
    Later,
    /// Nothing any more.
    Never,
}

/// Why a run ended early.
#[derive(Debug)]
enum Failure {
    Client(ClientError),
    Poll(std::io::Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

fn utc_now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
