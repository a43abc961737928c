//! When a run is over, and what must hold then.

use super::{CLIENTS, World};
use crate::sim::books::{Books, Report};
use crate::sim::journal::{self as log, Kind};
use crate::sim::node::Node;

impl World {
    pub(super) fn is_settled(&self) -> bool {
        let nodes = || self.machines.iter().filter_map(|machine| machine.node.as_ref());
        if nodes().count() != self.machines.len() {
            return false;
        }
        let mut leaders = nodes().filter(|node| node.leads().is_some());
        let (Some(leader), None) = (leaders.next(), leaders.next()) else { return false };
        leader.is_settled()
            && self.clients.iter().all(|client| {
                client.is_in
                    && client.unacknowledged.is_empty()
                    && client.received.len() as u64 == leader.reports_of(client.session)
            })
    }

    /// What must hold in the end.
    pub(super) fn check(&mut self) {
        let nodes: Vec<&Node> = self.machines.iter().filter_map(|machine| machine.node.as_ref()).collect();
        let mut violations = Vec::new();
        let mut hashes = Vec::new();
        for (n, node) in nodes.iter().enumerate() {
            hashes.extend(node.books_hash().map(|hash| (format!("node {} live", n + 1), hash)));
            let live = node.journal.iter().map(|journal| ("log", Some(journal.everything())));
            let machine = &self.machines[n];
            // What a process that is killed now, and a machine that is, would come back with.
            let of_disk = log::recover(&machine.disk, machine.tail.as_ref());
            let of_disk_alone = log::recover(&machine.disk, None);
            let from = |found: log::Recovered| found.journal.map(|journal| journal.everything());
            let kinds = live.chain([("disk and tail", from(of_disk)), ("disk", from(of_disk_alone))]);
            for (kind, records) in kinds {
                let Some(records) = records else {
                    violations.push(format!("B: node {} has no {kind}", n + 1));
                    continue;
                };
                let books = match Books::fold(CLIENTS, records.iter().copied()) {
                    Ok(books) => books,
                    Err(what) => {
                        violations.push(format!("node {} {kind}: {what}", n + 1));
                        continue;
                    }
                };
                hashes.push((format!("node {} {kind}", n + 1), books.hash));
                for client in &self.clients {
                    let session = books.sessions.get(&client.session).cloned().unwrap_or_default();
                    let reports: Vec<Report> = session.reports.iter().map(|(_, report)| *report).collect();
                    if reports != client.received {
                        violations.push(format!(
                            "C: session {} was sent {} reports, the {kind} of node {} has {}, and they differ from {:?} on",
                            client.session,
                            client.received.len(),
                            n + 1,
                            reports.len(),
                            reports.iter().zip(&client.received).position(|(a, b)| a != b)
                        ));
                    }
                    for (client_ref, value) in &client.acknowledged {
                        let times = records.iter().filter(|(_, record)| {
                            record.kind == Kind::Command
                                && (record.session, record.client_ref, record.value)
                                    == (client.session, *client_ref, *value)
                        });
                        let times = times.count();
                        if times != 1 {
                            violations.push(format!(
                                "A: order {client_ref} of session {} is {times} times in the {kind} of node {}",
                                client.session,
                                n + 1
                            ));
                        }
                    }
                }
                if !records.iter().map(|(_, record)| record.nanos).is_sorted() {
                    violations.push(format!("time goes back in the {kind} of node {}", n + 1));
                }
            }
        }
        if nodes.len() != 2 || !hashes.iter().all(|(_, hash)| *hash == hashes[0].1) {
            violations.push(format!("B: states differ: {hashes:?}"));
        }
        self.coverage.acknowledged +=
            self.clients.iter().map(|client| client.acknowledged.len() as u64).sum::<u64>();
        violations.truncate(4);
        self.violations.extend(violations);
    }
}
