//! The functions that the referee loads, under its names.
//!
//! The referee calls them from one thread, `create` before `engine_init`, and `drain` from one other thread. What is
//! shared between the two is the ring, which is safe by itself.
#![allow(unsafe_code)] // exported symbols, pointers from C, and calls through C's function pointers

use std::{
    env,
    ffi::{c_int, c_void},
    ptr,
    sync::{
        Mutex,
        atomic::{AtomicPtr, Ordering},
    },
};

use domain::{Price, Side};
use engine::book::Book;

#[cfg(feature = "batch")]
use crate::message::{Message, kind};
use crate::{
    message::{Cancel, Order, Report},
    outlet::Outlet,
    ring::{Reader, Writer, ring},
    session::Session,
};

/// The environment variable that says which queue carries the reports.
const QUEUE: &str = "FULCRUM_REPORT_QUEUE";
/// Slots of our ring when it says nothing.
const SLOTS: usize = 1 << 22;

/// A queue as the referee sees it (`me_transport_t`).
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Transport {
    create: extern "C" fn(capacity: u32) -> *mut c_void,
    push: unsafe extern "C" fn(queue: *mut c_void, report: *const Report) -> c_int,
    drain: unsafe extern "C" fn(queue: *mut c_void, out: *mut Report, max: u32) -> u32,
    flush: unsafe extern "C" fn(queue: *mut c_void),
    destroy: unsafe extern "C" fn(queue: *mut c_void),
}

static TRANSPORT: Transport = Transport { create, push, drain, flush, destroy };

/// What the handle of our queue points to. Each lock is only ever taken by one thread.
struct Queue {
    /// Until the engine takes it.
    writing: Mutex<Option<Writer>>,
    reading: Mutex<Reader>,
}

/// Slots of our ring; `None` for the referee's own queue.
fn slots() -> Option<usize> {
    match env::var(QUEUE) {
        Err(_) => Some(SLOTS),
        Ok(text) if text == "referee" => None,
        Ok(text) => Some(
            text.parse().unwrap_or_else(|_| panic!("{QUEUE}={text} is neither a number nor \"referee\"")),
        ),
    }
}

extern "C" fn create(capacity: u32) -> *mut c_void {
    let (writing, reading) = ring(slots().unwrap_or(SLOTS).max(capacity as usize));
    Box::into_raw(Box::new(Queue { writing: Mutex::new(Some(writing)), reading: Mutex::new(reading) })).cast()
}

/// # Safety
/// `queue` is of `create`, and not destroyed.
unsafe fn queue<'a>(queue: *mut c_void) -> &'a Queue {
    // SAFETY: the caller's promise; nobody has a mutable reference to it.
    unsafe { &*queue.cast::<Queue>() }
}

/// Not used by our engine, which takes the writing end in `engine_init` and needs no call.
unsafe extern "C" fn push(handle: *mut c_void, report: *const Report) -> c_int {
    // SAFETY: the referee passes a handle of ours and a report to read, which C aligns to 8 bytes only.
    let (queue, report) = unsafe { (queue(handle), report.read_unaligned()) };
    let mut writing = queue.writing.lock().expect("nobody panics with it");
    let Some(writer) = writing.as_mut() else { return 0 };
    writer.write(report);
    writer.publish();
    1
}

unsafe extern "C" fn drain(handle: *mut c_void, out: *mut Report, max: u32) -> u32 {
    // SAFETY: the referee passes a handle of ours.
    let queue = unsafe { queue(handle) };
    let mut reading = queue.reading.lock().expect("nobody panics with it");
    // SAFETY: the referee passes room for `max` reports. No more than that many come back, so they fit.
    unsafe { reading.read(out, max as usize) as u32 }
}

/// Nothing is left to do: `engine_flush` has published everything.
unsafe extern "C" fn flush(_: *mut c_void) {}

unsafe extern "C" fn destroy(handle: *mut c_void) {
    // SAFETY: the referee destroys a handle of ours once, after its reading thread has ended.
    drop(unsafe { Box::from_raw(handle.cast::<Queue>()) });
}

/// The queue that the referee brings.
struct RefereeOutlet {
    push: unsafe extern "C" fn(queue: *mut c_void, report: *const Report) -> c_int,
    sink: *mut c_void,
}

impl Outlet for RefereeOutlet {
    #[inline]
    fn put(&mut self, report: Report) {
        // SAFETY: both came from the referee together, and live until `engine_shutdown`.
        while unsafe { (self.push)(self.sink, &raw const report) } == 0 {
            core::hint::spin_loop();
        }
    }

    fn publish(&mut self) {}
}

