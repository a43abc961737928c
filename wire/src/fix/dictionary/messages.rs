//! The messages, with their fields and groups.
//!
//! Source: FIX 4.4 and FIX 5.0 SP2, the FIX Trading Community's message definitions. What an order must have besides, symbol and
//! quantity for instance, is the application's to say.

use super::{Dictionary, From, Group, MessageDef, Set, letters, sections};

const fn group(count: u16, fields: &'static [u16], groups: &'static [&'static Group]) -> Group {
    let mut known = Set::EMPTY.with(fields);
    let mut at = 0;
    while at < groups.len() {
        known = known.with(&[groups[at].count]);
        at += 1;
    }
    Group { count, fields, groups, known }
}

const fn message(
    (msg_type, name, from): (&'static str, &'static str, From),
    required: &'static [u16],
    optional: &'static [&'static [u16]],
    groups: &'static [&'static Group],
) -> MessageDef {
    let mut known = Set::EMPTY.with(required).with_all(optional);
    let mut at = 0;
    while at < groups.len() {
        known = known.with(&[groups[at].count]);
        at += 1;
    }
    let required_set = Set::EMPTY.with(required);
    MessageDef { msg_type, name, admin: false, from, required, optional, groups, known, required_set }
}

const fn admin(
    msg_type: &'static str,
    name: &'static str,
    required: &'static [u16],
    optional: &'static [&'static [u16]],
    groups: &'static [&'static Group],
) -> MessageDef {
    MessageDef { admin: true, ..message((msg_type, name, From::Both), required, optional, groups) }
}

static HOPS: Group = group(627, &[628, 629, 630], &[]);
static MSG_TYPES: Group = group(384, &[372, 385], &[]);
static PARTY_SUB_IDS: Group = group(802, &[523, 803], &[]);
static PARTIES: Group = group(453, &[448, 447, 452], &[&PARTY_SUB_IDS]);
static TRADING_SESSIONS: Group = group(386, &[336, 625], &[]);
static SECURITY_ALT_IDS: Group = group(454, &[455, 456], &[]);
static AFFECTED_ORDERS: Group = group(534, &[41, 535, 536], &[]);
static ENTRY_TYPES: Group = group(267, &[269], &[]);
/// The instruments of a request.
static SYMBOLS: Group = group(146, &[55, 65, 48, 22, 461, 167, 207], &[&SECURITY_ALT_IDS]);
/// The instruments of a security list.
static SECURITIES: Group =
    group(146, &[55, 65, 48, 22, 461, 167, 207, 107, 15, 561, 562, 58], &[&SECURITY_ALT_IDS]);
/// What a news says.
static LINES: Group = group(33, &[58, 354, 355], &[]);
static FULL_ENTRIES: Group = group(268, &[269, 270, 271, 272, 273, 278, 290, 346, 1023], &[]);
static FULL_ENTRIES_50SP2: Group =
    group(268, &[269, 278, 270, 271, 272, 273, 1003, 346, 290, 1023, 2446], &[]);
static INCREMENTAL_ENTRIES: Group =
    group(268, &[279, 269, 278, 280, 55, 270, 271, 272, 273, 290, 346, 83, 1023], &[]);
static INCREMENTAL_ENTRIES_50SP2: Group =
    group(268, &[279, 269, 278, 280, 55, 270, 271, 272, 273, 1003, 346, 290, 1023, 2446, 83], &[]);

const HEADER: &[u16] =
    &[115, 128, 90, 91, 50, 142, 57, 143, 116, 144, 129, 145, 43, 97, 122, 212, 213, 347, 369];
const HEADER_REQUIRED: &[u16] = &[49, 56, 34, 52];
const TEXT: &[u16] = &[58, 354, 355];
/// An instrument without its symbol.
const INSTRUMENT: &[u16] = &[65, 48, 22, 460, 461, 167, 762, 200, 207, 106, 107];
/// An instrument with its symbol.
const SYMBOL: &[u16] = &[55];
/// What an order may say of itself.
const TERMS: &[u16] = &[
    1, 660, 581, 63, 64, 21, 18, 110, 111, 100, 114, 854, 423, 44, 99, 15, 376, 377, 59, 168, 432, 126, 528,
    529, 582, 120, 77, 203, 210, 211, 388, 389, 1138, 2362, 2964,
];

