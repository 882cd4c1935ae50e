"""pika 1.x beyond the handbooks: confirms, returns, exact refusals, properties. The same sentences are tested by the
suites of the other clients, each with its own library."""
import os
import uuid

import pika
import tap
from tap import same, wait_until

PARAMETERS = pika.URLParameters(os.environ["AMQP_URL"])
VHOST = PARAMETERS.virtual_host


def connect():
    return pika.BlockingConnection(PARAMETERS)


def fresh(kind):
    return "interop-%s-%s" % (kind, uuid.uuid4().hex[:8])


def exclusive_queue(channel):
    return channel.queue_declare(queue="", exclusive=True).method.queue


def publish(channel, queue, *bodies, **properties):
    for body in bodies:
        channel.basic_publish("", queue, body, pika.BasicProperties(**properties))


def ready(channel, queue):
    return channel.queue_declare(queue=queue, passive=True).method.message_count


def has_ready(channel, queue, count):
    """Waits for a count of ready messages: a broker may answer before it has queued what was published just before."""
    wait_until(lambda: ready(channel, queue) == count, "%d messages are ready" % count)


def channel_closed_by(action, code, text):
    error = tap.raises(pika.exceptions.ChannelClosedByBroker, action)
    same((error.reply_code, error.reply_text), (code, text), "refusal")


def every_publish_is_confirmed():
    with connect() as connection:
        channel = connection.channel()
        queue = exclusive_queue(channel)
        channel.confirm_delivery()
        publish(channel, queue, *(b"%d" % n for n in range(100)), delivery_mode=2)
        has_ready(channel, queue, 100)


def get_returns_messages_in_order_then_says_empty():
    with connect() as connection:
        channel = connection.channel()
        queue = exclusive_queue(channel)
        publish(channel, queue, b"a", b"b", b"c")
        for body, left in ((b"a", 2), (b"b", 1), (b"c", 0)):
            method, _, found = channel.basic_get(queue)
            same((found, method.message_count, method.redelivered), (body, left, False), "got")
            channel.basic_ack(method.delivery_tag)
        same(channel.basic_get(queue), (None, None, None), "empty")


def nack_with_requeue_returns_a_message_to_its_old_place():
    with connect() as connection:
        channel = connection.channel()
        queue = exclusive_queue(channel)
        publish(channel, queue, b"a", b"b", b"c")
        first, second = channel.basic_get(queue)[0], channel.basic_get(queue)[0]
        channel.basic_nack(second.delivery_tag, requeue=True)
        channel.basic_nack(first.delivery_tag, requeue=True)
        found = [(body, method.redelivered) for method, _, body in (channel.basic_get(queue) for _ in range(3))]
        same(found, [(b"a", True), (b"b", True), (b"c", False)], "order and redelivered flags")


def multiple_ack_and_multiple_nack_settle_everything_up_to_a_tag():
    with connect() as connection:
        channel = connection.channel()
        queue = exclusive_queue(channel)
        publish(channel, queue, *(b"%d" % n for n in range(6)))
        tags = [channel.basic_get(queue)[0].delivery_tag for _ in range(6)]
        channel.basic_ack(tags[1], multiple=True)
        channel.basic_nack(tags[3], multiple=True, requeue=True)
        channel.basic_ack(0, multiple=True)
        same([channel.basic_get(queue)[2] for _ in range(3)], [b"2", b"3", None], "left")


def reject_without_requeue_drops_a_message():
    with connect() as connection:
        channel = connection.channel()
        queue = exclusive_queue(channel)
        publish(channel, queue, b"a", b"b")
        channel.basic_reject(channel.basic_get(queue)[0].delivery_tag, requeue=False)
        channel.basic_reject(channel.basic_get(queue)[0].delivery_tag, requeue=True)
        method, _, body = channel.basic_get(queue)
        same((body, method.redelivered), (b"b", True), "left")
        same(channel.basic_get(queue)[0], None, "nothing else")


