//! Whether a message is one of the dictionary's: the checks of the session layer, with the reasons that a Reject gives.
//!
//! One pass. A field is found by its tag in a table; whether the message knows it, whether it has been there, and what is
//! still missing are bits. Nothing is allocated. What is wrong first is what is told.
//!
//! Source: FIX 4.4 volume 2, "Message validation", and the values of SessionRejectReason (373).

use super::{
    dictionary::{
        BODY, Dictionary, FIELDS, FieldDef, Group, HEADER, Kind, MessageDef, Set, TRAILER, data_of,
        is_msg_type, place,
    },
    field::{Field, Fields, digits},
    frame::Message,
    value,
};

/// Entries of a group, at most.
pub const ENTRIES_MAX: u32 = 1_000;

/// Why a message is rejected: values of SessionRejectReason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RejectReason {
    /// No field has this tag.
    InvalidTagNumber = 0,
    /// The message, or an entry of a group, lacks it.
    RequiredTagMissing = 1,
    /// The message has no such field.
    TagNotDefinedForMessage = 2,
    /// The field is empty.
    TagWithoutValue = 4,
    /// None of the field's values.
    ValueIncorrect = 5,
    /// Not of the field's type.
    IncorrectDataFormat = 6,
    /// Sender or target is not who they were at the logon.
    CompIdProblem = 9,
    /// SendingTime is too far from now, or before OrigSendingTime.
    SendingTimeProblem = 10,
    /// No message has this type.
    InvalidMsgType = 11,
    /// The field is there twice.
    TagAppearsMoreThanOnce = 13,
    /// A field of the header behind one of the body, or one of the body behind one of the trailer.
    TagOutOfOrder = 14,
    /// An entry of a group does not begin with the group's first field.
    GroupOutOfOrder = 15,
    /// As many entries as the count says there are not.
    IncorrectGroupCount = 16,
}

impl RejectReason {
    /// What it is called, for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::InvalidTagNumber => "Invalid tag number",
            Self::RequiredTagMissing => "Required tag missing",
            Self::TagNotDefinedForMessage => "Tag not defined for this message type",
            Self::TagWithoutValue => "Tag specified without a value",
            Self::ValueIncorrect => "Value is incorrect (out of range) for this tag",
            Self::IncorrectDataFormat => "Incorrect data format for value",
            Self::CompIdProblem => "CompID problem",
            Self::SendingTimeProblem => "SendingTime accuracy problem",
            Self::InvalidMsgType => "Invalid MsgType",
            Self::TagAppearsMoreThanOnce => "Tag appears more than once",
            Self::TagOutOfOrder => "Tag specified out of required order",
            Self::GroupOutOfOrder => "Repeating group fields out of order",
            Self::IncorrectGroupCount => "Incorrect NumInGroup count for repeating group",
        }
    }
}

/// Which field of a message is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'m> {
    /// None in particular.
    Nothing,
    /// The one with this tag, which may be missing.
    Tag(u16),
    /// The one whose tag stands there so, and is none.
    Text(&'m [u8]),
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault<'m> {
    /// What kind of fault it is.
    pub reason: RejectReason,
    /// With which field.
    pub field: Named<'m>,
}

#[cold]
const fn fault<'m>(reason: RejectReason, field: &Field<'m>) -> Fault<'m> {
    let field = if field.tag == 0 || field.tag > u16::MAX as u32 {
        Named::Text(field.name)
    } else {
        Named::Tag(field.tag as u16)
    };
    Fault { reason, field }
}

/// Where a value stands, counted from the message's first field.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    length: u32,
}

/// Checks messages, one after another, and remembers where the fields of the last one stand. About 2 KB.
#[derive(Debug)]
pub struct Checker {
    seen: Set,
    spans: [Span; FIELDS.len()],
}

impl Default for Checker {
    fn default() -> Self {
        Self { seen: Set::EMPTY, spans: [Span::default(); FIELDS.len()] }
    }
}

/// A message that is as the dictionary wants it.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'c, 'm> {
    checker: &'c Checker,
    message: Message<'m>,
    /// What the dictionary has of its type. `None`: the standard has such a message, this venue has not; its body was not looked
    /// at.
    pub def: Option<&'static MessageDef>,
}

