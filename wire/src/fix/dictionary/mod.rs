//! What the venue says and takes in FIX: messages, their fields, and what fields look like. One table for the code that
//! checks messages and for the dictionaries that clients get ([`xml`]).
//!
//! Two versions: FIX 4.4, and FIX 5.0 SP2 over FIXT 1.1. They differ in the header, in the logon and in what is required of
//! some messages; a client chooses by its first BeginString.
//!
//! Fields that the standard has and that mean nothing to a book of one venue are not in it: whoever sends one is told so, rather
//! than being left to believe that it was heeded.

mod fields;
mod messages;
mod xml;

pub use fields::{FIELDS, FieldDef};
pub(crate) use fields::{Set, place};
pub use messages::{FIX44, FIX50SP2};
pub use xml::xml;

/// A type of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any bytes but SOH.
    String,
    /// One byte.
    Char,
    /// An integer.
    Int,
    /// A number of messages: an integer that is not negative.
    SeqNum,
    /// How many entries of a group follow.
    NumInGroup,
    /// How many bytes the data field behind it has.
    Length,
    /// Any bytes; the field before it says how many.
    Data,
    /// A decimal.
    Price,
    /// A decimal.
    PriceOffset,
    /// A decimal.
    Qty,
    /// `Y` or `N`.
    Boolean,
    /// A date and a time of day, with up to twelve digits behind the second.
    UtcTimestamp,
    /// A date.
    UtcDateOnly,
    /// A time of day.
    UtcTimeOnly,
    /// A date.
    LocalMktDate,
    /// `YYYYMM`, `YYYYMMDD` or `YYYYMMwN`.
    MonthYear,
    /// Three letters, ISO 4217.
    Currency,
    /// A market, ISO 10383.
    Exchange,
    /// Words, separated by spaces.
    MultipleValueString,
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The client alone.
    Client,
    /// The venue alone.
    Venue,
    /// Either.
    Both,
}

/// A repeating group: a count, and so many entries, each of which begins with the first of `fields`.
#[derive(Debug)]
pub struct Group {
    /// The tag of the count.
    pub count: u16,
    /// Of an entry, without those of groups within. The first is required.
    pub fields: &'static [u16],
    /// Groups within an entry.
    pub groups: &'static [&'static Self],
    pub(crate) known: Set,
}

/// A message, or a part that all messages have.
#[derive(Debug)]
pub struct MessageDef {
    /// The value of field 35.
    pub msg_type: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Whether it is the session's own, and none of the application.
    pub admin: bool,
    /// Who says it.
    pub from: From,
    /// Fields that it must have.
    pub required: &'static [u16],
    /// Fields that it may have.
    pub optional: &'static [&'static [u16]],
    /// Its groups.
    pub groups: &'static [&'static Group],
    pub(crate) known: Set,
    pub(crate) required_set: Set,
}

/// A version of the protocol.
#[derive(Debug)]
pub struct Dictionary {
    /// The value of field 8.
    pub begin_string: &'static str,
    /// The header's fields; 8, 9 and 35 are not checked any more, since a message without is none.
    pub header: &'static MessageDef,
    /// The trailer's fields.
    pub trailer: &'static MessageDef,
    /// The field that holds a trade's number in an execution report: TradeID where there is one, else SecondaryExecID.
    pub trade_id: u32,
    /// What all versions have, and what only this one has.
    pub messages: [&'static [MessageDef]; 2],
    /// Where among them those of one letter are, counted from 1; 0: nowhere.
    pub(crate) letters: [u8; 128],
    /// In which part of a message each of [`FIELDS`] stands: [`HEADER`], [`BODY`] or [`TRAILER`], which come in this order.
    pub(crate) sections: [u8; FIELDS.len()],
}

pub(crate) const HEADER: u8 = 0;
pub(crate) const BODY: u8 = 1;
pub(crate) const TRAILER: u8 = 2;

/// See [`Dictionary::sections`].
const fn sections(header: &MessageDef, trailer: &MessageDef) -> [u8; FIELDS.len()] {
    let (mut sections, mut at) = ([BODY; FIELDS.len()], 0);
    while at < FIELDS.len() {
        if header.known.has(at) {
            sections[at] = HEADER;
        } else if trailer.known.has(at) {
            sections[at] = TRAILER;
        }
        at += 1;
    }
    sections
}

/// See [`Dictionary::letters`].
const fn letters(lists: [&[MessageDef]; 2]) -> [u8; 128] {
    let (mut letters, mut before, mut list) = ([0; 128], 0, 0);
    while list < lists.len() {
        let mut at = 0;
        while at < lists[list].len() {
            if let [letter] = *lists[list][at].msg_type.as_bytes() {
                letters[letter as usize] = (before + at + 1) as u8;
            }
            at += 1;
        }
        before += lists[list].len();
        list += 1;
    }
    assert!(before < u8::MAX as usize);
    letters
}

impl Dictionary {
    /// The message of a type.
    #[inline]
    pub fn message(&self, msg_type: &[u8]) -> Option<&MessageDef> {
        let [common, only] = self.messages;
        if let [letter] = *msg_type {
            let at = usize::from(*self.letters.get(usize::from(letter))?).checked_sub(1)?;
            return common.get(at).or_else(|| only.get(at - common.len()));
        }
        common.iter().chain(only).find(|message| message.msg_type.as_bytes() == msg_type)
    }
}

/// Whether the standard has a message of this type, in any version, whether or not it means anything here.
pub fn is_msg_type(msg_type: &[u8]) -> bool {
    match msg_type {
        [b'I' | b'O' | b'U'] => false,
        [one] => one.is_ascii_alphanumeric(),
        // AA to CM, as of FIX 5.0 SP2.
        [b'A' | b'B', second] => second.is_ascii_uppercase(),
        [b'C', second] => (b'A'..=b'M').contains(second),
        _ => false,
    }
}

/// The data field whose length a field says.
pub(crate) const fn data_of(length: u32) -> Option<u32> {
    match length {
        90 => Some(91),
        93 => Some(89),
        95 => Some(96),
        212 => Some(213),
        354 => Some(355),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_found_in_its_version() {
        for dictionary in [&FIX44, &FIX50SP2] {
            let mut types = Vec::new();
            for message in dictionary.messages.iter().copied().flatten() {
                let found = dictionary.message(message.msg_type.as_bytes()).unwrap();
                assert_eq!((found.name, found.admin), (message.name, "012345A".contains(message.msg_type)));
                assert!(is_msg_type(message.msg_type.as_bytes()), "{}", message.name);
                types.push(message.msg_type);
            }
            let many = types.len();
            types.sort_unstable();
            types.dedup();
            assert_eq!(types.len(), many, "a type twice");
        }
        assert!(
            FIX44.message(b"*").is_none() && FIX44.message(b"").is_none() && FIX44.message(b"d").is_none()
        );
        for wrong in [&b"*"[..], b"", b"I", b"AAA", b"ZZ", b"CN", b"A1"] {
            assert!(!is_msg_type(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn lengths_and_data_belong_together() {
        for field in FIELDS {
            let is_one = data_of(field.tag.into()).is_some();
            // How long the body is, and how long a message may be, are no lengths of fields.
            assert_eq!(
                is_one,
                field.kind == Kind::Length && ![9, 383].contains(&field.tag),
                "{}",
                field.name
            );
            if let Some(data) = data_of(field.tag.into()) {
                assert_eq!(place(data).map(|place| FIELDS[place].kind), Some(Kind::Data), "{}", field.name);
            }
        }
    }
}
