//! FIX, as its clients speak it: scripts of whole conversations, each of which must fail when one value of it is another.

mod copies;
mod player;

use rustix::process::{Signal, kill_process};

use crate::{
    pair::Pair,
    venue::{Home, Settings, Venue, eventually},
};

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
    another_session_is_told_of_orders_too "drop_copies",
    books_are_told_of_at_once_and_as_they_change "market_data",
    requests_for_what_is_not_offered_are_refused_with_their_reasons "market_data_refused",
    trades_have_their_numbers_and_sides_in_fix_50_sp2 "market_data_fixt",
}

fn home() -> Home {
    home_with("")
}

/// With further keys of the section `[fix]`.
fn home_with(keys: &str) -> Home {
    Home::new(Settings { sections: sections(keys), ..Settings::default() })
}

fn sections(keys: &str) -> String {
    let mut sections = format!("[fix]\naddress = \"127.0.0.1:0\"\ncomp_id = \"EXCH\"\n{keys}\n");
    sections += "[feed.fix]\naddress = \"127.0.0.1:0\"\ncomp_id = \"EXCH-MD\"\n";
    for name in ["TRADER", "MAKER"] {
        sections += &format!("[[users]]\nname = \"{name}\"\npassword = \"a-secret\"\nprotocol = \"fix\"\n");
    }
    sections += "[[users]]\nname = \"RISK\"\npassword = \"a-secret\"\nprotocol = \"fix\"\n";
    sections + "drop_copy_of = [\"TRADER\", \"ALICE\"]\n"
}

/// Plays a script that is made while the test runs.
fn play_lines(home: &Home, lines: &[String]) {
    play_on(home, home.start(), lines).stop();
    assert_eq!(home.replay(1)["state"], home.replay(3)["state"]);
}

/// Plays it on an exchange that runs, and gives that back.
fn play_on(home: &Home, venue: Venue, lines: &[String]) -> Venue {
    Player::new(home, venue)
        .play(&lines.join("\n").replace('|', "\x01"))
        .unwrap_or_else(|(line, failed)| panic!("line {line}: {failed}\n{}", home.log()))
}

fn said(msg_type: &str, number: u64, body: &str) -> String {
    format!("I8=FIX.4.4|35={msg_type}|34={number}|49=TRADER|52=<TIME>|56=EXCH|{body}")
}

fn told(msg_type: &str, number: u64, body: &str) -> String {
    format!("E8=FIX.4.4|35={msg_type}|34={number}|49=EXCH|52=*|56=TRADER|{body}")
}

/// Logs on, with these numbers expected on both sides.
fn logs_on(number: u64, next: u64) -> [String; 3] {
    [
        "iCONNECT".into(),
        said("A", number, "98=0|108=30|553=TRADER|554=a-secret|"),
        told("A", next, "98=0|108=30|"),
    ]
}

fn order(number: u64, name: &str) -> String {
    said("D", number, &format!("11={name}|55=AAPL|54=1|60=<TIME>|38=1|40=2|44=10|"))
}

fn accepted(number: u64, name: &str) -> String {
    let terms = "17=*|150=0|39=0|55=AAPL|54=1|38=1|40=2|44=10|59=0|151=1|14=0|6=0|60=*|";
    told("8", number, &format!("37=*|11={name}|{terms}"))
}

fn canceled(number: u64, name: &str, of: &str) -> String {
    let terms = "17=*|150=4|39=4|55=AAPL|54=1|38=1|40=2|44=10|59=0|151=0|14=0|6=0|60=*|";
    told("8", number, &format!("37=*|11={name}|41={of}|{terms}"))
}

