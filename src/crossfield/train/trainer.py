"""The training loop."""

from __future__ import annotations

import math
import time
from typing import Any, Literal

import torch
from lightning_fabric import Fabric

from crossfield.data.batch import GraphDataset
from crossfield.data.frame import Frame
from crossfield.errors import InputError
from crossfield.kernels.backend import choose, use
from crossfield.kernels.product import rounded
from crossfield.model.derivatives import evaluate
from crossfield.train.adapt import Adaptation
from crossfield.train.config import Config
from crossfield.train.folder import RunFolder
from crossfield.train.interrupt import StopSignal
from crossfield.train.loss import batch_loss
from crossfield.train.metrics import Metrics, evaluate_dataset
from crossfield.train.optimiser import Average, Schedule, build_optimiser
from crossfield.train.progress import Reporter
from crossfield.train.restart import Restart, RunState, restore, save_restart
from crossfield.train.sampler import Sampler, head_shares
from crossfield.train.setup import Setup
from crossfield.train.watch import Watch, loss_by_head, watched
from crossfield.zoo import checkpoint

Stopped = Literal["epochs", "minutes", "early stop", "interrupted"]


class Trainer:
    """Trains all heads at once.

    Args:
        config: of the run.
        setup: data and model; the model is moved to Fabric's device and changed in place.
        folder: where to write.
        fabric: device and precision.
    """

    def __init__(self, config: Config, setup: Setup, folder: RunFolder, fabric: Fabric) -> None:
        c = config.training
        self.config, self.setup, self.folder, self.fabric = config, setup, folder, fabric
        self.model = setup.model
        fabric.to_device(self.model)
        use(self.model, choose(c.backend, fabric.device))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(c.seed)
            self.adaptation = Adaptation(self.model, config.adapt, setup.taught, setup.new_elements)
        self.parameters = self.adaptation.parameters
        self.optimiser = build_optimiser(self.parameters, c, self.adaptation.rate)
        self.average = Average(self.parameters, c.ema)
        self.sampler = Sampler(
            setup.train.heads,
            head_shares(config.sampling, setup.counts, setup.replayed),
            batch_size=c.batch_size,
            seed=c.seed,
            steps=c.steps_per_epoch,
        )
        self.head_weights = torch.tensor(
            [h.weights for h in setup.heads], dtype=torch.float64, device=fabric.device
        )
        self.watched = watched(setup.train, len(setup.heads), c.seed)
        self.data = setup.summary()
        self._use(RunState())

    def resume(self, restart: Restart) -> None:
        """Go on from a restart file, which must have been checked to belong to this run."""
        self.data = restart.data  # what it began with
        restore(restart, self.parameters, self.average.weights, self.optimiser)
        self._use(restart.state)
        self.folder.cut_log(self.state.log_bytes)

    def _use(self, state: RunState) -> None:
        self.state = state
        self.schedule = Schedule(self.config.schedule, state)
        self.watch = Watch(self.setup.score, state.watch)
        # of the steps since the last epoch was logged, on the device until then
        self.by_head = torch.zeros_like(self.head_weights)
        if state.loss_by_head:
            self.by_head += torch.tensor(state.loss_by_head, dtype=torch.float64, device=self.fabric.device)

    @property
    def progress(self) -> float:
        """From 0 to 1, in epochs or in minutes, whichever is further."""
        return self._progress(self.state.step)

    def _progress(self, step: int) -> float:
        c = self.config.training
        done = step / (c.epochs * self.sampler.steps)
        return done if c.minutes is None else max(done, self.state.seconds / (60.0 * c.minutes))

    def run(self, stop: StopSignal, reporter: Reporter) -> Stopped:
        """Train until something says stop; returns what it was."""
        steps, state = self.sampler.steps, self.state
        self._start = time.monotonic() - state.seconds
        self._saved = state.seconds
        batches = self.sampler.epoch(state.step // steps)
        while True:
            if state.step > state.closed and state.step % steps == 0 and not stop.received:
                self._close_epoch(reporter)
                batches = self.sampler.epoch(state.step // steps)
            if reason := self._reason(stop):
                break
            self._step(batches[state.step % steps].tolist(), reporter)
            if self._restart_due():
                self._save_restart()
        if reason == "minutes" and state.step > state.closed:
            self._close_epoch(reporter)
        if reason == "interrupted":
            self._save_weights("last")
            self._save_restart()
        return reason

    def _reason(self, stop: StopSignal) -> Stopped | None:
        c, state = self.config.training, self.state
        if stop.received:
            return "interrupted"
        if state.closed >= c.epochs * self.sampler.steps:
            return "epochs"
        if c.early_stop is not None and state.waited >= c.early_stop:
            return "early stop"
        if c.minutes is not None and state.seconds >= 60.0 * c.minutes:
            return "minutes"
        return None

    def _step(self, indices: list[int], reporter: Reporter) -> None:
        weights, state = self.config.loss.at(self.progress), self.state
        batch = self.setup.train.batch(indices)
        forces = weights.forces > 0 and bool((batch.labels.forces_weight > 0).any())
        stress = weights.stress > 0 and bool((batch.labels.stress_weight > 0).any())
        batch = batch.to(self.fabric.device)
        with rounded(self.model, self.config.training.tensor_cores):
            prediction = evaluate(self.model, batch.graph, forces=forces, stress=stress, training=True)
        loss = batch_loss(prediction, batch, self.head_weights, weights)

        self.optimiser.zero_grad()
        self.fabric.backward(loss.total)
        self.adaptation.clear()
        norm = torch.nn.utils.clip_grad_norm_(
            self.parameters.values(), self.config.training.clip or math.inf, foreach=True
        )
        value = loss.total.item()
        if not (math.isfinite(value) and math.isfinite(norm.item())):
            raise self._not_finite(indices, value)
        state.learning_rate = self._rate(state.step + 1)
        for group in self.optimiser.param_groups:
            group["lr"] = state.learning_rate * group["factor"]
        self.optimiser.step()
        self.adaptation.restore()
        self.average.update(state.step)

        state.step += 1
        state.loss_sum += value
        state.loss_steps += 1
        self.by_head += loss.by_head
        state.seconds = time.monotonic() - self._start
        epoch = 1 + (state.step - 1) // self.sampler.steps
        reporter.step(epoch, self.config.training.epochs, self.progress, value)

    def _rate(self, step: int) -> float:
        return self.config.training.learning_rate * self.schedule.factor(self._progress(step))

    def _close_epoch(self, reporter: Reporter) -> None:
        """Validate, log, save."""
        c, state = self.config.training, self.state
        epoch = -(-state.step // self.sampler.steps)  # the last one may be cut short by training.minutes
        loss = state.loss_sum / max(state.loss_steps, 1)
        ended = epoch >= c.epochs or (c.minutes is not None and state.seconds >= 60.0 * c.minutes)
        metrics, train, score, best = None, None, None, False
        warnings: list[str] = []
        if len(self.setup.validation) and (ended or epoch % c.validate_every == 0):
            train, metrics = self._errors(self.watched), self._validate()
            score = self.setup.score(metrics)
            best = self._judge(score)
            warnings = self.watch.compare(train, metrics)
        elif not len(self.setup.validation):
            best, state.best_step = True, state.step  # nothing to choose by: the latest weights
        by_head = loss_by_head(self.by_head.tolist(), state.loss_steps, list(self.setup.counts))
        state.closed, state.loss_sum, state.loss_steps = state.step, 0.0, 0
        self.by_head.zero_()
        state.seconds = time.monotonic() - self._start
        if best:
            self._save_weights("best")
        self._save_weights("last")
        state.log_bytes = self.folder.append_log(
            {
                "epoch": epoch,
                "step": state.step,
                "loss": loss,
                "loss_by_head": by_head,
                "learning_rate": state.learning_rate,
                "score": score,
                "best": best,
                "validation": metrics.as_dict() if metrics else None,
                "train": train.as_dict() if train else None,
                "seconds": round(state.seconds, 3),
            }
        )
        self._save_restart()
        reporter.epoch(epoch, c.epochs, loss, metrics, score, best)
        for warning in warnings:
            reporter.say(warning)

    def _validate(self) -> Metrics:
        return self._errors(self.setup.validation)

    def _errors(self, dataset: GraphDataset) -> Metrics:
        with self.average.applied():
            return evaluate_dataset(self.model, dataset, 2 * self.config.training.batch_size)

    def _judge(self, score: float) -> bool:
        """Whether these are the best weights so far; NaN never is."""
        state = self.state
        self.schedule.validated(score)
        if math.isfinite(score) and (state.best_score is None or score < state.best_score):
            state.best_score, state.best_step, state.waited = score, state.step, 0
            return True
        state.waited += 1
        return False

    def _restart_due(self) -> bool:
        c = self.config.training
        by_step = c.checkpoint_steps is not None and self.state.step % c.checkpoint_steps == 0
        return by_step or self.state.seconds - self._saved >= 60.0 * c.checkpoint_minutes

    def _save_restart(self) -> None:
        self._saved = self.state.seconds
        self.state.loss_by_head = self.by_head.tolist()
        save_restart(
            self.folder.restart,
            state=self.state,
            config=self.config.as_dict(),
            base=self.setup.base,
            data=self.data,
            heads=self.model.heads,
            parameters=self.parameters,
            average=self.average.weights,
            optimiser=self.optimiser,
        )

    def begin(self) -> None:
        """Write the restart file of step 0, so that a run can be resumed from its first moment."""
        self._saved = 0.0
        self._save_restart()

    def _save_weights(self, name: Literal["best", "last"]) -> None:
        """Save the averaged weights: they are what was validated."""
        with self.average.applied():
            checkpoint.save(getattr(self.folder, name), self.adaptation.merged(), self._provenance())

    def _provenance(self) -> dict[str, Any]:
        """How these weights came about; `checkpoint.save` adds the date and the versions of libraries."""
        state = self.state
        return {
            "step": state.step,
            "epoch": state.step / self.sampler.steps,
            "score": state.best_score if state.best_step == state.step else None,
            "weights": f"running average, decay {self.config.training.ema}",
            "config": self.config.as_dict(),
            "base": self.setup.base,
            "data": self.data,
            "seeds": {"training": self.config.training.seed, "split": self.config.split.seed},
        }

    def _not_finite(self, indices: list[int], loss: float) -> InputError:
        what = "gradient" if math.isfinite(loss) else "loss"
        frames = [self.setup.train.frames[i] for i in indices]
        return InputError(
            f"the {what} is not finite at step {self.state.step + 1}; lower training.learning_rate, "
            f"or look at the labels of its frames: {_frame_list(frames)}"
        )


def _frame_list(frames: list[Frame]) -> str:
    by_file: dict[str, list[str]] = {}
    for frame in frames:
        by_file.setdefault(frame.file, []).append(str(frame.index))
    return "; ".join(f"{file} {', '.join(indices)}" for file, indices in by_file.items())