impl Checker {
    /// Checks a message.
    ///
    /// # Errors
    /// What is wrong with it, the first fault as the fields stand; what is missing comes last.
    #[inline]
    pub fn check<'c, 'm>(
        &'c mut self,
        dictionary: &'static Dictionary,
        message: &Message<'m>,
    ) -> Result<Checked<'c, 'm>, Fault<'m>> {
        self.seen = Set::EMPTY;
        let def = dictionary.message(message.msg_type);
        if def.is_none() && !is_msg_type(message.msg_type) {
            return Err(Fault { reason: RejectReason::InvalidMsgType, field: Named::Nothing });
        }
        let mut fields = Fields::new(message.fields);
        let mut section = HEADER;
        while let Some(field) = fields.next() {
            let Some(at) = place(field.tag) else {
                if def.is_none() && section != TRAILER && field.tag != 0 {
                    // The body of a message that this venue does not know.
                    section = BODY;
                    continue;
                }
                return Err(fault(RejectReason::InvalidTagNumber, &field));
            };
            let field_def = &FIELDS[at];
            if field.value.is_empty() {
                return Err(fault(RejectReason::TagWithoutValue, &field));
            }
            let before = core::mem::replace(&mut section, dictionary.sections[at]);
            if section < before {
                return Err(fault(RejectReason::TagOutOfOrder, &field));
            }
            if section == BODY {
                match def {
                    Some(def) if def.known.has(at) => {}
                    Some(_) => return Err(fault(RejectReason::TagNotDefinedForMessage, &field)),
                    None => continue,
                }
            }
            if self.seen.put(at) {
                return Err(fault(RejectReason::TagAppearsMoreThanOnce, &field));
            }
            judge(field_def, &field)?;
            self.note(at, message, &field);
            if field_def.kind == Kind::Length {
                if let Some(data) = data(&mut fields, &field)? {
                    let at = place(data.tag).unwrap_or(at);
                    if self.seen.put(at) {
                        return Err(fault(RejectReason::TagAppearsMoreThanOnce, &data));
                    }
                    self.note(at, message, &data);
                }
            } else if field_def.kind == Kind::NumInGroup {
                let part = if section == HEADER { Some(dictionary.header) } else { def };
                let mut groups = part.into_iter().flat_map(|part| part.groups);
                if let Some(group) = groups.find(|group| u32::from(group.count) == field.tag) {
                    entries(&mut fields, group, &field)?;
                }
            }
        }
        for required in [dictionary.header, dictionary.trailer].into_iter().chain(def) {
            if let Some(at) = required.required_set.first_without(&self.seen) {
                return Err(Fault {
                    reason: RejectReason::RequiredTagMissing,
                    field: Named::Tag(FIELDS[at].tag),
                });
            }
        }
        Ok(Checked { checker: self, message: *message, def })
    }

    #[inline]
    fn note(&mut self, at: usize, message: &Message<'_>, field: &Field<'_>) {
        // A value is a part of the message, which is far below 4 GiB.
        let start = field.value.as_ptr().addr().wrapping_sub(message.fields.as_ptr().addr());
        self.spans[at] = Span { start: start as u32, length: field.value.len() as u32 };
    }
}

/// The data field whose length has just been read; `None` when the length is no field's.
#[cold]
fn data<'m>(fields: &mut Fields<'m>, length: &Field<'m>) -> Result<Option<Field<'m>>, Fault<'m>> {
    let Some(tag) = data_of(length.tag) else { return Ok(None) };
    let missing = Fault { reason: RejectReason::RequiredTagMissing, field: Named::Tag(tag as u16) };
    let mut ahead = *fields;
    if ahead.next().is_none_or(|next| next.tag != tag) {
        return Err(missing);
    }
    let bytes = digits(length.value).ok_or(fault(RejectReason::IncorrectDataFormat, length))?;
    let data = fields.data(bytes as usize).ok_or(fault(RejectReason::ValueIncorrect, length))?;
    if data.value.is_empty() {
        return Err(fault(RejectReason::TagWithoutValue, &data));
    }
    Ok(Some(data))
}

/// Reads over the entries of a group, whose count is `count`.
fn entries<'m>(fields: &mut Fields<'m>, group: &Group, count: &Field<'m>) -> Result<(), Fault<'m>> {
    let wrong = fault(RejectReason::IncorrectGroupCount, count);
    let wanted = digits(count.value).filter(|wanted| *wanted <= ENTRIES_MAX).ok_or(wrong)?;
    let first = group.fields.first().copied().unwrap_or(0);
    let (mut many, mut seen) = (0, Set::EMPTY);
    loop {
        let mut ahead = *fields;
        let Some(field) = ahead.next() else { break };
        let Some(at) = place(field.tag).filter(|at| group.known.has(*at)) else { break };
        if field.value.is_empty() {
            return Err(fault(RejectReason::TagWithoutValue, &field));
        }
        if field.tag == u32::from(first) {
            many += 1;
            seen = Set::EMPTY;
            if many > wanted {
                return Err(wrong);
            }
        } else if many == 0 {
            return Err(fault(RejectReason::GroupOutOfOrder, &field));
        }
        if seen.put(at) {
            return Err(fault(RejectReason::TagAppearsMoreThanOnce, &field));
        }
        judge(&FIELDS[at], &field)?;
        *fields = ahead;
        match FIELDS[at].kind {
            Kind::Length => {
                if let Some(data) = data(fields, &field)?
                    && place(data.tag).is_some_and(|at| seen.put(at))
                {
                    return Err(fault(RejectReason::TagAppearsMoreThanOnce, &data));
                }
            }
            Kind::NumInGroup => {
                if let Some(inner) = group.groups.iter().find(|inner| u32::from(inner.count) == field.tag) {
                    entries(fields, inner, &field)?;
                }
            }
            _ => {}
        }
    }
    if many == wanted { Ok(()) } else { Err(wrong) }
}

