//! Two exchanges: one leads, one follows, and takes over.
//!
//! Two clients trade at random at whichever leads. What they were told they must be told again after every change of
//! leader, word for word and under the same numbers; what was acknowledged is there once; both nodes come to the same state.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use wire::ouch::codes;

use crate::{
    client::{Client, enter},
    party::{Party, Random, parties, trade},
    venue::{HUNG, Home, PASSWORD, Settings, Venue, eventually, json, output, printed, text},
};

/// Two homes with keys of one pair.
pub(crate) struct Pair {
    pub(crate) nodes: [Home; 2],
    keys: PathBuf,
    /// Where each node listens for the other.
    links: [SocketAddr; 2],
    /// Arguments of every start.
    pub(crate) more: Vec<String>,
    /// Where each node lets clients in; a free port if it does not matter.
    pub(crate) soup: [Option<SocketAddr>; 2],
    _dir: tempfile::TempDir,
}

/// An address that is free now.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}

impl Pair {
    pub(crate) fn new(ack: &'static str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let keys = dir.path().join("keys");
        printed(&["keys", "--dir", &keys.display().to_string(), "--node", "node-1", "--node", "node-2"]);
        let nodes = [1, 2].map(|_| Home::new(Settings { ack, segment_mib: 1, ..Settings::default() }));
        Self { nodes, keys, links: [free(), free()], more: Vec::new(), soup: [None; 2], _dir: dir }
    }

    fn prepare(&mut self, node: usize, verb: &'static str) {
        let mut args = vec!["--shards".to_owned(), (node + 1).to_string()];
        let other = self.links[1 - node].to_string();
        for (flag, value) in [
            ("--node", (node + 1).to_string()),
            ("--keys", self.keys.display().to_string()),
            ("--listen", self.links[node].to_string()),
            (if verb == "run" { "--peer" } else { "--primary" }, other),
        ] {
            args.extend([flag.to_owned(), value]);
        }
        args.extend(self.more.iter().cloned());
        if let Some(soup) = self.soup[node] {
            args.extend(["--soup".to_owned(), soup.to_string()]);
        }
        self.nodes[node].settings.verb = verb;
        self.nodes[node].settings.args = args;
    }

    /// Starts a node as the one that leads.
    pub(crate) fn lead(&mut self, node: usize) -> Venue {
        self.prepare(node, "run");
        self.nodes[node].start()
    }

    /// The same where a coordinator must agree: it is not ready yet.
    #[cfg(feature = "etcd-tests")]
    pub(crate) fn found(&mut self, node: usize) -> Venue {
        self.prepare(node, "run");
        let mut venue = self.nodes[node].launch();
        venue.line("following");
        venue
    }

    /// Starts a node as the one that follows.
    pub(crate) fn follow(&mut self, node: usize) -> Venue {
        self.prepare(node, "standby");
        let mut venue = self.nodes[node].launch();
        venue.line("following");
        venue
    }

    pub(crate) fn data(&self, node: usize) -> String {
        self.nodes[node].data().display().to_string()
    }