/// The node that leads is killed: at the other one the session's numbers go on, what was told is told again, and an order has
/// the name that it had.
#[test]
fn numbers_and_reports_survive_a_failover() {
    let mut pair = Pair::new("disk+replica");
    for node in &mut pair.nodes {
        node.settings.sections = sections("");
    }
    let first = pair.lead(0);
    let mut second = pair.follow(1);
    pair.wait_in_sync(0);
    let mut lines = logs_on(1, 1).to_vec();
    lines.extend([order(2, "a"), accepted(2, "a"), said("1", 3, "112=x|"), told("0", 3, "112=x|")]);
    lines.extend([order(4, "b"), accepted(4, "b")]);
    play_on(&pair.nodes[0], first, &lines).kill();
    eventually("the standby has noticed", || pair.status(1)["follows"].is_null());
    pair.promote(1, &mut second);
    eventually("clients may order again", || {
        !pair.nodes[1].log_lines("new orders are taken from now on").is_empty()
    });
    let mut lines = logs_on(5, 5).to_vec();
    let again = |line: String| line.replace("|52=*|", "|52=*|43=Y|122=*|");
    lines.extend([said("2", 6, "7=1|16=0|"), told("4", 1, "43=Y|122=*|36=2|123=Y|")]);
    lines.extend([again(accepted(2, "a")), told("4", 3, "43=Y|122=*|36=4|123=Y|")]);
    lines.extend([again(accepted(4, "b")), told("4", 5, "43=Y|122=*|36=6|123=Y|")]);
    lines.extend([said("F", 7, "41=a|11=c|55=AAPL|54=1|60=<TIME>|38=1|"), canceled(6, "c", "a")]);
    lines.extend([order(8, "d"), accepted(7, "d")]);
    play_on(&pair.nodes[1], second, &lines).stop();
}

/// Who asked for it has no orders while it is away: after its connection has ended, and after a start if it does not come back.
#[test]
fn orders_are_canceled_when_their_client_is_away() {
    let sections =
        sections("").replace("name = \"TRADER\"", "name = \"TRADER\"\ncancel_on_disconnect = true");
    let limits = "absent_ms = 500\nabsent_at_start_ms = 1500";
    let home = Home::new(Settings { sections, limits, ..Settings::default() });
    let gone = |number, name: &str| {
        let terms = "17=*|150=4|39=4|55=AAPL|54=1|38=1|40=2|44=10|59=0|151=0|14=0|6=0|60=*|58=not connected|";
        told("8", number, &format!("37=*|11={name}|{terms}")).replace("|52=*|", "|52=*|43=Y|122=*|")
    };
    let mut lines = logs_on(1, 1).to_vec();
    lines.extend([order(2, "a"), accepted(2, "a"), "iDISCONNECT".into()]);
    // It is back in time.
    lines.extend(logs_on(3, 3));
    lines.extend([
        "iWAIT 1".into(),
        said("F", 4, "41=a|11=c|55=AAPL|54=1|60=<TIME>|38=1|"),
        canceled(4, "c", "a"),
    ]);
    lines.extend([order(5, "b"), accepted(5, "b"), order(6, "d"), accepted(6, "d"), "iDISCONNECT".into()]);
    // It is not.
    lines.push("iWAIT 1".into());
    lines.extend(logs_on(7, 9));
    lines.extend([said("2", 8, "7=7|16=8|"), gone(7, "b"), gone(8, "d")]);
    // Nor when the exchange begins again.
    lines.extend([order(9, "e"), accepted(10, "e"), "iKILL".into(), "iSTART".into(), "iWAIT 3".into()]);
    lines.extend(logs_on(10, 12));
    lines.extend([said("2", 11, "7=11|16=11|"), gone(11, "e")]);
    play_lines(&home, &lines);
}

/// The key that says so: soon, but not before it has been logged on to.
fn rolls_over_in(seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    let at = (now + seconds) % 86_400;
    format!("roll_over_utc = \"{:02}:{:02}:{:02}\"", at / 3_600, at / 60 % 60, at % 60)
}

