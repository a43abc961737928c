//! Orders with a date.

pub(super) const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "an order may trade up to the last command before its expiry, never after",
        "s1 sell 5 @ 100 gtd 3000
         > accepted #1
         at 2999 s2 buy 1 @ 100
         > accepted #2
         > trade 1: 1 @ 100, #1 leaves 4, #2 leaves 0
         at 3000 s2 buy 1 @ 100
         > canceled #1: 4, Expired
         > accepted #3
         = 1@100#3 |",
    ),
    (
        "each command of the book first ends what is due, even one that is refused",
        "s1 sell 5 @ 100 gtd 2000
         > accepted #1
         s1 cancel #1
         > canceled #1: 5, Expired
         > cancel rejected #1: unknown order
         s1 sell 5 @ 100 gtd 4000
         > accepted #2
         s1 buy 0 @ 100
         > canceled #2: 5, Expired
         > rejected #3: invalid quantity
         s1 sell 5 @ 100 gtd 6000
         > accepted #4
         advance
         > canceled #4: 5, Expired
         = |",
    ),
    (
        "earliest first, at one expiry the lowest number",
        "s1 sell 1 @ 100 gtd 9000
         > accepted #1
         s1 buy 2 @ 90 gtd 8000
         > accepted #2
         s1 buy 3 @ 80 stop 200 gtd 9000
         > accepted #3
         s1 sell 4 @ 99 gtd 8000
         > accepted #4
         s1 sell 5 @ 99 gtd 10000
         > accepted #5
         at 9000 advance
         > canceled #2: 2, Expired
         > canceled #4: 4, Expired
         > canceled #1: 1, Expired
         > canceled #3: 3, Expired
         = | 5@99#5",
    ),
    (
        "a date in the past, none, and one with another time in force",
        "s1 sell 5 @ 100 gtd 1000
         > rejected #1: expiry has passed
         s1 sell 5 @ 100 undated
         > rejected #2: invalid time in force
         s1 sell 5 @ 100 until 9000
         > rejected #3: invalid time in force
         s1 sell 5 @ 100 ioc until 9000
         > rejected #4: invalid time in force
         s1 sell 5 @ 100 gtd 5001
         > accepted #5
         = | 5@100#5",
    ),
    (
        "a plain replacement keeps the date while it is good-till-date, in its place or not",
        "s1 sell 5 @ 100 gtd 9000
         > accepted #1
         s1 replace #1 by 4 @ 100 undated keeping
         > replaced #1 by #2: 4 @ 100, in its place
         s1 replace #2 by 4 @ 101 undated
         > replaced #2 by #3: 4 @ 101
         s1 replace #3 by 4 @ 101 gtc keeping
         > replaced #3 by #4: 4 @ 101, in its place
         at 9000 advance
         = | 4@101#4",
    ),
    (
        "a new date is no reason to lose the place",
        "s1 sell 5 @ 100 gtd 9000
         > accepted #1
         s2 sell 5 @ 100
         > accepted #2
         s1 replace #1 by 5 @ 100 gtd 8000 keeping with
         > replaced #1 by #3: 5 @ 100, in its place
         s1 replace #3 by 5 @ 100 undated keeping
         > replaced #3 by #4: 5 @ 100, in its place
         = | 5@100#4 5@100#2
         at 8000 advance
         > canceled #4: 5, Expired
         = | 5@100#2",
    ),
    (
        "a replacement whose date is wrong cancels the old order",
        "s1 sell 5 @ 100
         > accepted #1
         s1 replace #1 by 5 @ 100 undated
         > canceled #1: 5, InvalidReplacement
         > replace rejected #1 by #2: invalid time in force
         s1 sell 5 @ 100
         > accepted #3
         s1 replace #3 by 5 @ 100 gtd 4000 with
         > canceled #3: 5, InvalidReplacement
         > replace rejected #3 by #4: expiry has passed",
    ),
    (
        "good-till-date survives the end of the day",
        "s1 sell 5 @ 100 gtd 9000
         > accepted #1
         end of day
         = | 5@100#1",
    ),
];
