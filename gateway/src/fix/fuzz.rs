//! What the fuzzers run: any messages to a session, and whatever comes of it must be right.

use domain::Nanos;
use wire::{
    fix::{
        Checked, Checker, Fields, Frame, TimePrecision,
        dictionary::{Dictionary, FIX44, FIX50SP2},
        frame,
    },
    fuzz::sealed,
};

use super::{Application, Close, Identity, Logon, Refused, Session, Settings, Taken, Verdict};

/// 2026-11-29 12:00 UTC.
const NOON: u64 = 1_795_953_600_000_000_000;

struct Anyone;

impl Application for Anyone {
    fn logon(&mut self, logon: &Checked<'_, '_>, _: bool) -> Result<Logon, Refused> {
        let (ours, theirs) =
            (logon.get(56).ok_or(Refused::No)?.to_vec(), logon.get(49).ok_or(Refused::No)?.to_vec());
        Ok(Logon { identity: Identity { ours, theirs }, next: (1, 1) })
    }

    fn message(&mut self, message: &Checked<'_, '_>, _: u64, _: bool) -> Taken {
        if message.get(58).is_some() { Taken::No { reason: 0, text: "no" } } else { Taken::Yes }
    }
}

/// Takes `data` for lines: a message type, a space, and fields with bars for SOHs; an empty line is a second that passes.
/// Each is sealed as it should be, behind a logon. The session must say messages of its dictionary only, under numbers without
/// a gap, and keep to what it has said: the number that it expects goes back for a reset only.
///
/// # Panics
/// When the session is wrong.
pub fn session(data: &[u8]) {
    let dictionary: &'static Dictionary =
        if data.first().is_some_and(|first| first % 2 == 0) { &FIX44 } else { &FIX50SP2 };
    let settings = Settings { heartbeat: (1, 60), precision: TimePrecision::Millis };
    let mut now = Nanos(NOON);
    let mut session = Session::new(dictionary, settings, now);
    let (mut checker, mut next_out) = (Checker::default(), 1);
    let version = if dictionary.begin_string == FIX44.begin_string { "" } else { "1137=9|" };
    let logon = format!("A 49=C|56=V|34=1|52=20261129-12:00:00|98=0|108=5|{version}");
    for line in std::iter::once(logon.as_bytes()).chain(data.split(|&byte| byte == b'\n')) {
        let mut out = Vec::new();
        let before = session.next().0;
        let heard = if line.is_empty() {
            now.0 += 1_000_000_000;
            session.tick(now, &mut out).map(|()| Verdict::Done)
        } else {
            let Some(raw) = sealed(line, dictionary.begin_string) else { continue };
            let Ok(Frame::Message(message, _)) = frame(&raw, raw.len()) else { continue };
            let mut heard = session.hear(&message, &raw, now, &mut checker, &mut Anyone, &mut out);
            while heard.is_ok() {
                match session.hear_early(now, &mut checker, &mut Anyone, &mut out) {
                    Ok(None) => break,
                    Ok(Some(Verdict::Done)) => {}
                    Ok(Some(verdict)) => heard = Ok(verdict),
                    Err(close) => heard = Err(close),
                }
            }
            let is_reset = message.msg_type == b"A" && session.next().0 <= 2;
            assert!(session.next().0 >= before || is_reset, "it expects what it has had");
            if is_reset {
                next_out = session.next().1 - said(&out, dictionary, None);
            }
            heard
        };
        next_out += said(&out, dictionary, Some(next_out));
        match heard {
            Ok(Verdict::Done) => {}
            Ok(Verdict::Later) => panic!("nobody asked for that"),
            Ok(Verdict::Resend(first, last)) => {
                assert!(1 <= first && first <= last && last < session.next().1);
                let mut out = Vec::new();
                session.fill_gap(first, last + 1, now, &mut out);
                said(&out, dictionary, None);
            }
            Err(Close::Breach(text)) => {
                assert!(!text.is_empty() && !out.is_empty(), "cut off without a word");
                return;
            }
            Err(_) => return,
        }
    }
}

/// How many messages `out` has. Each is one of the dictionary's; with `first` they are numbered from there on.
fn said(mut out: &[u8], dictionary: &'static Dictionary, first: Option<u64>) -> u64 {
    let (mut many, mut checker) = (0, Checker::default());
    while let Ok(Frame::Message(message, length)) = frame(out, out.len().max(1)) {
        let checked = checker.check(dictionary, &message);
        let checked = checked.unwrap_or_else(|fault| {
            panic!(
                "{fault:?} in {:?}",
                Fields::new(message.fields).map(|field| field.tag).collect::<Vec<_>>()
            )
        });
        let number = checked.int(34).and_then(|number| u64::try_from(number).ok());
        assert!(
            first.is_none_or(|first| number == Some(first + many)),
            "{number:?} after {many} from {first:?}"
        );
        many += 1;
        out = &out[length..];
    }
    assert!(out.is_empty(), "half a message");
    many
}