/// Whether a value is of its field's type, and one of its values.
#[inline]
fn judge<'m>(def: &FieldDef, field: &Field<'m>) -> Result<(), Fault<'m>> {
    let value = field.value;
    if !is_of(def.kind, value) {
        return Err(fault(RejectReason::IncorrectDataFormat, field));
    }
    let is_one = |word: &[u8]| match word {
        [letter] => letter.is_ascii() && def.letters >> letter & 1 == 1,
        _ => def.values.iter().any(|(known, _)| known.as_bytes() == word),
    };
    let fine = def.values.is_empty()
        || match def.kind {
            Kind::MultipleValueString => value.split(|&byte| byte == b' ').all(is_one),
            // 01 is 1.
            Kind::Int => {
                is_one(value) || value::int(value).is_some_and(|number| is_one(number.to_string().as_bytes()))
            }
            _ => is_one(value),
        };
    if fine { Ok(()) } else { Err(fault(RejectReason::ValueIncorrect, field)) }
}

#[inline]
fn is_of(kind: Kind, value: &[u8]) -> bool {
    match kind {
        Kind::String | Kind::Data | Kind::Exchange | Kind::MultipleValueString => true,
        Kind::Char => value.len() == 1,
        Kind::Int => value::int(value).is_some(),
        Kind::SeqNum | Kind::NumInGroup | Kind::Length => value[0] != b'-' && value::int(value).is_some(),
        Kind::Price | Kind::PriceOffset | Kind::Qty => value::is_decimal(value),
        Kind::Boolean => matches!(value, b"Y" | b"N"),
        Kind::UtcTimestamp => value::utc_timestamp(value).is_some(),
        Kind::UtcDateOnly | Kind::LocalMktDate => value::is_date(value),
        Kind::UtcTimeOnly => value::is_utc_time(value),
        Kind::MonthYear => is_month_year(value),
        Kind::Currency => value.len() == 3 && value.iter().all(u8::is_ascii_uppercase),
    }
}

fn is_month_year(value: &[u8]) -> bool {
    let month = |value: &[u8]| value::is_date(&[value, b"01"].concat());
    match value.len() {
        6 => month(value),
        8 if value[6] == b'w' => month(&value[..6]) && (b'1'..=b'5').contains(&value[7]),
        8 => value::is_date(value),
        _ => false,
    }
}

impl<'m> Checked<'_, 'm> {
    /// The message.
    #[must_use]
    pub const fn message(&self) -> &Message<'m> {
        &self.message
    }

    /// The value of a field outside groups, if it is there. Not empty.
    #[inline]
    #[must_use]
    pub fn get(&self, tag: u16) -> Option<&'m [u8]> {
        let at = place(tag.into())?;
        if !self.checker.seen.has(at) {
            return None;
        }
        let Span { start, length } = self.checker.spans[at];
        self.message.fields.get(start as usize..(start + length) as usize)
    }

    /// The value of a letter.
    #[inline]
    #[must_use]
    pub fn letter(&self, tag: u16) -> Option<u8> {
        self.get(tag)?.first().copied()
    }

    /// The value of an integer.
    #[inline]
    #[must_use]
    pub fn int(&self, tag: u16) -> Option<i64> {
        value::int(self.get(tag)?)
    }

    /// Whether a flag is there and set.
    #[inline]
    #[must_use]
    pub fn is_set(&self, tag: u16) -> bool {
        self.get(tag) == Some(b"Y")
    }

    /// What stands behind the count of a group, the entries first. Nothing if the group is not there.
    #[must_use]
    pub fn behind(&self, count: u16) -> Fields<'m> {
        let behind = place(count.into()).filter(|at| self.checker.seen.has(*at)).and_then(|at| {
            let Span { start, length } = self.checker.spans[at];
            self.message.fields.get((start + length) as usize + 1..)
        });
        Fields::new(behind.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
