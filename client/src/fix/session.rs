//! One FIX session as its initiator, without sockets and clocks.
//!
//! | comes | then |
//! |---|---|
//! | the answer to our Logon | the session is open; a ResendRequest if it is ahead of what we have |
//! | a number too high | passed over; one ResendRequest for all that is missing, which brings it again |
//! | a number too low | PossDup: passed over; else Logout, and the end |
//! | TestRequest | a Heartbeat |
//! | ResendRequest | what is kept and young enough once more, with PossDup; a gap fill for the rest |
//! | SequenceReset | the next number to come is another, never a lower one |
//! | Logout | ours, and the end |
//! | all else | handed to the caller, in the order of numbers, each once |
//!
//! Nothing is held back for a message that is missing, so that an acceptor cannot fill our memory. Source: FIX 4.4 volume 2,
//! FIXT 1.1.

use core::{fmt, time::Duration};

use domain::Nanos;
use wire::fix::{
    Field, Fields, Message, MessageWriter, TimePrecision, Writer,
    dictionary::{Dictionary, FIX44, FIX50SP2},
    value,
};

use super::{
    request::{Unsendable, sendable},
    store::Store,
};
use crate::User;

const SECOND: u64 = 1_000_000_000;
/// How long a Logon may wait for its answer.
const LOGON_PATIENCE: u64 = 10 * SECOND;
/// How long a Logout may.
const LOGOUT_PATIENCE: u64 = 5 * SECOND;
/// How long a gap may stay as it is before it is asked for again, and how often it is.
const GAP_PATIENCE: u64 = 5 * SECOND;
const GAP_TRIES: u32 = 3;
/// Bytes of resent messages that are written before the caller is asked for more room.
const RESEND_CHUNK: usize = 16 << 10;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// FIX.4.4
    Fix44,
    /// FIX 5.0 SP2 over FIXT.1.1
    Fix50Sp2,
}

impl Version {
    /// BeginString (8).
    #[must_use]
    pub const fn begin_string(self) -> &'static str {
        self.dictionary().begin_string
    }

    pub(super) const fn dictionary(self) -> &'static Dictionary {
        match self {
            Self::Fix44 => &FIX44,
            Self::Fix50Sp2 => &FIX50SP2,
        }
    }
}

/// Who a session is between, and how it behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which messages it speaks.
    pub version: Version,
    /// Who logs on: Username (553) and Password (554). An empty password is not sent.
    pub user: User,
    /// SenderCompID (49).
    pub sender: String,
    /// TargetCompID (56).
    pub target: String,
    /// HeartBtInt (108), in seconds. 0: no heartbeats.
    pub heartbeat: u32,
    /// Whether a Logon begins a new session, with both numbers at 1 (141=Y). What was not received of the old one is lost.
    pub reset: bool,
    /// How old an order may be to be sent again when the exchange asks for it; older ones are passed over, since a late order
    /// may do harm. 0: none is.
    pub resend_within: Duration,
    /// How finely times are written.
    pub precision: TimePrecision,
}

impl Settings {
    /// FIX 4.4, the user's name as the CompID, a heartbeat each 30 seconds, numbers that go on, orders of up to ten seconds sent
    /// again, milliseconds.
    #[must_use]
    pub fn new(user: User, target: &str) -> Self {
        Self {
            version: Version::Fix44,
            sender: user.name.clone(),
            user,
            target: target.to_owned(),
            heartbeat: 30,
            reset: false,
            resend_within: Duration::from_secs(10),
            precision: TimePrecision::Millis,
        }
    }
}

/// Why a connection ends: what is in the buffer is sent, then it is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The exchange said Logout.
    LoggedOut {
        /// Whether we did first.
        ours: bool,
        /// Why, in its words; empty if it did not say.
        text: String,
    },
    /// It did what it may not.
    Breach(String),
    /// It has said nothing for so long.
    Silent(Duration),
    /// It owes an answer.
    Unanswered(&'static str),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoggedOut { text, .. } if text.is_empty() => f.write_str("logged out"),
            Self::LoggedOut { text, .. } => write!(f, "logged out: {text}"),
            Self::Breach(what) => write!(f, "a breach of the protocol: {what}"),
            Self::Silent(silence) => write!(f, "nothing came for {} s", silence.as_secs()),
            Self::Unanswered(what) => write!(f, "no answer to {what}"),
        }
    }
}

impl core::error::Error for End {}

/// Nothing can be sent now: the session is not open, or is sending old messages again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotNow;

impl fmt::Display for NotNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session is not logged on, or is sending old messages again: try later")
    }
}

impl core::error::Error for NotNow {}

