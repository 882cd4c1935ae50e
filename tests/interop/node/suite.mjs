// The broker as amqplib sees it. Each test gets `open`, which makes connections that are closed after the test.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';

import amqp from 'amqplib';

import { eventually, run, same, within } from './tap.mjs';

const url = process.env.AMQP_URL;
const vhost = decodeURIComponent(new URL(url).pathname.slice(1)) || '/';
const fresh = (kind) => `interop-${kind}-${randomBytes(4).toString('hex')}`;

async function exclusiveQueue(channel) {
  return (await channel.assertQueue('', { exclusive: true })).queue;
}

function publish(channel, queue, ...bodies) {
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body));
}

async function take(channel, queue) {
  const message = await channel.get(queue);
  return message && `${message.content} ${message.fields.redelivered}`;
}

// A broker may answer before it has queued what was published on the same channel just before.
const hasReady = (channel, queue, count) =>
  eventually(async () => (await channel.checkQueue(queue)).messageCount === count, `${count} messages are ready`);

// The next `count` deliveries of a consumer, as they come.
function collect(channel, queue, options) {
  const messages = [];
  const consuming = channel.consume(queue, (message) => messages.push(message), options);
  const arrived = (count) => eventually(() => messages.length >= count, `${count} deliveries`);
  return { messages, arrived, consuming };
}

// A channel whose errors are kept instead of thrown at the process.
async function frailChannel(connection) {
  const channel = await connection.createChannel();
  const closed = once(channel, 'error').then(([error]) => error);
  return { channel, closed };
}

async function refused(attempt, closed, code, text) {
  await Promise.resolve(attempt).catch(() => {}); // the channel's error event below carries code and text
  const error = await within(closed, 'channel.close');
  same(error.code, code);
  same(error.message.includes(`"${text}"`), true, error.message);
}

async function isGone(connection, queue) {
  const { channel, closed } = await frailChannel(connection);
  try {
    await channel.checkQueue(queue);
    await channel.close();
    return false;
  } catch {
    return (await closed).code === 404;
  }
}

