//! What the fuzzers run: any bytes as what the other node of a cluster says.

use crate::frame::decode;

/// Takes `data` for a message of a link whose batches and pieces of snapshots have at most `bytes_max` bytes: what decodes
/// encodes to the bytes that it was, and an error says what is wrong.
///
/// # Panics
/// When the codec is wrong.
pub fn frame(data: &[u8], bytes_max: usize) {
    match decode(data, bytes_max) {
        Ok(Some((message, taken))) => {
            let mut again = Vec::new();
            message.encode(&mut again);
            assert_eq!(again, data[..taken], "{message:?}");
        }
        Ok(None) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Takes `data` for a stream of such messages, behind a byte that says how long batches may be.
///
/// # Panics
/// When the codec is wrong, or a message is of no length.
pub fn stream(data: &[u8]) {
    let Some((&bytes_max, mut rest)) = data.split_first() else { return };
    let bytes_max = usize::from(bytes_max) * 4;
    frame(rest, bytes_max);
    while let Ok(Some((_, taken))) = decode(rest, bytes_max) {
        assert!((1..=rest.len()).contains(&taken), "{taken} of {} bytes", rest.len());
        rest = &rest[taken..];
        frame(rest, bytes_max);
    }
}
