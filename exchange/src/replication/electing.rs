//! The election over an etcd: two threads that ask it, one for keepalives alone so that nothing holds those up, and the
//! rules of `cluster::election` between them.
//!
//! All keys lie under `fulcrum/NAME/`: `state`, `leader`, `end/1`, `end/2`. What they mean and how they are written is in
//! docs/replication.md.

use std::{str::FromStr, thread::JoinHandle, time::Duration};

use cluster::{
    NodeId,
    election::{
        Action, Announcement, Elector, Leader, LeaderChange, LeaseId, Record, Reply, Request, RequestId,
        Settings, Situation, Version, View, Write,
    },
};
use coordinator::{Answer, Client, Compare, Error, KeyValue, Operation, Options, Renewal, Revision};
use crossbeam_channel::{Receiver, Sender, unbounded};
use domain::Epoch;
use log::warn;

/// What etcd says of a lease, or a key's lease, that is not there.
const NOT_FOUND: i64 = 5;
/// One member's time to answer, and that of a whole call: below what the rules wait for.
const ATTEMPT: Duration = Duration::from_millis(400);
const CALL: Duration = Duration::from_millis(900);

/// Where the coordinator is, and what the cluster is called there.
#[derive(Clone, Debug)]
pub(crate) struct Coordinator {
    pub(crate) endpoints: Vec<String>,
    pub(crate) name: String,
}

/// What an election has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This node is to lead in this epoch.
    Won(Epoch),
    /// Another epoch has begun.
    Lost(Epoch),
}

type Job = (RequestId, Request);

/// See the module.
pub(crate) struct Election {
    elector: Elector,
    /// `None` when it is being ended.
    keepalives: Option<Sender<Job>>,
    others: Option<Sender<Job>>,
    replies: Receiver<(RequestId, Reply)>,
    threads: Vec<JoinHandle<()>>,
}

impl Election {
    /// Of a node that does not lead. `founds`: it may found a cluster of which nothing is on record.
    pub(crate) fn new(coordinator: &Coordinator, node: NodeId, founds: bool) -> Result<Self, String> {
        let (to, replies) = unbounded();
        let mut threads = Vec::new();
        let mut spawn = |name: &str| -> Result<Sender<Job>, String> {
            let store = Store::new(coordinator)?;
            let (jobs, inbox) = unbounded::<Job>();
            let to = to.clone();
            let thread = std::thread::Builder::new()
                .name(name.into())
                .spawn(move || {
                    for (id, request) in inbox {
                        if to.send((id, store.ask(request))).is_err() {
                            return;
                        }
                    }
                })
                .map_err(|error| format!("no thread for the coordinator: {error}"))?;
            threads.push(thread);
            Ok(jobs)
        };
        let (keepalives, others) = (spawn("keepalives")?, spawn("coordinator")?);
        Ok(Self {
            elector: Elector::new(Settings::default(), node, founds),
            keepalives: Some(keepalives),
            others: Some(others),
            replies,
            threads,
        })
    }

    /// Whether the coordinator has nothing on record of this cluster.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn is_unfounded(coordinator: &Coordinator) -> Result<bool, String> {
        Store::new(coordinator)?.view().map(|view| view.state.is_none()).map_err(|error| error.to_string())
    }

    /// Takes answers, lets time pass, asks what there is to ask, and gives what has come of it.
    pub(super) fn turn(&mut self, now_nanos: u64, situation: &Situation) -> Vec<Verdict> {
        while let Ok((id, reply)) = self.replies.try_recv() {
            self.elector.reply(now_nanos, id, reply);
        }
        self.elector.tick(now_nanos, situation);
        let mut verdicts = Vec::new();
        while let Some(action) = self.elector.poll() {
            match action {
                Action::Ask(id, request) => {
                    let thread = match request {
                        Request::KeepAlive { .. } => &self.keepalives,
                        _ => &self.others,
                    };
                    if let Some(thread) = thread {
                        let _ = thread.send((id, request));
                    }
                }
                Action::Won(epoch) => verdicts.push(Verdict::Won(epoch)),
                Action::Lost { epoch } => verdicts.push(Verdict::Lost(epoch)),
            }
        }
        verdicts
    }

    pub(super) fn elector(&self) -> &Elector {
        &self.elector
    }

    pub(super) fn elector_mut(&mut self) -> &mut Elector {
        &mut self.elector
    }
}

