//! Tests of the whole exchange: the real binary as a child process, real sockets, real files.
//!
//! * `conversations` and `hostile`: what clients say, rightly and wrongly, and what they are answered.
//! * `fix`: conversations of FIX clients, as scripts.
//! * `fix_client`: the FIX client of the repository and the load generator, against the exchange.
//! * `resend`: a FIX session with many unread reports asks for them after a kill, while others trade.
//! * `security`: TLS, users and their passwords, those who must not come in and those who come too often.
//! * `resume`, `crash` and `faults`: what must survive the death of the process and the whims of a disk.
//! * `disks`: a disk that is slow, or fails, as the kernel would say it.
//! * `pair` and `drill`: two exchanges, one of which takes over; drills that break exchanges and audit them.
//! * `pairs`: several pairs, which of them an instrument lives on, and a router before them.
//! * `snapshot`: starts that need not replay everything, and come to the same.
//! * `keeping`: old segments that go by themselves, and snapshots that a standby takes.
//! * `journals`: what can be done with data directories: compared, exported, repaired, started without their past.
//! * `published` and `quoted`: market data, as a subscriber behind a bad network sees it, and by FIX.
//! * `special`: special orders, put into journals as commands.
//! * `seeing`: the status, the event stream and `exchange top`; what is asked of placement and balance.
//! * `shards`, `lobster`, `commands` and `simulate`: the same results on any number of shards, recorded flow, the
//!   command line, the simulator's.
//!
//! Random tests print their seed, and `SEED=n` repeats one. Timeouts are generous: they only tell that something
//! hangs.
#![forbid(unsafe_code)]

mod admission;
mod audit;
mod client;
mod commands;
mod conversations;
mod crash;
mod desk;
#[cfg(feature = "strace-tests")]
mod disks;
mod drill;
#[cfg(feature = "etcd-tests")]
mod elected;
mod faults;
mod fix;
mod fix_client;
mod gate;
mod golden;
mod hostile;
mod journals;
mod keeping;
mod lobster;
mod options;
mod pair;
mod pairs;
mod party;
mod paused;
#[path = "../../../feed/tests/it/proxy.rs"]
mod proxy;
mod published;
mod quoted;
mod reference;
mod resend;
mod resume;
mod script;
mod security;
mod seeds;
mod seeing;
mod shards;
mod simulate;
mod snapshot;
mod special;
mod venue;
