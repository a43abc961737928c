//! What admission is for, simulated: a book that gets more than it can do.

use std::collections::VecDeque;

use domain::{ClientRef, InstrumentId, Nanos, SessionId};

use super::{Admission, AdmissionLimits, Room, Verdict};

const BOOK: InstrumentId = InstrumentId(0);

/// One hot book, executing a command in 235 ns, is sent twice that for 5 ms and a quarter of it before and after, a tenth
/// of it cancels. The front looks once a microsecond. The overload leaves a queue of the sojourn limit's length, which goes
/// with what the load after it leaves free: limit / (1 - load).
#[test]
fn twice_the_capacity_leaves_cancels_fast_and_is_over_when_it_is_over() {
    let untreated = Overload::run(AdmissionLimits { window: u32::MAX, ..AdmissionLimits::default() });
    let treated = Overload::run(AdmissionLimits::default());
    println!("untreated {untreated:?}\ntreated   {treated:?}");
    assert!(untreated.cancel_p99 > 4_000_000 && untreated.recovery > 4_000_000, "no overload");
    assert!(treated.cancel_p99 <= 10_000, "{treated:?}");
    assert!(treated.recovery <= 200_000, "{treated:?}");
    assert!(treated.order_max <= 100_000 + 20_000, "{treated:?}");
    // The book is never idle for want of what waits: it does all that it can.
    assert!(treated.executed as f64 > 0.97 * treated.capacity as f64, "{treated:?}");
}

#[derive(Debug)]
struct Overload {
    /// Nanoseconds from read to executed.
    cancel_p99: u64,
    order_max: u64,
    /// From the overload's end until nothing waits and the book has done all that it had.
    recovery: u64,
    /// During the overload.
    executed: u64,
    capacity: u64,
}

impl Overload {
    fn run(limits: AdmissionLimits) -> Self {
        const SERVICE: u64 = 235;
        const TURN: u64 = 1_000;
        let (begins, ends, over) = (1_000_000, 6_000_000, 20_000_000);
        let mut admission = Admission::new(limits, 1, 64);
        // What the book has: when each was read, and whether it is a cancel.
        let mut ring: VecDeque<(u64, bool)> = VecDeque::new();
        let (mut free_at, mut due, mut serial) = (0_u64, 0_u64, 0_u32);
        let (mut cancels, mut order_max, mut executed, mut recovery) = (Vec::new(), 0, 0, None);
        for now in (0..over).step_by(TURN as usize) {
            // The book works while the front does something else.
            while let Some(&(read, is_cancel)) = ring.front() {
                let done = free_at.max(read) + SERVICE;
                if done > now {
                    break;
                }
                ring.pop_front();
                free_at = done;
                executed += u64::from((begins..ends).contains(&done));
                if (begins..ends).contains(&read) {
                    if is_cancel {
                        cancels.push(done - read);
                    } else {
                        order_max = order_max.max(done - read);
                    }
                }
            }
            if ring.is_empty() {
                free_at = free_at.max(now);
                if now >= ends && admission.is_empty() {
                    recovery.get_or_insert(now - ends);
                }
            }
            while due <= now {
                serial += 1;
                let (session, is_cancel) = (SessionId(serial % 64), serial % 10 == 0);
                let item = (due, is_cancel);
                let outstanding = || ring.len() as u64;
                if is_cancel {
                    if admission.admits_cancel(BOOK, outstanding) {
                        ring.push_back(item);
                    } else {
                        admission.hold_cancel(session, BOOK, item).expect("room");
                    }
                } else if admission.admits_order(session, BOOK, outstanding) {
                    ring.push_back(item);
                } else {
                    assert_eq!(admission.room(session, Some(BOOK)), Room::Hold);
                    admission.hold_order(session, ClientRef(serial), Some(BOOK), Nanos(due), item);
                }
                due += if (begins..ends).contains(&due) { SERVICE / 2 } else { SERVICE * 4 };
            }
            admission.begin();
            while let Some(turn) = admission.next(Nanos(now), |_| ring.len() as u64) {
                if turn.verdict == Verdict::Admit {
                    ring.push_back(turn.item);
                }
            }
        }
        cancels.sort_unstable();
        Self {
            cancel_p99: cancels[cancels.len() * 99 / 100],
            order_max,
            recovery: recovery.unwrap_or(u64::MAX),
            executed,
            capacity: (ends - begins) / SERVICE,
        }
    }
}
