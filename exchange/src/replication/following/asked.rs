//! What a node that follows is asked by an operator and by whoever watches.

use std::time::Instant;

use cluster::standby::Authority;
use domain::Sequence;
use engine::runtime::BalanceStats;
use gateway::GatewayStats;
use journal::{Position, StorageState};
use log::info;
use serde_json::json;

use super::{
    super::{boot_nanos, control::Request},
    Driver, lock,
};
use crate::{
    config::ack_name,
    status::{
        Counters,
        pair::{PairStatus, Role},
    },
};

impl Driver {
    pub(super) fn hear_wishes(&mut self) {
        loop {
            let asked = lock(&self.wishes).pop_front();
            let Some(asked) = asked else { return };
            match asked.request {
                Request::Status => asked.done(self.status()),
                Request::Switch => asked.refused("this node does not lead: ask the one that does to switch"),
                Request::Alone => asked.refused("this node does not lead"),
                Request::Promote { .. } if self.of.election.is_some() => {
                    asked.refused("the coordinator decides who leads; to hand over on purpose, ask the one that leads to switch");
                }
                Request::Promote { force } => {
                    let differs = self.journal.as_ref().and_then(|open| open.differs.clone());
                    if let Some(differs) = differs {
                        asked.refused(&format!("the books here are not those of the journal: {differs}"));
                        continue;
                    }
                    match self.machine.promote(boot_nanos(), Authority::Operator { force }) {
                        Ok(epoch) => {
                            info!("promoted by the operator, to epoch {epoch}");
                            self.promoting = Some(asked);
                        }
                        Err(error) => asked.refused(&error.to_string()),
                    }
                }
            }
        }
    }

    fn status(&self) -> serde_json::Value {
        let log = self.machine.log();
        json!({
            "role": "standby",
            "node": self.of.node.number,
            "follows": self.machine.follows().map(|epoch| epoch.0),
            "promised": self.machine.on_disk().promised.0,
            "complete": self.machine.is_complete(),
            "in_sync": self.machine.was_in_sync(),
            "received": log.map(|log| log.end.position.0),
            "durable": log.map(|log| log.durable.0),
            "last_sequence": self.journal.as_ref().map(|open| open.appender.last_sequence().0),
            "differs": self.journal.as_ref().and_then(|open| open.differs.clone()),
        })
    }

    /// What the status line and `exchange top` show.
    pub(super) fn counters(&self) -> Counters {
        let open = self.journal.as_ref();
        let log = open.map(|open| open.appender.stats()).unwrap_or_default();
        Counters {
            at: Instant::now(),
            sequenced: open.map_or(0, |open| open.follower.commands()),
            last_sequence: open.map_or(Sequence(0), |open| open.appender.last_sequence()),
            gateway: GatewayStats::default(),
            shards: open.map_or_else(Vec::new, |open| open.follower.shards()),
            balance: BalanceStats::default(),
            events_lost: 0,
            unsynced: log.behind,
            syncs: log.syncs,
            sync_nanos_max: log.sync_nanos_max,
            cancel_only: open.is_some_and(|open| open.appender.state() == StorageState::CancelOnly),
            pair: Some(self.pair_status()),
            feed: None,
            quotes: None,
            feed_held_back: 0,
        }
    }

    fn pair_status(&self) -> PairStatus {
        let epoch = self.machine.follows();
        let committed = self.machine.contact().filter(|_| epoch.is_some()).map(|(_, committed)| committed);
        let behind = |position: Option<Position>| {
            committed.zip(position).map(|(committed, position)| committed.0.saturating_sub(position.0))
        };
        let log = self.machine.log();
        PairStatus {
            node: self.of.node.number,
            role: Role::Standby,
            epoch: epoch.map(|epoch| epoch.0),
            policy: ack_name(self.of.policy).into(),
            acks: None,
            connected: epoch.is_some(),
            in_sync: epoch.is_some() && self.machine.was_in_sync(),
            behind: behind(log.map(|log| log.end.position)),
            behind_on_disk: behind(log.map(|log| log.durable)),
            differs: self.journal.as_ref().and_then(|open| open.differs.clone()),
        }
    }
}
