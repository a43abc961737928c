'use strict';
// Lets tshark read the captures that conversation.js wrote, and compares what it finds with what the client got.
//
//   node dissect.js OUTDIR

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { execFileSync } = require('child_process');
const { EXCHANGE, GROUP } = require('./pcap');

const outdir = process.argv[2];

function tshark(file, ...options) {
  return execFileSync('tshark', [
    '-r', path.join(outdir, file),
    '-d', `tcp.port==${EXCHANGE.port},soupbintcp`,
    // It knows OUCH 4 only, and guesses wrongly at the messages of OUCH 5.
    '--disable-protocol', 'ouch',
    '-d', `udp.port==${GROUP.port},moldudp64`,
    '-o', 'tcp.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE',
    ...options,
  ], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 });
}

// Every SoupBinTCP packet, in order: its type, and what else the dissector says of it.
function packets(file) {
  const found = [];
  const pdml = tshark(file, '-Y', 'soupbintcp', '-T', 'pdml');
  for (const [, proto] of pdml.matchAll(/<proto name="soupbintcp"(.*?)<\/proto>/gs)) {
    const field = (name, attribute) =>
      proto.match(new RegExp(`<field name="soupbintcp\\.${name}"[^>]* ${attribute}="([^"]*)"`))?.[1];
    const number = (name) => Number(field(name, 'showname')?.match(/number: (\d+)/)?.[1]);
    found.push({
      type: String.fromCharCode(Number.parseInt(field('packet_type', 'value'), 16)),
      message: field('message', 'value'),
      session: field('session', 'show')?.trim(),
      sequence: number('seq_num'),
      next: number('next_seq_num'),
    });
  }
  return found;
}

for (const { name, session, first, messages } of JSON.parse(fs.readFileSync(path.join(outdir, 'expected.json')))) {
  const file = `${name}.pcap`;
  const wrong = tshark(file, '-Y', '_ws.malformed || _ws.expert.severity == error || tcp.analysis.flags');
  assert.strictEqual(wrong, '', `${file}: tshark finds fault`);
  const found = packets(file);
  const only = (type) => found.filter((packet) => packet.type === type);
  assert.strictEqual(found[0]?.type, 'L', `${file}: a login request comes first`);
  assert.strictEqual(found.at(-1).type, 'O', `${file}: a logout request comes last`);
  assert.deepStrictEqual(only('A').map((packet) => [packet.session, packet.next]), [[session, first]]);
  assert.deepStrictEqual(only('S').map((packet) => packet.message), messages);
  assert.deepStrictEqual(only('S').map((packet) => packet.sequence), messages.map((_, index) => first + index));
  assert.deepStrictEqual(found.filter((packet) => !'LASUHRO'.includes(packet.type)), []);
  console.log(`tshark: ${name}: ${found.length} packets, messages ${first} to ${first + messages.length - 1}, no fault`);
}

// Market data: every MoldUDP64 packet with its messages. tshark knows no ITCH 5.0, so of a message it finds the bytes.
const expected = JSON.parse(fs.readFileSync(path.join(outdir, 'feed.json')));
const wrong = tshark('feed.pcap', '-Y', '_ws.malformed || _ws.expert.severity == error');
assert.strictEqual(wrong, '', 'feed.pcap: tshark finds fault');
const found = tshark('feed.pcap', '-Y', 'moldudp64', '-T', 'fields', '-E', 'separator=|',
  ...['session', 'sequence', 'count', 'msgdata'].flatMap((field) => ['-e', `moldudp64.${field}`]),
).trimEnd().split('\n').map((line) => {
  const [session, sequence, count, messages] = line.split('|');
  return {
    session, sequence, count: Number(count), messages: messages ? messages.replaceAll(':', '').split(',') : [],
  };
});
assert.deepStrictEqual(found, expected);
const messages = expected.flatMap((packet) => packet.messages);
const kinds = new Set(messages.map((message) => String.fromCharCode(Number.parseInt(message.slice(0, 2), 16))));
for (const kind of 'SRHAE') assert.ok(kinds.has(kind), `no ${kind} among ${[...kinds].join('')}`);
assert.strictEqual(new Set(expected.map((packet) => packet.session)).size, 1);
console.log(`tshark: feed: ${found.length} packets, ${messages.length} messages of kinds ${[...kinds].join('')}, no fault`);

// FIX: every field of every message, as the dissector divides them.
const overFix = ['-d', `tcp.port==${EXCHANGE.port},fix`];
assert.strictEqual(
  tshark('fix.pcap', ...overFix, '-Y', '_ws.malformed || _ws.expert.severity >= warning || tcp.analysis.flags'), '',
  'fix.pcap: tshark finds fault');
const said = JSON.parse(fs.readFileSync(path.join(outdir, 'fix.json')));
const pdml = tshark('fix.pcap', ...overFix, '-Y', 'fix', '-T', 'pdml');
const heard = [...pdml.matchAll(/<proto name="fix"(.*?)<\/proto>/gs)].map(([, proto]) =>
  [...proto.matchAll(/<field name="fix\.([A-Za-z]+)"[^>]* value="([0-9a-f]+)"/g)]
    .map(([, , value]) => Buffer.from(value, 'hex').toString('latin1').replace('\x01', '')));
assert.deepStrictEqual(heard, said);
assert.strictEqual(pdml.match(/name="fix\.checksum_good"[^>]* show="1"/g)?.length, said.length);
console.log(`tshark: FIX: ${said.length} messages, every field, no fault`);
