//! The answer to a SecurityListRequest.

use domain::Instrument;
use wire::fix::MessageWriter;

/// Instruments in one SecurityList.
pub const SECURITIES: usize = 50;

/// Writes the body of a SecurityList: these instruments, of which the first is that of place `at` among `all`.
pub fn security_list(
    message: &mut MessageWriter<'_>,
    id: &[u8],
    some: &[Instrument],
    (at, all): (usize, usize),
) {
    let is_last = at + some.len() >= all;
    message.text(320, id).text(322, id).number(560, 0);
    message.number(393, all as u64).letter(893, if is_last { b'Y' } else { b'N' });
    message.number(146, some.len() as u64);
    for instrument in some {
        message.text(55, instrument.symbol.as_str().as_bytes());
    }
}
