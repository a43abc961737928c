//! The command line: what can be typed, as it was typed.

use std::{net::SocketAddr, path::PathBuf};

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use engine::balance::{BalanceMode, PlacementPolicy};

/// An electronic exchange in one binary: a gateway, a sequencer with a journal, and order books spread over cores.
///
/// Start with `exchange demo`. Then `exchange run --data DIR` in one terminal and
/// `exchange load --target 127.0.0.1:9000` in another.
#[derive(Parser, Debug)]
#[command(name = "exchange", version, about, long_about, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Everything at once, on loopback, in a temporary directory: static against balanced, load, a kill, a recovery, and
    /// the proof.
    Demo(Demo),
    /// Break an exchange on purpose, under load, on loopback; bring it back, and audit that nothing is lost.
    ///
    /// It starts what it needs in a temporary directory, as processes of this program with keys of their own, and loads
    /// it. What clients were told is kept; afterwards every session asks for all of it again, from its first message, and
    /// must be told the same, each acknowledged order once. State hashes of live books and of replays on other numbers of
    /// shards must be equal. The configuration is the embedded one, with segments of 16 MiB. The last line is the result; exit code 1 if anything is not as it must be.
    Drill(Drill),
    /// Run the exchange on a data directory, new or old.
    Run(Run),
    /// Run the second exchange of a pair: it follows the one that leads, and can take over.
    Standby(Standby),
    /// Make the node that follows lead.
    Promote(Promote),
    /// Make the node that leads hand over to the one that follows, without losing anything.
    Switch(Ask),
    /// Put on record that the node that leads does so without a standby, which must then not be promoted.
    Alone(Ask),
    /// What a node of a pair says of itself: its role, its epoch, how far it is, in JSON.
    Node(Ask),
    /// The placement map of several pairs: which of them each instrument lives on.
    Placement(Placement),
    /// Front several pairs: clients log in here, and each order goes to the pair where its instrument lives.
    ///
    /// A client has one session here, whose messages come from all pairs in one numbered stream; the order in which they
    /// were merged is kept in the data directory, so that the stream is the same when it is asked for again. Clients log
    /// in with the user and the password that the pairs know.
    Route(Route),
    /// Watch an exchange on this machine: its shards, the hottest books, and what balancing does.
    Top(Top),
    /// Build the books of a market data feed, as any client of it would, and print the best prices as they change.
    ///
    /// It listens for MoldUDP64 packets, takes a snapshot, and asks again for what is lost; docs/market-data.md says how.
    Watch(Watch),
    /// Drive an exchange with orders and measure it.
    Load(Load),
    /// Run a journal through new books, from its start and without snapshots, and print what they hash to.
    Replay(Replay),
    /// Look at a journal without changing it.
    Journal(Journal),
    /// Restore damaged or missing segments of a journal from a copy of it: a standby's data directory, an archive.
    Repair(Repair),
    /// Take a snapshot, of an exchange that runs or of one that does not: the next start replays only what comes after.
    Snapshot(Snapshot),
    /// Make what the exchanges of a cluster know each other by: a CA, and for each node a certificate and a key.
    ///
    /// Run it on a machine that you trust, not on an exchange's, and give each node ca.pem and its own NAME.pem and NAME.key.
    /// Run it again in the same directory, where ca.key is, for another node. Nothing that is there is overwritten: to renew a
    /// node's certificate, which is valid for five years, remove its two files first.
    Keys(Keys),
    /// Add users, disable and enable them, give them other secrets. Passwords are kept as argon2id hashes.
    User(User),
    /// Make certificates to try TLS with: a CA, one for the exchange, one for a client.
    ///
    /// For trials and tests on one's own machines: whoever has ca.key can make more of them. They are valid for a year. An
    /// exchange for others takes its certificate from a CA that its clients trust. Nothing that is there is overwritten.
    DevCert(DevCert),
    /// Simulate shards and workers of another machine: what a balancing policy would do there, beside the ideal.
    Simulate(Simulate),
    /// Print the commented default configuration.
    Config,
    /// Print completions for a shell.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff.
    Man,
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Keep the data directory and put everything there, instead of a temporary directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Orders a second that are asked of the exchange.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    pub(crate) rate: u64,
    /// Where the load goes: see `exchange load --help`.
    #[arg(long, default_value = "hot:60%", value_name = "PROFILE")]
    pub(crate) profile: String,
    /// Shards of the exchange; the replay uses another number.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub(crate) shards: u16,
    /// Seconds of load before the kill and again after the recovery.
    #[arg(long, default_value_t = 6, value_name = "S")]
    pub(crate) seconds: u64,
    /// The seed of the load and of the moment of the kill.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
}

