//! The live orders of one session, by the session's own numbers.
//!
//! A client numbers its orders upwards and may leave gaps as wide as it likes, so the table is sparse: pages of 16
//! orders, found through an ordered index, with a small direct-mapped cache of recent pages in front of it. A page
//! is given back when its last order is gone, so memory follows live orders, whatever numbers a client picks: at
//! worst one page (about 1.3 KiB) for each live order, and the session's live orders are bounded.

use std::collections::BTreeMap;

use domain::{ClientOrderId, ClientRef, Echo, OrderId, OrderType, Price, Quantity, Side, TimeInForce};

/// What a session remembers of an order while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveOrder {
    /// Ours.
    pub order: OrderId,
    /// Buy or sell.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Whether it was asked for with instructions.
    pub is_special: bool,
    /// Its limit.
    pub price: Price,
    /// How much was asked for, what has traded counted: with orders that it replaced.
    pub quantity: Quantity,
    /// What has traded of that.
    pub traded: Traded,
    /// What the client said besides.
    pub echo: Echo,
    /// The client's own text.
    pub client_order_id: ClientOrderId,
}

impl LiveOrder {
    /// What is open.
    #[must_use]
    pub fn leaves(&self) -> Quantity {
        Quantity(self.quantity.lots().saturating_sub(self.traded.cumulative))
    }

    /// So much of it has traded at this price.
    pub(crate) fn trade(&mut self, quantity: Quantity, price: Price) {
        self.traded.cumulative = self.traded.cumulative.saturating_add(quantity.lots());
        // An order's whole size times the highest price fits, as an instrument's definition is checked for.
        let lots = i64::try_from(quantity.lots()).unwrap_or(i64::MAX);
        self.traded.notional = self.traded.notional.saturating_add(price.ticks().saturating_mul(lots));
    }
}

/// What has traded of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traded {
    /// Lots.
    pub cumulative: u64,
    /// Ticks × lots.
    pub notional: i64,
}

const PAGE_ORDERS: usize = 16;
const CACHE_PAGES: usize = 256;
const NO_PAGE: u32 = u32::MAX;

/// Sixteen neighbouring numbers.
#[derive(Debug)]
struct Page {
    /// `client_ref / 16`; [`NO_PAGE`] when the page is free.
    number: u32,
    /// How many of `orders` are there.
    live: u32,
    orders: [Option<LiveOrder>; PAGE_ORDERS],
}

/// The live orders of one session.
#[derive(Debug, Default)]
pub struct OrderTable {
    pages: Vec<Page>,
    /// Pages that are free.
    free: Vec<u32>,
    /// Page number to its place in `pages`, for every page in use.
    index: BTreeMap<u32, u32>,
    /// Place of a page that was used lately, by the page number's low bits; checked against the page's own number.
    /// Empty until the first order, so that an idle session costs nothing.
    cache: Vec<u32>,
    live: usize,
}

