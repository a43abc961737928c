//! Icebergs: what is shown, what is taken, what is shown next.

pub(super) const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "an iceberg shows its peak, and the next part stands last at its price",
        "s1 sell 10 @ 100 iceberg 4
         > accepted #1
         s2 sell 3 @ 100
         > accepted #2
         = | 10(4)@100#1 3@100#2
         ~ | 7x2@100
         s3 buy 4 @ 100
         > accepted #3
         > trade 1: 4 @ 100, #1 leaves 6, #3 leaves 0
         > refreshed #1: 4 of 6
         = | 3@100#2 6(4)@100#1
         ~ | 7x2@100
         s3 buy 4 @ 100
         > accepted #4
         > trade 2: 3 @ 100, #2 leaves 0, #4 leaves 1
         > trade 3: 1 @ 100, #1 leaves 5, #4 leaves 0
         = | 5(3)@100#1
         s3 buy 5 @ 100
         > accepted #5
         > trade 4: 3 @ 100, #1 leaves 2, #5 leaves 2
         > refreshed #1: 2 of 2
         > trade 5: 2 @ 100, #1 leaves 0, #5 leaves 0
         = |",
    ),
    (
        "every shown part at a price is taken before one that is shown anew, within one order",
        "s1 sell 10 @ 100 iceberg 4
         > accepted #1
         s2 sell 3 @ 100
         > accepted #2
         s3 sell 6 @ 100 iceberg 2
         > accepted #3
         s4 buy 16 @ 100
         > accepted #4
         > trade 1: 4 @ 100, #1 leaves 6, #4 leaves 12
         > refreshed #1: 4 of 6
         > trade 2: 3 @ 100, #2 leaves 0, #4 leaves 9
         > trade 3: 2 @ 100, #3 leaves 4, #4 leaves 7
         > refreshed #3: 2 of 4
         > trade 4: 4 @ 100, #1 leaves 2, #4 leaves 3
         > refreshed #1: 2 of 2
         > trade 5: 2 @ 100, #3 leaves 2, #4 leaves 1
         > refreshed #3: 2 of 2
         > trade 6: 1 @ 100, #1 leaves 1, #4 leaves 0
         = | 1@100#1 2@100#3",
    ),
    (
        "what is hidden at a price comes behind every reserve",
        "s1 sell 5 @ 100 hidden
         > accepted #1
         s2 sell 6 @ 100 iceberg 2
         > accepted #2
         s3 buy 8 @ 100
         > accepted #3
         > trade 1: 2 @ 100, #2 leaves 4, #3 leaves 6
         > refreshed #2: 2 of 4
         > trade 2: 2 @ 100, #2 leaves 2, #3 leaves 4
         > refreshed #2: 2 of 2
         > trade 3: 2 @ 100, #2 leaves 0, #3 leaves 2
         > trade 4: 2 @ 100, #1 leaves 3, #3 leaves 0
         = | 3(0)@100#1",
    ),
    (
        "coming in, an iceberg trades with all that is open, and shows what is left up to its peak",
        "s1 sell 7 @ 100
         > accepted #1
         s2 buy 12 @ 100 iceberg 3
         > accepted #2
         > trade 1: 7 @ 100, #1 leaves 0, #2 leaves 5
         = 5(3)@100#2 |
         s1 sell 3 @ 100
         > accepted #3
         > trade 2: 3 @ 100, #2 leaves 2, #3 leaves 0
         > refreshed #2: 2 of 2
         = 2@100#2 |",
    ),
    (
        "a peak above what is open shows all",
        "s1 sell 5 @ 100 iceberg 9
         > accepted #1
         = | 5@100#1
         ~ | 5x1@100
         s2 buy 5 @ 100
         > accepted #2
         > trade 1: 5 @ 100, #1 leaves 0, #2 leaves 0",
    ),
    (
        "parts with a spread are drawn from the order's own seed",
        "s1 sell 100 @ 100 iceberg 10 spread 4 seed 7
         > accepted #1
         = | 100(10)@100#1
         s2 buy 50 @ 100
         > accepted #2
         > trade 1: 10 @ 100, #1 leaves 90, #2 leaves 40
         > refreshed #1: 8 of 90
         > trade 2: 8 @ 100, #1 leaves 82, #2 leaves 32
         > refreshed #1: 11 of 82
         > trade 3: 11 @ 100, #1 leaves 71, #2 leaves 21
         > refreshed #1: 6 of 71
         > trade 4: 6 @ 100, #1 leaves 65, #2 leaves 15
         > refreshed #1: 7 of 65
         > trade 5: 7 @ 100, #1 leaves 58, #2 leaves 8
         > refreshed #1: 8 of 58
         > trade 6: 8 @ 100, #1 leaves 50, #2 leaves 0
         > refreshed #1: 9 of 50
         = | 50(9)@100#1",
    ),
    (
        "the same seed shows the same parts, another others",
        "s1 sell 100 @ 100 iceberg 10 spread 4 seed 8
         > accepted #1
         s2 buy 50 @ 100
         > accepted #2
         > trade 1: 10 @ 100, #1 leaves 90, #2 leaves 40
         > refreshed #1: 12 of 90
         > trade 2: 12 @ 100, #1 leaves 78, #2 leaves 28
         > refreshed #1: 8 of 78
         > trade 3: 8 @ 100, #1 leaves 70, #2 leaves 20
         > refreshed #1: 6 of 70
         > trade 4: 6 @ 100, #1 leaves 64, #2 leaves 14
         > refreshed #1: 8 of 64
         > trade 5: 8 @ 100, #1 leaves 56, #2 leaves 6
         > refreshed #1: 10 of 56
         > trade 6: 6 @ 100, #1 leaves 50, #2 leaves 0
         = | 50(4)@100#1",
    ),
    (
        "a spread at the largest peak does not overflow",
        "s1 sell 18446744073709551615 @ 100 iceberg 9223372036854775808 spread 4294967295 seed 1
         > accepted #1
         s2 buy 9223372036854775808 @ 100
         > accepted #2
         > trade 1: 9223372036854775808 @ 100, #1 leaves 9223372036854775807, #2 leaves 0
         > refreshed #1: 9223372036854775807 of 9223372036854775807
         = | 9223372036854775807@100#1",
    ),
    (
        "fill-or-kill counts reserves",
        "s1 sell 10 @ 100 iceberg 4
         > accepted #1
         s2 buy 10 @ 100 fok
         > accepted #2
         > trade 1: 4 @ 100, #1 leaves 6, #2 leaves 6
         > refreshed #1: 4 of 6
         > trade 2: 4 @ 100, #1 leaves 2, #2 leaves 2
         > refreshed #1: 2 of 2
         > trade 3: 2 @ 100, #1 leaves 0, #2 leaves 0",
    ),
    (
        "a reduction takes from the reserve first; the order keeps its place",
        "s1 sell 10 @ 100 iceberg 4
         > accepted #1
         s2 sell 1 @ 100
         > accepted #2
         s1 reduce #1 to 6
         > reduced #1 by 4 to 6
         = | 6(4)@100#1 1@100#2
         s1 reduce #1 to 3
         > reduced #1 by 3 to 3
         = | 3@100#1 1@100#2
         s3 buy 2 @ 100
         > accepted #3
         > trade 1: 2 @ 100, #1 leaves 1, #3 leaves 0
         s1 reduce #1 to 3
         > cancel rejected #1: invalid quantity
         s1 reduce #1 to 2
         > canceled #1: 1, Requested
         = | 1@100#2",
    ),
    (
        "what makes no sense: peak 0, spread not below the peak, no limit, nothing that rests",
        "s1 sell 10 @ 100 iceberg 0
         > rejected #1: invalid display
         s1 sell 10 @ 100 iceberg 4 spread 4
         > rejected #2: invalid display
         s1 sell 10 @ 100 iceberg 4 spread 3
         > accepted #3
         s1 sell 10 @ 100 ioc iceberg 4
         > rejected #4: invalid display
         s1 sell 10 @ 100 fok iceberg 4
         > rejected #5: invalid display
         s1 sell 10 @ market iceberg 4
         > rejected #6: invalid display
         s1 sell 10 @ best iceberg 4
         > rejected #7: invalid display",
    ),
    (
        "an iceberg of more than 1,024 of its smallest parts is none, nor becomes one",
        "s1 sell 1024 @ 100 iceberg 4 spread 3
         > accepted #1
         s1 sell 1025 @ 100 iceberg 4 spread 3
         > rejected #2: invalid display
         s1 replace #1 by 1025 @ 100
         > canceled #1: 1024, InvalidReplacement
         > replace rejected #1 by #3: invalid display
         s1 sell 1025 @ 100 iceberg 4 spread 2
         > accepted #4",
    ),
    (
        "the trade, what it triggers, then the part shown next",
        "s1 sell 10 @ 100 iceberg 4
         > accepted #1
         s2 buy 1 @ 90 stop 100
         > accepted #2
         s3 buy 5 @ 100
         > accepted #3
         > trade 1: 4 @ 100, #1 leaves 6, #3 leaves 1
         > triggered #2 at 100
         > refreshed #1: 4 of 6
         > trade 2: 1 @ 100, #1 leaves 5, #3 leaves 0
         = 1@90#2 | 5(3)@100#1",
    ),
];
