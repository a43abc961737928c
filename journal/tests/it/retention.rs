//! Journals whose oldest segments are gone, and how they go.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::{Epoch, Sequence};
use journal::retention::{Retained, Retention, RetentionError};
use journal::snapshot::{self, Header};
use journal::{
    Appender, Journal, Mark, OpenError, Options, Position, ReadError, Reader, TruncateError, inspect,
    mark_at, truncate,
};

use crate::faults::Faults;
use crate::support::{
    Random, SEGMENT_HEADER, Said, Source, append, append_patiently, copy_segments, drain, lose_tail, open,
    options, read, said, segment, wait, write,
};

type Written = Vec<(Position, Said)>;

const SEGMENT: u64 = 64 << 10;

fn tiny() -> Options {
    Options { segment_bytes: SEGMENT, tail_bytes: 8 << 10, ..options() }
}

/// What is at or beyond the segment `index`.
fn from_segment(all: &[(Position, Said)], index: u64) -> Written {
    all.iter().filter(|(position, _)| position.0 >= index * SEGMENT).copied().collect()
}

fn last_sequence(all: &[(Position, Said)]) -> Sequence {
    let of = |(_, said): &(Position, Said)| match said {
        Said::Command(command) => Some(command.sequence),
        Said::Report(_) => None,
    };
    all.iter().rev().find_map(of).expect("a command")
}

/// Writes a snapshot of nothing at the journal's end.
fn snapshot_at_end(journal: &Appender, dir: &Path) -> Mark {
    let header = Header {
        version: snapshot::VERSION,
        cluster: journal.cluster(),
        mark: journal.mark(),
        last_sequence: journal.last_sequence(),
        last_nanos: journal.last_nanos(),
        state: 0,
    };
    snapshot::write(dir, &header, b"a body").expect("writes");
    journal.mark()
}

/// The indexes of the segments in a directory.
fn indexes(dir: &Path) -> Vec<u64> {
    let names = fs::read_dir(dir).expect("lists").map(|entry| entry.expect("an entry").file_name());
    let index = |name: &str| name.strip_suffix(".seg").map(|digits| digits.parse().expect("an index"));
    let mut found: Vec<u64> = names.filter_map(|name| index(name.to_str().expect("a name"))).collect();
    found.sort_unstable();
    found
}

/// Everything in a directory but its lock and its tail.
fn copy_all(from: &Path, to: &Path) {
    copy_segments(from, to);
    for file in snapshot::list(from).expect("lists") {
        fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("copies");
    }
}

fn refuse(dir: &Path) -> OpenError {
    match Journal::open(dir, &tiny(), Arc::new(|| {})) {
        Err(e) => e,
        Ok((_, recovery)) => panic!("opened: {recovery:?}"),
    }
}