impl OrderTable {
    /// How many orders live.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.live
    }

    /// Whether none lives.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The order under this number.
    #[inline]
    #[must_use]
    pub fn get(&self, client_ref: ClientRef) -> Option<&LiveOrder> {
        let (page, slot) = split(client_ref);
        self.pages[self.find(page)? as usize].orders[slot].as_ref()
    }

    /// The order under this number, to be changed.
    #[inline]
    pub fn get_mut(&mut self, client_ref: ClientRef) -> Option<&mut LiveOrder> {
        let (page, slot) = split(client_ref);
        let place = self.find(page)?;
        self.pages[place as usize].orders[slot].as_mut()
    }

    /// Puts an order under its number, in place of what was there.
    pub fn insert(&mut self, client_ref: ClientRef, order: LiveOrder) {
        let (number, slot) = split(client_ref);
        let place = match self.find(number) {
            Some(place) => place,
            None => self.add_page(number),
        };
        let page = &mut self.pages[place as usize];
        if page.orders[slot].replace(order).is_none() {
            page.live += 1;
            self.live += 1;
        }
    }

    /// Takes the order under this number out, if it is this one.
    pub fn remove(&mut self, client_ref: ClientRef, order: OrderId) -> Option<LiveOrder> {
        let (number, slot) = split(client_ref);
        let place = self.find(number)?;
        let page = &mut self.pages[place as usize];
        let removed = page.orders[slot].take_if(|live| live.order == order)?;
        page.live -= 1;
        self.live -= 1;
        if page.live == 0 {
            page.number = NO_PAGE;
            self.index.remove(&number);
            self.free.push(place);
        }
        Some(removed)
    }

    /// Every order, by its number.
    pub fn iter(&self) -> impl Iterator<Item = (ClientRef, &LiveOrder)> {
        self.index.iter().flat_map(|(number, place)| {
            self.pages[*place as usize].orders.iter().enumerate().filter_map(move |(slot, order)| {
                Some((ClientRef(number * PAGE_ORDERS as u32 + slot as u32), order.as_ref()?))
            })
        })
    }

    #[inline]
    fn find(&self, number: u32) -> Option<u32> {
        let cached = *self.cache.get(number as usize % CACHE_PAGES)?;
        match self.pages.get(cached as usize) {
            Some(page) if page.number == number => Some(cached),
            _ => self.index.get(&number).copied(),
        }
    }

    fn add_page(&mut self, number: u32) -> u32 {
        if self.cache.is_empty() {
            self.cache = vec![NO_PAGE; CACHE_PAGES];
        }
        let place = match self.free.pop() {
            Some(place) => {
                self.pages[place as usize].number = number;
                place
            }
            None => {
                self.pages.push(Page { number, live: 0, orders: [None; PAGE_ORDERS] });
                (self.pages.len() - 1) as u32
            }
        };
        self.index.insert(number, place);
        self.cache[number as usize % CACHE_PAGES] = place;
        place
    }
}

/// A number's page and its slot there.
#[inline]
const fn split(client_ref: ClientRef) -> (u32, usize) {
    (client_ref.0 / PAGE_ORDERS as u32, client_ref.0 as usize % PAGE_ORDERS)
}

#[cfg(test)]
mod tests {
    use domain::InstrumentId;

    use super::*;

    fn order(number: u64) -> LiveOrder {
        LiveOrder {
            order: OrderId::new(InstrumentId(1), number),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Day,
            is_special: false,
            price: Price::new(1).unwrap(),
            quantity: Quantity(1),
            traded: Traded::default(),
            echo: Echo::default(),
            client_order_id: ClientOrderId::BLANK,
        }
    }

    #[test]
    fn agrees_with_an_ordered_map_over_wild_numbers() {
        let mut state = seeded::seed();
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        let mut table = OrderTable::default();
        let mut model = BTreeMap::new();
        for step in 0..50_000_u64 {
            let spread = [64, 5_000, u32::MAX][random() as usize % 3];
            let client_ref = ClientRef(random().wrapping_mul(31) % spread);
            if random() % 3 == 0 {
                table.insert(client_ref, order(step + 1));
                model.insert(client_ref, order(step + 1));
            } else if let Some(there) = model.get(&client_ref).copied() {
                assert_eq!(table.remove(client_ref, OrderId::new(InstrumentId(2), 1)), None);
                assert_eq!(table.remove(client_ref, there.order), model.remove(&client_ref));
            } else {
                assert_eq!(table.get(client_ref), None);
            }
            assert_eq!(table.len(), model.len());
        }
        assert!(table.iter().eq(model.iter().map(|(k, v)| (*k, v))));
    }

    #[test]
    fn pages_are_given_back() {
        let mut table = OrderTable::default();
        for n in 1..10_000 {
            table.insert(ClientRef(n * 400_000), order(u64::from(n)));
            table.remove(ClientRef(n * 400_000), order(u64::from(n)).order);
        }
        assert_eq!((table.pages.len(), table.len()), (1, 0));
    }
}
