"""A server in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crossfield.report.build import build_report, find_subject
from crossfield.report.serve import ReportServer


@contextmanager
def serving(run: Path) -> Iterator[ReportServer]:
    """Serves the report on a run, on any port that is free."""
    subject = find_subject(str(run))
    with ReportServer(lambda: build_report(subject, live=True), lambda: subject.stamp) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
