//! Directories and disks that are not as they should be: torn and flipped bytes, foreign and missing files, a second
//! exchange, another configuration, a full disk.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

use wire::ouch::{Outbound, codes};

use crate::{
    client::{Client, Said, cancel, enter, replace},
    reference::Reference,
    script::written,
    venue::{Home, Settings, eventually, exchange},
};

/// Bytes of a segment before its data.
const SEGMENT_HEADER: u64 = 4_096;

/// Orders of ALICE on both sides of one book, in small batches. Returns what she was told.
fn trade(client: &mut Client, first_ref: u32, orders: u32) -> Vec<Said> {
    let mut told = Vec::new();
    for user_ref in first_ref..first_ref + orders {
        let side = if user_ref % 2 == 0 { b'B' } else { b'S' };
        client.put(&enter(user_ref, side, user_ref % 7 + 1, "AAPL", 1_000_000, codes::DAY));
        if user_ref % 20 == 0 {
            client.flush();
            told.extend(client.query().0);
        }
    }
    told
}

/// A directory with a journal of so many orders, and what ALICE was told; the exchange was stopped cleanly.
fn stopped(settings: Settings, orders: u32) -> Home {
    let home = Home::new(settings);
    let venue = home.start();
    trade(&mut venue.client_from("ALICE", 1), 1, orders);
    venue.stop();
    assert!(home.tail().is_none(), "a clean stop leaves no tail");
    home
}

/// The journal's segments, in order.
fn segments(home: &Home) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(home.data())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .collect();
    files.sort();
    files
}

/// The segment in which the journal ends, and the byte of that file at which it does.
fn end(home: &Home) -> (PathBuf, u64) {
    let info = journal::inspect::info(home.data()).expect("a whole journal");
    let last = info.segments.last().expect("a segment");
    (last.file.clone(), SEGMENT_HEADER + info.end.0 - last.base.0)
}

fn write(file: &Path, at: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(file).expect("a file");
    file.write_all_at(bytes, at).expect("writing");
}

fn read(file: &Path, at: u64) -> u8 {
    let mut byte = [0];
    fs::File::open(file).expect("a file").read_exact_at(&mut byte, at).expect("reading");
    byte[0]
}

/// The exchange starts on what is left, and means the same by it as every replay.
fn recovers(home: &Home, what: &str) {
    let before = Reference::of(&home.data());
    let venue = home.start();
    let state = venue.recovered_state();
    assert_eq!(state, before.state(), "{what}");
    assert_eq!(venue.recovered["commands"], before.commands, "{what}");
    // It trades, and nobody's numbers have a gap.
    let mut client = venue.client_from("ALICE", 1);
    let (_, next) = client.query();
    trade(&mut client, next, 20);
    venue.kill();
    let venue = home.start();
    let state = venue.stop_state();
    let after = Reference::of(&home.data());
    assert_eq!(state, after.state(), "{what}");
    assert_eq!(after.reported.len(), after.caused.len(), "{what}");
    for told in &after.told {
        for (said, number) in told.iter().zip(1..) {
            assert_eq!(said.number, number, "{what}");
        }
    }
    assert_eq!(home.replay(4)["state"], state, "{what}");
}

#[test]
fn a_torn_end_is_cut_off_and_what_is_before_it_counts() {
    for lost in [1, 7, 8, 24, 31, 48, 100, 129, 200, 333] {
        for how in ["zeroed", "cut off", "overwritten"] {
            let home = stopped(Settings::default(), 40);
            let (file, end) = end(&home);
            match how {
                "zeroed" => write(&file, end - lost, &vec![0; usize::try_from(lost).expect("few")]),
                "cut off" => {
                    let file = fs::OpenOptions::new().write(true).open(&file).expect("a segment");
                    file.set_len(end - lost).expect("cutting");
                }
                _ => write(&file, end - lost, &vec![0x5A; usize::try_from(lost).expect("few")]),
            }
            recovers(&home, &format!("the last {lost} bytes {how}"));
            let log = home.log();
            assert!(!log.contains("panicked"), "{log}");
        }
    }
}

#[test]
fn with_ack_disk_what_was_acknowledged_survives_the_loss_of_the_tail() {
    let home = Home::new(Settings::default());
    let mut seen: Vec<Said> = Vec::new();
    let mut next = 1;
    for round in 0..5 {
        let venue = home.start();
        let mut client = venue.client_from("ALICE", 1);
        let told = client.up_to(seen.len() as u64);
        assert_eq!(told, seen, "round {round}");
        if round > 0 {
            seen.extend(client.query().0);
        }
        seen.extend(trade(&mut client, next, 200));
        next += 200;
        // What came last is under way when the process dies.
        for user_ref in next..next + 50 {
            client.put(&enter(user_ref, b'B', 5, "MSFT", 1_000_000, codes::DAY));
        }
        client.flush();
        next += 50;
        venue.kill();
        fs::remove_file(home.tail().expect("a killed process leaves its tail")).expect("removing the tail");
    }
    recovers(&home, "the tail removed");
    eventually("the log says so", || home.log().contains("what only it held is lost"));
}

