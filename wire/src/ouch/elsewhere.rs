//! Where an instrument lives, told to a client that asked the wrong pair of exchanges. Fulcrum's own.
//!
//! It comes in an unsequenced packet just before the reject that it explains: it tells of now, and a reject that is sent
//! again later is sent without it.

use super::{Appendage, DecodeError, TagValue};
use crate::field::{Field, first_unprintable};

message! {
    /// Elsewhere, `W`: 39 bytes and the appendage, which has the addresses of the pair's nodes
    /// ([`Elsewhere::ADDRESSES`]).
    Elsewhere: b'W', 39 {
        /// The number of the order that is refused.
        user_ref: u32 = 1,
        /// The generation of the placement map that says so; 0 when the pair has no map yet.
        generation: u64 = 5,
        /// The instrument's name, padded with spaces.
        symbol: [u8; 8] = 13,
        /// The name of the pair where it lives, padded with spaces; blank when it lives on none.
        pair: [u8; 16] = 21,
    } + appendage
}

impl<'a> Elsewhere<'a> {
    /// The tag of the option with the addresses: text, separated by commas.
    pub const ADDRESSES: u8 = 128;

    /// The addresses of the pair's nodes, separated by commas; empty when there are none or they are no text.
    #[must_use]
    pub fn addresses(&self) -> &'a str {
        let value = self.appendage.iter().find_map(|option| match option {
            TagValue::Unknown { tag: Self::ADDRESSES, value } => core::str::from_utf8(value).ok(),
            _ => None,
        });
        value.unwrap_or_default()
    }

    /// The pair's name, without its padding.
    #[must_use]
    pub fn pair_name(&self) -> String {
        String::from_utf8_lossy(self.pair.trim_ascii_end()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_and_comes_back_as_it_was() {
        let mut options = Vec::new();
        TagValue::Unknown { tag: Elsewhere::ADDRESSES, value: b"10.0.0.1:9000,10.0.0.2:9000" }
            .encode(&mut options);
        let appendage = Appendage::decode(&options).unwrap();
        let elsewhere = Elsewhere {
            user_ref: 7,
            generation: 1 << 40,
            symbol: *b"AAPL    ",
            pair: *b"west            ",
            appendage,
        };
        let mut bytes = Vec::new();
        elsewhere.encode(&mut bytes);
        assert_eq!(bytes.len(), Elsewhere::LEN + 29);
        let again = Elsewhere::decode(&bytes).unwrap();
        assert_eq!(again, elsewhere);
        assert_eq!((again.pair_name().as_str(), again.addresses()), ("west", "10.0.0.1:9000,10.0.0.2:9000"));
        for end in 0..bytes.len() {
            assert!(Elsewhere::decode(&bytes[..end]).is_err(), "{end} bytes");
        }
    }
}
