'use strict';
// Writes one TCP connection, or datagrams, as a pcap file: what a capture of it could have looked like. Recording in a proxy needs
// no privileges, which capturing on an interface does.
//
// Packets are raw IPv4 (link type 101); the client is 10.0.0.2:40000, the exchange 10.0.0.1:9000. Segments are small
// and of odd length, so that SoupBinTCP packets cross them and a dissector must reassemble. Only the login accepted
// ends where a segment ends: tshark 4.0 begins a new conversation there, and loses what is not yet reassembled.

const fs = require('fs');

const SEGMENT_BYTES = 23;
const LOGIN_ACCEPTED_BYTES = 33;
// Where each direction's sequence numbers begin.
const FIRST = { client: 1000, exchange: 5000 };
const EXCHANGE = { address: [10, 0, 0, 1], port: 9000 };
const CLIENT = { address: [10, 0, 0, 2], port: 40000 };
const [FIN, SYN, PSH, ACK] = [0x01, 0x02, 0x08, 0x10];

// Where market data goes.
const GROUP = { address: [239, 1, 1, 1], port: 30001 };

// The Internet checksum, RFC 1071.
function checksum(bytes) {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

class IpWriter {
  constructor(file) {
    this.file = fs.openSync(file, 'w');
    this.micros = 0;
    const header = Buffer.alloc(24);
    header.writeUInt32LE(0xa1b2c3d4, 0);
    header.writeUInt16LE(2, 4);
    header.writeUInt16LE(4, 6);
    header.writeUInt32LE(65535, 16);
    header.writeUInt32LE(101, 20);
    fs.writeSync(this.file, header);
  }

  // One packet; the checksum of what it carries goes into its place there.
  packet(near, far, protocol, payload, checksumAt) {
    const { length } = payload;
    const pseudo = Buffer.from([...near.address, ...far.address, 0, protocol, length >> 8, length & 0xff]);
    payload.writeUInt16BE(checksum(Buffer.concat([pseudo, payload])) || 0xffff, checksumAt);
    const ip = Buffer.alloc(20);
    ip[0] = 0x45;
    ip.writeUInt16BE(20 + length, 2);
    ip[8] = 64;
    ip[9] = protocol;
    Buffer.from([...near.address, ...far.address]).copy(ip, 12);
    ip.writeUInt16BE(checksum(ip), 10);
    const record = Buffer.alloc(16);
    record.writeUInt32LE(Math.floor(this.micros / 1e6), 0);
    record.writeUInt32LE(this.micros % 1e6, 4);
    record.writeUInt32LE(ip.length + length, 8);
    record.writeUInt32LE(ip.length + length, 12);
    fs.writeSync(this.file, Buffer.concat([record, ip, payload]));
    this.micros += 10;
  }
}

// Datagrams from the exchange to a group.
class UdpPcapWriter extends IpWriter {
  datagram(data) {
    const udp = Buffer.alloc(8 + data.length);
    udp.writeUInt16BE(EXCHANGE.port, 0);
    udp.writeUInt16BE(GROUP.port, 2);
    udp.writeUInt16BE(udp.length, 4);
    data.copy(udp, 8);
    this.packet(EXCHANGE, GROUP, 17, udp, 6);
  }
}

class PcapWriter extends IpWriter {
  constructor(file) {
    super(file);
    // Next sequence number of each direction.
    this.next = { ...FIRST };
    this.segment('client', SYN);
    this.segment('exchange', SYN | ACK);
    this.segment('client', ACK);
  }

  // Bytes that `from`, which is 'client' or 'exchange', has sent.
  data(from, bytes) {
    for (let at = 0; at < bytes.length;) {
      const sent = this.next[from] - FIRST[from] - 1; // the SYN took one
      const login = from === 'exchange' ? LOGIN_ACCEPTED_BYTES - sent : 0;
      const length = login > 0 ? Math.min(login, SEGMENT_BYTES) : SEGMENT_BYTES;
      this.segment(from, PSH | ACK, bytes.subarray(at, at + length));
      at += length;
    }
  }

  end(from) {
    this.segment(from, FIN | ACK);
  }

  segment(from, flags, payload = Buffer.alloc(0)) {
    const to = from === 'client' ? 'exchange' : 'client';
    const [near, far] = from === 'client' ? [CLIENT, EXCHANGE] : [EXCHANGE, CLIENT];
    const tcp = Buffer.alloc(20 + payload.length);
    tcp.writeUInt16BE(near.port, 0);
    tcp.writeUInt16BE(far.port, 2);
    tcp.writeUInt32BE(this.next[from], 4);
    tcp.writeUInt32BE(flags & ACK ? this.next[to] : 0, 8);
    tcp[12] = 5 << 4;
    tcp[13] = flags;
    tcp.writeUInt16BE(65535, 14);
    payload.copy(tcp, 20);
    this.packet(near, far, 6, tcp, 16);
    this.next[from] += payload.length + (flags & (SYN | FIN) ? 1 : 0);
  }
}

module.exports = { PcapWriter, UdpPcapWriter, EXCHANGE, GROUP };
