//! What the fuzzers run: decode any bytes, encode again what decoded, and assert that it is the same. The fuzz
//! targets and the seeded smoke test are one line each around these.

use crate::fix::{self, Checker, Fields, Frame, TimePrecision, Writer, dictionary, value};
use crate::itch;
use crate::mold;
use crate::ouch::{Elsewhere, Inbound, Outbound};
use crate::soup::{self, ClientPacket, LoginAccepted, LoginRequest, PAYLOAD_MAX, ServerPacket};

/// Takes `data` for a stream of packets: every frame is within the data, its packet encodes to the frame's own
/// bytes (logins to packets that decode to the same), and what is left is less than a packet.
///
/// # Panics
/// When the codec is wrong.
pub fn soup_frame(data: &[u8]) {
    let mut rest = data;
    // A bound that some packets break and others keep; it must hold for what follows alike.
    let payload_max = usize::from(data.first().copied().unwrap_or_default()) * 256;
    loop {
        let frame = match soup::frame(rest, payload_max) {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                assert!(rest.len() < soup::HEADER_LEN + payload_max, "a whole packet was not seen");
                return;
            }
            Err(_) => return,
        };
        assert!(frame.payload.len() <= payload_max.min(PAYLOAD_MAX));
        let whole = &rest[..frame.consumed];
        if let Ok(packet) = ClientPacket::decode(&frame) {
            let mut again = Vec::new();
            packet.encode(&mut again);
            let decoded = soup::frame(&again, PAYLOAD_MAX).map(|f| f.map(|f| ClientPacket::decode(&f)));
            assert_eq!(decoded, Ok(Some(Ok(packet))));
            assert!(matches!(packet, ClientPacket::LoginRequest(_)) || again == whole);
        }
        if let Ok(packet) = ServerPacket::decode(&frame) {
            let mut again = Vec::new();
            packet.encode(&mut again);
            let decoded = soup::frame(&again, PAYLOAD_MAX).map(|f| f.map(|f| ServerPacket::decode(&f)));
            assert_eq!(decoded, Ok(Some(Ok(packet))));
            assert!(matches!(packet, ServerPacket::LoginAccepted(_)) || again == whole);
        }
        rest = &rest[frame.consumed..];
    }
}

/// Takes `data` for the payload of a login request and of a login accepted.
///
/// # Panics
/// When the codec is wrong.
pub fn soup_login(data: &[u8]) {
    if let Ok(login) = LoginRequest::decode(data) {
        let mut again = Vec::new();
        login.encode(&mut again);
        assert_eq!(LoginRequest::decode(&again[soup::HEADER_LEN..]), Ok(login));
        assert_eq!(again[soup::HEADER_LEN..][..16], data[..16], "username and password are not touched");
    }
    if let Ok(accepted) = LoginAccepted::decode(data) {
        let mut again = Vec::new();
        accepted.encode(&mut again);
        assert_eq!(LoginAccepted::decode(&again[soup::HEADER_LEN..]), Ok(accepted));
    }
}

