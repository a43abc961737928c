//! What goes in comes out.

use domain::Sequence;
use journal::session_log::SessionIndex;
use journal::{AckPolicy, Mark, Options, Position, ReadError, Reader, StorageState, inspect};

use crate::support::{Said, Source, drain, open, options, read, said, tails, write};

#[test]
fn what_is_appended_is_read_back_across_closes() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let mut all = Vec::new();
    for round in 0..4 {
        let ack = if round % 2 == 0 { AckPolicy::Disk } else { AckPolicy::Memory };
        let (mut journal, recovery) = open(dir.path(), &Options { ack, ..options() });
        assert_eq!(recovery.created, round == 0);
        assert_eq!((recovery.cut, recovery.absorbed_from_tail), (None, 0));
        let commands = all.iter().filter(|(_, s)| matches!(s, Said::Command(_))).count() as u64;
        assert_eq!((recovery.commands, recovery.commands + recovery.reports), (commands, all.len() as u64));
        assert_eq!(recovery.last_sequence, Sequence(commands));
        // More than a segment each time.
        all.extend(write(&mut journal, &mut source, 15_000));
        drain(&journal);
        assert_eq!(journal.state(), StorageState::Ok);
        journal.close().expect("closes");
        assert_eq!(read(dir.path()), all);
    }
    let verify = inspect::verify(dir.path()).expect("a journal");
    assert!(verify.problems.is_empty(), "{:?}", verify.problems);
    assert!(verify.info.segments.len() > 4, "{:?}", verify.info);
    assert_eq!(verify.info.kinds.values().sum::<u64>(), all.len() as u64);
    assert!(verify.info.tail.is_none());
}

#[test]
fn reports_are_read_back_by_their_number() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &options());
    let written = write(&mut journal, &mut source, 40_000);
    let mut indexes = [const { None::<SessionIndex> }; 3].map(Option::unwrap_or_default);
    for (position, said) in &written {
        if let Said::Report(report) = said {
            indexes[report.session.0 as usize].push(*position);
        }
    }
    // Some are in the tail only, most are in segments only.
    for (position, said) in &written {
        match said {
            Said::Report(report) => {
                let found = indexes[report.session.0 as usize].get(report.number);
                assert_eq!(found, Some(*position));
                assert_eq!(journal.read_report(*position).expect("reads"), *report);
            }
            Said::Command(_) => {
                assert!(matches!(journal.read_report(*position), Err(ReadError::Decode { .. })));
            }
        }
    }
    // Any number may come from outside: no panic, no report.
    let end = journal.committed().0;
    for at in (0..end).step_by(7919).chain([3, end - 1, end, u64::MAX, u64::MAX - 7]) {
        if !written.iter().any(|(position, _)| position.0 == at) {
            assert!(journal.read_report(Position(at)).is_err(), "{at}");
        }
    }
    journal.close().expect("closes");
}

#[test]
fn a_reader_can_begin_anywhere() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &options());
    let written = write(&mut journal, &mut source, 20_000);
    journal.close().expect("closes");
    let reader = Reader::open(dir.path()).expect("opens");
    for n in (0..written.len()).step_by(997) {
        let from: Vec<_> =
            reader.records_from(written[n].0).take(50).map(|r| r.expect("a good record").position).collect();
        let expected: Vec<_> = written[n..].iter().take(50).map(|(p, _)| *p).collect();
        assert_eq!(from, expected);
    }
    assert_eq!(reader.records_from(reader.end()).count(), 0);
    // A place where no record begins gives an error or an end, and never a record that is not there.
    let known: std::collections::BTreeSet<_> = written.iter().map(|(p, _)| *p).collect();
    for at in (0..reader.end().0).step_by(1009) {
        for record in reader.records_from(Position(at)).take(3).flatten() {
            assert!(known.contains(&record.position), "{at} gave {}", record.position);
        }
    }
}

