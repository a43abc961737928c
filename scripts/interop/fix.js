'use strict';
// A FIX session with a running exchange, written down for a dissector.
//
//   node fix.js PORT OUTDIR
//
// A user logs on, enters an order, cancels it and logs out. Every byte goes into OUTDIR/fix.pcap; OUTDIR/fix.json has the
// messages of both sides, each as the list of its fields, in the order in which they passed.

const assert = require('assert');
const fs = require('fs');
const net = require('net');
const path = require('path');
const { PcapWriter } = require('./pcap');

const [port, outdir] = [Number(process.argv[2]), process.argv[3]];
const TIMEOUT_MS = 20000;
const SOH = '\x01';

const pcap = new PcapWriter(path.join(outdir, 'fix.pcap'));
const passed = [];
let answered = true;
let sent = 0;
let inbox = '';
let wake = () => {};

const fieldsOf = (text) => text.split(SOH).slice(0, -1);
const now = () => new Date().toISOString().replace(/-/g, '').replace('T', '-').replace('Z', '');

const socket = net.connect(port, '127.0.0.1');
socket.on('error', (error) => { throw error; });
socket.on('data', (chunk) => {
  pcap.data('exchange', chunk);
  inbox += chunk.toString('latin1');
  // A message ends behind its CheckSum.
  for (let end; (end = inbox.search(/\x0110=\d{3}\x01/)) >= 0;) {
    passed.push(fieldsOf(inbox.slice(0, end + 8)));
    answered = true;
    inbox = inbox.slice(end + 8);
  }
  wake();
});
const ended = new Promise((resolve) => { socket.on('end', resolve); });

function say(msgType, ...fields) {
  sent += 1;
  const body = [`35=${msgType}`, `34=${sent}`, '49=TRADER', `52=${now()}`, '56=FULCRUM', ...fields, ''].join(SOH);
  const head = `8=FIX.4.4${SOH}9=${body.length}${SOH}${body}`;
  const sum = [...Buffer.from(head, 'latin1')].reduce((total, byte) => total + byte, 0) % 256;
  const bytes = Buffer.from(`${head}10=${String(sum).padStart(3, '0')}${SOH}`, 'latin1');
  pcap.data('client', bytes);
  passed.push(fieldsOf(bytes.toString('latin1')));
  answered = false;
  socket.write(bytes);
}

// The answer to what was said last must have these fields.
async function hear(...expected) {
  while (!answered) await new Promise((resolve) => { wake = resolve; });
  for (const field of expected) assert.ok(passed.at(-1).includes(field), `no ${field} in ${passed.at(-1).join('|')}`);
}

async function main() {
  say('A', '98=0', '108=30', '141=Y', '553=TRADER', '554=a-secret');
  await hear('35=A');
  const terms = ['55=AAPL', '54=1', `60=${now()}`, '38=100'];
  say('D', '11=order', ...terms, '40=2', '44=10.5');
  await hear('35=8', '150=0', '11=order');
  say('F', '11=cancel', '41=order', ...terms);
  await hear('35=8', '150=4', '11=cancel', '41=order');
  say('5');
  await hear('35=5');
  await ended;
  pcap.end('exchange');
  pcap.end('client');
  fs.writeFileSync(path.join(outdir, 'fix.json'), JSON.stringify(passed));
  console.log(`FIX: ${passed.length} messages`);
}

setTimeout(() => { console.error('no answer by FIX'); process.exit(1); }, TIMEOUT_MS).unref();
main().then(() => process.exit(0)).catch((error) => { console.error(error); process.exit(1); });