static COMMON: [MessageDef; 24] = [
    admin("0", "Heartbeat", &[], &[&[112]], &[]),
    admin("1", "TestRequest", &[112], &[], &[]),
    admin("2", "ResendRequest", &[7, 16], &[], &[]),
    admin("3", "Reject", &[45], &[&[371, 372, 373], TEXT], &[]),
    admin("4", "SequenceReset", &[36], &[&[123]], &[]),
    admin("5", "Logout", &[], &[TEXT], &[]),
    message(
        ("D", "NewOrderSingle", From::Client),
        &[11, 54, 60, 40],
        &[&[526, 583, 38], SYMBOL, INSTRUMENT, TERMS, TEXT],
        &[&PARTIES, &TRADING_SESSIONS, &SECURITY_ALT_IDS],
    ),
    message(
        ("G", "OrderCancelReplaceRequest", From::Client),
        &[41, 11, 54, 60, 40],
        &[&[37, 526, 583, 586, 38], SYMBOL, INSTRUMENT, TERMS, TEXT],
        &[&PARTIES, &TRADING_SESSIONS, &SECURITY_ALT_IDS],
    ),
    message(
        ("H", "OrderStatusRequest", From::Client),
        &[11, 54],
        &[&[37, 526, 583, 1, 660, 790], SYMBOL, INSTRUMENT],
        &[&PARTIES, &SECURITY_ALT_IDS],
    ),
    message(
        ("q", "OrderMassCancelRequest", From::Client),
        &[11, 530, 60],
        &[&[526, 336, 625, 54], SYMBOL, INSTRUMENT, TEXT],
        &[&SECURITY_ALT_IDS],
    ),
    message(
        ("AF", "OrderMassStatusRequest", From::Client),
        &[584, 585],
        &[&[1, 660, 336, 625, 54], SYMBOL, INSTRUMENT],
        &[&PARTIES, &SECURITY_ALT_IDS],
    ),
    message(
        ("V", "MarketDataRequest", From::Client),
        &[262, 263, 264],
        &[&[265, 266, 547]],
        &[&ENTRY_TYPES, &SYMBOLS, &TRADING_SESSIONS],
    ),
    message(
        ("x", "SecurityListRequest", From::Client),
        &[320, 559],
        &[&[15, 336, 625, 263], SYMBOL, INSTRUMENT, TEXT],
        &[&SECURITY_ALT_IDS],
    ),
    message(("g", "TradingSessionStatusRequest", From::Client), &[335, 263], &[&[336, 625, 338, 339]], &[]),
    message(
        ("e", "SecurityStatusRequest", From::Client),
        &[324, 55, 263],
        &[&[15, 336, 625], INSTRUMENT],
        &[&SECURITY_ALT_IDS],
    ),
    message(("BE", "UserRequest", From::Client), &[923, 924, 553], &[&[554, 925, 95, 96]], &[]),
    message(
        ("9", "OrderCancelReject", From::Venue),
        &[37, 11, 41, 39, 434],
        &[&[526, 583, 636, 1, 660, 60, 102], TEXT],
        &[],
    ),
    message(
        ("r", "OrderMassCancelReport", From::Venue),
        &[37, 530, 531],
        &[&[11, 526, 532, 533, 336, 625, 54, 60], SYMBOL, INSTRUMENT, TEXT],
        &[&AFFECTED_ORDERS, &SECURITY_ALT_IDS],
    ),
    message(("j", "BusinessMessageReject", From::Venue), &[372, 380], &[&[45, 379], TEXT], &[]),
    message(("Y", "MarketDataRequestReject", From::Venue), &[262], &[&[281], TEXT], &[]),
    message(("y", "SecurityList", From::Venue), &[320, 322, 560], &[&[393, 893]], &[&SECURITIES]),
    message(
        ("h", "TradingSessionStatus", From::Venue),
        &[336, 340],
        &[&[335, 625, 338, 339, 325, 567], TEXT],
        &[],
    ),
    message(
        ("f", "SecurityStatus", From::Venue),
        &[55],
        &[&[324, 15, 336, 625, 325, 326, 327, 60], INSTRUMENT, TEXT],
        &[&SECURITY_ALT_IDS],
    ),
    message(("BF", "UserResponse", From::Venue), &[923, 553], &[&[926, 927]], &[]),
];

