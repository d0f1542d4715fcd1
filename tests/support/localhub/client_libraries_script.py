"""Uses the localhub at HF_ENDPOINT with `datasets` and `transformers`, and prints one JSON object.

A script and not a test: these libraries read the address when they are imported, and take seconds to import.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any


def check_datasets(repo_id: str) -> dict[str, Any]:
    """Load a dataset with two configurations, whole and streamed, at a revision, and a file by its `hf://` address."""
    import datasets

    whole = datasets.load_dataset(repo_id, "one", split="train")
    streamed = datasets.load_dataset(repo_id, "two", split="test", streaming=True)
    lines = datasets.load_dataset("json", data_files=f"hf://datasets/{repo_id}/rows.jsonl", split="train")
    old = datasets.load_dataset(repo_id, "one", split="train", revision="v1")
    return {
        "configs": datasets.get_dataset_config_names(repo_id),
        "whole": list(whole["n"]),
        "streamed": [row["n"] for row in streamed],
        "old": list(old["n"]),
        "lines": list(lines["n"]),
        "splits": datasets.get_dataset_split_names(repo_id, "two"),
    }


def check_push(repo_id: str) -> dict[str, Any]:
    """`push_to_hub` makes a repo and a card; `load_dataset` reads it back."""
    import datasets

    datasets.Dataset.from_dict({"x": [1, 2, 3]}).push_to_hub(repo_id, "cfg", private=True)
    return {"pushed": datasets.load_dataset(repo_id, "cfg", split="train")[:]["x"]}


def check_transformers(repo_id: str, folder: Path) -> dict[str, Any]:
    """Push a tiny model that is built here, and load it again from the Hub with equal weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repo_id)
    api.upload_folder(repo_id=repo_id, folder_path=folder)
    loaded = AutoModelForCausalLM.from_pretrained(repo_id)
    again = AutoModelForCausalLM.from_pretrained(repo_id, revision=api.model_info(repo_id).sha)
    pairs = zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    return {
        "equal": all(torch.equal(a, b) for a, b in pairs),
        "parameters": sum(p.numel() for p in again.parameters()),
        "reported": api.model_info(repo_id).safetensors.total,
        "architecture": AutoConfig.from_pretrained(repo_id).architectures,
    }


def main() -> None:
    """Run all checks; names and a temporary folder come as arguments."""
    dataset, pushed, model, scratch = sys.argv[1:]
    assert os.environ["HF_ENDPOINT"].startswith("http://127.0.0.1")
    results = check_datasets(dataset) | check_push(pushed) | check_transformers(model, Path(scratch) / "tiny")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
