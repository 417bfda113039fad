"""The DeepSpeed engine: a model and a configuration file in, a training engine out.

Keys that the run decides stand as "auto" in `ds_configs/*.json` and are filled
here; everything else in the file goes to DeepSpeed as it is.

Traps stepped around (DeepSpeed 0.19): ZeRO 0 clips by rank-local norms under
expert parallelism and steps bfloat16 late; ZeRO 3 refuses native MoE;
"Adam" alone would silently mean AdamW; its fused CPU Adam takes minutes to build; of a
bfloat16 gradient it looks at every parameter for what is not finite, in thirteen
operations each, and copies each to float64 for its norm.
"""

from typing import Any

import deepspeed
import torch
from torch import Tensor, nn

from data_shards.errors import UserError
from foundation.parallel.expert_parallel import spread_experts
from foundation.parallel.layout import StepConfig

_RARELY = 10**9


def resolve_deepspeed_config(template: dict[str, Any], step: StepConfig) -> dict[str, Any]:
    """Fill the "auto" keys from the run and refuse what does not work with experts.

    Args:
        template: the JSON file's values.
        step: sizes of one optimiser step.

    Raises:
        UserError: a key that the run decides has another value in the file, or a
            combination that trains wrongly.
    """
    optimiser = step.optimiser
    ours: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": step.micro_batch,
        "gradient_accumulation_steps": step.accumulation,
        "gradient_clipping": step.clip,
        "optimizer": {
            "type": "AdamW" if optimiser.decay == "decoupled" else "Adam",
            "params": {
                "lr": optimiser.lr,
                "betas": list(optimiser.betas),
                "eps": optimiser.eps,
                "weight_decay": optimiser.weight_decay,
                "torch_adam": True,
                **({} if optimiser.decay == "decoupled" else {"adam_w_mode": False}),
                "fused": True,  # one pass over memory: a tenth of the time on a CPU
            },
        },
    }
    for key, value in ours.items():
        came = template.get(key, "auto")
        if came not in ("auto", value):
            raise UserError(
                f"deepspeed config: {key} is {came!r}, but the run says {value!r}; "
                f'write "auto" and set it in the run configuration'
            )
    if "train_batch_size" in template:
        raise UserError(
            "deepspeed config: train_batch_size follows from micro_batch, accumulation and ranks; "
            "remove it"
        )
    resolved = {"steps_per_print": _RARELY, **template, **ours}
    _refuse_what_trains_wrongly(resolved, step)
    return resolved


def zero_stage(config: dict[str, Any]) -> int:
    """ZeRO stage of a DeepSpeed configuration."""
    return int(config.get("zero_optimization", {}).get("stage", 0))


def is_bf16(config: dict[str, Any]) -> bool:
    """Whether weights and activations are bfloat16."""
    return bool(config.get("bf16", {}).get("enabled", False))


def _refuse_what_trains_wrongly(config: dict[str, Any], step: StepConfig) -> None:
    stage = zero_stage(config)
    if stage not in (0, 1, 2):
        raise UserError(
            f"deepspeed config: zero_optimization.stage={stage}; expert parallelism works with "
            "0, 1 and 2; use 1 or 2"
        )
    if stage == 0 and (is_bf16(config) or step.clip > 0):
        raise UserError(
            "deepspeed config: ZeRO 0 steps bf16 late and clips by rank-local norms under expert "
            "parallelism; use zero_optimization.stage=1, or float32 without clipping"
        )
    if config.get("fp16", {}).get("enabled", False):
        raise UserError(
            "deepspeed config: fp16 is enabled; only fp32 and bf16 are tested: use bf16"
        )


def build_engine(model: nn.Module, config: dict[str, Any], ep_size: int) -> Any:
    """Spread the experts of a model over ranks and wrap it in DeepSpeed's engine.

    Args:
        model: in plain torch, holding all experts; changed in place. What takes no
            gradient gets no place in the optimiser, hence neither decay nor momentum.
        config: resolved by `resolve_deepspeed_config`.
        ep_size: ranks that share one set of experts.

    Returns:
        `deepspeed.DeepSpeedEngine`.
    """
    spread_experts(model, ep_size)
    if zero_stage(config) > 0:
        # Lets DeepSpeed's converter rewrite a checkpoint for another layout of ranks.
        model.universal_checkpoint_info = {"universal_checkpoint_version": 0.2}  # type: ignore[assignment]
    engine, *_ = deepspeed.initialize(
        model=model,
        model_parameters=[p for p in model.parameters() if p.requires_grad],
        config=config,
    )
    optimiser = engine.optimizer
    if zero_stage(config) > 0 and optimiser.compute_grad_norm and not optimiser.cpu_offload:
        _judge_gradients_by_their_norm(optimiser)
    return engine


def _judge_gradients_by_their_norm(optimiser: Any) -> None:
    """Let the norm, which is computed anyway, say whether a step is to be left out.

    It is not finite where a gradient is not: squares of either type fit into float64. So it is in
    float32 without this; in bfloat16 the norm is asked only where parameters are asked as well.

    Args:
        optimiser: DeepSpeed's, of ZeRO 1 or 2.
    """
    direct = optimiser.get_grad_norm_direct

    def norm_of(gradients: list[Tensor], params: list[Tensor], norm_type: float = 2.0) -> Tensor:
        """That of all norms, each in float64; over ranks it is DeepSpeed's own."""
        if not params:
            return direct(gradients, params, norm_type)  # type: ignore[no-any-return]
        own = [each for each in gradients if not getattr(each, "_zero_padding", False)]
        norms = torch._foreach_norm(own[: len(params)], norm_type, dtype=torch.float64)
        return direct([torch.stack(norms)], params[:1], norm_type)  # type: ignore[no-any-return]

    optimiser.get_grad_norm_direct = norm_of
    optimiser.check_overflow = lambda **_: None
    optimiser.check_grad_overflow = True
