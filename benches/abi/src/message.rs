//! What goes over the boundary, in the layout of the referee's header.

/// What a message of a batch asks.
#[cfg(feature = "batch")]
pub(crate) mod kind {
    pub(crate) const NEW: u8 = 0;
    pub(crate) const CANCEL: u8 = 1;
    pub(crate) const MODIFY: u8 = 2;
}

/// What a report says.
pub(crate) mod said {
    pub(crate) const ORDER_ACK: u8 = 0;
    pub(crate) const TRADE: u8 = 1;
    pub(crate) const CANCEL_ACK: u8 = 2;
    pub(crate) const MODIFY_ACK: u8 = 3;
    pub(crate) const CANCEL_REJECT: u8 = 4;
    pub(crate) const MODIFY_REJECT: u8 = 5;
}

/// A new order (`new_order_t`), or the new price and quantity of one (`modify_t`): the same layout, but that a
/// modification has no `ioc`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Order {
    /// The client's id of the order. Any number; the referee's are below 2^32.
    pub(crate) order_id: u64,
    /// The message's number, which its reports carry.
    pub(crate) sequence_number: u64,
    /// In ticks.
    pub(crate) price_ticks: i64,
    /// In lots.
    pub(crate) quantity: u32,
    /// 0 buys, 1 sells.
    pub(crate) side: u8,
    /// 1: immediate or cancel.
    pub(crate) ioc: u8,
    pub(crate) reserved: [u8; 2],
}

/// A cancel (`cancel_t`).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Cancel {
    pub(crate) order_id: u64,
    pub(crate) sequence_number: u64,
}

/// One message of a batch (`me_msg_t`): its kind, and the payload of that kind.
#[cfg(feature = "batch")]
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) reserved: [u8; 7],
    pub(crate) payload: Payload,
}

/// `Message::kind` says which.
#[cfg(feature = "batch")]
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) union Payload {
    pub(crate) order: Order,
    pub(crate) cancel: Cancel,
}

/// A report (`me_report_t`): one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Report {
    /// What it says, see [`said`].
    pub(crate) kind: u8,
    /// The order's side.
    pub(crate) side: u8,
    pub(crate) reserved: [u8; 6],
    /// Of the message that caused it.
    pub(crate) sequence_number: u64,
    /// The client's id of the order that it is about; of a trade, the incoming one.
    pub(crate) order_id: u64,
    /// The order's price; of a trade, the resting order's.
    pub(crate) price_ticks: i64,
    pub(crate) quantity: u32,
    pub(crate) reserved2: u32,
    /// Of a trade, the resting order; otherwise 0.
    pub(crate) maker_order_id: u64,
    /// Of a trade, the incoming order; otherwise 0.
    pub(crate) taker_order_id: u64,
    pub(crate) reserved3: u64,
}

impl Report {
    /// One that is about one order.
    #[inline]
    pub(crate) const fn of_order(
        kind: u8,
        sequence_number: u64,
        order_id: u64,
        side: u8,
        price_ticks: i64,
        quantity: u32,
    ) -> Self {
        Self {
            kind,
            side,
            reserved: [0; 6],
            sequence_number,
            order_id,
            price_ticks,
            quantity,
            reserved2: 0,
            maker_order_id: 0,
            taker_order_id: 0,
            reserved3: 0,
        }
    }
}

const _: () = assert!(size_of::<Order>() == 32);
const _: () = assert!(size_of::<Cancel>() == 16);
#[cfg(feature = "batch")]
const _: () = assert!(size_of::<Message>() == 40 && core::mem::offset_of!(Message, payload) == 8);
const _: () = assert!(size_of::<Report>() == 64);
const _: () = assert!(core::mem::offset_of!(Report, price_ticks) == 24);
const _: () = assert!(core::mem::offset_of!(Report, maker_order_id) == 40);
