//! Every option of OUCH through the running exchange, as conversations; `script` says how they are written.

use crate::{script::play, venue::Settings};

/// Each conversation is a test.
macro_rules! conversations {
    ($( $name:ident: $text:literal )*) => {
        $( #[test] fn $name() { play(Settings::default(), $text); } )*
    };
}

conversations! {
    post_only_is_refused_or_slides: "
        ALICE> O 1 S 100 AAPL 100.00 0
        ALICE< A 1 S 100 AAPL 100.0000 0 YPNN L 0-1
        BOB> O 1 B 100 AAPL 100.00 0 post=P
        BOB< J 1 0x12
        BOB> O 2 B 100 AAPL 100.05 0 post=S
        BOB< A 2 B 100 AAPL 99.9900 0 YPNN L 0-3 post=S
        BOB> O 3 B 100 AAPL 99.98 0 post=P
        BOB< A 3 B 100 AAPL 99.9800 0 YPNN L 0-4 post=P
        # N asks for nothing: a plain order.
        BOB> O 4 B 40 AAPL 100.00 3 post=N
        BOB< A 4 B 40 AAPL 100.0000 3 YPNN L 0-5
        BOB< E 4 40 100.0000 R 0-1
        ALICE< E 1 40 100.0000 A 0-1
        BOB> O 5 B 40 AAPL 99.00 3 post=P
        BOB< J 5 0x0d
        BOB> O 6 B 40 AAPL 99.00 0 post=X
        BOB< J 6 0x24
    "

    an_iceberg_shows_its_parts_one_after_the_other: "
        ALICE> O 1 S 100 AAPL 100.00 0 peak=30
        ALICE< A 1 S 100 AAPL 100.0000 0 YPNN L 0-1 peak=30
        CAROL> O 1 S 10 AAPL 100.00 0
        CAROL< A 1 S 10 AAPL 100.0000 0 YPNN L 0-2
        BOB> O 1 B 45 AAPL 100.00 3
        BOB< A 1 B 45 AAPL 100.0000 3 YPNN L 0-3
        BOB< E 1 30 100.0000 R 0-1
        BOB< E 1 10 100.0000 R 0-2
        BOB< E 1 5 100.0000 R 0-3
        ALICE< E 1 30 100.0000 A 0-1
        ALICE< R 1 R shown=30
        ALICE< E 1 5 100.0000 A 0-3
        CAROL< E 1 10 100.0000 A 0-2
        # A peak that is not below its spread, and a spread without a peak.
        ALICE> O 2 S 100 AAPL 100.00 0 peak=30 spread=30
        ALICE< J 2 0x03
        ALICE> O 3 S 100 AAPL 100.00 0 spread=10
        ALICE< J 3 0x03
        ALICE> O 4 S 100 AAPL 101.00 0 peak=30 spread=10
        ALICE< A 4 S 100 AAPL 101.0000 0 YPNN L 0-5 peak=30 spread=10
        ALICE> O 5 S 100 AAPL 101.00 3 peak=30
        ALICE< J 5 0x03
    "

    a_hidden_order_stands_behind_what_is_shown: "
        ALICE> O 1 S 10 AAPL 100.00 0 echo=NPNN
        ALICE< A 1 S 10 AAPL 100.0000 0 NPNN L 0-1
        CAROL> O 1 S 10 AAPL 100.00 0
        CAROL< A 1 S 10 AAPL 100.0000 0 YPNN L 0-2
        BOB> O 1 B 15 AAPL 100.00 3
        BOB< A 1 B 15 AAPL 100.0000 3 YPNN L 0-3
        BOB< E 1 10 100.0000 R 0-1
        BOB< E 1 5 100.0000 R 0-2
        CAROL< E 1 10 100.0000 A 0-1
        ALICE< E 1 5 100.0000 A 0-2
        ALICE> O 2 S 10 AAPL 100.00 0 echo=NPNN peak=5
        ALICE< J 2 0x03
        ALICE> O 3 S 10 AAPL 100.00 3 echo=NPNN
        ALICE< J 3 0x03
    "

    a_minimum_is_met_at_once_or_all_is_canceled: "
        ALICE> O 1 S 50 AAPL 100.00 0
        ALICE< A 1 S 50 AAPL 100.0000 0 YPNN L 0-1
        BOB> O 1 B 100 AAPL 100.00 0 min=51
        BOB< A 1 B 100 AAPL 100.0000 0 YPNN L 0-2 min=51
        BOB< C 1 100 I
        # All of a day order is a minimum as well, and no fill or kill.
        BOB> O 2 B 51 AAPL 100.00 0 min=51
        BOB< A 2 B 51 AAPL 100.0000 0 YPNN L 0-3 min=51
        BOB< C 2 51 I
        BOB> O 3 B 100 AAPL 100.00 3 min=50
        BOB< A 3 B 100 AAPL 100.0000 3 YPNN L 0-4 min=50
        BOB< E 3 50 100.0000 R 0-1
        BOB< C 3 50 I
        ALICE< E 1 50 100.0000 A 0-1
        BOB> O 4 B 100 AAPL 100.00 3 min=101
        BOB< J 4 0x0d
    "

    a_minimum_is_in_whole_lots: "
        ALICE> O 1 B 300 LOTS 100.00 0 min=150
        ALICE< J 1 0x0d
        ALICE> O 2 B 300 LOTS 100.00 0 peak=150
        ALICE< J 2 0x03
        ALICE> O 3 B 300 LOTS 100.00 0 peak=200
        ALICE< A 3 B 300 LOTS 100.0000 0 YPNN L 4-1 peak=200
        ALICE> O 4 B 300 LOTS 100.00 0 stop=100.01
        ALICE< J 4 0x1d
        ALICE> O 5 B 300 LOTS 100.00 0 trail=0.04
        ALICE< J 5 0x1d
        ALICE> O 6 B 300 LOTS 100.00 0 trail=0
        ALICE< J 6 0x1d
    "

    good_till_time_needs_its_seconds: "
        ALICE> O 1 B 10 AAPL 100.00 6 expire=3600
        ALICE< A 1 B 10 AAPL 100.0000 6 YPNN L 0-1 expire=3600
        ALICE> O 2 B 10 AAPL 100.00 6
        ALICE< J 2 0x0f
        ALICE> O 3 B 10 AAPL 100.00 0 expire=3600
        ALICE< J 3 0x0f
        ALICE> O 4 B 10 AAPL 100.00 6 expire=0
        ALICE< J 4 0x0f
        ALICE> O 5 B 10 AAPL 100.00 6 expire=86400
        ALICE< J 5 0x0f
        ALICE> O 6 B 10 AAPL 100.00 6 expire=86399
        ALICE< A 6 B 10 AAPL 100.0000 6 YPNN L 0-2 expire=86399
    "

    good_till_time_ends_by_itself: "
        ALICE> O 1 B 10 AAPL 100.00 6 expire=1
        ALICE< A 1 B 10 AAPL 100.0000 6 YPNN L 0-1 expire=1
        ALICE< C 1 10 T
    "

    orders_of_one_group_do_not_trade: "
        ALICE> O 1 S 10 AAPL 100.00 0 group=7
        ALICE< A 1 S 10 AAPL 100.0000 0 YPNN L 0-1 group=7 policy=N
        # The newest goes unless the order says otherwise.
        ALICE> O 2 B 5 AAPL 100.00 0 group=7
        ALICE< A 2 B 5 AAPL 100.0000 0 YPNN L 0-2 group=7 policy=N
        ALICE< C 2 5 Q
        ALICE> O 3 B 4 AAPL 100.00 0 group=7 policy=D
        ALICE< A 3 B 4 AAPL 100.0000 0 YPNN L 0-3 group=7 policy=D
        ALICE< D 1 4 Q 4 100.0000 A D
        ALICE< C 3 4 Q
        ALICE> O 4 B 9 AAPL 100.00 3 group=7 policy=D
        ALICE< A 4 B 9 AAPL 100.0000 3 YPNN L 0-4 group=7 policy=D
        ALICE< C 1 6 Q
        ALICE< D 4 6 Q 6 100.0000 R D
        ALICE< C 4 3 I
        ALICE> O 5 S 10 AAPL 100.00 0 group=7
        ALICE< A 5 S 10 AAPL 100.0000 0 YPNN L 0-5 group=7 policy=N
        ALICE> O 6 B 10 AAPL 100.00 0 group=7 policy=B
        ALICE< A 6 B 10 AAPL 100.0000 0 YPNN L 0-6 group=7 policy=B
        ALICE< C 5 10 Q
        ALICE< C 6 10 Q
        ALICE> O 7 S 10 AAPL 100.00 0 group=7
        ALICE< A 7 S 10 AAPL 100.0000 0 YPNN L 0-7 group=7 policy=N
        # Another group of ours, and the same number of somebody else, are other groups.
        ALICE> O 8 B 1 AAPL 100.00 3 group=8 policy=O
        ALICE< A 8 B 1 AAPL 100.0000 3 YPNN L 0-8 group=8 policy=O
        ALICE< E 7 1 100.0000 A 0-1
        ALICE< E 8 1 100.0000 R 0-1
        BOB> O 1 B 1 AAPL 100.00 3 group=7 policy=O
        BOB< A 1 B 1 AAPL 100.0000 3 YPNN L 0-9 group=7 policy=O
        BOB< E 1 1 100.0000 R 0-2
        ALICE< E 7 1 100.0000 A 0-2
        ALICE> O 9 B 9 AAPL 100.00 0 group=7 policy=O
        ALICE< A 9 B 9 AAPL 100.0000 0 YPNN L 0-10 group=7 policy=O
        ALICE< C 7 8 Q
        # A policy of no group.
        ALICE> O 10 B 9 AAPL 100.00 0 policy=O
        ALICE< J 10 0x0d
        ALICE> O 11 B 9 AAPL 100.00 0 group=7 policy=X
        ALICE< J 11 0x24
    "

    a_stop_waits_for_its_price: "
        ALICE> O 1 B 10 AAPL market 0 stop=100.05
        ALICE< A 1 B 10 AAPL market 0 YPNN L 0-1 stop=100.0500
        ALICE> O 2 B 10 AAPL 100.10 0 stop=100.05
        ALICE< A 2 B 10 AAPL 100.1000 0 YPNN L 0-2 stop=100.0500
        CAROL> O 1 S 30 AAPL 100.05 0
        CAROL< A 1 S 30 AAPL 100.0500 0 YPNN L 0-3
        BOB> O 1 B 5 AAPL 100.05 0
        BOB< A 1 B 5 AAPL 100.0500 0 YPNN L 0-4
        BOB< E 1 5 100.0500 R 0-1
        ALICE< R 1 T stop=100.0500
        ALICE< R 2 T stop=100.0500
        ALICE< E 1 10 100.0500 R 0-2
        ALICE< E 2 10 100.0500 R 0-3
        CAROL< E 1 5 100.0500 A 0-1
        CAROL< E 1 10 100.0500 A 0-2
        CAROL< E 1 10 100.0500 A 0-3
        ALICE> O 3 B 10 AAPL 100.10 3 stop=101.00
        ALICE< J 3 0x0f
        ALICE> O 4 B 10 AAPL 100.10 0 stop=101.00 trail=1.00
        ALICE< J 4 0x0d
    "

    a_trailing_stop_follows_the_market: "
        ALICE> O 1 S 10 AAPL 90.00 0 trail=0.10
        ALICE< A 1 S 10 AAPL 90.0000 0 YPNN L 0-1 trail=0.1000
        CAROL> O 1 B 5 AAPL 100.00 0
        CAROL< A 1 B 5 AAPL 100.0000 0 YPNN L 0-2
        BOB> O 1 S 5 AAPL 100.00 0
        BOB< A 1 S 5 AAPL 100.0000 0 YPNN L 0-3
        BOB< E 1 5 100.0000 R 0-1
        CAROL< E 1 5 100.0000 A 0-1
        CAROL> O 2 B 5 AAPL 100.50 0
        CAROL< A 2 B 5 AAPL 100.5000 0 YPNN L 0-4
        BOB> O 2 S 5 AAPL 100.50 0
        BOB< A 2 S 5 AAPL 100.5000 0 YPNN L 0-5
        BOB< E 2 5 100.5000 R 0-2
        CAROL< E 2 5 100.5000 A 0-2
        # 0.10 below the highest trade, which was 100.50.
        CAROL> O 3 B 15 AAPL 100.40 0
        CAROL< A 3 B 15 AAPL 100.4000 0 YPNN L 0-6
        BOB> O 3 S 5 AAPL 100.40 0
        BOB< A 3 S 5 AAPL 100.4000 0 YPNN L 0-7
        BOB< E 3 5 100.4000 R 0-3
        ALICE< R 1 T stop=100.4000
        ALICE< E 1 10 100.4000 R 0-4
        CAROL< E 3 5 100.4000 A 0-3
        CAROL< E 3 10 100.4000 A 0-4
    "

    all_or_none_waits_until_all_of_it_can_trade: "
        ALICE> O 1 B 30 AAPL 100.00 0 aon=Y
        ALICE< A 1 B 30 AAPL 100.0000 0 YPNN L 0-1 aon=Y
        BOB> O 1 S 20 AAPL 100.00 0
        BOB< A 1 S 20 AAPL 100.0000 0 YPNN L 0-2
        BOB> O 2 S 20 AAPL 100.00 0 aon=N
        BOB< A 2 S 20 AAPL 100.0000 0 YPNN L 0-3
        BOB< E 1 20 100.0000 A 0-1
        BOB< E 2 10 100.0000 A 0-2
        ALICE< E 1 20 100.0000 R 0-1
        ALICE< E 1 10 100.0000 R 0-2
        ALICE> O 2 B 30 AAPL 100.00 3 aon=Y
        ALICE< J 2 0x0d
        ALICE> O 3 B 30 AAPL 100.00 0 aon=J
        ALICE< J 3 0x24
    "

    market_to_limit_takes_the_best_price_and_rests_there: "
        ALICE> O 1 S 10 AAPL 100.00 0
        ALICE< A 1 S 10 AAPL 100.0000 0 YPNN L 0-1
        ALICE> O 2 S 10 AAPL 100.01 0
        ALICE< A 2 S 10 AAPL 100.0100 0 YPNN L 0-2
        BOB> O 1 B 15 AAPL market 0 mtl=Y
        BOB< A 1 B 15 AAPL market 0 YPNN L 0-3 mtl=Y
        BOB< E 1 10 100.0000 R 0-1
        BOB< R 1 P limit=100.0000
        ALICE< E 1 10 100.0000 A 0-1
        ALICE> O 3 S 5 AAPL 100.00 3
        ALICE< A 3 S 5 AAPL 100.0000 3 YPNN L 0-4
        ALICE< E 3 5 100.0000 R 0-2
        BOB< E 1 5 100.0000 A 0-2
        # It has no limit of its own.
        BOB> O 2 B 15 AAPL 100.00 0 mtl=Y
        BOB< J 2 0x0d
        BOB> O 3 B 15 AAPL market 3 mtl=Y min=15
        BOB< J 3 0x0f
    "

    options_that_say_nothing_of_trading_are_taken: "
        ALICE> O 1 B 10 AAPL 100.00 0 firm=ABCD customer=R now=N
        ALICE< A 1 B 10 AAPL 100.0000 0 YPNN L 0-1
        ALICE> U 1 2 20 100.00 0 firm=ABCD
        ALICE< U 1 2 B 20 AAPL 100.0000 0 YPNN L 0-2
        ALICE> O 3 B 10 AAPL 100.00 0 now=Y
        ALICE< J 3 0x24
    "

    a_replacement_says_the_whole_new_order: "
        ALICE> O 1 S 100 AAPL 100.00 0 peak=10 group=3
        ALICE< A 1 S 100 AAPL 100.0000 0 YPNN L 0-1 peak=10 group=3 policy=N
        ALICE> U 1 2 100 100.00 0 peak=20
        ALICE< U 1 2 S 100 AAPL 100.0000 0 YPNN L 0-2 peak=20
        # No group any more, so it trades; then all of it is shown.
        ALICE> O 3 B 20 AAPL 100.00 3 group=3
        ALICE< A 3 B 20 AAPL 100.0000 3 YPNN L 0-3 group=3 policy=N
        ALICE< E 2 20 100.0000 A 0-1
        ALICE< E 3 20 100.0000 R 0-1
        ALICE< R 2 R shown=20
        ALICE> U 2 4 100 100.00 0
        ALICE< U 2 4 S 80 AAPL 100.0000 0 YPNN L 0-4
        BOB> O 1 B 80 AAPL 100.00 3
        BOB< A 1 B 80 AAPL 100.0000 3 YPNN L 0-5
        BOB< E 1 80 100.0000 R 0-2
        ALICE< E 4 80 100.0000 A 0-2
        # What cannot be takes the old order with it, whether gateway or book sees it.
        ALICE> O 5 S 10 AAPL 101.00 0 echo=NPNN
        ALICE< A 5 S 10 AAPL 101.0000 0 NPNN L 0-6
        ALICE> U 5 6 10 101.00 0 spread=5
        ALICE< C 5 10 Z
        ALICE> O 6 S 10 AAPL 101.00 0
        ALICE< A 6 S 10 AAPL 101.0000 0 YPNN L 0-7
        ALICE> U 6 7 10 101.00 3 post=P
        ALICE< C 6 10 Z
        # A stop that is replaced by a plain order waits no more.
        ALICE> O 7 S 10 AAPL 101.00 0 stop=90.00
        ALICE< A 7 S 10 AAPL 101.0000 0 YPNN L 0-9 stop=90.0000
        ALICE> U 7 8 10 101.00 0
        ALICE< U 7 8 S 10 AAPL 101.0000 0 YPNN L 0-10
        BOB> O 2 B 10 AAPL 101.00 3
        BOB< A 2 B 10 AAPL 101.0000 3 YPNN L 0-11
        BOB< E 2 10 101.0000 R 0-3
        ALICE< E 8 10 101.0000 A 0-3
    "

    a_mass_cancel_takes_what_it_names_of_its_own_session: "
        ALICE> O 1 B 10 AAPL 100.00 0
        ALICE< A 1 B 10 AAPL 100.0000 0 YPNN L 0-1
        ALICE> O 2 S 10 AAPL 101.00 0
        ALICE< A 2 S 10 AAPL 101.0000 0 YPNN L 0-2
        ALICE> O 3 B 10 AAPL 99.00 0
        ALICE< A 3 B 10 AAPL 99.0000 0 YPNN L 0-3
        ALICE> O 4 B 10 MSFT 99.00 0
        ALICE< A 4 B 10 MSFT 99.0000 0 YPNN L 1-1
        BOB> O 1 B 10 AAPL 100.00 0
        BOB< A 1 B 10 AAPL 100.0000 0 YPNN L 0-4
        BOB> O 2 S 10 AAPL 101.00 0 stop=90.00
        BOB< A 2 S 10 AAPL 101.0000 0 YPNN L 0-5 stop=90.0000
        CAROL> O 1 B 10 AAPL 98.00 0
        CAROL< A 1 B 10 AAPL 98.0000 0 YPNN L 0-6
        CAROL> O 2 B 10 MSFT 98.00 0
        CAROL< A 2 B 10 MSFT 98.0000 0 YPNN L 1-2
        ALICE> L 5 AAPL B
        ALICE< C 1 10 U
        ALICE< C 3 10 U
        ALICE< L 5 AAPL 2
        # It has used up its number: what says it again is ignored.
        ALICE> L 5 AAPL S
        ALICE> O 5 B 10 AAPL 100.00 0
        ALICE> X 2 0
        ALICE< C 2 10 U
        BOB> L 3 AAPL -
        BOB< C 1 10 U
        BOB< C 2 10 U
        BOB< L 3 AAPL 2
        CAROL> X 1 0
        CAROL< C 1 10 U
        CAROL> L 3 - -
        CAROL< C 2 10 U
        CAROL< L 3 MSFT 1
        # Nothing is left that it could take.
        CAROL> L 4 - -
        CAROL< J 4 0x15
        CAROL> L 5 NONE -
        CAROL< J 5 0x17
        CAROL> L 6 AAPL X
        CAROL< J 6 0x09
        CAROL> Q
        CAROL< Q 7
    "
}

/// A size above what the field takes, up to what fits in 32 bits.
#[test]
fn large_quantities_have_an_option() {
    let settings = Settings { nvda: ", quantity_max = 4294967295", ..Settings::default() };
    play(
        settings,
        "
        ALICE> O 1 B 1000000 NVDA 1.00 0
        ALICE< J 1 0x13
        ALICE> O 2 B 0 NVDA 1.00 0 large=4294967295
        ALICE< A 2 B 4294967295 NVDA 1.0000 0 YPNN L 2-1
        ALICE> O 3 B 1 NVDA 1.00 0 large=2000000
        ALICE< J 3 0x13
        ALICE> O 4 B 0 NVDA 1.00 0 large=4294967296
        ALICE< J 4 0x13
        ALICE> O 5 B 0 NVDA 1.00 0 large=0
        ALICE< J 5 0x13
        ALICE> O 6 B 0 NVDA 1.00 3 large=3000000 min=3000000
        ALICE< A 6 B 3000000 NVDA 1.0000 3 YPNN L 2-2 min=3000000
        ALICE< C 6 3000000 I
        ALICE> O 7 B 0 AAPL 1.00 0 large=1000000
        ALICE< J 7 0x13
        BOB> O 1 S 0 NVDA 1.00 3 large=2000000
        BOB< A 1 S 2000000 NVDA 1.0000 3 YPNN L 2-3
        BOB< E 1 2000000 1.0000 R 2-1
        ALICE< E 2 2000000 1.0000 A 2-1
        ALICE> U 2 8 0 1.00 0 large=4000000000
        ALICE< U 2 8 B 3998000000 NVDA 1.0000 0 YPNN L 2-4
        ALICE> X 8 0
        ALICE< C 8 3998000000 U
    ",
    );
}
