#!/usr/bin/env python3
"""Publishes three lines to the topic exchange `app_logs`; the first two words of each are its key."""
import os
import re
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.exchange_declare(exchange="app_logs", exchange_type="topic")
lines = [
    "mysql.info this is mysql logs",
    "kern.erro this is kern logs",
    "mysql.django.info test",
]
for line in lines:
    routing_key = re.match(r"(?P<app>\w+.\w+)", line).group("app")
    channel.basic_publish(exchange="app_logs", routing_key=routing_key, body=line)
connection.close()