const tests = {
  async every_publish_is_confirmed(open) {
    const channel = await (await open()).createConfirmChannel();
    const queue = await exclusiveQueue(channel);
    const confirms = Array.from({ length: 100 }, (_, n) => new Promise((resolve, reject) => {
      channel.sendToQueue(queue, Buffer.from(`${n}`), { persistent: true }, (error) => (error ? reject(error) : resolve(n)));
    }));
    same((await Promise.all(confirms)).length, 100);
    await channel.waitForConfirms();
    await hasReady(channel, queue, 100);
  },

  async get_returns_messages_in_order_then_says_empty(open) {
    const channel = await (await open()).createChannel();
    const queue = await exclusiveQueue(channel);
    publish(channel, queue, 'a', 'b', 'c');
    for (const [body, left] of [['a', 2], ['b', 1], ['c', 0]]) {
      const message = await channel.get(queue);
      same([message.content.toString(), message.fields.messageCount], [body, left]);
      channel.ack(message);
    }
    same(await channel.get(queue), false);
  },

  async nack_with_requeue_returns_a_message_to_its_old_place(open) {
    const channel = await (await open()).createChannel();
    const queue = await exclusiveQueue(channel);
    publish(channel, queue, 'a', 'b', 'c');
    const [first, second] = [await channel.get(queue), await channel.get(queue)];
    channel.nack(second);
    channel.nack(first);
    for (const expected of ['a true', 'b true', 'c false']) same(await take(channel, queue), expected);
    channel.nackAll(true);
    for (const expected of ['a true', 'b true', 'c true']) same(await take(channel, queue), expected);
    channel.ackAll();
    same(await channel.get(queue), false);
  },

  async reject_without_requeue_drops_a_message(open) {
    const channel = await (await open()).createChannel();
    const queue = await exclusiveQueue(channel);
    publish(channel, queue, 'a', 'b');
    channel.reject(await channel.get(queue), false);
    channel.reject(await channel.get(queue), true);
    same(await take(channel, queue), 'b true');
    same(await channel.get(queue), false);
  },

  async recover_returns_unacknowledged_messages(open) {
    const channel = await (await open()).createChannel();
    const queue = await exclusiveQueue(channel);
    publish(channel, queue, 'a', 'b');
    same([await take(channel, queue), await take(channel, queue)], ['a false', 'b false']);
    await channel.recover();
    same([await take(channel, queue), await take(channel, queue)], ['a true', 'b true']);
  },

  async prefetch_bounds_what_a_consumer_owes(open) {
    const channel = await (await open()).createChannel();
    const queue = await exclusiveQueue(channel);
    publish(channel, queue, ...'0123456789');
    await channel.prefetch(3);
    const consumer = collect(channel, queue);
    await consumer.arrived(3);
    await hasReady(channel, queue, 7);
    channel.ack(consumer.messages[0]);
    await consumer.arrived(4);
    await hasReady(channel, queue, 6);
    same(consumer.messages.map((message) => message.content.toString()), ['0', '1', '2', '3']);
  },

  async prefetch_of_a_channel_is_shared_by_its_consumers(open) {
    const channel = await (await open()).createChannel();
    const queue = await exclusiveQueue(channel);
    await channel.prefetch(3, true);
    const consumers = [collect(channel, queue), collect(channel, queue)];
    await Promise.all(consumers.map((consumer) => consumer.consuming));
    publish(channel, queue, ...'0123456789');
    await hasReady(channel, queue, 7);
    await channel.prefetch(5, true);
    await hasReady(channel, queue, 5);
    await eventually(() => consumers[0].messages.length + consumers[1].messages.length === 5, 'five deliveries');
  },

  async unroutable_mandatory_message_is_returned(open) {
    const channel = await (await open()).createConfirmChannel();
    const returned = once(channel, 'return');
    const key = fresh('nowhere');
    channel.publish('', key, Buffer.from('lost'), { mandatory: true, messageId: 'm' });
    const [message] = await within(returned, 'return');
    const { replyCode, replyText, exchange, routingKey } = message.fields;
    same([replyCode, replyText, exchange, routingKey], [312, 'NO_ROUTE', '', key]);
    same([message.content.toString(), message.properties.messageId], ['lost', 'm']);
    await channel.waitForConfirms();
  },

  async exclusive_queue_is_locked_to_its_connection(open) {
    const [owner, other, name] = [await open(), await open(), fresh('exclusive')];
    await (await owner.createChannel()).assertQueue(name, { exclusive: true });
    const { channel, closed } = await frailChannel(other);
    await refused(channel.consume(name, () => {}), closed, 405,
      `RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '${name}' in vhost '${vhost}'. It could be originally ` +
      'declared on another connection or the exclusive property value does not match that of the original declaration.');
    await owner.close();
    await eventually(() => isGone(other, name), 'the queue went with its connection');
  },

  async auto_delete_queue_goes_with_its_last_consumer(open) {
    const connection = await open();
    const [channel, name] = [await connection.createChannel(), fresh('auto-delete')];
    await channel.assertQueue(name, { durable: false, autoDelete: true });
    for (const consumerTag of ['one', 'two']) await channel.consume(name, () => {}, { consumerTag });
    await channel.cancel('one');
    same((await channel.checkQueue(name)).consumerCount, 1);
    await channel.cancel('two');
    await eventually(() => isGone(connection, name), 'the queue went with its last consumer');
  },

  async cancelled_consumer_receives_nothing_more(open) {
    const channel = await (await open()).createChannel();
    const queue = await exclusiveQueue(channel);
    const consumer = collect(channel, queue, { noAck: true, consumerTag: 'mine' });
    publish(channel, queue, 'a');
    await consumer.arrived(1);
    await channel.cancel('mine');
    publish(channel, queue, 'b');
    await hasReady(channel, queue, 1);
    same(consumer.messages.length, 1);
  },

  async deleted_queue_cancels_its_consumer(open) {
    const channel = await (await open()).createChannel();
    const queue = await exclusiveQueue(channel);
    const consumer = collect(channel, queue);
    await consumer.consuming;
    await channel.deleteQueue(queue);
    await consumer.arrived(1);
    same(consumer.messages, [null]); // amqplib's way to tell of basic.cancel
  },

  async headers_exchange_matches_all_or_any(open) {
    const channel = await (await open()).createChannel();
    const exchange = fresh('headers');
    await channel.assertExchange(exchange, 'headers', { durable: false, autoDelete: true });
    const queues = [await exclusiveQueue(channel), await exclusiveQueue(channel)];
    await channel.bindQueue(queues[0], exchange, '', { 'x-match': 'all', kind: 'report', pages: 3 });
    await channel.bindQueue(queues[1], exchange, '', { 'x-match': 'any', kind: 'report', pages: 3 });
    const letters = { both: { kind: 'report', pages: 3 }, one: { kind: 'report', pages: 4 }, none: { kind: 'letter' } };
    for (const [body, headers] of Object.entries(letters)) channel.publish(exchange, '', Buffer.from(body), { headers });
    same([await take(channel, queues[0]), await take(channel, queues[0])], ['both false', false]);
    same([await take(channel, queues[1]), await take(channel, queues[1])], ['both false', 'one false']);
    same(await take(channel, queues[1]), false);
  },

  async rpc_answer_is_found_by_its_correlation_id(open) {
    const connection = await open();
    const [server, client] = [await connection.createChannel(), await connection.createChannel()];
    const [requests, replies] = [await exclusiveQueue(server), await exclusiveQueue(client)];
    await server.consume(requests, (request) => {
      const { replyTo, correlationId } = request.properties;
      server.sendToQueue(replyTo, Buffer.from(request.content.toString().toUpperCase()), { correlationId });
      server.ack(request);
    });
    const answers = collect(client, replies, { noAck: true });
    await answers.consuming;
    for (const word of ['one', 'two']) client.sendToQueue(requests, Buffer.from(word), { replyTo: replies, correlationId: word });
    await answers.arrived(2);
    same(answers.messages.map((m) => `${m.properties.correlationId} ${m.content}`), ['one ONE', 'two TWO']);
  },

  async refused_channel_leaves_its_connection_usable(open) {
    const [connection, name] = [await open(), fresh('none')];
    const first = await frailChannel(connection);
    await refused(first.channel.checkQueue(name), first.closed, 404, `NOT_FOUND - no queue '${name}' in vhost '${vhost}'`);
    const second = await frailChannel(connection);
    second.channel.publish(name, 'k', Buffer.from('x'));
    await refused(null, second.closed, 404, `NOT_FOUND - no exchange '${name}' in vhost '${vhost}'`);
    const channel = await connection.createChannel();
    publish(channel, await exclusiveQueue(channel), 'a');
    await channel.close();
  },

  async differing_declaration_names_the_argument(open) {
    const [connection, name] = [await open(), fresh('plain')];
    await (await connection.createChannel()).assertQueue(name, { durable: false, exclusive: true });
    const { channel, closed } = await frailChannel(connection);
    await refused(channel.assertQueue(name, { exclusive: true, autoDelete: true }), closed, 406,
      `PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue '${name}' in vhost '${vhost}': received 'true' but current is 'false'`);
  },

  async unknown_delivery_tag_closes_the_channel(open) {
    const { channel, closed } = await frailChannel(await open());
    channel.ack({ fields: { deliveryTag: 99 } });
    await refused(null, closed, 406, 'PRECONDITION_FAILED - unknown delivery tag 99');
  },

  async properties_and_headers_arrive_as_sent(open) {
    const channel = await (await open()).createChannel();
    const queue = await exclusiveQueue(channel);
    const sent = {
      contentType: 'text/plain', contentEncoding: 'utf-8', deliveryMode: 2, priority: 7, correlationId: 'c', replyTo: 'r',
      expiration: '60000', messageId: 'm', timestamp: 1700000000, type: 't', appId: 'a',
      headers: { text: 'wörter', bytes: Buffer.from([0, 255]), small: -5, large: 2 ** 40, half: 0.5, yes: true, nothing: null,
        list: [1, 'two', [3]], table: { deep: { deeper: 1 } } },
    };
    channel.sendToQueue(queue, Buffer.from('body'), sent);
    const { properties } = await channel.get(queue, { noAck: true });
    same(Object.fromEntries(Object.keys(sent).map((name) => [name, properties[name]])), sent);
  },

  async bodies_of_every_size_arrive_whole(open) {
    const channel = await (await open()).createChannel();
    const queue = await exclusiveQueue(channel);
    for (const size of [0, 1, 131063, 131064, 131065, 262128, 1 << 20]) {
      const body = randomBytes(size);
      channel.sendToQueue(queue, body);
      same(body.equals((await channel.get(queue, { noAck: true })).content), true, `${size} bytes`);
    }
  },

  async wrong_password_is_refused() {
    const wrong = new URL(url);
    wrong.password = fresh('wrong');
    const error = await amqp.connect(wrong.href).then(() => null, (refusal) => refusal);
    same(/403 \(ACCESS-REFUSED\).*ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN\./.test(error?.message), true,
      String(error?.message));
  },
};

await run(tests, async (test) => {
  const connections = [];
  const open = async () => {
    const connection = await amqp.connect(url);
    connection.on('error', () => {}); // what a test expects to fail it asserts itself
    connections.push(connection);
    return connection;
  };
  try {
    await test(open);
  } finally {
    await Promise.all(connections.map((connection) => connection.close().catch(() => {}))); // some are closed already
  }
});
