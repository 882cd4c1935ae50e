"""The broker as aio-pika sees it, with robust connections, the ones its users take."""
import asyncio
import os
import uuid

import aio_pika
import aiormq
import tap
from aio_pika import DeliveryMode, ExchangeType, Message
from tap import same

URL = os.environ["AMQP_URL"]


def fresh(kind):
    return "interop-%s-%s" % (kind, uuid.uuid4().hex[:8])


async def until(condition, what):
    """Polls an asynchronous condition until it holds."""
    async with asyncio.timeout(tap.DEADLINE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.02)


async def exclusive_queue(channel):
    return await channel.declare_queue("", exclusive=True)


async def publish(channel, queue, *bodies, **properties):
    for body in bodies:
        await channel.default_exchange.publish(Message(body, **properties), queue.name)


async def has_ready(channel, queue, count):
    # Asked below the robust channel, which would answer a second declaration from its memory.
    underlay = await channel.get_underlay_channel()

    async def ready():
        return (await underlay.queue_declare(queue.name, passive=True)).message_count == count

    await until(ready, "%d messages are ready" % count)


async def refused(action, kind, text):
    try:
        await action
    except kind as error:
        same(text in str(error), True, str(error))
        return
    raise AssertionError("expected %s %s" % (kind.__name__, text))


async def every_publish_is_confirmed(channel):
    queue = await exclusive_queue(channel)
    message = Message(b"x", delivery_mode=DeliveryMode.PERSISTENT)
    confirms = await asyncio.gather(*(channel.default_exchange.publish(message, queue.name) for _ in range(100)))
    same({type(confirm).__name__ for confirm in confirms}, {"Ack"}, "confirms")
    await has_ready(channel, queue, 100)


async def get_returns_messages_in_order_then_says_empty(channel):
    queue = await exclusive_queue(channel)
    await publish(channel, queue, b"a", b"b")
    for body in (b"a", b"b"):
        message = await queue.get()
        same((message.body, message.redelivered), (body, False), "got")
        await message.ack()
    same(await queue.get(fail=False), None, "empty")


async def nack_and_reject_requeue_or_drop(channel):
    queue = await exclusive_queue(channel)
    await publish(channel, queue, b"a", b"b", b"c")
    first, second = await queue.get(), await queue.get()
    await second.nack(requeue=True)
    await first.nack(requeue=True)
    found = [await queue.get() for _ in range(3)]
    same([(m.body, m.redelivered) for m in found], [(b"a", True), (b"b", True), (b"c", False)], "order")
    await found[0].reject(requeue=False)
    await found[1].reject(requeue=True)
    same((await queue.get()).body, b"b", "left")
    same(await queue.get(fail=False), None, "nothing else")


async def iterator_consumes_until_it_is_left(channel):
    queue = await exclusive_queue(channel)
    await channel.set_qos(prefetch_count=3)
    await publish(channel, queue, *(b"%d" % n for n in range(10)))
    found = []
    async with queue.iterator() as messages:
        async for message in messages:
            async with message.process():
                found.append(message.body)
            if len(found) == 5:
                break
    same(found, [b"0", b"1", b"2", b"3", b"4"], "consumed in order")
    await has_ready(channel, queue, 5)


async def failing_handler_requeues_its_message(channel):
    queue, seen = await exclusive_queue(channel), asyncio.Queue()

    async def handle(message):
        async with message.process(requeue=True):
            await seen.put((message.body, message.redelivered))
            if not message.redelivered:
                raise ValueError("a handler's failure")

    tag = await queue.consume(handle)
    await publish(channel, queue, b"a")
    same([await seen.get(), await seen.get()], [(b"a", False), (b"a", True)], "handled")
    await queue.cancel(tag)
    await has_ready(channel, queue, 0)


async def prefetch_bounds_what_a_consumer_owes(channel):
    queue, received = await exclusive_queue(channel), asyncio.Queue()
    await channel.set_qos(prefetch_count=3)
    await publish(channel, queue, *(b"%d" % n for n in range(10)))
    await queue.consume(received.put)
    first = await received.get()
    await has_ready(channel, queue, 7)
    await first.ack()
    await has_ready(channel, queue, 6)


async def unroutable_mandatory_message_is_returned(channel):
    try:
        await channel.default_exchange.publish(Message(b"lost"), fresh("nowhere"), mandatory=True)
    except aio_pika.exceptions.DeliveryError as error:
        delivery = error.message.delivery
        same((delivery.reply_code, delivery.reply_text), (312, "NO_ROUTE"), "returned")
        return
    raise AssertionError("nothing was returned")


