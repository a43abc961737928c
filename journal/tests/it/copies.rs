//! Two copies of one journal: what they have in common, and one that heals the other.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::compare::{CompareError, Comparison, Then, Which, compare};
use journal::repair::{self, RepairError, Repaired};
use journal::storage::Files;
use journal::{Appender, Journal, OpenError, Options, Position, Reader, inspect};

use crate::faults::Faults;
use crate::support::{
    Random, SEGMENT_HEADER, Said, Source, append_patiently, copy_segments, open, options, read, segment,
    write,
};

type Written = Vec<(Position, Said)>;

const SEGMENT: u64 = 64 << 10;

fn tiny() -> Options {
    Options { segment_bytes: SEGMENT, tail_bytes: 8 << 10, ..options() }
}

/// Two directories with one journal that is still empty.
fn two() -> [tempfile::TempDir; 2] {
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    open(dirs[0].path(), &tiny()).0.close().expect("closes");
    copy_segments(dirs[0].path(), dirs[1].path());
    dirs
}

fn paths(dirs: &[tempfile::TempDir; 2]) -> [&Path; 2] {
    [dirs[0].path(), dirs[1].path()]
}

/// Writes the same records in the same batches into both: the first gets `first` of them, the second `second`. Their
/// seals say different things of their disks.
fn write_both(dirs: &[tempfile::TempDir; 2], source: &mut Source, first: usize, second: usize) -> Written {
    let mut all = Vec::new();
    let sync_late = Faults::new();
    sync_late.hold_syncs();
    let (mut one, _) = open(dirs[0].path(), &tiny());
    let (mut other, _) =
        Journal::open_with(dirs[1].path(), &tiny(), Arc::new(|| {}), sync_late.clone()).expect("opens");
    for number in 0..first.max(second) {
        let said = source.next();
        let seal = source.random.below(7) == 0;
        // Before its ring is full.
        if number == 40 {
            sync_late.let_syncs_go();
        }
        let put = |journal: &mut Appender, until: usize| {
            (number < until).then(|| {
                let position = append_patiently(journal, &said);
                if seal || number + 1 == until {
                    journal.commit();
                }
                position
            })
        };
        let (at_one, at_other) = (put(&mut one, first), put(&mut other, second));
        if let (Some(at_one), Some(at_other)) = (at_one, at_other) {
            assert_eq!(at_one, at_other);
        }
        all.push((at_one.or(at_other).expect("one of them"), said));
    }
    sync_late.let_syncs_go();
    one.close().expect("closes");
    other.close().expect("closes");
    all
}

/// Another journal, of many segments.
fn stranger(seed: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut journal, _) = open(dir.path(), &tiny());
    write(&mut journal, &mut Source::of(Random::of(seed)), 3_000);
    journal.close().expect("closes");
    dir
}

