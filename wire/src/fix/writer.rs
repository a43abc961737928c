//! Messages, written field by field; length and checksum come by themselves.

use domain::Nanos;

use super::{
    field::SOH,
    frame::checksum,
    value::{DECIMALS, civil},
};

/// Digits of a BodyLength as it is written.
const LENGTH_DIGITS: usize = 5;
/// The longest body that can be written, in bytes.
pub const BODY_MAX: usize = 99_999;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How finely times are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimePrecision {
    /// `HH:MM:SS`
    Seconds,
    /// Three digits behind the point.
    #[default]
    Millis,
    /// Six.
    Micros,
    /// Nine.
    Nanos,
}

/// Writes messages behind each other into a buffer of its user's.
///
/// One value writes many messages: it remembers what the current second looks like.
#[derive(Debug)]
pub struct Writer {
    precision: TimePrecision,
    /// The second since 1970 that `written` is.
    second: u64,
    /// `YYYYMMDD-HH:MM:SS`
    written: [u8; 17],
}

/// A message that is being written. It must be [ended](Self::end), or what was written of it is no message.
pub struct MessageWriter<'a> {
    writer: &'a mut Writer,
    out: &'a mut Vec<u8>,
    /// Where the message begins in `out`.
    begin: usize,
    /// Where its body begins.
    body: usize,
}

impl Writer {
    /// Writes times so finely.
    #[must_use]
    pub fn new(precision: TimePrecision) -> Self {
        let mut writer = Self { precision, second: 0, written: [0; 17] };
        writer.remember(0);
        writer
    }

    /// Begins a message of a type, behind what `out` has.
    #[inline]
    pub fn begin<'a>(
        &'a mut self,
        out: &'a mut Vec<u8>,
        begin_string: &[u8],
        msg_type: &[u8],
    ) -> MessageWriter<'a> {
        let begin = out.len();
        out.extend_from_slice(b"8=");
        out.extend_from_slice(begin_string);
        out.extend_from_slice(b"\x019=00000\x01");
        let body = out.len();
        out.extend_from_slice(b"35=");
        out.extend_from_slice(msg_type);
        out.push(SOH);
        MessageWriter { writer: self, out, begin, body }
    }

    /// Begins fields that several messages are to have ([`MessageWriter::fields`]): they are no message, and not to be ended.
    pub fn part<'a>(&'a mut self, out: &'a mut Vec<u8>) -> MessageWriter<'a> {
        let begin = out.len();
        MessageWriter { writer: self, out, begin, body: begin }
    }

    fn remember(&mut self, second: u64) {
        let (days, rest) = (second / 86_400, (second % 86_400) as u32);
        let (year, month, day) = civil(days);
        let w = &mut self.written;
        put_digits(&mut w[..4], year);
        put_digits(&mut w[4..6], month);
        put_digits(&mut w[6..8], day);
        w[8] = b'-';
        put_digits(&mut w[9..11], rest / 3_600);
        w[11] = b':';
        put_digits(&mut w[12..14], rest / 60 % 60);
        w[14] = b':';
        put_digits(&mut w[15..], rest % 60);
        self.second = second;
    }

    fn time(&mut self, out: &mut Vec<u8>, time: Nanos) {
        out.extend_from_slice(self.second_of(time));
        self.fraction(out, time);
    }

    /// The second of a time, as it is written.
    fn second_of(&mut self, time: Nanos) -> &[u8; 17] {
        let second = time.0 / NANOS_PER_SECOND;
        if second != self.second {
            self.remember(second);
        }
        &self.written
    }

    fn fraction(&self, out: &mut Vec<u8>, time: Nanos) {
        let nanos = (time.0 % NANOS_PER_SECOND) as u32;
        match self.precision {
            TimePrecision::Seconds => {}
            TimePrecision::Millis => {
                let [.., a, b, c] = text(eight(nanos / 1_000_000));
                out.extend_from_slice(&[b'.', a, b, c]);
            }
            TimePrecision::Micros => {
                let [_, _, a, b, c, d, e, f] = text(eight(nanos / 1_000));
                out.extend_from_slice(&[b'.', a, b, c, d, e, f]);
            }
            TimePrecision::Nanos => {
                out.push(b'.');
                out.extend_from_slice(&text(eight(nanos / 10)));
                out.push(b'0' + (nanos % 10) as u8);
            }
        }
    }
}

/// Numbers from here on do not fit into eight digits.
const EIGHT: u32 = 100_000_000;

