"""A background task cannot fail unnoticed."""

import asyncio

import pytest

from trading.runtime.tasks import BackgroundTasks


async def fail() -> None:
    """Fail after one turn of the event loop."""
    await asyncio.sleep(0)
    raise KeyError("a defect")


async def end() -> None:
    """End after one turn of the event loop."""
    await asyncio.sleep(0)


async def settle() -> None:
    """Give the tasks and their callbacks the time to run."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("vital", [False, True])
def test_a_failure_is_logged_and_of_what_is_vital_kept(
    vital: bool, caplog: pytest.LogCaptureFixture
) -> None:
    problems: list[str] = []

    async def run() -> BackgroundTasks:
        tasks = BackgroundTasks(problems.append)
        tasks.start("the pump", fail(), vital=vital)
        tasks.start("a note", end(), vital=vital)
        await settle()
        return tasks

    tasks = asyncio.run(run())
    problem = "the pump failed: KeyError: 'a defect'" if vital else ""
    assert tasks.problem == problem
    assert tasks.failed.is_set() == vital
    assert problems == [problem] * vital
    (record,) = caplog.records
    assert record.getMessage() == "the pump failed: 'a defect'" and record.exc_info


def test_the_first_problem_stays() -> None:
    async def run() -> str:
        tasks = BackgroundTasks()
        tasks.start("one", fail(), vital=True)
        tasks.start("two", fail(), vital=True)
        await settle()
        return tasks.problem

    assert asyncio.run(run()).startswith("one failed")


def test_stop_ends_what_runs_and_is_no_problem(caplog: pytest.LogCaptureFixture) -> None:
    """A task that ignores the first cancellation is stopped, too."""

    async def stubborn() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(3600)

    async def run() -> BackgroundTasks:
        tasks = BackgroundTasks()
        started = [tasks.start("one", stubborn(), vital=True)]
        started.append(tasks.start("two", asyncio.Event().wait(), vital=True))  # type: ignore[arg-type]
        await settle()
        await tasks.stop()
        assert all(task.done() for task in started)
        return tasks

    assert asyncio.run(run()).problem == ""
    assert not caplog.records