fn with<T>(dirs: [&Path; 2], judge: impl FnOnce(Result<Comparison<'_>, CompareError>) -> T) -> T {
    let readers = dirs.map(|dir| Reader::open(dir).expect("opens for reading"));
    judge(compare(&readers[0], &readers[1]))
}

fn flip(file: &Path, offset: u64, bit: u8) {
    let file = fs::OpenOptions::new().read(true).write(true).open(file).expect("opens");
    let mut byte = [0u8];
    file.read_exact_at(&mut byte, offset).expect("reads");
    file.write_all_at(&[byte[0] ^ (1 << bit)], offset).expect("writes");
}

fn shorten(file: &Path, to: u64) {
    fs::OpenOptions::new().write(true).open(file).and_then(|file| file.set_len(to)).expect("shortens");
}

/// Commands and reports at or beyond a position.
fn count(all: &[(Position, Said)], from: Position) -> (u64, u64) {
    let beyond = all.iter().filter(|(position, _)| *position >= from);
    let commands = beyond.clone().filter(|(_, said)| matches!(said, Said::Command(_))).count() as u64;
    (commands, beyond.count() as u64 - commands)
}

#[test]
fn copies_are_the_same_whatever_their_disks_did() {
    let mut source = Source::new();
    let dirs = two();
    write_both(&dirs, &mut source, 3_000, 3_000);
    let bytes = |dir: &Path| fs::read(segment(dir, 0)).expect("reads");
    assert_ne!(bytes(dirs[0].path()), bytes(dirs[1].path()), "their seals differ");
    let end = inspect::info(dirs[0].path()).expect("a journal").end;
    with(paths(&dirs), |found| {
        let Comparison { from, common, then } = found.expect("comparable");
        assert_eq!((from, common.position), (Position(0), end));
        assert!(matches!(then, Then::Same), "{then:?}");
    });

    // Also where one of them has lost its beginning, and where the other has damage that need not be looked at.
    let shorter = tempfile::tempdir().expect("a directory");
    copy_segments(dirs[1].path(), shorter.path());
    (0..2).for_each(|index| fs::remove_file(segment(shorter.path(), index)).expect("removes"));
    flip(&segment(dirs[0].path(), 2), SEGMENT_HEADER + SEGMENT / 2, 3);
    with([dirs[0].path(), shorter.path()], |found| {
        let Comparison { from, common, then } = found.expect("comparable");
        assert_eq!((from, common.position), (Position(2 * SEGMENT), end));
        assert!(matches!(then, Then::Same), "{then:?}");
    });
}

/// A copy that was closed early has a last seal where the other may have gone on.
#[test]
fn a_copy_that_was_closed_early_is_behind_or_differs_by_its_seal() {
    let mut source = Source::new();
    for _ in 0..12 {
        let dirs = two();
        let (long, short) = (2_500, 1 + source.random.below(2_400) as usize);
        let all = write_both(&dirs, &mut Source::of(Random::of(source.random.next())), long, short);
        let [one, other] = paths(&dirs);
        for (dirs, ahead) in [([one, other], Which::One), ([other, one], Which::Other)] {
            with(dirs, |found| {
                let Comparison { common, then, .. } = found.expect("comparable");
                let Then::Differ { position, one, other } = then else { panic!("{short}: {then:?}") };
                let (ahead, behind) = if ahead == Which::One { (one, other) } else { (other, one) };
                assert!(behind.is_none(), "{short}: {behind:?}");
                assert!(position >= common.position);
                // Where a record went on, it is that; a seal may also have come to lie there in both.
                let next = all[short].0;
                match ahead {
                    Some(record) => assert_eq!((record.position, position), (next, next), "{short}"),
                    None => assert!(position < next, "{short}"),
                }
            });
        }
    }
}

#[test]
fn a_prefix_is_a_prefix() {
    let mut source = Source::new();
    let dir = tempfile::tempdir().expect("a directory");
    let (mut journal, _) = open(dir.path(), &tiny());
    let all = write(&mut journal, &mut source, 2_500);
    journal.close().expect("closes");
    let end = Reader::open(dir.path()).expect("opens").end();
    // Cut anywhere, as a copy is that has not everything yet.
    for _ in 0..40 {
        let cut = source.random.below(end.0 / 8) * 8;
        let copy = tempfile::tempdir().expect("a directory");
        copy_segments(dir.path(), copy.path());
        let index = cut / SEGMENT;
        (index + 1..)
            .take_while(|later| fs::remove_file(segment(copy.path(), *later)).is_ok())
            .for_each(drop);
        shorten(&segment(copy.path(), index), SEGMENT_HEADER + cut % SEGMENT);
        for (dirs, ahead) in
            [([copy.path(), dir.path()], Which::Other), ([dir.path(), copy.path()], Which::One)]
        {
            with(dirs, |found| {
                let Comparison { common, then, .. } = found.expect("comparable");
                let Then::Longer { which, bytes, commands, reports } = then else {
                    panic!("cut at {cut}: {then:?}")
                };
                assert_eq!(which, ahead, "cut at {cut}");
                assert!(common.position.0 <= cut && bytes == end.0 - common.position.0, "cut at {cut}");
                assert_eq!((commands, reports), count(&all, common.position), "cut at {cut}");
            });
        }
    }
}

#[test]
fn the_first_record_that_differs_is_found() {
    let mut source = Source::new();
    for _ in 0..12 {
        let dirs = two();
        let seed = source.random.next();
        let same = 1 + source.random.below(2_000) as usize;
        // A first part that both have; then each goes its own way.
        let all = write_both(&dirs, &mut Source::of(Random::of(seed)), same, same);
        let own: Vec<Written> = [1, 2]
            .map(|more| {
                let dir = dirs[more as usize - 1].path();
                let (mut journal, _) = open(dir, &tiny());
                let mut source = Source::of(Random::of(seed.wrapping_add(more))).after(&all);
                let own = write(&mut journal, &mut source, 1_000);
                journal.close().expect("closes");
                own
            })
            .into();
        let differs = own[0].iter().zip(&own[1]).position(|(a, b)| a != b).expect("they differ");
        with(paths(&dirs), |found| {
            let Comparison { common, then, .. } = found.expect("comparable");
            let Then::Differ { position, one, other } = then else { panic!("{then:?}") };
            assert!(common.position <= position);
            // The first that differs; or, before that, where a batch of only one of them ended.
            assert!(position <= own[0][differs].0.min(own[1][differs].0), "after {same}");
            let both = one.is_some() && other.is_some();
            assert!(!both || position == own[0][differs].0, "after {same}");
            for (record, written) in [(one, &own[0]), (other, &own[1])] {
                let Some(record) = record else { continue };
                let said = if record.kind.is_command() {
                    Said::Command(record.command().expect("decodes"))
                } else {
                    Said::Report(record.report().expect("decodes"))
                };
                let written = written.iter().find(|(at, _)| *at == position);
                assert_eq!(written, Some(&(record.position, said)), "after {same}");
            }
        });
        // Of a copy that has only what came later it is known that they differ, not where.
        let last = inspect::info(dirs[0].path()).expect("a journal").segments.len() as u64 - 1;
        if last > own[0][differs].0.0 / SEGMENT {
            let younger = tempfile::tempdir().expect("a directory");
            fs::copy(segment(dirs[0].path(), last), segment(younger.path(), last)).expect("copies");
            with([younger.path(), dirs[1].path()], |found| {
                let error = found.expect_err("they differ before");
                let apart = matches!(error, CompareError::Apart { ends: Which::Other, .. });
                assert!(apart || matches!(error, CompareError::Before { .. }), "{error}");
            });
        }
    }
}

#[test]
fn what_cannot_be_compared_is_named() {
    let mut source = Source::new();
    let dirs = two();
    write_both(&dirs, &mut source, 2_500, 300);
    with([dirs[0].path(), stranger(1).path()], |found| {
        assert!(matches!(found, Err(CompareError::Foreign { .. })), "{found:?}");
    });
    // The first begins where the second has not come to.
    (0..2).for_each(|index| fs::remove_file(segment(dirs[0].path(), index)).expect("removes"));
    with(paths(&dirs), |found| {
        let Err(CompareError::Apart { ends: Which::Other, begin, .. }) = found else { panic!("{found:?}") };
        assert_eq!(begin, Position(2 * SEGMENT));
    });
    // Damage where it must be looked at.
    let dirs = two();
    write_both(&dirs, &mut Source::of(source.random), 300, 300);
    flip(&segment(dirs[1].path(), 0), SEGMENT_HEADER + 100, 1);
    with(paths(&dirs), |found| {
        assert!(matches!(found, Err(CompareError::Read { which: Which::Other, .. })), "{found:?}");
    });
}

/// Every file of a directory but its lock, with what is in it.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(dir).expect("lists").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.is_file() && !path.ends_with("lock"));
    files.map(|path| (path.clone(), fs::read(path).expect("reads"))).collect()
}

