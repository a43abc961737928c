//! Conversations. `<` is said by the session, `>` to it; fields that both say alike, the header's, are left out.

use domain::Side;
use wire::fix::{Frame, frame};

use super::{
    super::{Memory, NewOrder, Request, TimeInForce},
    *,
};

/// 2026-11-29 12:00 UTC.
const NOON: u64 = 1_795_953_600_000_000_000;

struct Talk {
    session: Session<Memory>,
    now: Nanos,
    out: Vec<u8>,
    /// The next number of the acceptor's.
    number: u64,
}

impl Talk {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        Self::with(Memory::default(), change)
    }

    fn with(store: Memory, change: impl FnOnce(&mut Settings)) -> Self {
        let user = User { name: "DEV1".into(), password: "secret".into() };
        let mut settings = Settings::new(user, "VENUE");
        change(&mut settings);
        let now = Nanos(NOON);
        let number = store.next().0;
        Self { session: Session::new(settings, store, now).unwrap(), now, out: Vec::new(), number }
    }

    /// Logged on, with one message each.
    fn open(change: impl FnOnce(&mut Settings)) -> Self {
        let mut talk = Self::new(change);
        talk.session.logon(talk.now, &mut talk.out);
        talk.hears("A", "98=0|108=30|").unwrap();
        talk.out.clear();
        assert!(talk.session.may_send());
        talk
    }

    fn raw(&mut self, msg_type: &str, header: &str, body: &str) -> Result<Option<(u64, bool, String)>, End> {
        let mut raw = Vec::new();
        let mut writer = Writer::new(TimePrecision::Millis);
        let begin_string = self.session.settings.version.dictionary().begin_string;
        let mut message = writer.begin(&mut raw, begin_string.as_bytes(), msg_type.as_bytes());
        message.fields(header.replace('|', "\x01").as_bytes()).fields(body.replace('|', "\x01").as_bytes());
        message.end();
        let Ok(Frame::Message(message, _)) = frame(&raw, 10_000) else { panic!("no message") };
        let heard = self.session.hear(&message, self.now, &mut self.out)?;
        Ok(heard.map(|incoming| {
            let body = String::from_utf8_lossy(incoming.body).replace('\x01', "|");
            (incoming.number, incoming.is_again, body)
        }))
    }

    /// A message under this number.
    fn numbered(
        &mut self,
        number: u64,
        msg_type: &str,
        body: &str,
    ) -> Result<Option<(u64, bool, String)>, End> {
        self.raw(msg_type, &format!("34={number}|49=VENUE|52=20261129-12:00:00|56=DEV1|"), body)
    }

    /// A copy of a message.
    fn again(&mut self, number: u64, msg_type: &str, body: &str) -> Result<Option<(u64, bool, String)>, End> {
        let times = "52=20261129-12:00:00|56=DEV1|122=20261129-11:00:00";
        self.raw(msg_type, &format!("34={number}|43=Y|49=VENUE|{times}|"), body)
    }

    /// The next message.
    fn hears(&mut self, msg_type: &str, body: &str) -> Result<Option<(u64, bool, String)>, End> {
        let number = self.number;
        self.number += 1;
        self.numbered(number, msg_type, body)
    }

    /// What was said since it was last asked: types, numbers, flags and bodies.
    fn said(&mut self) -> Vec<String> {
        let (mut rest, mut said) = (&self.out[..], Vec::new());
        while let Ok(Frame::Message(message, length)) = frame(rest, 1 << 20) {
            let header = Header::read(message.fields);
            let msg_type = String::from_utf8_lossy(message.msg_type);
            let mark = if header.is_again { "'" } else { "" };
            let body = String::from_utf8_lossy(header.body).replace('\x01', "|");
            said.push(format!("{msg_type} {}{mark} {body}", header.number.unwrap()));
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
        self.out.clear();
        said
    }

    fn order(&mut self, id: &str) -> Result<u64, NotNow> {
        let order = NewOrder {
            id,
            symbol: "X",
            side: Side::Buy,
            quantity: 1,
            limit_e4: Some(10_000),
            time_in_force: TimeInForce::Day,
            more: &[],
        };
        let request = Request::New(order);
        let now = self.now;
        self.session.send(b"D", now, &mut self.out, |message| request.write(now, message))
    }

    fn seconds_pass(&mut self, seconds: u64) -> Result<(), End> {
        self.now.0 += seconds * SECOND;
        self.session.tick(self.now, &mut self.out)
    }
}

