#!/usr/bin/env python3
"""Receives from `lqz`; the broker forgets each message as it delivers it."""
import os
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()
CALLBACK_FIRST = pika.__version__.startswith("0.")

channel.queue_declare(queue="lqz")


def callback(ch, method, properties, body):
    print("received %r" % body, flush=True)


if CALLBACK_FIRST:
    channel.basic_consume(callback, queue="lqz", no_ack=True)
else:
    channel.basic_consume(queue="lqz", on_message_callback=callback, auto_ack=True)
print("ready", flush=True)
channel.start_consuming()