    /// What a node says of itself; nothing while it goes from one role to the other.
    pub(crate) fn status(&self, node: usize) -> Value {
        let output = output(&["node", "--data", &self.data(node)]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    pub(crate) fn wait_in_sync(&self, leader: usize) {
        let begun = Instant::now();
        while self.status(leader)["standby"]["in_sync"] != true {
            assert!(
                begun.elapsed() < HUNG,
                "the standby does not come into sync; node 1:\n{}\nnode 2:\n{}",
                self.nodes[0].log(),
                self.nodes[1].log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Makes a standby lead.
    pub(crate) fn promote(&self, node: usize, venue: &mut Venue) {
        let promoted = json(&["promote", "--data", &self.data(node)]);
        assert_eq!(promoted["promoted"], true);
        venue.ready();
    }
}

pub(crate) fn hear(parties: &[Party], venue: &Venue) {
    for party in parties {
        party.hear_again(venue);
    }
}

#[test]
fn whoever_leads_is_killed_and_the_other_goes_on_with_everything() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let mut pair = Pair::new(if random.random_bool(0.5) { "disk+replica" } else { "two-disks" });
    let mut parties = parties();
    let (mut leader, mut other) = (0, 1);
    let mut venue = pair.lead(leader);
    let mut standby = pair.follow(other);
    for round in 0..4 {
        pair.wait_in_sync(leader);
        for _ in 0..random.random_range(1..3) {
            trade(&venue, &mut parties, &mut random);
        }
        // Without warning, with something in flight that nobody has an answer to.
        let mut restless = parties[0].be_restless(&venue, &mut random);
        std::thread::sleep(Duration::from_micros(random.random_range(0..3_000)));
        venue.kill();
        parties[0].told.extend(restless.until_gone());
        eventually("the standby has noticed", || pair.status(other)["follows"].is_null());
        pair.promote(other, &mut standby);
        parties[0].come_back(&standby);
        hear(&parties, &standby);
        // The one that was killed follows now; what only it had is cut off and kept.
        let rejoined = pair.follow(leader);
        (venue, standby) = (standby, rejoined);
        (leader, other) = (other, leader);
        pair.wait_in_sync(leader);
        eventually("clients may order again", || {
            !pair.nodes[leader].log_lines("new orders are taken from now on").is_empty()
        });
        println!("SEED={seed} round {round}: node {} leads", leader + 1);
    }
    trade(&venue, &mut parties, &mut random);
    hear(&parties, &venue);
    let stopped = venue.stop();
    let end = stopped["last_sequence"].as_u64().expect("a number");
    eventually("the standby has all of it", || pair.status(other)["last_sequence"] == end);
    standby.stop();
    let state = text(&stopped, "state");
    for node in [leader, other] {
        assert_eq!(pair.nodes[node].replay(2)["state"], state, "node {}", node + 1);
    }
    for node in &pair.nodes {
        assert_eq!(node.log_lines("are not those of the journal"), [""; 0]);
    }
    let compared = output(&["journal", "diff", "--data", &pair.data(0), "--data", &pair.data(1)]);
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
}

#[test]
fn a_switch_hands_over_and_back_without_losing_anything() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut pair = Pair::new("disk+replica");
    let mut parties = parties();
    let mut venues = [pair.lead(0), pair.follow(1)];
    for round in 0..3 {
        let (from, to) = (round % 2, 1 - round % 2);
        pair.wait_in_sync(from);
        trade(&venues[from], &mut parties, &mut random);
        let begun = Instant::now();
        let switched = json(&["switch", "--data", &pair.data(from)]);
        assert_eq!(switched["switched"], true);
        venues[to].ready();
        println!("round {round}: switched in {:?}, the command's own start counted", begun.elapsed());
        let deposed = venues[from].line("deposed");
        assert_eq!(deposed["epoch"], switched["epoch"]);
        hear(&parties, &venues[to]);
        let archive = pair.nodes[from].data().join("archive");
        // Orders are taken at once: nobody's orders are in another state than they think.
        trade(&venues[to], &mut parties, &mut random);
        assert!(!archive.exists(), "nothing had to be cut");
    }
    let [first, second] = venues;
    // Who has just taken over is alone until the other one follows, and may stop before that.
    pair.wait_in_sync(1);
    let stopped = second.stop();
    eventually("the other one has all", || pair.status(0)["last_sequence"] == stopped["last_sequence"]);
    first.stop();
    assert_eq!(pair.nodes[0].replay(1)["state"], text(&stopped, "state"));
    assert_eq!(pair.nodes[1].replay(4)["state"], text(&stopped, "state"));
}

#[test]
fn without_its_standby_a_replicated_primary_acknowledges_nothing_until_that_is_on_record() {
    let mut pair = Pair::new("disk+replica");
    let venue = pair.lead(0);
    let standby = pair.follow(1);
    pair.wait_in_sync(0);
    let mut client = venue.client("ALICE");
    client.round_trip(1, "AAPL");
    standby.kill();
    eventually("it is missed", || pair.status(0)["standby"].is_null());
    client.ask(&enter(2, b'B', 10, "AAPL", 1_000_000, codes::DAY));
    assert!(client.is_silent_for(Duration::from_millis(300)), "acknowledged by one disk alone");
    // It comes back, and what waited is acknowledged.
    let standby = pair.follow(1);
    client.next();
    pair.wait_in_sync(0);
    standby.kill();
    client.ask(&enter(3, b'B', 10, "AAPL", 1_000_000, codes::DAY));
    assert!(client.is_silent_for(Duration::from_millis(300)));
    // Or it is put on record that there is none.
    let alone = json(&["alone", "--data", &pair.data(0)]);
    assert_eq!(alone["alone"], true);
    client.next();
    client.round_trip(4, "AAPL");
    // That survives a kill; and ends when a standby has everything.
    venue.kill();
    let venue = pair.lead(0);
    venue.client("ALICE").round_trip(5, "AAPL");
    let standby = pair.follow(1);
    pair.wait_in_sync(0);
    eventually("it is on record", || pair.status(0)["alone"] == false);
    let stopped = venue.stop();
    eventually("the standby has all", || pair.status(1)["last_sequence"] == stopped["last_sequence"]);
    standby.stop();
    assert_eq!(pair.nodes[1].replay(2)["state"], text(&stopped, "state"));
}

/// What the leader has let go of comes as a snapshot, while it trades.
#[test]
fn a_fresh_standby_begins_with_a_snapshot_when_the_past_is_gone() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut pair = Pair::new("disk");
    let mut parties = parties();
    let data = pair.data(0);
    let archive = pair.nodes[0].file("archive").display().to_string();
    let mut venue = pair.lead(0);
    // Two snapshots behind several segments.
    for segments in [2, 4] {
        while journal::inspect::info(&data).expect("a journal").segments.len() < segments {
            trade(&venue, &mut parties, &mut random);
        }
        venue.stop();
        venue = pair.lead(0);
    }
    let retired = json(&["journal", "retire", "--json", "--data", &data, "--archive", &archive]);
    assert!(retired["removed"].as_u64().is_some_and(|removed| removed > 0), "{retired}");
    assert_eq!(retired["removed"], retired["archived"]);
    trade(&venue, &mut parties, &mut random);
    // What is gone cannot be said again, which is said; what is there can.
    let user = parties[0].user;
    assert!(Client::try_log_in(venue.address, user, PASSWORD, "", 1).is_err());
    eventually("it is said", || pair.nodes[0].log_lines("and the log has them from").len() == 1);

    let standby = pair.follow(1);
    trade(&venue, &mut parties, &mut random);
    pair.wait_in_sync(0);
    trade(&venue, &mut parties, &mut random);
    assert_eq!(pair.nodes[1].log_lines("begins with the snapshot at position").len(), 1);
    let stopped = venue.stop();
    eventually("the standby has all", || pair.status(1)["last_sequence"] == stopped["last_sequence"]);
    // A copy that begins in the middle opens again, too.
    standby.stop();
    let mut standby = pair.follow(1);
    pair.promote(1, &mut standby);
    assert_eq!(standby.recovered_state(), text(&stopped, "state"));
    for party in &parties {
        let last = party.told.len() as u64;
        let again = standby.client_from(party.user, last - 10).up_to(last);
        assert_eq!(again, party.told[party.told.len() - 11..]);
    }
}

#[test]
fn a_node_leads_only_when_it_may() {
    let mut pair = Pair::new("disk+replica");
    let venue = pair.lead(0);
    let mut standby = pair.follow(1);
    pair.wait_in_sync(0);
    venue.client("ALICE").round_trip(1, "AAPL");
    let refused = |args: &[&str], why: &str| {
        let output = output(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{args:?}: {said}");
    };
    let (first, second) = (pair.data(0), pair.data(1));
    refused(&["promote", "--data", &second], "only force promotes another");
    refused(&["promote", "--data", &first], "leads already");
    refused(&["alone", "--data", &first], "in sync");
    refused(&["switch", "--data", &second], "does not lead");
    refused(&["switch", "--data", "/nowhere"], "no node of a pair runs");
    // With force it does, and the one that led hears of it, says nothing more, and follows.
    let promoted = json(&["promote", "--force", "--data", &second]);
    assert_eq!(promoted["promoted"], true);
    standby.ready();
    let mut venue = venue;
    assert_eq!(venue.line("deposed")["epoch"], promoted["epoch"]);
    eventually("the first follows", || pair.status(0)["role"] == "standby");
    pair.wait_in_sync(1);
    standby.client_from("ALICE", 1).up_to(2);
}

#[test]
fn a_node_whose_journal_is_gone_makes_no_other() {
    let mut pair = Pair::new("disk");
    let venue = pair.lead(0);
    let standby = pair.follow(1);
    pair.wait_in_sync(0);
    venue.client("ALICE").round_trip(1, "AAPL");
    standby.stop();
    let data = pair.nodes[1].data();
    for entry in std::fs::read_dir(&data).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            std::fs::remove_file(path).expect("a segment");
        }
    }
    pair.prepare(1, "run");
    let said = pair.nodes[1].refused();
    assert!(said.contains("start it as the standby of the other node"), "{said}");
    pair.nodes[1].settings.args.truncate(2);
    let said = pair.nodes[1].refused();
    assert!(said.contains("start it as the standby of the other node"), "{said}");
    assert!(!data.join("0000000000.seg").exists(), "it has made another one");
    let _again = pair.follow(1);
    pair.wait_in_sync(0);
}

#[test]
fn nodes_of_different_journals_do_not_follow_each_other() {
    let mut pair = Pair::new("disk");
    // Both have led, each by itself.
    let second = pair.lead(1);
    second.client("ALICE").round_trip(1, "AAPL");
    second.stop();
    let venue = pair.lead(0);
    venue.client("ALICE").round_trip(1, "AAPL");
    let _standby = pair.follow(1);
    eventually("it is refused", || !pair.nodes[1].log_lines("refused by the other node: cluster").is_empty());
    assert!(pair.status(0)["standby"].is_null());
    venue.client("ALICE").round_trip(3, "AAPL");
}

/// The status line, its JSON, and `exchange top`, on either node.
#[test]
fn both_nodes_show_the_pair() {
    let mut pair = Pair::new("disk+replica");
    pair.more = vec!["--status".into(), "0.02".into()];
    let mut venue = pair.lead(0);
    let mut standby = pair.follow(1);
    pair.wait_in_sync(0);
    let shows = |venue: &mut Venue, what: &str, is_so: &dyn Fn(&Value) -> bool| {
        let begun = Instant::now();
        loop {
            let status = venue.line("status");
            if is_so(&status["pair"]) {
                return status;
            }
            assert!(begun.elapsed() < HUNG, "{what}: {status}");
        }
    };
    venue.client("ALICE").round_trip(1, "AAPL");
    let well = shows(&mut venue, "in sync", &|pair| pair["in_sync"] == true && pair["behind_on_disk"] == 0);
    assert_eq!((&well["pair"]["role"], &well["pair"]["node"]), (&"primary".into(), &1.into()));
    assert_eq!((&well["pair"]["acks"], &well["pair"]["policy"]), (&"kept".into(), &"disk+replica".into()));
    let follows = shows(&mut standby, "follows", &|pair| pair["behind"] == 0 && pair["in_sync"] == true);
    assert_eq!((&follows["pair"]["role"], &follows["pair"]["node"]), (&"standby".into(), &2.into()));
    assert_eq!(follows["pair"]["epoch"], well["pair"]["epoch"]);
    eventually("it has the same commands", || {
        standby.line("status")["last_sequence"].as_u64() >= well["last_sequence"].as_u64()
    });
    let top = |node: usize| printed(&["top", "--once", "--data", &pair.data(node)]);
    assert!(top(0).contains("node 1 leads in epoch 1, ack disk+replica, standby in sync"), "{}", top(0));
    assert!(top(1).contains("node 2 follows epoch 1, in sync, "), "{}", top(1));
    // Each is missed by the other one.
    standby.kill();
    shows(&mut venue, "it waits", &|pair| pair["acks"] == "wait" && pair["connected"] == false);
    json(&["alone", "--data", &pair.data(0)]);
    shows(&mut venue, "it is alone", &|pair| pair["acks"] == "alone");
    assert!(top(0).contains("ALONE: acknowledged on this disk only"), "{}", top(0));
    let mut standby = pair.follow(1);
    shows(&mut venue, "in sync again", &|pair| pair["acks"] == "kept" && pair["in_sync"] == true);
    venue.kill();
    shows(&mut standby, "follows nobody", &|pair| pair["connected"] == false && pair["epoch"].is_null());
    assert!(printed(&["top", "--once", "--data", &pair.data(1)]).contains("FOLLOWS NOBODY"));
    // It shows itself as the one that leads from then on.
    pair.promote(1, &mut standby);
    shows(&mut standby, "leads", &|pair| pair["role"] == "primary" && pair["node"] == 2);
}

/// Under `disk` nothing but the answer keeps it from acknowledging what the other one does not know of.
#[test]
fn a_node_that_led_asks_the_other_one_before_it_leads_again() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut pair = Pair::new("disk");
    let mut parties = parties();
    let venue = pair.lead(0);
    let said = "node-2 does not lead: nobody listens";
    assert_eq!(pair.nodes[0].log_lines(said).len(), 1);
    let mut standby = pair.follow(1);
    pair.wait_in_sync(0);
    trade(&venue, &mut parties, &mut random);
    eventually("the standby has all", || {
        let (leads, follows) = (pair.status(0), pair.status(1));
        leads["committed"] == follows["durable"] && !leads["committed"].is_null()
    });
    venue.kill();
    eventually("the standby has noticed", || pair.status(1)["follows"].is_null());
    pair.promote(1, &mut standby);
    trade(&standby, &mut parties, &mut random);
    // Started as if nothing had been.
    pair.prepare(0, "run");
    let mut venue = pair.nodes[0].launch();
    venue.line("following");
    assert_eq!(pair.nodes[0].log_lines("node-2 leads in epoch 2: this node follows it").len(), 1);
    pair.wait_in_sync(1);
    trade(&standby, &mut parties, &mut random);
    hear(&parties, &standby);
    venue.kill();

