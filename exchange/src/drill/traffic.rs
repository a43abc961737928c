//! The load of a drill: the bundled generator, on a thread of its own, with what each session is told kept.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use client::soup::MessageLog;
use loadgen::{LoadError, Mode, Outcome, Profile, Source, Stop};
use rand::RngExt;

use super::{PATIENCE, SESSIONS, Scene};
use crate::child::Exchange;

/// Load that goes on until it is stopped, or what it goes to is killed.
pub(super) struct Traffic {
    thread: JoinHandle<Result<Outcome, LoadError>>,
    cancel: Arc<AtomicBool>,
}

impl Traffic {
    /// Begins, and returns when all sessions are logged in and the exchange has heard of them.
    pub(super) fn start(scene: &mut Scene<'_>, exchange: &Exchange) -> Result<Self, String> {
        let mut load = loadgen::Config::new(exchange.address, scene.config.instruments.clone());
        load.users = scene.users.clone();
        load.sessions = SESSIONS;
        load.source = Source::Profile(Profile::Hot { percent: 60.0, period: None });
        load.mode = Mode::OpenLoop { rate: scene.args.rate };
        load.stop = Stop::After(Duration::MAX);
        load.seed = scene.random.random();
        // What rests stays: states that are compared shall not be empty ones.
        load.clean_up = false;
        load.keep_log = true;
        load.drain = PATIENCE;
        let cancel = Arc::clone(&load.cancel);
        let thread = std::thread::Builder::new()
            .name("load".into())
            .spawn(move || loadgen::run(&load, &mut ()))
            .map_err(|error| format!("no thread for the load: {error}"))?;
        let traffic = Self { thread, cancel };
        let before = exchange.status_from_now()?["requests"].as_u64();
        scene.patience.eventually("the load runs", || {
            if traffic.thread.is_finished() {
                return Ok(true);
            }
            let status = exchange.status_from_now()?;
            Ok(status["logged_in"].as_u64() >= Some(SESSIONS as u64) && status["requests"].as_u64() > before)
        })?;
        if traffic.thread.is_finished() {
            return match traffic.end()? {
                Ok(_) => Err("the load ended as soon as it had begun".into()),
                Err(error) => Err(format!("load: {error}")),
            };
        }
        Ok(traffic)
    }

    /// Ends it, waits for the answers, and gives what each session was told.
    pub(super) fn stop(self) -> Result<Vec<MessageLog>, String> {
        self.cancel.store(true, Ordering::Relaxed);
        let outcome = self.end()?.map_err(|error| format!("load: {error}"))?;
        if outcome.counts.in_flight() > 0 {
            return Err(format!("{} requests of the load were never answered", outcome.counts.in_flight()));
        }
        Ok(outcome.logs)
    }

    /// What each session had been told when the exchange was killed.
    pub(super) fn killed(self) -> Result<Vec<MessageLog>, String> {
        match self.end()? {
            Err(LoadError::Interrupted { partial, .. }) => Ok(partial.logs),
            Err(error) => Err(format!("load: {error}")),
            Ok(_) => Err("the load ended before the kill".into()),
        }
    }

    fn end(self) -> Result<Result<Outcome, LoadError>, String> {
        self.thread.join().map_err(|_| "the load's thread died".into())
    }
}
