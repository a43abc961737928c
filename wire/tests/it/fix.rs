//! FIX: the dictionaries that clients get, and messages bent in the ways that wires and attackers bend them.

use std::path::PathBuf;

use rand::{Rng, RngExt};
use wire::fix::{
    TimePrecision, Writer,
    dictionary::{Dictionary, FIX44, FIX50SP2, xml},
};

use crate::random::generator;

/// The file, the version, and whether it is the transport's.
const PUBLISHED: [(&str, &Dictionary, bool); 3] =
    [("FIX44.xml", &FIX44, false), ("FIXT11.xml", &FIX50SP2, true), ("FIX50SP2.xml", &FIX50SP2, false)];

/// `DICTIONARIES=write` writes them.
#[test]
fn the_published_dictionaries_are_those_of_the_code() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/fix");
    for (name, dictionary, transport) in PUBLISHED {
        let (path, text) = (dir.join(name), xml(dictionary, transport));
        if std::env::var("DICTIONARIES").is_ok_and(|what| what == "write") {
            std::fs::create_dir_all(&dir).expect("a directory");
            std::fs::write(&path, &text).expect("a file");
        }
        let published = std::fs::read_to_string(&path).expect("it is published");
        assert!(published == text, "{name} is out of date: DICTIONARIES=write cargo test -p wire published");
    }
}

/// Bodies of messages; bars for SOHs.
const BODIES: [(&str, &str); 7] = [
    ("A", "49=ALICE|56=EXCH|34=1|52=20261129-12:34:56.789|98=0|108=30|141=Y|553=u|554=p|1137=9|"),
    ("0", "49=ALICE|56=EXCH|34=2|52=20261129-12:34:56|112=TEST|"),
    ("2", "49=ALICE|56=EXCH|34=3|52=20261129-12:34:56|7=1|16=0|"),
    (
        "D",
        "49=ALICE|56=EXCH|34=4|52=20261129-12:34:56.789012|11=a1|55=ABC|54=1|60=20261129-12:34:56|38=100|40=2|44=10.5|59=0|\
         453=2|448=X|447=D|452=1|802=1|523=s|803=4|448=Y|447=D|452=3|354=3|355=a\u{1}b|",
    ),
    (
        "G",
        "49=ALICE|56=EXCH|34=5|52=20261129-12:34:56|41=a1|11=a2|55=ABC|54=1|60=20261129-12:34:56|38=1|40=2|44=.5|",
    ),
    ("V", "49=ALICE|56=EXCH|34=6|52=20261129-12:34:56|262=r|263=1|264=0|267=2|269=0|269=1|146=1|55=ABC|"),
    ("d", "49=ALICE|56=EXCH|34=7|52=20261129-12:34:56|320=x|9999=y|454=0|"),
];

fn message((msg_type, fields): (&str, &str)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(TimePrecision::Millis);
    let mut message = writer.begin(&mut out, b"FIX.4.4", msg_type.as_bytes());
    message.fields(fields.replace('|', "\x01").as_bytes());
    message.end();
    out
}

/// Bends `body` once.
fn mutate(body: &mut String, other: &str, rng: &mut impl Rng) {
    let at = rng.random_range(0..=body.len());
    if !body.is_char_boundary(at) {
        return;
    }
    match rng.random_range(0..6) {
        0 => body.truncate(at),
        1 => body.insert(at, char::from(rng.random_range(0..128_u8))),
        2 => body.insert_str(at, "|35=8|"),
        3 => body.insert(at, '|'),
        4 if at < body.len() => drop(body.remove(at)),
        _ => {
            body.truncate(at);
            body.push_str(&other[rng.random_range(0..=other.len())..]);
        }
    }
}

#[test]
fn smoke_of_bent_fix_messages() {
    let mut rng = generator();
    for _ in 0..seeded::iterations(20_000) {
        let (msg_type, body) = BODIES[rng.random_range(0..BODIES.len())];
        let other = BODIES[rng.random_range(0..BODIES.len())].1;
        let mut bent = body.to_owned();
        for _ in 0..rng.random_range(0..4) {
            mutate(&mut bent, other, &mut rng);
        }
        if !bent.ends_with('|') {
            bent.push('|');
        }
        // Sealed as it should be, so that it gets past the frame; then, sometimes, not.
        let mut data = vec![255];
        data.extend(message((msg_type, &bent)));
        if rng.random_bool(0.3) {
            let at = rng.random_range(1..data.len());
            data[at] = rng.random();
        }
        data.extend(message(BODIES[1]));
        wire::fuzz::fix_messages(&data);
        wire::fuzz::fix_messages(&data[1..]);
    }
}
