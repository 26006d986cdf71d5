"""The number of threads: the watch of the images a second, on a machine and a clock that are made.

No test computes for long or looks at the real time.
"""

import warnings

import pytest
import torch

from echolib.networks import threads
from echolib.networks.models import UNet
from echolib.networks.run import raw_answers
from echolib.networks.threads import PAUSE, ThreadWatch, Work, thread_watch
from echolib.networks.training import Training, TrainingConfig
from tests.makers import frame_set

ALONE = {1: 50.0, 2: 90.0, 4: 150.0, 8: 240.0}  # images a second by the number of threads
STEP = 16  # images


class Machine:
    """A processor of some cores, on which a neighbour may keep one core busy.

    With a neighbour, threads that need all cores fall to a thirtieth of their speed.
    """

    def __init__(self, cores: int, patch: pytest.MonkeyPatch) -> None:
        self.cores = self.threads = cores
        self.now = self.waited = 0.0
        self.neighbour = False
        self.factor = 1 / 30  # of the speed of threads that wait for each other
        patch.setattr(torch, "set_num_threads", self.use)
        patch.setattr(threads, "perf_counter", lambda: self.now)
        patch.setattr(threads, "seconds_waited", lambda: self.waited)
        self.watch = ThreadWatch(cores)

    def use(self, count: int) -> None:
        self.threads = count

    def compute(self, seconds: float, kind: str = "training", size: float = 1.0) -> float:
        """Compute for some seconds; returns the images a second. size: of the work per image."""
        started, images = self.now, 0
        while self.now < started + seconds:
            with self.watch.computing(STEP, kind):
                crowded = self.neighbour and self.threads == self.cores
                speed = ALONE[self.threads] * (self.factor if crowded else 1) / size
                self.now += STEP / speed
                self.waited += 0.5 * STEP / speed if crowded else 0
                images += STEP
        return images / (self.now - started)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(2, monkeypatch)


def test_on_a_quiet_machine_nothing_is_tried(machine: Machine, recwarn):
    changes = []
    machine.use = changes.append
    assert machine.compute(3600) == pytest.approx(90, rel=0.01)
    assert machine.watch.threads == 2 and not changes and not recwarn


def test_a_neighbour_who_comes_costs_half_of_the_speed_not_all(machine: Machine):
    machine.compute(60)
    machine.neighbour = True
    with pytest.warns(UserWarning, match=r"1 instead of 2 threads, which is 16\.7 times as fast"):
        machine.compute(60)
    assert machine.threads == machine.watch.threads == 1
    assert machine.compute(600) > 0.9 * ALONE[1]


def test_a_neighbour_who_was_there_first_is_noticed_too(machine: Machine):
    machine.neighbour = True
    with pytest.warns(UserWarning, match="other programs share the processor"):
        machine.compute(60)
    assert machine.threads == 1