#[test]
fn a_journal_without_its_first_segments_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &tiny());
    let mut all = write(&mut journal, &mut source, 2_000);
    let middle = journal.mark();
    all.extend(write(&mut journal, &mut source, 1_000));
    let end = journal.mark();
    journal.close().expect("closes");
    let count = indexes(dir.path()).len() as u64;
    assert!(count >= 4, "{count}");

    for first in 0..count {
        let work = tempfile::tempdir().expect("a directory");
        copy_segments(dir.path(), work.path());
        (0..first).for_each(|index| fs::remove_file(segment(work.path(), index)).expect("removes"));
        let begin = Position(first * SEGMENT);
        let kept = from_segment(&all, first);

        let reader = Reader::open(work.path()).expect("opens for reading");
        assert_eq!((reader.begin(), said(&reader)), (begin, kept.clone()), "from {first}");
        assert_eq!(reader.records_unjudged().count(), kept.len());
        // At a mark it goes on if it still has the place.
        let after = |mark: Mark| reader.records_after(mark).map(|records| records.count());
        assert_eq!(after(end).expect("it is there"), 0);
        let beyond = all.iter().filter(|(position, _)| *position >= middle.position).count();
        match after(middle) {
            Ok(count) => assert_eq!((count, middle.position >= begin), (beyond, true)),
            Err(ReadError::Gone { position, file }) => {
                assert_eq!((position, middle.position < begin), (middle.position, true));
                assert_eq!(file, segment(work.path(), middle.position.0 / SEGMENT));
            }
            Err(error) => panic!("{error}"),
        }
        let wrong = Mark { chain: middle.chain ^ 1, ..middle };
        assert!(reader.records_after(wrong).is_err());
        // A record is found by its position if it is there.
        for (position, _) in all.iter().step_by(97) {
            match reader.records_from(*position).next() {
                Some(Ok(record)) => assert_eq!((record.position, *position >= begin), (*position, true)),
                Some(Err(ReadError::Gone { .. })) => assert!(*position < begin),
                other => panic!("{position}: {other:?}"),
            }
        }

        let info = inspect::info(work.path()).expect("a journal");
        assert_eq!((info.begin, info.segments.len() as u64), (begin, count - first));
        assert_eq!(info.commands + info.reports, kept.len() as u64);
        assert_eq!(info.last_sequence, last_sequence(&all));
        let problems = inspect::verify(work.path()).expect("a journal").problems;
        match problems[..] {
            [] => assert_eq!(first, 0),
            [inspect::Problem::NoStart { begin: at }] => assert_eq!((at, first > 0), (begin, true)),
            _ => panic!("{problems:?}"),
        }

        // It opens, gives what it has, and takes more.
        let mut more = Source::of(Random::of(source.random.next())).after(&all);
        let (mut journal, recovery) = open(work.path(), &tiny());
        assert_eq!((recovery.cut, recovery.last_sequence), (None, last_sequence(&all)));
        assert_eq!(recovery.commands + recovery.reports, kept.len() as u64);
        assert_eq!(recovery.end.0, info.end.0);
        let (gone, there) = all.split_at(all.len() - kept.len());
        let is_report = |(_, said): &&(Position, Said)| matches!(said, Said::Report(_));
        if let Some((position, _)) = gone.iter().find(is_report) {
            let Err(ReadError::Gone { position: at, .. }) = journal.read_report(*position) else { panic!() };
            assert_eq!(at, *position);
        }
        for (position, said) in there.iter().filter(is_report).step_by(53) {
            assert_eq!(Said::Report(journal.read_report(*position).expect("a report")), *said);
        }
        let longer = [kept, write(&mut journal, &mut more, 1_500)].concat();
        // Also with the newest in the tail only.
        drop(journal);
        assert_eq!(read(work.path()), longer);
        let (journal, _) = open(work.path(), &tiny());
        journal.close().expect("closes");
        assert_eq!(read(work.path()), longer);
    }
}

/// With no command in what is left, the seals say which was the last.
#[test]
fn the_last_sequence_is_known_without_a_command() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &tiny());
    let all = write(&mut journal, &mut source, 200);
    let (sequence, nanos) = (journal.last_sequence(), journal.last_nanos());
    assert_eq!(sequence, last_sequence(&all));
    while journal.committed().0 < 4 * SEGMENT {
        let said = source.next();
        if matches!(said, Said::Report(_)) {
            append_patiently(&mut journal, &said);
            journal.commit();
        }
    }
    journal.close().expect("closes");
    (0..2).for_each(|index| fs::remove_file(segment(dir.path(), index)).expect("removes"));
    let (mut journal, recovery) = open(dir.path(), &tiny());
    assert_eq!((recovery.commands, recovery.last_sequence, recovery.last_nanos), (0, sequence, nanos));
    // The next command is the one after.
    let mut source = Source::of(Random::of(1)).after(&all);
    let next = loop {
        if let Said::Command(command) = source.next() {
            break command;
        }
    };
    append(&mut journal, &Said::Command(next)).expect("room");
    journal.close().expect("closes");
    let info = inspect::info(dir.path()).expect("a journal");
    assert_eq!((info.commands, info.last_sequence), (1, next.sequence));
}