#[derive(Args, Debug)]
pub(crate) struct Drill {
    /// What happens.
    #[arg(value_name = "WHAT")]
    pub(crate) what: Disaster,
    /// Orders a second that are asked of the exchange.
    #[arg(long, default_value_t = 5_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) rate: u64,
    /// Seconds of load in each round, before it is broken or while it is.
    #[arg(long, default_value_t = 3, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) seconds: u64,
    /// How often it is broken.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rounds: u32,
    /// When reports may leave: see `exchange run --help`. Default: disk+replica for failover, outage and partition,
    /// two-disks for slow-disk, else disk.
    #[arg(long, value_name = "POLICY", value_parser = ["memory", "disk", "disk+replica", "two-disks"])]
    pub(crate) ack: Option<String>,
    /// For failover and partition: let an etcd decide who leads. The drill starts one of three members, from the `etcd` on
    /// the PATH (Debian: etcd-server).
    #[arg(long)]
    pub(crate) etcd: bool,
    /// The seed of the load and of the moments at which things break.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// For storm: connections besides those of the load; fewer where this process may not have so many (ulimit -Hn).
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=20_000))]
    pub(crate) connections: u32,
    /// For disk-full: take the directory's own disk even where a tmpfs could be mounted. With --data it is taken anyway.
    #[arg(long)]
    pub(crate) no_mount: bool,
    /// Keep the data directories and put everything there. Default: a temporary directory, kept when the drill fails.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Print JSON, one object a line: one for each round, and the result.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a drill does to an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Disaster {
    /// A pair, of which the node that leads is killed (SIGKILL) under load. The other one is promoted as soon as it
    /// follows nobody, or with --etcd takes over when the lease is gone; clients go on there where they were, and the
    /// killed one comes back as its standby; what only it had is cut off. Roles alternate. Open again: from the kill to the first order that is accepted after it.
    Failover,
    /// One exchange, killed (SIGKILL) under load and started again on its directory. Open again: from the kill to the
    /// first order that is accepted after it.
    Crash,
    /// A pair, both nodes of which are killed (SIGKILL) at once under load and started again; in every second round the one
    /// that followed leads afterwards. Open again: from the kill to the first order that is accepted after it.
    Outage,
    /// One exchange whose disk runs short of room: orders are refused, cancels taken, until there is room again. Its disk
    /// is a small tmpfs where one can be mounted, which takes root; else the directory's own, of which
    /// journal.reserve_mib and a file that is removed again leave too little. Open again: from when room was made to the
    /// first order that is accepted.
    DiskFull,
    /// A pair whose standby is slow: stopped (SIGSTOP) for a while, which is what a disk that does not answer looks like
    /// from the node that leads; no disk is slowed. Nothing may be acknowledged meanwhile, and the leading node's memory
    /// stays bounded. Open again: from SIGCONT to the answer that waited.
    SlowDisk,
    /// A pair whose link is cut, by a relay between the nodes that goes silent or closes. Nothing may be acknowledged
    /// meanwhile; when it heals, all goes on. It is cut again and standing alone is put on record: all goes on without the
    /// standby, which catches up when the link heals. Open again: from when it heals to the answer that waited.
    /// With --etcd: standing alone is put on record by itself; then the node that leads is cut off from the etcd, too, the
    /// other one takes over, and what the first is asked is never acknowledged. Roles alternate. Open again: from the cut to the
    /// first order that the other one accepts.
    Partition,
    /// One exchange with a crowd of connections, half of them logged in, each with an order that rests. It is killed
    /// (SIGKILL) under load and started again, and all come back at once, while the load's sessions do. Each session of the
    /// crowd must be told what it was told, and memory stays bounded. Open again: from the kill to the first order that
    /// is accepted after it.
    Storm,
    /// One exchange, some of whose clients trade and never read what they are told. Each must be cut off at what a client may
    /// leave unread, and none that reads. Twice in each round, once with clients that read and once with the same ones that
    /// do not, the latency of all others is measured; how it compares is told and not judged.
    SlowConsumer,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// The data directory: journal and session log. Made when it is not there, recovered when it is.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Configuration; without one, an embedded default serves (`exchange config` prints it).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Worker threads that run books. Default: the configuration's; without one, the machine's cores less two.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) shards: Option<u16>,
    /// Where SoupBinTCP clients connect; port 0 takes a free one. Default: the configuration's, 127.0.0.1:9000.
    #[arg(long, value_name = "ADDR")]
    pub(crate) soup: Option<SocketAddr>,
    /// When reports may leave: when their records are in shared memory, or on the disk; in a pair, on one disk and with
    /// both nodes, or on both disks. Default: the configuration's, disk.
    #[arg(long, value_name = "POLICY", value_parser = ["memory", "disk", "disk+replica", "two-disks"])]
    pub(crate) ack: Option<String>,
    /// What threads do when there is nothing to do: spin takes a core for each thread, backoff spins for about 2 us
    /// and then sleeps, park sleeps at once. Default: backoff.
    #[arg(long, value_name = "POLICY", value_parser = ["spin", "backoff", "park"])]
    pub(crate) idle: Option<String>,
    /// Which shard a book lives on at first: by a hash, in turn, or by the weights in the configuration: weighted takes
    /// the lighter of two that a hash names, lpt deals the heaviest books first. Default: the configuration's, hash.
    #[arg(long, value_name = "POLICY", value_parser = placements())]
    pub(crate) placement: Option<PlacementPolicy>,
    /// What may happen to where books run while they trade: steal lets a shard with nothing to do run what waits for
    /// another's books, migrate gives books another home by measured load, full does both. Default: the
    /// configuration's, full.
    #[arg(long, value_name = "MODE", value_parser = balance_modes())]
    pub(crate) balance: Option<BalanceMode>,
    /// Write what balancing does to this file, at its end, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) balance_events: Option<PathBuf>,
    /// The longest backlog that the front executes for a sleeping shard; 0 leaves all to the shards.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) inline: usize,
    /// Recover from the journal alone, whatever snapshots there are. One is written at the stop all the same.
    #[arg(long)]
    pub(crate) no_snapshot: bool,
    /// Print a line on what is going on, so often. 0: never.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub(crate) status: f64,
    /// Print JSON, one object a line, instead of text; steals too, which in text are only counted.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) pair: Pair,
    #[command(flatten)]
    pub(crate) placed: Placed,
}

