//! Framing and login, and all that can be wrong with them.

use std::convert::Infallible;

use wire::soup::{
    self, ClientPacket, Frame, FrameError, LoginAccepted, LoginRejected, LoginRequest, PAYLOAD_MAX,
    PacketError, Password, ServerPacket, SessionName, Username, kind,
};

#[test]
fn a_frame_is_whole_or_not_there() {
    let stream = b"\x00\x04Uabc\x00\x01R";
    for cut in 0..6 {
        assert_eq!(soup::frame(&stream[..cut], 10), Ok(None), "{cut}");
    }
    let first = Frame { kind: b'U', payload: b"abc", consumed: 6 };
    assert_eq!(soup::frame(stream, 10), Ok(Some(first)));
    let second = Frame { kind: b'R', payload: b"", consumed: 3 };
    assert_eq!(soup::frame(&stream[first.consumed..], 10), Ok(Some(second)));
}

#[test]
fn a_frame_too_long_is_refused_before_its_bytes_arrive() {
    assert_eq!(soup::frame(b"\x00\x0b", 9), Err(FrameError::TooLong { payload: 10, payload_max: 9 }));
    assert_eq!(soup::frame(b"\x00\x0a", 9), Ok(None));
    assert_eq!(soup::frame(b"\xff\xff", PAYLOAD_MAX), Ok(None));
    assert_eq!(soup::frame(b"\x00\x00U", 9), Err(FrameError::Empty));
}

#[test]
fn the_longest_packet_there_is() {
    let text = vec![b'x'; PAYLOAD_MAX];
    let mut bytes = Vec::new();
    ServerPacket::Debug(&text).encode(&mut bytes);
    let frame = soup::frame(&bytes, PAYLOAD_MAX).expect("no fault").expect("whole");
    assert_eq!(ServerPacket::decode(&frame), Ok(ServerPacket::Debug(&text)));
    assert_eq!(frame.consumed, PAYLOAD_MAX + 3);
}

#[test]
#[should_panic(expected = "65,534")]
fn a_packet_longer_than_that_is_a_programmers_error() {
    ServerPacket::Debug(&vec![b'x'; PAYLOAD_MAX + 1]).encode(&mut Vec::new());
}

#[test]
fn a_message_that_fails_leaves_no_trace() {
    let mut out = b"before".to_vec();
    let failed = soup::sequenced(&mut out, |out| {
        out.extend_from_slice(b"half");
        Err("no")
    });
    assert_eq!((failed, out.as_slice()), (Err("no"), b"before".as_slice()));
    let written: Result<(), Infallible> = soup::sequenced(&mut out, |out| {
        out.extend_from_slice(b"all");
        Ok(())
    });
    assert_eq!((written, out.as_slice()), (Ok(()), b"before\x00\x04Sall".as_slice()));
}

#[test]
fn each_side_has_its_own_packets() {
    let frame = |kind| Frame { kind, payload: b"", consumed: 3 };
    for found in 0..=u8::MAX {
        let client = ClientPacket::decode(&frame(found));
        let known = b"LUROS+".contains(&found) && found != b'S';
        assert_eq!(client == Err(PacketError::UnknownType { found }), !known, "{found:#x}");
        let server = ServerPacket::decode(&frame(found));
        let known = b"AJSUHZ+".contains(&found);
        assert_eq!(server == Err(PacketError::UnknownType { found }), !known, "{found:#x}");
    }
}

#[test]
fn payloads_have_their_lengths() {
    let payload = [b' '; 64];
    let of = |kind, len| Frame { kind, payload: &payload[..len], consumed: 3 + len };
    let table = [
        (kind::LOGIN_REQUEST, "LoginRequest", 46),
        (kind::CLIENT_HEARTBEAT, "ClientHeartbeat", 0),
        (kind::LOGOUT_REQUEST, "LogoutRequest", 0),
    ];
    for (kind, message, expected) in table {
        for found in (0..=payload.len()).filter(|&len| len != expected) {
            let error = PacketError::Length { message, expected, found };
            assert_eq!(ClientPacket::decode(&of(kind, found)), Err(error));
        }
    }
    let table = [
        (kind::LOGIN_ACCEPTED, "LoginAccepted", 30),
        (kind::LOGIN_REJECTED, "LoginRejected", 1),
        (kind::SERVER_HEARTBEAT, "ServerHeartbeat", 0),
        (kind::END_OF_SESSION, "EndOfSession", 0),
    ];
    for (kind, message, expected) in table {
        for found in (0..=payload.len()).filter(|&len| len != expected) {
            let error = PacketError::Length { message, expected, found };
            assert_eq!(ServerPacket::decode(&of(kind, found)), Err(error));
        }
    }
}

