//! `exchange drill partition --etcd`: a pair that an etcd decides about, whose cables are cut.
//!
//! Each round first cuts the link between the nodes: the one that leads puts it on record that it stands alone, and only
//! then acknowledges alone. Then the one that leads is cut off from everything but its clients: the other one takes over, and
//! nothing that the first is asked meanwhile is acknowledged, then or later. Roles alternate.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    ASKING, Scene, millis,
    pair::Pair,
    partition::{must_be_accepted, must_wait},
    relay::{Relay, Way},
    traffic::Traffic,
};

/// What the relays had in hand when they were cut has arrived after this.
const SETTLE: Duration = Duration::from_millis(100);
/// What stands before an address of an etcd.
const SCHEME: &str = "http://";

pub(super) fn isolation(scene: &mut Scene<'_>) -> Result<(), String> {
    let mut pair = Pair::new(scene)?;
    let cables = [Cables::lay(&mut pair, 0)?, Cables::lay(&mut pair, 1)?];
    let (mut leader, mut other) = (0, 1);
    let mut leading = pair.lead(scene, leader)?;
    let mut following = pair.follow(scene, other)?;
    for round in 1..=scene.args.rounds {
        pair.wait_in_sync(leader)?;
        let traffic = Traffic::start(scene, &leading)?;
        let mut client = scene.asking(leading.address)?;
        let moment = scene.moment();
        scene.patience.pause(moment)?;
        must_be_accepted(&mut client)?;

        let way = if round % 2 == 1 { Way::Silent } else { Way::Closed };
        cables[leader].link.turn(way);
        std::thread::sleep(SETTLE);
        let cut = Instant::now();
        must_be_accepted(&mut client)?;
        let alone_after = cut.elapsed();
        if pair.status(leader)?["alone"] != true {
            return Err(
                "an order was acknowledged without a standby and without a record of standing alone".into()
            );
        }
        cables[leader].link.turn(Way::Open);
        pair.wait_in_sync(leader)?;
        must_be_accepted(&mut client)?;

        cables.iter().for_each(|cables| cables.link.turn(way));
        cables[leader].members.iter().for_each(|member| member.turn(way));
        std::thread::sleep(SETTLE);
        let cut = Instant::now();
        let waits = client.order()?;
        following.wait_until_ready().map_err(|why| {
            let says = |node| pair.status(node).map_or_else(|why| why, |status| status.to_string());
            format!(
                "node {} does not take over: {why}\nit says {}\nthe other {}",
                other + 1,
                says(other),
                says(leader)
            )
        })?;
        let leads_after = cut.elapsed();
        must_wait(&mut client, waits, SETTLE)?;
        scene.told[ASKING].push(client.leave());
        let mut client = scene.asking(following.address)?;
        let refused = client.until_accepted()?;
        let open_again = cut.elapsed();

        // The load has been asking the one that was cut off all the time.
        cables.iter().flat_map(Cables::all).for_each(|cable| cable.turn(Way::Open));
        leading.wait_until_deposed()?;
        scene.hear(traffic.killed()?)?;
        must_be_accepted(&mut client)?;
        scene.told[ASKING].push(client.leave());
        scene.audit(following.address)?;
        (leading, following) = (following, leading);
        (leader, other) = (other, leader);
        pair.wait_in_sync(leader)?;
        scene.say_round(
            round,
            open_again,
            &format!(
                " · alone on record {} ms after a {} link; cut off, node {} leads after {} ms, {refused} orders refused \
                 before the first; node {} follows",
                millis(alone_after),
                way.name(),
                leader + 1,
                millis(leads_after),
                other + 1,
            ),
            json!({
                "leads": leader + 1,
                "way": way.name(),
                "alone_ms": millis(alone_after),
                "promoted_ms": millis(leads_after),
                "refused": refused,
            }),
        );
    }
    pair.end(scene, leader, leading, following)
}

/// What leads to a node, and from it to the members of the etcd.
struct Cables {
    /// Where the other node finds it while it leads.
    link: Relay,
    members: Vec<Relay>,
}

impl Cables {
    fn lay(pair: &mut Pair, node: usize) -> Result<Self, String> {
        let link = Relay::start(pair.listens(node))?;
        pair.find_at(node, link.address);
        let mut members = Vec::new();
        for endpoint in pair.members(node) {
            let address = endpoint.strip_prefix(SCHEME).unwrap_or(endpoint);
            let address: SocketAddr =
                address.parse().map_err(|error| format!("etcd at \"{endpoint}\": {error}"))?;
            members.push(Relay::start(address)?);
        }
        pair.find_members_at(
            node,
            members.iter().map(|member| format!("{SCHEME}{}", member.address)).collect(),
        );
        Ok(Self { link, members })
    }

    fn all(&self) -> impl Iterator<Item = &Relay> {
        std::iter::once(&self.link).chain(&self.members)
    }
}
