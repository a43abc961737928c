//! What fuzzers call: any bytes as the body of a request for market data.

use std::sync::LazyLock;

use gateway::{Instruments, fuzz::paused::instruments};
use wire::{
    fix::{Checker, Frame, dictionary::FIX44, frame},
    fuzz::sealed,
};

use crate::request::{Asked, DEPTH_MAX, ID_MAX, Refusal, Request, Wanted};

/// A, B and C.
static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| instruments(&["A", "B", "C"]));

/// What a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// To something that is told.
    Read,
    /// To a MarketDataRequestReject.
    Refused,
    /// To nothing of that: the dictionary does not have it so, it lacks something, or it ends another request.
    Neither,
}

/// Reads a request with this body: whole fields, each with its SOH or a bar, or whatever it is.
///
/// # Panics
/// When what is read could not be, or a refusal says nothing.
#[must_use]
pub fn request(body: &[u8]) -> Came {
    let head: &[u8] = b"V 49=C|56=V|34=1|52=20261129-12:00:00|";
    let Some(raw) = sealed(&[head, body].concat(), FIX44.begin_string) else { return Came::Neither };
    let Ok(Frame::Message(message, _)) = frame(&raw, raw.len()) else { return Came::Neither };
    let mut checker = Checker::default();
    let Ok(checked) = checker.check(&FIX44, &message) else { return Came::Neither };
    match Request::of(&checked, &INSTRUMENTS) {
        Ok(Request { id, asked: Asked::Subscribe(Ok(wanted)) }) => {
            let Wanted { depth, types, mut books, .. } = wanted;
            assert!((1..=ID_MAX).contains(&id.len()) && (1..=DEPTH_MAX).contains(&depth));
            assert!((1..8).contains(&types.0) && !books.is_empty());
            let many = books.len();
            books.sort_unstable();
            books.dedup();
            assert!(books.len() == many && books.iter().all(|book| book.0 < 3), "{books:?}");
            Came::Read
        }
        Ok(Request { asked: Asked::Subscribe(Err(Refusal(reason, text))), .. }) => {
            assert!(b"056789C".contains(&reason) && (1..80).contains(&text.chars().count()), "{text}");
            Came::Refused
        }
        Ok(_) | Err(_) => Came::Neither,
    }
}