fn breach(what: &str) -> End {
    End::Breach(what.into())
}

#[test]
fn a_logon_says_who_and_in_which_version() {
    let mut talk = Talk::new(|_| {});
    assert_eq!(talk.order("A"), Err(NotNow), "not before the logon");
    talk.session.logon(talk.now, &mut talk.out);
    talk.session.logon(talk.now, &mut talk.out);
    assert_eq!(talk.said(), ["A 1 98=0|108=30|553=DEV1|554=secret|"]);
    assert!(!talk.session.is_open());
    talk.hears("A", "98=0|108=30|").unwrap();
    assert!(talk.session.is_open());
    assert_eq!(talk.session.next(), (2, 2));

    let mut talk = Talk::new(|settings| {
        settings.version = Version::Fix50Sp2;
        settings.reset = true;
        settings.user.password.clear();
    });
    talk.session.logon(talk.now, &mut talk.out);
    assert!(String::from_utf8_lossy(&talk.out).starts_with("8=FIXT.1.1\x01"));
    assert_eq!(talk.said(), ["A 1 98=0|108=30|141=Y|553=DEV1|1137=9|"]);
    talk.hears("A", "98=0|108=30|141=Y|1137=9|").unwrap();
    assert!(talk.session.is_open());
}

#[test]
fn what_cannot_be_said_is_refused_before_anything_is_sent() {
    let user = User { name: "DEV\x01".into(), password: String::new() };
    let made = Session::new(Settings::new(user, "VENUE"), Memory::default(), Nanos(0));
    assert_eq!(made.unwrap_err(), Unsendable { tag: 49 });
}

#[test]
fn a_logon_that_is_refused_ends_with_the_reason() {
    let mut talk = Talk::new(|_| {});
    talk.session.logon(talk.now, &mut talk.out);
    talk.said();
    let end = talk.hears("5", "58=who are you|").unwrap_err();
    assert_eq!(end, End::LoggedOut { ours: false, text: "who are you".into() });
    assert_eq!(talk.said(), [""; 0], "who is not logged on says no Logout");

    for (msg_type, body, what) in [
        ("0", "", "the answer to our Logon is none"),
        ("A", "98=0|108=30|141=Y|", "the exchange begins a new session, and we do not"),
    ] {
        let mut talk = Talk::new(|_| {});
        talk.session.logon(talk.now, &mut talk.out);
        assert_eq!(talk.hears(msg_type, body).unwrap_err(), breach(what));
    }
    let mut talk = Talk::new(|_| {});
    talk.session.logon(talk.now, &mut talk.out);
    assert_eq!(talk.seconds_pass(11), Err(End::Unanswered("its Logon")));
}

#[test]
fn a_logon_ahead_of_us_is_followed_by_a_resend_request() {
    let mut talk = Talk::new(|_| {});
    talk.session.logon(talk.now, &mut talk.out);
    talk.said();
    assert_eq!(talk.numbered(5, "A", "98=0|108=30|"), Ok(None));
    assert_eq!(talk.said(), ["2 2 7=1|16=0|"]);
    // What comes live behind it waits for its turn, which the resend brings.
    assert_eq!(talk.numbered(6, "8", "37=6|"), Ok(None));
    assert_eq!(talk.said(), [""; 0], "asked once");
    assert_eq!(talk.again(1, "4", "36=3|123=Y|"), Ok(None));
    assert_eq!(talk.again(3, "8", "37=3|"), Ok(Some((3, true, "37=3|".into()))));
    assert_eq!(talk.again(4, "8", "37=4|"), Ok(Some((4, true, "37=4|".into()))));
    assert_eq!(talk.again(5, "4", "36=6|123=Y|"), Ok(None));
    assert_eq!(talk.again(6, "8", "37=6|"), Ok(Some((6, true, "37=6|".into()))));
    assert_eq!(talk.numbered(7, "8", "37=7|"), Ok(Some((7, false, "37=7|".into()))));
    assert_eq!(talk.said(), [""; 0]);
    assert_eq!(talk.session.next(), (8, 3));
}

