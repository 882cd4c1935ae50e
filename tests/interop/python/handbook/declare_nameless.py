#!/usr/bin/env python3
"""Declares a queue without a name that is not exclusive, and leaves it behind."""
import os
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()
CALLBACK_FIRST = pika.__version__.startswith("0.")

if CALLBACK_FIRST:
    result = channel.queue_declare()
else:
    result = channel.queue_declare(queue="")
print("queue %s" % result.method.queue, flush=True)
connection.close()
