#!/usr/bin/env python3
"""Sends one greeting to the durable queue `hello`."""
import os
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.queue_declare(queue="hello", durable=True)
channel.basic_publish(exchange="", routing_key="hello", body="Hello World!")
connection.close()
