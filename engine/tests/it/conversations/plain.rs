//! Orders without instructions.

pub(super) const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "an order alone rests",
        "s1 buy 10 @ 100
         > accepted #1
         = 10@100#1 |
         s1 sell 5 @ 101 gtc
         > accepted #2
         = 10@100#1 | 5@101#2",
    ),
    (
        "trades are at the resting order's price, also when the incoming one would pay more",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 5 @ 107
         > accepted #2
         > trade 1: 5 @ 100, #1 leaves 0, #2 leaves 0
         = |
         s1 buy 5 @ 100
         > accepted #3
         s2 sell 5 @ 93
         > accepted #4
         > trade 2: 5 @ 100, #3 leaves 0, #4 leaves 0
         = |",
    ),
    (
        "equal prices cross, a tick apart they do not",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 5 @ 99
         > accepted #2
         = 5@99#2 | 5@100#1
         s2 buy 2 @ 100
         > accepted #3
         > trade 1: 2 @ 100, #1 leaves 3, #3 leaves 0
         = 5@99#2 | 3@100#1",
    ),
    (
        "the better price comes first, then the earlier order",
        "s1 sell 5 @ 102
         > accepted #1
         s2 sell 5 @ 101
         > accepted #2
         s3 sell 5 @ 101
         > accepted #3
         s4 sell 5 @ 100
         > accepted #4
         = | 5@100#4 5@101#2 5@101#3 5@102#1
         s5 buy 17 @ 102
         > accepted #5
         > trade 1: 5 @ 100, #4 leaves 0, #5 leaves 12
         > trade 2: 5 @ 101, #2 leaves 0, #5 leaves 7
         > trade 3: 5 @ 101, #3 leaves 0, #5 leaves 2
         > trade 4: 2 @ 102, #1 leaves 3, #5 leaves 0
         = | 3@102#1",
    ),
    (
        "for sellers the better bid is the higher",
        "s1 buy 1 @ -2
         > accepted #1
         s1 buy 1 @ 3
         > accepted #2
         s1 buy 1 @ 0
         > accepted #3
         = 1@3#2 1@0#3 1@-2#1 |
         s2 sell 2 @ -1
         > accepted #4
         > trade 1: 1 @ 3, #2 leaves 0, #4 leaves 1
         > trade 2: 1 @ 0, #3 leaves 0, #4 leaves 0
         = 1@-2#1 |",
    ),
    (
        "an order filled in part keeps its place",
        "s1 buy 10 @ 100
         > accepted #1
         s2 buy 10 @ 100
         > accepted #2
         s3 sell 4 @ 100
         > accepted #3
         > trade 1: 4 @ 100, #1 leaves 6, #3 leaves 0
         s3 sell 8 @ 100
         > accepted #4
         > trade 2: 6 @ 100, #1 leaves 0, #4 leaves 2
         > trade 3: 2 @ 100, #2 leaves 8, #4 leaves 0
         = 8@100#2 |",
    ),
    (
        "what is left of an incoming limit order rests at its own price",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 8 @ 103
         > accepted #2
         > trade 1: 5 @ 100, #1 leaves 0, #2 leaves 3
         = 3@103#2 |",
    ),
    (
        "a session may trade with itself",
        "s1 sell 5 @ 100
         > accepted #1
         s1 buy 5 @ 100
         > accepted #2
         > trade 1: 5 @ 100, #1 leaves 0, #2 leaves 0",
    ),
    (
        "immediate-or-cancel takes what there is",
        "s1 sell 5 @ 100
         > accepted #1
         s1 sell 5 @ 102
         > accepted #2
         s2 buy 8 @ 101 ioc
         > accepted #3
         > trade 1: 5 @ 100, #1 leaves 0, #3 leaves 3
         > canceled #3: 3, ImmediateOrCancel
         s2 buy 1 @ 101 ioc
         > accepted #4
         > canceled #4: 1, ImmediateOrCancel
         = | 5@102#2",
    ),
    (
        "fill-or-kill is filled whole, over as many prices as it takes",
        "s1 sell 5 @ 100
         > accepted #1
         s1 sell 5 @ 101
         > accepted #2
         s2 buy 8 @ 101 fok
         > accepted #3
         > trade 1: 5 @ 100, #1 leaves 0, #3 leaves 3
         > trade 2: 3 @ 101, #2 leaves 2, #3 leaves 0
         = | 2@101#2",
    ),
    (
        "fill-or-kill trades nothing when its limit does not reach all it wants",
        "s1 sell 5 @ 100
         > accepted #1
         s1 sell 5 @ 101
         > accepted #2
         s2 buy 6 @ 100 fok
         > accepted #3
         > canceled #3: 6, FillOrKill
         s2 buy 11 @ 200 fok
         > accepted #4
         > canceled #4: 11, FillOrKill
         = | 5@100#1 5@101#2
         s2 buy 10 @ 101 fok
         > accepted #5
         > trade 1: 5 @ 100, #1 leaves 0, #5 leaves 5
         > trade 2: 5 @ 101, #2 leaves 0, #5 leaves 0
         = |",
    ),
    (
        "a market order takes any price and never rests",
        "s1 sell 5 @ 9223372036854775806
         > accepted #1
         s2 buy 3 @ market
         > accepted #2
         > trade 1: 3 @ 9223372036854775806, #1 leaves 2, #2 leaves 0
         s2 buy 3 @ market gtc
         > accepted #3
         > trade 2: 2 @ 9223372036854775806, #1 leaves 0, #3 leaves 1
         > canceled #3: 1, NoLiquidity
         s2 buy 3 @ market ioc
         > accepted #4
         > canceled #4: 3, NoLiquidity
         = |
         s1 buy 5 @ -9223372036854775807
         > accepted #5
         s2 sell 5 @ market
         > accepted #6
         > trade 3: 5 @ -9223372036854775807, #5 leaves 0, #6 leaves 0",
    ),
    (
        "a market order may be fill-or-kill",
        "s1 buy 5 @ 100
         > accepted #1
         s2 sell 6 @ market fok
         > accepted #2
         > canceled #2: 6, FillOrKill
         s2 sell 5 @ market fok
         > accepted #3
         > trade 1: 5 @ 100, #1 leaves 0, #3 leaves 0",
    ),
    (
        "an order for nothing is refused, and its number is used up",
        "s1 buy 0 @ 100
         > rejected #1: invalid quantity
         s1 buy 0 @ market
         > rejected #2: invalid quantity
         s1 cancel #1
         > cancel rejected #1: unknown order
         s1 buy 1 @ 100
         > accepted #3
         = 1@100#3 |",
    ),
    (
        "a side holds 2^64 - 1 lots and not one more",
        "s1 buy 18446744073709551614 @ 100
         > accepted #1
         s1 buy 2 @ 99
         > rejected #2: invalid quantity
         s1 buy 1 @ 99
         > accepted #3
         s1 buy 1 @ 98
         > rejected #4: invalid quantity
         s2 sell 18446744073709551615 @ 101
         > accepted #5
         = 18446744073709551614@100#1 1@99#3 | 18446744073709551615@101#5",
    ),
    (
        "the room on a side is asked for the whole order, even if the other side would take it",
        "s1 buy 18446744073709551615 @ 100
         > accepted #1
         s2 sell 5 @ 101
         > accepted #2
         s1 buy 5 @ 101
         > rejected #3: invalid quantity
         s1 buy 5 @ 101 ioc
         > accepted #4
         > trade 1: 5 @ 101, #2 leaves 0, #4 leaves 0
         = 18446744073709551615@100#1 |",
    ),
    (
        "a cancel takes what is left, wherever the order stands",
        "s1 buy 1 @ 100
         > accepted #1
         s1 buy 2 @ 100
         > accepted #2
         s1 buy 3 @ 100
         > accepted #3
         s1 buy 4 @ 101
         > accepted #4
         s2 sell 1 @ 101
         > accepted #5
         > trade 1: 1 @ 101, #4 leaves 3, #5 leaves 0
         s1 cancel #4
         > canceled #4: 3, Requested
         s1 cancel #2
         > canceled #2: 2, Requested
         = 1@100#1 3@100#3 |
         s1 cancel #3
         > canceled #3: 3, Requested
         s1 cancel #1
         > canceled #1: 1, Requested
         = |",
    ),
    (
        "only the owner cancels, under the order's own number, and only once",
        "s1 buy 1 @ 100
         > accepted #1
         s2 cancel #1
         > cancel rejected #1: unknown order
         s1 cancel #1 as 2
         > cancel rejected #1: unknown order
         s1 cancel #0
         > cancel rejected #0: unknown order
         s1 cancel #2
         > cancel rejected #2: unknown order
         s1 cancel #17592186044415
         > cancel rejected #17592186044415: unknown order
         s1 cancel #1
         > canceled #1: 1, Requested
         s1 cancel #1
         > cancel rejected #1: unknown order",
    ),
    (
        "a filled order is unknown",
        "s1 buy 1 @ 100
         > accepted #1
         s2 sell 1 @ 100
         > accepted #2
         > trade 1: 1 @ 100, #1 leaves 0, #2 leaves 0
         s1 cancel #1
         > cancel rejected #1: unknown order
         s2 reduce #2 to 0
         > cancel rejected #2: unknown order
         s1 replace #1 by 5 @ 100
         > replace rejected #1 by #3: unknown order",
    ),
    (
        "a reduced order keeps its place",
        "s1 buy 10 @ 100
         > accepted #1
         s2 buy 10 @ 100
         > accepted #2
         s1 reduce #1 to 4
         > reduced #1 by 6 to 4
         = 4@100#1 10@100#2 |
         s1 modify #1 to 3
         > reduced #1 by 1 to 3, side T
         s3 sell 5 @ 100
         > accepted #3
         > trade 1: 3 @ 100, #1 leaves 0, #3 leaves 2
         > trade 2: 2 @ 100, #2 leaves 8, #3 leaves 0",
    ),
    (
        "the size that a reduction asks for counts what has been executed",
        "s1 buy 10 @ 100
         > accepted #1
         s2 sell 4 @ 100
         > accepted #2
         > trade 1: 4 @ 100, #1 leaves 6, #2 leaves 0
         s1 reduce #1 to 10
         > cancel rejected #1: invalid quantity
         s1 reduce #1 to 11
         > cancel rejected #1: invalid quantity
         s1 reduce #1 to 7
         > reduced #1 by 3 to 3
         = 3@100#1 |
         s1 reduce #1 to 4
         > canceled #1: 3, Requested
         = |",
    ),
    (
        "a reduction to nothing, or below what has been executed, cancels the rest",
        "s1 buy 10 @ 100
         > accepted #1
         s1 reduce #1 to 0
         > canceled #1: 10, Requested
         s1 buy 10 @ 100
         > accepted #2
         s2 sell 4 @ 100
         > accepted #3
         > trade 1: 4 @ 100, #2 leaves 6, #3 leaves 0
         s1 reduce #2 to 3
         > canceled #2: 6, Requested",
    ),
    (
        "a replacement goes to the end of the queue",
        "s1 buy 10 @ 100
         > accepted #1
         s2 buy 10 @ 100
         > accepted #2
         s1 replace #1 by 10 @ 100
         > replaced #1 by #3: 10 @ 100
         = 10@100#2 10@100#3 |
         s1 cancel #1
         > cancel rejected #1: unknown order
         s1 cancel #3
         > canceled #3: 10, Requested",
    ),
    (
        "a replacement that may keep its place does, at the same price and for no more",
        "s1 buy 10 @ 100
         > accepted #1
         s2 buy 10 @ 100
         > accepted #2
         s1 replace #1 by 10 @ 100 keeping
         > replaced #1 by #3: 10 @ 100, in its place
         s1 replace #3 by 6 @ 100 gtc keeping
         > replaced #3 by #4: 6 @ 100, in its place
         = 6@100#4 10@100#2 |
         s1 replace #4 by 7 @ 100 keeping
         > replaced #4 by #5: 7 @ 100
         = 10@100#2 7@100#5 |
         s2 replace #2 by 10 @ 99 keeping
         > replaced #2 by #6: 10 @ 99
         = 7@100#5 10@99#6 |",
    ),
    (
        "what may not rest may not keep a place",
        "s1 buy 10 @ 100
         > accepted #1
         s1 replace #1 by 10 @ 100 ioc keeping
         > replaced #1 by #2: 10 @ 100
         > canceled #2: 10, ImmediateOrCancel
         s1 buy 10 @ 100
         > accepted #3
         s1 replace #3 by 10 @ 100 fok keeping
         > replaced #3 by #4: 10 @ 100
         > canceled #4: 10, FillOrKill
         s1 buy 10 @ 100
         > accepted #5
         s1 replace #5 by 10 @ market keeping
         > replaced #5 by #6: 10 @ 0
         > canceled #6: 10, NoLiquidity
         = |",
    ),
    (
        "a replacement trades like a new order",
        "s1 buy 10 @ 99
         > accepted #1
         s2 sell 4 @ 100
         > accepted #2
         s2 sell 4 @ 101
         > accepted #3
         s1 replace #1 by 10 @ 100
         > replaced #1 by #4: 10 @ 100
         > trade 1: 4 @ 100, #2 leaves 0, #4 leaves 6
         = 6@100#4 | 4@101#3
         s1 replace #4 by 10 @ 101 ioc
         > replaced #4 by #5: 6 @ 101
         > trade 2: 4 @ 101, #3 leaves 0, #5 leaves 2
         > canceled #5: 2, ImmediateOrCancel
         = |",
    ),
    (
        "the size of a replacement counts what has been executed on those before it",
        "s1 buy 10 @ 100
         > accepted #1
         s2 sell 4 @ 100
         > accepted #2
         > trade 1: 4 @ 100, #1 leaves 6, #2 leaves 0
         s1 replace #1 by 12 @ 100
         > replaced #1 by #3: 8 @ 100
         s2 sell 3 @ 100
         > accepted #4
         > trade 2: 3 @ 100, #3 leaves 5, #4 leaves 0
         s1 replace #3 by 9 @ 101
         > replaced #3 by #5: 2 @ 101
         s1 reduce #5 to 8
         > reduced #5 by 1 to 1
         = 1@101#5 |
         s1 replace #5 by 7 @ 101
         > canceled #5: 1, InvalidReplacement
         > replace rejected #5 by #6: invalid quantity
         = |",
    ),
    (
        "a replacement for nothing cancels the old order",
        "s1 buy 10 @ 100
         > accepted #1
         s1 replace #1 by 0 @ 100 keeping
         > canceled #1: 10, InvalidReplacement
         > replace rejected #1 by #2: invalid quantity
         = |
         s1 cancel #2
         > cancel rejected #2: unknown order",
    ),
    (
        "a replacement that its side has no room for cancels the old order",
        "s1 buy 10 @ 100
         > accepted #1
         s2 buy 18446744073709551605 @ 99
         > accepted #2
         s1 replace #1 by 11 @ 100
         > canceled #1: 10, InvalidReplacement
         > replace rejected #1 by #3: invalid quantity
         s1 buy 10 @ 100
         > accepted #4
         s1 replace #4 by 10 @ 101
         > replaced #4 by #5: 10 @ 101
         s1 replace #5 by 11 @ 100 ioc
         > replaced #5 by #6: 11 @ 100
         > canceled #6: 11, ImmediateOrCancel
         = 18446744073709551605@99#2 |",
    ),
    (
        "only the owner replaces; a refused replacement uses its number up",
        "s1 buy 10 @ 100
         > accepted #1
         s2 replace #1 by 5 @ 100
         > replace rejected #1 by #2: unknown order
         s1 replace #3 by 5 @ 100
         > replace rejected #3 by #3: unknown order
         s1 replace #1 by 5 @ 100
         > replaced #1 by #4: 5 @ 100
         = 5@100#4 |",
    ),
    (
        "the day's end cancels Day orders, bids then asks, each in priority",
        "s1 sell 1 @ 102
         > accepted #1
         s1 sell 2 @ 101
         > accepted #2
         s1 buy 3 @ 99
         > accepted #3
         s1 buy 4 @ 100
         > accepted #4
         s1 buy 5 @ 100 gtc
         > accepted #5
         s1 buy 6 @ 100
         > accepted #6
         s1 sell 7 @ 103 gtc
         > accepted #7
         end of day
         > canceled #4: 4, EndOfDay
         > canceled #6: 6, EndOfDay
         > canceled #3: 3, EndOfDay
         > canceled #2: 2, EndOfDay
         > canceled #1: 1, EndOfDay
         = 5@100#5 | 7@103#7
         end of day
         s1 cancel #3
         > cancel rejected #3: unknown order
         s1 sell 5 @ 100
         > accepted #8
         > trade 1: 5 @ 100, #5 leaves 0, #8 leaves 0",
    ),
    (
        "a replacement has its own time in force",
        "s1 buy 1 @ 100
         > accepted #1
         s1 replace #1 by 1 @ 100 gtc keeping
         > replaced #1 by #2: 1 @ 100, in its place
         s1 buy 1 @ 100 gtc
         > accepted #3
         s1 replace #3 by 1 @ 100 keeping
         > replaced #3 by #4: 1 @ 100, in its place
         end of day
         > canceled #4: 1, EndOfDay
         = 1@100#2 |",
    ),
];
