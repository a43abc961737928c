//! Where there is no coordinator: one who looks, and promotes what may be promoted.

use rand::RngExt;

use super::{Event, MS, World};
use crate::sim::node::Node;

impl World {
    /// Where there is no coordinator: one who looks, and promotes what may be promoted.
    pub(super) fn operator(&mut self) {
        let pause = self.random.random_range(100 * MS..400 * MS);
        self.after(pause, Event::Operator);
        let standing: Vec<_> = (0..2)
            .map(|me| {
                let is_stopped = self.machines[me].paused_until > self.now;
                self.machines[me].node.as_ref().filter(|_| !is_stopped).and_then(Node::standing)
            })
            .collect();
        let leads = |me: usize| self.machines[me].node.as_ref().is_some_and(|node| node.leads().is_some());
        if self.last_leader.is_none() {
            self.with_node(0, |node, io| {
                let _ = node.promote(false, io);
            });
            return;
        }
        let is_led = (0..2).any(|me| leads(me) && standing[me].is_some());
        if is_led {
            self.leaderless_since = None;
            // One who sees only that the standby has lost its primary, and does not look twice.
            let other = (0..2).find(|&me| standing[me].is_some() && !leads(me));
            if let Some(me) = other
                && !self.is_over
                && self.machines[me].node.as_ref().is_some_and(|node| !node.is_following())
                && self.random.random_range(0..6) == 0
            {
                self.trace(|| format!("operator promotes node {} in haste", me + 1));
                self.with_node(me, |node, io| {
                    let _ = node.promote(false, io);
                });
            }
            return;
        }
        let since = *self.leaderless_since.get_or_insert(self.now);
        if self.now - since < 600 * MS {
            return;
        }
        // Whoever has more; by force only when both can be seen.
        let both = standing.iter().all(Option::is_some);
        let has_journal = |me: usize| self.machines[me].node.as_ref().is_some_and(|n| n.journal.is_some());
        let longest = (0..2)
            .filter(|&me| standing[me].is_some() && has_journal(me))
            .max_by_key(|&me| standing[me].map(|(epoch, end, _)| (epoch, end)));
        let Some(me) = longest else { return };
        let is_complete = standing[me].is_some_and(|(_, _, complete)| complete);
        if is_complete || both {
            self.trace(|| format!("operator promotes node {}, complete {is_complete}", me + 1));
            self.with_node(me, |node, io| {
                let _ = node.promote(!is_complete, io);
            });
        }
    }
}