/// Takes `data` for a client's message.
///
/// # Panics
/// When the codec is wrong.
pub fn ouch_inbound(data: &[u8]) {
    match Inbound::decode(data) {
        Ok(message) => {
            let mut again = Vec::new();
            message.encode(&mut again);
            assert_eq!(again, data, "{message:?}");
            if let Inbound::EnterOrder(m) = message {
                appendage(m.appendage);
            }
            if let Inbound::ReplaceOrder(m) = message {
                appendage(m.appendage);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Takes `data` for a venue's message, numbered or not.
///
/// # Panics
/// When the codec is wrong.
pub fn ouch_outbound(data: &[u8]) {
    match Outbound::decode(data) {
        Ok(message) => {
            let mut again = Vec::new();
            message.encode(&mut again);
            assert_eq!(again, data, "{message:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match Elsewhere::decode(data) {
        Ok(message) => {
            let mut again = Vec::new();
            message.encode(&mut again);
            assert_eq!(again, data, "{message:?}");
            assert!(message.addresses().len() + message.pair_name().len() <= data.len());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Takes `data` for a message of the feed.
///
/// # Panics
/// When the codec is wrong.
pub fn itch_message(data: &[u8]) {
    match itch::Message::decode(data) {
        Ok(message) => {
            let mut again = Vec::new();
            message.encode(&mut again);
            assert_eq!(again, data, "{message:?}");
            if let itch::Message::EndOfSnapshot(end) = message
                && let Some(sequence) = end.sequence()
            {
                assert_eq!(itch::EndOfSnapshot::new(sequence).sequence(), Some(sequence));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Takes `data` for a packet of the feed, and for a request.
///
/// # Panics
/// When the codec is wrong.
pub fn mold_packet(data: &[u8]) {
    if let Ok(request) = mold::Header::decode_request(data) {
        let mut again = Vec::new();
        request.encode(&mut again);
        assert_eq!(again, data);
    }
    let packet = match mold::Packet::decode(data) {
        Ok(packet) => packet,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let mold::Header { session, sequence, count } = packet.header;
    if packet.is_end() {
        assert_eq!((packet.messages().count(), data.len()), (0, mold::HEADER_LEN));
        return;
    }
    let mut again = Vec::new();
    let mut packer = mold::Packer::begin(&mut again, session, sequence, data.len());
    for message in packet.messages() {
        assert!(packer.push(message), "what fitted fits again");
        itch_message(message);
    }
    assert_eq!(packer.end(), count);
    assert_eq!(again, data);
}

/// Takes `data` for a stream of FIX messages, and for one as [`sealed`] makes it: each is within the data, written again
/// it is the same message, what the checks let through gives its fields, and numbers and times that are written are read
/// as they were.
///
/// # Panics
/// When the codec is wrong.
pub fn fix_messages(data: &[u8]) {
    let mut checker = Checker::default();
    if let Some(raw) = sealed(data, "FIX.4.4")
        && let Ok(Frame::Message(message, _)) = fix::frame(&raw, raw.len())
    {
        fix_message(&message, &mut checker);
    }
    let mut rest = data;
    let max = 64 + usize::from(data.first().copied().unwrap_or_default()) * 16;
    loop {
        match fix::frame(rest, max) {
            Ok(Frame::Incomplete) => {
                assert!(rest.len() < max, "more than a message, and no end of it");
                return;
            }
            Ok(Frame::Garbled(length)) => {
                assert!(length > 0);
                rest = &rest[length..];
            }
            Ok(Frame::Message(message, length)) => {
                assert!(length <= max);
                fix_message(&message, &mut checker);
                rest = &rest[length..];
            }
            Err(error) => {
                assert!(!error.to_string().is_empty() && rest.len() >= max);
                return;
            }
        }
    }
}

/// A line as a message: its type, a space, and fields with bars for SOHs. `None` when it can be none.
#[must_use]
pub fn sealed(line: &[u8], begin_string: &str) -> Option<Vec<u8>> {
    let (msg_type, fields) =
        line.split_at(line.iter().position(|&byte| byte == b' ').unwrap_or(line.len().min(1)));
    let mut fields: Vec<u8> =
        fields.iter().skip(1).map(|&byte| if byte == b'|' { 1 } else { byte }).collect();
    if fields.last().is_some_and(|&last| last != 1) {
        fields.push(1);
    }
    if msg_type.is_empty() || msg_type.contains(&1) || fields.len() > 4_096 {
        return None;
    }
    let mut raw = Vec::new();
    let mut writer = Writer::new(TimePrecision::Millis);
    let mut message = writer.begin(&mut raw, begin_string.as_bytes(), msg_type);
    message.fields(&fields);
    message.end();
    Some(raw)
}

fn fix_message(message: &fix::Message<'_>, checker: &mut Checker) {
    let mut again = Vec::new();
    let mut writer = Writer::new(TimePrecision::Nanos);
    let mut written = writer.begin(&mut again, message.begin_string, message.msg_type);
    written.fields(message.fields);
    written.end();
    let framed = fix::frame(&again, again.len());
    assert_eq!(framed, Ok(Frame::Message(*message, again.len())));
    for dictionary in [&dictionary::FIX44, &dictionary::FIX50SP2] {
        match checker.check(dictionary, message) {
            Ok(checked) => {
                // The first field is outside any group, and no field outside a group is there twice.
                if let Some(first) = Fields::new(message.fields).next()
                    && let Ok(tag) = u16::try_from(first.tag)
                    && checked.def.is_some()
                {
                    assert_eq!(checked.get(tag), Some(first.value));
                }
                assert!(checked.get(49).is_some_and(|sender| !sender.is_empty()));
                checked.behind(453).for_each(|_| ());
            }
            Err(fault) => assert!(!fault.reason.text().is_empty()),
        }
    }
    for field in Fields::new(message.fields) {
        if let Ok(number) = value::decimal(field.value) {
            assert!(value::is_decimal(field.value));
            let number = number.max(i64::MIN + 1);
            assert_eq!(value::decimal(&one(|message| _ = message.decimal(1, number))), Ok(number));
        }
        if let Some(time) = value::utc_timestamp(field.value) {
            assert_eq!(value::utc_timestamp(&one(|message| _ = message.time(1, time))), Some(time));
        }
    }
}

/// The value of a field that is written.
fn one(write: impl FnOnce(&mut fix::MessageWriter<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(TimePrecision::Nanos);
    let mut message = writer.begin(&mut bytes, b"FIX.4.4", b"0");
    write(&mut message);
    message.end();
    let Ok(Frame::Message(message, _)) = fix::frame(&bytes, bytes.len()) else { panic!("what was written") };
    Fields::new(message.fields).next().map(|field| field.value.to_vec()).unwrap_or_default()
}

/// Its options, encoded one after the other, are the appendage.
fn appendage(appendage: crate::ouch::Appendage<'_>) {
    let mut again = Vec::new();
    for option in appendage {
        option.encode(&mut again);
    }
    assert_eq!(again, appendage.as_bytes());
}
