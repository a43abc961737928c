//! The book and the reference must agree on special orders, in many short books: a small book meets itself often, and
//! the reference is slow.
//!
//! `SEED=` replays a run, `COMMANDS=` sets how many commands all styles get together, `STYLE=` keeps to one style, by
//! its number from 0. A difference is shrunk, and
//! printed with the commands that lead to it.

use core::num::NonZeroUsize;
use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use domain::{
    Command, Display, EnterSpecial, Event, Events, Execution, Instructions, MassCancel, Nanos,
    ReplaceSpecial, SelfTrade, SelfTradePolicy, Sequenced, Side, Trigger,
};
use engine::book::{BookHeader, BookView, RestingOrder};
use engine::reference::ReferenceBook;

use crate::coverage::Coverage;
use crate::flow::{Flow, SPECIAL_STYLES, Style};
use crate::shrink::{line, shrunk};
use crate::support::{INSTRUMENT, Pair, SpecialBook, Subject};

/// How many commands for all styles together.
fn commands() -> u64 {
    seeded::number("COMMANDS").unwrap_or(if cfg!(debug_assertions) { 150_000 } else { FULL })
}

/// The default of an optimised run, in which everything must be seen.
const FULL: u64 = 8_000_000;

/// Before a command whose sequence is a multiple of this, both books are made anew from what they show, ...
const AGAIN: u64 = 97;
/// ... large ones not as often: it takes long.
const LARGE: u64 = 200;

/// A style's book: its own commands, and nobody else's.
fn flow(seed: u64, style: usize, book: u64) -> Flow {
    Flow::new(seed ^ ((style as u64 + 1) << 48) ^ (book << 8), SPECIAL_STYLES[style])
}

/// Runs one book; how the two differed, if they did. What they were told is left in `told`.
fn run<S: Subject>(
    subject: S,
    flow: &mut Flow,
    length: u64,
    told: &mut Vec<Sequenced<Command>>,
    coverage: &mut Coverage,
) -> Result<(), String> {
    let mut pair = Pair::new(subject);
    told.clear();
    coverage.begin();
    for _ in 0..length {
        let command = flow.next();
        told.push(command);
        let events = step(&mut pair, &command)?;
        flow.learn(&events);
        coverage.look(&command, &events, &pair.reference);
    }
    pair.compare_state()
}

/// One command to both books, which are made anew now and then.
fn step<S: Subject>(pair: &mut Pair<S>, command: &Sequenced<Command>) -> Result<Vec<Event>, String> {
    let often = if pair.reference.header().resting < LARGE { AGAIN } else { 8 * AGAIN };
    if command.sequence.0.is_multiple_of(often) {
        pair.subject.again();
        pair.reference = ReferenceBook::showing(&pair.subject);
    }
    Ok(pair.apply(command)?.to_vec())
}

/// How a list of commands makes the books differ.
fn difference<S: Subject>(subject: S, commands: &[Sequenced<Command>]) -> Option<String> {
    let run = || {
        let mut pair = Pair::new(subject);
        for command in commands {
            step(&mut pair, command)?;
        }
        pair.compare_state()
    };
    caught(run).err()
}

/// What a panic says is a difference, too.
fn caught(run: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(said(&*panic)))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    format!("panicked: {}", text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words"))
}

/// Which book of which style is the `index`th.
fn plan(index: u64, only: Option<usize>) -> (usize, u64) {
    if let Some(style) = only {
        return (style, index);
    }
    let total: u64 = SPECIAL_STYLES.iter().map(|style| style.specials.weight).sum();
    let (round, mut at) = (index / total, index % total);
    for (number, style) in SPECIAL_STYLES.iter().enumerate() {
        let weight = style.specials.weight;
        if at < weight {
            return (number, round * weight + at);
        }
        at -= weight;
    }
    unreachable!("the weights add up")
}

#[test]
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a rate to print; no book sees it")]
fn the_book_agrees_with_the_reference_on_special_orders() {
    let (seed, commands) = (seeded::seed(), commands());
    let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let only = seeded::number("STYLE").map(|style| usize::try_from(style).expect("a style's number"));
    let started = std::time::Instant::now();
    let work = || {
        let (mut coverage, mut told) = (Coverage::default(), Vec::new());
        while done.load(Ordering::Relaxed) < commands {
            let (style, book) = plan(next.fetch_add(1, Ordering::Relaxed), only);
            let Style { name, specials, .. } = SPECIAL_STYLES[style];
            let mut flow = flow(seed, style, book);
            let outcome = caught(|| {
                let subject = SpecialBook::new(INSTRUMENT);
                run(subject, &mut flow, specials.book, &mut told, &mut coverage)
            });
            if let Err(difference) = outcome {
                report(seed, name, &told, &difference);
            }
            done.fetch_add(specials.book, Ordering::Relaxed);
        }
        coverage
    };
    let mut coverage = Coverage::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(seen) => coverage.add(&seen),
                Err(panic) => panic::resume_unwind(panic),
            }
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    let rate = coverage.commands as f64 / seconds;
    println!("{} commands, {} books, {rate:.0} commands/s", coverage.commands, next.into_inner());
    coverage.print();
    if coverage.commands >= FULL && only.is_none() {
        assert_eq!(coverage.unseen(), [""; 0], "SEED={seed}: the flow no longer gets to these");
    }
}

