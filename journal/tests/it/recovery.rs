//! Files that are torn, damaged, missing or foreign: the exact prefix, or a refusal that names the place.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::{
    Appender, CutCause, FORMAT_VERSION, Journal, OpenError, Options, Position, ReadError, Reader, inspect,
};

use crate::faults::Faults;
use crate::support::{
    Random, SEGMENT_HEADER, Said, Source, append, copy_segments, drain, lose_tail, open, options, read,
    segment, tails, wait, write,
};

type Written = Vec<(Position, Said)>;

/// Small enough to be copied thousands of times.
fn tiny() -> Options {
    Options { segment_bytes: 64 << 10, tail_bytes: 8 << 10, ..options() }
}

fn batch(journal: &mut Appender, source: &mut Source, count: usize) -> Written {
    let written = (0..count)
        .map(|_| {
            let said = source.next();
            (append(journal, &said).expect("room"), said)
        })
        .collect();
    journal.commit();
    drain(journal);
    written
}

/// Some batches, then one more whose bounds are given; the journal is abandoned and its tail lost.
fn with_last_batch(dir: &Path, source: &mut Source) -> (Written, Written, u64, u64) {
    let (mut journal, _) = open(dir, &tiny());
    let mut before = Vec::new();
    for _ in 0..10 {
        before.extend(batch(&mut journal, source, 3));
    }
    let start = journal.committed().0;
    let last = batch(&mut journal, source, 3);
    let end = journal.committed().0;
    drop(journal);
    lose_tail(dir);
    (before, last, start, end)
}

pub(crate) fn flip(file: &Path, offset: u64, bit: u8) {
    let file = fs::OpenOptions::new().read(true).write(true).open(file).expect("opens");
    let mut byte = [0u8];
    file.read_exact_at(&mut byte, offset).expect("reads");
    file.write_all_at(&[byte[0] ^ (1 << bit)], offset).expect("writes");
}

fn refuse(dir: &Path) -> OpenError {
    match Journal::open(dir, &tiny(), Arc::new(|| {})) {
        Err(e) => e,
        Ok((_, recovery)) => panic!("opened: {recovery:?}"),
    }
}

/// A journal cut off anywhere in its last batch is the journal before that batch, and can go on.
#[test]
fn a_tail_torn_at_any_byte_leaves_the_exact_prefix() {
    let dir = tempfile::tempdir().expect("a directory");
    let work = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (before, last, start, end) = with_last_batch(dir.path(), &mut source);
    let file = segment(work.path(), 0);
    let whole = fs::read(segment(dir.path(), 0)).expect("reads");
    let from = |at: u64| &whole[(SEGMENT_HEADER + at) as usize..(SEGMENT_HEADER + end) as usize];
    for at in start..end {
        for shorten in [true, false] {
            if !shorten && from(at).iter().all(|byte| *byte == 0) {
                continue; // The batch ends in zeros, so these would tear nothing.
            }
            copy_segments(dir.path(), work.path());
            let torn = fs::OpenOptions::new().write(true).open(&file).expect("opens");
            if shorten {
                torn.set_len(SEGMENT_HEADER + at).expect("shortens");
            } else {
                torn.write_all_at(&vec![0; (end - at) as usize], SEGMENT_HEADER + at).expect("zeros");
            }
            drop(torn);
            assert_eq!(read(work.path()), before, "read at {at}");
            let (journal, recovery) = open(work.path(), &tiny());
            assert_eq!(recovery.end, Position(start), "at {at}");
            match recovery.cut {
                // Zeros from the first byte on are no trace of a batch.
                None => assert!(at < start + 8, "at {at}"),
                Some(cut) => {
                    assert_eq!((cut.at, cut.cause), (Position(start), CutCause::Torn));
                    assert_eq!(
                        (cut.file.file_name(), cut.offset),
                        (file.file_name(), SEGMENT_HEADER + start)
                    );
                    assert!(cut.bytes <= at - start, "{cut:?} at {at}");
                }
            }
            drop(journal);
            fs::remove_file(fs::read_link(work.path().join("tail")).expect("a tail")).expect("removes");
            fs::remove_file(work.path().join("tail")).expect("removes");
        }
    }
    // And the same place again takes the same batch.
    let (mut journal, recovery) = open(work.path(), &tiny());
    assert_eq!((recovery.end, recovery.cut), (Position(start), None));
    for (position, said) in &last {
        assert_eq!(append(&mut journal, said), Ok(*position));
    }
    journal.close().expect("closes");
    assert_eq!(read(work.path()), [before, last].concat());
}

