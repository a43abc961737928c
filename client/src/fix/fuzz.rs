//! What the fuzzers run: any messages to an initiator, and whatever comes of it must be right.

use core::time::Duration;

use domain::{Nanos, Side};
use wire::{
    fix::{Checker, Fields, Frame, dictionary::Dictionary, frame, value},
    fuzz::sealed,
};

use super::{
    CancelReject, ExecutionReport, Memory, NewOrder, Request, Session, Settings, TimeInForce, Version,
};
use crate::User;

/// 2026-11-29 12:00 UTC.
const NOON: u64 = 1_795_953_600_000_000_000;

/// Takes `data` for lines: a message type, a space, and fields with bars for SOHs; an empty line is a second that passes; `!` is
/// an order of ours. Each is sealed as it should be, behind the answer to a logon. The session must say messages of its
/// dictionary only, new ones under numbers without a gap and old ones under numbers that it has used, and hand out messages in
/// their order, each once.
///
/// # Panics
/// When the session is wrong.
pub fn initiator(data: &[u8]) {
    let version =
        if data.first().is_some_and(|first| first % 2 == 0) { Version::Fix44 } else { Version::Fix50Sp2 };
    let dictionary = version.dictionary();
    let user = User { name: "C".into(), password: "secret".into() };
    let settings =
        Settings { version, heartbeat: 5, resend_within: Duration::from_secs(3), ..Settings::new(user, "V") };
    let mut now = Nanos(NOON);
    // Little enough that some orders are forgotten.
    let Ok(mut session) = Session::new(settings, Memory::new(500), now) else { return };
    let (mut out, mut next_out, mut handed_out) = (Vec::new(), 1, 0);
    session.logon(now, &mut out);
    said(&out, dictionary, &mut next_out);
    let answer = "A 49=V|56=C|34=1|52=20261129-12:00:00|98=0|108=5|";
    for line in std::iter::once(answer.as_bytes()).chain(data.split(|&byte| byte == b'\n')) {
        let mut out = Vec::new();
        let before = session.next().0;
        let heard = match line {
            b"" => {
                now.0 += 1_000_000_000;
                session.tick(now, &mut out)
            }
            b"!" => {
                let order = NewOrder {
                    id: "A1",
                    symbol: "X",
                    side: Side::Buy,
                    quantity: 1,
                    limit_e4: Some(10_000),
                    time_in_force: TimeInForce::Day,
                    more: &[],
                };
                let request = Request::New(order);
                let sent =
                    session.send(request.msg_type(), now, &mut out, |message| request.write(now, message));
                assert_eq!(sent.is_ok(), session.may_send());
                Ok(())
            }
            _ => {
                let Some(raw) = sealed(line, dictionary.begin_string) else { continue };
                let Ok(Frame::Message(message, _)) = frame(&raw, raw.len()) else { continue };
                match session.hear(&message, now, &mut out) {
                    Ok(Some(incoming)) => {
                        assert!(incoming.number > handed_out, "{} again", incoming.number);
                        assert_eq!(session.next().0, incoming.number + 1);
                        handed_out = incoming.number;
                        let _ = ExecutionReport::read(incoming.body);
                        let _ = CancelReject::read(incoming.body);
                        Ok(())
                    }
                    Ok(None) => Ok(()),
                    Err(end) => Err(end),
                }
            }
        };
        while session.is_resending() {
            session.resend(now, &mut out);
        }
        assert!(session.next().0 >= before, "it expects what it has had");
        said(&out, dictionary, &mut next_out);
        assert_eq!(session.next().1, next_out);
        if heard.is_err() {
            return;
        }
    }
}

/// That `out` has messages of the dictionary, and that the new ones are numbered from `next` on, which it moves.
fn said(mut out: &[u8], dictionary: &'static Dictionary, next: &mut u64) {
    let mut checker = Checker::default();
    while let Ok(Frame::Message(message, length)) = frame(out, out.len().max(1)) {
        let tags = || Fields::new(message.fields).map(|field| field.tag).collect::<Vec<_>>();
        let checked =
            checker.check(dictionary, &message).unwrap_or_else(|fault| panic!("{fault:?} in {:?}", tags()));
        let number = checked.int(34).and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
        if checked.is_set(43) {
            assert!(0 < number && number < *next, "{number} again, of {next}");
            assert!(checked.get(122).and_then(value::utc_timestamp).is_some());
        } else {
            assert_eq!(number, *next, "in {:?}", tags());
            *next += 1;
        }
        out = &out[length..];
    }
    assert!(out.is_empty(), "half a message");
}
