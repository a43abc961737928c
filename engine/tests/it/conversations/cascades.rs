//! More stops than one command may give turns to, and more trailing stops than may wait. Written by loops, because
//! they are long.

use core::fmt::Write;

/// Turns that one command gives, as `docs/matching.md` has it.
const TURNS: u64 = 128;
/// Trailing stops that may wait.
const TRAILING: u64 = 1_024;
/// All-or-none orders that may rest or wait.
const ALL_OR_NONE: u64 = 128;

pub(super) fn conversations() -> Vec<(&'static str, String)> {
    vec![
        ("a command gives 128 turns, the next goes on", paused()),
        (
            "triggered orders that wait are like stops that wait, but come in at once when they are replaced",
            changed(),
        ),
        (
            "triggered orders that wait expire, and the day's end takes them in the order of their turns",
            ended(),
        ),
        ("the turns that a command owes count among its own, and what they trigger comes last", owed()),
        (
            "128 all-or-none orders are in a book, those that wait among them; one that goes makes room",
            whole(),
        ),
        ("1,024 trailing stops wait in a book; one may be replaced, and one that goes makes room", crowded()),
    ]
}

/// A conversation being written.
#[derive(Default)]
struct Text {
    text: String,
    orders: u64,
}

impl Text {
    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("strings take everything");
    }

    /// An order that is accepted, and its number.
    fn accepted(&mut self, line: &str) -> u64 {
        self.orders += 1;
        self.line(line);
        self.line(&format!("> accepted #{}", self.orders));
        self.orders
    }

    /// Stop orders of session 1 to buy a lot, that rest at 90 once they had their turn.
    fn stops(&mut self, count: u64, behind: &str) {
        for _ in 0..count {
            self.accepted(&format!("s1 buy 1 @ 90 {behind}"));
        }
    }

    /// A trade at 100, with the number of its trade.
    fn trade_at_100(&mut self, trade: u64) {
        let maker = self.accepted("s2 sell 1 @ 100");
        let taker = self.accepted("s3 buy 1 @ 100");
        self.line(&format!("> trade {trade}: 1 @ 100, #{maker} leaves 0, #{taker} leaves 0"));
    }

    fn triggered(&mut self, orders: impl Iterator<Item = u64>) {
        orders.for_each(|order| self.line(&format!("> triggered #{order} at 100")));
    }

    /// What rests and what waits for its turn: orders for a lot each, those at 90 by their numbers.
    fn holds(&mut self, at_90: impl Iterator<Item = u64>, turns: impl Iterator<Item = u64>) {
        let rests: Vec<_> = at_90.map(|order| format!("1@90#{order}")).collect();
        let waits: Vec<_> = turns.map(|order| format!("1#{order}!")).collect();
        let waits = if waits.is_empty() { String::new() } else { format!(" | {}", waits.join(" ")) };
        let line = format!("= {} |{waits}", rests.join(" "));
        self.line(line.trim());
    }
}

fn paused() -> String {
    let mut text = Text::default();
    text.stops(300, "stop 100");
    text.trade_at_100(1);
    text.triggered(1..=300);
    text.line("> paused, 172 to go");
    text.holds(1..=TURNS, TURNS + 1..=300);
    text.line("advance");
    text.line("> paused, 44 to go");
    text.holds(1..=2 * TURNS, 2 * TURNS + 1..=300);
    // What a command asks comes behind the turns that are owed.
    let late = text.accepted("s4 buy 1 @ 90");
    text.holds((1..=300).chain([late]), 0..0);
    text.line("advance");
    text.text
}

fn changed() -> String {
    let mut text = Text::default();
    text.stops(2 * TURNS + 10, "gtc stop 100");
    text.trade_at_100(1);
    text.triggered(1..=266);
    text.line("> paused, 138 to go");
    // Each command gives turns first: 128 of the 138, then the last ten are there to be changed.
    text.line("s1 cancel #257");
    text.line("> canceled #257: 1, Requested");
    text.line("> paused, 9 to go");
    text.holds(1..=256, 258..=266);
    text.line("s1 cancel #257");
    text.line("> cancel rejected #257: unknown order");
    text.holds((1..=256).chain(258..=266), 0..0);
    // The same, and one is replaced while it waits: its trigger is spent.
    let mut again = Text::default();
    again.stops(2 * TURNS + 10, "stop 100");
    again.trade_at_100(1);
    again.triggered(1..=266);
    again.line("> paused, 138 to go");
    again.line("s1 replace #260 by 1 @ 91 keeping");
    again.line("> replaced #260 by #269: 1 @ 91");
    again.line("> paused, 9 to go");
    again.line("s1 replace #260 by 1 @ 91");
    again.line("> replace rejected #260 by #270: unknown order");
    // And the rest of the book's life goes on from there.
    again.line("s1 mass cancel buy");
    again.line("> canceled #269: 1, MassCancel");
    (1..=256).chain(257..260).chain(261..=266).for_each(|order| {
        again.line(&format!("> canceled #{order}: 1, MassCancel"));
    });
    again.line("> mass canceled 266");
    again.text
}

