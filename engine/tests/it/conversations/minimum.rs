//! Minimum quantity.

pub(super) const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "less than the minimum at once: nothing at all, whatever the time in force",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 10 @ 100 minimum 6
         > accepted #2
         > canceled #2: 10, MinimumQuantity
         s2 buy 10 @ 100 gtc minimum 6
         > accepted #3
         > canceled #3: 10, MinimumQuantity
         s2 buy 10 @ 100 ioc minimum 6
         > accepted #4
         > canceled #4: 10, MinimumQuantity
         = | 5@100#1",
    ),
    (
        "the minimum or more: it trades like any order, and what is left goes the way of its kind",
        "s1 sell 5 @ 100
         > accepted #1
         s1 sell 1 @ 101
         > accepted #2
         s2 buy 10 @ 101 minimum 6
         > accepted #3
         > trade 1: 5 @ 100, #1 leaves 0, #3 leaves 5
         > trade 2: 1 @ 101, #2 leaves 0, #3 leaves 4
         = 4@101#3 |
         s1 sell 7 @ 101 ioc minimum 4
         > accepted #4
         > trade 3: 4 @ 101, #3 leaves 0, #4 leaves 3
         > canceled #4: 3, ImmediateOrCancel
         s1 sell 7 @ 101 gtc minimum 1
         > accepted #5
         > canceled #5: 7, MinimumQuantity",
    ),
    (
        "a minimum that was met is spent: the order is a plain one",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 10 @ 100 gtc minimum 5
         > accepted #2
         > trade 1: 5 @ 100, #1 leaves 0, #2 leaves 5
         s2 replace #2 by 8 @ 100 gtc keeping
         > replaced #2 by #3: 3 @ 100, in its place
         s2 replace #3 by 8 @ 101 gtc
         > replaced #3 by #4: 3 @ 101
         = 3@101#4 |",
    ),
    (
        "a market order may have one, with nothing there too",
        "s2 buy 10 @ market minimum 1
         > accepted #1
         > canceled #1: 10, MinimumQuantity
         s1 sell 5 @ 100
         > accepted #2
         s2 buy 10 @ market minimum 6
         > accepted #3
         > canceled #3: 10, MinimumQuantity
         s2 buy 10 @ market minimum 5
         > accepted #4
         > trade 1: 5 @ 100, #2 leaves 0, #4 leaves 5
         > canceled #4: 5, NoLiquidity",
    ),
    (
        "it may be an iceberg or hidden",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 12 @ 100 minimum 5 iceberg 2
         > accepted #2
         > trade 1: 5 @ 100, #1 leaves 0, #2 leaves 7
         = 7(2)@100#2 |
         s1 sell 9 @ 101 minimum 1 hidden
         > accepted #3
         > canceled #3: 9, MinimumQuantity
         = 7(2)@100#2 |",
    ),
    (
        "reserves and hidden orders count, and all-or-none orders that it fills",
        "s1 sell 6 @ 100 iceberg 2
         > accepted #1
         s1 sell 2 @ 100 hidden
         > accepted #2
         s1 sell 3 @ 100 aon
         > accepted #3
         s2 buy 10 @ 100 minimum 9
         > accepted #4
         > canceled #4: 10, MinimumQuantity
         s2 buy 11 @ 100 minimum 11
         > accepted #5
         > trade 1: 2 @ 100, #1 leaves 4, #5 leaves 9
         > refreshed #1: 2 of 4
         > trade 2: 2 @ 100, #1 leaves 2, #5 leaves 7
         > refreshed #1: 2 of 2
         > trade 3: 2 @ 100, #1 leaves 0, #5 leaves 5
         > trade 4: 2 @ 100, #2 leaves 0, #5 leaves 3
         > trade 5: 3 @ 100, #3 leaves 0, #5 leaves 0
         = |",
    ),
    (
        "what makes no sense: 0, above the quantity, fill-or-kill",
        "s1 sell 5 @ 100 minimum 0
         > rejected #1: instructions contradict each other
         s1 sell 5 @ 100 minimum 6
         > rejected #2: instructions contradict each other
         s1 sell 5 @ 100 fok minimum 5
         > rejected #3: instructions contradict each other",
    ),
    (
        "a replacement's minimum is held against what it leaves open",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 2 @ 100
         > accepted #2
         > trade 1: 2 @ 100, #1 leaves 3, #2 leaves 0
         s1 replace #1 by 5 @ 100 with minimum 4
         > canceled #1: 3, InvalidReplacement
         > replace rejected #1 by #3: instructions contradict each other
         s1 sell 5 @ 100
         > accepted #4
         s2 buy 2 @ 100
         > accepted #5
         > trade 2: 2 @ 100, #4 leaves 3, #5 leaves 0
         s1 replace #4 by 5 @ 100 with minimum 3
         > replaced #4 by #6: 3 @ 100
         > canceled #6: 3, MinimumQuantity",
    ),
    (
        "a stop has its minimum when its turn comes; reduced below it, it never meets it",
        "s1 buy 1 @ 100
         > accepted #1
         s1 buy 5 @ 99
         > accepted #2
         s2 sell 5 @ 99 stop 100 minimum 4
         > accepted #3
         s3 sell 5 @ 99 stop 100 minimum 4
         > accepted #4
         s3 reduce #4 to 3
         > reduced #4 by 2 to 3
         s4 sell 1 @ 100
         > accepted #5
         > trade 1: 1 @ 100, #1 leaves 0, #5 leaves 0
         > triggered #3 at 100
         > triggered #4 at 100
         > trade 2: 5 @ 99, #2 leaves 0, #3 leaves 0
         > canceled #4: 3, MinimumQuantity
         = |",
    ),
];