/// Which node of a pair this is.
#[derive(Args, Debug)]
#[command(next_help_heading = "A pair of exchanges")]
pub(crate) struct Pair {
    /// Which of the two nodes this is.
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2), requires = "keys", requires = "listen")]
    pub(crate) node: Option<u8>,
    /// Where the pair's keys are: `exchange keys --dir DIR --node node-1 --node node-2` makes them.
    #[arg(long, value_name = "DIR", requires = "node")]
    pub(crate) keys: Option<PathBuf>,
    /// Where this node, while it leads, listens for the other one.
    #[arg(long, value_name = "ADDR", requires = "node")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where the other node listens while that one leads: when this one must give up, it follows.
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',', requires = "node")]
    pub(crate) peer: Vec<SocketAddr>,
    /// An etcd that decides which node leads, as http://10.0.0.1:2379,http://10.0.0.2:2379,http://10.0.0.3:2379: the
    /// other node then takes over by itself. Both nodes need it, and a replicated ack policy.
    #[arg(long, value_name = "URL,…", value_delimiter = ',', requires = "node")]
    pub(crate) coordinator: Vec<String>,
    /// What the pair is called there.
    #[arg(long, value_name = "NAME", default_value = "exchange")]
    pub(crate) cluster: String,
}

/// Where this pair stands among several.
#[derive(Args, Debug)]
#[command(next_help_heading = "Several pairs")]
pub(crate) struct Placed {
    /// What this pair, or this exchange alone, is called in the placement map. Only orders for instruments that the map
    /// places on it are taken; others are refused with where they live. The map is in the etcd of --coordinator, or in
    /// the file of --placement-map.
    #[arg(long = "pair", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The placement map as a file, read again and again, in the place of an etcd.
    #[arg(long = "placement-map", value_name = "FILE", requires = "name")]
    pub(crate) map: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Placement {
    #[command(subcommand)]
    pub(crate) command: PlacementCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum PlacementCommand {
    /// Print the map, as JSON.
    Show {
        #[command(flatten)]
        at: MapAt,
    },
    /// Put a map in the place of the one that is there, in one step: the next generation begins.
    ///
    /// FILE is what `exchange placement show` printed, changed. Its generation is the one that it was made from: if
    /// another one is there by now, nothing is done. The first map of all has generation 0 in its file.
    Set {
        /// The map, as JSON.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The etcd, as http://10.0.0.1:2379,http://10.0.0.2:2379,http://10.0.0.3:2379.
        #[arg(long, value_name = "URL,…", value_delimiter = ',', required = true)]
        coordinator: Vec<String>,
        /// The generation that must be there. Default: the file's.
        #[arg(long, value_name = "GENERATION")]
        expect: Option<u64>,
        /// Even if instruments leave their pair. No book moves: the orders that are open there stay there, can only be
        /// canceled, and never trade with those that come to the new pair.
        #[arg(long)]
        leave_books_behind: bool,
    },
}

/// Where the placement map is.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct MapAt {
    /// An etcd that has the placement map, as http://10.0.0.1:2379,http://10.0.0.2:2379,http://10.0.0.3:2379.
    #[arg(long, value_name = "URL,…", value_delimiter = ',')]
    pub(crate) coordinator: Vec<String>,
    /// The placement map as a file, read again and again, in the place of an etcd.
    #[arg(long = "placement-map", value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Route {
    #[command(flatten)]
    pub(crate) at: MapAt,
    /// Where SoupBinTCP clients connect; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    pub(crate) soup: SocketAddr,
    /// The data directory: the order of each session's messages. Made when it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Clients at once; further ones are closed at once.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) connections: u32,
    /// Pairs that file descriptors are kept for: each client takes one for each pair, and two more.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) pairs: u8,
    /// Print JSON, one object a line, instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Standby {
    /// Where the node that leads listens for this one; all places where it may.
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',', required = true)]
    pub(crate) primary: Vec<SocketAddr>,
    #[command(flatten)]
    pub(crate) run: Run,
}

