"""Makes the models that `benchmarks.engine_flips` compares: plain, with a sliding window, and with an adapter."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from workers.starter.questions import MAKERS
from workers.starter.repo import distinct

WINDOW = 128
MADE_MODELS = {
    "smollm2": "SmolLM2-135M-Instruct",
    "window": f"with a window of {WINDOW}",
    "adapter": "with an adapter",
}
"""The models that this module makes, with their titles."""
TRAINING_SEED = 7
"""Not the starter suite's seed: the adapter is not trained on the questions of the benchmark."""
TRAINING_STEPS, TRAINING_ROWS = 24, 6


def chosen_models(chosen: Sequence[str | Path], folder: Path) -> dict[str, dict[str, str]]:
    """Title → arguments of the harness's model. `chosen`: folders, and names in MADE_MODELS, made in `folder`."""
    from workers.models.gguf import convert, packaged_gguf

    given = [model for model in chosen if isinstance(model, Path)]
    same_names = Counter(model.name for model in dict.fromkeys(given))
    plain = folder / "plain"
    if len(given) < len(chosen):
        convert(packaged_gguf(), plain, "float32")
    models: dict[str, dict[str, str]] = {}
    for model in chosen:
        if isinstance(model, Path):
            models[model.name if same_names[model.name] == 1 else str(model)] = {"pretrained": str(model)}
        elif model == "window":
            models[MADE_MODELS[model]] = {"pretrained": str(_windowed(plain, folder / "windowed"))}
        elif model == "adapter":
            adapter = _adapter(plain, folder / "adapter")
            models[MADE_MODELS[model]] = {"pretrained": str(plain), "peft": str(adapter)}
        else:
            models[MADE_MODELS[model]] = {"pretrained": str(plain)}
    return models


def _windowed(plain: Path, folder: Path) -> Path:
    """The same weights as a Mistral whose layers see the last tokens only."""
    from transformers import AutoTokenizer, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    llama = LlamaForCausalLM.from_pretrained(plain)  # nosec B615  # a folder
    entries = {
        name: value for name, value in llama.config.to_dict().items() if name not in ("model_type", "architectures")
    }
    mistral = MistralForCausalLM(MistralConfig(**entries | {"sliding_window": WINDOW}))
    mistral.load_state_dict(llama.state_dict())
    mistral.save_pretrained(folder)
    AutoTokenizer.from_pretrained(plain).save_pretrained(folder)  # nosec B615  # a folder
    return folder


def _adapter(plain: Path, folder: Path) -> Path:
    """A LoRA adapter, trained on the answers to questions of the starter suite's kinds."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(plain)  # nosec B615  # a folder
    base = AutoModelForCausalLM.from_pretrained(plain)  # nosec B615  # a folder
    model = get_peft_model(base, LoraConfig(r=8, lora_alpha=32, target_modules=["q_proj", "v_proj", "down_proj"]))
    optimizer = torch.optim.AdamW((weight for weight in model.parameters() if weight.requires_grad), lr=1e-3)
    count = TRAINING_STEPS * TRAINING_ROWS // len(MAKERS)
    taught = [question for task, maker in MAKERS.items() for question in distinct(task, maker, count, TRAINING_SEED)]
    random.Random(0).shuffle(taught)
    for step in range(TRAINING_STEPS):
        rows = taught[step * TRAINING_ROWS : (step + 1) * TRAINING_ROWS]
        for question in rows:
            prompt = tokenizer(f"Q: {question.input}\nA:")["input_ids"]
            answer = tokenizer(f" {question.target}\n\n")["input_ids"]
            tokens, labels = torch.tensor([prompt + answer]), torch.tensor([[-100] * len(prompt) + answer])
            (model(input_ids=tokens, labels=labels).loss / len(rows)).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder
