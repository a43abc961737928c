//! `exchange drill failover`: a pair, of which the node that leads is killed under load, again and again.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Scene, millis, pair::Pair, traffic::Traffic};
use crate::replication::control::{Request, ask};

pub(super) fn failover(scene: &mut Scene<'_>) -> Result<(), String> {
    let pair = Pair::new(scene)?;
    let (mut leader, mut other) = (0, 1);
    let mut leading = pair.lead(scene, leader)?;
    let mut following = pair.follow(scene, other)?;
    for round in 1..=scene.args.rounds {
        pair.wait_in_sync(leader)?;
        let traffic = Traffic::start(scene, &leading)?;
        let moment = scene.moment();
        scene.patience.pause(moment)?;
        let killed = Instant::now();
        leading.kill()?;
        if !pair.is_elected() {
            scene
                .patience
                .eventually("the standby follows nobody", || Ok(pair.status(other)?["follows"].is_null()))?;
            ask(pair.data(other), Request::Promote { force: false })
                .map_err(|error| format!("node {} cannot be promoted: {error}", other + 1))?;
        }
        following.wait_until_ready()?;
        let promoted_after = killed.elapsed();
        scene.hear(traffic.killed()?)?;
        let (open, refused) = scene.come_back(following.address)?;
        let open_again = open.duration_since(killed);
        scene.audit(following.address)?;
        // The one that was killed follows now.
        let archived_before = pair.archived(leader);
        let rejoined = pair.follow(scene, leader)?;
        (leading, following) = (following, rejoined);
        (leader, other) = (other, leader);
        pair.wait_in_sync(leader)?;
        let was_cut = pair.archived(other) > archived_before;
        scene.say_round(
            round,
            open_again,
            &format!(
                " · node {} leads after {} ms, {refused} orders refused before the first; node {} is back{}",
                leader + 1,
                millis(promoted_after),
                other + 1,
                if was_cut { ", what only it had archived" } else { "" },
            ),
            json!({
                "leads": leader + 1,
                "epoch": pair.status(leader)?["epoch"],
                "promoted_ms": millis(promoted_after),
                "refused": refused,
                "cut": was_cut,
            }),
        );
    }
    // What is left still does what it is for.
    let traffic = Traffic::start(scene, &leading)?;
    scene.patience.pause(Duration::from_secs(scene.args.seconds) / 2)?;
    scene.hear(traffic.stop()?)?;
    scene.audit(leading.address)?;
    pair.end(scene, leader, leading, following)
}