#[derive(Args, Debug)]
pub(crate) struct Promote {
    /// The data directory of the node that follows.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Even if it may lack something, or the other node is alive.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Ask {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

/// The names of what there is, so that the help has them all.
fn placements() -> impl TypedValueParser<Value = PlacementPolicy> {
    PossibleValuesParser::new(PlacementPolicy::ALL.map(PlacementPolicy::name)).try_map(|name| name.parse())
}

fn balance_modes() -> impl TypedValueParser<Value = BalanceMode> {
    let shown = BalanceMode::ALL.map(|mode| PossibleValue::new(mode.name()));
    let hidden = PossibleValue::new(BalanceMode::Drill.name()).hide(true);
    PossibleValuesParser::new(shown.into_iter().chain([hidden])).try_map(|name| name.parse())
}

/// A feed, and what is to be seen of it.
#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// Where packets come: a group to join, or an address of this machine, as in feed.mold.
    #[arg(long, value_name = "ADDR")]
    pub(crate) mold: SocketAddr,
    /// The address of the interface on which a group is joined; without it the system's choice.
    #[arg(long, value_name = "IP")]
    pub(crate) interface: Option<std::net::Ipv4Addr>,
    /// Whom to ask for lost packets, as in feed.rerequest; without it a snapshot is taken instead.
    #[arg(long, value_name = "ADDR")]
    pub(crate) rerequest: Option<SocketAddr>,
    /// Who gives snapshots, as in feed.snapshot.
    #[arg(long, value_name = "ADDR")]
    pub(crate) snapshot: SocketAddr,
    #[command(flatten)]
    pub(crate) tls: ClientTls,
    /// Log in for snapshots as this user, who speaks SoupBinTCP. The password is the environment's EXCHANGE_PASSWORD, or the
    /// first line of a file.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The file with the password, which nobody but its owner may read.
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// Only these.
    #[arg(long, value_name = "SYMBOL", value_delimiter = ',')]
    pub(crate) symbol: Vec<String>,
    /// Prices of each side.
    #[arg(long, value_name = "LEVELS", default_value_t = 1)]
    pub(crate) depth: usize,
    /// Seconds between one look at what has changed and the next.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub(crate) every: f64,
    /// Print the books once, and end.
    #[arg(long)]
    pub(crate) once: bool,
    /// A JSON object for each line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Top {
    /// The data directory of an exchange that runs on this machine.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Print one frame as plain text, and end.
    #[arg(long)]
    pub(crate) once: bool,
}

