//! A smoke run of what a fuzzer would call: seeded bytes, and bytes that are nearly right.

use crate::support::{Random, Source, open, options, segment, write};

#[test]
fn arbitrary_bytes_do_no_harm() {
    let mut random = Random::seeded();
    for _ in 0..20_000 {
        let length = random.below(300) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        // Half of them with a kind that exists and few codes in the detail.
        if length >= 4 && random.below(2) == 0 {
            let kinds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 64, 65, 66, 67, 68, 69, 70, 71, 128];
            bytes[0] = kinds[random.below(kinds.len() as u64) as usize];
            for byte in &mut bytes[1..4] {
                *byte = random.below(3) as u8;
            }
            // And a length that some kind has.
            let sizes = [0, 8, 16, 24, 32, 40, 48, 64, 72, 80, 112, 120];
            bytes.resize(20 + sizes[random.below(12) as usize], 0);
        }
        journal::fuzz::record(&bytes);
    }
}

#[test]
fn broken_journals_do_no_harm() {
    let mut random = Random::seeded();
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::of(Random::of(random.next()));
    let (mut journal, _) = open(dir.path(), &options());
    write(&mut journal, &mut source, 200);
    journal.close().expect("closes");
    let bytes = std::fs::read(segment(dir.path(), 0)).expect("reads");
    let data = &bytes[4096..4096 + 32_768];
    for _ in 0..2_000 {
        let mut broken = data[..random.below(data.len() as u64) as usize].to_vec();
        for _ in 0..random.below(4) {
            if let Some(byte) = (!broken.is_empty()).then(|| random.below(broken.len() as u64) as usize) {
                broken[byte] = random.next() as u8;
            }
        }
        journal::fuzz::record(&broken);
    }
}
