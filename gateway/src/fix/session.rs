//! One FIX session as its acceptor.
//!
//! | comes | first of all | then |
//! |---|---|---|
//! | anything | BeginString and CompIDs as at the logon, the dictionary's checks, SendingTime, MsgSeqNum | below |
//! | Logon | the application lets it in, or the connection is closed, mostly without a word | Logon; a ResendRequest if it is ahead |
//! | a number too high | waits ([`Early`]); one ResendRequest for all that is missing | its turn comes |
//! | a number too low | PossDup: ignored | else Logout, and the connection is closed |
//! | ResendRequest | whatever its number | the caller is told the range |
//! | an application's message | its number is as expected | the application takes it, or refuses it |
//!
//! Numbers are counted here and kept by whoever drives this. Source: FIX 4.4 volume 2, FIXT 1.1, and the FIX session test
//! cases 1 to 20, after which the tests are named.

use domain::Nanos;
use wire::fix::{
    Checked, Checker, Fault, Fields, Message, MessageWriter, Named, RejectReason, TimePrecision, Writer,
    dictionary::{Dictionary, From as Said},
    value,
};

use super::heard::Early;

/// How far a SendingTime may be from the clock here.
const TIME_TOLERANCE: u64 = 120 * SECOND;
/// How long a connection may take to log in, and a Logout to be answered.
const LOGON_PATIENCE: u64 = 10 * SECOND;
const LOGOUT_PATIENCE: u64 = 2 * SECOND;
const SECOND: u64 = 1_000_000_000;

/// Who talks to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The venue: what a client says in TargetCompID.
    pub ours: Vec<u8>,
    /// The client: what it says in SenderCompID.
    pub theirs: Vec<u8>,
}

/// What a session is driven with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The lowest and the highest HeartBtInt, in seconds.
    pub heartbeat: (u32, u32),
    /// How finely times are written.
    pub precision: TimePrecision,
}

/// What the application says of a logon.
#[derive(Clone, Debug)]
pub struct Logon {
    /// Who this is.
    pub identity: Identity,
    /// The next number to come, and the next to be sent.
    pub next: (u64, u64),
}

/// The application does not let a logon in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It does not want it: the connection is closed without a word, so that nobody learns why.
    No,
    /// It is who it says, but may not log on like that: it is told why, in a Logout.
    Because(&'static str),
    /// It cannot say yet: the message is to be heard again.
    Later,
}

/// What the application made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It has been dealt with.
    Yes,
    /// A BusinessMessageReject with this reason (380) and text.
    No {
        /// BusinessRejectReason.
        reason: u8,
        /// For people; printable.
        text: &'static str,
    },
    /// A Reject: a field has a value that the venue does not take.
    Reject(RejectReason, u16),
    /// There is no room for it now: the message is to be heard again.
    Later,
}

/// Whom a session serves.
pub trait Application {
    /// Somebody wants in. `is_reset`: with both numbers at 1.
    ///
    /// # Errors
    /// When not.
    fn logon(&mut self, logon: &Checked<'_, '_>, is_reset: bool) -> Result<Logon, Refused>;

    /// A message of a client, in its turn. `is_again`: PossResend is set, the client may have said it under another number.
    fn message(&mut self, message: &Checked<'_, '_>, number: u64, is_again: bool) -> Taken;
}

