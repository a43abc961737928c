//! Conversations: messages in, reports out, one line each, as the referee's methodology writes them.

use super::*;

/// Reports as text.
#[derive(Default)]
struct Lines(Vec<String>);

impl Outlet for Lines {
    fn put(&mut self, report: Report) {
        let Report { sequence_number: seq, order_id: id, price_ticks: price, .. } = report;
        let (kind, side, quantity) = (report.kind(), report.side(), report.quantity());
        self.0.push(match kind {
            said::ORDER_ACK | said::MODIFY_ACK => format!("{kind},{seq},{side},{id},{price},{quantity}"),
            said::TRADE => {
                assert_eq!(id, report.taker_order_id);
                format!("{kind},{seq},{price},{quantity},{},{id}", report.maker_order_id)
            }
            said::CANCEL_ACK => format!("{kind},{seq},{side},{id},{price}"),
            _ => format!("{kind},{seq},{id}"),
        });
    }

    fn publish(&mut self) {}
}

const BUY: u8 = 0;
const SELL: u8 = 1;

#[derive(Clone, Copy)]
enum Ask {
    /// Id, side, quantity, price, and whether it is immediate.
    New(u64, u8, u32, i64, u8),
    Cancel(u64),
    /// Id, quantity, price.
    Modify(u64, u32, i64),
}
use Ask::{Cancel as Gone, Modify, New};

/// Sends each message, numbered from 0, and gives all reports.
fn talk(messages: &[Ask]) -> Vec<String> {
    let mut session = Session::new(Lines::default());
    for (number, message) in messages.iter().enumerate() {
        let sequence_number = number as u64;
        let order = |order_id, side, quantity, price_ticks, ioc| Order {
            order_id,
            sequence_number,
            price_ticks,
            quantity,
            side,
            ioc,
            reserved: [0; 2],
        };
        match *message {
            New(id, side, quantity, price, ioc) => session.enter(&order(id, side, quantity, price, ioc)),
            Gone(order_id) => session.cancel(&Cancel { order_id, sequence_number }),
            Modify(id, quantity, price) => session.modify(&order(id, 9, quantity, price, 0)),
        }
    }
    session.desk.outlet.0
}

#[test]
fn an_immediate_order_trades_and_its_rest_is_canceled_at_its_own_price() {
    let said = talk(&[New(7, SELL, 10, 100, 0), New(8, BUY, 15, 102, 1), Gone(7), Gone(8)]);
    assert_eq!(said, ["0,0,1,7,100,10", "0,1,0,8,102,15", "1,1,100,10,7,8", "2,1,0,8,102", "4,2,7", "4,3,8"]);
}

#[test]
fn a_cancel_says_side_and_price_of_the_order_and_frees_its_id() {
    let said = talk(&[New(1, SELL, 5, -3, 0), Gone(1), Gone(1), New(1, BUY, 2, 4, 0), Gone(1)]);
    assert_eq!(said, ["0,0,1,1,-3,5", "2,1,1,1,-3", "4,2,1", "0,3,0,1,4,2", "2,4,0,1,4"]);
}

#[test]
fn a_modification_loses_its_place_and_keeps_its_id() {
    let said = talk(&[
        New(1, BUY, 5, 10, 0),
        New(2, BUY, 5, 10, 0),
        Modify(1, 6, 10),
        New(3, SELL, 8, 10, 1),
        Gone(1),
    ]);
    assert_eq!(
        said,
        [
            "0,0,0,1,10,5",
            "0,1,0,2,10,5",
            "3,2,0,1,10,6",
            "0,3,1,3,10,8",
            "1,3,10,5,2,3",
            "1,3,10,3,1,3",
            "2,4,0,1,10"
        ]
    );
}

#[test]
fn a_modification_asks_for_what_shall_be_open_whatever_was_executed() {
    let said = talk(&[
        New(1, SELL, 10, 50, 0),
        New(2, BUY, 4, 50, 1),
        Modify(1, 9, 51),
        Modify(1, 8, 52),
        New(3, BUY, 100, 60, 0),
        Modify(1, 1, 1),
        // What is left of 3 stands at 60; it trades with a sell that was modified down to it, whole.
        New(4, SELL, 3, 70, 0),
        Modify(4, 92, 55),
        Gone(4),
        Gone(3),
    ]);
    assert_eq!(
        said,
        [
            "0,0,1,1,50,10",
            "0,1,0,2,50,4",
            "1,1,50,4,1,2",
            "3,2,1,1,51,9",
            "3,3,1,1,52,8",
            "0,4,0,3,60,100",
            "1,4,52,8,1,3",
            "5,5,1",
            "0,6,1,4,70,3",
            "3,7,1,4,55,92",
            "1,7,60,92,3,4",
            "4,8,4",
            "4,9,3",
        ]
    );
}

#[test]
fn two_ids_with_one_tag_are_two_orders() {
    // As in the table's own test: the upper half moves the tag by a constant.
    let other = 1 << 32 | u64::from(5_u32.wrapping_sub(0x85EB_CA6B));
    assert_eq!(crate::ids::tag_of(other), crate::ids::tag_of(5));
    let said = talk(&[
        New(5, BUY, 1, 10, 0),
        Gone(other),
        New(other, BUY, 2, 11, 0),
        Modify(other, 3, 12),
        Gone(5),
        Modify(5, 1, 1),
        Gone(other),
    ]);
    let of_other = |text: &str| text.replace('X', &other.to_string());
    assert_eq!(
        said,
        [
            "0,0,0,5,10,1".to_owned(),
            of_other("4,1,X"),
            of_other("0,2,0,X,11,2"),
            of_other("3,3,0,X,12,3"),
            "2,4,0,5,10".to_owned(),
            "5,5,5".to_owned(),
            of_other("2,6,0,X,12"),
        ]
    );
}

#[test]
fn what_the_abi_cannot_refuse_gets_no_report_and_leaves_no_trace() {
    let said = talk(&[New(1, BUY, 0, 10, 0), Gone(1), New(2, BUY, 1, i64::MAX, 0), Gone(2)]);
    assert_eq!(said, ["4,1,1", "4,3,2"]);
    let said = talk(&[New(1, BUY, 3, 10, 0), Modify(1, 0, 10), Gone(1)]);
    assert_eq!(said, ["0,0,0,1,10,3", "2,1,0,1,10", "5,1,1", "4,2,1"]);
}
