"""The results of `comparison.evaluate_model` as text."""

from kd_keras.utils import tables


def summary(results):
    """Formats the results of `evaluate_model` as text."""
    models = results["models"]
    if not models:
        return "\n".join(
            [
                f"\n{results['data']}, {results['split']}, without labels:",
                *_comparison_with_teacher(results["against_teacher"]),
            ]
        )
    model = models["model"]
    count = f"{model['examples']:,} examples"
    classes = [
        [str(i), f"{precision:.2%}", f"{recall:.2%}"]
        for i, (precision, recall) in enumerate(
            zip(model["precision"], model["recall"])
        )
    ]
    lines = [
        "",
        f"{results['data']}, {results['split']}: {count}",
        "",
        _measures_table(models),
        "",
        tables.aligned([["class", "precision", "recall"], *classes]),
        "",
        *_calibration(models),
        *_comparison_with_teacher(results["against_teacher"]),
        *_comparison_with_baseline(results["against_baseline"]),
    ]
    return "\n".join(lines)


def _measures_table(models):
    rows = [
        [
            "",
            "errors",
            "accuracy (95 % interval)",
            "NLL",
            "Brier",
            "ECE",
            "adaptive",
        ]
    ]
    for role, measured in models.items():
        low, high = measured["accuracy_interval"]
        rows.append(
            [
                role,
                f"{measured['errors']:,}",
                f"{measured['accuracy']:.2%} ({low:.2%} to {high:.2%})",
                f"{measured['nll']:.4f}",
                f"{measured['brier']:.4f}",
                f"{measured['ece']:.2%}",
                f"{measured['adaptive_ece']:.2%}",
            ]
        )
    return tables.aligned(rows)


def _calibration(models):
    if "calibrated" not in models["model"]:
        return ["calibration: no validation set (--data.validation_examples)"]
    fitted = {role: measured["calibrated"] for role, measured in models.items()}
    return [
        f"{role}, calibrated by T = {values['temperature']:.3f}: "
        f"NLL {values['nll']:.4f}, ECE {values['ece']:.2%}"
        for role, values in fitted.items()
    ]


def _comparison_with_teacher(compared):
    if not compared:
        return []
    lines = [
        f"with the teacher: agreement {compared['agreement']:.2%}, KL "
        f"{compared['kl']:.4f} at T = 1 and {compared['kl_softened']:.4f} "
        f"at T = {compared['temperature']:g}"
    ]
    if compared["teacher_mistakes"]:
        lines.append(
            f"on the teacher's {compared['teacher_mistakes']:,} mistakes: "
            f"the same mistake in {compared['agreement_on_mistakes']:.2%}"
        )
    return lines


def _comparison_with_baseline(compared):
    if not compared:
        return []
    low, high = compared["difference_interval"]
    verdict = "no significant difference"
    if compared["p_value"] < 0.05:
        better = compared["difference"] > 0
        verdict = "the model is " + ("better" if better else "worse")
    return [
        f"against the baseline: {100 * compared['difference']:+.2f} points "
        f"({100 * low:+.2f} to {100 * high:+.2f}), McNemar p = "
        f"{compared['p_value']:.3g}: {verdict}"
    ]
