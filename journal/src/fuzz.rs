//! What a fuzzer calls. Arbitrary bytes must neither panic nor allocate without bound, and what decodes must
//! encode back to the same bytes.

use domain::ClusterId;

use crate::codec;
use crate::record::{self, HEADER, Header, RecordKind};
use crate::recovery::Scan;
use crate::segment::SegmentHeader;
use crate::walk::{self, Piece};

/// Takes `data` for everything that the journal reads: a segment's header, a record as it lies there, a
/// batch, and (with a header made to fit) a command's or a report's payload.
pub fn record(data: &[u8]) {
    let _ = SegmentHeader::decode(data, std::path::Path::new("fuzz"));
    crate::snapshot::fuzz(data);

    let piece = Piece { bytes: data, base: 1 << 20, salt: 5 };
    let _ = record::parse(data, piece.base, piece.salt);
    let _ = walk::batch(&piece, piece.base, None);
    let _ = walk::seals_between(&piece, piece.base, u64::MAX);
    let _ = walk::end_of_data(&piece, piece.base);
    let _ = Scan::from_start(ClusterId(1)).walk(&piece);

    let Some((head, payload)) = data.split_first_chunk::<20>() else { return };
    let Some(kind) = RecordKind::from_u8(head[0]) else { return };
    let u64_at = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let detail = [head[1], head[2], head[3]];
    let header = Header { sequence: u64_at(4), nanos: u64_at(12), kind, detail, epoch: 1 };
    if let Ok(command) = codec::command::decode(kind, detail, payload) {
        let (again, length) = codec::command::shape(&command);
        let mut bytes = vec![0xEE; length];
        assert_eq!(codec::command::encode(&command, &mut bytes), detail, "detail of {command:?}");
        assert_eq!((again, bytes.as_slice()), (kind, payload), "encoding of {command:?}");
        if let Some(instrument) = codec::command::order_instrument(kind, payload) {
            assert_eq!(command.instrument(), Some(instrument), "the instrument of {command:?}");
        }
    }
    if let Ok(report) = codec::report::decode(&header, payload) {
        let (again, length) = codec::report::shape(&report.kind);
        let mut bytes = vec![0xEE; length];
        assert_eq!(codec::report::encode(&report, &mut bytes), detail, "detail of {report:?}");
        assert_eq!((again, bytes.as_slice()), (kind, payload), "encoding of {report:?}");
    }

    // The same payload as a sealed record: with a good CRC the walk comes to its end.
    let length = (HEADER + payload.len().min(record::RECORD_MAX - HEADER)) & !7;
    let mut bytes = vec![0u8; length];
    bytes[HEADER..].copy_from_slice(&payload[..length - HEADER]);
    record::finish(&mut bytes, &header, piece.base, piece.salt);
    assert!(record::parse(&bytes, piece.base, piece.salt).is_ok(), "a finished record parses");
    let _ = walk::batch(&Piece { bytes: &bytes, ..piece }, piece.base, None);
}
