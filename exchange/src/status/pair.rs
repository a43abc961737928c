//! A pair of exchanges, as one of its nodes shows it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Primary,
    Standby,
}

/// What becomes of acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Acks {
    /// They are as safe as the policy says.
    Kept,
    /// It is on record that there is no standby: they are on this disk only, though the policy asks for two nodes.
    Alone,
    /// There are none: the standby, or the coordinator's word, is missing.
    Wait,
}

/// One node's view of the pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PairStatus {
    /// 1 or 2.
    pub(crate) node: u8,
    pub(crate) role: Role,
    /// The epoch in which it leads, or that it follows; `None` when it follows nobody.
    pub(crate) epoch: Option<u32>,
    /// The policy that is asked for.
    pub(crate) policy: String,
    /// What it comes to, where this node leads.
    pub(crate) acks: Option<Acks>,
    /// Whether the other node is connected.
    pub(crate) connected: bool,
    /// Whether the standby keeps up.
    pub(crate) in_sync: bool,
    /// Bytes of the journal that the standby has not got, and that it does not have on its disk; `None` when that is not
    /// known.
    pub(crate) behind: Option<u64>,
    pub(crate) behind_on_disk: Option<u64>,
    /// Why the books of this standby are not those of the journal.
    pub(crate) differs: Option<String>,
}

impl PairStatus {
    /// What is in trouble; nothing when all is well.
    pub(crate) fn trouble(&self) -> Option<String> {
        if let Some(why) = &self.differs {
            return Some(format!("BOOKS DIFFER, this node will not lead: {why}"));
        }
        match (self.role, self.acks) {
            (Role::Primary, Some(Acks::Alone)) => Some("ALONE: acknowledged on this disk only".into()),
            (Role::Primary, Some(Acks::Wait)) => Some("NOTHING IS ACKNOWLEDGED".into()),
            (Role::Primary, _) if !self.connected => Some("no standby".into()),
            (Role::Standby, _) if !self.connected => Some("FOLLOWS NOBODY".into()),
            _ => None,
        }
    }

    /// In a few words; trouble is told apart.
    pub(crate) fn text(&self) -> String {
        let mut text = match (self.role, self.epoch) {
            (Role::Primary, epoch) => {
                format!("node {} leads in epoch {}, ack {}", self.node, epoch.unwrap_or(0), self.policy)
            }
            (Role::Standby, Some(epoch)) => format!("node {} follows epoch {epoch}", self.node),
            (Role::Standby, None) => format!("node {}", self.node),
        };
        if self.connected {
            text += match (self.role, self.in_sync) {
                (Role::Primary, true) => ", standby in sync",
                (Role::Primary, false) => ", standby NOT IN SYNC",
                (Role::Standby, true) => ", in sync",
                (Role::Standby, false) => ", not in sync",
            };
            if let (Some(behind), Some(on_disk)) = (self.behind, self.behind_on_disk) {
                // Writing to a string cannot fail.
                let _ = write!(text, ", {behind} B behind, {on_disk} B on disk");
            }
        }
        text
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// All is well, on the node that leads.
    pub(crate) fn leads() -> PairStatus {
        PairStatus {
            node: 1,
            role: Role::Primary,
            epoch: Some(5),
            policy: "disk+replica".into(),
            acks: Some(Acks::Kept),
            connected: true,
            in_sync: true,
            behind: Some(64),
            behind_on_disk: Some(4_096),
            differs: None,
        }
    }

    #[test]
    fn what_is_well_is_short_and_trouble_is_told() {
        let all = |status: &PairStatus| (status.text(), status.trouble());
        let well = "node 1 leads in epoch 5, ack disk+replica, standby in sync, 64 B behind, 4096 B on disk";
        assert_eq!(all(&leads()), (well.into(), None));
        let gone =
            PairStatus { connected: false, in_sync: false, behind: None, behind_on_disk: None, ..leads() };
        let bare = "node 1 leads in epoch 5, ack disk+replica".to_owned();
        let waits = PairStatus { acks: Some(Acks::Wait), ..gone.clone() };
        assert_eq!(all(&waits), (bare.clone(), Some("NOTHING IS ACKNOWLEDGED".into())));
        let alone = PairStatus { acks: Some(Acks::Alone), ..gone.clone() };
        assert_eq!(all(&alone), (bare.clone(), Some("ALONE: acknowledged on this disk only".into())));
        assert_eq!(all(&gone), (bare, Some("no standby".into())));
        let standby = PairStatus { node: 2, role: Role::Standby, acks: None, ..leads() };
        assert_eq!(
            all(&standby),
            ("node 2 follows epoch 5, in sync, 64 B behind, 4096 B on disk".into(), None)
        );
        let lost = PairStatus { epoch: None, connected: false, ..standby.clone() };
        assert_eq!(all(&lost), ("node 2".into(), Some("FOLLOWS NOBODY".into())));
        let differs = PairStatus { differs: Some("a report".into()), ..standby };
        let trouble = all(&differs).1.unwrap();
        assert!(trouble.contains("BOOKS DIFFER") && trouble.ends_with("a report"), "{trouble}");
    }
}
