//! The fields: tags, names, types, and the values of those that have few.
//!
//! Source: FIX 4.4 and FIX 5.0 SP2, the FIX Trading Community's field definitions; values that mean nothing here are left out.

use super::Kind;

/// A field.
#[derive(Debug)]
pub struct FieldDef {
    /// Its tag.
    pub tag: u16,
    /// Its name.
    pub name: &'static str,
    /// What its values look like.
    pub kind: Kind,
    /// Its values and their names, where it has no others; empty: any of its type.
    pub values: &'static [(&'static str, &'static str)],
    /// The values of one letter: bit n of ASCII's n.
    pub(crate) letters: u128,
}

const fn letters(values: &[(&str, &str)]) -> u128 {
    let (mut letters, mut at) = (0, 0);
    while at < values.len() {
        if let [letter] = *values[at].0.as_bytes() {
            letters |= 1 << letter;
        }
        at += 1;
    }
    letters
}

macro_rules! fields {
    ($($tag:literal $name:ident $kind:ident $([$($value:literal $meaning:ident),*])?;)*) => {
        /// All fields, by tag.
        pub static FIELDS: &[FieldDef] = &[$(FieldDef {
            tag: $tag,
            name: stringify!($name),
            kind: Kind::$kind,
            values: &[$($(($value, stringify!($meaning))),*)?],
            letters: letters(&[$($(($value, "")),*)?]),
        }),*];
    };
}

