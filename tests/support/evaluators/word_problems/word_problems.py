"""Word problems: a model writes a number by greedy generation, and the number is right or wrong."""

import hashlib
import json
import os
import re
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

NAME, VERSION = "word-problems", "1.0"


class ModelUnfit(Exception):
    """The model cannot be evaluated, and its author has to change it."""


def fail(fault, message):
    Path("failure.json").write_text(json.dumps({"contract": 1, "fault": fault, "message": message[:500]}))
    sys.exit(1)


def load(plan):
    about, devices = plan["model"], plan["devices"]
    if about["weight_type"] != "Original" or about.get("quantisation"):
        raise ModelUnfit("Word problems are asked of whole models in float32, float16 or bfloat16 only.")
    if devices.get("threads"):
        torch.set_num_threads(devices["threads"])
    try:
        tokenizer = AutoTokenizer.from_pretrained(about["folder"], padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(
            about["folder"],
            dtype=getattr(torch, about["dtype"]),
            use_safetensors=True,
            device_map="auto" if devices["spread"] == "parts" else None,
        )
    except Exception as error:
        raise ModelUnfit(f"transformers cannot load the model: {type(error).__name__}: {error}") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if devices["spread"] != "parts":
        model = model.to(devices["device"])
    if about["use_chat_template"] and not tokenizer.chat_template:
        raise ModelUnfit("The request asks for the chat template, and the tokenizer has none.")
    return tokenizer, model.eval()


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def prompt_of(question, examples):
    solved = [f"Question: {each['question']}\nAnswer: {each['answer']}" for each in examples]
    return "\n\n".join([*solved, f"Question: {question['question']}\nAnswer:"])


def number_in(text):
    digits = re.search(r"-?\d+", text.split("\n\n")[0].replace(",", ""))
    return int(digits.group()) if digits else None


@torch.inference_mode()
def generate(tokenizer, model, prompts, chat, new_tokens):
    if chat:
        prompts = [
            tokenizer.apply_chat_template([{"role": "user", "content": p}], tokenize=False, add_generation_prompt=True)
            for p in prompts
        ]
    batch = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=not chat).to(model.device)
    batch.pop("token_type_ids", None)
    written = model.generate(
        **batch, do_sample=False, num_beams=1, max_new_tokens=new_tokens, pad_token_id=tokenizer.pad_token_id
    )
    return tokenizer.batch_decode(written[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)


def sample_of(number, question, prompt, output):
    canonical = json.dumps(question, sort_keys=True, separators=(",", ":"))
    return {
        "id": number,
        "question_digest": hashlib.sha256(canonical.encode()).hexdigest(),
        "question": question,
        "prompt": prompt,
        "target": str(question["answer"]),
        "output": output,
        "metrics": {"exact_match": float(number_in(output) == question["answer"])},
    }


def main():
    plan = json.loads(Path(os.environ["STEWARD_PLAN"]).read_text())
    progress = int(os.environ["STEWARD_PROGRESS"])
    torch.manual_seed(plan["seed"])
    folder = Path(plan["questions"][0]["folder"])
    asked = {task["name"]: read(folder / f"{task['name']}.jsonl")[: plan["limit"]] for task in plan["tasks"]}
    total, done = sum(map(len, asked.values())), 0
    tokenizer, model = load(plan)
    size, new_tokens = max(1, plan["devices"]["batch_size"]), plan["options"].get("max_new_tokens", 12)
    reports = {}
    for task in plan["tasks"]:
        name, questions, right = task["name"], asked[task["name"]], 0.0
        examples = read(folder / f"{name}.examples.jsonl")[: task["shots"]] if task["shots"] else []
        with Path(f"samples/{name}.jsonl").open("w") as samples:
            for start in range(0, len(questions), size):
                batch = questions[start : start + size]
                prompts = [prompt_of(question, examples) for question in batch]
                outputs = generate(tokenizer, model, prompts, plan["model"]["use_chat_template"], new_tokens)
                for number, question, prompt, output in zip(
                    range(start, start + size), batch, prompts, outputs, strict=False
                ):
                    sample = sample_of(number, question, prompt, output)
                    right += sample["metrics"]["exact_match"]
                    samples.write(json.dumps(sample) + "\n")
                done += len(batch)
                os.write(progress, json.dumps({"done": done, "total": total}).encode() + b"\n")
        reports[name] = {"questions": len(questions), "metrics": {"exact_match": right / len(questions)}}
    results = {
        "contract": 1,
        "evaluator": {"name": NAME, "version": VERSION},
        "model": plan["model"]["name"],
        "revision": plan["model"]["revision"],
        "tasks": reports,
        "versions": {package: version(package) for package in ("torch", "transformers", "tokenizers")},
    }
    Path("results.json").write_text(json.dumps(results))


try:
    main()
except ModelUnfit as error:
    fail("model", str(error))
