//! Bodies of version 2, which were written when nothing was in flight, so that nothing was owed: read, and never written.

use serde::Deserialize;

use super::{Body, BookRow, InstrumentRow, v3::SessionV3};

#[derive(Deserialize)]
pub(in crate::snapshot) struct BodyV2 {
    market_wide: u64,
    market_wide_last: u64,
    instruments: Vec<InstrumentRow>,
    books: Vec<BookRow>,
    sessions: Vec<SessionV3>,
}

impl From<BodyV2> for Body<'static> {
    fn from(old: BodyV2) -> Self {
        let BodyV2 { market_wide, market_wide_last, instruments, books, sessions } = old;
        Self {
            market_wide,
            market_wide_last,
            instruments,
            books,
            sessions: sessions.into_iter().map(Into::into).collect(),
            owed: Vec::new(),
            fix: Vec::new(),
            copies: Vec::new(),
        }
    }
}