/// Panics with the shortest list of commands found that makes the books differ.
fn report(seed: u64, style: &str, told: &[Sequenced<Command>], first: &str) -> ! {
    let empty = || SpecialBook::new(INSTRUMENT);
    let short = shrunk(told, |commands| difference(empty(), commands).is_some());
    let Some(last) = difference(empty(), &short) else {
        panic!("SEED={seed}, {style}: {first}\n(which did not happen again)")
    };
    let list: String = short.iter().map(|command| format!("{}\n", line(command))).collect();
    panic!("SEED={seed}, {style}: {} commands, of {}:\n{list}{last}", short.len(), told.len())
}

/// One thing to misunderstand about special orders.
struct Mistake {
    name: &'static str,
    command: fn(&mut Command),
}

/// Changes the instructions of an order, where it has some.
fn instructions(command: &mut Command, change: impl FnOnce(&mut Instructions)) {
    match command {
        Command::EnterSpecial(EnterSpecial { instructions, .. })
        | Command::ReplaceSpecial(ReplaceSpecial { instructions, .. }) => change(instructions),
        _ => {}
    }
}

const MISTAKES: [Mistake; 10] = [
    Mistake {
        name: "a hidden order is shown",
        command: |command| {
            instructions(command, |asked| {
                if asked.display == Display::Hidden {
                    asked.display = Display::Full;
                }
            });
        },
    },
    Mistake {
        name: "the parts of icebergs are drawn from another seed",
        command: |command| {
            instructions(command, |asked| {
                if let Display::Iceberg { seed, .. } = &mut asked.display {
                    *seed ^= 1;
                }
            });
        },
    },
    Mistake {
        name: "all-or-none orders may trade in part",
        command: |command| {
            instructions(command, |asked| {
                if asked.execution == Execution::AllOrNone {
                    asked.execution = Execution::Any;
                }
            });
        },
    },
    Mistake {
        name: "a minimum is a lot lower",
        command: |command| {
            instructions(command, |asked| {
                if let Execution::Minimum(minimum) = &mut asked.execution {
                    minimum.0 = minimum.0.saturating_sub(1).max(1);
                }
            });
        },
    },
    Mistake {
        name: "post-only orders may take",
        command: |command| {
            instructions(command, |asked| {
                if let Execution::PostOnly(_) = asked.execution {
                    asked.execution = Execution::Any;
                }
            });
        },
    },
    Mistake {
        name: "cancel both is cancel oldest",
        command: |command| {
            instructions(command, |asked| {
                if let Some(SelfTrade { policy, .. }) = &mut asked.self_trade
                    && *policy == SelfTradePolicy::CancelBoth
                {
                    *policy = SelfTradePolicy::CancelOldest;
                }
            });
        },
    },
    Mistake {
        name: "a trailing stop trails a tick further",
        command: |command| {
            instructions(command, |asked| {
                if let Trigger::Trailing { ticks } = &mut asked.trigger {
                    *ticks = ticks.saturating_add(1);
                }
            });
        },
    },
    Mistake {
        name: "dates end a nanosecond later",
        command: |command| {
            instructions(command, |asked| {
                if asked.expires > Nanos(0) {
                    asked.expires.0 += 1;
                }
            });
        },
    },
    Mistake {
        name: "a mass cancel takes buys only",
        command: |command| {
            if let Command::MassCancel(MassCancel { side, .. }) = command {
                *side = Some(Side::Buy);
            }
        },
    },
    Mistake {
        name: "a replacement keeps nothing",
        command: |command| {
            if let Command::Replace(replace) = command {
                let instructions = Instructions::NONE;
                *command = Command::ReplaceSpecial(ReplaceSpecial { replace: *replace, instructions });
            }
        },
    },
];

/// A book that makes a mistake.
struct Mistaken {
    book: SpecialBook,
    mistake: fn(&mut Command),
}

impl BookView for Mistaken {
    fn header(&self) -> BookHeader {
        BookView::header(&self.book)
    }

    fn visit(&self, side: Side, see: impl FnMut(&RestingOrder)) {
        BookView::visit(&self.book, side, see);
    }

    fn visit_stops(&self, see: impl FnMut(&RestingOrder)) {
        BookView::visit_stops(&self.book, see);
    }
}

impl Subject for Mistaken {
    fn apply(&mut self, command: &Sequenced<Command>, events: &mut Events) {
        let mut command = *command;
        (self.mistake)(&mut command.command);
        self.book.apply(&command, events);
    }

    fn again(&mut self) {
        self.book.again();
    }
}

#[test]
fn the_comparison_catches_planted_mistakes_about_special_orders() {
    let seed = seeded::seed();
    let agrees = |mistake| {
        (0..40).all(|book| {
            let mut coverage = Coverage::default();
            let mistaken = Mistaken { book: SpecialBook::new(INSTRUMENT), mistake };
            run(mistaken, &mut flow(seed, 0, book), 600, &mut Vec::new(), &mut coverage).is_ok()
        })
    };
    assert!(agrees(|_| {}), "SEED={seed}: a right book is called wrong");
    for Mistake { name, command } in MISTAKES {
        assert!(!agrees(command), "SEED={seed}: unseen: {name}");
    }
}
