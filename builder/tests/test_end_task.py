"""Ending tasks that lose a cancellation."""

from __future__ import annotations

import asyncio

from espalier_builder.worker.end_task import end_task


def test_a_task_that_loses_its_first_cancellation_is_ended_all_the_same() -> None:
    async def story() -> None:
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def works_on() -> None:
            # The answer and the cancellation arrive together: this is where Python 3.11 forgets the latter.
            await asyncio.wait_for(answered, timeout=60)
            await asyncio.sleep(3600)

        task = asyncio.create_task(works_on())
        await asyncio.sleep(0)
        answered.set_result("an answer")
        await asyncio.wait_for(end_task(task), timeout=30)
        assert task.cancelled()

    asyncio.run(story())


def test_an_error_on_the_way_out_stays_in_the_task() -> None:
    async def story() -> None:
        async def fails_on_the_way_out() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                raise OSError("gone")

        task = asyncio.create_task(fails_on_the_way_out())
        await asyncio.sleep(0)
        await end_task(task)
        assert isinstance(task.exception(), OSError)

    asyncio.run(story())