#[test]
fn a_gap_and_a_beginning_that_says_nothing_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &tiny());
    write(&mut journal, &mut source, 3_000);
    // Until then the disk thread may go on to another segment.
    drain(&journal);
    let next = indexes(dir.path()).len() as u64;
    let spare = dir.path().join(format!("spare-{next:010}.tmp"));
    // Its header is written last. In a hurry it is left without its zeros.
    wait("a spare", || fs::read(&spare).is_ok_and(|bytes| bytes.first() == Some(&b'F')));
    journal.close().expect("closes");

    let gap = tempfile::tempdir().expect("a directory");
    copy_segments(dir.path(), gap.path());
    for index in [0, 2] {
        fs::remove_file(segment(gap.path(), index)).expect("removes");
        let missing = |error: &OpenError| matches!(error, OpenError::Missing { file } if file.ends_with("0000000002.seg"));
        if index == 2 {
            assert!(missing(&refuse(gap.path())));
            assert!(missing(&Reader::open(gap.path()).expect_err("a gap")));
            assert!(missing(&inspect::verify(gap.path()).expect_err("a gap")));
        }
    }

    // A segment in which nothing has been written yet, alone.
    let alone = tempfile::tempdir().expect("a directory");
    fs::copy(&spare, segment(alone.path(), next)).expect("copies");
    let nothing = |error: &OpenError| matches!(error, OpenError::NoBeginning { file } if *file == segment(alone.path(), next));
    assert!(nothing(&Reader::open(alone.path()).expect_err("no batch")));
    assert!(nothing(&inspect::verify(alone.path()).expect_err("no batch")));
    assert!(matches!(refuse(alone.path()), OpenError::NoBeginning { .. }));
}

/// A journal of at least nine segments, closed, whose snapshots are three and one segment before its end.
fn with_snapshots(dir: &Path, source: &mut Source) -> (Written, Mark) {
    let (mut journal, _) = open(dir, &tiny());
    let mut all = Vec::new();
    let mut older = None;
    for reach in [6, 8, 9] {
        while journal.committed().0 < reach * SEGMENT + SEGMENT / 2 {
            all.extend(write(&mut journal, source, 50));
        }
        if reach < 9 {
            let mark = snapshot_at_end(&journal, dir);
            older.get_or_insert(mark);
        }
    }
    journal.close().expect("closes");
    (all, older.expect("a mark"))
}

fn run(dir: &Path, archive: Option<&Path>, needed: &[Position]) -> Retained {
    let retention = Retention::new(dir.to_path_buf(), archive.map(Path::to_path_buf));
    retention.run(needed, &AtomicBool::new(false)).expect("it can")
}

#[test]
fn segments_below_the_older_snapshot_go_and_the_rest_stays() {
    let mut source = Source::new();
    let dir = tempfile::tempdir().expect("a directory");
    let (all, older) = with_snapshots(dir.path(), &mut source);
    let count = indexes(dir.path()).len() as u64;
    let first = older.position.0 / SEGMENT;

    // Somebody still reads.
    let done = run(dir.path(), None, &[Position(2 * SEGMENT + 8)]);
    assert_eq!((done.removed, done.archived, done.begin), (2, 0, Position(2 * SEGMENT)));
    assert_eq!(done.bytes, 2 * (SEGMENT_HEADER + SEGMENT));
    // Nobody does.
    let done = run(dir.path(), None, &[]);
    assert_eq!((done.removed, done.begin), (first - 2, Position(first * SEGMENT)));
    assert_eq!(indexes(dir.path()), (first..count).collect::<Vec<_>>());
    assert_eq!(run(dir.path(), None, &[]), Retained { begin: done.begin, ..Retained::default() });
    // It is all there from the older snapshot on, and in order.
    let verify = inspect::verify(dir.path()).expect("a journal");
    assert!(verify.problems.is_empty(), "{:?}", verify.problems);
    assert_eq!(verify.info.snapshots.len(), 2);
    assert_eq!(read(dir.path()), from_segment(&all, first));
    assert!(Reader::open(dir.path()).expect("opens").records_after(older).is_ok());
}

