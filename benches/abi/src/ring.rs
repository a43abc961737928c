//! A ring of reports between the thread that matches and the one that reads.
//!
//! The protocol is that of the exchange's own rings (`engine/src/runtime/ring.rs`): the writer fills slots and shows
//! them by storing how many there are, with Release; the reader takes what it has seen with Acquire, and gives slots
//! back in the same way. Two things differ, because a report is written every few nanoseconds: the writer compares with
//! one number, the next place where it has something to do (show what it wrote, or wait for room), and nothing else;
//! and all memory is there before the first report.
#![allow(unsafe_code)] // slots are shared without a lock; the protocol above is what makes that sound

use std::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::message::Report;

/// Reports after which the reader sees them, unless [`Writer::publish`] comes before.
const PUBLISH_EVERY: usize = 64;

/// Alone on its line, and on the line that the processor fetches along.
#[repr(align(128))]
struct Padded(AtomicUsize);

struct Shared {
    /// Every slot below it may be read. `taken <= shown <= taken + slots.len()`.
    shown: Padded,
    /// Every slot below it may be written again.
    taken: Padded,
    /// A power of two.
    slots: Box<[UnsafeCell<Report>]>,
}

// SAFETY: a slot is touched by one side at a time: by the writer from `shown` up to `taken + slots.len()`, by the
// reader from `taken` up to `shown`.
unsafe impl Sync for Shared {}

/// The writing end.
pub(crate) struct Writer {
    /// `shared.slots`, without the way there.
    slots: *mut Report,
    mask: usize,
    /// The slot to write.
    next: usize,
    /// Where to look up. `next <= stop <= taken + slots.len()`.
    stop: usize,
    shared: Arc<Shared>,
}

// SAFETY: the pointer is into `shared`, which it keeps.
unsafe impl Send for Writer {}

/// The reading end.
pub(crate) struct Reader {
    next: usize,
    shared: Arc<Shared>,
}

/// A ring with at least so many slots, each written once.
///
/// # Panics
/// When `slots` is 0.
pub(crate) fn ring(slots: usize) -> (Writer, Reader) {
    assert!(slots > 0, "a ring needs slots");
    // Not zeros, which the system would promise and not provide.
    let blank = Report::of_order(u8::MAX, 0, 0, 0, 0, 0);
    let slots: Box<[UnsafeCell<Report>]> =
        (0..slots.next_power_of_two()).map(|_| UnsafeCell::new(blank)).collect();
    let counter = || Padded(AtomicUsize::new(0));
    let shared = Arc::new(Shared { shown: counter(), taken: counter(), slots });
    let start = UnsafeCell::raw_get(shared.slots.as_ptr());
    let mask = shared.slots.len() - 1;
    (Writer { slots: start, mask, next: 0, stop: 0, shared: Arc::clone(&shared) }, Reader { next: 0, shared })
}

impl Writer {
    /// Writes one report behind the others; waits while the ring is full.
    #[inline(always)] // so that a report is made in its slot, and not on the stack first
    pub(crate) fn write(&mut self, report: Report) {
        if self.next == self.stop {
            self.look_up();
        }
        // SAFETY: `next < stop <= taken + slots.len()`, so the reader is done with the slot and does not look at it
        // before `shown` passes it; masked, it is within the slots.
        unsafe { self.slots.add(self.next & self.mask).write(report) };
        // 2^64 reports: not in a lifetime.
        self.next = self.next.wrapping_add(1);
    }

    /// Shows what is written, and waits until there is room.
    #[cold]
    #[inline(never)]
    fn look_up(&mut self) {
        self.publish();
        loop {
            let room = self.shared.slots.len() - (self.next - self.shared.taken.0.load(Ordering::Acquire));
            if room > 0 {
                self.stop = self.next + room.min(PUBLISH_EVERY);
                return;
            }
            core::hint::spin_loop();
        }
    }

    /// Shows what is written.
    #[inline]
    pub(crate) fn publish(&mut self) {
        self.shared.shown.0.store(self.next, Ordering::Release);
    }
}

impl Reader {
    /// Takes what is there, at most `max`, and says how many.
    ///
    /// # Safety
    /// `out` points to room for `max` reports; it need not be aligned as ours are.
    pub(crate) unsafe fn read(&mut self, out: *mut Report, max: usize) -> usize {
        let count = (self.shared.shown.0.load(Ordering::Acquire) - self.next).min(max);
        for (n, at) in (self.next..self.next + count).enumerate() {
            let slot = &self.shared.slots[at & (self.shared.slots.len() - 1)];
            // SAFETY: `taken <= at < shown`, so the writer is done with the slot; `n < max`.
            unsafe { out.add(n).write_unaligned(*slot.get()) };
        }
        if count > 0 {
            self.next += count;
            self.shared.taken.0.store(self.next, Ordering::Release);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(number: u64) -> Report {
        Report::of_order(0, number, !number, 0, 0, 0)
    }

    fn take(reader: &mut Reader, max: usize) -> Vec<Report> {
        let mut out = vec![report(u64::MAX); max];
        // SAFETY: there is room for `max`.
        let count = unsafe { reader.read(out.as_mut_ptr(), max) };
        out.truncate(count);
        out
    }

    #[test]
    fn reports_are_seen_when_they_are_published_and_not_before() {
        let (mut writer, mut reader) = ring(3);
        writer.write(report(1));
        writer.write(report(2));
        assert_eq!(take(&mut reader, 9), []);
        writer.publish();
        assert_eq!(take(&mut reader, 1), [report(1)]);
        writer.write(report(3));
        writer.write(report(4));
        writer.write(report(5));
        writer.publish();
        assert_eq!(take(&mut reader, 9), [2, 3, 4, 5].map(report));
        assert_eq!(take(&mut reader, 9), []);
    }

    #[test]
    fn order_and_number_survive_two_threads_and_a_full_ring() {
        const REPORTS: u64 = if cfg!(miri) { 700 } else { 1_000_000 };
        let (mut writer, mut reader) = ring(128);
        let reading = std::thread::spawn(move || {
            let mut expected = 0;
            while expected < REPORTS {
                let found = take(&mut reader, 50);
                if found.is_empty() {
                    std::thread::yield_now();
                }
                for found in found {
                    assert_eq!(found, report(expected));
                    expected += 1;
                }
            }
        });
        for number in 0..REPORTS {
            writer.write(report(number));
        }
        writer.publish();
        reading.join().unwrap();
    }
}