#[test]
fn a_flipped_bit_is_refused_with_its_place() {
    let home = stopped(Settings::default(), 2_000);
    let (file, end) = end(&home);
    let name = file.display().to_string();
    let sound = Reference::of(&home.data()).state();
    for at in [SEGMENT_HEADER, SEGMENT_HEADER + 13, SEGMENT_HEADER + 5_000, end / 2, end - 20_000] {
        for bit in [0x01, 0x80] {
            let byte = read(&file, at);
            write(&file, at, &[byte ^ bit]);
            let before = fs::read(&file).expect("the segment");
            let said = home.refused();
            assert!(said.contains(&name) && said.contains("at byte "), "bit {bit:#x} of byte {at}: {said}");
            assert!(said.contains("nothing was changed"), "{said}");
            assert!(fs::read(&file).expect("the segment") == before, "it was changed");
            // Every other command that reads it says the same.
            let data = home.data().display().to_string();
            for command in
                [&["replay", "--data"][..], &["journal", "verify", "--data"], &["journal", "info", "--data"]]
            {
                let output = exchange().args(command).arg(&data).output().expect("it runs");
                assert_eq!(output.status.code(), Some(1), "{command:?}");
                let said = format!(
                    "{}{}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr)
                );
                assert!(said.contains(&name) && said.contains("at byte "), "{command:?}: {said}");
            }
            write(&file, at, &[byte]);
        }
    }
    // A flipped bit in the header.
    for at in [0, 9, 20, 100, SEGMENT_HEADER - 1] {
        let byte = read(&file, at);
        write(&file, at, &[byte ^ 4]);
        assert!(home.refused().contains(&name), "byte {at} of the header");
        write(&file, at, &[byte]);
    }
    assert_eq!(home.start().stop_state(), sound);
}

#[test]
fn files_of_another_journal_and_missing_ones_are_refused() {
    let settings = || Settings { segment_mib: 1, ..Settings::default() };
    let (home, other) = (stopped(settings(), 10_000), stopped(settings(), 10_000));
    let sound = Reference::of(&home.data()).state();
    let (ours, theirs) = (segments(&home), segments(&other));
    assert!(ours.len() >= 3 && theirs.len() >= 3, "{ours:?}");
    let kept = home.file("kept");

    fs::copy(&ours[1], &kept).expect("a copy");
    fs::copy(&theirs[1], &ours[1]).expect("a foreign segment");
    let said = home.refused();
    assert!(
        said.contains(&ours[1].display().to_string()) && said.contains("belongs to another journal"),
        "{said}"
    );

    fs::copy(&ours[0], &ours[1]).expect("a segment in another's place");
    let said = home.refused();
    assert!(
        said.contains(&ours[1].display().to_string()) && said.contains("is segment 0 by its header"),
        "{said}"
    );

    fs::remove_file(&ours[1]).expect("removing");
    let said = home.refused();
    assert!(said.contains(&ours[1].display().to_string()) && said.contains("is missing"), "{said}");

    fs::copy(&kept, &ours[1]).expect("back");
    let file = fs::OpenOptions::new().write(true).open(&ours[1]).expect("a segment");
    file.set_len(500_000).expect("cutting");
    let said = home.refused();
    assert!(said.contains(&ours[1].display().to_string()) && said.contains("500000 bytes"), "{said}");

    fs::copy(&kept, &ours[1]).expect("back");
    assert_eq!(home.start().stop_state(), sound);
}

#[test]
fn a_second_exchange_on_a_directory_is_refused_and_told_who_has_it() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let holder = format!("process {}", venue.pid());
    let said = home.refused();
    assert!(said.contains("is in use") && said.contains(&holder), "{said} does not name {holder}");
    // The first is not disturbed.
    venue.client("ALICE").round_trip(1, "AAPL");
    venue.kill();
    // A lock dies with its process.
    home.start().stop();
}

#[test]
fn an_address_that_is_taken_is_named() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let address = venue.address.to_string();
    let other = Home::new(Settings { args: vec!["--soup".into(), address.clone()], ..Settings::default() });
    let said = other.refused();
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
}

#[test]
fn a_definition_does_not_change() {
    let mut home = stopped(Settings::default(), 20);
    home.settings.tick = "0.05";
    let said = home.refused();
    assert!(
        said.contains("instrument AAPL") && said.contains("tick 100") && said.contains("says tick 500"),
        "{said}"
    );
    home.settings.tick = "0.01";
    home.start().stop();
}

