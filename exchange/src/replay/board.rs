//! What threads that replay share: which parts are judged, and who has executed them.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use journal::{Part, Parts};

use super::{
    judged::{Fault, Judged},
    shard::Outcome,
};

/// Parts that may wait for the slowest shard, for each shard.
const AHEAD: usize = 8;

/// See the module.
pub(super) struct Board<'a> {
    /// What nobody has taken, and how many parts have been.
    parts: Mutex<(Parts<'a>, u64)>,
    state: Mutex<State<'a>>,
    /// Something is there to be done that was not.
    changed: Condvar,
    shards: usize,
}

struct State<'a> {
    /// The parts that some shard has not executed, from the first on: judged, or being judged.
    window: VecDeque<Slot<'a>>,
    /// The number of the first.
    first: u64,
    /// How many parts there are, once that is known: what is behind a fault is none.
    count: Option<u64>,
    /// Nothing is left to be taken.
    all_taken: bool,
    /// The first thing that is wrong, and its part.
    fault: Option<(u64, Fault)>,
    given_up: bool,
}

/// A part that has been taken.
#[derive(Default)]
struct Slot<'a> {
    judged: Option<Arc<Judged<'a>>>,
    /// Shards that have executed it.
    executed: usize,
}

/// What a thread may do next.
pub(super) enum Work<'a> {
    /// Execute its next part.
    Execute(Arc<Judged<'a>>),
    /// Judge a part, if there is one.
    Judge,
    Nothing,
}

/// While this lives, a panic of its thread ends the others.
pub(super) struct Watch<'b, 'a>(&'b Board<'a>);

impl Drop for Watch<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.give_up();
        }
    }
}

impl<'a> Board<'a> {
    pub(super) fn new(parts: Parts<'a>, shards: usize) -> Self {
        let state = State {
            window: VecDeque::new(),
            first: 0,
            count: None,
            all_taken: false,
            fault: None,
            given_up: false,
        };
        Self { parts: Mutex::new((parts, 0)), state: Mutex::new(state), changed: Condvar::new(), shards }
    }

    /// Ends the others when this thread panics.
    pub(super) fn watch(&self) -> Watch<'_, 'a> {
        Watch(self)
    }

    /// Waits until there is something to do for a shard whose next part this is.
    pub(super) fn next(&self, part: u64) -> Work<'a> {
        let mut state = self.state();
        loop {
            if state.given_up || state.count.is_some_and(|count| part >= count) {
                return Work::Nothing;
            }
            let place = (part - state.first) as usize;
            if let Some(Slot { judged: Some(judged), .. }) = state.window.get(place) {
                return Work::Execute(Arc::clone(judged));
            }
            if !state.all_taken && state.window.len() < AHEAD * self.shards {
                return Work::Judge;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next part that nobody has taken, and its number.
    pub(super) fn take_part(&self) -> Option<(u64, Part<'a>)> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let (parts, taken) = &mut *parts;
        let part = parts.next();
        // With the lock above held, so that the window has its slots in order.
        let mut state = self.state();
        if part.is_some() {
            state.window.push_back(Slot::default());
        } else {
            state.all_taken = true;
            state.count.get_or_insert(*taken);
            self.changed.notify_all();
        }
        let number = *taken;
        *taken += u64::from(part.is_some());
        part.map(|part| (number, part))
    }

    /// Puts up a part that has been judged.
    pub(super) fn put(&self, number: u64, judged: Judged<'a>) {
        let mut state = self.state();
        let place = (number - state.first) as usize;
        state.window[place].judged = Some(Arc::new(judged));
        self.changed.notify_all();
    }

    /// Notes that a shard is through with a part, and what came of it.
    pub(super) fn executed(&self, number: u64, outcome: Outcome) {
        let mut state = self.state();
        let place = (number - state.first) as usize;
        state.window[place].executed += 1;
        while state.window.front().is_some_and(|slot| slot.executed == self.shards) {
            state.window.pop_front();
            state.first += 1;
        }
        match outcome {
            Outcome::Continues => {}
            Outcome::Enough => state.ends_with(number),
            Outcome::Fault(fault) => {
                let place = |(part, fault): &(u64, Fault)| (*part, fault.position);
                let found = (number, fault);
                if state.fault.as_ref().is_none_or(|first| place(&found) < place(first)) {
                    state.fault = Some(found);
                }
                state.ends_with(number);
            }
        }
        self.changed.notify_all();
    }

    /// Ends all threads.
    pub(super) fn give_up(&self) {
        self.state().given_up = true;
        self.changed.notify_all();
    }

    /// What is wrong with the journal, when all have ended.
    pub(super) fn into_result(self) -> Result<(), String> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.fault.map_or(Ok(()), |(_, fault)| Err(fault.what))
    }

    /// No thread panics while it holds this.
    fn state(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State<'_> {
    /// What is behind a part is nobody's business.
    fn ends_with(&mut self, part: u64) {
        let count = part + 1;
        self.count = Some(self.count.map_or(count, |before| before.min(count)));
        self.all_taken = true;
    }
}
