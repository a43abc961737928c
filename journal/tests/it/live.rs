//! Readers beside a running owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use journal::{AckPolicy, Options, Reader, inspect};

use crate::support::{Random, Source, append_patiently, open, options};

/// Every picture of a running journal is a prefix of it that ends at a commit, and as new as the moment it
/// was taken.
#[test]
fn a_reader_of_a_running_journal_sees_a_prefix() {
    let seed = Random::seeded().next();
    for (ack, tail_bytes) in [(AckPolicy::Disk, 16 << 10), (AckPolicy::Memory, 64 << 10)] {
        let dir = tempfile::tempdir().expect("a directory");
        let options = Options { ack, tail_bytes, segment_bytes: 128 << 10, ..options() };
        let (mut journal, _) = open(dir.path(), &options);
        let committed = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let writer = {
            let (committed, stop) = (committed.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut source = Source::of(Random::of(seed));
                let mut records = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..=source.random.below(20) {
                        append_patiently(&mut journal, &source.next());
                        records += 1;
                    }
                    journal.commit();
                    committed.store(records, Ordering::SeqCst);
                    // The reader begins anew each time, so the journal must not outgrow its patience.
                    std::thread::sleep(Duration::from_micros(records / 100));
                }
                journal.close().expect("closes");
                records
            })
        };
        let mut last = 0;
        for round in 0..60 {
            let before = committed.load(Ordering::SeqCst);
            let reader = Reader::open(dir.path()).expect("opens");
            let mut source = Source::of(Random::of(seed));
            let mut seen = 0;
            let mut in_batch = 0;
            for record in reader.records() {
                let record = record.expect("a good record");
                if in_batch == 0 {
                    in_batch = source.random.below(20) + 1;
                }
                in_batch -= 1;
                match source.next() {
                    crate::support::Said::Command(c) => assert_eq!(record.command(), Ok(c)),
                    crate::support::Said::Report(r) => assert_eq!(record.report(), Ok(r)),
                }
                seen += 1;
            }
            assert!(seen >= before, "round {round}: {seen} of {before}");
            assert!(seen >= last);
            last = seen;
            if round % 10 == 0 {
                let verify = inspect::verify(dir.path()).expect("a journal");
                assert!(verify.problems.is_empty(), "{:?}", verify.problems);
            }
        }
        stop.store(true, Ordering::Relaxed);
        let records = writer.join().expect("no panic");
        assert_eq!(Reader::open(dir.path()).expect("opens").records().count() as u64, records);
    }
}
