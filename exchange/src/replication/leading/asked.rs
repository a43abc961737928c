//! What a node that leads is asked by an operator.

use cluster::gate::Mode;
use log::warn;
use serde_json::json;

use super::{
    super::{boot_nanos, control::Request},
    Driver,
};

impl Driver {
    pub(super) fn hear_wishes(&mut self) {
        while let Some(asked) = self.replica.next_wish() {
            match asked.request {
                Request::Status => asked.done(self.status()),
                Request::Promote { .. } => asked.refused("this node leads already"),
                Request::Switch if self.replica.mode() != Mode::Replicated => {
                    asked.refused("no standby is on record as having everything");
                }
                Request::Switch => match self.machine.hand_over(boot_nanos()) {
                    Ok(()) => self.switching = Some(asked),
                    Err(error) => asked.refused(&error.to_string()),
                },
                Request::Alone => {
                    if self.election.is_some() {
                        asked.refused(
                            "the coordinator has that on record, as soon as the standby is gone for a while",
                        );
                        continue;
                    }
                    if self.machine.is_in_sync() {
                        asked.refused("a standby is in sync: stop it first");
                        continue;
                    }
                    // On record first, then acted upon.
                    self.kept.alone = true;
                    match self.kept.write(&self.dir) {
                        Ok(()) => {
                            self.replica.set_mode(Mode::Alone);
                            self.wake.on_progress();
                            warn!("replication: this node leads alone from here on, which is on record");
                            asked.done(self.status());
                        }
                        Err(error) => asked.refused(&error),
                    }
                }
            }
        }
    }

    fn status(&self) -> serde_json::Value {
        let remote = self.machine.remote();
        let end = self.replica.end();
        json!({
            "role": "primary",
            "node": self.node.number,
            "epoch": self.epoch.0,
            "committed": end.position.0,
            "durable": self.progress.durable().0,
            "standby": remote.map(|remote| json!({
                "received": remote.received.0,
                "durable": remote.durable.0,
                "in_sync": self.machine.is_in_sync(),
            })),
            "alone": self.replica.mode() == Mode::Alone,
            "may_ack": self.replica.may_ack(),
        })
    }
}
