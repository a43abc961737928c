'use strict';
// A conversation with a running exchange through the npm package soupbintcp, a SoupBinTCP client that is not ours.
//
//   node conversation.js PORT OUTDIR
//
// Two users log in, trade and log out; the first comes back and must get every message again, byte for byte. Every
// connection goes through a proxy in this process that writes it to OUTDIR/<name>.pcap. OUTDIR/expected.json says
// what a dissector must find there; dissect.js compares.

const assert = require('assert');
const fs = require('fs');
const net = require('net');
const path = require('path');
const { Client } = require('soupbintcp');
const { PcapWriter } = require('./pcap');

const [port, outdir] = [Number(process.argv[2]), process.argv[3]];
const TIMEOUT_MS = 20000;

// Listens on a free port, hands one connection on to the exchange, and writes down what passes.
function recorder(name) {
  const pcap = new PcapWriter(path.join(outdir, `${name}.pcap`));
  return new Promise((resolve) => {
    const server = net.createServer((near) => {
      server.close();
      const far = net.connect(port, '127.0.0.1');
      near.on('data', (chunk) => { pcap.data('client', chunk); far.write(chunk); });
      far.on('data', (chunk) => { pcap.data('exchange', chunk); near.write(chunk); });
      near.on('end', () => { pcap.end('client'); far.end(); });
      far.on('end', () => { pcap.end('exchange'); near.end(); });
      near.on('error', () => far.destroy());
      far.on('error', () => near.destroy());
    }).listen(0, '127.0.0.1', () => resolve(server.address().port));
  });
}

// A client that is logged in, with everything that it got, and a way to wait for more.
async function connect(name, username, sequence) {
  const client = new Client({ port: await recorder(name), host: '127.0.0.1' });
  const session = { name, client, messages: [], accepted: null, ended: false };
  let wake = () => {};
  const note = (change) => (value) => { change(value); wake(); };
  client.on('connect', () => client.login(
    { username, password: 'dev', requestedSession: '', requestedSequenceNumber: sequence }));
  client.on('accept', note((accepted) => { session.accepted = accepted; }));
  client.on('message', note((message) => session.messages.push(Buffer.from(message))));
  client.on('reject', (reject) => { throw new Error(`${name}: login rejected: ${JSON.stringify(reject)}`); });
  client.on('error', (error) => { throw error; });
  client.on('end', note(() => { session.ended = true; }));
  session.until = async (what, condition) => {
    while (!condition()) await new Promise((resolve) => { wake = resolve; });
    console.log(`${name}: ${what}`);
  };
  await session.until('logged in', () => session.accepted);
  assert.strictEqual(session.accepted.sequenceNumber, sequence, `${name}: the first number`);
  return session;
}

async function logout(session) {
  session.client.logout();
  await session.until(`logged out after ${session.messages.length} messages`, () => session.ended);
}

// OUCH 5.0, Enter Order: a day order, displayed, agency, no cross, without options.
function enter(userRef, side, quantity, price, clOrdId) {
  const message = Buffer.alloc(47, ' ');
  message.write('O', 0);
  message.writeUInt32BE(userRef, 1);
  message.write(side, 5);
  message.writeUInt32BE(quantity, 6);
  message.write('AAPL', 10);
  message.writeBigUInt64BE(BigInt(price), 18);
  message.write('0YANN', 26);
  message.write(clOrdId, 31);
  message.writeUInt16BE(0, 45);
  return message;
}

// OUCH 5.0, Cancel Order: all that is left.
function cancel(userRef) {
  const message = Buffer.alloc(9);
  message.write('X', 0);
  message.writeUInt32BE(userRef, 1);
  return message;
}

const types = (session) => session.messages.map((message) => String.fromCharCode(message[0])).join('');
const price = 1000000; // 100.0000

async function main() {
  const maker = await connect('maker', 'DEV1', 1);
  maker.client.send(enter(1, 'B', 100, price, 'interop-bid'));
  await maker.until('order accepted', () => types(maker) === 'SA');

  const taker = await connect('taker', 'DEV2', 1);
  taker.client.send(enter(1, 'S', 60, price, 'interop-ask'));
  await taker.until('order accepted and executed', () => types(taker) === 'SAE');
  await maker.until('order executed', () => types(maker) === 'SAE');
  // Executed: time 1..9, quantity 13..17, price 17..25, match number 26..34. Both sides tell of the same trade.
  const [made, taken] = [maker.messages[2], taker.messages[2]];
  assert.strictEqual(made.readUInt32BE(13), 60);
  assert.strictEqual(made.readBigUInt64BE(17), BigInt(price));
  for (const [from, to] of [[1, 9], [13, 25], [26, 34]]) {
    assert.deepStrictEqual(made.subarray(from, to), taken.subarray(from, to));
  }

  maker.client.send(cancel(1));
  await maker.until('rest canceled', () => types(maker) === 'SAEC');
  assert.strictEqual(maker.messages[3].readUInt32BE(13), 40);
  await logout(maker);
  await logout(taker);

  const again = await connect('again', 'DEV1', 1);
  await again.until('everything came again', () => again.messages.length >= maker.messages.length);
  assert.deepStrictEqual(again.messages, maker.messages, 'a resend is the same, byte for byte');
  await logout(again);

  const later = await connect('later', 'DEV1', 3);
  await later.until('what was asked for came', () => later.messages.length >= 2);
  assert.deepStrictEqual(later.messages, maker.messages.slice(2));
  await logout(later);

  const expected = [maker, taker, again, later].map(({ name, accepted, messages }) => ({
    name,
    session: accepted.session.trim(),
    first: accepted.sequenceNumber,
    messages: messages.map((message) => message.toString('hex')),
  }));
  fs.writeFileSync(path.join(outdir, 'expected.json'), JSON.stringify(expected));
}

setTimeout(() => { console.error('nothing more came'); process.exit(1); }, TIMEOUT_MS).unref();
main().then(() => process.exit(0)).catch((error) => { console.error(error); process.exit(1); });
