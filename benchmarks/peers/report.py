"""The rows of benchmarks/peers.sh, and the document as Markdown."""

import statistics

from contenders import NAMES


def quantile(values, q):
    """Linear between neighboring values, as `asmlp bench` does it."""
    ordered = sorted(values)
    position = q * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def spread(values):
    return {"median": quantile(values, 0.5), "min": min(values), "p10": quantile(values, 0.1), "p90": quantile(values, 0.9)}


def row(contender, batch, results, difference):
    """What was measured of one program; `results` has an entry per round."""
    samples = [result["ms"] for result in results]
    ms = spread([value for values in samples for value in values])
    found = {"program": contender.peer, "setting": contender.setting, "precision": contender.precision, "batch": batch,
             "ms": {**ms, "samples": samples}, "images_per_second": 1e3 * batch / ms["median"],
             "difference": difference, "foreign_share": statistics.median(result["foreign"] for result in results)}
    if contender.peer == "asmlp":
        found["share_of_peak"] = statistics.median(contender.details)
    return found


def compare(peer, ours):
    """Adds to a peer's row how much faster each row of asmlp is: a ratio per round, of the rounds' medians."""
    if peer["program"] == "asmlp":
        return
    peer["asmlp_is_faster"] = {}
    for own in ours:
        ratios = [statistics.median(theirs) / statistics.median(mine)
                  for theirs, mine in zip(peer["ms"]["samples"], own["ms"]["samples"])]
        peer["asmlp_is_faster"][own["precision"]] = spread(ratios)


def table(titles, rows):
    lines = ["| " + " | ".join(title.strip(">") for title in titles) + " |",
             "|" + "|".join("---:" if title.startswith(">") else "---" for title in titles) + "|"]
    return "\n".join(lines + ["| " + " | ".join(cells) + " |" for cells in rows]) + "\n"


def summary(document):
    """A line per precision of asmlp and batch, a column per program."""
    rows, lines = document["rows"], []
    peers = [name for name in NAMES if name != "asmlp" and any(row["program"] == name for row in rows)]
    for own in (row for row in rows if row["program"] == "asmlp"):
        cells = [own["precision"], str(own["batch"]), f"**{own['images_per_second']:.1f}**"]
        for name in peers:
            other = next((row for row in rows if row["program"] == name and row["batch"] == own["batch"]
                          and own["precision"] in row["asmlp_is_faster"]), None)
            if other is None:
                cells.append("-")
                continue
            ratio = other["asmlp_is_faster"][own["precision"]]
            cells.append(f"{other['images_per_second']:.1f}: {ratio['median']:.2f} x ({ratio['p10']:.2f}-{ratio['p90']:.2f})")
        lines.append(cells)
    return table(["precision", ">batch", ">asmlp"] + [">" + NAMES[name] for name in peers], lines)


def details(document):
    lines = []
    for row in document["rows"]:
        ms = row["ms"]
        peak = f"{100 * row['share_of_peak']:.0f} %" if "share_of_peak" in row else "-"
        lines.append([row["precision"], str(row["batch"]), NAMES[row["program"]], row["setting"], f"{ms['median']:.1f}",
                      f"{ms['min']:.1f}", f"{ms['p10']:.1f}-{ms['p90']:.1f}", f"{row['images_per_second']:.1f}", peak,
                      f"{row['difference']:.1e}", f"{100 * row['foreign_share']:.0f} %"])
    return table(["precision", ">batch", "program", "setting", ">ms", ">min", ">10-90 %", ">images/s", ">of peak",
                  ">difference", ">others took"], lines)


def tried(document):
    lines = [[one["precision"], str(one["batch"]), NAMES[one["peer"]], one["setting"],
              "failed" if one["ms"] is None else f"{one['ms']:.1f}"] for one in document["tried"]]
    return table(["precision", ">batch", "program", "setting", ">fastest ms"], lines)