/// Whom a client trusts, and what it shows.
#[derive(Args, Debug)]
pub(crate) struct ClientTls {
    /// Speak TLS, and trust the CAs in this file, in PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// A certificate of our own, in PEM, for an exchange that asks its clients for one.
    #[arg(long, value_name = "FILE", requires = "tls_ca", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// What the exchange's certificate must be for: a DNS name or an address. Default: the address that is connected to.
    #[arg(long, value_name = "NAME", requires = "tls_ca")]
    pub(crate) tls_name: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Load {
    /// Where the exchange listens for the protocol.
    #[arg(long, value_name = "ADDR")]
    pub(crate) target: SocketAddr,
    /// What the sessions speak: soup (SoupBinTCP with OUCH 5.0) or fix. A FIX session begins anew with each run (141=Y), and
    /// a user's name is its CompID.
    #[arg(long, value_name = "PROTOCOL", default_value = "soup", value_parser = ["soup", "fix"])]
    pub(crate) protocol: String,
    /// For fix: which version of it.
    #[arg(long, value_name = "VERSION", default_value = "4.4", value_parser = ["4.4", "5.0SP2"])]
    pub(crate) fix_version: String,
    /// For fix: the exchange's CompID. Default: the configuration's, or FULCRUM.
    #[arg(long, value_name = "ID")]
    pub(crate) target_comp_id: Option<String>,
    #[command(flatten)]
    pub(crate) tls: ClientTls,
    /// The exchange's configuration: its instruments and users. Without one, the embedded default.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where orders go: calm (every book alike), zipf:S (by rank, as zipf:1), hot:K% (that share to one book),
    /// hot-swap:T (zipf:1, and the ten hottest books are others each T, as 100ms), hot:K%,hot-swap:T (the one hot book is
    /// another each T), burst (zipf:1, and cold names erupt). Latencies of the hot books and of the others are told apart.
    #[arg(long, value_name = "PROFILE", default_value = "zipf:1", conflicts_with = "lobster")]
    pub(crate) profile: String,
    /// Replay real order flow: a LOBSTER message file, plain or gzip, on one session.
    #[arg(long, value_name = "FILE")]
    pub(crate) lobster: Option<PathBuf>,
    /// The instrument that a LOBSTER file is for; by default the part of its name before the first underscore.
    #[arg(long, value_name = "SYMBOL", requires = "lobster")]
    pub(crate) symbol: Option<String>,
    /// Open loop: so many orders a second, sent when they are due whatever the exchange does.
    #[arg(long, value_name = "N", conflicts_with = "closed_loop")]
    pub(crate) rate: Option<u64>,
    /// Closed loop: each session keeps so many requests in flight and sends the next when an answer comes.
    #[arg(long, value_name = "W")]
    pub(crate) closed_loop: Option<u32>,
    /// How long, as 10s or 500ms.
    #[arg(long, value_name = "T", default_value = "10s", conflicts_with = "count")]
    pub(crate) duration: String,
    /// How many requests, instead of how long.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// How many sessions: as many users of the configuration log in.
    #[arg(long, value_name = "K", default_value_t = 4)]
    pub(crate) sessions: usize,
    /// What the stream of orders is drawn from.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How the generator waits: block leaves the core to others, spin answers sooner.
    #[arg(long, value_name = "HOW", default_value = "block", value_parser = ["block", "spin"])]
    pub(crate) wait: String,
    /// Leave what still rests when the run is over, instead of canceling it.
    #[arg(long)]
    pub(crate) leave: bool,
    /// Write the histogram (.hgrm), a JSON summary and an HTML page there.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Print the summary as JSON, and nothing else.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// The data directory. It is only read; an exchange may be running on it.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// How many threads judge the journal and run the books. The result is the same for any number. Default: one for each
    /// core, 16 at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) shards: Option<u16>,
    /// Print each book's commands and hashes.
    #[arg(long)]
    pub(crate) per_instrument: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Snapshot {
    /// The data directory. An exchange may be running on it, and is asked nothing: this follows its journal, with the
    /// lowest priority.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Keys {
    /// Where to put them. Made if it is not there, for its owner alone. With a ca.pem and ca.key in it, these sign.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// A node's name, as the cluster's configuration has it: lower-case letters, digits and hyphens. Once for each node.
    #[arg(long = "node", value_name = "NAME", required = true)]
    pub(crate) nodes: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct User {
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum UserCommand {
    /// Add a user. An exchange gives it a session at its next start, and lets it in from then on.
    Add {
        /// Its name: up to 6 characters for soup, where case does not count, up to 20 for fix, where it does.
        #[arg(value_name = "NAME")]
        name: String,
        /// What it speaks.
        #[arg(long, value_name = "PROTOCOL", default_value = "soup", value_parser = ["soup", "fix"])]
        protocol: String,
        #[command(flatten)]
        secret: NewSecret,
        /// Networks that it may come from, as 10.1.0.0/16,192.0.2.7. Default: anywhere.
        #[arg(long, value_name = "NETWORK,…", value_delimiter = ',')]
        allow: Vec<String>,
        /// Cancel its orders when its connection ends.
        #[arg(long)]
        cancel_on_disconnect: bool,
        /// Users whose reports it is told as well.
        #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
        drop_copy_of: Vec<String>,
        /// Keep it from market data, where that takes a login (feed.login).
        #[arg(long)]
        no_market_data: bool,
        #[command(flatten)]
        at: UsersAt,
    },
    /// Keep a user out: a running exchange closes its connection within a second.
    Disable {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        at: UsersAt,
    },
    /// Let a user in again.
    Enable {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        at: UsersAt,
    },
    /// Give a user another password or key. Its next login needs it; a connection that is open stays.
    Rotate {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        secret: NewSecret,
        #[command(flatten)]
        at: UsersAt,
    },
    /// Show who there is.
    List {
        /// Print JSON, one object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: UsersAt,
    },
}

/// What a user is to prove itself by. A password is never an argument, which other processes could read: it is asked for on a
/// terminal, or the first line of standard input.
#[derive(Args, Debug)]
pub(crate) struct NewSecret {
    /// Make a password, and print it, once.
    #[arg(long, conflicts_with = "no_password")]
    pub(crate) generate: bool,
    /// An Ed25519 key, as `openssl pkey -pubout` writes it, that a FIX user's signatures are held against.
    #[arg(long, value_name = "FILE")]
    pub(crate) public_key: Option<PathBuf>,
    /// No password at all: the key alone lets it in.
    #[arg(long, requires = "public_key")]
    pub(crate) no_password: bool,
}

/// Where the users are.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(crate) struct UsersAt {
    /// The exchange's data directory, whose users.toml has them unless the configuration names another file.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The exchange's configuration, whose users_file has them if it names one.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The file itself.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "config"])]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct DevCert {
    /// Where to put them. Made if it is not there, for its owner alone.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The name, or the address, that clients reach the exchange at; localhost, 127.0.0.1 and ::1 are in the certificate
    /// too.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub(crate) name: String,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Simulate {
    /// Cores that run books.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=128))]
    pub(crate) cores: u16,
    /// Books. A rates file, and us-equities, have their own number.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) books: u32,
    /// Which books are hot: calm, zipf:S, hot:K%, hot-swap:T (as 1ms), us-equities.
    #[arg(long, value_name = "PROFILE", default_value = "zipf:1")]
    pub(crate) profile: String,
    /// Zipf's s, for --profile zipf:S.
    #[arg(long, value_name = "S", conflicts_with = "profile")]
    pub(crate) zipf: Option<f64>,
    /// Rates of symbols over a day, as CSV with the columns inside_updates, p99_per_s and max_per_s: takes the place
    /// of the made-up ones of us-equities.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["profile", "zipf"])]
    pub(crate) rates: Option<PathBuf>,
    /// The load, as percent of what the ideal can carry at most.
    #[arg(long, value_name = "PERCENT", default_value_t = 80.0)]
    pub(crate) load: f64,
    /// Commands of a run. Default: 2,000,000; in tables 1,000,000; a tenth with --quick.
    #[arg(long, value_name = "N")]
    pub(crate) commands: Option<u64>,
    /// The mean size of a burst, which is geometric; 1 for single commands.
    #[arg(long, value_name = "N", default_value_t = 16.0)]
    pub(crate) burst: f64,
    /// How many commands of a burst are in a row for one book, in the mean. Default: all.
    #[arg(long, value_name = "N")]
    pub(crate) row: Option<f64>,
    /// Only this placement, instead of the standard comparison.
    #[arg(long, value_name = "POLICY", value_parser = ["hash", "round-robin", "weighted", "lpt"])]
    pub(crate) placement: Option<String>,
    /// Only this balancing, instead of the standard comparison.
    #[arg(long, visible_alias = "policy", value_name = "MODE", value_parser = ["off", "steal", "migrate", "full"])]
    pub(crate) balance: Option<String>,
    /// How often homes are decided on, as 1ms or 200us.
    #[arg(long, value_name = "T", default_value = "1ms")]
    pub(crate) period: String,
    /// Spread books that have had bursts as well.
    #[arg(long)]
    pub(crate) predict: bool,
    /// Commands that a worker claims from its ring at a time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch: u32,
    /// Commands that a thief takes out of a ring at a time.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) publish: u32,
    /// What everything random comes from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// The tables of docs/balance-simulation.md: 72 machines, hot swaps, the cost of scheduling, US equities. Minutes.
    #[arg(long)]
    pub(crate) table: bool,
    /// Fewer machines and shorter runs: seconds.
    #[arg(long)]
    pub(crate) quick: bool,
    /// What things cost, from a file that --calibrate wrote.
    #[arg(long, value_name = "FILE")]
    pub(crate) costs: Option<PathBuf>,
    /// What scheduling costs for each command, in nanoseconds, whatever the costs file says.
    #[arg(long, value_name = "NANOS")]
    pub(crate) scheduling: Option<u64>,
    /// Measure on this machine what things cost, and simulate nothing.
    #[arg(long)]
    pub(crate) calibrate: bool,
    /// Write the measured costs there.
    #[arg(long, value_name = "FILE", requires = "calibrate")]
    pub(crate) save: Option<PathBuf>,
    /// Write a page with tables and curves there.
    #[arg(long, value_name = "FILE", conflicts_with = "calibrate")]
    pub(crate) html: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Journal {
    #[command(subcommand)]
    pub(crate) command: JournalCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum JournalCommand {
    /// What is there: segments, positions, sequences, records, epochs, snapshots.
    Info(JournalArgs),
    /// Check every record, every chain, every number and every snapshot; exit code 1 if anything is wrong.
    Verify(JournalArgs),
    /// Print every record, one a line.
    Dump(DumpArgs),
    /// Compare two copies of one journal: how far they are the same, and the first record that differs. Exit code 1 if
    /// they differ; that one has more than the other is no difference.
    Diff(DiffArgs),
    /// Write every record with all its fields, as a flat table or as JSON.
    Export(ExportArgs),
    /// Remove the oldest segments: those that no start needs, because both snapshots lie behind them. What sessions were
    /// told in them cannot be told again. An exchange may be running on the directory.
    Retire(RetireArgs),
}

#[derive(Args, Debug)]
pub(crate) struct RetireArgs {
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Copy each segment there first, checked and synced. Together with the directory's own it is the whole journal.
    #[arg(long, value_name = "DIR")]
    pub(crate) archive: Option<PathBuf>,
    /// Keep what lies at this position and behind it, whatever may go.
    #[arg(long, value_name = "POSITION")]
    pub(crate) keep: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct JournalArgs {
    /// The data directory. It is only read; an exchange may be running on it.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DumpArgs {
    /// The data directory. It is only read; an exchange may be running on it.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Begin at this sequence.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) from: u64,
    /// Print so many records at most.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// A data directory or an archive; give it twice, once for each. They are only read; exchanges may be running on them.
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) data: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The data directory or the archive. It is only read; an exchange may be running on it.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// csv: one table with a header, in which a record leaves empty what it does not have. jsonl: an object a line, with
    /// the same names, without what the record does not have. docs/export.md has the columns.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: ExportFormat,
    /// Which records.
    #[arg(long, value_name = "WHAT", default_value = "all")]
    pub(crate) what: ExportWhat,
    /// From this sequence on. A report has the sequence of the command that caused it.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub(crate) from: u64,
    /// Up to this sequence, with it.
    #[arg(long, value_name = "SEQ", default_value_t = u64::MAX, hide_default_value = true)]
    pub(crate) to: u64,
    /// Write to this file, which is there only once it is whole; without it, to the standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Csv,
    Jsonl,
}

/// Which records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportWhat {
    Commands,
    Reports,
    All,
}

#[derive(Args, Debug)]
pub(crate) struct Repair {
    /// The data directory (or archive) that is damaged. No exchange may be running on it.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// A copy of the same journal: a standby's data directory, or an archive. It is only read.
    #[arg(long, value_name = "DIR")]
    pub(crate) from: PathBuf,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
