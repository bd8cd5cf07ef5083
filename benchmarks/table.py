"""The benchmark's results as Markdown, with the ratios that they must keep."""

WITH_ONEDNN = "keras.distillation, oneDNN on"
WITHOUT_ONEDNN = "keras.distillation, oneDNN off"
# oneDNN's names of what a convolution computes, and ours.
CONVOLUTIONS = {
    "forward_training": "convolutions",
    "backward_data": "... gradients of their inputs",
    "backward_weights": "... of their kernels",
}


def markdown(results):
    """The results as `results.md`."""
    lines = [
        "# Speed, side by side",
        "",
        "Made by `make benchmark`: " + about(results["machine"]) + ".",
        "Images a second, medians of rounds in which all contestants take "
        "turns; batch 256, float32 unless bfloat16 is named, real CIFAR-10 "
        "images.",
        "",
        "| | airbench 64/128/128 -> 32/64/128 | ResNet-20 -> ResNet-8 |",
        "|---|---|---|",
    ]
    nets = results["nets"]
    for name in nets["airbench"]:
        rates = " | ".join(f"{nets[n][name]:,.0f}" for n in nets)
        lines.append(f"| {name} | {rates} |")
    lines += ["", "| what | against | mark | airbench | ResNet |"]
    lines.append("|---|---|---|---|---|")
    for what, against, mark, ratio in RATIOS:
        values = " | ".join(f"{ratio(nets[n]):.2f}" for n in nets)
        lines.append(f"| {what} | {against} | {mark} | {values} |")
    store = results["store"]
    memory = store["resident_mb"]
    peaks = ", ".join(
        f"{name} {peak:,.0f} MB" for name, peak in results["peak_mb"].items()
    )
    lines += [
        "",
        "Milliseconds of a stored step on one core, with one operation at a "
        "time; the convolutions by oneDNN's own log:",
        "",
        *profile_rows(results["profiles"]),
        "",
        f"- `python -m kd_keras.train --help`: {results['help_seconds']:.2f} s "
        "(mark: under 1.5 s).",
        "- A student stage of one step, from the command to the exported "
        f"model: {results['first_step_seconds']:.1f} s, with the test images.",
        "- Peak memory of a process with 50,000 images (150 MB), its "
        f"store and one epoch: {peaks}.",
        f"- A store of 10 million views, {store['store_mb']:,.0f} MB on disk, "
        f"on one core: {store['rows_per_second']:,.0f} logits a second into "
        "tf.data (mark: 300,000); resident memory "
        f"{memory[0]:,.0f} MB before, {max(memory):,.0f} MB at most, "
        f"{memory[-1]:,.0f} MB after one pass.",
        "",
    ]
    return "\n".join(lines)


def profile_rows(profiles):
    """The table of the times of steps, a list of lines."""
    kinds = list(CONVOLUTIONS.values())
    rows = [["network", "program", "step", *kinds, "all else"]]
    rows.append(["---"] * len(rows[0]))
    for nets, programs in profiles.items():
        for program, times in programs.items():
            parts = [times[kind] for kind in CONVOLUTIONS]
            figures = [times["step"], *parts, times["step"] - sum(parts)]
            cells = [f"{milliseconds:.0f}" for milliseconds in figures]
            rows.append([nets, program, *cells])
    return ["| " + " | ".join(row) + " |" for row in rows]


def live_share(rates):
    """Seconds of a live step, relative to its two parts alone."""
    parts = 1 / rates["plain"] + 1 / rates["inference"]
    return (1 / rates["live"]) / parts


RATIOS = [
    (
        "step from the store",
        "the student's plain `fit`",
        ">= 0.97",
        lambda r: r["stored"] / r["plain"],
    ),
    (
        "live step, seconds",
        "plain step + teacher's inference",
        "<= 1.05",
        live_share,
    ),
    (
        "live",
        WITH_ONEDNN,
        ">= 1.2",
        lambda r: r["live"] / r[WITH_ONEDNN],
    ),
    (
        "stored",
        WITH_ONEDNN,
        ">= 1.9",
        lambda r: r["stored"] / r[WITH_ONEDNN],
    ),
    (
        "live",
        WITHOUT_ONEDNN,
        "-",
        lambda r: r["live"] / r[WITHOUT_ONEDNN],
    ),
    (
        "stored",
        WITHOUT_ONEDNN,
        "-",
        lambda r: r["stored"] / r[WITHOUT_ONEDNN],
    ),
    (
        "live",
        "PyTorch, live",
        ">= 1.05",
        lambda r: r["live"] / r["PyTorch, live"],
    ),
    (
        "stored",
        "PyTorch, live",
        ">= 1.5",
        lambda r: r["stored"] / r["PyTorch, live"],
    ),
    (
        "stored",
        "PyTorch, stored",
        ">= 1",
        lambda r: r["stored"] / r["PyTorch, stored"],
    ),
    (
        "stored, bfloat16",
        "PyTorch, stored, bfloat16",
        ">= 1.1",
        lambda r: r["stored, bfloat16"] / r["PyTorch, stored, bfloat16"],
    ),
    (
        "input pipeline, one core",
        "what the student consumes",
        ">= 5",
        lambda r: r["pipeline, one core"] / r["stored"],
    ),
    (
        "label",
        "the teacher's bare `predict`",
        ">= 0.95",
        lambda r: r["label"] / r["predict"],
    ),
]


def about(facts):
    """The machine in one sentence."""
    onednn = "on" if facts["avx512_vnni"] else "off"
    versions = ", ".join(
        f"{name} {facts[name]}"
        for name in ("tensorflow", "keras", "torch", "numpy")
    )
    return (
        f"{facts['processor']}, {facts['cores']} cores, Python "
        f"{facts['python']}, {versions}; TensorFlow's own default here is "
        f"oneDNN {onednn}"
    )
