//! What values of a type look like, and what they say: integers, decimals, times. No floats.

use domain::Nanos;

use super::field::digits;

/// Digits behind the point that a decimal is read to: ten-thousandths, as everywhere on the wire.
pub const DECIMALS: u32 = 4;

/// An integer: an optional minus sign, then digits. Leading zeros are allowed.
#[must_use]
pub fn int(value: &[u8]) -> Option<i64> {
    let (negative, number) = signed(value);
    if number.is_empty() || number.len() > 18 {
        return None;
    }
    let mut sum = 0_i64;
    for byte in number {
        if !byte.is_ascii_digit() {
            return None;
        }
        sum = sum * 10 + i64::from(byte - b'0');
    }
    Some(if negative { -sum } else { sum })
}

fn signed(value: &[u8]) -> (bool, &[u8]) {
    value.strip_prefix(b"-").map_or((false, value), |rest| (true, rest))
}

/// Whether this is a decimal: an optional minus sign, digits, and at most one point among or around them. No plus sign, no
/// exponent.
#[inline]
#[must_use]
pub fn is_decimal(value: &[u8]) -> bool {
    let (_, number) = signed(value);
    let (mut points, mut figures) = (0, 0);
    for byte in number {
        points += usize::from(*byte == b'.');
        figures += usize::from(byte.is_ascii_digit());
    }
    points <= 1 && figures > 0 && points + figures == number.len()
}

/// Why a decimal has no value here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalFault {
    /// It is none.
    Format,
    /// More than [`DECIMALS`] digits behind the point that are not 0.
    TooFine,
    /// Beyond 64 bits.
    TooLarge,
}

/// A decimal in ten-thousandths.
///
/// # Errors
/// When it is none, or cannot be said so.
#[inline]
pub fn decimal(value: &[u8]) -> Result<i64, DecimalFault> {
    /// So many digits, and four more, fit whatever they are.
    const FITS: usize = 14;
    const SCALES: [i64; DECIMALS as usize + 1] = [10_000, 1_000, 100, 10, 1];
    let (negative, number) = signed(value);
    if number.len() > FITS {
        return long_decimal(value);
    }
    let (mut sum, mut point, mut odd) = (0_i64, number.len(), 0_usize);
    for (at, &byte) in number.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            sum = sum.wrapping_mul(10).wrapping_add(i64::from(digit));
        } else {
            point = at;
            odd += 1 + usize::from(byte != b'.');
        }
    }
    // One point at most, and a digit at least.
    let behind = number.len().saturating_sub(point + 1);
    match SCALES.get(behind) {
        Some(scale) if odd <= 1 && number.len() > odd => {
            let sum = sum * scale;
            Ok(if negative { -sum } else { sum })
        }
        _ => long_decimal(value),
    }
}

/// The same for any length, and for what is wrong.
#[cold]
fn long_decimal(value: &[u8]) -> Result<i64, DecimalFault> {
    if !is_decimal(value) {
        return Err(DecimalFault::Format);
    }
    let (negative, number) = signed(value);
    let (mut sum, mut behind) = (0_i64, None::<u32>);
    for &byte in number {
        match &mut behind {
            None if byte == b'.' => {
                behind = Some(0);
                continue;
            }
            Some(behind) if *behind == DECIMALS && byte != b'0' => return Err(DecimalFault::TooFine),
            Some(behind) if *behind == DECIMALS => continue,
            Some(behind) => *behind += 1,
            None => {}
        }
        let next = sum.checked_mul(10).and_then(|sum| sum.checked_add(i64::from(byte - b'0')));
        sum = next.ok_or(DecimalFault::TooLarge)?;
    }
    let scale = 10_i64.pow(DECIMALS - behind.unwrap_or(0));
    let sum = sum.checked_mul(scale).ok_or(DecimalFault::TooLarge)?;
    Ok(if negative { -sum } else { sum })
}

/// A time, `YYYYMMDD-HH:MM:SS` and perhaps a point and 3, 6, 9 or 12 digits; what is finer than a nanosecond is dropped. A
/// second of 60 is the next minute's first. From 1970 on; what is beyond the year 2554, as far as nanoseconds go in 64 bits, is
/// read as the last of them.
#[must_use]
pub fn utc_timestamp(value: &[u8]) -> Option<Nanos> {
    let (date, time) = value.split_at_checked(8)?;
    let days = date_days(date)?;
    let since_midnight = utc_time(time.strip_prefix(b"-")?)?;
    Some(Nanos(days.saturating_mul(86_400_000_000_000).saturating_add(since_midnight)))
}