/// Two snapshots that are there, and are of no use, keep everything.
#[test]
fn snapshots_that_are_not_good_do_not_count() {
    let mut source = Source::new();
    let dir = tempfile::tempdir().expect("a directory");
    with_snapshots(dir.path(), &mut source);
    let files = snapshot::list(dir.path()).expect("lists");
    let before = indexes(dir.path());
    for file in &files {
        let good = fs::read(file).expect("reads");
        let other_history = {
            let mut header =
                snapshot::check(file, Reader::open(dir.path()).expect("opens").cluster()).expect("good");
            header.mark.chain ^= 1;
            let elsewhere = tempfile::tempdir().expect("a directory");
            fs::read(snapshot::write(elsewhere.path(), &header, b"a body").expect("writes")).expect("reads")
        };
        let mut flipped = good.clone();
        let bit = source.random.below(good.len() as u64 * 8);
        flipped[(bit / 8) as usize] ^= 1 << (bit % 8);
        for bad in [&flipped, &other_history, &good[..good.len() - 1].to_vec()] {
            fs::write(file, bad).expect("writes");
            assert_eq!(run(dir.path(), None, &[]).removed, 0, "bit {bit} of {}", file.display());
            assert_eq!(indexes(dir.path()), before);
            let problems = inspect::verify(dir.path()).expect("a journal").problems;
            let named = |problem: &inspect::Problem| matches!(problem, inspect::Problem::Snapshot { file: of, .. } if of == file);
            assert!(problems.len() == 1 && named(&problems[0]), "{problems:?}");
        }
        fs::write(file, good).expect("writes");
    }
    assert!(run(dir.path(), None, &[]).removed > 0);
}

/// Stopped after each of its steps: the directory opens and has all that the older snapshot needs, the archive has the
/// rest, and the next turn ends as if nothing had been.
#[test]
fn a_turn_that_fails_anywhere_can_be_repeated() {
    let mut source = Source::new();
    let original = tempfile::tempdir().expect("a directory");
    let (all, older) = with_snapshots(original.path(), &mut source);
    let count = indexes(original.path()).len() as u64;
    let first = older.position.0 / SEGMENT;
    for with_archive in [false, true] {
        let mut failed = 0;
        for step in 0.. {
            let place = tempfile::tempdir().expect("a directory");
            let (dir, archive) = (place.path().join("data"), place.path().join("archive"));
            copy_all(original.path(), &dir);
            let archive = with_archive.then_some(archive);
            let faults = Faults::new();
            faults.fail_after(step);
            let turn = Retention::with_storage(dir.clone(), archive.clone(), faults);
            match turn.run(&[], &AtomicBool::new(false)) {
                Err(RetentionError::Io { .. }) => failed += 1,
                Err(error) => panic!("step {step}: {error}"),
                Ok(done) => {
                    assert_eq!(done.removed, first);
                    break;
                }
            }
            let there = indexes(&dir);
            assert_eq!(there, (there[0]..count).collect::<Vec<_>>(), "step {step}");
            assert!(there[0] <= first);
            assert!(Reader::open(&dir).expect("opens").records_after(older).is_ok(), "step {step}");
            let (journal, recovery) = open(&dir, &tiny());
            assert_eq!((recovery.cut, recovery.last_sequence), (None, last_sequence(&all)));
            drop(journal);
            assert_eq!(read(&dir), from_segment(&all, there[0]), "step {step}");
            if let Some(archive) = &archive {
                holds(archive, &all, there[0], first);
            }
            // The next turn does the rest.
            let done = run(&dir, archive.as_deref(), &[]);
            assert_eq!((done.removed, done.begin), (first - there[0], Position(first * SEGMENT)));
            assert_eq!(read(&dir), from_segment(&all, first));
            if let Some(archive) = &archive {
                holds(archive, &all, first, first);
            }
        }
        // One removal each; with an archive a write, a sync and a rename more.
        assert_eq!(failed, first * if with_archive { 4 } else { 1 });
    }
}

/// The archive is a directory that reads as the journal's beginning: whole from 0 to at least `from`, at most `to`.
fn holds(archive: &Path, all: &[(Position, Said)], from: u64, to: u64) {
    if from == 0 && (!archive.exists() || indexes(archive).is_empty()) {
        return;
    }
    let there = indexes(archive);
    assert!((from..=to).contains(&(there.len() as u64)), "{there:?}");
    let reader = Reader::open(archive).expect("opens for reading");
    let end = Position(there.len() as u64 * SEGMENT);
    assert_eq!((reader.begin(), reader.end()), (Position(0), end));
    let expected: Written = all.iter().filter(|(position, _)| *position < end).copied().collect();
    assert_eq!(said(&reader), expected);
}

