//! Random messages survive the wire, whatever is before and behind them.

use rand::RngExt;
use wire::ouch::{Appendage, DecodeError, Inbound, Outbound};
use wire::soup::{
    self, ClientPacket, LoginAccepted, LoginRequest, Password, ServerPacket, SessionName, Username,
};

use crate::random::{appendage_bytes, generator, inbound, outbound, text};

#[test]
fn every_inbound_message_survives_the_wire() {
    let mut rng = generator();
    for _ in 0..seeded::iterations(20_000) {
        let options = appendage_bytes(&mut rng);
        let message = inbound(&mut rng, &options);
        let mut bytes = vec![0xAA];
        message.encode(&mut bytes);
        assert_eq!(bytes[0], 0xAA, "encoding appends");
        let bytes = &bytes[1..];
        assert_eq!(Inbound::decode(bytes), Ok(message));
        // No message is the beginning of another, nor does one hide behind another.
        for cut in 0..bytes.len() {
            assert!(Inbound::decode(&bytes[..cut]).is_err(), "{message:?} cut at {cut}");
        }
        assert!(Inbound::decode(&[bytes, &[rng.random()]].concat()).is_err());
        wire::fuzz::ouch_inbound(bytes);
    }
}

#[test]
fn every_outbound_message_survives_the_wire() {
    let mut rng = generator();
    for _ in 0..seeded::iterations(20_000) {
        let options = appendage_bytes(&mut rng);
        let message = outbound(&mut rng, &options);
        let mut bytes = vec![0xAA];
        message.encode(&mut bytes);
        assert_eq!(bytes[0], 0xAA, "encoding appends");
        let bytes = &bytes[1..];
        assert_eq!(Outbound::decode(bytes), Ok(message));
        for cut in 0..bytes.len() {
            assert!(Outbound::decode(&bytes[..cut]).is_err(), "{message:?} cut at {cut}");
        }
        assert!(Outbound::decode(&[bytes, &[rng.random()]].concat()).is_err());
        wire::fuzz::ouch_outbound(bytes);
    }
}

#[test]
fn appendages_give_back_the_options_they_were_made_of() {
    let mut rng = generator();
    for _ in 0..seeded::iterations(20_000) {
        let bytes = appendage_bytes(&mut rng);
        let appendage = Appendage::decode(&bytes).expect("valid");
        let mut again = Vec::new();
        for option in appendage {
            option.encode(&mut again);
        }
        assert_eq!(again, bytes);
        assert_eq!(usize::from(appendage.len()), bytes.len());
        assert_eq!(appendage.is_empty(), bytes.is_empty());
        // The same options twice are too many.
        if !bytes.is_empty() {
            let twice = [&bytes[..], &bytes[..]].concat();
            assert!(
                matches!(Appendage::decode(&twice), Err(DecodeError::Appendage { at, .. }) if at == bytes.len())
            );
        }
    }
}

#[test]
fn every_packet_survives_the_wire_in_any_chunks() {
    let mut rng = generator();
    for _ in 0..seeded::iterations(2_000) {
        let payloads: Vec<Vec<u8>> =
            (0..12).map(|_| (0..rng.random_range(0..80)).map(|_| rng.random()).collect()).collect();
        let name = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ASCII");
        let login = LoginRequest {
            username: Username::new(&name(&text::<6>(&mut rng))).expect("valid"),
            password: Password::new(&name(&text::<10>(&mut rng))).expect("valid"),
            session: SessionName::new(&name(&text::<10>(&mut rng))).expect("valid"),
            sequence: rng.random(),
        };
        let sent: Vec<ClientPacket<'_>> = payloads
            .iter()
            .map(|payload| match rng.random_range(0..5) {
                0 => ClientPacket::LoginRequest(login),
                1 => ClientPacket::Heartbeat,
                2 => ClientPacket::LogoutRequest,
                3 => ClientPacket::Debug(payload),
                _ => ClientPacket::Unsequenced(payload),
            })
            .collect();
        let mut stream = Vec::new();
        for packet in &sent {
            packet.encode(&mut stream);
        }

        // The stream arrives in pieces; what is framed is taken away.
        let (mut buffer, mut arrived, mut received) = (Vec::new(), 0, 0);
        while arrived < stream.len() {
            let piece = rng.random_range(1..=(stream.len() - arrived).min(40));
            buffer.extend_from_slice(&stream[arrived..arrived + piece]);
            arrived += piece;
            while let Some(frame) = soup::frame(&buffer, 128).expect("no fault") {
                assert_eq!(ClientPacket::decode(&frame), Ok(sent[received]));
                received += 1;
                let consumed = frame.consumed;
                buffer.drain(..consumed);
            }
        }
        assert_eq!((received, buffer.len()), (sent.len(), 0));

        let accepted = LoginAccepted { session: login.session, sequence: login.sequence };
        let mut bytes = Vec::new();
        ServerPacket::LoginAccepted(accepted).encode(&mut bytes);
        let frame = soup::frame(&bytes, 64).expect("no fault").expect("whole");
        assert_eq!(ServerPacket::decode(&frame), Ok(ServerPacket::LoginAccepted(accepted)));
    }
}