#[test]
fn numbers_go_on_with_the_next_connection() {
    let mut talk = Talk::open(|_| {});
    talk.order("A").unwrap();
    talk.hears("8", "37=1|").unwrap();
    let store = talk.session.into_store();
    assert_eq!(store.next(), (3, 3));
    let mut talk = Talk::with(store, |_| {});
    talk.session.logon(talk.now, &mut talk.out);
    assert_eq!(talk.said(), ["A 3 98=0|108=30|553=DEV1|554=secret|"]);
    talk.hears("A", "98=0|108=30|").unwrap();
    assert_eq!(talk.session.next(), (4, 4));
    // The exchange lacks the order: it is young, and goes out again.
    talk.hears("2", "7=2|16=0|").unwrap();
    assert_eq!(
        talk.said(),
        ["D 2' 11=A|38=1|40=2|44=1|54=1|55=X|59=0|60=20261129-12:00:00.000|", "4 3' 36=4|123=Y|"]
    );
    // And a reset forgets.
    let mut talk = Talk::with(talk.session.into_store(), |settings| settings.reset = true);
    talk.session.logon(talk.now, &mut talk.out);
    assert_eq!(talk.said(), ["A 1 98=0|108=30|141=Y|553=DEV1|554=secret|"]);
    assert_eq!(talk.session.into_store().kept(1), None);
}

#[test]
fn old_orders_are_passed_over_and_young_ones_sent_again() {
    let mut talk = Talk::open(|settings| settings.heartbeat = 0);
    talk.order("A").unwrap();
    talk.seconds_pass(11).unwrap();
    talk.order("B").unwrap();
    assert_eq!(talk.session.reserve(talk.now), Ok(4));
    talk.order("C").unwrap();
    talk.said();
    let b = "11=B|38=1|40=2|44=1|54=1|55=X|59=0|60=20261129-12:00:11.000|";
    let c = "11=C|38=1|40=2|44=1|54=1|55=X|59=0|60=20261129-12:00:11.000|";
    talk.hears("2", "7=1|16=0|").unwrap();
    let all = ["4 1' 36=3|123=Y|", &format!("D 3' {b}"), "4 4' 36=5|123=Y|", &format!("D 5' {c}")];
    assert_eq!(talk.said(), all, "the logon, an old order and one that is not kept are passed over");
    talk.hears("2", "7=3|16=4|").unwrap();
    assert_eq!(talk.said(), [&format!("D 3' {b}"), "4 4' 36=5|123=Y|"]);
    talk.hears("2", "7=9|16=0|").unwrap();
    assert_eq!(talk.said(), [""; 0], "there is no such message");
    assert_eq!(talk.hears("2", "7=1|").unwrap_err(), breach("a ResendRequest without a range (7, 16)"));
}

#[test]
fn who_wants_no_order_again_sends_none() {
    let mut talk = Talk::open(|settings| settings.resend_within = Duration::ZERO);
    talk.order("A").unwrap();
    talk.said();
    talk.hears("2", "7=1|16=0|").unwrap();
    assert_eq!(talk.said(), ["4 1' 36=3|123=Y|"]);
}

#[test]
fn a_long_resend_goes_out_in_pieces_and_nothing_between_them() {
    let mut talk = Talk::open(|_| {});
    for number in 0..1_000 {
        talk.order(&format!("A{number}")).unwrap();
    }
    talk.out.clear();
    talk.hears("2", "7=2|16=0|").unwrap();
    let mut pieces = 0;
    let mut said = Vec::new();
    while talk.session.is_resending() {
        assert!(talk.out.len() < 2 * RESEND_CHUNK);
        assert_eq!(talk.order("B"), Err(NotNow));
        said.extend(talk.said());
        pieces += 1;
        talk.session.resend(talk.now, &mut talk.out);
    }
    said.extend(talk.said());
    assert!(pieces > 3, "{pieces}");
    let numbers: Vec<String> = (2..1_002).map(|number| format!("D {number}'")).collect();
    assert!(said.iter().zip(&numbers).all(|(said, number)| said.starts_with(number)));
    assert_eq!(said.len(), numbers.len());
    assert_eq!(talk.order("B"), Ok(1_002));
}

