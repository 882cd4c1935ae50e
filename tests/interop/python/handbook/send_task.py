#!/usr/bin/env python3
"""Sends one persistent message, or each of its arguments, to the durable queue `task`."""
import os
import sys
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.queue_declare(queue="task", durable=True)
for body in sys.argv[1:] or ["Hello World!"]:
    channel.basic_publish(
        exchange="", routing_key="task", body=body, properties=pika.BasicProperties(delivery_mode=2)
    )
connection.close()