fn try_repair(dir: &Path, from: &Path) -> Result<Repaired, RepairError> {
    repair::plan(dir, from)?.carry_out(&Files)
}

/// A repair that is refused, and changes nothing.
fn refused(dir: &Path, from: &Path) -> RepairError {
    let before = contents(dir);
    let error = match try_repair(dir, from) {
        Err(error) => error,
        Ok(repaired) => panic!("repaired: {repaired:?}"),
    };
    assert!(contents(dir) == before, "{error}: it has changed something");
    error
}

/// The journal is what it was, and an owner may open it.
fn check(dir: &Path, all: &[(Position, Said)], what: &str) {
    assert!(read(dir) == all, "{what}");
    let verify = inspect::verify(dir).expect("a journal");
    assert!(verify.problems.is_empty(), "{what}: {:?}", verify.problems);
    let (journal, recovery) = open(dir, &tiny());
    assert_eq!(recovery.cut, None, "{what}");
    journal.close().expect("closes");
    assert!(read(dir) == all, "{what}");
}

/// Spoils the segment `index`, which is not the last; says how.
fn spoil(dir: &Path, index: u64, copy: &Path, stranger: &Path, random: &mut Random) -> String {
    let path = segment(dir, index);
    let length = SEGMENT_HEADER + SEGMENT;
    // It may have been spoilt before.
    let there = fs::metadata(&path).expect("there").len();
    if there < length {
        shorten(&path, there / 2);
        return format!("cut to {}", there / 2);
    }
    match random.below(7) {
        // A journal whose first is missing begins later, and that is no damage.
        0 if index > 0 => {
            fs::remove_file(&path).expect("removes");
            "missing".into()
        }
        1 => {
            let to = random.below(length);
            shorten(&path, to);
            format!("cut to {to}")
        }
        2 => {
            let (byte, bit) = (random.below(SEGMENT_HEADER), random.below(8) as u8);
            // The version of a newer program is one's own refusal.
            let byte = if (8..12).contains(&byte) { 16 } else { byte };
            flip(&path, byte, bit);
            format!("bit {bit} of byte {byte} of the header")
        }
        3 => {
            fs::write(&path, vec![0; length as usize]).expect("writes");
            "zeros".into()
        }
        4 => {
            fs::copy(segment(stranger, index), &path).expect("copies");
            "of another journal".into()
        }
        5 => {
            fs::copy(segment(copy, (index + 1) % 3), &path).expect("copies");
            "its neighbour".into()
        }
        _ => {
            let (byte, bit) = (SEGMENT_HEADER + random.below(SEGMENT), random.below(8) as u8);
            flip(&path, byte, bit);
            format!("bit {bit} of byte {byte}")
        }
    }
}