def unacknowledged_messages_return_when_their_channel_closes():
    with connect() as connection:
        channel, other = connection.channel(), connection.channel()
        queue = exclusive_queue(channel)
        publish(channel, queue, b"a", b"b")
        other.basic_get(queue), other.basic_get(queue)
        other.close()
        has_ready(channel, queue, 2)
        method, _, body = channel.basic_get(queue)
        same((body, method.redelivered), (b"a", True), "first")


def prefetch_bounds_what_a_consumer_owes():
    with connect() as connection:
        channel = connection.channel()
        queue = exclusive_queue(channel)
        publish(channel, queue, *(b"%d" % n for n in range(10)))
        channel.basic_qos(prefetch_count=3)
        received = []
        channel.basic_consume(queue, lambda _c, method, _p, body: received.append((method.delivery_tag, body)))
        connection.process_data_events(time_limit=0)
        wait_until(lambda: connection.process_data_events(time_limit=0.01) or len(received) >= 3, "three deliveries")
        has_ready(channel, queue, 7)
        same(len(received), 3, "owed")
        channel.basic_ack(received[0][0])
        wait_until(lambda: connection.process_data_events(time_limit=0.01) or len(received) >= 4, "a fourth")
        has_ready(channel, queue, 6)
        same([body for _, body in received], [b"0", b"1", b"2", b"3"], "one more for one settled")


def unroutable_mandatory_message_is_returned():
    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        key = fresh("nowhere")
        error = tap.raises(
            pika.exceptions.UnroutableError, lambda: channel.basic_publish("", key, b"lost", mandatory=True)
        )
        (message,) = error.messages
        method = message.method
        same((method.reply_code, method.reply_text, method.exchange, method.routing_key, message.body),
             (312, "NO_ROUTE", "", key, b"lost"), "returned")
        channel.basic_publish("", key, b"lost without a word")


def exclusive_queue_is_locked_to_its_connection():
    name = fresh("exclusive")
    with connect() as owner, connect() as other:
        owner.channel().queue_declare(queue=name, exclusive=True)
        text = (
            "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%s' in vhost '%s'. It could be "
            "originally declared on another connection or the exclusive property value does not match that of the "
            "original declaration." % (name, VHOST)
        )
        channel_closed_by(lambda: other.channel().queue_declare(queue=name, exclusive=True), 405, text)
        channel_closed_by(lambda: other.channel().basic_get(name), 405, text)
        owner.close()
        wait_until(lambda: not_found(other, name), "the queue went with its connection")


def not_found(connection, queue):
    try:
        connection.channel().queue_declare(queue=queue, passive=True)
        return False
    except pika.exceptions.ChannelClosedByBroker as error:
        return error.reply_code == 404


def auto_delete_queue_goes_with_its_last_consumer():
    with connect() as connection:
        channel, name = connection.channel(), fresh("auto-delete")
        channel.queue_declare(queue=name, auto_delete=True)
        tags = [channel.basic_consume(name, lambda *_: None) for _ in range(2)]
        channel.basic_cancel(tags[0])
        has_ready(channel, name, 0)
        channel.basic_cancel(tags[1])
        wait_until(lambda: not_found(connection, name), "the queue went with its last consumer")


def cancelled_consumer_receives_nothing_more():
    with connect() as connection:
        channel = connection.channel()
        queue = exclusive_queue(channel)
        received = []
        tag = channel.basic_consume(queue, lambda _c, _m, _p, body: received.append(body), auto_ack=True)
        publish(channel, queue, b"a")
        wait_until(lambda: connection.process_data_events(time_limit=0.01) or received, "first delivery")
        channel.basic_cancel(tag)
        publish(channel, queue, b"b")
        has_ready(channel, queue, 1)
        same(received, [b"a"], "received")


def deleted_queue_cancels_its_consumer():
    with connect() as connection:
        channel = connection.channel()
        queue, cancelled = exclusive_queue(channel), []
        channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
        tag = channel.basic_consume(queue, lambda *_: None)
        connection.channel().queue_delete(queue)
        wait_until(lambda: connection.process_data_events(time_limit=0.01) or cancelled, "basic.cancel")
        same(cancelled, [tag], "cancelled")


