"""What a child does, in a process of its own: `evaluation_child.py make FOLDER`, or `evaluation_child.py run PLAN`.

`make` writes a tiny model with random weights and a tokenizer of bytes; `run` evaluates a plan.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from workers.plans import CHILD_ENVIRONMENT, Progress, RunPlan

os.environ.update(CHILD_ENVIRONMENT)


def make(folder: Path) -> None:
    """A Llama of one layer; its tokenizer knows every byte, so that it reads and writes any text."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {
        letter: number for number, letter in enumerate(["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet())])
    }
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<end>", eos_token="<end>", pad_token="<end>")
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        initializer_range=0.5,  # so that its answers differ from question to question
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)


def run(plan: RunPlan) -> None:
    """Evaluate, and print every phase once."""
    from workers.evaluate import evaluate

    seen: list[Progress] = []
    evaluate(plan, seen.append)
    print(*dict.fromkeys(progress.phase for progress in seen), seen[-1].done, seen[-1].total)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        run(RunPlan.model_validate_json(Path(sys.argv[2]).read_text()))