#[test]
fn a_batch_that_is_not_committed_does_not_exist() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &options());
    let written = write(&mut journal, &mut source, 100);
    for _ in 0..10 {
        crate::support::append(&mut journal, &source.next()).expect("room");
    }
    assert_eq!(said(&Reader::open(dir.path()).expect("opens")), written);
    drop(journal);
    let (journal, recovery) = open(dir.path(), &options());
    assert_eq!(recovery.commands + recovery.reports, 100);
    drop(journal);
    assert_eq!(read(dir.path()), written);
}

#[test]
fn a_clean_close_leaves_no_tail_and_a_new_ring_size_is_taken() {
    let dir = tempfile::tempdir().expect("a directory");
    let place = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let mut all = Vec::new();
    for round in 0..40 {
        let tail_bytes = [8 << 10, 64 << 10, 16 << 10, 1 << 20, 8 << 10, 2 << 20][round % 6];
        let segment_bytes = if round == 0 { 1 << 20 } else { 2 << 20 };
        let tail_dir = Some(place.path().to_path_buf());
        let options = Options { tail_bytes, segment_bytes, tail_dir, ..options() };
        let (mut journal, _) = open(dir.path(), &options);
        assert_eq!(tails(place.path()).len(), 1);
        let count = 1 + source.random.below(700) as usize;
        all.extend(write(&mut journal, &mut source, count));
        journal.close().expect("closes");
        assert!(tails(place.path()).is_empty());
        assert!(!dir.path().join("tail").exists());
    }
    assert_eq!(read(dir.path()), all);
    assert_eq!(inspect::info(dir.path()).expect("good").capacity, 1 << 20);
}

#[test]
fn room_is_a_promise() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &Options { tail_bytes: 8 << 10, ..options() });
    for _ in 0..2_000 {
        let mut room = journal.room();
        while room >= 152 {
            let before = journal.stats().bytes;
            crate::support::append(&mut journal, &source.next()).expect("there was room");
            // What a stretched seal takes is not counted against the promise.
            room = room.saturating_sub((journal.stats().bytes - before).min(152));
        }
        journal.commit();
        if source.random.below(3) == 0 {
            drain(&journal);
        }
    }
    journal.close().expect("closes");
}

#[test]
fn a_reader_goes_on_after_a_mark_of_its_journal_and_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    // Small, so that marks fall on the ends of segments too.
    let small = Options { segment_bytes: 64 << 10, tail_bytes: 8 << 10, ..options() };
    let (mut journal, _) = open(dir.path(), &small);
    let mut marks = vec![(journal.mark(), 0)];
    let mut written = Vec::new();
    for _ in 0..400 {
        written.extend(write(&mut journal, &mut source, 10));
        journal.commit();
        let mark = journal.mark();
        assert_eq!(mark.position, journal.committed());
        let reader = Reader::open(dir.path()).expect("opens");
        assert_eq!(reader.records_after(mark).expect("its end").count(), 0);
        let wrong = Mark { chain: mark.chain ^ 1, ..mark };
        assert!(reader.records_after(wrong).is_err());
        marks.push((mark, written.len()));
    }
    journal.close().expect("closes");
    let reader = Reader::open(dir.path()).expect("opens");
    for (n, (mark, before)) in marks.iter().enumerate() {
        let records = reader.records_after(*mark).expect("a mark of this journal");
        let positions: Vec<_> = records.map(|record| record.expect("a good record").position).collect();
        assert_eq!(positions, written[*before..].iter().map(|(p, _)| *p).collect::<Vec<_>>());
        // Another chain, the place of another mark, the middle of a batch, beyond the end.
        let other = marks[(n + 1) % marks.len()].0;
        for position in [mark.position.0, other.position.0, mark.position.0 + 8, u64::MAX, u64::MAX - 7] {
            let chain = if position == mark.position.0 { mark.chain ^ 1 } else { mark.chain };
            assert!(
                reader.records_after(Mark { position: Position(position), chain }).is_err(),
                "{position}"
            );
        }
        if let Some((position, _)) = written.get(before + 1) {
            assert!(reader.records_after(Mark { position: *position, ..*mark }).is_err());
        }
    }
}
