//! Asking for memory before it is needed.
#![allow(unsafe_code)] // the hint is an intrinsic; it reads nothing, whatever address it is given

/// Asks the processor for the line of an address, which may be any: nothing is read. Does nothing on processors
/// other than x86-64 and in Miri.
#[inline(always)]
pub fn prefetch<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch never faults and changes nothing but what is cached; SSE is part of x86-64.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}
