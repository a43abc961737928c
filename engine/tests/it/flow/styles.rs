//! Styles of market.

/// A style of market.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) name: &'static str,
    pub(crate) prices: Prices,
    pub(crate) quantities: Quantities,
    /// Resting orders above which no more are entered.
    pub(crate) resting_max: usize,
    /// In a thousand new orders, how many are IOC, FOK or market.
    pub(crate) takers: u32,
    /// In ten thousand commands, how many end the day.
    pub(crate) ends: u32,
    /// What is special.
    pub(crate) specials: Specials,
}

/// How many orders are special, and how. Each is a share of a thousand orders that have instructions, unless it says
/// otherwise; an order may have several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Specials {
    /// In a thousand new orders and replacements, how many have instructions. At 0 nothing is special.
    pub(crate) orders: u32,
    pub(crate) stops: u32,
    pub(crate) trailing: u32,
    /// Triggers lie up to so many ticks from the last trade.
    pub(crate) reach: i64,
    pub(crate) icebergs: u32,
    pub(crate) hidden: u32,
    pub(crate) minimum: u32,
    pub(crate) all_or_none: u32,
    pub(crate) post_only: u32,
    pub(crate) market_to_limit: u32,
    /// Orders of one of three groups.
    pub(crate) grouped: u32,
    pub(crate) dated: u32,
    /// In ten thousand commands, how many let time pass or cancel many orders.
    pub(crate) advances: u32,
    pub(crate) mass_cancels: u32,
    /// In ten thousand commands, before how many a long time passes.
    pub(crate) leaps: u32,
    /// So many first commands enter orders only, each with instructions, so that stops gather.
    pub(crate) gathers: u64,
    /// Commands of one book, after which the next begins.
    pub(crate) book: u64,
    /// Of so many books of all styles together this style has some.
    pub(crate) weight: u64,
}

impl Specials {
    const NONE: Self = Self {
        orders: 0,
        stops: 0,
        trailing: 0,
        reach: 0,
        icebergs: 0,
        hidden: 0,
        minimum: 0,
        all_or_none: 0,
        post_only: 0,
        market_to_limit: 0,
        grouped: 0,
        dated: 0,
        advances: 0,
        mass_cancels: 0,
        leaps: 0,
        gathers: 0,
        book: 0,
        weight: 0,
    };

    /// A bit of everything.
    const MIXED: Self = Self {
        orders: 600,
        stops: 150,
        trailing: 60,
        reach: 4,
        icebergs: 200,
        hidden: 100,
        minimum: 100,
        all_or_none: 150,
        post_only: 100,
        market_to_limit: 80,
        grouped: 200,
        dated: 150,
        advances: 200,
        mass_cancels: 60,
        leaps: 20,
        gathers: 0,
        book: 600,
        weight: 4,
    };
}

/// Where prices lie.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Prices {
    /// Within so many ticks of a fixed middle, both sides alike, so that most new orders cross.
    Around { middle: i64, ticks: i64 },
    /// Each side on its own side of a middle that walks, overlapping by a few ticks.
    Walking { ticks: i64 },
    /// The ends of what a price can be, and zero.
    Ends,
}

/// How large orders are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quantities {
    /// Between 0 and so many lots.
    UpTo(u64),
    /// Around 2^64 - 1 and its fractions, and a few small ones.
    Huge,
}

/// Every style that the books are compared in.
pub(crate) const STYLES: [Style; 7] = [
    Style {
        name: "a few prices, everything crosses",
        prices: Prices::Around { middle: 100, ticks: 3 },
        quantities: Quantities::UpTo(12),
        resting_max: 60,
        takers: 200,
        ends: 20,
        specials: Specials::NONE,
    },
    Style {
        name: "one price, long queues",
        prices: Prices::Around { middle: -5, ticks: 0 },
        quantities: Quantities::UpTo(1_000),
        resting_max: 60,
        takers: 100,
        ends: 5,
        specials: Specials::NONE,
    },
    Style {
        name: "a walking market",
        prices: Prices::Walking { ticks: 40 },
        quantities: Quantities::UpTo(500),
        resting_max: 60,
        takers: 150,
        ends: 3,
        specials: Specials::NONE,
    },
    Style {
        name: "a deep, wide book",
        prices: Prices::Walking { ticks: 100_000 },
        quantities: Quantities::UpTo(100),
        resting_max: 1_000,
        takers: 30,
        ends: 1,
        specials: Specials::NONE,
    },
    Style {
        name: "the ends of prices, usual quantities",
        prices: Prices::Ends,
        quantities: Quantities::UpTo(9),
        resting_max: 50,
        takers: 100,
        ends: 10,
        specials: Specials::NONE,
    },
    Style {
        name: "the ends of prices and quantities",
        prices: Prices::Ends,
        quantities: Quantities::Huge,
        resting_max: 12,
        takers: 200,
        ends: 50,
        specials: Specials::NONE,
    },
    Style {
        name: "usual prices, quantities that overflow",
        prices: Prices::Around { middle: 0, ticks: 8 },
        quantities: Quantities::Huge,
        resting_max: 30,
        takers: 100,
        ends: 10,
        specials: Specials::NONE,
    },
];

