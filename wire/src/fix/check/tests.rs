use super::{
    super::{
        dictionary::{FIX44, FIX50SP2},
        frame::{Frame, frame},
        writer::{TimePrecision, Writer},
    },
    *,
};

const HEADER: &str = "49=ALICE|56=EXCH|34=2|52=20261129-12:34:56.789|";
const ORDER: &str = "11=a1|55=ABC|54=1|60=20261129-12:34:56|38=100|40=2|44=10.5|";
const MARKET_DATA: &str = "262=r|263=1|264=5|265=1|267=2|269=0|269=1|146=2|55=A|55=B|";

/// A whole message; bars for SOHs.
fn sealed(begin_string: &str, msg_type: &str, fields: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(TimePrecision::Millis);
    let mut message = writer.begin(&mut out, begin_string.as_bytes(), msg_type.as_bytes());
    message.fields(fields.replace('|', "\x01").as_bytes());
    message.end();
    out
}

/// What is wrong with a message of FIX 4.4.
fn wrong(msg_type: &str, fields: &str) -> Option<(RejectReason, String)> {
    let bytes = sealed("FIX.4.4", msg_type, fields);
    let Ok(Frame::Message(message, _)) = frame(&bytes, 10_000) else { panic!("{fields}") };
    let fault = Checker::default().check(&FIX44, &message).err()?;
    let field = match fault.field {
        Named::Nothing => String::new(),
        Named::Tag(tag) => tag.to_string(),
        Named::Text(text) => String::from_utf8_lossy(text).into_owned(),
    };
    Some((fault.reason, field))
}

#[test]
fn a_message_of_the_dictionary_is_fine_and_gives_its_fields() {
    let fields = format!(
        "{HEADER}97=N|{ORDER}18=1 6|453=2|448=X|447=D|452=1|802=1|523=s|803=4|448=Y|447=D|452=3|59=0|354=5|355=a\u{1}b=c|58=t|"
    );
    let bytes = sealed("FIX.4.4", "D", &fields);
    let Ok(Frame::Message(message, _)) = frame(&bytes, 10_000) else { panic!() };
    let mut checker = Checker::default();
    let checked = checker.check(&FIX44, &message).unwrap();
    assert_eq!(checked.def.map(|def| def.name), Some("NewOrderSingle"));
    assert_eq!(checked.get(49), Some(&b"ALICE"[..]));
    assert_eq!(checked.get(44), Some(&b"10.5"[..]));
    assert_eq!(checked.get(355), Some(&b"a\x01b=c"[..]));
    assert_eq!(checked.get(58), Some(&b"t"[..]));
    assert_eq!((checked.letter(54), checked.int(34), checked.is_set(97)), (Some(b'1'), Some(2), false));
    assert_eq!((checked.get(99), checked.get(448)), (None, None), "not there, and within a group");
    let parties: Vec<_> = checked.behind(453).take(6).map(|field| field.tag).collect();
    assert_eq!(parties, [448, 447, 452, 802, 523, 803]);
    assert_eq!(checked.behind(386).count(), 0);
    // The next message is another one.
    let bytes = sealed("FIX.4.4", "0", HEADER);
    let Ok(Frame::Message(message, _)) = frame(&bytes, 10_000) else { panic!() };
    let checked = checker.check(&FIX44, &message).unwrap();
    assert_eq!((checked.get(44), checked.get(56)), (None, Some(&b"EXCH"[..])));
}

