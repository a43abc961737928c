//! Many orders at once.

pub(super) const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "every order that fits all that is named, bids first, each in priority, then stops",
        "s1 sell 1 @ 102
         > accepted #1
         s1 sell 2 @ 101
         > accepted #2
         s2 sell 3 @ 101
         > accepted #3
         s1 buy 4 @ 98
         > accepted #4
         s1 buy 5 @ 99 hidden
         > accepted #5
         s1 buy 6 @ 99 iceberg 2
         > accepted #6
         s1 sell 7 @ 90 stop 80
         > accepted #7
         s1 buy 8 @ 90 stop 120
         > accepted #8
         s1 sell 9 @ 90 stop 85
         > accepted #9
         s1 buy 10 @ 90 stop 110
         > accepted #10
         s1 buy 11 @ 90 trailing 3
         > accepted #11
         s3 mass cancel session 1
         > canceled #6: 6, MassCancel
         > canceled #5: 5, MassCancel
         > canceled #4: 4, MassCancel
         > canceled #2: 2, MassCancel
         > canceled #1: 1, MassCancel
         > canceled #10: 10, MassCancel
         > canceled #8: 8, MassCancel
         > canceled #11: 11, MassCancel
         > canceled #9: 9, MassCancel
         > canceled #7: 7, MassCancel
         > mass canceled 10
         = | 3@101#3",
    ),
    (
        "of an account, of a side",
        "s1 sell 1 @ 102
         > accepted #1
         s1 buy 2 @ 98
         > accepted #2
         s2 sell 3 @ 101
         > accepted #3
         s2 buy 4 @ 90 stop 150
         > accepted #4
         s3 mass cancel account 20
         > canceled #3: 3, MassCancel
         > canceled #4: 4, MassCancel
         > mass canceled 2
         s3 mass cancel sell session 2
         > mass canceled 0
         s3 mass cancel session 2 account 10
         > mass canceled 0
         s3 mass cancel sell
         > canceled #1: 1, MassCancel
         > mass canceled 1
         s3 mass cancel
         > canceled #2: 2, MassCancel
         > mass canceled 1
         = |",
    ),
    (
        "one that finds nothing says so, but not where it was for every book",
        "s1 mass cancel
         > mass canceled 0
         s1 mass cancel everywhere
         s1 buy 1 @ 100
         > accepted #1
         s1 mass cancel everywhere
         > canceled #1: 1, MassCancel
         > mass canceled 1",
    ),
    (
        "good-till-cancel orders too",
        "s1 buy 1 @ 100 gtc
         > accepted #1
         s1 mass cancel buy
         > canceled #1: 1, MassCancel
         > mass canceled 1",
    ),
    (
        "the day's end goes the same way",
        "s1 sell 1 @ 102
         > accepted #1
         s1 buy 2 @ 98
         > accepted #2
         s1 buy 3 @ 98 aon
         > accepted #3
         s1 buy 4 @ 98 hidden
         > accepted #4
         s1 buy 5 @ 98 gtc
         > accepted #5
         s1 sell 6 @ 90 stop 80
         > accepted #6
         s1 buy 7 @ 90 stop 120
         > accepted #7
         s1 buy 8 @ 90 stop 110 gtc
         > accepted #8
         end of day
         > canceled #2: 2, EndOfDay
         > canceled #4: 4, EndOfDay
         > canceled #3: 3, EndOfDay
         > canceled #1: 1, EndOfDay
         > canceled #7: 7, EndOfDay
         > canceled #6: 6, EndOfDay
         = 5@98#5 | | 8#8>=110",
    ),
];
