#!/usr/bin/env python3
"""Sends the number named first to `rpc_queue` and waits for the answer that carries its correlation id."""
import os
import sys
import uuid
from urllib.parse import unquote, urlparse

import pika

CALLBACK_FIRST = pika.__version__.startswith("0.")


class RpcClient:
    def __init__(self):
        url = urlparse(os.environ["AMQP_URL"])
        credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
        vhost = unquote(url.path[1:]) or "/"
        parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, vhost, credentials)
        self.connection = pika.BlockingConnection(parameters)
        self.channel = self.connection.channel()
        if CALLBACK_FIRST:
            result = self.channel.queue_declare(exclusive=True)
            self.callback_queue = result.method.queue
            self.channel.basic_consume(self.on_response, no_ack=True, queue=self.callback_queue)
        else:
            result = self.channel.queue_declare(queue="", exclusive=True)
            self.callback_queue = result.method.queue
            self.channel.basic_consume(
                queue=self.callback_queue, on_message_callback=self.on_response, auto_ack=True
            )

    def on_response(self, ch, method, props, body):
        if self.corr_id == props.correlation_id:
            self.response = body

    def call(self, n):
        self.response = None
        self.corr_id = str(uuid.uuid4())
        self.channel.basic_publish(
            exchange="",
            routing_key="rpc_queue",
            properties=pika.BasicProperties(reply_to=self.callback_queue, correlation_id=self.corr_id),
            body=str(n),
        )
        while self.response is None:
            self.connection.process_data_events()
        return int(self.response)


client = RpcClient()
print("answer %d" % client.call(int(sys.argv[1])), flush=True)