#[rustfmt::skip]
fields! {
    1 Account String;
    6 AvgPx Price;
    7 BeginSeqNo SeqNum;
    8 BeginString String;
    9 BodyLength Length;
    10 CheckSum String;
    11 ClOrdID String;
    14 CumQty Qty;
    15 Currency Currency;
    16 EndSeqNo SeqNum;
    17 ExecID String;
    18 ExecInst MultipleValueString ["1" NOT_HELD, "2" WORK, "3" GO_ALONG, "6" PARTICIPATE_DO_NOT_INITIATE, "G" ALL_OR_NONE, "a" TRAILING_STOP_PEG];
    19 ExecRefID String;
    21 HandlInst Char ["1" AUTOMATED_PRIVATE, "2" AUTOMATED_PUBLIC, "3" MANUAL];
    22 SecurityIDSource String ["1" CUSIP, "2" SEDOL, "4" ISIN_NUMBER, "5" RIC_CODE, "8" EXCHANGE_SYMBOL, "A" BLOOMBERG_SYMBOL, "B" WERTPAPIER];
    30 LastMkt Exchange;
    31 LastPx Price;
    32 LastQty Qty;
    33 NoLinesOfText NumInGroup;
    34 MsgSeqNum SeqNum;
    35 MsgType String;
    36 NewSeqNo SeqNum;
    37 OrderID String;
    38 OrderQty Qty;
    39 OrdStatus Char ["0" NEW, "1" PARTIALLY_FILLED, "2" FILLED, "3" DONE_FOR_DAY, "4" CANCELED, "5" REPLACED, "6" PENDING_CANCEL, "8" REJECTED, "A" PENDING_NEW, "C" EXPIRED, "E" PENDING_REPLACE];
    40 OrdType Char ["1" MARKET, "2" LIMIT, "3" STOP, "4" STOP_LIMIT, "K" MARKET_WITH_LEFTOVER_AS_LIMIT, "P" PEGGED];
    41 OrigClOrdID String;
    42 OrigTime UtcTimestamp;
    43 PossDupFlag Boolean;
    44 Price Price;
    45 RefSeqNum SeqNum;
    48 SecurityID String;
    49 SenderCompID String;
    50 SenderSubID String;
    52 SendingTime UtcTimestamp;
    54 Side Char ["1" BUY, "2" SELL, "5" SELL_SHORT, "6" SELL_SHORT_EXEMPT];
    55 Symbol String;
    56 TargetCompID String;
    57 TargetSubID String;
    58 Text String;
    59 TimeInForce Char ["0" DAY, "1" GOOD_TILL_CANCEL, "3" IMMEDIATE_OR_CANCEL, "4" FILL_OR_KILL, "6" GOOD_TILL_DATE];
    60 TransactTime UtcTimestamp;
    61 Urgency Char ["0" NORMAL, "1" FLASH, "2" BACKGROUND];
    63 SettlType Char ["0" REGULAR];
    64 SettlDate LocalMktDate;
    65 SymbolSfx String;
    75 TradeDate LocalMktDate;
    77 PositionEffect Char ["O" OPEN, "C" CLOSE, "R" ROLLED, "F" FIFO];
    83 RptSeq Int;
    89 Signature Data;
    90 SecureDataLen Length;
    91 SecureData Data;
    93 SignatureLength Length;
    95 RawDataLength Length;
    96 RawData Data;
    97 PossResend Boolean;
    98 EncryptMethod Int ["0" NONE];
    99 StopPx Price;
    100 ExDestination Exchange;
    102 CxlRejReason Int ["0" TOO_LATE_TO_CANCEL, "1" UNKNOWN_ORDER, "2" BROKER, "3" ALREADY_PENDING, "4" UNABLE_TO_PROCESS_MASS_CANCEL, "5" ORIGORDMODTIME, "6" DUPLICATE_CLORDID, "99" OTHER];
    103 OrdRejReason Int ["0" BROKER, "1" UNKNOWN_SYMBOL, "2" EXCHANGE_CLOSED, "3" ORDER_EXCEEDS_LIMIT, "5" UNKNOWN_ORDER, "6" DUPLICATE_ORDER, "8" STALE_ORDER, "11" UNSUPPORTED_ORDER_CHARACTERISTIC, "13" INCORRECT_QUANTITY, "15" UNKNOWN_ACCOUNT, "18" INVALID_PRICE_INCREMENT, "99" OTHER];
    106 Issuer String;
    107 SecurityDesc String;
    108 HeartBtInt Int;
    110 MinQty Qty;
    111 MaxFloor Qty;
    112 TestReqID String;
    114 LocateReqd Boolean;
    115 OnBehalfOfCompID String;
    116 OnBehalfOfSubID String;
    120 SettlCurrency Currency;
    122 OrigSendingTime UtcTimestamp;
    123 GapFillFlag Boolean;
    126 ExpireTime UtcTimestamp;
    128 DeliverToCompID String;
    129 DeliverToSubID String;
    141 ResetSeqNumFlag Boolean;
    142 SenderLocationID String;
    143 TargetLocationID String;
    144 OnBehalfOfLocationID String;
    145 DeliverToLocationID String;
    146 NoRelatedSym NumInGroup;
    148 Headline String;
    150 ExecType Char;
    151 LeavesQty Qty;
    167 SecurityType String ["CS" COMMON_STOCK, "PS" PREFERRED_STOCK, "ETF" EXCHANGE_TRADED_FUND, "CORP" CORPORATE_BOND, "FUT" FUTURE, "OPT" OPTION, "FXSPOT" FX_SPOT];
    168 EffectiveTime UtcTimestamp;
    200 MaturityMonthYear MonthYear;
    203 CoveredOrUncovered Int ["0" COVERED, "1" UNCOVERED];
    207 SecurityExchange Exchange;
    210 MaxShow Qty;
    211 PegOffsetValue Price;
    212 XmlDataLen Length;
    213 XmlData Data;
    262 MDReqID String;
    263 SubscriptionRequestType Char ["0" SNAPSHOT, "1" SNAPSHOT_PLUS_UPDATES, "2" DISABLE_PREVIOUS_SNAPSHOT_PLUS_UPDATE_REQUEST];
    264 MarketDepth Int;
    265 MDUpdateType Int ["0" FULL_REFRESH, "1" INCREMENTAL_REFRESH];
    266 AggregatedBook Boolean;
    267 NoMDEntryTypes NumInGroup;
    268 NoMDEntries NumInGroup;
    269 MDEntryType Char ["0" BID, "1" OFFER, "2" TRADE, "4" OPENING_PRICE, "5" CLOSING_PRICE, "6" SETTLEMENT_PRICE, "7" TRADING_SESSION_HIGH_PRICE, "8" TRADING_SESSION_LOW_PRICE, "B" TRADE_VOLUME];
    270 MDEntryPx Price;
    271 MDEntrySize Qty;
    272 MDEntryDate UtcDateOnly;
    273 MDEntryTime UtcTimeOnly;
    278 MDEntryID String;
    279 MDUpdateAction Char ["0" NEW, "1" CHANGE, "2" DELETE];
    280 MDEntryRefID String;
    281 MDReqRejReason Char ["0" UNKNOWN_SYMBOL, "1" DUPLICATE_MDREQID, "2" INSUFFICIENT_BANDWIDTH, "3" INSUFFICIENT_PERMISSIONS, "4" UNSUPPORTED_SUBSCRIPTIONREQUESTTYPE, "5" UNSUPPORTED_MARKETDEPTH, "6" UNSUPPORTED_MDUPDATETYPE, "7" UNSUPPORTED_AGGREGATEDBOOK, "8" UNSUPPORTED_MDENTRYTYPE, "9" UNSUPPORTED_TRADINGSESSIONID, "A" UNSUPPORTED_SCOPE, "B" UNSUPPORTED_OPENCLOSESETTLEFLAG, "C" UNSUPPORTED_MDIMPLICITDELETE];
    290 MDEntryPositionNo Int;
    320 SecurityReqID String;
    322 SecurityResponseID String;
    324 SecurityStatusReqID String;
    325 UnsolicitedIndicator Boolean;
    326 SecurityTradingStatus Int;
    327 HaltReasonChar Char ["I" ORDER_IMBALANCE, "X" EQUIPMENT_CHANGEOVER, "P" NEWS_PENDING, "D" NEWS_DISSEMINATION, "E" ORDER_INFLUX, "M" ADDITIONAL_INFORMATION];
    335 TradSesReqID String;
    336 TradingSessionID String;
    338 TradSesMethod Int;
    339 TradSesMode Int;
    340 TradSesStatus Int ["0" UNKNOWN, "1" HALTED, "2" OPEN, "3" CLOSED, "4" PRE_OPEN, "5" PRE_CLOSE, "6" REQUEST_REJECTED];
    346 NumberOfOrders Int;
    347 MessageEncoding String ["ISO-2022-JP" JIS, "EUC-JP" EUC, "Shift_JIS" FOR_USING_SJIS, "UTF-8" UNICODE];
    354 EncodedTextLen Length;
    355 EncodedText Data;
    369 LastMsgSeqNumProcessed SeqNum;
    371 RefTagID Int;
    372 RefMsgType String;
    373 SessionRejectReason Int;
    376 ComplianceID String;
    377 SolicitedFlag Boolean;
    378 ExecRestatementReason Int ["0" GT_CORPORATE_ACTION, "1" GT_RENEWAL, "2" VERBAL_CHANGE, "3" REPRICING_OF_ORDER, "4" BROKER_OPTION, "5" PARTIAL_DECLINE_OF_ORDERQTY, "6" CANCEL_ON_TRADING_HALT, "7" CANCEL_ON_SYSTEM_FAILURE, "8" MARKET, "9" CANCELED_NOT_BEST, "10" WAREHOUSE_RECAP, "99" OTHER];
    379 BusinessRejectRefID String;
    380 BusinessRejectReason Int ["0" OTHER, "1" UNKNOWN_ID, "2" UNKNOWN_SECURITY, "3" UNSUPPORTED_MESSAGE_TYPE, "4" APPLICATION_NOT_AVAILABLE, "5" CONDITIONALLY_REQUIRED_FIELD_MISSING, "6" NOT_AUTHORIZED, "7" DELIVERTO_FIRM_NOT_AVAILABLE_AT_THIS_TIME];
    383 MaxMessageSize Length;
    384 NoMsgTypes NumInGroup;
    385 MsgDirection Char ["S" SEND, "R" RECEIVE];
    386 NoTradingSessions NumInGroup;
    388 DiscretionInst Char ["0" RELATED_TO_DISPLAYED_PRICE, "1" RELATED_TO_MARKET_PRICE, "2" RELATED_TO_PRIMARY_PRICE, "3" RELATED_TO_LOCAL_PRIMARY_PRICE, "4" RELATED_TO_MIDPOINT_PRICE, "5" RELATED_TO_LAST_TRADE_PRICE, "6" RELATED_TO_VWAP];
    389 DiscretionOffsetValue Price;
    393 TotNoRelatedSym Int;
    423 PriceType Int ["2" PER_UNIT];
    432 ExpireDate LocalMktDate;
    434 CxlRejResponseTo Char ["1" ORDER_CANCEL_REQUEST, "2" ORDER_CANCEL_REPLACE_REQUEST];
    447 PartyIDSource Char ["B" BIC, "C" MARKET_PARTICIPANT_IDENTIFIER, "D" PROPRIETARY_CUSTOM_CODE, "G" MIC];
    448 PartyID String;
    452 PartyRole Int ["1" EXECUTING_FIRM, "3" CLIENT_ID, "4" CLEARING_FIRM, "7" ENTERING_FIRM, "11" ORDER_ORIGINATION_TRADER, "12" EXECUTING_TRADER, "17" CONTRA_FIRM, "24" CUSTOMER_ACCOUNT, "36" ENTERING_TRADER];
    453 NoPartyIDs NumInGroup;
    454 NoSecurityAltID NumInGroup;
    455 SecurityAltID String;
    456 SecurityAltIDSource String;
    460 Product Int;
    461 CFICode String;
    464 TestMessageIndicator Boolean;
    523 PartySubID String;
    526 SecondaryClOrdID String;
    527 SecondaryExecID String;
    528 OrderCapacity Char ["A" AGENCY, "P" PRINCIPAL];
    529 OrderRestrictions MultipleValueString;
    530 MassCancelRequestType Char ["1" CANCEL_ORDERS_FOR_A_SECURITY, "7" CANCEL_ALL_ORDERS];
    531 MassCancelResponse Char ["0" CANCEL_REQUEST_REJECTED, "1" CANCEL_ORDERS_FOR_A_SECURITY, "7" CANCEL_ALL_ORDERS];
    532 MassCancelRejectReason Char ["0" MASS_CANCEL_NOT_SUPPORTED, "1" INVALID_OR_UNKNOWN_SECURITY, "2" INVALID_OR_UNKNOWN_UNDERLYING, "3" INVALID_OR_UNKNOWN_PRODUCT, "4" INVALID_OR_UNKNOWN_CFICODE, "5" INVALID_OR_UNKNOWN_SECURITY_TYPE, "6" INVALID_OR_UNKNOWN_TRADING_SESSION, "99" OTHER];
    533 TotalAffectedOrders Int;
    534 NoAffectedOrders NumInGroup;
    535 AffectedOrderID String;
    536 AffectedSecondaryOrderID String;
    547 MDImplicitDelete Boolean;
    553 Username String;
    554 Password String;
    559 SecurityListRequestType Int ["0" SYMBOL, "1" SECURITYTYPE_AND_OR_CFICODE, "2" PRODUCT, "3" TRADINGSESSIONID, "4" ALL_SECURITIES];
    560 SecurityRequestResult Int ["0" VALID_REQUEST, "1" INVALID_OR_UNSUPPORTED_REQUEST, "2" NO_INSTRUMENTS_FOUND_THAT_MATCH_SELECTION_CRITERIA, "3" NOT_AUTHORIZED_TO_RETRIEVE_INSTRUMENT_DATA, "4" INSTRUMENT_DATA_TEMPORARILY_UNAVAILABLE, "5" REQUEST_FOR_INSTRUMENT_DATA_NOT_SUPPORTED];
    561 RoundLot Qty;
    562 MinTradeVol Qty;
    567 TradSesStatusRejReason Int ["1" UNKNOWN_OR_INVALID_TRADINGSESSIONID, "99" OTHER];
    581 AccountType Int ["1" CUSTOMER_SIDE, "2" NON_CUSTOMER_SIDE, "3" HOUSE_TRADER, "4" FLOOR_TRADER, "6" NON_CUSTOMER_SIDE_CROSS_MARGINED, "7" HOUSE_TRADER_CROSS_MARGINED, "8" JOINT_BACK_OFFICE];
    582 CustOrderCapacity Int ["1" MEMBER_TRADING_FOR_THEIR_OWN_ACCOUNT, "2" CLEARING_FIRM_TRADING_FOR_ITS_PROPRIETARY_ACCOUNT, "3" MEMBER_TRADING_FOR_ANOTHER_MEMBER, "4" ALL_OTHER];
    583 ClOrdLinkID String;
    584 MassStatusReqID String;
    585 MassStatusReqType Int ["1" STATUS_FOR_ORDERS_FOR_A_SECURITY, "7" STATUS_FOR_ALL_ORDERS, "8" STATUS_FOR_ORDERS_FOR_A_PARTYID];
    586 OrigOrdModTime UtcTimestamp;
    625 TradingSessionSubID String;
    627 NoHops NumInGroup;
    628 HopCompID String;
    629 HopSendingTime UtcTimestamp;
    630 HopRefID SeqNum;
    636 WorkingIndicator Boolean;
    660 AcctIDSource Int ["1" BIC, "2" SID_CODE, "3" TFM, "4" OMGEO, "5" DTCC_CODE, "99" OTHER];
    762 SecuritySubType String;
    789 NextExpectedMsgSeqNum SeqNum;
    790 OrdStatusReqID String;
    797 CopyMsgIndicator Boolean;
    802 NoPartySubIDs NumInGroup;
    803 PartySubIDType Int;
    851 LastLiquidityInd Int ["1" ADDED_LIQUIDITY, "2" REMOVED_LIQUIDITY, "3" LIQUIDITY_ROUTED_OUT];
    854 QtyType Int ["0" UNITS, "1" CONTRACTS];
    880 TrdMatchID String;
    893 LastFragment Boolean;
    911 TotNumReports Int;
    912 LastRptRequested Boolean;
    923 UserRequestID String;
    924 UserRequestType Int ["1" LOGONUSER, "2" LOGOFFUSER, "3" CHANGEPASSWORDFORUSER, "4" REQUEST_INDIVIDUAL_USER_STATUS];
    925 NewPassword String;
    926 UserStatus Int ["1" LOGGED_IN, "2" NOT_LOGGED_IN, "3" USER_NOT_RECOGNISED, "4" PASSWORD_INCORRECT, "5" PASSWORD_CHANGED, "6" OTHER];
    927 UserStatusText String;
    1003 TradeID String;
    1021 MDBookType Int ["1" TOP_OF_BOOK, "2" PRICE_DEPTH, "3" ORDER_DEPTH];
    1022 MDFeedType String;
    1023 MDPriceLevel Int;
    1057 AggressorIndicator Boolean;
    1128 ApplVerID String ["9" FIX50SP2];
    1129 CstmApplVerID String;
    1137 DefaultApplVerID String ["9" FIX50SP2];
    1138 DisplayQty Qty;
    1156 ApplExtID Int;
    2362 SelfMatchPreventionID String;
    2446 AggressorSide Char ["1" BUY, "2" SELL];
    2964 SelfMatchPreventionInstruction Int;
}

