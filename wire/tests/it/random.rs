//! Seeds, and random messages of every type.

use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use wire::ouch::inbound::{CancelOrder, EnterOrder, MassCancel, ModifyOrder, ReplaceOrder};
use wire::ouch::outbound::{
    Accepted, AccountQueryResponse, AiqCanceled, BrokenTrade, CancelPending, CancelReject, Canceled,
    Executed, MassCanceled, Modified, PriorityUpdate, Rejected, Replaced, Restated, SystemEvent,
};
use wire::ouch::{Appendage, Inbound, Outbound, TagValue};

/// The generator that every random test draws from.
pub(crate) fn generator() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seeded::seed())
}

/// A printable letter.
pub(crate) fn letter(rng: &mut impl Rng) -> u8 {
    rng.random_range(b' '..=b'~')
}

/// Printable text.
pub(crate) fn text<const N: usize>(rng: &mut impl Rng) -> [u8; N] {
    core::array::from_fn(|_| letter(rng))
}

/// A number that is at an edge as often as not.
macro_rules! edgy {
    ($rng:expr) => {
        match $rng.random_range(0..6) {
            0 => 0,
            1 => 1,
            2 => !0,
            _ => $rng.random(),
        }
    };
}

/// The bytes of an appendage, empty as often as not, no tag twice.
pub(crate) fn appendage_bytes(rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    if rng.random() {
        return bytes;
    }
    let value: Vec<u8> = (0..rng.random_range(0..=254)).map(|_| rng.random()).collect();
    let options = [
        TagValue::SecondaryOrderReference(edgy!(rng)),
        TagValue::Firm(text(rng)),
        TagValue::MinQuantity(edgy!(rng)),
        TagValue::CustomerType(letter(rng)),
        TagValue::MaxFloor(edgy!(rng)),
        TagValue::PriceType(letter(rng)),
        TagValue::PegOffset(edgy!(rng)),
        TagValue::DiscretionPrice(edgy!(rng)),
        TagValue::DiscretionPriceType(letter(rng)),
        TagValue::DiscretionPegOffset(edgy!(rng)),
        TagValue::PostOnly(letter(rng)),
        TagValue::RandomReserves(edgy!(rng)),
        TagValue::Route(text(rng)),
        TagValue::ExpireTime(edgy!(rng)),
        TagValue::TradeNow(letter(rng)),
        TagValue::HandleInstruction(letter(rng)),
        TagValue::BboWeight(letter(rng)),
        TagValue::DisplayQuantity(edgy!(rng)),
        TagValue::DisplayPrice(edgy!(rng)),
        TagValue::GroupId(edgy!(rng)),
        TagValue::SharesLocated(letter(rng)),
        TagValue::StopPrice(edgy!(rng)),
        TagValue::TrailingDistance(edgy!(rng)),
        TagValue::AllOrNone(letter(rng)),
        TagValue::MarketToLimit(letter(rng)),
        TagValue::LargeQuantity(edgy!(rng)),
        TagValue::SelfTradePolicy(letter(rng)),
        TagValue::Unknown { tag: rng.random_range(135..=255), value: &value },
    ];
    let first = rng.random_range(0..options.len());
    for option in options.iter().cycle().skip(first).take(rng.random_range(1..=options.len())) {
        option.encode(&mut bytes);
    }
    bytes
}

/// A random message of a client, every type as likely.
pub(crate) fn inbound<'a>(rng: &mut impl Rng, appendage: &'a [u8]) -> Inbound<'a> {
    let appendage = Appendage::decode(appendage).expect("a valid appendage");
    match rng.random_range(0..6) {
        0 => Inbound::EnterOrder(EnterOrder {
            user_ref: edgy!(rng),
            side: letter(rng),
            quantity: edgy!(rng),
            symbol: text(rng),
            price: edgy!(rng),
            time_in_force: letter(rng),
            display: letter(rng),
            capacity: letter(rng),
            intermarket_sweep: letter(rng),
            cross: letter(rng),
            client_order_id: text(rng),
            appendage,
        }),
        1 => Inbound::ReplaceOrder(ReplaceOrder {
            original: edgy!(rng),
            user_ref: edgy!(rng),
            quantity: edgy!(rng),
            price: edgy!(rng),
            time_in_force: letter(rng),
            display: letter(rng),
            intermarket_sweep: letter(rng),
            client_order_id: text(rng),
            appendage,
        }),
        2 => Inbound::CancelOrder(CancelOrder { user_ref: edgy!(rng), quantity: edgy!(rng) }),
        3 => Inbound::ModifyOrder(ModifyOrder {
            user_ref: edgy!(rng),
            side: letter(rng),
            quantity: edgy!(rng),
        }),
        4 => Inbound::MassCancel(MassCancel { user_ref: edgy!(rng), symbol: text(rng), side: letter(rng) }),
        _ => Inbound::AccountQuery,
    }
}

