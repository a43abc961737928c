//! All-or-none orders: whole or not yet.

pub(super) const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "it trades whole when it can, over as many prices as it takes",
        "s1 sell 5 @ 100
         > accepted #1
         s1 sell 5 @ 101
         > accepted #2
         s2 buy 8 @ 101 aon
         > accepted #3
         > trade 1: 5 @ 100, #1 leaves 0, #3 leaves 3
         > trade 2: 3 @ 101, #2 leaves 2, #3 leaves 0
         = | 2@101#2",
    ),
    (
        "else it rests unseen, where its limit crosses too",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 8 @ 101 aon
         > accepted #2
         = 8(0)@101#2 | 5@100#1
         ~ | 5x1@100
         s3 buy 2 @ 100
         > accepted #3
         > trade 1: 2 @ 100, #1 leaves 3, #3 leaves 0
         = 8(0)@101#2 | 3@100#1",
    ),
    (
        "an order with less left passes it over and goes on with what stands behind",
        "s1 sell 8 @ 100 aon
         > accepted #1
         s2 sell 5 @ 101
         > accepted #2
         s3 buy 6 @ 101
         > accepted #3
         > trade 1: 5 @ 101, #2 leaves 0, #3 leaves 1
         = 1@101#3 | 8(0)@100#1
         s3 buy 2 @ 99
         > accepted #4
         = 1@101#3 2@99#4 | 8(0)@100#1",
    ),
    (
        "an order that can fill it does, behind those shown and hidden at its price",
        "s1 sell 8 @ 100 aon
         > accepted #1
         s2 sell 2 @ 100 hidden
         > accepted #2
         s3 sell 2 @ 100
         > accepted #3
         s4 buy 12 @ 100
         > accepted #4
         > trade 1: 2 @ 100, #3 leaves 0, #4 leaves 10
         > trade 2: 2 @ 100, #2 leaves 0, #4 leaves 8
         > trade 3: 8 @ 100, #1 leaves 0, #4 leaves 0
         = |",
    ),
    (
        "what is left decides, not what came in",
        "s1 sell 8 @ 100 aon
         > accepted #1
         s2 sell 5 @ 100
         > accepted #2
         s4 buy 12 @ 100
         > accepted #3
         > trade 1: 5 @ 100, #2 leaves 0, #3 leaves 7
         = 7@100#3 | 8(0)@100#1",
    ),
    (
        "a new order on the other side may complete it: it trades as the incoming order",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 8 @ 101 aon
         > accepted #2
         s3 sell 3 @ 101
         > accepted #3
         > trade 1: 5 @ 100, #1 leaves 0, #2 leaves 3
         > trade 2: 3 @ 101, #3 leaves 0, #2 leaves 0
         = |",
    ),
    (
        "the prices are those of the orders that rest, so its owner never pays more than without it",
        "s2 buy 8 @ 105 aon
         > accepted #1
         s1 sell 5 @ 100
         > accepted #2
         = 8(0)@105#1 | 5@100#2
         s3 sell 3 @ 101 hidden
         > accepted #3
         > trade 1: 5 @ 100, #2 leaves 0, #1 leaves 3
         > trade 2: 3 @ 101, #3 leaves 0, #1 leaves 0
         = |",
    ),
    (
        "the all-or-none orders of a side are looked at in priority, then anew",
        "s1 buy 10 @ 102 aon
         > accepted #1
         s2 buy 4 @ 101 aon
         > accepted #2
         s3 buy 3 @ 101 aon
         > accepted #3
         s4 sell 2 @ 100
         > accepted #4
         s4 sell 2 @ 100
         > accepted #5
         > trade 1: 2 @ 100, #4 leaves 0, #2 leaves 2
         > trade 2: 2 @ 100, #5 leaves 0, #2 leaves 0
         s5 sell 3 @ 101
         > accepted #6
         > trade 3: 3 @ 101, #3 leaves 0, #6 leaves 0
         = 10(0)@102#1 |",
    ),
    (
        "two of them can trade with each other",
        "s1 buy 8 @ 100 aon
         > accepted #1
         s2 sell 8 @ 100 aon
         > accepted #2
         > trade 1: 8 @ 100, #1 leaves 0, #2 leaves 0
         = |
         s1 buy 4 @ 100 aon
         > accepted #3
         s1 buy 4 @ 100 aon
         > accepted #4
         s2 sell 8 @ 99 aon
         > accepted #5
         > trade 2: 4 @ 100, #3 leaves 0, #5 leaves 4
         > trade 3: 4 @ 100, #4 leaves 0, #5 leaves 0
         = |
         s1 buy 8 @ 100 aon
         > accepted #6
         s2 sell 4 @ 100 aon
         > accepted #7
         s3 sell 4 @ 100
         > accepted #8
         > trade 4: 4 @ 100, #8 leaves 0, #6 leaves 4
         > trade 5: 4 @ 100, #7 leaves 0, #6 leaves 0
         = |",
    ),
    (
        "one that became smaller is looked at at once; a cancel elsewhere is no reason to look",
        "s1 sell 3 @ 100
         > accepted #1
         s1 sell 2 @ 101
         > accepted #2
         s2 buy 8 @ 101 aon
         > accepted #3
         s2 reduce #3 to 6
         > reduced #3 by 2 to 6
         = 6(0)@101#3 | 3@100#1 2@101#2
         s2 reduce #3 to 5
         > reduced #3 by 1 to 5
         > trade 1: 3 @ 100, #1 leaves 0, #3 leaves 2
         > trade 2: 2 @ 101, #2 leaves 0, #3 leaves 0
         = |",
    ),
    (
        "one that became smaller by a replacement in its place is looked at, too",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 8 @ 101 aon
         > accepted #2
         s2 replace #2 by 6 @ 101 keeping
         > replaced #2 by #3: 6 @ 101, in its place
         s2 replace #3 by 5 @ 101 keeping
         > replaced #3 by #4: 5 @ 101, in its place
         > trade 1: 5 @ 100, #1 leaves 0, #4 leaves 0
         = |",
    ),
    (
        "it trades whole past a better price that does not fill it alone",
        "s1 sell 7 @ 99
         > accepted #1
         s2 sell 10 @ 100 aon
         > accepted #2
         s3 buy 10 @ 100 aon
         > accepted #3
         > trade 1: 10 @ 100, #3 leaves 0, #2 leaves 0
         = | 7@99#1",
    ),
    (
        "two that others stand in the way of wait, and a cancel does not wake them; the next order that comes to rest does",
        "s1 sell 3 @ 99 aon
         > accepted #1
         s2 buy 4 @ 101 aon
         > accepted #2
         s3 sell 10 @ 100 aon
         > accepted #3
         s4 buy 10 @ 100 aon
         > accepted #4
         = 4(0)@101#2 10(0)@100#4 | 3(0)@99#1 10(0)@100#3
         s1 cancel #1
         > canceled #1: 3, Requested
         = 4(0)@101#2 10(0)@100#4 | 10(0)@100#3
         s5 buy 1 @ 90
         > accepted #5
         = 4(0)@101#2 10(0)@100#4 1@90#5 | 10(0)@100#3
         s5 sell 1 @ 110
         > accepted #6
         > trade 1: 10 @ 100, #3 leaves 0, #4 leaves 0
         = 4(0)@101#2 1@90#5 | 1@110#6",
    ),
    (
        "fill-or-kill counts those that what is left would fill",
        "s1 sell 5 @ 100
         > accepted #1
         s2 sell 5 @ 100 aon
         > accepted #2
         s3 buy 9 @ 100 fok
         > accepted #3
         > canceled #3: 9, FillOrKill
         s3 buy 10 @ 100 fok
         > accepted #4
         > trade 1: 5 @ 100, #1 leaves 0, #4 leaves 5
         > trade 2: 5 @ 100, #2 leaves 0, #4 leaves 0
         = |",
    ),
    (
        "what makes no sense: no limit, nothing that rests, not displayed",
        "s1 sell 5 @ market aon
         > rejected #1: instructions contradict each other
         s1 sell 5 @ best aon
         > rejected #2: instructions contradict each other
         s1 sell 5 @ 100 ioc aon
         > rejected #3: instructions contradict each other
         s1 sell 5 @ 100 fok aon
         > rejected #4: instructions contradict each other
         s1 sell 5 @ 100 aon iceberg 2
         > rejected #5: instructions contradict each other
         s1 sell 5 @ 100 aon hidden
         > rejected #6: instructions contradict each other",
    ),
    (
        "a replacement comes in anew",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 8 @ 100 aon
         > accepted #2
         s2 replace #2 by 5 @ 100
         > replaced #2 by #3: 5 @ 100
         > trade 1: 5 @ 100, #1 leaves 0, #3 leaves 0
         = |
         s1 sell 5 @ 100 aon
         > accepted #4
         s1 replace #4 by 5 @ 100 ioc
         > canceled #4: 5, InvalidReplacement
         > replace rejected #4 by #5: instructions contradict each other
         = |",
    ),
    (
        "a stop may be all-or-none once it has its turn",
        "s1 sell 1 @ 100
         > accepted #1
         s1 sell 4 @ 101
         > accepted #2
         s2 buy 6 @ 101 stop 100 aon
         > accepted #3
         s3 buy 1 @ 100
         > accepted #4
         > trade 1: 1 @ 100, #1 leaves 0, #4 leaves 0
         > triggered #3 at 100
         = 6(0)@101#3 | 4@101#2
         s1 sell 2 @ 101
         > accepted #5
         > trade 2: 4 @ 101, #2 leaves 0, #3 leaves 2
         > trade 3: 2 @ 101, #5 leaves 0, #3 leaves 0
         = |",
    ),
];
