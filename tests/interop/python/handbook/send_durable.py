#!/usr/bin/env python3
"""Sends one persistent message to a durable queue, `lqz1` or the one named first."""
import os
import sys
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

queue = sys.argv[1] if len(sys.argv) > 1 else "lqz1"
channel.queue_declare(queue=queue, durable=True)
channel.basic_publish(exchange="", routing_key=queue, body="111", properties=pika.BasicProperties(delivery_mode=2))
connection.close()
