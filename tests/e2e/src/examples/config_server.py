"""A company's server of definitions: HTTPS with the pair in /pair, and one queue."""
import http.server
import json
import ssl

QUEUE = {"name": "fetched", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}


class Definitions(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path == "/definitions.json"
        document = json.dumps({"vhosts": [{"name": "/"}], "queues": [QUEUE]}).encode() if found else b""
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(document)))
        self.end_headers()
        self.wfile.write(document)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/pair/tls.crt", "/pair/tls.key")
server = http.server.ThreadingHTTPServer(("", 8443), Definitions)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
