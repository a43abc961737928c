//! A client that speaks FIX.

use std::collections::BTreeSet;

use domain::{Nanos, Numbering, ReportKind, SessionId};
use door::auth::Protocol;
use wire::fix::{
    Checked, Checker, Fields, Frame, MessageWriter, TimePrecision, Writer,
    dictionary::{Dictionary, FIX44, FIX50SP2},
    frame,
};

use super::{Bytes, COMP_ID, Client, Known, Line, PASSWORD, USERS, paused::Paused};
use crate::{FixState, Sessions};

/// Longer than any message of a venue.
const MESSAGE_MAX: usize = 64 * 1024;

/// See the module.
pub(super) struct Fix {
    line: Line,
    dictionary: &'static Dictionary,
    checker: Box<Checker>,
    /// The number of the next message, once it is let in.
    next: Option<u64>,
    /// How many reports its session had before its numbers began: what that may be, as far as what it has been told says.
    bases: Vec<u64>,
    /// The numbers of its requests for messages again, with those that it has been told and has not been told again since.
    /// Nothing, once it has said something that may let the gateway pass a request over.
    wanted: Option<Vec<(u64, BTreeSet<u64>)>>,
}

impl Client for Fix {
    const PROTOCOL: Protocol = Protocol::Fix;

    fn new(mut line: Line) -> Self {
        // There are many reasons to be cut off, and most are said.
        line.may_go = true;
        Self {
            line,
            dictionary: &FIX44,
            checker: Box::default(),
            next: None,
            bases: Vec::new(),
            wanted: Some(Vec::new()),
        }
    }

    fn line(&mut self) -> &mut Line {
        &mut self.line
    }

    fn what_is_said(
        &mut self,
        what: u8,
        bytes: &mut Bytes<'_>,
        known: &mut Known,
        venue: &Paused,
    ) -> Vec<u8> {
        let now = venue.now;
        if matches!(what, 0 | 1) {
            self.wanted = None;
        }
        match what {
            // Anything, and a message of any kind: its type and its fields with bars.
            0 => bytes.some().to_vec(),
            1 => {
                let line = bytes.some();
                let at = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
                let msg_type = &line[..at];
                let fields = bars(line.get(at + 1..).unwrap_or_default());
                if msg_type.is_empty() || msg_type.contains(&1) {
                    return Vec::new();
                }
                self.message(msg_type, known, now, |message| _ = message.fields(&fields))
            }
            2 => self.logon(bytes.one().unwrap_or(0), known, now),
            3 => self.order(bytes, known, now),
            4 => self.change(bytes, known, now),
            5 => {
                let (first, last) = (bytes.one().unwrap_or(0), bytes.one().unwrap_or(0));
                self.wants_again(first.into(), last.into(), known);
                self.message(b"2", known, now, |message| {
                    message.number(7, first.into()).number(16, last.into());
                })
            }
            // What keeps a session going, or ends it.
            _ => {
                let (how, number) = (bytes.one().unwrap_or(0), bytes.one().unwrap_or(0));
                if how & 7 > 2 {
                    self.wanted = None;
                }
                match how & 7 {
                    0 => self.message(b"0", known, now, |_| {}),
                    1 | 2 => self.message(b"1", known, now, |message| _ = message.number(112, number.into())),
                    3 => self.message(b"5", known, now, |_| {}),
                    4 => self.message(b"4", known, now, |message| {
                        message.letter(123, b'Y').number(36, number.into());
                    }),
                    5 => self.message(b"4", known, now, |message| _ = message.number(36, number.into())),
                    // A number is left out, or comes again.
                    6 => {
                        *known.sent.entry(self.line.session).or_default() += 1;
                        self.message(b"0", known, now, |_| {})
                    }
                    _ => {
                        let sent = known.sent.entry(self.line.session).or_default();
                        *sent = sent.saturating_sub(1);
                        self.message(b"0", known, now, |message| {
                            message.letter(43, b'Y').time(122, now);
                        })
                    }
                }
            }
        }
    }

    fn say(&mut self, bytes: &[u8], _: &Paused) {
        self.line.say(bytes);
    }

    fn hear(&mut self, known: &mut Known, venue: &Paused) {
        self.line.take();
        let inbox = std::mem::take(&mut self.line.inbox);
        let mut checker = std::mem::take(&mut self.checker);
        let mut used = 0;
        loop {
            match frame(&inbox[used..], MESSAGE_MAX).expect("messages") {
                Frame::Incomplete => break,
                Frame::Garbled(_) => panic!("it says {}", String::from_utf8_lossy(&inbox[used..])),
                Frame::Message(message, length) => {
                    used += length;
                    assert_eq!(message.begin_string, self.dictionary.begin_string.as_bytes());
                    match checker.check(self.dictionary, &message) {
                        Ok(message_is) => {
                            self.told(message.msg_type, &message_is, message.fields, known, venue);
                        }
                        Err(fault) => panic!("{fault:?} in {}", String::from_utf8_lossy(message.fields)),
                    }
                }
            }
        }
        self.checker = checker;
        self.line.inbox.extend_from_slice(&inbox[used..]);
    }