fn ended() -> String {
    let mut text = Text::default();
    text.stops(TURNS + 2, "gtd 900000 stop 100");
    text.stops(TURNS, "stop 100");
    text.trade_at_100(1);
    text.triggered(1..=2 * TURNS + 2);
    text.line("> paused, 130 to go");
    text.holds(1..=TURNS, TURNS + 1..=2 * TURNS + 2);
    text.line("at 900000 end of day");
    (1..=TURNS + 2).for_each(|order| text.line(&format!("> canceled #{order}: 1, Expired")));
    (TURNS + 3..=2 * TURNS + 2).for_each(|order| text.line(&format!("> canceled #{order}: 1, EndOfDay")));
    text.line("= |");
    text.text
}

fn owed() -> String {
    let mut text = Text::default();
    let rests = text.accepted("s4 sell 2 @ 99");
    // 130 stops: the 129th takes a lot at 99 and triggers one that sells below.
    text.stops(TURNS, "stop 100");
    let takes = text.accepted("s5 buy 1 @ 99 stop 100");
    let last = text.accepted("s5 buy 1 @ 80 stop 100");
    let below = text.accepted("s6 sell 1 @ 95 stop 99");
    let bid = text.accepted("s7 buy 1 @ 98");
    let gone = format!("s4 replace #{rests} by 2 @ 100");
    text.line(&gone);
    text.orders += 1;
    let offer = text.orders;
    text.line(&format!("> replaced #{rests} by #{offer}: 2 @ 100"));
    let first = text.accepted("s8 buy 1 @ 100");
    text.line(&format!("> trade 1: 1 @ 100, #{offer} leaves 1, #{first} leaves 0"));
    text.triggered((2..=TURNS + 1).chain([takes, last]));
    text.line("> paused, 2 to go");
    text.line(&format!("s4 replace #{offer} by 2 @ 99"));
    text.orders += 1;
    let offer_again = text.orders;
    text.line(&format!("> replaced #{offer} by #{offer_again}: 1 @ 99"));
    text.line(&format!("> trade 2: 1 @ 99, #{takes} leaves 0, #{offer_again} leaves 0"));
    text.line(&format!("> triggered #{below} at 99"));
    text.line(&format!("> trade 3: 1 @ 98, #{bid} leaves 0, #{below} leaves 0"));
    text.text
}

fn crowded() -> String {
    let mut text = Text::default();
    for _ in 0..TRAILING {
        text.accepted("s1 sell 1 @ 90 trailing 5");
    }
    text.line("s1 sell 1 @ 90 trailing 5");
    text.line("> rejected #1025: too many trailing stops");
    text.line("s1 replace #1 by 2 @ 90");
    text.line("> replaced #1 by #1026: 2 @ 90");
    text.line("s1 replace #2 by 2 @ 90 with trailing 6");
    text.line("> replaced #2 by #1027: 2 @ 90");
    text.line("s2 buy 1 @ 80");
    text.line("> accepted #1028");
    text.line("s2 replace #1028 by 1 @ 80 with trailing 1");
    text.line("> canceled #1028: 1, InvalidReplacement");
    text.line("> replace rejected #1028 by #1029: too many trailing stops");
    text.line("s1 cancel #3");
    text.line("> canceled #3: 1, Requested");
    text.line("s1 sell 1 @ 90 trailing 5");
    text.line("> accepted #1030");
    text.line("s1 sell 1 @ 90 stop 5");
    text.line("> accepted #1031");
    text.text
}

fn whole() -> String {
    let mut text = Text::default();
    text.accepted("s1 sell 1 @ 90 aon stop 50");
    for _ in 1..ALL_OR_NONE {
        text.accepted("s1 sell 1 @ 90 aon");
    }
    text.line("s1 sell 1 @ 90 aon");
    text.line("> rejected #129: too many live orders");
    text.line("s1 replace #2 by 2 @ 91");
    text.line("> replaced #2 by #130: 2 @ 91");
    text.line("s1 cancel #1");
    text.line("> canceled #1: 1, Requested");
    text.line("s1 sell 1 @ 90 aon");
    text.line("> accepted #131");
    text.text
}