/// Every style that the books are compared in where orders are special.
pub(crate) const SPECIAL_STYLES: [Style; 11] = [
    Style {
        name: "everything at a few prices",
        prices: Prices::Around { middle: 100, ticks: 4 },
        quantities: Quantities::UpTo(12),
        resting_max: 40,
        takers: 200,
        ends: 20,
        specials: Specials::MIXED,
    },
    Style {
        name: "everything around zero, walking",
        prices: Prices::Walking { ticks: 12 },
        quantities: Quantities::UpTo(40),
        resting_max: 40,
        takers: 150,
        ends: 10,
        specials: Specials { post_only: 250, trailing: 150, book: 800, ..Specials::MIXED },
    },
    Style {
        name: "all or none",
        prices: Prices::Around { middle: 100, ticks: 2 },
        quantities: Quantities::UpTo(6),
        resting_max: 24,
        takers: 150,
        ends: 20,
        specials: Specials { orders: 700, all_or_none: 700, stops: 30, icebergs: 60, ..Specials::MIXED },
    },
    Style {
        name: "icebergs and hidden orders",
        prices: Prices::Around { middle: 100, ticks: 2 },
        quantities: Quantities::UpTo(60),
        resting_max: 24,
        takers: 250,
        ends: 20,
        specials: Specials { orders: 800, icebergs: 650, hidden: 200, all_or_none: 20, ..Specials::MIXED },
    },
    Style {
        name: "one family",
        prices: Prices::Around { middle: 100, ticks: 2 },
        quantities: Quantities::UpTo(10),
        resting_max: 30,
        takers: 200,
        ends: 20,
        specials: Specials { orders: 900, grouped: 850, icebergs: 250, ..Specials::MIXED },
    },
    Style {
        name: "dates",
        prices: Prices::Around { middle: 100, ticks: 5 },
        quantities: Quantities::UpTo(12),
        resting_max: 60,
        takers: 100,
        ends: 20,
        specials: Specials { orders: 800, dated: 700, advances: 500, leaps: 100, ..Specials::MIXED },
    },
    Style {
        name: "cascades",
        prices: Prices::Around { middle: 100, ticks: 0 },
        quantities: Quantities::UpTo(8),
        resting_max: 900,
        takers: 60,
        ends: 100,
        specials: Specials {
            orders: 700,
            stops: 950,
            trailing: 500,
            reach: 3,
            all_or_none: 30,
            post_only: 10,
            icebergs: 30,
            dated: 200,
            mass_cancels: 150,
            leaps: 200,
            advances: 50,
            gathers: 700,
            book: 760,
            weight: 5,
            ..Specials::MIXED
        },
    },
    Style {
        name: "a crowd of trailing stops",
        prices: Prices::Around { middle: 100, ticks: 2 },
        quantities: Quantities::UpTo(40),
        resting_max: 1_300,
        takers: 20,
        ends: 0,
        specials: Specials {
            orders: 980,
            trailing: 920,
            stops: 0,
            reach: 10_000,
            post_only: 0,
            dated: 5,
            mass_cancels: 0,
            leaps: 0,
            gathers: 1_500,
            book: 1_700,
            weight: 1,
            ..Specials::MIXED
        },
    },
    Style {
        name: "everything at the ends of prices",
        prices: Prices::Ends,
        quantities: Quantities::UpTo(9),
        resting_max: 40,
        takers: 150,
        ends: 10,
        specials: Specials::MIXED,
    },
    Style {
        name: "everything with quantities that overflow",
        prices: Prices::Around { middle: 0, ticks: 4 },
        quantities: Quantities::Huge,
        resting_max: 30,
        takers: 150,
        ends: 10,
        specials: Specials { icebergs: 400, ..Specials::MIXED },
    },
    Style {
        name: "everything at the ends of prices and quantities",
        prices: Prices::Ends,
        quantities: Quantities::Huge,
        resting_max: 20,
        takers: 200,
        ends: 30,
        specials: Specials { trailing: 200, stops: 300, ..Specials::MIXED },
    },
];