#[test]
fn a_bit_flipped_below_what_is_durable_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &tiny());
    let before = batch(&mut journal, &mut source, 4);
    let start = journal.committed().0;
    batch(&mut journal, &mut source, 4);
    let end = journal.committed().0;
    batch(&mut journal, &mut source, 4);
    drop(journal);
    lose_tail(dir.path());
    let file = segment(dir.path(), 0);
    let whole = fs::read(&file).expect("reads");
    for byte in start..end {
        for bit in 0..8 {
            flip(&file, SEGMENT_HEADER + byte, bit);
            let OpenError::Corrupt(damage) = refuse(dir.path()) else { panic!("byte {byte} bit {bit}") };
            assert_eq!(damage.file.file_name(), file.file_name());
            assert!((start..end).contains(&damage.position.0), "{damage} at byte {byte} bit {bit}");
            assert_eq!(damage.offset, SEGMENT_HEADER + damage.position.0);
            assert!(damage.evidence.contains("on disk"), "{damage}");
            flip(&file, SEGMENT_HEADER + byte, bit);
        }
        // A reader gives what is before, then the damage.
        flip(&file, SEGMENT_HEADER + byte, 3);
        let reader = Reader::open(dir.path()).expect("opens");
        let mut records = reader.records();
        for (position, _) in &before {
            assert_eq!(records.next().expect("there").expect("good").position, *position);
        }
        assert!(matches!(records.next(), Some(Err(ReadError::Corrupt(_)))));
        assert!(records.next().is_none());
        flip(&file, SEGMENT_HEADER + byte, 3);
    }
    assert_eq!(fs::read(&file).expect("reads"), whole, "a refusal changes nothing");
    let verify = inspect::verify(dir.path()).expect("a journal");
    assert!(verify.problems.is_empty());
}

/// A close says that everything was on disk, so after it damage in the last batch is damage, not a torn
/// write.
#[test]
fn after_a_clean_close_the_last_batch_is_vouched_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &tiny());
    batch(&mut journal, &mut source, 4);
    let start = journal.committed().0;
    batch(&mut journal, &mut source, 4);
    let end = journal.committed().0;
    journal.close().expect("closes");
    for byte in start..end {
        let bit = source.random.below(8) as u8;
        flip(&segment(dir.path(), 0), SEGMENT_HEADER + byte, bit);
        assert!(matches!(refuse(dir.path()), OpenError::Corrupt(_)), "byte {byte} bit {bit}");
        let problems = inspect::verify(dir.path()).expect("a journal").problems;
        assert!(matches!(problems[..], [inspect::Problem::Damage(_)]), "{problems:?}");
        flip(&segment(dir.path(), 0), SEGMENT_HEADER + byte, bit);
    }
}

#[test]
fn damage_in_a_segment_before_the_last_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &tiny());
    write(&mut journal, &mut source, 3_000);
    drain(&journal);
    drop(journal);
    lose_tail(dir.path());
    let count = fs::read_dir(dir.path()).expect("lists").count();
    assert!(count > 4);
    for _ in 0..300 {
        let byte = SEGMENT_HEADER + source.random.below(64 << 10);
        let bit = source.random.below(8) as u8;
        let index = source.random.below(2);
        flip(&segment(dir.path(), index), byte, bit);
        let OpenError::Corrupt(damage) = refuse(dir.path()) else { panic!("byte {byte} bit {bit}") };
        assert_eq!(damage.file.file_name(), segment(dir.path(), index).file_name());
        let reader = Reader::open(dir.path()).expect("opens");
        assert!(matches!(reader.records().last(), Some(Err(ReadError::Corrupt(_)))));
        flip(&segment(dir.path(), index), byte, bit);
    }
}

