"""A shop: POST / keeps an order in the database, reads it back, and answers its release and number.

It knows nothing of updates: it keeps connections, and has no handler for signals.
"""

import http.server
import os
import queue

import psycopg2

RELEASE = os.environ["RELEASE"]
CONNECTIONS = queue.LifoQueue()  # those to the database that are idle


def query(work):
    """What `work(cursor)` returns, in one transaction, on a connection that is idle or a new one."""
    try:
        connection = CONNECTIONS.get_nowait()
    except queue.Empty:
        with open("/run/secrets/password") as file:
            connection = psycopg2.connect(
                host=os.environ["DATABASE"], user="shop", password=file.read(), dbname="postgres", connect_timeout=25
            )
    with connection, connection.cursor() as cursor:
        found = work(cursor)
    CONNECTIONS.put(connection)
    return found


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.answer(lambda cursor: cursor.execute("select 1 from orders limit 1"))

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))

        def order(cursor):
            cursor.execute("insert into orders (release, content) values (%s, %s) returning number", (RELEASE, content))
            number = cursor.fetchone()[0]
            cursor.execute("select content from orders where number = %s", (number,))
            assert bytes(cursor.fetchone()[0]) == content
            return number

        self.answer(order)

    def answer(self, work):
        try:
            status, body = 200, f"{RELEASE}\n{query(work)}\n"
        except (psycopg2.Error, AssertionError) as error:
            print("release", RELEASE, repr(error), flush=True)
            status, body = 503, f"the database: {error}\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *words):
        pass


http.server.ThreadingHTTPServer.daemon_threads = True
http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.ThreadingHTTPServer(("", 8080), Shop).serve_forever()