/// Why a connection ends: what is in the buffer is sent, then it is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Close {
    /// No valid logon.
    NoLogon(&'static str),
    /// Both have said goodbye.
    LoggedOut,
    /// A breach of the protocol, which was said in a Logout.
    Breach(String),
    /// It is silent, or took too long for something.
    Silent(&'static str),
}

/// What is left to do for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Done,
    /// The client wants these numbers again, the first and the last: [`Session::resend`] and [`Session::fill_gap`].
    Resend(u64, u64),
    /// Nothing has been done: the message is to be heard again later.
    Later,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Expected,
    LoggedIn,
    /// We have said Logout, then.
    Leaving(Nanos),
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    dictionary: &'static Dictionary,
    settings: Settings,
    state: State,
    identity: Identity,
    writer: Writer,
    /// The next number to come.
    next_in: u64,
    /// The next to be sent.
    next_out: u64,
    heartbeat: u64,
    heard: Nanos,
    said: Nanos,
    /// A TestRequest has no answer yet.
    is_tested: bool,
    /// What was asked for again: from the first number that is missing up to the last one known to be.
    missing: Option<(u64, u64)>,
    early: Early,
    /// The ResendRequest that is being handed to the caller.
    wanted: Option<(u64, u64)>,
    /// The application wants the message again later.
    later: bool,
    /// The client tells the last number that it has dealt with (369), and wants to be told ours.
    says_last: bool,
}

/// Where a message's number stands to what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Now,
    High,
    /// And it is said to be a copy.
    LowAgain,
}

type Heard = Result<(), Close>;

impl Session {
    /// A connection on which nothing has been said. `dictionary`: of the version that the first BeginString asks for.
    #[must_use]
    pub fn new(dictionary: &'static Dictionary, settings: Settings, now: Nanos) -> Self {
        Self {
            dictionary,
            settings,
            state: State::Expected,
            identity: Identity { ours: Vec::new(), theirs: Vec::new() },
            writer: Writer::new(settings.precision),
            next_in: 1,
            next_out: 1,
            heartbeat: 0,
            heard: now,
            said: now,
            is_tested: false,
            missing: None,
            early: Early::default(),
            wanted: None,
            later: false,
            says_last: false,
        }
    }

