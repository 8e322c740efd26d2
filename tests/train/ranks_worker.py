"""One of the processes of test_distributed.py: ``ranks_worker.py COCO_FOLDER RUN OUT``."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from nssa_gis.model.config import named_config
from nssa_gis.train.distributed import joined
from nssa_gis.train.options import TrainOptions
from nssa_gis.train.recipe import recipe_of_folders
from nssa_gis.train.shared_norm import SharedBatchNorm
from nssa_gis.train.trainer import Trainer


def small_trainer(folder, run, events, ranks=None, **kw):
    """A tiny network with all three modules, in float64: what differs then is no rounding that Adam blows up."""
    recipe = recipe_of_folders([folder], ["vehicle=car"], 0.25, ["b"], "toy")
    config = replace(named_config("nssa-n", 1), stem=8, widths=(8, 16, 16), neck=(16, 16, 16))
    options = TrainOptions(**{"steps": 8, "batch": 4, "crop": 64, "workers": 0, "seed": 3, "device": "cpu"} | kw)
    trainer = Trainer(recipe, config, options, Path(run), events.append, *([ranks] if ranks else []))
    trainer.autocast = None
    for model in (trainer.model, trainer.average.module):
        model.double().register_forward_pre_hook(lambda module, args: (args[0].double(),))
    return trainer


def state_after(trainer):
    """What a step leaves: gradients (clipped), parameters and buffers."""
    gradients = {f"grad/{k}": p.grad for k, p in trainer.model.named_parameters() if p.grad is not None}
    states = {f"state/{k}": v for k, v in trainer.model.state_dict().items()}
    return {k: v.detach().clone().contiguous() for k, v in (gradients | states).items()}


def norm_over_all(batch):
    """A shared norm on this process's half of a batch; output, input gradient, and the state it leaves."""
    torch.manual_seed(1)
    norm = SharedBatchNorm(3, eps=1e-3, momentum=0.03).double()
    torch.nn.init.normal_(norm.weight)
    half = batch.chunk(2)[torch.distributed.get_rank()].requires_grad_()
    out = norm(half)
    out.square().mul(torch.arange(out.shape[-1])).sum().backward()
    parts = [out.detach(), half.grad]
    whole = [torch.empty_like(batch) for _ in parts]
    for part, into in zip(parts, whole, strict=True):
        torch.distributed.all_gather(list(into.chunk(2)), part.contiguous())
    for p in (norm.weight, norm.bias):
        torch.distributed.all_reduce(p.grad)
    state = {f"norm/{k}": v for k, v in norm.state_dict().items()}
    gradients = {"norm/grad_weight": norm.weight.grad, "norm/grad_bias": norm.bias.grad}
    return {"norm/out": whole[0], "norm/grad_x": whole[1], **gradients, **state}


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, run, out = sys.argv[1:]
    with joined("cpu") as ranks:
        kept = norm_over_all(torch.randn(4, 3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))
        # a run begun by one process goes on in two
        trainer = small_trainer(folder, run, [], ranks)
        trainer.resume()
        step = trainer._train_step

        def stop_after_two(*args):
            figures = step(*args)
            if trainer.step < 3:
                return figures
            kept.update(state_after(trainer))
            kept["losses"] = torch.tensor(
                [figures["loss"], figures["boxes"], figures["positives"]], dtype=torch.float64
            )
            if ranks.number == 1:
                trainer.stop()  # the signal reaches one of them only
            return figures

        trainer._train_step = stop_after_two
        try:
            trainer.run()
        except KeyboardInterrupt:
            kept["stopped"] = torch.tensor(trainer.step)
        save_file(kept, f"{out}.{ranks.number}")
