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

/// A report (`me_report_t`): one cache line, in words of 8 bytes, so that it is written in as few stores as it can be.
/// The referee's smaller fields lie in them from the lowest byte up, which is where little-endian memory has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Report {
    /// `type:8 | side:8 | 0`, from the lowest byte up; the types are in [`said`].
    head: u64,
    /// Of the message that caused it.
    pub(crate) sequence_number: u64,
    /// The client's id of the order that it is about; of a trade, the incoming one.
    pub(crate) order_id: u64,
    /// The order's price; of a trade, the resting order's.
    pub(crate) price_ticks: i64,
    /// 32 bits of it are the referee's; the rest is 0.
    quantity: u64,
    /// Of a trade, the resting order; otherwise 0.
    pub(crate) maker_order_id: u64,
    /// Of a trade, the incoming order; otherwise 0.
    pub(crate) taker_order_id: u64,
    reserved: u64,
}

const _: () = assert!(cfg!(target_endian = "little"));

impl Report {
    /// One that is about one order.
    #[inline(always)]
    pub(crate) const fn of_order(
        kind: u8,
        sequence_number: u64,
        order_id: u64,
        side: u8,
        price_ticks: i64,
        quantity: u32,
    ) -> Self {
        Self {
            head: kind as u64 | (side as u64) << 8,
            sequence_number,
            order_id,
            price_ticks,
            quantity: quantity as u64,
            maker_order_id: 0,
            taker_order_id: 0,
            reserved: 0,
        }
    }

    /// What it says, see [`said`].
    #[cfg(test)]
    pub(crate) const fn kind(&self) -> u8 {
        self.head as u8
    }

    /// The order's side.
    #[cfg(test)]
    pub(crate) const fn side(&self) -> u8 {
        (self.head >> 8) as u8
    }

    /// How much.
    #[cfg(test)]
    pub(crate) const fn quantity(&self) -> u32 {
        self.quantity as u32
    }
}

const _: () = assert!(size_of::<Order>() == 32);
const _: () = assert!(size_of::<Cancel>() == 16);
#[cfg(feature = "batch")]
const _: () = assert!(size_of::<Message>() == 40 && core::mem::offset_of!(Message, payload) == 8);
const _: () = assert!(size_of::<Report>() == 64);
const _: () = assert!(core::mem::offset_of!(Report, price_ticks) == 24);
const _: () = assert!(core::mem::offset_of!(Report, maker_order_id) == 40);