#[test]
fn copies_are_passed_over_and_other_low_numbers_end_it() {
    let mut talk = Talk::open(|_| {});
    talk.hears("8", "37=1|").unwrap();
    assert_eq!(talk.again(2, "8", "37=1|"), Ok(None));
    assert_eq!(talk.again(2, "4", "36=9|123=Y|"), Ok(None));
    assert_eq!(talk.session.next().0, 3);
    let what = "MsgSeqNum too low, expecting 3 but received 2";
    assert_eq!(talk.numbered(2, "8", "37=1|"), Err(breach(what)));
    assert_eq!(talk.said(), [format!("5 2 58={what}|")]);
}

#[test]
fn gaps_are_filled_or_given_up() {
    let mut talk = Talk::open(|settings| settings.heartbeat = 0);
    assert_eq!(talk.numbered(4, "8", "37=4|"), Ok(None));
    assert_eq!(talk.said(), ["2 2 7=2|16=0|"]);
    talk.again(2, "8", "37=2|").unwrap();
    // The third was garbled on its way. The first look sees that something came.
    assert_eq!(talk.again(4, "8", "37=4|"), Ok(None));
    talk.seconds_pass(5).unwrap();
    assert_eq!(talk.said(), [""; 0]);
    talk.seconds_pass(5).unwrap();
    assert_eq!(talk.said(), ["2 3 7=3|16=0|"]);
    talk.seconds_pass(5).unwrap();
    assert_eq!(talk.said(), ["2 4 7=3|16=0|"]);
    assert_eq!(talk.seconds_pass(5), Err(breach("message 3 does not come")));
}

#[test]
fn sequence_resets_go_forwards_only() {
    let mut talk = Talk::open(|_| {});
    talk.numbered(2, "4", "36=5|123=Y|").unwrap();
    assert_eq!(talk.session.next().0, 5);
    talk.numbered(1, "4", "36=9|123=N|").unwrap();
    assert_eq!(talk.session.next().0, 9);
    let what = "a SequenceReset back to 8 from 9";
    assert_eq!(talk.numbered(9, "4", "36=8|"), Err(breach(what)));
    let mut talk = Talk::open(|_| {});
    let what = "a SequenceReset back to 2 from 2";
    assert_eq!(talk.numbered(2, "4", "36=2|123=Y|"), Err(breach(what)));
    let mut talk = Talk::open(|_| {});
    let what = "a SequenceReset without NewSeqNo (36)";
    assert_eq!(talk.numbered(2, "4", "123=Y|"), Err(breach(what)));
}

#[test]
fn time_brings_heartbeats_tests_and_the_end() {
    let mut talk = Talk::open(|settings| settings.heartbeat = 10);
    talk.seconds_pass(9).unwrap();
    assert_eq!(talk.said(), [""; 0]);
    talk.seconds_pass(1).unwrap();
    assert_eq!(talk.said(), ["0 2 "]);
    talk.seconds_pass(2).unwrap();
    assert_eq!(talk.said(), ["1 3 112=TEST|"]);
    talk.hears("0", "112=TEST|").unwrap();
    talk.seconds_pass(11).unwrap();
    assert_eq!(talk.said(), ["0 4 "]);
    talk.seconds_pass(1).unwrap();
    assert_eq!(talk.said(), ["1 5 112=TEST|"]);
    assert_eq!(talk.seconds_pass(12), Err(End::Silent(Duration::from_secs(24))));
    // And the other way round.
    let mut talk = Talk::open(|_| {});
    talk.hears("1", "112=ARE YOU THERE|").unwrap();
    assert_eq!(talk.said(), ["0 2 112=ARE YOU THERE|"]);
}