#[test]
fn segments_are_replaced_from_a_copy() {
    let mut source = Source::new();
    let dirs = two();
    let all = write_both(&dirs, &mut source, 3_000, 3_000);
    let stranger = stranger(source.random.next());
    assert!(segment(dirs[0].path(), 3).exists());
    for round in 0..60 {
        let work = tempfile::tempdir().expect("a directory");
        copy_segments(dirs[0].path(), work.path());
        let mut spoilt = vec![source.random.below(3)];
        let another = source.random.below(3);
        if source.random.below(3) == 0 && another != spoilt[0] {
            spoilt.push(another);
        }
        let mut what = format!("round {round}");
        for index in &spoilt {
            let how = spoil(work.path(), *index, dirs[1].path(), stranger.path(), &mut source.random);
            what += &format!(", {index}: {how}");
        }
        assert!(Journal::open(work.path(), &tiny(), Arc::new(|| {})).is_err(), "{what}");
        spoilt.sort_unstable();
        let was: Vec<_> =
            spoilt.iter().filter_map(|index| fs::read(segment(work.path(), *index)).ok()).collect();

        let before = contents(work.path());
        let plan =
            repair::plan(work.path(), dirs[1].path()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let real = fs::canonicalize(work.path()).expect("there");
        let named: Vec<_> = plan.replacements().iter().map(|of| of.file.clone()).collect();
        assert_eq!(named, spoilt.iter().map(|index| segment(&real, *index)).collect::<Vec<_>>(), "{what}");
        assert!(contents(work.path()) == before, "{what}: a plan changes nothing");
        drop(plan);
        let repaired =
            try_repair(work.path(), dirs[1].path()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(repaired.verify.problems.is_empty(), "{what}: {:?}", repaired.verify.problems);
        check(work.path(), &all, &what);
        // What was bad is still there under another name.
        let aside: Vec<_> = repaired.damaged.iter().map(|path| fs::read(path).expect("reads")).collect();
        assert!(aside == was, "{what}");
        // And there is nothing left to do.
        let plan = repair::plan(work.path(), dirs[1].path()).expect("it can");
        assert!(plan.replacements().is_empty(), "{what}");
    }
}

/// A byte of the file of the last segment that is known to have been on disk: in its header, or before its newest
/// record, which the seal of a close vouches for. (That seal itself may be stretched, and nothing vouches for it.)
fn durable_byte(random: &mut Random, newest: Position, last: u64) -> u64 {
    match newest.0.checked_sub(last * SEGMENT) {
        Some(within) if within > 0 && random.below(4) > 0 => SEGMENT_HEADER + random.below(within),
        // Not in the version, which makes a program that does not know it refuse by another name.
        _ => 16 + random.below(SEGMENT_HEADER - 16),
    }
}

/// The last segment gets back all that it had; what the copy has of it beyond may have been there, too.
#[test]
fn the_last_segment_gets_back_what_it_had() {
    let mut source = Source::new();
    for round in 0..20 {
        let dirs = two();
        let both = 1_200 + source.random.below(600) as usize;
        let seed = source.random.next();
        let all = write_both(&dirs, &mut Source::of(Random::of(seed)), both, both);
        let end = Reader::open(dirs[0].path()).expect("opens").end();
        let newest = all.last().expect("records").0;
        let mut copied = all;
        if source.random.below(2) == 0 {
            let (mut journal, _) = open(dirs[1].path(), &tiny());
            let more = source.random.below(900) as usize;
            copied.extend(write(&mut journal, &mut Source::of(Random::of(!seed)).after(&copied), more));
            journal.close().expect("closes");
        }
        let last = (end.0 - 1) / SEGMENT;
        let byte = durable_byte(&mut source.random, newest, last);
        let bit = source.random.below(8) as u8;
        flip(&segment(dirs[0].path(), last), byte, bit);
        let what = format!("round {round}: bit {bit} of byte {byte}, end {end}");
        let repaired =
            try_repair(dirs[0].path(), dirs[1].path()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(repaired.damaged.len(), 1, "{what}");
        let copy_end = Reader::open(dirs[1].path()).expect("opens").end();
        assert_eq!(repaired.verify.info.end, copy_end.min(Position((last + 1) * SEGMENT)), "{what}");
        copied.retain(|(position, _)| position.0 < (last + 1) * SEGMENT);
        check(dirs[0].path(), &copied, &what);
    }
}

#[test]
fn what_a_copy_cannot_heal_is_refused_by_name() {
    let mut source = Source::new();
    let dirs = two();
    let all = write_both(&dirs, &mut source, 3_000, 3_000);
    let [dir, copy] = paths(&dirs);
    let file = segment(dir, 1);
    let good = contents(copy);
    let restore = || good.iter().for_each(|(path, bytes)| fs::write(path, bytes).expect("writes"));
    flip(&file, SEGMENT_HEADER + source.random.below(SEGMENT), 4);

    assert!(matches!(refused(dir, dir), RepairError::Same { .. }));
    let nowhere = dir.join("nowhere");
    assert!(matches!(refused(dir, &nowhere), RepairError::Io { path, .. } if path == nowhere));
    // It is not there.
    fs::remove_file(segment(copy, 1)).expect("removes");
    assert!(
        matches!(refused(dir, copy), RepairError::Absent { file, .. } if file.ends_with("0000000001.seg"))
    );
    restore();
    // It is damaged, too: in its header, in its records, by its length, by its name.
    for offset in [5, 2000, SEGMENT_HEADER + source.random.below(SEGMENT)] {
        flip(&segment(copy, 1), offset, 2);
        let error = refused(dir, copy);
        assert!(matches!(error, RepairError::CopyDamaged { .. }), "{offset}: {error}");
        restore();
    }
    shorten(&segment(copy, 1), SEGMENT_HEADER + SEGMENT / 2);
    assert!(matches!(refused(dir, copy), RepairError::CopyDamaged { .. }));
    restore();
    fs::copy(segment(copy, 2), segment(copy, 1)).expect("copies");
    assert!(matches!(refused(dir, copy), RepairError::CopyDamaged { .. }));
    restore();
    // It is of another journal, or of another history of this one.
    assert!(matches!(refused(dir, stranger(1).path()), RepairError::Foreign { .. }));
    let history = tempfile::tempdir().expect("a directory");
    fs::copy(segment(dir, 0), segment(history.path(), 0)).expect("copies");
    shorten(&segment(history.path(), 0), SEGMENT_HEADER + SEGMENT / 3);
    let (mut journal, recovery) = open(history.path(), &tiny());
    let kept = (recovery.commands + recovery.reports) as usize;
    write(&mut journal, &mut Source::of(Random::of(2)).after(&all[..kept]), 3_000);
    journal.close().expect("closes");
    let error = refused(dir, history.path());
    assert!(matches!(&error, RepairError::Differs { at: Position(SEGMENT), .. }), "{error}");
    // Somebody runs here.
    let lock = fs::File::open(dir.join("lock")).expect("opens");
    lock.lock().expect("locks");
    let RepairError::Open(error) = refused(dir, copy) else { panic!("not locked") };
    assert!(matches!(*error, OpenError::Locked { .. }));
    drop(lock);
    // Nothing is there.
    let empty = tempfile::tempdir().expect("a directory");
    assert!(matches!(refused(empty.path(), copy), RepairError::NothingLeft { .. }));
    fs::write(segment(empty.path(), 0), b"nothing of it").expect("writes");
    assert!(matches!(refused(empty.path(), copy), RepairError::NothingLeft { .. }));

    // After all that, it can still be healed.
    try_repair(dir, copy).expect("repairs");
    check(dir, &all, "after refusals");
}

/// One of two segments is of another history; the copy tells which.
#[test]
fn a_segment_of_another_history_is_told_from_its_neighbours() {
    let mut source = Source::new();
    let dirs = two();
    let all = write_both(&dirs, &mut source, 3_000, 3_000);
    // The same journal up to the middle of its first segment, and then another.
    let history = tempfile::tempdir().expect("a directory");
    fs::copy(segment(dirs[0].path(), 0), segment(history.path(), 0)).expect("copies");
    shorten(&segment(history.path(), 0), SEGMENT_HEADER + SEGMENT / 2);
    let (mut journal, recovery) = open(history.path(), &tiny());
    let kept = (recovery.commands + recovery.reports) as usize;
    write(&mut journal, &mut Source::of(Random::of(7)).after(&all[..kept]), 3_000);
    journal.close().expect("closes");
    for index in 0..3 {
        let work = tempfile::tempdir().expect("a directory");
        copy_segments(dirs[0].path(), work.path());
        fs::copy(segment(history.path(), index), segment(work.path(), index)).expect("copies");
        let plan = repair::plan(work.path(), dirs[1].path()).expect("it can");
        let [of] = plan.replacements() else { panic!("{index}: {plan:?}") };
        assert!(of.file.ends_with(segment(Path::new(""), index)), "{index}: {of:?}");
        plan.carry_out(&Files).expect("repairs");
        check(work.path(), &all, "another history");
    }
}

/// A copy that has not all that the damaged last segment had must not take its place.
#[test]
fn a_copy_that_is_behind_is_refused() {
    let mut source = Source::new();
    let dirs = two();
    let all = write_both(&dirs, &mut source, 400, 150);
    let [dir, copy] = paths(&dirs);
    let good = fs::read(segment(dir, 0)).expect("reads");
    flip(&segment(dir, 0), SEGMENT_HEADER + 100, 1);
    let error = refused(dir, copy);
    assert!(matches!(error, RepairError::Behind { .. }), "{error}");
    let prefix = tempfile::tempdir().expect("a directory");
    let cut = all[200].0.0;
    fs::write(segment(prefix.path(), 0), &good[..(SEGMENT_HEADER + cut) as usize]).expect("writes");
    let RepairError::Behind { end, needed, .. } = refused(dir, prefix.path()) else { panic!("not behind") };
    assert!(end.0 <= cut && needed.0 > all[399].0.0, "{end} {needed}");
}

#[test]
fn a_journal_whose_newest_are_in_its_tail_is_repaired_under_it() {
    let mut source = Source::new();
    let dir = tempfile::tempdir().expect("a directory");
    let archive = tempfile::tempdir().expect("a directory");
    let (mut journal, _) = open(dir.path(), &tiny());
    let mut all = write(&mut journal, &mut source, 2_000);
    journal.close().expect("closes");
    copy_segments(dir.path(), archive.path());
    // What is written now is in the tail alone.
    let faults = Faults::new();
    let (mut journal, _) =
        Journal::open_with(dir.path(), &tiny(), Arc::new(|| {}), faults.clone()).expect("opens");
    faults.fail_writes();
    for _ in 0..20 {
        let said = source.next();
        all.push((append_patiently(&mut journal, &said), said));
    }
    journal.commit();
    drop(journal);
    flip(&segment(dir.path(), 1), SEGMENT_HEADER + source.random.below(SEGMENT), 5);
    let repaired = try_repair(dir.path(), archive.path()).expect("repairs");
    assert!(repaired.verify.info.tail.expect("a tail").beyond_segments > 0);
    check(dir.path(), &all, "with a tail");
}

/// What the tail has is not taken from a copy that has gone on otherwise.
#[test]
fn under_a_tail_the_last_segment_gets_back_what_the_tail_does_not_have() {
    let mut source = Source::new();
    for round in 0..10 {
        let dirs = two();
        let both = 1_200 + source.random.below(600) as usize;
        let all = write_both(&dirs, &mut Source::of(Random::of(source.random.next())), both, both);
        let [dir, copy] = paths(&dirs);
        let end = Reader::open(dir).expect("opens").end();
        // Each goes on in its own way; here the newest are in the tail alone.
        let (mut journal, _) = open(copy, &tiny());
        write(&mut journal, &mut Source::of(Random::of(source.random.next())).after(&all), 300);
        journal.close().expect("closes");
        let faults = Faults::new();
        let (mut journal, _) =
            Journal::open_with(dir, &tiny(), Arc::new(|| {}), faults.clone()).expect("opens");
        faults.fail_writes();
        let mut own = Source::of(Random::of(source.random.next())).after(&all);
        let (mut all, newest) = (all.clone(), all.last().expect("records").0);
        for _ in 0..20 {
            let said = own.next();
            all.push((append_patiently(&mut journal, &said), said));
        }
        journal.commit();
        drop(journal);
        let last = (end.0 - 1) / SEGMENT;
        let byte = durable_byte(&mut source.random, newest, last);
        flip(&segment(dir, last), byte, 2);
        let what = format!("round {round}: byte {byte} of {last}, end {end}");
        let repaired = try_repair(dir, copy).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(repaired.damaged.len(), 1, "{what}");
        check(dir, &all, &what);
    }
}

/// Stopped after each of its steps it has changed nothing, or can be repeated; no name of a segment is ever without a
/// file.
#[test]
fn a_repair_that_fails_anywhere_can_be_repeated() {
    let mut source = Source::new();
    let dirs = two();
    let all = write_both(&dirs, &mut source, 3_000, 3_000);
    let last = inspect::info(dirs[0].path()).expect("a journal").segments.len() as u64 - 1;
    for index in [0, 2, last] {
        flip(&segment(dirs[0].path(), index), SEGMENT_HEADER + 80, 6);
    }
    let mut failed = 0;
    for step in 0.. {
        let work = tempfile::tempdir().expect("a directory");
        copy_segments(dirs[0].path(), work.path());
        let bad = contents(work.path());
        let faults = Faults::new();
        faults.fail_after(step);
        let plan = repair::plan(work.path(), dirs[1].path()).expect("it can");
        assert_eq!(plan.replacements().len(), 3);
        let Err(error) = plan.carry_out(&*faults) else { break };
        assert!(matches!(error, RepairError::Io { .. }), "step {step}: {error}");
        failed += 1;
        (0..=last).for_each(|index| assert!(segment(work.path(), index).exists(), "step {step}"));
        // Until all drafts are there, nothing has changed.
        if step < 6 {
            assert!(contents(work.path()) == bad, "step {step}");
        }
        try_repair(work.path(), dirs[1].path()).expect("it can");
        check(work.path(), &all, &format!("step {step}"));
    }
    assert_eq!(failed, 9, "a write, a sync and a rename each");

    // A disk that says that it has written what it has not.
    let [dir, copy] = paths(&dirs);
    let (bad, liar) = (contents(dir), Faults::new());
    liar.lie();
    let error = repair::plan(dir, copy).expect("it can").carry_out(&*liar).expect_err("it lies");
    assert!(matches!(error, RepairError::Draft { .. }), "{error}");
    assert!(contents(dir) == bad, "it has changed something");
}

/// Whatever is broken, in both directories: what a repair gives back is the journal, as far as anybody can know; or it
/// refuses and changes nothing.
#[test]
fn no_damage_makes_a_repair_give_back_another_journal() {
    let mut source = Source::new();
    let dirs = two();
    let all = write_both(&dirs, &mut source, 3_000, 3_000);
    let stranger = stranger(source.random.next());
    let last = inspect::info(dirs[0].path()).expect("a journal").segments.len() as u64 - 1;
    let (mut healed, mut refused) = (0, 0);
    for round in 0..80 {
        let work = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        let mut what = format!("round {round}");
        let mut spoilt_last = false;
        for (side, damages) in [(0, 1 + source.random.below(3)), (1, source.random.below(3))] {
            copy_segments(dirs[side].path(), work[side].path());
            for _ in 0..damages {
                let index = source.random.below(last + 1);
                if !segment(work[side].path(), index).exists() {
                    continue;
                }
                spoilt_last |= side == 0 && index == last;
                let (copy, stranger) = (dirs[1].path(), stranger.path());
                let how = spoil(work[side].path(), index, copy, stranger, &mut source.random);
                what += &format!(", {side}.{index}: {how}");
            }
        }
        let before = contents(work[0].path());
        match try_repair(work[0].path(), work[1].path()) {
            Err(_) => {
                refused += 1;
                assert!(contents(work[0].path()) == before, "{what}");
            }
            Ok(repaired) => {
                healed += 1;
                assert!(repaired.verify.problems.is_empty(), "{what}: {:?}", repaired.verify.problems);
                let found = read(work[0].path());
                // The end of the last segment may have been lost before: that looks like a write that never completed.
                assert!(found == all || spoilt_last && all.starts_with(&found), "{what}: {}", found.len());
            }
        }
    }
    assert!(healed > 0 && refused > 0, "{healed} and {refused}");
}