#[test]
fn what_lies_behind_the_end_is_never_replayed() {
    let dir = tempfile::tempdir().expect("a directory");
    let work = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (before, last, start, end) = with_last_batch(dir.path(), &mut source);
    let all = [before, last].concat();
    let bytes = fs::read(segment(dir.path(), 0)).expect("reads");
    let data = &bytes[SEGMENT_HEADER as usize..];
    let mut behind: Vec<Vec<u8>> = Vec::new();
    // Garbage; the last batch once more; everything once more, as in a file that is used again.
    for _ in 0..50 {
        let length = 8 + source.random.below(900);
        behind.push((0..length).map(|_| source.random.next() as u8).collect());
    }
    behind.push(data[start as usize..end as usize].to_vec());
    behind.push(data[..end as usize].to_vec());
    for what in behind {
        copy_segments(dir.path(), work.path());
        let file = fs::OpenOptions::new().write(true).open(segment(work.path(), 0)).expect("opens");
        file.write_all_at(&what, SEGMENT_HEADER + end).expect("writes");
        drop(file);
        assert_eq!(read(work.path()), all);
        let (journal, recovery) = open(work.path(), &tiny());
        let cut = recovery.cut.expect("something was cut");
        assert_eq!((cut.at, recovery.end), (Position(end), Position(end)));
        journal.close().expect("closes");
        assert_eq!(read(work.path()), all);
        fs::remove_dir_all(work.path()).expect("removes");
    }
}

/// Batches that the disk may have taken in any order, because no sync had come back: a hole in one of them
/// ends the journal before it, and the whole ones behind the hole are not replayed.
#[test]
fn unsynced_batches_behind_a_hole_are_cut() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let faults = Faults::new();
    faults.hold_syncs();
    let (mut journal, _) =
        Journal::open_with(dir.path(), &tiny(), Arc::new(|| {}), faults.clone()).expect("opens");
    let mut bounds = vec![0];
    let mut all = Vec::new();
    for _ in 0..4 {
        for _ in 0..3 {
            let said = source.next();
            all.push((append(&mut journal, &said).expect("room"), said));
        }
        bounds.push(journal.commit().0);
    }
    faults.let_syncs_go();
    drain(&journal);
    drop(journal);
    lose_tail(dir.path());
    flip(&segment(dir.path(), 0), SEGMENT_HEADER + bounds[1] + 40, 1);
    let (journal, recovery) = open(dir.path(), &tiny());
    let cut = recovery.cut.expect("cut");
    assert_eq!(
        (cut.cause, cut.at, cut.bytes),
        (CutCause::Unsynced, Position(bounds[1]), bounds[4] - bounds[1])
    );
    journal.close().expect("closes");
    assert_eq!(read(dir.path()), all[..3]);
}

#[test]
fn headers_that_are_wrong_are_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let other = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    for place in [dir.path(), other.path()] {
        let (mut journal, _) = open(place, &tiny());
        let mut source = Source::of(Random::of(source.random.next()));
        write(&mut journal, &mut source, 3_000);
        journal.close().expect("closes");
    }
    let path = |index| segment(dir.path(), index);
    let bytes: Vec<Vec<u8>> = (0..3).map(|i| fs::read(path(i)).expect("reads")).collect();
    let restore = || {
        for (index, bytes) in bytes.iter().enumerate() {
            fs::write(path(index as u64), bytes).expect("writes");
        }
    };

    for _ in 0..200 {
        let (byte, bit) = (source.random.below(SEGMENT_HEADER), source.random.below(8) as u8);
        flip(&path(1), byte, bit);
        let error = refuse(dir.path());
        assert!(
            matches!(&error, OpenError::BadHeader { file, .. } | OpenError::NewerFormat { file, .. } if file.file_name() == path(1).file_name()),
            "byte {byte}: {error}"
        );
        assert!(Reader::open(dir.path()).is_err());
        flip(&path(1), byte, bit);
    }

    // A version that this program does not know, whatever else it says.
    let mut newer = bytes[0].clone();
    newer[8] = 9;
    fs::write(path(0), &newer).expect("writes");
    assert!(matches!(refuse(dir.path()), OpenError::NewerFormat { found: 9, known: FORMAT_VERSION, .. }));
    assert_eq!(fs::read(path(0)).expect("reads"), newer, "untouched");
    restore();

    fs::remove_file(path(1)).expect("removes");
    assert!(
        matches!(refuse(dir.path()), OpenError::Missing { file } if file.file_name() == path(1).file_name())
    );
    restore();

    fs::write(path(1), &bytes[2]).expect("writes");
    fs::write(path(2), &bytes[1]).expect("writes");
    assert!(matches!(refuse(dir.path()), OpenError::Misplaced { found: 2, expected: 1, .. }));
    restore();

    fs::copy(segment(other.path(), 1), path(1)).expect("copies");
    assert!(
        matches!(refuse(dir.path()), OpenError::Foreign { file, .. } if file.file_name() == path(1).file_name())
    );
    restore();

    fs::write(path(1), &bytes[1][..50_000]).expect("writes");
    assert!(matches!(refuse(dir.path()), OpenError::Short { found: 50_000, .. }));
    restore();

    fs::write(path(1), b"").expect("writes");
    assert!(matches!(refuse(dir.path()), OpenError::BadHeader { .. }));
    restore();

    let (journal, _) = open(dir.path(), &tiny());
    journal.close().expect("closes");
}

