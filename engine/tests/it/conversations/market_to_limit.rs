//! Market-to-limit.

pub(super) const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "it takes the best price, and what is left is a limit order there",
        "s1 sell 5 @ 100
         > accepted #1
         s1 sell 5 @ 101
         > accepted #2
         s2 buy 8 @ best
         > accepted #3
         > trade 1: 5 @ 100, #1 leaves 0, #3 leaves 3
         > restated #3: 3 @ 100
         = 3@100#3 | 5@101#2
         s3 sell 3 @ 100
         > accepted #4
         > trade 2: 3 @ 100, #3 leaves 0, #4 leaves 0",
    ),
    (
        "filled at once it was never a limit order",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 5 @ best
         > accepted #2
         > trade 1: 5 @ 100, #1 leaves 0, #2 leaves 0",
    ),
    (
        "with nothing there it is canceled; immediate-or-cancel it does not rest",
        "s2 buy 5 @ best
         > accepted #1
         > canceled #1: 5, NoLiquidity
         s1 sell 3 @ 100
         > accepted #2
         s2 buy 5 @ best ioc
         > accepted #3
         > trade 1: 3 @ 100, #2 leaves 0, #3 leaves 2
         > canceled #3: 2, ImmediateOrCancel
         = |",
    ),
    (
        "the best price may be a hidden order's or that of an all-or-none order that it can fill",
        "s1 sell 2 @ 101
         > accepted #1
         s1 sell 2 @ 100 hidden
         > accepted #2
         s2 buy 3 @ best
         > accepted #3
         > trade 1: 2 @ 100, #2 leaves 0, #3 leaves 1
         > restated #3: 1 @ 100
         = 1@100#3 | 2@101#1
         s2 cancel #3
         > canceled #3: 1, Requested
         s1 sell 9 @ 99 aon
         > accepted #4
         s2 buy 3 @ best
         > accepted #5
         > trade 2: 2 @ 101, #1 leaves 0, #5 leaves 1
         > restated #5: 1 @ 101
         = 1@101#5 | 9(0)@99#4
         s2 cancel #5
         > canceled #5: 1, Requested
         s2 buy 10 @ best
         > accepted #6
         > trade 3: 9 @ 99, #4 leaves 0, #6 leaves 1
         > restated #6: 1 @ 99
         = 1@99#6 |",
    ),
    (
        "an all-or-none order that it cannot fill is not there",
        "s1 sell 9 @ 99 aon
         > accepted #1
         s2 buy 3 @ best
         > accepted #2
         > canceled #2: 3, NoLiquidity
         = | 9(0)@99#1",
    ),
    (
        "its minimum comes first",
        "s2 buy 5 @ best minimum 1
         > accepted #1
         > canceled #1: 5, MinimumQuantity
         s1 sell 3 @ 100
         > accepted #2
         s1 sell 3 @ 101
         > accepted #3
         s2 buy 6 @ best minimum 4
         > accepted #4
         > canceled #4: 6, MinimumQuantity
         s2 buy 6 @ best minimum 3
         > accepted #5
         > trade 1: 3 @ 100, #2 leaves 0, #5 leaves 3
         > restated #5: 3 @ 100
         = 3@100#5 | 3@101#3",
    ),
    (
        "fill-or-kill makes no sense; a plain replacement may give it a limit while it waits",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 5 @ best fok
         > rejected #2: invalid time in force
         s2 buy 5 @ best stop 100
         > accepted #3
         s3 buy 1 @ best
         > accepted #4
         > trade 1: 1 @ 100, #1 leaves 4, #4 leaves 0
         > triggered #3 at 100
         > trade 2: 4 @ 100, #1 leaves 0, #3 leaves 1
         > restated #3: 1 @ 100
         = 1@100#3 |
         s2 buy 5 @ best stop 105
         > accepted #5
         s2 replace #5 by 5 @ 98
         > replaced #5 by #6: 5 @ 98
         = 1@100#3 | | 5#6>=105",
    ),
    (
        "a replacement may become one; it keeps no place, for it has no limit yet",
        "s1 buy 5 @ 98
         > accepted #1
         s2 sell 2 @ 100
         > accepted #2
         s1 replace #1 by 5 @ best keeping
         > replaced #1 by #3: 5 @ 0
         > trade 1: 2 @ 100, #2 leaves 0, #3 leaves 3
         > restated #3: 3 @ 100
         = 3@100#3 |",
    ),
    (
        "its day ends, its date comes",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 8 @ best
         > accepted #2
         > trade 1: 5 @ 100, #1 leaves 0, #2 leaves 3
         > restated #2: 3 @ 100
         s3 sell 1 @ 101 gtc
         > accepted #3
         end of day
         > canceled #2: 3, EndOfDay
         = | 1@101#3
         s2 buy 8 @ best gtd 6000
         > accepted #4
         > trade 2: 1 @ 101, #3 leaves 0, #4 leaves 7
         > restated #4: 7 @ 101
         = 7@101#4 |
         advance
         > canceled #4: 7, Expired
         = |",
    ),
];
