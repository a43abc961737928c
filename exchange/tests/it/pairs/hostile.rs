//! Clients that harm a router if they can: bytes that are nothing, and ears that do not hear.

use std::time::Duration;

use rand::{Rng as _, RngExt, SeedableRng};
use wire::{
    ouch::{Outbound, codes},
    soup,
};

use super::{all_told, compare, order, router::routed};
use crate::{
    client::{Raw, Said, enter, login_bytes, packet_bytes, request_bytes},
    hostile::narrow,
    party::Random,
    venue::PASSWORD,
};

#[test]
fn hostile_bytes_cost_their_own_connection_and_no_other() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let (_two, _venues, _route, router) = routed();
    let mut client = router.client("ALICE");
    let first = client.query().1;
    let mut deaf = Vec::new();
    for (number, round) in (first..).zip(0..60) {
        let mut raw = Raw::connect(router.address);
        let bytes: Vec<u8> = match round % 6 {
            0 => (0..random.random_range(1..2_000)).map(|_| random.random()).collect(),
            1 => packet_bytes(soup::kind::UNSEQUENCED, b"Q"),
            2 => login_bytes("BOB", PASSWORD, "", 0)[..random.random_range(1..49)].to_vec(),
            3 => [login_bytes("BOB", PASSWORD, "", 0), login_bytes("BOB", PASSWORD, "", 0)].concat(),
            4 => {
                let mut noise = vec![0; random.random_range(1..300)];
                random.fill_bytes(&mut noise);
                [login_bytes("BOB", PASSWORD, "", 0), packet_bytes(soup::kind::UNSEQUENCED, &noise)].concat()
            }
            _ => {
                let mut request = request_bytes(&order(1, "AAPL"));
                let at = random.random_range(3..request.len());
                request[at] = 0;
                [login_bytes("CAROL", PASSWORD, "", 0), request, packet_bytes(b'?', b"")].concat()
            }
        };
        raw.write(&bytes);
        if round % 6 == 2 {
            deaf.push(raw); // it never says the rest
        } else if round % 6 != 0 {
            raw.until_closed();
        }
        client.ask(&enter(number, b'B', 1, ["AAPL", "MSFT"][round % 2], 100, codes::IMMEDIATE_OR_CANCEL));
        while !matches!(client.next().message(), Outbound::Canceled(m) if m.user_ref == number) {}
    }
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_and_gets_everything_when_it_does() {
    let (_two, venues, _route, router) = routed();
    let mut slow = Raw::over(narrow(router.address));
    slow.write(&login_bytes("BOB", PASSWORD, "", 0));
    assert_eq!(slow.answer().expect("an answer").0, soup::kind::LOGIN_ACCEPTED);
    let mut requests = Vec::new();
    let many = 60_000; // more than the system and the router keep for it
    for user_ref in 1..=many {
        let symbol = ["AAPL", "MSFT"][user_ref as usize % 2];
        requests.extend(request_bytes(&enter(user_ref, b'B', 1, symbol, 100, codes::IMMEDIATE_OR_CANCEL)));
    }
    let mut writer = slow.stream.try_clone().expect("a second handle");
    let sender = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &requests));
    let mut client = router.client("ALICE");
    for number in 1..=50 {
        client.ask(&enter(
            number,
            b'B',
            1,
            ["AAPL", "MSFT"][number as usize % 2],
            100,
            codes::IMMEDIATE_OR_CANCEL,
        ));
        while !matches!(client.next().message(), Outbound::Canceled(m) if m.user_ref == number) {}
    }
    let mut told = Vec::new();
    while told.iter().filter(|said: &&Said| matches!(said.message(), Outbound::Canceled(_))).count()
        < many as usize
    {
        for _ in 0..1_000 {
            let Some((kind, bytes)) = slow.answer() else { panic!("cut off after {} messages", told.len()) };
            assert_eq!(kind, soup::kind::SEQUENCED);
            told.push(Said { number: 0, bytes });
            if told.len() == 2 * many as usize + 2 {
                break;
            }
        }
    }
    sender.join().expect("it ends").expect("it sends");
    drop(slow);
    compare(&told, &[&venues[0], &venues[1]], "BOB");
}

#[test]
fn a_client_that_takes_nothing_for_long_is_cut_off_and_can_come_back() {
    let (_two, venues, route, router) = routed();
    let mut deaf = Raw::over(narrow(router.address));
    deaf.write(&login_bytes("BOB", PASSWORD, "", 0));
    assert_eq!(deaf.answer().expect("an answer").0, soup::kind::LOGIN_ACCEPTED);
    let many = 60_000; // more than the system and the router keep for it
    let mut requests = Vec::new();
    for user_ref in 1..=many {
        let symbol = ["AAPL", "MSFT"][user_ref as usize % 2];
        requests.extend(request_bytes(&enter(user_ref, b'B', 1, symbol, 100, codes::IMMEDIATE_OR_CANCEL)));
    }
    // It says everything, if it can, and goes on saying that it is there; and hears nothing.
    let sender = std::thread::spawn(move || {
        let heartbeat = packet_bytes(soup::kind::CLIENT_HEARTBEAT, b"");
        deaf.write(&requests);
        while deaf.write(&heartbeat) {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    route.says("cut off, ");
    sender.join().expect("it ends");
    let mut again = router.client("BOB");
    let (_, next) = again.query();
    drop(again);
    let told = all_told(&router, "BOB");
    let accepted = told.iter().filter(|said| matches!(said.message(), Outbound::Accepted(_))).count();
    assert_eq!(accepted as u32, next - 1);
    compare(&told, &[&venues[0], &venues[1]], "BOB");
}
