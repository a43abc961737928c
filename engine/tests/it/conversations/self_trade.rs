//! Self-trade prevention, as the incoming order asks.

pub(super) const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "cancel newest: what is left of the incoming order goes",
        "s1 sell 5 @ 100
         > accepted #1
         s2 sell 5 @ 100 group 1 oldest
         > accepted #2
         s3 sell 5 @ 100
         > accepted #3
         s2 buy 12 @ 100 group 1 newest
         > accepted #4
         > trade 1: 5 @ 100, #1 leaves 0, #4 leaves 7
         > canceled #4: 7, SelfTrade
         = | 5@100#2 5@100#3",
    ),
    (
        "cancel oldest: the resting order goes, the incoming one goes on",
        "s1 sell 5 @ 100
         > accepted #1
         s2 sell 5 @ 100 group 1 newest
         > accepted #2
         s3 sell 5 @ 100
         > accepted #3
         s2 buy 12 @ 100 group 1 oldest
         > accepted #4
         > trade 1: 5 @ 100, #1 leaves 0, #4 leaves 7
         > canceled #2: 5, SelfTrade
         > trade 2: 5 @ 100, #3 leaves 0, #4 leaves 2
         = 2@100#4 |",
    ),
    (
        "cancel both",
        "s1 sell 5 @ 100
         > accepted #1
         s2 sell 5 @ 100 group 1 newest
         > accepted #2
         s3 sell 5 @ 100
         > accepted #3
         s2 buy 12 @ 100 group 1 both
         > accepted #4
         > trade 1: 5 @ 100, #1 leaves 0, #4 leaves 7
         > canceled #2: 5, SelfTrade
         > canceled #4: 7, SelfTrade
         = | 5@100#3",
    ),
    (
        "decrement: both lose the smaller size, nobody trades",
        "s2 sell 5 @ 100 group 1 newest
         > accepted #1
         s3 sell 5 @ 100
         > accepted #2
         s2 buy 12 @ 100 group 1 decrement
         > accepted #3
         > canceled #1: 5, SelfTrade
         > decremented #3 by 5 to 7 @ 100, came
         > trade 1: 5 @ 100, #2 leaves 0, #3 leaves 2
         = 2@100#3 |
         s2 sell 3 @ 100 group 1 decrement
         > accepted #4
         > canceled #3: 2, SelfTrade
         > decremented #4 by 2 to 1 @ 100, came
         = | 1@100#4
         s2 sell 4 @ 100 group 1 decrement
         > accepted #5
         = | 1@100#4 4@100#5",
    ),
    (
        "other groups, and orders without one, trade",
        "s1 sell 5 @ 100 group 1 newest
         > accepted #1
         s1 buy 2 @ 100 group 2 newest
         > accepted #2
         > trade 1: 2 @ 100, #1 leaves 3, #2 leaves 0
         s1 buy 2 @ 100
         > accepted #3
         > trade 2: 2 @ 100, #1 leaves 1, #3 leaves 0
         s2 buy 1 @ 100 group 1 newest
         > accepted #4
         > canceled #4: 1, SelfTrade
         = | 1@100#1",
    ),
    (
        "an order of its group out of reach is not met",
        "s1 sell 5 @ 101 group 1 newest
         > accepted #1
         s1 buy 5 @ 100 group 1 newest
         > accepted #2
         = 5@100#2 | 5@101#1",
    ),
    (
        "one that is filled before it gets there does not meet it",
        "s2 sell 5 @ 100
         > accepted #1
         s1 sell 5 @ 100 group 1 newest
         > accepted #2
         s1 buy 5 @ 100 group 1 both
         > accepted #3
         > trade 1: 5 @ 100, #1 leaves 0, #3 leaves 0
         = | 5@100#2",
    ),
    (
        "fill-or-kill counts nothing behind the first of its group, or all but those",
        "s2 sell 5 @ 100
         > accepted #1
         s1 sell 5 @ 100 group 1 newest
         > accepted #2
         s3 sell 5 @ 100
         > accepted #3
         s1 buy 10 @ 100 fok group 1 newest
         > accepted #4
         > canceled #4: 10, FillOrKill
         s1 buy 10 @ 100 fok group 1 both
         > accepted #5
         > canceled #5: 10, FillOrKill
         s1 buy 10 @ 100 fok group 1 decrement
         > accepted #6
         > canceled #6: 10, FillOrKill
         s1 buy 5 @ 100 fok group 1 decrement
         > accepted #7
         > trade 1: 5 @ 100, #1 leaves 0, #7 leaves 0
         s2 sell 5 @ 100
         > accepted #8
         s1 buy 10 @ 100 fok group 1 oldest
         > accepted #9
         > canceled #2: 5, SelfTrade
         > trade 2: 5 @ 100, #3 leaves 0, #9 leaves 5
         > trade 3: 5 @ 100, #8 leaves 0, #9 leaves 0
         = |",
    ),
    (
        "a minimum that stands before the first of its group is met",
        "s2 sell 5 @ 100
         > accepted #1
         s1 sell 5 @ 100 group 1 newest
         > accepted #2
         s3 sell 5 @ 100
         > accepted #3
         s1 buy 13 @ 100 group 1 decrement minimum 6
         > accepted #4
         > canceled #4: 13, MinimumQuantity
         s1 buy 13 @ 100 group 1 decrement minimum 5
         > accepted #5
         > trade 1: 5 @ 100, #1 leaves 0, #5 leaves 8
         > canceled #2: 5, SelfTrade
         > decremented #5 by 5 to 3 @ 100, came
         > trade 2: 3 @ 100, #3 leaves 2, #5 leaves 0
         = | 2@100#3",
    ),
    (
        "a decremented iceberg loses what it shows, and shows the next part",
        "s1 sell 10 @ 100 iceberg 4 group 1 newest
         > accepted #1
         s2 sell 1 @ 100
         > accepted #2
         s1 buy 6 @ 100 group 1 decrement
         > accepted #3
         > decremented #1 by 4 to 6 @ 100, there first
         > decremented #3 by 4 to 2 @ 100, came
         > refreshed #1: 4 of 6
         > trade 1: 1 @ 100, #2 leaves 0, #3 leaves 1
         > decremented #1 by 1 to 5 @ 100, there first
         > canceled #3: 1, SelfTrade
         = | 5(3)@100#1",
    ),
    (
        "of a hidden order all that is open counts, of an all-or-none order too",
        "s1 sell 10 @ 100 hidden group 1 newest
         > accepted #1
         s1 buy 6 @ 100 group 1 decrement
         > accepted #2
         > decremented #1 by 6 to 4 @ 100, there first
         > canceled #2: 6, SelfTrade
         = | 4(0)@100#1
         s1 cancel #1
         > canceled #1: 4, Requested
         s1 sell 6 @ 100 aon group 1 newest
         > accepted #3
         s1 buy 4 @ 100 group 1 decrement
         > accepted #4
         = 4@100#4 | 6(0)@100#3
         s1 sell 7 @ 99 group 1 decrement
         > accepted #5
         > canceled #4: 4, SelfTrade
         > decremented #5 by 4 to 3 @ 100, came
         = | 3@99#5 6(0)@100#3",
    ),
    (
        "an all-or-none order of its group that it passes over is not met",
        "s1 sell 10 @ 100 aon group 1 newest
         > accepted #1
         s2 sell 2 @ 100
         > accepted #2
         s1 buy 6 @ 100 group 1 newest
         > accepted #3
         > trade 1: 2 @ 100, #2 leaves 0, #3 leaves 4
         = 4@100#3 | 10(0)@100#1",
    ),
    (
        "an all-or-none order comes in or is tried again with its own policy",
        "s1 sell 5 @ 100 group 1 newest
         > accepted #1
         s2 sell 3 @ 101
         > accepted #2
         s1 buy 3 @ 101 aon group 1 newest
         > accepted #3
         = 3(0)@101#3 | 5@100#1 3@101#2
         s1 replace #3 by 3 @ 101 with aon group 1 oldest
         > replaced #3 by #4: 3 @ 101
         > canceled #1: 5, SelfTrade
         > trade 1: 3 @ 101, #2 leaves 0, #4 leaves 0
         = |
         s1 sell 5 @ 100 group 1 newest
         > accepted #5
         s1 buy 3 @ 101 aon group 1 oldest
         > accepted #6
         = 3(0)@101#6 | 5@100#5
         s2 sell 2 @ 101
         > accepted #7
         = 3(0)@101#6 | 5@100#5 2@101#7
         s2 sell 1 @ 101
         > accepted #8
         > canceled #5: 5, SelfTrade
         > trade 2: 2 @ 101, #7 leaves 0, #6 leaves 1
         > trade 3: 1 @ 101, #8 leaves 0, #6 leaves 0
         = |",
    ),
    (
        "a market order and a stop ask for the same",
        "s1 sell 5 @ 100 group 1 newest
         > accepted #1
         s1 buy 5 @ market group 1 newest
         > accepted #2
         > canceled #2: 5, SelfTrade
         s1 buy 5 @ market stop 99 group 1 both
         > accepted #3
         s2 sell 1 @ 99
         > accepted #4
         s3 buy 1 @ 99
         > accepted #5
         > trade 1: 1 @ 99, #4 leaves 0, #5 leaves 0
         > triggered #3 at 99
         > canceled #1: 5, SelfTrade
         > canceled #3: 5, SelfTrade
         = |",
    ),
    (
        "a replacement keeps its group, or brings its own",
        "s1 sell 5 @ 100 group 1 newest
         > accepted #1
         s1 buy 5 @ 99 group 1 newest
         > accepted #2
         s1 replace #2 by 5 @ 100
         > replaced #2 by #3: 5 @ 100
         > canceled #3: 5, SelfTrade
         = | 5@100#1
         s1 buy 5 @ 99 group 1 newest
         > accepted #4
         s1 replace #4 by 5 @ 100 with group 2 newest
         > replaced #4 by #5: 5 @ 100
         > trade 1: 5 @ 100, #1 leaves 0, #5 leaves 0
         = |",
    ),
];
