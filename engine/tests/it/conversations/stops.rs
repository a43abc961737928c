//! Stops, trailing stops, and their turns.

pub(super) const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "a stop waits for a trade at its trigger or beyond, and is in no level",
        "s1 buy 5 @ 103 stop 102
         > accepted #1
         = | | 5#1>=102
         ~ |
         s2 sell 3 @ 101
         > accepted #2
         s3 buy 1 @ 101
         > accepted #3
         > trade 1: 1 @ 101, #2 leaves 2, #3 leaves 0
         s2 sell 3 @ 102
         > accepted #4
         s3 buy 3 @ 102
         > accepted #5
         > trade 2: 2 @ 101, #2 leaves 0, #5 leaves 1
         > trade 3: 1 @ 102, #4 leaves 2, #5 leaves 0
         > triggered #1 at 102
         > trade 4: 2 @ 102, #4 leaves 0, #1 leaves 3
         = 3@103#1 |",
    ),
    (
        "a sell is triggered at or below",
        "s1 sell 5 @ market stop 98
         > accepted #1
         s2 buy 3 @ 99
         > accepted #2
         s2 buy 3 @ 97
         > accepted #3
         s3 sell 3 @ 99
         > accepted #4
         > trade 1: 3 @ 99, #2 leaves 0, #4 leaves 0
         s3 sell 1 @ 97
         > accepted #5
         > trade 2: 1 @ 97, #3 leaves 2, #5 leaves 0
         > triggered #1 at 97
         > trade 3: 2 @ 97, #3 leaves 0, #1 leaves 3
         > canceled #1: 3, NoLiquidity
         = |",
    ),
    (
        "the last trade may have reached it when it comes: its turn comes at once",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 1 @ 100
         > accepted #2
         > trade 1: 1 @ 100, #1 leaves 4, #2 leaves 0
         s3 buy 2 @ 100 stop 100
         > accepted #3
         > triggered #3 at 100
         > trade 2: 2 @ 100, #1 leaves 2, #3 leaves 0
         s3 buy 2 @ market stop 99
         > accepted #4
         > triggered #4 at 100
         > trade 3: 2 @ 100, #1 leaves 0, #4 leaves 0
         s3 buy 2 @ 100 stop 101
         > accepted #5
         = | | 2#5>=101",
    ),
    (
        "in a book without a trade it waits",
        "s1 buy 5 @ 100 stop -5
         > accepted #1
         = | | 5#1>=-5",
    ),
    (
        "lowest trigger first for buys, then highest first for sells, then by time",
        "s1 sell 1 @ 100
         > accepted #1
         s1 sell 1 @ 99
         > accepted #2
         s9 sell 1 @ 98 stop 100
         > accepted #3
         s9 sell 2 @ 98 stop 101
         > accepted #4
         s9 sell 3 @ 98 stop 101
         > accepted #5
         s8 buy 4 @ 97 stop 100
         > accepted #6
         s8 buy 5 @ 97 stop 99
         > accepted #7
         s8 buy 6 @ 97 stop 99
         > accepted #8
         = | 1@99#2 1@100#1 | 5#7>=99 6#8>=99 4#6>=100 2#4<=101 3#5<=101 1#3<=100
         s2 buy 2 @ 100
         > accepted #9
         > trade 1: 1 @ 99, #2 leaves 0, #9 leaves 1
         > triggered #7 at 99
         > triggered #8 at 99
         > triggered #4 at 99
         > triggered #5 at 99
         > triggered #3 at 99
         > trade 2: 1 @ 100, #1 leaves 0, #9 leaves 0
         > triggered #6 at 100
         = 5@97#7 6@97#8 4@97#6 | 2@98#4 3@98#5 1@98#3",
    ),
    (
        "a triggered order takes its turn when the command has done all it asks",
        "s1 sell 5 @ 100
         > accepted #1
         s1 sell 5 @ 101
         > accepted #2
         s2 buy 3 @ market stop 100
         > accepted #3
         s3 buy 7 @ 101
         > accepted #4
         > trade 1: 5 @ 100, #1 leaves 0, #4 leaves 2
         > triggered #3 at 100
         > trade 2: 2 @ 101, #2 leaves 3, #4 leaves 0
         > trade 3: 3 @ 101, #2 leaves 0, #3 leaves 0
         = |",
    ),
    (
        "trades of one turn trigger more, and they go to the end of the queue",
        "s1 sell 1 @ 100
         > accepted #1
         s1 sell 1 @ 101
         > accepted #2
         s1 sell 1 @ 102
         > accepted #3
         s2 buy 1 @ market stop 101
         > accepted #4
         s3 buy 1 @ market stop 100
         > accepted #5
         s4 buy 1 @ 200 stop 100
         > accepted #6
         s5 buy 1 @ 100
         > accepted #7
         > trade 1: 1 @ 100, #1 leaves 0, #7 leaves 0
         > triggered #5 at 100
         > triggered #6 at 100
         > trade 2: 1 @ 101, #2 leaves 0, #5 leaves 0
         > triggered #4 at 101
         > trade 3: 1 @ 102, #3 leaves 0, #6 leaves 0
         > canceled #4: 1, NoLiquidity
         = |",
    ),
    (
        "what is left of a stop-limit order rests, queued by the command that gave it its turn",
        "s1 sell 1 @ 100
         > accepted #1
         s2 buy 5 @ 100 stop 100
         > accepted #2
         s3 buy 1 @ 100
         > accepted #3
         > trade 1: 1 @ 100, #1 leaves 0, #3 leaves 0
         > triggered #2 at 100
         = 5@100#2 |",
    ),
    (
        "a trailing stop follows the best trade since it came",
        "s1 sell 9 @ 100
         > accepted #1
         s2 buy 1 @ 100
         > accepted #2
         > trade 1: 1 @ 100, #1 leaves 8, #2 leaves 0
         s3 sell 1 @ 50 trailing 3
         > accepted #3
         = | 8@100#1 | 1#3<=97
         s1 sell 1 @ 104
         > accepted #4
         s2 buy 9 @ 104
         > accepted #5
         > trade 2: 8 @ 100, #1 leaves 0, #5 leaves 1
         > trade 3: 1 @ 104, #4 leaves 0, #5 leaves 0
         = | | 1#3<=101
         s4 buy 1 @ 102
         > accepted #6
         s5 sell 1 @ 102
         > accepted #7
         > trade 4: 1 @ 102, #6 leaves 0, #7 leaves 0
         = | | 1#3<=101
         s4 buy 2 @ 101
         > accepted #8
         s5 sell 1 @ 101
         > accepted #9
         > trade 5: 1 @ 101, #8 leaves 1, #9 leaves 0
         > triggered #3 at 101
         > trade 6: 1 @ 101, #8 leaves 0, #3 leaves 0
         = |",
    ),
    (
        "for a buy it is the lowest trade",
        "s1 buy 2 @ 100
         > accepted #1
         s2 sell 1 @ 100
         > accepted #2
         > trade 1: 1 @ 100, #1 leaves 1, #2 leaves 0
         s3 buy 1 @ market trailing 5
         > accepted #3
         = 1@100#1 | | 1#3>=105
         s1 replace #1 by 2 @ 90
         > replaced #1 by #4: 1 @ 90
         s2 sell 1 @ 90
         > accepted #5
         > trade 2: 1 @ 90, #4 leaves 0, #5 leaves 0
         = | | 1#3>=95
         s1 sell 2 @ 95
         > accepted #6
         s2 buy 1 @ 95
         > accepted #7
         > trade 3: 1 @ 95, #6 leaves 1, #7 leaves 0
         > triggered #3 at 95
         > trade 4: 1 @ 95, #6 leaves 0, #3 leaves 0
         = |",
    ),
    (
        "with no trade yet it begins with the first",
        "s3 sell 1 @ 50 trailing 3
         > accepted #1
         s3 sell 1 @ 50 stop 40
         > accepted #2
         = | | 1#2<=40 1#1<=?
         s1 sell 2 @ 100
         > accepted #3
         s2 buy 1 @ 100
         > accepted #4
         > trade 1: 1 @ 100, #3 leaves 1, #4 leaves 0
         = | 1@100#3 | 1#1<=97 1#2<=40",
    ),
    (
        "its trigger ends where prices do",
        "s1 sell 2 @ 9223372036854775800
         > accepted #1
         s2 buy 1 @ 9223372036854775800
         > accepted #2
         > trade 1: 1 @ 9223372036854775800, #1 leaves 1, #2 leaves 0
         s3 buy 1 @ 1 trailing 18446744073709551615
         > accepted #3
         s3 sell 1 @ 1 trailing 18446744073709551615
         > accepted #4
         = | 1@9223372036854775800#1 | 1#3>=9223372036854775806 1#4<=-9223372036854775807",
    ),
    (
        "one whose trigger the end of prices cut back to the last trade is triggered as it comes",
        "s1 sell 2 @ 9223372036854775806
         > accepted #1
         s2 buy 1 @ 9223372036854775806
         > accepted #2
         > trade 1: 1 @ 9223372036854775806, #1 leaves 1, #2 leaves 0
         s3 buy 1 @ 5 trailing 1
         > accepted #3
         > triggered #3 at 9223372036854775806
         = 1@5#3 | 1@9223372036854775806#1",
    ),
    (
        "one that waits for a first trade is cut by it, and reached by it when that is the end of prices",
        "s3 buy 1 @ 5 trailing 18446744073709551615
         > accepted #1
         s3 sell 1 @ 5 trailing 18446744073709551615
         > accepted #2
         s1 sell 2 @ 9223372036854775806
         > accepted #3
         s2 buy 1 @ 9223372036854775806
         > accepted #4
         > trade 1: 1 @ 9223372036854775806, #3 leaves 1, #4 leaves 0
         > triggered #1 at 9223372036854775806
         = 1@5#1 | 1@9223372036854775806#3 | 1#2<=-9223372036854775807",
    ),
    (
        "at one trigger the one that came first is the first, wherever its trigger was before, also in a book made anew",
        "s3 sell 1 @ 60 trailing 3
         > accepted #1
         s4 sell 2 @ 60 stop 97
         > accepted #2
         s5 sell 3 @ 60 trailing 4
         > accepted #3
         = | | 2#2<=97 1#1<=? 3#3<=?
         again
         s1 sell 2 @ 100
         > accepted #4
         s2 buy 1 @ 100
         > accepted #5
         > trade 1: 1 @ 100, #4 leaves 1, #5 leaves 0
         = | 1@100#4 | 1#1<=97 2#2<=97 3#3<=96
         again
         s2 buy 1 @ 101
         > accepted #6
         > trade 2: 1 @ 100, #4 leaves 0, #6 leaves 0
         s1 sell 1 @ 101
         > accepted #7
         s2 buy 1 @ 101
         > accepted #8
         > trade 3: 1 @ 101, #7 leaves 0, #8 leaves 0
         = | | 1#1<=98 2#2<=97 3#3<=97
         s1 buy 1 @ 96
         > accepted #9
         s2 sell 1 @ 96
         > accepted #10
         > trade 4: 1 @ 96, #9 leaves 0, #10 leaves 0
         > triggered #1 at 96
         > triggered #2 at 96
         > triggered #3 at 96
         = | 1@60#1 2@60#2 3@60#3",
    ),
    (
        "a plain replacement of a trailing stop goes on from where it is; one with its own begins anew",
        "s1 sell 2 @ 100
         > accepted #1
         s2 buy 1 @ 100
         > accepted #2
         > trade 1: 1 @ 100, #1 leaves 1, #2 leaves 0
         s3 sell 1 @ 50 trailing 3
         > accepted #3
         s1 sell 1 @ 110
         > accepted #4
         s2 buy 2 @ 110
         > accepted #5
         > trade 2: 1 @ 100, #1 leaves 0, #5 leaves 1
         > trade 3: 1 @ 110, #4 leaves 0, #5 leaves 0
         = | | 1#3<=107
         s4 buy 1 @ 109
         > accepted #6
         s5 sell 1 @ 109
         > accepted #7
         > trade 4: 1 @ 109, #6 leaves 0, #7 leaves 0
         s3 replace #3 by 1 @ 60
         > replaced #3 by #8: 1 @ 60
         = | | 1#8<=107
         s3 replace #8 by 1 @ 60 with trailing 3
         > replaced #8 by #9: 1 @ 60
         = | | 1#9<=106",
    ),
    (
        "a stop is canceled and reduced while it waits",
        "s1 buy 5 @ 100 stop 101
         > accepted #1
         s1 reduce #1 to 3
         > reduced #1 by 2 to 3
         = | | 3#1>=101
         s1 reduce #1 to 3
         > cancel rejected #1: invalid quantity
         s1 modify #1 to 2
         > reduced #1 by 1 to 2, side T
         s1 cancel #1
         > canceled #1: 2, Requested
         = |",
    ),
    (
        "a stop needs room on its side, though it may not rest",
        "s1 buy 18446744073709551615 @ 100 stop 101
         > accepted #1
         s2 buy 1 @ 100
         > rejected #2: invalid quantity
         s2 buy 1 @ market
         > accepted #3
         > canceled #3: 1, NoLiquidity
         s2 buy 1 @ market stop 5
         > rejected #4: invalid quantity
         = | | 18446744073709551615#1>=101",
    ),
    (
        "a trigger makes no sense at once; a trailing stop trails by something",
        "s1 buy 5 @ 100 ioc stop 101
         > rejected #1: invalid time in force
         s1 buy 5 @ market fok stop 101
         > rejected #2: invalid time in force
         s1 buy 5 @ 100 trailing 0
         > rejected #3: instructions contradict each other",
    ),
    (
        "a stop may be an iceberg, hidden, or have a date",
        "s1 sell 1 @ 100
         > accepted #1
         s1 buy 6 @ 99 stop 100 iceberg 2
         > accepted #2
         s1 buy 6 @ 99 stop 100 hidden
         > accepted #3
         s1 buy 6 @ 99 stop 100 gtd 4000
         > rejected #4: expiry has passed
         s1 buy 6 @ 99 stop 100 gtd 9000
         > accepted #5
         s2 buy 1 @ 100
         > accepted #6
         > trade 1: 1 @ 100, #1 leaves 0, #6 leaves 0
         > triggered #2 at 100
         > triggered #3 at 100
         > triggered #5 at 100
         = 6(2)@99#2 6@99#5 6(0)@99#3 |",
    ),
    (
        "what is due comes before what is asked",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 1 @ 99 stop 100 gtd 3000
         > accepted #2
         s3 buy 1 @ 100
         > canceled #2: 1, Expired
         > accepted #3
         > trade 1: 1 @ 100, #1 leaves 4, #3 leaves 0
         = | 4@100#1",
    ),
];
