// A console written from docs/wire.md alone, on node's own TLS and crypto and the `ws` module: a
// second opinion on signatures, the channel binding, digests and resuming.
//
//   node node_console.js CERTIFICATE KEY [STATE] [CUT]
//
// STATE is the machine's ("approved"). With CUT, the first connection is destroyed when the chunk of
// that index has come. Prints "port N" first and then one JSON line for each thing that happens.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const https = require('https');
const {WebSocketServer} = require('ws');

const CHUNK = 262144;
const [certificate, key, state = 'approved', cut = '-1'] = process.argv.slice(2);
const bundles = new Map(); // kept over connections: what is stored durably
let cuts = Number(cut) >= 0 ? 1 : 0;

const say = (event, more = {}) => console.log(JSON.stringify({event, ...more}));
const sha256 = (data) => crypto.createHash('sha256').update(data).digest();
const u64 = (value) => { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(value)); return b; };

function publicKey(raw) {
  const prefix = Buffer.from('302a300506032b6570032100', 'hex'); // RFC 8410
  return crypto.createPublicKey({key: Buffer.concat([prefix, raw]), format: 'der', type: 'spki'});
}

function verify(message, tls, challenge) {
  const raw = Buffer.from(message.public_key, 'base64url');
  const host = Buffer.from(message.host);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(host.length);
  const binding = tls.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
  const signed = Buffer.concat([Buffer.from('cloister/v1 console-auth\0'), length, host, challenge,
    binding]);
  return message.protocol === 1 && raw.length === 32 &&
    message.machine_id === sha256(raw).toString('hex') &&
    crypto.verify(null, signed, publicKey(raw), Buffer.from(message.signature, 'base64url')) &&
    publicKey(raw);
}

function originIsGood(message, machine) {
  const signed = Buffer.concat([Buffer.from('cloister/v1 bundle-origin\0'),
    Buffer.from(message.ticket, 'hex'), Buffer.from(message.digest, 'hex'), u64(message.size),
    u64(message.consent_time_ms)]);
  return message.chunks === Math.ceil(message.size / CHUNK) && message.chunk_size === CHUNK &&
    crypto.verify(null, signed, machine, Buffer.from(message.signature, 'base64url'));
}

class Session {
  constructor(socket, tls) {
    this.socket = socket;
    this.tls = tls;
    this.challenge = crypto.randomBytes(32);
    socket.on('message', (data, binary) => {
      try {
        binary ? this.binary(data) : this.text(JSON.parse(data));
      } catch (error) {
        say('defect', {error: String(error)});
        socket.close(1008, 'malformed');
      }
    });
    socket.on('close', (status) => say('closed', {status}));
    this.send({type: 'challenge', protocol: 1, challenge: this.challenge.toString('base64url'),
      console: 'node', features: ['telepathy']});
  }

  send(message) { this.socket.send(JSON.stringify(message)); }

  text(message) {
    if (message.type === 'authenticate') this.authenticate(message);
    else if (message.type === 'bundle_begin') this.begin(message);
    else if (message.type === 'enroll') this.enroll(message);
    else throw new Error('unknown ' + message.type);
  }

  authenticate(message) {
    this.machine = verify(message, this.tls, this.challenge);
    say('authenticate', {good: Boolean(this.machine), members: Object.keys(message)});
    if (!this.machine) return this.socket.close(4001, 'auth_failed');
    this.machineId = message.machine_id;
    this.send({type: 'welcome', state, heartbeat_ms: 45000, chunk_window: 4,
      max_bundle_bytes: 1 << 29, time_ms: Date.now(), extra: {ignored: [null, 1.5]}});
  }

  enroll(message) {
    say('enroll', message);
    if (message.token === 'the-right-token-0') {
      this.send({type: 'enrolled', state: 'pending', machine_id: this.machineId});
      setTimeout(() => this.send({type: 'state', state: 'approved'}), 100);
    } else {
      this.send({type: 'error', code: 'token_refused', message: 'no'});
    }
  }

  begin(message) {
    say('begin', {good: originIsGood(message, this.machine), recipients: message.recipients});
    const bundle = bundles.get(message.ticket) ||
      {...message, list: [], parts: [], id: Buffer.from(message.ticket, 'hex')};
    bundles.set(message.ticket, bundle);
    if (bundle.parts.length === bundle.chunks) return this.done(bundle);
    if (bundle.list.length === bundle.chunks) return this.ready(bundle);
    this.send({type: 'bundle_digests', ticket: bundle.ticket, next: 0});
  }

  ready(bundle) {
    say('ready', {have: bundle.parts.length});
    this.send({type: 'bundle_ready', ticket: bundle.ticket, have: bundle.parts.length});
  }

  binary(data) {
    const bundle = bundles.get(data.subarray(1, 17).toString('hex'));
    const index = data.readUInt32LE(17);
    const content = data.subarray(21);
    if (data[0] === 2) this.digests(bundle, index, content);
    else this.chunk(bundle, index, content);
  }

  digests(bundle, index, content) {
    if (index !== bundle.list.length || content.length % 32) throw new Error('digests');
    for (let at = 0; at < content.length; at += 32) bundle.list.push(content.subarray(at, at + 32));
    if (bundle.list.length < bundle.chunks) return;
    if (sha256(Buffer.concat(bundle.list)).toString('hex') !== bundle.digest)
      throw new Error('digest');
    this.ready(bundle);
  }

  chunk(bundle, index, content) {
    const length = Math.min(CHUNK, bundle.size - index * CHUNK);
    if (index !== bundle.parts.length || content.length !== length ||
        !sha256(content).equals(bundle.list[index])) throw new Error('chunk ' + index);
    bundle.parts.push(Buffer.from(content));
    if (cuts > 0 && index === Number(cut)) {
      cuts--;
      say('cut', {index});
      return this.socket.terminate();
    }
    if (bundle.parts.length === bundle.chunks) return this.done(bundle);
    if (index % 2) this.send({type: 'chunk', ticket: bundle.ticket, index}); // every other one
  }

  done(bundle) {
    say('done', {sha256: sha256(Buffer.concat(bundle.parts)).toString('hex')});
    this.send({type: 'bundle_done', ticket: bundle.ticket, number: 'T-000042',
      received_time_ms: Date.now()});
  }
}

const server = https.createServer({cert: fs.readFileSync(certificate), key: fs.readFileSync(key),
  minVersion: 'TLSv1.3'});
const sockets = new WebSocketServer({server, path: '/agent',
  handleProtocols: (offered) => offered.has('cloister.v1') ? 'cloister.v1' : false});
sockets.on('connection', (socket, request) => new Session(socket, request.socket));
server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));
