"""A few threads that work through a list."""

import threading


def run_all(work, items, at_once, enter, leave) -> None:
    """Call `work(item, own)` for each item, `at_once` at a time; `own` is what `enter()` gives each thread, and goes to
    `leave(own)`. The first failure stops what has not begun and is raised when all threads have ended."""
    waiting = list(reversed(list(items)))
    failures = []

    def serve():
        own = None
        try:
            own = enter()
            while not failures:
                try:
                    item = waiting.pop()
                except IndexError:
                    return
                work(item, own)
        except BaseException as error:
            failures.append(error)
        finally:
            if own is not None:
                leave(own)

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(min(at_once, len(waiting)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
