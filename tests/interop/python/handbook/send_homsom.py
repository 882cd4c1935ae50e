#!/usr/bin/env python3
"""Publishes 1000 persistent messages through the durable direct exchange `homsom`; the order is in the body."""
import os
import random
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.queue_declare(queue="homsom", durable=True)
channel.exchange_declare("homsom", "direct", durable=True)
channel.queue_bind("homsom", "homsom", routing_key="hm")
for i in range(0, 1000):
    body = "hello world:%s:%s" % (i, random.randint(0, 1000))
    channel.basic_publish(
        exchange="homsom",
        routing_key="hm",
        body=body,
        properties=pika.spec.BasicProperties(delivery_mode=2),
    )
    print("sent %s" % body)
connection.close()
