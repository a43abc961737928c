//! What only special orders need. A book that has none has none of this.
//!
//! A special order has a cell like every other, found by its number, and a [`Record`] beside it. Where it stands is
//! its [`Place`]: icebergs and other displayed orders queue at their level like plain ones; hidden, all-or-none and
//! waiting orders stand in ordered maps here, and in no level.
//!
//! * `enter`: what comes in: instructions checked, post-only, minimum, market-to-limit; how it comes to rest.
//! * `sweep`: matching with everything that can stand in the way; what could trade at once; icebergs' next parts.
//! * `stops`: triggers, trailing, turns.
//! * `expiry`: dates.

mod enter;
mod expiry;
mod stops;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    AccountId, Display, Execution, Instructions, Nanos, OrderType, Quantity, Side, TimeInForce, Trigger,
};

use super::cells::{Cell, NIL};
use super::side::{EMPTY, price_of};
use super::{Book, NEVER, QUIET, RestingOrder, Special, Waiting};

/// Everything special of one book.
#[derive(Debug, Default)]
pub(super) struct Specials {
    records: Vec<Record>,
    /// Records that are not in use.
    free: Vec<u32>,
    /// Counts places given, so that at one key the older comes first. (Orders that wait for a trigger have the
    /// sequence of the command that brought them.)
    rank: u64,
    /// By `(!key, rank)`, which puts the best first.
    hidden: [BTreeMap<(i64, u64), u32>; 2],
    /// All-or-none orders, those that wait among them.
    whole: usize,
    /// By `(!key, rank)`.
    all_or_none: [BTreeMap<(i64, u64), u32>; 2],
    /// By `(trigger, rank)`, the trigger in the key space of the order's side: a trade at price `p` reaches all triggers
    /// up to `p`'s key. `i64::MAX` while a trailing stop has none.
    triggers: [BTreeMap<(i64, u64), u32>; 2],
    /// Cells of those of `triggers` that trail.
    trailing: [BTreeSet<u32>; 2],
    /// Triggered orders by the rank of their turn.
    turns: BTreeMap<u64, u32>,
    /// Expiries and order numbers.
    expiries: BTreeSet<(Nanos, u64)>,
}

/// What a special order has besides its cell.
#[derive(Clone, Copy, Debug)]
struct Record {
    /// What it asks for that is not spent.
    instructions: Instructions,
    account: AccountId,
    /// How it is priced: Limit, unless it waits.
    order_type: OrderType,
    /// Its limit in the key space of its side.
    key: i64,
    /// What is open beyond the cell's `open`: an iceberg's hidden part.
    reserve: u64,
    refreshes: u32,
    rank: u64,
    place: Place,
}

/// Where a special order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In its level's queue.
    Level,
    Hidden,
    AllOrNone,
    /// It waits for this trigger, in key space.
    Trigger(i64),
    /// It waits for its turn.
    Turn,
}

impl Specials {
    /// A side's hidden orders in priority, with their keys.
    pub(super) fn hidden(&self, side: Side) -> impl Iterator<Item = (i64, u32)> {
        self.hidden[side as usize].iter().map(|((key, _), cell)| (!key, *cell))
    }

    /// A side's all-or-none orders in priority, with their keys.
    pub(super) fn all_or_none(&self, side: Side) -> impl Iterator<Item = (i64, u32)> {
        self.all_or_none[side as usize].iter().map(|((key, _), cell)| (!key, *cell))
    }

    /// Stop orders that wait: those whose turn is next, then buys and sells by trigger.
    pub(super) fn waiting(&self) -> impl Iterator<Item = u32> {
        self.turns.values().chain(self.triggers.iter().flat_map(BTreeMap::values)).copied()
    }

    /// What can be seen of a special order besides its cell's fields.
    pub(super) fn show(&self, order: &Cell, seen: &mut RestingOrder) {
        let record = &self.records[order.tally as usize];
        seen.account = record.account;
        seen.price = price_of(order.side(), record.key);
        seen.leaves = Quantity(order.open + record.reserve);
        seen.special = Some(Special {
            instructions: record.instructions,
            order_type: record.order_type,
            shown: Quantity(if record.place == Place::Level { order.open } else { 0 }),
            refreshes: record.refreshes,
            waiting: match record.place {
                Place::Level | Place::Hidden | Place::AllOrNone => Waiting::No,
                Place::Trigger(i64::MAX) => Waiting::ForTrigger(None),
                Place::Trigger(trigger) => Waiting::ForTrigger(Some(price_of(order.side(), trigger))),
                Place::Turn => Waiting::ForTurn,
            },
        });
    }

