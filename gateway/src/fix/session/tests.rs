use wire::fix::{
    Frame,
    dictionary::{FIX44, FIX50SP2},
    frame,
};

use super::*;

/// 2026-11-29 12:00 UTC.
const NOON: u64 = 1_795_953_600 * SECOND;

/// Lets ALICE in, and takes whatever she says; refuses an order for NONE.
#[derive(Default)]
struct Desk {
    next: Option<(u64, u64)>,
    /// Message types and numbers, those said again in brackets.
    took: Vec<String>,
}

impl Application for Desk {
    fn logon(&mut self, logon: &Checked<'_, '_>, _: bool) -> Result<Logon, Refused> {
        let (ours, theirs) =
            (logon.get(56).ok_or(Refused::No)?.to_vec(), logon.get(49).ok_or(Refused::No)?.to_vec());
        if theirs != b"ALICE" || ours != b"EXCH" {
            return Err(Refused::No);
        }
        if logon.get(553) == Some(b"LATE") {
            return Err(Refused::Because("not now"));
        }
        Ok(Logon { identity: Identity { ours, theirs }, next: self.next.unwrap_or((1, 1)) })
    }

    fn message(&mut self, message: &Checked<'_, '_>, number: u64, is_again: bool) -> Taken {
        let said = format!("{}{number}", String::from_utf8_lossy(message.message().msg_type));
        self.took.push(if is_again { format!("({said})") } else { said });
        if message.get(55) == Some(b"NONE") {
            Taken::No { reason: 2, text: "no such symbol" }
        } else {
            Taken::Yes
        }
    }
}

/// A session and its client.
struct Line {
    session: Session,
    checker: Checker,
    desk: Desk,
    now: Nanos,
    begin_string: &'static str,
}

impl Line {
    fn new(dictionary: &'static Dictionary) -> Self {
        let settings = Settings { heartbeat: (1, 60), precision: TimePrecision::Seconds };
        let now = Nanos(NOON);
        Self {
            session: Session::new(dictionary, settings, now),
            checker: Checker::default(),
            desk: Desk::default(),
            now,
            begin_string: dictionary.begin_string,
        }
    }

    /// A session that is logged in.
    fn open() -> Self {
        let mut line = Self::new(&FIX44);
        assert_eq!(line.says("A", 1, "98=0|108=30|"), (vec!["A 1 98=0|108=30|".into()], Ok(Verdict::Done)));
        line
    }

    /// The client says a message, with its own name, now.
    fn says(&mut self, msg_type: &str, number: u64, body: &str) -> (Vec<String>, Result<Verdict, Close>) {
        self.says_all(msg_type, &format!("49=ALICE|56=EXCH|34={number}|52=20261129-12:00:00|{body}"))
    }

    /// The client says just this.
    fn says_all(&mut self, msg_type: &str, fields: &str) -> (Vec<String>, Result<Verdict, Close>) {
        let mut raw = Vec::new();
        let mut writer = Writer::new(TimePrecision::Seconds);
        let mut message = writer.begin(&mut raw, self.begin_string.as_bytes(), msg_type.as_bytes());
        message.fields(fields.replace('|', "\x01").as_bytes());
        message.end();
        let Ok(Frame::Message(message, _)) = frame(&raw, raw.len()) else { panic!("{fields}") };
        let mut out = Vec::new();
        let Self { session, now, checker, desk, .. } = self;
        let mut heard = session.hear(&message, &raw, *now, checker, desk, &mut out);
        while heard.is_ok() {
            match session.hear_early(*now, checker, desk, &mut out) {
                Ok(None) => break,
                Ok(Some(Verdict::Done)) => {}
                Ok(Some(verdict)) => heard = Ok(verdict),
                Err(close) => heard = Err(close),
            }
        }
        (self.told(&out), heard)
    }

    /// So many seconds pass, looked at four times each.
    fn waits(&mut self, seconds: u64) -> (Vec<String>, Result<(), Close>) {
        let mut told = Vec::new();
        for _ in 0..4 * seconds {
            self.now.0 += SECOND / 4;
            let mut out = Vec::new();
            let ticked = self.session.tick(self.now, &mut out);
            told.extend(self.told(&out));
            if ticked.is_err() {
                return (told, ticked);
            }
        }
        (told, Ok(()))
    }