/// Nanoseconds since midnight.
fn utc_time(value: &[u8]) -> Option<u64> {
    let (clock, fraction) = value.split_at_checked(8)?;
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = clock else { return None };
    let (hours, minutes, seconds) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let nanos = match fraction {
        [] => 0,
        [b'.', figures @ ..] => match figures.len() {
            3 => match figures {
                &[a, b, c] if c.is_ascii_digit() => (two(a, b)? * 10 + u32::from(c - b'0')) * 1_000_000,
                _ => return None,
            },
            6 => digits(figures)? * 1_000,
            9 => digits(figures)?,
            12 => {
                digits(&figures[9..])?;
                digits(&figures[..9])?
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(u64::from(hours * 3_600 + minutes * 60 + seconds) * 1_000_000_000 + u64::from(nanos))
}

/// Whether this is a time of day.
#[must_use]
pub fn is_utc_time(value: &[u8]) -> bool {
    utc_time(value).is_some()
}

/// Whether this is a date, `YYYYMMDD`.
#[must_use]
pub fn is_date(value: &[u8]) -> bool {
    date_days(value).is_some()
}

/// A number of two digits.
#[inline]
fn two(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (u32::from(tens).wrapping_sub(48), u32::from(ones).wrapping_sub(48));
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

/// Days since 1970 of a date `YYYYMMDD`.
fn date_days(value: &[u8]) -> Option<u64> {
    let &[y1, y2, y3, y4, m1, m2, d1, d2] = value else { return None };
    let (year, month, day) = (two(y1, y2)? * 100 + two(y3, y4)?, two(m1, m2)?, two(d1, d2)?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => return None,
    };
    if year < 1970 || day == 0 || day > length {
        return None;
    }
    // Years counted from March on, so that the leap day is a year's last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(u64::from(days) - DAYS_TO_1970)
}

/// From the first of March of year 0 to 1970, by the reckoning above.
const DAYS_TO_1970: u64 = 719_468;

/// The date of a day since 1970, as year, month and day.
#[must_use]
pub(super) fn civil(days: u64) -> (u32, u32, u32) {
    let days = days + DAYS_TO_1970;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year, if month < 10 { month + 3 } else { month - 9 });
    ((year + u64::from(month <= 2)) as u32, month as u32, date as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_a_sign_or_none_and_digits() {
        for (text, number) in
            [("0", 0), ("-7", -7), ("007", 7), ("999999999999999999", 999_999_999_999_999_999)]
        {
            assert_eq!(int(text.as_bytes()), Some(number), "{text}");
        }
        for text in ["", "-", "+1", "1.0", "1 ", "x", "1000000000000000000"] {
            assert_eq!(int(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn decimals_are_ten_thousandths_exactly() {
        for (text, number) in [
            ("200", 2_000_000),
            ("200.00", 2_000_000),
            ("-0.0001", -1),
            (".5", 5_000),
            ("5.", 50_000),
            ("00.12340000000", 1_234),
            ("922337203685477.5807", i64::MAX),
        ] {
            assert_eq!(decimal(text.as_bytes()), Ok(number), "{text}");
            assert!(is_decimal(text.as_bytes()), "{text}");
        }
        for (text, fault) in [
            ("+200.00", DecimalFault::Format),
            ("", DecimalFault::Format),
            ("-", DecimalFault::Format),
            (".", DecimalFault::Format),
            ("1e5", DecimalFault::Format),
            ("1.2.3", DecimalFault::Format),
            ("1.23456x", DecimalFault::Format),
            ("99999999999999999999x", DecimalFault::Format),
            ("1.23456", DecimalFault::TooFine),
            ("922337203685477.5808", DecimalFault::TooLarge),
            ("922337203685478", DecimalFault::TooLarge),
        ] {
            assert_eq!(decimal(text.as_bytes()), Err(fault), "{text}");
            assert_eq!(is_decimal(text.as_bytes()), fault != DecimalFault::Format, "{text}");
        }
    }

    #[test]
    fn times_are_read_to_the_nanosecond() {
        let second = 1_000_000_000;
        for (text, nanos) in [
            ("19700101-00:00:00", 0),
            ("20000301-00:00:00", 951_868_800 * second),
            ("20240229-23:59:60", 1_709_251_200 * second),
            ("20261129-12:34:56.789", 1_795_955_696 * second + 789_000_000),
            ("20261129-12:34:56.789012", 1_795_955_696 * second + 789_012_000),
            ("20261129-12:34:56.789012345", 1_795_955_696 * second + 789_012_345),
            ("99991231-23:59:59", u64::MAX),
            ("20261129-12:34:56.789012345678", 1_795_955_696 * second + 789_012_345),
        ] {
            assert_eq!(utc_timestamp(text.as_bytes()), Some(Nanos(nanos)), "{text}");
        }
        for text in [
            "",
            "20261129",
            "20261129-12:34",
            "20261129 12:34:56",
            "20230229-00:00:00",
            "21000229-00:00:00",
            "20261301-00:00:00",
            "20261100-00:00:00",
            "19691231-00:00:00",
            "20261129-24:00:00",
            "20261129-12:60:00",
            "20261129-12:34:61",
            "20261129-12:34:56.",
            "20261129-12:34:56.78",
            "20261129-12:34:56.7890123456789",
            "20261129-12:34:56.78x",
        ] {
            assert_eq!(utc_timestamp(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn days_have_dates_and_dates_days() {
        for days in (0..60_000).chain([2_932_896]) {
            let (year, month, day) = civil(days);
            let text = format!("{year:04}{month:02}{day:02}");
            assert_eq!(date_days(text.as_bytes()), Some(days), "{text}");
        }
        assert_eq!(civil(0), (1970, 1, 1));
    }
}