    /// The best key of a side's unseen orders.
    pub(super) fn unseen(&self, side: Side) -> i64 {
        let first = |map: &BTreeMap<(i64, u64), u32>| map.keys().next().map_or(EMPTY, |(key, _)| !key);
        first(&self.hidden[side as usize]).max(first(&self.all_or_none[side as usize]))
    }

    /// The orders of an unseen place.
    fn unseen_mut(&mut self, place: Place, side: Side) -> &mut BTreeMap<(i64, u64), u32> {
        let map = if place == Place::Hidden { &mut self.hidden } else { &mut self.all_or_none };
        &mut map[side as usize]
    }

    fn next_rank(&mut self) -> u64 {
        self.rank += 1;
        self.rank
    }

    fn add_record(&mut self, record: Record) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.records[at as usize] = record;
                at
            }
            None => {
                self.records.push(record);
                // Fewer than there are cells, so it fits.
                (self.records.len() - 1) as u32
            }
        }
    }
}

impl Book {
    fn specials(&mut self) -> &mut Specials {
        self.special.get_or_insert_default()
    }

    fn record(&self, cell: u32) -> &Record {
        let special = self.special.as_ref().expect("a special order in a book that has specials");
        &special.records[self.cells[cell].tally as usize]
    }

    fn record_mut(&mut self, cell: u32) -> &mut Record {
        let special = self.special.as_mut().expect("a special order in a book that has specials");
        &mut special.records[self.cells[cell].tally as usize]
    }

    /// What is open of a special order beyond its cell's `open`.
    #[cold]
    #[inline(never)]
    pub(super) fn hidden_part(&self, cell: u32) -> u64 {
        self.record(cell).reserve
    }

    /// An order's instructions that are not spent.
    pub(super) fn instructions(&self, cell: u32) -> Instructions {
        if self.cells[cell].is_special() { self.record(cell).instructions } else { Instructions::NONE }
    }

    /// Whose an order is for.
    pub(super) fn account(&self, cell: u32) -> AccountId {
        let order = &self.cells[cell];
        if order.is_special() { self.record(cell).account } else { AccountId(order.tally) }
    }

    /// The key at which an order rests; `None` when it waits.
    pub(super) fn resting_key(&self, cell: u32) -> Option<i64> {
        let order = &self.cells[cell];
        if !order.is_special() {
            return Some(self.cells[order.level].key());
        }
        let record = self.record(cell);
        matches!(record.place, Place::Level | Place::Hidden | Place::AllOrNone).then_some(record.key)
    }

    /// Takes a special order out of the book, whatever it stands in, with its cell, its number and its record. Gives
    /// what was open of it.
    #[cold]
    #[inline(never)]
    pub(super) fn remove_special(&mut self, cell: u32) -> u64 {
        self.take_special(cell).0
    }

    /// The same for an order in a level; says whether the level went too.
    #[cold]
    #[inline(never)]
    pub(super) fn remove_from_level(&mut self, cell: u32) -> bool {
        self.take_special(cell).1
    }

    fn take_special(&mut self, cell: u32) -> (u64, bool) {
        self.drop_expiry(cell);
        let order = self.cells[cell];
        let record = *self.record(cell);
        let side = order.side();
        self.leave_place(cell, &record, side);
        let special = self.specials();
        special.free.push(order.tally);
        special.whole -= usize::from(record.instructions.execution == Execution::AllOrNone);
        let veil = i32::from(record.is_veiled());
        self.sides[side as usize].veil(-veil);
        let open = order.open + record.reserve;
        if record.place == Place::Level {
            // The cell's part goes with the level's, the reserve here.
            self.sides[side as usize].shrink(record.reserve);
            return (open, self.remove_plain(cell));
        }
        self.cells.put_back(cell);
        self.numbers.remove(order.number());
        self.sides[side as usize].leave(open);
        (open, false)
    }

    /// Takes a special order out of the maps here that it stands in.
    fn leave_place(&mut self, cell: u32, record: &Record, side: Side) {
        let special = self.special.as_mut().expect("a special order in a book that has specials");
        let at = side as usize;
        match record.place {
            Place::Level => {}
            Place::Hidden | Place::AllOrNone => {
                special.unseen_mut(record.place, side).remove(&(!record.key, record.rank));
                let unseen = special.unseen(side);
                self.sides[at].set_unseen(unseen);
            }
            Place::Trigger(trigger) => {
                special.triggers[at].remove(&(trigger, record.rank));
                special.trailing[at].remove(&cell);
                self.find_quiet();
            }
            Place::Turn => {
                special.turns.remove(&record.rank);
                self.turns -= 1;
                self.find_due();
            }
        }
    }

