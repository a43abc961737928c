//! Hidden orders.

pub(super) const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "a hidden order is part of no level, and trades behind those that are shown",
        "s1 sell 5 @ 100 hidden
         > accepted #1
         s2 sell 5 @ 100
         > accepted #2
         = | 5@100#2 5(0)@100#1
         ~ | 5x1@100
         s3 buy 7 @ 100
         > accepted #3
         > trade 1: 5 @ 100, #2 leaves 0, #3 leaves 2
         > trade 2: 2 @ 100, #1 leaves 3, #3 leaves 0
         = | 3(0)@100#1
         s3 buy 3 @ 100
         > accepted #4
         > trade 3: 3 @ 100, #1 leaves 0, #4 leaves 0
         = |",
    ),
    (
        "a better price comes first, shown or not",
        "s1 sell 5 @ 101
         > accepted #1
         s2 sell 5 @ 100 hidden
         > accepted #2
         ~ | 5x1@101
         s3 buy 6 @ 101
         > accepted #3
         > trade 1: 5 @ 100, #2 leaves 0, #3 leaves 1
         > trade 2: 1 @ 101, #1 leaves 4, #3 leaves 0
         = | 4@101#1",
    ),
    (
        "hidden orders stand among themselves by time, and cross like any other",
        "s1 buy 5 @ 100 hidden
         > accepted #1
         s2 buy 5 @ 100 hidden
         > accepted #2
         s3 sell 7 @ 100 hidden
         > accepted #3
         > trade 1: 5 @ 100, #1 leaves 0, #3 leaves 2
         > trade 2: 2 @ 100, #2 leaves 3, #3 leaves 0
         = 3(0)@100#2 |
         s3 sell 9 @ 100 hidden
         > accepted #4
         > trade 3: 3 @ 100, #2 leaves 0, #4 leaves 6
         = | 6(0)@100#4",
    ),
    (
        "only a limit order that may rest is hidden",
        "s1 sell 5 @ market hidden
         > rejected #1: invalid display
         s1 sell 5 @ best hidden
         > rejected #2: invalid display
         s1 sell 5 @ 100 ioc hidden
         > rejected #3: invalid display",
    ),
    (
        "a hidden order is reduced like any other",
        "s1 sell 5 @ 100 hidden
         > accepted #1
         s1 reduce #1 to 2
         > reduced #1 by 3 to 2
         = | 2(0)@100#1",
    ),
];