/// Tags are below this.
const TAGS: usize = 3_072;
/// By tag: the field's place among [`FIELDS`] and 1, or 0.
static PLACES: [u8; TAGS] = places();

const fn places() -> [u8; TAGS] {
    // One place is left for "none", so that a place fits into a byte.
    assert!(FIELDS.len() < u8::MAX as usize);
    let mut places = [0; TAGS];
    let mut place = 0;
    while place < FIELDS.len() {
        assert!(place == 0 || FIELDS[place - 1].tag < FIELDS[place].tag);
        places[FIELDS[place].tag as usize] = place as u8 + 1;
        place += 1;
    }
    places
}

/// The place of a tag among [`FIELDS`].
#[inline]
pub(crate) fn place(tag: u32) -> Option<usize> {
    let place = *PLACES.get(tag as usize)?;
    (place as usize).checked_sub(1)
}

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set([u64; 4]);

impl Set {
    pub(crate) const EMPTY: Self = Self([0; 4]);

    /// With the fields of these tags.
    pub(crate) const fn with(mut self, tags: &[u16]) -> Self {
        let mut at = 0;
        while at < tags.len() {
            // A tag without a field ends the compilation.
            let place = PLACES[tags[at] as usize] as usize - 1;
            self.0[place / 64] |= 1 << (place % 64);
            at += 1;
        }
        self
    }

