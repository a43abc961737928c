//! `exchange drill partition`: a pair whose link is cut and heals.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    ASKING, Scene,
    client::Answer,
    client::Client,
    millis,
    pair::Pair,
    relay::{Relay, Way},
    traffic::Traffic,
};
use crate::replication::control::{Request, ask};

/// What the relay had in hand when it was cut has arrived after this.
const SETTLE: Duration = Duration::from_millis(100);

pub(super) fn partition(scene: &mut Scene<'_>) -> Result<(), String> {
    const LEADER: usize = 0;
    let mut pair = Pair::new(scene)?;
    let relay = Relay::start(pair.listens(LEADER))?;
    pair.find_at(LEADER, relay.address);
    let leading = pair.lead(scene, LEADER)?;
    let following = pair.follow(scene, 1 - LEADER)?;
    let half = Duration::from_secs(scene.args.seconds) / 2;
    for round in 1..=scene.args.rounds {
        pair.wait_in_sync(LEADER)?;
        let traffic = Traffic::start(scene, &leading)?;
        let mut client = scene.asking(leading.address)?;
        let moment = scene.moment();
        scene.patience.pause(moment)?;
        must_be_accepted(&mut client)?;

        // Both ways to lose a link, in turn.
        let ways = if round % 2 == 1 { [Way::Silent, Way::Closed] } else { [Way::Closed, Way::Silent] };
        relay.turn(ways[0]);
        std::thread::sleep(SETTLE);
        let waits = client.order()?;
        must_wait(&mut client, waits, half)?;
        let healed = Instant::now();
        relay.turn(Way::Open);
        must_be(client.answer(waits)?)?;
        let open_again = healed.elapsed();
        pair.wait_in_sync(LEADER)?;

        relay.turn(ways[1]);
        std::thread::sleep(SETTLE);
        let waits = client.order()?;
        must_wait(&mut client, waits, SETTLE)?;
        scene.patience.eventually("the standby is missed", || Ok(!pair.is_in_sync(LEADER)?))?;
        let asked = Instant::now();
        ask(pair.data(LEADER), Request::Alone)?;
        must_be(client.answer(waits)?)?;
        let alone_after = asked.elapsed();
        scene.patience.pause(half)?;
        must_be_accepted(&mut client)?;
        if pair.status(LEADER)?["alone"] != true {
            return Err("the node that leads does not stand alone, and the link is cut".into());
        }
        relay.turn(Way::Open);
        pair.wait_in_sync(LEADER)?;
        must_be_accepted(&mut client)?;

        scene.hear(traffic.stop()?)?;
        scene.told[ASKING].push(client.leave());
        scene.audit(leading.address)?;
        scene.say_round(
            round,
            open_again,
            &format!(
                " · no answer in {} ms of a {} link; alone {} ms after it was asked of a {} one, standby caught up",
                millis(half),
                ways[0].name(),
                millis(alone_after),
                ways[1].name()
            ),
            json!({
                "cut_ms": millis(half),
                "ways": ways.map(|way| way.name()),
                "alone_ms": millis(alone_after),
            }),
        );
    }
    pair.end(scene, LEADER, leading, following)
}

/// An order that must not be answered for so long.
pub(super) fn must_wait(client: &mut Client, order: u32, time: Duration) -> Result<(), String> {
    match client.answer_within(order, time)? {
        None => Ok(()),
        Some(_) => Err(format!("order {order} was acknowledged, and the standby cannot have it")),
    }
}

/// An order, and its answer.
pub(super) fn must_be_accepted(client: &mut Client) -> Result<(), String> {
    let order = client.order()?;
    must_be(client.answer(order)?)
}

pub(super) fn must_be(answer: Answer) -> Result<(), String> {
    match answer {
        Answer::Accepted => Ok(()),
        Answer::CancelsOnly => Err("an order was refused: nothing is taken but cancels".into()),
    }
}
