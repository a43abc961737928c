//! `exchange drill crash`: one exchange, killed under load and started again on its directory.

use std::time::Instant;

use serde_json::json;

use super::{SHARDS_REPLAYED, Scene, must_equal, text, traffic::Traffic};
use crate::{child::Exchange, replay::replay_first};

pub(super) fn crash(scene: &mut Scene<'_>) -> Result<(), String> {
    let (data, arguments) = (scene.root.join("data"), scene.arguments());
    let mut exchange = Exchange::start(&data, &arguments)?;
    for round in 1..=scene.args.rounds {
        let traffic = Traffic::start(scene, &exchange)?;
        let moment = scene.moment();
        scene.patience.pause(moment)?;
        let killed = Instant::now();
        exchange.kill()?;
        exchange = Exchange::start(&data, &arguments)?;
        scene.hear(traffic.killed()?)?;
        let (open, refused) = scene.come_back(exchange.address)?;
        let open_again = open.duration_since(killed);
        if refused > 0 {
            return Err(format!("{refused} orders were refused after the restart"));
        }
        scene.audit(exchange.address)?;
        // What was recovered, and not what came after it.
        let recovered = exchange.recovered.clone();
        let commands = recovered["commands"].as_u64().unwrap_or_default();
        let replayed = replay_first(&data, SHARDS_REPLAYED, commands)?;
        let replayed = scene.spoiled(replayed.state().to_string());
        must_equal("replay after the kill", &replayed, "recovery", text(&recovered["state"]))?;
        let seconds = recovered["seconds"].as_f64().unwrap_or_default();
        scene.say_round(
            round,
            open_again,
            &format!(" · {commands} commands recovered in {:.0} ms, replay equal", seconds * 1e3),
            json!({ "recovered_commands": commands, "recovered_ms": seconds * 1e3 }),
        );
    }
    let stopped = exchange.stop()?;
    let live = text(&stopped["state"]);
    must_equal("replay", &scene.replayed(&data)?, "live exchange", live)?;
    let again = Exchange::start(&data, &arguments)?;
    must_equal("recovery", text(&again.recovered["state"]), "live exchange", live)?;
    again.stop()?;
    scene.hashes_equal = true;
    Ok(())
}
