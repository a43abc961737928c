//! UserRefNums of one session across pairs: which are used up, which are under way, and where an order is.
//!
//! A client has one line of rising numbers, and every pair sees some of them. A pair takes a session's requests in the
//! order in which they were sent, so what has not reached it when a connection breaks is an end of what was sent: whatever
//! is not below the number that the pair says is next has never been, and the client is told so.

use std::collections::VecDeque;

use wire::ouch::Outbound;

use super::record::{Entry, Slot};

/// Orders that may be under way to one pair; beyond that the pair is asked how far it is, and the client waits.
pub(super) const UNDER_WAY_MAX: usize = 4_096;
/// Orders whose pair is remembered, the latest; what names an older one is sent to all pairs, of which one knows it.
const HOMES_MAX: usize = 65_536;

/// An order on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnderWay {
    pub(super) user_ref: u32,
    pub(super) client_order_id: [u8; 14],
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    /// By pair: the highest that it is known to have used up.
    used: Vec<u32>,
    /// By pair: what was sent and may not have been taken, rising.
    under_way: Vec<VecDeque<UnderWay>>,
    /// The highest that the router itself has refused.
    refused: u32,
    /// Where orders were sent, by rising number.
    homes: VecDeque<(u32, Slot)>,
}

impl Numbers {
    fn grow(&mut self, slot: Slot) {
        if self.used.len() <= slot {
            self.used.resize(slot + 1, 0);
            self.under_way.resize_with(slot + 1, VecDeque::new);
        }
    }

    /// What an entry of the session's file says; for all of them in turn this gives what was known when the last was written,
    /// but for what pairs have used up, which they have to be asked for.
    pub(super) fn note(&mut self, entry: &Entry) {
        match entry {
            Entry::Sent { slot, user_ref, client_order_id } => {
                self.sent(*slot, *user_ref, *client_order_id);
                let under_way = &mut self.under_way[*slot];
                if under_way.len() > UNDER_WAY_MAX {
                    under_way.pop_front();
                }
            }
            Entry::Own(bytes) => {
                if let Ok(Outbound::Rejected(rejected)) = Outbound::decode(bytes) {
                    self.refuse(rejected.user_ref);
                }
            }
            Entry::Passed(_) | Entry::Skipped(_) | Entry::Pair(_) => {}
        }
    }

    /// An order goes to a pair.
    pub(super) fn sent(&mut self, slot: Slot, user_ref: u32, client_order_id: [u8; 14]) {
        self.grow(slot);
        let under_way = &mut self.under_way[slot];
        if under_way.back().is_none_or(|last| last.user_ref < user_ref) {
            under_way.push_back(UnderWay { user_ref, client_order_id });
        }
        match self.homes.binary_search_by_key(&user_ref, |(number, _)| *number) {
            // A replacement that was ignored has not used it up.
            Ok(at) => self.homes[at].1 = slot,
            Err(at) => self.homes.insert(at, (user_ref, slot)),
        }
        if self.homes.len() > HOMES_MAX {
            self.homes.pop_front();
        }
    }

    /// The pair has used up this number, and so has taken or passed over what was sent before it.
    pub(super) fn used(&mut self, slot: Slot, user_ref: u32) {
        self.grow(slot);
        self.used[slot] = self.used[slot].max(user_ref);
        let under_way = &mut self.under_way[slot];
        while under_way.front().is_some_and(|first| first.user_ref <= user_ref) {
            under_way.pop_front();
        }
    }

    /// The router refuses this number.
    pub(super) fn refuse(&mut self, user_ref: u32) {
        self.refused = self.refused.max(user_ref);
        for under_way in &mut self.under_way {
            under_way.retain(|order| order.user_ref != user_ref);
        }
    }

    /// The pair says which number is next, having been asked behind order `asked_behind`: what was sent up to that is done
    /// with. Gives what of it the pair has not used up: what has never reached it if the connection was a new one, else
    /// replacements of what was not open any more.
    pub(super) fn next_is(&mut self, slot: Slot, next: u32, asked_behind: u32) -> Vec<UnderWay> {
        self.used(slot, next.saturating_sub(1));
        let under_way = &mut self.under_way[slot];
        let done = under_way.partition_point(|order| order.user_ref <= asked_behind);
        under_way.drain(..done).collect()
    }

    /// The last order that is under way to a pair; 0 when none is.
    pub(super) fn last_under_way(&self, slot: Slot) -> u32 {
        self.under_way.get(slot).and_then(VecDeque::back).map_or(0, |last| last.user_ref)
    }

    /// Orders under way to a pair.
    pub(super) fn under_way(&self, slot: Slot) -> usize {
        self.under_way.get(slot).map_or(0, VecDeque::len)
    }