/// An exchange that was not there when it was time makes up for it, once.
#[test]
fn a_roll_over_that_was_missed_comes_with_the_start() {
    let home = home_with(&rolls_over_in(4));
    let mut lines = logs_on(1, 1).to_vec();
    lines.extend([order(2, "a"), accepted(2, "a"), "iKILL".into(), "iWAIT 5".into(), "iSTART".into()]);
    lines.extend(logs_on(1, 1));
    lines.extend([order(2, "b"), accepted(2, "b"), "iSTOP".into()]);
    lines.extend([told("5", 3, "58=the exchange stops|"), "eDISCONNECT".into(), "iSTART".into()]);
    lines.extend(logs_on(3, 4));
    lines.extend([order(4, "c"), accepted(5, "c"), "iKILL".into(), "iSTART".into()]);
    lines.extend(logs_on(5, 6));
    play_lines(&home, &lines);
}

/// The numbers of all sessions begin anew at a time of day, in both directions, for those who are there and those who are not.
#[test]
fn numbers_begin_anew_when_the_day_rolls_over() {
    let home = home_with(&format!("{}\nroll_over_news_s = [2]", rolls_over_in(8)));
    let mut lines = logs_on(1, 1).to_vec();
    lines.extend([order(2, "a"), accepted(2, "a")]);
    let news = "42=*|148=roll-over|33=1|58=numbers begin anew in 2 s: log on again then, with number 1|";
    lines.push(told("B", 3, news));
    lines.extend([told("5", 4, "58=the numbers begin anew: log on again|"), "eDISCONNECT".into()]);
    lines.extend(logs_on(1, 1));
    lines.extend([order(2, "b"), accepted(2, "b"), "iKILL".into(), "iSTART".into()]);
    lines.extend(logs_on(3, 3));
    // Nothing from before can be had again, and an order from before is still there.
    lines.extend([said("2", 4, "7=1|16=1|"), told("4", 1, "43=Y|122=*|36=2|123=Y|")]);
    lines.push(said("F", 5, "41=a|11=c|55=AAPL|54=1|60=<TIME>|38=1|"));
    lines.push(canceled(4, "c", "a"));
    play_lines(&home, &lines);
}

/// Clients are told of a stop before it comes, and trade until then; whoever cannot wait says so again.
#[test]
fn a_stop_is_news_first() {
    let home = home_with("stop_news_s = 3600");
    let venue = home.start();
    let pid = venue.pid();
    let mut lines = logs_on(1, 1).to_vec();
    lines.push(told("B", 2, "42=*|148=the exchange stops|33=1|58=the exchange stops in 3600 s|"));
    lines.extend([order(2, "a"), accepted(3, "a")]);
    let goodbye = std::thread::scope(|scope| {
        let signals = scope.spawn(|| {
            eventually("a client is there", || home.log().contains("TRADER: logged on"));
            kill_process(pid, Signal::TERM).expect("it can be told to stop");
            eventually("it knows", || home.log().contains("told to stop: it stops in 3600 s"));
        });
        let mut venue = play_on(&home, venue, &lines);
        signals.join().expect("it was told");
        kill_process(pid, Signal::TERM).expect("it can be told again");
        venue.wait()
    });
    assert!(goodbye.success(), "{goodbye}");
    assert_eq!(home.replay(1)["state"], home.replay(3)["state"]);
}

#[test]
fn a_session_sends_as_many_orders_a_second_as_it_may() {
    let home = home_with("orders_per_s = 3");
    let mut lines = logs_on(1, 1).to_vec();
    for at in 2..=4 {
        lines.extend([order(at, &format!("o{at}")), accepted(at, &format!("o{at}"))]);
    }
    let text = "throttled: more orders in a second than the session may send";
    lines.extend([order(5, "o5"), told("j", 5, &format!("45=5|58={text}|372=D|380=0|"))]);
    // A cancel goes, and after a while an order goes again.
    lines.push(said("F", 6, "41=o2|11=c|55=AAPL|54=1|60=<TIME>|38=1|"));
    lines.push(canceled(6, "c", "o2"));
    lines.extend(["iWAIT 1".into(), order(7, "o5"), accepted(7, "o5")]);
    play_lines(&home, &lines);
}

/// Plays a script, which must go as it is written; then, each time on an exchange of its own, with a value that is another one,
/// which must make it fail.
fn play(script: &str) {
    let seed = seeded::seed();
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