#[test]
fn a_configuration_is_refused_with_what_is_wrong_in_it() {
    let home = Home::new(Settings::default());
    let good = home.settings.config();
    let run = |text: &str| {
        let file = home.file("wrong.toml");
        fs::write(&file, text).expect("writing");
        let output = exchange()
            .args(["run", "--data"])
            .arg(home.data())
            .arg("--config")
            .arg(&file)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&file.display().to_string()), "{said}");
        said
    };
    for (from, to, why) in [
        ("[journal]", "colour = 1\n[journal]", "colour"),
        ("[limits]", "[limits]\nconections = 3", "conections"),
        ("soup = \"127.0.0.1:0\"\n", "", "soup"),
        ("ack = \"disk\"", "ack = \"tape\"", "use memory or disk"),
        ("symbol = \"MSFT\"", "symbol = \"AAPL\"", "it is there twice"),
        ("name = \"BOB\"", "name = \"alice\"", "is there twice"),
        ("name = \"BOB\"", "name = \"TOOLONG\"", "1 to 6"),
        ("connections = 64", "connections = \"many\"", "connections"),
    ] {
        assert!(good.contains(from), "{from}");
        let said = run(&good.replacen(from, to, 1));
        assert!(said.contains(why), "{said} does not say {why}");
    }
    assert!(!home.data().exists(), "a directory was made");
}

/// A small disk of its own: a tmpfs.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(at: PathBuf) -> Self {
        fs::create_dir(&at).expect("a directory");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(&at).output();
        let mounted = mount.as_ref().is_ok_and(|output| output.status.success());
        assert!(
            mounted,
            "a disk that can be filled is needed, and mounting one takes root. Run:\n    sudo -E env \"PATH=$PATH\" \
             cargo test --release -p exchange --test it faults\n({mount:?})"
        );
        Self(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It is unmounted as soon as nobody uses it; its contents are of no further use.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_orders_takes_cancels_and_goes_on_when_there_is_room() {
    let mut home = Home::new(Settings::default());
    let disk = SmallDisk::new(home.file("disk"));
    home.settings.data = Some(disk.0.join("data"));
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![0; 14 << 20]).expect("filling the disk");

    let venue = home.start();
    let (mut alice, mut bob) = (venue.client_from("ALICE", 1), venue.client("BOB"));
    let mut seen = alice.up_to(1);
    // Orders that rest, until there is no room.
    let mut user_ref = 0;
    let refused = loop {
        let from = alice.connection.next_sequence();
        for _ in 0..100 {
            user_ref += 1;
            alice.put(&enter(user_ref, b'B', 10, "AAPL", 1_000_000, codes::DAY));
        }
        alice.flush();
        let told = alice.up_to(from + 99);
        seen.extend_from_slice(&told);
        let refused = told.iter().find(|said| matches!(said.message(), Outbound::Rejected(_)));
        if let Some(refused) = refused {
            break written(refused).0;
        }
        assert!(user_ref < 200_000, "a disk of 24 MiB is never full");
    };
    assert!(refused.ends_with(" 0x02"), "{refused}");
    eventually("the log says so", || home.log().contains("the disk is short of room"));

    // Nobody's orders are taken, everybody's cancels are; a replacement leaves the old order as it is.
    bob.ask(&enter(1, b'S', 10, "AAPL", 1_000_000, codes::DAY));
    assert_eq!(written(&bob.next()).0, "J 1 0x02");
    user_ref += 1;
    alice.ask(&replace(1, user_ref, 20, 1_000_000));
    seen.push(alice.next());
    assert_eq!(written(seen.last().expect("an answer")).0, format!("J {user_ref} 0x02"));
    for original in 1..=500 {
        alice.put(&cancel(original, if original % 2 == 0 { 0 } else { 4 }));
    }
    alice.flush();
    for original in 1..=500 {
        seen.push(alice.next());
        let gone = if original % 2 == 0 { 10 } else { 6 };
        assert_eq!(written(seen.last().expect("an answer")).0, format!("C {original} {gone} U"));
    }

    // A kill changes nothing of that.
    let state = home.replay(2)["state"].clone();
    drop((alice, bob));
    venue.kill();
    let venue = home.start();
    assert_eq!(venue.recovered["state"], state);
    let mut alice = venue.client_from("ALICE", 1);
    assert_eq!(alice.up_to(seen.len() as u64), seen);
    let mut bob = venue.client("BOB");

    // There is room again.
    fs::remove_file(&filler).expect("making room");
    let mut bobs_ref = 1;
    eventually("orders are taken again", || {
        bobs_ref += 1;
        bob.ask(&enter(bobs_ref, b'S', 1, "AAPL", 1_000_000, codes::IMMEDIATE_OR_CANCEL));
        let answer = bob.next();
        match answer.message() {
            Outbound::Accepted(_) => true,
            Outbound::Rejected(rejected) => {
                assert_eq!(rejected.reason, 0x02);
                false
            }
            other => panic!("{other:?}"),
        }
    });
    // It traded with the first order that ALICE has left.
    assert!(written(&bob.next()).0.starts_with(&format!("E {bobs_ref} 1 100.0000 R 0-1")));
    assert_eq!(written(&alice.next()).0, "E 1 1 100.0000 A 0-1");
    trade(&mut alice, user_ref + 1, 200);
    let state = venue.stop_state();
    let reference = Reference::of(&home.data());
    assert_eq!(reference.state(), state);
    assert_eq!(home.replay(2)["state"], state);
    assert_eq!(reference.told[0][..seen.len()], seen);
    assert_eq!(home.start().stop_state(), state);
    drop(disk);
}
