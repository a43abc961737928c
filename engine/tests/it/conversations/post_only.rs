//! Post-only: reject and slide.

pub(super) const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "a post-only order that does not reach the other side rests",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 3 @ 99 post
         > accepted #2
         = 3@99#2 | 5@100#1
         s2 sell 2 @ 101 post
         > accepted #3
         = 3@99#2 | 5@100#1 2@101#3",
    ),
    (
        "one that would trade is refused, on the touch and beyond it",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 3 @ 100 post
         > rejected #2: post-only order would trade
         s2 buy 3 @ 107 post
         > rejected #3: post-only order would trade
         s2 buy 3 @ 99
         > accepted #4
         s1 sell 5 @ 99 post
         > rejected #5: post-only order would trade
         = 3@99#4 | 5@100#1",
    ),
    (
        "one that slides stands a tick short of the best price, and says so",
        "s1 sell 5 @ 100
         > accepted #1
         s2 buy 3 @ 107 slide
         > accepted #2 at 99
         s2 sell 3 @ 90 slide
         > accepted #3 at 100
         = 3@99#2 | 5@100#1 3@100#3
         s3 sell 1 @ 99
         > accepted #4
         > trade 1: 1 @ 99, #2 leaves 2, #4 leaves 0
         = 2@99#2 | 5@100#1 3@100#3",
    ),
    (
        "hidden orders count, and all-or-none ones that it could fill",
        "s1 sell 5 @ 100 hidden
         > accepted #1
         s2 buy 3 @ 100 post
         > rejected #2: post-only order would trade
         s1 sell 9 @ 98 aon
         > accepted #3
         s2 buy 9 @ 98 post
         > rejected #4: post-only order would trade
         s2 buy 3 @ 99 post
         > accepted #5
         s2 buy 9 @ 100 slide
         > accepted #6 at 97
         = 3@99#5 9@97#6 | 9(0)@98#3 5(0)@100#1",
    ),
    (
        "there is no tick below the lowest price, and none that is positive below one",
        "s1 sell 5 @ -9223372036854775807
         > accepted #1
         s2 buy 3 @ 1 slide
         > rejected #2: post-only order would trade
         s1 cancel #1
         > canceled #1: 5, Requested
         s1 sell 5 @ 1
         > accepted #3
         s2 buy 3 @ 1 slide
         > rejected #4: post-only order would trade
         s2 buy 3 @ 0 slide
         > accepted #5
         s1 sell 5 @ 0
         > accepted #6
         > trade 1: 3 @ 0, #5 leaves 0, #6 leaves 2
         s2 buy 3 @ 0 slide
         > accepted #7 at -1
         = 3@-1#7 | 2@0#6 5@1#3",
    ),
    (
        "a post-only order that may not rest makes no sense, nor does one with a trigger",
        "s1 buy 3 @ 100 ioc post
         > rejected #1: instructions contradict each other
         s1 buy 3 @ 100 fok slide
         > rejected #2: instructions contradict each other
         s1 buy 3 @ market post
         > rejected #3: instructions contradict each other
         s1 buy 3 @ best post
         > rejected #4: instructions contradict each other
         s1 buy 3 @ 100 post stop 99
         > rejected #5: instructions contradict each other",
    ),
    (
        "a replacement looks anew, unless it keeps its place",
        "s1 buy 5 @ 99 post
         > accepted #1
         s2 sell 5 @ 101
         > accepted #2
         s1 replace #1 by 5 @ 101
         > canceled #1: 5, InvalidReplacement
         > replace rejected #1 by #3: post-only order would trade
         = | 5@101#2
         s1 buy 5 @ 99 slide
         > accepted #4
         s1 replace #4 by 5 @ 103
         > replaced #4 by #5: 5 @ 100
         = 5@100#5 | 5@101#2
         s3 sell 9 @ 100 aon
         > accepted #6
         s1 replace #5 by 4 @ 100 keeping
         > replaced #5 by #7: 4 @ 100, in its place
         s1 replace #7 by 12 @ 100
         > replaced #7 by #8: 12 @ 99
         = 12@99#8 | 9(0)@100#6 5@101#2",
    ),
];