    /// From when on a command finds something to do first.
    fn find_due(&mut self) {
        let turns = self.turns;
        let special = self.specials();
        let first = special.expiries.first().map_or(NEVER, |(expires, _)| *expires);
        self.due = if turns > 0 { Nanos(0) } else { first };
    }

    /// Everything in `special` must agree with the cells and with what the book keeps at hand of it. Says how many
    /// orders it has, by side: resting in no level, waiting.
    pub(super) fn check_special(&self) -> [usize; 2] {
        let Some(special) = &self.special else {
            assert_eq!((self.turns, self.due, self.quiet), (0, NEVER, QUIET));
            return [0; 2];
        };
        let mut seen = [0; 2];
        let mut check = |cell: u32, side: usize, rank: u64, place: Place| {
            let order = &self.cells[cell];
            let record = &special.records[order.tally as usize];
            assert!(order.is_special() && order.open > 0, "cell {cell}");
            assert_eq!((order.side() as usize, order.level), (side, NIL), "cell {cell}");
            assert_eq!((record.rank, record.place, record.reserve), (rank, place, 0), "cell {cell}");
            assert_eq!(
                self.numbers.find(order.number()),
                Some(cell),
                "cell {cell} is not found by its number"
            );
            seen[side] += 1;
        };
        for side in 0..2 {
            for (&(key, rank), &cell) in &special.hidden[side] {
                check(cell, side, rank, Place::Hidden);
                assert_eq!(special.records[self.cells[cell].tally as usize].key, !key);
            }
            for (&(key, rank), &cell) in &special.all_or_none[side] {
                check(cell, side, rank, Place::AllOrNone);
                assert_eq!(special.records[self.cells[cell].tally as usize].key, !key);
            }
            for (&(trigger, rank), &cell) in &special.triggers[side] {
                check(cell, side, rank, Place::Trigger(trigger));
                let trails = matches!(
                    special.records[self.cells[cell].tally as usize].instructions.trigger,
                    Trigger::Trailing { .. }
                );
                assert_eq!(trails, special.trailing[side].contains(&cell), "cell {cell}");
            }
        }
        for (&rank, &cell) in &special.turns {
            check(cell, self.cells[cell].side() as usize, rank, Place::Turn);
        }
        for &(expires, number) in &special.expiries {
            let cell = self.numbers.find(number).expect("what expires is in the book");
            assert_eq!(self.record(cell).instructions.expires, expires);
            assert_eq!(self.cells[cell].time_in_force(), TimeInForce::GoodTillDate);
        }
        let whole = |cell: &u32| self.record(*cell).instructions.execution == Execution::AllOrNone;
        let resting = special.all_or_none.iter().map(BTreeMap::len).sum::<usize>();
        let waiting = special.waiting().filter(whole).count();
        assert_eq!(special.whole, resting + waiting, "all-or-none orders are miscounted");
        assert_eq!(special.turns.len(), self.turns as usize);
        let mut fresh = (self.quiet, self.due);
        fresh.0 = self.quiet_range();
        let first = special.expiries.first().map_or(NEVER, |(expires, _)| *expires);
        fresh.1 = if self.turns > 0 { Nanos(0) } else { first };
        assert_eq!(fresh, (self.quiet, self.due), "triggers or expiries are not where the book thinks");
        seen
    }

    /// What must hold of an order with a record that stands in a level.
    pub(super) fn check_special_in_level(&self, cell: u32, key: i64) {
        let record = self.record(cell);
        assert_eq!((record.place, record.key), (Place::Level, key));
        assert!(record.instructions != Instructions::NONE, "a plain order with a record");
        assert!(record.reserve == 0 || matches!(record.instructions.display, Display::Iceberg { .. }));
    }

    /// Whether an order makes its level's sum less than the truth.
    pub(super) fn is_veiled(&self, cell: u32) -> bool {
        self.record(cell).is_veiled()
    }

    /// Records in use.
    pub(super) fn special_count(&self) -> usize {
        self.special.as_ref().map_or(0, |special| special.records.len() - special.free.len())
    }
}

impl Record {
    /// Whether less of it is shown than can trade.
    fn is_veiled(&self) -> bool {
        match self.place {
            Place::Level => matches!(self.instructions.display, Display::Iceberg { .. }),
            Place::Hidden | Place::AllOrNone => true,
            Place::Trigger(_) | Place::Turn => false,
        }
    }
}

/// What is left of instructions once an order has come to rest.
fn unspent(instructions: &Instructions) -> Instructions {
    let execution = match instructions.execution {
        Execution::Minimum(_) => Execution::Any,
        other => other,
    };
    Instructions { trigger: Trigger::None, execution, ..*instructions }
}