/// The session, by where its reports go.
enum Running {
    Ring(Session<Writer>),
    Referee(Session<RefereeOutlet>),
}

/// What runs between `engine_init` and `engine_shutdown`.
static RUNNING: AtomicPtr<Running> = AtomicPtr::new(ptr::null_mut());

/// Runs the same code for either kind of session.
macro_rules! with {
    ($session:ident => $do:expr) => {{
        let running = RUNNING.load(Ordering::Relaxed);
        assert!(!running.is_null(), "engine_init comes first");
        // SAFETY: it is of `engine_init` and not shut down; the referee calls from one thread, so this is the only
        // reference to it.
        match unsafe { &mut *running } {
            Running::Ring($session) => $do,
            Running::Referee($session) => $do,
        }
    }};
}

/// A queue of our own, unless the environment says that the referee's is to be used.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn engine_get_transport() -> *const Transport {
    if slots().is_some() { &raw const TRANSPORT } else { ptr::null() }
}

/// Makes an empty book.
///
/// # Safety
/// `transport` and `sink` belong together: our transport and a handle of its `create`, or another and what its `push`
/// takes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn engine_init(_seed: u64, transport: *const Transport, sink: *mut c_void) {
    let running = if ptr::eq(transport, &raw const TRANSPORT) {
        // SAFETY: the caller's promise.
        let writing = unsafe { queue(sink) }.writing.lock().expect("nobody panics with it").take();
        Running::Ring(Session::new(writing.expect("one engine a queue")))
    } else {
        // SAFETY: the caller's promise.
        let push = unsafe { (*transport).push };
        Running::Referee(Session::new(RefereeOutlet { push, sink }))
    };
    let before = RUNNING.swap(Box::into_raw(Box::new(running)), Ordering::Relaxed);
    assert!(before.is_null(), "one engine at a time");
}

/// Ends what `engine_init` began.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn engine_shutdown() {
    let running = RUNNING.swap(ptr::null_mut(), Ordering::Relaxed);
    if !running.is_null() {
        // SAFETY: it is of `engine_init`, and nobody can find it any more.
        drop(unsafe { Box::from_raw(running) });
    }
}

/// A new order.
///
/// # Safety
/// `order` points to a `new_order_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn engine_on_new_order(order: *const Order) {
    // SAFETY: the caller's promise.
    with!(session => session.enter(unsafe { &*order }));
}

/// A cancel.
///
/// # Safety
/// `cancel` points to a `cancel_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn engine_on_cancel(cancel: *const Cancel) {
    // SAFETY: the caller's promise.
    with!(session => session.cancel(unsafe { &*cancel }));
}

/// A new price and quantity.
///
/// # Safety
/// `modify` points to a `modify_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn engine_on_modify(modify: *const Order) {
    // SAFETY: the caller's promise.
    with!(session => session.modify(unsafe { &*modify }));
}

/// A run of messages, each handled before the next is looked at.
///
/// # Safety
/// `messages` points to `count` of `me_msg_t`.
#[cfg(feature = "batch")]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn engine_on_batch(messages: *const Message, count: u32) {
    // SAFETY: the caller's promise.
    let messages = unsafe { core::slice::from_raw_parts(messages, count as usize) };
    with!(session => {
        for message in messages {
            // SAFETY: the kind says which payload it is.
            unsafe {
                match message.kind {
                    kind::NEW => session.enter(&message.payload.order),
                    kind::CANCEL => session.cancel(&message.payload.cancel),
                    kind::MODIFY => session.modify(&message.payload.order),
                    other => panic!("a message of kind {other}"),
                }
            }
        }
        session.publish();
    });
}

/// Everything is done when the call that asked for it returns; what is left is to publish the last reports.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn engine_flush() {
    with!(session => session.publish());
}

/// Looks at the book.
fn see<T>(look: impl FnOnce(&Book) -> T) -> T {
    with!(session => look(session.book()))
}

/// The highest bid; `INT64_MIN` when there is none.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn engine_query_best_bid() -> i64 {
    see(|book| book.best(Side::Buy).map_or(i64::MIN, |level| level.price.ticks()))
}

/// The lowest ask; `INT64_MAX` when there is none.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn engine_query_best_ask() -> i64 {
    see(|book| book.best(Side::Sell).map_or(i64::MAX, |level| level.price.ticks()))
}

/// What is open at a price.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn engine_query_depth_at(price_ticks: i64, side: u8) -> u64 {
    let side = if side == 0 { Side::Buy } else { Side::Sell };
    let level = |price| see(|book| book.at(side, price)).map_or(0, |level| level.quantity.lots());
    Price::new(price_ticks).map_or(0, level)
}