    // One that cannot be asked is not waited for, and that is said.
    kill_process(standby.pid(), Signal::STOP).expect("it can be stopped");
    let venue = pair.lead(0);
    assert_eq!(pair.nodes[0].log_lines("it is not known whether node-2 leads").len(), 1);
    venue.kill();
    kill_process(standby.pid(), Signal::CONT).expect("it goes on");
    // Now both have led without each other, and neither is stopped by a question.
    let refused = pair.nodes[0].refused();
    let why = "node-2 leads in epoch 2, and this node has led, or begun to, in epoch 3 without it";
    assert!(refused.contains(why), "{refused}");
    trade(&standby, &mut parties, &mut random);
    assert_eq!(pair.status(1)["role"], "primary");
}

#[test]
fn a_node_does_not_lead_beside_one_that_leads_another_journal() {
    let mut pair = Pair::new("disk");
    let venue = pair.lead(1);
    pair.prepare(0, "run");
    let refused = pair.nodes[0].refused();
    assert!(refused.contains("node-2 leads another journal"), "{refused}");
    venue.client("ALICE").round_trip(1, "AAPL");
}

/// Nothing that anyone is told shows this difference: one book of the standby has counted one refusal too many. Only what
/// the books come to tells.
#[test]
fn a_switch_to_other_books_is_refused() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut pair = Pair::new("disk+replica");
    let mut parties = parties();
    let mut venue = pair.lead(0);
    let standby = pair.follow(1);
    pair.wait_in_sync(0);
    trade(&venue, &mut parties, &mut random);
    pair.wait_in_sync(0);
    json(&["snapshot", "--json", "--data", &pair.data(1)]);
    standby.kill();
    let (true_state, planted_state) = plant(&pair.nodes[1].data());
    let mut standby = pair.follow(1);
    assert_eq!(pair.nodes[1].log_lines("begins with the snapshot at sequence").len(), 1);
    pair.wait_in_sync(0);
    trade(&venue, &mut parties, &mut random);
    pair.wait_in_sync(0);
    assert!(pair.status(1)["differs"].is_null(), "reports do not tell");

    let refused = output(&["switch", "--data", &pair.data(0)]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("the standby will not lead"), "{said}");
    // The two states are named; they differ by what was planted.
    let states: Vec<u64> = said
        .split(|c: char| !c.is_ascii_hexdigit())
        .filter(|word| word.len() == 16)
        .map(|word| u64::from_str_radix(word, 16).expect("hexadecimal"))
        .collect();
    let [ours, theirs] = states[..] else { panic!("{said}") };
    assert_ne!(ours, theirs);
    println!("planted {true_state:016x} to {planted_state:016x}; {said}");
    // The one that led leads on, with everything; the other one says why it will not.
    trade(&venue, &mut parties, &mut random);
    hear(&parties, &venue);
    let differs = text(&pair.status(1), "differs");
    assert!(
        differs.contains(&format!("{ours:016x}")) && differs.contains(&format!("{theirs:016x}")),
        "{differs}"
    );
    let refused = output(&["switch", "--data", &pair.data(0)]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("as it says itself"), "{said}");
    let refused = output(&["promote", "--force", "--data", &pair.data(1)]);
    assert!(!refused.status.success());
    // Its journal is as good as ever: without the planted snapshot it is a sound standby.
    standby.kill();
    for path in journal::snapshot::list(&pair.nodes[1].data()).expect("a directory") {
        std::fs::remove_file(path).expect("removing");
    }
    standby = pair.follow(1);
    pair.wait_in_sync(0);
    let switched = output(&["switch", "--data", &pair.data(0)]);
    let said = String::from_utf8_lossy(&switched.stderr);
    assert!(
        switched.status.success(),
        "{said}; node 1:\n{}\nnode 2:\n{}\n{} {}",
        pair.nodes[0].log(),
        pair.nodes[1].log(),
        pair.status(0),
        pair.status(1)
    );
    standby.ready();
    venue.line("deposed");
    hear(&parties, &standby);
}