/// A message for the application, in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming<'m> {
    /// MsgType (35).
    pub msg_type: &'m [u8],
    /// MsgSeqNum (34). The next one that is handed out has a higher one.
    pub number: u64,
    /// PossDupFlag (43): it was sent before, and may have been under way when a connection was lost.
    pub is_again: bool,
    /// PossResend (97): it may have been said under another number.
    pub may_be_repeated: bool,
    /// The fields behind the header, each with its SOH.
    pub body: &'m [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was said on this connection.
    New,
    /// We have said Logon, then.
    LoggingOn(Nanos),
    Open,
    /// We have said Logout, then.
    Leaving(Nanos),
}

/// Numbers that are missing.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// The first, when it was last looked at.
    first: u64,
    /// The last one known.
    last: u64,
    since: Nanos,
    tries: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Session<S> {
    settings: Settings,
    store: S,
    state: State,
    writer: Writer,
    heard: Nanos,
    said: Nanos,
    /// A TestRequest has no answer yet.
    is_tested: bool,
    gap: Option<Gap>,
    /// Our messages that are asked for again: the next one, and the last.
    wanted: Option<(u64, u64)>,
}

/// What the session layer wants to know of a message.
#[derive(Clone, Copy, Debug, Default)]
struct Header<'m> {
    number: Option<u64>,
    sender: &'m [u8],
    target: &'m [u8],
    is_again: bool,
    may_be_repeated: bool,
    body: &'m [u8],
}

impl<'m> Header<'m> {
    #[inline]
    fn read(fields: &'m [u8]) -> Self {
        let mut header = Self::default();
        let mut rest = Fields::new(fields);
        loop {
            header.body = rest.rest();
            let Some(Field { tag, value, .. }) = rest.next() else { return header };
            match tag {
                34 => header.number = unsigned(value),
                43 => header.is_again = value == b"Y",
                49 => header.sender = value,
                56 => header.target = value,
                97 => header.may_be_repeated = value == b"Y",
                50 | 52 | 57 | 115 | 116 | 122 | 128 | 129 | 142..=145 | 347 | 369 | 1128 | 1129 | 1156 => {}
                _ => return header,
            }
        }
    }
}

#[inline]
fn unsigned(value: &[u8]) -> Option<u64> {
    value::int(value).and_then(|number| u64::try_from(number).ok())
}

/// A field of a body.
fn find(body: &[u8], tag: u32) -> Option<&[u8]> {
    Fields::new(body).find(|field| field.tag == tag).map(|field| field.value)
}

/// What a Logout or a Reject says, for people.
fn text(body: &[u8]) -> String {
    find(body, 58).map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
}

