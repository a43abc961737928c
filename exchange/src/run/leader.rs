//! What makes a node of a pair the one that leads: its epoch, its link to the standby, and its control socket.

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use cluster::{
    frame::Hello,
    gate::Policy,
    history::History,
    primary::{Identity, Settings},
};
use domain::{Epoch, EpochStart};
use journal::{Position, Recovery};
use log::{info, warn};

use crate::{
    recovery::{Opened, Recovered},
    replication::{
        Node,
        asking::{self, Answer},
        control::{Asked, Control},
        electing::Election,
        history_of,
        kept::KeptFile,
        leading::Leading,
        replica::{LeadOf, Replica},
    },
    wake::FrontWake,
};

/// What a node leads with.
pub(super) struct Leads {
    pub(super) kept: KeptFile,
    /// The epochs before its own.
    pub(super) history: History,
    pub(super) epoch: Epoch,
    /// How long only cancels are taken.
    pub(super) cancel_only: Duration,
    /// Who promoted it, and waits for an answer.
    pub(super) asked: Option<Asked>,
    /// The election that was won.
    pub(super) election: Option<Election>,
}

impl Leads {
    /// Takes the next epoch that is this node's, of a journal that has been opened, and promises it on the disk.
    ///
    /// # Errors
    /// When the node must not lead.
    pub(super) fn begin(mut kept: KeptFile, node: &Node, found: &Recovery) -> Result<Self, String> {
        if !kept.kept.complete {
            return Err(format!(
                "this node may lack what it has acknowledged, for its machine stopped without a clean close: start it as the \
                 standby of the other node, which has everything. If there is no other node any more, start it as a \
                 standby and promote it with force (exchange promote --force --data {})",
                node.data.display()
            ));
        }
        let history = history_of(found)?;
        let epoch = node.id().epoch_after(kept.kept.promised.max(history.last()));
        kept.kept.promised = epoch;
        kept.write(&node.data)?;
        Ok(Self { kept, history, epoch, cancel_only: Duration::ZERO, asked: None, election: None })
    }
}

/// Whether the other node leads, as far as it can be asked, so that this one must not. With a coordinator that is not ours
/// to find out.
///
/// # Errors
/// When both nodes have led without each other, and an operator has to say which one is right.
pub(super) fn other_leads(node: &Node, kept: &KeptFile, opened: &Opened) -> Result<bool, String> {
    if node.coordinator.is_some() {
        return Ok(false);
    }
    let other = node.peer();
    if node.peers.is_empty() {
        warn!("without --peer it is not known whether {other} leads: make sure that it does not");
        return Ok(false);
    }
    let Opened { appender, found, .. } = opened;
    let history = history_of(found)?;
    let promised = kept.kept.promised.max(history.last());
    let (ring_bytes, segment_bytes) = appender.geometry();
    let hello = Hello {
        node: node.id(),
        cluster: Some(appender.cluster()),
        end: appender.mark(),
        promised: Epoch::NONE,
        complete: kept.kept.complete,
        ring_bytes,
        segment_bytes,
        history,
    };
    match asking::ask(node, &hello) {
        Answer::Leads(epoch) if epoch >= promised => {
            warn!("{other} leads in epoch {epoch}: this node follows it");
            Ok(true)
        }
        Answer::Leads(epoch) => Err(format!(
            "{other} leads in epoch {epoch}, and this node has led, or begun to, in epoch {promised} without it: each may \
             have acknowledged what the other one does not have. Compare the two journals (exchange journal diff), and \
             let the one that is to be kept lead: docs/runbook.md, \"Two nodes think that they lead\""
        )),
        Answer::Foreign(why) => Err(format!(
            "{other} leads another journal than the one in {} ({why}). If that one is right, move this directory away and \
             start this node as its standby (exchange standby); if this one is, stop {other} first",
            node.data.display()
        )),
        Answer::Absent => {
            info!("{other} does not lead: nobody listens at its address");
            Ok(false)
        }
        Answer::Silent(why) => {
            warn!(
                "it is not known whether {other} leads ({why}). If it does, both nodes acknowledge under memory and disk: \
                 make sure that it does not"
            );
            Ok(false)
        }
    }
}

/// The link of a node that leads, and its control socket.
pub(super) struct Leader {
    pub(super) replica: Arc<Replica>,
    pub(super) address: SocketAddr,
    thread: JoinHandle<()>,
    _control: Control,
}

impl Leader {
    /// Starts it, behind what has been recovered.
    pub(super) fn start(
        node: &Node,
        leads: Leads,
        policy: Policy,
        recovered: &mut Recovered,
        wake: &Arc<FrontWake>,
    ) -> Result<Self, String> {
        let Leads { kept, mut history, epoch, election, .. } = leads;
        let position = recovered.epoch_at.ok_or("an epoch begins with a record of its own")?;
        history.begin(EpochStart { epoch, position }).map_err(|error| error.to_string())?;
        let sequencer = &mut recovered.sequencer;
        let (ring_bytes, segment_bytes) = sequencer.appender().geometry();
        let of = LeadOf { node: node.number, epoch, policy };
        let replica =
            Replica::new(of, ring_bytes, kept.alone, election.is_some(), sequencer.appender().mark());
        sequencer.replicate(Arc::clone(&replica));
        let leader = Identity {
            node: node.id(),
            cluster: sequencer.appender().cluster(),
            epoch,
            history,
            ring_bytes,
            segment_bytes,
        };
        let leading = Leading {
            node: node.clone(),
            leader,
            settings: Settings::default(),
            replica: Arc::clone(&replica),
            progress: sequencer.appender().progress(),
            first: journal::first_position(&node.data).unwrap_or(Position(0)),
            kept,
            wake: Arc::clone(wake),
            election,
        };
        let (address, thread) = leading.spawn()?;
        let control = {
            let replica = Arc::clone(&replica);
            Control::open(&node.data, move |asked| replica.ask(asked))?
        };
        Ok(Self { replica, address, thread, _control: control })
    }

    /// Ends the link. Says whether its thread was well.
    pub(super) fn end(self) -> bool {
        self.replica.stop();
        self.thread.join().is_ok()
    }
}
