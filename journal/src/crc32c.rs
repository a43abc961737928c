//! CRC32C (Castagnoli), as iSCSI defines it (RFC 3720, appendix B.4): reflected polynomial 0x82F63B78.
//!
//! The append path computes one over every record, so it is done with the processor's own instruction where
//! there is one, and inlined; elsewhere eight table look-ups do eight bytes.
#![allow(unsafe_code)] // calls a function that needs SSE4.2, after asking the processor for it

/// The CRC of a record: from `salt`, over `position`, then `length` with a zero CRC field, then `rest`, which
/// is everything after the CRC field. Final inversion as usual; the salt takes the place of the usual
/// all-ones start.
#[inline]
pub(crate) fn record(salt: u32, position: u64, length: u32, rest: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        // SAFETY: the processor has SSE4.2, which is all that the function asks for.
        return unsafe { hardware::record(salt, position, length, rest) };
    }
    portable::record(salt, position, length, rest)
}

/// The plain CRC32C of `bytes`, for headers.
pub(crate) fn of(bytes: &[u8]) -> u32 {
    update(!0, bytes) ^ !0
}

/// The plain CRC32C of bytes that come piece by piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc(u32);

impl Crc {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        Self(!0)
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0 = update(self.0, bytes);
    }

    pub(crate) fn end(self) -> u32 {
        self.0 ^ !0
    }
}

fn update(state: u32, bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        // SAFETY: the processor has SSE4.2, which is all that the function asks for.
        return unsafe { hardware::update(state, bytes) };
    }
    portable::update(state, bytes)
}

#[cfg(target_arch = "x86_64")]
mod hardware {
    use core::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};

    #[inline]
    #[target_feature(enable = "sse4.2")]
    pub(super) fn record(salt: u32, position: u64, length: u32, rest: &[u8]) -> u32 {
        let state = _mm_crc32_u64(u64::from(salt), position);
        let state = _mm_crc32_u64(state, u64::from(length)) as u32;
        update(state, rest) ^ !0
    }

    #[inline]
    #[target_feature(enable = "sse4.2")]
    pub(super) fn update(state: u32, bytes: &[u8]) -> u32 {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut state = u64::from(state);
        for word in words {
            state = _mm_crc32_u64(state, u64::from_le_bytes(*word));
        }
        let mut state = state as u32;
        for byte in rest {
            state = _mm_crc32_u8(state, *byte);
        }
        state
    }
}

mod portable {
    /// `TABLES[k][b]`: what byte `b` does to the state `k` bytes later.
    static TABLES: [[u32; 256]; 8] = tables();

    const fn tables() -> [[u32; 256]; 8] {
        let mut tables = [[0u32; 256]; 8];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
                bit += 1;
            }
            tables[0][byte] = crc;
            byte += 1;
        }
        let mut k = 1;
        while k < 8 {
            let mut byte = 0;
            while byte < 256 {
                let before = tables[k - 1][byte];
                tables[k][byte] = (before >> 8) ^ tables[0][(before & 0xFF) as usize];
                byte += 1;
            }
            k += 1;
        }
        tables
    }

    pub(super) fn record(salt: u32, position: u64, length: u32, rest: &[u8]) -> u32 {
        let state = word(salt, position);
        let state = word(state, u64::from(length));
        update(state, rest) ^ !0
    }

    fn word(state: u32, word: u64) -> u32 {
        let mixed = (word ^ u64::from(state)).to_le_bytes();
        let mut next = 0;
        for (k, byte) in mixed.iter().enumerate() {
            next ^= TABLES[7 - k][usize::from(*byte)];
        }
        next
    }

    pub(super) fn update(mut state: u32, bytes: &[u8]) -> u32 {
        let (words, rest) = bytes.as_chunks::<8>();
        for w in words {
            state = word(state, u64::from_le_bytes(*w));
        }
        for byte in rest {
            state = (state >> 8) ^ TABLES[0][usize::from(state as u8 ^ *byte)];
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4, and the check value of the catalogue of CRC parameters.
    #[test]
    fn known_vectors() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        let vectors: [(&[u8], u32); 5] = [
            (b"123456789", 0xE306_9283),
            (&[0; 32], 0x8A91_36AA),
            (&[0xFF; 32], 0x62A8_AB43),
            (&ascending, 0x46DD_794E),
            (&descending, 0x113F_DB5C),
        ];
        for (bytes, crc) in vectors {
            assert_eq!(of(bytes), crc);
            let mut pieces = Crc::new();
            bytes.chunks(5).for_each(|piece| pieces.add(piece));
            assert_eq!(pieces.end(), crc);
            assert_eq!(portable::update(!0, bytes) ^ !0, crc);
        }
    }

    #[test]
    fn both_ways_agree_at_every_length() {
        let bytes: Vec<u8> = (0..300u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for length in 0..bytes.len() {
            let rest = &bytes[..length];
            let expected = portable::record(9, 1 << 40 | 8, length as u32, rest);
            assert_eq!(record(9, 1 << 40 | 8, length as u32, rest), expected);
            // The definition: one CRC over position, length, zero and the rest.
            let mut whole = (1u64 << 40 | 8).to_le_bytes().to_vec();
            whole.extend_from_slice(&(length as u64).to_le_bytes());
            whole.extend_from_slice(rest);
            assert_eq!(portable::update(9, &whole) ^ !0, expected);
        }
    }
}
