//! What the fuzzers run: decode any bytes, encode again what decoded, and assert that it is the same. The fuzz
//! targets and the seeded smoke test are one line each around these.

use crate::ouch::{Inbound, Outbound};
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

/// Takes `data` for a venue's message.
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
}

/// Its options, encoded one after the other, are the appendage.
fn appendage(appendage: crate::ouch::Appendage<'_>) {
    let mut again = Vec::new();
    for option in appendage {
        option.encode(&mut again);
    }
    assert_eq!(again, appendage.as_bytes());
}