impl<S: Store> Session<S> {
    /// A connection on which nothing has been said, of the session that `store` knows.
    ///
    /// # Errors
    /// When the settings have something that no message can say.
    pub fn new(settings: Settings, store: S, now: Nanos) -> Result<Self, Unsendable> {
        sendable(49, &settings.sender)?;
        sendable(56, &settings.target)?;
        sendable(553, &settings.user.name)?;
        if !settings.user.password.is_empty() {
            sendable(554, &settings.user.password)?;
        }
        let writer = Writer::new(settings.precision);
        Ok(Self {
            settings,
            store,
            state: State::New,
            writer,
            heard: now,
            said: now,
            is_tested: false,
            gap: None,
            wanted: None,
        })
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The next number to come, and the next to be sent.
    #[must_use]
    pub fn next(&self) -> (u64, u64) {
        self.store.next()
    }

    /// What the next connection needs.
    #[must_use]
    pub fn into_store(self) -> S {
        self.store
    }

    /// Whether it is logged on, and nobody has said Logout.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether messages can be sent.
    #[must_use]
    pub fn may_send(&self) -> bool {
        self.is_open() && self.wanted.is_none()
    }

    /// Says Logon, as the first thing on a connection.
    pub fn logon(&mut self, now: Nanos, out: &mut Vec<u8>) {
        if self.state != State::New {
            return;
        }
        if self.settings.reset {
            self.store.reset();
        }
        self.state = State::LoggingOn(now);
        let (user, heartbeat, reset) =
            (self.settings.user.clone(), self.settings.heartbeat, self.settings.reset);
        let is_fixt = self.settings.version == Version::Fix50Sp2;
        self.say(b"A", now, out, |message| {
            message.number(98, 0).number(108, heartbeat.into());
            if reset {
                message.letter(141, b'Y');
            }
            message.text(553, user.name.as_bytes());
            if !user.password.is_empty() {
                message.text(554, user.password.as_bytes());
            }
            if is_fixt {
                message.letter(1137, b'9');
            }
        });
    }

    /// Says goodbye. The connection ends when the exchange has answered, or after a while.
    pub fn logout(&mut self, now: Nanos, out: &mut Vec<u8>) {
        if self.state == State::Open {
            self.wanted = None;
            self.say(b"5", now, out, |_| {});
            self.state = State::Leaving(now);
        }
    }

    /// Sends a message of the application under the next number, which it gives, and keeps it for when the exchange asks for it.
    /// `body` writes what stands behind the header.
    ///
    /// # Errors
    /// [`NotNow`].
    pub fn send(
        &mut self,
        msg_type: &[u8],
        now: Nanos,
        out: &mut Vec<u8>,
        body: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Result<u64, NotNow> {
        if !self.may_send() {
            return Err(NotNow);
        }
        let begin = out.len();
        let number = self.say(msg_type, now, out, body);
        if let Ok(wire::fix::Frame::Message(message, _)) = wire::fix::frame(&out[begin..], usize::MAX) {
            self.store.keep(number, now, msg_type, Header::read(message.fields).body);
        }
        Ok(number)
    }

    /// The number of a message that the caller writes itself, whole, before anything else is sent. It is not kept: if the
    /// exchange asks for it, it is passed over.
    ///
    /// # Errors
    /// [`NotNow`].
    #[inline]
    pub fn reserve(&mut self, now: Nanos) -> Result<u64, NotNow> {
        if !self.may_send() {
            return Err(NotNow);
        }
        Ok(self.count(now))
    }

    #[inline]
    fn count(&mut self, now: Nanos) -> u64 {
        let (next_in, number) = self.store.next();
        self.store.set_next((next_in, number + 1));
        self.said = now;
        number
    }

    fn say(
        &mut self,
        msg_type: &[u8],
        now: Nanos,
        out: &mut Vec<u8>,
        body: impl FnOnce(&mut MessageWriter<'_>),
    ) -> u64 {
        let number = self.count(now);
        let begin_string = self.settings.version.dictionary().begin_string.as_bytes();
        let mut message = self.writer.begin(out, begin_string, msg_type);
        message
            .number(34, number)
            .text(49, self.settings.sender.as_bytes())
            .time(52, now)
            .text(56, self.settings.target.as_bytes());
        body(&mut message);
        message.end();
        number
    }

    /// Hears a message. What must be answered is written to `out`; what is the application's is given back.
    ///
    /// # Errors
    /// Why the connection ends.
    #[inline]
    pub fn hear<'m>(
        &mut self,
        message: &Message<'m>,
        now: Nanos,
        out: &mut Vec<u8>,
    ) -> Result<Option<Incoming<'m>>, End> {
        self.heard = now;
        self.is_tested = false;
        let header = Header::read(message.fields);
        if message.begin_string != self.settings.version.dictionary().begin_string.as_bytes() {
            return Err(self.breach("another BeginString (8)".into(), now, out));
        }
        if header.sender != self.settings.target.as_bytes()
            || header.target != self.settings.sender.as_bytes()
        {
            return Err(self.breach("CompIDs (49, 56) are not those of this session".into(), now, out));
        }
        let Some(number) = header.number else {
            return Err(self.breach("no MsgSeqNum (34)".into(), now, out));
        };
        match (self.state, message.msg_type) {
            (State::New, _) => Err(End::Breach("a message before our Logon".into())),
            (State::LoggingOn(_), b"A") => self.logged_on(&header, number, now, out).map(|()| None),
            (_, b"5") => Err(self.logged_out(&header, number, now, out)),
            (State::LoggingOn(_), _) => Err(self.breach("the answer to our Logon is none".into(), now, out)),
            (_, b"A") => Err(self.breach("a Logon, and we are logged on".into(), now, out)),
            (_, b"2") => self.wants_again(&header, number, now, out).map(|()| None),
            (_, b"4") => self.reset(&header, number, now, out).map(|()| None),
            (_, msg_type) => {
                if !self.is_its_turn(&header, number, now, out)? {
                    return Ok(None);
                }
                self.come_to(number + 1);
                match msg_type {
                    b"0" => {}
                    b"1" => {
                        if let Some(id) = find(header.body, 112).filter(|id| !id.is_empty()) {
                            self.say(b"0", now, out, |message| _ = message.text(112, id));
                        }
                    }
                    _ => {
                        return Ok(Some(Incoming {
                            msg_type,
                            number,
                            is_again: header.is_again,
                            may_be_repeated: header.may_be_repeated,
                            body: header.body,
                        }));
                    }
                }
                Ok(None)
            }
        }
    }

    /// Whether this is the number that is expected. One that is too high is asked for again, with all before it.
    #[inline]
    fn is_its_turn(
        &mut self,
        header: &Header<'_>,
        number: u64,
        now: Nanos,
        out: &mut Vec<u8>,
    ) -> Result<bool, End> {
        let expected = self.store.next().0;
        if number == expected {
            return Ok(true);
        }
        if number > expected {
            self.misses(number, now, out);
        } else if !header.is_again {
            return Err(self.too_low(number, now, out));
        }
        Ok(false)
    }

    #[cold]
    fn too_low(&mut self, number: u64, now: Nanos, out: &mut Vec<u8>) -> End {
        let expected = self.store.next().0;
        self.breach(format!("MsgSeqNum too low, expecting {expected} but received {number}"), now, out)
    }

    /// All from the expected number to the one before this are missing.
    #[cold]
    fn misses(&mut self, number: u64, now: Nanos, out: &mut Vec<u8>) {
        match &mut self.gap {
            Some(gap) => gap.last = gap.last.max(number),
            None => self.ask(number, 1, now, out),
        }
    }

    /// Asks for all that is missing; `last`: the last number known.
    fn ask(&mut self, last: u64, tries: u32, now: Nanos, out: &mut Vec<u8>) {
        let first = self.store.next().0;
        self.gap = Some(Gap { first, last, since: now, tries });
        self.say(b"2", now, out, |message| _ = message.number(7, first).number(16, 0));
    }

    /// All below `next` have come, or never will.
    #[inline]
    fn come_to(&mut self, next: u64) {
        let (_, next_out) = self.store.next();
        self.store.set_next((next, next_out));
        if self.gap.is_some_and(|gap| gap.last < next) {
            self.gap = None;
        }
    }

    fn logged_on(
        &mut self,
        header: &Header<'_>,
        number: u64,
        now: Nanos,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        if find(header.body, 141) == Some(b"Y") && !self.settings.reset {
            return Err(self.breach("the exchange begins a new session, and we do not".into(), now, out));
        }
        if number < self.store.next().0 {
            return Err(self.too_low(number, now, out));
        }
        self.state = State::Open;
        if number == self.store.next().0 {
            self.come_to(number + 1);
        } else {
            self.misses(number, now, out);
        }
        Ok(())
    }

    /// The exchange says Logout.
    #[cold]
    fn logged_out(&mut self, header: &Header<'_>, number: u64, now: Nanos, out: &mut Vec<u8>) -> End {
        if number == self.store.next().0 {
            self.come_to(number + 1);
        }
        let ours = matches!(self.state, State::Leaving(_));
        if self.state == State::Open {
            self.say(b"5", now, out, |_| {});
        }
        self.state = State::New;
        End::LoggedOut { ours, text: text(header.body) }
    }

    /// The exchange lacks messages of ours.
    #[cold]
    fn wants_again(
        &mut self,
        header: &Header<'_>,
        number: u64,
        now: Nanos,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        // Whatever its number: both sides may be missing something, and wait for each other.
        let expected = self.store.next().0;
        if number == expected {
            self.come_to(number + 1);
        } else if number > expected {
            self.misses(number, now, out);
        } else if header.is_again {
            return Ok(());
        } else {
            return Err(self.too_low(number, now, out));
        }
        let (Some(first), Some(last)) =
            (find(header.body, 7).and_then(unsigned), find(header.body, 16).and_then(unsigned))
        else {
            return Err(self.breach("a ResendRequest without a range (7, 16)".into(), now, out));
        };
        let sent = self.store.next().1 - 1;
        let last = if last == 0 { sent } else { last.min(sent) };
        let first = first.max(1);
        if first <= last && self.state == State::Open {
            self.wanted = Some((first, last));
            self.resend(now, out);
        }
        Ok(())
    }

    /// Whether old messages are still to be sent again: [`resend`](Self::resend) does, some at a time.
    #[must_use]
    pub const fn is_resending(&self) -> bool {
        self.wanted.is_some()
    }

    /// Sends some of the messages that the exchange asked for again; to be called until [`is_resending`](Self::is_resending) says
    /// no, as far as there is room in `out`.
    pub fn resend(&mut self, now: Nanos, out: &mut Vec<u8>) {
        let begin = out.len();
        let young = u64::try_from(self.settings.resend_within.as_nanos()).unwrap_or(u64::MAX);
        while let Some((next, last)) = self.wanted {
            if out.len() - begin >= RESEND_CHUNK {
                return;
            }
            let mut from = next;
            let kept = loop {
                match self.store.kept(from).filter(|kept| kept.number <= last) {
                    Some(kept) if now.0.saturating_sub(kept.sent.0) > young || young == 0 => {
                        from = kept.number + 1;
                    }
                    kept => break kept,
                }
            };
            // What is passed over, then the message itself.
            let header = (&self.settings, &mut self.writer);
            let fill_to = kept.map_or(last + 1, |kept| kept.number);
            if fill_to > next {
                copy(header, b"4", (next, now), now, out, |message| {
                    message.number(36, fill_to).letter(123, b'Y');
                });
            }
            if let Some(kept) = kept {
                let header = (&self.settings, &mut self.writer);
                copy(header, kept.msg_type, (kept.number, kept.sent), now, out, |message| {
                    message.fields(kept.body);
                });
            }
            self.said = now;
            let next = kept.map_or(last, |kept| kept.number) + 1;
            self.wanted = (next <= last).then_some((next, last));
        }
    }

    /// The next number to come is another.
    #[cold]
    fn reset(&mut self, header: &Header<'_>, number: u64, now: Nanos, out: &mut Vec<u8>) -> Result<(), End> {
        let Some(next) = find(header.body, 36).and_then(unsigned) else {
            return Err(self.breach("a SequenceReset without NewSeqNo (36)".into(), now, out));
        };
        let fills_gap = find(header.body, 123) == Some(b"Y");
        if fills_gap && !self.is_its_turn(header, number, now, out)? {
            return Ok(());
        }
        let expected = self.store.next().0;
        if next < expected || (fills_gap && next == expected) {
            return Err(self.breach(format!("a SequenceReset back to {next} from {expected}"), now, out));
        }
        self.come_to(next);
        Ok(())
    }

    /// A Logout that says why, if anything can be said; the connection is to be closed behind it.
    #[cold]
    fn breach(&mut self, what: String, now: Nanos, out: &mut Vec<u8>) -> End {
        if matches!(self.state, State::Open | State::Leaving(_)) {
            self.say(b"5", now, out, |message| _ = message.text(58, what.as_bytes()));
        }
        self.state = State::New;
        End::Breach(what)
    }

    /// What time brings: heartbeats, tests, deadlines, gaps that nobody fills. To be called some times a second.
    ///
    /// # Errors
    /// The deadline that has passed.
    pub fn tick(&mut self, now: Nanos, out: &mut Vec<u8>) -> Result<(), End> {
        let since = |then: Nanos| now.0.saturating_sub(then.0);
        match self.state {
            State::LoggingOn(then) if since(then) > LOGON_PATIENCE => {
                return Err(End::Unanswered("its Logon"));
            }
            State::Leaving(then) if since(then) > LOGOUT_PATIENCE => {
                return Err(End::Unanswered("its Logout"));
            }
            State::Open => {}
            _ => return Ok(()),
        }
        let heartbeat = u64::from(self.settings.heartbeat) * SECOND;
        if heartbeat > 0 {
            let silence = since(self.heard);
            // Twice the interval and a fifth each time, for what is under way.
            if silence >= heartbeat / 5 * 12 {
                return Err(End::Silent(Duration::from_nanos(silence)));
            }
            if !self.is_tested && silence >= heartbeat / 5 * 6 {
                self.is_tested = true;
                self.say(b"1", now, out, |message| _ = message.text(112, b"TEST"));
            } else if since(self.said) >= heartbeat {
                self.say(b"0", now, out, |_| {});
            }
        }
        let expected = self.store.next().0;
        match &mut self.gap {
            Some(gap) if gap.first < expected => {
                (gap.first, gap.since, gap.tries) = (expected, now, 1);
            }
            Some(gap) if since(gap.since) >= GAP_PATIENCE => {
                let Gap { last, tries, .. } = *gap;
                if tries >= GAP_TRIES {
                    return Err(self.breach(format!("message {expected} does not come"), now, out));
                }
                self.ask(last, tries + 1, now, out);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Writes a message that has been sent, or was passed over, then.
fn copy(
    (settings, writer): (&Settings, &mut Writer),
    msg_type: &[u8],
    (number, then): (u64, Nanos),
    now: Nanos,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut MessageWriter<'_>),
) {
    let begin_string = settings.version.dictionary().begin_string.as_bytes();
    let mut message = writer.begin(out, begin_string, msg_type);
    message.number(34, number).letter(43, b'Y').text(49, settings.sender.as_bytes()).time(52, now);
    message.text(56, settings.target.as_bytes()).time(122, then);
    body(&mut message);
    message.end();
}

#[cfg(test)]
mod tests;