    /// Whether an order for this pair repeats a number, so that it is ignored. What only this pair can know, it decides
    /// itself.
    pub(super) fn is_repetition(&self, slot: Slot, user_ref: u32) -> bool {
        user_ref <= self.refused
            || self.used.iter().any(|used| user_ref <= *used)
            || self.under_way.iter().enumerate().any(|(other, orders)| {
                other != slot && orders.back().is_some_and(|last| user_ref <= last.user_ref)
            })
    }

    /// The pair that an order was sent to, as far as that is remembered.
    pub(super) fn home(&self, user_ref: u32) -> Option<Slot> {
        let at = self.homes.binary_search_by_key(&user_ref, |(number, _)| *number).ok()?;
        Some(self.homes[at].1)
    }

    /// The number after the highest that the router itself has refused.
    pub(super) fn next_after_refused(&self) -> u32 {
        self.refused.saturating_add(1)
    }

    /// The lowest number that a new order may use, as far as is known of this pair without asking it.
    pub(super) fn next_after(&self, slot: Slot) -> u32 {
        let last = self.last_under_way(slot);
        let used = self.used.get(slot).copied().unwrap_or(0);
        last.max(used).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 14] = *b"id            ";

    fn numbers(order: &[UnderWay]) -> Vec<u32> {
        order.iter().map(|order| order.user_ref).collect()
    }

    #[test]
    fn what_a_pair_says_is_next_parts_what_was_taken_from_what_never_was() {
        let mut known = Numbers::default();
        for user_ref in [1, 2, 4, 5, 7] {
            known.sent(0, user_ref, ID);
        }
        known.sent(1, 3, ID);
        known.sent(1, 6, ID);
        known.used(0, 2);
        assert_eq!((known.under_way(0), known.under_way(1)), (3, 2));
        // The connection broke after 4.
        assert_eq!(numbers(&known.next_is(0, 5, 7)), [5, 7]);
        known.refuse(5);
        known.refuse(7);
        assert_eq!(known.under_way(0), 0);
        // The other pair has taken both.
        assert_eq!(numbers(&known.next_is(1, 7, 6)), [0; 0]);
        assert_eq!([known.next_after(0), known.next_after(1), known.next_after_refused()], [5, 7, 8]);
        // Orders that were sent after the question are none of the answer's business.
        known.sent(0, 8, ID);
        known.sent(0, 9, ID);
        known.sent(0, 10, ID);
        assert_eq!(numbers(&known.next_is(0, 9, 9)), [9]);
        assert_eq!(known.under_way(0), 1);
    }

    #[test]
    fn a_number_is_used_once_across_pairs() {
        let mut known = Numbers::default();
        known.sent(0, 5, ID);
        assert!(known.is_repetition(1, 5) && known.is_repetition(1, 4) && !known.is_repetition(1, 6));
        // The same pair sees for itself.
        assert!(!known.is_repetition(0, 5));
        known.used(0, 5);
        assert!(known.is_repetition(0, 5) && known.is_repetition(1, 5) && !known.is_repetition(0, 6));
        known.refuse(9);
        assert!(known.is_repetition(0, 9) && !known.is_repetition(1, 10));
    }

    #[test]
    fn the_latest_orders_are_found_again_and_memory_is_bounded() {
        let mut known = Numbers::default();
        let many = HOMES_MAX as u32 + 10;
        for user_ref in 1..=many {
            known.note(&Entry::Sent { slot: (user_ref % 3) as usize, user_ref, client_order_id: ID });
        }
        assert_eq!(known.home(many), Some((many % 3) as usize));
        assert_eq!(known.home(11), Some(2));
        assert_eq!((known.home(10), known.home(many + 1)), (None, None));
        assert_eq!([0, 1, 2].map(|slot| known.under_way(slot)), [UNDER_WAY_MAX; 3]);
        // A number that an ignored replacement had not used up is used at another pair.
        known.sent(0, many, ID);
        assert_eq!((known.home(many), known.homes.len()), (Some(0), HOMES_MAX));
    }

    #[test]
    fn the_file_says_what_was_refused() {
        let mut known = Numbers::default();
        known.note(&Entry::Sent { slot: 0, user_ref: 1, client_order_id: ID });
        known.note(&Entry::Sent { slot: 0, user_ref: 2, client_order_id: ID });
        let mut bytes = Vec::new();
        let rejected =
            wire::ouch::outbound::Rejected { timestamp: 1, user_ref: 2, reason: 1, client_order_id: ID };
        rejected.encode(&mut bytes);
        known.note(&Entry::Own(bytes));
        let left = known.next_is(0, 1, 1);
        assert_eq!(left, [UnderWay { user_ref: 1, client_order_id: ID }]);
        assert!(known.is_repetition(0, 2));
    }
}