/// The eight digits of a number, one a byte, the first of them in the lowest: all at once, since digits that are stored one by one and
/// read again together stall the processor. The number is halved into four, two and one digits, and each division is a multiplication
/// that is exact for what there is: Paul Khuong, "How to print integers really fast", 2017.
#[inline]
const fn eight(number: u32) -> u64 {
    debug_assert!(number < EIGHT);
    // No step leaves its part of the word: 9,999, 99 and 9 are the largest.
    let fours = (number / 10_000) as u64 | ((number % 10_000) as u64) << 32;
    let hundreds = (fours.wrapping_mul(10_486) >> 20) & 0x0000_007F_0000_007F;
    let twos = (fours.wrapping_sub(hundreds.wrapping_mul(100)) << 16).wrapping_add(hundreds);
    let tens = (twos.wrapping_mul(103) >> 10) & 0x000F_000F_000F_000F;
    (twos.wrapping_sub(tens.wrapping_mul(10)) << 8).wrapping_add(tens)
}

/// Digits as they are written.
#[inline]
const fn text(digits: u64) -> [u8; 8] {
    (digits | 0x3030_3030_3030_3030).to_le_bytes()
}

/// The last digits of a number, as many as there is room for.
fn put_digits(to: &mut [u8], mut number: u32) {
    for digit in to.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl MessageWriter<'_> {
    /// A field of text. The caller sees to it that no byte of it is an SOH.
    #[inline]
    pub fn text(&mut self, tag: u32, value: &[u8]) -> &mut Self {
        debug_assert!(!value.is_empty() && !value.contains(&SOH), "{tag}={value:?}");
        self.tag(tag);
        self.out.extend_from_slice(value);
        self.out.push(SOH);
        self
    }

    /// A field of one letter.
    #[inline]
    pub fn letter(&mut self, tag: u32, value: u8) -> &mut Self {
        self.text(tag, &[value])
    }

    /// A field of a number.
    #[inline]
    pub fn number(&mut self, tag: u32, value: u64) -> &mut Self {
        self.tag(tag);
        self.digits(value);
        self.out.push(SOH);
        self
    }

    /// A field of a decimal that is given in ten-thousandths; without zeros that say nothing.
    #[inline]
    pub fn decimal(&mut self, tag: u32, value: i64) -> &mut Self {
        const SCALE: u64 = 10_u64.pow(DECIMALS);
        self.tag(tag);
        if value < 0 {
            self.out.push(b'-');
        }
        let value = value.unsigned_abs();
        self.digits(value / SCALE);
        let fraction = (value % SCALE) as u32;
        if fraction != 0 {
            const { assert!(DECIMALS == 4, "the last four of eight digits") };
            let digits = eight(fraction);
            let [.., a, b, c, d] = text(digits);
            self.out.extend_from_slice(&[b'.', a, b, c, d]);
            // The last of them are in the highest bytes.
            self.out.truncate(self.out.len() - digits.leading_zeros() as usize / 8);
        }
        self.out.push(SOH);
        self
    }

    /// A field of a time, in UTC.
    #[inline]
    pub fn time(&mut self, tag: u32, value: Nanos) -> &mut Self {
        self.tag(tag);
        self.writer.time(self.out, value);
        self.out.push(SOH);
        self
    }

    /// A field of a day and one of the time of that day, in UTC.
    pub fn day_and_time(&mut self, (day, time): (u32, u32), value: Nanos) -> &mut Self {
        self.tag(day);
        self.out.extend_from_slice(&self.writer.second_of(value)[..8]);
        self.out.push(SOH);
        self.tag(time);
        self.out.extend_from_slice(&self.writer.second_of(value)[9..]);
        self.writer.fraction(self.out, value);
        self.out.push(SOH);
        self
    }

    /// Fields that stand somewhere as they are to be written, each with its SOH.
    pub fn fields(&mut self, fields: &[u8]) -> &mut Self {
        debug_assert!(fields.last().is_none_or(|&last| last == SOH));
        self.out.extend_from_slice(fields);
        self
    }

    /// Ends the message.
    ///
    /// # Panics
    /// When its body is longer than [`BODY_MAX`]: what is sent is made here, and bounded where it is made.
    #[inline]
    pub fn end(self) {
        let Self { out, begin, body, .. } = self;
        let length = out.len() - body;
        assert!(length <= BODY_MAX, "a message of {length} bytes");
        put_digits(&mut out[body - 1 - LENGTH_DIGITS..body - 1], length as u32);
        let [.., a, b, c] = text(eight(u32::from(checksum(&out[begin..]))));
        out.extend_from_slice(&[b'1', b'0', b'=', a, b, c, SOH]);
    }

    #[inline]
    fn tag(&mut self, tag: u32) {
        // Nearly all have two or three digits.
        if (10..100).contains(&tag) {
            self.out.extend_from_slice(&[b'0' + (tag / 10) as u8, b'0' + (tag % 10) as u8, b'=']);
        } else {
            self.digits(tag.into());
            self.out.push(b'=');
        }
    }

    #[inline]
    fn digits(&mut self, number: u64) {
        match u32::try_from(number) {
            Ok(number) if number < EIGHT => {
                let digits = eight(number);
                // Without the zeros before it, but for the last.
                let zeros = (digits.trailing_zeros() / 8).min(7);
                self.out.extend_from_slice(&text(digits >> (8 * zeros)));
                self.out.truncate(self.out.len() - zeros as usize);
            }
            _ => self.many_digits(number),
        }
    }

    /// More than eight.
    fn many_digits(&mut self, number: u64) {
        self.digits(number / u64::from(EIGHT));
        self.out.extend_from_slice(&text(eight((number % u64::from(EIGHT)) as u32)));
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::frame::{Frame, frame},
        *,
    };

    #[test]
    fn numbers_are_written_as_others_write_them() {
        let mut numbers: Vec<u64> = (0..20_000).collect();
        for power in 0..=19 {
            let ten = 10_u64.pow(power);
            numbers.extend([ten - 1, ten, ten + 1, ten.saturating_mul(9), ten / 7 * 3]);
        }
        numbers.extend((0..8).map(|at| u64::MAX >> (at * 7)));
        // Every group of four digits, in both halves.
        numbers.extend((0..10_000).map(|four| four * 10_000 + (9_999 - four)));
        for number in numbers {
            let (mut writer, mut out) = (Writer::new(TimePrecision::Seconds), Vec::new());
            writer.part(&mut out).number(5, number).decimal(6, number as i64);
            let (sign, all) =
                if (number as i64) < 0 { ("-", (number as i64).unsigned_abs()) } else { ("", number) };
            let fraction = format!(".{:04}", all % 10_000);
            let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
            let expected = format!("5={number}\x016={sign}{}{fraction}\x01", all / 10_000);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_written_is_a_message() {
        let mut writer = Writer::new(TimePrecision::Micros);
        let mut out = b"before".to_vec();
        let time = Nanos(1_795_955_696_789_012_345);
        let mut message = writer.begin(&mut out, b"FIX.4.4", b"8");
        message.text(49, b"EXCH").number(34, 7).letter(39, b'0').time(52, time);
        message
            .decimal(44, 1_234_500)
            .decimal(31, -1)
            .decimal(6, 0)
            .decimal(99, i64::MIN)
            .number(9_001, u64::MAX);
        message.number(1, 0).fields(b"58=x\x01");
        message.end();
        let text = String::from_utf8(out[6..].to_vec()).unwrap().replace('\x01', "|");
        let body = "35=8|49=EXCH|34=7|39=0|52=20261129-12:34:56.789012|44=123.45|31=-0.0001|6=0|\
                    99=-922337203685477.5808|9001=18446744073709551615|1=0|58=x|";
        assert!(text.starts_with(&format!("8=FIX.4.4|9={:05}|{body}10=", body.len())), "{text}");
        let Ok(Frame::Message(message, length)) = frame(&out[6..], 1_000) else { panic!("{text}") };
        assert_eq!((message.msg_type, length), (&b"8"[..], out.len() - 6));
    }

    #[test]
    fn a_part_is_written_once_for_several_messages() {
        let mut writer = Writer::new(TimePrecision::Millis);
        let mut part = Vec::new();
        let time = Nanos(1_795_955_696_789_012_345);
        writer.part(&mut part).letter(269, b'2').number(271, 5).day_and_time((272, 273), time);
        assert_eq!(part, b"269=2\x01271=5\x01272=20261129\x01273=12:34:56.789\x01");
        let mut out = Vec::new();
        for number in [7, 8] {
            let mut message = writer.begin(&mut out, b"FIX.4.4", b"X");
            message.number(34, number).fields(&part);
            message.end();
        }
        let Ok(Frame::Message(first, length)) = frame(&out, 1_000) else { panic!("no message") };
        assert!(
            first.fields.starts_with(b"34=7\x01269=2\x01") && first.fields.ends_with(b"12:34:56.789\x01")
        );
        assert!(
            matches!(frame(&out[length..], 1_000), Ok(Frame::Message(_, rest)) if rest == out.len() - length)
        );
    }

    #[test]
    fn times_are_written_as_finely_as_asked() {
        let written = |precision, nanos| {
            let mut out = Vec::new();
            Writer::new(precision).time(&mut out, Nanos(nanos));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(TimePrecision::Seconds, 999_999_999), "19700101-00:00:00");
        assert_eq!(written(TimePrecision::Millis, 1_709_251_199_999_999_999), "20240229-23:59:59.999");
        assert_eq!(written(TimePrecision::Nanos, 951_868_800_000_000_001), "20000301-00:00:00.000000001");
        let mut writer = Writer::new(TimePrecision::Seconds);
        let mut out = Vec::new();
        for second in [5, 5, 86_400 + 3_661] {
            writer.time(&mut out, Nanos(second * NANOS_PER_SECOND));
        }
        assert_eq!(out, b"19700101-00:00:0519700101-00:00:0519700102-01:01:01");
    }
}
