// Calls tsio from Node.js, with @grpc/grpc-js only.
//
// First, a service with a certificate lists offers. Then an officer with a token accepts an offer, makes an award, and reads
// why a second award is refused. At the end the officer watches the programme until delivery of the offer starts.
//
//     npm ci --ignore-scripts && node casework.js
//
// Environment variables: the directory proto/ (TSIO_PROTO), the server as host:port (TSIO_TARGET), the authority that signed
// its certificate (TSIO_CA), the certificate of this service and its key (TSIO_CERT, TSIO_KEY), and the URL that returns a
// token (TSIO_TOKEN_URL).
'use strict';

const { randomUUID } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const { promisify } = require('node:util');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');

const { TSIO_PROTO, TSIO_TARGET, TSIO_CA, TSIO_CERT, TSIO_KEY, TSIO_TOKEN_URL } = process.env;
const PROGRAMME = '2021-22';
const DEADLINE = 30_000; // milliseconds for each call
const ATTEMPTS = 6; // tries of a call, or of a stream that receives no message
// A call that ended in one of these ways may be repeated with the same request id.
const REPEATABLE = ['UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'DEADLINE_EXCEEDED', 'CANCELLED'].map((name) => grpc.status[name]);
// Without pings, a watch would not notice a connection that died silently.
const KEEPALIVE = { 'grpc.keepalive_time_ms': 10_000, 'grpc.keepalive_timeout_ms': 10_000 };

// Amounts have 64 bits. As strings they keep every digit. Use BigInt() to compute with them.
const FORM = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };
const FILES = ['offers', 'awards'].map((name) => `tsio/v1/${name}.proto`);
const tsio = grpc.loadPackageDefinition(protoLoader.loadSync(FILES, { ...FORM, includeDirs: [TSIO_PROTO] })).tsio.v1;

// The messages in the details of a status.
const types = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }`, { keepCase: true }).root;
types.loadSync(join(TSIO_PROTO, 'tsio/v1/common.proto'), { keepCase: true });

// Connects over TLS. The certificate, if there is one, says who calls.
function connect(key = null, certificate = null) {
  const credentials = grpc.credentials.createSsl(readFileSync(TSIO_CA), key, certificate);
  const services = [tsio.OfferService, tsio.AwardService];
  return services.map((Service) => new Service(TSIO_TARGET, credentials, KEEPALIVE));
}

// Gets a token from the issuer, and a new one when it has expired.
class Tokens {
  async metadata() {
    this.token ??= (await (await fetch(TSIO_TOKEN_URL)).text()).trim();
    const metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${this.token}`);
    return metadata;
  }

  renew() {
    this.token = undefined;
    console.log('token expired: asking for another');
  }
}

// Returns the detail of this type in the status of an error, or undefined.
function detail(error, name) {
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  if (!bytes) return undefined;
  const found = types.lookupType('google.rpc.Status').decode(bytes).details.find((it) => it.type_url.endsWith(`/${name}`));
  const type = types.lookupType(name);
  return found && type.toObject(type.decode(found.value), FORM);
}

// Decides whether to try again, and waits. Create one for each call or stream.
class Retry {
  constructor(tokens) {
    this.tokens = tokens;
    this.reset();
  }

  reset() {
    this.failed = 0;
    this.renewed = false;
  }

  // Waits until the call may be repeated. Throws the error if it must not be repeated, such as a refusal.
  async after(error) {
    const expired = detail(error, 'google.rpc.ErrorInfo')?.reason === 'TOKEN_EXPIRED';
    if (error.code === grpc.status.UNAUTHENTICATED && expired && !this.renewed) {
      this.renewed = true;
      return this.tokens.renew();
    }
    if (!REPEATABLE.includes(error.code)) throw error;
    return this.pause(error);
  }

  // Waits before the next try. Throws the error after the last try.
  async pause(error) {
    this.failed += 1;
    if (this.failed === ATTEMPTS) throw error;
    return pause(Math.random() * 100 * 2 ** this.failed); // clients that failed together must not return together
  }
}

// Calls a method, and repeats it if that is safe. A change has the same request_id in each try, so it is made once.
async function call(service, method, request, tokens) {
  const retry = new Retry(tokens);
  const once = promisify(service[method]).bind(service);
  for (;;) {
    try {
      return await once(request, await tokens.metadata(), { deadline: Date.now() + DEADLINE });
    } catch (error) {
      await retry.after(error);
    }
  }
}

// Yields every change of the programme once, from the first. Resumes a broken stream after the last message.
async function* changes(offers, tokens) {
  const retry = new Retry(tokens);
  let start = { after_sequence: 0 };
  for (;;) {
    const stream = offers.WatchOffers({ programme: PROGRAMME, ...start }, await tokens.metadata());
    try {
      for await (const message of stream) {
        yield message;
        start = { resume_token: message.resume_token }; // store it together with your data from the message
        retry.reset();
      }
      await retry.pause(new Error('the server ended the stream'));
    } catch (error) {
      await retry.after(error);
    } finally {
      stream.cancel();
    }
    console.log('watching again');
  }
}

// Creates a request for an award of credit. Its request id is created here, and stays the same in each try.
function credit(offer, pence, date) {
  const support = { partner_uid: 90001, suitable_because: 'strong on early reading' };
  return { request_id: randomUUID(), offer, awards: [{ amount_pence: pence, credit: support }], date };
}

// Makes a call that must be refused, and returns the refusal.
async function refused(awards, request, tokens) {
  try {
    await call(awards, 'CreateAwards', request, tokens);
  } catch (error) {
    const refusal = detail(error, 'tsio.v1.Refusal');
    if (refusal) return refusal;
    throw error;
  }
  throw new Error('an award above its limits was made');
}

async function main() {
  const [service] = connect(readFileSync(TSIO_KEY), readFileSync(TSIO_CERT));
  const list = promisify(service.ListOffers).bind(service);
  const page = await list({ programme: PROGRAMME, state: 'OFFER_STATE_CONTACTED' }, { deadline: Date.now() + DEADLINE });
  console.log('listed', page.offers.length);
  const { offer } = page.offers[0];
  service.close();

  const tokens = new Tokens();
  const [offers, awards] = connect();
  const accept = { request_id: randomUUID(), offer, acceptor: 'ACCEPTOR_SCHOOL', date: '2021-09-20' };
  const accepted = await call(offers, 'AcceptOffer', accept, tokens);
  console.log('accepted', offer, accepted.offer.state);
  const again = await call(offers, 'AcceptOffer', accept, tokens);
  if (JSON.stringify(again) !== JSON.stringify(accepted)) throw new Error('the same request id must answer the same');

  const made = await call(awards, 'CreateAwards', credit(offer, 300_000, '2021-11-01'), tokens);
  console.log('awarded', made.awards[0].awarded);

  const refusal = await refused(awards, credit(offer, 800_000, '2021-11-01'), tokens);
  console.log('refused', refusal.reason, 'largest', refusal.largest);
  for (const limit of refusal.limits) {
    console.log('limit', limit.kind, 'requested', limit.requested, 'largest', limit.largest);
  }

  for await (const message of changes(offers, tokens)) {
    console.log(message.change ? 'change' : 'up to', message.sequence);
    const changed = message.change?.offer;
    if (changed?.offer === offer && changed.state === 'OFFER_STATE_DELIVERING') break;
  }
  offers.close();
  awards.close();
  console.log('done');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
