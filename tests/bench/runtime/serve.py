"""A web server of one process, for measurements: `/` is a few bytes, `/big` a mebibyte. Target code: Python 3.6."""

import select
import socket
import sys

SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"
BIG = b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + b"x" * 1048576


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", int(sys.argv[1])))  # noqa: S104 - in a network of its own
    listener.listen(512)
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    ends, waiting = {}, {}
    print("ready", flush=True)
    while True:
        for number, _event in poll.poll():
            if number == listener.fileno():
                try:
                    while True:
                        end, _address = listener.accept()
                        end.setblocking(False)
                        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        ends[end.fileno()] = end
                        poll.register(end, select.EPOLLIN)
                except BlockingIOError:
                    continue
            end = ends[number]
            try:
                if not waiting.get(number):
                    asked = end.recv(65536)
                    if not asked:
                        raise ConnectionResetError
                    waiting[number] = memoryview(BIG if asked.startswith(b"GET /big") else SMALL)
                waiting[number] = waiting[number][end.send(waiting[number]) :]
                poll.modify(end, select.EPOLLOUT if waiting[number] else select.EPOLLIN)
            except BlockingIOError:
                continue
            except OSError:
                waiting.pop(number, None)
                ends.pop(number).close()


main()
