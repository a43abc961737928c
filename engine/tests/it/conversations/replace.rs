//! Replacing special orders.

pub(super) const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "a plain replacement keeps the instructions",
        "s1 sell 10 @ 100 iceberg 4
         > accepted #1
         s1 replace #1 by 8 @ 101
         > replaced #1 by #2: 8 @ 101
         = | 8(4)@101#2
         s1 sell 10 @ 100 hidden
         > accepted #3
         s1 replace #3 by 8 @ 102
         > replaced #3 by #4: 8 @ 102
         = | 8(4)@101#2 8(0)@102#4
         s1 sell 10 @ 99 aon
         > accepted #5
         s1 replace #5 by 8 @ 98
         > replaced #5 by #6: 8 @ 98
         = | 8(0)@98#6 8(4)@101#2 8(0)@102#4",
    ),
    (
        "one with its own brings those and no others",
        "s1 sell 10 @ 100 iceberg 4
         > accepted #1
         s1 replace #1 by 8 @ 100 with hidden
         > replaced #1 by #2: 8 @ 100
         = | 8(0)@100#2
         s1 replace #2 by 8 @ 100 with
         > replaced #2 by #3: 8 @ 100
         = | 8@100#3
         s1 replace #3 by 8 @ 100 with iceberg 3 group 1 both
         > replaced #3 by #4: 8 @ 100
         = | 8(3)@100#4",
    ),
    (
        "it keeps its place when the instructions stay as they are",
        "s1 sell 10 @ 100 iceberg 4
         > accepted #1
         s2 sell 5 @ 100
         > accepted #2
         s1 replace #1 by 8 @ 100 keeping with iceberg 4
         > replaced #1 by #3: 8 @ 100, in its place
         = | 8(4)@100#3 5@100#2
         s1 replace #3 by 3 @ 100 keeping
         > replaced #3 by #4: 3 @ 100, in its place
         = | 3@100#4 5@100#2
         s1 replace #4 by 3 @ 100 keeping with iceberg 5
         > replaced #4 by #5: 3 @ 100
         = | 5@100#2 3@100#5
         s1 replace #5 by 3 @ 100 keeping with
         > replaced #5 by #6: 3 @ 100
         = | 5@100#2 3@100#6",
    ),
    (
        "an iceberg that comes in anew shows its peak and begins its parts anew",
        "s1 sell 20 @ 100 iceberg 4 spread 2 seed 3
         > accepted #1
         s2 buy 4 @ 100
         > accepted #2
         > trade 1: 4 @ 100, #1 leaves 16, #2 leaves 0
         > refreshed #1: 5 of 16
         = | 16(5)@100#1
         s1 replace #1 by 20 @ 100
         > replaced #1 by #3: 16 @ 100
         = | 16(4)@100#3
         s2 buy 4 @ 100
         > accepted #4
         > trade 2: 4 @ 100, #3 leaves 12, #4 leaves 0
         > refreshed #3: 5 of 12
         = | 12(5)@100#3",
    ),
    (
        "what no longer makes sense cancels the old order",
        "s1 sell 10 @ 100 iceberg 4
         > accepted #1
         s1 replace #1 by 10 @ 100 ioc
         > canceled #1: 10, InvalidReplacement
         > replace rejected #1 by #2: invalid display
         s1 sell 10 @ 100 post
         > accepted #3
         s1 replace #3 by 10 @ market
         > canceled #3: 10, InvalidReplacement
         > replace rejected #3 by #4: instructions contradict each other
         s1 sell 10 @ 100
         > accepted #5
         s1 replace #5 by 10 @ 100 with minimum 11
         > canceled #5: 10, InvalidReplacement
         > replace rejected #5 by #6: instructions contradict each other
         s1 sell 10 @ 105 stop 90
         > accepted #7
         s1 replace #7 by 10 @ 105 fok
         > canceled #7: 10, InvalidReplacement
         > replace rejected #7 by #8: invalid time in force
         = |",
    ),
    (
        "an order may get a trigger, and then it waits",
        "s1 sell 10 @ 100
         > accepted #1
         s1 replace #1 by 8 @ 100 keeping with stop 90
         > replaced #1 by #2: 8 @ 100
         = | | 8#2<=90
         s1 replace #2 by 8 @ 100 with
         > replaced #2 by #3: 8 @ 100
         = | 8@100#3",
    ),
    (
        "a stop that waits is replaced by one that waits anew: of those at its trigger it is the last",
        "s1 sell 1 @ 100 stop 90
         > accepted #1
         s2 sell 2 @ 101 stop 90
         > accepted #2
         s1 replace #1 by 3 @ 102 keeping
         > replaced #1 by #3: 3 @ 102
         = | | 2#2<=90 3#3<=90
         s3 buy 9 @ 90
         > accepted #4
         s3 sell 1 @ 90
         > accepted #5
         > trade 1: 1 @ 90, #4 leaves 8, #5 leaves 0
         > triggered #2 at 90
         > triggered #3 at 90
         = 8@90#4 | 2@101#2 3@102#3",
    ),
    (
        "its type and limit are the command's",
        "s1 sell 5 @ 100 stop 90
         > accepted #1
         s1 replace #1 by 5 @ market
         > replaced #1 by #2: 5 @ 0
         s3 buy 9 @ 90
         > accepted #3
         s3 sell 1 @ 90
         > accepted #4
         > trade 1: 1 @ 90, #3 leaves 8, #4 leaves 0
         > triggered #2 at 90
         > trade 2: 5 @ 90, #3 leaves 3, #2 leaves 0
         = 3@90#3 |",
    ),
    (
        "what was executed counts, whatever the order has become",
        "s1 sell 10 @ 100 iceberg 4
         > accepted #1
         s2 buy 6 @ 100
         > accepted #2
         > trade 1: 4 @ 100, #1 leaves 6, #2 leaves 2
         > refreshed #1: 4 of 6
         > trade 2: 2 @ 100, #1 leaves 4, #2 leaves 0
         s1 replace #1 by 9 @ 101 with hidden
         > replaced #1 by #3: 3 @ 101
         = | 3(0)@101#3
         s2 buy 1 @ 101
         > accepted #4
         > trade 3: 1 @ 101, #3 leaves 2, #4 leaves 0
         s1 replace #3 by 8 @ 102 with stop 80
         > replaced #3 by #5: 1 @ 102
         = | | 1#5<=80
         s1 reduce #5 to 7
         > canceled #5: 1, Requested",
    ),
    (
        "only the owner replaces a stop, and only while it waits",
        "s1 sell 5 @ 100 stop 90
         > accepted #1
         s2 replace #1 by 5 @ 100
         > replace rejected #1 by #2: unknown order
         s1 cancel #1
         > canceled #1: 5, Requested
         s1 replace #1 by 5 @ 100
         > replace rejected #1 by #3: unknown order",
    ),
];