async def exchanges_route_by_their_type(channel):
    routed = {}
    for kind, key, arguments in (
        (ExchangeType.DIRECT, "a.b", None), (ExchangeType.FANOUT, "", None), (ExchangeType.TOPIC, "a.*", None),
        (ExchangeType.HEADERS, "", {"x-match": "all", "kind": "report"}),
    ):
        exchange = await channel.declare_exchange(fresh(kind.value), kind, auto_delete=True)
        queue = await exclusive_queue(channel)
        await queue.bind(exchange, key, arguments=arguments)
        for number, (routing_key, headers) in enumerate((("a.b", None), ("a.c", None), ("x", {"kind": "report"}))):
            await exchange.publish(Message(b"%d" % number, headers=headers), routing_key, mandatory=False)
        found = []
        while message := await queue.get(no_ack=True, fail=False):
            found.append(message.body)
        routed[kind.value] = b"".join(found)
    same(routed, {"direct": b"0", "fanout": b"012", "topic": b"01", "headers": b"2"}, "routed")


async def rpc_answer_is_found_by_its_correlation_id(channel):
    requests, replies, answers = await exclusive_queue(channel), await exclusive_queue(channel), {}
    done = asyncio.Event()

    async def serve(request):
        reply = Message(request.body.upper(), correlation_id=request.correlation_id)
        await channel.default_exchange.publish(reply, request.reply_to)
        await request.ack()

    async def receive(answer):
        answers[answer.correlation_id] = answer.body
        if len(answers) == 2:
            done.set()

    await requests.consume(serve)
    await replies.consume(receive, no_ack=True)
    for word in (b"one", b"two"):
        await publish(channel, requests, word, reply_to=replies.name, correlation_id=word.decode())
    await asyncio.wait_for(done.wait(), tap.DEADLINE_SECONDS)
    same(answers, {"one": b"ONE", "two": b"TWO"}, "answers")


async def properties_and_headers_arrive_as_sent(channel):
    queue = await exclusive_queue(channel)
    headers = {"text": "wörter", "small": -5, "large": 2**40, "half": 0.5, "yes": True, "list": [1, "two"], "table": {"a": 1}}
    sent = dict(
        content_type="text/plain", content_encoding="utf-8", headers=headers, priority=7, correlation_id="c", reply_to="r",
        expiration=60, message_id="m", type="t", app_id="a",
    )
    await publish(channel, queue, b"body", delivery_mode=DeliveryMode.PERSISTENT, **sent)
    message = await queue.get(no_ack=True)
    same({name: getattr(message, name) for name in sent}, sent, "properties")
    same(message.delivery_mode, DeliveryMode.PERSISTENT, "delivery mode")


async def refused_channel_leaves_its_connection_usable(channel):
    connection = await aio_pika.connect_robust(URL)
    async with connection:
        name = fresh("none")
        other = await connection.channel()
        text = "NOT_FOUND - no queue '%s' in vhost" % name
        await refused(other.declare_queue(name, passive=True), aio_pika.exceptions.ChannelNotFoundEntity, text)
        again = await connection.channel()
        await publish(again, await exclusive_queue(again), b"a")


async def exclusive_queue_is_locked_to_its_connection(channel):
    name = fresh("exclusive")
    await channel.declare_queue(name, exclusive=True)
    async with await aio_pika.connect(URL) as other:
        text = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%s'" % name
        attempt = (await other.channel()).declare_queue(name, exclusive=True)
        await refused(attempt, aiormq.exceptions.ChannelLockedResource, text)


async def differing_declaration_names_the_argument(channel):
    async with await aio_pika.connect(URL) as other:
        exchange = (await other.channel()).declare_exchange("amq.topic", ExchangeType.DIRECT, durable=True)
        text = "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.topic'"
        await refused(exchange, aio_pika.exceptions.ChannelPreconditionFailed, text)


TESTS = [
    every_publish_is_confirmed,
    get_returns_messages_in_order_then_says_empty,
    nack_and_reject_requeue_or_drop,
    iterator_consumes_until_it_is_left,
    failing_handler_requeues_its_message,
    prefetch_bounds_what_a_consumer_owes,
    unroutable_mandatory_message_is_returned,
    exchanges_route_by_their_type,
    rpc_answer_is_found_by_its_correlation_id,
    properties_and_headers_arrive_as_sent,
    refused_channel_leaves_its_connection_usable,
    exclusive_queue_is_locked_to_its_connection,
    differing_declaration_names_the_argument,
]


async def with_channel(test):
    """Every test has a robust connection and a confirming channel of its own."""
    async with await aio_pika.connect_robust(URL) as connection:
        await test(await connection.channel(publisher_confirms=True, on_return_raises=True))


if __name__ == "__main__":
    tap.run(TESTS, with_channel)
