use rand::{Rng as _, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;

use super::*;

const USER: [u8; 6] = *b"ALICE ";

fn entries(random: &mut Xoshiro256StarStar, many: usize) -> Vec<Entry> {
    let mut entries = vec![Entry::Pair(PairName::new("east").unwrap())];
    let mut pairs = 1;
    for _ in 0..many {
        let slot = random.random_range(0..pairs);
        entries.push(match random.random_range(0..100) {
            0..60 => Entry::Passed(slot),
            60..70 => Entry::Skipped(slot),
            70..80 => {
                let mut bytes = vec![0; random.random_range(0..=255)];
                random.fill_bytes(&mut bytes);
                Entry::Own(bytes)
            }
            80..99 => {
                let mut client_order_id = [0; 14];
                random.fill_bytes(&mut client_order_id);
                Entry::Sent { slot, user_ref: random.random(), client_order_id }
            }
            _ if pairs < PAIRS_MAX => {
                pairs += 1;
                Entry::Pair(PairName::new(&format!("pair-{pairs}")).unwrap())
            }
            _ => Entry::Passed(slot),
        });
    }
    entries
}

fn random() -> Xoshiro256StarStar {
    Xoshiro256StarStar::seed_from_u64(seeded::seed())
}

#[test]
fn what_is_appended_is_read_from_any_message_on_by_this_run_and_the_next() {
    let mut random = random();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(file_name(USER));
    let name = SessionName::new("S1").unwrap();
    let entries = entries(&mut random, 20_000);
    let mut record = Record::create(&path, name, USER).unwrap();
    let (mut places, mut reader) = (vec![Place::START], Place::START);
    for entry in &entries {
        assert!(record.append(entry, &mut reader));
        if random.random_bool(0.1) {
            record.write().unwrap();
        }
        if record.end.told > places.last().unwrap().told {
            places.push(record.end.clone());
        }
    }
    record.write().unwrap();
    assert_eq!(reader, record.end);
    let mut seen = Vec::new();
    let again = Record::open(&path, USER, |entry| seen.push(entry.clone())).unwrap();
    assert_eq!(seen, entries);
    assert_eq!((again.end(), again.pairs(), again.session()), (record.end(), record.pairs(), name));
    assert!(again.places.len() > 3, "{}", again.places.len());
    for record in [record, again] {
        for told in [0, 1, 2, record.end.told / 2, record.end.told - 1, record.end.told, u64::MAX] {
            let mut place = record.place(told).unwrap();
            // Behind message `told`, wherever the entries that are no messages stand.
            assert_eq!(place.told, told.min(record.end.told));
            if told > 0 && told < record.end.told {
                assert_eq!(place, places[told as usize]);
            }
            let mut window = Window::default();
            let mut rest = Vec::new();
            while let Some(entry) = record.next(&mut window, &mut place).unwrap() {
                rest.push(entry);
            }
            assert_eq!(rest, entries[entries.len() - rest.len()..]);
            assert_eq!(place, *record.end());
        }
    }
}

#[test]
fn an_end_that_is_not_whole_is_cut_off_and_nothing_before_it() {
    let mut random = random();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(file_name(USER));
    let entries = entries(&mut random, 60);
    let mut record = Record::create(&path, SessionName::new("S1").unwrap(), USER).unwrap();
    let mut ends = vec![HEADER];
    for entry in &entries {
        record.append(entry, &mut Place::START.clone());
        ends.push(record.end.offset);
    }
    record.write().unwrap();
    let whole = std::fs::read(&path).unwrap();
    for length in HEADER as usize..=whole.len() {
        let mut damaged = whole[..length].to_vec();
        if length % 2 == 0 {
            damaged.resize(length + 40, 0);
        }
        std::fs::write(&path, damaged).unwrap();
        let mut many = 0;
        let opened = Record::open(&path, USER, |entry| {
            assert_eq!(*entry, entries[many]);
            many += 1;
        })
        .unwrap();
        // As many as are whole; zeros may complete an entry whose last bytes are zeros.
        let whole = ends.partition_point(|end| *end <= length as u64) - 1;
        assert!(many == whole || (length % 2 == 0 && many == whole + 1), "{length}: {many} of {whole}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), opened.end().offset);
    }
    for bad in [&whole[..HEADER as usize - 1], b"", &[b'x'; 64]] {
        std::fs::write(&path, bad).unwrap();
        assert!(Record::open(&path, USER, |_| {}).is_err());
    }
    std::fs::write(&path, &whole).unwrap();
    assert!(Record::open(&path, *b"BOB   ", |_| {}).unwrap_err().contains("this user"));
    // A pair that has no name yet.
    std::fs::write(&path, [&whole[..HEADER as usize], &[1]].concat()).unwrap();
    assert!(Record::open(&path, USER, |_| {}).unwrap_err().contains("byte 32"));
}

#[test]
fn files_are_named_for_their_users_whatever_letters_those_have() {
    for user in [*b"ALICE ", *b"../../", [0x7E; 6]] {
        let name = file_name(user);
        assert_eq!(name.components().count(), 1);
        assert_eq!(user_of(&name), Some(user));
    }
    for bad in
        ["x.merge", "placement.json", "zzzzzzzzzzzz.merge", "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}.merge"]
    {
        assert_eq!(user_of(Path::new(bad)), None, "{bad}");
    }
}