/// Nothing but the tail has what was committed: the disk failed at once.
fn only_in_tail(dir: &Path, source: &mut Source, options: &Options, count: usize) -> Written {
    let faults = Faults::new();
    let (mut journal, _) = Journal::open_with(dir, options, Arc::new(|| {}), faults.clone()).expect("opens");
    faults.fail_writes();
    let written = (0..count)
        .map(|n| {
            let said = source.next();
            let position = append(&mut journal, &said).expect("room");
            if n % 3 == 0 {
                journal.commit();
            }
            (position, said)
        })
        .collect();
    journal.commit();
    written
}

#[test]
fn what_only_the_tail_has_is_taken_from_it() {
    let mut source = Source::new();
    for count in [1, 2, 50, 500, 2_500] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut source = Source::of(Random::of(source.random.next()));
        // A ring as large as several segments cannot be; one as large as a segment crosses into the next.
        let options = Options { segment_bytes: 512 << 10, tail_bytes: 512 << 10, ..options() };
        let (mut journal, _) = open(dir.path(), &options);
        let mut all = write(&mut journal, &mut source, 4_000);
        journal.close().expect("closes");
        all.extend(only_in_tail(dir.path(), &mut source, &options, count));
        assert_eq!(read(dir.path()), all, "a reader sees the tail");
        assert!(Reader::open(dir.path()).expect("opens").in_tail() > 0);
        let (journal, recovery) = open(dir.path(), &options);
        assert!(recovery.absorbed_from_tail > 0, "{recovery:?}");
        assert_eq!((recovery.cut.clone(), recovery.commands + recovery.reports), (None, all.len() as u64));
        // From here on it is in the segments.
        drop(journal);
        lose_tail(dir.path());
        assert_eq!(read(dir.path()), all);
    }
}

/// A crash while a crash is being recovered from, at any of the writes, syncs and renames, is one more crash.
#[test]
fn a_recovery_that_fails_anywhere_can_be_repeated() {
    let mut source = Source::new();
    let options = Options { segment_bytes: 64 << 10, tail_bytes: 64 << 10, ..options() };
    let dir = tempfile::tempdir().expect("a directory");
    let (mut journal, _) = open(dir.path(), &options);
    let mut all = write(&mut journal, &mut source, 300);
    journal.close().expect("closes");
    all.extend(only_in_tail(dir.path(), &mut source, &options, 500));
    let mut failed = 0;
    for step in 0.. {
        let faults = Faults::new();
        faults.fail_after(step);
        match Journal::open_with(dir.path(), &options, Arc::new(|| {}), faults) {
            Ok((journal, recovery)) => {
                drop(journal);
                assert_eq!(recovery.commands + recovery.reports, all.len() as u64);
                break;
            }
            Err(OpenError::Io { .. }) => failed += 1,
            Err(e) => panic!("step {step}: {e}"),
        }
        assert_eq!(read(dir.path()), all, "step {step}");
    }
    // At least the write and the sync of what the tail had; more when a segment had to be made.
    assert!(failed >= 2, "{failed}");
    let (journal, _) = open(dir.path(), &options);
    journal.close().expect("closes");
    assert_eq!(read(dir.path()), all);
}

#[test]
fn a_torn_write_is_healed_from_the_tail() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &tiny());
    let mut all = batch(&mut journal, &mut source, 5);
    let start = journal.committed().0;
    all.extend(batch(&mut journal, &mut source, 5));
    drop(journal);
    let file = fs::OpenOptions::new().write(true).open(segment(dir.path(), 0)).expect("opens");
    file.write_all_at(&[0; 64], SEGMENT_HEADER + start + 100).expect("writes");
    // A reader that looks at the tail just now must not make the owner think that it is another's.
    let tail = fs::File::open(dir.path().join("tail")).expect("opens");
    tail.lock_shared().expect("locks");
    let (journal, recovery) = open(dir.path(), &tiny());
    assert_eq!(recovery.cut.expect("cut").at, Position(start));
    assert!(recovery.absorbed_from_tail > 0);
    journal.close().expect("closes");
    assert_eq!(read(dir.path()), all);
}

