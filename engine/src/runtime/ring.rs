//! A bounded ring between one producer and one consumer.
//!
//! ```text
//!            head (consumer)          tail (producer)
//!              v                        v
//!   slots: [ . | x | x | x | x | x | x | . | . ]      x = published, taken by the consumer in order
//! ```
//!
//! Both counters only grow; a slot is `counter & mask`. The producer writes slots ahead of `tail` and makes them
//! visible together with [`Producer::publish`], so a batch costs one store that the other core must see. Each side
//! keeps a copy of the other's counter and reads the shared one only when the copy says "full" or "empty".
//!
//! Protocol, in order:
//! 1. the producer writes `slots[staged & mask]` while `staged - head < capacity`;
//! 2. it stores `tail` with Release: whoever reads that `tail` with Acquire sees the slots below it;
//! 3. the consumer loads `tail` with Acquire, reads slots below it, and stores `head` with Release: whoever reads
//!    that `head` with Acquire may write those slots again.
#![allow(unsafe_code)] // slots are shared without a lock; the protocol above is what makes that sound

use std::mem::MaybeUninit;

use crate::{
    schedule::mutation::{Mutation, is},
    sync::{Arc, AtomicUsize, Ordering, UnsafeCell},
};

/// One counter alone on its line. 128 bytes: x86 prefetches lines in pairs (Intel's optimisation manual), and
/// Apple's and some Arm cores have 128-byte lines.
#[repr(align(128))]
struct Padded<T>(T);

struct Shared<T> {
    /// Taken by the consumer: every slot below it may be written again.
    head: Padded<AtomicUsize>,
    /// Published by the producer: every slot below it may be read. `head <= tail <= head + slots.len()`.
    tail: Padded<AtomicUsize>,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a slot is touched by one side at a time, as the module's protocol says; `T: Copy + Send` may be moved to
// another thread and needs no drop.
unsafe impl<T: Copy + Send> Sync for Shared<T> {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl<T: Copy + Send> Send for Shared<T> {}

/// The writing end.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    /// The next slot to write; `tail <= staged`.
    staged: usize,
    /// `tail` as last stored.
    published: usize,
    /// `head` as last seen; never above the true one.
    head_seen: usize,
}

/// The reading end.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// The next slot to read.
    next: usize,
    /// The first slot that a [`Claimed`] covers, while there is one.
    claimed: Option<usize>,
    /// `head` as last stored.
    released: usize,
    /// `tail` as last seen; never above the true one.
    tail_seen: usize,
}

/// Items that were taken and are still read where they are. Their slots are given back by
/// [`Consumer::give_back`] and not before. Made by [`Consumer::claim`], one at a time.
#[derive(Debug)]
pub(crate) struct Claimed {
    /// Which ring, as its address; never followed.
    ring: usize,
    /// The first of them, in counts, not in slots.
    first: usize,
    len: usize,
}

impl Claimed {
    /// How many items.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

/// Reads claimed items, on any thread.
pub(crate) struct Reader<T> {
    shared: Arc<Shared<T>>,
}

/// Looks at a ring's fill from any thread; what it says may be old at once.
pub struct Probe<T> {
    shared: Arc<Shared<T>>,
}

/// A ring of `capacity` slots, rounded up to a power of two.
///
/// # Panics
/// When `capacity` is 0.
#[must_use]
pub fn ring<T: Copy + Send>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity > 0, "a ring needs at least one slot");
    let slots = (0..capacity.next_power_of_two()).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    let shared =
        Arc::new(Shared { head: Padded(AtomicUsize::new(0)), tail: Padded(AtomicUsize::new(0)), slots });
    (
        Producer { shared: Arc::clone(&shared), staged: 0, published: 0, head_seen: 0 },
        Consumer { shared, next: 0, claimed: None, released: 0, tail_seen: 0 },
    )
}