#[test]
fn goodbyes_are_answered_and_waited_for() {
    let mut talk = Talk::open(|_| {});
    assert_eq!(talk.hears("5", ""), Err(End::LoggedOut { ours: false, text: String::new() }));
    assert_eq!(talk.said(), ["5 2 "]);
    assert_eq!(talk.session.next(), (3, 3));

    let mut talk = Talk::open(|_| {});
    talk.session.logout(talk.now, &mut talk.out);
    assert_eq!(talk.said(), ["5 2 "]);
    assert_eq!(talk.order("A"), Err(NotNow));
    assert_eq!(
        talk.hears("8", "37=1|"),
        Ok(Some((2, false, "37=1|".into()))),
        "what was under way still counts"
    );
    assert_eq!(talk.hears("5", ""), Err(End::LoggedOut { ours: true, text: String::new() }));
    assert_eq!(talk.said(), [""; 0]);

    let mut talk = Talk::open(|_| {});
    talk.session.logout(talk.now, &mut talk.out);
    assert_eq!(talk.seconds_pass(6), Err(End::Unanswered("its Logout")));
}

#[test]
fn strangers_are_not_listened_to() {
    for (header, what) in [
        ("34=2|49=OTHER|52=20261129-12:00:00|56=DEV1|", "CompIDs (49, 56) are not those of this session"),
        ("34=2|49=VENUE|52=20261129-12:00:00|56=OTHER|", "CompIDs (49, 56) are not those of this session"),
        ("49=VENUE|52=20261129-12:00:00|56=DEV1|", "no MsgSeqNum (34)"),
    ] {
        let mut talk = Talk::open(|_| {});
        assert_eq!(talk.raw("0", header, ""), Err(breach(what)));
        assert_eq!(talk.said(), [format!("5 2 58={what}|")]);
    }
    let mut talk = Talk::open(|_| {});
    assert_eq!(talk.hears("A", "98=0|108=30|"), Err(breach("a Logon, and we are logged on")));
}

/// Whatever an acceptor says, in whatever order: the fuzzer's function over pieces of a conversation. `SEED=` replays.
#[test]
fn no_acceptor_confuses_it() {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(seeded::seed());
    let header = "49=V|56=C|52=20261129-12:00:00|";
    for _ in 0..2_000 {
        let mut data = Vec::new();
        let mut number = 2;
        for _ in 0..rng.next_u32() % 40 {
            let draw = rng.next_u32();
            // Mostly the next number, now and then one nearby.
            let at = if draw.is_multiple_of(5) { u64::from(draw >> 8) % 12 } else { number };
            number = at + 1;
            let again = if draw.is_multiple_of(3) { "43=Y|122=20261129-11:59:00|" } else { "" };
            let (low, high) = (draw >> 12 & 15, draw >> 16 & 15);
            let line = match draw >> 20 & 15 {
                0..=2 => format!("8 34={at}|{again}{header}37=1|150=0|39=0|151=1|"),
                3 => format!("9 34={at}|{again}{header}11=1|39=8|434=1|"),
                4 => format!("4 34={at}|{again}{header}36={}|123=Y|", at + u64::from(low)),
                5 => format!("4 34={at}|{header}36={low}|"),
                6 | 7 => format!("2 34={at}|{header}7={low}|16={high}|"),
                8 => format!("1 34={at}|{again}{header}112=X|"),
                9 => format!("0 34={at}|{again}{header}"),
                10 => String::new(),
                11 | 12 => "!".to_owned(),
                13 => format!("3 34={at}|{header}45={low}|"),
                14 => format!("8 {header}|34={at}|"),
                _ => format!("5 34={at}|{header}"),
            };
            data.extend_from_slice(line.as_bytes());
            data.push(b'\n');
        }
        if rng.next_u32().is_multiple_of(2)
            && let Some(at) = (rng.next_u32() as usize).checked_rem(data.len())
        {
            data[at] = rng.next_u32() as u8;
        }
        super::super::fuzz::initiator(&data);
    }
}