    /// What the client is told: type, number and fields, without names and times. Every message is one of the dictionary's.
    fn told(&self, mut out: &[u8]) -> Vec<String> {
        let mut told = Vec::new();
        while let Ok(Frame::Message(message, length)) = frame(out, out.len()) {
            let mut checker = Checker::default();
            let dictionary = if self.begin_string == FIX44.begin_string { &FIX44 } else { &FIX50SP2 };
            let checked = checker.check(dictionary, &message).expect("what is said is right");
            assert_eq!((checked.get(49), checked.get(56)), (Some(&b"EXCH"[..]), Some(&b"ALICE"[..])));
            let mut text = format!(
                "{} {} ",
                String::from_utf8_lossy(message.msg_type),
                checked.int(34).expect("a number")
            );
            for field in Fields::new(message.fields) {
                if ![34, 49, 52, 56].contains(&field.tag) {
                    text += &format!("{}={}|", field.tag, String::from_utf8_lossy(field.value));
                }
            }
            told.push(text);
            out = &out[length..];
        }
        assert!(out.is_empty());
        told
    }
}

const ORDER: &str = "11=a|55=ABC|54=1|60=20261129-12:00:00|38=1|40=1|";

fn done(told: &[&str]) -> (Vec<String>, Result<Verdict, Close>) {
    (told.iter().map(ToString::to_string).collect(), Ok(Verdict::Done))
}

/// The last word of a breach, and the end.
fn breach(told: &[&str], text: &str) -> (Vec<String>, Result<Verdict, Close>) {
    (told.iter().map(ToString::to_string).collect(), Err(Close::Breach(text.into())))
}

#[test]
fn case_1_logons_that_are_not_wanted_are_not_answered() {
    for (msg_type, fields) in [
        ("A", "49=BOB|56=EXCH|34=1|52=20261129-12:00:00|98=0|108=30|"),
        ("A", "49=ALICE|56=OTHER|34=1|52=20261129-12:00:00|98=0|108=30|"),
        ("A", "49=ALICE|56=EXCH|34=1|52=20261129-12:02:01|98=0|108=30|"),
        ("A", "49=ALICE|56=EXCH|34=1|52=20261129-12:00:00|98=0|"),
        ("A", "49=ALICE|56=EXCH|34=1|52=20261129-12:00:00|98=0|108=30|55=x|"),
        ("D", "49=ALICE|56=EXCH|34=1|52=20261129-12:00:00|11=a|55=ABC|54=1|60=20261129-12:00:00|38=1|40=1|"),
    ] {
        let mut line = Line::new(&FIX44);
        let (told, heard) = line.says_all(msg_type, fields);
        assert!(told.is_empty() && matches!(heard, Err(Close::NoLogon(_))), "{fields}: {told:?} {heard:?}");
        assert!(line.desk.took.is_empty() && !line.session.is_open());
    }
    let mut line = Line::new(&FIX44);
    line.begin_string = "FIX.4.2";
    assert!(matches!(line.says("A", 1, "98=0|108=30|").1, Err(Close::NoLogon(_))));
    // Whoever is told why must be known by then.
    let (told, heard) = Line::new(&FIX44).says("A", 1, "98=0|108=30|553=LATE|");
    assert_eq!((told, heard), (vec!["5 1 58=not now|".to_owned()], Err(Close::Breach("not now".into()))));
    // Nobody comes.
    assert_eq!(Line::new(&FIX44).waits(9), (vec![], Ok(())));
    assert!(matches!(Line::new(&FIX44).waits(11).1, Err(Close::NoLogon(_))));
}

#[test]
fn case_1_a_logon_goes_on_where_the_session_was() {
    let mut line = Line::new(&FIX44);
    line.desk.next = Some((7, 12));
    assert_eq!(line.says("A", 7, "98=0|108=30|"), done(&["A 12 98=0|108=30|"]));
    assert_eq!(line.session.next(), (8, 13));
    let mut line = Line::new(&FIX44);
    line.desk.next = Some((7, 12));
    assert_eq!(line.says("A", 9, "98=0|108=30|"), done(&["A 12 98=0|108=30|", "2 13 7=7|16=0|"]));
    let mut line = Line::new(&FIX44);
    line.desk.next = Some((7, 12));
    let text = "MsgSeqNum too low, expecting 7 but received 6";
    assert_eq!(line.says("A", 6, "98=0|108=30|"), breach(&[&format!("5 12 58={text}|")], text));
    let mut line = Line::new(&FIX44);
    line.desk.next = Some((7, 12));
    assert_eq!(line.says("A", 1, "98=0|108=30|141=Y|"), done(&["A 1 98=0|108=30|141=Y|"]));
    assert_eq!(line.session.next(), (2, 2));
    for seconds in ["0", "61", "-30"] {
        let text = "HeartBtInt (108) must be between 1 and 60";
        let (told, heard) = Line::new(&FIX44).says("A", 1, &format!("98=0|108={seconds}|"));
        assert_eq!((told, heard), breach(&[&format!("5 1 58={text}|")], text));
    }
    let mut line = Line::new(&FIX50SP2);
    assert_eq!(line.says("A", 1, "98=0|108=30|1137=9|"), done(&["A 1 98=0|108=30|1137=9|"]));
}

