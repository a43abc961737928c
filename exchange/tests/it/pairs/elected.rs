//! Two pairs whose leaders and whose placement map an etcd has, and a router that goes by it.

use std::fs;

use rand::SeedableRng;
use wire::ouch::Outbound;

use super::{Map, Router, accepted, address, compare, order};
use crate::{
    elected::{etcd, wait_elected_next, wait_open},
    pair::Pair,
    party::{Random, parties, trade},
    venue::{eventually, json, output, printed},
};

#[test]
fn a_map_in_an_etcd_is_changed_by_who_knows_it_and_routed_by() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("a directory");
    let etcd = etcd(&dir);
    let endpoints = etcd.endpoints().join(",");
    let soup = [[address(1, 1), address(1, 2)], [address(2, 1), address(2, 2)]];
    let map = Map::new(&soup[0], &soup[1]);
    let file = map.file().display().to_string();
    let at = ["--coordinator", &endpoints];
    let set = |more: &[&str]| output(&[&["placement", "set", &file], &at[..], more].concat());
    let refused = |more: &[&str], why: &str| {
        let output = set(more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{said}");
    };
    let show = || printed(&["placement", "show", at[0], at[1]]);

    let none = output(&["placement", "show", at[0], at[1]]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("no placement map yet"));
    map.write(0, &["AAPL", "AMZN"], &["MSFT", "NVDA"]);
    assert_eq!(json(&["placement", "set", &file, at[0], at[1]])["generation"], 1);
    refused(&[], "generation 1 is there, and 0 was expected");
    map.write(1, &["AAPL"], &["MSFT", "NVDA", "AMZN"]);
    refused(&[], "AMZN would move from east to west");
    refused(&["--expect", "2"], "generation 1 is there, and 2 was expected");
    map.write(1, &["AAPL"], &["MSFT", "NVDA"]);
    refused(&[], "AMZN would leave east");
    fs::write(&file, "nonsense").expect("a file");
    refused(&[], "expected");

    let mut pairs = ["east", "west"].map(|name| {
        let mut pair = Pair::new("disk+replica");
        pair.more = [&at[..], &["--cluster", name, "--pair", name]]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect();
        pair
    });
    for (pair, soup) in pairs.iter_mut().zip(soup) {
        pair.soup = soup.map(Some);
    }
    let mut venues: Vec<_> = pairs.iter_mut().map(|pair| pair.found(0)).collect();
    let mut standbys = Vec::new();
    for (pair, venue) in pairs.iter_mut().zip(&mut venues) {
        venue.ready();
        standbys.push(pair.follow(1));
    }
    for pair in &pairs {
        wait_open(pair, 0, 1);
        wait_elected_next(pair, 0);
    }
    let route = Router::with(at.iter().map(ToString::to_string).collect());
    let router = route.start();
    let mut parties = parties();
    trade(&router, &mut parties, &mut random);

    // The leader of one is lost; nobody says anything to anybody.
    let lost = venues.remove(0);
    lost.kill();
    let mut east = standbys.remove(0);
    east.ready();
    wait_open(&pairs[0], 1, 1);
    let _back = pairs[0].follow(0);
    wait_elected_next(&pairs[0], 1);
    trade(&router, &mut parties, &mut random);

    // An instrument is added, and both the pair and the router hear of it; a forced move is made.
    fs::write(&file, show()).expect("a file");
    map.write(1, &["AAPL", "AMZN"], &["MSFT", "NVDA", "LOTS"]);
    assert_eq!(json(&["placement", "set", &file, at[0], at[1]])["generation"], 2);
    map.write(2, &["AAPL"], &["MSFT", "NVDA", "LOTS", "AMZN"]);
    assert!(set(&["--leave-books-behind"]).status.success());
    assert!(show().contains("\"generation\": 3"));
    route.says("placement map: generation 3");
    let mut client = router.client("CAROL");
    for symbol in ["AMZN", "AAPL"] {
        let mut last = 0;
        eventually("it is taken where it lives now", || {
            let number = client.query().1;
            client.ask(&order(number, symbol));
            loop {
                let said = client.next();
                match said.message() {
                    Outbound::Accepted(_) => {
                        last = accepted(&said);
                        return true;
                    }
                    Outbound::Rejected(_) => return false,
                    _ => {}
                }
            }
        });
        assert!(last > 0);
    }
    drop(client);
    let west = &venues[0];
    for party in &mut parties {
        party.catch_up(&router);
        party.hear_again(&router);
        compare(&party.told, &[&east, west], party.user);
    }
    // A router that starts while nobody says what the map is goes by the one that it knew.
    let mut etcd = etcd;
    (0..3).for_each(|member| etcd.kill(member));
    let router = {
        let sessions = router.sessions.lock().expect("a lock").clone();
        router.kill();
        route.start_again(&sessions)
    };
    parties[0].hear_again(&router);
}
