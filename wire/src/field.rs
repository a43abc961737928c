//! The fixed-width fields that messages are made of: big-endian integers and printable ASCII.

/// A field of `size_of::<Self>()` bytes on the wire.
pub(crate) trait Field: Copy {
    /// Reads the field from exactly its bytes.
    ///
    /// # Panics
    /// When `bytes` has another length; messages pass constant ranges, checked at compile time.
    fn read(bytes: &[u8]) -> Self;

    /// Writes the field over exactly its bytes.
    ///
    /// # Panics
    /// As [`read`](Self::read).
    fn write(self, bytes: &mut [u8]);

    /// Whether exactly its bytes may be such a field: a number's always, text's when they are printable.
    fn is_valid(bytes: &[u8]) -> bool;

    /// The same of a value. On the way out this is asked before the bytes are written: reading them back while they
    /// are on their way to memory costs more than all the rest.
    fn may_be_written(self) -> bool;
}

/// A number: any bits are valid.
macro_rules! number {
    ($($ty:ty)*) => {$(
        impl Field for $ty {
            #[inline(always)]
            fn read(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<Self>()];
                array.copy_from_slice(bytes);
                Self::from_be_bytes(array)
            }

            #[inline(always)]
            fn write(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_be_bytes());
            }

            #[inline(always)]
            fn is_valid(_: &[u8]) -> bool {
                true
            }

            #[inline(always)]
            fn may_be_written(self) -> bool {
                true
            }
        }
    )*};
}

number!(u16 u32 u64 i32);

/// A code: one letter. No message has a one-byte number.
impl Field for u8 {
    #[inline(always)]
    fn read(bytes: &[u8]) -> Self {
        bytes[0]
    }

    #[inline(always)]
    fn write(self, bytes: &mut [u8]) {
        bytes[0] = self;
    }

    #[inline(always)]
    fn is_valid(bytes: &[u8]) -> bool {
        is_printable(bytes[0])
    }

    #[inline(always)]
    fn may_be_written(self) -> bool {
        is_printable(self)
    }
}

/// Text, with its padding.
impl<const N: usize> Field for [u8; N] {
    #[inline(always)]
    fn read(bytes: &[u8]) -> Self {
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        array
    }

    #[inline(always)]
    fn write(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self);
    }

    #[inline(always)]
    fn is_valid(bytes: &[u8]) -> bool {
        all_printable::<N>(bytes)
    }

    #[inline(always)]
    fn may_be_written(self) -> bool {
        all_printable::<N>(&self)
    }
}

/// Whether text may hold this byte.
pub(crate) const fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// The first byte that text may not hold.
#[cold]
pub(crate) fn first_unprintable(bytes: &[u8]) -> Option<u8> {
    bytes.iter().copied().find(|&b| !is_printable(b))
}

/// Whether all `N` bytes are printable, eight at a time: the last eight overlap those before them when the length
/// is no multiple of eight.
///
/// # Panics
/// When there are fewer than `N` bytes.
#[inline(always)]
pub(crate) fn all_printable<const N: usize>(bytes: &[u8]) -> bool {
    let bytes = &bytes[..N];
    if N < 8 {
        return bytes.iter().all(|&b| is_printable(b));
    }
    let mut ok = true;
    let mut at = 0;
    while at + 8 <= N {
        ok &= eight_printable(&bytes[at..at + 8]);
        at += 8;
    }
    if at < N {
        ok &= eight_printable(&bytes[N - 8..]);
    }
    ok
}

/// Whether eight bytes are printable, all at once. With every top bit clear, `b + 0x60` has it set from 0x20 up and
/// `b + 1` only at 0x7F, and no sum carries into the next byte.
#[inline(always)]
fn eight_printable(bytes: &[u8]) -> bool {
    const TOP: u64 = 0x8080_8080_8080_8080;
    let word: u64 = Field::read(bytes);
    let low = word & !TOP;
    let at_least_space = (low + 0x6060_6060_6060_6060) & TOP == TOP;
    let no_delete = (low + 0x0101_0101_0101_0101) & TOP == 0;
    (word & TOP == 0) & at_least_space & no_delete
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_in_every_place_is_judged_as_by_the_slow_rule() {
        for byte in 0..=u8::MAX {
            let printable = is_printable(byte);
            for place in 0..20 {
                let mut text = [b'a'; 20];
                text[place] = byte;
                assert_eq!(first_unprintable(&text), (!printable).then_some(byte));
                assert_eq!(all_printable::<20>(&text), printable, "{byte:#x} at {place}");
                assert_eq!(all_printable::<14>(&text), printable || place >= 14, "{byte:#x} at {place}");
                assert_eq!(all_printable::<8>(&text), printable || place >= 8, "{byte:#x} at {place}");
                assert_eq!(all_printable::<6>(&text), printable || place >= 6, "{byte:#x} at {place}");
            }
        }
    }
}