#[test]
fn an_archive_is_never_made_worse() {
    let mut source = Source::new();
    let dir = tempfile::tempdir().expect("a directory");
    let place = tempfile::tempdir().expect("a directory");
    let archive = place.path().join("not/there/yet");
    let (all, older) = with_snapshots(dir.path(), &mut source);
    let first = older.position.0 / SEGMENT;
    let try_to = |archive: &Path| {
        Retention::new(dir.path().to_path_buf(), Some(archive.to_path_buf()))
            .run(&[], &AtomicBool::new(false))
    };
    let before = indexes(dir.path());

    assert!(matches!(try_to(dir.path()), Err(RetentionError::Same { .. })));
    // Of another journal.
    let stranger = tempfile::tempdir().expect("a directory");
    let (mut journal, _) = open(stranger.path(), &tiny());
    write(&mut journal, &mut Source::of(Random::of(source.random.next())), 1_000);
    journal.close().expect("closes");
    assert!(
        matches!(try_to(stranger.path()), Err(RetentionError::Foreign { file, .. }) if file == segment(stranger.path(), 0))
    );
    assert_eq!(indexes(dir.path()), before);
    // Told to stop before it begins.
    let turn = Retention::new(dir.path().to_path_buf(), Some(archive.clone()));
    let done = turn.run(&[], &AtomicBool::new(true)).expect("it can");
    assert_eq!((done.stopped, done.removed, indexes(dir.path())), (true, 0, before.clone()));

    // A disk that says that it has written what it has not.
    let liar = Faults::new();
    liar.lie();
    let turn = Retention::with_storage(dir.path().to_path_buf(), Some(archive.clone()), liar);
    let error = turn.run(&[], &AtomicBool::new(false)).expect_err("it lies");
    assert!(matches!(error, RetentionError::Copy(_)), "{error}");
    assert_eq!((indexes(dir.path()), indexes(&archive)), (before, vec![]));

    // What is damaged is not put away and not removed.
    let whole = fs::read(segment(dir.path(), 1)).expect("reads");
    let mut damaged = whole.clone();
    let bit = SEGMENT_HEADER * 8 + source.random.below(SEGMENT * 4);
    damaged[(bit / 8) as usize] ^= 1 << (bit % 8);
    fs::write(segment(dir.path(), 1), &damaged).expect("writes");
    match try_to(&archive) {
        Err(RetentionError::Damaged(damage)) => assert_eq!(damage.file, segment(dir.path(), 1), "bit {bit}"),
        other => panic!("bit {bit}: {other:?}"),
    }
    assert_eq!((indexes(dir.path())[0], indexes(&archive)), (1, vec![0]));
    fs::write(segment(dir.path(), 1), &whole).expect("writes");

    // What is damaged in the archive is put there anew.
    fs::write(segment(&archive, 1), &damaged).expect("writes");
    fs::write(segment(&archive, 2), b"no segment").expect("writes");
    let done = try_to(&archive).expect("it can");
    assert_eq!((done.removed, done.archived), (first - 1, first - 1));
    holds(&archive, &all, first, first);
    assert_eq!(read(dir.path()), from_segment(&all, first));

    // Together they are the whole journal again, for whoever needs its beginning.
    let together = place.path().join("together");
    copy_segments(dir.path(), &together);
    copy_segments(&archive, &together);
    assert_eq!(read(&together), all);
}

