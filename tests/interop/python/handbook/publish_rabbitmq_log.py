#!/usr/bin/env python3
"""Publishes three lines to the direct exchange `rabbitmq_log`, each with its level as the key."""
import os
import re
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.exchange_declare(exchange="rabbitmq_log", exchange_type="direct")
lines = [
    "=INFO REPORT==== connection: user authenticated and granted access to vhost '/'",
    "=WARNING REPORT==== closing AMQP connection: client unexpectedly closed TCP connection",
    "=ERROR REPORT==== this is an error line",
]
for line in lines:
    level = re.search(r"^=(?P<level>\w+)", line).group("level")
    channel.basic_publish(exchange="rabbitmq_log", routing_key=level, body=line)
connection.close()
