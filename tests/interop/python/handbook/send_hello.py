#!/usr/bin/env python3
"""Sends one greeting, or each of its arguments, to the transient queue `hello`."""
import os
import sys
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(
    username=unquote(url.username), password=unquote(url.password), erase_on_connect=False
)
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.queue_declare(queue="hello")
for body in sys.argv[1:] or ["Hello World!"]:
    channel.basic_publish(exchange="", routing_key="hello", body=body)
connection.close()