#[test]
fn case_2_what_is_too_early_waits_and_what_is_missing_is_asked_for_once() {
    let mut line = Line::open();
    assert_eq!(line.says("1", 4, "112=four|"), done(&["2 2 7=2|16=0|"]));
    assert_eq!(line.says("D", 5, ORDER), done(&[]));
    assert_eq!(line.says("D", 2, &format!("43=Y|122=20261129-12:00:00|{ORDER}")), done(&[]));
    assert_eq!(line.says("4", 3, "43=Y|122=20261129-12:00:00|36=4|123=Y|"), done(&["0 3 112=four|"]));
    assert_eq!(line.desk.took, ["D2", "D5"]);
    assert_eq!(line.session.next(), (6, 4));
    // Another gap is asked for anew.
    assert_eq!(line.says("0", 8, ""), done(&["2 4 7=6|16=0|"]));
}

#[test]
fn case_2_what_is_too_late_is_a_copy_or_the_end() {
    let mut line = Line::open();
    assert_eq!(line.says("0", 2, ""), done(&[]));
    assert_eq!(line.says("D", 2, &format!("43=Y|122=20261129-11:59:59|{ORDER}")), done(&[]));
    assert_eq!(line.desk.took, [""; 0], "it is not taken again");
    assert_eq!(
        line.says("D", 2, &format!("43=Y|{ORDER}")),
        done(&["3 2 45=2|58=Required tag missing|371=122|372=D|373=1|"])
    );
    assert_eq!(line.session.next(), (3, 3));
    let text = "SendingTime accuracy problem";
    let (told, heard) = line.says("D", 3, &format!("43=Y|122=20261129-12:00:01|{ORDER}"));
    assert_eq!((told.len(), heard), (2, Err(Close::Breach(text.into()))));
    let text = "MsgSeqNum too low, expecting 2 but received 1";
    assert_eq!(Line::open().says("0", 1, ""), breach(&[&format!("5 2 58={text}|")], text));
}

#[test]
fn case_2_who_is_another_or_at_another_time_is_told_and_cut_off() {
    for (fields, reason, text) in [
        ("49=BOB|56=EXCH|34=2|52=20261129-12:00:00|", 9, "CompID problem"),
        ("49=ALICE|56=OTHER|34=2|52=20261129-12:00:00|", 9, "CompID problem"),
        ("49=ALICE|56=EXCH|34=2|52=20261129-11:57:59|", 10, "SendingTime accuracy problem"),
        ("49=ALICE|56=EXCH|34=2|52=20261129-12:02:01|", 10, "SendingTime accuracy problem"),
    ] {
        let told = [format!("3 2 45=2|58={text}|372=0|373={reason}|"), "5 3 ".to_owned()];
        assert_eq!(Line::open().says_all("0", fields), (told.to_vec(), Err(Close::Breach(text.into()))));
    }
    let mut line = Line::open();
    line.begin_string = "FIX.4.2";
    assert_eq!(line.says("0", 2, "").1, Err(Close::Breach("Incorrect BeginString".into())));
}

#[test]
fn case_2_and_14_what_the_dictionary_does_not_have_is_rejected_and_used_up() {
    let mut line = Line::open();
    assert_eq!(line.says("*", 2, ""), done(&["3 2 45=2|58=Invalid MsgType|372=*|373=11|"]));
    let said = "3 3 45=3|58=Invalid tag number|371=-1|372=0|373=0|";
    assert_eq!(line.says("0", 3, "-1=x|"), done(&[said]));
    let said = "j 4 45=4|58=Unsupported Message Type|372=8|380=3|";
    let report = "37=1|17=1|150=0|39=0|55=A|54=1|151=1|14=0|6=0|";
    assert_eq!(line.says("8", 4, report), done(&[said]));
    assert_eq!(line.says("d", 5, "320=x|"), done(&["j 5 45=5|58=Unsupported Message Type|372=d|380=3|"]));
    let said =
        "3 6 128=X|129=Y|145=Z|45=6|58=Value is incorrect (out of range) for this tag|371=40|372=D|373=5|";
    let order = ORDER.replace("40=1", "40=w");
    assert_eq!(line.says("D", 6, &format!("115=X|116=Y|144=Z|{order}")), done(&[said]));
    // Once, however often it is there.
    let said = "3 7 128=X|45=7|58=Tag appears more than once|371=115|372=D|373=13|";
    assert_eq!(line.says("D", 7, &format!("115=X|115=W|{order}")), done(&[said]));
    assert_eq!(line.session.next(), (8, 8));
    // Out of its turn it is rejected, and its number is still to come.
    assert_eq!(line.says("0", 9, "5000=x|").0, ["3 8 45=9|58=Invalid tag number|371=5000|372=0|373=0|"]);
    assert_eq!(line.session.next(), (8, 9));
}

