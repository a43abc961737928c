//! Where a book's cells lie: segments that never move, named by a `u32`.
//!
//! ```text
//! segment 0   16 cells   [ 0 .. 16 )
//! segment 1   16 cells   [ 16 .. 32 )
//! segment 2   32 cells   [ 32 .. 64 )        segment k: 8 << k cells, as many as all before it
//! ...
//! ```
//!
//! An arena grows by one segment that doubles it, so growing copies nothing: no command ever waits for a
//! million orders to be moved. A book that goes to another thread takes its arena along as a list of pointers.
//!
//! Each pointer is kept *biased*: moved back by the number of the segment's first cell, so that cell `i` is at
//! `pointer + i` and finding it costs a count of leading zeros, one load and one addition.
#![allow(unsafe_code)] // memory that is handed out piece by piece and never moves; sound by the invariants below

use core::alloc::Layout;
use core::ops::{Index, IndexMut};
use std::alloc::{alloc, dealloc, handle_alloc_error};

/// Cells of the first segment.
const FIRST: u32 = 16;

/// Segments; all together hold 2^32 cells.
const SEGMENTS: usize = 29;

/// Segments that may be used, so that the number of a cell past the last is a `u32` too.
const USABLE: usize = 28;

/// Cells of one type, appended and never removed.
///
/// Invariants:
/// 1. segment `k` is allocated, for `8 << k` cells (16 for segment 0), when `room > first_of(k)`, and its pointer
///    is biased by `first_of(k)`; otherwise its pointer is null;
/// 2. `len <= room`, and cells below `len` are initialised.
#[repr(C)] // the counts and the first segments on one line
pub(super) struct Arena<T: Copy> {
    /// Cells in use.
    len: u32,
    /// Cells allocated: 0, or 16 times a power of two.
    room: u32,
    segments: [*mut T; SEGMENTS],
}

// SAFETY: the arena owns its memory alone, as a `Vec` does.
unsafe impl<T: Copy + Send> Send for Arena<T> {}
// SAFETY: shared references only read.
unsafe impl<T: Copy + Sync> Sync for Arena<T> {}

/// The segment of a cell.
#[inline(always)]
const fn segment_of(cell: u32) -> usize {
    // Below 29 for any `u32`, which the compiler sees: no bounds check remains.
    (cell | (FIRST - 1)).ilog2() as usize - (FIRST.ilog2() as usize - 1)
}

/// A segment's first cell.
const fn first_of(segment: usize) -> u32 {
    if segment == 0 { 0 } else { (FIRST / 2) << segment }
}

/// How many cells a segment has.
const fn size_of_segment(segment: usize) -> u32 {
    if segment == 0 { FIRST } else { (FIRST / 2) << segment }
}

impl<T: Copy> Arena<T> {
    /// No cells; allocates nothing.
    pub(super) const fn new() -> Self {
        Self { len: 0, room: 0, segments: [core::ptr::null_mut(); SEGMENTS] }
    }

    /// Cells in use.
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// Appends a cell.
    ///
    /// # Panics
    /// At 2^31 cells, 128 GiB of orders: memory has run out long before.
    pub(super) fn push(&mut self, value: T) -> u32 {
        if self.len == self.room {
            self.grow();
        }
        let cell = self.len;
        let segment = self.segments[segment_of(cell)];
        // SAFETY: `cell < room`, so its segment is allocated and biased (invariant 1).
        unsafe { segment.wrapping_add(cell as usize).write(value) };
        self.len += 1;
        cell
    }

    /// Makes room for so many cells in all, in memory that the system has really provided.
    pub(super) fn reserve(&mut self, cells: u32) {
        while self.room < cells {
            let segment = segment_of(self.room);
            self.grow();
            let base = self.segments[segment].wrapping_add(first_of(segment) as usize);
            // SAFETY: the segment has just been allocated, for so many cells (invariant 1), and holds none yet.
            unsafe { base.write_bytes(0, size_of_segment(segment) as usize) };
        }
    }

    /// Where a cell lies, or some address when there is none: for a prefetch, which may name any address.
    #[inline(always)]
    pub(super) fn address(&self, cell: u32) -> *const T {
        self.segments[segment_of(cell)].wrapping_add(cell as usize)
    }