/// A login request's payload with one field put over it.
fn login(at: usize, field: &[u8]) -> Result<LoginRequest, PacketError> {
    let mut payload = *b"ALICE SECRET    20260101                     1";
    payload[at..at + field.len()].copy_from_slice(field);
    LoginRequest::decode(&payload)
}

fn sequence(digits: &[u8; 20]) -> Result<u64, PacketError> {
    login(26, digits).map(|l| l.sequence)
}

#[test]
fn sequences_are_numbers() {
    let bad = |found| Err(PacketError::Field { message: "LoginRequest", field: "sequence", found });
    assert_eq!(sequence(b"                   0"), Ok(0));
    assert_eq!(sequence(b"18446744073709551615"), Ok(u64::MAX));
    assert_eq!(sequence(b"00000000000000000042"), Ok(42));
    assert_eq!(sequence(b"42                  "), Ok(42));
    assert_eq!(sequence(b"18446744073709551616"), bad(b'1'));
    assert_eq!(sequence(b"99999999999999999999"), bad(b'9'));
    assert_eq!(sequence(b"                    "), bad(b' '));
    assert_eq!(sequence(b"                  -1"), bad(b'-'));
    assert_eq!(sequence(b"                  +1"), bad(b'+'));
    assert_eq!(sequence(b"                 1 1"), bad(b' '));
    assert_eq!(sequence(b"                 \x001 "), bad(0));
}

#[test]
fn names_are_text() {
    let bad = |field, found| Err(PacketError::Field { message: "LoginRequest", field, found });
    assert_eq!(login(0, b"AL\x80CE"), bad("username", 0x80));
    assert_eq!(login(16, b"2026\n"), bad("session", b'\n'));
    assert_eq!(login(6, b"\x7f"), Err(PacketError::Password));
    let rejected = LoginRejected::decode(b"X");
    assert_eq!(rejected, Err(PacketError::Field { message: "LoginRejected", field: "reason", found: b'X' }));
    let accepted = LoginAccepted::decode(b"  20260101                   x");
    assert_eq!(
        accepted,
        Err(PacketError::Field { message: "LoginAccepted", field: "sequence", found: b'x' })
    );
    assert_eq!(Username::new("TOOLONG"), None);
    assert_eq!(Username::new("é"), None);
    assert_eq!(Password::new("TOOLONGAGAIN"), None);
    assert_eq!(SessionName::new("TOOLONGAGAIN"), None);
}

#[test]
fn case_and_padding_do_not_matter() {
    let login = login(0, b"").expect("valid");
    assert_eq!(login.username, Username::new("alice").expect("valid"));
    assert_eq!(login.username.as_str(), "ALICE");
    assert_eq!(login.username.canonical(), *b"ALICE ");
    assert_eq!(login.password, Password::new("Secret").expect("valid"));
    assert_ne!(login.password, Password::new("Secret1").expect("valid"));
    // The request's session stands on the left of its field, and is the same.
    assert_eq!(login.session, SessionName::new("20260101").expect("valid"));
    assert_eq!(login.session.as_str(), "20260101");
    assert!(!login.session.is_blank());
    assert!(SessionName::new("  ").expect("valid").is_blank());
}

#[test]
fn passwords_are_never_printed() {
    let login = login(0, b"").expect("valid");
    let printed = format!("{login:?}");
    assert!(printed.contains("ALICE") && !printed.to_uppercase().contains("SECRET"), "{printed}");
    for error in [login_error(6, b"SEC\x80RET"), PacketError::Password] {
        assert_eq!(error.to_string(), "LoginRequest: password is not printable ASCII");
    }
}

fn login_error(at: usize, field: &[u8]) -> PacketError {
    login(at, field).expect_err("invalid")
}