#[test]
fn a_tail_that_is_wrong_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &tiny());
    batch(&mut journal, &mut source, 5);
    let end = journal.committed().0;
    journal.close().expect("closes");
    let all = {
        let options = tiny();
        let extra = only_in_tail(dir.path(), &mut source, &options, 7);
        let mut all = read(dir.path());
        assert_eq!(all[all.len() - 7..], extra);
        all.truncate(all.len());
        all
    };
    let tail = fs::read_link(dir.path().join("tail")).expect("a tail");
    let bytes = fs::read(&tail).expect("reads");
    // In the header, in a record.
    for offset in [3, 20, 40, 2045, 4096 + end + 64 + 50] {
        flip(&tail, offset, 2);
        let error = refuse(dir.path());
        assert!(matches!(&error, OpenError::Tail { file, .. } if *file == tail), "{offset}: {error}");
        flip(&tail, offset, 2);
    }
    // Where its file ends too early.
    fs::OpenOptions::new().write(true).open(&tail).expect("opens").set_len(5000).expect("shortens");
    assert!(matches!(refuse(dir.path()), OpenError::Tail { .. }));
    fs::write(&tail, &bytes).expect("writes");
    // From another boot, what is broken in it is what the kernel had not written.
    let mut older = bytes;
    older[50] ^= 1;
    let crc = crc32c(&older[..2044]);
    older[2044..2048].copy_from_slice(&crc.to_le_bytes());
    fs::write(&tail, &older).expect("writes");
    flip(&tail, 4096 + end + 64 + 50, 2);
    let (journal, recovery) = open(dir.path(), &tiny());
    assert!(recovery.commands + recovery.reports < all.len() as u64);
    drop(journal);
    // And one that is gone is said to be.
    let tail = fs::read_link(dir.path().join("tail")).expect("a tail");
    fs::remove_file(&tail).expect("removes");
    let (journal, recovery) = open(dir.path(), &tiny());
    assert_eq!(recovery.tail_missing, Some(tail));
    journal.close().expect("closes");
}

/// Bit by bit, as RFC 3720 defines it: the tests do not borrow the crate's own.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn a_directory_has_one_owner() {
    let dir = tempfile::tempdir().expect("a directory");
    let (journal, _) = open(dir.path(), &tiny());
    match Journal::open(dir.path(), &tiny(), Arc::new(|| {})) {
        Err(OpenError::Locked { holder, .. }) => {
            assert_eq!(holder, Some(format!("process {}", std::process::id())));
        }
        other => panic!("{other:?}"),
    }
    journal.close().expect("closes");
    let (journal, _) = open(dir.path(), &tiny());
    drop(journal);
}

#[test]
fn orphaned_tails_go_and_others_stay() {
    let place = tempfile::tempdir().expect("a directory");
    let with = Options { tail_dir: Some(place.path().to_path_buf()), ..tiny() };
    let dirs: Vec<_> = (0..4).map(|_| tempfile::tempdir().expect("a directory")).collect();
    let (running, _) = open(dirs[0].path(), &with);
    for dir in &dirs[1..3] {
        drop(open(dir.path(), &with));
    }
    fs::write(place.path().join("fulcrum-not-one.tail"), b"x").expect("writes");
    fs::write(place.path().join("other"), b"x").expect("writes");
    assert_eq!(tails(place.path()).len(), 4);
    // The directory of one goes; the other's stays and still needs its tail.
    fs::remove_dir_all(dirs[1].path()).expect("removes");
    let kept: Vec<PathBuf> =
        [0, 2].map(|n: usize| fs::read_link(dirs[n].path().join("tail")).expect("a tail")).to_vec();
    let (journal, _) = open(dirs[3].path(), &with);
    let left = tails(place.path());
    assert_eq!(left.len(), 4, "running, abandoned, new, and what is none of ours: {left:?}");
    assert!(kept.iter().all(|k| left.contains(k)));
    journal.close().expect("closes");
    running.close().expect("closes");
}

