"""What tinyconv wants to reach on an H100 or H200, each line as met, NOT MET or not measured."""

BAD = "failed", "wrong"
PRODUCTS = "conv2d", "dense"
DIRECTIONS = "forward", "backward_input", "backward_weight"
MOVING = (
    "relu",
    "scaled_tanh",
    "dropout",
    "local_response_norm",
    "max_pool2d",
    "avg_pool2d",
    "subsample2d",
    "sgd",
    "adam",
)
LARGE = 32_000_000  # bytes of an array from which on its operation is held to the copy rate


def asked_for(rows, complete=True):
    """Yield the lines. complete: whether every check was made."""
    yield _checks(rows, complete)
    yield from _steps(rows)
    yield _mnist(rows)
    yield from _predictions(rows)
    yield from _products(rows)
    yield _moving(rows)


def _met(found, what, said=""):
    """One line. found: whether it is met; None: not measured."""
    return f"  {'not measured' if found is None else 'met' if found else 'NOT MET':12}  {what}" + (
        f": {said}" if said else ""
    )


def _checks(rows, complete):
    checks = [row for row in rows if row["section"] in ("checks", "operations", "networks")]
    bad = sum(row["status"] in BAD for row in checks)
    skipped = sum(row["status"] == "skipped" for row in checks)
    return _met(
        False if bad else skipped == 0 if checks and complete else None,
        "all checks pass",
        f"{len(checks)} rows, {bad} wrong or failed, {skipped} skipped",
    )


def _network(rows, model, work, batch, precision="float32", against=None):
    """Return the timed row of a network; None where there is none."""
    wanted = {
        "section": "networks",
        "model": model,
        "work": work,
        "batch": batch,
        "precision": precision,
        "against": against,
    }
    some = (row for row in rows if "median" in row and row.get("rule", "SGD") == "SGD")
    return next((row for row in some if all(row.get(key) == value for key, value in wanted.items())), None)


def _steps(rows):
    row = _network(rows, "alexnet", "training step", 128)
    compiled = _network(rows, "alexnet", "training step", 128, against="torch.compile")
    what = "AlexNet, 128 images, float32, from NumPy arrays"
    yield _at_least(1.3, _ratio(row, "torch_median", "median"), f"{what}: at least 1.3 times PyTorch eager")
    peers = [
        _ratio(row, "graph_median", "median"),
        # the compiled peer against our time of the same row
        _ratio(compiled, "torch_median", "median"),
    ]
    peers = [ratio for ratio in peers if ratio is not None]
    yield _at_least(
        1.0, min(peers, default=None), f"{what}: at least 1 times the best of torch.compile and CUDA graphs"
    )
    for precision, least in (("float32", 1.6), ("tf32", 1.8)):
        row = _network(rows, "alexnet", "training step", 128, precision)
        yield _at_least(
            least,
            _ratio(row, "torch_resident_median", "resident_median"),
            f"AlexNet, 128 images, {precision}, resident: at least {least} times PyTorch eager",
        )
    row = _network(rows, "lenet5", "training step", 64)
    for kind, name, most in (("from NumPy arrays", "median", 150), ("resident", "resident_median", 50)):
        found = row and name in row and 1e6 * row[name]
        yield _met(
            found <= most if found else None,
            f"LeNet-5, 64 images, {kind}: at most {most} us",
            f"{found:.0f} us" if found else "",
        )


def _mnist(rows):
    row = next(
        (
            row
            for row in rows
            if row["section"] == "training" and row["title"].startswith("MNIST") and row["status"] == "ok"
        ),
        None,
    )
    return _met(
        row and row["epochs"] == 20 and row["test_error"] <= 0.0095 and row["with_tests"] <= 3,
        "MNIST, 20 epochs, tests included: 0.95 % or better in at most 3 s",
        row and f"{100 * row['test_error']:.2f} % in {row['with_tests']:.1f} s, {row['epochs']} epochs",
    )


def _predictions(rows):
    for model, title, images, least in (
        ("lenet5", "LeNet-5", 1, 4),
        ("alexnet", "AlexNet", 1, 1.5),
        ("lenet5", "LeNet-5", 10_000, 3),
    ):
        ratio = _ratio(_network(rows, model, "prediction", images), "torch_median", "median")
        yield _at_least(
            least, ratio, f"prediction of {images:,}, {title}: at least {least} times PyTorch eager"
        )


def _products(rows):
    large = next(
        (row.get("flops") for row in rows if row["title"] == "matrix product, float32 (cuBLAS)"), None
    )
    for precision, together, worst in (("float32", 1.3, None), ("tf32", 1.2, 0.7)):
        every = [
            row
            for row in rows
            if row["section"] == "operations"
            and row.get("model") == "alexnet"
            and row["operation"] in PRODUCTS
            and row["direction"] in DIRECTIONS
            and row["precision"] == precision
            and "median" in row
        ]
        some = [row for row in every if "torch_median" in row]
        what = f"conv2d and dense of AlexNet, {precision}"
        peer = "cuDNN and cuBLAS"
        ratio = _total(some, "torch_median") / _total(some, "median") if some else None
        yield _at_least(together, ratio, f"{what}, all together: at least {together} times {peer}")
        if worst:
            slowest = min(some, key=_times, default=None)
            yield _at_least(
                worst,
                slowest and _times(slowest),
                f"{what}, each: at least {worst} times {peer}",
                slowest and f"{slowest['layer']} {slowest['direction']}",
            )
        else:
            rate = _total(every, "flop") / _total(every, "median") if every else None
            yield _at_least(
                0.85,
                rate / large if rate and large else None,
                f"{what}, all together: at least 0.85 of cuBLAS' rate for a large product",
                f"{rate / 1e12:.1f} of {large / 1e12:.1f} TFLOP/s" if rate and large else "",
            )


def _moving(rows):
    copy = next((row.get("bytes_per_second") for row in rows if row["title"] == "copy on the GPU"), None)
    some = [
        (row["bytes"] / row["median"] / copy, row)
        for row in rows
        if copy
        and row["section"] == "operations"
        and row.get("operation") in MOVING
        and row.get("largest", 0) >= LARGE
        and "median" in row
    ]
    share, row = min(some, key=lambda one: one[0], default=(None, None))
    reached = sum(share >= 0.75 for share, _ in some)
    return _at_least(
        0.75,
        share,
        "elementwise, pools, LRN on arrays of 32 MB and more: at least 0.75 of the copy rate",
        row and f"{row['model']} {row['layer']} {row['direction']}; {reached} of {len(some)} reach it",
    )


def _at_least(least, found, what, said=""):
    return _met(
        None if found is None else found >= least,
        what,
        "" if found is None else f"{found:.2f}" + (f" ({said})" if said else ""),
    )


def _ratio(row, theirs, ours):
    return row[theirs] / row[ours] if row and theirs in row and ours in row else None


def _times(row):
    return row["torch_median"] / row["median"]


def _total(rows, name):
    return sum(row[name] for row in rows)
