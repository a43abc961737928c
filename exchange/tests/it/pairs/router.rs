//! A router before two pairs: where orders go, what comes back, and what of it survives whom.

use std::{sync::PoisonError, time::Duration};

use rand::{RngExt, SeedableRng};
use rustix::process::{Signal, kill_process};
use wire::ouch::{Outbound, codes};

use super::{
    ELSEWHERE, Map, Router, STALE, Two, UNKNOWN, UNREACHABLE, accepted, address, all_told, compare, order,
    rejected,
};
use crate::{
    client::{Client, Said, cancel, enter, replace},
    pair::Pair,
    party::{Party, Random, parties, trade},
    venue::{PASSWORD, Venue, eventually, text},
};

const EAST: &[&str] = &["AAPL", "AMZN"];
const WEST: &[&str] = &["MSFT", "NVDA"];
/// What a node that has taken over says when it takes orders again.
const OPEN: &str = "new orders are taken from now on";

/// Two exchanges and a router.
pub(super) fn routed() -> (Two, [Venue; 2], Router, Venue) {
    let two = Two::new();
    two.map.write(1, EAST, WEST);
    let venues = two.start();
    two.takes_in(1);
    let router = Router::new(&two.map);
    let venue = router.start();
    (two, venues, router, venue)
}

#[test]
fn orders_go_where_their_instrument_lives_and_answers_come_back_in_one_stream() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let (two, venues, _router, router) = routed();
    let mut parties = parties();
    trade(&router, &mut parties, &mut random);
    for party in &mut parties {
        party.catch_up(&router);
        party.hear_again(&router);
        // Not one refusal: both pairs took what lives there.
        let own = compare(&party.told, &[&venues[0], &venues[1]], party.user);
        assert!(own.iter().all(|said| matches!(said.message(), Outbound::AccountQueryResponse(_))));
    }
    let executed = |party: &Party| {
        party.told.iter().filter(|said| matches!(said.message(), Outbound::Executed(_))).count()
    };
    assert!(parties.iter().all(|party| executed(party) > 0), "they traded with each other");
    // The numbers of a session are one line across pairs.
    let mut client = router.client("CAROL");
    client.ask(&order(5, "AAPL"));
    assert_eq!(accepted(&loop_until(&mut client, 5)), 5);
    for repeated in [order(5, "MSFT"), order(4, "MSFT"), order(5, "NOWHERE"), order(5, "AAPL")] {
        client.ask(&repeated);
    }
    client.ask(&order(6, "MSFT"));
    assert_eq!(accepted(&client.next()), 6, "what repeats a number is ignored, whatever pair it would go to");
    assert_eq!(client.query().1, 7);
    for (user_ref, symbol) in [(7, "NOWHERE"), (8, "LOTS")] {
        client.ask(&order(user_ref, symbol));
        assert_eq!(rejected(&client.next()), (user_ref, UNKNOWN));
    }
    assert_eq!(client.query().1, 9);
    client.ask(&replace(5, 9, 20, 10_000));
    assert!(matches!(client.next().message(), Outbound::Replaced(m) if (m.original, m.user_ref) == (5, 9)));
    for (user_ref, place) in [(9, "east"), (6, "west")] {
        client.ask(&cancel(user_ref, 0));
        let said = client.next();
        assert!(matches!(said.message(), Outbound::Canceled(m) if m.user_ref == user_ref), "{place}");
    }
    drop(client);
    for (venue, home) in venues.into_iter().zip(&two.homes) {
        let state = text(&venue.stop(), "state");
        assert_eq!(home.replay(1)["state"], state);
    }
    router.stop();
}