/// While the journal is written, read and asked for old reports.
#[test]
fn a_running_journal_sheds_its_past() {
    let mut source = Source::new();
    let dir = tempfile::tempdir().expect("a directory");
    let place = tempfile::tempdir().expect("a directory");
    let archive = place.path().join("archive");
    let (mut journal, _) = open(dir.path(), &tiny());
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (dir, stop) = (dir.path().to_path_buf(), stop.clone());
            std::thread::spawn(move || {
                let mut pictures = 0;
                while !stop.load(Ordering::Relaxed) {
                    let reader = Reader::open(&dir).expect("opens while segments go");
                    for record in reader.records() {
                        record.expect("a good record");
                    }
                    pictures += 1;
                }
                pictures
            })
        })
        .collect();
    let mut all = Vec::new();
    let mut begin = Position(0);
    for round in 0..12 {
        all.extend(write(&mut journal, &mut source, 700));
        drain(&journal);
        snapshot_at_end(&journal, dir.path());
        let done = run(dir.path(), Some(&archive), &[]);
        assert!(done.begin >= begin, "round {round}");
        begin = done.begin;
    }
    assert!(begin.0 >= 5 * SEGMENT, "{begin}");
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().expect("no panic") > 0);
    }
    drop(journal);
    lose_tail(dir.path());
    assert_eq!(read(dir.path()), from_segment(&all, begin.0 / SEGMENT));
    let files =
        |dir: &Path| -> Vec<PathBuf> { indexes(dir).iter().map(|index| segment(dir, *index)).collect() };
    assert_eq!(files(&archive).len() as u64, begin.0 / SEGMENT);
    holds(&archive, &all, begin.0 / SEGMENT, begin.0 / SEGMENT);
}

/// What came before its first segment cannot be cut off again, or nothing would say what was there.
#[test]
fn a_journal_without_its_beginning_is_not_cut_to_nothing() {
    let mut source = Source::new();
    let dir = tempfile::tempdir().expect("a directory");
    let cut_off = tempfile::tempdir().expect("a directory");
    let (all, older) = with_snapshots(dir.path(), &mut source);
    let begin = run(dir.path(), None, &[]).begin;
    let first = begin.0 / SEGMENT;
    let at_begin = mark_at(dir.path(), SEGMENT, begin).expect("a segment").expect("a batch");
    let before = indexes(dir.path());
    match truncate(dir.path(), at_begin, cut_off.path()) {
        Err(TruncateError::Beginning { begin: at, .. }) => assert_eq!(at, begin),
        other => panic!("{other:?}"),
    }
    assert_eq!(indexes(dir.path()), before);
    assert_eq!(read(dir.path()), from_segment(&all, first));
    // A little later it is.
    truncate(dir.path(), older, cut_off.path()).expect("it can");
    let kept: Written =
        from_segment(&all, first).into_iter().filter(|(position, _)| *position < older.position).collect();
    assert_eq!(read(dir.path()), kept);
}

#[test]
fn the_history_of_epochs_is_that_of_what_is_left() {
    let mut source = Source::new();
    let dir = tempfile::tempdir().expect("a directory");
    let (mut journal, _) = open(dir.path(), &tiny());
    let mut all = Vec::new();
    let mut starts = Vec::new();
    for epoch in [1, 4, 5] {
        if epoch > 1 {
            journal.begin_epoch(Epoch(epoch));
        }
        let own = write(&mut journal, &mut source, 1_000);
        let is_command = |(_, said): &&(Position, Said)| matches!(said, Said::Command(_));
        let Some((_, Said::Command(first))) = own.iter().find(is_command) else { panic!("a command") };
        starts.push((epoch, own[0].0, Some(first.sequence)));
        all.extend(own);
    }
    journal.close().expect("closes");
    let history = |dir: &Path| -> Vec<_> {
        let info = inspect::info(dir).expect("a journal");
        assert_eq!(info.epochs.last().map(|last| last.epoch), Some(5));
        info.epochs.iter().map(|of| (of.epoch, of.first_position, of.first_sequence)).collect()
    };
    assert_eq!(history(dir.path()), starts);
    for first in 1..=starts[1].1.0 / SEGMENT {
        fs::remove_file(segment(dir.path(), first - 1)).expect("removes");
        let left = history(dir.path());
        assert_eq!(left[left.len() - 2..], starts[1..]);
        if left.len() == 3 {
            // Of the first, what is left.
            assert_eq!((left[0].0, left[0].1), (1, from_segment(&all, first)[0].0));
        }
    }
}