    /// With the fields of several lists of tags.
    pub(crate) const fn with_all(mut self, lists: &[&[u16]]) -> Self {
        let mut at = 0;
        while at < lists.len() {
            self = self.with(lists[at]);
            at += 1;
        }
        self
    }

    #[inline]
    pub(crate) const fn has(&self, place: usize) -> bool {
        self.0[place / 64] & (1 << (place % 64)) != 0
    }

    /// Adds one. Says whether it was there.
    #[inline]
    pub(crate) const fn put(&mut self, place: usize) -> bool {
        let was = self.has(place);
        self.0[place / 64] |= 1 << (place % 64);
        was
    }

    /// The first that is in `self` and not in `other`.
    #[inline]
    pub(crate) fn first_without(&self, other: &Self) -> Option<usize> {
        self.0.iter().zip(other.0).enumerate().find_map(|(word, (own, others))| {
            let left = own & !others;
            (left != 0).then(|| word * 64 + left.trailing_zeros() as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_its_field() {
        for (at, field) in FIELDS.iter().enumerate() {
            assert_eq!(place(field.tag.into()), Some(at), "{}", field.name);
        }
        for tag in [0, 2, 5_000, u32::MAX] {
            assert_eq!(place(tag), None, "{tag}");
        }
    }

    #[test]
    fn a_set_has_what_was_put_in() {
        let mut set = Set::EMPTY.with(&[8, 2_964]).with_all(&[&[35], &[]]);
        let of = |tag| place(tag).unwrap();
        assert!(set.has(of(8)) && set.has(of(2_964)) && set.has(of(35)) && !set.has(of(9)));
        assert!(!set.put(of(9)) && set.put(of(9)));
        assert_eq!(set.first_without(&Set::EMPTY.with(&[8, 9])), Some(of(35)));
        assert_eq!(set.first_without(&set), None);
    }
}