#[test]
fn case_4_and_6_silence_is_broken_tested_and_ended() {
    let mut line = Line::open();
    assert_eq!(line.says("1", 2, "112=x y|"), done(&["0 2 112=x y|"]));
    let mut line = Line::open();
    let (told, ended) = line.waits(100);
    assert_eq!(told, ["0 2 ", "1 3 112=TEST|"]);
    assert!(matches!(ended, Err(Close::Silent(_))));
    assert_eq!(line.now.0, NOON + 72 * SECOND);
    // Who answers, stays.
    let mut line = Line::open();
    assert_eq!(line.waits(37).0.len(), 2);
    assert_eq!(line.says("0", 2, "112=TEST|"), done(&[]));
    assert_eq!(line.waits(35).0, ["0 4 "]);
}

#[test]
fn case_8_the_caller_is_told_what_is_wanted_again() {
    let mut line = Line::open();
    for number in 2..5 {
        assert_eq!(line.says("1", number, "112=x|").0.len(), 1);
    }
    assert_eq!(line.says("2", 5, "7=1|16=0|"), (vec![], Ok(Verdict::Resend(1, 4))));
    assert_eq!(line.says("2", 6, "7=2|16=3|"), (vec![], Ok(Verdict::Resend(2, 3))));
    assert_eq!(line.says("2", 7, "7=3|16=900|"), (vec![], Ok(Verdict::Resend(3, 4))));
    assert_eq!(line.says("2", 8, "7=9|16=0|"), (vec![], Ok(Verdict::Done)));
    // Whatever its number: both may miss something (case 20).
    assert_eq!(line.says("2", 30, "7=1|16=1|"), (vec![], Ok(Verdict::Resend(1, 1))));
    assert_eq!(line.says("2", 3, "7=1|16=1|"), (vec![], Ok(Verdict::Resend(1, 1))));
    assert_eq!(line.session.next(), (9, 5));
    let mut out = Vec::new();
    line.session.fill_gap(1, 3, line.now, &mut out);
    let report = b"37=1\x0117=1\x01150=0\x0139=0\x0155=A\x0154=1\x01151=1\x0114=0\x016=0\x01";
    line.session
        .resend(b"8", (3, Nanos(NOON - SECOND)), line.now, &mut out, |message| _ = message.fields(report));
    assert_eq!(
        line.told(&out),
        [
            "4 1 43=Y|122=20261129-12:00:00|36=3|123=Y|",
            "8 3 43=Y|122=20261129-11:59:59|37=1|17=1|150=0|39=0|55=A|54=1|151=1|14=0|6=0|"
        ]
    );
    assert_eq!(line.session.next(), (9, 5), "what is said again has its number");
}

#[test]
fn case_10_and_11_sequence_resets_go_forward_only() {
    let mut line = Line::open();
    assert_eq!(line.says("4", 2, "36=9|123=Y|"), done(&[]));
    assert_eq!(line.session.next(), (9, 2));
    let incorrect = |number, own| {
        format!("3 {number} 45={own}|58=Value is incorrect (out of range) for this tag|372=4|373=5|")
    };
    assert_eq!(line.says("4", 9, "36=9|123=Y|"), done(&[&incorrect(2, 9)]));
    assert_eq!(line.says("4", 12, "36=20|123=Y|"), done(&["2 3 7=9|16=0|"]));
    assert_eq!(line.says("4", 0, "36=8|"), done(&[&incorrect(4, 0)]));
    assert_eq!(line.says("4", 1, "36=9|"), done(&[]));
    assert_eq!(line.session.next(), (9, 5));
    assert_eq!(line.says("4", 77, "36=30|123=N|"), done(&[]));
    assert_eq!(line.session.next(), (30, 5));
    let text = "MsgSeqNum too low, expecting 30 but received 3";
    assert_eq!(line.says("4", 3, "36=40|123=Y|"), breach(&[&format!("5 5 58={text}|")], text));
}

