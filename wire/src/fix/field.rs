//! Fields, `tag=value␁`, as they stand in a message.

/// What ends a field.
pub const SOH: u8 = 0x01;
/// Digits of a tag.
const TAG_DIGITS_MAX: usize = 9;

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its tag; 0 when what stands there is no positive number of at most nine digits.
    pub tag: u32,
    /// The tag as it stands there, for whoever must name one that is none.
    pub name: &'a [u8],
    /// Its value, without the SOH. A field without `=` has none, which is an empty one.
    pub value: &'a [u8],
}

/// Field after field. A value of a data field, which may hold any byte, must be taken by its length: see
/// [`data`](Self::data).
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of `bytes`, each of which ends with an SOH.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field, whose value has `length` bytes, whatever they are. `None` when there is no such field.
    pub fn data(&mut self, length: usize) -> Option<Field<'a>> {
        let equals = self.rest.iter().position(|&byte| byte == b'=' || byte == SOH)?;
        let (name, rest) = self.rest.split_at(equals);
        let value = rest.strip_prefix(b"=")?;
        if value.get(length) != Some(&SOH) {
            return None;
        }
        self.rest = &value[length + 1..];
        Some(Field { tag: tag(name), name, value: &value[..length] })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        // The tag is read as it is looked for: most have two or three digits.
        let (mut number, mut equals) = (0_u32, 0);
        let is_tag = loop {
            match self.rest.get(equals) {
                Some(&byte) if byte.is_ascii_digit() && equals < TAG_DIGITS_MAX => {
                    // Nine digits fit.
                    number = number.wrapping_mul(10).wrapping_add(u32::from(byte - b'0'));
                    equals += 1;
                }
                Some(b'=') => break true,
                _ => break false,
            }
        };
        if !is_tag {
            (equals, number) = odd(self.rest);
        }
        let (name, rest) = self.rest.split_at(equals);
        // Nothing but an SOH, or nothing at all, stands there when there is no `=`.
        let rest = if rest.first() == Some(&b'=') { &rest[1..] } else { rest };
        let (value, behind) = rest.split_at(find_soh(rest));
        self.rest = behind.get(1..).unwrap_or_default();
        // A number that begins with 0 is no tag.
        let tag = if name.first() == Some(&b'0') { 0 } else { number };
        Some(Field { tag, name, value })
    }
}

/// Where a tag ends that is none, and what it is all the same, if the field lacks but its `=`. Numbers, and no field: one that comes
/// through memory costs the way through here more than all else.
#[cold]
fn odd(rest: &[u8]) -> (usize, u32) {
    let end = rest.iter().position(|&byte| byte == SOH).unwrap_or(rest.len());
    let equals = rest[..end].iter().position(|&byte| byte == b'=').unwrap_or(end);
    (equals, tag(&rest[..equals]))
}

/// Where the first SOH is; the length if there is none. Eight bytes at a time: a value is rarely longer, and to look at each byte
/// by itself costs a branch that is guessed wrong once a field.
#[inline]
fn find_soh(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (eights, rest) = bytes.as_chunks::<8>();
    for (at, eight) in eights.iter().enumerate() {
        // A byte of 1 becomes 0; the lowest byte that borrows is the first of those.
        let word = u64::from_le_bytes(*eight) ^ (ONES * u64::from(SOH));
        let found = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if found != 0 {
            return at * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let before = bytes.len() - rest.len();
    rest.iter().position(|&byte| byte == SOH).map_or(bytes.len(), |at| before + at)
}

fn tag(name: &[u8]) -> u32 {
    if name.first() == Some(&b'0') || name.len() > TAG_DIGITS_MAX {
        return 0;
    }
    digits(name).unwrap_or(0)
}

/// A number of one to nine digits and nothing else.
#[inline]
pub(super) fn digits(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() || bytes.len() > 9 {
        return None;
    }
    bytes.iter().try_fold(0_u32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u32, &[u8], &[u8])> {
        Fields::new(bytes).map(|field| (field.tag, field.name, field.value)).collect()
    }

    #[test]
    fn fields_are_read_as_they_stand() {
        assert_eq!(
            all(b"49=A=B\x0158=\x01999999999=x\x01"),
            [(49, &b"49"[..], &b"A=B"[..]), (58, b"58", b""), (999_999_999, b"999999999", b"x")]
        );
        assert_eq!(all(b""), []);
        // The last one may lack its end.
        assert_eq!(all(b"49=A\x0156=B"), [(49, &b"49"[..], &b"A"[..]), (56, b"56", b"B")]);
    }

    #[test]
    fn the_first_soh_is_found_wherever_it_is() {
        for length in 0..40 {
            for first in 0..=length {
                for filler in [0, 2, b'x', 0x81, 0xFF] {
                    let mut bytes = vec![filler; length];
                    bytes.iter_mut().skip(first).step_by(3).for_each(|byte| *byte = SOH);
                    assert_eq!(find_soh(&bytes), first, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_tag_has_a_name_all_the_same() {
        for (bytes, name, value) in [
            (&b"-1=x\x01"[..], &b"-1"[..], &b"x"[..]),
            (b"0=x\x01", b"0", b"x"),
            (b"011=x\x01", b"011", b"x"),
            (b"1234567890=x\x01", b"1234567890", b"x"),
            (b"a=x\x01", b"a", b"x"),
            (b"=x\x01", b"", b"x"),
            (b"x\x01", b"x", b""),
            (b"\x01", b"", b""),
        ] {
            let after = [bytes, b"58=y\x01"].concat();
            assert_eq!(all(&after), [(0, name, value), (58, &b"58"[..], &b"y"[..])]);
        }
    }

    #[test]
    fn data_is_taken_by_its_length() {
        let mut fields = Fields::new(b"95=3\x0196=a\x01b\x0158=x\x01");
        assert_eq!(fields.next().map(|field| field.tag), Some(95));
        let data = fields.data(3).unwrap();
        assert_eq!((data.tag, data.value), (96, &b"a\x01b"[..]));
        assert_eq!(fields.rest(), b"58=x\x01");
        for (bytes, length) in
            [(&b"96=abc\x01"[..], 2), (b"96=abc\x01", 4), (b"96", 0), (b"96\x01", 0), (b"", 0)]
        {
            assert_eq!(Fields::new(bytes).data(length), None);
        }
    }
}