impl Drop for Election {
    fn drop(&mut self) {
        (self.keepalives, self.others) = (None, None);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The keys, in etcd.
struct Store {
    client: Client,
    prefix: String,
}

impl Store {
    fn new(coordinator: &Coordinator) -> Result<Self, String> {
        let options =
            Options { attempt: ATTEMPT, call: CALL, ..Options::new(coordinator.endpoints.iter().cloned()) };
        let client = Client::new(&options).map_err(|error| format!("coordinator: {error}"))?;
        Ok(Self { client, prefix: format!("fulcrum/{}/", coordinator.name) })
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn ask(&self, request: Request) -> Reply {
        match request {
            Request::Grant { nanos } => {
                let seconds = u32::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u32::MAX);
                match self.client.lease_grant(seconds) {
                    Ok(lease) => Reply::Granted { lease: LeaseId(lease.id.number().cast_unsigned()) },
                    Err(error) => unknown(&error),
                }
            }
            Request::KeepAlive { lease } => match self.lease(lease) {
                None => Reply::LeaseGone,
                Some(lease) => match self.client.lease_keepalive(lease) {
                    Ok(Renewal::Renewed { .. }) => Reply::KeptAlive,
                    Ok(Renewal::Gone) => Reply::LeaseGone,
                    Err(error) => unknown(&error),
                },
            },
            Request::Read => match self.view() {
                Ok(view) => Reply::View(view),
                Err(error) => unknown(&error),
            },
            Request::Write(write) => self.write(write),
        }
    }

    fn lease(&self, lease: LeaseId) -> Option<coordinator::LeaseId> {
        coordinator::LeaseId::new(lease.0.cast_signed())
    }

    fn view(&self) -> Result<View, Error> {
        let range = self.client.range(self.prefix.as_bytes(), 16)?;
        Ok(self.view_of(&range.items))
    }

    fn view_of(&self, items: &[KeyValue]) -> View {
        let mut view = View::default();
        for item in items {
            let Some(name) = item.key.strip_prefix(self.prefix.as_bytes()) else { continue };
            let version = Version(item.mod_revision.0.cast_unsigned());
            match name {
                b"state" => view.state = parse::<Record>(item).map(|record| (record, version)),
                b"leader" => {
                    if let (Some(leader), Some(lease)) = (parse::<Leader>(item), item.lease) {
                        view.leader = Some((leader, version, LeaseId(lease.number().cast_unsigned())));
                    }
                }
                _ => {
                    let node = name
                        .strip_prefix(b"end/")
                        .and_then(|node| std::str::from_utf8(node).ok()?.parse().ok())
                        .map(NodeId);
                    if let (Some(node), Some(announcement)) = (node, parse::<Announcement>(item)) {
                        view.announcements.push((node, announcement, version));
                    }
                }
            }
        }
        view
    }

    fn write(&self, write: Write) -> Reply {
        let Write { if_state, if_leader, if_announcements, state, leader, announce } = write;
        let is =
            |key: String, version: Version| Compare::mod_revision(key, Revision(version.0.cast_signed()));
        let mut compares = Vec::new();
        compares.extend(if_state.map(|version| is(self.key("state"), version)));
        compares.extend(if_leader.map(|version| is(self.key("leader"), version)));
        compares.extend(
            if_announcements.into_iter().map(|(node, version)| is(self.key(&format!("end/{node}")), version)),
        );
        let mut changes = Vec::new();
        changes.extend(state.map(|record| Operation::put(self.key("state"), record.to_string(), None)));
        match leader {
            LeaderChange::Keep => {}
            LeaderChange::Put(leader, lease) => {
                let Some(lease) = self.lease(lease) else { return Reply::LeaseGone };
                changes.push(Operation::put(self.key("leader"), leader.to_string(), Some(lease)));
            }
            LeaderChange::Delete => changes.push(Operation::delete(self.key("leader"))),
        }
        if let Some((node, announcement, lease)) = announce {
            let Some(lease) = self.lease(lease) else { return Reply::LeaseGone };
            let key = self.key(&format!("end/{node}"));
            changes.push(Operation::put(key, announcement.to_string(), Some(lease)));
        }
        let look = ["state", "leader", "end/1", "end/2"].map(|name| Operation::get(self.key(name)));
        match self.client.transaction(&compares, &changes, &look) {
            Ok(outcome) if outcome.succeeded => {
                Reply::Written { version: Version(outcome.revision.0.cast_unsigned()) }
            }
            Ok(outcome) => {
                let items: Vec<KeyValue> = outcome
                    .answers
                    .into_iter()
                    .filter_map(|answer| if let Answer::Got(item) = answer { item } else { None })
                    .collect();
                Reply::NotWritten(self.view_of(&items))
            }
            Err(Error::Refused { code: NOT_FOUND, .. }) => Reply::LeaseGone,
            Err(error) => unknown(&error),
        }
    }
}

/// What a key says; nothing when somebody else has written nonsense there, which is said.
fn parse<T: FromStr>(item: &KeyValue) -> Option<T> {
    let text = std::str::from_utf8(&item.value).ok();
    let parsed = text.and_then(|text| text.parse().ok());
    if parsed.is_none() {
        let (key, value) = (String::from_utf8_lossy(&item.key), String::from_utf8_lossy(&item.value));
        warn!("coordinator: {key} says \"{value}\", which is not ours");
    }
    parsed
}

fn unknown(error: &Error) -> Reply {
    warn!("coordinator: {error}");
    Reply::Unknown
}