#[test]
fn case_13_both_say_goodbye() {
    let mut line = Line::open();
    assert_eq!(line.says("5", 2, ""), (vec!["5 2 ".into()], Err(Close::LoggedOut)));
    // We go first, and take what comes until the answer.
    let mut line = Line::open();
    let mut out = Vec::new();
    line.session.leave("maintenance", line.now, &mut out);
    assert_eq!(line.told(&out), ["5 2 58=maintenance|"]);
    assert_eq!(line.says("D", 2, ORDER), done(&[]));
    assert_eq!(line.says("5", 3, ""), (vec![], Err(Close::LoggedOut)));
    let mut line = Line::open();
    line.session.leave("maintenance", line.now, &mut Vec::new());
    assert_eq!(line.waits(3), (vec![], Err(Close::Silent("a Logout was not answered"))));
}

#[test]
fn case_19_the_application_knows_what_may_have_been_said_before() {
    let mut line = Line::open();
    assert_eq!(line.says("D", 2, &format!("97=Y|{ORDER}")), done(&[]));
    let order = ORDER.replace("ABC", "NONE");
    assert_eq!(line.says("D", 3, &order), done(&["j 2 45=3|58=no such symbol|372=D|380=2|"]));
    assert_eq!(line.desk.took, ["(D2)", "D3"]);
}

#[test]
fn a_logon_in_the_middle_is_a_reset_or_a_breach() {
    let mut line = Line::open();
    assert_eq!(line.says("1", 2, "112=x|"), done(&["0 2 112=x|"]));
    assert_eq!(line.says("A", 1, "98=0|108=30|141=Y|"), done(&["A 1 98=0|108=30|141=Y|"]));
    assert_eq!(line.says("1", 2, "112=x|"), done(&["0 2 112=x|"]));
    assert_eq!(line.says("A", 3, "98=0|108=30|").1, Err(Close::Breach("logged on already".into())));
    let mut line = Line::open();
    let other = "49=BOB|56=EXCH|34=1|52=20261129-12:00:00|98=0|108=30|141=Y|";
    assert_eq!(line.says_all("A", other).1, Err(Close::Breach("CompID problem".into())));
}

/// Lines of messages as a client might say them, in any order and bent.
#[test]
fn smoke_of_bent_conversations() {
    use rand::{RngExt, SeedableRng};
    const LINES: [&str; 12] = [
        "0 49=C|56=V|34=#|52=20261129-12:00:00|",
        "1 49=C|56=V|34=#|52=20261129-12:00:00|112=x|",
        "2 49=C|56=V|34=#|52=20261129-12:00:00|7=1|16=0|",
        "4 49=C|56=V|34=#|52=20261129-12:00:00|36=#|123=Y|",
        "4 49=C|56=V|34=#|52=20261129-12:00:00|36=#|",
        "5 49=C|56=V|34=#|52=20261129-12:00:00|",
        "A 49=C|56=V|34=#|52=20261129-12:00:00|98=0|108=5|141=Y|1137=9|",
        "A 49=C|56=V|34=#|52=20261129-12:00:00|98=0|108=5|141=Y|",
        "D 49=C|56=V|34=#|52=20261129-12:00:00|11=a|54=1|60=20261129-12:00:00|40=1|58=t|",
        "D 49=C|56=V|34=#|43=Y|122=20261129-11:00:00|52=20261129-12:00:00|11=a|54=1|60=20261129-12:00:00|40=1|",
        "8 49=C|56=V|34=#|52=20261129-12:00:00|115=X|",
        "",
    ];
    let mut random = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(seeded::seed());
    for _ in 0..2_000 {
        let mut data = vec![b'0' + random.random_range(0..2_u8), b'\n'];
        for expected in 2..random.random_range(3..32_u64) {
            let line = LINES[random.random_range(0..LINES.len())];
            // Mostly the number that is expected, or one near it.
            let number = expected + random.random_range(0..20_u64).saturating_sub(16);
            let mut line = line.replace('#', &number.to_string()).into_bytes();
            if random.random_bool(0.1) && !line.is_empty() {
                let at = random.random_range(0..line.len());
                line[at] = random.random();
            }
            data.extend(line);
            data.push(b'\n');
        }
        super::super::fuzz::session(&data);
    }
}
