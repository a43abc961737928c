//! A node of a pair while it follows the other one.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use log::warn;
use serde_json::json;

use super::{
    Process, Role, how_to_run,
    leader::Leads,
    standby_watch::{Prepared, StandbyWatch},
};
use crate::{
    recovery::{Ready, Recovered, take_over},
    replication::{
        electing::{Coordinator, Election},
        following::{self, Following, Outcome, Promotion},
    },
    wake::FrontWake,
};

impl Process<'_> {
    /// Follows the other node. Gives what there is to lead with; nothing when it was told to stop.
    pub(super) fn follow(
        &self,
        wake: &Arc<FrontWake>,
        first: Role,
    ) -> Result<Option<(Recovered, Option<Leads>)>, String> {
        let Some(node) = &self.node else { return Err("a node that follows has a number".into()) };
        let may_found = first == Role::Leads;
        let (election, founds) = match &node.coordinator {
            None => (None, false),
            Some(coordinator) => {
                // A node that has lost its disk must not found a second cluster in the place of the first.
                let founds = may_found && self.is_unfounded(coordinator)?;
                (Some(Election::new(coordinator, node.id(), founds)?), founds)
            }
        };
        let (prepared, shown) = Prepared::new();
        let following = Following {
            node: node.clone(),
            options: self.choices.config.journal.clone(),
            how: how_to_run(&self.choices),
            wake: Arc::clone(wake),
            settings: cluster::standby::Settings::default(),
            stop: Arc::clone(&self.stop),
            election,
            upkeep: self.choices.config.upkeep.clone(),
            policy: self.choices.config.ack,
            shown,
            founds,
        };
        let mut watch = Ok(None);
        let ready = || {
            watch = prepared.start(self, wake).map(Some);
            self.voice.say(
                &format!("node {} follows; it listens for no clients until it leads", node.number),
                &json!({ "event": "following", "node": node.number }),
            );
        };
        let outcome = following::follow(following, ready);
        let watched = watch?.is_none_or(StandbyWatch::end);
        let outcome = outcome?;
        if !watched {
            return Err("a thread died".into());
        }
        let promotion = match outcome {
            Outcome::Promoted(promotion) => promotion,
            Outcome::Stopped => {
                self.voice.say(
                    "stopped: the journal is complete as far as it came",
                    &json!({ "event": "stopped" }),
                );
                return Ok(None);
            }
        };
        let Promotion { appender, follower, found, epoch, cancel_only, mut kept, history, asked, election } =
            *promotion;
        // There is nobody to replicate to: the other node is gone, or it follows soon. With a coordinator, what is on
        // record there counts.
        kept.alone = election.is_none();
        kept.write(&self.args.data)?;
        let config = &self.choices.config;
        let ready = Ready { appender, follower, found, snapshot: None, epoch: Some(epoch) };
        let recovered = take_over(ready, config, config.ack, Instant::now())?;
        let leads = Leads { kept, history, epoch, cancel_only, asked, election };
        Ok(Some((recovered, Some(leads))))
    }

    /// Whether nothing is on record of the cluster; asked until the coordinator answers.
    fn is_unfounded(&self, coordinator: &Coordinator) -> Result<bool, String> {
        loop {
            match Election::is_unfounded(coordinator) {
                Ok(unfounded) => return Ok(unfounded),
                Err(error) if self.stop.load(Ordering::Acquire) => return Err(error),
                Err(error) => {
                    warn!("coordinator: {error}");
                    std::thread::sleep(Duration::from_millis(500));
                }
            }
        }
    }
}
