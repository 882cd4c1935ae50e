"""Runs a suite's tests in order and reports them in the Test Anything Protocol, the one language between every suite
and the runner. A test fails by raising; nothing is skipped, and the plan is printed first so that a suite that dies
half-way is seen to be short."""
import asyncio
import inspect
import sys
import time
import traceback

DEADLINE_SECONDS = 30.0


def wait_until(condition, what, seconds=DEADLINE_SECONDS):
    """Polls `condition` until it is true; fails naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError("not within %g s: %s (last seen: %r)" % (seconds, what, found))
        time.sleep(0.02)


def same(found, expected, what):
    """Fails, showing both, unless `found` equals `expected`."""
    if found != expected:
        raise AssertionError("%s: expected %r, found %r" % (what, expected, found))


def raises(kind, action):
    """The exception of type `kind` that `action` raises; fails if it raises none."""
    try:
        action()
    except kind as error:
        return error
    raise AssertionError("expected %s, nothing was raised" % kind)


def run(tests, wrap=lambda test: test()):
    """Runs `tests` (functions; their names are the sentences reported) and exits 1 if one failed."""
    print("1..%d" % len(tests), flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        try:
            outcome = wrap(test)
            if inspect.iscoroutine(outcome):
                asyncio.run(asyncio.wait_for(outcome, 2 * DEADLINE_SECONDS))
            print("ok %d - %s" % (number, test.__name__), flush=True)
        except Exception as error:
            failed += 1
            reason = " ".join(("%s: %s" % (type(error).__name__, error)).split())
            print("not ok %d - %s # %s" % (number, test.__name__, reason), flush=True)
            traceback.print_exc()
    sys.exit(1 if failed else 0)