/// The next message that is no system event: each pair's session begins with one.
fn loop_until(client: &mut Client, user_ref: u32) -> Said {
    loop {
        let said = client.next();
        match said.message() {
            Outbound::SystemEvent(_) => {}
            Outbound::Accepted(m) if m.user_ref == user_ref => return said,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn whatever_is_killed_of_two_pairs_and_their_router_a_client_loses_nothing_and_has_nothing_twice() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let soup = [[address(1, 1), address(1, 2)], [address(2, 1), address(2, 2)]];
    let map = Map::new(&soup[0], &soup[1]);
    map.write(1, EAST, WEST);
    let mut pairs = [Pair::new("disk+replica"), Pair::new("two-disks")];
    for (index, name) in ["east", "west"].into_iter().enumerate() {
        pairs[index].more = map.args(name);
        pairs[index].soup = soup[index].map(Some);
    }
    let mut leaders = [0, 0];
    let mut venues: Vec<Option<Venue>> = pairs.iter_mut().map(|pair| Some(pair.lead(0))).collect();
    let mut standbys: Vec<Option<Venue>> = pairs.iter_mut().map(|pair| Some(pair.follow(1))).collect();
    let route = Router::new(&map);
    let mut router = route.start();
    let mut parties = parties();
    for round in 0..4 {
        for (pair, leader) in pairs.iter().zip(leaders) {
            pair.wait_in_sync(leader);
        }
        trade(&router, &mut parties, &mut random);
        let from = parties[0].told.len() as u64 + 1;
        let mut restless = router.client_from(parties[0].user, from);
        let first = parties[0].next();
        parties[0].open.pop();
        let sent = random.random_range(20..400);
        for user_ref in first..first + sent {
            let symbol = ["AAPL", "MSFT"][random.random_range(0..2)];
            restless.put(&enter(user_ref, b'B', 10, symbol, 999_900, codes::DAY));
        }
        restless.flush();
        std::thread::sleep(Duration::from_micros(random.random_range(0..5_000)));
        let broken = random.random_range(0..2);
        let (leader, other) = (leaders[broken], 1 - leaders[broken]);
        let opened = pairs[broken].nodes[other].log_lines(OPEN).len();
        venues[broken].take().expect("it runs").kill();
        let with_router = round % 2 == 1;
        if with_router {
            let before = router;
            let again = route_killed(&route, before);
            parties[0].told.extend(restless.until_gone());
            router = again;
            let from = parties[0].told.len() as u64 + 1;
            restless = router.client_from(parties[0].user, from);
        }
        // The other pair goes on meanwhile.
        let whole = 1 - broken;
        let mut bystander = router.client("CAROL");
        let number = bystander.query().1;
        bystander.ask(&enter(number, b'B', 1, ["AAPL", "MSFT"][whole], 100, codes::IMMEDIATE_OR_CANCEL));
        loop {
            match bystander.next().message() {
                Outbound::Canceled(m) if m.user_ref == number => break,
                Outbound::Rejected(m) => panic!("SEED={seed} round {round}: {m:?}"),
                _ => {}
            }
        }
        drop(bystander);
        eventually("the standby has noticed", || pairs[broken].status(other)["follows"].is_null());
        let mut standby = standbys[broken].take().expect("it runs");
        pairs[broken].promote(other, &mut standby);
        venues[broken] = Some(standby);
        standbys[broken] = Some(pairs[broken].follow(leader));
        leaders[broken] = other;
        pairs[broken].wait_in_sync(other);
        eventually("clients may order again", || pairs[broken].nodes[other].log_lines(OPEN).len() > opened);
        // Each of the orders has one answer: it is in, or it has never been.
        let mut answers = vec![0; sent as usize];
        let mut heard = parties[0].told.split_off(from as usize - 1);
        let answer = |said: &Said, answers: &mut Vec<i32>| {
            let user_ref = match said.message() {
                Outbound::Accepted(m) => m.user_ref,
                Outbound::Rejected(m) => m.user_ref,
                _ => return,
            };
            if let Some(at) = user_ref.checked_sub(first).filter(|at| *at < sent) {
                answers[at as usize] += 1;
            }
        };
        heard.iter().for_each(|said| answer(said, &mut answers));
        let (told, next) = restless.query();
        told.iter().for_each(|said| answer(said, &mut answers));
        heard.extend(told);
        let taken = next.saturating_sub(first).min(sent) as usize;
        while answers[..taken].contains(&0) {
            let said = restless.next();
            answer(&said, &mut answers);
            heard.push(said);
        }
        assert!(answers[..taken].iter().all(|times| *times == 1), "SEED={seed} round {round}: {answers:?}");
        assert!(answers[taken..].iter().all(|times| *times == 0), "SEED={seed} round {round}: {answers:?}");
        drop(restless);
        parties[0].told.extend(heard);
        parties[0].skip_to(first + sent);
        for party in &mut parties {
            party.catch_up(&router);
            party.hear_again(&router);
        }
        println!("SEED={seed} round {round}: {sent} orders, {taken} answered, router killed: {with_router}");
    }
    trade(&router, &mut parties, &mut random);
    let (east, west) = (venues[0].as_ref().expect("it runs"), venues[1].as_ref().expect("it runs"));
    for party in &mut parties {
        party.catch_up(&router);
        compare(&party.told, &[east, west], party.user);
    }
    for (venue, pair) in venues.into_iter().zip(&pairs) {
        let venue = venue.expect("it runs");
        let state = text(&venue.stop(), "state");
        for node in &pair.nodes {
            assert_eq!(node.log_lines("are not those of the journal"), [""; 0]);
        }
        let leader = leaders[usize::from(std::ptr::eq(pair, &pairs[1]))];
        assert_eq!(pair.nodes[leader].replay(2)["state"], state);
    }
}

/// SIGKILL for a router, and another one in its place.
fn route_killed(route: &Router, before: Venue) -> Venue {
    let sessions = before.sessions.lock().unwrap_or_else(PoisonError::into_inner).clone();
    before.kill();
    route.start_again(&sessions)
}

#[test]
fn a_pair_that_is_down_is_said_at_once_and_the_other_goes_on() {
    let (two, [east, west], route, mut router) = routed();
    let mut client = router.client("ALICE");
    client.ask(&order(1, "AAPL"));
    client.ask(&order(2, "MSFT"));
    let (mut told, next) = client.query();
    assert_eq!(next, 3);
    while told.iter().filter(|said| matches!(said.message(), Outbound::Accepted(_))).count() < 2 {
        told.push(client.next());
    }
    west.kill();
    route.says("pair west: ");
    client.ask(&order(3, "MSFT"));
    assert_eq!(rejected(&client.next()), (3, UNREACHABLE));
    client.ask(&cancel(2, 0));
    assert!(matches!(client.next().message(), Outbound::CancelReject(m) if m.user_ref == 2));
    client.ask(&replace(2, 4, 10, 10_000));
    assert_eq!(rejected(&client.next()), (4, UNREACHABLE));
    client.ask(&order(5, "AAPL"));
    assert_eq!(accepted(&client.next()), 5);
    assert_eq!(client.query().1, 6, "of the pair that is down it is known what it had taken");
    // Who has all that was said comes back, and so does a router.
    let mut next = client.connection.next_sequence();
    drop(client);
    for user_ref in [6, 8] {
        let mut client = router.client_from("ALICE", next);
        client.ask(&order(user_ref, "AAPL"));
        assert_eq!(accepted(&client.next()), user_ref);
        client.ask(&order(user_ref + 1, "MSFT"));
        assert_eq!(rejected(&client.next()), (user_ref + 1, UNREACHABLE));
        next = client.connection.next_sequence();
        drop(client);
        router = route_killed(&route, router);
    }
    // It is back, with what it had.
    let west = two.homes[1].start();
    let mut client = router.client("ALICE");
    client.ask(&cancel(2, 0));
    let mut canceled = false;
    while !canceled {
        canceled = matches!(client.next().message(), Outbound::Canceled(m) if m.user_ref == 2);
    }
    client.ask(&order(20, "MSFT"));
    assert_eq!(accepted(&client.next()), 20);
    drop(client);
    compare(&all_told(&router, "ALICE"), &[&east, &west], "ALICE");
}

#[test]
fn a_pair_that_stands_still_holds_up_its_own_orders_alone() {
    let (_two, [east, west], route, router) = routed();
    let mut client = router.client("ALICE");
    client.ask(&order(1, "MSFT"));
    loop_until(&mut client, 1);
    kill_process(west.pid(), Signal::STOP).expect("a signal");
    eventually("all of its threads stand still", || west.stands_still());
    client.ask(&order(2, "MSFT"));
    client.ask(&order(3, "AAPL"));
    assert_eq!(accepted(&client.next()), 3);
    // For a while it is only slow; then it is gone, and what it had been sent is not known yet.
    route.says("it is silent");
    client.ask(&order(4, "MSFT"));
    client.ask(&order(5, "AAPL"));
    assert_eq!(rejected(&client.next()), (4, UNREACHABLE));
    assert_eq!(accepted(&client.next()), 5);
    client.ask(&cancel(1, 0));
    assert!(matches!(client.next().message(), Outbound::CancelReject(m) if m.user_ref == 1));
    kill_process(west.pid(), Signal::CONT).expect("a signal");
    // It had been given the order, and took it; or it closed the old connection first, and never will.
    let said = client.next();
    match said.message() {
        Outbound::Accepted(m) => assert_eq!(m.user_ref, 2),
        _ => assert_eq!(rejected(&said), (2, UNREACHABLE)),
    }
    let mut number = 6;
    eventually("it takes orders again", || {
        client.ask(&order(number, "MSFT"));
        number += 1;
        matches!(client.next().message(), Outbound::Accepted(_))
    });
    drop(client);
    compare(&all_told(&router, "ALICE"), &[&east, &west], "ALICE");
}

#[test]
fn a_router_never_goes_by_a_map_that_it_knows_to_be_out_of_date() {
    let two = Two::new();
    two.map.write(7, EAST, WEST);
    let [east, west] = two.start();
    two.takes_in(7);
    // The router has a map of its own.
    let own = Map::new(&two.map.east, &two.map.west);
    own.write(7, EAST, WEST);
    let route = Router::new(&own);
    let mut router = route.start();
    let mut client = router.client("ALICE");
    client.ask(&order(1, "AAPL"));
    assert_eq!(accepted(&loop_until(&mut client, 1)), 1);
    // AAPL moves, and the pairs know.
    two.map.write(8, &["AMZN"], &["MSFT", "NVDA", "AAPL"]);
    two.takes_in(8);
    client.ask(&order(2, "AAPL"));
    assert_eq!(rejected(&client.next()), (2, ELSEWHERE), "the pair says so itself");
    route.says("AAPL: a pair goes by generation 8");
    for user_ref in 3..6 {
        client.ask(&order(user_ref, "AAPL"));
        assert_eq!(rejected(&client.next()), (user_ref, STALE));
    }
    // Others are routed, and what is open can be canceled where it is.
    client.ask(&order(6, "AMZN"));
    assert_eq!(accepted(&client.next()), 6);
    client.ask(&cancel(1, 0));
    assert!(matches!(client.next().message(), Outbound::Canceled(m) if m.user_ref == 1));
    own.write(8, &["AMZN"], &["MSFT", "NVDA", "AAPL"]);
    route.says("placement map: generation 8");
    let mut user_ref = 7;
    eventually("the newer map is taken in", || {
        client.ask(&order(user_ref, "AAPL"));
        user_ref += 1;
        matches!(client.next().message(), Outbound::Accepted(_))
    });
    // An older one is refused, also by a router that is started with it.
    own.write(7, EAST, WEST);
    route.says("the older one is refused");
    client.ask(&order(100, "AAPL"));
    assert_eq!(accepted(&client.next()), 100);
    drop(client);
    router = route_killed(&route, router);
    let mut client = router.client("ALICE");
    client.ask(&order(101, "AAPL"));
    assert_eq!(accepted(&client.next()), 101);
    drop(client);
    // All of it at the new pair, but for what came before.
    let there = all_told(&west, "ALICE");
    assert_eq!(there.iter().filter(|said| matches!(said.message(), Outbound::Accepted(_))).count(), 3);
    drop(east);
}

#[test]
fn a_client_comes_back_to_its_own_session_and_to_no_other() {
    let (_two, _venues, route, router) = routed();
    let mut client = router.client("ALICE");
    client.ask(&order(1, "AAPL"));
    loop_until(&mut client, 1);
    let (session, next) = (client.session.clone(), client.connection.next_sequence());
    let refused = |user, password: &str, session: &str, from| {
        let error = Client::try_log_in(router.address, user, password, session, from).err().expect("refused");
        error.to_string()
    };
    for (user, password, session, from) in [
        ("ALICE", "wrong", session.as_str(), next),
        ("NOBODY", PASSWORD, "", 0),
        ("BOB", PASSWORD, session.as_str(), 1),
        ("ALICE", PASSWORD, "1", 1),
        ("ALICE", PASSWORD, "", next),
        ("BOB", PASSWORD, "", 2),
    ] {
        println!("{user} {session}: {}", refused(user, password, session, from));
    }
    // None of that has touched who is logged in; one who may does.
    client.ask(&order(2, "MSFT"));
    assert_eq!(accepted(&client.next()), 2);
    let mut second = router.client_from("ALICE", 1);
    assert!(client.until_closed().is_empty());
    assert_eq!(second.session, session);
    assert_eq!(second.up_to(next).len() as u64, next);
    drop(second);
    // Beyond the next is the next, as at a pair.
    let beyond = Client::try_log_in(router.address, "ALICE", PASSWORD, &session, 1_000_000).expect("in");
    assert_eq!(beyond.connection.next_sequence(), next + 1);
    drop(beyond);
    // A session whose file is lost begins anew, by another name, with all that the pairs have told.
    let file = route.home.file("route").join("414c49434520.merge");
    router.stop();
    std::fs::remove_file(file).expect("the session's file");
    let router = route.start();
    let error = Client::try_log_in(router.address, "ALICE", PASSWORD, &session, next).err().expect("refused");
    println!("{error}");
    let mut client = router.client("ALICE");
    assert_ne!(client.session, session);
    assert_eq!(client.query().1, 3);
    drop(client);
    let accepted = all_told(&router, "ALICE")
        .iter()
        .filter(|said| matches!(said.message(), Outbound::Accepted(_)))
        .count();
    assert_eq!(accepted, 2);
}
