'use strict';
// Listens to the market data of an exchange, and writes it down.
//
//   node listen.js OUTDIR
//
// OUTDIR/feed.port gets the port; until the session ends every datagram goes into OUTDIR/feed.pcap, and OUTDIR/feed.json
// says what a dissector must find there.

const dgram = require('dgram');
const fs = require('fs');
const path = require('path');
const { UdpPcapWriter } = require('./pcap');

const outdir = process.argv[2];
const END_OF_SESSION = 0xffff;

const pcap = new UdpPcapWriter(path.join(outdir, 'feed.pcap'));
const packets = [];
const socket = dgram.createSocket('udp4');
socket.on('message', (data) => {
  pcap.datagram(data);
  const count = data.readUInt16BE(18);
  const messages = [];
  for (let at = 20; at < data.length;) {
    const length = data.readUInt16BE(at);
    messages.push(data.subarray(at + 2, at + 2 + length).toString('hex'));
    at += 2 + length;
  }
  packets.push({ session: data.toString('latin1', 0, 10), sequence: data.readBigUInt64BE(10).toString(), count, messages });
  if (count === END_OF_SESSION) {
    socket.close();
    fs.writeFileSync(path.join(outdir, 'feed.json'), JSON.stringify(packets));
  }
});
socket.bind(0, '127.0.0.1', () => fs.writeFileSync(path.join(outdir, 'feed.port'), String(socket.address().port)));