#[test]
fn a_copy_of_a_running_directory_opens_without_its_tail() {
    let dir = tempfile::tempdir().expect("a directory");
    let work = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &tiny());
    let all = write(&mut journal, &mut source, 500);
    drain(&journal);
    copy_segments(dir.path(), work.path());
    let tail = fs::read_link(dir.path().join("tail")).expect("a tail");
    std::os::unix::fs::symlink(&tail, work.path().join("tail")).expect("links");
    let (copy, recovery) = open(work.path(), &tiny());
    assert_eq!(recovery.commands + recovery.reports, all.len() as u64);
    copy.close().expect("closes");
    assert!(tail.exists(), "the original's tail is not the copy's to remove");
    journal.close().expect("closes");
}

#[test]
fn a_spare_that_is_complete_is_used_and_others_are_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let spares = || -> Vec<PathBuf> {
        fs::read_dir(dir.path())
            .expect("lists")
            .map(|e| e.expect("an entry").path())
            .filter(|p| p.extension().is_some_and(|e| e == "tmp"))
            .collect()
    };
    let made = || fs::metadata(&spares()[0]).and_then(|m| m.modified()).expect("a time");
    let complete =
        || spares().first().is_some_and(|s| fs::read(s).is_ok_and(|b| b.len() > 8 && b[0] == b'F'));
    let (journal, _) = open(dir.path(), &tiny());
    wait("a spare", complete);
    journal.close().expect("closes");
    let first = made();
    fs::write(dir.path().join("spare-0000000009.tmp"), b"half of one").expect("writes");
    let (journal, _) = open(dir.path(), &tiny());
    assert_eq!((spares().len(), made()), (1, first));
    journal.close().expect("closes");
    // Half of the right one is made anew.
    fs::OpenOptions::new().write(true).open(&spares()[0]).expect("opens").set_len(9000).expect("shortens");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &tiny());
    let all = write(&mut journal, &mut source, 2_000);
    journal.close().expect("closes");
    assert_eq!(read(dir.path()), all);
}

/// Makes a segment or a spare one of format version 1, which differs in this field only.
fn make_old(path: &Path) {
    let mut bytes = fs::read(path).expect("reads");
    // A spare that was not finished has no header.
    if path.extension().is_some_and(|e| e == "tmp") && bytes.iter().take(12).all(|byte| *byte == 0) {
        return;
    }
    assert_eq!(bytes[8..12], FORMAT_VERSION.to_le_bytes());
    bytes[8] = 1;
    let crc = crc32c(&bytes[..4092]);
    bytes[4092..4096].copy_from_slice(&crc.to_le_bytes());
    fs::write(path, bytes).expect("writes");
}

#[test]
fn a_journal_of_version_1_is_read_and_goes_on_as_the_newest() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let (mut journal, _) = open(dir.path(), &options());
    let mut written = Vec::new();
    while !segment(dir.path(), 1).exists() {
        written.extend(write(&mut journal, &mut source, 500));
    }
    journal.close().expect("closes");
    let segments: Vec<_> = (0..).map(|n| segment(dir.path(), n)).take_while(|path| path.exists()).collect();
    let (last, before) = segments.split_last().expect("several");
    let spares = || {
        let entries = fs::read_dir(dir.path()).expect("lists").map(|entry| entry.expect("an entry").path());
        entries.filter(|path| path.extension().is_some_and(|e| e == "tmp")).collect::<Vec<_>>()
    };
    segments.iter().chain(&spares()).for_each(|path| make_old(path));
    let version = |path: &Path| fs::read(path).expect("reads")[8];

    // Readers leave it as it is.
    assert_eq!(read(dir.path()), written);
    assert_eq!(journal::inspect::info(dir.path()).expect("whole").format, 1);
    assert!(segments.iter().all(|path| version(path) == 1));

    // Who writes on says so first, so that a program that knows version 1 only refuses it.
    let (mut journal, recovery) = open(dir.path(), &options());
    assert_eq!(recovery.cut, None);
    let newest = u8::try_from(FORMAT_VERSION).expect("a byte");
    assert_eq!(version(last), newest);
    assert!(before.iter().all(|path| version(path) == 1));
    let count = segments.len() as u64;
    while !segment(dir.path(), count).exists() {
        written.extend(write(&mut journal, &mut source, 500));
    }
    journal.close().expect("closes");
    assert_eq!(read(dir.path()), written);
    assert_eq!(version(&segment(dir.path(), count)), newest);
    assert!(spares().iter().all(|path| version(path) != 1));
    let verify = journal::inspect::verify(dir.path()).expect("readable");
    assert_eq!((verify.info.format, verify.problems.len()), (FORMAT_VERSION, 0));
}