/// A random message of a venue, every type as likely.
pub(crate) fn outbound<'a>(rng: &mut impl Rng, appendage: &'a [u8]) -> Outbound<'a> {
    let appendage = Appendage::decode(appendage).expect("a valid appendage");
    let timestamp = edgy!(rng);
    let user_ref = edgy!(rng);
    match rng.random_range(0..15) {
        0 => Outbound::SystemEvent(SystemEvent { timestamp, event: letter(rng) }),
        1 => Outbound::Accepted(Accepted {
            timestamp,
            user_ref,
            side: letter(rng),
            quantity: edgy!(rng),
            symbol: text(rng),
            price: edgy!(rng),
            time_in_force: letter(rng),
            display: letter(rng),
            order_reference: edgy!(rng),
            capacity: letter(rng),
            intermarket_sweep: letter(rng),
            cross: letter(rng),
            state: letter(rng),
            client_order_id: text(rng),
            appendage,
        }),
        2 => Outbound::Replaced(Replaced {
            timestamp,
            original: edgy!(rng),
            user_ref,
            side: letter(rng),
            quantity: edgy!(rng),
            symbol: text(rng),
            price: edgy!(rng),
            time_in_force: letter(rng),
            display: letter(rng),
            order_reference: edgy!(rng),
            capacity: letter(rng),
            intermarket_sweep: letter(rng),
            cross: letter(rng),
            state: letter(rng),
            client_order_id: text(rng),
            appendage,
        }),
        3 => Outbound::Canceled(Canceled { timestamp, user_ref, quantity: edgy!(rng), reason: letter(rng) }),
        4 => Outbound::AiqCanceled(AiqCanceled {
            timestamp,
            user_ref,
            quantity: edgy!(rng),
            reason: letter(rng),
            prevented: edgy!(rng),
            price: edgy!(rng),
            liquidity: letter(rng),
            strategy: letter(rng),
        }),
        5 => Outbound::Executed(Executed {
            timestamp,
            user_ref,
            quantity: edgy!(rng),
            price: edgy!(rng),
            liquidity: letter(rng),
            match_number: edgy!(rng),
            appendage,
        }),
        6 => Outbound::BrokenTrade(BrokenTrade {
            timestamp,
            user_ref,
            match_number: edgy!(rng),
            reason: letter(rng),
            client_order_id: text(rng),
        }),
        7 => Outbound::Rejected(Rejected {
            timestamp,
            user_ref,
            reason: edgy!(rng),
            client_order_id: text(rng),
        }),
        8 => Outbound::CancelPending(CancelPending { timestamp, user_ref }),
        9 => Outbound::CancelReject(CancelReject { timestamp, user_ref }),
        10 => Outbound::PriorityUpdate(PriorityUpdate {
            timestamp,
            user_ref,
            price: edgy!(rng),
            display: letter(rng),
            order_reference: edgy!(rng),
        }),
        11 => Outbound::Modified(Modified { timestamp, user_ref, side: letter(rng), quantity: edgy!(rng) }),
        13 => Outbound::MassCanceled(MassCanceled {
            timestamp,
            user_ref,
            symbol: text(rng),
            canceled: edgy!(rng),
        }),
        12 => Outbound::Restated(Restated { timestamp, user_ref, reason: letter(rng), appendage }),
        _ => Outbound::AccountQueryResponse(AccountQueryResponse { timestamp, next_user_ref: user_ref }),
    }
}