def headers_exchange_matches_all_or_any():
    with connect() as connection:
        channel, exchange = connection.channel(), fresh("headers")
        channel.exchange_declare(exchange, "headers", auto_delete=True)
        queues = {match: exclusive_queue(channel) for match in ("all", "any")}
        for match, queue in queues.items():
            channel.queue_bind(queue, exchange, arguments={"x-match": match, "kind": "report", "pages": 3})
        for body, headers in (
            (b"both", {"kind": "report", "pages": 3}), (b"one", {"kind": "report", "pages": 4}),
            (b"none", {"kind": "letter"}), (b"empty", None), (b"more", {"kind": "report", "pages": 3, "x": True}),
        ):
            channel.basic_publish(exchange, "ignored", body, pika.BasicProperties(headers=headers))
        found = {match: [channel.basic_get(queue, True)[2] for _ in range(4)] for match, queue in queues.items()}
        same(found, {"all": [b"both", b"more", None, None], "any": [b"both", b"one", b"more", None]}, "routed")


def rpc_answer_is_found_by_its_correlation_id():
    with connect() as connection:
        server, client = connection.channel(), connection.channel()
        requests, replies = exclusive_queue(server), exclusive_queue(client)

        def answer(channel, method, properties, body):
            reply = pika.BasicProperties(correlation_id=properties.correlation_id)
            channel.basic_publish("", properties.reply_to, body.upper(), reply)
            channel.basic_ack(method.delivery_tag)

        server.basic_consume(requests, answer)
        answers = {}
        client.basic_consume(replies, lambda _c, _m, p, body: answers.update({p.correlation_id: body}), auto_ack=True)
        for word in (b"one", b"two"):
            publish(client, requests, word, reply_to=replies, correlation_id=word.decode())
        wait_until(lambda: connection.process_data_events(time_limit=0.01) or len(answers) == 2, "answers")
        same(answers, {"one": b"ONE", "two": b"TWO"}, "answers")


def refused_channel_leaves_its_connection_usable():
    with connect() as connection:
        queue, exchange = fresh("none"), fresh("none")
        not_there = "NOT_FOUND - no %s '%s' in vhost '%s'"
        for action, kind, name in (
            (lambda c: c.queue_declare(queue=queue, passive=True), "queue", queue),
            (lambda c: c.basic_get(queue), "queue", queue),
            (lambda c: c.basic_consume(queue, lambda *_: None), "queue", queue),
            (lambda c: c.queue_bind(exclusive_queue(c), exchange, "k"), "exchange", exchange),
            (lambda c: (c.confirm_delivery(), c.basic_publish(exchange, "k", b"")), "exchange", exchange),
        ):
            channel = connection.channel()
            channel_closed_by(lambda: action(channel), 404, not_there % (kind, name, VHOST))
        same(connection.is_open, True, "connection")
        channel = connection.channel()
        has_ready(channel, exclusive_queue(channel), 0)


def differing_declaration_names_the_argument():
    with connect() as connection:
        queue = fresh("plain")
        connection.channel().queue_declare(queue=queue, exclusive=True)
        channel_closed_by(
            lambda: connection.channel().queue_declare(queue=queue, exclusive=True, auto_delete=True), 406,
            "PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue '%s' in vhost '%s': received 'true' but "
            "current is 'false'" % (queue, VHOST))
        channel_closed_by(
            lambda: connection.channel().exchange_declare("amq.direct", "topic", durable=True), 406,
            "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct' in vhost '%s': received 'topic' "
            "but current is 'direct'" % VHOST)


def reserved_names_are_refused():
    with connect() as connection:
        channel_closed_by(
            lambda: connection.channel().queue_declare(queue="amq.mine"), 403,
            "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'")
        channel_closed_by(
            lambda: connection.channel().exchange_declare("amq.mine", "direct"), 403,
            "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'")


def unknown_delivery_tag_closes_the_channel():
    with connect() as connection:
        channel = connection.channel()
        queue = exclusive_queue(channel)
        publish(channel, queue, b"a")
        tag = channel.basic_get(queue)[0].delivery_tag
        channel.basic_ack(tag)
        channel.basic_ack(tag)
        channel_closed_by(lambda: ready(channel, queue), 406, "PRECONDITION_FAILED - unknown delivery tag %d" % tag)