def test_a_collapse_is_noticed_where_the_system_counts_no_waiting(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(threads, "seconds_waited", lambda: 0.0)
    machine.compute(30)
    machine.neighbour = True
    with pytest.warns(UserWarning, match="1 instead of 2 threads"):
        machine.compute(60)


def test_when_the_neighbour_goes_all_threads_come_back(machine: Machine):
    machine.neighbour = True
    with pytest.warns(UserWarning, match="1 instead of 2"):
        machine.compute(60)
    machine.neighbour = False
    with pytest.warns(UserWarning, match=r"2 instead of 1 threads.*1\.8 times.*no longer share"):
        machine.compute(3 * (PAUSE + 5))
    assert machine.threads == 2


def test_fewer_threads_that_are_not_faster_are_not_kept(machine: Machine, recwarn):
    machine.factor, machine.neighbour = 0.5, True  # the neighbour takes its share and no more
    machine.compute(60)
    assert machine.threads == machine.watch.threads == 2 and not recwarn
    assert machine.compute(1200) > 0.95 * 0.5 * ALONE[2]  # trials are rare


def test_a_step_that_takes_a_minute_is_enough(machine: Machine):
    machine.factor, machine.neighbour = 1 / 300, True
    with pytest.warns(UserWarning, match="1 instead of 2"):
        machine.compute(60)
    assert machine.threads == 1 and machine.now < 70


def test_a_short_collapse_is_left_alone(machine: Machine, recwarn):
    machine.compute(30)
    for _ in range(10):
        machine.neighbour = True
        machine.compute(4)  # two windows at most
        machine.neighbour = False
        machine.compute(10)
    assert machine.threads == 2 and not recwarn


def test_as_many_threads_are_kept_as_are_useful(monkeypatch: pytest.MonkeyPatch):
    machine = Machine(8, monkeypatch)
    machine.compute(30)
    machine.neighbour = True
    with pytest.warns(UserWarning, match="4 instead of 8"):
        machine.compute(120)
    assert machine.threads == 4


def test_different_work_is_compared_with_its_own_kind(machine: Machine, recwarn):
    """A large network after a small one is slower, but nothing collapsed."""
    for kind, size in (("small", 1.0), ("large", 20.0), ("small", 1.0)):
        machine.compute(60, kind, size)
    assert machine.threads == 2 and not recwarn
    machine.neighbour = True
    with pytest.warns(UserWarning, match="1 instead of 2"):
        for _ in range(20):
            machine.compute(1, "small")
            machine.compute(1, "large", 20.0)
    assert machine.threads == 1


def test_a_trial_without_work_of_the_same_kind_changes_nothing(machine: Machine, recwarn):
    machine.neighbour = True
    while machine.threads == 2:
        machine.compute(0.1, "first")
    machine.compute(4, "second")
    assert machine.threads == machine.watch.threads == 2 and not recwarn
    assert Work({"a": (4, 1.0)}).speed_to(Work({"b": (4, 1.0)})) == 0


def test_work_that_fails_does_not_count(machine: Machine):
    with pytest.raises(ValueError, match="broken"), machine.watch.computing(STEP, "training"):
        machine.now += 100
        raise ValueError("broken")
    machine.compute(30)
    assert machine.threads == 2


# --- The watch of this process --------------------------------------------------------------------


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch):
    """Torch with 6 threads in a process that may use 4 cores; returns the numbers that are set."""
    numbers = [6]
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: numbers[-1])
    monkeypatch.setattr(torch, "set_num_threads", numbers.append)
    thread_watch.cache_clear()
    yield numbers
    thread_watch.cache_clear()


def test_no_more_threads_than_the_process_has_cores(process):
    assert thread_watch().most == 4 and process == [6, 4]
    assert thread_watch() is thread_watch()


def test_fewer_threads_are_left_as_they_are(process):
    process.append(3)
    assert thread_watch().most == 3 and process == [6, 3]


def test_the_number_that_somebody_set_stays(process, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    assert thread_watch().most == 1 and process == [6]


def test_trainings_and_answers_are_watched(process, tmp_path, monkeypatch: pytest.MonkeyPatch):
    counted = []
    kept = ThreadWatch.computing
    monkeypatch.setattr(
        ThreadWatch, "computing", lambda *given: counted.append(given[1]) or kept(*given)
    )
    frames, model = frame_set(12), UNet(16, depth=1)
    config = TrainingConfig(epochs=1, batch=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        training = Training(model, frames.split("train"), frames.split("val"), tmp_path, config)
        training.run(progress=False)
    assert counted == [4, 4] and process == [6, 4]
    list(raw_answers(model, frames.images, batch=8))
    assert counted == [4, 4, 8, 4]


def test_the_number_of_threads_changes_results_by_rounding_only():
    """A step of a training with one thread and with two."""
    images, number = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)), {}
    before = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            torch.manual_seed(0)
            model = UNet(2, depth=1)
            model(images).square().mean().backward()
            number[count] = torch.cat([w.grad.flatten() for w in model.parameters()])
    finally:
        torch.set_num_threads(before)
    assert torch.allclose(number[1], number[2], rtol=1e-4, atol=1e-6)