    /// The dictionary of the version that is spoken.
    #[must_use]
    pub const fn dictionary(&self) -> &'static Dictionary {
        self.dictionary
    }

    /// The next number to come, and the next to be sent.
    #[must_use]
    pub const fn next(&self) -> (u64, u64) {
        (self.next_in, self.next_out)
    }

    /// Whether it is logged in, and has not said Logout.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::LoggedIn
    }

    /// Hears a message. `raw`: the message as it came, for when it must wait; what it says comes back in answers, so that it must
    /// be well shorter than [`BODY_MAX`](wire::fix::BODY_MAX), which whoever frames it bounds.
    ///
    /// # Errors
    /// Why the connection ends.
    pub fn hear(
        &mut self,
        message: &Message<'_>,
        raw: &[u8],
        now: Nanos,
        checker: &mut Checker,
        application: &mut impl Application,
        out: &mut Vec<u8>,
    ) -> Result<Verdict, Close> {
        self.heard = now;
        self.is_tested = false;
        self.one(message, Some(raw), now, checker, application, out)?;
        Ok(self.verdict())
    }

    /// Hears the next message that came too early, if its turn has come. To be called until there is none. A message to be
    /// heard again later stays where it is.
    ///
    /// # Errors
    /// Why the connection ends.
    pub fn hear_early(
        &mut self,
        now: Nanos,
        checker: &mut Checker,
        application: &mut impl Application,
        out: &mut Vec<u8>,
    ) -> Result<Option<Verdict>, Close> {
        let number = self.next_in;
        let Some(raw) = self.early.take(number) else { return Ok(None) };
        let Ok(wire::fix::Frame::Message(message, _)) = wire::fix::frame(&raw, raw.len()) else {
            return Ok(None);
        };
        self.one(&message, None, now, checker, application, out)?;
        let verdict = self.verdict();
        if verdict == Verdict::Later {
            self.early.keep(number, &raw);
        }
        Ok(Some(verdict))
    }

    /// Whether a message that came too early has its turn now.
    #[must_use]
    pub fn has_early(&self) -> bool {
        self.early.has(self.next_in)
    }

    fn verdict(&mut self) -> Verdict {
        if std::mem::take(&mut self.later) {
            return Verdict::Later;
        }
        self.wanted.take().map_or(Verdict::Done, |(first, last)| Verdict::Resend(first, last))
    }

    /// Whether nothing has been heard for longer than a client may be silent without being asked.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.is_tested
    }

    /// The next number to be sent is this: others than the session have sent under those before.
    pub fn go_on_at(&mut self, next_out: u64) {
        self.next_out = next_out;
    }

    /// One message; `raw` is `None` for one that has waited.
    fn one(
        &mut self,
        message: &Message<'_>,
        raw: Option<&[u8]>,
        now: Nanos,
        checker: &mut Checker,
        application: &mut impl Application,
        out: &mut Vec<u8>,
    ) -> Heard {
        if message.begin_string != self.dictionary.begin_string.as_bytes() {
            return Err(self.breach("Incorrect BeginString".into(), now, out));
        }
        let logon = message.msg_type == b"A";
        if self.state == State::Expected && !logon {
            return Err(Close::NoLogon("the first message is no Logon"));
        }
        let checked = match checker.check(self.dictionary, message) {
            Ok(checked) => checked,
            Err(_) if self.state == State::Expected => {
                return Err(Close::NoLogon("the Logon is not as it must be"));
            }
            Err(fault) => {
                self.reject(message, &fault, now, out);
                return Ok(());
            }
        };
        if logon {
            return self.logon(&checked, now, application, out);
        }
        let (sender, target) = (checked.get(49), checked.get(56));
        if sender != Some(&self.identity.theirs) || target != Some(&self.identity.ours) {
            return Err(self.rejected(message, RejectReason::CompIdProblem, now, out));
        }
        let sent = checked.get(52).and_then(value::utc_timestamp).unwrap_or_default();
        if sent.0.abs_diff(now.0) > TIME_TOLERANCE && raw.is_some() {
            return Err(self.rejected(message, RejectReason::SendingTimeProblem, now, out));
        }
        self.of_type(&checked, raw, now, application, out)
    }

    fn of_type(
        &mut self,
        checked: &Checked<'_, '_>,
        raw: Option<&[u8]>,
        now: Nanos,
        application: &mut impl Application,
        out: &mut Vec<u8>,
    ) -> Heard {
        let message = *checked.message();
        let number = unsigned(checked, 34);
        match message.msg_type {
            // Whatever its number: both sides may be missing something, and wait for each other.
            b"2" => {
                if number == self.next_in {
                    self.pass();
                }
                let (first, last) = (unsigned(checked, 7).max(1), unsigned(checked, 16));
                let sent = self.next_out - 1;
                let last = if last == 0 { sent } else { last.min(sent) };
                if first <= last {
                    self.wanted = Some((first, last));
                }
                Ok(())
            }
            b"5" => {
                if number == self.next_in {
                    self.pass();
                }
                if self.state == State::LoggedIn {
                    self.send(b"5", now, out, |_| {});
                }
                Err(Close::LoggedOut)
            }
            b"4" => self.reset(checked, number, raw, now, out),
            _ => {
                if !self.is_its_turn(checked, number, raw, now, out)? {
                    return Ok(());
                }
                match message.msg_type {
                    b"0" | b"3" => {}
                    b"1" => {
                        let id = checked.get(112).unwrap_or_default();
                        self.send(b"0", now, out, |message| _ = message.text(112, id));
                    }
                    _ => self.application(checked, number, now, application, out),
                }
                if !self.later {
                    self.pass();
                }
                Ok(())
            }
        }
    }

    /// A message of the application, in its turn.
    fn application(
        &mut self,
        checked: &Checked<'_, '_>,
        number: u64,
        now: Nanos,
        application: &mut impl Application,
        out: &mut Vec<u8>,
    ) {
        let taken = if checked.def.is_some_and(|def| def.from != Said::Venue) {
            application.message(checked, number, checked.is_set(97))
        } else {
            Taken::No { reason: 3, text: "Unsupported Message Type" }
        };
        match taken {
            Taken::Yes => {}
            Taken::Later => self.later = true,
            Taken::Reject(reason, tag) => {
                self.reject_with(checked.message(), reason, Named::Tag(tag), now, out);
            }
            Taken::No { reason, text } => {
                let msg_type = checked.message().msg_type;
                self.send(b"j", now, out, |message| {
                    message
                        .number(45, number)
                        .text(58, text.as_bytes())
                        .text(372, msg_type)
                        .number(380, reason.into());
                });
            }
        }
    }

    /// Whether this is the message that is expected. One that is too early waits, one that is a copy is passed over.
    fn is_its_turn(
        &mut self,
        checked: &Checked<'_, '_>,
        number: u64,
        raw: Option<&[u8]>,
        now: Nanos,
        out: &mut Vec<u8>,
    ) -> Result<bool, Close> {
        let turn = self.turn(checked, number, now, out)?;
        if turn == Turn::High {
            self.wait(number, raw, now, out);
        }
        Ok(turn == Turn::Now)
    }

    /// Where a number stands.
    fn turn(
        &mut self,
        checked: &Checked<'_, '_>,
        number: u64,
        now: Nanos,
        out: &mut Vec<u8>,
    ) -> Result<Turn, Close> {
        let again = checked.is_set(43);
        if again {
            let Some(original) = checked.get(122) else {
                self.reject_with(
                    checked.message(),
                    RejectReason::RequiredTagMissing,
                    Named::Tag(122),
                    now,
                    out,
                );
                return Ok(Turn::LowAgain);
            };
            let times = [Some(original), checked.get(52)].map(|time| time.and_then(value::utc_timestamp));
            if times[0] > times[1] {
                let reason = RejectReason::SendingTimeProblem;
                return Err(self.rejected(checked.message(), reason, now, out));
            }
        }
        match number.cmp(&self.next_in) {
            core::cmp::Ordering::Equal => Ok(Turn::Now),
            core::cmp::Ordering::Greater => Ok(Turn::High),
            core::cmp::Ordering::Less if again => Ok(Turn::LowAgain),
            core::cmp::Ordering::Less => Err(self.too_low(number, now, out)),
        }
    }

    fn too_low(&mut self, number: u64, now: Nanos, out: &mut Vec<u8>) -> Close {
        let text = format!("MsgSeqNum too low, expecting {} but received {number}", self.next_in);
        self.breach(text, now, out)
    }

    /// One that is too early waits, and what is missing before it is asked for, once.
    fn wait(&mut self, number: u64, raw: Option<&[u8]>, now: Nanos, out: &mut Vec<u8>) {
        if let Some(raw) = raw {
            self.early.keep(number, raw);
        }
        if self.missing.is_none_or(|(first, _)| first < self.next_in && number > self.next_in) {
            self.ask_again(number, now, out);
        }
    }

    fn ask_again(&mut self, number: u64, now: Nanos, out: &mut Vec<u8>) {
        let first = self.next_in;
        self.missing = Some((first, number - 1));
        self.send(b"2", now, out, |message| _ = message.number(7, first).number(16, 0));
    }

    /// The number that was expected has come.
    fn pass(&mut self) {
        self.next_in += 1;
        self.come_to(self.next_in);
    }

    /// All below `next` have come, or never will.
    fn come_to(&mut self, next: u64) {
        self.next_in = next;
        if self.missing.is_some_and(|(_, last)| last < next) {
            self.missing = None;
        }
    }

    fn logon(
        &mut self,
        checked: &Checked<'_, '_>,
        now: Nanos,
        application: &mut impl Application,
        out: &mut Vec<u8>,
    ) -> Heard {
        let reset = checked.is_set(141);
        let number = unsigned(checked, 34);
        if self.state != State::Expected && !reset {
            return Err(self.breach("logged on already".into(), now, out));
        }
        let sent = checked.get(52).and_then(value::utc_timestamp).unwrap_or_default();
        if sent.0.abs_diff(now.0) > TIME_TOLERANCE {
            return Err(Close::NoLogon("its SendingTime is too far from the time here"));
        }
        let (least, most) = self.settings.heartbeat;
        let seconds = checked.int(108).and_then(|seconds| u32::try_from(seconds).ok());
        let seconds = seconds.filter(|seconds| (least..=most).contains(seconds));
        let again = self.state != State::Expected;
        if again
            && (checked.get(49) != Some(&self.identity.theirs)
                || checked.get(56) != Some(&self.identity.ours))
        {
            return Err(self.breach("CompID problem".into(), now, out));
        }
        let logon = match application.logon(checked, reset) {
            Ok(logon) => logon,
            Err(Refused::Later) => {
                self.later = true;
                return Ok(());
            }
            Err(Refused::No) => return Err(Close::NoLogon("the application does not let it in")),
            Err(Refused::Because(text)) => {
                let [ours, theirs] = [56, 49].map(|tag| checked.get(tag).unwrap_or_default().to_vec());
                self.identity = Identity { ours, theirs };
                return Err(self.breach(text.into(), now, out));
            }
        };
        self.identity = logon.identity;
        (self.next_in, self.next_out) = if reset { (1, 1) } else { logon.next };
        self.early.clear();
        self.missing = None;
        let Some(seconds) = seconds else {
            return Err(self.breach(
                format!("HeartBtInt (108) must be between {least} and {most}"),
                now,
                out,
            ));
        };
        if number < self.next_in {
            return Err(self.too_low(number, now, out));
        }
        // NextExpectedMsgSeqNum: each side says what it expects, and the other one sends that again without being asked.
        let expects = checked.int(789).and_then(|number| u64::try_from(number).ok());
        if expects.is_some_and(|expects| expects > self.next_out) && !reset {
            let text = format!("NextExpectedMsgSeqNum (789) too high, next is {}", self.next_out);
            return Err(self.breach(text, now, out));
        }
        let sent = self.next_out - 1;
        if let Some(expects) = expects.filter(|expects| *expects <= sent && !reset) {
            self.wanted = Some((expects.max(1), sent));
        }
        self.says_last = checked.get(369).is_some();
        let next_in = self.next_in + u64::from(number == self.next_in);
        self.heartbeat = u64::from(seconds) * SECOND;
        self.state = State::LoggedIn;
        let is_fixt = self.dictionary.begin_string.starts_with("FIXT");
        self.send(b"A", now, out, |message| {
            message.number(98, 0).number(108, seconds.into());
            if reset {
                message.letter(141, b'Y');
            }
            if expects.is_some() {
                message.number(789, next_in);
            }
            if is_fixt {
                message.letter(1137, b'9');
            }
        });
        if number == self.next_in {
            self.pass();
        } else if expects.is_some() {
            self.missing = Some((self.next_in, number - 1));
        } else {
            self.ask_again(number, now, out);
        }
        Ok(())
    }

    /// A SequenceReset.
    fn reset(
        &mut self,
        checked: &Checked<'_, '_>,
        number: u64,
        raw: Option<&[u8]>,
        now: Nanos,
        out: &mut Vec<u8>,
    ) -> Heard {
        let next = unsigned(checked, 36);
        let fills_gap = checked.is_set(123);
        if fills_gap && !self.is_its_turn(checked, number, raw, now, out)? {
            return Ok(());
        }
        if next < self.next_in || (fills_gap && next == self.next_in) {
            // Backwards: it is not said which field, as the test cases have it, and its number is not used up.
            self.reject_with(checked.message(), RejectReason::ValueIncorrect, Named::Nothing, now, out);
        } else {
            self.come_to(next);
        }
        Ok(())
    }

    /// Rejects a message for a fault; its number is used up if it was its turn.
    fn reject(&mut self, message: &Message<'_>, fault: &Fault<'_>, now: Nanos, out: &mut Vec<u8>) {
        let number = self.reject_with(message, fault.reason, fault.field, now, out);
        if number == Some(self.next_in) && message.msg_type != b"4" {
            self.pass();
        }
    }

    /// Says that a message is rejected. Gives its number.
    fn reject_with(
        &mut self,
        message: &Message<'_>,
        reason: RejectReason,
        field: Named<'_>,
        now: Nanos,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        // It may be wrong in any way, so that its header is read anew. Answers go back the way it came.
        const BACK: [(u32, u32); 6] =
            [(115, 128), (116, 129), (144, 145), (128, 115), (129, 116), (145, 144)];
        let mut number = None;
        let mut back: Vec<(u32, &[u8])> = Vec::new();
        for field in Fields::new(message.fields) {
            match field.tag {
                34 => number = value::int(field.value).and_then(|number| u64::try_from(number).ok()),
                tag => {
                    if let Some((_, to)) = BACK.iter().find(|(from, _)| *from == tag)
                        && !field.value.is_empty()
                        && back.iter().all(|(there, _)| there != to)
                    {
                        back.push((*to, field.value));
                    }
                }
            }
        }
        self.send_with(b"3", now, out, &back, |reject| {
            reject.number(45, number.unwrap_or(0)).text(58, reason.text().as_bytes());
            match field {
                Named::Tag(tag) => _ = reject.number(371, tag.into()),
                // RefTagID is a number: what is none cannot be named.
                Named::Text(text) if value::int(text).is_some() => _ = reject.text(371, text),
                Named::Nothing | Named::Text(_) => {}
            }
            reject.text(372, message.msg_type).number(373, reason as u64);
        });
        number
    }

    /// A Logout that says why; the connection is to be closed behind it.
    fn breach(&mut self, text: String, now: Nanos, out: &mut Vec<u8>) -> Close {
        if self.identity.theirs.is_empty() {
            return Close::NoLogon("a breach of the protocol before the logon");
        }
        self.send(b"5", now, out, |message| _ = message.text(58, text.as_bytes()));
        Close::Breach(text)
    }

    /// A Reject, and a Logout behind it; the connection is to be closed.
    fn rejected(
        &mut self,
        message: &Message<'_>,
        reason: RejectReason,
        now: Nanos,
        out: &mut Vec<u8>,
    ) -> Close {
        self.reject_with(message, reason, Named::Nothing, now, out);
        self.send(b"5", now, out, |_| {});
        Close::Breach(reason.text().into())
    }

    /// Says goodbye first. The connection ends when the client has answered, or after a while.
    pub fn leave(&mut self, text: &str, now: Nanos, out: &mut Vec<u8>) {
        if self.state == State::LoggedIn {
            self.send(b"5", now, out, |message| _ = message.text(58, text.as_bytes()));
            self.state = State::Leaving(now);
        }
    }

    /// What time brings: heartbeats, tests, deadlines. To be called some times a second.
    ///
    /// # Errors
    /// The deadline that has passed.
    pub fn tick(&mut self, now: Nanos, out: &mut Vec<u8>) -> Heard {
        let since = |then: Nanos| now.0.saturating_sub(then.0);
        match self.state {
            State::Expected if since(self.heard) > LOGON_PATIENCE => {
                return Err(Close::NoLogon("no Logon in time"));
            }
            State::Leaving(then) if since(then) > LOGOUT_PATIENCE => {
                return Err(Close::Silent("a Logout was not answered"));
            }
            State::LoggedIn if self.heartbeat > 0 => {
                let silent = since(self.heard);
                // Twice the interval and a fifth each time, for what is under way.
                if silent >= self.heartbeat / 5 * 12 {
                    return Err(Close::Silent("nothing came, not even an answer to a TestRequest"));
                }
                if !self.is_tested && silent >= self.heartbeat / 5 * 6 {
                    self.is_tested = true;
                    self.send(b"1", now, out, |message| _ = message.text(112, b"TEST"));
                } else if !self.is_tested && since(self.said) >= self.heartbeat {
                    // Whoever owes an answer to a test is told nothing else.
                    self.send(b"0", now, out, |_| {});
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Sends a message under the next number, which it gives.
    pub fn send(
        &mut self,
        msg_type: &[u8],
        now: Nanos,
        out: &mut Vec<u8>,
        body: impl FnOnce(&mut MessageWriter<'_>),
    ) -> u64 {
        self.send_with(msg_type, now, out, &[], body)
    }

    fn send_with(
        &mut self,
        msg_type: &[u8],
        now: Nanos,
        out: &mut Vec<u8>,
        header: &[(u32, &[u8])],
        body: impl FnOnce(&mut MessageWriter<'_>),
    ) -> u64 {
        let number = self.next_out;
        self.next_out += 1;
        self.said = now;
        let mut message = self.writer.begin(out, self.dictionary.begin_string.as_bytes(), msg_type);
        message
            .number(34, number)
            .text(49, &self.identity.ours)
            .time(52, now)
            .text(56, &self.identity.theirs);
        for (tag, value) in header {
            message.text(*tag, value);
        }
        if self.says_last {
            message.number(369, self.next_in - 1);
        }
        body(&mut message);
        message.end();
        number
    }

    /// Sends a message again that was sent under this number then.
    pub fn resend(
        &mut self,
        msg_type: &[u8],
        (number, then): (u64, Nanos),
        now: Nanos,
        out: &mut Vec<u8>,
        body: impl FnOnce(&mut MessageWriter<'_>),
    ) {
        self.copy(msg_type, (number, then), now, out, body);
    }

    /// Sends a message that has a number, and has not been sent.
    pub fn send_as(
        &mut self,
        msg_type: &[u8],
        number: u64,
        now: Nanos,
        out: &mut Vec<u8>,
        body: impl FnOnce(&mut MessageWriter<'_>),
    ) {
        self.said = now;
        let mut message = self.writer.begin(out, self.dictionary.begin_string.as_bytes(), msg_type);
        message
            .number(34, number)
            .text(49, &self.identity.ours)
            .time(52, now)
            .text(56, &self.identity.theirs);
        body(&mut message);
        message.end();
    }

    /// Says that what has these numbers, and has not been sent, will not be: from `number` up to the one before `next`.
    pub fn pass_over(&mut self, number: u64, next: u64, now: Nanos, out: &mut Vec<u8>) {
        self.send_as(b"4", number, now, out, |message| _ = message.number(36, next).letter(123, b'Y'));
    }

    /// Says that there is nothing to be sent again from this number up to the one before `next`.
    pub fn fill_gap(&mut self, number: u64, next: u64, now: Nanos, out: &mut Vec<u8>) {
        self.copy(b"4", (number, now), now, out, |message| _ = message.number(36, next).letter(123, b'Y'));
    }

    fn copy(
        &mut self,
        msg_type: &[u8],
        (number, then): (u64, Nanos),
        now: Nanos,
        out: &mut Vec<u8>,
        body: impl FnOnce(&mut MessageWriter<'_>),
    ) {
        self.said = now;
        let mut message = self.writer.begin(out, self.dictionary.begin_string.as_bytes(), msg_type);
        message.number(34, number).letter(43, b'Y').text(49, &self.identity.ours).time(52, now);
        message.text(56, &self.identity.theirs).time(122, then);
        body(&mut message);
        message.end();
    }
}

/// A number that the dictionary's checks have found to be one; 0 if it is not there.
fn unsigned(checked: &Checked<'_, '_>, tag: u16) -> u64 {
    checked.int(tag).and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
