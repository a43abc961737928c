//! What docs/protocol.md tells clients is what the codecs do: its tables, its codes, its conversation.

use std::collections::BTreeSet;

use domain::{CancelReason, RejectReason};
use wire::ouch::{Inbound, Outbound, codes, inbound, outbound};
use wire::soup::{self, LoginAccepted, LoginRequest, PAYLOAD_MAX, ServerPacket};

use crate::goldens::bytes;

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

/// The lines between this heading and the next of the same rank.
fn section(heading: &str) -> Vec<&'static str> {
    let lines: Vec<_> = DOCUMENT.lines().skip_while(|l| *l != heading).skip(1).collect();
    assert!(!lines.is_empty(), "no section {heading}");
    lines.into_iter().take_while(|l| !l.starts_with("## ")).collect()
}

/// The cells of the table that follows, without its head.
fn table(lines: &[&'static str]) -> Vec<Vec<&'static str>> {
    let rows = lines.iter().skip_while(|l| !l.starts_with('|')).take_while(|l| l.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The end of the fields of a layout, which must lie side by side from 0.
fn end_of_layout(name: &str, rows: &[Vec<&str>]) -> usize {
    let mut end = 0;
    for row in rows.iter().filter(|row| !row[2].is_empty()) {
        let (at, len): (usize, usize) = (row[1].parse().expect("at"), row[2].parse().expect("len"));
        assert_eq!(at, end, "{name}: {}", row[0]);
        end += len;
    }
    end
}

/// Type and length of each message of a section, as its title says and its table adds up.
fn messages(heading: &str) -> BTreeSet<(u8, usize)> {
    let lines = section(heading);
    let mut found = BTreeSet::new();
    for (index, line) in lines.iter().enumerate() {
        let Some((kind, rest)) = line.strip_prefix("**`").and_then(|l| l.split_once('`')) else { continue };
        let (_, rest) = rest.split_once("**, ").expect("a length");
        let len: usize = rest.split(' ').next().expect("a number").parse().expect("a number");
        if len > 1 {
            assert_eq!(end_of_layout(line, &table(&lines[index..])), len, "{line}");
        }
        found.insert((kind.as_bytes()[0], len));
    }
    found
}

#[test]
fn layouts_are_those_of_the_codecs() {
    use inbound::{AccountQuery, CancelOrder, EnterOrder, MassCancel, ModifyOrder, ReplaceOrder};
    use outbound::{
        Accepted, AccountQueryResponse, AiqCanceled, Canceled, Executed, MassCanceled, Modified, Rejected,
        Replaced, Restated, SystemEvent,
    };
    let requests = [
        (EnterOrder::TYPE, EnterOrder::LEN),
        (ReplaceOrder::TYPE, ReplaceOrder::LEN),
        (CancelOrder::TYPE, CancelOrder::LEN),
        (ModifyOrder::TYPE, ModifyOrder::LEN),
        (MassCancel::TYPE, MassCancel::LEN),
        (AccountQuery::TYPE, AccountQuery::LEN),
    ];
    assert_eq!(messages("## Requests"), BTreeSet::from(requests));
    let answers = [
        (SystemEvent::TYPE, SystemEvent::LEN),
        (Accepted::TYPE, Accepted::LEN),
        (Replaced::TYPE, Replaced::LEN),
        (Canceled::TYPE, Canceled::LEN),
        (Executed::TYPE, Executed::LEN),
        (Rejected::TYPE, Rejected::LEN),
        (Modified::TYPE, Modified::LEN),
        (AccountQueryResponse::TYPE, AccountQueryResponse::LEN),
        (Restated::TYPE, Restated::LEN),
        (AiqCanceled::TYPE, AiqCanceled::LEN),
        (MassCanceled::TYPE, MassCanceled::LEN),
    ];
    assert_eq!(messages("## Answers"), BTreeSet::from(answers));

    let packets = section("## Packets (SoupBinTCP)");
    for (title, len) in [("**Login request**", LoginRequest::LEN), ("**Login accepted**", LoginAccepted::LEN)]
    {
        let at = packets.iter().position(|l| *l == title).expect("a title");
        assert_eq!(end_of_layout(title, &table(&packets[at..])), len);
    }
}

#[test]
fn codes_are_those_of_the_codecs() {
    let lines = section("## What answers what");
    let after = |title: &str| {
        let at = lines.iter().position(|l| l.starts_with(title)).expect("a title");
        table(&lines[at..])
    };
    let rejects: Vec<_> = after("**Reject reasons.**").into_iter().map(|row| row[0].to_string()).collect();
    let codes: BTreeSet<u16> = RejectReason::ALL.into_iter().map(codes::reject_reason).collect();
    let codes: Vec<_> = codes.into_iter().map(|code| format!("0x{code:02X}")).collect();
    assert_eq!(rejects, codes);

    let cancels: BTreeSet<_> =
        after("**Cancel reasons**").into_iter().map(|row| row[0].to_string()).collect();
    let letters = CancelReason::ALL.into_iter().map(codes::cancel_reason);
    assert_eq!(cancels, letters.map(|letter| format!("`{}`", char::from(letter))).collect());
}

#[test]
fn the_conversation_is_one() {
    let mut spoken = Vec::new();
    for line in section("## A conversation") {
        let Some((name, hex)) = line.split_once(' ').filter(|(_, hex)| hex.trim().starts_with("00")) else {
            continue;
        };
        let bytes = bytes(&hex.replace(' ', ""));
        let frame = soup::frame(&bytes, PAYLOAD_MAX).expect("no fault").expect("whole");
        assert_eq!(frame.consumed, bytes.len(), "{name}");
        let said = match ServerPacket::decode(&frame).expect("a packet") {
            ServerPacket::Sequenced(message) => match Outbound::decode(message).expect("an answer") {
                Outbound::Accepted(m) => ("Accepted", m.quantity),
                Outbound::Executed(m) => ("Executed", m.quantity),
                Outbound::Replaced(m) => ("Replaced", m.quantity),
                Outbound::Canceled(m) => ("Canceled", m.quantity),
                other => panic!("{other:?}"),
            },
            ServerPacket::Unsequenced(message) => match Inbound::decode(message).expect("a request") {
                Inbound::EnterOrder(m) => ("Enter", m.quantity),
                Inbound::ReplaceOrder(m) => ("Replace", m.quantity),
                Inbound::CancelOrder(m) => ("Cancel", m.quantity),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(said.0, name);
        spoken.push(said);
    }
    let wanted = [
        ("Enter", 100),
        ("Accepted", 100),
        ("Executed", 40),
        ("Replace", 100),
        ("Replaced", 60),
        ("Cancel", 0),
        ("Canceled", 60),
    ];
    assert_eq!(spoken, wanted);

    let logins: Vec<_> = section("## Packets (SoupBinTCP)")
        .into_iter()
        .filter_map(|l| l.strip_prefix("client  ").or_else(|| l.strip_prefix("server  ")))
        .map(|hex| bytes(&hex.replace(' ', "")))
        .collect();
    assert_eq!(logins.len(), 2);
    LoginRequest::decode(&logins[0][soup::HEADER_LEN..]).expect("a login request");
    LoginAccepted::decode(&logins[1][soup::HEADER_LEN..]).expect("a login accepted");
}