    #[cold]
    fn grow(&mut self) {
        let segment = segment_of(self.room);
        assert!(segment < USABLE, "a book holds fewer than 2^31 cells");
        let layout = Self::layout(segment);
        // SAFETY: the layout's size is not 0: segments have cells, and `T` is no zero-sized type (see `layout`).
        let base = unsafe { alloc(layout) }.cast::<T>();
        if base.is_null() {
            handle_alloc_error(layout);
        }
        self.segments[segment] = base.wrapping_sub(first_of(segment) as usize);
        self.room = first_of(segment) + size_of_segment(segment);
    }

    fn layout(segment: usize) -> Layout {
        const { assert!(size_of::<T>() > 0) };
        Layout::array::<T>(size_of_segment(segment) as usize).expect("a segment's size fits in an isize")
    }
}

impl<T: Copy> Drop for Arena<T> {
    fn drop(&mut self) {
        for segment in 0..USABLE {
            if self.room > first_of(segment) {
                let base = self.segments[segment].wrapping_add(first_of(segment) as usize);
                // SAFETY: allocated by `grow` with this layout (invariant 1), and not freed before.
                unsafe { dealloc(base.cast(), Self::layout(segment)) };
            }
        }
    }
}

impl<T: Copy> Index<u32> for Arena<T> {
    type Output = T;
    #[inline(always)]
    fn index(&self, cell: u32) -> &T {
        assert!(cell < self.len, "no such cell");
        // SAFETY: `cell < len <= room`: its segment is allocated, biased, and the cell is initialised.
        unsafe { &*self.segments[segment_of(cell)].wrapping_add(cell as usize) }
    }
}

impl<T: Copy> IndexMut<u32> for Arena<T> {
    #[inline(always)]
    fn index_mut(&mut self, cell: u32) -> &mut T {
        assert!(cell < self.len, "no such cell");
        // SAFETY: as for `index`; the arena is borrowed mutably, so nothing else refers to the cell.
        unsafe { &mut *self.segments[segment_of(cell)].wrapping_add(cell as usize) }
    }
}

impl<T: Copy + core::fmt::Debug> core::fmt::Debug for Arena<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries((0..self.len).map(|cell| self[cell])).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_where_they_are_and_keep_what_they_hold() {
        let mut arena = Arena::<[u64; 8]>::new();
        let mut places = Vec::new();
        for n in 0..1_000u32 {
            assert_eq!(arena.push([u64::from(n); 8]), n);
            places.push(&raw const arena[n]);
        }
        for n in (0..1_000u32).rev() {
            assert_eq!(&raw const arena[n], places[n as usize]);
            assert_eq!(arena.address(n), places[n as usize]);
            assert_eq!(arena[n], [u64::from(n); 8]);
            arena[n][3] = 7;
        }
        assert!((0..1_000).all(|n| arena[n][3] == 7 && arena[n][4] == u64::from(n)));
        assert_eq!((arena.len(), arena.room), (1_000, 1_024));
    }

    #[test]
    fn reserved_cells_are_there_and_not_in_use() {
        let mut arena = Arena::<u64>::new();
        arena.push(7);
        arena.reserve(100);
        assert_eq!((arena.len(), arena.room), (1, 128));
        let before = arena.segments;
        for n in 1..128 {
            assert_eq!(arena.push(u64::from(n)), n);
        }
        assert_eq!(arena.segments, before, "nothing more was allocated");
        assert_eq!((arena[0], arena[127]), (7, 127));
    }

    #[test]
    fn segments_meet_without_gap_or_overlap() {
        let mut next = 0u32;
        for segment in 0..USABLE {
            assert_eq!(first_of(segment), next);
            assert_eq!(
                (segment_of(next), segment_of(next + size_of_segment(segment) - 1)),
                (segment, segment)
            );
            next += size_of_segment(segment);
        }
        assert_eq!(next, 1 << 31);
    }

    #[test]
    #[should_panic(expected = "no such cell")]
    fn a_cell_that_was_never_made_is_refused() {
        let mut arena = Arena::<u64>::new();
        arena.push(1);
        let _ = arena[1];
    }

    #[test]
    fn an_arena_goes_to_another_thread() {
        let mut arena = Arena::<u64>::new();
        for n in 0..100 {
            arena.push(n);
        }
        let sum = std::thread::spawn(move || (0..100).map(|n| arena[n]).sum::<u64>()).join();
        assert_eq!(sum.expect("the thread ends well"), 4_950);
    }
}
