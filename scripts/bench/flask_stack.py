"""Answers as the Python system did that Hotshelf replaced: Flask behind Waitress with 16 threads, a document as a pickled and
compressed dict in Redis, taken out, unpacked, written as JSON and compressed for each request.
`flask_stack.py PORT REDIS_PORT`; processes that get the same port share it.
"""
import gzip
import pickle
import socket
import sys

import flask
import redis
import waitress

THREADS = 16
# Those of the gateway's answers.
LEVEL = 2


def application(redis_port):
    app = flask.Flask(__name__)
    # As the gateway writes them: other orders and escapes would make other bodies.
    app.json.sort_keys, app.json.ensure_ascii, app.json.compact = False, False, True
    pool = redis.ConnectionPool(port=redis_port, max_connections=THREADS, socket_timeout=5, socket_connect_timeout=5)
    cache = redis.Redis(connection_pool=pool)

    @app.get("/<path:_>")
    def answer(_):
        stored = cache.get(f"flask:{flask.request.full_path}")
        if stored is None:
            flask.abort(404)
        # What is unpickled was written by the bench.
        response = flask.jsonify(pickle.loads(gzip.decompress(stored)))
        if "gzip" in flask.request.headers.get("Accept-Encoding", ""):
            response.set_data(gzip.compress(response.get_data(), LEVEL))
            response.headers["Content-Encoding"] = "gzip"
        return response

    return app


def main():
    port, redis_port = (int(argument) for argument in sys.argv[1:3])
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    waitress.serve(application(redis_port), sockets=[listener], threads=THREADS, connection_limit=1000)


main()