def markdown(document):
    machine, versions = document["machine"], document["versions"]
    listed = ", ".join(f"{name} {value}" for name, value in versions.items() if isinstance(value, str))
    parts = [
        f"# {document['model']}: asmlp and its peers\n",
        f"`benchmarks/peers.sh`, {document['date']}. {machine['name']}, {machine['cores']} cores usable "
        f"({', '.join(machine['features'])}), {machine['memory_gib']} GiB, Linux {machine['kernel']}; load "
        f"{machine['load_before']:.1f} before, {machine['load_after']:.1f} after. {document['threads']} threads each; "
        f"{document['rounds']} rounds, the programs in turn.\n",
        f"Versions: {listed}.\n",
        "## Images per second\n",
        "Medians of all runs. Behind each peer's number: how many times as fast asmlp is (the median of the rounds' "
        "ratios, and their 10-90 %).\n",
        summary(document),
        "## Details\n",
        "Milliseconds of a batch. *Difference*: largest difference of a logit to asmlp's in fp32, relative to the "
        f"largest; fp32 must stay within 1e-3. *Others took*: which part of the processors other programs used in the "
        "meantime (median of the rounds); far above 0 %, the machine was not quiet and only the ratios mean "
        "something.\n",
        details(document),
        "## Settings that were tried\n",
        "The fastest run of a few; the fastest setting of each program is in the tables above.\n",
        tried(document)]
    if document["skipped"]:
        parts += ["## Skipped\n", "\n".join(f"- {text}" for text in document["skipped"]) + "\n"]
    if document["failures"]:
        parts += ["## Failures\n", "\n".join(f"- {text}" for text in document["failures"]) + "\n"]
    return "\n".join(parts)


def training_rows(document):
    """The tables of train_peer.sh: steps, or peak memory."""
    lines = []
    if document["kind"] == "memory":
        for row in document["rows"]:
            theirs = "-" if row["pytorch_mb"] is None else f"{row['pytorch_mb']:.0f}"
            below = "-" if row["below"] is None else f"{100 * row['below']:.0f} %"
            lines.append(["yes" if row["checkpointing"] else "no", f"{row['asmlp_mb']:.0f}", theirs, row["allocator"], below])
        return table(["checkpointing", ">asmlp MB", ">PyTorch MB", "its allocator", ">asmlp is below by"], lines)
    for row in document["rows"]:
        ms, ratio = row["ms"], row.get("asmlp_is_faster")
        lines.append([row["precision"], NAMES[row["program"]], row["setting"], f"{ms['median']:.1f}", f"{ms['min']:.1f}",
                      f"{ms['p10']:.1f}-{ms['p90']:.1f}", f"{row['images_per_second']:.2f}",
                      f"**{ratio['median']:.2f} x** ({ratio['p10']:.2f}-{ratio['p90']:.2f})" if ratio else "-",
                      f"{row['loss_difference']:.1e}" if ratio else "-", f"{100 * row['others_took']:.0f} %"])
    return table(["precision", "program", "setting", ">step ms", ">min", ">10-90 %", ">images/s", ">asmlp is faster",
                  ">loss differs", ">others took"], lines)


def training_markdown(document):
    machine, versions = document["machine"], document["versions"]
    memory = document["kind"] == "memory"
    parts = [
        f"# {document['model']}: {'the peak memory of training' if memory else 'training steps'} in asmlp and PyTorch\n",
        f"`benchmarks/train_peer.sh {document['command']}`, {document['date']}. {machine['name']}, {machine['cores']} cores "
        f"usable ({', '.join(machine['features'])}), {machine['memory_gib']} GiB, Linux {machine['kernel']}; load "
        f"{machine['load_before']:.1f} before, {machine['load_after']:.1f} after. {document['img_size']} pixels, batch "
        f"{document['batch']}, {document['threads']} threads each.\n",
        f"Versions: {', '.join(f'{name} {value}' for name, value in versions.items())}.\n",
        training_rows(document)]
    if not memory:
        parts += [f"{document['rounds']} rounds of {document['steps']} steps, the programs in turn; a round's time is the "
                  "median of its steps. *asmlp is faster*: the median of the rounds' ratios, and their 10-90 %. *Others "
                  "took*: which part of the processors other programs used in the meantime; far above 0 %, only the ratios "
                  "mean something.\n",
                  "## Settings that were tried\n",
                  table(["precision", "setting", ">fastest ms"],
                        [[one["precision"], one["setting"], "failed" if one["ms"] is None else f"{one['ms']:.1f}"]
                         for one in document["tried"]])]
    for title in ("skipped", "failures"):
        if document[title]:
            parts += [f"## {title.capitalize()}\n", "\n".join(f"- {text}" for text in document[title]) + "\n"]
    return "\n".join(parts)
