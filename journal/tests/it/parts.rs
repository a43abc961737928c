//! A journal in parts: judged apart from each other they show what one look from its beginning shows, and where it is
//! damaged, the first part that says so says what one look says.

use std::fs;
use std::path::Path;

use journal::{Options, Position, Reader, RecordKind, inspect};

use crate::recovery::flip;
use crate::support::{Random, SEGMENT_HEADER, Source, drain, lose_tail, open, options, segment, write};

/// Records, and how they end.
type Seen = (Vec<(Position, RecordKind, u64)>, Option<String>);

fn seen<'a>(records: impl Iterator<Item = Result<journal::Record<'a>, journal::ReadError>>) -> Seen {
    let mut good = Vec::new();
    for record in records {
        match record {
            Ok(record) => good.push((record.position, record.kind, record.sequence.0)),
            Err(error) => return (good, Some(error.to_string())),
        }
    }
    (good, None)
}

/// The parts up to the first that ends with an error, judged from the last to the first. Says how many there were.
fn in_parts(reader: &Reader, bytes_min: u64) -> (Seen, usize) {
    let parts: Vec<_> = reader.parts(bytes_min).collect();
    let mut judged: Vec<Seen> = parts.iter().rev().map(|part| seen(part.records())).collect();
    let (mut good, mut wrong) = (Vec::new(), None);
    for part in &parts {
        let (records, error) = judged.pop().expect("as many as parts");
        for (position, kind, sequence) in &records {
            let again = part.record(*position).expect("a record that was shown");
            assert_eq!((again.position, again.kind, again.sequence.0), (*position, *kind, *sequence));
        }
        good.extend(records);
        if error.is_some() {
            wrong = error;
            break;
        }
    }
    ((good, wrong), parts.len())
}

fn same(dir: &Path, random: &mut Random) -> Seen {
    let reader = Reader::open(dir).expect("opens");
    let whole = seen(reader.records());
    for bytes_min in [0, 1, 1 + random.below(4 << 10), 16 << 10, 1 << 20] {
        assert_eq!(in_parts(&reader, bytes_min).0, whole, "parts of {bytes_min} bytes");
    }
    whole
}

fn tiny() -> Options {
    Options { segment_bytes: 64 << 10, tail_bytes: 8 << 10, ..options() }
}

#[test]
fn parts_show_what_one_look_shows() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut random = Random::seeded();
    let mut source = Source::of(Random::of(random.next()));
    let (mut journal, _) = open(dir.path(), &tiny());
    // Nothing yet, and then while its owner runs, the newest records in the tail alone.
    assert_eq!(same(dir.path(), &mut random), (Vec::new(), None));
    let mut written = 0;
    for records in [1, 50, 3_000] {
        write(&mut journal, &mut source, records);
        written += records;
        let (good, wrong) = same(dir.path(), &mut random);
        assert_eq!((good.len(), wrong), (written, None));
    }
    drain(&journal);
    drop(journal);
    lose_tail(dir.path());
    let (good, wrong) = same(dir.path(), &mut random);
    assert_eq!((good.len(), wrong), (written, None));
    // They are of the size that was asked for, and end with segments.
    let reader = Reader::open(dir.path()).expect("opens");
    let segments = reader.end().0.div_ceil(64 << 10) as usize;
    assert_eq!(in_parts(&reader, 1 << 30).1, segments);
    assert!(in_parts(&reader, 4 << 10).1 > 10 * segments);
    assert!(in_parts(&reader, 0).1 > in_parts(&reader, 4 << 10).1);
}

#[test]
fn parts_end_where_one_look_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut random = Random::seeded();
    let mut source = Source::of(Random::of(random.next()));
    let (mut journal, _) = open(dir.path(), &tiny());
    write(&mut journal, &mut source, 1_500);
    drain(&journal);
    drop(journal);
    lose_tail(dir.path());
    let reader = Reader::open(dir.path()).expect("opens");
    let (end, headers) = (reader.end().0, seen(reader.records()).0);
    drop(reader);
    assert!(end > 2 * (64 << 10), "{end}");
    for round in 0..400 {
        // Half of them in the first eight bytes of a record: a wrong length leads astray.
        let at = if round % 2 == 0 {
            headers[random.below(headers.len() as u64) as usize].0.0 + random.below(8)
        } else {
            random.below(end)
        };
        let file = segment(dir.path(), at / (64 << 10));
        let (offset, bit) = (SEGMENT_HEADER + at % (64 << 10), random.below(8) as u8);
        flip(&file, offset, bit);
        let (good, wrong) = same(dir.path(), &mut random);
        assert!(wrong.is_some() || good.len() < headers.len(), "byte {at} bit {bit}");
        assert!(good.iter().eq(&headers[..good.len()]), "byte {at} bit {bit}");
        flip(&file, offset, bit);
    }
    // Zeros over everything from some place on in a segment that is not the last, a record at least, and a whole segment of
    // them. Behind its last record a segment may have zeros anyway.
    let last = headers.iter().rev().find(|record| record.0.0 < 2 * (64 << 10)).expect("a record").0.0;
    for at in [random.below(last % (64 << 10) + 1) & !7, 0] {
        let file = segment(dir.path(), 1);
        let whole = fs::read(&file).expect("reads");
        let mut bytes = whole.clone();
        bytes[(SEGMENT_HEADER + at) as usize..].fill(0);
        fs::write(&file, bytes).expect("writes");
        assert!(same(dir.path(), &mut random).1.is_some(), "zeros from {at}");
        fs::write(&file, whole).expect("writes");
    }
    let verify = inspect::verify(dir.path()).expect("a journal");
    assert!(verify.problems.is_empty());
}