/// Makes the newest snapshot one of books in which the first has counted one refusal more, with everything that a
/// snapshot is checked for. Gives the state that it had, and the one that it has.
fn plant(data: &std::path::Path) -> (u64, u64) {
    // docs/snapshot-format.md: two numbers, the instruments behind their count, the count of books, the first book.
    const INSTRUMENTS: usize = 16;
    const INSTRUMENT: usize = 56;
    const BOOK: usize = INSTRUMENTS + 8 + INSTRUMENT * crate::venue::INSTRUMENTS.len() + 8;
    const REFUSED: usize = BOOK + 56;
    let cluster = journal::inspect::info(data).expect("a journal").cluster;
    let path = journal::snapshot::list(data).expect("a directory").remove(0);
    let (header, mut body) = journal::snapshot::read(&path, cluster, 1 << 30).expect("a good snapshot");
    let number =
        |body: &[u8], at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("eight bytes"));
    assert_eq!(number(&body, INSTRUMENTS), crate::venue::INSTRUMENTS.len() as u64);
    let before = number(&body, REFUSED);
    body[REFUSED..REFUSED + 8].copy_from_slice(&(before + 1).to_le_bytes());
    // What the books then come to is found by asking: a snapshot whose header says otherwise is told what it should say.
    let wrong = journal::snapshot::Header { state: 0, ..header };
    journal::snapshot::write(data, &wrong, &body).expect("writing");
    let said = output(&["journal", "verify", "--data", &data.display().to_string()]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let state = said.split("its books' state is ").nth(1).and_then(|rest| rest.split(' ').next());
    let state = state.and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_else(|| panic!("{said}"));
    let planted = journal::snapshot::Header { state, ..header };
    journal::snapshot::write(data, &planted, &body).expect("writing");
    assert_ne!(header.state, state);
    (header.state, state)
}