/// Each line: type, fields behind header or order, and what is said of them.
#[test]
fn each_fault_has_its_reason_and_its_field() {
    use RejectReason::*;
    for (msg_type, fields, reason, field) in [
        // As QuickFIX's cases 2q and 14a to 14i name them.
        ("*", HEADER.to_owned(), InvalidMsgType, ""),
        ("0", format!("{HEADER}999=x|"), InvalidTagNumber, "999"),
        ("0", format!("{HEADER}0=x|"), InvalidTagNumber, "0"),
        ("0", format!("{HEADER}-1=x|"), InvalidTagNumber, "-1"),
        ("0", format!("{HEADER}5000=x|"), InvalidTagNumber, "5000"),
        ("0", format!("{HEADER}70000=x|"), InvalidTagNumber, "70000"),
        ("0", HEADER.replace("56=EXCH|", ""), RequiredTagMissing, "56"),
        ("D", format!("{HEADER}{}", ORDER.replace("11=a1|", "")), RequiredTagMissing, "11"),
        ("0", format!("{HEADER}55=ABC|"), TagNotDefinedForMessage, "55"),
        ("0", HEADER.replace("56=EXCH", "56="), TagWithoutValue, "56"),
        ("0", format!("{HEADER}112|"), TagWithoutValue, "112"),
        ("D", format!("{HEADER}{ORDER}21=4|"), ValueIncorrect, "21"),
        ("D", format!("{HEADER}{ORDER}167=BOO|"), ValueIncorrect, "167"),
        ("D", format!("{HEADER}{ORDER}18=1 Z|"), ValueIncorrect, "18"),
        ("D", format!("{HEADER}{ORDER}18=1  2|"), ValueIncorrect, "18"),
        ("D", format!("{HEADER}{}", ORDER.replace("38=100", "38=+200.00")), IncorrectDataFormat, "38"),
        ("D", format!("{HEADER}{}", ORDER.replace("54=1", "54=12")), IncorrectDataFormat, "54"),
        ("D", format!("{HEADER}{ORDER}114=y|"), IncorrectDataFormat, "114"),
        ("D", format!("{HEADER}{ORDER}15=usd|"), IncorrectDataFormat, "15"),
        ("D", format!("{HEADER}{ORDER}200=202613|"), IncorrectDataFormat, "200"),
        ("D", format!("{HEADER}{ORDER}432=20260230|"), IncorrectDataFormat, "432"),
        ("0", HEADER.replace("34=2", "34=-2"), IncorrectDataFormat, "34"),
        ("0", HEADER.replace("12:34:56.789", "12:34"), IncorrectDataFormat, "52"),
        ("D", format!("{HEADER}{ORDER}97=Y|"), TagOutOfOrder, "97"),
        ("D", format!("{HEADER}93=1|89=s|{ORDER}"), TagOutOfOrder, "11"),
        ("D", format!("{HEADER}{ORDER}40=2|"), TagAppearsMoreThanOnce, "40"),
        ("D", format!("{HEADER}{ORDER}386=3|336=a|336=b|"), IncorrectGroupCount, "386"),
        ("D", format!("{HEADER}{ORDER}386=1|336=a|336=b|"), IncorrectGroupCount, "386"),
        ("D", format!("{HEADER}{ORDER}386=1|59=0|"), IncorrectGroupCount, "386"),
        ("D", format!("{HEADER}{ORDER}386=1001|336=a|"), IncorrectGroupCount, "386"),
        ("D", format!("{HEADER}{ORDER}386=1|625=a|336=b|"), GroupOutOfOrder, "625"),
        ("D", format!("{HEADER}{ORDER}386=1|336=a|625=x|625=y|"), TagAppearsMoreThanOnce, "625"),
        ("D", format!("{HEADER}{ORDER}386=1|336=|"), TagWithoutValue, "336"),
        ("D", format!("{HEADER}{ORDER}453=1|448=X|452=z|"), IncorrectDataFormat, "452"),
        ("D", format!("{HEADER}{ORDER}453=1|448=X|802=2|523=a|"), IncorrectGroupCount, "802"),
        // A request of market data, which has three groups.
        ("V", format!("{HEADER}{}", MARKET_DATA.replace("262=r|", "")), RequiredTagMissing, "262"),
        ("V", format!("{HEADER}{}", MARKET_DATA.replace("263=1", "263=3")), ValueIncorrect, "263"),
        ("V", format!("{HEADER}{}", MARKET_DATA.replace("264=5", "264=deep")), IncorrectDataFormat, "264"),
        ("V", format!("{HEADER}{}", MARKET_DATA.replace("265=1", "265=2")), ValueIncorrect, "265"),
        ("V", format!("{HEADER}{}", MARKET_DATA.replace("269=1", "269=Z")), ValueIncorrect, "269"),
        ("V", format!("{HEADER}{}", MARKET_DATA.replace("267=2", "267=3")), IncorrectGroupCount, "267"),
        ("V", format!("{HEADER}{}", MARKET_DATA.replace("267=2", "267=1")), IncorrectGroupCount, "267"),
        ("V", format!("{HEADER}{}", MARKET_DATA.replace("146=2", "146=9")), IncorrectGroupCount, "146"),
        ("V", format!("{HEADER}{}", MARKET_DATA.replace("146=2|55=A", "146=2|48=A")), GroupOutOfOrder, "48"),
        ("V", format!("{HEADER}{}", MARKET_DATA.replace("55=B", "55=")), TagWithoutValue, "55"),
        ("V", format!("{HEADER}{MARKET_DATA}55=A|"), IncorrectGroupCount, "146"),
        ("V", format!("{HEADER}{MARKET_DATA}44=1|"), TagNotDefinedForMessage, "44"),
        // Data goes with its length.
        ("D", format!("{HEADER}{ORDER}354=2|58=ab|"), RequiredTagMissing, "355"),
        ("D", format!("{HEADER}{ORDER}354=2|"), RequiredTagMissing, "355"),
        ("D", format!("{HEADER}{ORDER}354=2|355=abc|"), ValueIncorrect, "354"),
        ("D", format!("{HEADER}{ORDER}354=99|355=abc|"), ValueIncorrect, "354"),
        ("D", format!("{HEADER}{ORDER}354=0|355=|"), TagWithoutValue, "355"),
        // A message that the venue does not know has a header all the same.
        ("d", HEADER.replace("49=ALICE|", ""), RequiredTagMissing, "49"),
        ("d", format!("{HEADER}9999=x|97=Y|"), TagOutOfOrder, "97"),
        ("d", format!("{HEADER}x=y|"), InvalidTagNumber, "x"),
    ] {
        assert_eq!(wrong(msg_type, &fields), Some((reason, field.to_owned())), "35={msg_type}|{fields}");
    }
}