impl<T: Copy + Send> Producer<T> {
    /// Writes one item behind the others; it is not visible before [`publish`](Self::publish).
    ///
    /// # Errors
    /// Gives the item back when the ring is full.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.room() == 0 {
            return Err(item);
        }
        let slot = &self.shared.slots[self.staged & (self.shared.slots.len() - 1)];
        slot.with_mut(|cell| {
            // SAFETY: `staged - head < capacity`, so the consumer is done with this slot, and it will not look at
            // it before `tail` passes it (steps 1 and 2).
            unsafe { (*cell).write(item) };
        });
        self.staged = self.staged.wrapping_add(1);
        Ok(())
    }

    /// Makes everything pushed so far visible. Says whether there was anything.
    #[inline]
    pub fn publish(&mut self) -> bool {
        if self.staged == self.published {
            return false;
        }
        self.shared.tail.0.store(self.staged, Ordering::Release);
        self.published = self.staged;
        true
    }

    /// How many items can be pushed now for sure.
    #[inline]
    pub fn room(&mut self) -> usize {
        let capacity = self.shared.slots.len();
        let room = capacity - self.staged.wrapping_sub(self.head_seen);
        if room > 0 {
            return room;
        }
        self.head_seen = self.shared.head.0.load(Ordering::Acquire);
        capacity - self.staged.wrapping_sub(self.head_seen)
    }

    /// How many items have been pushed so far, modulo 2^64: where the next one goes.
    #[inline]
    pub(crate) const fn position(&self) -> usize {
        self.staged
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.shared.slots.len()
    }

    /// Whether everything pushed has been made visible.
    #[inline]
    pub(crate) const fn is_published(&self) -> bool {
        self.staged == self.published
    }

    /// How many items are in the ring or staged at most, without a look at the other side.
    #[inline]
    pub(crate) const fn len_seen(&self) -> usize {
        self.staged.wrapping_sub(self.head_seen)
    }

    /// How many items are in the ring or staged, as far as this side knows; never too few.
    #[inline]
    pub fn len(&mut self) -> usize {
        self.head_seen = self.shared.head.0.load(Ordering::Acquire);
        self.staged.wrapping_sub(self.head_seen)
    }

    /// Whether nothing is in the ring or staged.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    /// A probe of this ring.
    #[must_use]
    pub fn probe(&self) -> Probe<T> {
        Probe { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Copy + Send> Consumer<T> {
    /// Takes the oldest item, if one is visible.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let item = self.peek()?;
        self.next = self.next.wrapping_add(1);
        Some(item)
    }

    /// The oldest item, left where it is.
    #[inline]
    pub fn peek(&mut self) -> Option<T> {
        self.readable(1).first().copied()
    }

    /// The oldest items, left where they are: at least one if one is visible, at most `max`, and only those that lie
    /// in one piece.
    #[inline]
    pub fn readable(&mut self, max: usize) -> &[T] {
        if self.next == self.tail_seen {
            self.tail_seen = self.shared.tail.0.load(Ordering::Acquire);
        }
        let slots = &self.shared.slots;
        let first = self.next & (slots.len() - 1);
        let len = self.tail_seen.wrapping_sub(self.next).min(slots.len() - first).min(max);
        Self::items(slots, first, len)
    }

    /// Takes items that [`readable`](Self::readable) has shown.
    ///
    /// # Panics
    /// When there are not so many.
    #[inline]
    pub fn take(&mut self, items: usize) {
        assert!(items <= self.tail_seen.wrapping_sub(self.next), "only what is visible can be taken");
        self.next = self.next.wrapping_add(items);
    }

    /// The items of published slots; the caller makes sure that `next <= slot < tail` for each of them.
    #[cfg(not(loom))]
    #[inline(always)]
    fn items(slots: &[UnsafeCell<MaybeUninit<T>>], first: usize, len: usize) -> &[T] {
        let slots = &slots[first..first + len];
        // SAFETY: the producer has written these slots and published them, and will not write them again before
        // `head` passes them (steps 2 and 3). That takes `release`, which takes `&mut self` of the consumer that the
        // caller borrows from, and passes no slot of a claim that has not been given back by value. The cell types
        // are transparent, so a slot is an item.
        unsafe { core::slice::from_raw_parts(slots.as_ptr().cast::<T>(), slots.len()) }
    }

    /// As above; loom watches each cell by itself, so more than one are a copy, which the model leaks.
    #[cfg(loom)]
    fn items(slots: &[UnsafeCell<MaybeUninit<T>>], first: usize, len: usize) -> &[T] {
        // SAFETY: as above.
        let item = |slot: &UnsafeCell<MaybeUninit<T>>| slot.with(|cell| unsafe { (*cell).assume_init() });
        match &slots[first..first + len] {
            [] => &[],
            // SAFETY: as above.
            [slot] => slot.with(|cell| core::slice::from_ref(unsafe { (*cell).assume_init_ref() })),
            slots => Vec::leak(slots.iter().map(item).collect()),
        }
    }

    /// Gives the slots of everything taken so far back to the producer; of what is claimed and behind
    /// it, nothing.
    #[inline]
    pub fn release(&mut self) {
        let to =
            if is(Mutation::ClaimIsReleasedEarly) { self.next } else { self.claimed.unwrap_or(self.next) };
        if to != self.released {
            self.released = to;
            self.shared.head.0.store(to, Ordering::Release);
        }
    }

    /// Takes items that [`readable`](Self::readable) has shown, to be read where they are by whoever holds what this
    /// gives, while this end goes on behind them.
    ///
    /// # Panics
    /// When there are not so many, or some are claimed already.
    #[inline]
    pub(crate) fn claim(&mut self, items: usize) -> Claimed {
        assert!(self.claimed.is_none(), "one claim at a time");
        let first = self.next;
        self.take(items);
        self.claimed = Some(first);
        Claimed { ring: Arc::as_ptr(&self.shared).addr(), first, len: items }
    }

    /// Ends a claim; gives the slots of everything taken so far back to the producer.
    ///
    /// # Panics
    /// When the claim is another ring's.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "who gives back cannot read any more")]
    pub(crate) fn give_back(&mut self, claimed: Claimed) {
        assert_eq!(claimed.ring, Arc::as_ptr(&self.shared).addr(), "a claim of this ring");
        self.claimed = None;
        self.release();
    }

    /// One of the items that are claimed now, by its place among them.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn claimed_item(&self, at: usize) -> T {
        let first = self.claimed.expect("something is claimed").wrapping_add(at);
        assert!(
            self.next.wrapping_sub(first).wrapping_sub(1) < self.shared.slots.len(),
            "beyond what was taken"
        );
        let slots = &self.shared.slots;
        Self::items(slots, first & (slots.len() - 1), 1)[0]
    }

    /// How many items are visible and not taken.
    #[inline]
    pub(crate) fn visible(&mut self) -> usize {
        self.tail_seen = self.shared.tail.0.load(Ordering::Acquire);
        self.tail_seen.wrapping_sub(self.next)
    }

    /// A visible item that is not taken, by its place behind what is.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn ahead(&self, at: usize) -> T {
        assert!(at < self.tail_seen.wrapping_sub(self.next), "only what is visible can be read");
        let slots = &self.shared.slots;
        Self::items(slots, self.next.wrapping_add(at) & (slots.len() - 1), 1)[0]
    }

    /// How many items have been taken so far, modulo 2^64.
    #[inline]
    pub(crate) const fn position(&self) -> usize {
        self.next
    }

    /// Where the claim begins, if there is one.
    pub(crate) const fn claimed_from(&self) -> Option<usize> {
        self.claimed
    }

    /// A reader of claimed items.
    #[must_use]
    pub(crate) fn reader(&self) -> Reader<T> {
        Reader { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Copy + Send> Reader<T> {
    /// The items of a claim, which lie in one piece.
    ///
    /// # Panics
    /// When the claim is another ring's.
    #[inline]
    #[must_use]
    pub(crate) fn items<'a>(&'a self, claimed: &'a Claimed) -> &'a [T] {
        assert_eq!(claimed.ring, Arc::as_ptr(&self.shared).addr(), "a claim of this ring");
        let slots = &self.shared.slots;
        Consumer::items(slots, claimed.first & (slots.len() - 1), claimed.len)
    }
}

impl<T: Copy + Send> Probe<T> {
    /// Asks for the memory of a slot, whatever is in it.
    #[inline]
    pub(crate) fn prefetch(&self, position: usize) {
        let slot = (&raw const self.shared.slots[position & (self.shared.slots.len() - 1)]).cast::<u8>();
        for line in (0..size_of::<T>()).step_by(64) {
            crate::prefetch::prefetch(slot.wrapping_add(line));
        }
    }

    /// Whether something is visible that has not been given back.
    #[must_use]
    pub fn has_items(&self) -> bool {
        !self.is_empty()
    }

    /// How many items are visible and not given back.
    #[must_use]
    pub fn len(&self) -> usize {
        let head = self.shared.head.0.load(Ordering::Acquire);
        self.shared.tail.0.load(Ordering::Acquire).wrapping_sub(head)
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.shared.slots.len()
    }

    /// How many items have ever been published, modulo 2^64.
    #[must_use]
    pub(crate) fn published(&self) -> usize {
        self.shared.tail.0.load(Ordering::Acquire)
    }

    /// Whether nothing is visible.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether another item would fit.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.len() < self.shared.slots.len()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn staged_items_are_invisible_until_published() {
        let (mut tx, mut rx) = ring(4);
        tx.push(1).unwrap();
        tx.push(2).unwrap();
        assert_eq!(rx.pop(), None);
        assert!(tx.publish());
        assert!(!tx.publish());
        assert_eq!((rx.pop(), rx.pop(), rx.pop()), (Some(1), Some(2), None));
    }

    #[test]
    fn items_are_read_where_they_are_in_one_piece_at_a_time() {
        let (mut tx, mut rx) = ring(4);
        assert_eq!(rx.readable(8), &[] as &[u64]);
        for n in 0..3 {
            tx.push(n).unwrap();
        }
        tx.publish();
        assert_eq!(rx.readable(2), &[0, 1]);
        assert_eq!(rx.readable(8).len(), 3);
        rx.take(2);
        assert_eq!(rx.peek(), Some(2));
        assert_eq!(rx.readable(8), &[2]);
        rx.take(1);
        rx.release();
        for n in 3..6 {
            tx.push(n).unwrap();
        }
        tx.publish();
        assert_eq!(rx.readable(8), &[3], "up to the end of the ring");
        rx.take(1);
        assert_eq!(rx.readable(8), &[4, 5]);
        rx.take(2);
        assert_eq!(rx.pop(), None);
    }

    #[test]
    fn what_is_claimed_stays_until_it_is_given_back() {
        let (mut tx, mut rx) = ring(4);
        let reader = rx.reader();
        for n in 0..4 {
            tx.push(n).unwrap();
        }
        tx.publish();
        assert_eq!(rx.readable(2).len(), 2);
        let claimed = rx.claim(2);
        assert_eq!(rx.pop(), Some(2), "this end goes on behind the claim");
        rx.release();
        assert_eq!(tx.push(4), Err(4), "neither the claimed nor what is behind them");
        assert_eq!(reader.items(&claimed), &[0, 1]);
        assert_eq!(rx.claimed_item(1), 1);
        rx.give_back(claimed);
        for n in 4..7 {
            tx.push(n).unwrap();
        }
        assert_eq!(tx.push(7), Err(7));
        assert_eq!(rx.pop(), Some(3));
    }

    #[test]
    #[should_panic(expected = "one claim at a time")]
    fn a_second_claim_is_refused() {
        let (mut tx, mut rx) = ring(4);
        tx.push(1).unwrap();
        tx.push(2).unwrap();
        tx.publish();
        assert_eq!(rx.readable(2).len(), 2);
        let _first = rx.claim(1);
        let _second = rx.claim(1);
    }

    #[test]
    #[should_panic(expected = "a claim of this ring")]
    fn a_claim_of_another_ring_is_refused() {
        let (mut tx, mut rx) = ring(4);
        let (_tx, other) = ring::<i32>(4);
        tx.push(1).unwrap();
        tx.publish();
        assert_eq!(rx.readable(1).len(), 1);
        let claimed = rx.claim(1);
        let _ = other.reader().items(&claimed);
    }

    #[test]
    #[should_panic(expected = "only what is visible")]
    fn more_than_is_visible_cannot_be_taken() {
        let (mut tx, mut rx) = ring(4);
        tx.push(1).unwrap();
        assert_eq!(rx.pop(), None);
        rx.take(1);
    }

    #[test]
    fn a_full_ring_gives_the_item_back_until_slots_are_released() {
        let (mut tx, mut rx) = ring(3);
        for n in 0..4 {
            tx.push(n).unwrap();
        }
        assert_eq!(tx.push(4), Err(4));
        tx.publish();
        assert_eq!(rx.pop(), Some(0));
        assert_eq!(tx.push(4), Err(4), "taken is not given back");
        rx.release();
        assert_eq!(tx.push(4), Ok(()));
    }

    #[test]
    fn order_and_number_survive_two_threads() {
        const ITEMS: u64 = if cfg!(miri) { 500 } else { 1_000_000 };
        let (mut tx, mut rx) = ring::<u64>(64);
        let reader = std::thread::spawn(move || {
            let mut expected = 0;
            while expected < ITEMS {
                while let Some(item) = rx.pop() {
                    assert_eq!(item, expected);
                    expected += 1;
                }
                rx.release();
                std::hint::spin_loop();
            }
        });
        let mut next = 0;
        while next < ITEMS {
            while next < ITEMS && tx.push(next).is_ok() {
                next += 1;
            }
            tx.publish();
            std::thread::yield_now();
        }
        reader.join().unwrap();
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;

    /// Every interleaving of three items through two slots: none lost, none repeated, none torn, and the slot that
    /// is written a second time has been given back.
    #[test]
    fn three_items_through_two_slots() {
        loom::model(|| {
            let (mut tx, mut rx) = ring::<usize>(2);
            let producer = loom::thread::spawn(move || {
                let mut next = 0;
                while next < 3 {
                    while next < 3 && tx.push(next).is_ok() {
                        next += 1;
                    }
                    tx.publish();
                    loom::thread::yield_now();
                }
            });
            let mut expected = 0;
            while expected < 3 {
                while let Some(item) = rx.pop() {
                    assert_eq!(item, expected);
                    expected += 1;
                }
                rx.release();
                loom::thread::yield_now();
            }
            producer.join().unwrap();
        });
    }
}
