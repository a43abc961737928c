//! FIX, as its clients speak it: scripts of whole conversations, each of which must fail when one value of it is another.

mod player;

use crate::venue::{Home, Settings};

use self::player::{Player, mutated};

/// Other values that are tried of each script.
const OTHERS: usize = 8;

macro_rules! scripts {
    ($($name:ident $file:literal,)*) => {
        $(#[test]
        fn $name() {
            play(include_str!(concat!("../fix/", $file, ".def")));
        })*
    };
}

scripts! {
    orders_are_told_of_each_time_something_happens_to_them "orders",
    an_order_is_replaced_and_canceled_by_the_name_that_it_has "replace_and_cancel",
    what_makes_no_sense_is_refused_with_its_reason "refused",
    special_orders_are_reached_by_their_standard_fields "special_orders",
    questions_are_answered "questions",
    many_orders_are_canceled_at_once "mass_cancel",
    numbers_and_reports_survive_a_kill "killed",
    the_exchange_says_goodbye_when_it_stops "stopped",
    what_happens_while_nobody_is_there_is_told_later "away",
    each_side_says_what_it_expects_next "next_expected",
    nobody_without_a_password_changes_anything "strangers",
    a_byte_at_a_time_is_as_good_as_all_at_once "slowly",
    several_messages_may_come_at_once "together",
    fix_50_sp2_is_spoken_over_fixt "fixt",
}

fn home() -> Home {
    let mut sections = String::from("[fix]\naddress = \"127.0.0.1:0\"\ncomp_id = \"EXCH\"\n");
    for name in ["TRADER", "MAKER"] {
        sections += &format!("[[users]]\nname = \"{name}\"\npassword = \"a-secret\"\nprotocol = \"fix\"\n");
    }
    Home::new(Settings { sections, ..Settings::default() })
}

/// Plays a script, which must go as it is written; then, each time on an exchange of its own, with a value that is another one,
/// which must make it fail.
fn play(script: &str) {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| u64::from(since.subsec_nanos()))
    });
    println!("SEED={seed}");
    let whole = home();
    let venue = Player::new(&whole, whole.start())
        .play(script)
        .unwrap_or_else(|(line, failed)| panic!("line {line}: {failed}\n{}", whole.log()));
    venue.stop();
    let (a, b) = (whole.replay(1), whole.replay(3));
    assert_eq!(a["state"], b["state"]);

    let count = (0..).take_while(|which| mutated(script, *which).is_some()).count();
    assert!(count > 0, "a script that expects nothing");
    let turns = OTHERS.min(count);
    for turn in 0..turns {
        let which = (seed as usize).wrapping_add(turn * count / turns) % count;
        let other = mutated(script, which).expect("there are so many");
        let home = home();
        let played = Player::new(&home, home.start()).play(&other);
        assert!(
            played.is_err(),
            "SEED={seed}: it goes as well with another value:\n{}",
            other.replace('\x01', "|")
        );
    }
}
