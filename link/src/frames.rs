//! Messages cut out of a stream of bytes.
//!
//! ```text
//!  0        4            4 + length
//!  | length | payload    | length | ...        length: u32, little-endian, of the payload alone
//! ```
//!
//! A length above the bound is refused when it is read. Memory grows with the bytes that have come and never by a length that
//! somebody claims: who announces much and sends little costs little.

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// Not more of the buffer than this is kept when nothing is in it.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// A frame announces more than is allowed. Where the next one would begin is not known: the stream is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes, and at most {max} are allowed")]
pub struct FrameTooLong {
    /// What it announces.
    pub length: u32,
    /// What is allowed.
    pub max: u32,
}

/// Bytes that have come and are not yet used. It holds what was pushed since the last frame was taken: whoever takes all frames
/// after each push holds no more than one frame and one push.
#[derive(Debug)]
pub struct Frames {
    bytes: Vec<u8>,
    /// `used <= bytes.len()`
    used: usize,
    frame_bytes_max: u32,
}

impl Frames {
    /// Frames whose payloads have at most so many bytes.
    pub fn new(frame_bytes_max: u32) -> Self {
        Self { bytes: Vec::new(), used: 0, frame_bytes_max }
    }

    /// Takes bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        // What has been used goes when it is the larger part, so that each byte is moved once in the mean.
        if self.used == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES_MAX);
            self.used = 0;
        } else if self.used * 2 >= self.bytes.len() {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame's payload, if it is there in full.
    ///
    /// # Errors
    /// When the next frame is too long; it stays so.
    #[expect(clippy::should_implement_trait, reason = "it lends, and it may be asked again after none")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, FrameTooLong> {
        let Some((length, rest)) = self.bytes[self.used..].split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length);
        if length > self.frame_bytes_max {
            return Err(FrameTooLong { length, max: self.frame_bytes_max });
        }
        let length = length as usize;
        if rest.len() < length {
            return Ok(None);
        }
        let begin = self.used + LENGTH_BYTES;
        self.used = begin + length;
        Ok(Some(&self.bytes[begin..self.used]))
    }

    /// Bytes that were pushed and belong to no frame that was taken.
    pub fn pending(&self) -> usize {
        self.bytes.len() - self.used
    }

    /// Appends a frame with this payload.
    ///
    /// # Errors
    /// When it is longer than `frame_bytes_max`; nothing was appended.
    pub fn encode(payload: &[u8], frame_bytes_max: u32, into: &mut Vec<u8>) -> Result<(), FrameTooLong> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if length > frame_bytes_max || length as usize != payload.len() {
            return Err(FrameTooLong { length, max: frame_bytes_max });
        }
        into.extend_from_slice(&length.to_le_bytes());
        into.extend_from_slice(payload);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_length_alone_costs_no_memory() {
        let mut frames = Frames::new(1 << 30);
        frames.push(&(1_u32 << 30).to_le_bytes());
        assert_eq!(frames.next(), Ok(None));
        assert!(frames.bytes.capacity() < 1_024, "{}", frames.bytes.capacity());
        for _ in 0..100 {
            frames.push(&[7; 100]);
            assert_eq!(frames.next(), Ok(None));
        }
        assert!(frames.bytes.capacity() < 32 * 1_024, "{}", frames.bytes.capacity());
    }

    #[test]
    fn memory_of_a_long_frame_is_given_back() {
        let mut frames = Frames::new(8 << 20);
        let mut bytes = Vec::new();
        Frames::encode(&vec![1; 8 << 20], 8 << 20, &mut bytes).unwrap();
        frames.push(&bytes);
        assert_eq!(frames.next().unwrap().unwrap().len(), 8 << 20);
        frames.push(&[0; LENGTH_BYTES]);
        assert!(frames.bytes.capacity() <= KEPT_BYTES_MAX, "{}", frames.bytes.capacity());
        assert_eq!(frames.next(), Ok(Some(&[][..])));
        assert_eq!(frames.next(), Ok(None));
    }
}
