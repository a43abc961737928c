//! Copies of a journal that is being written, and the end that is cut off one on purpose.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use domain::Epoch;
use journal::{
    Appender, Batches, Begin, CopyError, EpochStart, Mark, Options, Position, ReadError, Reader,
    TruncateError, mark_at, truncate, whole_batches,
};

use crate::support::{Random, Source, copy_segments, drain, open, options, read, segment, wait, write};

/// The batches that an appender has published, and the marks where they end.
#[derive(Default)]
struct Published {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

/// A journal of a few laps and segments, with what it has published.
fn primary(dir: &Path, source: &mut Source, count: usize) -> (Appender, Arc<Mutex<Published>>) {
    let (mut journal, _) = open(dir, &small());
    let published = Arc::new(Mutex::new(Published { bytes: Vec::new(), marks: vec![journal.mark()] }));
    let shown = Arc::clone(&published);
    journal.show_batches(Box::new(move |bytes, mark| {
        let mut published = shown.lock().unwrap();
        published.bytes.extend_from_slice(bytes);
        published.marks.push(mark);
    }));
    write(&mut journal, source, count);
    (journal, published)
}

fn small() -> Options {
    Options { segment_bytes: 64 << 10, tail_bytes: 16 << 10, ..options() }
}

/// An empty copy of a journal.
fn standby(dir: &Path, of: &Appender, tail_bytes: u64) -> Appender {
    let begin = Some(Begin::from_start(of.cluster()));
    open(dir, &Options { begin, tail_bytes, ..small() }).0
}

/// Takes over everything, in pieces of random length.
fn take_over(journal: &mut Appender, mut bytes: &[u8], random: &mut Random) -> usize {
    let mut records = 0;
    let mut offered = 0;
    wait("the copy to be complete", || {
        while !bytes.is_empty() {
            offered = (offered + random.below(3_000) as usize).min(bytes.len());
            let whole = whole_batches(&bytes[..offered]);
            let at = journal.mark().position;
            let taken = journal.append_copies(at, &bytes[..whole], |_| records += 1).expect("good batches");
            bytes = &bytes[taken..];
            offered -= taken;
            if taken < whole {
                return false; // the tail is full: the disk must take something first
            }
        }
        true
    });
    records
}

#[test]
fn a_copy_has_the_same_records_and_marks_and_can_go_on_by_itself() {
    let mut source = Source::new();
    // A tail as large as the primary's, and a larger one.
    for tail_bytes in [16 << 10, 64 << 10] {
        let (ours, theirs) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let mut first = Source::of(Random::of(source.random.next()));
        let (primary, published) = primary(ours.path(), &mut first, 3_000);
        let mut copy = standby(theirs.path(), &primary, tail_bytes);
        assert_eq!(copy.epoch(), Epoch(1));
        let bytes = std::mem::take(&mut published.lock().unwrap().bytes);
        let records = take_over(&mut copy, &bytes, &mut source.random);
        assert_eq!((records, copy.mark(), copy.cluster()), (3_000, primary.mark(), primary.cluster()));
        assert_eq!(copy.last_sequence(), primary.last_sequence());
        let written = read(ours.path());
        assert_eq!(read(theirs.path()), written);

        // A copy whose process dies is as good as any journal.
        drop(copy);
        let (copy, recovery) = open(theirs.path(), &Options { tail_bytes, ..small() });
        assert_eq!((recovery.cut, copy.mark()), (None, primary.mark()));
        copy.close().expect("closes");
        // What its seals say was durable was durable there: damage is told from a torn end by that.
        let (mut copy, recovery) = open(theirs.path(), &Options { tail_bytes, ..small() });
        assert_eq!(recovery.epoch, Epoch(1));

        // It takes over: what follows carries the new epoch, and the old primary can no longer be copied.
        copy.begin_epoch(Epoch(5));
        write(&mut copy, &mut Source::of(Random::of(1)).after(&written), 400);
        copy.close().expect("closes");
        let (copy, recovery) = open(theirs.path(), &small());
        assert_eq!((recovery.epoch, copy.epoch()), (Epoch(5), Epoch(5)));
        let begins = |epoch, position| EpochStart { epoch: Epoch(epoch), position };
        let own = read(theirs.path())[3_000].0;
        assert_eq!(recovery.epochs, [begins(1, Position(0)), begins(5, own)]);
        assert_eq!(read(theirs.path())[..3_000], written);
        assert_eq!(journal::inspect::verify(theirs.path()).expect("readable").problems, []);
        drop(copy);
    }
}

#[test]
fn what_does_not_continue_a_journal_is_not_copied() {
    let mut source = Source::new();
    let (ours, theirs) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (mut primary, published) = primary(ours.path(), &mut source, 40);
    let mut copy = standby(theirs.path(), &primary, 16 << 10);
    // However those were committed, there is a batch behind that in the middle.
    while published.lock().unwrap().marks.len() < 5 {
        write(&mut primary, &mut source, 1);
    }
    let Published { bytes, marks } = &*published.lock().unwrap();
    let half = marks[marks.len() / 2].position.0 as usize;
    assert_eq!(copy.append_copies(Position(0), &bytes[..half], |_| {}), Ok(half));
    let stands = copy.mark();
    let next = marks[marks.len() / 2 + 1].position.0 as usize;
    let batch = bytes[half..next].to_vec();

    // Any bit of it, the field apart that is written anew.
    let seal = batch.len() - 64;
    for byte in 0..batch.len() {
        let mut wrong = batch.clone();
        wrong[byte] ^= 1 << source.random.below(8);
        let taken =
            copy.append_copies(stands.position, &wrong, |_| panic!("a record of a bad batch is shown"));
        assert!(
            matches!(taken, Err(CopyError::Batch { .. })),
            "byte {byte} of {} + {seal}: {taken:?}",
            batch.len()
        );
        assert_eq!(copy.mark(), stands);
    }
    // Another place; the batch after it; half of it.
    let elsewhere = copy.append_copies(Position(0), &batch, |_| {});
    assert_eq!(elsewhere, Err(CopyError::Place { found: Position(0), expected: stands.position }));
    assert!(copy.append_copies(stands.position, &bytes[next..], |_| {}).is_err());
    assert!(copy.append_copies(stands.position, &batch[..batch.len() - 8], |_| {}).is_err());
    // An epoch below the one that is there.
    copy.begin_epoch(Epoch(2));
    let old = copy.append_copies(stands.position, &batch, |_| {});
    assert!(
        matches!(old, Err(CopyError::Batch { ref expected, .. }) if expected.contains("epoch")),
        "{old:?}"
    );
    assert_eq!(copy.mark(), stands);
}

#[test]
fn a_tail_smaller_than_the_primarys_is_refused_by_name() {
    let mut source = Source::new();
    let (ours, theirs) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (primary, published) = primary(ours.path(), &mut source, 400);
    let mut copy = standby(theirs.path(), &primary, 8 << 10);
    let bytes = published.lock().unwrap().bytes.clone();
    let mut at = 0;
    let refused = loop {
        assert!(at < bytes.len(), "no batch crosses a lap of 8 KiB");
        match copy.append_copies(Position(at as u64), &bytes[at..], |_| {}) {
            Ok(taken) => at += taken,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, CopyError::Lap { .. }), "{refused:?}");
    assert!(refused.to_string().contains("tail_mib"), "{refused}");
}

#[test]
fn batches_are_read_from_every_mark_and_no_further_than_asked() {
    let mut source = Source::new();
    let dir = tempfile::tempdir().expect("a directory");
    let (journal, published) = primary(dir.path(), &mut source, 2_000);
    drain(&journal);
    let Published { bytes, marks } = &*published.lock().unwrap();
    assert!(segment(dir.path(), 2).exists(), "several segments");
    let end = journal.mark().position;
    for (number, mark) in marks.iter().enumerate() {
        let to = marks[number + source.random.below((marks.len() - number) as u64) as usize].position;
        let mut batches = Batches::after(dir.path(), *mark).expect("a journal");
        let mut got = Vec::new();
        loop {
            let piece = batches.next(to, 1 + source.random.below(10_000) as usize).expect("good batches");
            if piece.is_empty() {
                break;
            }
            assert_eq!(whole_batches(piece), piece.len());
            got.extend_from_slice(piece);
        }
        assert_eq!(batches.at().position, to);
        // The seals' `durable` is as it was written.
        assert!(got == bytes[mark.position.0 as usize..to.0 as usize], "from {mark:?} to {to}");
    }
    // The marks can be looked up, and only they.
    for mark in &marks[..marks.len() - 1] {
        let found = mark_at(dir.path(), small().segment_bytes, mark.position).expect("a segment");
        assert_eq!(found, Some(*mark));
        let inside = Position(mark.position.0 + 8);
        assert_eq!(mark_at(dir.path(), small().segment_bytes, inside).expect("a segment"), None);
    }
    // A place where no batch begins, and one that another history has.
    let middle = Mark { position: Position(marks[1].position.0 + 8), ..marks[1] };
    assert!(Batches::after(dir.path(), middle).expect("a journal").next(end, 1).is_err());
    let other = Mark { chain: marks[1].chain ^ 1, ..marks[1] };
    let refused =
        Batches::after(dir.path(), other).expect("a journal").next(end, 1).expect_err("another history");
    assert!(matches!(refused, ReadError::Corrupt(_)), "{refused:?}");
}

#[test]
fn a_journal_is_cut_at_any_mark_and_what_is_cut_is_kept() {
    let mut source = Source::new();
    let ours = tempfile::tempdir().expect("a directory");
    let (journal, published) = primary(ours.path(), &mut source, 1_500);
    journal.close().expect("closes");
    let written = read(ours.path());
    let marks = published.lock().unwrap().marks.clone();
    let last = marks[marks.len() - 1];
    let mut cut_segments = 0;
    for n in 0..40 {
        let mark = match n {
            0 => marks[0],
            1 => last,
            _ => marks[source.random.below(marks.len() as u64) as usize],
        };
        let dir = tempfile::tempdir().expect("a directory");
        copy_segments(ours.path(), dir.path());
        let archive = dir.path().join("cut");
        let end = Reader::open(dir.path()).expect("opens").end();
        let truncated = truncate(dir.path(), mark, &archive).expect("cut");
        assert_eq!(truncated.bytes, end.0 - mark.position.0);
        let expected: Vec<_> = written.iter().filter(|(at, _)| *at < mark.position).copied().collect();
        assert_eq!(read(dir.path()), expected);
        for kept in &truncated.archived {
            let name = kept.file_name().expect("a name").to_str().expect("text");
            let index: u64 = name[name.len() - 14..name.len() - 4].parse().expect("an index");
            assert!(fs::read(kept).expect("reads") == fs::read(segment(ours.path(), index)).expect("reads"));
            cut_segments += 1;
        }
        // It goes on from there, as another history.
        let (mut journal, recovery) = open(dir.path(), &small());
        assert_eq!((recovery.cut, recovery.end, journal.mark()), (None, mark.position, mark));
        journal.begin_epoch(Epoch(2));
        let more = write(&mut journal, &mut Source::of(Random::of(n)).after(&expected), 300);
        journal.close().expect("closes");
        assert_eq!(read(dir.path())[expected.len()..], more);
    }
    assert!(cut_segments > 40, "{cut_segments}");

    // What is not a place of this journal changes nothing; nor does a directory in use, or with a tail.
    let before = fs::read(segment(ours.path(), 0)).expect("reads");
    let archive = ours.path().join("cut");
    let other = Mark { chain: marks[3].chain ^ 1, ..marks[3] };
    assert!(matches!(truncate(ours.path(), other, &archive), Err(TruncateError::Mark { .. })));
    let beyond = Mark { position: Position(last.position.0 + (1 << 20)), ..last };
    assert!(matches!(truncate(ours.path(), beyond, &archive), Err(TruncateError::Mark { .. })));
    let (journal, _) = open(ours.path(), &small());
    assert!(matches!(truncate(ours.path(), marks[3], &archive), Err(TruncateError::Open(_))));
    drop(journal);
    assert!(matches!(truncate(ours.path(), marks[3], &archive), Err(TruncateError::Tail(_))));
    assert!(!archive.exists() && fs::read(segment(ours.path(), 0)).expect("reads") == before);
}