    fn has_all(&self, venue: &Paused, sessions: &Sessions) -> bool {
        let (Some(next), Some(session)) = (self.next, self.line.session) else { return true };
        let last = venue.last_number(session);
        let next_in = sessions.get(session).and_then(|session| session.fix()).map_or(0, FixState::next_in);
        let misses = |(number, wanted): &(u64, BTreeSet<u64>)| *number < next_in && !wanted.is_empty();
        self.bases.iter().any(|base| base + next > last) && !self.wanted.iter().flatten().any(misses)
    }
}

impl Fix {
    fn user(&self) -> &'static str {
        self.line.session.map_or(USERS[0], |session| USERS[session.0 as usize])
    }

    /// It is going to ask for these again.
    fn wants_again(&mut self, first: u64, last: u64, known: &Known) {
        let told = self.next.map_or(0, |next| next - 1);
        let last = if last == 0 { told } else { last.min(told) };
        let number = known.sent.get(&self.line.session).map_or(1, |sent| sent + 1);
        if let Some(wanted) = &mut self.wanted
            && first > 0
        {
            wanted.push((number, (first..=last).collect()));
        }
    }

    /// The session's next message.
    fn message(
        &self,
        msg_type: &[u8],
        known: &mut Known,
        now: Nanos,
        body: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Vec<u8> {
        let sent = known.sent.entry(self.line.session).or_default();
        *sent += 1;
        let mut writer = Writer::new(TimePrecision::Millis);
        let mut out = Vec::new();
        let mut message = writer.begin(&mut out, self.dictionary.begin_string.as_bytes(), msg_type);
        message.number(34, *sent).text(49, self.user().as_bytes()).time(52, now).text(56, COMP_ID.as_bytes());
        body(&mut message);
        message.end();
        out
    }

    /// `how` says by which of the users, in which version, and what it asks for.
    fn logon(&mut self, how: u8, known: &mut Known, now: Nanos) -> Vec<u8> {
        if self.line.session.is_none() {
            self.line.session = Some(SessionId(u32::from(how & 1)));
            self.dictionary = if how & 2 == 0 { &FIX44 } else { &FIX50SP2 };
        }
        let resets = how & 4 != 0;
        if resets {
            known.sent.insert(self.line.session, 0);
        }
        let next = self.next.unwrap_or(1) + u64::from(how >> 5);
        let is_fixt = self.dictionary.begin_string == FIX50SP2.begin_string;
        self.message(b"A", known, now, |message| {
            message.number(98, 0).number(108, 30);
            if resets {
                message.letter(141, b'Y');
            }
            message.text(554, PASSWORD.as_bytes());
            if how & 8 != 0 {
                message.number(789, next);
            }
            if is_fixt {
                message.number(1137, 9);
            }
        })
    }

    /// An order, made of a few bytes.
    fn order(&self, bytes: &mut Bytes<'_>, known: &mut Known, now: Nanos) -> Vec<u8> {
        let (how, price, quantity) =
            (bytes.one().unwrap_or(0), bytes.one().unwrap_or(50), bytes.one().unwrap_or(1));
        // Options, as they are written.
        let options = bars(if how & 8 == 0 { b"" } else { bytes.some() });
        let name = name(known.reference(self.line.session));
        self.message(b"D", known, now, |message| {
            message.text(11, &name).text(55, symbol(how)).letter(54, side(how)).time(60, now);
            message.number(38, quantity.into());
            if how & 4 == 0 {
                message.letter(40, b'2').decimal(44, 100 * i64::from(price));
            } else {
                message.letter(40, b'1');
            }
            message.letter(59, [b'0', b'1', b'3', b'4'][usize::from(how >> 6)]);
            message.fields(&options);
        })
    }

    /// Something that is asked of an order, or of all.
    fn change(&self, bytes: &mut Bytes<'_>, known: &mut Known, now: Nanos) -> Vec<u8> {
        let (how, back, quantity) =
            (bytes.one().unwrap_or(0), bytes.one().unwrap_or(0), bytes.one().unwrap_or(0));
        let reference = known.reference(self.line.session);
        let (name, of) = (name(reference), name(reference.saturating_sub(u32::from(back))));
        let (symbol, side) = (symbol(how), side(how));
        match how >> 5 {
            0 | 1 => self.message(b"F", known, now, |message| {
                message.text(11, &name).text(41, &of).text(55, symbol).letter(54, side).time(60, now);
                message.number(38, quantity.into());
            }),
            2 | 3 => self.message(b"G", known, now, |message| {
                message.text(11, &name).text(41, &of).text(55, symbol).letter(54, side).time(60, now);
                message.number(38, quantity.into()).letter(40, b'2').decimal(44, 100 * i64::from(back) + 100);
            }),
            4 => self.message(b"q", known, now, |message| {
                message.text(11, &name).letter(530, if how & 4 == 0 { b'7' } else { b'1' });
                message.text(55, symbol).time(60, now);
            }),
            5 => self.message(b"H", known, now, |message| {
                message.text(11, &of).text(55, symbol).letter(54, side);
            }),
            6 => self.message(b"AF", known, now, |message| {
                message.text(584, &name).letter(585, if how & 4 == 0 { b'7' } else { b'1' }).text(55, symbol);
            }),
            _ => self.message(b"x", known, now, |message| _ = message.text(320, &name).letter(559, b'4')),
        }
    }

    /// A message comes.
    fn told(
        &mut self,
        msg_type: &[u8],
        message: &Checked<'_, '_>,
        fields: &[u8],
        known: &mut Known,
        venue: &Paused,
    ) {
        // Whoever made up a logon of bytes is not looked at.
        let Some(session) = self.line.session else { return };
        let said = || String::from_utf8_lossy(fields).replace('\x01', "|");
        let number = message.int(34).and_then(|number| u64::try_from(number).ok()).expect("a number");
        let is_again = message.get(43) == Some(b"Y");
        let mut last = number;
        // Whoever proves who it is and asks for what cannot be is told so, in the session's next message.
        if msg_type == b"A" || (msg_type == b"5" && self.next.is_none()) {
            let resets = message.get(141) == Some(b"Y");
            assert!(!resets || number == 1, "{}", said());
            assert!(resets || self.next.is_none(), "a second answer to a logon: {}", said());
            self.bases = bases(session, venue);
            self.wanted.iter_mut().for_each(Vec::clear);
            self.next = Some(number + 1);
        } else {
            let next = self.next.unwrap_or_else(|| panic!("before it is let in: {}", said()));
            if msg_type == b"4" {
                assert_eq!(message.get(123), Some(&b"Y"[..]), "{}", said());
                let new = message.int(36).and_then(|new| u64::try_from(new).ok()).expect("a number");
                assert!(new > number, "{}", said());
                last = new - 1;
            }
            if is_again {
                assert!(last < next, "what has not been said is said again: {}", said());
                for (_, wanted) in self.wanted.iter_mut().flatten() {
                    wanted.retain(|wanted| !(number..=last).contains(wanted));
                }
            } else {
                assert_eq!(number, next, "{}", said());
                self.next = Some(last + 1);
            }
        }
        // It is what the log has there, wherever the numbers have begun, and nothing that the gate holds back.
        // Answers are said once: the log has their numbers only.
        let is_report = msg_type == b"9" || (msg_type == b"8" && message.get(150) != Some(b"I"));
        let fits = |base: &u64| {
            (number..=last).all(|number| {
                venue.place(session, base + number).is_some_and(|at| {
                    let is_said = matches!(venue.reports[at].kind, ReportKind::Said(_));
                    venue.may_tell(at) && (msg_type == b"4" || is_said != is_report)
                })
            })
        };
        self.bases.retain(fits);
        assert!(!self.bases.is_empty(), "not in the log, or before its gate: {}", said());
        if is_report && let [base] = self.bases[..] {
            // A trade's number has another tag in the other version.
            let same: Vec<u8> = Fields::new(fields)
                .filter(|field| !matches!(field.tag, 34 | 43 | 52 | 97 | 122 | 527 | 1003))
                .flat_map(|field| [field.tag.to_string().as_bytes(), b"=", field.value, b"|"].concat())
                .collect();
            known.tell(session, base + number, &same);
        }
    }
}

/// How many reports a session may have had before its numbers began.
fn bases(session: SessionId, venue: &Paused) -> Vec<u64> {
    let begins = venue.reports.iter().filter(|report| report.session == session).filter_map(|report| {
        let ReportKind::Said(said) = report.kind else { return None };
        match said.numbering {
            Numbering::GoesOn => None,
            Numbering::Resets => Some(report.number - 1),
            Numbering::RollsOver => Some(report.number),
        }
    });
    std::iter::once(0).chain(begins).collect()
}

fn name(reference: u32) -> Vec<u8> {
    format!("n{reference}").into_bytes()
}

fn symbol(how: u8) -> &'static [u8] {
    if how & 2 == 0 { b"A" } else { b"B" }
}

fn side(how: u8) -> u8 {
    if how & 1 == 0 { b'1' } else { b'2' }
}

/// Fields that are written with bars, with the character that ends them.
fn bars(text: &[u8]) -> Vec<u8> {
    let mut fields: Vec<u8> = text.iter().map(|&byte| if byte == b'|' { 1 } else { byte }).collect();
    if fields.last().is_some_and(|&last| last != 1) {
        fields.push(1);
    }
    fields
}