/// What an execution report may say besides what it must.
const REPORT: &[u16] = &[
    526, 583, 11, 41, 790, 584, 911, 912, 19, 103, 378, 38, 40, 32, 31, 30, 336, 625, 60, 75, 851, 880, 797,
    527, 1057,
];
const REPORT_GROUPS: &[&Group] = &[&PARTIES, &SECURITY_ALT_IDS];
const CANCEL: &[u16] = &[526, 583, 37, 586, 1, 660, 376, 38];
const LOGON: &[u16] = &[95, 96, 141, 789, 383, 464, 553, 554, 925];

static ONLY_44: [MessageDef; 6] = [
    admin("A", "Logon", &[98, 108], &[LOGON], &[&MSG_TYPES]),
    message(
        ("F", "OrderCancelRequest", From::Client),
        &[41, 11, 54, 60],
        &[CANCEL, SYMBOL, INSTRUMENT, TEXT],
        &[&PARTIES, &SECURITY_ALT_IDS],
    ),
    message(
        ("8", "ExecutionReport", From::Venue),
        &[37, 17, 150, 39, 55, 54, 151, 14, 6],
        &[REPORT, INSTRUMENT, TERMS, TEXT],
        REPORT_GROUPS,
    ),
    message(("B", "News", From::Venue), &[148], &[&[42, 61]], &[&LINES]),
    message(
        ("W", "MarketDataSnapshotFullRefresh", From::Venue),
        &[55],
        &[&[262, 83, 1021, 1022], INSTRUMENT],
        &[&FULL_ENTRIES, &SECURITY_ALT_IDS],
    ),
    message(
        ("X", "MarketDataIncrementalRefresh", From::Venue),
        &[],
        &[&[262, 1021, 1022]],
        &[&INCREMENTAL_ENTRIES],
    ),
];

static ONLY_50SP2: [MessageDef; 6] = [
    admin("A", "Logon", &[98, 108, 1137], &[LOGON], &[&MSG_TYPES]),
    message(
        ("F", "OrderCancelRequest", From::Client),
        &[11, 54, 60],
        &[&[41], CANCEL, SYMBOL, INSTRUMENT, TEXT],
        &[&PARTIES, &SECURITY_ALT_IDS],
    ),
    message(
        ("8", "ExecutionReport", From::Venue),
        &[37, 17, 150, 39, 55, 54, 151, 14],
        &[&[6, 1003], REPORT, INSTRUMENT, TERMS, TEXT],
        REPORT_GROUPS,
    ),
    message(("B", "News", From::Venue), &[148], &[&[42, 61]], &[&LINES]),
    message(
        ("W", "MarketDataSnapshotFullRefresh", From::Venue),
        &[55],
        &[&[262, 83, 1021, 1022], INSTRUMENT],
        &[&FULL_ENTRIES_50SP2, &SECURITY_ALT_IDS],
    ),
    message(
        ("X", "MarketDataIncrementalRefresh", From::Venue),
        &[],
        &[&[262, 1021, 1022]],
        &[&INCREMENTAL_ENTRIES_50SP2],
    ),
];

const fn part(
    required: &'static [u16],
    optional: &'static [&'static [u16]],
    groups: &'static [&'static Group],
) -> MessageDef {
    message(("", "", From::Both), required, optional, groups)
}

static TRAILER: MessageDef = part(&[], &[&[93, 89]], &[]);

/// FIX 4.4.
pub static FIX44: Dictionary = Dictionary {
    begin_string: "FIX.4.4",
    header: &HEADER_44,
    trailer: &TRAILER,
    trade_id: 527,
    messages: [&COMMON, &ONLY_44],
    letters: letters([&COMMON, &ONLY_44]),
    sections: sections(&HEADER_44, &TRAILER),
};

static HEADER_44: MessageDef = part(HEADER_REQUIRED, &[HEADER], &[&HOPS]);
static HEADER_FIXT: MessageDef = part(HEADER_REQUIRED, &[HEADER, &[1128, 1129, 1156]], &[&HOPS]);

/// FIX 5.0 SP2 over FIXT 1.1.
pub static FIX50SP2: Dictionary = Dictionary {
    begin_string: "FIXT.1.1",
    header: &HEADER_FIXT,
    trailer: &TRAILER,
    trade_id: 1003,
    messages: [&COMMON, &ONLY_50SP2],
    letters: letters([&COMMON, &ONLY_50SP2]),
    sections: sections(&HEADER_FIXT, &TRAILER),
};