#[test]
fn what_is_unusual_and_allowed_is_taken() {
    for (msg_type, fields) in [
        ("0", HEADER.to_owned()),
        ("0", format!("{HEADER}112=TEST|")),
        ("d", format!("{HEADER}320=x|9999=y|454=0|")),
        ("D", format!("{HEADER}{ORDER}454=0|167=CS|")),
        ("D", format!("{HEADER}{ORDER}386=2|336=a|336=b|625=c|")),
        ("D", format!("{HEADER}{ORDER}452=1|").replace("452=1|", "581=01|")),
        ("D", format!("{HEADER}{ORDER}200=202611|")),
        ("D", format!("{HEADER}{ORDER}200=20261130|")),
        ("D", format!("{HEADER}{ORDER}200=202611w3|")),
        ("D", format!("{HEADER}{ORDER}93=3|89=a\u{1}b|")),
        // In any order within the header and within the body.
        (
            "D",
            "52=20261129-12:34:56|34=2|56=EXCH|49=ALICE|44=1|40=2|38=1|60=20261129-12:34:56|54=1|55=A|11=b|"
                .into(),
        ),
        ("A", format!("{HEADER}98=0|108=30|384=1|372=D|385=R|141=Y|553=u|554=p|")),
    ] {
        assert_eq!(wrong(msg_type, &fields), None, "35={msg_type}|{fields}");
    }
}

#[test]
fn versions_differ_where_the_standard_does() {
    let check = |begin_string: &str, msg_type: &str, fields: &str| {
        let bytes = sealed(begin_string, msg_type, fields);
        let Ok(Frame::Message(message, _)) = frame(&bytes, 10_000) else { panic!("{fields}") };
        let dictionary = if begin_string == "FIX.4.4" { &FIX44 } else { &FIX50SP2 };
        let checked = Checker::default().check(dictionary, &message).map(|_| ());
        checked.map_err(|fault| match fault.field {
            Named::Tag(tag) => (fault.reason, tag),
            other => panic!("{other:?}"),
        })
    };
    let missing = |tag| Err((RejectReason::RequiredTagMissing, tag));
    let unknown = |tag| Err((RejectReason::TagNotDefinedForMessage, tag));
    let logon = format!("{HEADER}98=0|108=30|");
    assert_eq!(check("FIX.4.4", "A", &logon), Ok(()));
    assert_eq!(check("FIXT.1.1", "A", &logon), missing(1137));
    assert_eq!(check("FIXT.1.1", "A", &format!("{logon}1137=9|")), Ok(()));
    assert_eq!(check("FIX.4.4", "A", &format!("{logon}1137=9|")), unknown(1137));
    assert_eq!(check("FIXT.1.1", "0", &format!("{HEADER}1128=9|")), Ok(()));
    assert_eq!(check("FIX.4.4", "0", &format!("{HEADER}1128=9|")), unknown(1128));
    let cancel = format!("{HEADER}11=c|37=o|55=A|54=1|60=20261129-12:34:56|");
    assert_eq!(check("FIXT.1.1", "F", &cancel), Ok(()));
    assert_eq!(check("FIX.4.4", "F", &cancel), missing(41));
}
