//! What fuzzing has found is run again, by what cargo-fuzz runs: `fuzz/seeds`, an input a line (`scripts/seeds.sh`).

use std::{fs, path::Path};

/// A target, and what it runs.
type Target = (&'static str, fn(&[u8]));

/// All of them, by name. `fuzz/fuzz_targets` says the same.
const TARGETS: [Target; 18] = [
    ("book_commands", engine::fuzz::commands),
    ("feed_books", feed::fuzz::books),
    ("feed_packets", feed::fuzz::packets),
    ("fix_clients", |data| gateway::fuzz::fix_clients(data, || engine::fuzz::books(gateway::fuzz::BOOKS))),
    ("fix_initiator", client::fix::fuzz::initiator),
    ("fix_messages", wire::fuzz::fix_messages),
    ("fix_request", |data| _ = quotes::fuzz::request(data)),
    ("fix_session", gateway::fix::fuzz::session),
    ("itch_message", wire::fuzz::itch_message),
    ("journal_record", journal::fuzz::record),
    ("link_frame", cluster::fuzz::stream),
    ("mold_packet", wire::fuzz::mold_packet),
    ("ouch_inbound", wire::fuzz::ouch_inbound),
    ("ouch_outbound", wire::fuzz::ouch_outbound),
    ("soup_frame", wire::fuzz::soup_frame),
    ("soup_login", wire::fuzz::soup_login),
    ("soup_session", |data| gateway::fuzz::soup_session(data, || engine::fuzz::books(gateway::fuzz::BOOKS))),
    ("web_request", feed::fuzz::web),
];

/// Names of the files in a folder of `fuzz/`, without what is behind a point.
fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn input(line: &str) -> Vec<u8> {
    let digits = line.as_bytes().chunks(2);
    digits
        .map(|pair| str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect::<Option<_>>()
        .unwrap_or_else(|| panic!("no bytes in hexadecimal digits: {line}"))
}

#[test]
fn what_fuzzing_has_found_stays_found() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for folder in ["fuzz_targets", "seeds"] {
        assert_eq!(names(&fuzz.join(folder)), TARGETS.map(|(target, _)| target), "fuzz/{folder}");
    }
    for (target, run) in TARGETS {
        let seeds = fs::read_to_string(fuzz.join("seeds").join(target)).unwrap();
        assert!(!seeds.is_empty(), "no seeds of {target}");
        for (number, line) in (1..).zip(seeds.lines()) {
            // The line is what there is to look at when it fails.
            println!("fuzz/seeds/{target}:{number}");
            run(&input(line));
        }
    }
}
