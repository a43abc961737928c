//! `exchange drill outage`: a pair of which both nodes are killed at once, under load, and started again.

use std::time::Instant;

use serde_json::json;

use super::{Scene, pair::Pair, traffic::Traffic};

pub(super) fn outage(scene: &mut Scene<'_>) -> Result<(), String> {
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
        following.kill()?;
        scene.hear(traffic.killed()?)?;
        // Either has what was acknowledged, so that either may lead.
        let changes = round % 2 == 0;
        if changes {
            (leader, other) = (other, leader);
        }
        leading = pair.lead(scene, leader)?;
        following = pair.follow(scene, other)?;
        let (open, refused) = scene.come_back(leading.address)?;
        if refused > 0 {
            return Err(format!("{refused} orders were refused after the restart"));
        }
        let open_again = open.duration_since(killed);
        scene.audit(leading.address)?;
        scene.say_round(
            round,
            open_again,
            &format!(" · node {} leads {}", leader + 1, if changes { "now" } else { "again" }),
            json!({ "leads": leader + 1 }),
        );
    }
    pair.end(scene, leader, leading, following)
}