def properties_and_headers_arrive_as_sent():
    with connect() as connection:
        channel = connection.channel()
        queue = exclusive_queue(channel)
        headers = {
            "text": "wörter", "bytes": b"\x00\xff", "small": -5, "large": 2**40, "yes": True, "nothing": None,
            "list": [1, "two", [3]], "table": {"deep": {"deeper": 1}},
        }
        sent = dict(
            content_type="text/plain", content_encoding="utf-8", headers=headers, delivery_mode=2, priority=7,
            correlation_id="c", reply_to="r", expiration="60000", message_id="m", timestamp=1700000000, type="t",
            user_id=PARAMETERS.credentials.username, app_id="a", cluster_id="x",
        )
        publish(channel, queue, b"body", **sent)
        _, properties, _ = channel.basic_get(queue, True)
        same({name: getattr(properties, name) for name in sent}, sent, "properties")
        publish(channel, queue, b"bare")
        _, properties, _ = channel.basic_get(queue, True)
        same(properties, pika.BasicProperties(), "no properties")


def bodies_of_every_size_arrive_whole():
    with connect() as connection:
        channel = connection.channel()
        queue = exclusive_queue(channel)
        for size in (0, 1, 131063, 131064, 131065, 262128, 1 << 20):
            body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
            publish(channel, queue, body)
            same(channel.basic_get(queue, True)[2] == body, True, "%d bytes" % size)


def purge_and_delete_count_what_they_remove():
    with connect() as connection:
        channel = connection.channel()
        queue = exclusive_queue(channel)
        publish(channel, queue, b"a", b"b", b"c")
        same(channel.queue_purge(queue).method.message_count, 3, "purged")
        publish(channel, queue, b"d")
        channel_closed_by(
            lambda: connection.channel().queue_delete(queue, if_empty=True), 406,
            "PRECONDITION_FAILED - queue '%s' in vhost '%s' not empty" % (queue, VHOST))
        same(channel.queue_delete(queue).method.message_count, 1, "deleted")


def wrong_password_is_refused():
    parameters = pika.URLParameters(os.environ["AMQP_URL"])
    parameters.credentials = pika.PlainCredentials(parameters.credentials.username, "wrong-" + str(uuid.uuid4()))
    error = tap.raises(pika.exceptions.ProbableAuthenticationError, lambda: pika.BlockingConnection(parameters))
    text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN."
    same("403" in str(error) and text in str(error), True, str(error))


def unknown_vhost_is_refused():
    parameters = pika.URLParameters(os.environ["AMQP_URL"])
    parameters.virtual_host = fresh("vhost")
    error = tap.raises(pika.exceptions.ProbableAccessDeniedError, lambda: pika.BlockingConnection(parameters))
    text = "(530) 'NOT_ALLOWED - vhost %s not found'" % parameters.virtual_host
    same(text in str(error), True, str(error))


TESTS = [
    every_publish_is_confirmed,
    get_returns_messages_in_order_then_says_empty,
    nack_with_requeue_returns_a_message_to_its_old_place,
    multiple_ack_and_multiple_nack_settle_everything_up_to_a_tag,
    reject_without_requeue_drops_a_message,
    unacknowledged_messages_return_when_their_channel_closes,
    prefetch_bounds_what_a_consumer_owes,
    unroutable_mandatory_message_is_returned,
    exclusive_queue_is_locked_to_its_connection,
    auto_delete_queue_goes_with_its_last_consumer,
    cancelled_consumer_receives_nothing_more,
    deleted_queue_cancels_its_consumer,
    headers_exchange_matches_all_or_any,
    rpc_answer_is_found_by_its_correlation_id,
    refused_channel_leaves_its_connection_usable,
    differing_declaration_names_the_argument,
    reserved_names_are_refused,
    unknown_delivery_tag_closes_the_channel,
    properties_and_headers_arrive_as_sent,
    bodies_of_every_size_arrive_whole,
    purge_and_delete_count_what_they_remove,
    wrong_password_is_refused,
    unknown_vhost_is_refused,
]

if __name__ == "__main__":
    tap.run(TESTS)
